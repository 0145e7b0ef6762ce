//! Activations, each as a method and as a free function from one definition. What is piecewise is differentiated by hand
//! where PyTorch's derivative at the joints, or at NaN, is not that of the parts.

use super::common::take;
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::{laid_out, row_major};
use crate::mode::sizes::{demand_equal, is_zero, numel, specialize};
use crate::ops::Number;
use crate::ops::elementwise::{choose, floating, in_full, numeric, zero_where};
use crate::ops::random::default_generator;
use crate::ops::single_node::{Keeps, single};
use crate::ops::{flat_in, grads1, twin_fns, twins};
use crate::tensor::draw::Kind;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Size, Tensor};
use allotrope_ir::DType;
use smallvec::smallvec;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

/// Defines a method and a free function, each with its `try_` twin.
macro_rules! activations {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $x:ident $(, $arg:ident : $ty:ty)* $(,)? ) $body:block )*) => {
        twins! {$(
            $(#[$doc])*
            fn $name / $try_name(&self $(, $arg: $ty)*) -> Tensor {
                let $x = self;
                $body
            }
        )*}
        twin_fns! {$(
            $(#[$doc])*
            fn $name / $try_name(input: &Tensor $(, $arg: $ty)*) -> Tensor {
                input.$try_name($($arg),*)
            }
        )*}
    };
}

/// Functions that are methods of their own elsewhere, as free functions.
macro_rules! also_functions {
    ($($(#[$doc:meta])* $name:ident / $try_name:ident ( $($arg:ident : $ty:ty),* );)*) => {
        twin_fns! {$(
            $(#[$doc])*
            fn $name / $try_name(input: &Tensor $(, $arg: $ty)*) -> Tensor {
                input.$try_name($($arg),*)
            }
        )*}
    };
}

also_functions! {
    /// 1 / (1 + e^-x); see [`Tensor::sigmoid`].
    sigmoid / try_sigmoid();
    /// The hyperbolic tangent; see [`Tensor::tanh`].
    tanh / try_tanh();
    /// e^x over the sum of these along an axis; see [`Tensor::softmax`].
    softmax / try_softmax(axis: isize);
    /// The logarithm of the softmax; see [`Tensor::log_softmax`].
    log_softmax / try_log_softmax(axis: isize);
    /// The softmax of -x; see [`Tensor::softmin`].
    softmin / try_softmin(axis: isize);
}

/// A function of one float with a derivative by hand; halves in f32. `derivative` gives the gradient from that of the result
/// and the operand.
fn by_hand(
    x: &Tensor,
    name: &'static str,
    value: impl FnOnce(&Tensor) -> Result<Tensor>,
    derivative: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let node = |x: &Tensor| {
        composite(
            name,
            &[Operand::Tensor(x)],
            || value(x),
            |_| {
                let x = Saved::operand(x);
                move |c: &Context<'_>, g: &Tensor| {
                    let x = x.get(c.me)?;
                    let gradient = flat_in(derivative(g, &x)?, &x)?;
                    // PyTorch's kernels take the gradient first, but for these.
                    let x_first =
                        ["LeakyReluBackward0", "RreluWithNoiseBackward0", "ThresholdBackward0"].contains(&name);
                    let operands = [if x_first { &x } else { g }, if x_first { g } else { &x }].map(Operand::Tensor);
                    grads1(laid_out(gradient, LayoutRule::Elementwise, &operands)?)
                }
            },
        )
    };
    match x.dtype().is_half() {
        true => single(name, &[x], &[Keeps::Operand(0)], |x| in_full(&x[0], node)),
        false => node(x),
    }
}

/// A function of one float, composed, as one node that keeps the operand; halves in f32.
fn composed(x: &Tensor, name: &'static str, value: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    single(name, &[x], &[Keeps::Operand(0)], |x| in_full(&x[0], value))
}

/// max(scale x, 0) + min(scale alpha (e^(inner x) - 1), 0): what ELU, SELU and CELU are.
fn exponential(
    x: &Tensor,
    name: &'static str,
    node: &'static str,
    alpha: f64,
    scale: f64,
    inner: f64,
) -> Result<Tensor> {
    let low = alpha * scale;
    let value = move |x: &Tensor| {
        let below = x.try_mul(inner)?.try_expm1()?.try_mul(low)?;
        below.try_where_self(&x.try_lt(0.0)?, &x.try_mul(scale)?)
    };
    Number::Float(alpha).fitted_factor(name, x.dtype())?;
    by_hand(&floating(x, name)?, node, value, move |g, x| {
        // Only what is chosen may overflow, or its own derivative would be NaN.
        let negative = zero_where(&x.try_gt(0.0)?, x)?;
        let below = g.try_mul(&negative.try_mul(inner)?.try_exp()?.try_mul(low * inner)?)?;
        below.try_where_self(&x.try_le(0.0)?, &g.try_mul(scale)?)
    })
}

/// x where x > 0, else slope · x.
fn leaky(x: &Tensor, name: &'static str, node: &'static str, slope: f64) -> Result<Tensor> {
    let value = move |x: &Tensor| x.try_where_self(&x.try_gt(0.0)?, &x.try_mul(slope)?);
    by_hand(&floating(x, name)?, node, value, move |g, x| g.try_where_self(&x.try_gt(0.0)?, &g.try_mul(slope)?))
}

/// A leaky ReLU whose slopes are drawn, which is one node that keeps the operand.
fn randomized(x: &Tensor, lower: f64, upper: f64) -> Result<Tensor> {
    let n = numel(&x.sizes());
    if is_zero(n) {
        return leaky(x, "rrelu", "RreluWithNoiseBackward0", upper);
    }
    let low = x.try_le(0.0)?;
    // The k-th element that is not above 0 has the k-th draw.
    let place = low.try_to(DType::I64)?.reshape_sizes(&[n])?.try_cumsum(0)?.try_sub(1)?.try_clamp_min(0)?;
    let drawn = default_generator().draw(Kind::Uniform { low: lower, high: upper }, &[n], DType::F64)?;
    let slopes = take(&drawn, 0, &place)?.reshape_sizes(&x.sizes())?.try_to(x.dtype())?;
    let noise = slopes.try_where_self(&low, 1.0)?;
    row_major(single("RreluWithNoiseBackward0", &[x], &[Keeps::Operand(0)], |x| x[0].try_mul(&noise))?)
}

/// Where -bound <= x <= bound.
fn within(x: &Tensor, bound: f64) -> Result<Tensor> {
    x.try_ge(-bound)?.try_logical_and(&x.try_le(bound)?)
}

/// A bound as a number of the dtype: integers are bounded by whole numbers.
///
/// # Errors
/// When it does not fit.
fn bound(op: &'static str, x: Number, dtype: DType) -> Result<Number> {
    let kind = if dtype.is_float() { dtype } else { DType::I64 };
    Ok(Number::of(x.fitted(op, kind)?))
}

activations! {
    /// x where x >= 0, else 0, elementwise; NaN stays NaN and -0.0 stays -0.0. The derivative at 0 is 0.
    fn relu / try_relu(x) {
        let x = numeric(x, "relu")?;
        composite("ReluBackward0", &[Operand::Tensor(&x)], || zero_where(&x.try_lt(0)?, &x), |y| {
            let y = Saved::output(y, 0);
            move |c: &Context<'_>, g: &Tensor| {
                let y = y.get(c.me)?;
                grads1(flat_in(zero_where(&y.try_le(0.0)?, g)?, &y)?)
            }
        })
    }

    /// x between 0 and 6, elementwise. The derivative at both is 0.
    fn relu6 / try_relu6(x) {
        x.try_hardtanh(0.0, 6.0)
    }

    /// x between `min` and `max` (PyTorch's defaults are -1 and 1), elementwise. The derivative at both is 0.
    fn hardtanh / try_hardtanh(x, min: impl Into<Number>, max: impl Into<Number>) {
        let x = numeric(x, "hardtanh")?;
        let (min, max) = (min.into(), max.into());
        if min.to_f64() > max.to_f64() {
            let (min, max) = (min.to_f64(), max.to_f64());
            return Err(Error::operands("hardtanh", format!("min must not be greater than max, got {min} and {max}")));
        }
        let (low, high) = (bound("hardtanh", min, x.dtype())?, bound("hardtanh", max, x.dtype())?);
        by_hand(&x, "HardtanhBackward0", |x| x.try_clamp(low, high), move |g, x| {
            zero_where(&x.try_le(low)?.try_logical_or(&x.try_ge(high)?)?, g)
        })
    }

    /// x where x > 0, else `negative_slope` · x (PyTorch's default is 0.01), elementwise.
    fn leaky_relu / try_leaky_relu(x, negative_slope: f64) {
        Number::Float(negative_slope).fitted_factor("leaky_relu", x.dtype())?;
        leaky(x, "leaky_relu", "LeakyReluBackward0", negative_slope)
    }

    /// x where x > 0, else a slope · x: in training each element's slope is drawn from `lower` to `upper`, else it is their mean
    /// (PyTorch's defaults are 1/8, 1/3 and no training).
    ///
    /// The slopes are PyTorch's for the same state of the default generator. PyTorch draws one for each element that is not above
    /// 0; here, where the number of draws must not depend on elements, one is drawn for every element and the first ones are used.
    fn rrelu / try_rrelu(x, lower: f64, upper: f64, training: bool) {
        if lower.is_nan() || upper.is_nan() || lower > upper || (training && !(upper - lower).is_finite()) {
            return Err(Error::operands("rrelu", format!("lower must not be above upper, both finite, got {lower} and {upper}")));
        }
        if training {
            return randomized(&floating(x, "rrelu")?, lower, upper);
        }
        let slope = (lower + upper) / 2.0;
        row_major(leaky(x, "rrelu", "RreluWithNoiseBackward0", slope)?)
    }

    /// x where x > 0, else alpha (e^x - 1) (PyTorch's default is 1), elementwise.
    fn elu / try_elu(x, alpha: f64) {
        exponential(x, "elu", "EluBackward0", alpha, 1.0, 1.0)
    }

    /// The ELU whose scales keep mean 0 and variance 1 (Klambauer et al. 2017, arXiv:1706.02515), elementwise.
    fn selu / try_selu(x) {
        exponential(x, "selu", "EluBackward0", 1.673_263_242_354_377_2, 1.050_700_987_355_480_5, 1.0)
    }

    /// x where x > 0, else alpha (e^(x / alpha) - 1) (PyTorch's default is 1), elementwise.
    fn celu / try_celu(x, alpha: f64) {
        if alpha == 0.0 {
            return Err(Error::operands("celu", "alpha must not be 0"));
        }
        exponential(x, "celu", "CeluBackward0", alpha, 1.0, 1.0 / alpha)
    }

    /// x times the probability that a normal number is below it (Hendrycks and Gimpel 2016, arXiv:1606.08415): x Φ(x).
    fn gelu / try_gelu(x) {
        composed(&floating(x, "gelu")?, "GeluBackward0", |x| x.try_mul(&x.try_mul(FRAC_1_SQRT_2)?.try_erf()?.try_add(1.0)?.try_mul(0.5)?))
    }

    /// [`gelu`](Tensor::gelu) with the hyperbolic tangent for Φ: PyTorch's `approximate="tanh"`.
    fn gelu_tanh / try_gelu_tanh(x) {
        composed(&floating(x, "gelu_tanh")?, "GeluBackward0", |x| {
            // √(2/π) (x + 0.044715 x³)
            let cube = x.try_mul(x)?.try_mul(x)?.try_mul(0.044715)?;
            let inner = x.try_add(&cube)?.try_mul(FRAC_2_SQRT_PI / SQRT_2)?;
            x.try_mul(0.5)?.try_mul(&inner.try_tanh()?.try_add(1.0)?)
        })
    }

    /// x sigmoid(x), elementwise.
    fn silu / try_silu(x) {
        composed(&floating(x, "silu")?, "SiluBackward0", |x| x.try_mul(&x.try_sigmoid()?))
    }

    /// x tanh(softplus(x)), elementwise (Misra 2019, arXiv:1908.08681).
    fn mish / try_mish(x) {
        composed(&floating(x, "mish")?, "MishBackward0", |x| x.try_mul(&x.try_softplus(1.0, 20.0)?.try_tanh()?))
    }

    /// min(max(x + 3, 0), 6) / 6, elementwise.
    fn hardsigmoid / try_hardsigmoid(x) {
        let value = |x: &Tensor| x.try_add(3.0)?.try_clamp(0.0, 6.0)?.try_div(6.0);
        by_hand(&floating(x, "hardsigmoid")?, "HardsigmoidBackward0", value, |g, x| {
            let inside = x.try_gt(-3.0)?.try_logical_and(&x.try_lt(3.0)?)?;
            g.try_div(6.0)?.try_where_self(&inside, 0.0)
        })
    }

    /// x min(max(x + 3, 0), 6) / 6, elementwise.
    fn hardswish / try_hardswish(x) {
        let value = |x: &Tensor| x.try_mul(&x.try_add(3.0)?.try_clamp(0.0, 6.0)?)?.try_div(6.0);
        by_hand(&floating(x, "hardswish")?, "HardswishBackward0", value, |g, x| {
            let middle = g.try_mul(&x.try_div(3.0)?.try_add(0.5)?)?;
            zero_where(&x.try_le(-3.0)?, &middle.try_where_self(&x.try_lt(3.0)?, g)?)
        })
    }

    /// x where |x| > lambd (PyTorch's default is 0.5), else 0, elementwise.
    fn hardshrink / try_hardshrink(x, lambd: f64) {
        Number::Float(lambd).fitted("hardshrink", x.dtype())?;
        let value = move |x: &Tensor| zero_where(&within(x, lambd)?, x);
        by_hand(&floating(x, "hardshrink")?, "HardshrinkBackward0", value, move |g, x| zero_where(&within(x, lambd)?, g))
    }

    /// x moved by lambd (PyTorch's default is 0.5) towards 0, which it does not pass, elementwise.
    fn softshrink / try_softshrink(x, lambd: f64) {
        if lambd < 0.0 || !lambd.is_finite() {
            return Err(Error::operands("softshrink", format!("lambd must be a number that is not negative, got {lambd}")));
        }
        Number::Float(lambd).fitted("softshrink", floating(x, "softshrink")?.dtype())?;
        let value = move |x: &Tensor| {
            let below = x.try_add(lambd)?.try_where_self(&x.try_lt(-lambd)?, &x.try_mul(0.0)?)?;
            x.try_sub(lambd)?.try_where_self(&x.try_gt(lambd)?, &below)
        };
        by_hand(&floating(x, "softshrink")?, "SoftshrinkBackward0", value, move |g, x| {
            zero_where(&within(x, lambd)?, g)
        })
    }

    /// x - tanh(x), elementwise.
    fn tanhshrink / try_tanhshrink(x) {
        x.try_sub(&x.try_tanh()?)
    }

    /// log(1 + e^(beta x)) / beta, and x itself where beta x > threshold (PyTorch's defaults are 1 and 20), elementwise.
    fn softplus / try_softplus(x, beta: f64, threshold: f64) {
        let value = move |x: &Tensor| {
            let inner = x.try_mul(beta)?;
            let soft = inner.try_exp()?.try_log1p()?.try_div(beta)?;
            x.try_where_self(&inner.try_gt(threshold)?, &soft)
        };
        by_hand(&floating(x, "softplus")?, "SoftplusBackward0", value, move |g, x| {
            let inner = x.try_mul(beta)?;
            g.try_where_self(&inner.try_gt(threshold)?, &g.try_mul(&inner.try_sigmoid()?)?)
        })
    }

    /// x / (1 + |x|), elementwise.
    fn softsign / try_softsign(x) {
        x.try_div(&x.try_abs()?.try_add(1)?)
    }

    /// log(sigmoid(x)), elementwise, with all digits.
    fn logsigmoid / try_logsigmoid(x) {
        let value = |x: &Tensor| {
            row_major(x.try_clamp_max(0.0)?.try_sub(&x.try_abs()?.try_neg()?.try_exp()?.try_log1p()?)?)
        };
        by_hand(&floating(x, "logsigmoid")?, "LogSigmoidBackward0", value, |g, x| {
            g.try_mul(&x.try_neg()?.try_sigmoid()?)
        })
    }

    /// x where x > threshold, else `value`, elementwise; NaN stays.
    fn threshold / try_threshold(x, threshold: impl Into<Number>, value: impl Into<Number>) {
        let x = numeric(x, "threshold")?;
        let (threshold, value) = (threshold.into(), value.into());
        threshold.fitted_factor("threshold", x.dtype())?;
        value.fitted("threshold", x.dtype())?;
        let (threshold, value) = (threshold.rounded(x.dtype()), value.rounded(x.dtype()));
        let of = move |x: &Tensor| choose(&x.try_le(threshold)?, value, x);
        match x.dtype().is_float() {
            true => by_hand(&x, "ThresholdBackward0", of, move |g, x| zero_where(&x.try_le(threshold)?, g)),
            false => of(&x),
        }
    }

    /// The first half of an axis times the sigmoid of the second (Dauphin et al. 2016, arXiv:1612.08083): the axis, whose
    /// size must be even, comes out half as long. PyTorch's default is the last axis.
    fn glu / try_glu(x, axis: isize) {
        let x = floating(x, "glu")?;
        if x.dim() == 0 {
            return Err(Error::operands("glu", "a tensor without axes has none to halve"));
        }
        let at = x.axis("glu", axis)?;
        let n = x.sizes()[at];
        specialize(&[n], "glu halves an axis");
        if n.hint() % 2 != 0 {
            return Err(Error::operands("glu", format!("axis {axis} of shape {:?} must have an even size", x.shape_hint())));
        }
        let half = n.hint() / 2;
        composed(&x, "GluBackward0", |x| {
            let gate = x.try_narrow(at as isize, half as isize, half)?.try_sigmoid()?;
            x.try_narrow(at as isize, 0, half)?.try_mul(&gate)
        })
    }

    /// x where x > 0, else weight · x: the weight has one element, or one for each channel (axis 1).
    fn prelu / try_prelu(x, weight: &Tensor) {
        let x = floating(x, "prelu")?;
        if weight.dtype() != x.dtype() {
            return Err(Error::operands("prelu", format!("the weight must be {} as the input is, got {}", x.dtype(), weight.dtype())));
        }
        let weight = channel_weight(&x, weight)?;
        single("PreluKernelBackward0", &[&x, &weight], &[Keeps::Operand(0), Keeps::Operand(1)], |t| {
            in_full(&t[0], |x| prelu_aligned(x, &t[1].try_to(x.dtype())?))
        })
    }
}

/// The weight with axes of size 1 but for the channels', expanded to the input.
fn channel_weight(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let misfit = || {
        Error::operands(
            "prelu",
            format!(
                "a weight of shape {:?} does not fit {:?}: it has 1 element, or 1 for each of axis 1",
                weight.shape_hint(),
                x.shape_hint()
            ),
        )
    };
    let one = Size::from(1);
    if weight.dim() > 1 {
        return Err(misfit());
    }
    let mut sizes: crate::tensor::Sizes = x.sizes().iter().map(|_| one).collect();
    let n = if weight.dim() == 1 { weight.sizes()[0] } else { one };
    if !n.is_one() && x.dim() >= 2 && demand_equal(n, x.sizes()[1]) {
        sizes[1] = n;
    } else if n.hint() == 1 {
        specialize(&[n], "prelu has one weight for all channels");
    } else {
        return Err(misfit());
    }
    weight.reshape_sizes(&sizes)?.expand_sizes(&x.sizes())
}

fn prelu_aligned(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let compute = || x.try_where_self(&x.try_gt(0.0)?, &weight.try_mul(x)?);
    composite("PreluKernelBackward0", &[Operand::Tensor(x), Operand::Tensor(weight)], compute, |_| {
        let (x, weight) = (Saved::operand(x), Saved::operand(weight));
        move |c: &Context<'_>, g: &Tensor| {
            let x = x.get(c.me)?;
            let positive = x.try_gt(0.0)?;
            let by_x = || flat_in(g.try_where_self(&positive, &g.try_mul(&weight.get(c.me)?)?)?, &x);
            Ok(smallvec![
                if c.wants(0) { Some(by_x()?) } else { None },
                if c.wants(1) { Some(zero_where(&positive, &g.try_mul(&x)?)?) } else { None },
            ])
        }
    })
}
