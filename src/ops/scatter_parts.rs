//! A tensor with other elements in a part that a view shows: slices, single places of an axis, diagonals; and a diagonal that is
//! filled in place. Each is a copy whose view is assigned to.

use super::arg::Number;
use super::single_node::single;
use super::twins;
use crate::error::{Error, Result, called, must};
use crate::mode::sizes::specialize;
use crate::tensor::Tensor;

/// `x` with `source` where `part` looks, which must have its shape.
fn with_part(
    op: &'static str,
    node: &'static str,
    x: &Tensor,
    source: &Tensor,
    part: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    single(node, &[x, source], &[], |t| {
        let whole = t[0].try_copy()?;
        let seen = part(&whole)?;
        if !t[1].has_sizes(&seen.sizes()) {
            let (given, wanted) = (t[1].shape_hint(), seen.shape_hint());
            return Err(Error::operands(op, format!("the source must have the shape {wanted:?}, got {given:?}")));
        }
        seen.try_copy_(&t[1])?;
        Ok(whole)
    })
}

twins! {
    /// With `source` in place of the elements that [`Tensor::slice`] shows.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (x, source) = (Tensor::arange(5), Tensor::from_vec(vec![9i64, 8], &[2]));
    /// assert_eq!(x.slice_scatter(&source, 0, Some(1), Some(4), 2).to_vec::<i64>(), [0, 9, 2, 8, 4]);
    /// ```
    fn slice_scatter / try_slice_scatter(
        &self, source: &Tensor, axis: isize, start: Option<isize>, end: Option<isize>, step: usize,
    ) -> Tensor {
        with_part("slice_scatter", "SliceScatterBackward0", self, source, |x| x.try_slice(axis, start, end, step))
    }

    /// With `source` in place of the elements that [`Tensor::select`] shows.
    fn select_scatter / try_select_scatter(&self, source: &Tensor, axis: isize, index: isize) -> Tensor {
        with_part("select_scatter", "SelectScatterBackward0", self, source, |x| x.try_select(axis, index))
    }

    /// With `source` in place of the elements that [`Tensor::diagonal`] shows.
    fn diagonal_scatter / try_diagonal_scatter(
        &self, source: &Tensor, offset: isize, axis1: isize, axis2: isize,
    ) -> Tensor {
        with_part("diagonal_scatter", "DiagonalScatterBackward0", self, source, |x| {
            x.try_diagonal(offset, axis1, axis2)
        })
    }
}

impl Tensor {
    /// Sets the elements whose places are equal along all axes, which must be as long as each other where there are more than two.
    /// With `wrap` a matrix with more rows than columns has a new diagonal after each, with a row between them.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::zeros(&[2, 2], DType::F32);
    /// assert_eq!(x.fill_diagonal_(5, false).to_vec::<f32>(), [5.0, 0.0, 0.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_fill_diagonal_`] fails.
    #[track_caller]
    pub fn fill_diagonal_(&self, value: impl Into<Number>, wrap: bool) -> &Tensor {
        must(self.try_fill_diagonal_(value, wrap))
    }

    /// As [`Tensor::fill_diagonal_`].
    ///
    /// # Errors
    /// When there are fewer than two axes, or more that are not as long as each other, and when this is a leaf that requires a
    /// gradient outside `no_grad`.
    #[track_caller]
    pub fn try_fill_diagonal_(&self, value: impl Into<Number>, wrap: bool) -> Result<&Tensor> {
        called(fill_diagonal(self, value.into(), wrap).map(|()| self))
    }
}

fn fill_diagonal(x: &Tensor, value: Number, wrap: bool) -> Result<()> {
    let op = "fill_diagonal_";
    let (rank, shape) = (x.dim(), x.shape_hint().to_vec());
    if rank < 2 {
        return Err(Error::operands(op, format!("needs two axes at least, the shape is {shape:?}")));
    }
    let filled = |part: &Tensor| part.filled_alike("FillDiagonalBackward0", value);
    if rank > 2 {
        specialize(&x.sizes(), "fill_diagonal_() of more than two axes asks whether they are as long as each other");
        if shape.iter().any(|&n| n != shape[0]) {
            return Err(Error::operands(op, format!("all axes must be as long as each other, the shape is {shape:?}")));
        }
        // The diagonal of the first two axes comes last; the next one is that with the first of the others.
        let part = (1..rank).try_fold(x.clone(), |part, i| match i {
            1 => part.try_diagonal(0, 0, 1),
            _ => part.try_diagonal(0, 0, -1),
        })?;
        return filled(&part);
    }
    if !wrap {
        return filled(&x.try_diagonal(0, 0, 1)?);
    }
    specialize(&x.sizes(), "fill_diagonal_() with wrap asks how many diagonals there are");
    for begin in (0..shape[0]).step_by(shape[1] + 1) {
        let rows = (shape[0] - begin).min(shape[1]);
        filled(&x.try_narrow(0, begin as isize, rows)?.try_diagonal(0, 0, 1)?)?;
    }
    Ok(())
}
