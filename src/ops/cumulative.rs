//! Cumulative results along an axis: sums, products, extremes, log-sums. Sums and products are the linear recurrence;
//! running extremes double the reach of every element until it spans the axis.

use super::elementwise::{choose, floating, in_full};
use super::gather::{flip, gather};
use super::gradient_layout::GradientLayout;
use super::movement::{concat, copied, narrow};
use super::recurrence::recurrence;
use super::reduce::along;
use super::single_node::{Keeps, pair, single_laid_out};
use super::{grads1, twins};
use crate::autograd::no_grad;
use crate::autograd::record::{check_integers, composite, differentiable};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::Result;
use crate::mode::layout::row_major;
use crate::mode::sizes::{is_zero, specialize};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Op, Scalar};

/// Integers and bools are accumulated as i64.
fn accumulated(x: &Tensor) -> Result<Tensor> {
    check_integers(x)?;
    if x.dtype().is_float() { Ok(x.clone()) } else { x.try_to(DType::I64) }
}

/// Runs `f` along the given axis; for a tensor without axes, with one of size 1 added.
fn over(
    x: &Tensor,
    name: &'static str,
    axis: isize,
    f: impl FnOnce(&Tensor, usize) -> Result<Tensor>,
) -> Result<Tensor> {
    let (x1, axis) = along(x, name, axis)?;
    let y = f(&x1, axis)?;
    if x.dim() == 0 { y.reshape_sizes(&[]) } else { Ok(y) }
}

/// How the gradient lies.
fn lies(node: &'static str, x: &Tensor, axis: isize) -> GradientLayout {
    match x.dim() {
        0 => GradientLayout::of(node, &[x]),
        // One that does not exist is refused later.
        _ => GradientLayout::along(node, x, x.axis("cumulative", axis).unwrap_or(0)),
    }
}

/// The sums up to each element, from the end where `reverse`; each is the derivative of the other.
fn running_sum(x: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
    let ones = x.try_ones_like()?;
    let operands = [Operand::Tensor(&ones), Operand::Tensor(x)];
    differentiable(&Op::Recurrence { axis, reverse }, "CumsumBackward0", &operands, |_| {
        move |_: &Context<'_>, g: &Tensor| Ok(smallvec::smallvec![None, Some(running_sum(g, axis, !reverse)?)])
    })
}

/// 1, and the products up to each element: one more than the axis has.
pub(super) fn running_product(x: &Tensor, axis: usize) -> Result<Tensor> {
    let x = accumulated(x)?;
    in_full(&x, |x| {
        let mut sizes = x.sizes();
        sizes[axis] = Size::from(1);
        let one = full_of(&sizes, Scalar::from_f64(1.0, x.dtype()))?;
        let factors = concat(&[&one, x], axis)?;
        // Nothing is added on the way: -0.0 leaves a product of -0.0 as it is.
        sizes[axis] = x.sizes()[axis];
        let terms = concat(&[&one, &full_of(&sizes, Scalar::from_f64(-0.0, x.dtype()))?], axis)?;
        recurrence(&factors, &terms, axis, false)
    })
}

/// The product along an axis, which stays with size 1.
pub(super) fn product(x: &Tensor, axis: usize) -> Result<Tensor> {
    narrow(&running_product(x, axis)?, axis, x.sizes()[axis], Size::from(1))?.try_contiguous()
}

/// The extreme up to each element, and its place: the last of equals, and the last NaN once there is one.
fn running_extreme(x: &Tensor, axis: usize, largest: bool) -> Result<(Tensor, Tensor)> {
    let size = x.sizes()[axis];
    specialize(&[size], "a running maximum or minimum takes as many steps as the axis is long");
    let n = size.hint();
    let places = no_grad(|| {
        let mut shape: crate::tensor::Sizes = x.sizes().iter().map(|_| Size::from(1)).collect();
        shape[axis] = Size::from(n);
        let mut places = Tensor::try_arange(n)?.reshape_sizes(&shape)?.expand_sizes(&x.sizes())?;
        let mut best = if x.dtype() == DType::Bool { x.try_to(DType::U8)? } else { x.detach() };
        let mut reach = 1;
        while reach < n {
            let (start, rest) = (Size::from(reach), Size::from(n - reach));
            let cut = |t: &Tensor| {
                let zero = Size::from(0);
                Ok::<_, crate::error::Error>((
                    narrow(t, axis, zero, start)?,
                    narrow(t, axis, zero, rest)?,
                    narrow(t, axis, start, rest)?,
                ))
            };
            let ((head, before, here), (place_head, place_before, place_here)) = (cut(&best)?, cut(&places)?);
            let wins = if largest { before.try_gt(&here)? } else { before.try_lt(&here)? };
            let wins =
                wins.try_logical_or(&before.try_isnan()?.try_logical_and(&here.try_isnan()?.try_logical_not()?)?)?;
            best = concat(&[&head, &before.try_where_self(&wins, &here)?], axis)?;
            places = concat(&[&place_head, &place_before.try_where_self(&wins, &place_here)?], axis)?;
            reach *= 2;
        }
        // An axis of one element leaves them repeated.
        row_major(places)
    })?;
    Ok((gather(x, &places, axis)?, places))
}

/// The log-sums up to each element: the recurrence of sums of exponentials, each relative to the largest so far.
fn running_log_sum(x: &Tensor, axis: usize) -> Result<Tensor> {
    let n = x.sizes()[axis];
    if is_zero(n) {
        return x.try_mul(1.0);
    }
    let compute = || {
        let (most, _) = running_extreme(x, axis, true)?;
        let (one, rest) = (Size::from(1), n.minus(Size::from(1)));
        let before =
            concat(&[&narrow(&most, axis, Size::from(0), one)?, &narrow(&most, axis, Size::from(0), rest)?], axis)?;
        // Equal infinities have no difference; they count as equal.
        let relative = |x: &Tensor| choose(&x.try_eq(&most)?, 1.0, &x.try_sub(&most)?.try_exp()?);
        recurrence(&relative(&before)?, &relative(x)?, axis, false)?.try_log()?.try_add(&most)
    };
    composite("LogcumsumexpBackward0", &[Operand::Tensor(x)], compute, |y| {
        let (x, y) = (Saved::operand(x), Saved::output(y, 0));
        move |c: &Context<'_>, g: &Tensor| {
            // Σ_j g_j e^(x_i - y_j) over j >= i, the positive and the negative gradients in logarithms.
            let (x, y) = (x.get(c.me)?, y.get(c.me)?);
            let along = || [axis].into_iter().collect();
            let part = |g: &Tensor| {
                // Where there is nothing, nothing is added, even relative to a log-sum of nothing. A NaN stays one.
                let none = g.try_le(0.0)?;
                let relative = choose(&none, 1.0, g)?.try_log()?.try_sub(&y)?;
                let turned = flip(&choose(&none, f64::NEG_INFINITY, &relative)?, along())?;
                flip(&running_log_sum(&turned, axis)?, along())?.try_add(&x)?.try_exp()
            };
            grads1(part(g)?.try_sub(&part(&g.try_neg()?)?)?)
        }
    })
}

twins! {
    /// The sum of the elements up to each one along an axis; integers and bools give i64.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]).cumsum(0).to_vec::<f32>(), [1.0, 3.0, 6.0]);
    /// ```
    fn cumsum / try_cumsum(&self, axis: isize) -> Tensor {
        single_laid_out("CumsumBackward0", &[self], &[], lies("CumsumBackward0", self, axis), |own| {
            let zero_rank = own[0].dim() == 0;
            over(&own[0], "cumsum", axis, |x, axis| {
                // From +0.0 on: no sum is -0.0.
                let x = accumulated(x)?;
                in_full(&x, |x| running_sum(&if zero_rank { x.clone() } else { x.try_add(0)? }, axis, false))
            })
        })
    }

    /// The product of the elements up to each one along an axis; integers and bools give i64. The gradient is right where
    /// elements are 0, too.
    fn cumprod / try_cumprod(&self, axis: isize) -> Tensor {
        let keeps = [Keeps::Operand(0), Keeps::Result(0)];
        single_laid_out("CumprodBackward0", &[self], &keeps, lies("CumprodBackward0", self, axis), |x| {
            over(&x[0], "cumprod", axis, |x, axis| {
                narrow(&running_product(x, axis)?, axis, Size::from(1), x.sizes()[axis])?.try_contiguous()
            })
        })
    }

    /// The largest of the elements up to each one along an axis, and its place (i64): the last of equals.
    fn cummax / try_cummax(&self, axis: isize) -> (Tensor, Tensor) {
        running(self, "cummax", axis, true)
    }

    /// The smallest of the elements up to each one along an axis, and its place (i64): the last of equals.
    fn cummin / try_cummin(&self, axis: isize) -> (Tensor, Tensor) {
        running(self, "cummin", axis, false)
    }

    /// The logarithm of the sum of e^x up to each element along an axis, where no step overflows. Floats only.
    fn logcumsumexp / try_logcumsumexp(&self, axis: isize) -> Tensor {
        let x = floating(self, "logcumsumexp")?;
        let (keeps, lies) = ([Keeps::Operand(0), Keeps::Result(0)], lies("LogcumsumexpBackward0", &x, axis));
        single_laid_out("LogcumsumexpBackward0", &[&x], &keeps, lies, |x| {
            let is_number = x[0].dim() == 0;
            over(&x[0], "logcumsumexp", axis, |x, axis| match is_number {
                // A number as it is: neither -0.0 nor what is large is rounded.
                true => copied("CloneBackward0", x),
                false => in_full(x, |x| running_log_sum(x, axis)),
            })
        })
    }
}

fn running(x: &Tensor, name: &'static str, axis: isize, largest: bool) -> Result<(Tensor, Tensor)> {
    let node = if largest { "CummaxBackward0" } else { "CumminBackward0" };
    pair(node, &[x], &[Keeps::Operand(0), Keeps::Result(1)], |x| running_parts(&x[0], name, axis, largest))
}

fn running_parts(x: &Tensor, name: &'static str, axis: isize, largest: bool) -> Result<(Tensor, Tensor)> {
    let (x1, axis) = along(x, name, axis)?;
    let (values, places) = running_extreme(&x1, axis, largest)?;
    match x.dim() {
        0 => Ok((values.reshape_sizes(&[])?, places.reshape_sizes(&[])?)),
        _ => Ok((values, places)),
    }
}
