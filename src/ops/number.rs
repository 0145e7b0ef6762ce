//! Rust numbers as operands, and the one place that says what element of a dtype a number is: whether it wraps, saturates or is
//! refused, as PyTorch has it. Nothing is computed here.

use crate::error::{Error, Result};
use allotrope_ir::{DType, Scalar};

/// A Rust number as an operand: it takes the dtype of the tensor beside it unless its kind is higher.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Number {
    Bool(bool),
    Int(i64),
    Float(f64),
}

macro_rules! numbers {
    ($($t:ty => $kind:ident as $as:ty),*) => {$(
        impl From<$t> for Number {
            fn from(x: $t) -> Self {
                Number::$kind(x as $as)
            }
        }
    )*};
}
numbers!(f64 => Float as f64, f32 => Float as f64, i64 => Int as i64, i32 => Int as i64, bool => Bool as bool);

/// A bound of a clamp: from below, or from above.
#[derive(Copy, Clone, PartialEq)]
pub(crate) enum Side {
    Lower,
    Upper,
}

impl Number {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Number::Bool(_) => DType::Bool,
            Number::Int(_) => DType::I64,
            Number::Float(_) => DType::F32,
        }
    }

    /// As a float, as near as possible.
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Bool(b) => b as u8 as f64,
            Number::Int(i) => i as f64,
            Number::Float(x) => x,
        }
    }

    /// The number that an element is.
    pub(crate) fn of(element: Scalar) -> Number {
        match element {
            Scalar::Bool(b) => Number::Bool(b),
            Scalar::U8(i) => Number::Int(i as i64),
            Scalar::I32(i) => Number::Int(i as i64),
            Scalar::I64(i) => Number::Int(i),
            Scalar::F16(x) => Number::Float(x.to_f64()),
            Scalar::BF16(x) => Number::Float(x.to_f64()),
            Scalar::F32(x) => Number::Float(x as f64),
            Scalar::F64(x) => Number::Float(x),
        }
    }

    /// As the number that it is as an element of `dtype`.
    pub(crate) fn rounded(self, dtype: DType) -> Number {
        Number::of(self.to(dtype))
    }

    /// In arithmetic and in comparisons: an integer that does not fit wraps, a float that does not is infinite.
    pub(crate) fn to(self, dtype: DType) -> Scalar {
        match self {
            Number::Bool(b) => Scalar::from_f64(b as u8 as f64, dtype),
            Number::Int(i) => allotrope_ir::element::cast(Scalar::I64(i), dtype),
            Number::Float(x) => Scalar::from_f64(x, dtype),
        }
    }

    /// As an element that is written, a factor or an exponent, where PyTorch refuses what does not fit. A negative integer may wrap
    /// into an unsigned one, unless its size does not fit.
    ///
    /// # Errors
    /// When it does not fit.
    pub(crate) fn fitted(self, op: &'static str, dtype: DType) -> Result<Scalar> {
        if self.fits(dtype) { Ok(self.to(dtype)) } else { Err(self.misfit(op, dtype)) }
    }

    /// Whether it does.
    pub(crate) fn fits(self, dtype: DType) -> bool {
        match self {
            Number::Bool(_) => true,
            Number::Int(i) => match dtype {
                DType::U8 => (-255..=255).contains(&i),
                DType::I32 => i32::try_from(i).is_ok(),
                DType::F16 => i.unsigned_abs() <= 65504,
                DType::Bool | DType::I64 | DType::BF16 | DType::F32 | DType::F64 => true,
            },
            Number::Float(x) => match dtype {
                DType::U8 => (0.0..256.0).contains(&x),
                DType::I32 => (i32::MIN as f64..=i32::MAX as f64).contains(&x.trunc()),
                // The upper bound is the first number that does not fit.
                DType::I64 => (i64::MIN as f64..i64::MAX as f64).contains(&x),
                DType::F16 => x.abs() <= 65504.0 || !x.is_finite(),
                DType::BF16 => x.abs() <= half::bf16::MAX.to_f64() || !x.is_finite(),
                DType::F32 => x.abs() <= f32::MAX as f64 || !x.is_finite(),
                DType::Bool | DType::F64 => true,
            },
        }
    }

    /// A factor or a slope, which is as precise as the dtype that floats of `dtype` are computed in.
    ///
    /// # Errors
    /// When it does not fit into that.
    pub(crate) fn fitted_factor(self, op: &'static str, dtype: DType) -> Result<()> {
        self.fitted(op, if dtype.is_half() { DType::F32 } else { dtype }).map(drop)
    }

    /// As [`Number::fitted`], where negative integers do not wrap into unsigned ones either.
    ///
    /// # Errors
    /// When it does not fit.
    pub(crate) fn fitted_unsigned(self, op: &'static str, dtype: DType) -> Result<Scalar> {
        if dtype == DType::U8 && self.to_f64() < 0.0 { Err(self.misfit(op, dtype)) } else { self.fitted(op, dtype) }
    }

    /// As a bound of a clamp: an integer that nothing can be beyond is the extreme of the dtype, one that everything is beyond is
    /// refused, as is a float that does not fit.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) fn bound(self, op: &'static str, dtype: DType, side: Side) -> Result<Number> {
        let Number::Int(i) = self else { return Ok(Number::of(self.fitted(op, dtype)?)) };
        let (least, most) = match dtype {
            DType::U8 => (0, u8::MAX as i64),
            DType::I32 => (i32::MIN as i64, i32::MAX as i64),
            DType::Bool | DType::I64 => return Ok(self),
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => return Ok(Number::of(self.fitted(op, dtype)?)),
        };
        let refused = if side == Side::Lower { i > most } else { i < least };
        if refused { Err(self.misfit(op, dtype)) } else { Ok(Number::Int(i.clamp(least, most))) }
    }

    #[cold]
    fn misfit(self, op: &'static str, dtype: DType) -> Error {
        Error::operands(op, format!("the number {} does not fit into {dtype}", self.to_f64()))
    }
}
