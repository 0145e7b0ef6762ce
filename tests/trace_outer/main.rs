//! Gradients through traced calls, with a backward pass that begins outside: the same bits as the program that is eager throughout, with the order in
//! which gradients are added; what is saved and freed; second derivatives; what is an error.

mod between_results;
mod both;
mod broken;
mod callers;
mod changed_in_place;
mod checkpoints;
#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;
#[path = "../programs/generate.rs"]
#[allow(dead_code)]
mod generate;
mod histories;
mod own_flags;
#[path = "../programs/program.rs"]
#[allow(dead_code)]
mod program;
mod programs;
mod random;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;
