//! Layers that only move elements: axes put together or apart, channels and places exchanged, windows as columns and back.

use super::constructors::constructors;
use super::forward::forward;
use super::per_axis::{PerAxis, demand_positive, tuple};
use crate::error::{Error, Result};
use crate::functional::{self, try_channel_shuffle, try_fold, try_pixel_shuffle, try_pixel_unshuffle, try_unfold};
use allotrope_derive::Module;

/// Puts the axes from `start_dim` to `end_dim` together; negative ones count from the end.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(nn::Flatten::default().forward(&randn(&[2, 3, 4])).shape(), [2, 12]);
/// ```
#[derive(Copy, Clone, Debug, Module)]
#[module(extra_repr = Self::text)]
pub struct Flatten {
    #[module(skip)]
    start_dim: isize,
    #[module(skip)]
    end_dim: isize,
}

impl Flatten {
    /// The layer for these axes.
    pub fn new(start_dim: isize, end_dim: isize) -> Flatten {
        Flatten { start_dim, end_dim }
    }

    fn text(&self) -> String {
        format!("start_dim={}, end_dim={}", self.start_dim, self.end_dim)
    }
}

/// All axes but the first.
impl Default for Flatten {
    fn default() -> Flatten {
        Flatten { start_dim: 1, end_dim: -1 }
    }
}

/// Takes an axis apart into several; one of their sizes may be -1.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(nn::Unflatten::new(1, &[3, 4]).forward(&randn(&[2, 12])).shape(), [2, 3, 4]);
/// ```
#[derive(Clone, Debug, Module)]
#[module(extra_repr = Self::text)]
pub struct Unflatten {
    #[module(skip)]
    dim: isize,
    #[module(skip)]
    unflattened_size: Vec<isize>,
}

constructors! { Unflatten(dim: isize, unflattened_size: &[isize]) }

impl Unflatten {
    fn build(dim: isize, unflattened_size: &[isize]) -> Result<Unflatten> {
        if unflattened_size.is_empty() {
            return Err(Error::argument("Unflatten: unflattened_size needs one axis at least"));
        }
        Ok(Unflatten { dim, unflattened_size: unflattened_size.to_vec() })
    }

    fn text(&self) -> String {
        format!("dim={}, unflattened_size={}", self.dim, tuple(&self.unflattened_size))
    }
}

macro_rules! of_one_number {
    ($( $(#[$doc:meta])* $name:ident($number:ident) by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            $number: usize,
        }

        constructors! { $name($number: usize) }

        impl $name {
            fn build($number: usize) -> Result<$name> {
                demand_positive(stringify!($name), &[(stringify!($number), &[$number])])?;
                Ok($name { $number })
            }

            fn text(&self) -> String {
                format!(concat!(stringify!($number), "={}"), self.$number)
            }
        }

        forward! {
            $name: |layer, x| $function(x, layer.$number);
        }
    )*};
}

of_one_number! {
    /// Channels as places: `[.., c r r, h, w] -> [.., c, h r, w r]` for a factor r.
    PixelShuffle(upscale_factor) by try_pixel_shuffle;
    /// Places as channels: `[.., c, h r, w r] -> [.., c r r, h, w]` for a factor r.
    PixelUnshuffle(downscale_factor) by try_pixel_unshuffle;
    /// Channels dealt out anew: `[n, c, ..]` as `groups` rows of channels, read by columns.
    ChannelShuffle(groups) by try_channel_shuffle;
}

/// How the windows of a [`Fold`] or an [`Unfold`] lie; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FoldOptions {
    pub dilation: PerAxis<2>,
    /// Zeros on both sides of each axis.
    pub padding: PerAxis<2>,
    pub stride: PerAxis<2>,
}

impl Default for FoldOptions {
    fn default() -> Self {
        FoldOptions { dilation: PerAxis::All(1), padding: PerAxis::All(0), stride: PerAxis::All(1) }
    }
}

impl FoldOptions {
    fn check(&self, class: &str, kernel: PerAxis<2>) -> Result<()> {
        let (dilation, stride) = (self.dilation.each(), self.stride.each());
        demand_positive(class, &[("kernel_size", &kernel.each()), ("dilation", &dilation), ("stride", &stride)])
    }

    fn of_function(&self) -> functional::FoldOptions {
        let [dilation, padding, stride] = [self.dilation, self.padding, self.stride].map(PerAxis::each);
        functional::FoldOptions { dilation, padding, stride }
    }

    fn text(&self, kernel: PerAxis<2>) -> String {
        let FoldOptions { dilation, padding, stride } = self;
        format!("kernel_size={kernel}, dilation={dilation}, padding={padding}, stride={stride}")
    }
}

/// Every window as a column: `[n, c, h, w] -> [n, c kh kw, windows]`; the axis of the batch may be missing.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(nn::Unfold::new([2, 3]).forward(&randn(&[2, 5, 3, 4])).shape(), [2, 30, 4]);
/// ```
#[derive(Copy, Clone, Debug, Module)]
#[module(extra_repr = Self::text)]
pub struct Unfold {
    #[module(skip)]
    kernel_size: PerAxis<2>,
    #[module(skip)]
    options: FoldOptions,
}

constructors! { Unfold(kernel_size: impl Into<PerAxis<2>>; FoldOptions) }

impl Unfold {
    fn build(kernel_size: impl Into<PerAxis<2>>, options: FoldOptions) -> Result<Unfold> {
        let kernel_size = kernel_size.into();
        options.check("Unfold", kernel_size)?;
        Ok(Unfold { kernel_size, options })
    }

    fn text(&self) -> String {
        self.options.text(self.kernel_size)
    }
}

/// Columns added back to where an [`Unfold`] took them from: `[n, c kh kw, windows] -> [n, c, h, w]`.
#[derive(Copy, Clone, Debug, Module)]
#[module(extra_repr = Self::text)]
pub struct Fold {
    #[module(skip)]
    output_size: PerAxis<2>,
    #[module(skip)]
    kernel_size: PerAxis<2>,
    #[module(skip)]
    options: FoldOptions,
}

constructors! { Fold(output_size: impl Into<PerAxis<2>>, kernel_size: impl Into<PerAxis<2>>; FoldOptions) }

impl Fold {
    fn build(
        output_size: impl Into<PerAxis<2>>,
        kernel_size: impl Into<PerAxis<2>>,
        options: FoldOptions,
    ) -> Result<Fold> {
        let (output_size, kernel_size) = (output_size.into(), kernel_size.into());
        options.check("Fold", kernel_size)?;
        Ok(Fold { output_size, kernel_size, options })
    }

    fn text(&self) -> String {
        format!("output_size={}, {}", self.output_size, self.options.text(self.kernel_size))
    }
}

forward! {
    Flatten: |layer, x| x.try_flatten(layer.start_dim, layer.end_dim);
    Unflatten: |layer, x| x.try_unflatten(layer.dim, &layer.unflattened_size);
    Unfold: |layer, x| try_unfold(x, layer.kernel_size.each(), layer.options.of_function());
    Fold: |layer, x| try_fold(x, layer.output_size.each(), layer.kernel_size.each(), layer.options.of_function());
}
