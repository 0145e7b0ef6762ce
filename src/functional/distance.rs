//! Lengths of vectors and what lies between two of them.

use super::common::{demand_float, promoted, widened};
use crate::error::{Error, Result};
use crate::ops::elementwise::rounded;
use crate::ops::single_node::{Keeps, single};
use crate::ops::twin_fns;
use crate::tensor::Tensor;
use allotrope_ir::DType;

fn as_float(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() { widened(x) } else { x.try_to(DType::F32) }
}

/// The least length that is divided by, as the dtype of the vectors holds it: in f16 PyTorch's defaults are 0, so that nothing over
/// nothing is NaN.
fn held(eps: f64, dtype: DType) -> f64 {
    if dtype == DType::F16 { half::f16::from_f64(eps).to_f64() } else { eps }
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
        demand_float("normalize", input)?;
        let (x, eps) = (widened(input)?, held(eps, input.dtype()));
        if x.dim() == 0 {
            let row = try_normalize(&x.try_unsqueeze(0)?, p, axis, eps)?;
            return rounded(&row.reshape_as_node("DivBackward0", &[])?, input.dtype(), None);
        }
        let y = x.try_div(&x.try_vector_norm(p, &[axis], true)?.try_clamp_min(eps)?)?;
        rounded(&y, input.dtype(), None)
    }

    /// The cosine of the angle between vectors along an axis, of tensors that broadcast. PyTorch's defaults: axis 1,
    /// eps = 1e-8, the least length that is divided by.
    fn cosine_similarity / try_cosine_similarity(x1: &Tensor, x2: &Tensor, axis: isize, eps: f64) -> Tensor {
        let dtype = promoted([x1, x2])?.1;
        if !dtype.is_float() {
            return Err(Error::operands("cosine_similarity", format!("not defined for {dtype}; use to(DType::F32) first")));
        }
        let (a, b) = (as_float(x1)?, as_float(x2)?);
        // Broadcast first: an axis counts in the common shape.
        let product = a.try_mul(&b)?;
        let (a, b) = (a.try_expand_as(&product)?, b.try_expand_as(&product)?);
        if product.dim() == 0 {
            let lift = |t: &Tensor| t.try_unsqueeze(0);
            return try_cosine_similarity(&lift(x1)?, &lift(x2)?, axis, eps);
        }
        // Each is divided in its own dtype where there are two.
        let own = |t: &Tensor, x: &Tensor| if x1.dtype() == x2.dtype() || !x.dtype().is_half() { Ok(t.clone()) } else { t.try_to(x.dtype()) };
        let (a, b) = (own(&a, x1)?, own(&b, x2)?);
        let length = |t: &Tensor, x: &Tensor| {
            let dtype = if x.dtype().is_float() { x.dtype() } else { dtype };
            t.try_vector_norm(2.0, &[axis], true)?.try_clamp_min(held(eps, dtype))
        };
        let (a, b) = (a.try_div(&length(&a, x1)?)?, b.try_div(&length(&b, x2)?)?);
        rounded(&a.try_mul(&b)?.try_sum_dim(&[axis], false)?, dtype, None)
    }

    /// The p-norm of `x1 - x2 + eps` along the last axis. PyTorch's defaults: p = 2, eps = 1e-6, no axis kept.
    fn pairwise_distance / try_pairwise_distance(x1: &Tensor, x2: &Tensor, p: f64, eps: f64, keepdim: bool) -> Tensor {
        let dtype = promoted([x1, x2])?.1;
        let d = widened(x1)?.try_sub(&widened(x2)?)?.try_add(eps)?;
        let y = single("NormBackward1", &[&d], &[Keeps::Hidden, Keeps::Result(0)], |d| match d[0].dim() {
            0 => d[0].try_abs(),
            _ => d[0].try_vector_norm(p, &[-1], keepdim),
        })?;
        if dtype.is_half() { rounded(&y, dtype, None) } else { Ok(y) }
    }
}
