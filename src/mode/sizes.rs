//! What arithmetic and comparison of sizes mean: plain numbers eagerly, expressions with guards in a trace.
//!
//! Two sizes are compared in three ways. [`Extent::same`]: equal in every call that a trace holds for, which records
//! nothing. [`Size::equals`]: equal in this call, and the trace holds for calls with the same answer. [`demand_equal`]:
//! they must be equal, and where they are in this call, they are one size from here on.

use super::recorder::sizes::SizeOp;
use super::slot;
use crate::tensor::Size;
use allotrope_ir::Extent;
use std::panic::Location;

impl Size {
    /// Whether two sizes are equal in this call; a running trace holds for calls with the same answer.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let step = trace(|x: &Tensor| if x.sizes()[0].equals(1) { x.clone() } else { x * 2.0 });
    /// assert_eq!(step.call(&Tensor::ones(&[3], DType::F32))?.to_vec::<f32>(), [2.0; 3]);
    /// assert_eq!(step.call(&Tensor::ones(&[1], DType::F32))?.to_vec::<f32>(), [1.0]);
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    #[track_caller]
    pub fn equals(self, other: impl Into<Size>) -> bool {
        let other = other.into();
        let equal = demand_equal(self, other);
        if !equal
            && (self.is_symbolic() || other.is_symbolic())
            && let Some(r) = slot::recorder()
        {
            // Which of them is larger is remembered, for that is a bound.
            let difference = if self.hint() > other.hint() { self.minus(other) } else { other.minus(self) };
            if difference.is_symbolic() {
                r.at_least(difference, 1);
            }
        }
        equal
    }

    /// Whether it is 1 in every call that this capture stands for. A symbol may have become 1 after the size was taken.
    pub(crate) fn is_one(self) -> bool {
        self.same(&Size::from(1))
    }

    pub(crate) fn minus(self, other: Size) -> Size {
        match self.is_symbolic() || other.is_symbolic() {
            true => size_arith(SizeOp::Sub, self, other),
            false => SizeOp::Sub.of_numbers(self, other),
        }
    }
}

impl Extent for Size {
    fn of(n: usize) -> Size {
        Size::from(n)
    }

    fn fixed(&self) -> Option<usize> {
        (!self.is_symbolic()).then_some(self.hint())
    }

    fn times(&self, other: &Size) -> Size {
        match self.is_symbolic() || other.is_symbolic() {
            true => size_arith(SizeOp::Mul, *self, *other),
            false => SizeOp::Mul.of_numbers(*self, *other),
        }
    }

    fn plus(&self, other: &Size) -> Size {
        match self.is_symbolic() || other.is_symbolic() {
            true => size_arith(SizeOp::Add, *self, *other),
            false => SizeOp::Add.of_numbers(*self, *other),
        }
    }

    fn same(&self, other: &Size) -> bool {
        self.hint() == other.hint()
            && (self.expr() == other.expr()
                || ((self.is_symbolic() || other.is_symbolic()) && proven_equal(*self, *other)))
    }
}

/// Whether both lists hold the same sizes in every call that this capture stands for.
pub(crate) fn all_same(a: &[Size], b: &[Size]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
}

/// Whether both lists hold equal sizes in this call; a trace holds for calls with the same answer.
#[track_caller]
pub(crate) fn all_equal(a: &[Size], b: &[Size]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(*b))
}

fn size_arith(op: SizeOp, a: Size, b: Size) -> Size {
    match slot::recorder() {
        Some(r) => r.size_arith(op, a, b),
        None => op.of_numbers(a, b),
    }
}

/// Whether two sizes that are equal in this call are so in all that a running trace holds for.
fn proven_equal(a: Size, b: Size) -> bool {
    // Outside of a trace a size is its number.
    slot::recorder().is_none_or(|r| r.proven_equal(a, b))
}

/// Demands that two sizes are equal, which they are in this call: true when they are.
#[track_caller]
pub(crate) fn demand_equal(a: Size, b: Size) -> bool {
    if a.hint() != b.hint() {
        return false;
    }
    if a.expr() != b.expr()
        && let Some(r) = slot::recorder()
    {
        r.unify(a, b, Location::caller());
    }
    true
}

/// Turns sizes into numbers because the program asked for them.
#[track_caller]
pub(crate) fn specialize(sizes: &[Size], why: &str) {
    if sizes.iter().any(|s| s.is_symbolic())
        && let Some(r) = slot::recorder()
    {
        for s in sizes.iter().filter(|s| s.is_symbolic()) {
            r.specialize(*s, why, Location::caller());
        }
    }
}

/// Calls where the size is smaller than `least`, which it is not in this call, are others.
pub(crate) fn demand_at_least(size: Size, least: usize) {
    if size.is_symbolic()
        && let Some(r) = slot::recorder()
    {
        r.at_least(size, least);
    }
}

/// Whether the size is zero; a capture remembers the answer.
#[track_caller]
pub(crate) fn is_zero(size: Size) -> bool {
    if size.is_symbolic()
        && let Some(r) = slot::recorder()
    {
        match size.hint() {
            0 => r.specialize(size, "an axis of length 0", Location::caller()),
            _ => r.at_least(size, 1),
        }
    }
    size.hint() == 0
}

/// Whether `a <= b`; a trace holds for calls with the same answer.
pub(crate) fn at_most(a: Size, b: Size) -> bool {
    let answer = a.hint() <= b.hint();
    if (a.is_symbolic() || b.is_symbolic())
        && let Some(r) = slot::recorder()
    {
        // A difference below zero counts as zero, so the bound is on what must be positive.
        let slack = if answer { b.plus(&Size::from(1)).minus(a) } else { a.minus(b) };
        if slack.is_symbolic() {
            r.at_least(slack, 1);
        }
    }
    answer
}

/// The smaller of two sizes; a trace holds for calls where it is the same one.
pub(crate) fn smaller(a: Size, b: Size) -> Size {
    if at_most(a, b) { a } else { b }
}

/// The size divided by a divisor of it, symbolic where the division is exact in every call.
#[track_caller]
pub(crate) fn divide(size: Size, by: usize, why: &str) -> Size {
    if size.is_symbolic()
        && let Some(r) = slot::recorder()
    {
        if let Some(exact) = r.divided(size, by) {
            return exact;
        }
        r.specialize(size, why, Location::caller());
    }
    match size.hint() {
        usize::MAX => size,
        n => Size::from(n / by),
    }
}

/// The number of elements of a tensor of these sizes.
pub(crate) fn numel(sizes: &[Size]) -> Size {
    sizes.iter().fold(Size::from(1), |n, s| n.times(s))
}
