//! The same numbers as another dtype.

use super::super::twins;
use crate::autograd::record::differentiable;
use crate::mode::apply::apply;
use crate::ops::grads1;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{DType, Op};

twins! {
    /// The same numbers as another dtype: float to integer truncates and saturates (NaN gives 0), to bool asks `!= 0`.
    fn to / try_to(&self, dtype: DType) -> Tensor {
        let from = self.dtype();
        if from == dtype {
            return Ok(self.clone());
        }
        if !dtype.is_float() {
            return apply(&Op::Cast(dtype), &[Operand::Tensor(self)]);
        }
        differentiable(&Op::Cast(dtype), "ToCopyBackward0", &[Operand::Tensor(self)], |_| {
            move |_: &_, g: &Tensor| grads1(g.try_to(from)?)
        })
    }
}
