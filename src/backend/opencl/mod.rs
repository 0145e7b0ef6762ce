//! OpenCL devices as a backend: schedules become OpenCL C (`source`), which a device's queue runs. Nothing of it is there
//! without the feature `opencl`.

pub mod backend;
mod build;
mod device;
mod executable;
mod handles;
mod host_driven;
mod memory;
pub mod source;

pub use device::Opened;
pub use handles::{Arg, Buffer, Description, Event, Kernel, Kind, Program};
