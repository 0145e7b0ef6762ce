//! One program run twice: with its inner function called plainly, and traced.

use crate::common::{assert_all_same, copy};
use allotrope::prelude::*;

/// The inner function as the program around it sees it.
pub type Call<'a> = &'a dyn Fn(&[Tensor]) -> Vec<Tensor>;

/// Runs `outer`, which calls `inner` with its parameters, in both ways from the same numbers, and demands the same bits of
/// everything that it gives: as often as there are sets of arguments. Gives the number of compilations.
#[track_caller]
pub fn both_with(
    name: &str,
    params: &[Tensor],
    inner: impl Fn(&[Tensor], &[Tensor]) -> Vec<Tensor>,
    outer: impl Fn(Call<'_>, &[Tensor]) -> Vec<Tensor>,
) -> usize {
    let fresh = || -> Vec<Tensor> {
        params.iter().map(|p| if p.is_requires_grad() { copy(p).requires_grad() } else { copy(p) }).collect()
    };
    let own = fresh();
    let eager = outer(&|xs| inner(xs, &own), &own);
    let own = fresh();
    let f = trace(|xs: &[Tensor]| inner(xs, &own));
    let traced = outer(&|xs| f.call(xs).unwrap(), &own);
    assert_all_same(name, &eager, &traced);
    let flags = |of: &[Tensor]| of.iter().map(|t| (t.is_requires_grad(), t.is_leaf())).collect::<Vec<_>>();
    assert_eq!(flags(&eager), flags(&traced), "{name}: what needs gradients");
    f.compilations()
}

/// As [`both_with`], for one that is compiled once.
#[track_caller]
pub fn both(
    name: &str,
    params: &[Tensor],
    inner: impl Fn(&[Tensor], &[Tensor]) -> Vec<Tensor>,
    outer: impl Fn(Call<'_>, &[Tensor]) -> Vec<Tensor>,
) {
    assert_eq!(both_with(name, params, inner, outer), 1, "{name}: compilations");
}

/// The gradients of tensors, zeros with a mark where there is none.
pub fn grads(of: &[Tensor]) -> Vec<Tensor> {
    of.iter().map(|t| t.grad().unwrap_or_else(|| Tensor::scalar(-77.0f32))).collect()
}
