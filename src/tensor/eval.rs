//! Evaluates one primitive eagerly: what looks at elements in another way is a view made here, and what computes elements
//! is done by the backend of the operands' device. Nothing is recorded on the tape, and operands have been checked by the
//! type rules.

use super::affine::Affine;
use super::handle::{Body, Strided, Tensor};
use super::operand::Operand;
use super::result_layout::{LayoutRule, outermost_first};
use super::size::Size;
use super::size::{hints, small};
use super::storage::{ReadGuard, Storage};
use super::strides::{Dims, Strides, contiguous_strides, is_contiguous, is_in_order, is_plain};
use super::tensor_type::TensorType;
use super::view_op::view_strides;
use crate::backend::FromElement;
use crate::backend::cpu::host;
use crate::backend::{self, Array, ArrayMut, Memory};
use crate::device::{Device, default_device};
use crate::error::{Error, Result};
use allotrope_ir::{Class, Contraction, DType, Elementwise, Leaf, Op, Scalar, View};
use smallvec::SmallVec;
use std::sync::Arc;

/// A tensor over memory that nothing else has, in row-major order.
pub(crate) fn fresh(device: Device, ty: TensorType, memory: Memory) -> Tensor {
    let strides = contiguous_strides(ty.shape());
    lying_in(device, memory, ty, strides)
}

/// As [`fresh`], where the strides of row-major order are known.
#[inline]
fn lying_in(device: Device, memory: Memory, ty: TensorType, strides: Strides) -> Tensor {
    let body = Strided { storage: Arc::new(Storage::new(device, memory)), strides, offset: 0 };
    Tensor::from_parts(ty, Body::Strided(body))
}

/// A tensor whose elements are to be written.
///
/// # Errors
/// When there is no memory for it.
pub(crate) fn empty(device: Device, ty: TensorType) -> Result<Tensor> {
    let memory = allocate(device, &ty)?;
    Ok(fresh(device, ty, memory))
}

/// Memory for the elements of a tensor.
///
/// # Errors
/// When there is none.
pub(crate) fn allocate(device: Device, ty: &TensorType) -> Result<Memory> {
    backend::of(device).allocate(ty.dtype(), ty.numel()).map_err(|e| e.for_tensor(ty.dtype(), ty.shape()))
}

/// That there is memory for so many tensors, beside their elements.
///
/// # Errors
/// When there is not.
pub(crate) fn affords(tensors: usize) -> Result<()> {
    // About, with what a view and a node of the tape take.
    const EACH: usize = 512;
    host::affords(tensors.saturating_mul(EACH), || format!("{tensors} tensors"))
}

/// The elements of a tensor with storage; an error for a value that leaked out of a trace.
pub(crate) fn strided(t: &Tensor) -> Result<&Strided> {
    t.strided().ok_or_else(|| {
        Error::trace(
            "a value of a trace was used after the trace had ended, or on another thread; return it from the closure instead",
        )
    })
}

/// The elements of `t` in memory that is locked.
fn array<'a>(t: &'a Tensor, s: &'a Strided, memory: &'a Memory) -> Array<'a> {
    Array { memory, dtype: t.dtype(), offset: s.offset, shape: t.shape_hint(), strides: &s.strides }
}

/// A tensor over another view of the same storage.
///
/// # Errors
/// When no tensor can have this shape.
fn reviewed(x: &Tensor, s: &Strided, shape: Dims, strides: Strides, offset: usize) -> Result<Tensor> {
    Ok(seen_as(TensorType::new(x.dtype(), shape)?, s, strides, offset))
}

/// As [`reviewed`], of a type that is known to exist.
fn seen_as(ty: TensorType, s: &Strided, strides: Strides, offset: usize) -> Tensor {
    Tensor::from_parts(ty, Body::Strided(Strided { storage: s.storage.clone(), strides, offset }))
}

/// Elements at equal distances, as a view.
pub(crate) fn affine(x: &Tensor, affine: &Affine) -> Result<Tensor> {
    let s = strided(x)?;
    let ((strides, skip), shape) = (affine.strides(&s.strides), hints(&affine.sizes));
    let offset = if shape.contains(&0) { s.offset } else { (s.offset as isize + skip) as usize };
    reviewed(x, s, shape, strides, offset)
}

/// So many elements of the storage of `x` from this one on, as one axis.
pub(crate) fn memory_around(x: &Tensor, begin: usize, len: usize) -> Result<Tensor> {
    reviewed(x, strided(x)?, Dims::from_slice(&[len]), Strides::from_slice(&[1]), begin)
}

/// The number of elements in the storage of `x`, and the place of its first one there.
pub(crate) fn place_in_storage(x: &Tensor) -> Result<(usize, usize)> {
    let s = strided(x)?;
    Ok((s.storage.read().bytes() / x.dtype().size(), s.offset))
}

/// Computes a primitive whose result has a type that follows from the operands without asking the rules, as `ops` has checked,
/// promoted and broadcast them; none where it is another primitive.
#[inline]
pub(crate) fn settled(op: &Op<Size>, operands: &[Operand<'_>]) -> Option<Result<Tensor>> {
    let tensor = |i: usize| match operands[i] {
        Operand::Tensor(x) => x,
        Operand::Scalar(_) => unreachable!("bug in allotrope: views and products are of tensors"),
    };
    let (view, shape) = match op.class() {
        Class::Elementwise(e) => return Some(elementwise(e, operands)),
        Class::View(view) => match view {
            View::Broadcast(shape) | View::Reshape(shape) => (view, hints(shape)),
            View::Permute(axes) => (view, small(axes, |a| tensor(0).shape_hint()[a])),
            View::Slice { axis, len, .. } => {
                let mut shape = Dims::from_slice(tensor(0).shape_hint());
                shape[axis] = len.hint();
                (view, shape)
            }
            View::Flip(_) | View::Window { .. } => return None,
        },
        Class::Contraction(Contraction::Matmul) => {
            let (a, b) = (tensor(0), tensor(1));
            let mut shape = Dims::from_slice(a.shape_hint());
            let last = shape.len() - 1;
            shape[last] = b.shape_hint()[last];
            return Some(compute(&Op::Matmul, operands, a.dtype(), &shape));
        }
        Class::Contraction(Contraction::AddMatmul)
        | Class::Leaf(_)
        | Class::Reduction(..)
        | Class::Axis(_)
        | Class::Check(_)
        | Class::Barrier(_)
        | Class::Loop(_)
        | Class::Fusion(_) => return None,
    };
    Some(moved(view, tensor(0), shape))
}

/// Computes `op`, for which the type rules gave this dtype and these sizes.
pub(crate) fn eval(op: &Op<Size>, operands: &[Operand<'_>], dtype: DType, sizes: &[Size]) -> Result<Tensor> {
    let shape = hints(sizes);
    let tensor = |i: usize| match operands[i] {
        Operand::Tensor(t) => t,
        Operand::Scalar(_) => unreachable!("bug in allotrope: operand {i} of {} is a number", op.name()),
    };
    let by_backend = || compute(&op.map_dims(&mut |n| n.hint()), operands, dtype, &shape);
    match op.class() {
        Class::Elementwise(e) => elementwise(e, operands),
        Class::View(view) => match view {
            View::Broadcast(_) | View::Reshape(_) | View::Permute(_) | View::Slice { .. } => {
                moved(view, tensor(0), shape)
            }
            View::Window { .. } => moved(view, tensor(0), shape),
            View::Flip(axes) => flipped(tensor(0), axes),
        },
        Class::Leaf(leaf) => match leaf {
            Leaf::Const(s) => full(&[], s),
            Leaf::Extent(n) => full(&[], Scalar::I64(n.hint() as i64)),
            Leaf::Iota(_) => by_backend(),
            Leaf::Input => unreachable!("bug in allotrope: an input is given"),
        },
        Class::Reduction(..) | Class::Contraction(Contraction::Matmul) | Class::Axis(_) => by_backend(),
        Class::Check(message) => match elements::<bool>(tensor(1))?[0] {
            // A handle of its own: the operand's history stays as it is.
            true => Ok(tensor(0).same_elements()),
            false => Err(Error::argument(message)),
        },
        Class::Contraction(Contraction::AddMatmul) | Class::Loop(_) | Class::Fusion(_) | Class::Barrier(_) => {
            unreachable!("bug in allotrope: {} is made by captures only", op.name())
        }
    }
}

/// Computes an elementwise primitive: operands have one shape, and the dtypes that it asks for. The result lies as
/// [`result_layout`] says.
#[inline]
fn elementwise(op: Elementwise, operands: &[Operand<'_>]) -> Result<Tensor> {
    let source = |x: &Operand<'_>| match x {
        Operand::Tensor(t) => t.dtype(),
        Operand::Scalar(s) => s.dtype(),
    };
    let last = operands.last().expect("elementwise primitives have operands");
    // Small tensors feel what mapping the dimensions of any primitive costs; these have none.
    let (plain, dtype) = match op {
        Elementwise::Unary(u) => (Op::Unary(u), source(last)),
        Elementwise::Binary(b) => (Op::Binary(b), source(last)),
        Elementwise::Compare(c) => (Op::Compare(c), DType::Bool),
        Elementwise::Select => (Op::Select, source(last)),
        Elementwise::Cast(to) => (Op::Cast(to), to),
    };
    if let Some((x, s)) = in_order(operands) {
        return computed(&plain, operands, x.ty().in_dtype(dtype)?, small(&s.strides, |s| s));
    }
    let shape = operands.iter().find_map(|x| match x {
        Operand::Tensor(t) => Some(t.shape_hint()),
        Operand::Scalar(_) => None,
    });
    let shape = shape.unwrap_or(&[]);
    let rule = match op {
        Elementwise::Cast(_) => LayoutRule::Preserved,
        Elementwise::Unary(_) | Elementwise::Binary(_) | Elementwise::Compare(_) | Elementwise::Select => {
            LayoutRule::Elementwise
        }
    };
    let laid_out = rule.strides(shape, operands.iter().map(Operand::laid_out));
    match laid_out {
        None => compute(&plain, operands, dtype, shape),
        Some(strides) => turned(&plain, operands, dtype, shape, strides),
    }
}

/// The first tensor among operands of one shape, where each lies in row-major order, as nearly all that programs compute does:
/// the result lies as it does.
#[inline]
fn in_order<'a>(operands: &[Operand<'a>]) -> Option<(&'a Tensor, &'a Strided)> {
    let mut first = None;
    for x in operands {
        if let Operand::Tensor(t) = *x {
            let s = t.strided()?;
            if !is_plain(t.shape_hint(), &s.strides) {
                return None;
            }
            first = first.or(Some((t, s)));
        }
    }
    first
}

/// Computes an elementwise primitive in the order in which its result lies, so that backends only write row-major order.
#[inline(never)]
fn turned(op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize], strides: Strides) -> Result<Tensor> {
    let axes = outermost_first(shape, &strides);
    let mut views: SmallVec<[Option<Tensor>; 3]> = SmallVec::new();
    for x in operands {
        views.push(match x {
            Operand::Tensor(t) => Some(permuted(t, &axes)?),
            Operand::Scalar(_) => None,
        });
    }
    let mut all: SmallVec<[Operand<'_>; 3]> = SmallVec::from_slice(operands);
    for (x, view) in all.iter_mut().zip(&views) {
        if let Some(view) = view {
            *x = Operand::Tensor(view);
        }
    }
    let result = compute(op, &all, dtype, &small(&axes, |a| shape[a]))?;
    let s = strided(&result)?;
    reviewed(&result, s, Dims::from_slice(shape), strides, 0)
}

/// `x` with its axes in this order.
fn permuted(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let s = strided(x)?;
    reviewed(x, s, small(axes, |a| x.shape_hint()[a]), small(axes, |a| s.strides[a]), s.offset)
}

/// Has the backend compute the elements of `op`.
fn compute(op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Tensor> {
    computed(op, operands, TensorType::of(dtype, shape)?, contiguous_strides(shape))
}

/// As [`compute`], of a type that is known to exist; the strides are those of row-major order.
fn computed(op: &Op<usize>, operands: &[Operand<'_>], ty: TensorType, strides: Strides) -> Result<Tensor> {
    let compute = |device, given: &[backend::Operand<'_>]| {
        let memory = backend::compute(device, op, given, ty.dtype(), ty.shape());
        memory.map(|memory| (device, memory)).map_err(|e| e.for_tensor(ty.dtype(), ty.shape()))
    };
    // Small tensors feel what lists of any length cost.
    let (device, memory) = match operands {
        [a] => {
            let x = Stored::of(a)?;
            let device = x.device().unwrap_or_else(default_device);
            let held = x.lock();
            compute(device, &[x.given(&held)])?
        }
        [a, b] => {
            let (x, y) = (Stored::of(a)?, Stored::of(b)?);
            let device = one_device(op, x.device(), y.device())?.unwrap_or_else(default_device);
            let held = (x.lock(), y.lock());
            compute(device, &[x.given(&held.0), y.given(&held.1)])?
        }
        _ => {
            let all: SmallVec<[_; 3]> = operands.iter().map(Stored::of).collect::<Result<_>>()?;
            let device = all.iter().try_fold(None, |device, x| one_device(op, device, x.device()))?;
            let device = device.unwrap_or_else(default_device);
            let held: SmallVec<[_; 3]> = all.iter().map(|x| x.lock()).collect();
            let given: SmallVec<[_; 3]> = all.iter().zip(&held).map(|(x, held)| x.given(held)).collect();
            compute(device, &given)?
        }
    };
    Ok(lying_in(device, memory, ty, strides))
}

/// An operand that has its elements: in storage, or as a number.
#[derive(Copy, Clone)]
enum Stored<'a> {
    Tensor(&'a Tensor, &'a Strided),
    Number(Scalar),
}

impl<'a> Stored<'a> {
    /// # Errors
    /// For a value that leaked out of a trace.
    #[inline]
    fn of(x: &Operand<'a>) -> Result<Stored<'a>> {
        Ok(match x {
            Operand::Tensor(t) => Stored::Tensor(t, strided(t)?),
            Operand::Scalar(s) => Stored::Number(*s),
        })
    }

    /// Where it is; numbers are everywhere.
    #[inline]
    fn device(self) -> Option<Device> {
        match self {
            Stored::Tensor(_, s) => Some(s.storage.device()),
            Stored::Number(_) => None,
        }
    }

    /// Its memory, locked for reading.
    #[inline]
    fn lock(self) -> Option<ReadGuard<'a, Memory>> {
        match self {
            Stored::Tensor(_, s) => Some(s.storage.read()),
            Stored::Number(_) => None,
        }
    }

    /// As a backend takes it; `held` is its memory.
    #[inline]
    fn given<'b>(self, held: &'b Option<ReadGuard<'_, Memory>>) -> backend::Operand<'b>
    where
        'a: 'b,
    {
        match (self, held) {
            (Stored::Tensor(t, s), Some(memory)) => backend::Operand::Array(array(t, s, memory)),
            (Stored::Number(s), _) => backend::Operand::Number(s),
            (Stored::Tensor(..), None) => unreachable!("bug in allotrope: an operand was not locked"),
        }
    }
}

/// The device of both, where either has one.
///
/// # Errors
/// When they are on two.
#[inline]
fn one_device(op: &Op<usize>, a: Option<Device>, b: Option<Device>) -> Result<Option<Device>> {
    if let (Some(a), Some(b)) = (a, b)
        && a != b
    {
        return Err(two_devices(op.name(), a, b));
    }
    Ok(a.or(b))
}

/// That an operation has its operands on one device.
///
/// # Errors
/// When they are on two.
#[inline]
pub(crate) fn same_device(op: &'static str, a: Device, b: Device) -> Result<()> {
    if a == b { Ok(()) } else { Err(two_devices(op, a, b)) }
}

#[cold]
fn two_devices(op: &'static str, a: Device, b: Device) -> Error {
    Error::devices(op, [a, b])
}

/// The same numbers in another dtype.
pub(crate) fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    elementwise(Elementwise::Cast(dtype), &[Operand::Tensor(x)])
}

/// A tensor full of one number, on the device that this thread makes tensors on.
pub(crate) fn full(shape: &[usize], value: Scalar) -> Result<Tensor> {
    full_on(default_device(), shape, value)
}

/// A tensor full of one number.
pub(crate) fn full_on(device: Device, shape: &[usize], value: Scalar) -> Result<Tensor> {
    let ty = TensorType::of(value.dtype(), shape)?;
    let memory = backend::of(device).full(value, ty.numel()).map_err(|e| e.for_tensor(ty.dtype(), shape))?;
    Ok(fresh(device, ty, memory))
}

fn flipped(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let (s, shape) = (strided(x)?, x.shape_hint());
    let mut strides = s.strides.clone();
    let mut offset = s.offset as isize;
    for &a in axes {
        // Wrapping: axes of one element, and tensors without any, may have strides that lead nowhere.
        offset = offset.wrapping_add((shape[a] as isize - 1).max(0).wrapping_mul(strides[a]));
        strides[a] = strides[a].wrapping_neg();
    }
    let offset = if shape.contains(&0) { s.offset } else { offset as usize };
    let seen = reviewed(x, s, shape.into(), strides, offset)?;
    copied_in(&seen, LayoutRule::Preserved.strides(shape, std::iter::once(Some(&s.strides[..]))))
}

fn moved(view: View<'_, Size>, x: &Tensor, shape: Dims) -> Result<Tensor> {
    let s = strided(x)?;
    // Before strides are made of the sizes.
    let ty = TensorType::new(x.dtype(), shape)?;
    let Some(strides) = view_strides(view, x.shape_hint(), &s.strides, ty.shape()) else {
        let dense = contiguous(x)?;
        let s = strided(&dense)?;
        let strides = contiguous_strides(ty.shape());
        return Ok(seen_as(ty, s, strides, s.offset));
    };
    let skip = match view {
        View::Slice { axis, start, .. } if !ty.shape().contains(&0) => start.hint() as isize * s.strides[axis],
        View::Slice { .. } | View::Broadcast(_) | View::Reshape(_) | View::Permute(_) => 0,
        View::Flip(_) | View::Window { .. } => 0,
    };
    let offset = (s.offset as isize + skip) as usize;
    Ok(seen_as(ty, s, strides, offset))
}

/// The same elements in row-major order: the tensor itself where it is so already.
pub(crate) fn contiguous(x: &Tensor) -> Result<Tensor> {
    let s = strided(x)?;
    match is_contiguous(x.shape_hint(), &s.strides) {
        true => Ok(x.clone()),
        false => copied(x),
    }
}

/// The element `t` along the first axis, as a view.
pub(crate) fn element(x: &Tensor, t: usize) -> Result<Tensor> {
    let s = strided(x)?;
    let shape = Dims::from_slice(&x.shape_hint()[1..]);
    let offset = if shape.contains(&0) { s.offset } else { (s.offset as isize + t as isize * s.strides[0]) as usize };
    reviewed(x, s, shape, Strides::from_slice(&s.strides[1..]), offset)
}

/// Tensors of one dtype and shape along a new first axis.
pub(crate) fn stacked(rows: &[Tensor]) -> Result<Tensor> {
    let first = &rows[0];
    let (device, dtype, inner) = (strided(first)?.storage.device(), first.dtype(), first.shape_hint());
    let (n, strides) = (first.ty().numel(), contiguous_strides(inner));
    let mut shape = Dims::from_slice(&[rows.len()]);
    shape.extend_from_slice(inner);
    let ty = TensorType::new(dtype, shape)?;
    let backend = backend::of(device);
    let mut memory = allocate(device, &ty)?;
    for (i, row) in rows.iter().enumerate() {
        let s = strided(row)?;
        same_device("stack", device, s.storage.device())?;
        let to = ArrayMut { memory: &mut memory, dtype, offset: i * n, shape: inner, strides: &strides };
        backend.copy(array(row, s, &s.storage.read()), to)?;
    }
    Ok(fresh(device, ty, memory))
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
        reach = stride.saturating_mul(n - 1).saturating_add(reach);
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
    same_device("assign", t.storage.device(), v.storage.device())?;
    check_apart(target.shape_hint(), &t.strides)?;
    // Elements that are both read and written are read first.
    let shared = Arc::ptr_eq(&t.storage, &v.storage);
    let copy = if shared { Some(copied(value)?) } else { None };
    let value = copy.as_ref().unwrap_or(value);
    let v = strided(value)?;
    // Never waiting for one lock while holding the other: two assignments in opposite directions must not block.
    let (source, mut memory) = loop {
        let source = v.storage.read();
        match t.storage.try_write() {
            Some(memory) => break (source, memory),
            None => drop(source),
        }
        std::thread::yield_now();
    };
    let (dtype, shape) = (target.dtype(), target.shape_hint());
    let to = ArrayMut { memory: &mut memory, dtype, offset: t.offset, shape, strides: &t.strides };
    backend::of(t.storage.device()).copy(array(value, v, &source), to)
}

/// As [`assign`], where elements that an axis repeats get equal ones.
pub(crate) fn assign_alike(target: &Tensor, value: &Tensor) -> Result<()> {
    let t = strided(target)?;
    if !t.strides.iter().zip(target.shape_hint()).any(|(&s, &n)| s == 0 && n > 1) {
        return assign(target, value);
    }
    let shape = || t.strides.iter().zip(target.shape_hint()).map(|(&s, &n)| if s == 0 { n.min(1) } else { n });
    let first = |x: &Tensor| {
        let s = strided(x)?;
        reviewed(x, s, shape().collect(), s.strides.clone(), s.offset)
    };
    assign(&first(target)?, &first(value)?)
}

/// A copy with its own storage, on the same device, in row-major order.
pub(crate) fn copied(x: &Tensor) -> Result<Tensor> {
    let (s, dtype, shape) = (strided(x)?, x.dtype(), x.shape_hint());
    let device = s.storage.device();
    let backend = backend::of(device);
    let strides = contiguous_strides(shape);
    let mut memory = allocate(device, x.ty())?;
    let to = ArrayMut { memory: &mut memory, dtype, offset: 0, shape, strides: &strides };
    backend.copy(array(x, s, &s.storage.read()), to)?;
    Ok(fresh(device, x.ty().clone(), memory))
}

/// As [`copied`], with these strides, which leave no gaps. None stands for row-major order.
pub(crate) fn copied_in(x: &Tensor, strides: Option<Strides>) -> Result<Tensor> {
    let Some(strides) = strides else { return copied(x) };
    let axes = outermost_first(x.shape_hint(), &strides);
    let copy = copied(&permuted(x, &axes)?)?;
    reviewed(&copy, strided(&copy)?, Dims::from_slice(x.shape_hint()), strides, 0)
}

/// The tensor with these strides, which leave no gaps, unless it has them. None stands for row-major order.
pub(crate) fn laid_out(x: &Tensor, strides: Option<Strides>) -> Result<Option<Tensor>> {
    let (s, shape) = (strided(x)?, x.shape_hint());
    if !lies(shape, &s.strides, strides.as_deref()) {
        return copied_in(x, strides).map(Some);
    }
    let strides = strides.unwrap_or_else(|| contiguous_strides(shape));
    // Axes along which nothing goes have these strides, too.
    Ok((strides != s.strides).then(|| seen_as(x.ty().clone(), s, strides, s.offset)))
}

/// `x`, whose memory has the axes of a result in this order (none: as they are), as that result. Its strides are these, unless
/// they are those of another order.
pub(crate) fn lying(x: &Tensor, axes: &[usize], strides: &[isize]) -> Result<Tensor> {
    let (s, from) = (strided(x)?, x.shape_hint());
    let axes: SmallVec<[usize; 4]> = if axes.is_empty() { (0..from.len()).collect() } else { axes.into() };
    let (mut shape, mut plain) = (Dims::from_slice(from), s.strides.clone());
    for (i, &a) in axes.iter().enumerate() {
        (shape[a], plain[a]) = (from[i], s.strides[i]);
    }
    let strides = match strides.len() == axes.len() && is_in_order(&shape, strides, &axes) {
        true => Strides::from_slice(strides),
        false => plain,
    };
    reviewed(x, s, shape, strides, s.offset)
}

/// The memory of `x`, which is as large as a tensor of this type, as one in row-major order.
pub(crate) fn memory_of(x: &Tensor, ty: TensorType) -> Result<Tensor> {
    let strides = contiguous_strides(ty.shape());
    Ok(seen_as(ty, strided(x)?, strides, 0))
}

/// Whether strides are these, for which none stands for row-major order; along axes of one element any do.
pub(crate) fn lies(shape: &[usize], strides: &[isize], wanted: Option<&[isize]>) -> bool {
    match wanted {
        Some(wanted) => (0..shape.len()).all(|a| shape[a] == 1 || strides[a] == wanted[a]),
        None => is_contiguous(shape, strides),
    }
}

/// The elements in the memory of another device, in row-major order; the tensor itself where it is there already.
pub(crate) fn transferred(x: &Tensor, device: Device) -> Result<Tensor> {
    if strided(x)?.storage.device() == device {
        return Ok(x.clone());
    }
    let dense = contiguous(x)?;
    let (s, dtype) = (strided(&dense)?, x.dtype());
    let held = s.storage.read();
    let at = s.offset * dtype.size()..(s.offset + x.ty().numel()) * dtype.size();
    let bytes = backend::of(s.storage.device()).download(&held, at)?;
    let memory = backend::of(device).upload(dtype, &bytes).map_err(|e| e.for_tensor(dtype, x.shape_hint()))?;
    Ok(fresh(device, x.ty().clone(), memory))
}

/// All elements in row-major order.
pub(crate) fn elements<T: FromElement>(x: &Tensor) -> Result<Vec<T>> {
    let here = transferred(x, Device::Cpu)?;
    let s = strided(&here)?;
    let held = s.storage.read();
    host::elements(array(&here, s, &held)).map_err(|e| e.for_tensor(x.dtype(), x.shape_hint()))
}
