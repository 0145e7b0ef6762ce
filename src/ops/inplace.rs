//! Operations that change a tensor's elements in place. Each is its plain operation followed by an assignment, so the
//! numbers are the same, and a change that `backward` would miss is an error.

use super::arg::{Arg, Number, kind};
use super::assign::{COPIED, Derivative, assign, assign_meeting};
use super::elementwise::rounded;
use super::meeting::{Meeting, Write, repeats};
use crate::autograd::saved::{self, Saved, changing};
use crate::autograd::tape;
use crate::autograd::{is_grad_enabled, no_grad};
use crate::error::{Error, Result, called};
use crate::mode::sizes::is_zero;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::overlap::{Overlap, overlap};
use allotrope_ir::DType;
use smallvec::smallvec;
use std::sync::{Arc, OnceLock};

/// Writes the result of an operation into `target`, whose dtype must be of its kind, as PyTorch demands.
pub(super) fn store(op: &'static str, target: &Tensor, value: &Tensor) -> Result<()> {
    fits_kind(op, target, value)?;
    let value = rounded(value, target.dtype(), None)?;
    assign(target, &fitted(op, target, &value)?, Derivative::Computed)
}

/// Writes the result of an operation that puts what was given into `target`, whose elements may share memory, to which is written
/// so. Where it is of integers, its history has a node of this name.
pub(super) fn store_given(
    op: &'static str,
    node: &'static str,
    target: &Tensor,
    value: &Tensor,
    given: Arg<'_>,
    by: Write<'_>,
) -> Result<()> {
    let derivative = match given {
        Arg::Tensor(given) if !target.dtype().is_float() => Derivative::Taken(node, Some(given)),
        Arg::Tensor(_) | Arg::Number(_) => Derivative::Computed,
    };
    assign_meeting(target, &fitted(op, target, value)?, derivative, Meeting::Written(by))
}

/// Runs what computes the elements that `target` gets: of integers the history is not theirs.
pub(super) fn computed<T>(target: &Tensor, f: impl FnOnce() -> T) -> T {
    if target.dtype().is_float() { f() } else { no_grad(f) }
}

/// As [`store`], of what was just computed of `target`.
fn store_computed(op: &'static str, target: &Tensor, value: &Tensor) -> Result<()> {
    let named = match op {
        "asinh_" => Some(super::underived("AsinhBackward1", value, "asinh_ has no derivative in place")?),
        "acosh_" => Some(super::underived("AcoshBackward1", value, "acosh_ has no derivative in place")?),
        "atanh_" => Some(super::underived("AtanhBackward1", value, "atanh_ has no derivative in place")?),
        op => node_in_place(op).map(|name| tape::named(name, value)),
    };
    if !saved::is_output(value) {
        return store(op, target, named.as_ref().unwrap_or(value));
    }
    let kept = Kept::new(named.as_ref().unwrap_or(value));
    store(op, target, &kept.value)?;
    kept.of(target);
    Ok(())
}

/// The node of an operation whose derivative PyTorch has for the change in place apart.
fn node_in_place(op: &'static str) -> Option<&'static str> {
    match op {
        "elu_" | "selu_" => Some("EluBackward1"),
        "celu_" => Some("CeluBackward1"),
        "leaky_relu_" => Some("LeakyReluBackward1"),
        "rrelu_" => Some("RreluWithNoiseBackward1"),
        "threshold_" => Some("ThresholdBackward1"),
        _ => None,
    }
}

/// A result that its node keeps and that becomes the elements of another tensor: the backward pass is to find that one as it
/// was then.
struct Kept {
    value: Tensor,
    watched: Arc<OnceLock<Saved>>,
}

impl Kept {
    fn new(value: &Tensor) -> Kept {
        let watched: Arc<OnceLock<Saved>> = Arc::default();
        let inside = Arc::clone(&watched);
        let edge = tape::own_edge(value);
        let name = edge.as_ref().map_or_else(String::new, |edge| edge.node().name().to_string());
        let node = tape::node(name, smallvec![edge], true, move |c, grads| {
            inside.get().map(|saved| saved.get(c.me)).transpose()?;
            Ok(smallvec![grads[0].clone()])
        });
        let own = value.alias();
        own.set_grad_fn(Some(Edge::new(node, 0)));
        Kept { value: own, watched }
    }

    fn of(self, target: &Tensor) {
        // Nobody else has the cell before the backward pass.
        let _ = self.watched.set(Saved::output(target, 0));
    }
}

/// As [`store`], for an operation that has no derivative.
fn store_untracked(op: &'static str, target: &Tensor, value: &Tensor) -> Result<()> {
    fits_kind(op, target, value)?;
    no_grad(|| {
        let value = value.try_to(target.dtype())?;
        assign(target, &fitted(op, target, &value)?, Derivative::None)
    })
}

/// As [`store`], where bools stay what they are if there is one element at most.
fn store_running(op: &'static str, target: &Tensor, value: &Tensor) -> Result<()> {
    let nothing = target.dim() == 0 || target.sizes().iter().any(|&n| is_zero(n));
    match target.dtype() {
        DType::Bool if nothing => store(op, target, &value.try_to(DType::Bool)?),
        _ => store_computed(op, target, value),
    }
}

fn fits_kind(op: &'static str, target: &Tensor, value: &Tensor) -> Result<()> {
    match kind(value.dtype()) > kind(target.dtype()) {
        true => Err(Error::operands(
            op,
            format!("a result of {} can't be written into {}; use the plain operation", value.dtype(), target.dtype()),
        )),
        false => Ok(()),
    }
}

/// Writes the elements of `source`, cast and repeated, into `target`.
pub(super) fn copy(op: &'static str, target: &Tensor, source: &Tensor) -> Result<()> {
    copy_as(op, COPIED, target, source)
}

/// As [`copy`], by a node of this name.
pub(super) fn copy_as(op: &'static str, node: &'static str, target: &Tensor, source: &Tensor) -> Result<()> {
    apart(op, target, source)?;
    let value = fitted(op, target, &source.try_to(target.dtype())?)?;
    // Elements that share memory may get what they have, and windows one value.
    let alike = lie_alike(target, source) || (source.dim() == 0 && !repeats(target));
    let meeting = if alike { Meeting::Alike } else { Meeting::Refused };
    assign_meeting(target, &value, Derivative::Taken(node, Some(source)), meeting)
}

/// `value` repeated to the shape of the target.
fn fitted(op: &'static str, target: &Tensor, value: &Tensor) -> Result<Tensor> {
    let misfit = || {
        Error::operands(
            op,
            format!("a result of shape {:?} does not fit into {:?}", value.shape_hint(), target.shape_hint()),
        )
    };
    if value.dim() > target.dim() {
        return Err(misfit());
    }
    value.expand_sizes(&target.sizes()).map_err(|_| misfit())
}

/// Whether both show the same elements of one memory in the same way.
fn lie_alike(target: &Tensor, source: &Tensor) -> bool {
    target.id() == source.id()
        || match (target.strided(), source.strided()) {
            (Some(_), Some(_)) => overlap(target, source) == Overlap::Same,
            _ => false,
        }
}

/// That an operation does not read elements that it changes meanwhile, but for those in the very place that they go to.
///
/// # Errors
/// When both lie in one piece of memory and not in the same way.
pub(super) fn apart(op: &'static str, target: &Tensor, operand: &Tensor) -> Result<()> {
    match overlap(target, operand) {
        Overlap::Partial => Err(overlapping(op, target, operand)),
        Overlap::None | Overlap::Same => Ok(()),
    }
}

/// As [`apart`], for an operation that reads the elements in another order than it changes them.
///
/// # Errors
/// When both lie in one piece of memory.
pub(super) fn wholly_apart(op: &'static str, target: &Tensor, operand: &Tensor) -> Result<()> {
    match overlap(target, operand) {
        Overlap::Partial | Overlap::Same => Err(overlapping(op, target, operand)),
        Overlap::None => Ok(()),
    }
}

#[cold]
fn overlapping(op: &'static str, target: &Tensor, operand: &Tensor) -> Error {
    Error::operands(
        op,
        format!(
            "an operand of shape {:?} shares memory with the tensor of shape {:?} that is changed; use a copy of it, \
             x.copy()",
            operand.shape_hint(),
            target.shape_hint()
        ),
    )
}

/// An operand beside the tensor that is changed, or another handle to that: only what it was itself is kept as it was, so a
/// derivative that needs it in another place finds it changed, as in PyTorch.
fn beside(op: &'static str, target: &Tensor, operand: &Tensor) -> Result<Tensor> {
    apart(op, target, operand)?;
    if operand.id() != target.id() || !is_grad_enabled() {
        return Ok(operand.clone());
    }
    let other = operand.alias();
    other.set_grad_fn(tape::own_edge(operand));
    Ok(other)
}

/// As [`beside`], of an argument: one that is no tensor shares nothing.
fn given_beside(op: &'static str, target: &Tensor, given: Arg<'_>) -> Result<Option<Tensor>> {
    match given {
        Arg::Tensor(x) => beside(op, target, x).map(Some),
        Arg::Number(_) => Ok(None),
    }
}

/// Defines the in-place twins of plain methods.
///
/// The tensors and numbers behind the arguments are those in brackets: they must not share memory with the target.
/// `$store` is what writes the result.
macro_rules! inplace {
    ($store:ident; $( $(#[$doc:meta])* $name:ident / $try_name:ident = $plain:ident $(<$life:lifetime>)? ( $($arg:ident : $ty:ty),* ) $([$($given:ident),*])? $({$($tensor:ident),*})? $(($($maybe:ident),*))? ; )*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name$(<$life>)?(&self $(, $arg: $ty)*) -> &Tensor {
                crate::error::must(self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`]; the elements become those of [`Tensor::", stringify!($plain), "`].")]
            ///
            /// # Errors
            /// When the result has not this shape or is of a higher kind, or this is a leaf that requires a gradient
            /// outside `no_grad`.
            #[track_caller]
            pub fn $try_name$(<$life>)?(&self $(, $arg: $ty)*) -> Result<&Tensor> {
                let compute = || -> Result<Tensor> {
                    $($(let $given: Arg<'_> = $given.into();
                    let held = given_beside(stringify!($name), self, $given)?;
                    let $given = held.as_ref().map_or($given, Arg::Tensor);)*)?
                    $($(let held = beside(stringify!($name), self, $tensor)?;
                    let $tensor = &held;)*)?
                    $($(let held = $maybe.map_or(Ok(None), |given| given_beside(stringify!($name), self, given))?;
                    let $maybe = held.as_ref().map(Arg::Tensor).or($maybe);)*)?
                    self.$plain($($arg),*)
                };
                let new = changing(self, compute);
                called(new.and_then(|new| $store(stringify!($name), self, &new)).map(|_| self))
            }
        )*}
    };
}

inplace! {
    store_computed;
    /// Adds a tensor or a number to every element.
    add_ / try_add_ = try_add<'a>(other: impl Into<Arg<'a>>) [other];
    /// Adds a multiple of a tensor or a number to every element.
    add_alpha_ / try_add_alpha_ = try_add_alpha<'a>(other: impl Into<Arg<'a>>, alpha: impl Into<Number>) [other];
    /// Subtracts a tensor or a number from every element.
    sub_ / try_sub_ = try_sub<'a>(other: impl Into<Arg<'a>>) [other];
    /// Subtracts a multiple of a tensor or a number from every element.
    sub_alpha_ / try_sub_alpha_ = try_sub_alpha<'a>(other: impl Into<Arg<'a>>, alpha: impl Into<Number>) [other];
    /// Multiplies every element.
    mul_ / try_mul_ = try_mul<'a>(other: impl Into<Arg<'a>>) [other];
    /// Divides every element.
    div_ / try_div_ = try_div<'a>(other: impl Into<Arg<'a>>) [other];
    /// Divides every element, rounded down.
    floor_divide_ / try_floor_divide_ = try_floor_divide<'a>(other: impl Into<Arg<'a>>) [other];
    /// The remainder with the sign of the divisor.
    remainder_ / try_remainder_ = try_remainder<'a>(other: impl Into<Arg<'a>>) [other];
    /// The remainder with the sign of the dividend.
    fmod_ / try_fmod_ = try_fmod<'a>(other: impl Into<Arg<'a>>) [other];
    /// Raises every element to a power.
    pow_ / try_pow_ = try_pow<'a>(other: impl Into<Arg<'a>>) [other];
    /// Moves every element towards `end`.
    lerp_ / try_lerp_ = try_lerp<'a>(end: &Tensor, weight: impl Into<Arg<'a>>) [weight] {end};
    /// Adds a multiple of a product.
    addcmul_ / try_addcmul_ = try_addcmul(a: &Tensor, b: &Tensor, value: impl Into<Number>) {a, b};
    /// Adds a multiple of a quotient.
    addcdiv_ / try_addcdiv_ = try_addcdiv(a: &Tensor, b: &Tensor, value: impl Into<Number>) {a, b};
    /// Keeps every element within bounds.
    clamp_ / try_clamp_ = try_clamp<'a>(min: impl Into<Arg<'a>>, max: impl Into<Arg<'a>>) [min, max];
    /// Keeps every element within either bound or both.
    clamp_with_ / try_clamp_with_ = try_clamp_with<'a>(min: Option<Arg<'a>>, max: Option<Arg<'a>>) (min, max);
    /// Keeps every element above a bound.
    clamp_min_ / try_clamp_min_ = try_clamp_min<'a>(min: impl Into<Arg<'a>>) [min];
    /// Keeps every element below a bound.
    clamp_max_ / try_clamp_max_ = try_clamp_max<'a>(max: impl Into<Arg<'a>>) [max];
    /// Ands bit by bit.
    bitwise_and_ / try_bitwise_and_ = try_bitwise_and<'a>(other: impl Into<Arg<'a>>) [other];
    /// Ors bit by bit.
    bitwise_or_ / try_bitwise_or_ = try_bitwise_or<'a>(other: impl Into<Arg<'a>>) [other];
    /// Exclusive or, bit by bit.
    bitwise_xor_ / try_bitwise_xor_ = try_bitwise_xor<'a>(other: impl Into<Arg<'a>>) [other];
    /// The leaky ReLU of every element.
    leaky_relu_ / try_leaky_relu_ = try_leaky_relu(negative_slope: f64);
    /// The ELU of every element.
    elu_ / try_elu_ = try_elu(alpha: f64);
    /// Every element between -1 and 1, or other bounds.
    hardtanh_ / try_hardtanh_ = try_hardtanh(min: f64, max: f64);
    /// Every element between 0 and 6.
    relu6_ / try_relu6_ = try_relu6();
    /// The SELU of every element.
    selu_ / try_selu_ = try_selu();
    /// The CELU of every element.
    celu_ / try_celu_ = try_celu(alpha: f64);
    /// The SiLU of every element.
    silu_ / try_silu_ = try_silu();
    /// The Mish of every element.
    mish_ / try_mish_ = try_mish();
    /// The hard sigmoid of every element.
    hardsigmoid_ / try_hardsigmoid_ = try_hardsigmoid();
    /// The hard swish of every element.
    hardswish_ / try_hardswish_ = try_hardswish();
    /// The randomized leaky ReLU of every element.
    rrelu_ / try_rrelu_ = try_rrelu(lower: f64, upper: f64, training: bool);
    /// `value` in place of every element that is not above `threshold`.
    threshold_ / try_threshold_ = try_threshold(threshold: impl Into<Number>, value: impl Into<Number>);
    /// NaN and the infinities become numbers.
    nan_to_num_ / try_nan_to_num_ = try_nan_to_num(nan: Option<f64>, posinf: Option<f64>, neginf: Option<f64>);
}

inplace! {
    store_untracked;
    /// Ands with the truth of a tensor or a number.
    logical_and_ / try_logical_and_ = try_logical_and<'a>(other: impl Into<Arg<'a>>) [other];
    /// Ors with the truth of a tensor or a number.
    logical_or_ / try_logical_or_ = try_logical_or<'a>(other: impl Into<Arg<'a>>) [other];
    /// Negates the truth of every element.
    logical_not_ / try_logical_not_ = try_logical_not();
}

inplace! {
    store_running;
    /// Adds up along an axis. Of bools only where there is nothing to add up: no elements, or no axis.
    cumsum_ / try_cumsum_ = try_cumsum(axis: isize);
    /// Multiplies along an axis. Of bools only where there is nothing to multiply: no elements, or no axis.
    cumprod_ / try_cumprod_ = try_cumprod(axis: isize);
}

/// In-place twins of functions of one operand.
macro_rules! unary_inplace {
    ($($name:ident / $try_name:ident = $plain:ident, $shown:ident;)*) => {
        inplace! {
            store_computed; $(
            #[doc = concat!("Applies [`Tensor::", stringify!($shown), "`] to every element.")]
            $name / $try_name = $plain();
        )*}
    };
}

unary_inplace! {
    neg_ / try_neg_ = try_neg, neg;
    abs_ / try_abs_ = try_abs, abs;
    sqrt_ / try_sqrt_ = try_sqrt, sqrt;
    rsqrt_ / try_rsqrt_ = try_rsqrt, rsqrt;
    reciprocal_ / try_reciprocal_ = try_reciprocal, reciprocal;
    square_ / try_square_ = try_square, square;
    exp_ / try_exp_ = try_exp, exp;
    exp2_ / try_exp2_ = try_exp2, exp2;
    expm1_ / try_expm1_ = try_expm1, expm1;
    log_ / try_log_ = try_log, log;
    log2_ / try_log2_ = try_log2, log2;
    log10_ / try_log10_ = try_log10, log10;
    log1p_ / try_log1p_ = try_log1p, log1p;
    sin_ / try_sin_ = try_sin, sin;
    cos_ / try_cos_ = try_cos, cos;
    tan_ / try_tan_ = try_tan, tan;
    asin_ / try_asin_ = try_asin, asin;
    acos_ / try_acos_ = try_acos, acos;
    atan_ / try_atan_ = try_atan, atan;
    sinh_ / try_sinh_ = try_sinh, sinh;
    cosh_ / try_cosh_ = try_cosh, cosh;
    tanh_ / try_tanh_ = try_tanh, tanh;
    asinh_ / try_asinh_ = try_asinh, asinh;
    acosh_ / try_acosh_ = try_acosh, acosh;
    atanh_ / try_atanh_ = try_atanh, atanh;
    erf_ / try_erf_ = try_erf, erf;
    erfc_ / try_erfc_ = try_erfc, erfc;
    sigmoid_ / try_sigmoid_ = try_sigmoid, sigmoid;
    relu_ / try_relu_ = try_relu, relu;
    floor_ / try_floor_ = try_floor, floor;
    ceil_ / try_ceil_ = try_ceil, ceil;
    round_ / try_round_ = try_round, round;
    trunc_ / try_trunc_ = try_trunc, trunc;
    frac_ / try_frac_ = try_frac, frac;
    sign_ / try_sign_ = try_sign, sign;
    bitwise_not_ / try_bitwise_not_ = try_bitwise_not, bitwise_not;
}

impl Tensor {
    /// Takes the elements of `source`, cast and broadcast to this tensor.
    ///
    /// # Panics
    /// Where [`Tensor::try_copy_`] fails.
    #[track_caller]
    pub fn copy_(&self, source: &Tensor) -> &Tensor {
        crate::error::must(self.try_copy_(source))
    }

    /// As [`Tensor::copy_`].
    ///
    /// # Errors
    /// When `source` does not broadcast to this shape, or this is a leaf that requires a gradient outside `no_grad`.
    #[track_caller]
    pub fn try_copy_(&self, source: &Tensor) -> Result<&Tensor> {
        called(copy("copy_", self, source).map(|_| self))
    }

    /// Sets every element to `value`, a number or a tensor without axes.
    ///
    /// # Panics
    /// Where [`Tensor::try_fill_`] fails.
    #[track_caller]
    pub fn fill_<'a>(&self, value: impl Into<Arg<'a>>) -> &Tensor {
        crate::error::must(self.try_fill_(value))
    }

    /// As [`Tensor::fill_`].
    ///
    /// # Errors
    /// When the number does not fit into the dtype, the tensor has axes, or this is a leaf that requires a gradient
    /// outside `no_grad`.
    #[track_caller]
    pub fn try_fill_<'a>(&self, value: impl Into<Arg<'a>>) -> Result<&Tensor> {
        called(self.fill_with(value.into()))
    }

    #[track_caller]
    fn fill_with(&self, value: Arg<'_>) -> Result<&Tensor> {
        match value {
            Arg::Number(n) => self.filled_alike("FillBackward2", n)?,
            Arg::Tensor(t) if t.dim() == 0 => {
                let value = fitted("fill_", self, &t.try_to(self.dtype())?)?;
                let meeting = if repeats(self) { Meeting::Refused } else { Meeting::Alike };
                assign_meeting(self, &value, Derivative::Taken("FillBackward3", Some(t)), meeting)?;
            }
            Arg::Tensor(t) => {
                return Err(Error::operands("fill_", format!("the value must have no axes, got {:?}", t.shape_hint())));
            }
        }
        Ok(self)
    }

    /// Sets every element to a number, also where elements share memory.
    #[track_caller]
    pub(super) fn filled_alike(&self, name: &'static str, n: Number) -> Result<()> {
        let full = crate::mode::values::full_of(&self.sizes(), n.fitted("fill_", self.dtype())?)?;
        assign_meeting(self, &full, Derivative::Taken(name, None), Meeting::Alike)
    }

    /// Sets every element to 0.
    ///
    /// # Panics
    /// Where [`Tensor::try_zero_`] fails.
    #[track_caller]
    pub fn zero_(&self) -> &Tensor {
        crate::error::must(self.try_zero_())
    }

    /// As [`Tensor::zero_`].
    ///
    /// # Errors
    /// When this is a leaf that requires a gradient, outside `no_grad`.
    #[track_caller]
    pub fn try_zero_(&self) -> Result<&Tensor> {
        called(self.filled_alike("ZeroBackward0", Number::Int(0)).map(|()| self))
    }
}
