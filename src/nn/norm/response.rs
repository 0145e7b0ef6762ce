//! Local response normalisation as layers: Krizhevsky and others 2012, within channels as `torch.nn.functional` has it, and
//! as the older `torch.nn.CrossMapLRN2d`.

use crate::error::{Error, Result};
use crate::functional::{try_cross_map_lrn2d, try_local_response_norm};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::repr::python_float;
use allotrope_derive::Module;

/// What a layer of this file has besides its size; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LocalResponseNormOptions {
    pub alpha: f64,
    pub beta: f64,
    pub k: f64,
}

impl Default for LocalResponseNormOptions {
    fn default() -> Self {
        LocalResponseNormOptions { alpha: 1e-4, beta: 0.75, k: 1.0 }
    }
}

macro_rules! response_norms {
    ($( $(#[$doc:meta])* $name:ident $class:literal by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(name = $class, extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            size: usize,
            #[module(skip)]
            options: LocalResponseNormOptions,
        }

        constructors! { $name(size: usize; LocalResponseNormOptions) }

        impl $name {
            fn build(size: usize, options: LocalResponseNormOptions) -> Result<$name> {
                match size {
                    0 => Err(Error::argument(concat!($class, ": size must be 1 at least, got 0"))),
                    _ => Ok($name { size, options }),
                }
            }

            fn text(&self) -> String {
                let LocalResponseNormOptions { alpha, beta, k } = self.options;
                let [alpha, beta, k] = [alpha, beta, k].map(python_float);
                format!("{}, alpha={alpha}, beta={beta}, k={k}", self.size)
            }
        }

        forward! {
            $name: |layer, x| {
                let LocalResponseNormOptions { alpha, beta, k } = layer.options;
                $function(x, layer.size, alpha, beta, k)
            };
        }
    )*};
}

response_norms! {
    /// Divides each element by a power of the mean square over `size` neighbouring channels, `x / (k + alpha mean)^beta`:
    /// `[n, c, ..] -> [n, c, ..]`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(nn::LocalResponseNorm::new(2).to_string(), "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)");
    /// ```
    LocalResponseNorm "LocalResponseNorm" by try_local_response_norm;
    /// As [`LocalResponseNorm`] of `[n, c, h, w]`, with the same number of channels on both sides, which is that of an odd `size` only;
    /// see [`cross_map_lrn2d`](crate::functional::cross_map_lrn2d).
    CrossMapLrn2d "CrossMapLRN2d" by try_cross_map_lrn2d;
}
