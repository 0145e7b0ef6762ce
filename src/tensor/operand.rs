//! What a primitive is applied to: a tensor, or one number.

use super::handle::Tensor;
use allotrope_ir::Scalar;

/// An operand of an elementwise primitive: a tensor, or one number that stands for a tensor full of it.
#[derive(Copy, Clone)]
pub(crate) enum Operand<'a> {
    Tensor(&'a Tensor),
    Scalar(Scalar),
}

impl<'a> Operand<'a> {
    #[inline]
    pub(crate) fn tensor(&self) -> Option<&'a Tensor> {
        match *self {
            Operand::Tensor(t) => Some(t),
            Operand::Scalar(_) => None,
        }
    }

    /// The strides of a tensor, as it lies or would lie if the program ran eagerly.
    #[inline]
    pub(crate) fn laid_out(&self) -> Option<&'a [isize]> {
        match *self {
            Operand::Tensor(t) => Some(t.laid_out()),
            Operand::Scalar(_) => None,
        }
    }
}
