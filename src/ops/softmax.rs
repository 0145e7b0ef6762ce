//! Exponentials over their sum, and the logarithm of that sum: shifted by the largest element, so that none overflows, and
//! differentiated through the result.

use super::elementwise::{as_float, floating, in_full, zero_where};
use super::reduce::{along, axes_of, extreme_axes, spread, sum_axes, with_axes_kept};
use super::single_node::{Keeps, single};
use super::{grads1, twins};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::Result;
use crate::mode::layout::row_major;
use crate::mode::sizes::is_zero;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{Axes, ReduceOp};

/// x less the largest element along the axes.
fn shifted(x: &Tensor, axes: &Axes) -> Result<Tensor> {
    x.try_sub(&spread(&extreme_axes(x, ReduceOp::Max, axes)?, &x.sizes(), axes)?)
}

fn sum_spread(x: &Tensor, axes: &Axes) -> Result<Tensor> {
    spread(&sum_axes(x, axes.clone())?, &x.sizes(), axes)
}

fn softmax(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let compute = || {
        let e = shifted(x, &axes)?.try_exp()?;
        row_major(e.try_div(&sum_spread(&e, &axes)?)?)
    };
    composite("SoftmaxBackward0", &[Operand::Tensor(x)], compute, |y| {
        let (y, axes) = (Saved::output(y, 0), axes.clone());
        move |c: &Context<'_>, g: &Tensor| {
            let y = y.get(c.me)?;
            let part = g.try_mul(&y)?;
            grads1(row_major(part.try_sub(&y.try_mul(&sum_spread(&part, &axes)?)?)?)?)
        }
    })
}

fn log_softmax(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let compute = || {
        let x = shifted(x, &axes)?;
        row_major(x.try_sub(&sum_spread(&x.try_exp()?, &axes)?.try_log()?)?)
    };
    composite("LogSoftmaxBackward0", &[Operand::Tensor(x)], compute, |y| {
        let (y, axes) = (Saved::output(y, 0), axes.clone());
        move |c: &Context<'_>, g: &Tensor| {
            let y = y.get(c.me)?;
            grads1(row_major(g.try_sub(&y.try_exp()?.try_mul(&sum_spread(g, &axes)?)?)?)?)
        }
    })
}

/// Runs `f` on a float with the axis meant.
fn over(
    x: &Tensor,
    name: &'static str,
    node: &'static str,
    axis: isize,
    f: fn(&Tensor, Axes) -> Result<Tensor>,
) -> Result<Tensor> {
    if !x.dtype().is_float() && x.sizes().iter().any(|&n| is_zero(n)) {
        // Of nothing, every dtype has one.
        along(x, name, axis)?;
        return x.try_zeros_like();
    }
    let x = floating(x, name)?;
    if x.dim() > 0 && !x.dtype().is_half() {
        return f(&x, [x.axis(name, axis)?].into_iter().collect());
    }
    single(node, &[&x], &[Keeps::Result(0)], |x| {
        let (x1, axis) = along(&x[0], name, axis)?;
        let y = in_full(&x1, |x| f(x, [axis].into_iter().collect()))?;
        if x[0].dim() == 0 { y.reshape_sizes(&[]) } else { Ok(y) }
    })
}

twins! {
    /// e^x over the sum of these along an axis, so that they add up to 1. Floats only.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1000.0f32, 1000.0], &[2]);
    /// assert_eq!(x.softmax(-1).to_vec::<f32>(), [0.5, 0.5]);
    /// ```
    fn softmax / try_softmax(&self, axis: isize) -> Tensor {
        over(self, "softmax", "SoftmaxBackward0", axis, softmax)
    }

    /// The logarithm of [`Tensor::softmax`], with all digits. Floats only.
    fn log_softmax / try_log_softmax(&self, axis: isize) -> Tensor {
        over(self, "log_softmax", "LogSoftmaxBackward0", axis, log_softmax)
    }

    /// [`Tensor::softmax`] of -x. Floats only.
    fn softmin / try_softmin(&self, axis: isize) -> Tensor {
        floating(self, "softmin")?.try_neg()?.try_softmax(axis)
    }

    /// The logarithm of the sum of e^x over some axes (none named means all), where no step overflows.
    fn logsumexp / try_logsumexp(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let axes = axes_of(self, "logsumexp", axes)?;
        let keeps = [Keeps::Operand(0), Keeps::Result(0)];
        single("LogsumexpBackward0", &[&as_float(self)?], &keeps, |x| in_full(&x[0], |x| {
            let compute = || {
                let most = extreme_axes(x, ReduceOp::Max, &axes)?;
                // An infinite shift would make NaN of what is infinite itself.
                let most = zero_where(&most.try_isinf()?, &most)?;
                let sum = sum_axes(&x.try_sub(&spread(&most, &x.sizes(), &axes)?)?.try_exp()?, axes.clone())?;
                sum.try_log()?.try_add(&most)
            };
            let at = axes.clone();
            let y = composite("LogsumexpBackward0", &[Operand::Tensor(x)], compute, |y| {
                let (x, y) = (Saved::operand(x), Saved::output(y, 0));
                move |c: &Context<'_>, g: &Tensor| {
                    let x = x.get(c.me)?;
                    let own = x.sizes();
                    let share = x.try_sub(&spread(&y.get(c.me)?, &own, &at)?)?.try_exp()?;
                    grads1(spread(g, &own, &at)?.try_mul(&share)?)
                }
            })?;
            with_axes_kept(y, x, &axes, keepdim)
        }))
    }
}
