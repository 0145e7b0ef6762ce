//! Affine layers of one and of two inputs, and the layer that does nothing.

use super::constructors::constructors;
use super::forward::forward;
use super::init::{bias_bound, demand_float, kaiming_bound, uniform_parameter};
use super::repr::python_bool;
use crate::error::{Error, Result, called, must};
use crate::functional::{try_bilinear, try_linear};
use crate::tensor::Tensor;
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What a [`Linear`] or a [`Bilinear`] has besides its sizes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LinearOptions {
    pub bias: bool,
    pub dtype: DType,
}

impl Default for LinearOptions {
    fn default() -> Self {
        LinearOptions { bias: true, dtype: DType::F32 }
    }
}

/// y = x Wᵀ + b: `[.., in] -> [.., out]`.
///
/// Weights `[out, in]` and bias `[out]` are initialised as `torch.nn.Linear`'s, in the same order of draws.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::Linear::new(3, 2);
/// assert_eq!(layer.forward(&randn(&[5, 3])).shape(), [5, 2]);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::sizes)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

constructors! { Linear(in_features: usize, out_features: usize; LinearOptions) }

impl Linear {
    /// A layer with or without a bias.
    #[track_caller]
    pub fn with_bias(in_features: usize, out_features: usize, bias: bool) -> Linear {
        must(Linear::build(in_features, out_features, LinearOptions { bias, ..LinearOptions::default() }))
    }

    fn build(in_features: usize, out_features: usize, options: LinearOptions) -> Result<Linear> {
        let LinearOptions { bias, dtype } = options;
        demand_float("Linear", dtype)?;
        let weight = uniform_parameter(&[out_features, in_features], kaiming_bound(in_features), dtype)?;
        let bound = bias_bound(in_features);
        let bias = if bias { Some(uniform_parameter(&[out_features], bound, dtype)?) } else { None };
        Ok(Linear { weight, bias })
    }

    fn sizes(&self) -> String {
        let [out, inn] = [self.weight.shape_hint()[0], self.weight.shape_hint()[1]];
        format!("in_features={inn}, out_features={out}, bias={}", python_bool(self.bias.is_some()))
    }
}

/// `y[k] = x1 W[k] x2 + b[k]`: `[.., in1]` and `[.., in2] -> [.., out]`.
///
/// Weights `[out, in1, in2]` and bias `[out]` are drawn as PyTorch draws them.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::Bilinear::new(2, 3, 4);
/// assert_eq!(layer.forward(&randn(&[5, 2]), &randn(&[5, 3])).shape(), [5, 4]);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::sizes)]
pub struct Bilinear {
    /// `[out, in1, in2]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

constructors! { Bilinear(in1_features: usize, in2_features: usize, out_features: usize; LinearOptions) }

impl Bilinear {
    fn build(in1: usize, in2: usize, out: usize, options: LinearOptions) -> Result<Bilinear> {
        let LinearOptions { bias, dtype } = options;
        demand_float("Bilinear", dtype)?;
        if in1 == 0 {
            return Err(Error::argument("Bilinear: in1_features must be 1 at least, got 0"));
        }
        let bound = bias_bound(in1);
        let weight = uniform_parameter(&[out, in1, in2], bound, dtype)?;
        let bias = if bias { Some(uniform_parameter(&[out], bound, dtype)?) } else { None };
        Ok(Bilinear { weight, bias })
    }

    /// The layer's value for two inputs with equal leading axes.
    ///
    /// # Panics
    /// Where [`Bilinear::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, x1: &Tensor, x2: &Tensor) -> Tensor {
        must(self.try_forward(x1, x2))
    }

    /// As [`Bilinear::forward`].
    ///
    /// # Errors
    /// When the inputs do not end in the sizes of the layer, or begin otherwise.
    #[track_caller]
    pub fn try_forward(&self, x1: &Tensor, x2: &Tensor) -> Result<Tensor> {
        called(try_bilinear(x1, x2, &self.weight, self.bias.as_ref()))
    }

    fn sizes(&self) -> String {
        let shape = self.weight.shape_hint();
        let bias = python_bool(self.bias.is_some());
        format!("in1_features={}, in2_features={}, out_features={}, bias={bias}", shape[1], shape[2], shape[0])
    }
}

/// Gives its input: a place in a model where another layer may come.
#[derive(Copy, Clone, Debug, Default, Module)]
pub struct Identity;

impl Identity {
    pub fn new() -> Identity {
        Identity
    }
}

forward! {
    Linear: |layer, x| try_linear(x, &layer.weight, layer.bias.as_ref());
    Identity: |_layer, x| Ok(x.clone());
}
