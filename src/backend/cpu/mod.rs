//! Schedule to machine code for this processor: loops over fused arithmetic, and calls of the kernels for everything whose
//! rounding is a choice.
//!
//! In flow order: [`block_plan`] splits kernels at their calls and says what scratch that takes; the schedule's memory plan
//! lays all buffers out; [`functions`] cuts what is too large for one function; [`emit`] writes Cranelift IR ([`frame`] what
//! its functions share, [`kernel`] and [`passes`] fused kernels, [`arith`] their arithmetic, [`operators`] the operators of the library,
//! [`control`] loops and checks, [`calls`] what it may call, [`pack`] the one piece of library code that is here); [`jit`]
//! makes it executable; [`compiled`] holds it, [`call`] runs it on checked slices, [`profile`] with a clock. It never knows of
//! tensors, modules or derivatives.

mod arith;
mod block_plan;
mod call;
mod calls;
mod compiled;
mod control;
mod emit;
mod frame;
mod functions;
mod jit;
mod kernel;
mod operators;
mod options;
mod pack;
mod passes;
mod profile;

pub use call::Call;
pub use compiled::Compiled;
pub use options::{CompileError, Options};
pub use profile::{Event, KernelTime, Profile};
