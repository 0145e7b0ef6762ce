//! A second backend, to prove that one can be added: it interprets schedules, slowly and plainly, on memory that is no
//! slice of the host for anybody else. The random programs of the tests run on it, eagerly and traced, with the bits of the
//! CPU.

mod backend;
mod devices;
mod interpret;
mod memory;
mod operate;
mod same_bits;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;

#[allow(dead_code, reason = "shared with tests/programs")]
#[path = "../programs/common.rs"]
mod common;
#[allow(dead_code, reason = "shared with tests/programs")]
#[path = "../programs/generate.rs"]
mod generate;
#[allow(dead_code, reason = "shared with tests/programs")]
#[path = "../programs/program.rs"]
mod program;
