//! One step from a tensor to a view of it: a primitive, or elements at equal distances that none shows, and the strides that
//! it leads to, where there are any. What its elements are is for who applies it.

use super::affine::Affine;
use super::size::{Size, small};
use super::strides::{Strides, contiguous_strides, is_contiguous};
use allotrope_ir::{Class, Op, View};
use smallvec::SmallVec;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ViewOp<D = Size> {
    /// One of class view.
    Primitive(Op<D>),
    Affine(Affine<D>),
}

impl<D> From<Op<D>> for ViewOp<D> {
    fn from(op: Op<D>) -> ViewOp<D> {
        ViewOp::Primitive(op)
    }
}

impl<D> ViewOp<D> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            ViewOp::Primitive(op) => op.name(),
            ViewOp::Affine(_) => "as_strided",
        }
    }

    /// The same with its sizes said in another way.
    pub(crate) fn map<E>(&self, of: &mut dyn FnMut(&D) -> E) -> ViewOp<E> {
        match self {
            ViewOp::Primitive(op) => ViewOp::Primitive(op.map_dims(&mut |d| of(d))),
            ViewOp::Affine(affine) => ViewOp::Affine(affine.map(of)),
        }
    }

    /// The strides that show a tensor of these sizes and strides so; none where its elements would have to be copied.
    pub(crate) fn strides(&self, from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
        match self {
            ViewOp::Affine(affine) => Some(affine.strides(strides).0),
            ViewOp::Primitive(op) => match op.class() {
                Class::View(view) => view_strides(view, from, strides, to),
                Class::Leaf(_)
                | Class::Elementwise(_)
                | Class::Reduction(..)
                | Class::Contraction(_)
                | Class::Axis(_)
                | Class::Check(_)
                | Class::Barrier(_)
                | Class::Loop(_)
                | Class::Fusion(_) => unreachable!("bug in allotrope: {} is no view", op.name()),
            },
        }
    }
}

impl ViewOp {
    /// How far the first element of the view is from that of a tensor of these strides.
    pub(crate) fn skip(&self, strides: &[isize]) -> isize {
        match self {
            ViewOp::Affine(affine) => affine.strides(strides).1,
            ViewOp::Primitive(op) => match op.class() {
                Class::View(View::Slice { axis, start, .. }) => strides[axis].wrapping_mul(start.hint() as isize),
                _ => 0,
            },
        }
    }
}

/// The strides of a tensor seen through `op`; none where its elements would have to be copied.
pub(crate) fn view_strides<D>(view: View<'_, D>, from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    Some(match view {
        View::Broadcast(_) => {
            let lead = to.len() - from.len();
            (0..to.len())
                .map(|i| match i.checked_sub(lead) {
                    Some(j) if from[j] == to[i] => strides[j],
                    _ => 0,
                })
                .collect()
        }
        View::Reshape(_) => return reshaped_strides(from, strides, to),
        View::Permute(axes) => small(axes, |a| strides[a]),
        View::Window { axis, step, dilation, .. } => {
            let mut out = Strides::from_slice(strides);
            // A distance beyond all numbers is one that nothing goes: there is one window, or one element in it.
            let apart = |n: usize| isize::try_from(n).ok().and_then(|n| strides[axis].checked_mul(n)).unwrap_or(0);
            out[axis] = apart(step);
            out.push(apart(dilation));
            out
        }
        View::Slice { .. } => Strides::from_slice(strides),
        View::Flip(_) => return None,
    })
}

/// Strides that show the same elements under `to`, where there are any: each group of merged axes must be dense
/// within itself.
fn reshaped_strides(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    if is_contiguous(from, strides) {
        return Some(contiguous_strides(to));
    }
    let mut out: Strides = SmallVec::from_elem(0, to.len());
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        // The smallest groups of axes on both sides with the same number of elements.
        let (i0, j0) = (i, j);
        let (mut a, mut b) = (1usize, 1usize);
        loop {
            if a <= b && i < from.len() && (a < b || i == i0) {
                a = from[i].saturating_mul(a);
                i += 1;
            } else if b < a && j < to.len() {
                b = to[j].saturating_mul(b);
                j += 1;
            } else {
                break;
            }
        }
        while i < from.len() && from[i] == 1 {
            i += 1;
        }
        while j < to.len() && to[j] == 1 {
            j += 1;
        }
        if a != b || (i == i0 && j == j0) {
            return None;
        }
        let group: SmallVec<[(usize, isize); 4]> =
            (i0..i).filter(|&k| from[k] != 1).map(|k| (from[k], strides[k])).collect();
        if !group.windows(2).all(|w| w[0].1 == w[1].1.wrapping_mul(w[1].0 as isize)) {
            return None;
        }
        let mut step = group.last().map_or(1, |g| g.1);
        for k in (j0..j).rev() {
            out[k] = step;
            step = step.wrapping_mul(to[k] as isize);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strides of the axes that have more than one element.
    fn moved(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Vec<isize>> {
        let strides = reshaped_strides(from, strides, to)?;
        Some(to.iter().zip(strides).filter(|(n, _)| **n > 1).map(|(_, s)| s).collect())
    }

    #[test]
    fn reshape_of_a_transposed_view_keeps_what_it_can() {
        // [2, 3] transposed to [3, 2] has strides [1, 3]: splitting an axis works, merging does not.
        assert_eq!(moved(&[3, 2], &[1, 3], &[3, 1, 2]), Some(vec![1, 3]));
        assert_eq!(moved(&[3, 2], &[1, 3], &[1, 3, 2, 1]), Some(vec![1, 3]));
        assert_eq!(moved(&[3, 2], &[1, 3], &[6]), None);
        assert_eq!(moved(&[3, 2], &[1, 3], &[2, 3]), None);
        assert_eq!(moved(&[4, 2], &[1, 4], &[2, 2, 2]), Some(vec![2, 1, 4]));
        // A repeated axis can't be merged with another one.
        assert_eq!(moved(&[2, 3], &[0, 1], &[6]), None);
    }
}
