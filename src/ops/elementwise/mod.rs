//! Elementwise operations with their derivatives, by idea: functions of one operand, arithmetic of two, sums and products
//! of three, comparison, choice, conversion. What they share about dtypes is here; no shape is decided here.

mod arithmetic;
mod cast;
mod choice;
mod compare;
mod division;
mod fused;
mod gamma;
mod power;
mod rounding;
mod special;
mod unary;

pub(crate) use arithmetic::binary;
pub use arithmetic::{
    bitwise_and, bitwise_or, bitwise_xor, div, sub, try_bitwise_and, try_bitwise_or, try_bitwise_xor, try_div, try_sub,
};
pub use cast::To;
pub(crate) use choice::{choose, select_as, zero_where};
pub use choice::{try_where_, where_};
pub(crate) use compare::compare;
pub use division::{
    div_floor, div_trunc, floor_divide, fmod, remainder, try_div_floor, try_div_trunc, try_floor_divide, try_fmod,
    try_remainder,
};
pub use power::{float_power, pow, try_float_power, try_pow};
pub use special::{try_xlogy, xlogy};

use super::arg::{Arg, PromotedArg};
use crate::autograd::saved::{self, Saved};
use crate::autograd::{is_grad_enabled, no_grad, tape};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use allotrope_ir::DType;
use smallvec::{SmallVec, smallvec};

/// The node of an operator that PyTorch has for a number as its second operand, and for a tensor.
fn by_kind(b: Arg<'_>, number: &'static str, tensor: &'static str) -> &'static str {
    if matches!(b, Arg::Number(_)) { number } else { tensor }
}

/// Integers and bools are computed as f32 by functions that have no integer meaning, as in PyTorch.
pub(crate) fn as_float(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() { Ok(x.clone()) } else { x.try_to(DType::F32) }
}

/// The tensor, where it is no bool.
pub(crate) fn numeric(x: &Tensor, op: &'static str) -> Result<Tensor> {
    match x.dtype() {
        DType::Bool => Err(Error::operands(op, "not defined for bool; use logical_not(), or to(DType::I64) first")),
        _ => Ok(x.clone()),
    }
}

/// The tensor, where it is a float.
pub(crate) fn floating(x: &Tensor, op: &'static str) -> Result<Tensor> {
    match x.dtype().is_float() {
        true => Ok(x.clone()),
        false => Err(Error::operands(op, format!("not defined for {}; use to(DType::F32) first", x.dtype()))),
    }
}

/// Runs several operations in f32 for a half-precision float, and rounds the result once.
pub(crate) fn in_full(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    if !x.dtype().is_half() {
        return f(x);
    }
    let wide = x.try_to(DType::F32)?;
    if !wide.is_requires_grad() || !is_grad_enabled() {
        return f(&wide)?.try_to(x.dtype());
    }
    saved::forget_output();
    let (y, keeps_operand) = saved::watching(&wide, || f(&wide));
    rounded(&y?, x.dtype(), keeps_operand.then(|| Saved::operand(x)))
}

/// A result that was computed in f32, rounded to `dtype`: for the tape what its last operation is, and kept where that keeps
/// its result.
pub(crate) fn rounded(y: &Tensor, dtype: DType, operand: Option<Saved>) -> Result<Tensor> {
    let recorded = y.dtype() != dtype && is_grad_enabled();
    let Some(edge) = tape::edge_of(y).filter(|_| recorded) else { return y.try_to(dtype) };
    let (keeps_result, wide) = (saved::is_output(y), y.dtype());
    let result = no_grad(|| y.try_to(dtype))?;
    let kept: SmallVec<[Saved; 2]> =
        operand.into_iter().chain(keeps_result.then(|| Saved::output(&result, 0))).collect();
    let name = edge.node().name().to_string();
    let node = tape::node(name, smallvec![Some(edge)], !kept.is_empty(), move |c, grads| {
        kept.iter().try_for_each(|kept| kept.get(c.me).map(drop))?;
        Ok(smallvec![grads[0].as_ref().map(|g| g.try_to(wide)).transpose()?])
    });
    result.set_grad_fn(Some(Edge::new(node, 0)));
    Ok(result)
}

/// As [`in_full`], of several operands that have been promoted to `dtype`.
fn all_in_full<const N: usize>(
    op: &'static str,
    args: [Arg<'_>; N],
    dtype: DType,
    f: impl FnOnce([PromotedArg; N]) -> Result<Tensor>,
) -> Result<Tensor> {
    match dtype.is_half() {
        true => {
            let args = super::arg::common(op, args, DType::F32)?;
            saved::forget_output();
            rounded(&f(args)?, dtype, None)
        }
        false => f(super::arg::common(op, args, dtype)?),
    }
}

/// Defines binary operations as twins that take a tensor or a number.
macro_rules! binary_twins {
    ($($(#[$doc:meta])* $name:ident / $try_name:ident = $call:ident ( $op:expr );)*) => {
        impl Tensor {$(
            $(#[$doc])*
            /// The other operand is a tensor or a number; shapes broadcast, dtypes are promoted as in PyTorch.
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name<'a>(&self, other: impl Into<Arg<'a>>) -> Tensor {
                crate::error::must(self.$try_name(other))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the shapes do not broadcast or the operation has no meaning for the dtypes.
            #[track_caller]
            pub fn $try_name<'a>(&self, other: impl Into<Arg<'a>>) -> Result<Tensor> {
                crate::error::called($call(stringify!($name), $op, Arg::Tensor(self), other.into()))
            }
        )*}
    };
}
use binary_twins;

/// As [`binary_twins!`], for free functions, whose first operand may be a number too.
macro_rules! binary_fns {
    ($($(#[$doc:meta])* $name:ident / $try_name:ident = $call:ident ( $op:expr );)*) => {$(
        $(#[$doc])*
        /// Either operand is a tensor or a number; shapes broadcast, dtypes are promoted as in PyTorch.
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] fails.")]
        #[track_caller]
        pub fn $name<'a>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'a>>) -> Tensor {
            crate::error::must($try_name(a, b))
        }

        #[doc = concat!("As [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// When the shapes do not broadcast or the operation has no meaning for the dtypes.
        #[track_caller]
        pub fn $try_name<'a>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'a>>) -> Result<Tensor> {
            crate::error::called($call(stringify!($name), $op, a.into(), b.into()))
        }
    )*};
}
use binary_fns;
