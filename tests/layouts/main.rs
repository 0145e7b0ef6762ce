//! How tensors lie in memory, in both modes: which operations show elements and which copy them, what `strides()` and
//! `is_contiguous()` say, and what a change in place reaches. A recording depends on these decisions only where they
//! can be seen, and then a call with others is recorded anew.

#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;
mod results;
#[path = "../../ir/tests/seed/mod.rs"]
#[allow(dead_code)]
mod seed;
mod strided;
mod tables;
