//! In-place assignment to a tensor or a view: it replaces the elements, which every tensor that shares them sees, and the
//! history. Assigning to a view is assigning to its base, whose other elements stay.

use super::gather::scatter;
use super::movement::{concat, narrow, put_at, seen};
use crate::autograd::record::check_assignable;
use crate::autograd::{is_grad_enabled, no_grad, tape};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::apply::apply;
use crate::mode::sizes::{all_same, at_most};
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::Link;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Class, DType, Extent, Op, ScatterOp, View};
use smallvec::smallvec;
use std::sync::Arc;

/// Gives `target` the elements of `value`, which has its dtype and shape.
///
/// # Errors
/// When the tape still needs `target` as it is (a leaf that requires a gradient or a view of one, outside `no_grad`), or
/// its elements share memory.
pub(super) fn assign(target: &Tensor, value: &Tensor) -> Result<()> {
    let base = target.view_of().map_or(target, |v| &v.base);
    let on_tape = is_grad_enabled() && (value.is_requires_grad() || target.is_requires_grad());
    check_assignable(target)?;
    if on_tape && base.strided().is_some() && mode::is_recording() {
        return Err(Error::trace(format!(
            "a captured tensor of shape {:?} would be changed in place where the tape records it, and a trace cannot change the history that it has outside; detach() both or do it under no_grad(|| ..)",
            target.shape_hint()
        )));
    }
    // The history of the whole before, from which the elements that stay have their gradient.
    let edges = if on_tape { Some((tape::edge_of(base), tape::edge_of(value))) } else { None };
    mode::state::assign(target, value, |root, path| no_grad(|| put_back(root, path, &value.detach())))?;
    let Some((whole, part)) = edges else { return Ok(()) };
    let edge = match target.view_of() {
        // All elements are new: their history is that of the value.
        None if part.as_ref().is_some_and(|e| e.sum_to_size().is_none()) => tape::own_edge(value),
        None if part.is_some() => Some(copied(part)),
        None => Some(blocked(whole)),
        Some(view) => {
            let path = Arc::clone(&view.path);
            let node = tape::node("CopySlices", smallvec![whole, part], false, move |c, grads| {
                let Some(g) = &grads[0] else { return Ok(smallvec![None, None]) };
                let stays = || {
                    let zeros = take(g, &path)?.try_zeros_like()?;
                    put_back(g, &path, &zeros)
                };
                super::grads2(c, stays, || take(g, &path))
            });
            Some(Edge::new(node, 0))
        }
    };
    base.set_grad_fn(edge);
    base.history_changed();
    Ok(())
}

/// The history of elements that were overwritten by constants: whatever came before has the gradient 0.
fn blocked(before: Option<Edge>) -> Edge {
    let node = tape::node("CopyBackwards", smallvec![before], false, |_, grads| {
        Ok(smallvec![grads[0].as_ref().map(Tensor::zeros_like)])
    });
    Edge::new(node, 0)
}

/// The history of elements that were taken from another tensor as they are.
fn copied(from: Option<Edge>) -> Edge {
    let node = tape::node("CopyBackwards", smallvec![from], false, |_, grads| Ok(smallvec![grads[0].clone()]));
    Edge::new(node, 0)
}

/// `x` seen as the path says.
pub(super) fn take(x: &Tensor, path: &Arc<Link>) -> Result<Tensor> {
    let mut x = x.clone();
    for step in path.steps() {
        x = seen(&x, step.op.clone(), step.name)?;
    }
    Ok(x)
}

/// `x` with other elements where the path looks.
fn put_back(x: &Tensor, path: &Arc<Link>, value: &Tensor) -> Result<Tensor> {
    let steps = path.steps();
    let mut wholes = vec![x.clone()];
    for step in &steps[..steps.len() - 1] {
        let next = seen(wholes.last().expect("begins with x"), step.op.clone(), step.name)?;
        wholes.push(next);
    }
    let mut value = value.clone();
    for (step, whole) in steps.iter().zip(&wholes).rev() {
        value = put(&step.op, whole, &value)?;
    }
    Ok(value)
}

/// `whole` with the elements of `part` where `op` looks.
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
        View::Window { axis, count, size, step, dilation }
            if step > dilation * (size.hint().max(1) - 1) || at_most(*count, Size::from(1)) =>
        {
            // Windows that do not overlap: each place is met once.
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
