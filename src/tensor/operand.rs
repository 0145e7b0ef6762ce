//! What a primitive is applied to: a tensor, or one number.

use super::handle::Tensor;
use allotrope_ir::Scalar;

/// An operand of an elementwise primitive: a tensor, or one number that stands for a tensor full of it.
#[derive(Copy, Clone)]
pub(crate) enum Operand<'a> {
    Tensor(&'a Tensor),
    Scalar(Scalar),
}
