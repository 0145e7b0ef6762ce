//! Adding up overlapping windows, against a loop over windows and places.

use crate::common::*;
use allotrope_kernels::{Element, overlap_add};

fn check<T: Element + Sample + Bits>(add: impl Fn(T, T) -> T) {
    let mut g = Lcg(41);
    for round in 0..400 {
        let mut shape: Vec<usize> = (0..1 + g.below(3)).map(|_| [1, 2, 3, 7, 20][g.below(5)]).collect();
        if round % 20 == 0 {
            let d = g.below(shape.len());
            shape[d] = 0;
        }
        let axis = g.below(shape.len());
        let (step, dilation) = (g.below(4), g.below(4));
        let size = g.below(6);
        shape.push(size);
        let last = shape[axis].saturating_sub(1) * step + size.saturating_sub(1) * dilation;
        let len = last + 1 + g.below(3);
        let x = Array::random(&mut g, &shape, T::odd);
        let mut out_shape = shape[..shape.len() - 1].to_vec();
        out_shape[axis] = len;
        let got = at_each_level(|| {
            let mut out = vec![T::odd(&mut Lcg(1)); out_shape.iter().product()];
            overlap_add(x.view(), axis, len, step, dilation, &mut out);
            bits(&out)
        });
        let mut want = vec![T::default(); got.len()];
        for i in indices(&shape) {
            let (place, index) = i.split_last().unwrap();
            let at = flat(&moved(index, axis, i[axis] * step + place * dilation), &out_shape);
            want[at] = add(want[at], x.at(&i));
        }
        assert_eq!(got, bits(&want), "{x:?} axis {axis} step {step} dilation {dilation}");
    }
}

#[test]
fn pieces_are_added_in_order() {
    check::<f32>(|a, b| a + b);
    check::<f64>(|a, b| a + b);
    check::<u8>(u8::wrapping_add);
    check::<i32>(i32::wrapping_add);
    check::<i64>(i64::wrapping_add);
    let x = Array::dense(vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    let mut out = [9f32; 5];
    overlap_add(x.view(), 0, 5, 1, 2, &mut out);
    assert_eq!(out, [1.0, 3.0, 7.0, 4.0, 6.0]);
    // From positive zero.
    let mut out = [9f32; 1];
    overlap_add(Array::dense(vec![-0f32], &[1, 1]).view(), 0, 1, 1, 1, &mut out);
    assert_eq!(out[0].to_bits(), 0);
}

#[test]
fn windows_outside_say_whose_bug_it_is() {
    let x = Array::dense(vec![1f32; 6], &[3, 2]);
    for (len, step, dilation) in [(4, 2, 1), (3, 1, 1), (usize::MAX, usize::MAX, 1)] {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            overlap_add(x.view(), 0, len, step, dilation, &mut [0.0; 4]);
        }));
        let panic = panic.unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().starts_with("bug in allotrope: overlap_add"));
    }
}
