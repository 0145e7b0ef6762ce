//! The one entry point where a primitive meets the current mode: compute it now, or hand it to the recorder of a
//! running trace; in both cases it is noted on the tape when a gradient will be wanted. It chooses no primitive and
//! knows no derivative: `ops` hands both over.

use crate::autograd::tape::{self, Context, Edges};
use crate::autograd::{is_grad_enabled, no_grad, saved};
use crate::error::{Error, Result};
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::recorder::{self, Operand};
use crate::tensor::size::Sizes;
use crate::tensor::view::ViewVjp;
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{DType, Op, Type, infer};
use smallvec::SmallVec;

/// Computes or records `op`, without the tape.
///
/// # Errors
/// When the operands do not fit the primitive.
pub(crate) fn apply(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
    if operands.iter().any(|x| operand_dtype(x).is_half()) && op.is_arithmetic() {
        return in_f32(op, operands);
    }
    if recorder::is_active()
        && let Some(r) = recorder::active()
    {
        return r.record(op, operands);
    }
    // `ops` has checked, promoted and broadcast the operands of these, so the type rules have one answer; small tensors
    // feel what asking them costs.
    if eval::is_settled(op) {
        debug_assert!(result_type(op, operands).is_ok(), "bug in allotrope: {op:?} on operands that do not fit");
        return eval::settled(op, operands);
    }
    let (dtype, sizes) = result_type(op, operands)?;
    eval::eval(op, operands, dtype, &sizes)
}

fn operand_dtype(x: &Operand<'_>) -> DType {
    match x {
        Operand::Tensor(t) => t.dtype(),
        Operand::Scalar(s) => s.dtype(),
    }
}

/// Arithmetic of half-precision floats: each primitive computes in f32 and rounds its result once.
fn in_f32(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
    let half = operands.iter().map(operand_dtype).find(|t| t.is_half()).expect("one operand is a half");
    let mut held: SmallVec<[Tensor; 3]> = SmallVec::new();
    for x in operands {
        if let Operand::Tensor(t) = x
            && t.dtype().is_half()
        {
            held.push(apply(&Op::Cast(DType::F32), &[Operand::Tensor(t)])?);
        }
    }
    let mut wide = held.iter();
    let operands: SmallVec<[Operand<'_>; 3]> = operands
        .iter()
        .map(|x| match x {
            Operand::Tensor(t) if t.dtype().is_half() => Operand::Tensor(wide.next().expect("one for each half")),
            Operand::Scalar(s) if s.dtype().is_half() => Operand::Scalar(allotrope_ir::element::cast(*s, DType::F32)),
            x => *x,
        })
        .collect();
    let result = apply(op, &operands)?;
    match result.dtype() {
        DType::F32 => apply(&Op::Cast(half), &[Operand::Tensor(&result)]),
        _ => Ok(result),
    }
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
    Ok(noted(apply(op, operands)?, name, operands, derivative))
}

/// Computes with operations that are not noted, and notes the whole as one operation with this derivative: for what
/// PyTorch's convention or the numbers ask to be differentiated otherwise than step by step.
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
    Ok(noted(no_grad(compute)?, name, operands, derivative))
}

/// Notes a result, which has no history yet and is no operand, on the tape when an operand needs a gradient.
#[inline]
fn noted<F>(
    result: Tensor,
    name: &'static str,
    operands: &[Operand<'_>],
    derivative: impl FnOnce(&Tensor) -> F,
) -> Tensor
where
    F: Fn(&Context<'_>, &Tensor) -> Result<Grads> + Send + Sync + 'static,
{
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
    result
}

/// What the type rules give for `op`.
fn result_type(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<(DType, Sizes)> {
    let tensor = operands.iter().find_map(|x| match x {
        Operand::Tensor(t) => Some(*t),
        Operand::Scalar(_) => None,
    });
    let types: SmallVec<[Type<Size>; 3]> = operands
        .iter()
        .map(|x| {
            let shape = match x {
                Operand::Tensor(t) => t.sizes(),
                Operand::Scalar(_) => tensor.map(Tensor::sizes).unwrap_or_default(),
            };
            Type { dtype: operand_dtype(x), shape }
        })
        .collect();
    let types: SmallVec<[&Type<Size>; 3]> = types.iter().collect();
    let mut results = infer(op, &types)?;
    let ty = results.pop().expect("every primitive of the eager mode has one result");
    Ok((ty.dtype, ty.shape))
}

/// `x` seen through `op`: the same elements where the layout allows. The result remembers what it is a view of.
///
/// # Errors
/// When the operand does not fit the primitive.
pub(crate) fn view(x: &Tensor, op: Op<Size>, name: &'static str, vjp: ViewVjp) -> Result<Tensor> {
    let from = x.sizes();
    let mut result = apply(&op, &[Operand::Tensor(x)])?;
    result.note_view(x, &op, &from, name, vjp);
    if is_grad_enabled()
        && x.is_requires_grad()
        && let Some(edge) = tape::edge_of(x)
    {
        result.set_grad_fn(Some(tape::view_edge(edge, op, from, name, vjp)));
    }
    Ok(result)
}

/// That the tape does not need `target` as it is.
///
/// # Errors
/// When it is a leaf that requires a gradient or a view of one, outside `no_grad`.
pub(crate) fn check_assignable(target: &Tensor) -> Result<()> {
    let base = target.view_of().map_or(target, |v| &v.base);
    if is_grad_enabled() && base.is_requires_grad() && base.is_leaf() {
        let what = if base.is_same(target) { "a leaf" } else { "a view of a leaf" };
        return Err(Error::Autograd(format!(
            "{what} that requires a gradient can't be changed in place; do it under no_grad(|| ..)"
        )));
    }
    Ok(())
}
