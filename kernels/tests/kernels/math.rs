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

type Call = unsafe extern "C" fn(usize, *const f32, *mut f32);

fn run(f: Call, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    // SAFETY: both have that many elements.
    unsafe { f(x.len(), x.as_ptr(), out.as_mut_ptr()) };
    out
}

/// Every `step`-th bit pattern, both signs, and all of the borders between regimes.
fn sweep(step: usize) -> impl Iterator<Item = Vec<f32>> {
    let borders: Vec<f32> =
        [0.0f32, 1.125, 1.0, 9.2, 88.7, 89.5, 104.0, 1.0737418e9, f32::MIN_POSITIVE, 0.70710677, 1.5707964]
            .iter()
            .flat_map(|x| (-300i32..300).map(|d| f32::from_bits((x.to_bits() as i32).wrapping_add(d) as u32)))
            .flat_map(|x| [x, -x])
            .chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::MAX, f32::MIN])
            .collect();
    let patterns: Vec<u32> = (0..=u32::MAX).step_by(step).collect();
    std::iter::once(borders).chain(
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
    for x in sweep(4001) {
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
