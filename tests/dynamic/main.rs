//! `trace_dynamic`: closures whose Rust code decides what is computed give eager mode's bits on every call, and what was
//! compiled once is not compiled a second time.

#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;
mod exchanged;
#[path = "../programs/generate.rs"]
#[allow(dead_code)]
mod generate;
mod golden;
mod numbers;
#[path = "../programs/program.rs"]
#[allow(dead_code)]
mod program;
mod random_programs;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;
mod state;
mod structure;
mod trouble;
