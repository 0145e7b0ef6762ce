//! Where an operation says how its result lies in memory, beside what its primitives gave: eagerly the elements are moved where
//! they lie otherwise. It changes no element, and decides no rule.

use super::slot;
use crate::error::Result;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Tensor, eval};

/// `result`, which the operation has made, lying as the rule says for these operands. A rule asks about operands that are
/// broadcast to the shape of the result.
pub(crate) fn laid_out(result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor> {
    if slot::is_recording() {
        return Ok(result);
    }
    let strides = rule.strides(result.shape_hint(), operands.iter().map(Operand::laid_out));
    eval::laid_out(result, strides)
}
