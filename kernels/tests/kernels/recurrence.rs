//! Recurrences against one chain after the other.

use crate::common::*;
use allotrope_kernels::{Element, recurrence};

fn check<T: Element + Sample + Bits, W: Copy>(
    fill: fn(&mut Lcg) -> T,
    wide: fn(T) -> W,
    step: fn(W, W, W) -> W,
    narrow: fn(W) -> T,
) {
    let mut g = Lcg(31);
    for round in 0..300 {
        let (shape, axis) =
            if round < 60 { (vec![1 + g.below(9), 30 + round], g.below(2)) } else { random_axis(&mut g) };
        let b = Array::random(&mut g, &shape, fill);
        let mut a = Array::random(&mut g, &shape, fill);
        if round % 3 == 0 {
            // A running sum's: one factor for all.
            a = Array { data: vec![fill(&mut g)], offset: 0, shape: shape.clone(), strides: vec![0; shape.len()] };
        }
        for reverse in [false, true] {
            let got = at_each_level(|| {
                let mut out = vec![T::default(); shape.iter().product()];
                recurrence(a.view(), b.view(), axis, reverse, &mut out);
                bits(&out)
            });
            let mut want = vec![T::default(); got.len()];
            for i in indices(&shape).iter().filter(|i| i[axis] == 0) {
                let mut carry = None;
                for p in 0..shape[axis] {
                    let p = if reverse { shape[axis] - 1 - p } else { p };
                    let i = moved(i, axis, p);
                    let next = match carry {
                        None => wide(b.at(&i)),
                        Some(r) => step(wide(a.at(&i)), r, wide(b.at(&i))),
                    };
                    carry = Some(next);
                    want[flat(&i, &shape)] = narrow(next);
                }
            }
            assert_eq!(got, bits(&want), "reverse {reverse} {a:?} {b:?} axis {axis}");
        }
    }
}

#[test]
fn recurrence_is_a_chain() {
    for fill in [f32::plain, f32::odd] {
        check::<f32, f64>(fill, |x| x as f64, |a, r, b| a * r + b, |x| x as f32);
    }
    for fill in [f64::plain, f64::odd] {
        check::<f64, f64>(fill, |x| x, |a, r, b| a * r + b, |x| x);
    }
    check::<u8, u8>(u8::odd, |x| x, |a, r, b| a.wrapping_mul(r).wrapping_add(b), |x| x);
    check::<i32, i32>(i32::odd, |x| x, |a, r, b| a.wrapping_mul(r).wrapping_add(b), |x| x);
    check::<i64, i64>(i64::odd, |x| x, |a, r, b| a.wrapping_mul(r).wrapping_add(b), |x| x);
}

#[test]
fn long_sums_of_f32_are_carried_in_f64() {
    let n = 100_000;
    let one = Array { data: vec![1f32], offset: 0, shape: vec![n], strides: vec![0] };
    let x = Array { data: vec![0.1f32], offset: 0, shape: vec![n], strides: vec![0] };
    let mut out = vec![0f32; n];
    recurrence(one.view(), x.view(), 0, false, &mut out);
    assert!((out[n - 1] as f64 - 0.1f32 as f64 * n as f64).abs() < 1e-3, "{}", out[n - 1]);
}
