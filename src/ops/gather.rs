//! Gather and scatter of elements by index: the two primitives under every kind of indexing, with the checks that keep
//! an index inside its axis. Each is the derivative of the other.

use super::grads1;
use crate::autograd::record::{differentiable, has_integer_history};
use crate::autograd::saved::Saved;
use crate::error::Result;
use crate::mode::apply::apply;
use crate::mode::sizes::numel;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Op, Scalar, ScatterOp};
use smallvec::smallvec;

/// `x` as it is, where `holds` (bool, no axes) is true; else the call fails with `message`, which names the operation
/// first: `"gather: an index lies outside"`. In a trace the compiled call fails, and changes nothing.
///
/// # Errors
/// In eager mode, where it does not hold.
pub(crate) fn checked(x: &Tensor, holds: &Tensor, message: &str) -> Result<Tensor> {
    let op = Op::Check(message.into());
    differentiable(&op, "CheckBackward0", &[Operand::Tensor(x), Operand::Tensor(holds)], |_| {
        |_: &_, g: &Tensor| Ok(smallvec![Some(g.clone()), None])
    })
}

/// Whether every element (bool) is true, as bool without axes.
pub(crate) fn all_true(x: &Tensor) -> Result<Tensor> {
    x.try_logical_not()?.try_to(DType::I64)?.try_sum()?.try_eq(0)
}

/// `holds` for operations whose result has these sizes: where it has no elements, nothing needs to hold.
pub(crate) fn holds_for(holds: Tensor, sizes: &[Size]) -> Result<Tensor> {
    let count = numel(sizes);
    match (count.is_symbolic(), count.hint()) {
        (true, _) => holds.try_logical_or(&super::reduce::size_tensor(count, DType::I64)?.try_eq(0)?),
        (false, 0) => crate::mode::values::full_of(&[], Scalar::Bool(true)),
        (false, _) => Ok(holds),
    }
}

/// Indices as i64 from 0, after the check that each lies in an axis of `n` elements; with `negative` they may count
/// from the end.
pub(crate) fn checked_index(op: &'static str, index: &Tensor, n: Size, negative: bool) -> Result<Tensor> {
    checked_index_for(op, index, n, negative, &[])
}

/// As [`checked_index`], of indices that say where as many elements as these sizes have are: without elements, none lies
/// outside.
pub(crate) fn checked_index_for(
    op: &'static str,
    index: &Tensor,
    n: Size,
    negative: bool,
    elements: &[Size],
) -> Result<Tensor> {
    // No gradient flows to where elements are.
    let index = if has_integer_history(index) { index.detach() } else { index.clone() }.try_to(DType::I64)?;
    let n = super::reduce::size_tensor(n, DType::I64)?;
    let low = if negative { index.try_ge(&n.try_neg()?)? } else { index.try_ge(0)? };
    let inside = holds_for(all_true(&low.try_logical_and(&index.try_lt(&n)?)?)?, elements)?;
    let index = checked(&index, &inside, &format!("{op}: an index lies outside its axis"))?;
    match negative {
        true => index.try_add(&n)?.try_where_self(&index.try_lt(0)?, &index),
        false => Ok(index),
    }
}

/// The elements at `index` along an axis; the other axes of both are equal, and every index has been checked.
pub(crate) fn gather(x: &Tensor, index: &Tensor, axis: usize) -> Result<Tensor> {
    let (sizes, dtype) = (x.sizes(), x.dtype());
    let operands = [Operand::Tensor(x), Operand::Tensor(index)];
    differentiable(&Op::Gather { axis }, "GatherBackward0", &operands, |_| {
        let index = Saved::operand(index);
        move |c: &_, g: &Tensor| {
            let zeros = crate::mode::values::full_of(&sizes, Scalar::from_f64(0.0, dtype))?;
            Ok(smallvec![Some(scatter(ScatterOp::Add, &zeros, &index.get(c.me)?, g, axis)?), None])
        }
    })
}

/// `x` with the elements of `source` put, or added, at `index` along an axis; the other axes of all are equal, and
/// every index has been checked. Where one place is set twice, the last one stays, and both get its gradient, as in PyTorch.
pub(crate) fn scatter(how: ScatterOp, x: &Tensor, index: &Tensor, source: &Tensor, axis: usize) -> Result<Tensor> {
    let op = Op::Scatter { op: how, axis };
    let operands = [Operand::Tensor(x), Operand::Tensor(index), Operand::Tensor(source)];
    differentiable(&op, "ScatterBackward0", &operands, |_| {
        let needed = how == ScatterOp::Set || source.is_requires_grad();
        let index = needed.then(|| Saved::operand(index));
        move |c: &crate::autograd::tape::Context<'_>, g: &Tensor| {
            let index = || index.as_ref().expect("kept where a gradient needs it").get(c.me);
            let by_x = match how {
                _ if !c.wants(0) => None,
                ScatterOp::Add => Some(g.clone()),
                ScatterOp::Set => {
                    let index = index()?;
                    let zeros = crate::mode::values::full_of(&index.sizes(), Scalar::from_f64(0.0, g.dtype()))?;
                    Some(scatter(ScatterOp::Set, g, &index, &zeros, axis)?)
                }
            };
            let by_source = if c.wants(2) { Some(gather(g, &index()?, axis)?) } else { None };
            Ok(smallvec![by_x, None, by_source])
        }
    })
}

/// The elements in reverse order along sorted axes.
pub(crate) fn flip(x: &Tensor, axes: allotrope_ir::Axes) -> Result<Tensor> {
    differentiable(&Op::Flip(axes.clone()), "FlipBackward0", &[Operand::Tensor(x)], |_| {
        move |_: &_, g: &Tensor| grads1(flip(g, axes.clone())?)
    })
}

/// The places of the elements in stable order along an axis; no gradient flows.
pub(crate) fn argsort(x: &Tensor, axis: usize, descending: bool) -> Result<Tensor> {
    apply(&Op::ArgSort { axis, descending }, &[Operand::Tensor(x)])
}
