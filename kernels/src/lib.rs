//! The numeric ground truth on slices and strides: everything that has more than one correct rounding exists here once,
//! and both modes call it. Never knows of tensors or of the graph.
//!
//! - [`View`], [`ViewMut`]: strided memory, checked once.
//! - [`unary`], [`binary`], [`compare`], [`select`], [`cast`]: elementwise; plain IEEE 754 except for [`math`].
//! - [`copy`], [`copy_into`], [`iota`]: moving and making elements.
//! - [`gather`], [`scatter`], [`overlap_add`]: moving and adding along an axis.
//! - [`arg_reduce`], [`argsort`], [`recurrence`]: order and chains along an axis.
//! - [`mod@reduce`]: sums, maxima, minima, and the order that defines them.
//! - [`mod@matmul`], [`matmul_axes`]: matrix products, and the chains that define them.
//! - [`rng`]: PyTorch's CPU generator and its streams.
//! - [`table`]: the same kernels as function pointers with their signatures, for generated code.
//! - [`simd`]: the instruction sets, `ALLOTROPE_SIMD`. All give the same bits.
//!
//! # NaN
//! Where a result is a NaN it is one at every level and in both modes; its sign and payload are not defined, as
//! hardware takes them from either operand.
//!
//! # Panics
//! The functions for views panic, with "bug in allotrope", when a caller inside the library gives shapes that do not
//! fit or an operation that a type does not have: users' mistakes are found before they arrive here.

#![warn(unsafe_op_in_unsafe_fn)]
// Register tiles index several arrays at once, and kernels have as many parameters as strided operands need.
// Bodies are generic over the level also where only the compiler's target features differ.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments, clippy::extra_unused_type_parameters)]

mod axis;
mod cast;
mod copy;
mod element_ops;
mod elementwise;
mod entry;
mod index;
mod int;
pub mod math;
pub mod matmul;
mod ops;
mod recurrence;
pub mod reduce;
pub mod rng;
pub mod simd;
mod sort;
mod table;
mod threads;
mod transpose;
mod view;
mod window;

pub use cast::{CastTo, cast};
pub use copy::{Iota, copy, copy_into, iota};
pub use elementwise::{Run, binary, binary_run, compare, compare_run, select, unary, unary_run};
pub use entry::{Entry, Family, KernelId, Signature, Word};
pub use index::{gather, scatter};
pub use matmul::{matmul, matmul_axes};
pub use ops::{ArgOp, BinaryOp, CompareOp, ReduceOp, ScatterOp, UnaryOp};
pub use recurrence::recurrence;
pub use reduce::{REDUCE_STATE_ALIGN, REDUCE_STATE_SIZE, ReduceState, reduce};
pub use sort::{arg_reduce, argsort};
pub use table::{Table, table, table_for};
pub use threads::{num_threads, set_num_threads};
pub use view::{Element, View, ViewError, ViewMut};
pub use window::overlap_add;
