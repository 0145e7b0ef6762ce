//! The kernels against slow, obvious definitions, at every instruction set that this machine has.

mod common;
mod copy;
mod elementwise;
mod math;
mod matmul;
mod reduce;
mod rng;
mod table;
