//! Lengths of vectors and what lies between two of them.

use super::common::widened;
use crate::error::Result;
use crate::ops::twin_fns;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// The p-norm along an axis, which stays with size 1. Where it is not smooth its gradient is 0, as in PyTorch.
pub(super) fn norm(x: &Tensor, p: f64, axis: isize) -> Result<Tensor> {
    let sum = |t: Tensor| t.try_sum_dim(&[axis], true);
    let magnitude = x.try_abs()?;
    if p == f64::INFINITY {
        return magnitude.try_amax(&[axis], true);
    }
    if p == f64::NEG_INFINITY {
        return magnitude.try_amin(&[axis], true);
    }
    if p == 0.0 {
        return sum(x.try_ne(0.0)?.try_to(x.dtype())?);
    }
    if p == 1.0 {
        return sum(magnitude);
    }
    // Where the root or the power has no slope, it is taken of 1, whose gradient leads nowhere.
    let guarded = |t: &Tensor, by: f64| -> Result<Tensor> {
        let flat = t.try_eq(0.0)?;
        let inner = t.ones_like().try_where_self(&flat, t)?.try_pow(by)?;
        t.zeros_like().try_add(if by < 0.0 { f64::INFINITY } else { 0.0 })?.try_where_self(&flat, &inner)
    };
    if p == 2.0 {
        return guarded(&sum(x.try_square()?)?, 0.5);
    }
    let powers = if p < 2.0 { guarded(&magnitude, p)? } else { magnitude.try_pow(p)? };
    guarded(&sum(powers)?, 1.0 / p)
}

fn as_float(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() { widened(x) } else { x.try_to(DType::F32) }
}

twin_fns! {
    /// Vectors along an axis divided by their p-norm, or by `eps` where it is smaller. PyTorch's defaults: p = 2,
    /// axis 1, eps = 1e-12.
    ///
    /// ```
    /// use allotrope::functional::normalize;
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![3.0f32, 4.0], &[1, 2]);
    /// assert_eq!(normalize(&x, 2.0, 1, 1e-12).to_vec::<f32>(), [0.6, 0.8]);
    /// ```
    fn normalize / try_normalize(input: &Tensor, p: f64, axis: isize, eps: f64) -> Tensor {
        let x = as_float(input)?;
        if x.dim() == 0 {
            return try_normalize(&x.try_unsqueeze(0)?, p, axis, eps)?.try_reshape(&[])?.try_to(input.dtype());
        }
        let y = x.try_div(&norm(&x, p, axis)?.try_maximum(eps)?)?;
        if input.dtype().is_float() { y.try_to(input.dtype()) } else { Ok(y) }
    }

    /// The cosine of the angle between vectors along an axis, of tensors that broadcast. PyTorch's defaults: axis 1,
    /// eps = 1e-8, the least length that is divided by.
    fn cosine_similarity / try_cosine_similarity(x1: &Tensor, x2: &Tensor, axis: isize, eps: f64) -> Tensor {
        let (a, b) = (as_float(x1)?, as_float(x2)?);
        // Broadcast first: an axis counts in the common shape.
        let product = a.try_mul(&b)?;
        let (a, b) = (a.try_expand_as(&product)?, b.try_expand_as(&product)?);
        if product.dim() == 0 {
            let lift = |t: &Tensor| t.try_unsqueeze(0);
            return try_cosine_similarity(&lift(&a)?, &lift(&b)?, axis, eps);
        }
        let length = |t: &Tensor| norm(t, 2.0, axis)?.try_maximum(eps);
        let (a, b) = (a.try_div(&length(&a)?)?, b.try_div(&length(&b)?)?);
        let y = a.try_mul(&b)?.try_sum_dim(&[axis], false)?;
        let back = crate::ops::arg::result_dtype(&[x1.into(), x2.into()]);
        if back.is_float() { y.try_to(back) } else { Ok(y) }
    }

    /// The p-norm of `x1 - x2 + eps` along the last axis. PyTorch's defaults: p = 2, eps = 1e-6, no axis kept.
    fn pairwise_distance / try_pairwise_distance(x1: &Tensor, x2: &Tensor, p: f64, eps: f64, keepdim: bool) -> Tensor {
        let d = as_float(x1)?.try_sub(&as_float(x2)?)?.try_add(eps)?;
        let y = if d.dim() == 0 { norm(&d.try_unsqueeze(0)?, p, -1)?.try_reshape(&[])? } else { norm(&d, p, -1)? };
        let y = match keepdim || d.dim() == 0 {
            true => y,
            false => y.reshape_sizes(&y.sizes()[..y.dim() - 1])?,
        };
        let back = crate::ops::arg::result_dtype(&[x1.into(), x2.into()]);
        if back.is_float() { y.try_to(back) } else { Ok(y) }
    }
}
