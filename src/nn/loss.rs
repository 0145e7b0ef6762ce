//! Loss functions.

use crate::error::{Error, Result, must};
use crate::tensor::Tensor;

/// The mean of the squared differences, a tensor without axes.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
/// assert_eq!(mse_loss(&x, &Tensor::zeros(&[2], DType::F32)).item::<f32>(), 2.5);
/// ```
///
/// # Panics
/// When the shapes differ.
#[track_caller]
pub fn mse_loss(input: &Tensor, target: &Tensor) -> Tensor {
    must(try_mse_loss(input, target))
}

/// As [`mse_loss`].
///
/// # Errors
/// When the shapes differ: broadcasting a loss is nearly always a mistake.
pub fn try_mse_loss(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    if !input.same_shape(target) {
        return Err(Error::operands(
            "mse_loss",
            format!("input {:?} and target {:?} must have one shape", input.shape_hint(), target.shape_hint()),
        ));
    }
    input.try_sub(target)?.try_square()?.try_mean()
}
