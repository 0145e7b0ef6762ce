//! One step from a tensor to a view of it: a primitive, elements at equal distances that none shows, the memory around it, or one
//! of an axis that a run decides; and the strides that it leads to, where there are any. What its elements are is for who applies it.

use super::affine::Affine;
use super::size::{Size, small};
use super::strides::{Strides, contiguous_strides, is_plain};
use allotrope_ir::{Class, Op, View};
use smallvec::SmallVec;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ViewOp<D = Size> {
    /// One of class view.
    Primitive(Op<D>),
    Affine(Affine<D>),
    /// So many elements of the memory that the tensor lies in, as one axis; its own are those that the places name.
    Memory {
        len: D,
        places: Affine<D>,
    },
    /// The element of an axis whose place an integer holds: the one of this number among those that a recording keeps, or
    /// that a call hands out.
    Select {
        axis: usize,
        at: usize,
    },
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
            ViewOp::Affine(_) | ViewOp::Memory { .. } => "as_strided",
            ViewOp::Select { .. } => "select",
        }
    }

    /// The same with its sizes said in another way.
    pub(crate) fn map<E>(&self, of: &mut dyn FnMut(&D) -> E) -> ViewOp<E> {
        match self {
            ViewOp::Primitive(op) => ViewOp::Primitive(op.map_dims(&mut |d| of(d))),
            ViewOp::Affine(affine) => ViewOp::Affine(affine.map(of)),
            ViewOp::Memory { len, places } => ViewOp::Memory { len: of(len), places: places.map(of) },
            ViewOp::Select { axis, at } => ViewOp::Select { axis: *axis, at: *at },
        }
    }

    /// The strides that show a tensor of these sizes and strides so; none where its elements would have to be copied.
    pub(crate) fn strides(&self, from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
        match self {
            ViewOp::Affine(affine) => Some(affine.strides(strides).0),
            ViewOp::Memory { .. } => Some(Strides::from_slice(&[1])),
            ViewOp::Select { axis, .. } => {
                let mut out = Strides::from_slice(strides);
                out.remove(*axis);
                Some(out)
            }
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
    /// How far the first element of the view is from that of a tensor of these strides; none where a run decides that.
    pub(crate) fn skip(&self, strides: &[isize]) -> Option<isize> {
        match self {
            ViewOp::Select { .. } => None,
            ViewOp::Affine(affine) => Some(affine.strides(strides).1),
            ViewOp::Memory { places, .. } => Some(-(places.offset as isize)),
            ViewOp::Primitive(op) => Some(match op.class() {
                Class::View(View::Slice { axis, start, .. }) => strides[axis].wrapping_mul(start.hint() as isize),
                _ => 0,
            }),
        }
    }
}

/// The strides of a tensor seen through `op`; none where its elements would have to be copied.
pub(crate) fn view_strides<D>(view: View<'_, D>, from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    Some(match view {
        View::Broadcast(_) => repeated_strides(from, strides, to),
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

/// Strides of a tensor that is repeated along axes: 0 there. A new axis of one element steps over what is behind it.
fn repeated_strides(from: &[usize], strides: &[isize], to: &[usize]) -> Strides {
    let lead = to.len() - from.len();
    let mut out: Strides = SmallVec::from_elem(0, to.len());
    for i in (0..to.len()).rev() {
        out[i] = match i.checked_sub(lead) {
            Some(j) if from[j] == to[i] => strides[j],
            None if to[i] == 1 && !from.is_empty() => out[i + 1].wrapping_mul(to[i + 1] as isize),
            Some(_) | None => 0,
        };
    }
    out
}

/// Strides that show the same elements under `to`, where there are any: each run of axes that lie without gaps within
/// itself is cut anew. Axes of one element have PyTorch's strides, too.
fn reshaped_strides(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    if from == to {
        return Some(Strides::from_slice(strides));
    }
    if is_plain(from, strides) {
        return Some(contiguous_strides(to));
    }
    if let Some(strides) = strides_with_one_more(from, strides, to).or_else(|| strides_without_ones(from, strides, to))
    {
        return Some(strides);
    }
    if from.contains(&0) {
        return Some(contiguous_strides(to));
    }
    let mut out: Strides = SmallVec::from_elem(1, to.len());
    let mut left = to.len();
    let mut i = from.len();
    while i > 0 {
        // From the last axis of a run to the first.
        i -= 1;
        let (step, mut count) = (strides[i], from[i]);
        while i > 0 && (from[i - 1] == 1 || strides[i - 1] == step.wrapping_mul(count as isize)) {
            i -= 1;
            count = from[i].saturating_mul(count);
        }
        let mut reached = 1usize;
        while left > 0 && (reached < count || to[left - 1] == 1) {
            left -= 1;
            out[left] = step.wrapping_mul(reached as isize);
            reached = to[left].saturating_mul(reached);
        }
        if reached != count {
            return None;
        }
    }
    (left == 0 || from.is_empty()).then_some(out)
}

/// The strides with an axis of one element more, where `to` has one: it steps over the axis behind it.
fn strides_with_one_more(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    if to.len() != from.len() + 1 {
        return None;
    }
    let at = (0..from.len()).find(|&i| from[i] != to[i]).unwrap_or(from.len());
    let mut out = Strides::from_slice(strides);
    out.insert(at, from.get(at).map_or(1, |&n| strides[at].wrapping_mul(n as isize)));
    (to[at] == 1 && from[at..] == to[at + 1..]).then_some(out)
}

/// The strides without some axes of one element, where `to` lacks only such.
fn strides_without_ones(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    let mut missing = from.len().checked_sub(to.len())?;
    let (mut out, mut sizes) = (Strides::new(), to.iter());
    for (&n, &stride) in from.iter().zip(strides) {
        match missing > 0 && n == 1 {
            true => missing -= 1,
            false if sizes.next() != Some(&n) => return None,
            false => out.push(stride),
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
