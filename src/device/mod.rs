//! A device: where memory is, and where is computed on it. It is a name to compare and to print, the lowest part of the
//! library; it never knows of memory, of code, or of how either is had.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

/// Where the elements of a tensor are, and where operations on it are computed.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(Tensor::ones(&[2], DType::F32).device(), Device::Cpu);
/// assert_eq!("cpu".parse::<Device>()?, Device::Cpu);
/// # Ok::<(), allotrope::device::UnknownDevice>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Device {
    /// This processor.
    #[default]
    Cpu,
    /// The OpenCL device of this number, in the order in which the system lists them: `opencl:0`.
    #[cfg(feature = "opencl")]
    OpenCl(u8),
    /// A device of a backend that was registered, see [`register`](crate::backend::register).
    Registered(Registered),
}

/// Which of the registered devices; only the registration hands it out.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registered(u8);

/// The names of the registered devices, by number.
static NAMES: RwLock<Vec<String>> = RwLock::new(Vec::new());

impl Registered {
    /// The number of the device among the registered ones.
    pub(crate) fn number(self) -> usize {
        self.0.into()
    }
}

/// One more device of this name; `attach` gets its number before anybody can ask for the name.
///
/// # Errors
/// When there is a device of this name, or there are too many.
pub(crate) fn name(name: &str, attach: impl FnOnce(usize)) -> Result<Device, String> {
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    if name == "cpu" || name == "opencl" || name.starts_with("opencl:") || names.iter().any(|n| n == name) {
        return Err(format!("there is a device {name:?} already"));
    }
    let number = u8::try_from(names.len()).map_err(|_| "there are too many devices".to_string())?;
    attach(number.into());
    names.push(name.to_string());
    Ok(Device::Registered(Registered(number)))
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.pad("cpu"),
            #[cfg(feature = "opencl")]
            Device::OpenCl(number) => f.pad(&format!("opencl:{number}")),
            Device::Registered(r) => {
                let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
                f.pad(names.get(r.number()).map_or("unknown", |n| n))
            }
        }
    }
}

/// No device has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no device {0:?}")]
pub struct UnknownDevice(pub String);

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Device, UnknownDevice> {
        if name == "cpu" {
            return Ok(Device::Cpu);
        }
        #[cfg(feature = "opencl")]
        if let Some(number) = name.strip_prefix("opencl:") {
            return number.parse().map(Device::OpenCl).map_err(|_| UnknownDevice(name.to_string()));
        }
        let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        let found = names.iter().position(|n| n == name).and_then(|i| u8::try_from(i).ok());
        found.map(|i| Device::Registered(Registered(i))).ok_or_else(|| UnknownDevice(name.to_string()))
    }
}

/// Where a thread makes tensors.
#[derive(Copy, Clone)]
struct Defaults {
    /// What [`set_default_device`] has chosen.
    chosen: Device,
    /// What a scope says instead, while it lasts.
    scope: Option<Device>,
}

thread_local! {
    static DEFAULTS: Cell<Defaults> = const { Cell::new(Defaults { chosen: Device::Cpu, scope: None }) };
}

/// The device on which this thread makes tensors that no other tensor says the device of.
#[inline]
pub fn default_device() -> Device {
    let Defaults { chosen, scope } = DEFAULTS.get();
    scope.unwrap_or(chosen)
}

/// From now on this thread makes tensors on `device`, as after `torch.set_default_device(..)`: whatever makes a tensor without
/// being given one, so elements of Rust (`from_vec`), random numbers, the parameters of layers and loaded functions too. It opens
/// no device: what cannot be used is an error where a tensor is made first. Inside [`with_device`] the scope's device stays.
///
/// ```
/// use allotrope::{device::{default_device, set_default_device}, prelude::*};
/// set_default_device(Device::Cpu); // or Device::OpenCl(0)
/// let model = nn::Linear::new(2, 3);
/// assert_eq!(model.weight.device(), default_device());
/// ```
pub fn set_default_device(device: Device) {
    DEFAULTS.set(Defaults { chosen: device, ..DEFAULTS.get() });
}

/// Puts the device that this thread makes tensors on back to what it was.
pub(crate) struct Entered(Option<Option<Device>>);

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            DEFAULTS.set(Defaults { scope: before, ..DEFAULTS.get() });
        }
    }
}

/// This thread makes tensors on `device` until the guard is dropped: what an operation makes on the way to its result is
/// where its operands are.
#[inline]
#[must_use]
pub(crate) fn enter(device: Device) -> Entered {
    if default_device() == device {
        return Entered(None);
    }
    scope(device)
}

fn scope(device: Device) -> Entered {
    let defaults = DEFAULTS.get();
    DEFAULTS.set(Defaults { scope: Some(device), ..defaults });
    Entered(Some(defaults.scope))
}

/// Runs `f`, in which this thread makes tensors on `device`: whatever makes a tensor without being given one, random
/// numbers and the parameters of layers too. As `with torch.device(..)`.
///
/// ```
/// use allotrope::prelude::*;
/// let x = with_device(Device::Cpu, || Tensor::ones(&[2], DType::F32));
/// assert_eq!(x.device(), Device::Cpu);
/// ```
pub fn with_device<T>(device: Device, f: impl FnOnce() -> T) -> T {
    let _scope = scope(device);
    f()
}
