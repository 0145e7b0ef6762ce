//! Sizes: the number of elements along an axis, together with the symbol that a capture knows it by.
//! Composed operations work on sizes, so they never turn a symbolic dimension into a number by accident.

use super::recorder::SizeOp;
use allotrope_ir::Extent;
use smallvec::SmallVec;
use std::fmt;

/// The size of one axis in elements. Outside a trace it is a plain number; inside one it also says which symbolic
/// expression the number stands for, and arithmetic on it is recorded.
///
/// Comparing two sizes gives the answer of this call; a running trace holds for calls with the same answer.
#[derive(Copy, Clone, Debug, Default)]
pub struct Size {
    value: usize,
    expr: Expr,
}

/// An expression in the table of a capture; number 0 is "just the number".
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expr {
    pub(crate) number: u32,
    /// Whose table it is.
    pub(crate) capture: u32,
}

/// The sizes of all axes.
pub type Sizes = SmallVec<[Size; 4]>;

impl Size {
    pub(crate) fn with_expr(value: usize, expr: Expr) -> Size {
        Size { value, expr }
    }

    /// The number in this call; in a trace another call may have another one, so nothing may be decided by it
    /// without the recorder's knowledge.
    pub(crate) fn hint(self) -> usize {
        self.value
    }

    pub(crate) fn expr(self) -> Expr {
        self.expr
    }

    pub(crate) fn is_symbolic(self) -> bool {
        self.expr.number != 0
    }

    /// Whether it is 1 in every call that this capture stands for. A symbol may have become 1 after the size was taken.
    pub(crate) fn is_one(self) -> bool {
        self.same(&Size::from(1))
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
        Size { value, expr: Expr::default() }
    }
}

/// Equal in this call; a running trace holds for calls with the same answer.
impl PartialEq for Size {
    #[track_caller]
    fn eq(&self, other: &Size) -> bool {
        super::recorder::compare(*self, *other)
    }
}

/// Whether both lists hold the same sizes in every call that this capture stands for.
pub(crate) fn all_same(a: &[Size], b: &[Size]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
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

    fn same(&self, other: &Size) -> bool {
        self.value == other.value
            && (self.expr == other.expr
                || ((self.is_symbolic() || other.is_symbolic()) && super::recorder::proven_equal(*self, *other)))
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
