//! Code generators: an optimised graph becomes something that runs. They get checked graphs, never decide shapes and
//! never see a user's tensor.

pub mod cpu;

pub use crate::backend::cpu::profile::{KernelTime, Profile};
pub use crate::backend::cpu::{CompileError, Compiled, Options};
pub use crate::schedule::buffers::{BufferInfo, eager_peak_bytes};
pub use crate::schedule::describe::KernelInfo;
pub use crate::schedule::program::Failure;
