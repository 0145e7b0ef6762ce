//! This processor as a backend, in two halves. Eagerly: [`memory`] is the allocator ([`machine`] says how much there is), [`eager`] computes a primitive with the
//! kernels, [`host`] is the one door to Rust slices. Schedule to machine code: loops over fused arithmetic, and calls of the kernels for everything whose
//! rounding is a choice.
//!
//! In flow order: [`block_plan`] splits kernels at their calls and says what scratch that takes; the schedule's memory plan
//! lays all buffers out; [`functions`] cuts what is too large for one function; [`emit`] writes Cranelift IR ([`frame`] what
//! its functions share, [`kernel`] and [`passes`] fused kernels, [`arith`] their arithmetic, [`operators`] the operators of the library,
//! [`control`] loops and checks, [`calls`] what it may call, [`pack`] the one piece of library code that is here); [`jit`]
//! makes it executable; [`compiled`] holds it, [`call`] runs it on checked slices, [`profile`] with a clock. [`Cpu`] is all that as the trait has it. It never knows of
//! tensors, modules or derivatives.

mod arith;
mod backend;
mod block_plan;
mod call;
mod calls;
mod compiled;
mod control;
mod eager;
mod emit;
mod frame;
mod functions;
pub(crate) mod host;
mod jit;
mod kernel;
pub(in crate::backend) mod machine;
pub(in crate::backend) mod memory;
mod operators;
mod options;
mod pack;
mod passes;
mod profile;

pub use crate::backend::profile::{Event, KernelTime, Profile};
pub use backend::Cpu;
pub use call::Call;
pub use compiled::Compiled;
pub use options::{CompileError, Options};
