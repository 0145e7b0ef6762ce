//! Largest and smallest elements over axes, and their places. A NaN counts as both. Where elements are equal the whole
//! reductions share the gradient, and those along one axis give it to the place that they name, as PyTorch does.

use super::gather::gather;
use super::reduce::{along, axes_of, extreme_axes, kept, spread, sum_axes, with_axes_kept, without_axes};
use super::results::unlinked;
use super::single_node::{Keeps, pair};
use super::{grads1, twins};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::layout::{laid_out, row_major};
use crate::mode::sizes::{is_zero, numel};
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{ArgOp, Axes, DType, Op, ReduceOp};

/// That no axis to be reduced is empty.
fn nonempty(x: &Tensor, name: &'static str, axes: &Axes) -> Result<()> {
    let own = x.sizes();
    match axes.iter().any(|&a| is_zero(own[a])) {
        true => Err(Error::operands(name, format!("has no value over an empty axis of shape {:?}", x.shape_hint()))),
        false => Ok(()),
    }
}

/// The extreme over axes. `whole` shares the gradient among NaN where the result is one.
fn extreme(x: &Tensor, name: &'static str, op: ReduceOp, axes: Axes, keepdim: bool, whole: bool) -> Result<Tensor> {
    nonempty(x, name, &axes)?;
    if x.dtype() == DType::Bool {
        let found = extreme_axes(&x.try_to(DType::U8)?, op, &axes)?.try_to(DType::Bool)?;
        return with_axes_kept(found, x, &axes, keepdim);
    }
    let own = x.sizes();
    let node = match (op == ReduceOp::Max, whole) {
        (true, true) => "MaxBackward1",
        (true, false) => "AmaxBackward0",
        (false, true) => "MinBackward1",
        (false, false) => "AminBackward0",
    };
    let compute = || {
        let found = apply(&Op::Reduce { op, axes: axes.clone() }, &[Operand::Tensor(x)])?;
        Ok(unlinked(&with_axes_kept(found, x, &axes, keepdim)?))
    };
    composite(node, &[Operand::Tensor(x)], compute, |y| {
        let axes = axes.clone();
        let (x, y) = (Saved::operand(x), Saved::output(y, 0));
        move |c: &Context<'_>, g: &Tensor| {
            // Elements equal to the extreme share its gradient evenly, as in PyTorch.
            let (x, y) = (x.get(c.me)?.detach(), spread(&y.get(c.me)?.detach(), &own, &axes)?);
            let mut hit = x.try_eq(&y)?;
            if whole {
                hit = hit.try_logical_or(&x.try_isnan()?.try_logical_and(&y.try_isnan()?)?)?;
            }
            let hit = hit.try_to(g.dtype())?;
            let count = spread(&sum_axes(&hit, axes.clone())?, &own, &axes)?;
            let g = spread(g, &own, &axes)?;
            let gradient = hit.try_mul(&g)?.try_div(&count)?;
            grads1(match whole {
                true => row_major(gradient)?,
                false => laid_out(gradient, LayoutRule::Elementwise, &[Operand::Tensor(&g), Operand::Tensor(&x)])?,
            })
        }
    })
}

fn extreme_dim(x: &Tensor, name: &'static str, op: ArgOp, axis: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
    let node = if op == ArgOp::Max { "MaxBackward0" } else { "MinBackward0" };
    pair(node, &[x], &[Keeps::Result(1)], |x| extreme_parts(&x[0], name, op, axis, keepdim))
}

fn extreme_parts(x: &Tensor, name: &'static str, op: ArgOp, axis: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
    let (x1, axis) = along(x, name, axis)?;
    let axes: Axes = [axis].into_iter().collect();
    let places = places(&x1, name, op, axis)?.reshape_sizes(&kept(&x1.sizes(), &axes))?;
    let values = gather(&x1, &places, axis)?;
    if keepdim && x.dim() > 0 {
        return Ok((values, places));
    }
    let sizes = without_axes(&x1.sizes(), &axes);
    Ok((values.reshape_sizes(&sizes)?, places.reshape_sizes(&sizes)?))
}

/// Where the extreme is along an axis, which goes.
fn places(x: &Tensor, name: &'static str, op: ArgOp, axis: usize) -> Result<Tensor> {
    nonempty(x, name, &[axis].into_iter().collect())?;
    let x = if x.dtype() == DType::Bool { x.try_to(DType::U8)? } else { x.detach() };
    apply(&Op::ArgReduce { op, axis }, &[Operand::Tensor(&x)])
}

fn argument(x: &Tensor, name: &'static str, op: ArgOp, axis: Option<isize>, keepdim: bool) -> Result<Tensor> {
    if x.dtype() == DType::Bool {
        return Err(Error::operands(name, "not defined for bool; use to(DType::U8) first"));
    }
    let Some(axis) = axis else {
        let flat = x.reshape_sizes(&[numel(&x.sizes())])?;
        return places(&flat, name, op, 0);
    };
    let (x1, axis) = along(x, name, axis)?;
    let found = places(&x1, name, op, axis)?;
    with_axes_kept(found, &x1, &[axis].into_iter().collect(), keepdim && x.dim() > 0)
}

twins! {
    /// The largest element over some axes (none named means all); NaN where there is one.
    fn amax / try_amax(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let axes = axes_of(self, "amax", axes)?;
        extreme(self, "amax", ReduceOp::Max, axes, keepdim, false)
    }

    /// The smallest element over some axes (none named means all); NaN where there is one.
    fn amin / try_amin(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let axes = axes_of(self, "amin", axes)?;
        extreme(self, "amin", ReduceOp::Min, axes, keepdim, false)
    }

    /// The smallest and the largest element over some axes (none named means all).
    fn aminmax / try_aminmax(&self, axes: &[isize], keepdim: bool) -> (Tensor, Tensor) {
        pair("AminmaxBackward0", &[self], &[Keeps::Operand(0), Keeps::Result(0), Keeps::Result(1)], |x| {
            Ok((x[0].try_amin(axes, keepdim)?, x[0].try_amax(axes, keepdim)?))
        })
    }

    /// The largest of all elements; NaN where there is one.
    fn max / try_max(&self) -> Tensor {
        extreme(self, "max", ReduceOp::Max, axes_of(self, "max", &[])?, false, true)
    }

    /// The smallest of all elements; NaN where there is one.
    fn min / try_min(&self) -> Tensor {
        extreme(self, "min", ReduceOp::Min, axes_of(self, "min", &[])?, false, true)
    }

    /// The largest elements along an axis and their places (i64), the first of equals. The gradient goes to those places.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (values, places) = Tensor::from_vec(vec![1.0f32, 3.0, 2.0, 0.0], &[2, 2]).max_dim(1, false);
    /// assert_eq!((values.to_vec::<f32>(), places.to_vec::<i64>()), (vec![3.0, 2.0], vec![1, 0]));
    /// ```
    fn max_dim / try_max_dim(&self, axis: isize, keepdim: bool) -> (Tensor, Tensor) {
        extreme_dim(self, "max", ArgOp::Max, axis, keepdim)
    }

    /// The smallest elements along an axis and their places (i64), the first of equals. The gradient goes to those places.
    fn min_dim / try_min_dim(&self, axis: isize, keepdim: bool) -> (Tensor, Tensor) {
        extreme_dim(self, "min", ArgOp::Min, axis, keepdim)
    }

    /// The place of the largest of all elements in row-major order, as i64.
    fn argmax / try_argmax(&self) -> Tensor {
        argument(self, "argmax", ArgOp::Max, None, false)
    }

    /// The places of the largest elements along an axis, as i64: the first of equals, or the first NaN.
    fn argmax_dim / try_argmax_dim(&self, axis: isize, keepdim: bool) -> Tensor {
        argument(self, "argmax", ArgOp::Max, Some(axis), keepdim)
    }

    /// The place of the smallest of all elements in row-major order, as i64.
    fn argmin / try_argmin(&self) -> Tensor {
        argument(self, "argmin", ArgOp::Min, None, false)
    }

    /// The places of the smallest elements along an axis, as i64: the first of equals, or the first NaN.
    fn argmin_dim / try_argmin_dim(&self, axis: isize, keepdim: bool) -> Tensor {
        argument(self, "argmin", ArgOp::Min, Some(axis), keepdim)
    }
}
