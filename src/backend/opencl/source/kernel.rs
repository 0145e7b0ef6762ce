//! Fused kernels as launches: how items share the positions of a kernel's axes. Of an expression it knows only on how many
//! axes it depends.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, c_type};
use crate::backend::opencl::source::expr::Values;
use crate::backend::opencl::source::number::Number;
use crate::schedule::{ExprId, Kernel, Store};

/// Elements that an item of a [`Style::Cpu`] device has at least, where there are so many.
const BLOCK: i64 = 4096;

/// The launches of a kernel.
pub fn kernel(launches: &mut Launches, k: &Kernel) {
    match (k.reduces(), launches.style) {
        (true, _) => super::fused_reduction::reduction(launches, k),
        (false, Style::Cpu) => blocks(launches, k),
        (false, Style::Gpu) => elements(launches, k),
    }
}

/// The names of the index variables of axes.
pub fn indices(k: &Kernel) -> Vec<String> {
    (0..k.axes.len()).map(|a| format!("i{a}")).collect()
}

/// Statements that declare the indices of these axes from a row-major position, which is the variable `position`.
pub fn decompose(k: &Kernel, axes: std::ops::Range<usize>, position: &str, body: &mut Body) -> String {
    match axes.len() {
        0 => return String::new(),
        1 => return format!("const long i{} = {position};\n", axes.start),
        _ => {}
    }
    let mut text = format!("long rest = {position};\n");
    for a in axes.clone().skip(1).rev() {
        let n = body.number(&k.axes[a]);
        text.push_str(&format!("const long i{a} = rest % {n}; rest /= {n};\n"));
    }
    text + &format!("const long i{} = rest;\n", axes.start)
}

/// The stores of these values, and the results that are kept as scalars.
pub fn stores<'k>(
    which: impl Iterator<Item = &'k Store>,
    values: &mut Values<'_>,
    indices: &[String],
    body: &mut Body,
) -> String {
    let mut text = String::new();
    let all: Vec<&Store> = which.collect();
    // Every load comes before the first store, which may be to the same place.
    let computed: Vec<String> = all.iter().map(|s| values.value(s.expr, indices, body, &mut text)).collect();
    for (s, value) in all.iter().zip(computed) {
        let (base, place) = (body.pointer(&s.view), body.place(indices, &s.view.strides));
        text.push_str(&format!("{base}[{place}] = {value};\n"));
    }
    text
}

/// Statements that keep results as scalars. They have no axes.
pub fn results(k: &Kernel, values: &mut Values<'_>, indices: &[String], body: &mut Body) -> String {
    let mut text = String::new();
    for (e, scalar) in &k.results {
        let value = values.value(*e, indices, body, &mut text);
        let (place, ty) = (body.scalar(*scalar), c_type(k.expr(*e).dtype));
        text.push_str(&format!("*(__global {ty} *)({place}) = {value};\n"));
    }
    text
}

/// An item an element.
fn elements(launches: &mut Launches, k: &Kernel) {
    launches.launch(Range::Items(Number::product(&k.axes)), |body| {
        let (mut values, names) = (Values::new(k), indices(k));
        let mut text = decompose(k, 0..k.axes.len(), "item", body);
        text.push_str(&stores(k.stores.iter(), &mut values, &names, body));
        text.push_str(&results(k, &mut values, &names, body));
        text
    });
}

/// An item a block of the last axis, or several rows of it where these are short.
fn blocks(launches: &mut Launches, k: &Kernel) {
    let Some((last, outer)) = k.axes.split_last() else { return elements(launches, k) };
    let inner = Number::from(last);
    let rows = Number::product(outer);
    let parts = inner.clone().ceil_div(BLOCK);
    let each = Number::from(BLOCK).ceil_div(inner.clone().max(1));
    let items = rows.clone().ceil_div(each.clone()).times(parts.clone());
    launches.launch(Range::Items(items), |body| {
        let (mut values, names) = (Values::new(k), indices(k));
        let axis = outer.len();
        let mut text = String::new();
        let (inner, parts) = (body.value(&inner), body.value(&parts));
        let mut close = 0;
        if parts == "1L" {
            text.push_str(&format!("const long from = 0, to = {inner};\n"));
        } else {
            text.push_str(&format!(
                "const long from = item % {parts} * {BLOCK}L, to = min(from + {BLOCK}L, {inner});\n"
            ));
        }
        if !outer.is_empty() {
            let (rows, each) = (body.value(&rows), body.value(&each));
            let group = if parts == "1L" { "item".to_string() } else { format!("(item / {parts})") };
            text.push_str(&format!(
                "for (long row = {group} * {each}, end = min(row + {each}, {rows}); row < end; row++) {{\n"
            ));
            text.push_str(&decompose(k, 0..axis, "row", body));
            close += 1;
        }
        // What does not depend on the last axis is computed once.
        let constant: Vec<ExprId> =
            (0..k.exprs.len() as u32).map(ExprId).filter(|e| k.expr(*e).depth <= axis).collect();
        for e in constant {
            values.value(e, &names, body, &mut text);
        }
        // Positions do not depend on each other: a store lies over nothing but what its own position has loaded.
        text.push_str("_Pragma(\"clang loop vectorize(assume_safety)\")\n");
        text.push_str(&format!("for (long i{axis} = from; i{axis} < to; i{axis}++) {{\n"));
        text.push_str(&stores(k.stores.iter(), &mut values, &names, body));
        text.push_str("}\n");
        text.push_str(&"}\n".repeat(close));
        text
    });
}
