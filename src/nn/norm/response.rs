//! Local response normalisation as a layer: Krizhevsky and others 2012.

use crate::error::{Error, Result};
use crate::functional::try_local_response_norm;
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::repr::python_float;
use allotrope_derive::Module;

/// What a [`LocalResponseNorm`] has besides its size; PyTorch's defaults.
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

/// Divides each element by a power of the mean square over `size` neighbouring channels, `x / (k + alpha mean)^beta`:
/// `[n, c, ..] -> [n, c, ..]`.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(nn::LocalResponseNorm::new(2).to_string(), "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)");
/// ```
#[derive(Copy, Clone, Debug, Module)]
#[module(extra_repr = Self::text)]
pub struct LocalResponseNorm {
    #[module(skip)]
    size: usize,
    #[module(skip)]
    options: LocalResponseNormOptions,
}

constructors! { LocalResponseNorm(size: usize; LocalResponseNormOptions) }

impl LocalResponseNorm {
    fn build(size: usize, options: LocalResponseNormOptions) -> Result<LocalResponseNorm> {
        match size {
            0 => Err(Error::argument("LocalResponseNorm: size must be 1 at least, got 0")),
            _ => Ok(LocalResponseNorm { size, options }),
        }
    }

    fn text(&self) -> String {
        let LocalResponseNormOptions { alpha, beta, k } = self.options;
        let [alpha, beta, k] = [alpha, beta, k].map(python_float);
        format!("{}, alpha={alpha}, beta={beta}, k={k}", self.size)
    }
}

forward! {
    LocalResponseNorm: |layer, x| {
        let LocalResponseNormOptions { alpha, beta, k } = layer.options;
        try_local_response_norm(x, layer.size, alpha, beta, k)
    };
}
