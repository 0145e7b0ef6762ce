//! Sizes: the number of elements along an axis, together with the symbol that a capture knows it by. Plain data: what
//! arithmetic and comparison mean for a symbol is for the mode to say.

use smallvec::SmallVec;
use std::fmt;

/// The size of one axis in elements. Outside a trace it is a plain number; inside one it also says which symbolic
/// expression the number stands for, and arithmetic on it is recorded. Composed operations work on sizes, so they never
/// turn a symbolic dimension into a number by accident.
///
/// Two sizes are compared by [`Size::equals`], which a running trace takes note of; there is no `==`.
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
}

impl From<usize> for Size {
    fn from(value: usize) -> Size {
        Size { value, expr: Expr::default() }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Sizes from numbers.
#[inline]
pub(crate) fn sizes_of(shape: &[usize]) -> Sizes {
    small(shape, Size::from)
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
