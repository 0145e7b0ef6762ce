//! The names of the operations that the kernels implement: those of the graph language, which is all that the kernels
//! know of it.

pub use allotrope_ir::{ArgOp, BinaryOp, CompareOp, ReduceOp, ScatterOp, UnaryOp};
