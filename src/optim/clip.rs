//! Gradients kept within bounds, all of them together or each element. Optimizers know nothing of it.

use super::rule::working;
use crate::autograd::no_grad;
use crate::error::{Error, Result, must};
use crate::mode::is_recording;
use crate::ops::try_cat;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// The norm of order `norm_type` of all elements of `tensors` together, as `torch.nn.utils.get_total_norm`: the norm of the norms. 2 is
/// PyTorch's default; `f64::INFINITY` is the largest element. A tensor without axes; 0 (f32) for no tensors.
///
/// ```
/// use allotrope::{optim::get_total_norm, prelude::*};
/// let all = [Tensor::full(&[1], 3.0f32), Tensor::full(&[1], 4.0f32)];
/// assert_eq!(get_total_norm(&all, 2.0).item::<f32>(), 5.0);
/// ```
///
/// # Panics
/// Where [`try_get_total_norm`] fails.
#[track_caller]
pub fn get_total_norm(tensors: &[Tensor], norm_type: f64) -> Tensor {
    must(try_get_total_norm(tensors, norm_type))
}

/// As [`get_total_norm`].
///
/// # Errors
/// When the tensors are not floating-point ones on one device, or the order is not a number.
pub fn try_get_total_norm(tensors: &[Tensor], norm_type: f64) -> Result<Tensor> {
    let Some(first) = tensors.first() else { return Ok(Tensor::scalar(0.0f32)) };
    let norms = tensors.iter().map(|t| t.detach().try_vector_norm(norm_type, &[], false)?.try_reshape(&[1]));
    let norms = norms.collect::<Result<Vec<Tensor>>>()?;
    let widest = norms.iter().map(Tensor::dtype).max_by_key(|t| (*t == DType::F64, !t.is_half()));
    let dtype = match widest {
        // Halves of both kinds meet in f32.
        Some(t) if t.is_half() && norms.iter().any(|n| n.dtype() != t) => DType::F32,
        Some(t) => t,
        None => first.dtype(),
    };
    let norms = norms.iter().map(|n| n.try_to(dtype)).collect::<Result<Vec<Tensor>>>()?;
    try_cat(&norms.iter().collect::<Vec<_>>(), 0)?.try_vector_norm(norm_type, &[], false)
}

/// Scales the gradients of `parameters` so that their total norm is at most `max_norm`, as `torch.nn.utils.clip_grad_norm_`, and gives the
/// norm from before: by max_norm / (norm + 1e-6), where that is below 1. It works inside a trace; `error_if_nonfinite` has an
/// answer between calls only.
///
/// ```
/// use allotrope::{optim::clip_grad_norm_, prelude::*};
/// let w = Tensor::ones(&[4], DType::F32).requires_grad();
/// (&w * 5.0).sum().backward();
/// assert_eq!(clip_grad_norm_(&[w.clone()], 1.0, 2.0, false).item::<f32>(), 10.0);
/// assert!((w.grad().unwrap().norm().item::<f32>() - 1.0).abs() < 1e-6);
/// ```
///
/// # Panics
/// Where [`try_clip_grad_norm_`] fails.
#[track_caller]
pub fn clip_grad_norm_(parameters: &[Tensor], max_norm: f64, norm_type: f64, error_if_nonfinite: bool) -> Tensor {
    must(try_clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite))
}

/// As [`clip_grad_norm_`].
///
/// # Errors
/// When an argument is not a number, and with `error_if_nonfinite` when the norm is not finite, or inside a trace. The gradients
/// stay as they were.
pub fn try_clip_grad_norm_(
    parameters: &[Tensor],
    max_norm: f64,
    norm_type: f64,
    error_if_nonfinite: bool,
) -> Result<Tensor> {
    if max_norm.is_nan() || norm_type.is_nan() {
        return Err(Error::argument(format!(
            "clip_grad_norm_: max_norm and norm_type must be numbers, got {max_norm} and {norm_type}"
        )));
    }
    if error_if_nonfinite && is_recording() {
        return Err(Error::trace(
            "clip_grad_norm_ with error_if_nonfinite asks whether the norm is finite, which is not known before a call; use false, and look at the norm between the calls",
        ));
    }
    no_grad(|| {
        let grads: Vec<Tensor> = parameters.iter().filter_map(Tensor::grad).collect();
        let norm = try_get_total_norm(&grads, norm_type)?;
        if error_if_nonfinite && !norm.to(DType::F64).try_item::<f64>()?.is_finite() {
            return Err(Error::argument(format!(
                "clip_grad_norm_: the total norm of order {norm_type} of the gradients is not finite, so they cannot be clipped; error_if_nonfinite = false scales them anyway"
            )));
        }
        let factor = (max_norm / &(&norm + 1e-6)).try_clamp_max(1.0)?;
        for g in &grads {
            g.try_copy_(&g.try_mul(&factor)?.try_to(g.dtype())?)?;
        }
        Ok(norm)
    })
}

/// Keeps every element of the gradients within ±`clip_value`, as `torch.nn.utils.clip_grad_value_`. It works inside a trace.
///
/// ```
/// use allotrope::{optim::clip_grad_value_, prelude::*};
/// let w = Tensor::ones(&[2], DType::F32).requires_grad();
/// (&w * Tensor::from_vec(vec![0.25f32, -3.0], &[2])).sum().backward();
/// clip_grad_value_(&[w.clone()], 0.5);
/// assert_eq!(w.grad().unwrap().to_vec::<f32>(), [0.25, -0.5]);
/// ```
///
/// # Panics
/// Where [`try_clip_grad_value_`] fails.
#[track_caller]
pub fn clip_grad_value_(parameters: &[Tensor], clip_value: f64) {
    must(try_clip_grad_value_(parameters, clip_value));
}

/// As [`clip_grad_value_`].
///
/// # Errors
/// When the bound is negative or no number.
pub fn try_clip_grad_value_(parameters: &[Tensor], clip_value: f64) -> Result<()> {
    if clip_value.is_nan() || clip_value < 0.0 {
        return Err(Error::argument(format!("clip_grad_value_: the bound must be at least 0, got {clip_value}")));
    }
    no_grad(|| {
        parameters.iter().filter_map(Tensor::grad).try_for_each(|g| g.try_clamp_(-clip_value, clip_value).map(drop))
    })
}

/// Scales the gradients by max_norm over a norm that is known already, as `torch.nn.utils.clip_grads_with_norm_`.
///
/// # Errors
/// When `max_norm` is not a number, or the norm is not one number.
pub fn try_clip_grads_with_norm_(parameters: &[Tensor], max_norm: f64, total_norm: &Tensor) -> Result<()> {
    if max_norm.is_nan() || total_norm.dim() != 0 {
        return Err(Error::argument(format!(
            "clip_grads_with_norm_: needs a number and a norm without axes, got {max_norm} and a norm of shape {:?}",
            total_norm.shape_hint()
        )));
    }
    no_grad(|| {
        let total = total_norm.try_to(working(total_norm.dtype()))?;
        let factor = (max_norm / &(&total + 1e-6)).try_clamp_max(1.0)?;
        for g in parameters.iter().filter_map(Tensor::grad) {
            g.try_copy_(&g.try_mul(&factor)?.try_to(g.dtype())?)?;
        }
        Ok(())
    })
}
