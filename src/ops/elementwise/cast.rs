//! The same numbers as another dtype, or on another device.

use super::super::twins;
use crate::autograd::record::differentiable;
use crate::device::Device;
use crate::error::Result;
use crate::mode::apply::apply;
use crate::ops::grads1;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{DType, Op};

/// What [`Tensor::to`] makes of a tensor: a [`DType`], a [`Device`], or both in any order.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct To {
    dtype: Option<DType>,
    device: Option<Device>,
}

impl To {
    /// The device alone, for tensors whose dtype is to stay.
    pub(crate) fn device_only(self) -> To {
        To { dtype: None, ..self }
    }
}

impl From<DType> for To {
    fn from(dtype: DType) -> To {
        To { dtype: Some(dtype), device: None }
    }
}

impl From<Device> for To {
    fn from(device: Device) -> To {
        To { dtype: None, device: Some(device) }
    }
}

impl From<(DType, Device)> for To {
    fn from((dtype, device): (DType, Device)) -> To {
        To { dtype: Some(dtype), device: Some(device) }
    }
}

impl From<(Device, DType)> for To {
    fn from((device, dtype): (Device, DType)) -> To {
        (dtype, device).into()
    }
}

twins! {
    /// The same numbers as another dtype, on another device, or both; the tensor itself where there is nothing to do. Float
    /// to integer truncates and saturates (NaN gives 0), to bool asks `!= 0`. The gradient goes back as what this tensor is
    /// and to where it is.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.5f32, -2.5], &[2]);
    /// assert_eq!(x.to(DType::I64).to_vec::<i64>(), [1, -2]);
    /// assert!(x.to(Device::Cpu).is_same(&x));
    /// assert_eq!(x.to((Device::Cpu, DType::F64)).dtype(), DType::F64);
    /// ```
    fn to / try_to(&self, to: impl Into<To>) -> Tensor {
        let To { dtype, device } = to.into();
        // Cast where it is, then moved: a device without a dtype can still be given what was cast elsewhere.
        let cast = match dtype {
            Some(dtype) => cast(self, dtype)?,
            None => self.clone(),
        };
        match device {
            Some(device) => cast.try_to_device(device),
            None => Ok(cast),
        }
    }
}

#[track_caller]
fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    let from = x.dtype();
    if from == dtype {
        return Ok(x.clone());
    }
    if !dtype.is_float() {
        return apply(&Op::Cast(dtype), &[Operand::Tensor(x)]);
    }
    differentiable(&Op::Cast(dtype), "ToCopyBackward0", &[Operand::Tensor(x)], |_| {
        move |_: &_, g: &Tensor| grads1(g.try_to(from)?)
    })
}
