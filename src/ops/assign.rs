//! In-place assignment to a tensor or a view: it replaces the elements, which every tensor that shares them sees, and the
//! history. Assigning to a view is assigning to its base, whose other elements stay.

use super::gather::scatter;
use super::meeting::{self, Meeting, windows_are_apart};
use super::memory;
use super::movement::{concat, copied as copy_of, fresh, narrow, put_at, put_chosen, seen, seen_along, take};
use crate::autograd::record::{check_assignable, has_integer_history};
use crate::autograd::{is_grad_enabled, no_grad, tape};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::apply::apply;
use crate::mode::grads::SEEN_AGAIN;
use crate::mode::layout::row_major;
use crate::mode::sizes::all_same;
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::Link;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{Class, DType, Extent, Op, ScatterOp, View};
use smallvec::smallvec;
use std::sync::Arc;

/// The node of elements that were copied.
pub(super) const COPIED: &str = "CopyBackwards";

/// Where the gradient of what an operation puts into a tensor goes.
#[derive(Clone, Copy)]
pub(super) enum Derivative<'a> {
    /// Through the recorded operations that computed the new elements.
    Computed,
    /// The new elements are all those of this tensor, cast and repeated, or nobody's. What was there before has the gradient
    /// 0. The name is that of the operation's node.
    Taken(&'static str, Option<&'a Tensor>),
    /// Nowhere: the operation is not differentiable, and the history stays that of before.
    None,
}

impl Derivative<'_> {
    /// Whether the tape records that `target` gets the elements of `value`.
    fn is_recorded(self, target: &Tensor, value: &Tensor) -> bool {
        let wanted = || match self {
            Derivative::Computed => value.is_requires_grad(),
            Derivative::Taken(_, from) => from.is_some_and(Tensor::is_requires_grad),
            Derivative::None => false,
        };
        let differentiable = match self {
            Derivative::Computed => target.dtype().is_float(),
            // Tensors of integers have a history where they were filled with something that has.
            Derivative::Taken(name, _) => target.dtype().is_float() || name != COPIED,
            Derivative::None => false,
        };
        let has_history = || match target.dtype().is_float() {
            true => target.is_requires_grad(),
            false => has_integer_history(target),
        };
        differentiable && is_grad_enabled() && (has_history() || wanted())
    }
}

/// Gives `target` the elements of `value`, which has its dtype and shape.
///
/// # Errors
/// When the tape still needs `target` as it is (a leaf that requires a gradient or a view of one, outside `no_grad`), or
/// its elements share memory.
pub(super) fn assign(target: &Tensor, value: &Tensor, derivative: Derivative<'_>) -> Result<()> {
    assign_meeting(target, value, derivative, Meeting::Refused)
}

/// As [`assign`], where elements of `target` that share memory are treated so.
///
/// # Errors
/// As there.
pub(super) fn assign_meeting(
    target: &Tensor,
    value: &Tensor,
    derivative: Derivative<'_>,
    meeting: Meeting<'_>,
) -> Result<()> {
    let base = target.view_of().map_or(target, |v| &v.base);
    if !derivative.is_recorded(target, value) {
        // The history stays, so the tape must not look at what is changed.
        no_grad(|| exchange(target, value, meeting))?;
        if let Some(edge) = base.grad_fn().filter(shows_hidden)
            && !mode::is_recording()
        {
            base.set_grad_fn(Some(tape::renamed(SEEN_AGAIN, edge)));
        }
        return Ok(());
    }
    check_assignable(target)?;
    base.becomes_result()?;
    // The history of what was there before, from which the elements that stay have their gradient.
    let before = tape::operand_edge(base)?;
    let hidden = before.as_ref().is_some_and(shows_hidden);
    let part = match derivative {
        Derivative::Computed | Derivative::None => tape::operand_edge(value)?,
        Derivative::Taken(name, from) => {
            // What a view showed has its zeros from the change of the whole.
            let edge = if target.view_of().is_some() { None } else { before.clone() };
            Some(taken(name, edge, from, target.dtype())?)
        }
    };
    // PyTorch puts the gradient of what stays into elements that share memory, and refuses that.
    let is_final = before.is_some() && meeting.has_no_derivative(target);
    exchange(target, value, meeting)?;
    let edge = match target.view_of() {
        None if matches!(derivative, Derivative::Taken(..)) => part,
        // All elements are new: their history is that of the value.
        None if part.as_ref().is_some_and(|e| e.sum_to_size().is_none()) => tape::own_edge(value),
        None if part.is_some() => Some(copied(part)),
        None => Some(taken(COPIED, before, None, target.dtype())?),
        Some(view) => {
            let path = Arc::clone(&view.path);
            // A whole in row-major order has such a gradient.
            let plain = base.is_dense();
            let node = tape::node("CopySlices", smallvec![before, part], true, move |c, grads| {
                let Some(g) = &grads[0] else { return Ok(smallvec![None, None]) };
                let stays = || {
                    if is_final {
                        return Err(Error::autograd(
                            "no gradient flows to a tensor through a view whose elements share memory and were changed in place; change a copy, such as x.copy()",
                        ));
                    }
                    let whole = meeting::without(g, &path)?
                        .map_or_else(|| put_back(g, &path, &take(g, &path)?.try_zeros_like()?), Ok)?;
                    if plain { row_major(whole) } else { Ok(whole) }
                };
                super::grads2(c, stays, || row_major(fresh(&take(g, &path)?)?))
            });
            Some(Edge::new(node, 0))
        }
    };
    base.set_grad_fn(if hidden { edge.map(|edge| tape::renamed(SEEN_AGAIN, edge)) } else { edge });
    Ok(())
}

/// Whether this is the history of a result that is a view in PyTorch, of something that nobody has. A change in place makes it a
/// view of what that has become.
pub(super) fn shows_hidden(edge: &Edge) -> bool {
    const VIEWS: [&str; 6] =
        ["ViewBackward0", "SqueezeBackward1", "PermuteBackward0", "TransposeBackward0", "AliasBackward0", SEEN_AGAIN];
    VIEWS.contains(&edge.node().name())
}

fn exchange(target: &Tensor, value: &Tensor, meeting: Meeting<'_>) -> Result<()> {
    if !mode::is_recording() && meeting.is_of(target) {
        return no_grad(|| meeting::write(target, value, meeting));
    }
    mode::state::assign(target, value, |root, path| {
        no_grad(|| match meeting {
            Meeting::Written(by) if meeting::may_meet(path) => meeting::written(root, path, by),
            Meeting::Alike if meeting::may_meet(path) => meeting::filled(root, path, value),
            Meeting::Written(_) | Meeting::Alike | Meeting::Refused => put_back(root, path, &value.detach()),
        })
    })
}

/// That `target` may become something else that no gradient flows from.
///
/// # Errors
/// When the tape still needs it as it is, or its elements share memory.
pub(super) fn check_fillable(target: &Tensor) -> Result<()> {
    if let Some(strided) = target.strided() {
        eval::check_apart(target.shape_hint(), &strided.strides)?;
    }
    let recorded = target.dtype().is_float() && is_grad_enabled() && target.is_requires_grad();
    if recorded { check_assignable(target) } else { Ok(()) }
}

/// The history of elements that were all taken from another tensor, cast and repeated, or were nobody's: what came before
/// has the gradient 0. Those of integers have none, as in PyTorch.
fn taken(name: &'static str, before: Option<Edge>, from: Option<&Tensor>, dtype: DType) -> Result<Edge> {
    let edge = from.map_or(Ok(None), tape::operand_edge)?;
    let like = from.map(|x| (x.sizes(), x.dtype()));
    let node = tape::node(name, smallvec![before, edge], false, move |c, grads| {
        if !dtype.is_float() {
            return Err(Error::autograd(format!("{name}: no gradient flows through a tensor of {dtype}")));
        }
        let Some(g) = &grads[0] else { return Ok(smallvec![None, None]) };
        let given = || match &like {
            // What is filled with has a sum, also where there are no axes.
            Some((sizes, dtype)) if name == "FillBackward3" && sizes.is_empty() && g.dim() == 0 => {
                copy_of("CloneBackward0", g)?.try_to(*dtype)
            }
            Some((sizes, dtype)) => g.sum_to_size(sizes)?.try_to(*dtype),
            None => unreachable!("bug in allotrope: a gradient is wanted of no tensor"),
        };
        super::grads2(c, || g.try_zeros_like(), given)
    });
    Ok(Edge::new(node, 0))
}

/// The history of elements that were taken from another tensor as they are.
fn copied(from: Option<Edge>) -> Edge {
    let node = tape::node(COPIED, smallvec![from], false, |_, grads| Ok(smallvec![grads[0].clone()]));
    Edge::new(node, 0)
}

/// `x` with other elements where the path looks, of which none meet.
fn put_back(x: &Tensor, path: &Arc<Link>, value: &Tensor) -> Result<Tensor> {
    let steps = path.steps();
    let mut wholes = vec![x.clone()];
    for step in &steps[..steps.len() - 1] {
        let next = seen_along(wholes.last().expect("begins with x"), step)?;
        wholes.push(next);
    }
    let mut value = value.clone();
    for (step, whole) in steps.iter().zip(&wholes).rev() {
        value = put(&step.op, whole, &value)?;
    }
    Ok(value)
}

/// `whole` with the elements of `part` where `op` looks; that some meet in one place is an error.
fn put(op: &ViewOp, whole: &Tensor, part: &Tensor) -> Result<Tensor> {
    let shared = || {
        Err(Error::operands(
            "assign",
            format!(
                "a view of shape {:?} whose elements share memory can't be changed in place; use contiguous() first",
                part.shape_hint()
            ),
        ))
    };
    let op = match op {
        ViewOp::Affine(affine) if affine.is_apart => return put_at(affine, whole, part),
        ViewOp::Affine(_) => return shared(),
        ViewOp::Memory { places, .. } => return memory::collected(part, places),
        ViewOp::Select { axis, at } => return put_chosen(*axis, *at, whole, part),
        ViewOp::Primitive(op) => op,
    };
    let Class::View(view) = op.class() else { unreachable!("bug in allotrope: {} is no view", op.name()) };
    match view {
        View::Reshape(_) => part.reshape_sizes(&whole.sizes()),
        View::Permute(axes) => {
            let mut back = axes.clone();
            for (i, &a) in axes.iter().enumerate() {
                back[a] = i;
            }
            seen(part, Op::Permute(back), "PermuteBackward0")
        }
        View::Slice { axis, start, len } => {
            let end = start.plus(len);
            let before = narrow(whole, axis, Size::from(0), *start)?;
            let after = narrow(whole, axis, end, whole.sizes()[axis].minus(end))?;
            concat(&[&before, part, &after], axis)
        }
        View::Window { axis, count, size, step, dilation } if windows_are_apart(*count, *size, step, dilation) => {
            // Windows that do not overlap meet each place once.
            let places = |n: Size, by: usize| -> Result<Tensor> { apply(&Op::Iota(n), &[])?.try_mul(by as i64) };
            let index = places(*count, step)?.try_unsqueeze(-1)?.try_add(&places(*size, dilation)?)?;
            let mut axes: allotrope_ir::Axes = (0..part.dim() - 1).collect();
            axes.insert(axis + 1, part.dim() - 1);
            let part = seen(part, Op::Permute(axes), "PermuteBackward0")?;
            let mut sizes = whole.sizes();
            sizes[axis] = count.times(size);
            let part = part.reshape_sizes(&sizes)?;
            let mut one = sizes.clone();
            for (i, n) in one.iter_mut().enumerate() {
                if i != axis {
                    *n = Size::from(1);
                }
            }
            let index = index.try_to(DType::I64)?.reshape_sizes(&one)?.expand_sizes(&sizes)?;
            scatter(ScatterOp::Set, whole, &index, &part, axis)
        }
        View::Broadcast(sizes) if all_same(&whole.sizes(), sizes) => Ok(part.clone()),
        View::Broadcast(_) | View::Window { .. } | View::Flip(_) => shared(),
    }
}
