//! What batch and instance normalisations have in common: a layer with weight and bias of each channel and running
//! statistics, how it is made and printed. What it computes is for each of them.

use crate::error::{Error, Result};
use crate::nn::init::{constant_parameter, demand_float};
use crate::nn::repr::{python_bool, python_float};
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// A tensor of each kind, where the layer has it.
pub(super) struct State {
    pub weight: Option<Tensor>,
    pub bias: Option<Tensor>,
    pub running_mean: Option<Tensor>,
    pub running_var: Option<Tensor>,
    pub num_batches_tracked: Option<Tensor>,
}

/// What decides about that.
pub(super) struct Wanted {
    pub affine: bool,
    pub bias: bool,
    pub track_running_stats: bool,
    pub dtype: DType,
}

impl State {
    /// As a new layer has it: weights and variances are 1, everything else 0.
    pub fn new(class: &str, channels: usize, wanted: &Wanted) -> Result<State> {
        demand_float(class, wanted.dtype)?;
        let full = |value: f64| Tensor::try_full(&[channels], value)?.try_to(wanted.dtype);
        let parameter = |value: f64| constant_parameter(&[channels], value, wanted.dtype);
        let tracked = wanted.track_running_stats;
        Ok(State {
            weight: wanted.affine.then(|| parameter(1.0)).transpose()?,
            bias: (wanted.affine && wanted.bias).then(|| parameter(0.0)).transpose()?,
            running_mean: tracked.then(|| full(0.0)).transpose()?,
            running_var: tracked.then(|| full(1.0)).transpose()?,
            num_batches_tracked: tracked.then(|| Tensor::try_full(&[], 0i64)).transpose()?,
        })
    }
}

/// What is printed of such a layer.
pub(super) fn text(channels: usize, eps: f64, momentum: Option<f64>, [affine, bias, tracked]: [bool; 3]) -> String {
    let momentum = momentum.map_or("None".to_string(), python_float);
    let [affine, bias, tracked] = [affine, bias, tracked].map(python_bool);
    let eps = python_float(eps);
    format!("{channels}, eps={eps}, momentum={momentum}, affine={affine}, bias={bias}, track_running_stats={tracked}")
}

/// An error unless the input has one of these numbers of axes.
pub(super) fn demand_axes(class: &'static str, x: &Tensor, fit: &[usize]) -> Result<()> {
    if fit.contains(&x.dim()) {
        return Ok(());
    }
    let fit: Vec<String> = fit.iter().map(usize::to_string).collect();
    Err(Error::operands(class, format!("the input must have {} axes, got {:?}", fit.join(" or "), x.shape_hint())))
}

/// A layer with this state, made of options of this type, with a momentum of this type (`f64`, or an option of it).
macro_rules! with_running_statistics {
    ($(#[$doc:meta])* $name:ident($options:ident, $momentum:ty)) => {
        $(#[$doc])*
        #[derive(allotrope_derive::Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            /// `[c]`
            pub weight: Option<$crate::tensor::Tensor>,
            /// `[c]`
            pub bias: Option<$crate::tensor::Tensor>,
            /// `[c]`
            #[module(buffer)]
            pub running_mean: Option<$crate::tensor::Tensor>,
            /// `[c]`, without bias.
            #[module(buffer)]
            pub running_var: Option<$crate::tensor::Tensor>,
            /// How many batches there were, i64 without axes; instance normalisation leaves it at 0, as PyTorch does.
            #[module(buffer)]
            pub num_batches_tracked: Option<$crate::tensor::Tensor>,
            training: $crate::tensor::Flag,
            #[module(skip)]
            num_features: usize,
            #[module(skip)]
            eps: f64,
            #[module(skip)]
            momentum: $momentum,
        }

        $crate::nn::constructors::constructors! { $name(num_features: usize; $options) }

        impl $name {
            fn build(num_features: usize, options: $options) -> $crate::error::Result<$name> {
                let $options { eps, momentum, affine, bias, track_running_stats, dtype } = options;
                let wanted = $crate::nn::norm::running::Wanted { affine, bias, track_running_stats, dtype };
                let $crate::nn::norm::running::State { weight, bias, running_mean, running_var, num_batches_tracked } =
                    $crate::nn::norm::running::State::new(stringify!($name), num_features, &wanted)?;
                let training = $crate::tensor::Flag::new(true);
                Ok($name { weight, bias, running_mean, running_var, num_batches_tracked, training, num_features, eps, momentum })
            }

            fn text(&self) -> String {
                let has = [self.weight.is_some(), self.bias.is_some(), self.running_mean.is_some()];
                $crate::nn::norm::running::text(self.num_features, self.eps, self.momentum.into(), has)
            }
        }
    };
}
pub(super) use with_running_statistics;
