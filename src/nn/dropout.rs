//! Dropout layers: in training, elements or whole channels are set to 0, or to what selu tends to, at random. What is drawn, and in which
//! order, is in `crate::functional`.

use super::constructors::constructors;
use super::forward::forward;
use super::repr::{python_bool, python_float};
use crate::error::{Error, Result};
use crate::functional::{try_alpha_dropout, try_dropout, try_feature_alpha_dropout, try_feature_dropout};
use crate::tensor::{Flag, Tensor};
use allotrope_derive::Module;

macro_rules! dropouts {
    ($( $(#[$doc:meta])* $name:ident: |$x:ident, $p:ident, $training:ident| $value:expr; )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            p: f64,
            #[module(skip)]
            inplace: bool,
            training: Flag,
        }

        constructors! { $name(p: f64) }

        impl $name {
            fn build(p: f64) -> Result<$name> {
                if !(0.0..=1.0).contains(&p) {
                    return Err(Error::argument(format!(
                        concat!(stringify!($name), ": the probability must be 0 to 1, got {}"), p
                    )));
                }
                Ok($name { p, inplace: false, training: Flag::new(true) })
            }

            /// Computes in place: the input becomes the result. It must not be a leaf that requires a gradient.
            #[must_use]
            pub fn inplace(mut self, on: bool) -> $name {
                self.inplace = on;
                self
            }

            fn text(&self) -> String {
                format!("p={}, inplace={}", python_float(self.p), python_bool(self.inplace))
            }
        }

        /// With PyTorch's probability of 0.5.
        impl Default for $name {
            fn default() -> $name {
                $name { p: 0.5, inplace: false, training: Flag::new(true) }
            }
        }

        forward! {
            $name: |layer, $x| {
                let ($p, $training) = (layer.p, layer.training.get());
                let y = $value?;
                if layer.inplace && $training { $x.try_copy_(&y).cloned() } else { Ok(y) }
            };
        }
    )*};
}

dropouts! {
    /// In training each element is 0 with probability p, else divided by 1 - p; in evaluation nothing happens.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::Dropout::new(0.5);
    /// layer.eval();
    /// assert_eq!(layer.forward(&Tensor::ones(&[3], DType::F32)).to_vec::<f32>(), [1.0; 3]);
    /// ```
    Dropout: |x, p, training| try_dropout(x, p, training);
    /// As [`Dropout`], for whole channels of `[n, c, l]` or `[c, l]`.
    Dropout1d: |x, p, training| channels("Dropout1d", x, [2, 3], p, training);
    /// As [`Dropout`], for whole channels of `[n, c, h, w]`. Of three axes the first are samples and channels, as in PyTorch.
    Dropout2d: |x, p, training| try_feature_dropout(x, p, training);
    /// As [`Dropout`], for whole channels of `[n, c, d, h, w]` or `[c, d, h, w]`.
    Dropout3d: |x, p, training| channels("Dropout3d", x, [4, 5], p, training);
    /// As [`Dropout`] for what went through a SELU: mean and variance stay. What is dropped becomes the value that SELU tends to.
    AlphaDropout: |x, p, training| try_alpha_dropout(x, p, training);
    /// As [`AlphaDropout`], for whole channels of `[n, c, ..]`.
    FeatureAlphaDropout: |x, p, training| try_feature_alpha_dropout(x, p, training);
}

/// Dropout of whole channels, where the axis of the batch may be missing.
fn channels(class: &'static str, x: &Tensor, [alone, batch]: [usize; 2], p: f64, training: bool) -> Result<Tensor> {
    match x.dim() {
        n if n == batch => try_feature_dropout(x, p, training),
        n if n == alone => try_feature_dropout(&x.try_unsqueeze(0)?, p, training)?.try_squeeze(0),
        _ => Err(Error::operands(
            class,
            format!("the input must have {alone} or {batch} axes, got {:?}", x.shape_hint()),
        )),
    }
}
