//! The indices of a position as C variables: from its number, and on to later positions; what lies beside it in memory; and
//! how items share positions.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, c_type};
use crate::backend::opencl::source::number::Number;
use crate::schedule::{View, collapse, is_one, is_zero};
use allotrope_ir::{DType, Dim, Shape};
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

/// The axes of views of one shape but one, merged where all views walk them as one; the strides of the views are along these.
pub fn without<const N: usize>(views: [&View; N], axis: usize) -> (Shape, [View; N]) {
    let but =
        |all: &Shape| -> Shape { all.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, d)| d.clone()).collect() };
    let mut shape = but(&views[0].shape);
    let mut others = views.map(|v| View { strides: but(&v.strides), ..v.clone() });
    let mut strides = others.each_mut().map(|v| &mut v.strides);
    let split = shape.len();
    collapse(&mut shape, &mut strides, split);
    (shape, others)
}

/// Elements that an item has where it has several, at least.
const BLOCK: i64 = 4096;

/// A launch over all positions of a shape: `outer` gives the statements for the indices of all axes but the last, `inner`, which
/// may use what those declare, the ones for each position.
pub fn positions(
    launches: &mut Launches,
    shape: &[Dim],
    outer: impl FnOnce(&mut Body, &[String]) -> String,
    inner: impl FnOnce(&mut Body, &[String]) -> String,
) {
    let names = names("i", shape);
    let (Style::Cpu, Some((last, rows))) = (launches.style, shape.split_last()) else {
        return launches.launch(Range::Items(Number::product(shape)), |body| {
            decompose(body, "item", shape, &names) + &outer(body, &names) + &inner(body, &names)
        });
    };
    // A block of a row, or several rows.
    let count = Number::from(last);
    let parts = count.clone().ceil_div(BLOCK);
    let each = Number::from(BLOCK).ceil_div(count.clone().max(1));
    let lines = Number::product(rows);
    launches.launch(Range::Items(lines.clone().ceil_div(each.clone()).times(parts.clone())), |body| {
        let (count, parts) = (body.value(&count), body.value(&parts));
        let (lines, each) = (body.value(&lines), body.value(&each));
        let (i, above) = names.split_last().expect("an axis");
        format!(
            "const long from = item % {parts} * {BLOCK}, to = min(from + {BLOCK}, {count});\n\
             for (long line = item / {parts} * {each}, end = min(line + {each}, {lines}); line < end; ++line) {{\n\
             {}{}for (long {i} = from; {i} < to; ++{i}) {{\n{}}}\n}}\n",
            decompose(body, "line", rows, above),
            outer(body, &names),
            inner(body, &names),
        )
    });
}
