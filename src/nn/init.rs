//! PyTorch's initialisers of parameters, `torch.nn.init`, and the default ones of its layers. They draw from the default
//! generator and record nothing on the tape. The fan-in of `[out, in, ..]` is what one output is computed from.

use crate::autograd::no_grad;
use crate::error::{Error, Result, called, must};
use crate::ops::random::default_generator;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// An error unless a layer's parameters can be trained: of a float.
pub(super) fn demand_float(class: &str, dtype: DType) -> Result<()> {
    if dtype.is_float() {
        return Ok(());
    }
    Err(Error::argument(format!("{class}: parameters are floats, f32, f64, f16 or bf16, got {dtype}")))
}

/// A parameter of uniform numbers in [-bound, bound), as PyTorch's `uniform_`.
pub(super) fn uniform_parameter(shape: &[usize], bound: f64, dtype: DType) -> Result<Tensor> {
    Ok(default_generator().try_uniform(shape, dtype, -bound, bound)?.requires_grad())
}

/// A parameter of normal numbers, as PyTorch's `normal_`.
pub(super) fn normal_parameter(shape: &[usize], dtype: DType) -> Result<Tensor> {
    Ok(default_generator().try_randn(shape, dtype)?.requires_grad())
}

/// A parameter that is one number everywhere.
pub(super) fn constant_parameter(shape: &[usize], value: f64, dtype: DType) -> Result<Tensor> {
    Ok(Tensor::try_full(shape, value)?.try_to(dtype)?.requires_grad())
}

/// The bound of PyTorch's biases: 1 / √fan_in, and 0 where there is nothing to compute from.
pub(super) fn bias_bound(fan_in: usize) -> f64 {
    if fan_in == 0 { 0.0 } else { 1.0 / (fan_in as f64).sqrt() }
}

/// The bound that `kaiming_uniform_` with a = √5 gives.
pub(super) fn kaiming_bound(fan_in: usize) -> f64 {
    if fan_in == 0 {
        return 0.0;
    }
    3f64.sqrt() * kaiming_std(fan_in, 5f64.sqrt())
}

/// The gain √(2 / (1 + a²)) of a leaky ReLU over √fan_in, in the order in which PyTorch computes it.
fn kaiming_std(fan_in: usize, a: f64) -> f64 {
    (2.0 / (1.0 + a * a)).sqrt() / (fan_in as f64).sqrt()
}

/// Fan-in and fan-out.
fn fans(tensor: &Tensor) -> Result<(usize, usize)> {
    match tensor.shape() {
        [out, inn, field @ ..] => {
            let field: usize = field.iter().product();
            Ok((inn * field, out * field))
        }
        shape => Err(Error::operands("init", format!("fans need two axes or more, got shape {shape:?}"))),
    }
}

/// Defines initialisers twice from one definition.
macro_rules! initialisers {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $t:ident $(, $arg:ident)* ) $body:block )*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] fails.")]
        #[track_caller]
        pub fn $name($t: &Tensor $(, $arg: f64)*) {
            must($try_name($t $(, $arg)*))
        }

        #[doc = concat!("As [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// When the tensor or the arguments do not fit.
        #[track_caller]
        pub fn $try_name($t: &Tensor $(, $arg: f64)*) -> Result<()> {
            #[track_caller]
            fn body($t: &Tensor $(, $arg: f64)*) -> Result<()> $body
            called(body($t $(, $arg)*))
        }
    )*};
}

initialisers! {
    /// Uniform numbers in [low, high).
    fn uniform_ / try_uniform_(tensor, low, high) {
        no_grad(|| tensor.try_uniform_(low, high)).map(drop)
    }

    /// Normally distributed numbers.
    fn normal_ / try_normal_(tensor, mean, std) {
        no_grad(|| tensor.try_normal_(mean, std)).map(drop)
    }

    /// One number everywhere.
    fn constant_ / try_constant_(tensor, value) {
        no_grad(|| tensor.try_copy_(&tensor.full_like(value))).map(drop)
    }

    /// Uniform, for layers before a leaky ReLU of slope `a` (0: ReLU), by the fan-in: He and others 2015.
    fn kaiming_uniform_ / try_kaiming_uniform_(tensor, a) {
        let bound = 3f64.sqrt() * kaiming_std(fans(tensor)?.0, a);
        try_uniform_(tensor, -bound, bound)
    }

    /// Normal, for layers before a leaky ReLU of slope `a` (0: ReLU), by the fan-in: He and others 2015.
    fn kaiming_normal_ / try_kaiming_normal_(tensor, a) {
        try_normal_(tensor, 0.0, kaiming_std(fans(tensor)?.0, a))
    }

    /// Uniform, by the mean of fan-in and fan-out: Glorot and Bengio 2010.
    fn xavier_uniform_ / try_xavier_uniform_(tensor, gain) {
        let bound = 3f64.sqrt() * xavier_std(tensor, gain)?;
        try_uniform_(tensor, -bound, bound)
    }

    /// Normal, by the mean of fan-in and fan-out: Glorot and Bengio 2010.
    fn xavier_normal_ / try_xavier_normal_(tensor, gain) {
        try_normal_(tensor, 0.0, xavier_std(tensor, gain)?)
    }
}

fn xavier_std(tensor: &Tensor, gain: f64) -> Result<f64> {
    let (fan_in, fan_out) = fans(tensor)?;
    Ok(gain * (2.0 / (fan_in + fan_out) as f64).sqrt())
}
