//! Backends: memory of a device, primitives computed on it, and schedules made executable. They get checked operands and
//! schedules, never decide shapes, and never see a user's tensor.

mod api;
pub mod cpu;
pub(crate) mod element;
mod executable;
pub(crate) mod memory;
mod one_primitive;
#[cfg(feature = "opencl")]
pub mod opencl;
mod operand;
mod profile;
mod registry;
mod strided_copy;
mod through_schedules;

pub use crate::backend::cpu::{CompileError, Compiled, Options};
pub use crate::schedule::{BufferInfo, Failure, KernelInfo, eager_peak_bytes};
pub use api::{Backend, CompileOptions};
pub use element::FromElement;
pub use executable::{Executable, Input, Stop};
pub use memory::{DeviceMemory, Memory};
pub(crate) use operand::is_dense;
pub use operand::{Array, ArrayMut, Operand};
pub use profile::{Event, KernelTime, Profile};
pub(crate) use registry::compute;
pub use registry::{of, register};
pub use through_schedules::ThroughSchedules;
