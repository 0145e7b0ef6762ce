//! allotrope: one program, two structures.
