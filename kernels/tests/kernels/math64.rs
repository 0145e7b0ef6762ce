//! The `f64` elementary functions: against results of 400 bits (`math64.txt`), against those of another library over random
//! operands, and what C says of special ones.

use crate::common::*;
use allotrope_kernels::{Table, table_for};

type Call = unsafe extern "C" fn(usize, *const f64, *mut f64);
type Call2 = unsafe extern "C" fn(usize, *const f64, *const f64, *mut f64);

fn run(f: Call, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    // SAFETY: both have that many elements.
    unsafe { f(x.len(), x.as_ptr(), out.as_mut_ptr()) };
    out
}

fn run2(f: Call2, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.len()];
    // SAFETY: all have that many elements.
    unsafe { f(a.len(), a.as_ptr(), b.as_ptr(), out.as_mut_ptr()) };
    out
}

/// Places between two numbers of one sign, or whether they are the same.
fn places(a: f64, b: f64) -> u64 {
    if a.bits() == b.bits() || (a.is_nan() && b.is_nan()) {
        return 0;
    }
    if a.is_nan() || b.is_nan() || a.is_sign_negative() != b.is_sign_negative() {
        return u64::MAX;
    }
    a.to_bits().abs_diff(b.to_bits())
}

/// Name, function, another library's.
#[allow(clippy::type_complexity)]
const FUNCTIONS: [(&str, fn(&Table) -> Call, fn(f64) -> f64); 21] = [
    ("exp", |t| t.exp_f64, libm::exp),
    ("exp2", |t| t.exp2_f64, libm::exp2),
    ("expm1", |t| t.expm1_f64, libm::expm1),
    ("log", |t| t.log_f64, libm::log),
    ("log2", |t| t.log2_f64, libm::log2),
    ("log10", |t| t.log10_f64, libm::log10),
    ("log1p", |t| t.log1p_f64, libm::log1p),
    ("sin", |t| t.sin_f64, libm::sin),
    ("cos", |t| t.cos_f64, libm::cos),
    ("tan", |t| t.tan_f64, libm::tan),
    ("asin", |t| t.asin_f64, libm::asin),
    ("acos", |t| t.acos_f64, libm::acos),
    ("atan", |t| t.atan_f64, libm::atan),
    ("sinh", |t| t.sinh_f64, libm::sinh),
    ("cosh", |t| t.cosh_f64, libm::cosh),
    ("tanh", |t| t.tanh_f64, libm::tanh),
    ("asinh", |t| t.asinh_f64, libm::asinh),
    ("acosh", |t| t.acosh_f64, acosh),
    ("atanh", |t| t.atanh_f64, libm::atanh),
    ("erf", |t| t.erf_f64, libm::erf),
    ("erfc", |t| t.erfc_f64, libm::erfc),
];

fn tables() -> Vec<&'static Table> {
    levels().into_iter().map(|l| table_for(l).unwrap()).collect()
}

#[test]
fn f64_functions_are_within_one_place_of_the_exact_result() {
    let number = |s: &str| f64::from_bits(u64::from_str_radix(s, 16).unwrap());
    for t in tables() {
        for row in include_str!("math64.txt").lines() {
            let words: Vec<&str> = row.split(' ').collect();
            let want = number(words[words.len() - 1]);
            let x = number(words[1]);
            let got = match words[0] {
                "pow" => run2(t.pow_f64, &[x], &[number(words[2])])[0],
                "atan2" => run2(t.atan2_f64, &[x], &[number(words[2])])[0],
                name => run(FUNCTIONS.iter().find(|f| f.0 == name).unwrap().1(t), &[x])[0],
            };
            assert!(places(got, want) <= 1, "{row}: {got:e}");
        }
    }
}

/// Every pattern of 64 bits, and numbers of ordinary size.
fn operands(n: usize) -> Vec<f64> {
    let mut g = Lcg(64);
    let special = [0.0, f64::INFINITY, f64::NAN, 1.0, 2.0, 0.5, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e22, 0.75, 1e300];
    let mut all: Vec<f64> = special.into_iter().flat_map(|x| [x, -x]).collect();
    for i in 0..n {
        let wild = f64::from_bits(g.next() << 32 ^ g.next() << 8 ^ g.next());
        all.push(match i % 4 {
            0 => wild,
            1 => f64::plain(&mut g) * 4.0,
            2 => f64::plain(&mut g) * 800.0,
            _ => f64::from_bits((wild.to_bits() & 0x800f_ffff_ffff_ffff) | (((g.below(40) + 1000) as u64) << 52)),
        });
    }
    all
}

#[test]
fn f64_functions_agree_with_another_library() {
    let x = operands(20_000);
    let tables = tables();
    for (name, f, other) in FUNCTIONS {
        let got = run(f(tables[tables.len() - 1]), &x);
        for t in &tables {
            assert!(bits(&run(f(t), &x[..2000])) == bits(&got[..2000]), "{name}: levels differ");
        }
        for (x, y) in x.iter().zip(got) {
            // The other one is less exact.
            assert!(places(y, other(*x)) <= 4, "{name}({x:e}) = {y:e}, not {:e}", other(*x));
        }
    }
}

#[test]
fn f64_powers_and_angles_follow_c() {
    let special: Vec<f64> =
        [0.0, 1.0, 2.0, 0.5, 3.0, 2.5, 1e300, 5e-324, f64::MAX, 9007199254740993.0, f64::INFINITY, f64::NAN]
            .into_iter()
            .flat_map(|x| [x, -x])
            .collect();
    let mut pairs: Vec<(f64, f64)> = special.iter().flat_map(|a| special.iter().map(|b| (*a, *b))).collect();
    let x = operands(20_000);
    pairs.extend(x.iter().zip(x.iter().rev()).map(|(a, b)| (*a, *b)));
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    for t in tables() {
        for (name, got, other) in [
            ("pow", run2(t.pow_f64, &a, &b), libm::pow as fn(f64, f64) -> f64),
            ("atan2", run2(t.atan2_f64, &a, &b), libm::atan2),
        ] {
            for i in 0..a.len() {
                let want = other(a[i], b[i]);
                assert!(places(got[i], want) <= 3, "{name}({:e}, {:e}) = {:e}, not {want:e}", a[i], b[i], got[i]);
            }
        }
        let rem = run2(t.rem_f64, &a, &b);
        for i in 0..a.len() {
            assert_eq!(places(rem[i], a[i] % b[i]), 0, "{:e} % {:e} = {:e}", a[i], b[i], rem[i]);
        }
    }
}

#[test]
fn whole_powers_have_exact_f64_logarithms() {
    let twos: Vec<f64> = (-1074..1024).map(|i| libm::scalbn(1.0, i)).collect();
    let tens: Vec<f64> = (0..23).map(|i| format!("1e{i}").parse().unwrap()).collect();
    for t in tables() {
        assert_eq!(run(t.log2_f64, &twos), (-1074..1024).map(f64::from).collect::<Vec<_>>());
        assert_eq!(run(t.exp2_f64, &run(t.log2_f64, &twos)), twos);
        assert_eq!(run(t.log10_f64, &tens), (0..23).map(f64::from).collect::<Vec<_>>());
    }
}
