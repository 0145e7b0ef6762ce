//! Removes what no output and no check needs: nodes, and of scans the ys, xs, invariants and carries, of fusions the operands
//! and results. The inputs of the graph itself stay, they are its signature. A check is an effect, so it stays, and the
//! loops around it; of one whose value is not used only the condition.

use super::rewrite::{Rewrite, ValueMap, add_output, port};
use crate::{Class, DType, Graph, Leaf, NodeId, Op, Scan, Type, Value};
use std::collections::HashMap;

/// The graph without the nodes, and parts of scans and fusions, that no output and no check depends on.
pub fn eliminate_dead_code(graph: &Graph) -> Graph {
    live_part(graph, Checks::Stay)
}

/// What becomes of a check whose value is not used.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Checks {
    Stay,
    Go,
}

/// The graph without what is not used.
pub(super) fn live_part(graph: &Graph, checks: Checks) -> Graph {
    rebuild(graph, checks, &vec![true; graph.inputs().len()], &vec![true; graph.outputs().len()])
}

/// What of a graph its chosen outputs and its effects need.
struct Live {
    values: ValueMap<bool>,
    effects: Vec<bool>,
    /// What of each live scan or fusion is needed.
    parts: HashMap<NodeId, Parts>,
}

/// Which operands (also: body inputs) and which body outputs (also: results) of a node with a body are needed.
struct Parts {
    operands: Vec<bool>,
    results: Vec<bool>,
}

impl Live {
    fn of(g: &Graph, checks: Checks, outputs: &[bool]) -> Live {
        let effects = g.nodes().map(|id| checks == Checks::Stay && g.node(id).op.has_effect()).collect();
        let mut live = Live { values: ValueMap::new(g, false), effects, parts: HashMap::new() };
        for (o, _) in g.outputs().iter().zip(outputs).filter(|(_, wanted)| **wanted) {
            live.values.set(o.value, true);
        }
        for id in g.nodes().rev() {
            if !live.node(g, id) {
                continue;
            }
            let results = |n| (0..n).map(|i| *live.values.get(port(id, i))).collect();
            let n = g.node(id).types.len();
            let parts = match g.node(id).op.class() {
                Class::Loop(s) => scan_parts(s, checks, g.operands(id).len(), results(n)),
                Class::Fusion(body) => {
                    let results: Vec<bool> = results(n);
                    Parts { operands: needed_inputs(body, checks, &results), results }
                }
                Class::Check(_) if !live.uses(id) => {
                    live.values.set(g.operands(id)[1], true);
                    continue;
                }
                Class::Leaf(_)
                | Class::Elementwise(_)
                | Class::View(_)
                | Class::Reduction(..)
                | Class::Contraction(_)
                | Class::Axis(_)
                | Class::Check(_)
                | Class::Barrier(_) => {
                    g.operands(id).into_iter().for_each(|v| live.values.set(v, true));
                    continue;
                }
            };
            for (v, _) in g.operands(id).into_iter().zip(&parts.operands).filter(|(_, needed)| **needed) {
                live.values.set(v, true);
            }
            live.parts.insert(id, parts);
        }
        live
    }

    fn node(&self, g: &Graph, id: NodeId) -> bool {
        self.effects[id.0 as usize] || (0..g.node(id).types.len()).any(|i| *self.values.get(port(id, i)))
    }

    /// Whether the result of a node that has one is used.
    fn uses(&self, id: NodeId) -> bool {
        *self.values.get(port(id, 0))
    }
}

/// Which inputs of a body these outputs need.
fn needed_inputs(body: &Graph, checks: Checks, outputs: &[bool]) -> Vec<bool> {
    let live = Live::of(body, checks, outputs);
    body.input_values().map(|v| *live.values.get(v)).collect()
}

/// A carry is needed when its final value is, or when the body needs it for something that is needed; what says how many
/// iterations there are is.
fn scan_parts(s: &Scan, checks: Checks, count: usize, mut results: Vec<bool>) -> Parts {
    if s.is_while() {
        results[0] = true;
    }
    loop {
        let operands = needed_inputs(&s.body, checks, &results);
        let more: Vec<usize> = (0..s.carries).filter(|&i| operands[i] && !results[i]).collect();
        if more.is_empty() {
            let operands = operands.iter().enumerate().map(|(i, needed)| *needed || i < s.carries && results[i]);
            let mut operands: Vec<bool> = operands.collect();
            operands.resize(count, true);
            return Parts { operands, results };
        }
        more.into_iter().for_each(|i| results[i] = true);
    }
}

/// The graph with only these inputs and outputs, and what they need.
fn rebuild(g: &Graph, checks: Checks, inputs: &[bool], outputs: &[bool]) -> Graph {
    let live = Live::of(g, checks, outputs);
    let mut r = Rewrite::new(g);
    let mut kept = inputs.iter();
    for id in g.nodes() {
        match g.node(id).op.class() {
            Class::Leaf(Leaf::Input) => {
                if *kept.next().expect("one flag for each input") {
                    r.copy_input(id);
                }
            }
            _ if !live.node(g, id) => {}
            Class::Loop(s) => {
                let parts = &live.parts[&id];
                let count = |flags: &[bool]| flags.iter().filter(|f| **f).count();
                let carries = count(&parts.operands[..s.carries]);
                let xs = count(&parts.operands[s.carries..s.carries + s.xs]);
                let body = rebuild(&s.body, checks, &parts.operands, &parts.results);
                rebuilt(&mut r, id, Op::Scan(Box::new(Scan { body, carries, xs, ..s.frame() })), parts);
            }
            Class::Fusion(body) => {
                let parts = &live.parts[&id];
                let body = rebuild(body, checks, &parts.operands, &parts.results);
                rebuilt(&mut r, id, Op::Fusion(Box::new(body)), parts);
            }
            Class::Check(message) if !live.uses(id) => {
                let condition = r.get(g.operands(id)[1]);
                let types = std::iter::once(Type::scalar(DType::Bool)).collect();
                r.to.add_typed(Op::Check(message.into()), types, &[condition, condition]);
            }
            Class::Leaf(_)
            | Class::Elementwise(_)
            | Class::View(_)
            | Class::Reduction(..)
            | Class::Contraction(_)
            | Class::Axis(_)
            | Class::Check(_)
            | Class::Barrier(_) => {
                r.copy(id);
            }
        }
    }
    // Updates name inputs by index; those of a body are never updated, those of the graph itself all stay.
    for (o, _) in g.outputs().iter().zip(outputs).filter(|(_, wanted)| **wanted) {
        let value = r.get(o.value);
        add_output(&mut r.to, value, o.update);
    }
    r.to
}

/// Adds the node that `id` becomes with only these parts.
fn rebuilt(r: &mut Rewrite, id: NodeId, op: Op, parts: &Parts) {
    let kept = |flags: &[bool]| flags.iter().enumerate().filter(|(_, f)| **f).map(|(i, _)| i).collect::<Vec<_>>();
    let old = r.from.operands(id);
    let operands: Vec<Value> = kept(&parts.operands).into_iter().map(|i| r.get(old[i])).collect();
    let results = kept(&parts.results);
    let types = results.iter().map(|&i| r.node(id).types[i].clone()).collect();
    let new = r.to.add_typed(op, types, &operands);
    for (i, old) in results.into_iter().enumerate() {
        r.set(port(id, old), port(new, i));
    }
}
