//! Vector norms over axes, with PyTorch's derivatives: 0 at 0, shared among equals of the infinity norm.

use super::elementwise::{floating, in_full, zero_where};
use super::reduce::{axes_of, extreme_axes, spread, sum_axes, with_axes_kept};
use super::single_node::{Keeps, single};
use super::{grads1, twins};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::laid_out;
use crate::mode::sizes::is_zero;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{Axes, ReduceOp};
use smallvec::smallvec;

/// The norm over sorted axes, which go.
fn value(x: &Tensor, p: f64, axes: &Axes) -> Result<Tensor> {
    let size = x.try_abs()?;
    match p {
        0.0 => sum_axes(&x.try_ne(0.0)?.try_to(x.dtype())?, axes.clone()),
        1.0 => sum_axes(&size, axes.clone()),
        2.0 => sum_axes(&x.try_mul(x)?, axes.clone())?.try_sqrt(),
        f64::INFINITY => extreme_axes(&size, ReduceOp::Max, axes),
        f64::NEG_INFINITY => extreme_axes(&size, ReduceOp::Min, axes),
        p => sum_axes(&size.try_pow(p)?, axes.clone())?.try_pow(1.0 / p),
    }
}

/// The gradient of `x`, from that of the norm and the norm, both broadcast back over the axes.
fn gradient(x: &Tensor, y: &Tensor, g: &Tensor, p: f64, axes: &Axes) -> Result<Tensor> {
    let size = || x.try_abs();
    let at_zero = || y.try_eq(0.0);
    match p {
        1.0 => x.try_sign()?.try_mul(g),
        2.0 => g.try_mul(&zero_where(&at_zero()?, &x.try_div(y)?)?),
        p if p.is_infinite() => {
            let hit = size()?.try_eq(y)?.try_logical_or(&y.try_isnan()?.try_logical_and(&x.try_isnan()?)?)?;
            let hit = hit.try_to(g.dtype())?;
            let count = spread(&sum_axes(&hit, axes.clone())?, &x.sizes(), axes)?;
            x.try_sign()?.try_mul(&g.try_div(&count)?.try_mul(&hit)?)
        }
        p if p < 1.0 => {
            let derivative = x.try_sign()?.try_mul(&size()?.try_pow(p - 1.0)?)?;
            zero_where(&x.try_eq(0.0)?, &derivative)?.try_mul(g)?.try_mul(&y.try_pow(1.0 - p)?)
        }
        p => {
            let derivative = match p < 2.0 {
                true => x.try_sign()?.try_mul(&size()?.try_pow(p - 1.0)?)?,
                false => x.try_mul(&size()?.try_pow(p - 2.0)?)?,
            };
            derivative.try_mul(&zero_where(&at_zero()?, &g.try_div(&y.try_pow(p - 1.0)?)?)?)
        }
    }
}

fn norm(x: &Tensor, p: f64, axes: &[isize], keepdim: bool) -> Result<Tensor> {
    let axes = axes_of(x, "norm", axes)?;
    let x = floating(x, "norm")?;
    if p.is_nan() {
        return Err(Error::operands("norm", "the order must not be NaN"));
    }
    if p < 0.0 || p.is_infinite() {
        let own = x.sizes();
        if axes.iter().any(|&a| is_zero(own[a])) {
            return Err(Error::operands(
                "norm",
                format!("of order {p} has no value over an empty axis of shape {:?}", x.shape_hint()),
            ));
        }
    }
    single("LinalgVectorNormBackward0", &[&x], &[Keeps::Operand(0), Keeps::Result(0)], |x| {
        in_full(&x[0], |x| {
            let at = axes.clone();
            let y = composite(
                "LinalgVectorNormBackward0",
                &[Operand::Tensor(x)],
                || value(x, p, &axes),
                |y| {
                    let (x, y) = (Saved::operand(x), Saved::output(y, 0));
                    move |c: &Context<'_>, g: &Tensor| {
                        let (x, y) = (x.get(c.me)?, y.get(c.me)?);
                        // How many there are depends on no element: not even a zero comes back, as in PyTorch.
                        if p == 0.0 {
                            return Ok(smallvec![None]);
                        }
                        let own = x.sizes();
                        let gradient = gradient(&x, &spread(&y, &own, &at)?, &spread(g, &own, &at)?, p, &at)?;
                        grads1(laid_out(gradient, LayoutRule::Elementwise, &[Operand::Tensor(&x)])?)
                    }
                },
            )?;
            with_axes_kept(y, x, &axes, keepdim)
        })
    })
}

twins! {
    /// The Euclidean length of all elements: the root of the sum of their squares.
    fn norm / try_norm(&self) -> Tensor {
        norm(self, 2.0, &[], false)
    }

    /// The norm of order `p` over some axes (none named means all): (Σ |x|^p)^(1/p); for 0 the number of elements that
    /// are not 0, for ±∞ the largest or the smallest |x|. Floats only.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![3.0f32, -4.0], &[2]);
    /// assert_eq!(x.norm().item::<f32>(), 5.0);
    /// assert_eq!(x.norm_dim(f64::INFINITY, &[0], false).item::<f32>(), 4.0);
    /// ```
    fn norm_dim / try_norm_dim(&self, p: f64, axes: &[isize], keepdim: bool) -> Tensor {
        norm(self, p, axes, keepdim)
    }

    /// The norm of order `p` of `self - other`, which broadcast; PyTorch's default is p = 2.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (x, y) = (Tensor::from_vec(vec![1.0f32, 2.0], &[2]), Tensor::scalar(-2.0f32));
    /// assert_eq!(x.dist(&y, 2.0).item::<f32>(), 5.0);
    /// ```
    fn dist / try_dist(&self, other: &Tensor, p: f64) -> Tensor {
        let keeps = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Result(0)];
        single("DistBackward0", &[self, other], &keeps, |x| norm(&x[0].try_sub(&x[1])?, p, &[], false))
    }

    /// As [`Tensor::norm_dim`]; PyTorch's `linalg.vector_norm`.
    fn vector_norm / try_vector_norm(&self, ord: f64, axes: &[isize], keepdim: bool) -> Tensor {
        norm(self, ord, axes, keepdim)
    }
}
