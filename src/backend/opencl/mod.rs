//! OpenCL devices as a backend: schedules become OpenCL C (`source`), which a device's queue runs. Nothing of it is there
//! without the feature `opencl`.

mod backend;
mod build;
mod cache;
mod device;
mod executable;
mod handles;
mod host_driven;
mod memory;
mod open;
mod probe;
mod remarks;
pub mod source;
mod verdict;

pub use backend::OpenCl;
pub use cache::{Cache, VARIABLE as CACHE_VARIABLE};
pub use device::Opened;
pub use executable::{Forced, Form};
pub use handles::{Arg, Buffer, Description, Event, Kernel, Kind, Program, Unit};
pub use memory::{Block, Limits, Pool, Refused, Usage};
pub use open::units;
pub use source::body::Style;
pub use verdict::{Agreement, Finding, Findings, Times, Verdict, What};

use std::sync::OnceLock;

/// The backend of the device of this number, which is opened when it is first asked for. It stays as long as the program.
pub fn of(number: u8) -> &'static OpenCl {
    static OPENED: [OnceLock<OpenCl>; 256] = [const { OnceLock::new() }; 256];
    OPENED[usize::from(number)].get_or_init(|| OpenCl::new(number))
}
