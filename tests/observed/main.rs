//! Random programs of which everything that a user can observe is compared: eagerly, through `trace` and through
//! `trace_dynamic`. Results that are views, derivatives between results, operations that fail and branch, tensors that are
//! exchanged, arguments that are parameters, layouts that differ between calls. Where `tests/programs` draws what is
//! computed, this draws what surrounds it. See docs/testing.md for a long run.

#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;
mod compare;
mod generate;
mod program;
mod step;
mod world;

#[path = "../../ir/tests/seed/mod.rs"]
mod seed;
