//! What each primitive is, in one place and without a wildcard: its class, from which everything follows that a pass, a
//! scheduler or an evaluator wants to know before it looks at the primitive itself: how many operands it takes, how the axes
//! of its result come from those of its operands, whether its result may share memory with an operand, whether it can be
//! done for many at once, on which dtypes it is defined, whether its result is fixed to the bit. Attributes stand in
//! [`crate::attributes`], types in [`crate::rules`], values in the interpreter.

use crate::{
    ArgOp, Arity, Axes, BinaryOp, CompareOp, DType, Dim, Domain, Extent, Graph, Op, ReduceOp, Scalar, Scan, ScatterOp,
    Shape, Type, UnaryOp,
};
use smallvec::SmallVec;

/// What a primitive is. Whoever treats primitives alike matches on this, or on one of the enums in it, without a wildcard.
#[derive(Debug)]
pub enum Class<'a, D = Dim> {
    /// Takes no operands and computes nothing.
    Leaf(Leaf<'a, D>),
    /// Computes each element of its result from the same element of its operands.
    Elementwise(Elementwise),
    /// Shows elements of its operand in other places: moved, chosen or repeated, never computed.
    View(View<'a, D>),
    /// Reduces over axes and removes them.
    Reduction(ReduceOp, &'a Axes),
    /// A product of matrices.
    Contraction(Contraction),
    /// Works along one axis; places on the other axes have nothing to do with each other.
    Axis(AxisOp<'a, D>),
    /// Its operand as it is, where a condition holds; else the call fails, which is an effect.
    Check(&'a str),
    /// Its operand as it is, which no pass sees through.
    Barrier(u32),
    /// Runs a graph once for each iteration.
    Loop(&'a Scan),
    /// Runs a graph once.
    Fusion(&'a Graph),
}

#[derive(Debug)]
pub enum Leaf<'a, D = Dim> {
    Input,
    Const(Scalar),
    Extent(&'a D),
    Iota(&'a D),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Elementwise {
    Unary(UnaryOp),
    Binary(BinaryOp),
    Compare(CompareOp),
    Select,
    Cast(DType),
}

#[derive(Debug)]
pub enum View<'a, D = Dim> {
    Broadcast(&'a Shape<D>),
    Reshape(&'a Shape<D>),
    Permute(&'a Axes),
    Slice { axis: usize, start: &'a D, len: &'a D },
    Flip(&'a Axes),
    Window { axis: usize, count: &'a D, size: &'a D, step: usize, dilation: usize },
}

impl<D> Clone for View<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for View<'_, D> {}

impl<D> View<'_, D> {
    /// Whether the eager mode shows it by other strides, rather than copying it.
    pub fn is_strided(self) -> bool {
        match self {
            View::Broadcast(_) | View::Reshape(_) | View::Permute(_) | View::Slice { .. } | View::Window { .. } => true,
            // It would run backwards, which no tensor does.
            View::Flip(_) => false,
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Contraction {
    Matmul,
    AddMatmul,
}

#[derive(Debug)]
pub enum AxisOp<'a, D = Dim> {
    Concat { axis: usize },
    Gather { axis: usize },
    Scatter { op: ScatterOp, axis: usize },
    ArgReduce { op: ArgOp, axis: usize },
    ArgSort { axis: usize, descending: bool },
    Recurrence { axis: usize, reverse: bool },
    OverlapAdd { axis: usize, len: &'a D, step: usize, dilation: usize },
}

impl<D> Clone for AxisOp<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for AxisOp<'_, D> {}

/// What of its operands a result may share memory with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Aliases {
    /// It is computed into memory of its own, or is no memory at all.
    None,
    Operand(usize),
    /// Any of them.
    Any,
}

/// For each axis of a result: the axis of every operand that it is, where an element at one place of it depends only on
/// elements at the same place of that axis. None where the primitive works along the axis or makes it.
pub type AxisMap = SmallVec<[Option<usize>; 4]>;

impl UnaryOp {
    pub fn domain(self) -> Domain {
        use UnaryOp::*;
        match self {
            Not => Domain::Bits,
            Neg | Abs => Domain::Numbers,
            Sqrt | Exp | Log | Sin | Cos | Tanh | Floor | Ceil | Round | Trunc => Domain::Floats,
            Exp2 | Expm1 | Log2 | Log10 | Log1p | Tan | Asin | Acos | Atan => Domain::Floats,
            Sinh | Cosh | Asinh | Acosh | Atanh | Erf | Erfc => Domain::Floats,
        }
    }

    /// Whether IEEE 754 fixes the result, so that passes and generated code may compute it themselves.
    pub fn is_exact(self) -> bool {
        use UnaryOp::*;
        match self {
            Neg | Abs | Sqrt | Not | Floor | Ceil | Round | Trunc => true,
            Exp | Log | Sin | Cos | Tanh | Exp2 | Expm1 | Log2 | Log10 | Log1p | Tan | Asin | Acos | Atan => false,
            Sinh | Cosh | Asinh | Acosh | Atanh | Erf | Erfc => false,
        }
    }
}

impl BinaryOp {
    pub fn domain(self) -> Domain {
        use BinaryOp::*;
        match self {
            And | Or | Xor => Domain::Bits,
            Div | Atan2 => Domain::Floats,
            Quotient => Domain::Integers,
            Add | Sub | Mul | Maximum | Minimum | Pow | Rem => Domain::Numbers,
        }
    }

    /// Whether IEEE 754 fixes the result and one instruction gives it, so that generated code computes it itself.
    pub fn is_exact(self) -> bool {
        use BinaryOp::*;
        match self {
            Add | Sub | Mul | Div | Maximum | Minimum | And | Or | Xor => true,
            Pow | Atan2 | Rem | Quotient => false,
        }
    }

    /// Whether the operands may change places, up to the payload of a NaN.
    pub fn commutes(self) -> bool {
        use BinaryOp::*;
        match self {
            Add | Mul | And | Or | Xor => true,
            // Of equals, such as 0.0 and -0.0, an extreme is the first.
            Maximum | Minimum => false,
            Sub | Div | Pow | Atan2 | Rem | Quotient => false,
        }
    }
}

impl CompareOp {
    /// Whether it is defined on bool too; on numbers it always is.
    pub fn takes_bool(self) -> bool {
        match self {
            CompareOp::Eq | CompareOp::Ne => true,
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => false,
        }
    }

    pub fn commutes(self) -> bool {
        match self {
            CompareOp::Eq | CompareOp::Ne => true,
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => false,
        }
    }
}

impl<D> Op<D> {
    /// What it is.
    #[inline]
    pub fn class(&self) -> Class<'_, D> {
        match self {
            Op::Input => Class::Leaf(Leaf::Input),
            Op::Const(s) => Class::Leaf(Leaf::Const(*s)),
            Op::Extent(d) => Class::Leaf(Leaf::Extent(d)),
            Op::Iota(d) => Class::Leaf(Leaf::Iota(d)),
            Op::Unary(op) => Class::Elementwise(Elementwise::Unary(*op)),
            Op::Binary(op) => Class::Elementwise(Elementwise::Binary(*op)),
            Op::Compare(op) => Class::Elementwise(Elementwise::Compare(*op)),
            Op::Select => Class::Elementwise(Elementwise::Select),
            Op::Cast(t) => Class::Elementwise(Elementwise::Cast(*t)),
            Op::Broadcast(s) => Class::View(View::Broadcast(s)),
            Op::Reshape(s) => Class::View(View::Reshape(s)),
            Op::Permute(axes) => Class::View(View::Permute(axes)),
            Op::Slice { axis, start, len } => Class::View(View::Slice { axis: *axis, start, len }),
            Op::Flip(axes) => Class::View(View::Flip(axes)),
            Op::Window { axis, count, size, step, dilation } => {
                Class::View(View::Window { axis: *axis, count, size, step: *step, dilation: *dilation })
            }
            Op::Reduce { op, axes } => Class::Reduction(*op, axes),
            Op::Matmul => Class::Contraction(Contraction::Matmul),
            Op::AddMatmul => Class::Contraction(Contraction::AddMatmul),
            Op::Concat { axis } => Class::Axis(AxisOp::Concat { axis: *axis }),
            Op::Gather { axis } => Class::Axis(AxisOp::Gather { axis: *axis }),
            Op::Scatter { op, axis } => Class::Axis(AxisOp::Scatter { op: *op, axis: *axis }),
            Op::ArgReduce { op, axis } => Class::Axis(AxisOp::ArgReduce { op: *op, axis: *axis }),
            Op::ArgSort { axis, descending } => Class::Axis(AxisOp::ArgSort { axis: *axis, descending: *descending }),
            Op::Recurrence { axis, reverse } => Class::Axis(AxisOp::Recurrence { axis: *axis, reverse: *reverse }),
            Op::OverlapAdd { axis, len, step, dilation } => {
                Class::Axis(AxisOp::OverlapAdd { axis: *axis, len, step: *step, dilation: *dilation })
            }
            Op::Check(message) => Class::Check(message),
            Op::Barrier(n) => Class::Barrier(*n),
            Op::Scan(s) => Class::Loop(s),
            Op::Fusion(g) => Class::Fusion(g),
        }
    }

    /// The graph that it runs.
    pub fn body(&self) -> Option<&Graph> {
        match self.class() {
            Class::Loop(s) => Some(&s.body),
            Class::Fusion(g) => Some(g),
            Class::Leaf(_) | Class::Elementwise(_) | Class::View(_) | Class::Reduction(..) => None,
            Class::Contraction(_) | Class::Axis(_) | Class::Check(_) | Class::Barrier(_) => None,
        }
    }

    /// The graph that it runs, to be changed.
    pub(crate) fn body_mut(&mut self) -> Option<&mut Graph> {
        debug_assert!(self.body().is_none() || matches!(self, Op::Scan(_) | Op::Fusion(_)), "{}", self.name());
        if let Op::Scan(s) = self {
            return Some(&mut s.body);
        }
        if let Op::Fusion(g) = self { Some(g) } else { None }
    }

    /// The same primitive running what `f` makes of its graph; one that runs none as it is.
    pub(crate) fn with_body(&self, f: impl FnOnce(&Graph) -> Graph) -> Op<D>
    where
        D: Clone,
    {
        debug_assert!(self.body().is_none() || matches!(self, Op::Scan(_) | Op::Fusion(_)), "{}", self.name());
        if let Op::Scan(s) = self {
            return Op::Scan(Box::new(Scan { body: f(&s.body), ..s.frame() }));
        }
        if let Op::Fusion(g) = self { Op::Fusion(Box::new(f(g))) } else { self.clone() }
    }

    pub fn arity(&self) -> Arity {
        Arity::Exactly(match self.class() {
            Class::Leaf(_) => 0,
            Class::Elementwise(e) => match e {
                Elementwise::Unary(_) | Elementwise::Cast(_) => 1,
                Elementwise::Binary(_) | Elementwise::Compare(_) => 2,
                Elementwise::Select => 3,
            },
            Class::View(_) | Class::Reduction(..) | Class::Barrier(_) => 1,
            Class::Contraction(Contraction::Matmul) => 2,
            Class::Contraction(Contraction::AddMatmul) => 3,
            Class::Axis(a) => match a {
                AxisOp::Concat { .. } => return Arity::OneOrMore,
                AxisOp::ArgReduce { .. } | AxisOp::ArgSort { .. } | AxisOp::OverlapAdd { .. } => 1,
                AxisOp::Gather { .. } | AxisOp::Recurrence { .. } => 2,
                AxisOp::Scatter { .. } => 3,
            },
            Class::Check(_) => 2,
            Class::Loop(_) | Class::Fusion(_) => return Arity::OfBody,
        })
    }

    /// Whether it computes each element of its result from the same element of its operands.
    #[inline]
    pub fn is_elementwise(&self) -> bool {
        matches!(self.class(), Class::Elementwise(_))
    }

    /// Whether it computes with the values of its operands, which half-precision floats have no arithmetic for, rather
    /// than choosing, moving or converting them.
    pub fn is_arithmetic(&self) -> bool {
        match self.class() {
            Class::Elementwise(e) => match e {
                Elementwise::Unary(_) | Elementwise::Binary(_) | Elementwise::Compare(_) => true,
                Elementwise::Select | Elementwise::Cast(_) => false,
            },
            Class::Reduction(..) | Class::Contraction(_) => true,
            Class::Axis(a) => match a {
                AxisOp::ArgReduce { .. } | AxisOp::ArgSort { .. } => true,
                AxisOp::Recurrence { .. } | AxisOp::OverlapAdd { .. } => true,
                AxisOp::Scatter { op: ScatterOp::Add, .. } => true,
                AxisOp::Scatter { op: ScatterOp::Set, .. } | AxisOp::Concat { .. } | AxisOp::Gather { .. } => false,
            },
            Class::Leaf(_) | Class::View(_) | Class::Check(_) | Class::Barrier(_) => false,
            Class::Loop(_) | Class::Fusion(_) => false,
        }
    }

    /// Whether the operands of an elementwise primitive may change places, up to the payload of a NaN.
    pub fn commutes(&self) -> bool {
        match self.class() {
            Class::Elementwise(Elementwise::Binary(b)) => b.commutes(),
            Class::Elementwise(Elementwise::Compare(c)) => c.commutes(),
            Class::Elementwise(Elementwise::Unary(_) | Elementwise::Select | Elementwise::Cast(_)) => false,
            Class::Leaf(_) | Class::View(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => false,
            Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => false,
        }
    }

    /// Whether running it is an effect, which takes place whatever becomes of its results: a check, those of a body too.
    pub fn has_effect(&self) -> bool {
        match self.class() {
            Class::Check(_) => true,
            Class::Loop(s) => s.body.has_effects(),
            Class::Fusion(body) => body.has_effects(),
            Class::Leaf(_) | Class::Elementwise(_) | Class::View(_) | Class::Reduction(..) => false,
            Class::Contraction(_) | Class::Axis(_) | Class::Barrier(_) => false,
        }
    }

    /// Whether it computes its results into memory, rather than showing what is there or standing for a number.
    pub fn is_computed(&self) -> bool {
        match self.class() {
            Class::Leaf(_) | Class::View(_) | Class::Check(_) | Class::Barrier(_) => false,
            Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => true,
            Class::Loop(_) | Class::Fusion(_) => true,
        }
    }

    /// Whether it takes no time: a number, or a view.
    pub fn is_free(&self) -> bool {
        match self.class() {
            Class::Leaf(leaf) => match leaf {
                Leaf::Input => false,
                Leaf::Const(_) | Leaf::Extent(_) | Leaf::Iota(_) => true,
            },
            Class::View(_) => true,
            Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => false,
            Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => false,
        }
    }

    /// What result `port` may share memory with.
    pub fn aliases(&self, port: usize) -> Aliases {
        match self.class() {
            Class::View(_) | Class::Check(_) | Class::Barrier(_) => Aliases::Operand(0),
            // A loop of no iterations, or a carry that never changes, gives back what it got.
            Class::Loop(s) if port < s.carries => Aliases::Operand(port),
            Class::Loop(_) => Aliases::None,
            Class::Fusion(g) => match g.node(g.outputs()[port].value.node).op.is_computed() {
                true => Aliases::None,
                false => Aliases::Any,
            },
            Class::Leaf(_) | Class::Elementwise(_) | Class::Reduction(..) => Aliases::None,
            Class::Contraction(_) | Class::Axis(_) => Aliases::None,
        }
    }

    /// Whether [`Op::batched`] can do it, or it is the same for all.
    pub fn is_batchable(&self) -> bool {
        match self.class() {
            Class::Leaf(leaf) => match leaf {
                Leaf::Input => false,
                Leaf::Const(_) | Leaf::Extent(_) | Leaf::Iota(_) => true,
            },
            Class::Elementwise(_) | Class::View(_) | Class::Reduction(..) => true,
            Class::Contraction(_) | Class::Axis(_) => true,
            // What is recomputed in each iteration is to be freed after it; a check fails in its own.
            Class::Check(_) | Class::Barrier(_) => false,
            Class::Loop(_) | Class::Fusion(_) => false,
        }
    }

    /// The primitive that does `length` at once: on operands that have one more axis in front, as its result then has, it
    /// gives at place `i` of it what this one gives on place `i` of theirs. The operand of a broadcast must have all axes of
    /// the result for that, or a new axis would not come to stand in front. None where there is no such primitive.
    pub fn batched(&self, length: &D) -> Option<Op<D>>
    where
        D: Clone,
    {
        (self.is_batchable() && self.arity() != Arity::Exactly(0)).then(|| self.behind_axis(length))
    }
}

impl<D: Extent> Op<D> {
    /// How the axes of its (first) result come from those of its operands, which have these types.
    pub fn axis_map(&self, operands: &[&Type<D>]) -> AxisMap {
        let rank = operands.first().map_or(0, |x| x.shape.len());
        let all = || (0..rank).map(Some).collect::<AxisMap>();
        let all_but = |axes: &[usize]| (0..rank).map(|a| (!axes.contains(&a)).then_some(a)).collect::<AxisMap>();
        let without = |axes: &[usize]| (0..rank).filter(|a| !axes.contains(a)).map(Some).collect::<AxisMap>();
        match self.class() {
            Class::Leaf(leaf) => match leaf {
                Leaf::Input | Leaf::Const(_) | Leaf::Extent(_) => AxisMap::new(),
                Leaf::Iota(_) => AxisMap::from_slice(&[None]),
            },
            Class::Elementwise(_) | Class::Barrier(_) => all(),
            Class::View(view) => match view {
                View::Broadcast(to) => {
                    let (from, lead) = (&operands[0].shape, to.len() - rank);
                    let is = |i: usize| i.checked_sub(lead).filter(|&j| from[j].same(&to[i]));
                    (0..to.len()).map(is).collect()
                }
                View::Reshape(to) => {
                    let from = &operands[0].shape;
                    let same = from.iter().zip(to).take_while(|(a, b)| a.same(b)).count();
                    (0..to.len()).map(|i| (i < same).then_some(i)).collect()
                }
                View::Permute(axes) => axes.iter().map(|&a| Some(a)).collect(),
                View::Slice { axis, .. } => all_but(&[axis]),
                View::Flip(axes) => all_but(axes),
                View::Window { axis, .. } => all_but(&[axis]).into_iter().chain([None]).collect(),
            },
            Class::Reduction(_, axes) => without(axes),
            Class::Contraction(_) => all_but(&[rank - 2, rank - 1]),
            Class::Axis(a) => match a {
                AxisOp::Concat { axis } | AxisOp::Gather { axis } | AxisOp::Scatter { axis, .. } => all_but(&[axis]),
                AxisOp::ArgSort { axis, .. } | AxisOp::Recurrence { axis, .. } => all_but(&[axis]),
                AxisOp::ArgReduce { axis, .. } => without(&[axis]),
                AxisOp::OverlapAdd { axis, .. } => all_but(&[axis])[..rank - 1].into(),
            },
            // The condition has no axes.
            Class::Check(_) => vec![None; rank].into(),
            // Their bodies say.
            Class::Loop(_) | Class::Fusion(_) => AxisMap::new(),
        }
    }
}
