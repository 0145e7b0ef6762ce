//! OpenCL devices as a backend: schedules become OpenCL C (`source`), which a device's queue runs. Nothing of it is there
//! without the feature `opencl`.

mod build;
mod device;
mod handles;
pub mod source;

pub use device::Opened;
pub use handles::{Arg, Buffer, Description, Event, Kernel, Kind, Program};
