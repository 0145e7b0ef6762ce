//! Activations as layers: each is a function of `crate::functional` with its options, and prints as PyTorch's. What is
//! piecewise and in which order things are computed is said there.

use super::forward::forward;
use super::repr::{python_bool, python_number};
use crate::error::{Error, Result, must};
use crate::ops::Number;
use crate::tensor::{Flag, Tensor};
use allotrope_derive::Module;
use allotrope_ir::DType;

/// Layers without options.
macro_rules! plain {
    ($( $(#[$doc:meta])* $name:ident $class:tt |$x:ident| $body:expr; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Default, Module)]
        #[module(name = $class)]
        pub struct $name;

        impl $name {
            pub fn new() -> $name {
                $name
            }
        }

        forward! {
            $name: |_layer, $x| $body;
        }
    )*};
}

plain! {
    /// 1 / (1 + e^-x); see [`Tensor::sigmoid`].
    Sigmoid "Sigmoid" |x| x.try_sigmoid();
    /// The hyperbolic tangent; see [`Tensor::tanh`].
    Tanh "Tanh" |x| x.try_tanh();
    /// x / (1 + |x|); see [`Tensor::softsign`].
    Softsign "Softsign" |x| x.try_softsign();
    /// x - tanh(x); see [`Tensor::tanhshrink`].
    Tanhshrink "Tanhshrink" |x| x.try_tanhshrink();
    /// log(sigmoid(x)); see [`Tensor::logsigmoid`].
    LogSigmoid "LogSigmoid" |x| x.try_logsigmoid();
    /// The softmax over the channels of images, `[n, c, h, w]` or `[c, h, w]`.
    Softmax2d "Softmax2d" |x| match x.dim() {
        3 | 4 => x.try_softmax(-3),
        _ => Err(Error::operands(
            "softmax2d",
            format!("the input must be [n, c, h, w] or [c, h, w], got {:?}", x.shape_hint()),
        )),
    };
}

/// Layers with options and PyTorch's defaults for them. The options in parentheses are the arguments of `new`; they are
/// printed with their names, unless `unnamed`.
macro_rules! with_options {
    ($( $(#[$doc:meta])* $name:ident $class:tt ($($arg:ident : $ty:ty = $default:expr),*) $($print:ident)? |$layer:ident, $x:ident| $body:expr; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(name = $class, extra_repr = Self::options)]
        pub struct $name {
            $(#[module(skip)] $arg: $ty,)*
        }

        impl $name {
            /// With these options; PyTorch's are those of `default()`.
            pub fn new($($arg: impl Into<$ty>),*) -> $name {
                $name { $($arg: $arg.into()),* }
            }

            fn options(&self) -> String {
                let options = [$((stringify!($arg), Shown::shown(&self.$arg))),*];
                with_options!(@ options $($print)?)
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($arg: $default),* }
            }
        }

        forward! {
            $name: |$layer, $x| $body;
        }
    )*};
    (@ $options:ident) => { listed(&$options, false) };
    // The value alone.
    (@ $options:ident unnamed) => { $options.map(|(_, value)| value).join(", ") };
}

with_options! {
    /// log(1 + e^(beta x)) / beta, and x where beta x > threshold; see [`Tensor::softplus`].
    Softplus "Softplus" (beta: Number = Number::Float(1.0), threshold: Number = Number::Float(20.0))
        |layer, x| x.try_softplus(layer.beta.to_f64(), layer.threshold.to_f64());
    /// x where |x| > lambd, else 0; see [`Tensor::hardshrink`].
    Hardshrink "Hardshrink" (lambd: Number = Number::Float(0.5)) unnamed
        |layer, x| x.try_hardshrink(layer.lambd.to_f64());
    /// x moved by lambd towards 0; see [`Tensor::softshrink`].
    Softshrink "Softshrink" (lambd: Number = Number::Float(0.5)) unnamed
        |layer, x| x.try_softshrink(layer.lambd.to_f64());
    /// x times the probability that a normal number is below it; see [`Tensor::gelu`] and [`Tensor::gelu_tanh`].
    Gelu "GELU" (approximate: Approximate = Approximate::None) |layer, x| match layer.approximate {
        Approximate::None => x.try_gelu(),
        Approximate::Tanh => x.try_gelu_tanh(),
    };
    /// e^x over the sum of these along an axis; see [`Tensor::softmax`]. Without an axis it is PyTorch's implicit choice:
    /// the first of a tensor with 0, 1 or 3 axes, else the second.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let y = nn::Softmax::new(1).forward(&Tensor::zeros(&[3, 4], DType::F32));
    /// assert_eq!(y.to_vec::<f32>(), [0.25; 12]);
    /// ```
    Softmax "Softmax" (dim: Option<isize> = None) |layer, x| x.try_softmax(softmax_axis(layer.dim, x));
    /// The softmax of -x; see [`Softmax`].
    Softmin "Softmin" (dim: Option<isize> = None) |layer, x| x.try_softmin(softmax_axis(layer.dim, x));
    /// The logarithm of the softmax; see [`Softmax`].
    LogSoftmax "LogSoftmax" (dim: Option<isize> = None) |layer, x| x.try_log_softmax(softmax_axis(layer.dim, x));
}

/// The first half of an axis times the sigmoid of the second; see [`Tensor::glu`].
#[derive(Copy, Clone, Debug, Module)]
#[module(name = "GLU", extra_repr = Self::options)]
pub struct Glu {
    #[module(skip)]
    dim: isize,
}

impl Glu {
    /// Along an axis.
    pub fn new(dim: isize) -> Glu {
        Glu { dim }
    }

    fn options(&self) -> String {
        format!("dim={}", self.dim)
    }
}

/// Along the last axis.
impl Default for Glu {
    fn default() -> Glu {
        Glu::new(-1)
    }
}

forward! {
    Glu: |layer, x| x.try_glu(layer.dim);
}

/// The axis that PyTorch takes where none is given.
fn softmax_axis(given: Option<isize>, x: &Tensor) -> isize {
    given.unwrap_or(if matches!(x.dim(), 0 | 1 | 3) { 0 } else { 1 })
}

/// How [`Gelu`] computes the distribution of normal numbers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Approximate {
    /// With the error function.
    #[default]
    None,
    /// With the hyperbolic tangent.
    Tanh,
}

/// Layers that may compute in place: as PyTorch's, they then change the tensor that they are given. `silent` ones do not
/// print the switch. First comes the plain result, then the tensor changed.
macro_rules! in_place {
    ($( $(#[$doc:meta])* $name:ident $class:tt ($($arg:ident : $ty:ty $(= $default:expr)?),*) $($print:ident)?
        |$layer:ident, $x:ident| $body:expr, $changing:expr; )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Module)]
        #[module(name = $class, extra_repr = Self::options)]
        pub struct $name {
            $(#[module(skip)] $arg: $ty,)*
            #[module(skip)]
            inplace: bool,
        }

        impl $name {
            in_place!(@ constructor $name $($arg: $ty),*);

            /// Computes in place: the input becomes the result, which saves its memory. It must not be a leaf that requires a
            /// gradient.
            #[must_use]
            pub fn inplace(mut self, on: bool) -> $name {
                self.inplace = on;
                self
            }

            fn options(&self) -> String {
                let options: &[(&str, String)] = &[$((stringify!($arg), Shown::shown(&self.$arg))),*];
                listed(options, self.inplace && in_place!(@ prints $($print)?))
            }
        }

        forward! {
            $name: |$layer, $x| if $layer.inplace { $changing.cloned() } else { $body };
        }

        in_place!(@ default $name $($arg $(= $default)?),*);
    )*};
    (@ prints) => { true };
    // PyTorch does not print the switch of some.
    (@ prints silent) => { false };
    (@ constructor $name:ident) => {
        pub fn new() -> $name {
            $name { inplace: false }
        }
    };
    (@ constructor $name:ident $($arg:ident : $ty:ty),+) => {
        /// With these options.
        pub fn new($($arg: impl Into<$ty>),+) -> $name {
            $name { $($arg: $arg.into(),)+ inplace: false }
        }
    };
    // Without a default there is none of the layer.
    (@ default $name:ident $first:ident $(, $arg:ident)*) => {};
    (@ default $name:ident $($arg:ident = $default:expr),*) => {
        /// With PyTorch's defaults.
        impl Default for $name {
            fn default() -> $name {
                $name { $($arg: $default,)* inplace: false }
            }
        }
    };
}

in_place! {
    /// x where x >= 0, else 0; see [`Tensor::relu`].
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let y = nn::Relu::new().forward(&Tensor::from_vec(vec![-1.0f32, 2.0], &[2]));
    /// assert_eq!(y.to_vec::<f32>(), [0.0, 2.0]);
    /// ```
    Relu "ReLU" () |layer, x| x.try_relu(), x.try_relu_();
    /// x between 0 and 6; see [`Tensor::relu6`].
    Relu6 "ReLU6" () |layer, x| x.try_relu6(), x.try_relu6_();
    /// x where x > 0, else negative_slope · x; see [`Tensor::leaky_relu`].
    LeakyRelu "LeakyReLU" (negative_slope: Number = Number::Float(0.01))
        |layer, x| x.try_leaky_relu(layer.negative_slope.to_f64()), x.try_leaky_relu_(layer.negative_slope.to_f64());
    /// x where x > 0, else alpha (e^x - 1); see [`Tensor::elu`].
    Elu "ELU" (alpha: Number = Number::Float(1.0))
        |layer, x| x.try_elu(layer.alpha.to_f64()), x.try_elu_(layer.alpha.to_f64());
    /// The ELU whose scales keep mean 0 and variance 1; see [`Tensor::selu`].
    Selu "SELU" () |layer, x| x.try_selu(), x.try_selu_();
    /// x where x > 0, else alpha (e^(x / alpha) - 1); see [`Tensor::celu`].
    Celu "CELU" (alpha: Number = Number::Float(1.0))
        |layer, x| x.try_celu(layer.alpha.to_f64()), x.try_celu_(layer.alpha.to_f64());
    /// x sigmoid(x); see [`Tensor::silu`].
    Silu "SiLU" () |layer, x| x.try_silu(), x.try_silu_();
    /// x tanh(softplus(x)); see [`Tensor::mish`].
    Mish "Mish" () |layer, x| x.try_mish(), x.try_mish_();
    /// x between min_val and max_val; see [`Tensor::hardtanh`].
    Hardtanh "Hardtanh" (min_val: Number = Number::Float(-1.0), max_val: Number = Number::Float(1.0))
        |layer, x| x.try_hardtanh(layer.min_val, layer.max_val),
        x.try_hardtanh_(layer.min_val.to_f64(), layer.max_val.to_f64());
    /// min(max(x + 3, 0), 6) / 6; see [`Tensor::hardsigmoid`].
    Hardsigmoid "Hardsigmoid" () silent |layer, x| x.try_hardsigmoid(), x.try_hardsigmoid_();
    /// x min(max(x + 3, 0), 6) / 6; see [`Tensor::hardswish`].
    Hardswish "Hardswish" () silent |layer, x| x.try_hardswish(), x.try_hardswish_();
    /// x where x > threshold, else value; see [`Tensor::threshold`].
    Threshold "Threshold" (threshold: Number, value: Number)
        |layer, x| x.try_threshold(layer.threshold, layer.value), x.try_threshold_(layer.threshold, layer.value);
}

/// x where x > 0, else weight · x with a learned weight, one for all channels (axis 1) or one for each; see [`Tensor::prelu`].
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::PRelu::new(3);
/// assert_eq!(layer.weight.to_vec::<f32>(), [0.25; 3]);
/// assert_eq!(layer.forward(&randn(&[2, 3, 5])).shape(), [2, 3, 5]);
/// ```
#[derive(Module)]
#[module(name = "PReLU", extra_repr = Self::options)]
pub struct PRelu {
    /// `[num_parameters]`
    pub weight: Tensor,
}

/// What [`PRelu::with_options`] takes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct PReluOptions {
    /// 1, or the number of channels.
    pub num_parameters: usize,
    /// What the weights begin with.
    pub init: f64,
    pub dtype: DType,
}

impl Default for PReluOptions {
    fn default() -> PReluOptions {
        PReluOptions { num_parameters: 1, init: 0.25, dtype: DType::F32 }
    }
}

impl PRelu {
    /// With this many weights of 0.25.
    ///
    /// # Panics
    /// When there is no memory for them.
    #[track_caller]
    pub fn new(num_parameters: usize) -> PRelu {
        PRelu::with_options(PReluOptions { num_parameters, ..Default::default() })
    }

    /// With other options.
    ///
    /// # Panics
    /// Where [`PRelu::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(options: PReluOptions) -> PRelu {
        must(PRelu::try_with_options(options))
    }

    /// As [`PRelu::with_options`].
    ///
    /// # Errors
    /// When the dtype is no float, or there is no memory for the weights.
    #[track_caller]
    pub fn try_with_options(options: PReluOptions) -> Result<PRelu> {
        let PReluOptions { num_parameters, init, dtype } = options;
        if !dtype.is_float() {
            return Err(Error::argument(format!("PReLU: the dtype must be a float, got {dtype}")));
        }
        let weight = Tensor::try_zeros(&[num_parameters], dtype)?.try_full_like(init)?;
        weight.set_requires_grad(true);
        Ok(PRelu { weight })
    }

    fn options(&self) -> String {
        format!("num_parameters={}", self.weight.shape_hint()[0])
    }
}

impl Default for PRelu {
    fn default() -> PRelu {
        PRelu::new(1)
    }
}

/// x where x > 0, else a slope · x: the slope is drawn for each element in training, and the mean of `lower` and `upper` in
/// evaluation; see [`Tensor::rrelu`].
#[derive(Debug, Module)]
#[module(name = "RReLU", extra_repr = Self::options)]
pub struct RRelu {
    #[module(skip)]
    lower: Number,
    #[module(skip)]
    upper: Number,
    #[module(skip)]
    inplace: bool,
    training: Flag,
}

impl RRelu {
    /// With slopes of this range.
    pub fn new(lower: impl Into<Number>, upper: impl Into<Number>) -> RRelu {
        RRelu { lower: lower.into(), upper: upper.into(), inplace: false, training: Flag::new(true) }
    }

    /// Computes in place: the input becomes the result. It must not be a leaf that requires a gradient.
    #[must_use]
    pub fn inplace(mut self, on: bool) -> RRelu {
        self.inplace = on;
        self
    }

    fn options(&self) -> String {
        let options = [("lower", self.lower.shown()), ("upper", self.upper.shown())];
        listed(&options, self.inplace)
    }
}

/// With slopes of 1/8 to 1/3.
impl Default for RRelu {
    fn default() -> RRelu {
        RRelu::new(1.0 / 8.0, 1.0 / 3.0)
    }
}

forward! {
    PRelu: |layer, x| x.try_prelu(&layer.weight);
    RRelu: |layer, x| {
        let (lower, upper, training) = (layer.lower.to_f64(), layer.upper.to_f64(), layer.training.get());
        if layer.inplace { x.try_rrelu_(lower, upper, training).cloned() } else { x.try_rrelu(lower, upper, training) }
    };
}

/// An option as PyTorch prints it.
trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Number {
    fn shown(&self) -> String {
        python_number(*self)
    }
}

impl Shown for isize {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Option<isize> {
    fn shown(&self) -> String {
        self.map_or("None".to_string(), |n| n.to_string())
    }
}

impl Shown for Approximate {
    fn shown(&self) -> String {
        match self {
            Approximate::None => "'none'",
            Approximate::Tanh => "'tanh'",
        }
        .to_string()
    }
}

/// `a=1, b=2`, and the switch where it is on.
fn listed(options: &[(&str, String)], inplace: bool) -> String {
    let mut all: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if inplace {
        all.push(format!("inplace={}", python_bool(true)));
    }
    all.join(", ")
}
