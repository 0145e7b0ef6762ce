//! Argmax, argmin and argsort against the interpreter's definitions, with NaN and equal elements.

use crate::common::*;
use allotrope_kernels::{ArgOp, Element, arg_reduce, argsort};
use std::cmp::Ordering;

/// The elements along `axis` at the other places of `index`.
fn row<T: Element + Sample>(x: &Array<T>, axis: usize, index: &[usize]) -> Vec<T> {
    (0..x.shape[axis]).map(|p| x.at(&moved(index, axis, p))).collect()
}

fn is_nan<T: PartialEq>(x: T) -> bool {
    #[allow(clippy::eq_op)]
    let nan = x != x;
    nan
}

fn check_arg<T: Element + Sample + PartialOrd>(op: ArgOp, fill: fn(&mut Lcg) -> T) {
    let mut g = Lcg(21 + op as u64);
    for round in 0..300 {
        let (shape, axis) =
            if round < 40 { (vec![round + 1, 1 + g.below(70)], g.below(2)) } else { random_axis(&mut g) };
        if shape[axis] == 0 {
            continue;
        }
        let x = Array::random(&mut g, &shape, fill);
        let mut kept = shape.clone();
        kept[axis] = 1;
        let got = at_each_level(|| {
            let mut out = vec![-1; kept.iter().product()];
            arg_reduce(op, x.view(), axis, &mut out);
            out
        });
        let better = |a: T, b: T| !is_nan(b) && (is_nan(a) || if op == ArgOp::Max { a > b } else { a < b });
        let want: Vec<i64> = indices(&kept)
            .iter()
            .map(|i| {
                let row = row(&x, axis, i);
                (1..row.len()).fold(0, |best, i| if better(row[i], row[best]) { i } else { best }) as i64
            })
            .collect();
        assert_eq!(got, want, "{op:?} {x:?} axis {axis}");
    }
}

#[test]
fn arg_reduce_finds_the_first() {
    for op in [ArgOp::Max, ArgOp::Min] {
        check_arg::<u8>(op, u8::odd);
        check_arg::<i32>(op, i32::odd);
        check_arg::<i64>(op, i64::odd);
        check_arg::<f32>(op, f32::odd);
        check_arg::<f32>(op, f32::plain);
        check_arg::<f64>(op, f64::odd);
        check_arg::<f64>(op, f64::plain);
    }
    // A zero of the other sign is no better; a NaN is, whichever is asked for.
    for op in [ArgOp::Max, ArgOp::Min] {
        let mut out = [7];
        arg_reduce(op, Array::dense(vec![-0f32, 0.0, -0.0], &[3]).view(), 0, &mut out);
        assert_eq!(out, [0]);
        arg_reduce(op, Array::dense(vec![1.0, f32::INFINITY, -f32::NAN, f32::NAN], &[4]).view(), 0, &mut out);
        assert_eq!(out, [2]);
    }
}

fn check_sort<T: Element + Sample + PartialOrd>(fill: fn(&mut Lcg) -> T) {
    let mut g = Lcg(23);
    for round in 0..200 {
        let (shape, axis) = if round < 20 { (vec![g.below(3), g.below(400)], 1) } else { random_axis(&mut g) };
        let x = Array::random(&mut g, &shape, fill);
        for descending in [false, true] {
            let got = at_each_level(|| {
                let mut out = vec![-1; shape.iter().product()];
                argsort(x.view(), axis, descending, &mut out);
                out
            });
            let less = |a: T, b: T| !is_nan(a) && (is_nan(b) || a < b);
            let mut want = vec![-1; got.len()];
            for i in indices(&shape).iter().filter(|i| i[axis] == 0) {
                let row = row(&x, axis, i);
                let mut places: Vec<usize> = (0..row.len()).collect();
                places.sort_by(|&i, &j| {
                    let (a, b) = if descending { (row[j], row[i]) } else { (row[i], row[j]) };
                    match (less(a, b), less(b, a)) {
                        (true, _) => Ordering::Less,
                        (_, true) => Ordering::Greater,
                        _ => Ordering::Equal,
                    }
                });
                for (p, place) in places.into_iter().enumerate() {
                    want[flat(&moved(i, axis, p), &shape)] = place as i64;
                }
            }
            assert_eq!(got, want, "descending {descending} {x:?} axis {axis}");
        }
    }
}

#[test]
fn argsort_is_stable_and_puts_nan_above() {
    check_sort::<bool>(bool::odd);
    check_sort::<u8>(u8::odd);
    check_sort::<i32>(i32::odd);
    check_sort::<i64>(i64::odd);
    check_sort::<f32>(f32::odd);
    check_sort::<f64>(f64::odd);
    check_sort::<f64>(f64::plain);
    let x = Array::dense(vec![0f32, f32::NAN, -0.0, f32::INFINITY, -1.0, -f32::NAN], &[6]);
    let mut out = [0; 6];
    argsort(x.view(), 0, false, &mut out);
    assert_eq!(out, [4, 0, 2, 3, 1, 5]);
    argsort(x.view(), 0, true, &mut out);
    assert_eq!(out, [1, 5, 3, 0, 2, 4]);
}
