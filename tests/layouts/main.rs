//! How tensors lie in memory, in both modes: which operations show elements and which copy them, what `strides()` and
//! `is_contiguous()` say, and what a change in place reaches. A recording depends on these decisions only where they
//! can be seen, and then a call with others is recorded anew.

#[path = "../opinfo/adapters.rs"]
mod adapters;
#[path = "../opinfo/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;
#[path = "../opinfo/corpus.rs"]
#[allow(dead_code)]
mod corpus;
mod gradients;
mod images;
mod loops;
mod memory;
mod pytorch;
mod results;
#[path = "../../ir/tests/seed/mod.rs"]
#[allow(dead_code)]
mod seed;
mod strided;
mod tables;

mod run {
    /// Calls the operator that a case means.
    pub type Adapter = fn(&crate::case::Case) -> allotrope::Result<Vec<allotrope::Tensor>>;
}
