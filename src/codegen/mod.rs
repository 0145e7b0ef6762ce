//! Code generators: an optimised graph becomes something that runs. They get checked graphs, never decide shapes and
//! never see a user's tensor.

pub mod cpu;

pub use cpu::{
    BufferInfo, CompileError, Compiled, Failure, KernelInfo, KernelTime, Options, Profile, eager_peak_bytes,
};
