//! The axes in another order. Every result is a view.

use super::movement::{aliased, permuted, permuted_as_node};
use super::twins;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use allotrope_ir::Axes;
use smallvec::smallvec;

twins! { views:
    /// The axes in another order: axis `i` of the result is axis `axes[i]`.
    fn permute / try_permute(&self, axes: &[isize]) -> Tensor {
        let axes: Axes = axes.iter().map(|&a| self.axis("permute", a)).collect::<Result<_>>()?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.dim()) {
            return Err(Error::operands("permute", format!("{axes:?} does not name each of the {} axes once", self.dim())));
        }
        permuted(self, axes)
    }

    /// Two axes exchanged.
    fn transpose / try_transpose(&self, a: isize, b: isize) -> Tensor {
        let (a, b) = (super::wrapped(self, "transpose", a)?, super::wrapped(self, "transpose", b)?);
        let mut axes: Axes = (0..self.dim()).collect();
        if self.dim() > 0 {
            axes.swap(a, b);
        }
        permuted_as_node("TransposeBackward0", self, axes)
    }

    /// Two axes exchanged, as [`Tensor::transpose`]; NumPy's name.
    fn swapaxes / try_swapaxes(&self, a: isize, b: isize) -> Tensor {
        self.try_transpose(a, b)
    }

    /// The transpose of a matrix; fewer axes stay as they are.
    fn t / try_t(&self) -> Tensor {
        match self.dim() {
            0 | 1 => permuted_as_node("TBackward0", self, (0..self.dim()).collect()),
            2 => permuted_as_node("TBackward0", self, smallvec![1, 0]),
            n => Err(Error::operands("t", format!("expects a matrix or less, got {n} axes; use transpose or permute"))),
        }
    }

    /// The last two axes exchanged: the transpose of each matrix of a batch. PyTorch's `mT`.
    fn mt / try_mt(&self) -> Tensor {
        match self.dim() {
            0 => Ok(self.clone()),
            1 => Err(Error::operands("mt", format!("needs two axes at least, the shape is {:?}", self.shape_hint()))),
            _ => self.try_transpose(-2, -1),
        }
    }

    /// The axes `source` moved to the places `destination`; the others keep their order.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(randn(&[2, 3, 4]).movedim(&[0], &[-1]).shape(), [3, 4, 2]);
    /// ```
    fn movedim / try_movedim(&self, source: &[isize], destination: &[isize]) -> Tensor {
        let fail = |why: &str| Err(Error::operands("movedim", format!("{source:?} to {destination:?}: {why}")));
        if source.len() != destination.len() {
            return fail("there must be as many places as axes");
        }
        let axes = |list: &[isize]| list.iter().map(|&a| super::wrapped(self, "movedim", a)).collect::<Result<Vec<usize>>>();
        let (from, to) = (axes(source)?, axes(destination)?);
        let repeats = |list: &[usize]| (1..list.len()).any(|i| list[..i].contains(&list[i]));
        if repeats(&from) || repeats(&to) {
            return fail("an axis is named twice");
        }
        if self.dim() == 0 {
            return aliased(self);
        }
        super::shape::moved(self, &from, &to)
    }
}

/// Which axis comes where, when the axes `from` go to the places `to` and the others keep their order.
pub(super) fn order_of(rank: usize, from: &[usize], to: &[usize]) -> Axes {
    let mut rest = (0..rank).filter(|a| !from.contains(a));
    (0..rank)
        .map(|place| match to.iter().position(|&t| t == place) {
            Some(i) => from[i],
            None => rest.next().expect("as many axes as places"),
        })
        .collect()
}
