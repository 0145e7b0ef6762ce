//! Parts of a tensor: places and lengths at the ends of what numbers can say lie outside, or are cut off as Python cuts them.

use crate::{ABSURD, refused};
use allotrope::prelude::*;

#[test]
fn places_beyond_all_are_outside() {
    let x = Tensor::arange(6).reshape(&[2, 3]);
    for n in ABSURD {
        let name = isize::try_from(n).unwrap_or(isize::MAX).to_string();
        refused(x.try_index(n), &name);
        refused(x.try_index((0, n)), &name);
        refused(x.try_index_put(n, 1.0, false), &name);
        refused(x.try_narrow(0, 0, n), &n.to_string());
        refused(x.try_narrow(0, isize::MAX, n), &n.to_string());
        refused(x.try_narrow(0, isize::MIN, n), &n.to_string());
        refused(x.try_narrow_at(0, &Tensor::scalar(0i64), n), &n.to_string());
        refused(x.try_split_with_sizes(&[n, 3], 0), &n.to_string());
        refused(x.try_split_with_sizes(&[n, n, 2], 0), &n.to_string());
        refused(x.try_unfold(0, n, 1), "a window of");
        refused(x.try_as_strided(&[n, 2], &[n, 1], 0), &n.to_string());
        refused(x.try_as_strided(&[2], &[1], n), &n.to_string());
        refused(x.try_tensor_split(n, 0), "bytes");
        refused(x.narrow(0, 0, 0).try_chunk(n, 0), "bytes");
        refused(x.try_reshape(&[isize::MAX, isize::MAX, -1]), "9223372036854775807");
        refused(x.try_unflatten(0, &[isize::MAX, isize::MAX, -1]), "9223372036854775807");
        refused(x.try_topk(n, 0, true), &n.to_string());
        refused(x.try_kthvalue(n, 0, false), &n.to_string());
    }
    for place in [isize::MAX, isize::MIN] {
        refused(x.try_select(0, place), &place.to_string());
        refused(x.try_index(place), &place.to_string());
        refused(x.try_unsqueeze(place), &place.to_string());
        refused(x.try_sum_dim(&[place], false), &place.to_string());
        refused(x.try_transpose(place, 0), &place.to_string());
    }
    // The sum of these comes round to 2.
    refused(x.try_split_with_sizes(&[usize::MAX, 3], 0), "18446744073709551615");
}

#[test]
fn ranges_beyond_all_are_cut_off() {
    let x = Tensor::arange(4);
    assert_eq!(x.index(1..usize::MAX).to_vec::<i64>(), [1, 2, 3]);
    assert_eq!(x.index(1..=usize::MAX).to_vec::<i64>(), [1, 2, 3]);
    assert_eq!(x.index(..usize::MAX).to_vec::<i64>(), [0, 1, 2, 3]);
    assert_eq!(x.index(..=isize::MAX).to_vec::<i64>(), [0, 1, 2, 3]);
    assert_eq!(x.index(usize::MAX..).shape(), [0]);
    assert_eq!(x.index(isize::MIN..isize::MAX).to_vec::<i64>(), [0, 1, 2, 3]);
    assert_eq!(x.index(stepped(1.., usize::MAX)).to_vec::<i64>(), [1]);
    assert_eq!(x.index(stepped(stepped(1.., usize::MAX), usize::MAX)).to_vec::<i64>(), [1]);
    assert_eq!(x.slice(0, Some(isize::MIN), Some(isize::MAX), usize::MAX).to_vec::<i64>(), [0]);
    assert_eq!(x.unfold(0, 2, usize::MAX).to_vec::<i64>(), [0, 1]);
    assert_eq!(x.split(usize::MAX, 0).len(), 1);
    assert_eq!(x.chunk(usize::MAX, 0).len(), 4);
    assert_eq!(x.roll(&[isize::MIN], &[0]).to_vec::<i64>(), [0, 1, 2, 3]);
    assert_eq!(Tensor::arange((0usize, 5, usize::MAX)).to_vec::<i64>(), [0]);
}

#[test]
fn steps_beyond_all_have_gradients() {
    let x = Tensor::ones(&[4], DType::F32).requires_grad();
    x.unfold(0, 2, usize::MAX).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [1.0, 1.0, 0.0, 0.0]);
    x.set_grad(None);
    x.index(stepped(1.., usize::MAX)).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn sums_of_sizes_are_numbers() {
    let wide = Tensor::ones(&[1], DType::Bool).expand(&[1 << 46]);
    refused(allotrope::ops::try_cat(&[&wide, &wide, &wide], 0), "bool[211106232532992]");
    refused(allotrope::ops::try_stack(&[&wide, &wide, &wide], 0), "bool[3, 70368744177664]");
    refused(wide.try_unbind(0), "bytes");
    refused(wide.try_split(1, 0), "bytes");
    refused(wide.try_nonzero(), "bool[70368744177664]");
}
