//! Copies of layers, of which transformers are made: each has parameters of its own that begin with the same numbers.

use crate::backend::cpu::host::affords;
use crate::error::Result;
use crate::nn::{Linear, Module};
use crate::tensor::Tensor;

/// A parameter of its own with the same numbers.
pub(super) fn copied(tensor: &Tensor) -> Result<Tensor> {
    let copy = tensor.detach().try_copy()?;
    copy.set_requires_grad(tensor.is_requires_grad());
    Ok(copy)
}

pub(super) fn copied_option(tensor: &Option<Tensor>) -> Result<Option<Tensor>> {
    tensor.as_ref().map(copied).transpose()
}

pub(super) fn copied_linear(layer: &Linear) -> Result<Linear> {
    Ok(Linear { weight: copied(&layer.weight)?, bias: copied_option(&layer.bias)? })
}

/// Bytes that a layer takes, about, beside the numbers of its parameters.
const LAYER_BYTES: usize = 1 << 14;

/// A layer and copies of it, as many as are asked for.
pub(super) fn repeated<M: Module>(layer: M, count: usize, duplicate: impl Fn(&M) -> Result<M>) -> Result<Vec<M>> {
    if count > 1 {
        // The first one is made, so these are numbers.
        let numbers: usize = layer.parameters().iter().map(|p| p.numel() * p.dtype().size()).sum();
        affords((numbers + LAYER_BYTES).saturating_mul(count - 1), || format!("{count} layers"))?;
    }
    let mut layers = Vec::new();
    for _ in 1..count {
        layers.push(duplicate(&layer)?);
    }
    if count > 0 {
        layers.push(layer);
    }
    Ok(layers)
}
