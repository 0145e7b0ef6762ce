//! Max pooling turned round, as layers.

use crate::error::{Result, called, must};
use crate::functional::{MaxUnpoolOptions, try_max_unpool1d, try_max_unpool2d, try_max_unpool3d};
use crate::nn::constructors::constructors;
use crate::nn::per_axis::{PerAxis, demand_positive, tuple};
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// What unpooling over `N` axes has besides the size of a window; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct UnpoolOptions<const N: usize> {
    /// Elements from one window to the next; none means the size of a window.
    pub stride: Option<PerAxis<N>>,
    pub padding: PerAxis<N>,
}

impl<const N: usize> Default for UnpoolOptions<N> {
    fn default() -> Self {
        UnpoolOptions { stride: None, padding: PerAxis::All(0) }
    }
}

macro_rules! unpools {
    ($( $(#[$doc:meta])* $name:ident over $n:literal by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            kernel_size: [usize; $n],
            #[module(skip)]
            stride: [usize; $n],
            #[module(skip)]
            padding: [usize; $n],
        }

        constructors! { $name(kernel_size: impl Into<PerAxis<$n>>; UnpoolOptions<$n>) }

        impl $name {
            fn build(kernel_size: impl Into<PerAxis<$n>>, options: UnpoolOptions<$n>) -> Result<$name> {
                let kernel_size = kernel_size.into().each();
                let stride = options.stride.map_or(kernel_size, PerAxis::each);
                demand_positive(stringify!($name), &[("kernel_size", &kernel_size), ("stride", &stride)])?;
                Ok($name { kernel_size, stride, padding: options.padding.each() })
            }

            fn text(&self) -> String {
                let [kernel, stride, padding] = [self.kernel_size, self.stride, self.padding].map(|sizes| tuple(&sizes));
                format!("kernel_size={kernel}, stride={stride}, padding={padding}")
            }

            /// The maxima at their places, and 0 elsewhere; of the size given, of several that may be, or of the usual one.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_forward`] fails.")]
            #[track_caller]
            pub fn forward(&self, x: &Tensor, indices: &Tensor, output_size: Option<[usize; $n]>) -> Tensor {
                must(self.try_forward(x, indices, output_size))
            }

            #[doc = concat!("As [`", stringify!($name), "::forward`].")]
            ///
            /// # Errors
            /// When the indices are not places of the result for each element, or nothing of this size is pooled so.
            #[track_caller]
            pub fn try_forward(&self, x: &Tensor, indices: &Tensor, output_size: Option<[usize; $n]>) -> Result<Tensor> {
                let options = MaxUnpoolOptions { stride: Some(self.stride), padding: self.padding, output_size };
                called($function(x, indices, self.kernel_size, options))
            }
        }
    )*};
}

unpools! {
    /// The maxima of a [`MaxPool1d`](crate::nn::MaxPool1d) at their places, `[n, c, l'] -> [n, c, l]`.
    MaxUnpool1d over 1 by try_max_unpool1d;
    /// The maxima of a [`MaxPool2d`](crate::nn::MaxPool2d) at their places, `[n, c, h', w'] -> [n, c, h, w]`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (y, places) = nn::MaxPool2d::new(2).forward_with_indices(&randn(&[1, 1, 5, 4]));
    /// assert_eq!(nn::MaxUnpool2d::new(2).forward(&y, &places, Some([5, 4])).shape(), [1, 1, 5, 4]);
    /// ```
    MaxUnpool2d over 2 by try_max_unpool2d;
    /// The maxima of a [`MaxPool3d`](crate::nn::MaxPool3d) at their places.
    MaxUnpool3d over 3 by try_max_unpool3d;
}
