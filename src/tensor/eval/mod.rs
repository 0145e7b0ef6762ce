//! Computes one primitive now: the eager meaning of each, by the kernels or as a view.
//! Nothing is noted on the tape here, and operands have been checked by the type rules.

mod places;

use super::element::FromElement;
use super::handle::{Body, Strided, Tensor};
use super::operand::Operand;
use super::size::Size;
use super::size::{hints, small};
use super::storage::Element;
use super::storage::{Buffer, ReadGuard, Storage};
use super::strides::{Dims, Strides, contiguous_strides, is_contiguous};
use crate::error::{Error, Result};
use crate::kernels::{self, View, ViewMut};
use allotrope_ir::{DType, Op, Scalar};
use smallvec::SmallVec;
use std::sync::Arc;

/// Runs `$body` with `$T` as the Rust type of `$dtype`, of all dtypes, or of those that arithmetic is done in.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        with_type!(@match $dtype, $T, $body,
            F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, Bool bool, F16 half::f16, BF16 half::bf16;)
    };
    (number $dtype:expr, $T:ident => $body:expr) => {
        with_type!(@match $dtype, $T, $body, F32 f32, F64 f64, I64 i64, I32 i32, U8 u8;
            DType::Bool | DType::F16 | DType::BF16 => unreachable!("bug in allotrope: the type rules refuse {}", $dtype),)
    };
    (@match $dtype:expr, $T:ident, $body:expr, $($variant:ident $type:ty),+; $($rest:tt)*) => {
        match $dtype {
            $(DType::$variant => {
                type $T = $type;
                $body
            })+
            $($rest)*
        }
    };
}

pub(crate) use with_type;

/// A tensor over a fresh buffer.
pub(crate) fn fresh(dtype: DType, shape: &[usize], buffer: Buffer) -> Tensor {
    let strides = contiguous_strides(shape);
    let body = Strided { storage: Arc::new(Storage::new(buffer)), strides, offset: 0 };
    Tensor::from_parts(dtype, Dims::from_slice(shape), Body::Strided(body))
}

/// A buffer for `n` elements; bools begin as valid ones.
pub(crate) fn buffer_for(dtype: DType, n: usize) -> Buffer {
    match dtype {
        DType::Bool => Buffer::zeroed(n),
        _ => Buffer::new(n * dtype.size()),
    }
}

fn numel(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The elements of a tensor with storage; an error for a value that leaked out of a trace.
pub(crate) fn strided(t: &Tensor) -> Result<&Strided> {
    t.strided().ok_or_else(|| {
        Error::Trace(
            "a value of a trace was used after the trace had ended, or on another thread; return it from the closure instead".into(),
        )
    })
}

/// An operand with its elements locked for reading.
enum Locked<'a> {
    Tensor { buffer: ReadGuard<'a, Buffer>, tensor: &'a Tensor, strided: &'a Strided },
    Scalar(Scalar),
}

const ZEROS: [isize; 8] = [0; 8];

impl<'a> Locked<'a> {
    fn new(operand: Operand<'a>) -> Result<Locked<'a>> {
        Ok(match operand {
            Operand::Scalar(s) => Locked::Scalar(s),
            Operand::Tensor(tensor) => {
                let strided = strided(tensor)?;
                Locked::Tensor { buffer: strided.storage.read(), tensor, strided }
            }
        })
    }
}

/// One element as a slice, for operands that are numbers.
struct One<T>([T; 1]);

fn one<T: Element + FromElement>(locked: &Locked<'_>) -> One<T> {
    One([match locked {
        Locked::Scalar(s) => T::from_scalar(*s),
        Locked::Tensor { .. } => T::default(),
    }])
}

/// The space that an elementwise primitive walks.
struct Space<'a> {
    shape: &'a [usize],
    /// Strides of a number that is repeated.
    zeros: &'a [isize],
    /// One run over all elements, where every operand lies in row-major order.
    dense: Option<[usize; 1]>,
}

fn view<'a, T: Element>(locked: &'a Locked<'_>, one: &'a One<T>, space: &'a Space<'_>) -> View<'a, T> {
    let view = match (locked, &space.dense) {
        (Locked::Tensor { buffer, strided, .. }, Some(n)) => View::new(buffer.slice::<T>(), strided.offset, n, &[1]),
        (Locked::Tensor { buffer, tensor, strided }, None) => {
            View::new(buffer.slice::<T>(), strided.offset, tensor.shape_hint(), &strided.strides)
        }
        (Locked::Scalar(_), Some(n)) => View::new(&one.0, 0, n, &[0]),
        (Locked::Scalar(_), None) => View::new(&one.0, 0, space.shape, space.zeros),
    };
    view.expect("bug in allotrope: a tensor reaches outside its storage")
}

/// A tensor over another view of the same storage.
fn reviewed(x: &Tensor, s: &Strided, shape: Dims, strides: Strides, offset: usize) -> Tensor {
    let body = Strided { storage: s.storage.clone(), strides, offset };
    Tensor::from_parts(x.dtype(), shape, Body::Strided(body))
}

/// Another layout of the same storage: shape, strides and the distance of the first element, from the strides of `x`.
pub(crate) fn laid_out(x: &Tensor, layout: impl FnOnce(&[isize]) -> (Dims, Strides, isize)) -> Result<Tensor> {
    let s = strided(x)?;
    let (shape, strides, skip) = layout(&s.strides);
    let offset = if shape.contains(&0) { s.offset } else { (s.offset as isize + skip) as usize };
    Ok(reviewed(x, s, shape, strides, offset))
}

/// Computes an elementwise primitive or a view, whose type follows from the operands without the rules.
#[inline]
pub(crate) fn settled(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
    let shape = match (op, operands) {
        (Op::Broadcast(shape) | Op::Reshape(shape), _) => hints(shape),
        (Op::Permute(axes), [Operand::Tensor(x)]) => small(axes, |a| x.shape_hint()[a]),
        (Op::Slice { axis, len, .. }, [Operand::Tensor(x)]) => {
            let mut shape = Dims::from_slice(x.shape_hint());
            shape[*axis] = len.hint();
            shape
        }
        (Op::Matmul, [Operand::Tensor(a), Operand::Tensor(b)]) => {
            let mut shape = Dims::from_slice(a.shape_hint());
            let last = shape.len() - 1;
            shape[last] = b.shape_hint()[last];
            return matmul(a, b, &shape);
        }
        _ => return elementwise(op, operands),
    };
    let Operand::Tensor(x) = operands[0] else { unreachable!("views are of tensors") };
    moved(op, x, shape)
}

/// Computes `op`, for which the type rules gave this dtype and these sizes.
pub(crate) fn eval(op: &Op<Size>, operands: &[Operand<'_>], dtype: DType, sizes: &[Size]) -> Result<Tensor> {
    let shape = hints(sizes);
    match op {
        Op::Reduce { op: reduce, axes } => {
            let x = Locked::new(operands[0])?;
            let mut out = buffer_for(dtype, numel(&shape));
            with_type!(number dtype, T => kernels::reduce(*reduce, full_view::<T>(&x), axes, out.slice_mut()));
            Ok(fresh(dtype, &shape, out))
        }
        Op::Const(s) => Ok(full(&[], *s)),
        Op::Extent(n) => Ok(full(&[], Scalar::I64(n.hint() as i64))),
        Op::Iota(n) => {
            let mut out = Buffer::new(n.hint() * 8);
            for (i, x) in out.slice_mut::<i64>().iter_mut().enumerate() {
                *x = i as i64;
            }
            Ok(fresh(DType::I64, &shape, out))
        }
        Op::Concat { axis } => concat(*axis, operands, dtype, &shape),
        _ if op.is_elementwise() => elementwise(op, operands),
        Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Matmul => settled(op, operands),
        Op::Flip(_)
        | Op::Window { .. }
        | Op::OverlapAdd { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::ArgReduce { .. }
        | Op::ArgSort { .. }
        | Op::Recurrence { .. }
        | Op::Check(_) => places::placed(op, operands, dtype, &shape),
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => unreachable!("elementwise"),
        Op::Input | Op::AddMatmul | Op::Scan(_) | Op::Fusion(_) | Op::Barrier(_) => {
            unreachable!("bug in allotrope: {} is made by captures only", op.name())
        }
    }
}

fn full_view<'a, T: Element>(x: &'a Locked<'_>) -> View<'a, T> {
    let Locked::Tensor { buffer, tensor, strided } = x else { unreachable!("not an elementwise operand") };
    View::new(buffer.slice::<T>(), strided.offset, tensor.shape_hint(), &strided.strides)
        .expect("bug in allotrope: a tensor reaches outside its storage")
}

/// Computes an elementwise primitive: operands have one shape, and the dtypes that it asks for.
fn elementwise(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
    let source = |x: &Operand<'_>| match x {
        Operand::Tensor(t) => t.dtype(),
        Operand::Scalar(s) => s.dtype(),
    };
    let dtype = match op {
        Op::Compare(_) => DType::Bool,
        Op::Cast(to) => *to,
        _ => source(operands.last().expect("elementwise primitives have operands")),
    };
    let shape = operands
        .iter()
        .find_map(|x| match x {
            Operand::Tensor(t) => Some(t.shape_hint()),
            Operand::Scalar(_) => None,
        })
        .unwrap_or(&[]);
    let zeros: SmallVec<[isize; 8]> = SmallVec::from_elem(0, if shape.len() > 8 { shape.len() } else { 0 });
    let zeros = if shape.len() > 8 { &zeros[..] } else { &ZEROS[..shape.len()] };
    let n = numel(shape);
    let in_order = |x: &Operand<'_>| match x {
        Operand::Tensor(t) => t.is_dense(),
        Operand::Scalar(_) => true,
    };
    let space = Space { shape, zeros, dense: operands.iter().all(in_order).then_some([n]) };
    let mut out = buffer_for(dtype, n);
    let a = Locked::new(operands[0])?;
    match op {
        Op::Unary(u) => with_type!(dtype, T => kernels::unary(*u, view::<T>(&a, &one(&a), &space), out.slice_mut())),
        Op::Binary(b) => {
            let c = Locked::new(operands[1])?;
            with_type!(dtype, T => {
                kernels::binary(*b, view::<T>(&a, &one(&a), &space), view::<T>(&c, &one(&c), &space), out.slice_mut())
            })
        }
        Op::Compare(p) => {
            let c = Locked::new(operands[1])?;
            with_type!(source(&operands[0]), T => {
                kernels::compare(*p, view::<T>(&a, &one(&a), &space), view::<T>(&c, &one(&c), &space), out.slice_mut())
            })
        }
        Op::Select => {
            let (b, c) = (Locked::new(operands[1])?, Locked::new(operands[2])?);
            with_type!(dtype, T => {
                kernels::select(
                    view::<bool>(&a, &one(&a), &space),
                    view::<T>(&b, &one(&b), &space),
                    view::<T>(&c, &one(&c), &space),
                    out.slice_mut(),
                )
            })
        }
        Op::Cast(_) => with_type!(source(&operands[0]), S => with_type!(dtype, T => {
            kernels::cast::<S, T>(view::<S>(&a, &one(&a), &space), out.slice_mut())
        })),
        _ => unreachable!("not elementwise"),
    }
    Ok(fresh(dtype, shape, out))
}

fn matmul(a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let dtype = a.dtype();
    let mut out = buffer_for(dtype, numel(shape));
    let (a, b) = (Locked::new(Operand::Tensor(a))?, Locked::new(Operand::Tensor(b))?);
    with_type!(number dtype, T => kernels::matmul(full_view::<T>(&a), full_view::<T>(&b), out.slice_mut()));
    Ok(fresh(dtype, shape, out))
}

/// The same numbers in another dtype.
pub(crate) fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    elementwise(&Op::Cast(dtype), &[Operand::Tensor(x)])
}

/// A tensor full of one number.
pub(crate) fn full(shape: &[usize], value: Scalar) -> Tensor {
    let dtype = value.dtype();
    let mut out = buffer_for(dtype, numel(shape));
    with_type!(dtype, T => out.slice_mut::<T>().fill(T::from_scalar(value)));
    fresh(dtype, shape, out)
}

fn moved(op: &Op<Size>, x: &Tensor, shape: Dims) -> Result<Tensor> {
    let s = strided(x)?;
    let Some(strides) = view_strides(op, x.shape_hint(), &s.strides, &shape) else {
        let dense = contiguous(x)?;
        let s = strided(&dense)?;
        let strides = contiguous_strides(&shape);
        return Ok(reviewed(&dense, s, shape, strides, s.offset));
    };
    let offset = match op {
        Op::Slice { axis, start, .. } if !shape.contains(&0) => {
            (s.offset as isize + start.hint() as isize * s.strides[*axis]) as usize
        }
        _ => s.offset,
    };
    Ok(reviewed(x, s, shape, strides, offset))
}

/// The strides of a tensor seen through `op`; none where its elements would have to be copied.
pub(crate) fn view_strides(op: &Op<Size>, from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    Some(match op {
        Op::Broadcast(_) => {
            let lead = to.len() - from.len();
            (0..to.len())
                .map(|i| match i.checked_sub(lead) {
                    Some(j) if from[j] == to[i] => strides[j],
                    _ => 0,
                })
                .collect()
        }
        Op::Reshape(_) => return reshaped_strides(from, strides, to),
        Op::Permute(axes) => small(axes, |a| strides[a]),
        Op::Window { axis, step, dilation, .. } => {
            let mut out = Strides::from_slice(strides);
            out[*axis] = strides[*axis] * *step as isize;
            out.push(strides[*axis] * *dilation as isize);
            out
        }
        // A slice; others keep the elements where they are.
        _ => Strides::from_slice(strides),
    })
}

/// Strides that show the same elements under `to`, where there are any: each group of merged axes must be dense
/// within itself.
pub(crate) fn reshaped_strides(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    if is_contiguous(from, strides) {
        return Some(contiguous_strides(to));
    }
    let mut out: Strides = SmallVec::from_elem(0, to.len());
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        // The smallest groups of axes on both sides with the same number of elements.
        let (i0, j0) = (i, j);
        let (mut a, mut b) = (1, 1);
        loop {
            if a <= b && i < from.len() && (a < b || i == i0) {
                a *= from[i];
                i += 1;
            } else if b < a && j < to.len() {
                b *= to[j];
                j += 1;
            } else {
                break;
            }
        }
        while i < from.len() && from[i] == 1 {
            i += 1;
        }
        while j < to.len() && to[j] == 1 {
            j += 1;
        }
        if a != b || (i == i0 && j == j0) {
            return None;
        }
        let group: SmallVec<[(usize, isize); 4]> =
            (i0..i).filter(|&k| from[k] != 1).map(|k| (from[k], strides[k])).collect();
        if !group.windows(2).all(|w| w[0].1 == w[1].1 * w[1].0 as isize) {
            return None;
        }
        let mut step = group.last().map_or(1, |g| g.1);
        for k in (j0..j).rev() {
            out[k] = step;
            step *= to[k] as isize;
        }
    }
    Some(out)
}

/// The same elements in row-major order: the tensor itself where it is so already.
pub(crate) fn contiguous(x: &Tensor) -> Result<Tensor> {
    let s = strided(x)?;
    if is_contiguous(x.shape_hint(), &s.strides) {
        return Ok(x.clone());
    }
    let mut out = buffer_for(x.dtype(), numel(x.shape_hint()));
    {
        let x = Locked::new(Operand::Tensor(x))?;
        let Locked::Tensor { tensor, .. } = &x else { unreachable!() };
        with_type!(tensor.dtype(), T => kernels::copy(full_view::<T>(&x), out.slice_mut()));
    }
    Ok(fresh(x.dtype(), x.shape_hint(), out))
}

/// The element `t` along the first axis, as a view.
pub(crate) fn element(x: &Tensor, t: usize) -> Result<Tensor> {
    let s = strided(x)?;
    let shape = Dims::from_slice(&x.shape_hint()[1..]);
    let offset = if shape.contains(&0) { s.offset } else { (s.offset as isize + t as isize * s.strides[0]) as usize };
    Ok(reviewed(x, s, shape, Strides::from_slice(&s.strides[1..]), offset))
}

/// Tensors of one dtype and shape along a new first axis.
pub(crate) fn stacked(rows: &[Tensor]) -> Result<Tensor> {
    let first = &rows[0];
    let n = numel(first.shape_hint());
    let mut out = buffer_for(first.dtype(), n * rows.len());
    with_type!(first.dtype(), T => {
        let mut rest = out.slice_mut::<T>();
        for row in rows {
            let (here, after) = rest.split_at_mut(n);
            let locked = Locked::new(Operand::Tensor(row))?;
            kernels::copy(full_view::<T>(&locked), here);
            rest = after;
        }
    });
    let mut shape = Dims::from_slice(&[rows.len()]);
    shape.extend_from_slice(first.shape_hint());
    Ok(fresh(first.dtype(), &shape, out))
}

fn concat(axis: usize, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Tensor> {
    let mut out = buffer_for(dtype, numel(shape));
    let strides = contiguous_strides(shape);
    let mut at = 0;
    for operand in operands {
        let x = Locked::new(*operand)?;
        let Locked::Tensor { tensor, .. } = &x else { unreachable!("joined operands are tensors") };
        let offset = at * strides[axis] as usize;
        if !tensor.shape_hint().contains(&0) {
            with_type!(dtype, T => {
                let target = ViewMut::new(out.slice_mut::<T>(), offset, tensor.shape_hint(), &strides)
                    .expect("bug in allotrope: concat writes outside its result");
                kernels::copy_into(target, full_view::<T>(&x));
            });
        }
        at += tensor.shape_hint()[axis];
    }
    Ok(fresh(dtype, shape, out))
}

/// That no two elements share memory, as those of expanded tensors and of overlapping windows do.
pub(crate) fn check_apart(shape: &[usize], strides: &[isize]) -> Result<()> {
    let mut axes: SmallVec<[(usize, usize); 6]> =
        shape.iter().zip(strides).filter(|(n, _)| **n > 1).map(|(&n, s)| (s.unsigned_abs(), n)).collect();
    axes.sort_unstable();
    // Each axis must step over everything that the smaller ones reach; whoever interleaves axes otherwise is refused.
    let mut reach = 0;
    let apart = axes.iter().all(|&(stride, n)| {
        let clear = stride > reach;
        reach += stride * (n - 1);
        clear
    });
    match apart || shape.contains(&0) {
        true => Ok(()),
        false => Err(Error::operands(
            "assign",
            format!(
                "a view of shape {shape:?} whose elements share memory can't be changed in place; use contiguous() first"
            ),
        )),
    }
}

/// Writes the elements of `value` (same dtype and shape) into `target`'s storage.
pub(crate) fn assign(target: &Tensor, value: &Tensor) -> Result<()> {
    let t = strided(target)?;
    let v = strided(value)?;
    check_apart(target.shape_hint(), &t.strides)?;
    // Elements that are both read and written are read first.
    let shared = Arc::ptr_eq(&t.storage, &v.storage);
    let copy = if shared { Some(copied(value)?) } else { None };
    let value = copy.as_ref().unwrap_or(value);
    if target.shape_hint().contains(&0) {
        return Ok(());
    }
    // Never waiting for one lock while holding the other: two assignments in opposite directions must not block.
    let (source, mut buffer) = loop {
        let source = Locked::new(Operand::Tensor(value))?;
        match t.storage.try_write() {
            Some(buffer) => break (source, buffer),
            None => drop(source),
        }
        std::thread::yield_now();
    };
    with_type!(target.dtype(), T => {
        let view = ViewMut::new(buffer.slice_mut::<T>(), t.offset, target.shape_hint(), &t.strides)
            .expect("bug in allotrope: a tensor reaches outside its storage, or its elements share memory");
        kernels::copy_into(view, full_view::<T>(&source));
    });
    Ok(())
}

/// A copy with its own storage.
pub(crate) fn copied(x: &Tensor) -> Result<Tensor> {
    let mut out = buffer_for(x.dtype(), numel(x.shape_hint()));
    let locked = Locked::new(Operand::Tensor(x))?;
    with_type!(x.dtype(), T => kernels::copy(full_view::<T>(&locked), out.slice_mut()));
    drop(locked);
    Ok(fresh(x.dtype(), x.shape_hint(), out))
}

/// All elements in row-major order.
pub(crate) fn elements<T: Element>(x: &Tensor) -> Result<Vec<T>> {
    let locked = Locked::new(Operand::Tensor(x))?;
    let mut out = vec![T::default(); numel(x.shape_hint())];
    kernels::copy(full_view::<T>(&locked), &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strides of the axes that have more than one element.
    fn moved(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Vec<isize>> {
        let strides = reshaped_strides(from, strides, to)?;
        Some(to.iter().zip(strides).filter(|(n, _)| **n > 1).map(|(_, s)| s).collect())
    }

    #[test]
    fn reshape_of_a_transposed_view_keeps_what_it_can() {
        // [2, 3] transposed to [3, 2] has strides [1, 3]: splitting an axis works, merging does not.
        assert_eq!(moved(&[3, 2], &[1, 3], &[3, 1, 2]), Some(vec![1, 3]));
        assert_eq!(moved(&[3, 2], &[1, 3], &[1, 3, 2, 1]), Some(vec![1, 3]));
        assert_eq!(moved(&[3, 2], &[1, 3], &[6]), None);
        assert_eq!(moved(&[3, 2], &[1, 3], &[2, 3]), None);
        assert_eq!(moved(&[4, 2], &[1, 4], &[2, 2, 2]), Some(vec![2, 1, 4]));
        // A repeated axis can't be merged with another one.
        assert_eq!(moved(&[2, 3], &[0, 1], &[6]), None);
    }
}
