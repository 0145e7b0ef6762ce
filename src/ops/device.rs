//! Tensors moved from one device to another. Nothing else moves them.

use super::{grads1, twins};
use crate::autograd::record::composite;
use crate::device::Device;
use crate::error::Error;
use crate::mode;
use crate::tensor::operand::Operand;
use crate::tensor::{Tensor, eval};

twins! {
    /// The same elements on another device, in row-major order: PyTorch's `to(device)`. The tensor itself where it is there
    /// already. The gradient goes back to where this tensor is. A trace runs on one device, so it moves nothing.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::arange(3);
    /// assert!(x.to_device(Device::Cpu).is_same(&x));
    /// ```
    fn to_device / try_to_device(&self, device: Device) -> Tensor {
        let from = self.device();
        if device == from {
            return Ok(self.clone());
        }
        if mode::is_recording() {
            return Err(Error::trace(format!(
                "to_device: a trace runs on one device, this one on {from}; move the tensor to {device} outside of it"
            )));
        }
        let compute = || eval::transferred(self, device);
        composite("ToCopyBackward0", &[Operand::Tensor(self)], compute, |_| {
            move |_: &_, g: &Tensor| grads1(g.try_to_device(from)?)
        })
    }
}
