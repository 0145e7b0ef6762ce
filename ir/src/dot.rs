//! The graph as Graphviz DOT, for people: bodies of scans and fusions are boxes within it, states have thick borders,
//! and what goes on to the next iteration of a loop, or back into a state, is a dashed edge. Nothing reads it back.

use crate::text::{Names, node_text_with};
use crate::{Graph, InputKind, LoopKind, NodeId, Op, Value};
use std::fmt::Write;

/// The graph in the DOT language.
///
/// ```
/// use allotrope_ir::{Graph, dot};
/// let g: Graph = r#"graph(%0: f32[2] "x") { %1: f32[2] = tanh %0 return %1 }"#.parse().unwrap();
/// assert!(dot(&g).contains("n0 -> n1"));
/// ```
pub fn dot(graph: &Graph) -> String {
    let mut d = Dot { out: String::new() };
    d.out.push_str("digraph allotrope {\n  rankdir=TB; node [shape=box, fontname=monospace, fontsize=10];\n");
    d.graph(graph, "", 1);
    for (i, o) in graph.outputs().iter().enumerate() {
        let from = source(graph, "", o.value);
        match o.update.and_then(|u| graph.inputs().get(u)) {
            Some(state) => d.line(1, &format!("{from} -> n{} [style=dashed, constraint=false];", state.node.0)),
            None => {
                d.line(1, &format!("out{i} [shape=oval, label=\"output {i}\"];"));
                d.line(1, &format!("{from} -> out{i};"));
            }
        }
    }
    d.out.push_str("}\n");
    d.out
}

/// The DOT name of a node in the body that `prefix` leads to.
fn name(prefix: &str, id: NodeId) -> String {
    format!("{prefix}n{}", id.0)
}

/// The DOT node in which a value is computed: inside of the body, where its node has one.
fn source(g: &Graph, prefix: &str, v: Value) -> String {
    match g.node(v.node).op.body() {
        Some(b) => source(b, &format!("{}_", name(prefix, v.node)), b.outputs()[v.port as usize].value),
        None => name(prefix, v.node),
    }
}

struct Dot {
    out: String,
}

impl Dot {
    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{}{text}", "  ".repeat(depth));
    }

    fn graph(&mut self, g: &Graph, prefix: &str, depth: usize) {
        let names = Names::of(g);
        for id in g.nodes() {
            let here = name(prefix, id);
            let op = &g.node(id).op;
            let Some(b) = op.body() else {
                let style = match g.inputs().iter().find(|i| i.node == id).map(|i| i.kind) {
                    Some(InputKind::State) => ", style=\"filled,bold\", fillcolor=\"#dde8f5\"",
                    Some(InputKind::Arg) => ", style=filled, fillcolor=\"#eeeeee\"",
                    None => "",
                };
                self.line(depth, &format!("{here} [label={}{style}];", quoted(&node_text_with(g, &names, id))));
                for v in g.operands(id) {
                    self.line(depth, &format!("{} -> {here};", source(g, prefix, v)));
                }
                continue;
            };
            let inner = format!("{here}_");
            self.line(depth, &format!("subgraph cluster_{here} {{"));
            self.line(depth + 1, &format!("label={}; style=rounded; fontname=monospace;", quoted(&title(op))));
            self.graph(b, &inner, depth + 1);
            if let Op::Scan(s) = op {
                for (o, i) in b.outputs().iter().zip(b.inputs()).take(s.carries) {
                    let from = source(b, &inner, o.value);
                    let edge = format!("{from} -> {} [style=dashed, constraint=false];", name(&inner, i.node));
                    self.line(depth + 1, &edge);
                }
            }
            self.line(depth, "}");
            // The number of iterations is no input of the body.
            if let Op::Scan(s) = op
                && let Some(v) = s.split(&g.operands(id)).1
                && let Some(o) = b.outputs().first()
            {
                let edge =
                    format!("{} -> {} [label=\"iterations\"];", source(g, prefix, *v), source(b, &inner, o.value));
                self.line(depth, &edge);
            }
            for (i, (v, input)) in g.operands(id).into_iter().zip(b.inputs()).enumerate() {
                let edge = format!("{} -> {}{};", source(g, prefix, v), name(&inner, input.node), role(op, i));
                self.line(depth, &edge);
            }
        }
    }
}

fn title(op: &Op) -> String {
    let Op::Scan(s) = op else { return op.name().to_string() };
    let kind = if s.kind == LoopKind::All { String::new() } else { format!(" kind={}", s.kind.name()) };
    format!("scan length={}{}{kind}", s.length, if s.reverse { " reverse" } else { "" })
}

/// What operand `i` of a scan is to its body.
fn role(op: &Op, i: usize) -> &'static str {
    match op {
        Op::Scan(s) if i < s.carries => " [label=\"first\"]",
        Op::Scan(s) if i < s.carries + s.xs => " [label=\"each\"]",
        _ => "",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_clusters_and_edges_enter_them() {
        let g: Graph = r#"
graph(%0: f32[s0] "x", %1: f32[] state "h") {
  %2: f32[] = scan %1, %0 carries=1 xs=1 length=s0 {
    graph(%0: f32[] "h", %1: f32[] "x") {
      %2: f32[] = add %0, %1
      return %2
    }
  }
  %3: f32[] = neg %2
  return %2 -> %1, %3
}"#
        .parse()
        .unwrap();
        let text = dot(&g);
        for part in [
            "subgraph cluster_n2 {",
            "n2_n2 -> n2_n0 [style=dashed, constraint=false];",
            "n1 -> n2_n0 [label=\"first\"];",
            "n0 -> n2_n1 [label=\"each\"];",
            "n2_n2 -> n3;",
            "n2_n2 -> n1 [style=dashed, constraint=false];",
            "n3 -> out1;",
            "label=\"%0: f32[] = input \\\"h\\\"\"",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
