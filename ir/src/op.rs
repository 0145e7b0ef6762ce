//! The primitives: few, and everything else is composed of them.
//! Operands are edges of the graph; what is written in an `Op` are its attributes. What each means is said by
//! [`crate::infer`] (types) and by the interpreter (values).

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

impl UnaryOp {
    /// Whether IEEE 754 fixes the result, so that generated code may compute it itself.
    pub fn is_exact(self) -> bool {
        matches!(
            self,
            UnaryOp::Neg
                | UnaryOp::Abs
                | UnaryOp::Sqrt
                | UnaryOp::Not
                | UnaryOp::Floor
                | UnaryOp::Ceil
                | UnaryOp::Round
                | UnaryOp::Trunc
        )
    }
}

impl BinaryOp {
    /// Whether IEEE 754 fixes the result and one instruction gives it, so that generated code computes it itself.
    pub fn is_exact(self) -> bool {
        !matches!(self, BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Rem | BinaryOp::Quotient)
    }
}

/// A primitive with its attributes. `D` is what dimensions are made of: [`Dim`] in a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Op<D = Dim> {
    /// A value given from outside: `() -> T`.
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
    /// Overlapping pieces of one axis: `T[.., n, ..] -> T[.., count, .., size]`, the new last axis being the place in
    /// the piece. Element `(i, j)` is element `i * step + j * dilation`, which must lie in the axis.
    Window { axis: usize, count: D, size: D, step: usize, dilation: usize },
    /// The transpose of `Window`: `T[.., count, .., size] -> T[.., len, ..]`, adding up what falls on one place, in the
    /// order of the pieces, from 0.
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
    /// `T[s], bool[] -> T[s]`: the first as it is; where the second is false the whole call fails with this message.
    Check(Box<str>),
    /// `T[s] -> T[s]`: the operand as it is, which no pass sees through: what is computed of the result is not taken for
    /// what is computed of the operand. So what is computed again to save memory stays computed again. Barriers of
    /// one number belong to one such recomputation.
    Barrier(u32),
    /// Operands (one or more) joined along one axis.
    Concat { axis: usize },
    /// The axes named (ascending) are reduced and removed; over an empty one, a sum is 0, a maximum the least number and a
    /// minimum the greatest.
    Reduce { op: ReduceOp, axes: Axes },
    /// `T[b.., m, k], T[b.., k, n] -> T[b.., m, n]`, a chain of fused multiply-adds over k from 0.
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
    /// How many rounds a [`Scan`] runs.
    LoopKind {
        /// `length`, one for each element.
        All = "all",
        /// As many as the last operand says, an `i64[]` that counts as 0 below 0 and as `length` above that: the first n
        /// elements, in reverse from the last of these. Elements n and on of the ys are 0.
        Count = "count",
        /// As long as carry 0, a `bool[]`, is true, which is asked before each round. There are no xs and no ys, and
        /// `length` means nothing.
        While = "while",
        /// As `While`, but where it would go on after `length` rounds the whole call fails. It may have ys, of which the
        /// elements that no round gave are 0.
        Within = "within",
    }
}

/// A loop over the first axis: `carry, ys[t] = body(carry, xs[t], invariants)`, for t = 0, 1, … or in reverse.
///
/// Operands: the initial carries, then the xs (each `[length, ..]`), then the invariants, then the number of rounds where
/// [`LoopKind::Count`] asks for it. Body inputs: carries, one element of each of the xs, invariants. Body outputs: the new
/// carries, then one element of each of the ys. Results: the final carries, then the ys (each `[length, ..]`).
#[derive(Clone, Debug, PartialEq)]
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
    /// Whether it is a branch: its body runs once or not at all.
    pub fn is_branch(&self) -> bool {
        self.kind == LoopKind::Count && self.length == Dim::Fixed(1)
    }

    /// Whether it runs as long as its first carry is true.
    pub fn is_while(&self) -> bool {
        matches!(self.kind, LoopKind::While | LoopKind::Within)
    }

    /// The operands that the body sees, and the number of rounds where that is one.
    pub fn split<'a, T>(&self, operands: &'a [T]) -> (&'a [T], Option<&'a T>) {
        match (self.kind, operands) {
            (LoopKind::Count, [seen @ .., count]) => (seen, Some(count)),
            _ => (operands, None),
        }
    }
}

impl<D> Op<D> {
    /// The mnemonic of the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Const(_) => "const",
            Op::Extent(_) => "extent",
            Op::Iota(_) => "iota",
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Compare(op) => op.name(),
            Op::Select => "select",
            Op::Cast(_) => "cast",
            Op::Broadcast(_) => "broadcast",
            Op::Reshape(_) => "reshape",
            Op::Permute(_) => "permute",
            Op::Slice { .. } => "slice",
            Op::Flip(_) => "flip",
            Op::Window { .. } => "window",
            Op::OverlapAdd { .. } => "overlap_add",
            Op::Gather { .. } => "gather",
            Op::Scatter { op, .. } => op.name(),
            Op::ArgReduce { op, .. } => op.name(),
            Op::ArgSort { .. } => "argsort",
            Op::Recurrence { .. } => "recurrence",
            Op::Check(_) => "check",
            Op::Barrier(_) => "barrier",
            Op::Concat { .. } => "concat",
            Op::Reduce { op, .. } => op.name(),
            Op::Matmul => "matmul",
            Op::AddMatmul => "addmatmul",
            Op::Scan(_) => "scan",
            Op::Fusion(_) => "fusion",
        }
    }

    /// Whether it computes each element of its result from the same element of its operands.
    pub fn is_elementwise(&self) -> bool {
        matches!(self, Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_))
    }

    /// Whether it computes with the values of its operands, which half-precision floats have no arithmetic for, rather
    /// than choosing, moving or converting them.
    pub fn is_arithmetic(&self) -> bool {
        match self {
            Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Reduce { .. } | Op::Matmul | Op::AddMatmul => true,
            Op::OverlapAdd { .. } | Op::ArgReduce { .. } | Op::ArgSort { .. } | Op::Recurrence { .. } => true,
            Op::Scatter { op, .. } => *op == ScatterOp::Add,
            Op::Input | Op::Const(_) | Op::Extent(_) | Op::Iota(_) | Op::Select | Op::Cast(_) | Op::Check(_) => false,
            Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Flip(_) => false,
            Op::Window { .. } | Op::Gather { .. } | Op::Concat { .. } | Op::Scan(_) | Op::Fusion(_) => false,
            Op::Barrier(_) => false,
        }
    }

    /// Whether both are the same primitive with the same attributes, where dimensions are compared by `same`.
    pub fn equal_by(&self, other: &Op<D>, same: impl Fn(&D, &D) -> bool) -> bool {
        let all = |a: &[D], b: &[D]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
        match (self, other) {
            (Op::Unary(a), Op::Unary(b)) => a == b,
            (Op::Binary(a), Op::Binary(b)) => a == b,
            (Op::Extent(a), Op::Extent(b)) | (Op::Iota(a), Op::Iota(b)) => same(a, b),
            (Op::Broadcast(a), Op::Broadcast(b)) | (Op::Reshape(a), Op::Reshape(b)) => all(a, b),
            (Op::Slice { axis, start, len }, Op::Slice { axis: a, start: s, len: l }) => {
                axis == a && same(start, s) && same(len, l)
            }
            (
                Op::Window { axis, count, size, step, dilation },
                Op::Window { axis: a, count: c, size: s, step: t, dilation: d },
            ) => axis == a && same(count, c) && same(size, s) && step == t && dilation == d,
            (
                Op::OverlapAdd { axis, len, step, dilation },
                Op::OverlapAdd { axis: a, len: l, step: t, dilation: d },
            ) => axis == a && same(len, l) && step == t && dilation == d,
            // The others have no dimension.
            (a, b) => a.map_dims(&mut |_| ()) == b.map_dims(&mut |_| ()),
        }
    }

    /// The same primitive with its dimensions mapped.
    pub fn map_dims<E>(&self, f: &mut dyn FnMut(&D) -> E) -> Op<E> {
        match self {
            Op::Input => Op::Input,
            Op::Const(s) => Op::Const(*s),
            Op::Extent(d) => Op::Extent(f(d)),
            Op::Iota(d) => Op::Iota(f(d)),
            Op::Unary(op) => Op::Unary(*op),
            Op::Binary(op) => Op::Binary(*op),
            Op::Compare(op) => Op::Compare(*op),
            Op::Select => Op::Select,
            Op::Cast(t) => Op::Cast(*t),
            Op::Broadcast(s) => Op::Broadcast(s.iter().map(f).collect()),
            Op::Reshape(s) => Op::Reshape(s.iter().map(f).collect()),
            Op::Permute(a) => Op::Permute(a.clone()),
            Op::Slice { axis, start, len } => Op::Slice { axis: *axis, start: f(start), len: f(len) },
            Op::Flip(a) => Op::Flip(a.clone()),
            Op::Window { axis, count, size, step, dilation } => {
                Op::Window { axis: *axis, count: f(count), size: f(size), step: *step, dilation: *dilation }
            }
            Op::OverlapAdd { axis, len, step, dilation } => {
                Op::OverlapAdd { axis: *axis, len: f(len), step: *step, dilation: *dilation }
            }
            Op::Gather { axis } => Op::Gather { axis: *axis },
            Op::Scatter { op, axis } => Op::Scatter { op: *op, axis: *axis },
            Op::ArgReduce { op, axis } => Op::ArgReduce { op: *op, axis: *axis },
            Op::ArgSort { axis, descending } => Op::ArgSort { axis: *axis, descending: *descending },
            Op::Recurrence { axis, reverse } => Op::Recurrence { axis: *axis, reverse: *reverse },
            Op::Check(message) => Op::Check(message.clone()),
            Op::Barrier(n) => Op::Barrier(*n),
            Op::Concat { axis } => Op::Concat { axis: *axis },
            Op::Reduce { op, axes } => Op::Reduce { op: *op, axes: axes.clone() },
            Op::Matmul => Op::Matmul,
            Op::AddMatmul => Op::AddMatmul,
            Op::Scan(s) => Op::Scan(s.clone()),
            Op::Fusion(g) => Op::Fusion(g.clone()),
        }
    }
}
