//! Power-average pooling as layers: the p-norm of each window.

use crate::error::{Error, Result};
use crate::functional::{self, try_lp_pool1d, try_lp_pool2d, try_lp_pool3d};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::per_axis::{PerAxis, demand_positive};
use crate::nn::repr::{python_bool, python_number};
use crate::ops::Number;
use allotrope_derive::Module;

/// What power-average pooling over `N` axes has besides the norm and the size of a window; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct LpPoolOptions<const N: usize> {
    /// Elements from one window to the next; none means the size of a window.
    pub stride: Option<PerAxis<N>>,
    /// A window at the end that lies partly outside counts too.
    pub ceil_mode: bool,
}

impl<const N: usize> LpPoolOptions<N> {
    fn check(&self, class: &str, norm_type: Number, kernel: PerAxis<N>) -> Result<()> {
        let p = norm_type.to_f64();
        if p == 0.0 || p.is_nan() {
            return Err(Error::argument(format!("{class}: norm_type must be a number other than 0, got {p}")));
        }
        let stride = self.stride.unwrap_or(kernel).each();
        demand_positive(class, &[("kernel_size", &kernel.each()), ("stride", &stride)])
    }

    fn of_function(&self) -> functional::LpPoolOptions<N> {
        functional::LpPoolOptions { stride: self.stride.map(PerAxis::each), ceil_mode: self.ceil_mode }
    }

    fn text(&self, norm_type: Number, kernel: PerAxis<N>) -> String {
        let stride = self.stride.map_or("None".to_string(), |stride| stride.to_string());
        let (norm, ceil) = (python_number(norm_type), python_bool(self.ceil_mode));
        format!("norm_type={norm}, kernel_size={kernel}, stride={stride}, ceil_mode={ceil}")
    }
}

macro_rules! power_pools {
    ($( $(#[$doc:meta])* $name:ident $class:literal over $n:literal by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(name = $class, extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            norm_type: Number,
            #[module(skip)]
            kernel_size: PerAxis<$n>,
            #[module(skip)]
            options: LpPoolOptions<$n>,
        }

        constructors! { $name(norm_type: impl Into<Number>, kernel_size: impl Into<PerAxis<$n>>; LpPoolOptions<$n>) }

        impl $name {
            fn build(
                norm_type: impl Into<Number>,
                kernel_size: impl Into<PerAxis<$n>>,
                options: LpPoolOptions<$n>,
            ) -> Result<$name> {
                let (norm_type, kernel_size) = (norm_type.into(), kernel_size.into());
                options.check($class, norm_type, kernel_size)?;
                Ok($name { norm_type, kernel_size, options })
            }

            fn text(&self) -> String {
                self.options.text(self.norm_type, self.kernel_size)
            }
        }

        forward! {
            $name: |layer, x| {
                $function(x, layer.norm_type.to_f64(), layer.kernel_size.each(), layer.options.of_function())
            };
        }
    )*};
}

power_pools! {
    /// `(Σ x^p)^(1/p)` of each window, `[n, c, l] -> [n, c, l']`; the axis of the batch may be missing. See
    /// [`lp_pool1d`](crate::functional::lp_pool1d).
    LpPool1d "LPPool1d" over 1 by try_lp_pool1d;
    /// As [`LpPool1d`], over two axes.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(nn::LpPool2d::new(2, 3).to_string(), "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)");
    /// ```
    LpPool2d "LPPool2d" over 2 by try_lp_pool2d;
    /// As [`LpPool1d`], over three axes.
    LpPool3d "LPPool3d" over 3 by try_lp_pool3d;
}
