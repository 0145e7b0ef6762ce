//! The affine layer.

use super::forward::forward;
use super::init::{kaiming_bound, uniform};
use super::repr::python_bool;
use crate::functional::try_linear;
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// y = x Wᵀ + b: `[.., in] -> [.., out]`.
///
/// Weights `[out, in]` and bias `[out]` are initialised as `torch.nn.Linear`'s, in the same order of draws.
#[derive(Module)]
#[module(extra_repr = Self::sizes)]
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

    fn sizes(&self) -> String {
        let [out, inn] = [self.weight.shape_hint()[0], self.weight.shape_hint()[1]];
        format!("in_features={inn}, out_features={out}, bias={}", python_bool(self.bias.is_some()))
    }
}

forward! {
    Linear: |layer, x| try_linear(x, &layer.weight, layer.bias.as_ref());
}
