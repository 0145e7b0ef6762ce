//! Which backend computes on which device. It calls none of them.

use crate::backend::cpu::Cpu;
#[cfg(feature = "opencl")]
use crate::backend::opencl;
use crate::backend::{Backend, Memory, Operand};
use crate::device::{self, Device};
use crate::error::{Error, Result};
use allotrope_ir::{DType, Op};
use std::sync::OnceLock;

/// The backends of the registered devices, by number; they stay as long as the program.
static REGISTERED: [OnceLock<Box<dyn Backend>>; 256] = [const { OnceLock::new() }; 256];

/// The backend of a device.
#[inline]
pub fn of(device: Device) -> &'static dyn Backend {
    match device {
        Device::Cpu => &Cpu,
        #[cfg(feature = "opencl")]
        Device::OpenCl(number) => opencl::of(number),
        Device::Registered(r) => &**REGISTERED[r.number()].get().expect("bug in allotrope: a device without a backend"),
    }
}

/// [`Backend::compute`] of the device. Small tensors on the CPU feel what a call through a table costs, so there it is none.
///
/// # Errors
/// When the device fails.
#[inline]
pub(crate) fn compute(
    device: Device,
    op: &Op<usize>,
    operands: &[Operand<'_>],
    dtype: DType,
    shape: &[usize],
) -> Result<Memory> {
    match device {
        Device::Cpu => Cpu.compute(op, operands, dtype, shape),
        #[cfg(feature = "opencl")]
        Device::OpenCl(_) => of(device).compute(op, operands, dtype, shape),
        Device::Registered(_) => of(device).compute(op, operands, dtype, shape),
    }
}

/// A new device, on which this backend computes. It has its name from here on to the end of the program.
///
/// # Errors
/// When there is a device of this name, or there are too many.
pub fn register(name: &str, backend: impl Backend + 'static) -> Result<Device> {
    let attach = |number: usize| {
        let _ = REGISTERED[number].set(Box::new(backend));
    };
    device::name(name, attach).map_err(Error::argument)
}
