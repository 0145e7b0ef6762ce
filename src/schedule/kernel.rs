//! A fused kernel: axes, expressions, loads, stores and reductions. How a device walks the axes is its own matter.

use crate::schedule::buffer::ScalarId;
use crate::schedule::view::View;
use allotrope_ir::{BinaryOp, CompareOp, DType, ReduceOp, Shape, UnaryOp};
use smallvec::SmallVec;

/// An expression of a kernel: its place in [`Kernel::exprs`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// Computes expressions at every position of `axes`.
///
/// An expression has one value for each position of its first [`depth`](Expr::depth) axes. It is computed from the values
/// of its arguments at the same position, each of which is rounded to its own dtype. Positions may be walked in any order,
/// as nothing but a reduction combines several of them. At one position, every load comes before every store: a store that is
/// [`in_place`](Store::in_place) writes over what the kernel loads at this same position and nowhere else, and the memory of
/// any other store overlaps nothing that the kernel reads. No two stores overlap.
///
/// A reduction is over the axes from `kept` on: for each position of the first `kept` axes, of the values of its argument
/// there, in row-major order of the reduced axes, it computes what `allotrope_kernels::reduce` does of them as one contiguous
/// axis; the order matters to the bits of a sum. There is one round of reductions only: none depends on another, and what
/// depends on one does not depend on the reduced axes.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The iteration space. Neighbouring axes that every view walks as one are one axis.
    pub axes: Shape,
    /// Axes from here on are reduced; `axes.len()` where there is no reduction.
    pub kept: usize,
    /// Arguments come before what uses them.
    pub exprs: Vec<Expr>,
    pub stores: Vec<Store>,
    /// Results of one element that are kept as scalars, whether or not they are stored too.
    pub results: Vec<(ExprId, ScalarId)>,
    /// Its place in [`kernels`](crate::schedule::Schedule::kernels).
    pub number: usize,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub dtype: DType,
    /// Axes `0..depth` are those that the value depends on.
    pub depth: usize,
    /// Whether it needs the result of a reduction.
    pub reduced: bool,
}

/// Arithmetic is that of the graph's operations of the same names, as `allotrope_kernels` has it.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A load. The view's strides are along the kernel's axes; its shape means nothing.
    Leaf(View),
    Unary(UnaryOp, ExprId),
    Binary(BinaryOp, ExprId, ExprId),
    Compare(CompareOp, ExprId, ExprId),
    /// The second where the first, a bool, is true, else the third.
    Select(ExprId, ExprId, ExprId),
    /// To the expression's dtype; neither from nor to a half-precision float, unless it is the same.
    Cast(ExprId),
    /// A half-precision float as f32.
    Widen(ExprId),
    /// An f32 as a half-precision float.
    Narrow(ExprId),
    /// Over the kernel's axes from `kept` on.
    Reduce(ReduceOp, ExprId),
}

/// A result of a kernel in memory; the strides are along the kernel's axes (0 along the reduced ones, where it is reduced),
/// and the shape means nothing.
#[derive(Clone, Debug)]
pub struct Store {
    pub expr: ExprId,
    pub view: View,
    /// It overwrites what the kernel reads at the same positions.
    pub in_place: bool,
}

impl Expr {
    pub fn args(&self) -> SmallVec<[ExprId; 3]> {
        match &self.kind {
            ExprKind::Leaf(_) => SmallVec::new(),
            ExprKind::Unary(_, a)
            | ExprKind::Cast(a)
            | ExprKind::Widen(a)
            | ExprKind::Narrow(a)
            | ExprKind::Reduce(_, a) => smallvec::smallvec![*a],
            ExprKind::Binary(_, a, b) | ExprKind::Compare(_, a, b) => smallvec::smallvec![*a, *b],
            ExprKind::Select(a, b, c) => smallvec::smallvec![*a, *b, *c],
        }
    }
}

impl Kernel {
    pub fn expr(&self, e: ExprId) -> &Expr {
        &self.exprs[e.0 as usize]
    }

    /// Whether it has a reduction.
    pub fn reduces(&self) -> bool {
        self.exprs.iter().any(|e| matches!(e.kind, ExprKind::Reduce(..)))
    }
}
