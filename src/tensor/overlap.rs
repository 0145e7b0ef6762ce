//! Whether two tensors lie in one piece of memory, by PyTorch's rule: tensors with gaps, and those whose elements share memory
//! themselves, are never found to. It asks nobody for elements and guards nothing.

use super::handle::{Body, Tensor};
use smallvec::SmallVec;
use std::sync::Arc;

/// How two tensors lie to each other.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Overlap {
    /// Apart, or too intricately to say.
    None,
    /// Some elements of one are some of the other.
    Partial,
    /// All elements are the same, in the same places.
    Same,
}

/// How the tensors lie to each other, or would if the program ran eagerly in the call that is recorded.
#[inline]
pub(crate) fn overlap(a: &Tensor, b: &Tensor) -> Overlap {
    if a.id() == b.id() {
        return Overlap::Same;
    }
    if a.shares_elements_of(b) { of_one_memory(a, b) } else { Overlap::None }
}

fn of_one_memory(a: &Tensor, b: &Tensor) -> Overlap {
    let (Some(first_a), Some(first_b)) = (first(a), first(b)) else { return of_places_unknown(a, b) };
    let (count_a, count_b) = (a.ty().numel() as isize, b.ty().numel() as isize);
    if count_a == 0 || count_b == 0 {
        return Overlap::None;
    }
    if first_a == first_b && a.shape_hint() == b.shape_hint() && a.laid_out() == b.laid_out() {
        return Overlap::Same;
    }
    if !is_packed(a) || !is_packed(b) {
        return Overlap::None;
    }
    match first_a < first_b + count_b && first_b < first_a + count_a {
        true => Overlap::Partial,
        false => Overlap::None,
    }
}

/// As [`of_one_memory`], where a run decides which elements one of them shows: it has elements of what it is a view of.
fn of_places_unknown(a: &Tensor, b: &Tensor) -> Overlap {
    let packed = is_packed(a) && is_packed(b) && a.ty().numel() > 0 && b.ty().numel() > 0;
    match packed && a.ty().numel() != b.ty().numel() && (is_part(a, b) || is_part(b, a)) {
        true => Overlap::Partial,
        false => Overlap::None,
    }
}

/// Whether `x`, which shows elements of the memory of `of`, is a view of it.
fn is_part(x: &Tensor, of: &Tensor) -> bool {
    let Some(whole) = of.view_of() else { return true };
    x.view_of().is_some_and(|x| x.path.steps().iter().any(|step| Arc::ptr_eq(step, &whole.path)))
}

/// The place of the first element, from the same one for all that show one memory; none where a run decides it.
fn first(x: &Tensor) -> Option<isize> {
    match x.body() {
        Body::Strided(s) => Some(s.offset as isize),
        Body::Traced(t) => t.offset,
    }
}

/// Whether the elements fill a piece of memory without gaps, each in a place of its own, whatever the order of the axes.
fn is_packed(x: &Tensor) -> bool {
    let mut axes: SmallVec<[(isize, usize); 6]> =
        x.shape_hint().iter().zip(x.laid_out()).filter(|(n, _)| **n != 1).map(|(&n, &s)| (s, n)).collect();
    axes.sort_unstable();
    let mut next = 1;
    axes.iter().all(|&(stride, n)| std::mem::replace(&mut next, stride * n as isize) == stride)
}
