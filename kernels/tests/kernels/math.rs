//! The `f32` elementary functions against `f64` ones, over a dense sweep of all bit patterns.

use crate::common::*;
use allotrope_kernels::{Table, table_for};

/// Distance in units in the last place of the exact value.
fn ulps(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if got.bits() == rounded.bits() || (got == rounded) {
        return if got == 0.0 || got.is_infinite() || got.is_nan() { 0.0 } else { error(got, exact) };
    }
    if got.is_nan() || rounded.is_nan() || rounded.is_infinite() {
        // Overflow may come within the tolerance of the largest number.
        return if got.is_finite() && got.abs() == f32::MAX && rounded.is_infinite() { 1.0 } else { f64::INFINITY };
    }
    error(got, exact)
}

fn error(got: f32, exact: f64) -> f64 {
    let exponent = libm::ilogb(exact).max(-126);
    (got as f64 - exact).abs() / libm::scalbn(1.0, exponent - 23)
}

/// The distance between the bit patterns that the sweeps look at: `ALLOTROPE_SWEEP=37` is what the table in `math` was made with.
fn step() -> usize {
    std::env::var("ALLOTROPE_SWEEP").ok().and_then(|s| s.parse().ok()).unwrap_or(8009)
}

type Call = unsafe extern "C" fn(usize, *const f32, *mut f32);

fn run(f: Call, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    // SAFETY: both have that many elements.
    unsafe { f(x.len(), x.as_ptr(), out.as_mut_ptr()) };
    out
}

/// Every `step`-th bit pattern, both signs, and all of the boundaries between regimes.
fn sweep(step: usize) -> impl Iterator<Item = Vec<f32>> {
    let boundaries: Vec<f32> = [
        0.0f32,
        1.125,
        1.0,
        0.5,
        2.0,
        3.92,
        9.2,
        10.05,
        17.3,
        20.8,
        128.0,
        150.0,
        88.7,
        89.5,
        104.0,
        1.0737418e9,
        f32::MIN_POSITIVE,
        0.70710677,
        1.5707964,
    ]
    .iter()
    .flat_map(|x| (-300i32..300).map(|d| f32::from_bits((x.to_bits() as i32).wrapping_add(d) as u32)))
    .flat_map(|x| [x, -x])
    .chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::MAX, f32::MIN])
    .collect();
    let patterns: Vec<u32> = (0..=u32::MAX).step_by(step).collect();
    std::iter::once(boundaries).chain(
        patterns
            .chunks(1 << 16)
            .map(|c| c.iter().map(|&b| f32::from_bits(b)).collect::<Vec<f32>>())
            .collect::<Vec<_>>(),
    )
}

fn check(name: &str, of: impl Fn(&Table) -> Call, exact: fn(f64) -> f64, limit: f64) {
    let tables: Vec<&Table> = levels().into_iter().map(|l| table_for(l).unwrap()).collect();
    let best = of(tables[tables.len() - 1]);
    let (mut worst, mut at) = (0.0, 0.0);
    for x in sweep(step()) {
        for (&x, got) in x.iter().zip(run(best, &x)) {
            let e = ulps(got, exact(x as f64));
            if e > worst {
                (worst, at) = (e, x);
            }
        }
    }
    println!("{name}: {worst:.3} ulp at {at:e}");
    assert!(worst <= limit, "{name}: {worst} ulp at {at:e}");
    for x in sweep(400_009) {
        let want = bits(&run(best, &x));
        for t in &tables {
            assert!(bits(&run(of(t), &x)) == want, "{name}: levels differ");
        }
    }
    // Zeros, infinities and NaN are exactly those of the definition, signs included.
    let special = [0.0f32, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, 1e-45, -1e-45];
    for (x, y) in special.into_iter().zip(run(best, &special)) {
        let want = exact(x as f64) as f32;
        assert!(want.is_normal() || y.bits() == want.bits(), "{name}({x:e}) = {y:e}, not {want:e}");
    }
    // Any length, in place, element by element.
    let mut g = Lcg(4);
    for n in 0..70 {
        let x: Vec<f32> = odd(&mut g, n);
        for t in &tables {
            let mut y = x.clone();
            // SAFETY: in place, `n` elements.
            unsafe { of(t)(n, y.as_ptr(), y.as_mut_ptr()) };
            let single: Vec<f32> = x.iter().map(|&v| run(best, &[v])[0]).collect();
            assert_eq!(bits(&y), bits(&single), "{name} {n}");
        }
    }
}

#[test]
fn exp_is_within_two_ulp() {
    check("exp", |t| t.exp_f32, libm::exp, 2.0);
}

#[test]
fn log_is_within_two_ulp() {
    check("log", |t| t.log_f32, libm::log, 2.0);
}

#[test]
fn sin_is_within_two_ulp() {
    check("sin", |t| t.sin_f32, libm::sin, 2.0);
}

#[test]
fn cos_is_within_two_ulp() {
    check("cos", |t| t.cos_f32, libm::cos, 2.0);
}

#[test]
fn the_other_f32_functions_are_within_two_ulp() {
    check("exp2", |t| t.exp2_f32, libm::exp2, 2.0);
    check("expm1", |t| t.expm1_f32, libm::expm1, 2.0);
    check("log2", |t| t.log2_f32, libm::log2, 2.0);
    check("log1p", |t| t.log1p_f32, libm::log1p, 2.0);
    check("erf", |t| t.erf_f32, libm::erf, 2.0);
}

#[test]
fn what_is_evaluated_in_f64_is_rounded_once() {
    check("log10", |t| t.log10_f32, libm::log10, 0.6);
    check("tan", |t| t.tan_f32, libm::tan, 0.6);
    check("asin", |t| t.asin_f32, libm::asin, 0.6);
    check("acos", |t| t.acos_f32, libm::acos, 0.6);
    check("atan", |t| t.atan_f32, libm::atan, 0.6);
    check("sinh", |t| t.sinh_f32, libm::sinh, 0.6);
    check("cosh", |t| t.cosh_f32, libm::cosh, 0.6);
    check("asinh", |t| t.asinh_f32, libm::asinh, 0.6);
    check("acosh", |t| t.acosh_f32, acosh, 0.6);
    check("atanh", |t| t.atanh_f32, libm::atanh, 0.6);
    check("erfc", |t| t.erfc_f32, libm::erfc, 0.6);
}

#[test]
fn whole_powers_have_exact_logarithms() {
    let (mut twos, mut tens) = (vec![], vec![]);
    for i in -149..128 {
        twos.push(libm::exp2(i as f64) as f32);
    }
    for i in -37..39 {
        tens.push(libm::pow(10.0, i as f64) as f32);
    }
    for t in levels().into_iter().map(|l| table_for(l).unwrap()) {
        assert_eq!(run(t.log2_f32, &twos), (-149..128).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(run(t.log10_f32, &tens), (-37..39).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(run(t.exp2_f32, &run(t.log2_f32, &twos)), twos);
    }
}

#[test]
fn atan2_is_rounded_once() {
    let special =
        [0.0f32, -0.0, 1.0, -1.0, 1e-45, -1e-45, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let (mut a, mut b) = (vec![], vec![]);
    for y in special {
        for x in special {
            a.push(y);
            b.push(x);
        }
    }
    let mut g = Lcg(9);
    for i in 0..400_000 {
        let y = f32::from_bits(g.next() as u32);
        a.push(y);
        b.push(if i % 2 == 0 { f32::from_bits(g.next() as u32) } else { y * (f32::plain(&mut g) * 3.0) });
    }
    let mut worst = 0.0;
    for t in levels().into_iter().map(|l| table_for(l).unwrap()) {
        let mut out = vec![0.0f32; a.len()];
        // SAFETY: equal lengths.
        unsafe { (t.atan2_f32)(a.len(), a.as_ptr(), b.as_ptr(), out.as_mut_ptr()) };
        for i in 0..a.len() {
            let exact = libm::atan2(a[i] as f64, b[i] as f64);
            let e = ulps(out[i], exact);
            worst = f64::max(worst, e);
            assert!(e <= 0.6, "atan2({:e}, {:e}) = {exact:e}, not {:e}", a[i], b[i], out[i]);
            if i < special.len() * special.len() {
                assert_eq!(out[i].bits(), (exact as f32).bits(), "atan2({:e}, {:e})", a[i], b[i]);
            }
        }
    }
    println!("atan2: {worst:.3} ulp");
}

#[test]
fn tanh_is_within_two_ulp_and_odd() {
    check("tanh", |t| t.tanh_f32, libm::tanh, 2.0);
    for t in levels().into_iter().map(|l| table_for(l).unwrap()) {
        for x in sweep(100_003) {
            let negative: Vec<f32> = x.iter().map(|x| -x).collect();
            let mirrored: Vec<f32> = run(t.tanh_f32, &negative).iter().map(|y| -y).collect();
            assert!(bits(&run(t.tanh_f32, &x)) == bits(&mirrored));
        }
        let y = run(t.tanh_f32, &[0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(bits(&y), bits(&[0.0f32, -0.0, 1.0, -1.0]));
    }
}

#[test]
fn pow_is_within_two_ulp() {
    let tables: Vec<&Table> = levels().into_iter().map(|l| table_for(l).unwrap()).collect();
    let mut g = Lcg(8);
    let special =
        [0.0f32, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, -3.0, 2.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40];
    let mut a: Vec<f32> = vec![];
    let mut b: Vec<f32> = vec![];
    for x in special {
        for y in special {
            a.push(x);
            b.push(y);
        }
    }
    for i in 0..400_000 {
        // Results over the whole range: the exponent is chosen to fit the base.
        let x = if i % 2 == 0 { f32::from_bits(g.next() as u32 >> 1) } else { f32::plain(&mut g).abs() + 0.5 };
        let y = (g.below(2_000_001) as f64 / 1e6 - 1.0) * 151.0 / libm::log2(x as f64).abs().max(1e-6);
        a.push(x);
        b.push(if i % 5 == 0 { y.round() as f32 } else { y as f32 });
    }
    let mut outs = vec![];
    for t in &tables {
        let mut out = vec![0.0f32; a.len()];
        // SAFETY: equal lengths.
        unsafe { (t.pow_f32)(a.len(), a.as_ptr(), b.as_ptr(), out.as_mut_ptr()) };
        outs.push(out);
    }
    let mut worst = 0.0;
    for i in 0..a.len() {
        let exact = libm::pow(a[i] as f64, b[i] as f64);
        let e = ulps(outs[0][i], exact);
        if i < special.len() * special.len() {
            assert_eq!(outs[0][i].bits(), (exact as f32).bits(), "{}^{}", a[i], b[i]);
        }
        worst = f64::max(worst, e);
        assert!(e <= 2.0, "{}^{} = {exact:e}, not {:e}", a[i], b[i], outs[0][i]);
    }
    println!("pow: {worst:.3} ulp");
    for out in &outs {
        assert!(bits(out) == bits(&outs[0]));
    }
}
