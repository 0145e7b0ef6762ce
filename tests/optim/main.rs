//! Optimizers, schedulers, clipping and averages beyond PyTorch's test databases, which `tests/modules` runs: what is refused, groups,
//! state dicts, other dtypes, how many kernels a traced step has.

mod averages;
mod bad_input;
#[path = "../modules/schedulers.rs"]
mod cases;
mod clipping;
#[path = "../programs/common.rs"]
#[allow(dead_code, reason = "the programs share more")]
mod common;
mod groups;
mod kernels;
mod references;
mod resume;
mod rules;
mod schedules;
#[path = "../../ir/tests/seed/mod.rs"]
#[allow(dead_code, reason = "the tests of the compiler share more")]
mod seed;

/// What became of the cases of one scheduler.
pub struct Outcome {
    pub class: String,
    pub passed: usize,
    pub failed: Vec<String>,
}
