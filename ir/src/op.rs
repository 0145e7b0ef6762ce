//! The primitives: few, and everything else is composed of them.
//! Operands are edges of the graph; what is written in an `Op` are its attributes, listed in [`crate::attributes`]. What it is
//! is said by [`Op::class`], what it means by [`crate::infer`] (types) and by the interpreter (values).

use crate::{DType, Dim, Graph, Scalar, Shape};
use smallvec::SmallVec;

/// Axes of a value, counted from 0 at the left.
pub type Axes = SmallVec<[usize; 4]>;

macro_rules! names {
    ($(#[$doc:meta])* $enum:ident { $($(#[$vdoc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum { $($(#[$vdoc])* $variant),* }
        impl $enum {
            /// Every variant, in order.
            pub const ALL: &'static [$enum] = &[$($enum::$variant),*];
            /// The name in the text form.
            pub fn name(self) -> &'static str {
                match self { $($enum::$variant => $name),* }
            }
        }
    };
}

names! {
    /// Elementwise functions of one operand. `Not` takes bool and integers (bitwise); `Neg` and `Abs` any number; the
    /// others f32 and f64.
    UnaryOp {
        Neg = "neg", Abs = "abs", Sqrt = "sqrt", Exp = "exp", Log = "log", Sin = "sin", Cos = "cos", Tanh = "tanh",
        Not = "not",
        Floor = "floor", Ceil = "ceil",
        /// To the nearest whole number, halves to the even one.
        Round = "round",
        Trunc = "trunc",
        Exp2 = "exp2", Expm1 = "expm1", Log2 = "log2", Log10 = "log10", Log1p = "log1p",
        Tan = "tan", Asin = "asin", Acos = "acos", Atan = "atan",
        Sinh = "sinh", Cosh = "cosh", Asinh = "asinh", Acosh = "acosh", Atanh = "atanh",
        Erf = "erf", Erfc = "erfc",
    }
}
names! {
    /// Elementwise functions of two operands of one type. `And`, `Or`, `Xor` take bool and integers (bitwise); `Div` and
    /// `Atan2` floats; `Quotient` integers; `Pow` and `Rem` both. A half-precision float is in none of them.
    BinaryOp {
        Add = "add", Sub = "sub", Mul = "mul", Div = "div",
        /// a where a > b or a is NaN, else b.
        Maximum = "maximum",
        /// a where a < b or a is NaN, else b.
        Minimum = "minimum",
        /// Of integers by repeated squaring, wrapping; a negative exponent gives the truncated reciprocal (0 for 0).
        Pow = "pow", And = "and", Or = "or", Xor = "xor",
        /// The angle of the point (b, a), in radians.
        Atan2 = "atan2",
        /// What is left of a after division by b, with the sign of a (C's fmod); of integers 0 where b is 0.
        Rem = "rem",
        /// The integer a / b rounded to zero, wrapping; 0 where b is 0.
        Quotient = "quotient",
    }
}
names! {
    /// Elementwise comparisons; the result is bool. IEEE: everything but `Ne` is false where an operand is NaN.
    CompareOp { Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge" }
}
names! {
    /// Reductions over axes. The order of the additions of `Sum` is part of its definition (see the kernels). Over nothing
    /// each gives what changes no other element: 0, the smallest, the largest.
    ReduceOp {
        Sum = "sum",
        /// NaN where any element is.
        Max = "amax",
        /// NaN where any element is.
        Min = "amin",
    }
}

names! {
    /// What a scatter does with an element that is there.
    ScatterOp {
        /// The last source in row-major order stays.
        Set = "scatter",
        /// Sources are added one after the other in row-major order.
        Add = "scatter_add",
    }
}
names! {
    /// Which element's place is asked for: the first of equals; a NaN is both the largest and the smallest.
    ArgOp { Max = "argmax", Min = "argmin" }
}

/// A primitive with its attributes. `D` is what dimensions are made of: [`Dim`] in a graph.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Op<D = Dim> {
    /// A value that is given: `() -> T`.
    Input,
    /// One element: `() -> T[]`.
    Const(Scalar),
    /// The value of a dimension as a number: `() -> i64[]`.
    Extent(D),
    /// 0, 1, …, n-1: `() -> i64[n]`.
    Iota(D),
    /// `T[s] -> T[s]`.
    Unary(UnaryOp),
    /// `T[s], T[s] -> T[s]`; operands have equal shapes, broadcasting is a node of its own.
    Binary(BinaryOp),
    /// `T[s], T[s] -> bool[s]`.
    Compare(CompareOp),
    /// `bool[s], T[s], T[s] -> T[s]`: the second where the first is true, else the third.
    Select,
    /// `T[s] -> U[s]`. Float to integer truncates and saturates, NaN gives 0; to bool: `!= 0`.
    Cast(DType),
    /// Right-aligned as NumPy's: axes of size 1 and missing leading axes are repeated.
    Broadcast(Shape<D>),
    /// The same elements in row-major order under another shape.
    Reshape(Shape<D>),
    /// Axis `i` of the result is axis `axes[i]` of the operand.
    Permute(Axes),
    /// `len` elements of one axis, from `start`.
    Slice { axis: usize, start: D, len: D },
    /// The axes named (ascending) run backwards.
    Flip(Axes),
    /// Overlapping windows of one axis: `T[.., n, ..] -> T[.., count, .., size]`, the new last axis being the place in
    /// the window. Element `(i, j)` is element `i * step + j * dilation`, which must lie in the axis.
    Window { axis: usize, count: D, size: D, step: usize, dilation: usize },
    /// The transpose of `Window`: `T[.., count, .., size] -> T[.., len, ..]`, adding up what falls on one place, in the
    /// order of the windows, from 0.
    OverlapAdd { axis: usize, len: D, step: usize, dilation: usize },
    /// `T[s], i64[r] -> T[r]`: the element whose index along `axis` is given; the other axes of both are equal.
    /// Indices lie in the axis: `Check` sees to that.
    Gather { axis: usize },
    /// `T[s], i64[r], T[r] -> T[s]`: the first, with the third put or added at the indices along `axis`; the other axes
    /// are equal. Indices lie in the axis: `Check` sees to that.
    Scatter { op: ScatterOp, axis: usize },
    /// `T[s] -> i64[s without axis]`; the axis is not empty.
    ArgReduce { op: ArgOp, axis: usize },
    /// `T[s] -> i64[s]`: the places of the elements in stable ascending or descending order; NaN counts as largest.
    ArgSort { axis: usize, descending: bool },
    /// `T[s], T[s] -> T[s]`: `r[0] = b[0]`, `r[i] = a[i] * r[i-1] + b[i]` along the axis, from its end where `reverse`.
    /// Product and sum are rounded one after the other, an f32 chain in f64 and each result once; integers wrap.
    Recurrence { axis: usize, reverse: bool },
    /// `T[s], bool[] -> T[s]`: the first as it is; where the second is false the whole call fails with this message. That is
    /// an effect: it is asked whether or not anything uses the result.
    Check(Box<str>),
    /// `T[s] -> T[s]`: the operand as it is, which no pass sees through: what is computed of the result is not taken for
    /// what is computed of the operand. So what is recomputed to save memory stays recomputed. Barriers of
    /// one number belong to one such recomputation.
    Barrier(u32),
    /// Operands (one or more) joined along one axis.
    Concat { axis: usize },
    /// The axes named (ascending) are reduced and removed; over an empty one, a sum is 0, a maximum the least number and a
    /// minimum the greatest.
    Reduce { op: ReduceOp, axes: Axes },
    /// `T[b.., m, k], T[b.., k, n] -> T[b.., m, n]`, the ascending sum of chains of fused multiply-adds from 0, each
    /// over 256 steps of k.
    Matmul,
    /// `T[b.., m, n], T[b.., m, k], T[b.., k, n] -> T[b.., m, n]`: the first plus the product, added once.
    AddMatmul,
    /// A loop; see [`Scan`].
    Scan(Box<Scan>),
    /// Operations that run as one kernel: the operands are the inputs of the graph, the results its outputs.
    /// Made by the fusion pass only.
    Fusion(Box<Graph>),
}

names! {
    /// How many iterations a [`Scan`] runs.
    LoopKind {
        /// `length`, one for each element.
        All = "all",
        /// As many as the last operand says, an `i64[]` that counts as 0 below 0 and as `length` above that: the first n
        /// elements, in reverse from the last of these. Elements n and on of the ys are 0.
        Count = "count",
        /// As long as carry 0, a `bool[]`, is true, which is asked before each iteration. There are no xs and no ys, and
        /// `length` means nothing.
        While = "while",
        /// As `While`, but where it would go on after `length` iterations the whole call fails. It may have ys, of which the
        /// elements that no iteration gave are 0.
        Within = "within",
    }
}

/// A loop over the first axis: `carry, ys[t] = body(carry, xs[t], invariants)`, for t = 0, 1, … or in reverse.
///
/// Operands: the initial carries, then the xs (each `[length, ..]`), then the invariants, then the number of iterations where
/// [`LoopKind::Count`] asks for it. Body inputs: carries, one element of each of the xs, invariants. Body outputs: the new
/// carries, then one element of each of the ys. Results: the final carries, then the ys (each `[length, ..]`).
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Scan {
    pub body: Graph,
    pub carries: usize,
    pub xs: usize,
    pub length: Dim,
    /// Runs from the last element to the first; `ys[t]` still belongs to `xs[t]`.
    pub reverse: bool,
    pub kind: LoopKind,
}

impl Scan {
    /// The loop with an empty body.
    pub fn frame(&self) -> Scan {
        Scan { body: Graph::new(), length: self.length.clone(), ..*self }
    }

    /// Whether it is a branch: its body runs once or not at all.
    pub fn is_branch(&self) -> bool {
        self.kind == LoopKind::Count && self.length == Dim::Fixed(1)
    }

    /// Whether it runs as long as its first carry is true.
    pub fn is_while(&self) -> bool {
        matches!(self.kind, LoopKind::While | LoopKind::Within)
    }

    /// The operands that the body sees, and the number of iterations where that is one.
    pub fn split<'a, T>(&self, operands: &'a [T]) -> (&'a [T], Option<&'a T>) {
        match (self.kind, operands) {
            (LoopKind::Count, [seen @ .., count]) => (seen, Some(count)),
            _ => (operands, None),
        }
    }
}
