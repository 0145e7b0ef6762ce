//! What is asked of symbolic sizes.

use crate::tensor::Size;
use std::panic::Location;

/// Arithmetic on sizes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum SizeOp {
    Add,
    Sub,
    Mul,
}

impl SizeOp {
    /// What it gives for sizes that are numbers. What goes beyond all numbers is the largest, and stays that: no tensor has
    /// such a size, so whoever uses it is told. A difference below zero is zero, as that of symbols is.
    pub(crate) fn of_numbers(self, a: Size, b: Size) -> Size {
        Size::from(match self {
            SizeOp::Add => a.hint().saturating_add(b.hint()),
            SizeOp::Sub if a.hint() == usize::MAX => a.hint(),
            SizeOp::Sub => a.hint().saturating_sub(b.hint()),
            SizeOp::Mul => a.hint().saturating_mul(b.hint()),
        })
    }
}

pub(crate) trait SizeRecorder {
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size;
    fn proven_equal(&self, a: Size, b: Size) -> bool;
    /// From here on the two are the same; calls where they are not run another variant.
    fn unify(&self, a: Size, b: Size, at: &'static Location<'static>);
    /// The size becomes the number that it is in this call, because the program asked for it.
    fn specialize(&self, size: Size, why: &str, at: &'static Location<'static>);
    /// Calls with a smaller size run another variant.
    fn at_least(&self, size: Size, least: usize);
    /// The size divided by `by`, where that is exact in every call.
    fn divided(&self, size: Size, by: usize) -> Option<Size>;
}
