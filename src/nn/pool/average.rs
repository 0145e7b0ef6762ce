//! Averages of windows as layers.

use crate::error::{Error, Result};
use crate::functional::{self, try_avg_pool1d, try_avg_pool2d, try_avg_pool3d};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::per_axis::{PerAxis, demand_positive};
use allotrope_derive::Module;

/// What average pooling over `N` axes has besides the size of a window; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AvgPoolOptions<const N: usize> {
    /// Elements from one window to the next; none means the size of a window.
    pub stride: Option<PerAxis<N>>,
    /// Zeros on both sides; at most half a window.
    pub padding: PerAxis<N>,
    /// A window at the end that lies partly outside counts too.
    pub ceil_mode: bool,
    /// Whether the zeros of the padding are counted.
    pub count_include_pad: bool,
    /// What sums are divided by, in place of the number of elements.
    pub divisor_override: Option<i64>,
}

impl<const N: usize> Default for AvgPoolOptions<N> {
    fn default() -> Self {
        AvgPoolOptions {
            stride: None,
            padding: PerAxis::All(0),
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }
}

impl<const N: usize> AvgPoolOptions<N> {
    fn check(&self, class: &str, kernel: PerAxis<N>) -> Result<()> {
        if self.divisor_override == Some(0) {
            return Err(Error::argument(format!("{class}: divisor_override must not be 0")));
        }
        let stride = self.stride.unwrap_or(kernel).each();
        demand_positive(class, &[("kernel_size", &kernel.each()), ("stride", &stride)])
    }

    fn of_function(&self) -> functional::AvgPoolOptions<N> {
        functional::AvgPoolOptions {
            stride: self.stride.map(PerAxis::each),
            padding: self.padding.each(),
            ceil_mode: self.ceil_mode,
            count_include_pad: self.count_include_pad,
            divisor_override: self.divisor_override,
        }
    }

    fn text(&self, kernel: PerAxis<N>) -> String {
        // PyTorch keeps what is given for one axis as a tuple.
        let shown = |sizes: PerAxis<N>| if N == 1 { PerAxis::Each(sizes.each()) } else { sizes };
        let stride = self.stride.unwrap_or(kernel);
        format!("kernel_size={}, stride={}, padding={}", shown(kernel), shown(stride), shown(self.padding))
    }
}

macro_rules! average_pools {
    ($( $(#[$doc:meta])* $name:ident over $n:literal by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            kernel_size: PerAxis<$n>,
            #[module(skip)]
            options: AvgPoolOptions<$n>,
        }

        constructors! { $name(kernel_size: impl Into<PerAxis<$n>>; AvgPoolOptions<$n>) }

        impl $name {
            fn build(kernel_size: impl Into<PerAxis<$n>>, options: AvgPoolOptions<$n>) -> Result<$name> {
                let kernel_size = kernel_size.into();
                options.check(stringify!($name), kernel_size)?;
                Ok($name { kernel_size, options })
            }

            fn text(&self) -> String {
                self.options.text(self.kernel_size)
            }
        }

        forward! {
            $name: |layer, x| $function(x, layer.kernel_size.each(), layer.options.of_function());
        }
    )*};
}

average_pools! {
    /// Averages of windows, `[n, c, l] -> [n, c, l']`; the axis of the batch may be missing. See
    /// [`avg_pool1d`](crate::functional::avg_pool1d).
    AvgPool1d over 1 by try_avg_pool1d;
    /// Averages of windows over two axes, `[n, c, h, w] -> [n, c, h', w']`; the axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(nn::AvgPool2d::new([2, 3]).forward(&randn(&[1, 4, 6, 6])).shape(), [1, 4, 3, 2]);
    /// ```
    AvgPool2d over 2 by try_avg_pool2d;
    /// Averages of windows over three axes, `[n, c, d, h, w] -> [n, c, d', h', w']`; the axis of the batch may be missing.
    AvgPool3d over 3 by try_avg_pool3d;
}

/// The options of an [`AvgPool1d`].
pub type AvgPool1dOptions = AvgPoolOptions<1>;
/// The options of an [`AvgPool2d`].
pub type AvgPool2dOptions = AvgPoolOptions<2>;
/// The options of an [`AvgPool3d`].
pub type AvgPool3dOptions = AvgPoolOptions<3>;
