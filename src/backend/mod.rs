//! Code generators: an optimised graph becomes something that runs. They get checked graphs, never decide shapes and
//! never see a user's tensor.

pub mod cpu;

pub use crate::backend::cpu::{CompileError, Compiled, KernelTime, Options, Profile};
pub use crate::schedule::{BufferInfo, Failure, KernelInfo, eager_peak_bytes};
