//! Sizes, strides, offsets and indices that lie outside, overlap, or whose products cannot be counted: what does not fit is
//! refused, and what fits touches its own memory only. Made to be run with AddressSanitizer too (docs/testing.md), so
//! every operand has a block of memory of its own, without room at its ends.

use allotrope_kernels::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Sizes and strides at the edges of what there is.
const SIZES: [usize; 8] = [0, 1, 2, 3, 1 << 32, 1 << 62, isize::MAX as usize, usize::MAX];
const STRIDES: [isize; 9] = [0, 1, -1, 2, -3, 1 << 32, isize::MAX, isize::MIN, isize::MIN + 1];

/// Memory of just so many elements.
fn block<T: From<u8>>(n: usize) -> Box<[T]> {
    (0..n).map(|i| T::from((i % 100) as u8)).collect()
}

/// That a caller inside of the library is told of its mistake.
#[track_caller]
fn refused(f: impl FnOnce()) {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it should have been refused");
    let text = payload.downcast_ref::<String>().expect("words");
    assert!(text.contains("bug in allotrope"), "{text}");
}

/// All views of two axes over a few elements: those that are made are read as a whole, by every kind of kernel.
#[test]
fn views_that_are_made_lie_inside() {
    let data = block::<f32>(6);
    let mut made = 0;
    for shape in SIZES.iter().flat_map(|&a| SIZES.map(|b| [a, b])) {
        for strides in STRIDES.iter().flat_map(|&a| STRIDES.map(|b| [a, b])) {
            for offset in [0, 1, 5, 6, 7, usize::MAX] {
                let Ok(view) = View::new(&data[..], offset, &shape, &strides) else { continue };
                let n = view.numel();
                assert!(n == 0 || shape.iter().zip(strides).all(|(&d, s)| d == 1 || s.unsigned_abs() < 6));
                if n > 64 {
                    continue;
                }
                made += 1;
                read(view, n);
            }
        }
    }
    assert!(made > 1000, "{made}");
}

fn read(x: View<f32>, n: usize) {
    let mut out = block::<f32>(n);
    copy(x, &mut out);
    let copied = out.clone();
    unary(UnaryOp::Neg, x, &mut out);
    assert!(out.iter().zip(&copied).all(|(a, b)| *a == -*b));
    binary(BinaryOp::Sub, x, x, &mut out);
    assert!(out.iter().all(|a| *a == 0.0));
    let mut same = vec![false; n].into_boxed_slice();
    compare(CompareOp::Eq, x, x, &mut same);
    assert!(same.iter().all(|s| *s));
    let mut wide = vec![0f64; n].into_boxed_slice();
    cast(x, &mut wide);
    let mut places = vec![0i64; n].into_boxed_slice();
    let dense = [x.shape()[1] as isize, 1];
    if let Ok(condition) = View::new(&same, 0, x.shape(), &dense) {
        select(condition, x, x, &mut out);
        assert_eq!(out, copied);
    }
    for axis in 0..2 {
        argsort(x, axis, false, &mut places);
        recurrence(x, x, axis, true, &mut out);
        let others = x.shape()[1 - axis];
        if others <= 64 {
            reduce(ReduceOp::Sum, x, &[axis], &mut block::<f32>(others));
            if x.shape()[axis] > 0 {
                arg_reduce(ArgOp::Max, x, axis, &mut vec![0i64; others].into_boxed_slice());
            }
        }
    }
}

/// Memory that is written to is that of the view, and every index has its own.
#[test]
fn views_to_write_to_lie_inside_and_repeat_nothing() {
    let source = block::<u8>(9);
    for shape in [[0, 3], [1, 3], [3, 1], [2, 2], [3, 3], [1, 1], [usize::MAX, 0]] {
        for strides in STRIDES.iter().flat_map(|&a| STRIDES.map(|b| [a, b])) {
            for offset in [0, 1, 8, 9, usize::MAX] {
                let mut data = block::<u8>(9);
                if let Ok(to) = ViewMut::new(&mut data, offset, &shape, &strides) {
                    assert!(shape.contains(&0) || shape.iter().zip(strides).all(|(&d, s)| d == 1 || s != 0));
                    let dense = [shape[1] as isize, 1];
                    let from = View::new(&source, 0, &shape, &dense).expect("inside");
                    copy_into(to, from);
                }
            }
        }
    }
}

/// Products of sizes that wrap round to what there is.
#[test]
fn sizes_whose_product_cannot_be_counted_are_refused() {
    let half = (1usize << 63) + 1;
    let (one, indices) = (block::<f32>(1), vec![0i64].into_boxed_slice());
    // 2 * (2^63 + 1) is 2 after wrapping.
    let index = View::new(&indices, 0, &[2, 1], &[0, 0]).unwrap();
    let source = View::new(&one, 0, &[2, 1], &[0, 0]).unwrap();
    for op in [ScatterOp::Set, ScatterOp::Add] {
        refused(|| scatter(op, index, source, 1, &mut block::<f32>(2), &[2, half]));
    }
    // One window in each of two rows, which would lie half of all memory apart.
    let windows = View::new(&one, 0, &[2, 1, 1], &[0, 0, 0]).unwrap();
    refused(|| overlap_add(windows, 1, half, 1, 1, &mut block::<f32>(2)));
    let none = block::<f32>(0);
    let tall = [half, 0];
    let (a, b) = (View::new(&none, 0, &tall, &[0, 1]).unwrap(), View::new(&none, 0, &[0, 2], &[2, 1]).unwrap());
    refused(|| matmul(a, b, &mut block::<f32>(2)));
    let empty = [0, half, 2];
    let x = View::new(&none, 0, &empty, &[1, 1, 1]).unwrap();
    refused(|| arg_reduce(ArgOp::Max, x, 0, &mut vec![0i64; 2].into_boxed_slice()));
    refused(|| reduce(ReduceOp::Sum, x, &[0], &mut block::<f32>(2)));
    refused(|| copy(x, &mut block::<f32>(2)));
}

/// Indices that lie outside are no addresses.
#[test]
fn indices_that_lie_outside_touch_nothing() {
    let hostile: Box<[i64]> = [0, 2, 3, -1, i64::MAX, i64::MIN, 1 << 32, -(1 << 32), 1 << 61, (1 << 62) + 1].into();
    let x = block::<f64>(3);
    let n = hostile.len();
    let (shape, strides) = ([n], [1]);
    let index = View::new(&hostile, 0, &shape, &strides).unwrap();
    let mut out = block::<f64>(n);
    gather(View::new(&x, 0, &[3], &[1]).unwrap(), index, 0, &mut out);
    assert_eq!(&out[..4], &[0.0, 2.0, 0.0, 0.0]);
    assert!(out[4..].iter().all(|o| *o == 0.0));
    gather(View::new(&x, 2, &[3], &[-1]).unwrap(), index, 0, &mut out);
    assert_eq!(&out[..3], &[2.0, 0.0, 0.0]);
    let ones = View::new(&x, 1, &shape, &[0]).unwrap();
    for op in [ScatterOp::Set, ScatterOp::Add] {
        let mut to = vec![0.0f64; 3].into_boxed_slice();
        scatter(op, index, ones, 0, &mut to, &[3]);
        assert_eq!(&to[..], &[1.0, 0.0, 1.0]);
    }
    // An axis without elements, at strides that lead nowhere.
    let none = View::new(&x, usize::MAX, &[0], &[isize::MIN]).unwrap();
    gather(none, index, 0, &mut out);
    assert!(out.iter().all(|o| *o == 0.0));
    let none = View::new(&x, 7, &[0, 3], &[1, isize::MAX]).unwrap();
    let index = View::new(&hostile, 0, &[2, 3], &[3, 1]).unwrap();
    gather(none, index, 0, &mut block::<f64>(6));
}

/// Windows that overlap, all fall on one place, or are none.
#[test]
fn windows_of_any_step() {
    let x = block::<i32>(6);
    let windows = View::new(&x, 5, &[2, 3], &[-3, -1]).unwrap();
    let mut out = block::<i32>(4);
    overlap_add(windows, 0, 4, 1, 1, &mut out);
    assert_eq!(&out[..], &[5, 4 + 2, 3 + 1, 0]);
    overlap_add(windows, 0, 4, 0, 0, &mut out);
    assert_eq!(&out[..], &[15, 0, 0, 0]);
    for (step, dilation) in [(usize::MAX, 1), (1, usize::MAX), (1 << 62, 1 << 62), (usize::MAX, usize::MAX)] {
        refused(|| overlap_add(windows, 0, 4, step, dilation, &mut block::<i32>(4)));
    }
    // No window, of more places than anyone could visit.
    let none = View::new(&x, 0, &[0, 1 << 62], &[isize::MAX, isize::MAX]).unwrap();
    overlap_add(none, 0, 4, 1, 1, &mut out);
    assert_eq!(&out[..], &[0; 4]);
}

/// Products of matrices that repeat their elements, or have none.
#[test]
fn products_of_repeated_and_of_no_elements() {
    let two = vec![2.0f32].into_boxed_slice();
    let k = (1 << 21) + 5;
    for (a_strides, b_strides) in [([0, 0], [0, 0]), ([7, 0], [0, 3])] {
        let (a, b) = ([2, k], [k, 2]);
        let (Ok(a), Ok(b)) = (View::new(&two, 0, &a, &a_strides), View::new(&two, 0, &b, &b_strides)) else { continue };
        let mut out = block::<f32>(4);
        matmul(a, b, &mut out);
        assert!(out.iter().all(|o| *o == 4.0 * k as f32), "{out:?}");
    }
    // Without anything to add up, strides lead nowhere, also those from one product to the next.
    let none = block::<f32>(0);
    let a = View::new(&none, 3, &[2, 2, 0], &[isize::MAX, isize::MIN, 1]).unwrap();
    let b = View::new(&none, 9, &[2, 0, 3], &[isize::MAX, 1, isize::MAX]).unwrap();
    let mut out = block::<f32>(12);
    matmul(a, b, &mut out);
    assert!(out.iter().all(|o| *o == 0.0));
}

/// The same of operands whose rows and columns are several axes, and axes that do not fit.
#[test]
fn products_of_several_axes_at_edges() {
    let two = vec![2.0f32].into_boxed_slice();
    let n = 1 << 11;
    let shape = [2, 3, n, n];
    let a = View::new(&two, 0, &shape, &[0; 4]).unwrap();
    let back = [n * n, 2, 1];
    let b = View::new(&two, 0, &back, &[0; 3]).unwrap();
    let mut out = block::<f32>(12);
    matmul_axes(a, 2, b, 1, &mut out);
    assert!(out.iter().all(|o| *o == 4.0 * (n * n) as f32), "{out:?}");
    for (a_rows, b_rows, len) in
        [(0, 1, 12), (4, 1, 12), (5, 1, 12), (1, 1, 12), (2, 0, 12), (2, 3, 12), (2, 9, 12), (2, 1, 11)]
    {
        refused(|| matmul_axes(a, a_rows, b, b_rows, &mut block::<f32>(len)));
    }
    // The last element of exactly as much memory as there is, from both of its ends.
    let x = block::<f32>(5 * 7);
    let (shape, forth, back) = ([3, 3, 3, 5], [7, 1, 7, 1], [-7, -1, -7, -1]);
    let (forth, back) = (View::new(&x, 0, &shape, &forth).unwrap(), View::new(&x, 34, &shape, &back).unwrap());
    let mut out = block::<f32>(81);
    matmul_axes(forth, 2, View::new(&x, 34, &[3, 5, 3, 3], &[-7, -1, -7, -1]).unwrap(), 2, &mut out);
    let mut turned = block::<f32>(81);
    matmul_axes(back, 2, View::new(&x, 0, &[3, 5, 3, 3], &[7, 1, 7, 1]).unwrap(), 2, &mut turned);
    let sum = |a: &[f32]| a.iter().map(|x| f64::from(*x)).sum::<f64>();
    assert_eq!(sum(&out), sum(&turned));
    // More rows than can be counted, and none; no steps, at strides that lead nowhere.
    let none = block::<f32>(0);
    let half = (1usize << 63) + 1;
    let tall = [2, half, 0, 1];
    let a = View::new(&none, 0, &tall, &[0, 0, 1, 1]).unwrap();
    let b = View::new(&none, 0, &[0, 1], &[1, 1]).unwrap();
    refused(|| matmul_axes(a, 2, b, 1, &mut block::<f32>(2)));
    let a = View::new(&none, 7, &[2, 1, 0, 3], &[isize::MAX, isize::MIN, 1, isize::MAX]).unwrap();
    let sizes = [0, half, 2, 2];
    let b = View::new(&none, 9, &sizes, &[isize::MAX, 1, isize::MIN, isize::MAX]).unwrap();
    let mut out = block::<f32>(8);
    matmul_axes(a, 2, b, 2, &mut out);
    assert!(out.iter().all(|o| *o == 0.0));
    let mut out = block::<i32>(4);
    let (a, b) = (View::new(&[], 0, &[2, 1, 0], &[1; 3]).unwrap(), View::new(&[], 0, &[0, 2], &[1; 2]).unwrap());
    matmul_axes::<i32>(a, 2, b, 1, &mut out);
    assert_eq!(&out[..], &[0; 4]);
    let none = View::new(&two, 0, &[0, 4, 2], &[0; 3]).unwrap();
    matmul_axes(none, 2, View::new(&two, 0, &[2, 1, 3], &[0; 3]).unwrap(), 1, &mut block::<f32>(0));
}

/// Every element type through the moves and the arithmetic that it has.
#[test]
fn every_type_at_edges() {
    macro_rules! each {
        ($($t:ty),+) => {$(
            for (shape, strides, offset) in [([3, 5], [5, 1], 0), ([5, 3], [1, 5], 0), ([3, 5], [-5, -1], 14), ([4, 4], [0, 1], 11)] {
                let data: Box<[$t]> = vec![<$t>::default(); 15].into();
                let x = View::new(&data, offset, &shape, &strides).unwrap();
                let n = x.numel();
                let mut out: Box<[$t]> = vec![<$t>::default(); n].into();
                copy(x, &mut out);
                let mut wide: Box<[f32]> = vec![1.0; n].into();
                cast(x, &mut wide);
                assert!(wide.iter().all(|w| *w == 0.0));
                let places: Box<[i64]> = vec![0; n].into();
                let dense = [shape[1] as isize, 1];
                let index = View::new(&places, 0, &shape, &dense).unwrap();
                gather(x, index, 1, &mut out);
            }
        )+};
    }
    each!(bool, u8, i32, i64, half::f16, half::bf16, f32, f64);
}
