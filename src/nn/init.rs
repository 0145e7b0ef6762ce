//! PyTorch's initialisers of parameters, `torch.nn.init`, and the default ones of its layers. They draw from the default
//! generator and record nothing on the tape. The fan-in of `[out, in, ..]` is what one output is computed from, its fan-out
//! what one input goes into. What draws until enough is accepted, or factorises, needs numbers on the host and so is no
//! part of a trace.

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

/// What follows a layer, for [`calculate_gain`] and [`KaimingOptions`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Nonlinearity {
    /// Nothing; PyTorch's names for linear and convolutional layers mean the same.
    Linear,
    Sigmoid,
    Tanh,
    Relu,
    #[default]
    LeakyRelu,
    Selu,
}

/// By how much weights should be larger for what follows the layer. `param` is the slope of a leaky ReLU, 0.01 where none
/// is given.
///
/// ```
/// use allotrope::nn::init::{Nonlinearity, calculate_gain};
/// assert_eq!(calculate_gain(Nonlinearity::Relu, None), 2f64.sqrt());
/// ```
pub fn calculate_gain(nonlinearity: Nonlinearity, param: Option<f64>) -> f64 {
    match nonlinearity {
        Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
        Nonlinearity::Tanh => 5.0 / 3.0,
        Nonlinearity::Relu => 2f64.sqrt(),
        Nonlinearity::LeakyRelu => {
            let slope = param.unwrap_or(0.01);
            (2.0 / (1.0 + slope * slope)).sqrt()
        }
        Nonlinearity::Selu => 3.0 / 4.0,
    }
}

/// Which variance [`kaiming_uniform_with_`] keeps.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum FanMode {
    /// That of the forward pass.
    #[default]
    FanIn,
    /// That of gradients in the backward pass.
    FanOut,
}

/// What [`kaiming_uniform_with_`] and [`kaiming_normal_with_`] take; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Default)]
pub struct KaimingOptions {
    /// The slope of a leaky ReLU.
    pub a: f64,
    pub mode: FanMode,
    pub nonlinearity: Nonlinearity,
}

/// What [`trunc_normal_`] takes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct TruncNormalOptions {
    pub mean: f64,
    pub std: f64,
    /// The least number.
    pub a: f64,
    /// The largest one.
    pub b: f64,
}

impl Default for TruncNormalOptions {
    fn default() -> TruncNormalOptions {
        TruncNormalOptions { mean: 0.0, std: 1.0, a: -2.0, b: 2.0 }
    }
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

/// An error unless the tensor has so many axes.
fn demand_axes(name: &'static str, tensor: &Tensor, fits: std::ops::RangeInclusive<usize>) -> Result<()> {
    if fits.contains(&tensor.dim()) {
        return Ok(());
    }
    let wanted = match (fits.start(), fits.end()) {
        (a, b) if a == b => format!("{a}"),
        (a, &usize::MAX) => format!("{a} or more"),
        (a, b) => format!("{a} to {b}"),
    };
    Err(Error::operands(name, format!("needs a tensor of {wanted} axes, got shape {:?}", tensor.shape())))
}

/// Defines initialisers twice from one definition.
macro_rules! initialisers {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $t:ident $(, $arg:ident : $ty:ty)* ) $body:block )*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] fails.")]
        #[track_caller]
        pub fn $name($t: &Tensor $(, $arg: $ty)*) {
            must($try_name($t $(, $arg)*))
        }

        #[doc = concat!("As [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// When the tensor or the arguments do not fit; then nothing is changed.
        #[track_caller]
        pub fn $try_name($t: &Tensor $(, $arg: $ty)*) -> Result<()> {
            #[track_caller]
            fn body($t: &Tensor $(, $arg: $ty)*) -> Result<()> $body
            called(body($t $(, $arg)*))
        }
    )*};
}

initialisers! {
    /// Uniform numbers in [low, high).
    fn uniform_ / try_uniform_(tensor, low: f64, high: f64) {
        no_grad(|| tensor.try_uniform_(low, high)).map(drop)
    }

    /// Normally distributed numbers.
    fn normal_ / try_normal_(tensor, mean: f64, std: f64) {
        no_grad(|| tensor.try_normal_(mean, std)).map(drop)
    }

    /// One number everywhere.
    fn constant_ / try_constant_(tensor, value: f64) {
        no_grad(|| tensor.try_copy_(&tensor.try_full_like(value)?)).map(drop)
    }

    /// 1 everywhere.
    fn ones_ / try_ones_(tensor) {
        try_constant_(tensor, 1.0)
    }

    /// 0 everywhere.
    fn zeros_ / try_zeros_(tensor) {
        try_constant_(tensor, 0.0)
    }

    /// The identity, `[rows, columns]`: 1 on the diagonal and 0 elsewhere.
    fn eye_ / try_eye_(tensor) {
        demand_axes("eye_", tensor, 2..=2)?;
        let columns = tensor.shape()[1];
        placed(tensor, (0..tensor.shape()[0].min(columns)).map(|i| i * (columns + 1)))
    }

    /// The weights of a convolution, `[out, in, ..]` with one to three axes of its window, that hands on its input
    /// channels: 1 in the middle of the window where in is out, in each of `groups` groups of outputs; 0 elsewhere.
    /// PyTorch's default is one group.
    fn dirac_ / try_dirac_(tensor, groups: usize) {
        demand_axes("dirac_", tensor, 3..=5)?;
        let shape = tensor.shape();
        let (out, inn, window) = (shape[0], shape[1], &shape[2..]);
        if groups == 0 || out % groups != 0 {
            return Err(Error::operands("dirac_", format!("{out} outputs (axis 0) cannot be divided into {groups} groups")));
        }
        let size: usize = window.iter().product();
        let middle = window.iter().fold(0, |at, n| at * n + n / 2);
        let each = out / groups;
        let kept = if size == 0 { 0 } else { each.min(inn) };
        placed(tensor, (0..groups).flat_map(|g| (0..kept).map(move |d| ((g * each + d) * inn + d) * size + middle)))
    }

    /// Uniform, for layers before a leaky ReLU of slope `a` (0: ReLU), by the fan-in: He and others 2015.
    fn kaiming_uniform_ / try_kaiming_uniform_(tensor, a: f64) {
        try_kaiming_uniform_with_(tensor, KaimingOptions { a, ..Default::default() })
    }

    /// Normal, for layers before a leaky ReLU of slope `a` (0: ReLU), by the fan-in: He and others 2015.
    fn kaiming_normal_ / try_kaiming_normal_(tensor, a: f64) {
        try_kaiming_normal_with_(tensor, KaimingOptions { a, ..Default::default() })
    }

    /// As [`kaiming_uniform_`], by either fan and for what follows the layer.
    ///
    /// ```
    /// use allotrope::nn::init::{FanMode, KaimingOptions, Nonlinearity, kaiming_uniform_with_};
    /// use allotrope::prelude::*;
    /// let w = Tensor::empty(&[6, 3], DType::F32);
    /// let options = KaimingOptions { mode: FanMode::FanOut, nonlinearity: Nonlinearity::Relu, ..Default::default() };
    /// kaiming_uniform_with_(&w, options);
    /// assert!(w.to_vec::<f32>().iter().all(|w| w.abs() <= 1.0));
    /// ```
    fn kaiming_uniform_with_ / try_kaiming_uniform_with_(tensor, options: KaimingOptions) {
        match kaiming(tensor, options)? {
            Some(std) => try_uniform_(tensor, -(3f64.sqrt() * std), 3f64.sqrt() * std),
            None => Ok(()),
        }
    }

    /// As [`kaiming_normal_`], by either fan and for what follows the layer.
    fn kaiming_normal_with_ / try_kaiming_normal_with_(tensor, options: KaimingOptions) {
        match kaiming(tensor, options)? {
            Some(std) => try_normal_(tensor, 0.0, std),
            None => Ok(()),
        }
    }

    /// Uniform, by the mean of fan-in and fan-out: Glorot and Bengio 2010.
    fn xavier_uniform_ / try_xavier_uniform_(tensor, gain: f64) {
        let bound = 3f64.sqrt() * xavier_std(tensor, gain)?;
        try_uniform_(tensor, -bound, bound)
    }

    /// Normal, by the mean of fan-in and fan-out: Glorot and Bengio 2010.
    fn xavier_normal_ / try_xavier_normal_(tensor, gain: f64) {
        try_normal_(tensor, 0.0, xavier_std(tensor, gain)?)
    }

    /// Normally distributed numbers, drawn again where they lie outside of `a` to `b`.
    ///
    /// As PyTorch's of version 2.15: where the bounds hold a small part of the distribution, uniform numbers between them
    /// are drawn and accepted with the density of each.
    fn trunc_normal_ / try_trunc_normal_(tensor, options: TruncNormalOptions) {
        let TruncNormalOptions { mean, std, a, b } = options;
        if !(a < b && std > 0.0 && mean.is_finite() && std.is_finite()) {
            return Err(Error::operands("trunc_normal_", format!("needs a < b and a std above 0, got {a}, {b} and {std}")));
        }
        no_grad(|| tensor.try_copy_(&truncated(tensor, options)?)).map(drop)
    }

    /// Normally distributed numbers of mean 0, of which the share `sparsity` of each column is 0: `[rows, columns]`.
    /// Martens 2010.
    fn sparse_ / try_sparse_(tensor, sparsity: f64, std: f64) {
        demand_axes("sparse_", tensor, 2..=2)?;
        if !(0.0..=1.0).contains(&sparsity) {
            return Err(Error::operands("sparse_", format!("the sparsity must be 0 to 1, got {sparsity}")));
        }
        let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
        let zeros = (sparsity * rows as f64).ceil() as usize;
        no_grad(|| {
            tensor.try_normal_(0.0, std)?;
            for column in 0..columns {
                let rows = default_generator().try_randperm(rows)?.try_narrow(0, 0, zeros)?;
                tensor.try_select(1, column as isize)?.try_index_fill_(0, &rows, 0.0)?;
            }
            Ok(())
        })
    }

    /// A random orthogonal matrix times `gain`; of more axes than two, those behind the first count as one. Saxe and others
    /// 2013.
    fn orthogonal_ / try_orthogonal_(tensor, gain: f64) {
        demand_axes("orthogonal_", tensor, 2..=usize::MAX)?;
        if !tensor.dtype().is_float() {
            return Err(Error::operands("orthogonal_", format!("not defined for {}", tensor.dtype())));
        }
        let count: usize = tensor.shape().iter().product();
        if count == 0 {
            return Ok(());
        }
        let rows = tensor.shape()[0];
        let columns = count / rows;
        let drawn = default_generator().try_randn(&[rows, columns], tensor.dtype())?;
        // Of a wide matrix the rows are orthogonal, of a tall one the columns: the vectors lie one after the other.
        let vectors = if rows < columns { drawn } else { drawn.try_t()? };
        let (n, length) = (rows.min(columns), rows.max(columns));
        let mut numbers = vectors.try_to(DType::F64)?.read_elements::<f64>("orthogonal_()", std::panic::Location::caller())?;
        orthogonalize(&mut numbers, length);
        let made = Tensor::try_from_vec(numbers, &[n, length])?;
        let made = if rows < columns { made } else { made.try_t()? };
        let made = made.try_mul(gain)?.try_reshape(&tensor.shape().iter().map(|&n| n as isize).collect::<Vec<_>>())?;
        no_grad(|| tensor.try_copy_(&made)).map(drop)
    }
}

/// 0 everywhere but for 1 at places counted in row-major order.
fn placed(tensor: &Tensor, places: impl Iterator<Item = usize>) -> Result<()> {
    let mut elements = vec![0.0f32; tensor.shape().iter().product()];
    places.for_each(|place| elements[place] = 1.0);
    let made = Tensor::try_from_vec(elements, tensor.shape())?;
    no_grad(|| tensor.try_copy_(&made)).map(drop)
}

/// The standard deviation by He and others, none where there is nothing to fill.
fn kaiming(tensor: &Tensor, options: KaimingOptions) -> Result<Option<f64>> {
    let KaimingOptions { a, mode, nonlinearity } = options;
    let (fan_in, fan_out) = fans(tensor)?;
    if tensor.shape().contains(&0) {
        return Ok(None);
    }
    let fan = match mode {
        FanMode::FanIn => fan_in,
        FanMode::FanOut => fan_out,
    };
    Ok(Some(calculate_gain(nonlinearity, Some(a)) / (fan as f64).sqrt()))
}

fn xavier_std(tensor: &Tensor, gain: f64) -> Result<f64> {
    let (fan_in, fan_out) = fans(tensor)?;
    Ok(gain * (2.0 / (fan_in + fan_out) as f64).sqrt())
}

/// The share of a normal distribution below a number of standard deviations.
fn normal_below(x: f64) -> f64 {
    (1.0 + libm::erf(x / 2f64.sqrt())) / 2.0
}

/// Numbers for every element of `like` from a normal distribution cut off at both ends.
fn truncated(like: &Tensor, options: TruncNormalOptions) -> Result<Tensor> {
    let TruncNormalOptions { mean, std, a, b } = options;
    let fresh = || like.try_zeros_like();
    let any = |mask: &Tensor| Ok::<bool, Error>(mask.try_to(DType::I64)?.try_sum()?.try_item::<i64>()? > 0);
    if normal_below((b - mean) / std) - normal_below((a - mean) / std) > 0.3 {
        let drawn = fresh()?;
        drawn.try_normal_(mean, std)?;
        let mut result = drawn;
        loop {
            let outside = result.try_lt(a)?.try_logical_or(&result.try_gt(b)?)?;
            if !any(&outside)? {
                return Ok(result);
            }
            let again = fresh()?;
            again.try_normal_(mean, std)?;
            result = again.try_where_self(&outside, &result)?;
        }
    }
    // The largest logarithm of the density between the bounds, less a constant.
    let most = a.max(mean.min(b));
    let peak = -0.5 * ((most - mean) / std).powi(2);
    let draw = |pending: Option<&Tensor>, result: Option<&Tensor>| -> Result<(Tensor, Tensor)> {
        let candidates = fresh()?;
        candidates.try_uniform_(a, b)?;
        let density = candidates.try_sub(mean)?.try_div(std)?.try_square()?.try_mul(-0.5)?.try_sub(peak)?;
        let odds = fresh()?;
        odds.try_uniform_(0.0, 1.0)?;
        let refused = odds.try_log()?.try_gt(&density)?;
        Ok(match (pending, result) {
            (Some(pending), Some(result)) => {
                (candidates.try_where_self(pending, result)?, refused.try_logical_and(pending)?)
            }
            _ => (candidates, refused),
        })
    };
    let (mut result, mut pending) = draw(None, None)?;
    while any(&pending)? {
        (result, pending) = draw(Some(&pending), Some(&result))?;
    }
    Ok(result)
}

/// Makes vectors of this length, one after the other, orthogonal and of length 1, each in the direction of what it has that
/// those before it have not. That is the factor Q of PyTorch's, whose R has a positive diagonal. Each is freed of the
/// others twice, which leaves nothing but rounding (Giraud and others 2005).
fn orthogonalize(vectors: &mut [f64], length: usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for k in 0..vectors.len() / length {
        let (before, rest) = vectors.split_at_mut(k * length);
        let own = &mut rest[..length];
        for _ in 0..2 {
            for other in before.chunks_exact(length) {
                let share = dot(own, other);
                own.iter_mut().zip(other).for_each(|(x, y)| *x -= share * y);
            }
        }
        let norm = dot(own, own).sqrt();
        own.iter_mut().for_each(|x| *x /= norm);
    }
}
