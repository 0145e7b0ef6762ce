//! Applies a primitive in the current mode: computes it now, or hands it to the recorder. It chooses no primitive and
//! knows no tape.

use super::layout::laid_out;
use super::slot;
use super::state::kept;
use crate::error::Result;
use crate::tensor::affine::Given;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes, Tensor, eval, select};
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
    if slot::is_recording()
        && let Some(r) = slot::recorder()
    {
        return r.record(op, operands);
    }
    // `ops` has checked, promoted and broadcast the operands of these, so the type rules have one answer; small tensors
    // feel what asking them costs.
    if let Some(result) = eval::settled(op, operands) {
        debug_assert!(result_type(op, operands).is_ok(), "bug in allotrope: {op:?} on operands that do not fit");
        return result;
    }
    let (dtype, sizes) = result_type(op, operands)?;
    eval::eval(op, operands, dtype, &sizes)
}

/// `x` as the step shows it, without the tape: the same elements where the layout allows.
///
/// # Errors
/// When the operand does not fit the step.
pub(crate) fn apply_view(op: &ViewOp, x: &Tensor) -> Result<Tensor> {
    match op {
        ViewOp::Primitive(op) => apply(op, &[Operand::Tensor(x)]),
        ViewOp::Affine(affine) if slot::is_recording() => affine.gathered(x, x.dim(), &mut emit),
        ViewOp::Affine(affine) => eval::affine(x, affine),
        ViewOp::Memory { .. } => unreachable!("bug in allotrope: memory is seen where it lies"),
        ViewOp::Select { axis, at } => select::gathered(*axis, &x.sizes(), x, &kept(*at), &mut emit),
    }
}

/// Applies one of the primitives that a computed view consists of.
pub(crate) fn emit(op: &Op<Size>, operands: &[Given<'_, Tensor>]) -> Result<Tensor> {
    let mut all: SmallVec<[Operand<'_>; 3]> = SmallVec::new();
    for given in operands {
        all.push(match given {
            Given::Value(x) => Operand::Tensor(x),
            Given::Number(s) => Operand::Scalar(*s),
        });
    }
    apply(op, &all)
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
    let all: SmallVec<[Operand<'_>; 3]> = operands
        .iter()
        .map(|x| match x {
            Operand::Tensor(t) if t.dtype().is_half() => Operand::Tensor(wide.next().expect("one for each half")),
            Operand::Scalar(s) if s.dtype().is_half() => Operand::Scalar(allotrope_ir::element::cast(*s, DType::F32)),
            x => *x,
        })
        .collect();
    let result = apply(op, &all)?;
    let result = match result.dtype() {
        DType::F32 => apply(&Op::Cast(half), &[Operand::Tensor(&result)])?,
        _ => result,
    };
    match op.is_elementwise() {
        // What was repeated is whole in f32.
        true => laid_out(result, LayoutRule::Elementwise, operands),
        false => Ok(result),
    }
}

/// What the type rules give for `op`.
pub(super) fn result_type(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<(DType, Sizes)> {
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
