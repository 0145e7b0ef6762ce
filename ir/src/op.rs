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
    /// Elementwise functions of one operand. `Not` takes bool; `Neg` and `Abs` any number; the others floats.
    UnaryOp {
        Neg = "neg", Abs = "abs", Sqrt = "sqrt", Exp = "exp", Log = "log", Sin = "sin", Cos = "cos", Tanh = "tanh",
        Not = "not",
    }
}
names! {
    /// Elementwise functions of two operands of one type. `And`, `Or`, `Xor` take bool; `Div` and `Pow` floats.
    BinaryOp {
        Add = "add", Sub = "sub", Mul = "mul", Div = "div",
        /// a where a > b or a is NaN, else b.
        Maximum = "maximum",
        /// a where a < b or a is NaN, else b.
        Minimum = "minimum",
        Pow = "pow", And = "and", Or = "or", Xor = "xor",
    }
}
names! {
    /// Elementwise comparisons; the result is bool. IEEE: everything but `Ne` is false where an operand is NaN.
    CompareOp { Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge" }
}
names! {
    /// Reductions over axes. The order of the additions of `Sum` is part of its definition (see the kernels).
    ReduceOp {
        Sum = "sum",
        /// NaN where any element is.
        Max = "amax",
        /// NaN where any element is.
        Min = "amin",
    }
}

impl UnaryOp {
    /// Whether IEEE 754 fixes the result, so that generated code may compute it itself.
    pub fn is_exact(self) -> bool {
        matches!(self, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sqrt | UnaryOp::Not)
    }
}

impl BinaryOp {
    /// Whether IEEE 754 fixes the result, so that generated code may compute it itself.
    pub fn is_exact(self) -> bool {
        self != BinaryOp::Pow
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
    /// Operands (one or more) joined along one axis.
    Concat { axis: usize },
    /// The axes named (ascending) are reduced and removed.
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

/// A loop over the first axis: `carry, ys[t] = body(carry, xs[t], invariants)`, for t = 0, 1, … or in reverse.
///
/// Operands: the initial carries, then the xs (each `[length, ..]`), then the invariants. Body inputs: carries, one
/// element of each of the xs, invariants. Body outputs: the new carries, then one element of each of the ys.
/// Results: the final carries, then the ys (each `[length, ..]`).
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    pub body: Graph,
    pub carries: usize,
    pub xs: usize,
    pub length: Dim,
    /// Runs from the last element to the first; `ys[t]` still belongs to `xs[t]`.
    pub reverse: bool,
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
            Op::Concat { axis } => Op::Concat { axis: *axis },
            Op::Reduce { op, axes } => Op::Reduce { op: *op, axes: axes.clone() },
            Op::Matmul => Op::Matmul,
            Op::AddMatmul => Op::AddMatmul,
            Op::Scan(s) => Op::Scan(s.clone()),
            Op::Fusion(g) => Op::Fusion(g.clone()),
        }
    }
}
