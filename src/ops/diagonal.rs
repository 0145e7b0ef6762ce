//! Diagonals and triangles of matrices, and matrices made of diagonals.

use super::movement::{concat, copied, iota, narrow, seen, seen_with, unseen, zero_of, zeros};
use super::single_node::single;
use super::{grads1, twins};
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::row_major;
use crate::mode::sizes::{at_most, smaller};
use crate::tensor::affine::Affine;
use crate::tensor::operand::Operand;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Axes, DType, Extent, Op};
use smallvec::smallvec;

twins! { views:
    /// The diagonal of the matrices in two axes, as a new last axis, and a view: elements `(i, i + offset)`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::arange(9).reshape(&[3, 3]);
    /// assert_eq!(x.diagonal(1, 0, 1).to_vec::<i64>(), [1, 5]);
    /// ```
    fn diagonal / try_diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Tensor {
        let (a, b) = (self.axis("diagonal", axis1)?, self.axis("diagonal", axis2)?);
        if a == b {
            return Err(Error::operands("diagonal", format!("axes {axis1} and {axis2} are one axis")));
        }
        diagonal(self, offset, a, b)
    }
}

twins! {
    /// Matrices with the last axis on a diagonal, zero elsewhere; they lie in the axes named of the result.
    fn diag_embed / try_diag_embed(&self, offset: isize, axis1: isize, axis2: isize) -> Tensor {
        let rank = self.dim() + 1;
        let last = self.dim().checked_sub(1).ok_or_else(|| {
            Error::operands("diag_embed", "needs one axis at least, the tensor has none")
        })?;
        let place = |axis: isize| {
            let at = if axis < 0 { axis + rank as isize } else { axis };
            match (0..rank as isize).contains(&at) {
                true => Ok(at as usize),
                false => Err(Error::operands("diag_embed", format!("axis {axis} does not exist in a result of {rank} axes"))),
            }
        };
        let (a, b) = (place(axis1)?, place(axis2)?);
        if a == b {
            return Err(Error::operands("diag_embed", format!("axes {axis1} and {axis2} are one axis")));
        }
        let n = self.sizes()[last].plus(&Size::from(offset.unsigned_abs()));
        let compute = || super::shape::moved(&embedded(self, n, n, offset)?, &[rank - 2, rank - 1], &[a, b]);
        composite("DiagEmbedBackward0", &[Operand::Tensor(self)], compute, |_| {
            move |_: &Context<'_>, g: &Tensor| grads1(diagonal(g, offset, a, b)?)
        })
    }

    /// Of a vector the matrix with it on the diagonal; of a matrix a copy of its diagonal.
    fn diag / try_diag(&self, offset: isize) -> Tensor {
        match self.dim() {
            1 => self.try_diag_embed(offset, 0, 1),
            2 => copied("DiagonalBackward0_copy", &diagonal(self, offset, 0, 1)?),
            _ => Err(Error::operands("diag", format!("takes a vector or a matrix, the shape is {:?}", self.shape_hint()))),
        }
    }

    /// The sum of the diagonal of a matrix.
    fn trace / try_trace(&self) -> Tensor {
        if self.dim() != 2 || self.dtype() == DType::Bool {
            return Err(Error::operands("trace", format!("takes a matrix of numbers, got {}{:?}", self.dtype(), self.shape_hint())));
        }
        single("TraceBackward0", &[self], &[], |x| diagonal(&x[0], 0, 0, 1)?.try_sum())
    }

    /// The lower triangles of the matrices in the last two axes, zero elsewhere: elements `(i, j)` with
    /// `j <= i + diagonal` stay.
    fn tril / try_tril(&self, diagonal: isize) -> Tensor {
        triangle("tril", "TrilBackward0", self, move |row, column| column.try_le(&row.try_add(beside(diagonal))?))
    }

    /// The upper triangles of the matrices in the last two axes, zero elsewhere: elements `(i, j)` with
    /// `j >= i + diagonal` stay.
    fn triu / try_triu(&self, diagonal: isize) -> Tensor {
        triangle("triu", "TriuBackward0", self, move |row, column| column.try_ge(&row.try_add(beside(diagonal))?))
    }
}

/// The places of rows `[m, 1]` and of columns `[n]`, which broadcast to those of a matrix.
fn places(m: Size, n: Size) -> Result<(Tensor, Tensor)> {
    Ok((iota(m)?.reshape_sizes(&[m, Size::from(1)])?, iota(n)?))
}

#[track_caller]
fn triangle(
    op: &'static str,
    node: &'static str,
    x: &Tensor,
    stays: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Copy + Send + Sync + 'static,
) -> Result<Tensor> {
    if x.dim() < 2 {
        return Err(Error::operands(op, format!("needs two axes at least, the shape is {:?}", x.shape_hint())));
    }
    let own = x.sizes();
    let (row, column) = places(own[own.len() - 2], own[own.len() - 1])?;
    composite(
        node,
        &[Operand::Tensor(x)],
        || row_major(x.try_where_self(&stays(&row, &column)?, &zero_of(x)?)?),
        |_| move |_: &Context<'_>, g: &Tensor| grads1(triangle(op, node, g, stays)?),
    )
}

/// A diagonal as a number to add to places; what lies beyond all matrices stays there.
fn beside(diagonal: isize) -> i64 {
    const FAR: i64 = 1 << 60;
    (diagonal as i64).clamp(-FAR, FAR)
}

/// Where a diagonal begins and how long it is: row, column, length.
fn course(m: Size, n: Size, offset: isize) -> (Size, Size, Size) {
    let (zero, skip) = (Size::from(0), Size::from(offset.unsigned_abs()));
    let (row, column) = if offset < 0 { (skip, zero) } else { (zero, skip) };
    let skipped = if offset < 0 { m } else { n };
    if !at_most(skip, skipped) {
        return (zero, zero, zero);
    }
    (row, column, smaller(m.minus(row), n.minus(column)))
}

fn diagonal(x: &Tensor, offset: isize, a: usize, b: usize) -> Result<Tensor> {
    let own = x.sizes();
    let (row, column, len) = course(own[a], own[b], offset);
    let rank = x.dim();
    let mut order: Axes = (0..rank).filter(|&i| i != a && i != b).collect();
    let mut sizes: Sizes = order.iter().map(|&i| own[i]).collect();
    order.extend([a, b]);
    sizes.push(len);
    // The square whose main diagonal it is, and of each row of that the element in its place.
    let turned = seen_with(x, Op::Permute(order), "PermuteBackward0", unturned)?;
    let square = narrow(&narrow(&turned, rank - 2, row, len)?, rank - 1, column, len)?;
    let mut steps = smallvec![0; rank - 1];
    steps[rank - 2] = 1;
    let affine = Affine { sizes, steps, offset: 0, count: Size::from(1), is_apart: true };
    seen(&square, ViewOp::Affine(affine), "DiagonalBackward0")
}

/// The gradient of what was permuted for a diagonal, which is put into zeros in row-major order.
fn unturned(op: &ViewOp, from: &Sizes, g: &Tensor) -> Result<Tensor> {
    row_major(unseen(op, from, g)?)
}

/// `[.., len] -> [.., m, n]` with the last axis on a diagonal and zeros elsewhere.
fn embedded(x: &Tensor, m: Size, n: Size, offset: isize) -> Result<Tensor> {
    let (row, _, len) = course(m, n, offset);
    let last = x.dim() - 1;
    let zeros = |n: Size| {
        let mut sizes = x.sizes();
        sizes[last] = n;
        zeros(x, &sizes)
    };
    // One element for each row of the matrix, which is then at each of its columns.
    let column = concat(&[&zeros(row)?, x, &zeros(m.minus(row).minus(len))?], last)?;
    let mut sizes = column.sizes();
    sizes.push(Size::from(1));
    let column = column.reshape_sizes(&sizes)?;
    sizes[last + 1] = n;
    let (i, j) = places(m, n)?;
    let here = j.try_eq(&i.try_add(beside(offset))?)?;
    column.expand_sizes(&sizes)?.try_where_self(&here, &zero_of(x)?)
}
