//! Order statistics: medians, quantiles and the most frequent element, read off the sorted order. Where the middle lies is computed
//! on tensors, so that a trace holds for every size.

use super::arg::Arg;
use super::elementwise::{choose, numeric};
use super::gather::{all_true, argsort, checked, gather, scatter};
use super::movement::{concat, narrow};
use super::reduce::{along, size_tensor, sum_axes, with_axes_kept, without_axes};
use super::single_node::{Keeps, pair};
use super::{grads1, twins};
use crate::autograd::no_grad;
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::sizes::{is_zero, numel};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Axes, DType, Scalar, ScatterOp};

/// What a quantile between two elements is, PyTorch's `interpolation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// On the line between both.
    #[default]
    Linear,
    /// The smaller one.
    Lower,
    /// The larger one.
    Higher,
    /// The middle of both.
    Midpoint,
    /// The nearer one; of two as near, the one at an even place.
    Nearest,
}

/// What PyTorch lets one say about a quantile; the default is of all elements, interpolated linearly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuantileOptions {
    /// The axis along which it is taken; of all elements where none is named.
    pub dim: Option<isize>,
    /// Whether that axis, or all, stay with size 1.
    pub keepdim: bool,
    /// What it is between two elements.
    pub interpolation: Interpolation,
}

fn only(axis: usize) -> Axes {
    [axis].into_iter().collect()
}

/// That the axis has elements.
fn nonempty(name: &'static str, x: &Tensor, axis: usize) -> Result<()> {
    match is_zero(x.sizes()[axis]) {
        true => Err(Error::operands(name, format!("has no value over an empty axis of shape {:?}", x.shape_hint()))),
        false => Ok(()),
    }
}

/// How many NaN there are along an axis, which stays with size 1.
fn nans(x: &Tensor, axis: usize) -> Result<Tensor> {
    let count = sum_axes(&x.detach().try_isnan()?.try_to(DType::I64)?, only(axis))?;
    with_axes_kept(count, x, &only(axis), true)
}

/// The place of the lower median along an axis, which stays with size 1.
fn middle(name: &'static str, x: &Tensor, axis: usize, skips: bool) -> Result<Tensor> {
    nonempty(name, x, axis)?;
    no_grad(|| {
        let order = argsort(&x.detach(), axis, false)?;
        let (n, nans) = (size_tensor(x.sizes()[axis], DType::I64)?, nans(x, axis)?);
        let numbers = n.try_sub(&nans)?;
        let half = |n: &Tensor| n.try_sub(1)?.try_clamp_min(0)?.try_floor_divide(2);
        let k = match skips {
            true => half(&numbers)?,
            // A NaN is the median of all among which it is: the first one.
            false => choose(&nans.try_gt(0)?, &numbers, &half(&n)?.expand_sizes(&numbers.sizes())?)?,
        };
        gather(&order, &k, axis)
    })
}

/// Values at places along an axis, and those; of a tensor with or without that axis.
fn at_places(own: &Tensor, x: &Tensor, places: Tensor, axis: usize, keepdim: bool) -> Result<(Tensor, Tensor)> {
    let values = gather(x, &places, axis)?;
    if keepdim && own.dim() > 0 {
        return Ok((values, places));
    }
    let sizes = without_axes(&x.sizes(), &only(axis));
    Ok((values.reshape_sizes(&sizes)?, places.reshape_sizes(&sizes)?))
}

fn median_along(x: &Tensor, axis: isize, keepdim: bool, skips: bool) -> Result<(Tensor, Tensor)> {
    let (name, node) = if skips { ("nanmedian", "NanmedianBackward1") } else { ("median", "MedianBackward1") };
    numeric(x, name)?;
    pair(node, &[x], &[Keeps::Result(1)], |own| {
        let (x, axis) = along(&own[0], name, axis)?;
        let places = middle(name, &x, axis, skips)?;
        at_places(&own[0], &x, places, axis, keepdim)
    })
}

fn median_of_all(x: &Tensor, skips: bool) -> Result<Tensor> {
    let (name, node) = if skips { ("nanmedian", "NanmedianBackward0") } else { ("median", "MedianBackward0") };
    numeric(x, name)?;
    let compute = || {
        let flat = x.reshape_sizes(&[numel(&x.sizes())])?;
        if x.dtype().is_float() && is_zero(flat.sizes()[0]) {
            return full_of(&[], Scalar::from_f64(f64::NAN, x.dtype()));
        }
        gather(&flat, &middle(name, &flat, 0, skips)?, 0)?.reshape_sizes(&[])
    };
    composite(node, &[Operand::Tensor(x)], compute, |y| {
        let (x, y) = (Saved::operand(x), Saved::output(y, 0));
        move |c: &Context<'_>, g: &Tensor| {
            // Elements equal to the median share its gradient, as in PyTorch.
            let (x, y) = (x.get(c.me)?.detach(), y.get(c.me)?.detach());
            let hit = x.try_eq(&y)?.try_logical_or(&x.try_isnan()?.try_logical_and(&y.try_isnan()?)?)?;
            let hit = hit.try_to(g.dtype())?;
            grads1(hit.try_mul(&g.try_div(&hit.try_sum()?)?)?)
        }
    })
}

fn quantile(name: &'static str, x: &Tensor, q: Arg<'_>, options: QuantileOptions, skips: bool) -> Result<Tensor> {
    let QuantileOptions { dim, keepdim, interpolation } = options;
    if !matches!(x.dtype(), DType::F32 | DType::F64) {
        return Err(Error::operands(name, format!("takes f32 or f64, got {}", x.dtype())));
    }
    let outside = "must lie between 0 and 1";
    let q = match q {
        Arg::Number(n) if (0.0..=1.0).contains(&n.to_f64()) => full_of(&[], n.to(x.dtype()))?,
        Arg::Number(n) => return Err(Error::operands(name, format!("q {outside}, got {}", n.to_f64()))),
        Arg::Tensor(q) if q.dim() > 1 || q.dtype() != x.dtype() => {
            let (own, given, shape) = (x.dtype(), q.dtype(), q.shape_hint());
            return Err(Error::operands(name, format!("q must be {own} with one axis at most, got {given}{shape:?}")));
        }
        Arg::Tensor(q) => {
            let inside = q.detach().try_ge(0.0)?.try_logical_and(&q.detach().try_le(1.0)?)?;
            checked(q, &all_true(&inside)?, &format!("{name}: q {outside}"))?
        }
    };
    let (flat, axis) = match dim {
        None => (x.reshape_sizes(&[numel(&x.sizes())])?, 0),
        Some(axis) => along(x, name, axis)?,
    };
    nonempty(name, &flat, axis)?;
    // The axis last, and in the results the quantiles there.
    let last = flat.dim() - 1;
    let sorted = flat.try_movedim(&[axis as isize], &[-1])?.try_sort(-1, false)?.0;
    let (n, nans) = (size_tensor(sorted.sizes()[last], DType::F64)?, nans(&sorted, last)?);
    // Ranks in f64, as PyTorch has them.
    let levels = q.try_atleast_1d()?.try_to(DType::F64)?;
    let top = n.try_sub(1.0)?;
    let ranks = match skips {
        true => levels.try_mul(&top.try_sub(&nans.try_to(DType::F64)?)?)?.try_clamp_min(0.0)?,
        false => {
            let ranks = levels.try_mul(&top)?;
            let mut sizes = nans.sizes();
            sizes[last] = levels.sizes()[0];
            choose(&nans.try_gt(0)?, &top, &ranks.expand_sizes(&sizes)?)?
        }
    };
    let ranks = match interpolation {
        Interpolation::Lower => ranks.try_floor()?,
        Interpolation::Higher => ranks.try_ceil()?,
        Interpolation::Nearest => ranks.try_round()?,
        Interpolation::Linear | Interpolation::Midpoint => ranks,
    };
    let below = ranks.detach().try_floor()?;
    let at = |places: &Tensor| gather(&sorted, &places.try_to(DType::I64)?, last);
    let low = at(&below)?;
    let values = match interpolation {
        Interpolation::Linear => {
            low.try_lerp(&at(&ranks.detach().try_ceil()?)?, &ranks.try_sub(&below)?.try_to(x.dtype())?)?
        }
        Interpolation::Midpoint => low.try_lerp(&at(&ranks.detach().try_ceil()?)?, &low.try_full_like(0.5)?)?,
        Interpolation::Lower | Interpolation::Higher | Interpolation::Nearest => low,
    };
    let values = values.try_movedim(&[-1], &[0])?;
    let (own, one) = (x.sizes(), Size::from(1));
    let mut sizes: Sizes = if q.dim() == 1 { q.sizes() } else { Sizes::new() };
    sizes.extend(own.iter().enumerate().filter_map(|(i, &n)| match dim.is_some() && i != axis {
        true => Some(n),
        false => keepdim.then_some(one),
    }));
    values.reshape_sizes(&sizes)
}

/// The place of the most frequent element along an axis, which stays with size 1: of the smallest of them, the last place.
fn most_frequent(x: &Tensor, axis: usize) -> Result<Tensor> {
    nonempty("mode", x, axis)?;
    no_grad(|| {
        let x = if x.dtype() == DType::Bool { x.try_to(DType::U8)? } else { x.detach() };
        let (n, one) = (x.sizes()[axis], Size::from(1));
        let order = argsort(&x, axis, false)?;
        let sorted = gather(&x, &order, axis)?;
        let rest = n.minus(one);
        let other = narrow(&sorted, axis, one, rest)?.try_ne(&narrow(&sorted, axis, Size::from(0), rest)?)?;
        let mut sizes = x.sizes();
        sizes[axis] = one;
        let begins = concat(&[&full_of(&sizes, Scalar::Bool(false))?, &other], axis)?;
        // Which run of equals each element is in, how long the runs are, and where the first of the longest ends.
        let run = begins.try_to(DType::I64)?.try_cumsum(axis as isize)?;
        let lengths = scatter(ScatterOp::Add, &run.try_zeros_like()?, &run, &run.try_ones_like()?, axis)?;
        let ends = lengths.try_cumsum(axis as isize)?.try_sub(1)?;
        gather(&order, &gather(&ends, &lengths.try_argmax_dim(axis as isize, true)?, axis)?, axis)
    })
}

twins! {
    /// The median of all elements, the lower one of two; NaN where one is. Elements equal to it share its gradient.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::from_vec(vec![3.0f32, 1.0, 2.0, 9.0], &[4]).median().item::<f32>(), 2.0);
    /// ```
    fn median / try_median(&self) -> Tensor {
        median_of_all(self, false)
    }

    /// The medians along an axis, the lower one of two, and their places (i64); NaN where one is. The gradient goes to those places.
    fn median_dim / try_median_dim(&self, axis: isize, keepdim: bool) -> (Tensor, Tensor) {
        median_along(self, axis, keepdim, false)
    }

    /// As [`Tensor::median`] of the elements that are not NaN; NaN where there is none.
    fn nanmedian / try_nanmedian(&self) -> Tensor {
        median_of_all(self, true)
    }

    /// As [`Tensor::median_dim`] of the elements that are not NaN; NaN where there is none.
    fn nanmedian_dim / try_nanmedian_dim(&self, axis: isize, keepdim: bool) -> (Tensor, Tensor) {
        median_along(self, axis, keepdim, true)
    }

    /// The elements below which the part `q` of all lies, from 0 to 1: of one number, or of a vector of them (of this dtype), which is
    /// then the first axis of the result. NaN where an element is. For f32 and f64.
    ///
    /// ```
    /// use allotrope::ops::{Interpolation, QuantileOptions};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![0.0f32, 1.0, 2.0, 3.0], &[4]);
    /// assert_eq!(x.quantile(0.5, QuantileOptions::default()).item::<f32>(), 1.5);
    /// let lower = QuantileOptions { interpolation: Interpolation::Lower, ..Default::default() };
    /// assert_eq!(x.quantile(0.5, lower).item::<f32>(), 1.0);
    /// ```
    fn quantile / try_quantile<'a>(&self, q: impl Into<Arg<'a>>, options: QuantileOptions) -> Tensor {
        quantile("quantile", self, q.into(), options, false)
    }

    /// As [`Tensor::quantile`] of the elements that are not NaN; NaN where there is none.
    fn nanquantile / try_nanquantile<'a>(&self, q: impl Into<Arg<'a>>, options: QuantileOptions) -> Tensor {
        quantile("nanquantile", self, q.into(), options, true)
    }

    /// The most frequent elements along an axis, of several the smallest, and their places (i64), of several the last. The gradient
    /// goes to those places.
    fn mode / try_mode(&self, axis: isize, keepdim: bool) -> (Tensor, Tensor) {
        pair("ModeBackward0", &[self], &[Keeps::Result(1)], |own| {
            let (x, axis) = along(&own[0], "mode", axis)?;
            let places = most_frequent(&x, axis)?;
            at_places(&own[0], &x, places, axis, keepdim)
        })
    }
}
