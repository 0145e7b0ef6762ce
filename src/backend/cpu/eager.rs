//! Eager evaluation on this processor: each primitive that computes elements is one call of the kernels. Operands have
//! been checked by the type rules; what only looks at elements in another way never comes here.

use super::host::{block, block_mut};
use super::memory::Block;
use crate::backend::element::{FromElement, with_type};
use crate::backend::memory::Kind;
use crate::backend::{Array, ArrayMut, Memory, Operand};
use crate::error::Result;
use crate::kernels::{self, Run, View, ViewMut};
use allotrope_ir::{DType, Op, Scalar};
use smallvec::SmallVec;

const OUTSIDE: &str = "bug in allotrope: a tensor reaches outside its storage";

/// A block for `n` elements.
#[inline]
fn block_for(dtype: DType, n: usize) -> Result<Block> {
    Block::new(dtype, n.saturating_mul(dtype.size()))
}

/// Memory for `n` elements.
///
/// # Errors
/// When there is none; so for what follows.
pub(super) fn allocate(dtype: DType, n: usize) -> Result<Memory> {
    Ok(Memory(Kind::Cpu(block_for(dtype, n)?)))
}

/// Memory with these bytes.
pub(super) fn upload(dtype: DType, bytes: &[u8]) -> Result<Memory> {
    Ok(Memory(Kind::Cpu(Block::of_bytes(dtype, bytes)?)))
}

/// Memory full of one number.
pub(super) fn full(value: Scalar, n: usize) -> Result<Memory> {
    let mut out = block_for(value.dtype(), n)?;
    with_type!(value.dtype(), T => out.slice_mut::<T>().fill(T::from_scalar(value)));
    Ok(Memory(Kind::Cpu(out)))
}

/// Writes the elements of `from` into those of `to`.
pub(super) fn copy(from: Array<'_>, to: ArrayMut<'_>) {
    if to.shape.contains(&0) {
        return;
    }
    let dense = to.is_dense().then(|| to.offset..to.offset + to.shape.iter().product::<usize>());
    with_type!(to.dtype, T => {
        let out = block_mut(to.memory).slice_mut::<T>();
        match dense {
            Some(at) => kernels::copy(view::<T>(&from), &mut out[at]),
            None => {
                let target = ViewMut::new(out, to.offset, to.shape, to.strides).expect(OUTSIDE);
                kernels::copy_into(target, view::<T>(&from));
            }
        }
    });
}

/// The elements of an array.
#[inline]
pub(super) fn view<'a, T: FromElement>(a: &Array<'a>) -> View<'a, T> {
    View::new(block(a.memory).slice::<T>(), a.offset, a.shape, a.strides).expect(OUTSIDE)
}

/// Computes the elements of `op`, of this dtype and shape.
#[inline]
pub(super) fn compute(op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Memory> {
    let mut out = block_for(dtype, shape.iter().product())?;
    match op.is_elementwise() {
        true => elementwise(op, operands, dtype, shape, &mut out),
        false => other(op, operands, dtype, shape, &mut out),
    }
    Ok(Memory(Kind::Cpu(out)))
}

/// Computes a primitive that is not elementwise; apart, so that the way of small elementwise ones is short.
#[inline(never)]
fn other(op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize], out: &mut Block) {
    let array = |i: usize| match &operands[i] {
        Operand::Array(a) => a,
        Operand::Number(_) => unreachable!("bug in allotrope: operand {i} of {} is a number", op.name()),
    };
    match op {
        Op::Iota(_) => {
            for (i, x) in out.slice_mut::<i64>().iter_mut().enumerate() {
                *x = i as i64;
            }
        }
        Op::Concat { axis } => concat(*axis, operands, dtype, shape, out),
        Op::Reduce { op, axes } => with_type!(number dtype, T => {
            kernels::reduce(*op, view::<T>(array(0)), axes, out.slice_mut())
        }),
        Op::Matmul => with_type!(number dtype, T => {
            kernels::matmul(view::<T>(array(0)), view::<T>(array(1)), out.slice_mut())
        }),
        Op::OverlapAdd { axis, len, step, dilation } => with_type!(number dtype, T => {
            kernels::overlap_add(view::<T>(array(0)), *axis, *len, *step, *dilation, out.slice_mut())
        }),
        Op::Gather { axis } => with_type!(dtype, T => {
            kernels::gather(view::<T>(array(0)), view::<i64>(array(1)), *axis, out.slice_mut())
        }),
        Op::Scatter { op, axis } => with_type!(dtype, T => {
            kernels::copy(view::<T>(array(0)), out.slice_mut());
            let (index, source) = (view::<i64>(array(1)), view::<T>(array(2)));
            kernels::scatter(*op, index, source, *axis, out.slice_mut::<T>(), shape)
        }),
        Op::ArgReduce { op, axis } => with_type!(number array(0).dtype, T => {
            kernels::arg_reduce(*op, view::<T>(array(0)), *axis, out.slice_mut())
        }),
        Op::ArgSort { axis, descending } => with_type!(array(0).dtype, T => {
            kernels::argsort(view::<T>(array(0)), *axis, *descending, out.slice_mut())
        }),
        Op::Recurrence { axis, reverse } => with_type!(number dtype, T => {
            kernels::recurrence(view::<T>(array(0)), view::<T>(array(1)), *axis, *reverse, out.slice_mut())
        }),
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => unreachable!("elementwise"),
        Op::Input
        | Op::Const(_)
        | Op::Extent(_)
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Slice { .. }
        | Op::Flip(_)
        | Op::Window { .. }
        | Op::Check(_)
        | Op::Barrier(_)
        | Op::AddMatmul
        | Op::Scan(_)
        | Op::Fusion(_) => unreachable!("bug in allotrope: {} computes no elements of its own", op.name()),
    }
}

/// One element as a slice, for operands that are numbers.
struct One<T>([T; 1]);

#[inline]
fn one<T: FromElement>(operand: &Operand<'_>) -> One<T> {
    One([match operand {
        Operand::Number(s) => T::from_scalar(*s),
        Operand::Array(_) => T::default(),
    }])
}

/// The space that an elementwise primitive walks.
struct Space<'a> {
    shape: &'a [usize],
    /// Strides of a number that is repeated.
    zeros: SmallVec<[isize; 8]>,
    /// One run over all elements, where every operand lies in row-major order.
    dense: Option<[usize; 1]>,
}

impl Space<'_> {
    fn new(shape: &[usize], dense: bool) -> Space<'_> {
        let dense = dense.then(|| [shape.iter().product()]);
        Space { shape, zeros: SmallVec::from_elem(0, shape.len()), dense }
    }
}

/// An operand that lies in row-major order, or a number, in one run over `n` elements.
#[inline]
fn run<'a, T: FromElement>(operand: &'a Operand<'_>, one: &'a One<T>, n: usize) -> Run<'a, T> {
    match operand {
        Operand::Array(a) => {
            let all = block(a.memory).slice::<T>();
            Run::Elements(all.get(a.offset..).and_then(|all| all.get(..n)).expect(OUTSIDE))
        }
        Operand::Number(_) => Run::One(&one.0[0]),
    }
}

#[inline]
fn walked<'a, T: FromElement>(operand: &'a Operand<'_>, one: &'a One<T>, space: &'a Space<'_>) -> View<'a, T> {
    let walked = match (operand, &space.dense) {
        (Operand::Array(a), Some(n)) => View::new(block(a.memory).slice::<T>(), a.offset, n, &[1]),
        (Operand::Array(a), None) => return view(a),
        (Operand::Number(_), Some(n)) => View::new(&one.0, 0, n, &[0]),
        (Operand::Number(_), None) => View::new(&one.0, 0, space.shape, &space.zeros),
    };
    walked.expect(OUTSIDE)
}

/// Computes an elementwise primitive: operands have the shape of the result, and the dtypes that it asks for.
#[inline]
fn elementwise(op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize], out: &mut Block) {
    if out.len() == 0 {
        return;
    }
    let in_order = |x: &Operand<'_>| match x {
        Operand::Array(a) => a.is_dense(),
        Operand::Number(_) => true,
    };
    let dense = operands.iter().all(in_order);
    // Nearly all that programs compute: no shape to walk.
    match (op, operands) {
        (Op::Unary(u), [a]) if dense => with_type!(dtype, T => {
            let out = out.slice_mut();
            kernels::unary_run(*u, run::<T>(a, &one(a), out.len()), out)
        }),
        (Op::Binary(o), [a, b]) if dense => with_type!(dtype, T => {
            let out = out.slice_mut();
            kernels::binary_run(*o, run::<T>(a, &one(a), out.len()), run::<T>(b, &one(b), out.len()), out)
        }),
        (Op::Compare(o), [a, b]) if dense => with_type!(a.dtype(), T => {
            let out = out.slice_mut();
            kernels::compare_run(*o, run::<T>(a, &one(a), out.len()), run::<T>(b, &one(b), out.len()), out)
        }),
        _ => walk(op, operands, dtype, Space::new(shape, dense), out),
    }
}

/// As [`elementwise`], along the axes of the operands.
#[inline(never)]
fn walk(op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, space: Space<'_>, out: &mut Block) {
    match (op, operands) {
        (Op::Unary(u), [a]) => {
            with_type!(dtype, T => kernels::unary(*u, walked::<T>(a, &one(a), &space), out.slice_mut()))
        }
        (Op::Binary(o), [a, b]) => with_type!(dtype, T => {
            kernels::binary(*o, walked::<T>(a, &one(a), &space), walked::<T>(b, &one(b), &space), out.slice_mut())
        }),
        (Op::Compare(o), [a, b]) => with_type!(a.dtype(), T => {
            kernels::compare(*o, walked::<T>(a, &one(a), &space), walked::<T>(b, &one(b), &space), out.slice_mut())
        }),
        (Op::Select, [a, b, c]) => with_type!(dtype, T => {
            kernels::select(
                walked::<bool>(a, &one(a), &space),
                walked::<T>(b, &one(b), &space),
                walked::<T>(c, &one(c), &space),
                out.slice_mut(),
            )
        }),
        (Op::Cast(_), [a]) => with_type!(a.dtype(), S => with_type!(dtype, T => {
            kernels::cast::<S, T>(walked::<S>(a, &one(a), &space), out.slice_mut())
        })),
        (op, _) => unreachable!("bug in allotrope: {} of {} operands", op.name(), operands.len()),
    }
}

fn concat(axis: usize, operands: &[Operand<'_>], dtype: DType, shape: &[usize], out: &mut Block) {
    let strides: SmallVec<[isize; 4]> =
        (0..shape.len()).map(|i| shape[i + 1..].iter().map(|n| (*n).max(1) as isize).product()).collect();
    let mut at = 0;
    for operand in operands {
        let Operand::Array(x) = operand else { unreachable!("bug in allotrope: joined operands are arrays") };
        let offset = at * strides[axis] as usize;
        if !x.shape.contains(&0) {
            with_type!(dtype, T => {
                let target = ViewMut::new(out.slice_mut::<T>(), offset, x.shape, &strides)
                    .expect("bug in allotrope: concat writes outside its result");
                kernels::copy_into(target, view::<T>(x));
            });
        }
        at += x.shape[axis];
    }
}
