//! Losses as modules: each is a function of `crate::functional` with its options. Options are set one by one, by the names
//! that PyTorch has for them: `nn::CrossEntropyLoss::new().label_smoothing(0.1).reduction(Reduction::Sum)`. Weights are
//! buffers, so they are in the state dict.

mod adaptive;
mod classes;
mod ctc;
mod linear_cross_entropy;
mod margin;
mod numbers;
mod triplet;

pub use adaptive::{AdaptiveLogSoftmaxOptions, AdaptiveLogSoftmaxWithLoss};
pub use classes::{BceLoss, BceWithLogitsLoss, CrossEntropyLoss, KlDivLoss, NllLoss};
pub use ctc::CtcLoss;
pub use linear_cross_entropy::{LinearCrossEntropyLoss, LinearCrossEntropyOptions};
pub use margin::{
    CosineEmbeddingLoss, HingeEmbeddingLoss, MarginRankingLoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss,
    MultiMarginLoss, SoftMarginLoss, TripletMarginLoss,
};
pub use numbers::{GaussianNllLoss, HuberLoss, L1Loss, MseLoss, PoissonNllLoss, SmoothL1Loss};
pub use triplet::TripletMarginWithDistanceLoss;

/// Defines losses: the name, PyTorch's name, in brackets the weights, which are buffers and not given by default, the other
/// options with their defaults, and the loss of the tensors that `forward` takes.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $name:ident $class:tt $([ $($(#[$weight_doc:meta])* $weight:ident;)* ])? {
            $($(#[$option_doc:meta])* $option:ident : $ty:ty = $default:expr;)*
        }
        |$loss:ident, $($x:ident),+| $body:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Module)]
        #[module(name = $class)]
        pub struct $name {
            $($(#[module(buffer)] $weight: Option<$crate::tensor::Tensor>,)*)?
            $(#[module(skip)] $option: $ty,)*
        }

        impl $name {
            /// With PyTorch's defaults.
            pub fn new() -> $name {
                $name { $($($weight: None,)*)? $($option: $default,)* }
            }

            $($(
                $(#[$weight_doc])*
                #[must_use]
                pub fn $weight(mut self, $weight: impl std::borrow::Borrow<$crate::tensor::Tensor>) -> $name {
                    self.$weight = Some($weight.borrow().clone());
                    self
                }
            )*)?

            $(
                $(#[$option_doc])*
                #[must_use]
                pub fn $option(mut self, $option: $ty) -> $name {
                    self.$option = $option;
                    self
                }
            )*

            /// The loss.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_forward`] fails.")]
            #[track_caller]
            pub fn forward(&self, $($x: &$crate::tensor::Tensor),+) -> $crate::tensor::Tensor {
                $crate::error::must(self.try_forward($($x),+))
            }

            #[doc = concat!("As [`", stringify!($name), "::forward`].")]
            ///
            /// # Errors
            /// When the operands or the options do not fit; the message names what was given and what would fit.
            #[track_caller]
            pub fn try_forward(&self, $($x: &$crate::tensor::Tensor),+) -> $crate::error::Result<$crate::tensor::Tensor> {
                let $loss = self;
                $crate::error::called($body)
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new()
            }
        }
    )*};
}
use losses;
