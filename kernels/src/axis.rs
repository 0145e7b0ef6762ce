//! Which of the kernels along one axis each element type has. Never holds an algorithm.

use super::index::{ScatterFn, scatter_add};
use super::ops::ArgOp;
use super::recurrence::{RecurrenceFn, recurrence_body};
use super::sort::{ArgReduceFn, ArgsortFn, argmax_body, argmin_body, argsort_body};
use super::window::{OverlapAddFn, overlap_add_body};
use half::{bf16, f16};

/// A type that is computed with. Integers wrap.
pub(crate) trait Number: Copy + PartialOrd + 'static {
    /// What a chain of products and sums is carried in.
    type Wide: Copy;
    const ZERO: Self;
    fn plus(self, b: Self) -> Self;
    fn is_nan(self) -> bool;
    fn widen(self) -> Self::Wide;
    /// Rounded once.
    fn narrow(wide: Self::Wide) -> Self;
    /// `a * r + b`, product and sum rounded one after the other.
    fn step(a: Self, r: Self::Wide, b: Self) -> Self::Wide;
}

macro_rules! floats {
    ($($t:ty),+) => {$(
        impl Number for $t {
            type Wide = f64;
            const ZERO: Self = 0.0;
            #[inline(always)]
            fn plus(self, b: Self) -> Self { self + b }
            #[inline(always)]
            fn is_nan(self) -> bool { self != self }
            #[inline(always)]
            fn widen(self) -> f64 { self as f64 }
            #[inline(always)]
            fn narrow(wide: f64) -> Self { wide as $t }
            #[inline(always)]
            fn step(a: Self, r: f64, b: Self) -> f64 { a as f64 * r + b as f64 }
        }
    )+};
}
floats!(f32, f64);

macro_rules! ints {
    ($($t:ty),+) => {$(
        impl Number for $t {
            type Wide = $t;
            const ZERO: Self = 0;
            #[inline(always)]
            fn plus(self, b: Self) -> Self { self.wrapping_add(b) }
            #[inline(always)]
            fn is_nan(self) -> bool { false }
            #[inline(always)]
            fn widen(self) -> Self { self }
            #[inline(always)]
            fn narrow(wide: Self) -> Self { wide }
            #[inline(always)]
            fn step(a: Self, r: Self, b: Self) -> Self { a.wrapping_mul(r).wrapping_add(b) }
        }
    )+};
}
ints!(u8, i32, i64);

/// The kernels along one axis of each element type, as far as it has them.
pub trait AxisOps: Copy + Sized {
    /// [`super::Table::scatter_add_f32`]
    fn scatter_add() -> Option<ScatterFn<Self>> {
        None
    }
    /// [`super::Table::argmax_f32`]
    fn arg_reduce(_: ArgOp) -> Option<ArgReduceFn<Self>> {
        None
    }
    /// [`super::Table::argsort_f32`]
    fn argsort() -> Option<ArgsortFn<Self>> {
        None
    }
    /// [`super::Table::recurrence_f32`]
    fn recurrence() -> Option<RecurrenceFn<Self>> {
        None
    }
    /// [`super::Table::overlap_add_f32`]
    fn overlap_add() -> Option<OverlapAddFn<Self>> {
        None
    }
}

macro_rules! numbers {
    ($($t:ty),+) => {$(
        impl AxisOps for $t {
            fn scatter_add() -> Option<ScatterFn<$t>> {
                Some(scatter_add::<$t>)
            }
            fn arg_reduce(op: ArgOp) -> Option<ArgReduceFn<$t>> {
                Some(match op {
                    ArgOp::Max => argmax_body::<$t>,
                    ArgOp::Min => argmin_body::<$t>,
                })
            }
            fn argsort() -> Option<ArgsortFn<$t>> {
                Some(argsort_body::<$t>)
            }
            fn recurrence() -> Option<RecurrenceFn<$t>> {
                Some(recurrence_body::<$t>)
            }
            fn overlap_add() -> Option<OverlapAddFn<$t>> {
                Some(overlap_add_body::<$t>)
            }
        }
    )+};
}
numbers!(u8, i32, i64, f32, f64);

impl AxisOps for bool {
    fn argsort() -> Option<ArgsortFn<bool>> {
        Some(argsort_body::<bool>)
    }
}
impl AxisOps for f16 {}
impl AxisOps for bf16 {}
