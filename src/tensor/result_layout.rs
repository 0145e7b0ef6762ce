//! How the elements of a new tensor lie in memory: PyTorch's rules, on sizes and strides alone. Eager results are laid out by
//! them, and a recording says by them how a value would lie eagerly. It makes no tensor, and knows no operation.

use super::strides::{Strides, contiguous_strides, is_contiguous, is_plain};
use smallvec::SmallVec;
use std::cmp::Reverse;

/// How a result in memory of its own follows its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutRule {
    /// Not at all.
    RowMajor,
    /// As elementwise operations do.
    Elementwise,
    /// As a copy that keeps the order in memory of the first operand: `clone`, `to`, and the `_like` forms.
    Preserved,
    /// As `contiguous()` gives the first operand: as it is where that is in row-major order.
    Contiguous,
    /// As the gradient of a leaf, the first operand: exactly as it lies, or in row-major order where it has gaps.
    Gradient,
}

impl LayoutRule {
    /// The strides of a result of this shape for operands with these, which are broadcast to it (0 along axes that they are
    /// repeated along); a number has none. No answer says row-major order without gaps.
    #[inline]
    pub(crate) fn strides<'a>(
        self,
        shape: &[usize],
        mut operands: impl Iterator<Item = Option<&'a [isize]>> + Clone,
    ) -> Option<Strides> {
        match self {
            LayoutRule::RowMajor => None,
            LayoutRule::Elementwise => elementwise(shape, operands),
            LayoutRule::Preserved => preserved(shape, operands.next()??),
            LayoutRule::Contiguous => {
                let strides = operands.next()??;
                // Axes along which nothing goes keep their strides.
                (!is_plain(shape, strides) && is_contiguous(shape, strides)).then(|| Strides::from_slice(strides))
            }
            LayoutRule::Gradient => {
                let leaf = operands.next()??;
                (!is_plain(shape, leaf) && is_dense(shape, leaf)).then(|| Strides::from_slice(leaf))
            }
        }
    }
}

/// Axes from the one whose elements are nearest to each other to the widest.
type Order = SmallVec<[usize; 6]>;

/// The strides of what an elementwise operation gives for operands with these strides, 0 along axes that they are repeated
/// along; an operand that is a number has none. No answer says row-major order without gaps.
///
/// Operands that all lie alike are followed exactly. Otherwise the axes are ordered as they are in the operands: the first one
/// decides, the next where an axis is repeated in it, and of equal strides the larger axis is outside.
fn elementwise<'a>(shape: &[usize], operands: impl Iterator<Item = Option<&'a [isize]>> + Clone) -> Option<Strides> {
    // Nearly all that programs compute is decided by this pass.
    if operands.clone().flatten().all(|strides| is_plain(shape, strides)) {
        return None;
    }
    permuted(shape, operands)
}

/// The strides of a copy that keeps the order in memory: `clone`, `to`, and the `_like` forms. No answer says row-major
/// order without gaps.
fn preserved(shape: &[usize], strides: &[isize]) -> Option<Strides> {
    if is_plain(shape, strides) {
        return None;
    }
    if is_dense(shape, strides) {
        return Some(Strides::from_slice(strides));
    }
    let order = order(shape, [Some(strides)].into_iter());
    Some(in_order(shape, &order, |n| n.max(1)))
}

/// The axes as they lie, the widest stride first.
pub(crate) fn outermost_first(shape: &[usize], strides: &[isize]) -> SmallVec<[usize; 4]> {
    let mut axes: SmallVec<[usize; 4]> = (0..shape.len()).collect();
    axes.sort_by_key(|&a| (shape[a] < 2, Reverse(strides[a].unsigned_abs())));
    axes
}

#[inline(never)]
fn permuted<'a>(shape: &[usize], operands: impl Iterator<Item = Option<&'a [isize]>> + Clone) -> Option<Strides> {
    if let Some(like) = followed(shape, operands.clone()) {
        return like;
    }
    let order = order(shape, operands);
    match order.iter().rev().copied().eq(0..shape.len()) {
        true => None,
        false => Some(in_order(shape, &order, |n| n)),
    }
}

/// The strides that all operands share, where they do, each having all elements of the result, once and without gaps.
fn followed<'a>(
    shape: &[usize],
    operands: impl Iterator<Item = Option<&'a [isize]>> + Clone,
) -> Option<Option<Strides>> {
    let whole = |strides: Option<&[isize]>| match strides {
        // Also an axis of one element is repeated where the operand has none.
        Some(strides) => shape.iter().zip(strides).all(|(&n, &s)| s != 0 || n == 0),
        None => shape.is_empty(),
    };
    if operands.clone().nth(1).is_some() && !operands.clone().all(whole) {
        return None;
    }
    if operands.clone().flatten().all(|strides| is_contiguous(shape, strides)) {
        return Some(None);
    }
    if operands.clone().flatten().all(|strides| is_channels_last(shape, strides)) {
        return Some(Some(in_order(shape, &[1, 3, 2, 0], |n| n.max(1))));
    }
    let mut all = operands.flatten();
    let first = all.next()?;
    (is_dense(shape, first) && all.all(|strides| strides == first)).then(|| Some(Strides::from_slice(first)))
}

/// Whether each element lies in a place of its own, and nothing between them.
fn is_dense(shape: &[usize], strides: &[isize]) -> bool {
    if is_contiguous(shape, strides) {
        return true;
    }
    let mut axes: SmallVec<[(isize, usize); 6]> =
        shape.iter().zip(strides).filter(|(n, _)| **n > 1).map(|(&n, &s)| (s, n)).collect();
    axes.sort_unstable();
    let mut expected = 1;
    axes.iter().all(|&(s, n)| {
        let next = s == expected;
        expected = expected.wrapping_mul(n as isize);
        next
    })
}

/// Whether images lie pixel by pixel, all channels of one together.
fn is_channels_last(shape: &[usize], strides: &[isize]) -> bool {
    let mut expected = 1;
    shape.len() == 4
        && [1, 3, 2, 0].iter().all(|&a| {
            let next = shape[a] == 1 || strides[a] == expected;
            expected = expected.wrapping_mul(shape[a] as isize);
            next
        })
}

/// Whether `[n, c, ..]` looks as if it lay pixel by pixel, also with gaps. What could be either does not.
pub(crate) fn is_images(shape: &[usize], strides: &[isize]) -> bool {
    let mut least = 0;
    let inner_first = std::iter::once(1).chain((2..shape.len()).rev());
    let grows = inner_first.chain([0]).all(|a| {
        let next = shape[a] != 0 && strides[a] >= least && !(a == 0 && least == strides[1]);
        least = strides[a].wrapping_mul(shape[a].max(1) as isize);
        next
    });
    grows && strides[1] != 0
}

/// The order of the axes in memory by the operands; where they leave it open, axes stay as they are.
fn order<'a>(shape: &[usize], operands: impl Iterator<Item = Option<&'a [isize]>> + Clone) -> Order {
    // Whether axis `a` must be outside of `b`, or inside.
    let outside = |a: usize, b: usize| -> Option<bool> {
        for strides in operands.clone().flatten() {
            let (s, t) = (strides[a].unsigned_abs(), strides[b].unsigned_abs());
            match (s, t) {
                (0, _) | (_, 0) => {}
                _ if s != t => return Some(s > t),
                _ if shape[a] > shape[b] => return Some(true),
                _ => {}
            }
        }
        None
    };
    let mut order: Order = (0..shape.len()).rev().collect();
    for i in 1..order.len() {
        // What an axis is not compared with does not stop it.
        let mut at = i;
        for j in (0..i).rev() {
            match outside(order[j], order[at]) {
                Some(true) => {
                    order.swap(j, at);
                    at = j;
                }
                Some(false) => break,
                None => {}
            }
        }
    }
    order
}

/// Strides without gaps for axes in this order; `width` says what an axis of `n` elements takes.
fn in_order(shape: &[usize], order: &[usize], width: impl Fn(usize) -> usize) -> Strides {
    let mut strides = contiguous_strides(shape);
    let mut next = 1isize;
    for &a in order {
        strides[a] = next;
        next = next.wrapping_mul(width(shape[a]) as isize);
    }
    strides
}
