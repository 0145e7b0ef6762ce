//! The graph language of allotrope: typed nodes with fixed or symbolic dimensions, on petgraph.
//! It knows nothing of tensors, threads or devices; what a node means is said by the interpreter, the oracle
//! that every back end is held against.
#![forbid(unsafe_code)]

mod dim;
mod dtype;
mod graph;
mod op;
mod rules;

pub use dim::{Dim, Extent, Sym};
pub use dtype::{DType, Scalar};
pub use graph::{Graph, Input, InputKind, Node, NodeId, Output, Value};
pub use op::{Axes, BinaryOp, CompareOp, Op, ReduceOp, Scan, UnaryOp};
pub use rules::{RuleError, Shape, Type, infer};
