//! Where an operation says how its result lies in memory, where that is otherwise than its primitives leave it: eagerly the
//! elements are moved. It changes no element, and decides no rule.

use super::slot;
use crate::error::Result;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Tensor, eval};

/// `result`, which the operation has made, lying as the rule says for these operands; its history stays. Operands are broadcast
/// to the shape of the result.
pub(crate) fn laid_out(result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor> {
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
