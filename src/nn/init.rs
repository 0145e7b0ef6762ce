//! PyTorch's default initialisation of layers, drawn from the default generator.

use crate::DType;
use crate::tensor::Tensor;
use crate::tensor::random::default_generator;

/// A parameter of uniform numbers in [-bound, bound), as PyTorch's `uniform_`.
#[track_caller]
pub(super) fn uniform(shape: &[usize], bound: f64) -> Tensor {
    default_generator().uniform(shape, DType::F32, -bound, bound).requires_grad()
}

/// The bound that `kaiming_uniform_` with a = √5 gives: gain √(2 / (1 + 5)) times √3 over √fan_in, in the order in which
/// PyTorch computes it.
pub(super) fn kaiming_bound(fan_in: usize) -> f64 {
    let a = 5f64.sqrt();
    let gain = (2.0 / (1.0 + a * a)).sqrt();
    let std = gain / (fan_in as f64).sqrt();
    3f64.sqrt() * std
}
