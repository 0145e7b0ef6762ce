//! Pooling to so many results as asked for, whatever the size of the input, as layers.

use crate::error::{Result, called, must};
use crate::functional::{
    try_adaptive_avg_pool1d, try_adaptive_avg_pool2d, try_adaptive_avg_pool3d, try_adaptive_max_pool1d,
    try_adaptive_max_pool2d, try_adaptive_max_pool3d,
};
use crate::nn::forward::forward;
use crate::nn::per_axis::PerAxis;
use crate::tensor::Tensor;
use allotrope_derive::Module;

macro_rules! adaptive_pools {
    ($( $(#[$doc:meta])* $name:ident over $n:literal: |$x:ident, $out:ident| $value:expr; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            output_size: PerAxis<$n, Option<usize>>,
        }

        impl $name {
            /// The layer with so many results for each axis; none keeps an axis as it is.
            pub fn new(output_size: impl Into<PerAxis<$n, Option<usize>>>) -> $name {
                $name { output_size: output_size.into() }
            }

            fn text(&self) -> String {
                format!("output_size={}", self.output_size)
            }
        }

        forward! {
            $name: |layer, $x| {
                let $out = layer.output_size.each();
                $value
            };
        }
    )*};
}

adaptive_pools! {
    /// Averages of shares, `[n, c, l] -> [n, c, out]`; the axis of the batch may be missing.
    AdaptiveAvgPool1d over 1: |x, out| try_adaptive_avg_pool1d(x, out);
    /// Averages of shares of two axes, `[n, c, h, w] -> [n, c, out, out]`; the axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = randn(&[1, 4, 9, 8]);
    /// assert_eq!(nn::AdaptiveAvgPool2d::new(3).forward(&x).shape(), [1, 4, 3, 3]);
    /// assert_eq!(nn::AdaptiveAvgPool2d::new([Some(3), None]).forward(&x).shape(), [1, 4, 3, 8]);
    /// ```
    AdaptiveAvgPool2d over 2: |x, out| try_adaptive_avg_pool2d(x, out);
    /// Averages of shares of three axes; the axis of the batch may be missing.
    AdaptiveAvgPool3d over 3: |x, out| try_adaptive_avg_pool3d(x, out);
    /// Maxima of shares, `[n, c, l] -> [n, c, out]`; the axis of the batch may be missing.
    AdaptiveMaxPool1d over 1: |x, out| Ok(try_adaptive_max_pool1d(x, out)?.0);
    /// Maxima of shares of two axes, `[n, c, h, w] -> [n, c, out, out]`; the axis of the batch may be missing.
    AdaptiveMaxPool2d over 2: |x, out| Ok(try_adaptive_max_pool2d(x, out)?.0);
    /// Maxima of shares of three axes; the axis of the batch may be missing.
    AdaptiveMaxPool3d over 3: |x, out| Ok(try_adaptive_max_pool3d(x, out)?.0);
}

macro_rules! with_indices {
    ($($name:ident by $function:ident;)*) => {$(
        impl $name {
            /// The maxima and their places (i64), counted in row-major order of the axes that are pooled: PyTorch's
            /// `return_indices=True`.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_forward_with_indices`] fails.")]
            #[track_caller]
            pub fn forward_with_indices(&self, x: &Tensor) -> (Tensor, Tensor) {
                must(self.try_forward_with_indices(x))
            }

            #[doc = concat!("As [`", stringify!($name), "::forward_with_indices`].")]
            ///
            /// # Errors
            /// When the input has other axes, or is empty behind its batch.
            #[track_caller]
            pub fn try_forward_with_indices(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
                called($function(x, self.output_size.each()))
            }
        }
    )*};
}

with_indices! {
    AdaptiveMaxPool1d by try_adaptive_max_pool1d;
    AdaptiveMaxPool2d by try_adaptive_max_pool2d;
    AdaptiveMaxPool3d by try_adaptive_max_pool3d;
}
