//! Numbers between which a line search decides, rounded as PyTorch's are: what came from a tensor is rounded to its dtype after each
//! operation, and so is what it meets; Python's floats are f64 among themselves. It only computes.

use allotrope_ir::DType;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number of the host, or an element of a tensor without axes.
#[derive(Copy, Clone, Debug)]
pub(super) struct HostNumber {
    value: f64,
    /// The dtype of the tensor that it is of.
    dtype: Option<DType>,
}

fn rounded(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(x as f32),
        DType::F16 => half::f16::from_f32(x as f32).to_f64(),
        DType::BF16 => half::bf16::from_f32(x as f32).to_f64(),
        DType::F64 | DType::Bool | DType::U8 | DType::I32 | DType::I64 => x,
    }
}

impl HostNumber {
    /// A float of the host.
    pub(super) fn float(value: f64) -> HostNumber {
        HostNumber { value, dtype: None }
    }

    /// An element of a tensor.
    pub(super) fn element(value: f64, dtype: DType) -> HostNumber {
        HostNumber { value, dtype: Some(dtype) }
    }

    pub(super) fn value(self) -> f64 {
        self.value
    }

    fn with(self, other: HostNumber, f: impl Fn(f64, f64) -> f64) -> HostNumber {
        match self.dtype.or(other.dtype) {
            None => HostNumber::float(f(self.value, other.value)),
            Some(dtype) => {
                let (a, b) = (rounded(self.value, dtype), rounded(other.value, dtype));
                HostNumber::element(rounded(f(a, b), dtype), dtype)
            }
        }
    }

    pub(super) fn abs(self) -> HostNumber {
        HostNumber { value: self.value.abs(), ..self }
    }

    pub(super) fn sqrt(self) -> HostNumber {
        self.with(self, |x, _| x.sqrt())
    }

    /// The larger one, as Python's `max`: the first where neither is.
    pub(super) fn max(self, other: HostNumber) -> HostNumber {
        if other > self { other } else { self }
    }

    /// The smaller one, as Python's `min`.
    pub(super) fn min(self, other: HostNumber) -> HostNumber {
        if other < self { other } else { self }
    }
}

impl From<f64> for HostNumber {
    fn from(value: f64) -> HostNumber {
        HostNumber::float(value)
    }
}

impl PartialEq for HostNumber {
    fn eq(&self, other: &HostNumber) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for HostNumber {
    fn partial_cmp(&self, other: &HostNumber) -> Option<Ordering> {
        match self.dtype.or(other.dtype) {
            None => self.value.partial_cmp(&other.value),
            Some(dtype) => rounded(self.value, dtype).partial_cmp(&rounded(other.value, dtype)),
        }
    }
}

impl Neg for HostNumber {
    type Output = HostNumber;
    fn neg(self) -> HostNumber {
        HostNumber { value: -self.value, ..self }
    }
}

impl Add for HostNumber {
    type Output = HostNumber;
    fn add(self, other: HostNumber) -> HostNumber {
        self.with(other, |a, b| a + b)
    }
}

impl Sub for HostNumber {
    type Output = HostNumber;
    fn sub(self, other: HostNumber) -> HostNumber {
        self.with(other, |a, b| a - b)
    }
}

impl Mul for HostNumber {
    type Output = HostNumber;
    fn mul(self, other: HostNumber) -> HostNumber {
        self.with(other, |a, b| a * b)
    }
}

impl Div for HostNumber {
    type Output = HostNumber;
    fn div(self, other: HostNumber) -> HostNumber {
        match (self.dtype, other.dtype) {
            // A float by a tensor is the float times the tensor's reciprocal.
            (None, Some(dtype)) => {
                let inverse = rounded(1.0 / other.value, dtype);
                HostNumber::element(rounded(rounded(self.value, dtype) * inverse, dtype), dtype)
            }
            _ => self.with(other, |a, b| a / b),
        }
    }
}
