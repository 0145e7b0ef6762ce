//! Maxima of windows as layers.

use super::with_indices::with_indices;
use crate::error::Result;
use crate::functional::{
    self, try_max_pool1d, try_max_pool1d_with_indices, try_max_pool2d, try_max_pool2d_with_indices, try_max_pool3d,
    try_max_pool3d_with_indices,
};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::per_axis::{PerAxis, demand_positive};
use crate::nn::repr::python_bool;
use allotrope_derive::Module;

/// What max pooling over `N` axes has besides the size of a window; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MaxPoolOptions<const N: usize> {
    /// Elements from one window to the next; none means the size of a window.
    pub stride: Option<PerAxis<N>>,
    /// Places on both sides that are smaller than every number; at most half a window.
    pub padding: PerAxis<N>,
    pub dilation: PerAxis<N>,
    /// A window at the end that lies partly outside counts too.
    pub ceil_mode: bool,
}

impl<const N: usize> Default for MaxPoolOptions<N> {
    fn default() -> Self {
        MaxPoolOptions { stride: None, padding: PerAxis::All(0), dilation: PerAxis::All(1), ceil_mode: false }
    }
}

impl<const N: usize> MaxPoolOptions<N> {
    fn check(&self, class: &str, kernel: PerAxis<N>) -> Result<()> {
        let stride = self.stride.unwrap_or(kernel).each();
        let given: [(&str, &[usize]); 3] =
            [("kernel_size", &kernel.each()), ("stride", &stride), ("dilation", &self.dilation.each())];
        demand_positive(class, &given)
    }

    fn of_function(&self) -> functional::MaxPoolOptions<N> {
        functional::MaxPoolOptions {
            stride: self.stride.map(PerAxis::each),
            padding: self.padding.each(),
            dilation: self.dilation.each(),
            ceil_mode: self.ceil_mode,
        }
    }

    fn text(&self, kernel: PerAxis<N>) -> String {
        let (stride, ceil) = (self.stride.unwrap_or(kernel), python_bool(self.ceil_mode));
        format!(
            "kernel_size={kernel}, stride={stride}, padding={}, dilation={}, ceil_mode={ceil}",
            self.padding, self.dilation
        )
    }
}

macro_rules! max_pools {
    ($( $(#[$doc:meta])* $name:ident over $n:literal by $values:ident, $both:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            kernel_size: PerAxis<$n>,
            #[module(skip)]
            options: MaxPoolOptions<$n>,
        }

        constructors! { $name(kernel_size: impl Into<PerAxis<$n>>; MaxPoolOptions<$n>) }

        impl $name {
            fn build(kernel_size: impl Into<PerAxis<$n>>, options: MaxPoolOptions<$n>) -> Result<$name> {
                let kernel_size = kernel_size.into();
                options.check(stringify!($name), kernel_size)?;
                Ok($name { kernel_size, options })
            }

            fn text(&self) -> String {
                self.options.text(self.kernel_size)
            }
        }

        forward! {
            $name: |layer, x| $values(x, layer.kernel_size.each(), layer.options.of_function());
        }

        with_indices! {
            $name: |layer, x| $both(x, layer.kernel_size.each(), layer.options.of_function());
        }
    )*};
}

max_pools! {
    /// Maxima of windows, `[n, c, l] -> [n, c, l']`; the axis of the batch may be missing. See
    /// [`max_pool1d`](crate::functional::max_pool1d).
    MaxPool1d over 1 by try_max_pool1d, try_max_pool1d_with_indices;
    /// Maxima of windows over two axes, `[n, c, h, w] -> [n, c, h', w']`; the axis of the batch may be missing. See
    /// [`max_pool2d`](crate::functional::max_pool2d).
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let pool = nn::MaxPool2d::with_options(3, nn::MaxPool2dOptions { stride: Some(2.into()), ..Default::default() });
    /// assert_eq!(pool.forward(&randn(&[1, 4, 9, 9])).shape(), [1, 4, 4, 4]);
    /// ```
    MaxPool2d over 2 by try_max_pool2d, try_max_pool2d_with_indices;
    /// Maxima of windows over three axes, `[n, c, d, h, w] -> [n, c, d', h', w']`; the axis of the batch may be missing.
    MaxPool3d over 3 by try_max_pool3d, try_max_pool3d_with_indices;
}

/// The options of a [`MaxPool1d`].
pub type MaxPool1dOptions = MaxPoolOptions<1>;
/// The options of a [`MaxPool2d`].
pub type MaxPool2dOptions = MaxPoolOptions<2>;
/// The options of a [`MaxPool3d`].
pub type MaxPool3dOptions = MaxPoolOptions<3>;
