//! The graph language of allotrope: typed nodes with fixed or symbolic dimensions, on petgraph.
//! It knows nothing of tensors, threads or devices; what a node means is said by the interpreter, the oracle
//! that every back end is held against.
#![forbid(unsafe_code)]

pub mod attributes;
mod bounds;
mod check;
pub mod class;
mod dim;
mod dot;
mod dtype;
pub mod element;
mod evaluate;
mod graph;
mod interp;
mod lex;
mod limit;
mod op;
mod parse;
mod partition;
pub mod passes;
mod rules;
pub mod saved;
pub mod text;
mod types;

pub use attributes::{Attribute, AttributeKind, AttributeValue, primitive_names, schema};
pub use bounds::{Bounds, OutOfBounds};
pub use check::{CheckError, CheckErrors, check};
pub use class::{Aliases, AxisMap, AxisOp, Class, Contraction, Elementwise, Leaf, View};
pub use dim::{Dim, Extent, Sym};
pub use dot::dot;
pub use dtype::{DType, Scalar};
pub use evaluate::{Evaluator, Iterate, Values, evaluate, iterate, outputs};
pub use graph::{Graph, Input, InputKind, Node, NodeId, Output, Value};
pub use interp::{Array, Data, RunError, run};
pub use limit::{MOST_BYTES, TooLarge, elements_of};
pub use op::{ArgOp, Axes, BinaryOp, CompareOp, LoopKind, Op, ReduceOp, Scan, ScatterOp, UnaryOp};
pub use parse::{ParseError, parse};
pub use partition::{Partition, partition};
pub use rules::{RuleError, infer};
pub use text::{node_text, print};
pub use types::{Arity, Domain, Shape, Type};
