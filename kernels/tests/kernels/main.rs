//! The kernels against slow, obvious definitions, at every instruction set that this machine has.

mod common;
mod copy;
mod elementwise;
mod hostile;
mod index;
mod math;
mod math64;
mod matmul;
mod matmul_axes;
mod recurrence;
mod reduce;
mod rng;
#[path = "../../../ir/tests/seed/mod.rs"]
mod seed;
mod sort;
mod table;
mod window;
