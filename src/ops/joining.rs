//! Tensors joined along an axis that they have, or along a new one, given as tensors or references to them. Dtypes are
//! promoted as in PyTorch.

use super::arg::{Arg, result_dtype};
use super::movement::concat_as_node;
use super::single_node::single;
use super::{borrowed, twin_fns};
use crate::error::{Error, Result};
use crate::mode::layout::{are_images, as_images};
use crate::mode::sizes::{demand_equal, is_zero};
use crate::tensor::Tensor;
use std::borrow::Borrow;

twin_fns! {
    /// Tensors joined along an axis that they all have; the other axes must be equal. A vector without elements may stand
    /// among tensors of any shape.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(cat(&[&randn(&[2, 3]), &randn(&[1, 3])], 0).shape(), [3, 3]);
    /// let parts: Vec<Tensor> = (1..4).map(|n| randn(&[n, 3])).collect();
    /// assert_eq!(cat(&parts, 0).shape(), [6, 3]);
    /// ```
    fn cat / try_cat(tensors: &[impl Borrow<Tensor>], axis: isize) -> Tensor {
        joined("cat", "CatBackward0", &borrowed(tensors), axis)
    }

    /// Tensors of one shape joined along a new axis.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let rows = vec![Tensor::full(&[3], 1.0f32), Tensor::full(&[3], 2.0f32)];
    /// assert_eq!(stack(&rows, 0).shape(), [2, 3]);
    /// ```
    fn stack / try_stack(tensors: &[impl Borrow<Tensor>], axis: isize) -> Tensor {
        let tensors = &borrowed(tensors)[..];
        if let Some((first, rest)) = tensors.split_first()
            && let Some(t) = rest.iter().find(|t| !t.same_shape(first))
        {
            return Err(Error::operands(
                "stack",
                format!("cannot stack {:?} on {:?}: shapes must be equal", t.shape_hint(), first.shape_hint()),
            ));
        }
        if tensors.iter().all(|t| t.is_off_tape()) {
            return join_each("stack", tensors, axis, |t| t.try_unsqueeze(axis));
        }
        single("StackBackward0", tensors, &[], |t| {
            join_each("stack", &t.iter().collect::<Vec<_>>(), axis, |t| t.try_unsqueeze(axis))
        })
    }

    /// Tensors side by side: along the second axis, vectors along their only one.
    fn hstack / try_hstack(tensors: &[impl Borrow<Tensor>]) -> Tensor {
        let axis = if tensors.first().is_some_and(|t| t.borrow().dim() > 1) { 1 } else { 0 };
        join_each("hstack", tensors, axis, Tensor::try_atleast_1d)
    }

    /// Tensors one below the other: along the first axis, vectors as rows.
    fn vstack / try_vstack(tensors: &[impl Borrow<Tensor>]) -> Tensor {
        join_each("vstack", tensors, 0, Tensor::try_atleast_2d)
    }

    /// Tensors one behind the other: along the third axis.
    fn dstack / try_dstack(tensors: &[impl Borrow<Tensor>]) -> Tensor {
        join_each("dstack", tensors, 2, Tensor::try_atleast_3d)
    }

    /// Vectors as the columns of a matrix; matrices keep theirs.
    fn column_stack / try_column_stack(tensors: &[impl Borrow<Tensor>]) -> Tensor {
        join_each("column_stack", tensors, 1, |t| match t.dim() {
            0 => t.try_reshape(&[1, 1]),
            1 => t.try_unsqueeze(1),
            _ => Ok(t.clone()),
        })
    }
}

#[track_caller]
fn join_each(
    op: &'static str,
    tensors: &[impl Borrow<Tensor>],
    axis: isize,
    raise: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let raised = tensors.iter().map(|t| raise(t.borrow())).collect::<Result<Vec<Tensor>>>()?;
    joined(op, "CatBackward0", &raised.iter().collect::<Vec<_>>(), axis)
}

/// Whether `t` counts for nothing among tensors with `rank` axes: PyTorch's vector without elements.
#[track_caller]
fn is_nothing(t: &Tensor, rank: usize) -> bool {
    t.dim() == 1 && rank != 1 && is_zero(t.sizes()[0])
}

#[track_caller]
fn joined(op: &'static str, node: &'static str, tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
    let none = || Error::operands(op, "needs at least one tensor");
    let rank =
        tensors.iter().map(|t| t.dim()).find(|&n| n != 1).or(tensors.first().map(|t| t.dim())).ok_or_else(none)?;
    if let Some(i) = tensors.iter().position(|t| t.dim() == 0) {
        return Err(Error::operands(op, format!("tensor {i} has no axes, so it can't be joined to others; use stack")));
    }
    let real: Vec<&Tensor> = tensors.iter().copied().filter(|t| !is_nothing(t, rank)).collect();
    let first = real.first().copied().ok_or_else(none)?;
    let a = first.axis(op, axis)?;
    for t in &real[1..] {
        let fits =
            t.dim() == first.dim() && (0..t.dim()).all(|i| i == a || demand_equal(t.sizes()[i], first.sizes()[i]));
        if !fits {
            return Err(Error::operands(
                op,
                format!(
                    "cannot join {:?} to {:?} along axis {axis}: the other axes must be equal",
                    t.shape_hint(),
                    first.shape_hint()
                ),
            ));
        }
    }
    let args: Vec<Arg<'_>> = tensors.iter().map(|t| Arg::Tensor(t)).collect();
    let dtype = result_dtype(&args);
    let all = if real.iter().all(|t| t.dtype() == dtype) {
        concat_as_node(node, &real, a)?
    } else {
        let cast = real.iter().map(|t| t.try_to(dtype)).collect::<Result<Vec<Tensor>>>()?;
        concat_as_node(node, &cast.iter().collect::<Vec<_>>(), a)?
    };
    // Of three axes there are no images.
    if all.dim() < 4 { Ok(all) } else { as_images(all, real.iter().all(|t| are_images(t))) }
}
