//! allotrope: one program, two structures.
pub mod codegen;
pub mod kernels;
