//! Comparisons and questions about single elements. The answers are bools, and no gradient goes through them.

use super::super::arg::{Aligned, Arg, result_dtype};
use super::super::twins;
use super::binary_twins;
use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{CompareOp, DType, Op, UnaryOp};

/// A comparison with PyTorch's promotion and broadcasting.
pub(crate) fn compare(name: &'static str, op: CompareOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let mut dtype = result_dtype(&[a, b]);
    if dtype == DType::Bool && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
        dtype = DType::U8;
    }
    // No gradient goes through a comparison, so what prepares its operands is not recorded either.
    let pair = no_grad(|| Aligned::new(name, a, b, dtype))?;
    apply(&Op::Compare(op), &[pair.operand(0), pair.operand(1)])
}

binary_twins! {
    /// a == b, elementwise, as bool.
    eq / try_eq = compare(CompareOp::Eq);
    /// a != b, elementwise, as bool.
    ne / try_ne = compare(CompareOp::Ne);
    /// a < b, elementwise, as bool.
    lt / try_lt = compare(CompareOp::Lt);
    /// a <= b, elementwise, as bool.
    le / try_le = compare(CompareOp::Le);
    /// a > b, elementwise, as bool.
    gt / try_gt = compare(CompareOp::Gt);
    /// a >= b, elementwise, as bool.
    ge / try_ge = compare(CompareOp::Ge);
}

/// The answer for a tensor that has no NaN and no infinity.
fn always(x: &Tensor, answer: bool) -> Result<Tensor> {
    if answer { x.try_logical_or(true) } else { x.try_logical_and(false) }
}

twins! {
    /// Not, for bools; other dtypes count as `!= 0`.
    fn logical_not / try_logical_not(&self) -> Tensor {
        let x = no_grad(|| self.try_to(DType::Bool))?;
        apply(&Op::Unary(UnaryOp::Not), &[Operand::Tensor(&x)])
    }

    /// Not, of bools, or of every bit of integers.
    fn bitwise_not / try_bitwise_not(&self) -> Tensor {
        if self.dtype().is_float() {
            return Err(Error::operands("bitwise_not", format!("not defined for {}; it takes integers and bools", self.dtype())));
        }
        apply(&Op::Unary(UnaryOp::Not), &[Operand::Tensor(self)])
    }

    /// Which elements are NaN.
    fn isnan / try_isnan(&self) -> Tensor {
        if self.dtype().is_float() { self.try_ne(self) } else { always(self, false) }
    }

    /// Which elements are infinite.
    fn isinf / try_isinf(&self) -> Tensor {
        match self.dtype().is_float() {
            true => self.detach().try_abs()?.try_eq(f64::INFINITY),
            false => always(self, false),
        }
    }

    /// Which elements are neither infinite nor NaN.
    fn isfinite / try_isfinite(&self) -> Tensor {
        match self.dtype().is_float() {
            true => self.detach().try_abs()?.try_lt(f64::INFINITY),
            false => always(self, true),
        }
    }

    /// Which elements are +∞.
    fn isposinf / try_isposinf(&self) -> Tensor {
        if self.dtype().is_float() { self.try_eq(f64::INFINITY) } else { always(self, false) }
    }

    /// Which elements are -∞.
    fn isneginf / try_isneginf(&self) -> Tensor {
        if self.dtype().is_float() { self.try_eq(f64::NEG_INFINITY) } else { always(self, false) }
    }

    /// Which elements are close to those of `other`: `|a - b| <= atol + rtol · |b|`, or equal. With `equal_nan` two NaN
    /// are close. PyTorch's defaults are 1e-5, 1e-8 and false. Both tensors have one dtype.
    fn isclose / try_isclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Tensor {
        let (a, b) = (self.detach(), other.detach());
        if a.dtype() != b.dtype() {
            return Err(Error::operands("isclose", format!("both need one dtype, got {} and {}", a.dtype(), b.dtype())));
        }
        if [rtol, atol].iter().any(|t| *t < 0.0 || t.is_nan()) {
            return Err(Error::operands("isclose", format!("the tolerances must not be negative, got {rtol} and {atol}")));
        }
        let mut close = a.try_eq(&b)?;
        if equal_nan && a.dtype().is_float() {
            close = close.try_logical_or(&a.try_isnan()?.try_logical_and(&b.try_isnan()?)?)?;
        }
        if rtol == 0.0 && atol == 0.0 {
            return Ok(close);
        }
        let number = |x: &Tensor| if x.dtype() == DType::Bool { x.try_to(DType::F32) } else { Ok(x.clone()) };
        let (a, b) = (number(&a)?, number(&b)?);
        let allowed = super::as_float(&b)?.try_mul(rtol)?.try_abs()?.try_add(atol)?;
        let difference = a.try_sub(&b)?.try_abs()?;
        close.try_logical_or(&difference.try_isfinite()?.try_logical_and(&difference.try_le(&allowed)?)?)
    }

    /// Whether all elements are close; see [`Tensor::isclose`]. It reads the answer, so it is an error inside a trace.
    fn allclose / try_allclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> bool {
        self.try_isclose(other, rtol, atol, equal_nan)?.try_all()?.try_item()
    }

    /// Whether shapes and all elements are equal; dtypes may differ. It reads the answer, so it is an error inside a trace.
    fn equal / try_equal(&self, other: &Tensor) -> bool {
        if !self.same_shape(other) {
            return Ok(false);
        }
        self.try_eq(other)?.try_all()?.try_item()
    }
}
