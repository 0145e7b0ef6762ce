//! Losses between numbers and numbers: differences, and likelihoods of counts and normal variables.

use super::common::{Reduction, demand_float, no_bool, promoted, widened};
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::sizes::demand_equal;
use crate::ops::arg::{broadcast_size, broadcast_sizes};
use crate::ops::elementwise::{as_float, rounded};
use crate::ops::gather::{all_true, checked};
use crate::ops::single_node::{Keeps, single};
use crate::ops::{grads1, twin_fns};
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::DType;

/// `input - target`, which broadcast, in the dtype that losses are computed in, and the dtype of the loss.
fn difference(op: &'static str, input: &Tensor, target: &Tensor) -> Result<(Tensor, DType)> {
    let ([input, target], dtype) = together(op, input, target)?;
    demand_float(op, &input)?;
    Ok((input.try_sub(&target)?, dtype))
}

/// Both broadcast to one shape, then promoted: so a tensor without axes counts as much as the other.
fn together(op: &'static str, input: &Tensor, target: &Tensor) -> Result<([Tensor; 2], DType)> {
    // A loss of tensors of one shape is what nearly all programs mean: a trace that has one has it in every call, and leaves no
    // room for a target along which the input is repeated.
    if input.shape_hint() == target.shape_hint() {
        input.sizes().iter().zip(&target.sizes()).for_each(|(&a, &b)| _ = demand_equal(a, b));
    }
    let sizes = broadcast_sizes(op, input, target)?;
    if input.dtype() == target.dtype() || input.dim() == target.dim() {
        return promoted([input, target]);
    }
    promoted([&input.expand_sizes(&sizes)?, &target.expand_sizes(&sizes)?])
}

/// Squares as a half-precision float holds them, which PyTorch adds up: infinite where they are too large. Gradients go through as
/// they are.
fn overflowed(squares: Tensor, dtype: DType) -> Result<Tensor> {
    if !dtype.is_half() {
        return Ok(squares);
    }
    let held = || squares.try_to(dtype)?.try_to(squares.dtype());
    composite("ToCopyBackward0", &[Operand::Tensor(&squares)], held, |_| {
        |_: &Context<'_>, g: &Tensor| grads1(g.clone())
    })
}

/// Reduced, in the dtype of the loss.
pub(super) fn finish(losses: &Tensor, reduction: Reduction, dtype: DType) -> Result<Tensor> {
    let y = reduction.of(losses)?;
    if dtype.is_float() { rounded(&y, dtype, None) } else { Ok(y) }
}

const BOTH: [Keeps; 2] = [Keeps::Operand(0), Keeps::Operand(1)];

twin_fns! {
    /// The mean of the squared differences, a tensor without axes.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
    /// assert_eq!(mse_loss(&x, &Tensor::zeros(&[2], DType::F32)).item::<f32>(), 2.5);
    /// ```
    fn mse_loss / try_mse_loss(input: &Tensor, target: &Tensor) -> Tensor {
        try_mse_loss_with(input, target, Reduction::Mean)
    }

    /// The squared differences; as [`mse_loss`], with another reduction. Input and target broadcast, and are promoted as in
    /// arithmetic.
    fn mse_loss_with / try_mse_loss_with(input: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        single("MseLossBackward0", &[input, target], &BOTH, |t| {
            let (d, dtype) = difference("mse_loss", &t[0], &t[1])?;
            finish(&overflowed(d.try_square()?, dtype)?, reduction, dtype)
        })
    }

    /// The absolute differences; also of integers.
    fn l1_loss / try_l1_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        no_bool("l1_loss", &[input, target])?;
        let ([input, target], dtype) = together("l1_loss", input, target)?;
        finish(&input.try_sub(&target)?.try_abs()?, reduction, dtype)
    }

    /// `0.5 d² / beta` for differences below `beta`, and `|d| - 0.5 beta` above. PyTorch's default: beta = 1.
    fn smooth_l1_loss / try_smooth_l1_loss(input: &Tensor, target: &Tensor, beta: f64, reduction: Reduction) -> Tensor {
        if beta == 0.0 {
            return try_l1_loss(input, target, reduction);
        }
        if beta.is_nan() || beta < 0.0 {
            return Err(Error::operands("smooth_l1_loss", format!("beta must not be negative, got {beta}")));
        }
        single("SmoothL1LossBackward0", &[input, target], &BOTH, |t| {
            let (z, dtype) = difference("smooth_l1_loss", &t[0], &t[1])?;
            let z = z.try_abs()?;
            // The part below beta, squared, and the part above it: neither overflows, and one derivative is 0 where the other is not.
            let inner = z.try_minimum(beta)?;
            let losses = inner.try_square()?.try_mul(0.5 / beta)?.try_add(&z.try_sub(&inner)?)?;
            finish(&losses, reduction, dtype)
        })
    }

    /// `0.5 d²` for differences below `delta`, and `delta (|d| - 0.5 delta)` above. PyTorch's default: delta = 1. The loss is of
    /// the dtype of the input; where the target has another one, there is a loss but no gradient, as in PyTorch.
    fn huber_loss / try_huber_loss(input: &Tensor, target: &Tensor, delta: f64, reduction: Reduction) -> Tensor {
        if delta.is_nan() || delta <= 0.0 {
            return Err(Error::operands("huber_loss", format!("delta must be above 0, got {delta}")));
        }
        demand_float("huber_loss", input)?;
        single("HuberLossBackward0", &[input, target], &BOTH, |t| {
            let (z, _) = difference("huber_loss", &t[0], &t[1])?;
            let z = same_dtype("huber_loss", &t[0], &t[1], z)?.try_abs()?;
            let inner = z.try_minimum(delta)?;
            let losses = inner.try_square()?.try_mul(0.5)?.try_add(&z.try_sub(&inner)?.try_mul(delta)?)?;
            finish(&losses, reduction, t[0].dtype())
        })
    }

    /// The negative log likelihood of normal variables: `0.5 (log(max(var, eps)) + (input - target)² / max(var, eps))`, and
    /// with `full` the constant `0.5 log(2 π)` too. `var` has the shape of the input, or 1 for one of its axes, or lacks the last.
    /// No gradient flows through the maximum. PyTorch's defaults: not full, eps = 1e-6.
    fn gaussian_nll_loss / try_gaussian_nll_loss(
        input: &Tensor, target: &Tensor, var: &Tensor, full: bool, eps: f64, reduction: Reduction,
    ) -> Tensor {
        let op = "gaussian_nll_loss";
        demand_float(op, var)?;
        no_bool(op, &[input, target])?;
        let n = input.dim();
        let own = input.sizes();
        let lead = |t: &Tensor| t.dim() + 1 >= n && n > 0 && (0..n - 1).all(|i| t.has_size(i, own[i]));
        let var = match var.dim() + 1 == n && lead(var) {
            true => var.try_unsqueeze(-1)?,
            false => var.clone(),
        };
        // As PyTorch has it: one axis at most along which one variance is for all.
        let repeated = |i: &usize| var.sizes()[*i].hint() != own[*i].hint();
        let fits = var.dim() == n
            && (0..n).filter(repeated).count() <= 1
            && (0..n).all(|i| {
                (!repeated(&i) || var.sizes()[i].hint() == 1) && broadcast_size(own[i], var.sizes()[i]).is_some()
            });
        if !fits {
            return Err(Error::operands(
                op,
                format!("var {:?} does not go with input {:?}", var.shape_hint(), input.shape_hint()),
            ));
        }
        let inside = all_true(&var.try_lt(0.0)?.try_logical_not()?)?;
        let var = checked(&var, &inside, "gaussian_nll_loss: var has a negative element")?;
        let ([input, target, var], dtype) = promoted([input, target, &var])?;
        let clamped = composite("GaussianNllBackward0", &[Operand::Tensor(&var)], || var.try_clamp_min(eps), |_| {
            |_: &_, g: &Tensor| grads1(g.clone())
        })?;
        let d = input.try_sub(&target)?.try_square()?;
        let losses = clamped.try_log()?.try_add(&d.try_div(&clamped)?)?.try_mul(0.5)?;
        let losses = if full { losses.try_add(0.5 * (2.0 * std::f64::consts::PI).ln())? } else { losses };
        finish(&losses, reduction, dtype)
    }

    /// The negative log likelihood of counts: `exp(input) - target input` where the input is a logarithm, else
    /// `input - target log(input + eps)`; with `full`, Stirling's terms for targets above 1. PyTorch's defaults: log input,
    /// not full, eps = 1e-8.
    fn poisson_nll_loss / try_poisson_nll_loss(
        input: &Tensor, target: &Tensor, log_input: bool, full: bool, eps: f64, reduction: Reduction,
    ) -> Tensor {
        let bool = |t: &Tensor| t.dtype() == DType::Bool;
        // What is taken off something else must not be bool: products of two, inputs, targets.
        if (log_input && bool(input) && bool(target)) || (!log_input && bool(input)) || (full && bool(target)) {
            return no_bool("poisson_nll_loss", &[input, target]).map(|()| input.clone());
        }
        let (_, dtype) = promoted([&as_float(input)?, target])?;
        let (x, t) = (widened(input)?, widened(target)?);
        let mut losses = match log_input {
            true => x.try_exp()?.try_sub(&t.try_mul(&x)?)?,
            false => x.try_sub(&t.try_mul(&x.try_add(eps)?.try_log()?)?)?,
        };
        if full {
            // t log t - t + 0.5 log(2 π t); of 1 where it does not count, so that no derivative is infinite.
            let counts = t.try_gt(1.0)?;
            let s = t.try_where_self(&counts, &t.try_ones_like()?)?;
            let log = s.try_log()?;
            let half = s.try_mul(2.0 * std::f64::consts::PI)?.try_log()?.try_mul(0.5)?;
            let terms = s.try_mul(&log)?.try_sub(&s)?.try_add(&half)?;
            losses = losses.try_add(&terms.try_where_self(&counts, &terms.try_zeros_like()?)?)?;
        }
        finish(&losses, reduction, if dtype.is_half() { dtype } else { losses.dtype() })
    }
}

/// `x`, whose gradient asks that both have one dtype.
fn same_dtype(op: &'static str, input: &Tensor, target: &Tensor, x: Tensor) -> Result<Tensor> {
    let (a, b) = (input.dtype(), target.dtype());
    if a == b || !x.is_requires_grad() {
        return Ok(x);
    }
    composite(
        "HuberLossBackward0",
        &[Operand::Tensor(&x)],
        || x.try_mul(1.0),
        |_| {
            move |_: &_, _: &Tensor| {
                Err(Error::autograd(format!("{op} has gradients for one dtype only, got {a} and {b}")))
            }
        },
    )
}
