//! The gamma functions and the inverse error function against 50 digits (`tests/data/gamma.json`, by `tests/data/gamma.py`).

use allotrope::{DType, Tensor};
use serde_json::Value;

/// The distance of neighbours in f64.
fn ulp(x: f64) -> f64 {
    let x = x.abs().max(f64::MIN_POSITIVE);
    f64::from_bits(x.to_bits() + 1) - x
}

/// The largest error in units in the last place of the exact value, or of 1 where terms of that size cancel.
fn worst(name: &str, least: f64, f: impl Fn(&Tensor) -> Tensor) -> (f64, f64) {
    let text = include_str!("../data/gamma.json");
    let data: Value = serde_json::from_str(text).expect("the file is JSON");
    let rows = data[name].as_array().expect("rows");
    let column = |i: usize| -> Vec<f64> { rows.iter().map(|r| f64::from_bits(r[i].as_u64().expect("bits"))).collect() };
    let (x, wanted) = (column(0), column(1));
    let got = f(&Tensor::from_vec(x.clone(), &[x.len()])).to_vec::<f64>();
    let single = f(&Tensor::from_vec(x.clone(), &[x.len()]).to(DType::F32)).to_vec::<f32>();
    let (mut most, mut at) = (0.0, 0.0);
    for ((&x, &wanted), &got) in x.iter().zip(&wanted).zip(&got) {
        if got == wanted {
            continue;
        }
        let scale = if x < 0.0 { wanted.abs().max(least) } else { wanted.abs() };
        let error = (got - wanted).abs() / ulp(scale);
        if error > most || error.is_nan() {
            (most, at) = (if error.is_nan() { f64::INFINITY } else { error }, x);
        }
    }
    println!("{name}: {most:.2} ulp, at {at}");
    // f32 is the f64 function rounded once.
    let again = f(&Tensor::from_vec(x.iter().map(|&x| f64::from(x as f32)).collect(), &[x.len()])).to_vec::<f64>();
    for (a, b) in single.iter().zip(&again) {
        assert!(a.is_nan() && b.is_nan() || *a == *b as f32, "{name} in f32: {a} and {b}");
    }
    (most, at)
}

#[test]
fn gamma_functions_and_erfinv_are_within_a_few_units_in_the_last_place() {
    let found = [
        worst("lgamma", 4.0, |x| x.lgamma()),
        worst("digamma", 8.0, |x| x.digamma()),
        worst("polygamma1", 0.0, |x| x.polygamma(1)),
        worst("polygamma3", 0.0, |x| x.polygamma(3)),
        worst("erfinv", 0.0, |x| x.erfinv()),
    ];
    for ((most, at), allowed) in found.into_iter().zip([4.0, 5.0, 6.0, 12.0, 3.0]) {
        assert!(most <= allowed, "{most} ulp at {at}, {allowed} are allowed");
    }
}
