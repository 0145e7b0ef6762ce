//! Operations on the tape: what is applied is recorded there when a gradient will be wanted. It knows no derivative: `ops`
//! hands it over.

use super::grad_mode::{is_grad_enabled, no_grad};
use super::saved;
use super::tape::{self, Context, Edges};
use crate::error::{Error, Result};
use crate::mode::apply::{apply, apply_view};
use crate::mode::state;
use crate::tensor::grad_fn::{Edge, Grads, ViewVjp};
use crate::tensor::operand::Operand;
use crate::tensor::view::Creation;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Op};
use std::sync::Arc;

/// Applies `op`, and records it on the tape when an operand needs a gradient. `derivative` is called then,
/// with the result, and gives the closure that turns the gradient of the result into those of the operands.
///
/// # Errors
/// When the operands do not fit the primitive.
pub(crate) fn differentiable<F>(
    op: &Op<Size>,
    name: &'static str,
    operands: &[Operand<'_>],
    derivative: impl FnOnce(&Tensor) -> F,
) -> Result<Tensor>
where
    F: Fn(&Context<'_>, &Tensor) -> Result<Grads> + Send + Sync + 'static,
{
    recorded(apply(op, operands)?, name, operands, derivative)
}

/// Computes with operations that are not recorded, and records the whole as one operation with this derivative: for what
/// PyTorch's convention or the numbers ask to be differentiated otherwise than operation by operation.
///
/// # Errors
/// As `compute` fails.
pub(crate) fn composite<F>(
    name: &'static str,
    operands: &[Operand<'_>],
    compute: impl FnOnce() -> Result<Tensor>,
    derivative: impl FnOnce(&Tensor) -> F,
) -> Result<Tensor>
where
    F: Fn(&Context<'_>, &Tensor) -> Result<Grads> + Send + Sync + 'static,
{
    // Views taken on the way are nobody's.
    recorded(no_grad(compute)?.unlinked_if_alone(), name, operands, derivative)
}

/// As [`composite`], of several results by one node; the derivative gets their gradients, of which some may be missing. What it saves
/// is freed after the backward pass.
///
/// # Errors
/// As `compute` fails.
pub(crate) fn composite_many<F>(
    name: &'static str,
    operands: &[&Tensor],
    compute: impl FnOnce() -> Result<Vec<Tensor>>,
    derivative: impl FnOnce(&[Tensor]) -> F,
) -> Result<Vec<Tensor>>
where
    F: Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send + Sync + 'static,
{
    let results: Vec<Tensor> = no_grad(compute)?.into_iter().map(Tensor::unlinked_if_alone).collect();
    if is_grad_enabled() && operands.iter().any(|x| x.is_requires_grad()) {
        let edges = operands.iter().map(|x| tape::operand_edge(x)).collect::<Result<Edges>>()?;
        let (vjp, count) = (derivative(&results), results.len());
        let node = tape::node(name, edges, true, move |c, grads| {
            // The last results may be without any gradient, and then without a place.
            let mut all = grads.to_vec();
            all.resize(count, None);
            vjp(c, &all)
        });
        for (i, y) in results.iter().enumerate() {
            y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
        }
    }
    Ok(results)
}

/// Records on the tape a result, which has no history yet and is no operand, when an operand needs a gradient.
#[inline]
fn recorded<F>(
    result: Tensor,
    name: &'static str,
    operands: &[Operand<'_>],
    derivative: impl FnOnce(&Tensor) -> F,
) -> Result<Tensor>
where
    F: Fn(&Context<'_>, &Tensor) -> Result<Grads> + Send + Sync + 'static,
{
    let wanted = |x: &Operand<'_>| matches!(x, Operand::Tensor(t) if t.is_requires_grad());
    if !result.dtype().is_float() {
        let integers = operands.iter().find_map(|x| match x {
            Operand::Tensor(t) if has_history_of_integers(t) => Some(t),
            Operand::Tensor(_) | Operand::Scalar(_) => None,
        });
        if let Some(t) = integers {
            // One that is changed in place keeps its history, unless it would have to be copied for its derivative.
            let is_copied = || saved::watching(t, || derivative(&result)).1;
            if !saved::is_any_changing() || (saved::is_changing(t) && is_copied()) {
                return Err(no_integers(result.dtype()));
            }
        }
    } else if is_grad_enabled() && operands.iter().any(wanted) {
        let mut edges = Edges::new();
        for x in operands {
            edges.push(match x {
                Operand::Tensor(t) => tape::operand_edge(t)?,
                Operand::Scalar(_) => None,
            });
        }
        let saved = saved::count();
        let vjp = derivative(&result);
        let node = tape::node(name, edges, saved::count() != saved, move |c, grads| match &grads[0] {
            Some(gradient) => vjp(c, gradient),
            None => Ok(Grads::new()),
        });
        result.set_grad_fn(Some(Edge::new(node, 0)));
    }
    Ok(result)
}

/// `x` seen through `op`: the same elements where the layout allows. The result remembers what it is a view of.
///
/// # Errors
/// When the operand does not fit the primitive.
pub(crate) fn view(x: &Tensor, op: ViewOp, name: &'static str, vjp: ViewVjp) -> Result<Tensor> {
    let result = apply_view(&op, x)?;
    viewed(x, result, op, name, vjp)
}

/// `result`, which nothing else has, as `x` seen through `op`.
///
/// # Errors
/// When it is not known what history `x` has.
pub(crate) fn viewed(x: &Tensor, mut result: Tensor, op: ViewOp, name: &'static str, vjp: ViewVjp) -> Result<Tensor> {
    let from = x.sizes();
    let tracked = is_grad_enabled();
    let creation = if tracked { Creation::Single } else { Creation::NoGrad };
    let wanted = tracked && x.is_requires_grad();
    if wanted {
        check_integers(x)?;
    }
    // Most views are on no tape; then the step and the sizes are moved into the link to the base.
    let kept = (wanted || result.traced().is_some()).then(|| (op.clone(), from.clone()));
    result.link_view(x, op, from, name, vjp, creation);
    let Some((op, from)) = kept else { return Ok(result) };
    state::view_made(x, &result, &op);
    if wanted {
        let edge = tape::operand_edge(x)?;
        result.set_grad_fn(Some(tape::view_edge(edge, op, from, name, vjp)));
    }
    Ok(result)
}

/// That what is computed of `x` may be a tensor of integers, which the tape does not record: so it is unless `x` is one with a history,
/// which it has where something that requires a gradient was filled into it.
///
/// # Errors
/// When it is not so and the tape records.
#[inline]
pub(crate) fn check_integers(x: &Tensor) -> Result<()> {
    if has_integer_history(x) { Err(no_integers(x.dtype())) } else { Ok(()) }
}

/// Whether `x` is a tensor of integers with a history, and the tape records what is computed of it. A trace has none.
#[inline]
pub(crate) fn has_integer_history(x: &Tensor) -> bool {
    has_history_of_integers(x) && !saved::is_any_changing()
}

#[inline]
fn has_history_of_integers(x: &Tensor) -> bool {
    let has_history = || x.stored_requires_grad() || x.view_of().is_some_and(|v| v.base.stored_requires_grad());
    !x.dtype().is_float() && has_history() && is_grad_enabled()
}

/// The error of a result that would have a history, and is of integers.
#[cold]
pub(crate) fn no_integers(dtype: DType) -> Error {
    Error::autograd(format!(
        "no history is recorded for a result of {dtype}, which what requires a gradient would give it; detach() that, or do it under no_grad(|| ..)"
    ))
}

/// That the tape, which records the change, does not need `target` as it is.
///
/// # Errors
/// When it is a leaf that requires a gradient, a view of a leaf that requires one itself, or a view of which it is not known
/// what history it has then.
pub(crate) fn check_assignable(target: &Tensor) -> Result<()> {
    target.view_assignable()?;
    match target.is_requires_grad() {
        true if shows_leaf(target) => Err(needed_by_tape("a view of a leaf")),
        true if target.is_leaf() => Err(needed_by_tape("a leaf")),
        _ => Ok(()),
    }
}

/// Whether the tensor, which requires a gradient, is a view of a leaf.
pub(crate) fn shows_leaf(x: &Tensor) -> bool {
    x.view_of().is_some_and(|v| !v.base.has_grad_fn())
}

/// The error of a change in place that the tape does not allow.
pub(crate) fn needed_by_tape(what: &str) -> Error {
    Error::autograd(format!("{what} that requires a gradient can't be changed in place; do it under no_grad(|| ..)"))
}
