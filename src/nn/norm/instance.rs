//! Instance normalisation over one, two and three axes as layers: Ulyanov and others 2016.

use super::running::{demand_axes, with_running_statistics};
use crate::error::Error;
use crate::functional::{self, try_instance_norm};
use crate::mode::sizes::demand_equal;
use crate::nn::forward::forward;
use crate::tensor::Size;
use allotrope_ir::DType;

/// What an instance normalisation has besides its channels; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct InstanceNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// How far the running statistics move with each batch.
    pub momentum: f64,
    /// Whether there are weights.
    pub affine: bool,
    /// Whether there is a bias beside the weights.
    pub bias: bool,
    /// Whether there are running statistics, by which evaluation normalises.
    pub track_running_stats: bool,
    pub dtype: DType,
}

impl Default for InstanceNormOptions {
    fn default() -> Self {
        InstanceNormOptions {
            eps: 1e-5,
            momentum: 0.1,
            affine: false,
            bias: true,
            track_running_stats: false,
            dtype: DType::F32,
        }
    }
}

macro_rules! instance_norms {
    ($( $(#[$doc:meta])* $name:ident for $axes:literal; )*) => {$(
        with_running_statistics! {
            $(#[$doc])*
            $name(InstanceNormOptions, f64)
        }

        forward! {
            $name: |layer, x| {
                demand_axes(stringify!($name), x, &[$axes - 1, $axes])?;
                let is_batch = x.dim() == $axes;
                let channels = x.sizes()[usize::from(is_batch)];
                // Without weights PyTorch takes any number of channels.
                if layer.weight.is_some() && !demand_equal(channels, Size::from(layer.num_features)) {
                    let n = layer.num_features;
                    return Err(Error::operands(
                        stringify!($name),
                        format!("the input must have {n} channels, [n, {n}, ..] or [{n}, ..], got {:?}", x.shape_hint()),
                    ));
                }
                let options = functional::BatchNormOptions {
                    weight: layer.weight.as_ref(),
                    bias: layer.bias.as_ref(),
                    training: layer.training.get() || layer.running_mean.is_none(),
                    momentum: layer.momentum,
                    eps: layer.eps,
                };
                let (mean, var) = (layer.running_mean.as_ref(), layer.running_var.as_ref());
                match is_batch {
                    true => try_instance_norm(x, mean, var, options),
                    false => try_instance_norm(&x.try_unsqueeze(0)?, mean, var, options)?.try_squeeze(0),
                }
            };
        }
    )*};
}

instance_norms! {
    /// Normalises each channel of each sample over its places, `[n, c, l]`; the axis of the batch may be missing.
    InstanceNorm1d for 3;
    /// Normalises each channel of each sample over its places, `[n, c, h, w]`; the axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::InstanceNorm2d::with_options(3, nn::InstanceNormOptions { affine: true, ..Default::default() });
    /// assert_eq!(layer.forward(&randn(&[2, 3, 4, 4])).shape(), [2, 3, 4, 4]);
    /// ```
    InstanceNorm2d for 4;
    /// Normalises each channel of each sample over its places, `[n, c, d, h, w]`; the axis of the batch may be missing.
    InstanceNorm3d for 5;
}
