//! Group normalisation as a layer: Wu and He 2018.

use crate::error::{Error, Result};
use crate::functional::{NormOptions, try_group_norm};
use crate::mode::sizes::demand_equal;
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::init::{constant_parameter, demand_float};
use crate::nn::repr::{python_bool, python_float};
use crate::tensor::{Size, Tensor};
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What a [`GroupNorm`] has besides its groups and channels; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct GroupNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// Whether there are weights.
    pub affine: bool,
    /// Whether there is a bias beside the weights.
    pub bias: bool,
    pub dtype: DType,
}

impl Default for GroupNormOptions {
    fn default() -> Self {
        GroupNormOptions { eps: 1e-5, affine: true, bias: true, dtype: DType::F32 }
    }
}

/// Normalises groups of channels of each sample over channels and places, `[n, c, ..] -> [n, c, ..]`.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::GroupNorm::new(3, 6);
/// assert_eq!(layer.forward(&randn(&[2, 6, 5])).shape(), [2, 6, 5]);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::text)]
pub struct GroupNorm {
    /// `[c]`
    pub weight: Option<Tensor>,
    /// `[c]`
    pub bias: Option<Tensor>,
    #[module(skip)]
    num_groups: usize,
    #[module(skip)]
    num_channels: usize,
    #[module(skip)]
    eps: f64,
}

constructors! { GroupNorm(num_groups: usize, num_channels: usize; GroupNormOptions) }

impl GroupNorm {
    fn build(num_groups: usize, num_channels: usize, options: GroupNormOptions) -> Result<GroupNorm> {
        let GroupNormOptions { eps, affine, bias, dtype } = options;
        demand_float("GroupNorm", dtype)?;
        if num_groups == 0 || !num_channels.is_multiple_of(num_groups) {
            return Err(Error::argument(format!(
                "GroupNorm: num_channels must be a multiple of num_groups, got {num_channels} and {num_groups}"
            )));
        }
        let parameter = |value: f64| constant_parameter(&[num_channels], value, dtype);
        let weight = affine.then(|| parameter(1.0)).transpose()?;
        let bias = (affine && bias).then(|| parameter(0.0)).transpose()?;
        Ok(GroupNorm { weight, bias, num_groups, num_channels, eps })
    }

    fn text(&self) -> String {
        let [affine, bias] = [self.weight.is_some(), self.bias.is_some()].map(python_bool);
        let eps = python_float(self.eps);
        format!("{}, {}, eps={eps}, affine={affine}, bias={bias}", self.num_groups, self.num_channels)
    }
}

forward! {
    GroupNorm: |layer, x| {
        let n = layer.num_channels;
        // Without weights PyTorch takes any number of channels that the groups divide.
        if x.dim() > 1 && layer.weight.is_some() && !demand_equal(x.sizes()[1], Size::from(n)) {
            return Err(Error::operands(
                "GroupNorm",
                format!("the input must have {n} channels, [n, {n}, ..], got {:?}", x.shape_hint()),
            ));
        }
        let options = NormOptions { weight: layer.weight.as_ref(), bias: layer.bias.as_ref(), eps: layer.eps };
        try_group_norm(x, layer.num_groups, options)
    };
}
