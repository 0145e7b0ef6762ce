//! Views of elements that lie at equal distances along an axis, as a diagonal or any strided layout does: no primitive shows
//! them, so where strides cannot, they are gathered by places that are computed, and put back there. Which primitives do that is
//! said here, for tensors and for the values of a graph alike; nothing is computed.

use super::size::{Size, Sizes};
use super::strides::Strides;
use crate::error::Result;
use allotrope_ir::{BinaryOp, Op, Scalar, ScatterOp};
use smallvec::SmallVec;

/// Element `(i, j, ..)` of the view is the one at `offset + i * steps[0] + j * steps[1] + ..` along the last axis of the
/// tensor. The first axes of the view are the others of the tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine<D = Size> {
    pub(crate) sizes: SmallVec<[D; 4]>,
    pub(crate) steps: SmallVec<[usize; 4]>,
    pub(crate) offset: usize,
    /// The number of elements in the axes that the tensor has not.
    pub(crate) count: D,
    /// Whether no element is shown twice.
    pub(crate) is_apart: bool,
}

/// An operand of one of the primitives.
#[derive(Copy, Clone)]
pub(crate) enum Given<'a, V> {
    Value(&'a V),
    Number(Scalar),
}

/// Applies a primitive.
pub(crate) type Emit<'a, V> = &'a mut dyn FnMut(&Op<Size>, &[Given<'_, V>]) -> Result<V>;

impl<D> Affine<D> {
    /// The same with its sizes said in another way.
    pub(crate) fn map<E>(&self, of: &mut dyn FnMut(&D) -> E) -> Affine<E> {
        Affine {
            sizes: self.sizes.iter().map(&mut *of).collect(),
            steps: self.steps.clone(),
            offset: self.offset,
            count: of(&self.count),
            is_apart: self.is_apart,
        }
    }

    /// The strides of the view, and the distance of its first element, from the strides of the tensor.
    pub(crate) fn strides(&self, of: &[isize]) -> (Strides, isize) {
        let (last, others) = of.split_last().expect("the tensor has an axis");
        let along = |i: usize| others.get(i).copied().unwrap_or(0) + self.steps[i] as isize * last;
        ((0..self.steps.len()).map(along).collect(), self.offset as isize * last)
    }
}

impl Affine {
    /// Whether it shows elements of a tensor of this shape only.
    pub(crate) fn fits(&self, shape: &[usize]) -> bool {
        let Some((&n, others)) = shape.split_last() else { return false };
        let sizes = self.sizes.iter().map(|size| size.hint());
        let far = |at: usize, (n, &step): (usize, &usize)| at.checked_add(n.saturating_sub(1).checked_mul(step)?);
        let last = sizes.clone().zip(&self.steps).try_fold(self.offset, far);
        let is_empty = sizes.clone().any(|n| n == 0);
        self.steps.len() == self.sizes.len()
            && sizes.clone().take(others.len()).eq(others.iter().copied())
            && (is_empty || last.is_some_and(|last| last < n))
    }

    /// The elements of `x`, a tensor of so many axes, as they are seen.
    pub(crate) fn gathered<V>(&self, x: &V, rank: usize, emit: Emit<'_, V>) -> Result<V> {
        let index = self.places(rank, emit)?;
        let gathered = emit(&Op::Gather { axis: rank - 1 }, &[Given::Value(x), Given::Value(&index)])?;
        emit(&Op::Reshape(self.sizes.clone()), &[Given::Value(&gathered)])
    }

    /// `x`, a tensor of so many axes, with the elements of `part` as they are seen; of those that meet the last one stays.
    pub(crate) fn scattered<V>(&self, x: &V, part: &V, rank: usize, emit: Emit<'_, V>) -> Result<V> {
        let index = self.places(rank, emit)?;
        let part = emit(&Op::Reshape(self.flat_sizes(rank)), &[Given::Value(part)])?;
        let op = Op::Scatter { op: ScatterOp::Set, axis: rank - 1 };
        emit(&op, &[Given::Value(x), Given::Value(&index), Given::Value(&part)])
    }

    /// The sizes of the view with the axes that the tensor, of so many axes, has not as one.
    pub(crate) fn flat_sizes(&self, rank: usize) -> Sizes {
        self.sizes[..rank - 1].iter().copied().chain([self.count]).collect()
    }

    /// The place of each element along the last axis of a tensor of so many axes, in [`Affine::flat_sizes`].
    pub(crate) fn places<V>(&self, rank: usize, emit: Emit<'_, V>) -> Result<V> {
        let one = Size::from(1);
        let ones = |i: Option<usize>| -> Sizes {
            let own = |j: usize| if Some(j) == i { self.sizes[j] } else { one };
            (0..self.sizes.len()).map(own).collect()
        };
        let number = |n: usize| Given::Number(Scalar::I64(n as i64));
        let (add, mul) = (Op::Binary(BinaryOp::Add), Op::Binary(BinaryOp::Mul));
        let spread = |x: &V, along: Option<usize>, emit: Emit<'_, V>| {
            let x = emit(&Op::Reshape(ones(along)), &[Given::Value(x)])?;
            emit(&Op::Broadcast(self.sizes.clone()), &[Given::Value(&x)])
        };
        let zero = emit(&Op::Iota(one), &[])?;
        let first = emit(&add, &[Given::Value(&zero), number(self.offset)])?;
        let mut places = spread(&first, None, emit)?;
        for (i, &step) in self.steps.iter().enumerate().filter(|(_, step)| **step != 0) {
            let counted = emit(&Op::Iota(self.sizes[i]), &[])?;
            let along = emit(&mul, &[Given::Value(&counted), number(step)])?;
            let along = spread(&along, Some(i), emit)?;
            places = emit(&add, &[Given::Value(&places), Given::Value(&along)])?;
        }
        emit(&Op::Reshape(self.flat_sizes(rank)), &[Given::Value(&places)])
    }
}
