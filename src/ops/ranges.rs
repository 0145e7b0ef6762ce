//! Ranges and the identity matrix, with PyTorch's numbers: composed of primitives, so that a trace records them and
//! both modes give the same bits. Lengths are numbers here; only `arange` of a `Size` is symbolic.
//!
//! PyTorch computes `start + step * i` with one rounding on processors that have fused multiply-adds. An element of a
//! small matrix product is a chain of them, so that is what these numbers are made with.

use super::joining::{try_cat, try_stack};
use crate::error::{Error, Result, called, must};
use crate::mode::apply::apply;
use crate::mode::values::full_of;
use crate::tensor::{Size, Tensor, TensorType};
use allotrope_ir::{DType, Op, Scalar};
use std::ops::Range;

/// The numbers that [`Tensor::arange`] gives: made from an end, a range, `(start, end)` or `(start, end, step)`.
#[derive(Copy, Clone, Debug)]
pub struct Arange(Kind);

#[derive(Copy, Clone, Debug)]
enum Kind {
    /// From 0, by 1.
    Count(Size),
    Ints {
        start: i64,
        end: i64,
        step: i64,
    },
    Floats {
        start: f64,
        end: f64,
        step: f64,
    },
}

impl From<Size> for Arange {
    fn from(n: Size) -> Arange {
        Arange(Kind::Count(n))
    }
}

impl From<usize> for Arange {
    fn from(n: usize) -> Arange {
        Arange(Kind::Count(Size::from(n)))
    }
}

macro_rules! ranges {
    ($($t:ty => $kind:ident, $as:expr);*) => {$(
        impl From<Range<$t>> for Arange {
            fn from(r: Range<$t>) -> Arange {
                Arange::from((r.start, r.end))
            }
        }
        impl From<($t, $t)> for Arange {
            fn from((start, end): ($t, $t)) -> Arange {
                Arange::from((start, end, 1 as $t))
            }
        }
        impl From<($t, $t, $t)> for Arange {
            fn from((start, end, step): ($t, $t, $t)) -> Arange {
                Arange(Kind::$kind { start: $as(start), end: $as(end), step: $as(step) })
            }
        }
    )*};
}
ranges!(i32 => Ints, i64::from; i64 => Ints, i64::from; usize => Ints, whole; f32 => Floats, f64::from; f64 => Floats, f64::from);

/// The number; the largest of `i64` for those above, whose range is longer than any tensor.
fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

macro_rules! ends {
    ($($t:ty),*) => {$(
        impl From<$t> for Arange {
            fn from(end: $t) -> Arange {
                Arange::from((0 as $t, end))
            }
        }
    )*};
}
ends!(i32, i64, f32, f64);

/// Defines constructors twice from one definition, as `twins!` does methods.
macro_rules! made {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $($arg:ident : $ty:ty),* $(,)? ) $body:block )*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name($($arg: $ty),*) -> Tensor {
                must(Tensor::$try_name($($arg),*))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit.
            #[track_caller]
            pub fn $try_name($($arg: $ty),*) -> Result<Tensor> {
                #[track_caller]
                fn body($($arg: $ty),*) -> Result<Tensor> $body
                called(body($($arg),*))
            }
        )*}
    };
}

made! {
    /// The numbers from a start (or 0) to before an end, by a step (or 1): `i64` from integers, `f32` from floats.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(4).to_vec::<i64>(), [0, 1, 2, 3]);
    /// assert_eq!(Tensor::arange(2..4).to_vec::<i64>(), [2, 3]);
    /// assert_eq!(Tensor::arange((5, 0, -2)).to_vec::<i64>(), [5, 3, 1]);
    /// assert_eq!(Tensor::arange((0.0, 1.0, 0.25)).to_vec::<f32>(), [0.0, 0.25, 0.5, 0.75]);
    /// ```
    fn arange / try_arange(range: impl Into<Arange>) {
        let range = range.into();
        let dtype = if let Kind::Floats { .. } = range.0 { DType::F32 } else { DType::I64 };
        Tensor::try_arange_with(range, dtype)
    }

    /// As [`Tensor::arange`], of a given dtype: `torch.arange(start, end, step, dtype=dtype)`.
    fn arange_with / try_arange_with(range: impl Into<Arange>, dtype: DType) {
        if dtype == DType::Bool {
            return Err(Error::operands("arange", "gives numbers, not bool"));
        }
        match range.into().0 {
            Kind::Count(n) => iota(n, dtype),
            Kind::Ints { start, end, step } if !dtype.is_float() => {
                // Exact where a difference of two i64 does not fit one.
                let (from, to, by) = (i128::from(start), i128::from(end), i128::from(step));
                check_direction(step == 0, (to > from && by < 0) || (to < from && by > 0), &range_text(start, end, step))?;
                let n = ((to - from).abs() + by.abs() - 1) / by.abs();
                ints(start, step, length(n as f64)?)?.try_to(dtype)
            }
            Kind::Ints { start, end, step } => floats(start as f64, end as f64, step as f64, dtype),
            Kind::Floats { start, end, step } => floats(start, end, step, dtype),
        }
    }

    /// `steps` numbers from `start` to `end`, both included, as `f32`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::linspace(-1.0, 1.0, 5).to_vec::<f32>(), [-1.0, -0.5, 0.0, 0.5, 1.0]);
    /// ```
    fn linspace / try_linspace(start: impl Into<f64>, end: impl Into<f64>, steps: usize) {
        Tensor::try_linspace_with(start.into(), end.into(), steps, DType::F32)
    }

    /// As [`Tensor::linspace`], of a given dtype; integers are truncated.
    fn linspace_with / try_linspace_with(start: f64, end: f64, steps: usize, dtype: DType) {
        let ends = Ends::new("linspace", start, end, steps, dtype)?;
        ends.numbers(fused)?.try_to(dtype)
    }

    /// `steps` powers of 10, from 10^start to 10^end, both included, as `f32`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::logspace(0.0, 2.0, 3).to_vec::<f32>(), [1.0, 10.0, 100.0]);
    /// ```
    fn logspace / try_logspace(start: impl Into<f64>, end: impl Into<f64>, steps: usize) {
        Tensor::try_logspace_with(start.into(), end.into(), steps, 10.0, DType::F32)
    }

    /// As [`Tensor::logspace`], of another base than 10 and a given dtype. The powers are within units in the last place
    /// of PyTorch's.
    fn logspace_with / try_logspace_with(start: f64, end: f64, steps: usize, base: f64, dtype: DType) {
        let ends = Ends::new("logspace", start, end, steps, dtype)?;
        let exponents = ends.numbers(|i, start, step| i.try_mul(step)?.try_add(start))?.try_to(DType::F64)?;
        number(base, DType::F64)?.try_pow(&exponents)?.try_to(dtype)
    }

    /// The matrix `[n, m]`, square where no `m` is given, with ones on its diagonal and zeros beside it.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::eye(2, None, DType::I64).to_vec::<i64>(), [1, 0, 0, 1]);
    /// assert_eq!(Tensor::eye(2, 3, DType::F32).shape(), [2, 3]);
    /// ```
    fn eye / try_eye(n: usize, m: impl Into<Option<usize>>, dtype: DType) {
        let m = m.into().unwrap_or(n);
        TensorType::of(dtype, &[n, m])?;
        let (rows, columns) = (iota(n.into(), DType::I64)?, iota(m.into(), DType::I64)?);
        rows.try_unsqueeze(1)?.try_eq(&columns)?.try_to(dtype)
    }
}

/// 0, 1, …, n-1.
fn iota(n: Size, dtype: DType) -> Result<Tensor> {
    apply(&Op::Iota(n), &[])?.try_to(dtype)
}

fn number(x: f64, dtype: DType) -> Result<Tensor> {
    full_of(&[], Scalar::from_f64(x, dtype))
}

/// The numbers that one rounding of `start + step * i` gives, for a row of `i`.
fn fused(i: &Tensor, start: f64, step: f64) -> Result<Tensor> {
    let rows = try_stack(&[&i.try_ones_like()?, i], 1)?;
    let line = try_stack(&[&number(start, i.dtype())?, &number(step, i.dtype())?], 0)?;
    rows.try_matmul(&line.try_unsqueeze(1)?)?.try_squeeze(1)
}

/// start + step * i for the first n integers.
fn ints(start: i64, step: i64, n: usize) -> Result<Tensor> {
    iota(n.into(), DType::I64)?.try_mul(step)?.try_add(start)
}

fn range_text(start: impl std::fmt::Display, end: impl std::fmt::Display, step: impl std::fmt::Display) -> String {
    format!("from {start} to {end} by {step}")
}

fn check_direction(still: bool, away: bool, range: &str) -> Result<()> {
    match (still, away) {
        (true, _) => Err(Error::operands("arange", format!("{range}: the step must not be 0"))),
        (_, true) => Err(Error::operands("arange", format!("{range}: the step leads away from the end"))),
        _ => Ok(()),
    }
}

fn length(n: f64) -> Result<usize> {
    match n < (1u64 << 53) as f64 {
        true => Ok(n as usize),
        false => Err(Error::operands("arange", format!("{n} numbers are too many"))),
    }
}

/// The type that PyTorch computes a range of `dtype` in.
fn working(dtype: DType) -> DType {
    if dtype == DType::F64 || !dtype.is_float() { DType::F64 } else { DType::F32 }
}

fn floats(start: f64, end: f64, step: f64, dtype: DType) -> Result<Tensor> {
    let range = range_text(start, end, step);
    if !(start.is_finite() && end.is_finite() && !step.is_nan()) {
        return Err(Error::operands("arange", format!("{range}: the ends must be finite")));
    }
    check_direction(step == 0.0, (end > start && step < 0.0) || (end < start && step > 0.0), &range)?;
    let n = length(((end - start) / step).ceil())?;
    if !dtype.is_float() {
        return ints(start as i64, step as i64, n)?.try_to(dtype);
    }
    // PyTorch fills two vectors of eight f32 or four f64 at a time: their first number is rounded to the element's type
    // before the others are counted from it. What is left over is computed by itself.
    let work = working(dtype);
    let lanes = if work == DType::F64 { 4 } else { 8 };
    let grouped = n / (2 * lanes) * (2 * lanes);
    let mut parts = Vec::new();
    if grouped > 0 {
        let first = iota((grouped / lanes).into(), DType::F64)?.try_mul(lanes as f64)?;
        let first = fused(&first, start, step)?.try_to(work)?.try_to(DType::F64)?;
        let rows = try_stack(&[&first, &first.try_full_like(step)?], 1)?;
        let lane = iota(lanes.into(), DType::F64)?;
        let columns = try_stack(&[&lane.try_ones_like()?, &lane], 0)?;
        parts.push(rows.try_matmul(&columns)?.try_flatten(0, 1)?.try_to(work)?);
    }
    let rest = ints(grouped as i64, 1, n - grouped)?.try_to(DType::F64)?;
    parts.push(fused(&rest, start, step)?.try_to(work)?);
    try_cat(&parts.iter().collect::<Vec<_>>(), 0)?.try_to(dtype)
}

/// Numbers at equal distances between two ends.
struct Ends {
    start: f64,
    end: f64,
    step: f64,
    steps: usize,
    work: DType,
}

impl Ends {
    fn new(op: &'static str, start: f64, end: f64, steps: usize, dtype: DType) -> Result<Ends> {
        if dtype == DType::Bool {
            return Err(Error::operands(op, "gives numbers, not bool"));
        }
        TensorType::of(dtype, &[steps])?;
        let work = working(dtype);
        // The ends and their distance are numbers of the type that is computed in.
        let (start, end) = match (dtype.is_float(), work) {
            (false, _) => (start.trunc(), end.trunc()),
            (true, DType::F32) => (f64::from(start as f32), f64::from(end as f32)),
            _ => (start, end),
        };
        let gaps = steps.saturating_sub(1);
        let step = match work {
            DType::F32 => f64::from((end as f32 - start as f32) / gaps as f32),
            _ => (end - start) / gaps as f64,
        };
        Ok(Ends { start, end, step, steps, work })
    }

    /// `at(i, start, step)` in the first half, and the same from the end in the second, as PyTorch does.
    fn numbers(&self, at: impl Fn(&Tensor, f64, f64) -> Result<Tensor>) -> Result<Tensor> {
        if self.steps < 2 {
            return full_of(&[Size::from(self.steps)], Scalar::from_f64(self.start, self.work));
        }
        let half = self.steps / 2;
        let first = at(&iota(half.into(), self.work)?, self.start, self.step)?;
        let rest = self.steps - half;
        let second = at(&ints(rest as i64 - 1, -1, rest)?.try_to(self.work)?, self.end, -self.step)?;
        try_cat(&[&first, &second], 0)
    }
}
