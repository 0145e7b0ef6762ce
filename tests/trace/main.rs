//! What `trace` promises, as tests: how often it captures and compiles, the traps of other tracers, state, guards, and
//! transformations inside of it. Beside each count stand equal bits with eager code.

mod branches;
mod checks;
#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;
mod counts;
mod exchanged;
mod guards;
mod one_tensor;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;
mod state;
mod transforms;
mod traps;
