//! Small layers that transformers are built of, with a dtype, and copies of tensors.

use crate::backend::cpu::host::affords;
use crate::error::Result;
use crate::functional::{NormOptions, try_dropout, try_layer_norm};
use crate::nn::init::kaiming_bound;
use crate::nn::repr::{python_bool, python_float, python_tuple};
use crate::nn::{Linear, Module};
use crate::ops::random::default_generator;
use crate::tensor::{Flag, Tensor};
use allotrope_ir::DType;

/// A parameter of uniform numbers.
pub(super) fn uniform(shape: &[usize], bound: f64, dtype: DType) -> Result<Tensor> {
    parameter(default_generator().try_uniform(shape, dtype, -bound, bound)?)
}

/// A parameter of these numbers.
pub(super) fn parameter(numbers: Tensor) -> Result<Tensor> {
    numbers.set_requires_grad(true);
    Ok(numbers)
}

/// Weights and bias of a linear layer, as PyTorch draws them.
pub(super) fn affine(inn: usize, out: usize, bias: bool, dtype: DType) -> Result<(Tensor, Option<Tensor>)> {
    let weight = uniform(&[out, inn], kaiming_bound(inn), dtype)?;
    let bound = if inn > 0 { 1.0 / (inn as f64).sqrt() } else { 0.0 };
    let bias = if bias { Some(uniform(&[out], bound, dtype)?) } else { None };
    Ok((weight, bias))
}

pub(super) fn linear(inn: usize, out: usize, bias: bool, dtype: DType) -> Result<Linear> {
    let (weight, bias) = affine(inn, out, bias, dtype)?;
    Ok(Linear { weight, bias })
}

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

#[derive(Module)]
#[module(extra_repr = Self::sizes)]
pub struct LayerNorm {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    #[module(skip)]
    size: usize,
    #[module(skip)]
    eps: f64,
}

impl LayerNorm {
    pub(super) fn new(size: usize, eps: f64, bias: bool, dtype: DType) -> Result<LayerNorm> {
        let weight = Some(parameter(Tensor::try_ones(&[size], dtype)?)?);
        let bias = if bias { Some(parameter(Tensor::try_zeros(&[size], dtype)?)?) } else { None };
        Ok(LayerNorm { weight, bias, size, eps })
    }

    pub(super) fn try_forward(&self, x: &Tensor) -> Result<Tensor> {
        let options = NormOptions { weight: self.weight.as_ref(), bias: self.bias.as_ref(), eps: self.eps };
        try_layer_norm(x, &[self.size], options)
    }

    pub(super) fn duplicate(&self) -> Result<LayerNorm> {
        Ok(LayerNorm { weight: copied_option(&self.weight)?, bias: copied_option(&self.bias)?, ..*self })
    }

    fn sizes(&self) -> String {
        let (size, eps) = (python_tuple(&[self.size]), python_float(self.eps));
        format!("{size}, eps={eps}, elementwise_affine=True, bias={}", python_bool(self.bias.is_some()))
    }
}

#[derive(Module)]
#[module(extra_repr = Self::options)]
pub struct Dropout {
    p: f64,
    training: Flag,
}

impl Dropout {
    pub(super) fn new(p: f64) -> Dropout {
        Dropout { p, training: Flag::new(true) }
    }

    pub(super) fn try_forward(&self, x: &Tensor) -> Result<Tensor> {
        try_dropout(x, self.p, self.training.get())
    }

    pub(super) fn duplicate(&self) -> Dropout {
        Dropout { p: self.p, training: Flag::new(self.training.get()) }
    }

    fn options(&self) -> String {
        format!("p={}, inplace=False", python_float(self.p))
    }
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
