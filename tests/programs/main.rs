//! Whole programs through the public interface, eager and traced: PyTorch's numbers, equal bits, gradients, bad input,
//! what a trace sees of the world. One target, since every target links the whole library.

mod autograd;
mod common;
mod equal_bits;
mod errors;
mod functions;
mod generate;
mod golden;
#[cfg(feature = "opencl")]
mod golden_on_device;
mod gradients;
mod program;
mod random;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;
mod semantics;
mod training;
mod views;
