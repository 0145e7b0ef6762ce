//! Normalisation of each sample over its last axes: layer normalisation (Ba and others 2016) and that by the root mean square (Zhang and
//! Sennrich 2019).

use crate::error::{Error, Result};
use crate::functional::{NormOptions, try_layer_norm, try_rms_norm};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::init::{constant_parameter, demand_float};
use crate::nn::repr::{python_bool, python_float, python_tuple};
use crate::tensor::Tensor;
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What a [`LayerNorm`] has besides its shape; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LayerNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// Whether there are weights.
    pub elementwise_affine: bool,
    /// Whether there is a bias beside the weights.
    pub bias: bool,
    pub dtype: DType,
}

impl Default for LayerNormOptions {
    fn default() -> Self {
        LayerNormOptions { eps: 1e-5, elementwise_affine: true, bias: true, dtype: DType::F32 }
    }
}

/// Normalises over the last axes, which have this shape, and multiplies with weights of that shape: `[.., shape..] -> [.., shape..]`.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::LayerNorm::new(&[8]);
/// assert_eq!(layer.forward(&randn(&[2, 5, 8])).shape(), [2, 5, 8]);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::text)]
pub struct LayerNorm {
    /// Of the normalised shape.
    pub weight: Option<Tensor>,
    /// Of the normalised shape.
    pub bias: Option<Tensor>,
    #[module(skip)]
    normalized_shape: Vec<usize>,
    #[module(skip)]
    eps: f64,
}

constructors! { LayerNorm(normalized_shape: &[usize]; LayerNormOptions) }

impl LayerNorm {
    fn build(normalized_shape: &[usize], options: LayerNormOptions) -> Result<LayerNorm> {
        let LayerNormOptions { eps, elementwise_affine, bias, dtype } = options;
        check("LayerNorm", normalized_shape, dtype)?;
        let parameter = |value: f64| constant_parameter(normalized_shape, value, dtype);
        let weight = elementwise_affine.then(|| parameter(1.0)).transpose()?;
        let bias = (elementwise_affine && bias).then(|| parameter(0.0)).transpose()?;
        Ok(LayerNorm { weight, bias, normalized_shape: normalized_shape.to_vec(), eps })
    }

    fn text(&self) -> String {
        let (shape, eps) = (python_tuple(&self.normalized_shape), python_float(self.eps));
        let [affine, bias] = [self.weight.is_some(), self.bias.is_some()].map(python_bool);
        format!("{shape}, eps={eps}, elementwise_affine={affine}, bias={bias}")
    }
}

/// What an [`RmsNorm`] has besides its shape; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct RmsNormOptions {
    /// Added to the mean square; none means the smallest step of the dtype at 1.
    pub eps: Option<f64>,
    /// Whether there are weights.
    pub elementwise_affine: bool,
    pub dtype: DType,
}

impl Default for RmsNormOptions {
    fn default() -> Self {
        RmsNormOptions { eps: None, elementwise_affine: true, dtype: DType::F32 }
    }
}

/// Divides by the root of the mean square over the last axes, which have this shape, and multiplies with weights of that shape.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::RmsNorm::new(&[8]);
/// assert_eq!(layer.forward(&randn(&[2, 5, 8])).shape(), [2, 5, 8]);
/// ```
#[derive(Module)]
#[module(name = "RMSNorm", extra_repr = Self::text)]
pub struct RmsNorm {
    /// Of the normalised shape.
    pub weight: Option<Tensor>,
    #[module(skip)]
    normalized_shape: Vec<usize>,
    #[module(skip)]
    eps: Option<f64>,
}

constructors! { RmsNorm(normalized_shape: &[usize]; RmsNormOptions) }

impl RmsNorm {
    fn build(normalized_shape: &[usize], options: RmsNormOptions) -> Result<RmsNorm> {
        let RmsNormOptions { eps, elementwise_affine, dtype } = options;
        check("RMSNorm", normalized_shape, dtype)?;
        let weight = elementwise_affine.then(|| constant_parameter(normalized_shape, 1.0, dtype)).transpose()?;
        Ok(RmsNorm { weight, normalized_shape: normalized_shape.to_vec(), eps })
    }

    fn text(&self) -> String {
        let (shape, eps) = (python_tuple(&self.normalized_shape), self.eps.map_or("None".to_string(), python_float));
        format!("{shape}, eps={eps}, elementwise_affine={}", python_bool(self.weight.is_some()))
    }
}

fn check(class: &str, shape: &[usize], dtype: DType) -> Result<()> {
    demand_float(class, dtype)?;
    match shape {
        [] => Err(Error::argument(format!("{class}: the normalized shape needs one axis at least"))),
        _ => Ok(()),
    }
}

forward! {
    LayerNorm: |layer, x| {
        let options = NormOptions { weight: layer.weight.as_ref(), bias: layer.bias.as_ref(), eps: layer.eps };
        try_layer_norm(x, &layer.normalized_shape, options)
    };
    RmsNorm: |layer, x| try_rms_norm(x, &layer.normalized_shape, layer.weight.as_ref(), layer.eps);
}
