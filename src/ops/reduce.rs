//! Sums, means, `all` and `any` over axes, with their derivatives. The order of the additions is the kernels' definition.
//! Products, extremes, variances and norms have files of their own.

use super::elementwise::{floating, in_full};
use super::results::{another, unlinked};
use super::{grads1, twins};
use crate::autograd::record::{check_integers, composite, differentiable};
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::sizes::numel;
use crate::mode::values::{full_of, symbolic_extent};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Axes, DType, Op, ReduceOp};

/// The axes meant, sorted; none given means all. A tensor without axes may be asked for its axis 0 or -1, as in PyTorch.
pub(crate) fn axes_of(x: &Tensor, op: &'static str, axes: &[isize]) -> Result<Axes> {
    if axes.is_empty() || (x.dim() == 0 && matches!(axes, [0 | -1])) {
        return Ok((0..x.dim()).collect());
    }
    let mut out: Axes = axes.iter().map(|&a| x.axis(op, a)).collect::<Result<_>>()?;
    out.sort_unstable();
    if out.windows(2).any(|w| w[0] == w[1]) {
        return Err(Error::operands(op, format!("axes {axes:?} name one axis twice")));
    }
    Ok(out)
}

/// The tensor and the axis, from 0: a tensor without axes gets one of size 1, which the caller takes out of the result.
pub(crate) fn along(x: &Tensor, op: &'static str, axis: isize) -> Result<(Tensor, usize)> {
    match x.dim() {
        0 if matches!(axis, 0 | -1) => Ok((x.reshape_sizes(&[Size::from(1)])?, 0)),
        0 => Err(Error::operands(op, format!("axis {axis} does not exist in shape []; it may be -1 to 0"))),
        _ => Ok((x.clone(), x.axis(op, axis)?)),
    }
}

/// `sizes` with the reduced axes as 1.
pub(crate) fn kept(sizes: &Sizes, axes: &Axes) -> Sizes {
    sizes.iter().enumerate().map(|(i, s)| if axes.contains(&i) { Size::from(1) } else { *s }).collect()
}

/// `sizes` without the reduced axes.
pub(crate) fn without_axes(sizes: &Sizes, axes: &Axes) -> Sizes {
    sizes.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, s)| *s).collect()
}

pub(crate) fn with_axes_kept(result: Tensor, x: &Tensor, axes: &Axes, keepdim: bool) -> Result<Tensor> {
    if keepdim { result.reshape_sizes(&kept(&x.sizes(), axes)) } else { Ok(result) }
}

/// A reduced result broadcast back over the reduced axes.
pub(crate) fn spread(y: &Tensor, sizes: &Sizes, axes: &Axes) -> Result<Tensor> {
    let own = y.reshape_sizes(&kept(sizes, axes))?;
    // It may be a gradient that users get to see, so it is recorded on the tape whatever the sizes are.
    if own.is_off_tape() { Ok(another(own.expand_sizes(sizes)?, y)) } else { own.expand_recorded(sizes) }
}

/// How many elements are reduced to one.
pub(crate) fn count(x: &Tensor, axes: &Axes) -> Size {
    let own = x.sizes();
    numel(&axes.iter().map(|&a| own[a]).collect::<Sizes>())
}

/// The sum over sorted axes, which go. Integers and bools are summed as i64.
pub(crate) fn sum_axes(x: &Tensor, axes: Axes) -> Result<Tensor> {
    sum_as_node("SumBackward1", x, axes)
}

/// As [`sum_axes`], by a node of this name.
fn sum_as_node(node: &'static str, x: &Tensor, axes: Axes) -> Result<Tensor> {
    check_integers(x)?;
    let x = if x.dtype().is_float() { x.clone() } else { x.try_to(DType::I64)? };
    let own = x.sizes();
    differentiable(&Op::Reduce { op: ReduceOp::Sum, axes: axes.clone() }, node, &[Operand::Tensor(&x)], |_| {
        move |_: &_, g: &Tensor| grads1(spread(g, &own, &axes)?)
    })
}

/// The sum that a program asks for, over sorted axes, by a node of this name. From +0.0 on, as in PyTorch: it is never -0.0.
pub(crate) fn sum_from_zero(node: &'static str, x: &Tensor, axes: Axes) -> Result<Tensor> {
    let n = count(x, &axes);
    // The primitive leaves one element as it is, for gradients of what an axis of one element did not repeat.
    if !x.dtype().is_float() || !(n.is_symbolic() || n.is_one()) {
        return sum_as_node(node, x, axes);
    }
    let (own, at) = (x.sizes(), axes.clone());
    let compute = || sum_as_node(node, x, axes)?.try_add(0.0);
    composite(node, &[Operand::Tensor(x)], compute, |_| {
        move |_: &Context<'_>, g: &Tensor| grads1(spread(g, &own, &at)?)
    })
}

/// An extreme over sorted axes without history, where an empty one is the identity.
pub(crate) fn extreme_axes(x: &Tensor, op: ReduceOp, axes: &Axes) -> Result<Tensor> {
    apply(&Op::Reduce { op, axes: axes.clone() }, &[Operand::Tensor(&x.detach())])
}

/// Whether all are true, or any is: the smallest or the largest of truth.
fn truth(x: &Tensor, op: ReduceOp, axes: Axes, keepdim: bool) -> Result<Tensor> {
    let bits = x.detach().try_to(DType::Bool)?.try_to(DType::U8)?;
    let answer = extreme_axes(&bits, op, &axes)?.try_to(DType::Bool)?;
    let answer = with_axes_kept(answer, x, &axes, keepdim)?;
    // u8 is what PyTorch had before bool, and stays u8.
    if x.dtype() == DType::U8 { answer.try_to(DType::U8) } else { Ok(answer) }
}

/// The axes of a question: none named means none, other than for sums, as in PyTorch.
fn asked(x: &Tensor, op: &'static str, axes: &[isize]) -> Result<Axes> {
    if axes.is_empty() { Ok(Axes::new()) } else { axes_of(x, op, axes) }
}

twins! {
    /// The sum of all elements; integers and bools give i64. An empty sum is 0.
    fn sum / try_sum(&self) -> Tensor {
        sum_from_zero("SumBackward0", self, axes_of(self, "sum", &[])?)
    }

    /// The sum over some axes (none named means all); with `keepdim` they stay with size 1.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(x.sum_dim(&[0], false).to_vec::<f32>(), [4.0, 6.0]);
    /// ```
    fn sum_dim / try_sum_dim(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let axes = axes_of(self, "sum", axes)?;
        if !keepdim {
            return sum_from_zero("SumBackward1", self, axes);
        }
        let (own, at) = (self.sizes(), axes.clone());
        let compute = || with_axes_kept(sum_from_zero("SumBackward1", self, axes.clone())?, self, &axes, true);
        let sum = composite("SumBackward1", &[Operand::Tensor(self)], compute, |_| {
            move |_: &Context<'_>, g: &Tensor| grads1(spread(g, &own, &at)?)
        })?;
        Ok(unlinked(&sum))
    }

    /// The mean of all elements; NaN where there is none.
    fn mean / try_mean(&self) -> Tensor {
        mean_as_node("MeanBackward0", self, &[], false)
    }

    /// The mean over some axes (none named means all); with `keepdim` they stay with size 1. Floats only.
    fn mean_dim / try_mean_dim(&self, axes: &[isize], keepdim: bool) -> Tensor {
        mean_as_node("MeanBackward1", self, axes, keepdim)
    }

    /// Whether all elements are true (not 0), as bool; u8 gives u8. True where there is none.
    fn all / try_all(&self) -> Tensor {
        truth(self, ReduceOp::Min, axes_of(self, "all", &[])?, false)
    }

    /// Whether all elements over some axes are true. As in PyTorch no axis named means that none goes.
    fn all_dim / try_all_dim(&self, axes: &[isize], keepdim: bool) -> Tensor {
        truth(self, ReduceOp::Min, asked(self, "all", axes)?, keepdim)
    }

    /// Whether any element is true (not 0), as bool; u8 gives u8. False where there is none.
    fn any / try_any(&self) -> Tensor {
        truth(self, ReduceOp::Max, axes_of(self, "any", &[])?, false)
    }

    /// Whether any element over some axes is true. As in PyTorch no axis named means that none goes.
    fn any_dim / try_any_dim(&self, axes: &[isize], keepdim: bool) -> Tensor {
        truth(self, ReduceOp::Max, asked(self, "any", axes)?, keepdim)
    }

    /// The number of elements that are not 0 over some axes (none named means all), as i64.
    fn count_nonzero / try_count_nonzero(&self, axes: &[isize]) -> Tensor {
        self.try_ne(0)?.try_sum_dim(axes, false)
    }
}

/// x / n where n may be symbolic.
pub(crate) fn divide_by_size(x: &Tensor, n: Size) -> Result<Tensor> {
    match n.is_symbolic() {
        false => x.try_div(n.hint() as f64),
        true => x.try_div(&size_tensor(n, x.dtype())?),
    }
}

/// A size, which may be symbolic, as a tensor without axes.
pub(crate) fn size_tensor(n: Size, dtype: DType) -> Result<Tensor> {
    match symbolic_extent(n) {
        None => full_of(&[], super::arg::Number::Int(n.hint() as i64).to(dtype)),
        Some(extent) => apply(&Op::Cast(dtype), &[Operand::Tensor(&extent?)]),
    }
}

/// The mean over some axes, none of which means all, by a node of this name.
fn mean_as_node(node: &'static str, x: &Tensor, axes: &[isize], keepdim: bool) -> Result<Tensor> {
    let axes = axes_of(x, "mean", axes)?;
    let x = floating(x, "mean")?;
    let compute = || {
        in_full(&x, |x| {
            let sum = with_axes_kept(sum_from_zero("SumBackward1", x, axes.clone())?, x, &axes, keepdim)?;
            divide_by_size(&sum, count(x, &axes))
        })
    };
    let (own, n, at) = (x.sizes(), count(&x, &axes), axes.clone());
    composite(node, &[Operand::Tensor(&x)], compute, |_| {
        // Spread first, so that it is no view.
        move |_: &Context<'_>, g: &Tensor| grads1(divide_by_size(&spread(g, &own, &at)?, n)?)
    })
}
