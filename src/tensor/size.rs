//! Sizes: the number of elements along an axis, together with the symbol that a capture knows it by.
//! Composed operations work on sizes, so they never turn a symbolic dimension into a number by accident.

use super::recorder::SizeOp;
use allotrope_ir::Extent;
use smallvec::SmallVec;
use std::fmt;

/// The size of one axis in elements. Outside a trace it is a plain number; inside one it also says which symbolic
/// expression the number stands for, and arithmetic on it is recorded.
#[derive(Copy, Clone, Debug, Default)]
pub struct Size {
    value: usize,
    /// Expression in the table of the running capture; 0 is "just the number".
    expr: u32,
}

/// The sizes of all axes.
pub type Sizes = SmallVec<[Size; 4]>;

impl Size {
    pub(crate) fn with_expr(value: usize, expr: u32) -> Size {
        Size { value, expr }
    }

    /// The number in this call; in a trace another call may have another one, so nothing may be decided by it
    /// without the recorder's knowledge.
    pub(crate) fn hint(self) -> usize {
        self.value
    }

    pub(crate) fn expr(self) -> u32 {
        self.expr
    }

    pub(crate) fn is_symbolic(self) -> bool {
        self.expr != 0
    }

    /// Whether it is 1 in every call that this capture stands for. A symbol may have become 1 after the size was taken.
    pub(crate) fn is_one(self) -> bool {
        self == Size::from(1)
    }

    pub(crate) fn minus(self, other: Size) -> Size {
        match self.is_symbolic() || other.is_symbolic() {
            true => super::recorder::size_arith(SizeOp::Sub, self, other),
            false => Size::from(self.value - other.value),
        }
    }
}

impl From<usize> for Size {
    fn from(value: usize) -> Size {
        Size { value, expr: 0 }
    }
}

/// Equal for every call that this capture stands for.
impl PartialEq for Size {
    fn eq(&self, other: &Size) -> bool {
        self.value == other.value
            && (self.expr == other.expr
                || ((self.is_symbolic() || other.is_symbolic()) && super::recorder::proven_equal(*self, *other)))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Extent for Size {
    fn of(n: usize) -> Size {
        Size::from(n)
    }

    fn fixed(&self) -> Option<usize> {
        (!self.is_symbolic()).then_some(self.value)
    }

    fn times(&self, other: &Size) -> Size {
        match self.is_symbolic() || other.is_symbolic() {
            true => super::recorder::size_arith(SizeOp::Mul, *self, *other),
            false => Size::from(self.value * other.value),
        }
    }

    fn plus(&self, other: &Size) -> Size {
        match self.is_symbolic() || other.is_symbolic() {
            true => super::recorder::size_arith(SizeOp::Add, *self, *other),
            false => Size::from(self.value + other.value),
        }
    }
}

/// The numbers of `sizes`, for messages and for eager work.
pub(crate) fn hints(sizes: &[Size]) -> SmallVec<[usize; 4]> {
    small(sizes, |s| s.hint())
}

/// A short list made of another one. Collecting would ask about room for each element, which small tensors feel.
#[inline]
pub(crate) fn small<A: Copy, B: Copy + Default>(from: &[A], f: impl Fn(A) -> B) -> SmallVec<[B; 4]> {
    if from.len() > 4 {
        return from.iter().map(|a| f(*a)).collect();
    }
    let mut out = [B::default(); 4];
    for (o, a) in out.iter_mut().zip(from) {
        *o = f(*a);
    }
    SmallVec::from_buf_and_len(out, from.len())
}
