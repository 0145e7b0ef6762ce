//! What the functions of this folder share: reductions of losses, windows of an axis by index, and axes that become
//! numbers. Nothing here is public but [`Reduction`].

use crate::autograd::is_grad_enabled;
use crate::device;
use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::sizes::specialize;
use crate::mode::values::full_of;
use crate::ops::arg::{Arg, result_dtype};
use crate::ops::results::unlinked;
use crate::ops::{gather, movement, window};
use crate::tensor::{Dims, Size, Sizes, Tensor, TensorType};
use allotrope_ir::{DType, Op, Scalar};
use smallvec::smallvec;

/// What becomes of the losses of the elements.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Reduction {
    /// Their mean; a weighted mean where the classes have weights.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// They stay as they are.
    None,
}

impl Reduction {
    pub(super) fn of(self, losses: &Tensor) -> Result<Tensor> {
        match self {
            Reduction::Mean => losses.try_mean(),
            Reduction::Sum => losses.try_sum(),
            Reduction::None => Ok(losses.clone()),
        }
    }
}

/// An error that names the two shapes, unless they are one.
pub(super) fn same_shapes(op: &'static str, input: &Tensor, target: &Tensor) -> Result<()> {
    match input.same_shape(target) {
        true => Ok(()),
        false => Err(Error::operands(
            op,
            format!("input {:?} and target {:?} must have one shape", input.shape_hint(), target.shape_hint()),
        )),
    }
}

/// An error unless the dtype is a float.
pub(super) fn demand_float(op: &'static str, x: &Tensor) -> Result<()> {
    match x.dtype().is_float() {
        true => Ok(()),
        false => Err(Error::operands(op, format!("not defined for {}; use to(DType::F32) first", x.dtype()))),
    }
}

/// Tensors of several dtypes as they are computed with, and the dtype that PyTorch promotes them to: halves are computed in f32,
/// integers beside floats as those. Shapes are left to broadcasting.
pub(super) fn promoted<const N: usize>(tensors: [&Tensor; N]) -> Result<([Tensor; N], DType)> {
    let dtype = result_dtype(&tensors.map(Arg::Tensor));
    let wide = if dtype.is_half() { DType::F32 } else { dtype };
    let mut all = tensors.map(Tensor::clone);
    for t in &mut all {
        *t = t.try_to(wide)?;
    }
    Ok((all, dtype))
}

/// An error where one is bool, of which there are no differences, and which PyTorch's loops over elements leave out.
pub(super) fn no_bool(op: &'static str, tensors: &[&Tensor]) -> Result<()> {
    match tensors.iter().any(|t| t.dtype() == DType::Bool) {
        true => Err(Error::operands(op, "not defined for bool; use to(DType::F32) first")),
        false => Ok(()),
    }
}

/// An error where a weight requires a gradient, which there is none of.
pub(super) fn no_gradient(op: &'static str, weight: Option<&Tensor>) -> Result<()> {
    match weight {
        Some(w) if w.is_requires_grad() && is_grad_enabled() => {
            Err(Error::operands(op, "there is no gradient of a weight; detach() it"))
        }
        _ => Ok(()),
    }
}

/// An error unless both have one dtype.
pub(super) fn same_dtypes(op: &'static str, input: &Tensor, other: &Tensor) -> Result<()> {
    let (a, b) = (input.dtype(), other.dtype());
    if a == b { Ok(()) } else { Err(Error::operands(op, format!("all must have one dtype, got {a} and {b}"))) }
}

/// An error unless the weights of the classes, where there are some, are of the input's dtype and without gradient.
pub(super) fn class_weight(op: &'static str, input: &Tensor, weight: Option<&Tensor>) -> Result<()> {
    no_gradient(op, weight)?;
    weight.map_or(Ok(()), |w| same_dtypes(op, input, w))
}

/// Composites of many operations compute halves in f32 and round once: `x` as it is computed with, and the dtype to go back
/// to.
pub(super) fn widened(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_half() { x.try_to(DType::F32) } else { Ok(x.clone()) }
}

/// The sizes as numbers, in this call and every call of the same variant.
#[track_caller]
pub(super) fn numbers(sizes: &[Size], why: &str) -> Vec<usize> {
    specialize(sizes, why);
    sizes.iter().map(|s| s.hint()).collect()
}

/// 0, 1, …, n-1 as i64, where n may be symbolic.
pub(super) fn iota(n: Size) -> Result<Tensor> {
    apply(&Op::Iota(n), &[])
}

/// That there can be a tensor like `x` with these sizes in the axes from `first` on, before anything is made for it.
///
/// # Errors
/// When there can be none.
pub(super) fn can_exist(x: &Tensor, first: usize, sizes: &[usize]) -> Result<()> {
    let mut shape = Dims::from_slice(x.shape_hint());
    shape[first..first + sizes.len()].copy_from_slice(sizes);
    TensorType::new(x.dtype(), shape).map(drop)
}

/// 1 for every axis but `axis`, which is `n`.
pub(super) fn along(rank: usize, axis: usize, n: usize) -> Vec<isize> {
    let mut shape = vec![1; rank];
    shape[axis] = n as isize;
    shape
}

/// The elements of one axis at the places that an index of one axis, whose values lie in it, names.
pub(super) fn take(x: &Tensor, axis: usize, index: &Tensor) -> Result<Tensor> {
    let n = index.sizes()[0];
    let mut lined: Sizes = smallvec![Size::from(1); x.dim()];
    lined[axis] = n;
    let mut sizes = x.sizes();
    sizes[axis] = n;
    gather::gather(x, &index.reshape_sizes(&lined)?.expand_sizes(&sizes)?, axis)
}

/// `x` with `before` and `after` elements of `value` put to an axis.
pub(super) fn pad_axis(x: &Tensor, axis: usize, before: usize, after: usize, value: Scalar) -> Result<Tensor> {
    if before == 0 && after == 0 {
        return Ok(x.clone());
    }
    can_exist(x, axis, &[x.shape_hint()[axis].saturating_add(before).saturating_add(after)])?;
    let _entered = device::enter(x.device());
    let full = |n: usize| {
        let mut sizes = x.sizes();
        sizes[axis] = Size::from(n);
        full_of(&sizes, value)
    };
    let (head, tail) = (full(before)?, full(after)?);
    match (before, after) {
        (0, _) => movement::concat(&[x, &tail], axis),
        (_, 0) => movement::concat(&[&head, x], axis),
        _ => movement::concat(&[&head, x, &tail], axis),
    }
}

/// The least number of a dtype: no maximum is smaller.
pub(super) fn lowest(dtype: DType) -> Scalar {
    match dtype {
        DType::I64 => Scalar::I64(i64::MIN),
        DType::I32 => Scalar::I32(i32::MIN),
        DType::U8 => Scalar::U8(0),
        DType::Bool => Scalar::Bool(false),
        _ => Scalar::from_f64(f64::NEG_INFINITY, dtype),
    }
}

/// Windows of an axis, `step` elements apart, as a new last axis.
pub(super) fn windows(
    op: &'static str,
    x: &Tensor,
    axis: usize,
    size: usize,
    step: usize,
    dilation: usize,
) -> Result<Tensor> {
    let windows = window::WindowSpec { axis, size: Size::from(size), step, dilation };
    let count = windows.count(op, x.sizes()[axis])?;
    window::window(x, count, windows)
}

/// Adds the axis of the batch to one sample, where `x` has one axis less than `rank`; also whether it did.
pub(super) fn with_batch(op: &'static str, x: &Tensor, rank: usize) -> Result<(Tensor, bool)> {
    match x.dim() {
        n if n == rank => Ok((x.clone(), false)),
        n if n + 1 == rank => Ok((x.try_unsqueeze(0)?, true)),
        _ => Err(Error::operands(
            op,
            format!("the input must have {rank} axes, or {} without a batch, got {:?}", rank - 1, x.shape_hint()),
        )),
    }
}

/// Without the axis of the batch, where [`with_batch`] added it.
pub(super) fn without_batch(x: &Tensor, added: bool) -> Result<Tensor> {
    if !added {
        return Ok(x.clone());
    }
    Ok(unlinked(&x.reshape_as_node("SqueezeBackward1", &x.sizes()[1..])?))
}
