//! Variances and standard deviations, in two passes: the mean first, then the squares of the differences from it.

use super::elementwise::{choose, floating, zero_where};
use super::reduce::{axes_of, count, size_tensor, spread, sum_axes, with_axes_kept};
use super::single_node::{Keeps, pair, single};
use super::{grads1, twins};
use crate::autograd::record::{composite, differentiable};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::Result;
use crate::mode::layout::laid_out;
use crate::mode::sizes::{demand_at_least, specialize};
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Axes, DType, Op, UnaryOp};

/// x / max(0, n - correction), where n may be symbolic; computed in f64 and rounded to the dtype in both modes. Of nothing, 0 / 0.
fn divide(x: &Tensor, n: Size, correction: f64) -> Result<Tensor> {
    match n.is_symbolic() {
        false if n.hint() == 0 => x.try_div(0.0),
        false => x.try_div((n.hint() as f64 - correction).max(0.0)),
        true => {
            let count = size_tensor(n, DType::F64)?;
            let freedom = count.try_sub(correction)?.try_clamp_min(0.0)?;
            let freedom = if correction < 0.0 { freedom.try_mul(&count.try_clamp_max(1.0)?)? } else { freedom };
            x.try_div(&freedom.try_to(x.dtype())?)
        }
    }
}

/// x / (n - correction), which may be 0 or below.
fn by_freedom(x: &Tensor, n: Size, correction: f64) -> Result<Tensor> {
    match n.is_symbolic() {
        false => x.try_div(n.hint() as f64 - correction),
        true => x.try_div(&size_tensor(n, DType::F64)?.try_sub(correction)?),
    }
}

/// Whether n > correction; a trace holds for calls with the same answer.
fn exceeds(n: Size, correction: f64) -> bool {
    let is = n.hint() as f64 > correction;
    match is {
        true => demand_at_least(n, (correction.floor() + 1.0).max(0.0) as usize),
        false => specialize(&[n], "a variance of no more elements than its correction"),
    }
    is
}

/// The mean over the axes, broadcast back over them.
fn mean(x: &Tensor, axes: &Axes) -> Result<Tensor> {
    let mean = super::reduce::divide_by_size(&sum_axes(x, axes.clone())?, count(x, axes))?;
    spread(&mean, &x.sizes(), axes)
}

/// The variance over sorted axes, which the result does not have.
fn variance(x: &Tensor, axes: &Axes, correction: f64, named: bool) -> Result<Tensor> {
    let compute = || {
        let rest = x.try_sub(&mean(x, axes)?)?;
        divide(&sum_axes(&rest.try_mul(&rest)?, axes.clone())?, count(x, axes), correction)
    };
    let axes = axes.clone();
    composite("VarBackward0", &[Operand::Tensor(x)], compute, |_| {
        let x = Saved::operand(x);
        move |c: &Context<'_>, g: &Tensor| {
            let x = x.get(c.me)?;
            let (n, g) = (count(&x, &axes), spread(g, &x.sizes(), &axes)?);
            let mean = mean(&x, &axes)?;
            let lies =
                |gradient| laid_out(gradient, LayoutRule::Elementwise, &[Operand::Tensor(&g), Operand::Tensor(&x)]);
            // Where axes are named PyTorch divides by whatever is left, else it has a convention.
            if named {
                return grads1(lies(by_freedom(&g.try_mul(2.0)?, n, correction)?.try_mul(&x.try_sub(&mean)?)?)?);
            }
            if exceeds(n, correction) {
                return grads1(lies(divide(&g.try_mul(2.0)?, n, correction)?.try_mul(&x.try_sub(&mean)?)?)?);
            }
            // PyTorch's convention where the divisor is 0.
            let derivative = x.try_ones_like()?.try_mul(f64::INFINITY)?;
            grads1(g.try_mul(&choose(&x.try_eq(&mean)?, f64::NAN, &derivative)?)?)
        }
    })
}

/// A square root whose derivative at 0 is 0: that of a norm or a standard deviation, which has a minimum there.
fn root(x: &Tensor) -> Result<Tensor> {
    differentiable(&Op::Unary(UnaryOp::Sqrt), "StdBackward0", &[Operand::Tensor(x)], |y| {
        let y = Saved::output(y, 0);
        move |c: &Context<'_>, g: &Tensor| {
            let y = y.get(c.me)?;
            grads1(zero_where(&y.try_eq(0.0)?, &g.try_div(&y.try_mul(2.0)?)?)?)
        }
    })
}

fn spreads(
    x: &Tensor,
    name: &'static str,
    axes: &[isize],
    correction: f64,
    keepdim: bool,
    std: bool,
) -> Result<Tensor> {
    let (node, keeps): (_, &[Keeps]) = match std {
        true => ("StdBackward0", &[Keeps::Operand(0), Keeps::Result(0)]),
        false => ("VarBackward0", &[Keeps::Operand(0)]),
    };
    single(node, &[x], keeps, |x| spread_of(&x[0], name, axes, correction, keepdim, std))
}

fn spread_of(
    x: &Tensor,
    name: &'static str,
    axes: &[isize],
    correction: f64,
    keepdim: bool,
    std: bool,
) -> Result<Tensor> {
    let named = !axes.is_empty() && x.dim() > 0;
    let axes = axes_of(x, name, axes)?;
    // In f64, as PyTorch does: no square of an f32 overflows or vanishes there.
    let wide = floating(x, name)?.try_to(DType::F64)?;
    let variance = variance(&wide, &axes, correction, named)?;
    with_axes_kept(if std { root(&variance)? } else { variance }, x, &axes, keepdim)?.try_to(x.dtype())
}

/// The mean that comes with a variance. PyTorch's follows the elements one by one in f64 and loses itself at an infinity, unless that is
/// the only element.
fn running_mean(x: &Tensor, axes: &[isize], keepdim: bool) -> Result<Tensor> {
    let wide = floating(x, "mean")?.try_to(DType::F64)?;
    let mean = wide.try_mean_dim(axes, keepdim)?;
    let n = count(x, &axes_of(x, "mean", axes)?);
    // Asked of a tensor also where the size is a number: a trace that holds for every size must add alike.
    let lost = mean.detach().try_isinf()?.try_logical_and(&size_tensor(n, DType::I64)?.try_ne(1)?)?;
    mean.try_add(&choose(&lost, f64::NAN, &mean.detach().try_zeros_like()?)?)?.try_to(x.dtype())
}

twins! {
    /// The unbiased variance of all elements: the sum of the squared distances to the mean, divided by n - 1. NaN where
    /// there are fewer than two.
    fn var / try_var(&self) -> Tensor {
        spreads(self, "var", &[], 1.0, false, false)
    }

    /// The variance over some axes (none named means all), divided by n - `correction` (or 0, where that is negative):
    /// 1 for the unbiased one, 0 for that of a whole population. Floats only.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 3.0, 2.0, 2.0], &[2, 2]);
    /// assert_eq!(x.var_dim(&[1], 1.0, false).to_vec::<f32>(), [2.0, 0.0]);
    /// ```
    fn var_dim / try_var_dim(&self, axes: &[isize], correction: f64, keepdim: bool) -> Tensor {
        spreads(self, "var", axes, correction, keepdim, false)
    }

    /// The square root of [`Tensor::var`]; its derivative at 0 is 0.
    fn std / try_std(&self) -> Tensor {
        spreads(self, "std", &[], 1.0, false, true)
    }

    /// The square root of [`Tensor::var_dim`]; its derivative at 0 is 0.
    fn std_dim / try_std_dim(&self, axes: &[isize], correction: f64, keepdim: bool) -> Tensor {
        spreads(self, "std", axes, correction, keepdim, true)
    }

    /// Variance and mean over some axes (none named means all); see [`Tensor::var_dim`].
    fn var_mean / try_var_mean(&self, axes: &[isize], correction: f64, keepdim: bool) -> (Tensor, Tensor) {
        pair("VarMeanBackward0", &[self], &[Keeps::Operand(0)], |x| {
            Ok((x[0].try_var_dim(axes, correction, keepdim)?, running_mean(&x[0], axes, keepdim)?))
        })
    }

    /// Standard deviation and mean over some axes (none named means all); see [`Tensor::std_dim`].
    fn std_mean / try_std_mean(&self, axes: &[isize], correction: f64, keepdim: bool) -> (Tensor, Tensor) {
        pair("StdMeanBackward0", &[self], &[Keeps::Operand(0), Keeps::Result(0)], |x| {
            Ok((x[0].try_std_dim(axes, correction, keepdim)?, running_mean(&x[0], axes, keepdim)?))
        })
    }
}
