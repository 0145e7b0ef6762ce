//! Batch normalisation over one, two and three axes as layers: Ioffe and Szegedy 2015.

use super::running::{demand_axes, with_running_statistics};
use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::functional::{self, try_batch_norm, try_batch_norm_by};
use crate::mode::sizes::demand_equal;
use crate::nn::forward::forward;
use crate::tensor::{Size, Tensor};
use allotrope_ir::DType;

/// What a batch normalisation has besides its channels; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// How far the running statistics move with each batch; none makes them the mean over all batches.
    pub momentum: Option<f64>,
    /// Whether there are weights.
    pub affine: bool,
    /// Whether there is a bias beside the weights.
    pub bias: bool,
    /// Whether there are running statistics; without them evaluation normalises by the batch too.
    pub track_running_stats: bool,
    pub dtype: DType,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        BatchNormOptions {
            eps: 1e-5,
            momentum: Some(0.1),
            affine: true,
            bias: true,
            track_running_stats: true,
            dtype: DType::F32,
        }
    }
}

macro_rules! batch_norms {
    ($( $(#[$doc:meta])* $name:ident for $axes:expr; )*) => {$(
        with_running_statistics! {
            $(#[$doc])*
            ///
            /// In training each channel is normalised by its own mean and variance in the batch, and the running statistics move towards
            /// those; in evaluation it is normalised by the running ones.
            $name(BatchNormOptions, Option<f64>)
        }

        forward! {
            $name: |layer, x| {
                demand_axes(stringify!($name), x, &$axes)?;
                let normalising = Normalising {
                    class: stringify!($name),
                    channels: layer.num_features,
                    statistics: [layer.running_mean.as_ref(), layer.running_var.as_ref()],
                    batches: layer.num_batches_tracked.as_ref(),
                    training: layer.training.get(),
                    momentum: layer.momentum,
                };
                let options = functional::BatchNormOptions {
                    weight: layer.weight.as_ref(),
                    bias: layer.bias.as_ref(),
                    eps: layer.eps,
                    ..functional::BatchNormOptions::default()
                };
                normalising.of(x, options)
            };
        }
    )*};
}

batch_norms! {
    /// Batch normalisation of `[n, c]` or `[n, c, l]`.
    BatchNorm1d for [2, 3];
    /// Batch normalisation of `[n, c, h, w]`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::BatchNorm2d::new(3);
    /// layer.forward(&randn(&[8, 3, 4, 4]));
    /// assert_eq!(layer.num_batches_tracked.as_ref().unwrap().item::<i64>(), 1);
    /// layer.eval();
    /// assert_eq!(layer.forward(&randn(&[1, 3, 4, 4])).shape(), [1, 3, 4, 4]);
    /// ```
    BatchNorm2d for [4];
    /// Batch normalisation of `[n, c, d, h, w]`.
    BatchNorm3d for [5];
}

/// What a call normalises by, and what it moves.
struct Normalising<'a> {
    class: &'static str,
    channels: usize,
    /// Mean and variance.
    statistics: [Option<&'a Tensor>; 2],
    batches: Option<&'a Tensor>,
    training: bool,
    momentum: Option<f64>,
}

impl Normalising<'_> {
    fn of(&self, x: &Tensor, options: functional::BatchNormOptions<'_>) -> Result<Tensor> {
        // Where nothing has a number for each channel PyTorch takes any number of them.
        let is_bound = options.weight.is_some() || self.statistics[0].is_some();
        if is_bound && !demand_equal(x.sizes()[1], Size::from(self.channels)) {
            return Err(Error::operands(
                self.class,
                format!("the input must have {} channels, [n, {0}, ..], got {:?}", self.channels, x.shape_hint()),
            ));
        }
        let [mean, var] = self.statistics;
        let by_batch = self.training || (mean.is_none() && var.is_none());
        let options = functional::BatchNormOptions { training: by_batch, ..options };
        let Some(batches) = self.batches.filter(|_| self.training) else {
            let options = functional::BatchNormOptions { momentum: self.momentum.unwrap_or(0.0), ..options };
            return try_batch_norm(x, mean, var, options);
        };
        // Counted when the call has succeeded.
        let next = batches.try_add(1)?;
        let y = match self.momentum {
            Some(momentum) => try_batch_norm(x, mean, var, functional::BatchNormOptions { momentum, ..options })?,
            None => try_batch_norm_by(x, mean, var, &next.try_to(DType::F64)?.try_reciprocal()?, options)?,
        };
        no_grad(|| batches.try_copy_(&next))?;
        Ok(y)
    }
}
