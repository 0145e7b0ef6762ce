//! The text form of a graph, printed: one line per node, values numbered densely in node order, nested graphs
//! indented. [`crate::parse`] reads it back to an equal graph; nothing here changes or judges a graph.
//!
//! ```text
//! graph   = "graph" "(" [param {"," param}] ")" "{" {node} "return" [result {"," result}] "}"
//! param   = value ":" type ["state"] string                  an input; string is its name
//! node    = [def {"," def} "="] op                           no def only where an op has no results
//! def     = value ":" type
//! op      = "input" ["state"] string                         an input that comes after other nodes
//!         | "const" literal                                  the dtype is that of the def
//!         | "extent" dim | "iota" dim
//!         | name [value {"," value}] {attribute} ["{" graph "}"]
//! attribute = "dtype=" dtype                                 cast
//!         | "shape=" dims                                    broadcast, reshape
//!         | "axes=" "[" number {"," number} "]"              permute, flip, sum, amax, amin
//!         | "axis=" number                                   slice, concat, window, overlap_add, gather, scatter,
//!                                                            scatter_add, argmax, argmin, argsort, recurrence
//!         | "start=" dim | "len=" dim                        slice; overlap_add has len
//!         | "count=" dim | "size=" dim | "step=" number | "dilation=" number  window, overlap_add
//!         | "descending"                                     argsort
//!         | string                                           check
//!         | "number=" number                                 barrier
//!         | "carries=" number | "xs=" number | "length=" dim | "reverse"      scan, which has a graph, as fusion has;
//!                                                            recurrence has reverse
//!         | "kind=" ("all" | "count" | "while" | "within")              scan, all where it is not said
//! result  = value ["->" value]                               stored into that state input, else returned
//! type    = dtype dims                                       bool, u8, i32, i64, f16, bf16, f32, f64
//! dims    = "[" [dim {"," dim}] "]"
//! dim     = ["-"] product {("+" | "-") product}              product = factor {"*" factor}, factor = number | "s" number
//! literal = "true" | "false" | ["-"] number | ["-"] "inf" | "nan" "(" bits ")"       bits as 0x…
//! value   = "%" number
//! ```
//! Floats are the shortest decimals that read back to the same bits. `#` begins a comment that ends with the line.

use crate::{Attribute, Graph, InputKind, LoopKind, NodeId, Op, Scalar, Scan, Shape, Type, Value};
use std::fmt::{self, Write};

/// Parameters stay on one line up to this many characters.
const PARAMS_WIDTH: usize = 100;

/// Writes into a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let _ = write!($out, $($arg)*);
    }};
}

/// The graph as text; [`crate::parse`] is its inverse.
pub fn print(graph: &Graph) -> String {
    let mut out = String::new();
    graph_text(&mut out, graph, 0);
    out.push('\n');
    out
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self))
    }
}

/// One node as the text form shows it, bodies left out: for messages and drawings.
pub fn node_text(graph: &Graph, id: NodeId) -> String {
    node_text_with(graph, &Names::of(graph), id)
}

/// [`node_text`] with the names at hand, for many nodes of one graph.
pub(crate) fn node_text_with(graph: &Graph, names: &Names, id: NodeId) -> String {
    let mut out = String::new();
    node_line(&mut out, graph, names, id);
    if let Op::Input = graph.node(id).op {
        let name = graph.inputs().iter().find(|i| i.node == id).map_or("", |i| &i.name);
        put!(out, " {name:?}");
    }
    if graph.node(id).op.body().is_some() {
        out.push_str(" { … }");
    }
    out
}

/// The printed number of every value.
pub(crate) struct Names {
    first: Vec<usize>,
}

impl Names {
    pub(crate) fn of(graph: &Graph) -> Names {
        let mut next = 0;
        let first = graph
            .nodes()
            .map(|id| {
                let first = next;
                next += graph.node(id).types.len();
                first
            })
            .collect();
        Names { first }
    }

    /// `%7`; a node that does not exist prints as `%?`.
    pub(crate) fn name(&self, v: Value) -> String {
        self.first.get(v.node.0 as usize).map_or("%?".to_string(), |n| format!("%{}", n + v.port as usize))
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn graph_text(out: &mut String, g: &Graph, depth: usize) {
    let names = Names::of(g);
    // Inputs that come before all else stand in the header; later ones are lines, so that node order survives.
    let leading = g.nodes().take_while(|id| g.node(*id).op == Op::Input).count();
    let params: Vec<String> = (g.inputs().iter().take(leading))
        .map(|i| {
            let v = Value { node: i.node, port: 0 };
            format!("{}: {} {}", names.name(v), g.ty(v), input_text(i.kind, &i.name))
        })
        .collect();
    put!(out, "graph(");
    if params.iter().map(|p| p.len() + 2).sum::<usize>() <= PARAMS_WIDTH {
        out.push_str(&params.join(", "));
    } else {
        for (i, p) in params.iter().enumerate() {
            out.push('\n');
            indent(out, depth + 2);
            put!(out, "{p}{}", if i + 1 < params.len() { "," } else { "" });
        }
    }
    out.push_str(") {\n");
    for id in g.nodes().skip(leading) {
        indent(out, depth + 1);
        node_line(out, g, &names, id);
        if g.node(id).op == Op::Input
            && let Some(input) = g.inputs().iter().find(|i| i.node == id)
        {
            put!(out, " {}", input_text(input.kind, &input.name));
        }
        if let Some(body) = g.node(id).op.body() {
            out.push_str(" {\n");
            indent(out, depth + 2);
            graph_text(out, body, depth + 2);
            out.push('\n');
            indent(out, depth + 1);
            out.push('}');
        }
        out.push('\n');
    }
    indent(out, depth + 1);
    put!(out, "return");
    for (i, o) in g.outputs().iter().enumerate() {
        put!(out, "{} {}", if i > 0 { "," } else { "" }, names.name(o.value));
        if let Some(update) = o.update {
            let target = g.inputs().get(update).map(|i| Value { node: i.node, port: 0 });
            put!(out, " -> {}", target.map_or("%?".to_string(), |v| names.name(v)));
        }
    }
    out.push('\n');
    indent(out, depth);
    out.push('}');
}

fn input_text(kind: InputKind, name: &str) -> String {
    match kind {
        InputKind::Arg => format!("{name:?}"),
        InputKind::State => format!("state {name:?}"),
    }
}

/// Results, mnemonic, operands and attributes, without the body.
fn node_line(out: &mut String, g: &Graph, names: &Names, id: NodeId) {
    let node = g.node(id);
    for (port, ty) in node.types.iter().enumerate() {
        let v = Value { node: id, port: port as u32 };
        put!(out, "{}{}: {ty}", if port > 0 { ", " } else { "" }, names.name(v));
    }
    put!(out, "{}{}", if node.types.is_empty() { "" } else { " = " }, node.op.name());
    for (i, v) in g.operands(id).iter().enumerate() {
        put!(out, "{} {}", if i > 0 { "," } else { "" }, names.name(*v));
    }
    attributes(out, &node.op);
}

/// What stands behind the operands, each with a space before it.
pub(crate) fn attributes(out: &mut String, op: &Op) {
    for (name, attribute) in op.attributes() {
        match attribute {
            Attribute::Scalar(s) => put!(out, " {}", literal(*s)),
            Attribute::Size(d) => put!(out, " {d}"),
            Attribute::Dim(d) => put!(out, " {name}={d}"),
            Attribute::Shape(s) => put!(out, " {name}={}", dims(s)),
            Attribute::Axis(n) | Attribute::Number(n) => put!(out, " {name}={n}"),
            Attribute::Axes(axes) | Attribute::Permutation(axes) => put!(out, " {name}={:?}", axes.as_slice()),
            Attribute::Id(n) => put!(out, " {name}={n}"),
            Attribute::Flag(true) => put!(out, " {name}"),
            Attribute::Flag(false) => {}
            Attribute::DType(t) => put!(out, " {name}={t}"),
            Attribute::Text(text) => put!(out, " {text:?}"),
            Attribute::Loop(s) => put!(out, " {}", frame(s)),
            // Bodies are printed by who prints graphs.
            Attribute::Body(_) => {}
        }
    }
}

/// The attributes of a loop.
fn frame(s: &Scan) -> String {
    let reverse = if s.reverse { " reverse" } else { "" };
    let kind = if s.kind == LoopKind::All { String::new() } else { format!(" kind={}", s.kind.name()) };
    format!("carries={} xs={} length={}{reverse}{kind}", s.carries, s.xs, s.length)
}

/// The constant so that it reads back to the same bits.
pub(crate) fn literal(s: Scalar) -> String {
    match s {
        Scalar::Bool(b) => b.to_string(),
        Scalar::U8(i) => i.to_string(),
        Scalar::I32(i) => i.to_string(),
        Scalar::I64(i) => i.to_string(),
        Scalar::F16(x) if x.is_nan() => format!("nan({:#x})", x.to_bits()),
        Scalar::F16(x) => format!("{:?}", x.to_f32()),
        Scalar::BF16(x) if x.is_nan() => format!("nan({:#x})", x.to_bits()),
        Scalar::BF16(x) => format!("{:?}", x.to_f32()),
        Scalar::F32(x) if x.is_nan() => format!("nan({:#x})", x.to_bits()),
        Scalar::F32(x) => format!("{x:?}"),
        Scalar::F64(x) if x.is_nan() => format!("nan({:#x})", x.to_bits()),
        Scalar::F64(x) => format!("{x:?}"),
    }
}

pub(crate) fn dims(shape: &Shape) -> String {
    // The shape of a type prints behind its dtype's name.
    let text = Type { dtype: crate::DType::F32, shape: shape.clone() }.to_string();
    text["f32".len()..].to_string()
}
