//! The indices of a position as C variables: from its number, and on to later positions; and what lies beside it in memory.

use crate::backend::opencl::source::body::{Body, c_type};
use crate::schedule::{is_one, is_zero};
use allotrope_ir::{DType, Dim};
use std::fmt::Display;

/// A name for the index of each axis.
pub fn names(prefix: &str, shape: &[Dim]) -> Vec<String> {
    (0..shape.len()).map(|axis| format!("{prefix}{axis}")).collect()
}

/// Declares the indices of the row-major position `number`, a variable. Sizes but the first are not 0 where it runs.
pub fn decompose(body: &mut Body, number: &str, shape: &[Dim], names: &[String]) -> String {
    let Some(last) = names.last() else { return String::new() };
    let mut text = format!("long {last} = {number};\n");
    for axis in (1..names.len()).rev() {
        let (here, above, n) = (&names[axis], &names[axis - 1], body.number(&shape[axis]));
        text += &format!("long {above} = {here} / {n};\n{here} -= {above} * {n};\n");
    }
    text
}

/// Moves indices on by so many positions. Sizes but the first are not 0 where it runs.
pub fn advance(body: &mut Body, shape: &[Dim], names: &[String], by: impl Display) -> String {
    let Some(last) = names.last() else { return String::new() };
    let mut text = format!("{last} += {by};\n");
    let mut closing = String::new();
    for axis in (1..names.len()).rev() {
        let (here, above, n) = (&names[axis], &names[axis - 1], body.number(&shape[axis]));
        // An axis is at most one position beyond its end but for the last, which may be several times.
        if axis + 1 == names.len() {
            text += &format!("while ({here} >= {n}) {{\n{here} -= {n};\n++{above};\n");
        } else {
            text += &format!("if ({here} == {n}) {{\n{here} = 0;\n++{above};\n");
        }
        closing += "}\n";
    }
    text + &closing
}

/// `n` elements from a pointer on, `stride` apart, as a vector of 16, whose elements from `n` on mean nothing.
pub fn neighbours(body: &mut Body, dtype: DType, pointer: &str, stride: &Dim, n: usize) -> String {
    let t = c_type(dtype);
    if is_one(stride) && n == 16 {
        return format!("vload{n}(0, {pointer})");
    }
    if is_zero(stride) {
        return format!("({t}16)(*({pointer}))");
    }
    let stride = body.number(stride);
    let each: Vec<String> = (0..16).map(|i| format!("*({pointer} + {} * {stride})", i.min(n - 1))).collect();
    format!("({t}16)({})", each.join(", "))
}
