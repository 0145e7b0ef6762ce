//! allotrope: one program, two structures.
pub mod kernels;
