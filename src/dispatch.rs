//! The one entry point where a primitive meets the current mode: compute it now, or hand it to the recorder of a
//! running trace; in both cases it is noted on the tape when a gradient will be wanted. It chooses no primitive and
//! knows no derivative: `ops` hands both over.

use crate::autograd::tape::{self, Context, Edges};
use crate::autograd::{is_grad_enabled, saved};
use crate::error::{Error, Result};
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::recorder::{self, Operand};
use crate::tensor::size::Sizes;
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{DType, Op, Type, infer};
use smallvec::SmallVec;

/// Computes or records `op`, without the tape.
///
/// # Errors
/// When the operands do not fit the primitive.
pub(crate) fn apply(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
    if recorder::is_active()
        && let Some(r) = recorder::active()
    {
        return r.record(op, operands);
    }
    // `ops` has checked, promoted and broadcast the operands of these, so the type rules have one answer; small tensors
    // feel what asking them costs.
    let settled = op.is_elementwise()
        || matches!(op, Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Matmul);
    if settled {
        debug_assert!(result_type(op, operands).is_ok(), "bug in allotrope: {op:?} on operands that do not fit");
        return eval::settled(op, operands);
    }
    let (dtype, sizes) = result_type(op, operands)?;
    eval::eval(op, operands, dtype, &sizes)
}

/// Computes or records `op` and notes it on the tape when an operand needs a gradient. `derivative` is called then,
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
    let result = apply(op, operands)?;
    let wanted = |x: &Operand<'_>| matches!(x, Operand::Tensor(t) if t.is_requires_grad());
    if is_grad_enabled() && result.dtype().is_float() && operands.iter().any(wanted) {
        let mut edges = Edges::new();
        for x in operands {
            edges.push(match x {
                Operand::Tensor(t) => tape::edge_of(t),
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

/// What the type rules give for `op`.
fn result_type(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<(DType, Sizes)> {
    let tensor = operands.iter().find_map(|x| match x {
        Operand::Tensor(t) => Some(*t),
        Operand::Scalar(_) => None,
    });
    let types: SmallVec<[Type<Size>; 3]> = operands
        .iter()
        .map(|x| match x {
            Operand::Tensor(t) => Type { dtype: t.dtype(), shape: t.sizes() },
            Operand::Scalar(s) => Type { dtype: s.dtype(), shape: tensor.map(Tensor::sizes).unwrap_or_default() },
        })
        .collect();
    let types: SmallVec<[&Type<Size>; 3]> = types.iter().collect();
    let mut results = infer(op, &types)?;
    let ty = results.pop().expect("every primitive of the eager mode has one result");
    Ok((ty.dtype, ty.shape))
}

/// Gives `target` the elements of `value`, which has its dtype and shape.
///
/// # Errors
/// When the tape still needs `target` as it is (a leaf that requires a gradient, outside `no_grad`), its elements share
/// memory, or the history that it gets would be unknown to others that share its elements.
pub(crate) fn assign(target: &Tensor, value: &Tensor) -> Result<()> {
    if !is_grad_enabled() || !(value.is_requires_grad() || target.is_requires_grad()) {
        return write(target, value);
    }
    if target.is_requires_grad() && target.is_leaf() {
        return Err(Error::Autograd(
            "a leaf that requires a gradient can't be changed in place; do it under no_grad(|| ..)".into(),
        ));
    }
    if let Some(s) = target.strided() {
        if recorder::is_active() {
            return Err(Error::Trace(format!(
                "a tensor of shape {:?} from outside would be changed to something that has a derivative, whose history ends with the call; detach() the value or do it under no_grad(|| ..)",
                target.shape_hint()
            )));
        }
        // Who needs no gradient would never ask whether it has a history by now.
        if !target.is_requires_grad() && std::sync::Arc::strong_count(&s.storage) > 1 {
            return Err(Error::Autograd(format!(
                "a tensor of shape {:?} that needs no gradient shares its elements with another one (it is a view, or has one) and can't be changed in place to something that needs one: the other would not know. Put the parts together with cat, stack or where_self instead",
                target.shape_hint()
            )));
        }
    }
    write(target, value)?;
    if let Some(s) = target.strided() {
        s.storage.add_history();
    }
    target.set_grad_fn(tape::own_edge(value));
    Ok(())
}

fn write(target: &Tensor, value: &Tensor) -> Result<()> {
    match recorder::active() {
        Some(r) => r.assign(target, value),
        None => eval::assign(target, value),
    }
}
