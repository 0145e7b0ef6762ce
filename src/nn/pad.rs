//! Padding layers: more elements at both ends of the last axes, or fewer.

use super::forward::forward;
use super::per_axis::{Sides, tuple};
use super::repr::python_number;
use crate::error::{Error, Result};
use crate::functional::{PadMode, try_pad};
use crate::ops::Number;
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// What goes to the sides of the last axes, after the check that the input has one of these numbers of axes.
fn padded(class: &'static str, x: &Tensor, fit: &[usize], sides: &[isize], mode: PadMode) -> Result<Tensor> {
    if !fit.contains(&x.dim()) {
        let fit: Vec<String> = fit.iter().map(usize::to_string).collect();
        return Err(Error::operands(
            class,
            format!("the input must have {} axes, got {:?}", fit.join(" or "), x.shape_hint()),
        ));
    }
    try_pad(x, sides, mode)
}

macro_rules! pads {
    ($( $(#[$doc:meta])* $name:ident with $sides:literal by $mode:ident to $fit:expr; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $name {
            #[module(skip)]
            padding: [isize; $sides],
        }

        impl $name {
            /// The layer with so many elements for each side, the sides of the last axis first; a negative number takes
            /// elements away.
            pub fn new(padding: impl Into<Sides<$sides>>) -> $name {
                $name { padding: padding.into().each() }
            }

            fn text(&self) -> String {
                tuple(&self.padding)
            }
        }

        forward! {
            $name: |layer, x| padded(stringify!($name), x, &$fit, &layer.padding, PadMode::$mode);
        }
    )*};
}

pads! {
    /// The elements from the other end of the last axis of `[n, c, l]` or `[c, l]`.
    CircularPad1d with 2 by Circular to [2, 3];
    /// The elements from the other end of the last two axes of `[n, c, h, w]` or `[c, h, w]`.
    CircularPad2d with 4 by Circular to [3, 4];
    /// The elements from the other end of the last three axes of `[n, c, d, h, w]` or `[c, d, h, w]`.
    CircularPad3d with 6 by Circular to [4, 5];
    /// The elements of the last axis of `[n, c, l]` or `[c, l]` mirrored at the edge, which is not repeated.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let y = nn::ReflectionPad1d::new([2, 0]).forward(&Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[1, 3]));
    /// assert_eq!(y.to_vec::<f32>(), [3.0, 2.0, 1.0, 2.0, 3.0]);
    /// ```
    ReflectionPad1d with 2 by Reflect to [2, 3];
    /// The elements of the last two axes of `[n, c, h, w]` or `[c, h, w]` mirrored at the edges.
    ReflectionPad2d with 4 by Reflect to [3, 4];
    /// The elements of the last three axes of `[n, c, d, h, w]` or `[c, d, h, w]` mirrored at the edges.
    ReflectionPad3d with 6 by Reflect to [4, 5];
    /// The element at the edge of the last axis of `[n, c, l]` or `[c, l]`.
    ReplicationPad1d with 2 by Replicate to [2, 3];
    /// The elements at the edges of the last two axes of `[n, c, h, w]` or `[c, h, w]`.
    ReplicationPad2d with 4 by Replicate to [3, 4];
    /// The elements at the edges of the last three axes of `[n, c, d, h, w]` or `[c, d, h, w]`.
    ReplicationPad3d with 6 by Replicate to [4, 5];
}

macro_rules! zero_pads {
    ($( $(#[$doc:meta])* $zero:ident, $(#[$const_doc:meta])* $constant:ident with $sides:literal; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $zero {
            #[module(skip)]
            padding: [isize; $sides],
        }

        impl $zero {
            /// The layer with so many zeros for each side, the sides of the last axis first; a negative number takes elements
            /// away.
            pub fn new(padding: impl Into<Sides<$sides>>) -> $zero {
                $zero { padding: padding.into().each() }
            }

            fn text(&self) -> String {
                tuple(&self.padding)
            }
        }

        $(#[$const_doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(extra_repr = Self::text)]
        pub struct $constant {
            #[module(skip)]
            padding: [isize; $sides],
            #[module(skip)]
            value: Number,
        }

        impl $constant {
            /// The layer with so many elements of `value` for each side, the sides of the last axis first; a negative number
            /// takes elements away.
            pub fn new(padding: impl Into<Sides<$sides>>, value: impl Into<Number>) -> $constant {
                $constant { padding: padding.into().each(), value: value.into() }
            }

            fn text(&self) -> String {
                format!("padding={}, value={}", tuple(&self.padding), python_number(self.value))
            }
        }

        forward! {
            $zero: |layer, x| try_pad(x, &layer.padding, PadMode::Zeros);
            $constant: |layer, x| try_pad(x, &layer.padding, PadMode::Constant(layer.value.to_f64()));
        }
    )*};
}

zero_pads! {
    /// Zeros at the ends of the last axis.
    ZeroPad1d,
    /// One number at the ends of the last axis.
    ConstantPad1d with 2;
    /// Zeros around the last two axes.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(nn::ZeroPad2d::new([1, 1, 2, 0]).forward(&randn(&[1, 3, 4, 4])).shape(), [1, 3, 6, 6]);
    /// assert_eq!(nn::ConstantPad2d::new(1, 3.5).to_string(), "ConstantPad2d(padding=(1, 1, 1, 1), value=3.5)");
    /// ```
    ZeroPad2d,
    /// One number around the last two axes.
    ConstantPad2d with 4;
    /// Zeros around the last three axes.
    ZeroPad3d,
    /// One number around the last three axes.
    ConstantPad3d with 6;
}
