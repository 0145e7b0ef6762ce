//! Where an operation says how its result lies in memory, where that is otherwise than its primitives leave it: eagerly the
//! elements are moved. It changes no element, and decides no rule.

use super::apply::apply;
use super::slot;
use super::state::order_asked;
use crate::error::Result;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::{LayoutRule, is_images};
use crate::tensor::{Tensor, eval};
use allotrope_ir::{Axes, Op};
use smallvec::SmallVec;

/// `result`, which the operation has made, lying as the rule says for these operands; its history stays. Operands are broadcast
/// to the shape of the result.
pub(crate) fn laid_out(result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor> {
    let repeated = |o: &Operand<'_>| matches!(o, Operand::Tensor(t) if t.dim() < result.dim());
    if operands.iter().any(repeated) {
        let sizes = result.sizes();
        let whole = operands.iter().map(|o| match o {
            Operand::Tensor(_) => apply(&Op::Broadcast(sizes.clone()), &[*o]).map(Some),
            Operand::Scalar(_) => Ok(None),
        });
        let whole: SmallVec<[Option<Tensor>; 3]> = whole.collect::<Result<_>>()?;
        let operands = whole.iter().zip(operands).map(|(t, o)| t.as_ref().map_or(*o, Operand::Tensor));
        return laid_out(result, rule, &operands.collect::<SmallVec<[Operand<'_>; 3]>>());
    }
    if let Some(r) = slot::recorder() {
        return r.laid_out(result, rule, operands);
    }
    let strides = rule.strides(result.shape_hint(), operands.iter().map(Operand::laid_out));
    match eval::laid_out(&result, strides)? {
        None => Ok(result),
        Some(moved) => {
            if result.has_grad_fn() {
                moved.set_grad_fn(result.grad_fn());
            }
            Ok(moved)
        }
    }
}

/// `result`, which the operation has made, in row-major order.
pub(crate) fn row_major(result: Tensor) -> Result<Tensor> {
    laid_out(result, LayoutRule::RowMajor, &[])
}

/// `result`, which the operation has made, in the order in which `x` lies.
pub(crate) fn ordered_as(result: Tensor, x: &Tensor) -> Result<Tensor> {
    laid_out(result, LayoutRule::Preserved, &[Operand::Tensor(x)])
}

/// Whether `[n, c, ..]` lies pixel by pixel: all channels of one pixel together. A trace holds for calls with the same answer.
pub(crate) fn are_images(x: &Tensor) -> bool {
    // What lies in row-major order, as nearly all do, is asked about nothing else.
    if !(3..=5).contains(&x.dim()) {
        return false;
    }
    order_asked(x);
    !x.is_dense() && is_images(x.shape_hint(), x.laid_out())
}

/// As [`are_images`], without gaps; an axis of one element may have any stride.
///
/// # Errors
/// None: seeing axes in another order always succeeds.
pub(crate) fn are_dense_images(x: &Tensor) -> Result<bool> {
    order_asked(x);
    // What lies in row-major order, also with gaps, is none.
    if x.is_dense() {
        return Ok(false);
    }
    Ok(apply(&Op::Permute(channels_last(x.dim())), &[Operand::Tensor(x)])?.is_contiguous())
}

/// The axes of `[n, c, ..]` with the channels behind the places.
fn channels_last(rank: usize) -> Axes {
    std::iter::once(0).chain(2..rank).chain([1]).collect()
}

/// `result`, which the operation has made, pixel by pixel, or else in row-major order.
pub(crate) fn as_images(result: Tensor, yes: bool) -> Result<Tensor> {
    if !yes {
        return row_major(result);
    }
    let n = result.dim();
    let back: Axes = [0, n - 1].into_iter().chain(1..n - 1).collect();
    in_order(result, channels_last(n), back)
}

/// `result`, which the operation has made, with all heads of one place together: `[.., heads, places, width]`.
pub(crate) fn heads_inside(result: Tensor) -> Result<Tensor> {
    let n = result.dim();
    let swapped: Axes = (0..n - 3).chain([n - 2, n - 3, n - 1]).collect();
    in_order(result, swapped.clone(), swapped)
}

/// `result` in row-major order of its axes in this order; `back` puts them back.
fn in_order(result: Tensor, order: Axes, back: Axes) -> Result<Tensor> {
    let turned = row_major(apply(&Op::Permute(order), &[Operand::Tensor(&result)])?)?;
    let laid = apply(&Op::Permute(back), &[Operand::Tensor(&turned)])?;
    if result.has_grad_fn() {
        laid.set_grad_fn(result.grad_fn());
    }
    Ok(laid)
}
