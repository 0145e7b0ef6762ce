//! The names of the elementwise and reducing operations that the kernels implement: those of the graph language, which
//! is all that the kernels know of it.

pub use allotrope_ir::{BinaryOp, CompareOp, ReduceOp, UnaryOp};
