//! Resampling layers. How a result is made of its neighbours is in `crate::functional`.

use super::forward::forward;
use super::per_axis::tuple;
use super::repr::python_float;
use crate::functional::{InterpolateMode, InterpolateOptions, try_interpolate};
use allotrope_derive::Module;

/// Resamples the axes behind batch and channels to a size, or by a factor: `[n, c, ..] -> [n, c, ..]`.
///
/// ```
/// use allotrope::functional::InterpolateOptions;
/// use allotrope::prelude::*;
/// let layer = nn::Upsample::new(InterpolateOptions { scale_factor: vec![2.0], ..Default::default() });
/// assert_eq!(layer.to_string(), "Upsample(scale_factor=2.0, mode='nearest')");
/// assert_eq!(layer.forward(&randn(&[1, 3, 4, 5])).shape(), [1, 3, 8, 10]);
/// ```
#[derive(Clone, Debug, Module)]
#[module(extra_repr = Self::text)]
pub struct Upsample {
    #[module(skip)]
    options: InterpolateOptions,
}

impl Upsample {
    /// The layer with either a size or a factor, for each axis or one for all.
    pub fn new(options: InterpolateOptions) -> Upsample {
        Upsample { options }
    }

    fn text(&self) -> String {
        text(&self.options)
    }
}

macro_rules! of_planes {
    ($( $(#[$doc:meta])* $name:ident by $mode:ident, corners $corners:literal; )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            options: InterpolateOptions,
        }

        impl $name {
            /// To a size of height and width, or one for both.
            pub fn to_size(size: &[usize]) -> $name {
                $name::of(InterpolateOptions { size: size.to_vec(), ..InterpolateOptions::default() })
            }

            /// By a factor for height and width, or one for both.
            pub fn by_factor(scale_factor: &[f64]) -> $name {
                $name::of(InterpolateOptions { scale_factor: scale_factor.to_vec(), ..InterpolateOptions::default() })
            }

            fn of(options: InterpolateOptions) -> $name {
                $name { options: InterpolateOptions { mode: InterpolateMode::$mode, align_corners: $corners, ..options } }
            }

            fn text(&self) -> String {
                text(&self.options)
            }
        }

        forward! {
            $name: |layer, x| try_interpolate(x, &layer.options);
        }
    )*};
}

of_planes! {
    /// The nearest element, `[n, c, h, w] -> [n, c, h', w']`.
    UpsamplingNearest2d by Nearest, corners false;
    /// Between neighbours, where the corners keep their place, `[n, c, h, w] -> [n, c, h', w']`.
    UpsamplingBilinear2d by Bilinear, corners true;
}

forward! {
    Upsample: |layer, x| try_interpolate(x, &layer.options);
}

fn text(options: &InterpolateOptions) -> String {
    let mode = match options.mode {
        InterpolateMode::Nearest => "nearest",
        InterpolateMode::NearestExact => "nearest-exact",
        InterpolateMode::Linear => "linear",
        InterpolateMode::Bilinear => "bilinear",
        InterpolateMode::Trilinear => "trilinear",
        InterpolateMode::Bicubic => "bicubic",
        InterpolateMode::Area => "area",
    };
    let wanted = match (&options.scale_factor[..], &options.size[..]) {
        ([one], _) => format!("scale_factor={}", python_float(*one)),
        ([], [one]) => format!("size={one}"),
        ([], []) => "size=None".to_string(),
        ([], all) => format!("size={}", tuple(all)),
        (all, _) => {
            let all: Vec<String> = all.iter().copied().map(python_float).collect();
            format!("scale_factor=({})", all.join(", "))
        }
    };
    format!("{wanted}, mode='{mode}'")
}
