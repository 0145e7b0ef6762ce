//! The operators that are one call of a library over strided operands: products, reductions over any axes, and what walks
//! an axis in another order than its own. Nothing is said here of how a device calls its library.

use crate::schedule::factor::Factor;
use crate::schedule::view::View;
use allotrope_ir::{ArgOp, Dim, ReduceOp, ScatterOp};
use smallvec::{SmallVec, smallvec};

/// An [`Operator`] that runs as one instruction.
#[derive(Clone, Debug)]
pub struct Operation {
    pub operator: Operator,
    /// Its place in [`kernels`](crate::schedule::Schedule::kernels).
    pub number: usize,
}

/// What it reads lies in memory, with any strides: negative ones, and 0 along axes that it repeats. What it writes overlaps
/// nothing that it reads, and is contiguous unless something else is said. Each computes what the function of
/// `allotrope_kernels` that it names does, to the bit; `out` is the `out` of that function.
#[derive(Clone, Debug)]
pub enum Operator {
    /// `matmul`: `out[.., i, j] = sum over k of a[.., i, k] b[.., k, j]` over equal batch axes. Where it accumulates, what
    /// that gives is added, once, to what `out` holds. The last axis of `out` has stride 1, the others any. Rows, columns and
    /// steps of the factors may be several axes of what lies in memory.
    Matmul { a: Factor, b: Factor, out: View, accumulate: bool },
    /// `reduce` over these axes, which are ascending; the others are those of `out`, in order.
    Reduce { op: ReduceOp, axes: SmallVec<[usize; 4]>, x: View, out: View },
    /// `gather` along an axis.
    Gather { axis: usize, x: View, index: View, out: View },
    /// `scatter` along an axis, where `out` holds the base already.
    Scatter { op: ScatterOp, axis: usize, index: View, source: View, out: View },
    /// `arg_reduce` along an axis, which `out` has not.
    ArgReduce { op: ArgOp, axis: usize, x: View, out: View },
    /// `argsort` along an axis.
    ArgSort { axis: usize, descending: bool, x: View, out: View },
    /// `recurrence` along an axis.
    Recurrence { axis: usize, reverse: bool, a: View, b: View, out: View },
    /// `overlap_add` of the windows along an axis, whose elements are the last axis of `x`, to `len` elements.
    OverlapAdd { axis: usize, len: Dim, step: usize, dilation: usize, x: View, out: View },
}

impl Operator {
    /// What it only reads. What it accumulates or scatters into is [`Operator::out`] alone.
    pub fn reads(&self) -> SmallVec<[&View; 2]> {
        match self {
            Operator::Matmul { a, b, .. } => smallvec![&a.view, &b.view],
            Operator::Recurrence { a, b, .. } => smallvec![a, b],
            Operator::Reduce { x, .. }
            | Operator::ArgReduce { x, .. }
            | Operator::ArgSort { x, .. }
            | Operator::OverlapAdd { x, .. } => smallvec![x],
            Operator::Gather { x, index, .. } => smallvec![x, index],
            Operator::Scatter { index, source, .. } => smallvec![index, source],
        }
    }

    /// What it writes.
    pub fn out(&self) -> &View {
        match self {
            Operator::Matmul { out, .. }
            | Operator::Reduce { out, .. }
            | Operator::Gather { out, .. }
            | Operator::Scatter { out, .. }
            | Operator::ArgReduce { out, .. }
            | Operator::ArgSort { out, .. }
            | Operator::Recurrence { out, .. }
            | Operator::OverlapAdd { out, .. } => out,
        }
    }
}
