//! Products for a device of few threads with wide vectors: an item has a block of rows and columns and computes it chain by
//! chain, from the operands as they lie where these are small, else from panels; or an item has one chain of all elements, where
//! these are few and the chains many. It never decides in which order chains are added.

use super::{CHAIN, Element, Target, Task, all, called, places};
use crate::backend::opencl::source::body::{Body, Launches, Range, Temporary};
use crate::backend::opencl::source::number::Number;
use crate::schedule::is_zero;
use allotrope_ir::Dim;
use std::collections::BTreeSet;

/// Rows of a register tile, and of a panel of `a`.
const ROWS: i64 = 6;
/// Rows that an item has: a multiple of [`ROWS`] whose part of a chain stays in the second-level cache.
const ITEM_ROWS: i64 = 96;
/// Vectors of columns that an item has.
const ITEM_VECTORS: i64 = 4;
/// Products up to this many multiply-adds are not worth the launches that pack.
const SMALL: i64 = 1 << 25;
/// Up to this many columns are computed without vectors, and up to so many rows where columns are no neighbours.
const NARROW: i64 = 3;
/// Elements and steps up to, and from, which items have a chain each.
const FEW: i64 = 128 * 128;
const LONG: i64 = 4 * CHAIN + 1;

/// How an item computes a chain of its block.
#[derive(Copy, Clone, PartialEq)]
enum Form {
    /// Without vectors.
    Narrow,
    /// From operands as they lie; columns are neighbours, and as many as a vector has.
    Direct,
    /// From `b` in panels.
    Half,
    /// From both in panels.
    Panels,
    /// From factors of several axes, by the places of their rows, columns and steps.
    Axes,
}

/// Those functions of a dtype.
pub fn functions(element: &Element, names: &BTreeSet<&str>) -> String {
    called(&element.fill(include_str!("cpu.cl")), names)
}

/// The launches of a product.
pub fn product(launches: &mut Launches, p: &Task) {
    let whole = launches.group;
    let apart = match whole {
        true => 0.into(),
        false => all([p.elements().at_most(FEW), Number::from(LONG).at_most(p.k())]),
    };
    let volume = p.elements().times(p.k());
    launches.choose(
        apart,
        |l| forms(l, p, 0.into(), whole, &mut |l, form| chains_apart(l, p, form)),
        |l| {
            let large = match whole {
                true => 0.into(),
                false => all([Number::from(ROWS).at_most(p.m()), Number::from(SMALL + 1).at_most(volume)]),
            };
            forms(l, p, large, whole, &mut |l, form| in_turn(l, p, form));
        },
    );
}

/// Calls `f` for the form that fits the sizes, which are panels where `large` is not 0.
fn forms(l: &mut Launches, p: &Task, large: Number, whole: bool, f: &mut dyn FnMut(&mut Launches, Form)) {
    if p.is_of_axes() {
        return f(l, Form::Axes);
    }
    let width = p.element.width;
    let narrow = match whole {
        true => p.n().at_most(width - 1),
        false if p.dense_columns() => p.n().at_most(NARROW),
        false => p.n().min(p.m()).at_most(NARROW),
    };
    // The closures of a choice run one after the other.
    let f = std::cell::RefCell::new(f);
    let call = |l: &mut Launches, form: Form| (f.borrow_mut())(l, form);
    l.choose(
        narrow,
        |l| call(l, Form::Narrow),
        |l| {
            l.choose(
                large,
                |l| call(l, Form::Panels),
                |l| match p.dense_columns() {
                    true => l.choose(p.n().at_most(width - 1), |l| call(l, Form::Half), |l| call(l, Form::Direct)),
                    false => call(l, Form::Half),
                },
            )
        },
    );
}

/// Items have blocks of the result, all their chains in turn.
fn in_turn(l: &mut Launches, p: &Task, form: Form) {
    match p.accumulate {
        false => blocks(l, p, form, &Target::Out),
        // The sum of several chains needs memory of its own before the one addition.
        true => l.choose(
            p.k().at_most(CHAIN),
            |l| blocks(l, p, form, &Target::Out),
            |l| {
                let products = l.temporary(p.element.c_type, p.batches().times(p.elements()));
                blocks(l, p, form, &Target::Memory(&products, "batch"));
                p.sum(l, &products, 1.into());
            },
        ),
    }
}

fn blocks(l: &mut Launches, p: &Task, form: Form, target: &Target) {
    let left = (form == Form::Panels).then(|| Panels::of(l, p, 0));
    let right = matches!(form, Form::Half | Form::Panels).then(|| Panels::of(l, p, 1));
    let item_columns = ITEM_VECTORS * p.element.width;
    let (rows, columns) = (p.m().ceil_div(ITEM_ROWS), p.n().ceil_div(item_columns));
    let items = p.batches().times(rows.clone()).times(columns.clone());
    l.launch(Range::Items(items), |body| {
        let (rows, columns) = (body.value(&rows), body.value(&columns));
        let mut text = format!(
            "long rest = item;\n\
             const long j = rest % {columns} * {item_columns}L; rest /= {columns};\n\
             const long i = rest % {rows} * {ITEM_ROWS}L; rest /= {rows};\n"
        );
        text.push_str(&p.begin(target, body));
        let add = if p.accumulate && matches!(target, Target::Out) { "1" } else { "p > 0" };
        let left = left.map(|panels| panels.at(p, "i", body));
        let right = right.map(|panels| panels.at(p, "j", body));
        let call = call(p, form, left.as_deref(), right.as_deref(), "c + i*crs + j", add, body);
        text.push_str(&format!(
            "const long rows = min({ITEM_ROWS}L, m - i), columns = min({item_columns}L, n - j);\n\
             for (long p = 0; p < max(k, 1L); p += {CHAIN}) {{\n\
             const int steps = min({CHAIN}L, k - p);\n{call}}}\n"
        ));
        text
    });
}

/// The statement that computes the chain from step `p` on of the rows from `i` and the columns from `j` on.
fn call(p: &Task, form: Form, left: Option<&str>, right: Option<&str>, to: &str, add: &str, body: &mut Body) -> String {
    if form == Form::Axes {
        return axes(p, to, add, body);
    }
    let a = left.unwrap_or("a + i*ars + p*acs, ars, acs");
    let (name, b) = match (form, right) {
        (Form::Narrow, _) => ("narrow", "b + j*bcs + p*brs, brs, bcs"),
        (Form::Direct, _) if p.of.m.as_fixed().is_some_and(|m| (m as i64) < ROWS) => ("rows", "b + j + p*brs, brs"),
        (Form::Direct, _) => ("direct", "b + j + p*brs, brs"),
        (Form::Half, Some(b)) => ("half", b),
        (Form::Panels, Some(b)) => ("panels", b),
        (Form::Half | Form::Panels | Form::Axes, _) => panic!("bug in allotrope: a product without its panels"),
    };
    format!("{}(rows, columns, steps, {a}, {b}, {to}, crs, {add});\n", p.element.call(name))
}

/// [`call`] for factors of several axes: block by block, for each of which the places of rows and columns are known.
fn axes(p: &Task, to: &str, add: &str, body: &mut Body) -> String {
    let columns = ITEM_VECTORS * p.element.width;
    let (a, b) = (&p.of.a, &p.of.b);
    let (left, right) = (places("sa", &a[1], "p", "steps", body), places("sb", &b[0], "p", "steps", body));
    let (rows_at, columns_at) = (places("ra", &a[0], "i + y", "h", body), places("cb", &b[1], "j + z", "w", body));
    format!(
        "long sa[{CHAIN}], sb[{CHAIN}], ra[{ITEM_ROWS}], cb[{columns}];\n{left}{right}\
         for (long y = 0; y < rows; y += {ITEM_ROWS}) {{\n\
         const int h = min({ITEM_ROWS}L, rows - y);\n{rows_at}\
         for (long z = 0; z < columns; z += {columns}) {{\n\
         const int w = min({columns}L, columns - z);\n{columns_at}\
         {}(h, w, steps, a, ra, sa, b, cb, sb, {to} + y*crs + z, crs, {add});\n}}\n}}\n",
        p.element.call("axes")
    )
}

/// An item has one chain of all elements; then chains are added.
fn chains_apart(l: &mut Launches, p: &Task, form: Form) {
    let (chains, t, width) = (p.chains(), p.element.c_type, p.element.width);
    let items = p.batches().times(chains.clone());
    let results = l.temporary(t, items.clone().times(p.elements()));
    let padded = p.n().rounded_up(width).times(CHAIN);
    let panels = (form == Form::Half).then(|| l.temporary(t, items.clone().times(padded.clone())));
    l.launch(Range::Items(items), |body| {
        let chains = body.value(&chains);
        let mut text = format!("long rest = item; const long p = rest % {chains} * {CHAIN}L; rest /= {chains};\n");
        text.push_str(&p.begin(&Target::Memory(&results, "item"), body));
        text.push_str(&format!(
            "const long i = 0, j = 0, rows = m, columns = n;\nconst int steps = min({CHAIN}L, k - p);\n"
        ));
        if let Some(panels) = &panels {
            let (memory, padded, pack) = (body.temporary(panels), body.value(&padded), p.element.call("pack"));
            text.push_str(&format!(
                "__global {t} *panels = {memory} + item*{padded};\n\
                 for (long l = 0; l < n; l += {width}) {pack}(n - l, {width}, steps, b + l*bcs + p*brs, brs, bcs, panels + l*steps);\n"
            ));
        }
        text.push_str(&call(p, form, None, panels.as_ref().map(|_| "panels"), "c", "0", body));
        text
    });
    p.sum(l, &results, p.chains());
}

/// An operand in panels: chain by chain, panel by panel, step by step. Along batch axes that repeat it, there is one.
struct Panels {
    memory: Temporary,
    operand: usize,
    /// Rows or columns of a panel.
    width: i64,
    count: Number,
}

impl Panels {
    /// Packs operand 0 in panels of rows, or 1 in panels of columns.
    fn of(l: &mut Launches, p: &Task, operand: usize) -> Panels {
        let (extent, width) = if operand == 0 { (p.m(), ROWS) } else { (p.n(), p.element.width) };
        let (count, chains) = (extent.ceil_div(width), p.chains());
        let axes = moving(p, operand);
        let batches = axes.iter().fold(Number::from(1), |n, (_, d)| n.times(*d));
        let memory = l.temporary(p.element.c_type, batches.clone().times(count.clone()).times(width).times(p.k()));
        let items = batches.times(chains.clone()).times(count.clone());
        let panels = Panels { memory, operand, width, count };
        l.launch(Range::Items(items), |body| {
            let (chains, count, t) = (body.value(&chains), body.value(&panels.count), p.element.c_type);
            let k = body.number(&p.of.k);
            let mut text = format!(
                "long rest = item;\n\
                 const long panel = rest % {count}; rest /= {count};\n\
                 const long p = rest % {chains} * {CHAIN}L; rest /= {chains};\n\
                 const long from = panel * {width}L, k = {k};\n\
                 const int steps = min({CHAIN}L, k - p);\n\
                 __global {t} *to = {} + rest*{count}*{width}*k + p*{count}*{width} + from*steps;\n",
                body.temporary(&panels.memory)
            );
            for (i, n) in axes.iter().rev() {
                text.push_str(&format!("const long x{i} = rest % {n}; rest /= {n};\n", n = body.number(n)));
            }
            let indices: Vec<String> = axes.iter().map(|(i, _)| format!("x{i}")).collect();
            let strides: Vec<Dim> = axes.iter().map(|(i, _)| p.of.batch_strides[operand][*i].clone()).collect();
            let (base, place) = (body.pointer(p.views[operand]), body.place(&indices, &strides));
            let [ars, acs, brs, bcs] = p.of.strides().expect("bug in allotrope: panels of several axes");
            let (extent, along, step) = if operand == 0 { (&p.of.m, ars, acs) } else { (&p.of.n, bcs, brs) };
            let [extent, along, step] = [extent, along, step].map(|d| body.number(d));
            text.push_str(&format!(
                "__global const {t} *x = (__global const {t} *)({base}) + ({place}) + from*{along} + p*{step};\n\
                 {}({extent} - from, {width}, steps, x, {step}, {along}, to);\n",
                p.element.call("pack")
            ));
            text
        });
        panels
    }

    /// The pointer to the panels of the chain from step `p` on, from the row or column `from` on.
    fn at(&self, p: &Task, from: &str, body: &mut Body) -> String {
        let own = moving(p, self.operand)
            .iter()
            .fold("0L".to_string(), |text, (i, n)| format!("({text}*{} + x{i})", body.number(n)));
        let (memory, count, width) = (body.temporary(&self.memory), body.value(&self.count), self.width);
        format!("{memory} + {own}*{count}*{width}*k + p*{count}*{width} + {from}*steps")
    }
}

/// The batch axes along which an operand does not repeat itself.
fn moving<'p>(p: &'p Task, operand: usize) -> Vec<(usize, &'p Dim)> {
    let strides = &p.of.batch_strides[operand];
    p.of.batch.iter().enumerate().filter(|(i, _)| !is_zero(&strides[*i])).collect()
}
