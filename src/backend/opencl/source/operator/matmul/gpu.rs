//! Products for a device of many threads: a work group has a tile of the result, whose operands pass through local memory; where
//! there are too few tiles, it has one chain of it. Small products have an item for each element. It never decides in which
//! order chains are added.

use super::{CHAIN, Element, Target, Task, all, called, place};
use crate::backend::opencl::source::body::{Body, Launches, Range};
use crate::backend::opencl::source::number::Number;
use crate::schedule::{Axes, is_one};
use std::collections::BTreeSet;

/// Items of a work group.
const ITEMS: usize = 256;
/// Products up to this many multiply-adds have no tiles.
const SMALL: i64 = 1 << 15;
/// Elements from which on tiles are large.
const LARGE: i64 = 1 << 20;
/// Groups up to which chains are computed apart.
const GROUPS: i64 = 128;
/// Elements of all chains that wait to be added.
const WAITING: i64 = 1 << 25;

/// A tile: rows and columns, steps in local memory, rows and columns of an item.
struct Tile {
    edge: i64,
    depth: i64,
    each: i64,
}

const TILES: [Tile; 2] = [Tile { edge: 64, depth: 16, each: 4 }, Tile { edge: 128, depth: 8, each: 8 }];

impl Tile {
    fn fill(&self, template: &str) -> String {
        template
            .replace("$B", &self.edge.to_string())
            .replace("$D", &self.depth.to_string())
            .replace("$N", &self.each.to_string())
            .replace("$Q", &self.edge.to_string())
    }
}

/// Those functions of a dtype.
pub fn functions(element: &Element, names: &BTreeSet<&str>) -> String {
    let (tiles, single) = include_str!("gpu.cl").split_once("\n\n// An element.").expect("two parts");
    let mut found = called(&element.fill(&format!("\n\n// An element.{single}")), names);
    for tile in &TILES {
        found.push_str(&called(&element.fill(&tile.fill(tiles)), names));
    }
    found
}

/// The launches of a product.
pub fn product(launches: &mut Launches, p: &Task) {
    let [small, large] = TILES;
    let volume = p.elements().times(p.k());
    launches.choose(
        volume.at_most(SMALL),
        |l| elements(l, p),
        |l| {
            let much = Number::from(LARGE).at_most(p.elements());
            l.choose(much, |l| tiles(l, p, &large), |l| tiles(l, p, &small));
        },
    );
}

/// An item has an element.
pub fn elements(l: &mut Launches, p: &Task) {
    l.launch(Range::Items(p.batches().times(p.elements())), |body| {
        let (m, n) = (body.number(&p.of.m), body.number(&p.of.n));
        let mut text = format!(
            "long rest = item; const long j = rest % {n}; rest /= {n}; const long i = rest % {m}; rest /= {m};\n"
        );
        text.push_str(&p.begin(&Target::Out, body));
        if p.is_of_axes() {
            text.push_str(&element_of_axes(p, body));
            return text;
        }
        text.push_str(&format!(
            "{}(k, a + i*ars, acs, b + j*bcs, brs, c + i*crs + j, {});\n",
            p.element.call("element"),
            i32::from(p.accumulate)
        ));
        text
    });
}

/// Statements that compute an element of factors of several axes.
fn element_of_axes(p: &Task, body: &mut Body) -> String {
    let ([ra, sa], [sb, cb]) = (&p.of.a, &p.of.b);
    let (row, column) = (place(ra, "(i)", body), place(cb, "(j)", body));
    let (left, right) = (place(sa, "(s)", body), place(sb, "(s)", body));
    let (t, add) = (p.element.c_type, if p.accumulate { "*at + " } else { "" });
    format!(
        "a += {row}; b += {column};\n{t} sum = 0;\n\
         for (long p = 0; p < k; p += {CHAIN}) {{\n\
         {t} acc = 0; const long end = min(p + {CHAIN}, k);\n\
         for (long s = p; s < end; s++) {}(a + {left}, b + {right}, &acc);\n\
         sum = p == 0 ? acc : sum + acc;\n}}\n\
         __global {t} *at = c + i*crs + j; *at = {add}sum;\n",
        p.element.call("add")
    )
}

fn tiles(l: &mut Launches, p: &Task, tile: &Tile) {
    let groups = p.m().ceil_div(tile.edge).times(p.n().ceil_div(tile.edge)).times(p.batches());
    let waiting = p.batches().times(p.elements()).times(p.chains());
    let apart = all([groups.at_most(GROUPS), Number::from(CHAIN + 1).at_most(p.k()), waiting.clone().at_most(WAITING)]);
    l.choose(
        apart,
        |l| {
            let results = l.temporary(p.element.c_type, waiting);
            groups_of(l, p, tile, &Target::Memory(&results, "(batch*chains + chain)"));
            p.sum(l, &results, p.chains());
        },
        |l| groups_of(l, p, tile, &Target::Out),
    );
}

/// Groups have all chains of a tile, or, where results go to memory, one of them.
fn groups_of(l: &mut Launches, p: &Task, tile: &Tile, target: &Target) {
    let apart = matches!(target, Target::Memory(..));
    let (edge, padded) = (tile.edge, (tile.edge + 4) / 4);
    let (rows, columns) = (p.m().ceil_div(edge), p.n().ceil_div(edge));
    let chains = if apart { p.chains() } else { 1.into() };
    let groups = p.batches().times(rows.clone()).times(columns.clone()).times(chains.clone());
    l.launch(Range::Groups { groups, size: ITEMS }, |body| {
        let (rows, columns, chains) = (body.value(&rows), body.value(&columns), body.value(&chains));
        let (t, local) = (p.element.c_type, (tile.depth * padded) as usize);
        body.local(&format!("{t}4"), "la", local);
        body.local(&format!("{t}4"), "lb", local);
        let mut text = format!(
            "long rest = group;\n\
             const long j = rest % {columns} * {edge}L; rest /= {columns};\n\
             const long i = rest % {rows} * {edge}L; rest /= {rows};\n\
             const long chains = {chains}, chain = rest % chains; rest /= chains;\n"
        );
        text.push_str(&p.begin(target, body));
        let (steps, add) = match apart {
            true => (format!("min(k - chain*{CHAIN}, {CHAIN}L)"), 0),
            false => ("k".to_string(), i32::from(p.accumulate)),
        };
        text.push_str(&format!("const long p = chain * {CHAIN};\n"));
        if p.is_of_axes() {
            text.push_str(&tile_of_axes(p, tile, &steps, add, body));
            return text;
        }
        text.push_str(&format!(
            "{}(lane, (__local {t} *)la, (__local {t} *)lb, m - i, n - j, {steps}, a + i*ars + p*acs, ars, acs, \
             b + j*bcs + p*brs, brs, bcs, c + i*crs + j, crs, {add});\n",
            p.element.call(&format!("group_{edge}"))
        ));
        text
    });
}

/// Statements of a group that computes its tile of factors of several axes: the places of its rows and columns, and of the steps of
/// a chain, lie in local memory.
fn tile_of_axes(p: &Task, tile: &Tile, steps: &str, add: i32, body: &mut Body) -> String {
    let ([ra, sa], [sb, cb]) = (&p.of.a, &p.of.b);
    let (t, edge, each) = (p.element.c_type, tile.edge, tile.each);
    for (name, count) in [("ra", edge), ("cb", edge), ("sa", CHAIN), ("sb", CHAIN)] {
        body.local("long", name, count as usize);
    }
    let (row, column) = (place(ra, "(min(i + lane, m - 1))", body), place(cb, "(min(j + lane, n - 1))", body));
    let (left, right) = (place(sa, "(q + lane)", body), place(sb, "(q + lane)", body));
    // Steps next to each other are loaded by neighbours where rows, or columns, are not.
    let dense = |axes: &Axes| axes.strides.last().is_some_and(is_one);
    let along = |across: &Axes, steps: &Axes| i32::from(dense(steps) && !dense(across));
    format!(
        "if (lane < {edge}) {{ ra[lane] = {row}; cb[lane] = {column}; }}\n\
         {t} sum[{each}][{each}];\n\
         const long until = p + {steps};\n\
         for (long q = p; q == p || q < until; q += {CHAIN}) {{\n\
         barrier(CLK_LOCAL_MEM_FENCE);\n\
         if (q + lane < until) {{ sa[lane] = {left}; sb[lane] = {right}; }}\n\
         {}(lane, (__local {t} *)la, (__local {t} *)lb, m - i, n - j, min(until - q, {CHAIN}L), a, ra, sa, {}, b, cb, sb, {}, q == p, sum);\n}}\n\
         {}(lane, m - i, n - j, sum, c + i*crs + j, crs, {add});\n",
        p.element.call(&format!("chain_{edge}")),
        along(ra, sa),
        along(cb, sb),
        p.element.call(&format!("store_{edge}"))
    )
}
