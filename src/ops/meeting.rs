//! Changes of elements that share memory, as those of expanded tensors and of overlapping windows do: what is written goes to places
//! of the memory, one after the other, as in PyTorch. It makes no history, and which operations may do so is for them to say.

use super::gather::scatter;
use super::movement::{concat, iota, narrow, take};
use super::reduce::size_tensor;
use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::sizes::{all_same, at_most, numel};
use crate::mode::values::full_of;
use crate::tensor::handle::Link;
use crate::tensor::strides::is_contiguous;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Tensor, eval, span};
use allotrope_ir::{Class, DType, Op, Scalar, ScatterOp, View};
use std::sync::Arc;

/// What is written, into a vector of memory, at the places in it (`i64`) where the elements of the changed tensor lie.
pub(super) type Write<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Result<Tensor>;

/// What becomes of elements that share memory.
#[derive(Copy, Clone)]
pub(super) enum Meeting<'a> {
    /// They may not be changed.
    Refused,
    /// All that meet in one place get the same.
    Alike,
    /// What is written there says so.
    Written(Write<'a>),
}

impl Meeting<'_> {
    /// Whether elements of an eager tensor meet, and may.
    pub(super) fn is_of(self, target: &Tensor) -> bool {
        match self {
            Meeting::Refused => false,
            Meeting::Alike | Meeting::Written(_) => meet(target),
        }
    }

    /// Whether no gradient flows through the changed elements to what they were before.
    pub(super) fn has_no_derivative(self, target: &Tensor) -> bool {
        match self {
            Meeting::Refused => false,
            Meeting::Alike => repeats(target),
            Meeting::Written(_) => repeats(target) || meet(target),
        }
    }
}

/// Whether elements share memory, in this call.
fn meet(x: &Tensor) -> bool {
    let (shape, strides) = (x.shape_hint(), x.laid_out());
    !is_contiguous(shape, strides) && eval::check_apart(shape, strides).is_err()
}

/// Whether elements are repeated along an axis, as those of expanded tensors are; a trace holds for calls with the same answer.
pub(super) fn repeats(x: &Tensor) -> bool {
    if mode::is_recording()
        && let Some(view) = x.view_of()
    {
        for step in view.path.steps() {
            if let ViewOp::Primitive(Op::Broadcast(sizes)) = &step.op {
                let own = &sizes[sizes.len() - step.from.len()..];
                for (&before, &after) in step.from.iter().zip(own) {
                    before.equals(after);
                }
            }
        }
    }
    x.shape_hint().iter().zip(x.laid_out()).any(|(&n, &stride)| n > 1 && stride == 0)
}

/// Whether windows never show one place twice.
pub(super) fn windows_are_apart(count: Size, size: Size, step: usize, dilation: usize) -> bool {
    step > dilation * (size.hint().max(1) - 1) || at_most(count, Size::from(1))
}

/// Whether a view along this path may show one place twice.
pub(super) fn may_meet(path: &Arc<Link>) -> bool {
    path.steps().iter().any(|step| {
        let op = match &step.op {
            ViewOp::Affine(affine) => return !affine.is_apart,
            ViewOp::Select { .. } | ViewOp::Memory { .. } => return false,
            ViewOp::Primitive(op) => op,
        };
        let Class::View(view) = op.class() else { unreachable!("bug in allotrope: {} is no view", op.name()) };
        match view {
            View::Broadcast(sizes) => !all_same(&step.from, sizes),
            View::Window { count, size, step, dilation, .. } => !windows_are_apart(*count, *size, step, dilation),
            View::Reshape(_) | View::Permute(_) | View::Slice { .. } | View::Flip(_) => false,
        }
    })
}

/// Changes an eager tensor whose elements meet.
///
/// # Errors
/// When they may not, and as what is written fails.
pub(super) fn write(target: &Tensor, value: &Tensor, meeting: Meeting<'_>) -> Result<()> {
    let by = |by: Write<'_>| {
        let memory = span::of(target)?;
        let places = span::seen_as(&iota(memory.sizes()[0])?, target)?;
        eval::assign(&memory, &by(&memory, &places)?)
    };
    match meeting {
        Meeting::Refused => eval::assign(target, value),
        // Expanded tensors need no places.
        Meeting::Alike => eval::assign_alike(target, value)
            .or_else(|_| by(&|memory, places| put_where(ScatterOp::Set, memory, places, None, value))),
        Meeting::Written(write) => by(write),
    }
}

/// `root` with what is written, seen along the path.
///
/// # Errors
/// As what is written fails.
pub(super) fn written(root: &Tensor, path: &Arc<Link>, by: Write<'_>) -> Result<Tensor> {
    if path.steps().iter().any(|step| matches!(step.op, ViewOp::Memory { .. })) {
        return Err(Error::trace(
            "elements that share memory would be changed one after the other, and some lie between those of a tensor; change the tensor whose memory it is",
        ));
    }
    let own = root.sizes();
    let n = numel(&own);
    let places = take(&iota(n)?.reshape_sizes(&own)?, path)?;
    by(&root.detach().reshape_sizes(&[n])?, &places)?.reshape_sizes(&own)
}

/// `root` with the value, all elements of which that meet are equal, put along the path.
///
/// # Errors
/// As [`written`].
pub(super) fn filled(root: &Tensor, path: &Arc<Link>, value: &Tensor) -> Result<Tensor> {
    written(root, path, &|memory, places| put_where(ScatterOp::Set, memory, places, None, &value.detach()))
}

/// `g` with zeros along the path; none where no elements meet there, for which there are simpler ways.
///
/// # Errors
/// As [`written`].
pub(super) fn without(g: &Tensor, path: &Arc<Link>) -> Result<Option<Tensor>> {
    if !may_meet(path) {
        return Ok(None);
    }
    let kept = no_grad(|| {
        let ones = full_of(&g.sizes(), Scalar::Bool(true))?;
        filled(&ones, path, &full_of(&[], Scalar::Bool(false))?)
    })?;
    g.try_where_self(&kept, 0.0).map(Some)
}

/// A vector of memory with the values, repeated, put or added at those of the places where `hit` holds: at all of them without one.
///
/// # Errors
/// When the values do not broadcast to the places.
pub(super) fn put_where(
    how: ScatterOp,
    memory: &Tensor,
    places: &Tensor,
    hit: Option<&Tensor>,
    values: &Tensor,
) -> Result<Tensor> {
    let n = memory.sizes()[0];
    let values = values.expand_sizes(&places.sizes())?.try_ravel()?;
    let Some(hit) = hit else { return scatter(how, memory, &places.try_ravel()?, &values, 0) };
    // Whatever is not put goes behind the end.
    let outside = size_tensor(n, DType::I64)?;
    let places = places.try_where_self(hit, &outside)?.try_ravel()?;
    let end = full_of(&[Size::from(1)], Scalar::from_f64(0.0, memory.dtype()))?;
    let longer = scatter(how, &concat(&[memory, &end], 0)?, &places, &values, 0)?;
    narrow(&longer, 0, Size::from(0), n)
}
