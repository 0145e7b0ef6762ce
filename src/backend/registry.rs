//! Which backend computes on which device. It calls none of them.

use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::device::{self, Device};
use crate::error::{Error, Result};
use std::sync::OnceLock;

/// The backends of the registered devices, by number; they stay as long as the program.
static REGISTERED: [OnceLock<Box<dyn Backend>>; 256] = [const { OnceLock::new() }; 256];

/// The backend of a device.
#[inline]
pub fn of(device: Device) -> &'static dyn Backend {
    match device {
        Device::Cpu => &Cpu,
        Device::Registered(r) => &**REGISTERED[r.number()].get().expect("bug in allotrope: a device without a backend"),
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
    device::name(name, attach).map_err(Error::Argument)
}
