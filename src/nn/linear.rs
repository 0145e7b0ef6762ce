//! The affine layer.

use super::Module;
use super::init::{kaiming_bound, uniform};
use crate::error::{Result, must};
use crate::functional::try_linear;
use crate::tensor::Tensor;
use std::fmt;

/// y = x Wᵀ + b: `[.., in] -> [.., out]`.
///
/// Weights `[out, in]` and bias `[out]` are initialised as `torch.nn.Linear`'s, in the same order of draws.
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

impl Linear {
    /// A layer with a bias.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::Linear::new(3, 2);
    /// assert_eq!(layer.forward(&randn(&[5, 3])).shape(), [5, 2]);
    /// ```
    #[track_caller]
    pub fn new(in_features: usize, out_features: usize) -> Linear {
        Linear::with_bias(in_features, out_features, true)
    }

    /// A layer with or without a bias.
    #[track_caller]
    pub fn with_bias(in_features: usize, out_features: usize, bias: bool) -> Linear {
        let weight = uniform(&[out_features, in_features], kaiming_bound(in_features));
        let bound = if in_features > 0 { 1.0 / (in_features as f64).sqrt() } else { 0.0 };
        let bias = if bias { Some(uniform(&[out_features], bound)) } else { None };
        Linear { weight, bias }
    }

    /// `[.., in] -> [.., out]`.
    ///
    /// # Panics
    /// When the last axis of `x` is not `in`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        must(self.try_forward(x))
    }

    /// As [`Linear::forward`].
    ///
    /// # Errors
    /// When the last axis of `x` is not `in`.
    #[track_caller]
    pub fn try_forward(&self, x: &Tensor) -> Result<Tensor> {
        try_linear(x, &self.weight, self.bias.as_ref())
    }
}

impl Module for Linear {
    fn visit(&self, f: &mut dyn FnMut(&str, &Tensor)) {
        f("weight", &self.weight);
        if let Some(b) = &self.bias {
            f("bias", b);
        }
    }
}

/// As PyTorch prints it.
impl fmt::Display for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [out, inn] = [self.weight.shape_hint()[0], self.weight.shape_hint()[1]];
        let bias = if self.bias.is_some() { "True" } else { "False" };
        write!(f, "Linear(in_features={inn}, out_features={out}, bias={bias})")
    }
}
