//! Fractional max pooling as layers: Graham 2014.

use super::with_indices::with_indices;
use crate::error::{Error, Result};
use crate::functional::{
    FractionalSize, try_fractional_max_pool2d, try_fractional_max_pool2d_with_indices, try_fractional_max_pool3d,
    try_fractional_max_pool3d_with_indices,
};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::per_axis::{PerAxis, demand_positive};
use crate::tensor::Tensor;
use allotrope_derive::Module;

macro_rules! fractional_pools {
    ($( $(#[$doc:meta])* $name:ident over $n:literal by $values:ident, $both:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Module)]
        pub struct $name {
            #[module(skip)]
            kernel_size: [usize; $n],
            #[module(skip)]
            size: FractionalSize<$n>,
            /// PyTorch's buffer of samples that are always the same.
            #[module(buffer)]
            _random_samples: Option<Tensor>,
        }

        constructors! { $name(kernel_size: impl Into<PerAxis<$n>>, size: FractionalSize<$n>) }

        impl $name {
            fn build(kernel_size: impl Into<PerAxis<$n>>, size: FractionalSize<$n>) -> Result<$name> {
                let class = stringify!($name);
                let kernel_size = kernel_size.into().each();
                demand_positive(class, &[("kernel_size", &kernel_size)])?;
                match size {
                    FractionalSize::Output(out) => demand_positive(class, &[("output_size", &out)])?,
                    FractionalSize::Ratio(ratio) if ratio.iter().all(|r| *r > 0.0 && *r < 1.0) => {}
                    FractionalSize::Ratio(ratio) => {
                        return Err(Error::argument(format!("{class}: output_ratio must be between 0 and 1, got {ratio:?}")));
                    }
                }
                Ok($name { kernel_size, size, _random_samples: None })
            }

            /// With samples that every call takes in place of drawing them, PyTorch's `_random_samples`.
            #[must_use]
            pub fn random_samples(mut self, samples: Tensor) -> $name {
                self._random_samples = Some(samples);
                self
            }
        }

        forward! {
            $name: |layer, x| $values(x, layer.kernel_size, layer.size, layer._random_samples.as_ref());
        }

        with_indices! {
            $name: |layer, x| $both(x, layer.kernel_size, layer.size, layer._random_samples.as_ref());
        }
    )*};
}

fractional_pools! {
    /// Maxima of windows that a random step apart begin, `[n, c, h, w] -> [n, c, h', w']`; the axis of the batch may be missing. See
    /// [`fractional_max_pool2d`](crate::functional::fractional_max_pool2d).
    ///
    /// ```
    /// use allotrope::functional::FractionalSize;
    /// use allotrope::prelude::*;
    /// let pool = nn::FractionalMaxPool2d::new(3, FractionalSize::Output([13, 12]));
    /// assert_eq!(pool.forward(&randn(&[2, 4, 20, 16])).shape(), [2, 4, 13, 12]);
    /// ```
    FractionalMaxPool2d over 2 by try_fractional_max_pool2d, try_fractional_max_pool2d_with_indices;
    /// Maxima of windows that a random step apart begin, over three axes; the axis of the batch may be missing.
    FractionalMaxPool3d over 3 by try_fractional_max_pool3d, try_fractional_max_pool3d_with_indices;
}
