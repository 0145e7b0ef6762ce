//! Pooling to so many results as asked for, whatever the size of the input, as layers.

use super::with_indices::with_indices;
use crate::functional::{
    try_adaptive_avg_pool1d, try_adaptive_avg_pool2d, try_adaptive_avg_pool3d, try_adaptive_max_pool1d,
    try_adaptive_max_pool2d, try_adaptive_max_pool3d,
};
use crate::nn::forward::forward;
use crate::nn::per_axis::PerAxis;
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

with_indices! {
    AdaptiveMaxPool1d: |layer, x| try_adaptive_max_pool1d(x, layer.output_size.each());
    AdaptiveMaxPool2d: |layer, x| try_adaptive_max_pool2d(x, layer.output_size.each());
    AdaptiveMaxPool3d: |layer, x| try_adaptive_max_pool3d(x, layer.output_size.each());
}
