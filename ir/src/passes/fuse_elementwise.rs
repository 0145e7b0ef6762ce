//! Gathers elementwise operations, the broadcasts that feed them and the reductions that end them into fusions: one
//! kernel each, so that intermediate values need no memory. Nothing is computed twice but broadcasts and constants.
//!
//! One walk in node order. Emitted are units: a cluster (a fusion to be) or a single other node; their order is that
//! of their creation, and every unit needs only earlier ones. An elementwise node may join a cluster that has its
//! iteration space when all that it needs is computed in that cluster or before it: first the newest cluster among
//! its operands' (so the value stays in a register), else the newest cluster of this space (so that one loop does
//! the work of two). A reduction over the last axes joins the cluster that computes its operand.

use super::rewrite::{Operands, Rewrite, port, with_loop_body};
use crate::{Axes, Class, Graph, InputKind, Leaf, NodeId, Op, Shape, Value, View};
use std::collections::HashMap;

/// A cluster of this many operations takes no more.
const MAX_OPS: usize = 200;
/// A cluster with this many values that are used outside takes no unrelated operations: every one is a stream of
/// memory, and the hardware follows only so many at once.
const MAX_OPEN: usize = 16;

/// The graph with every elementwise operation in a fusion.
pub fn fuse_elementwise(graph: &Graph) -> Graph {
    let plan = Plan::of(graph);
    let mut r = Rewrite::new(graph);
    // Inputs come first: a unit may be older than an input that a later member needs.
    for input in graph.inputs() {
        r.copy_input(input.node);
    }
    for unit in &plan.units {
        match unit {
            Unit::Single(id) if is_free(&graph.node(*id).op) && !plan.escapes[id.0 as usize] => {}
            Unit::Single(id) => {
                let op = with_loop_body(&graph.node(*id).op, fuse_elementwise);
                r.copy_as(*id, op);
            }
            Unit::Cluster(c) => emit_fusion(&mut r, c, &plan.escapes),
        }
    }
    r.finish()
}

enum Unit {
    Single(NodeId),
    Cluster(Cluster),
}

struct Cluster {
    space: Shape,
    /// The axes of its reductions, once it has one.
    axes: Option<Axes>,
    /// In node order.
    members: Vec<NodeId>,
    /// How many members have users outside, as far as the walk has come.
    open: usize,
}

struct Plan {
    /// Unit `i` is `units[i - 1]`; 0 stands for what is there before: inputs.
    units: Vec<Unit>,
    /// Whether a node must exist outside of the fusions.
    escapes: Vec<bool>,
}

/// What each fusion repeats for itself instead of reading it from memory.
fn is_free(op: &Op) -> bool {
    matches!(op, Op::Const(_) | Op::Extent(_) | Op::Broadcast(_))
}

impl Plan {
    fn of(g: &Graph) -> Plan {
        let mut w = Walk {
            g,
            units: Vec::new(),
            unit_of: vec![0; g.len()],
            unused: uses(g),
            newest: HashMap::new(),
            operands: g.nodes().map(|id| g.operands(id)).collect(),
        };
        for id in g.nodes() {
            let node = g.node(id);
            let cluster = match node.op.class() {
                Class::Leaf(Leaf::Input) => continue,
                Class::Reduction(_, axes) => w.cluster_of_operand(id, axes),
                Class::Elementwise(_) => Some(w.cluster_for(id)),
                Class::Leaf(_) | Class::View(_) | Class::Contraction(_) | Class::Axis(_) => None,
                Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => None,
            };
            match cluster {
                Some(c) => w.join(id, c),
                None => {
                    w.units.push(Unit::Single(id));
                    w.unit_of[id.0 as usize] = w.units.len();
                }
            }
        }
        let escapes = w.escapes();
        Plan { units: w.units, escapes }
    }
}

/// How often each node is used, outputs included.
fn uses(g: &Graph) -> Vec<u32> {
    let mut out = vec![0; g.len()];
    for id in g.nodes() {
        g.operands(id).iter().for_each(|v| out[v.node.0 as usize] += 1);
    }
    g.outputs().iter().for_each(|o| out[o.value.node.0 as usize] += 1);
    out
}

struct Walk<'a> {
    g: &'a Graph,
    units: Vec<Unit>,
    unit_of: Vec<usize>,
    /// Uses of each node that no member of its cluster has yet accounted for.
    unused: Vec<u32>,
    newest: HashMap<Shape, usize>,
    operands: Vec<Operands>,
}

impl Walk<'_> {
    fn op(&self, id: NodeId) -> &Op {
        &self.g.node(id).op
    }

    fn unit(&self, id: NodeId) -> usize {
        self.unit_of[id.0 as usize]
    }

    fn cluster(&self, unit: usize) -> Option<&Cluster> {
        match unit.checked_sub(1).map(|i| &self.units[i]) {
            Some(Unit::Cluster(c)) => Some(c),
            _ => None,
        }
    }

    /// The first unit in which a user of this operand may be: that of the operand itself where it is computed
    /// elementwise, since a user of it has its iteration space, and else the one after.
    fn earliest(&self, v: Value) -> usize {
        match self.op(v.node).class() {
            Class::Leaf(Leaf::Input | Leaf::Const(_) | Leaf::Extent(_)) => 0,
            Class::View(View::Broadcast(_)) => {
                let source = self.operands[v.node.0 as usize][0].node;
                let is_there = matches!(self.op(source), Op::Input | Op::Const(_) | Op::Extent(_));
                if is_there { 0 } else { self.unit(source) + 1 }
            }
            Class::Elementwise(_) => self.unit(v.node),
            Class::Leaf(Leaf::Iota(_))
            | Class::View(_)
            | Class::Reduction(..)
            | Class::Contraction(_)
            | Class::Axis(_)
            | Class::Check(_)
            | Class::Barrier(_)
            | Class::Loop(_)
            | Class::Fusion(_) => self.unit(v.node) + 1,
        }
    }

    /// The cluster that an elementwise node joins, a new one where none fits.
    fn cluster_for(&mut self, id: NodeId) -> usize {
        let space = &self.g.node(id).types[0].shape;
        let operands = &self.operands[id.0 as usize];
        let earliest = operands.iter().map(|v| self.earliest(*v)).max().unwrap_or(0);
        let fits = |unit: usize| {
            unit >= earliest && self.cluster(unit).is_some_and(|c| c.space == *space && c.members.len() < MAX_OPS)
        };
        let own = operands.iter().filter(|v| self.op(v.node).is_elementwise()).map(|v| self.unit(v.node));
        if let Some(unit) = own.filter(|u| fits(*u)).max() {
            return unit;
        }
        if let Some(&unit) = self.newest.get(space)
            && fits(unit)
            && self.cluster(unit).is_some_and(|c| c.open < MAX_OPEN)
        {
            return unit;
        }
        let cluster = Cluster { space: space.clone(), axes: None, members: Vec::new(), open: 0 };
        self.units.push(Unit::Cluster(cluster));
        self.newest.insert(space.clone(), self.units.len());
        self.units.len()
    }

    /// The cluster that a reduction joins: that of its operand, when it reduces the last axes as the cluster's
    /// other reductions do.
    fn cluster_of_operand(&self, id: NodeId, axes: &Axes) -> Option<usize> {
        let source = self.operands[id.0 as usize][0];
        if !self.op(source.node).is_elementwise() {
            return None;
        }
        let unit = self.unit(source.node);
        let c = self.cluster(unit)?;
        let rank = c.space.len();
        let last = !axes.is_empty() && axes.iter().copied().eq(rank - axes.len()..rank);
        let fits = last && c.members.len() < MAX_OPS && c.axes.as_ref().is_none_or(|a| a == axes);
        fits.then_some(unit)
    }

    fn join(&mut self, id: NodeId, unit: usize) {
        self.unit_of[id.0 as usize] = unit;
        let mut open = i64::from(self.unused[id.0 as usize] > 0);
        for v in &self.operands[id.0 as usize] {
            let i = v.node.0 as usize;
            if self.unit_of[i] == unit {
                self.unused[i] -= 1;
                open -= i64::from(self.unused[i] == 0);
            }
        }
        let axes = if let Op::Reduce { axes, .. } = self.op(id) { Some(axes.clone()) } else { None };
        let Unit::Cluster(c) = &mut self.units[unit - 1] else { unreachable!("only clusters are joined") };
        c.open = c.open.saturating_add_signed(open as isize);
        c.axes = c.axes.take().or(axes);
        c.members.push(id);
    }

    /// Which nodes are needed outside of the cluster that computes them, or, where they are free, as they are.
    fn escapes(&self) -> Vec<bool> {
        let mut out = vec![false; self.g.len()];
        self.g.outputs().iter().for_each(|o| out[o.value.node.0 as usize] = true);
        for id in self.g.nodes().rev() {
            let inside = self.cluster(self.unit(id)).is_some();
            if is_free(self.op(id)) && !out[id.0 as usize] {
                continue;
            }
            for v in &self.operands[id.0 as usize] {
                let own = v.node;
                if !inside {
                    out[own.0 as usize] = true;
                } else if let Op::Broadcast(_) = self.op(own) {
                    let source = self.operands[own.0 as usize][0].node;
                    out[source.0 as usize] |= !matches!(self.op(source), Op::Const(_) | Op::Extent(_));
                } else if !is_free(self.op(own)) {
                    out[own.0 as usize] |= self.unit(own) != self.unit(id);
                }
            }
        }
        out
    }
}

/// Emits the fusion of a cluster; its operands and results are in order of first use and of computation.
fn emit_fusion(r: &mut Rewrite, c: &Cluster, escapes: &[bool]) {
    let g = r.from;
    let mut b = Body { g, graph: Graph::new(), map: HashMap::new(), inputs: Vec::new() };
    for &id in &c.members {
        b.map.insert(port(id, 0), None);
    }
    for &id in &c.members {
        g.operands(id).into_iter().for_each(|v| b.add_input(v));
    }
    for &id in &c.members {
        let operands: Operands = g.operands(id).into_iter().map(|v| b.operand(v)).collect();
        let node = g.node(id);
        let new = b.graph.add_typed(node.op.clone(), node.types.clone(), &operands);
        b.map.insert(port(id, 0), Some(port(new, 0)));
    }
    let results: Vec<Value> = c.members.iter().filter(|m| escapes[m.0 as usize]).map(|m| port(*m, 0)).collect();
    if results.is_empty() {
        return; // Dead code.
    }
    for v in &results {
        let value = b.map[v].expect("members have been emitted");
        b.graph.output(value);
    }
    let operands: Vec<Value> = b.inputs.iter().map(|v| r.get(*v)).collect();
    let types = results.iter().map(|v| g.ty(*v).clone()).collect();
    let node = r.to.add_typed(Op::Fusion(Box::new(b.graph)), types, &operands);
    for (i, v) in results.into_iter().enumerate() {
        r.set(v, port(node, i));
    }
}

/// The body of a fusion under construction.
struct Body<'a> {
    g: &'a Graph,
    graph: Graph,
    /// Where an outer value is in the body; none for members yet to come.
    map: HashMap<Value, Option<Value>>,
    /// The outer values that are operands of the fusion.
    inputs: Vec<Value>,
}

impl Body<'_> {
    /// Makes an input of what the operand comes from, unless the body computes it.
    fn add_input(&mut self, v: Value) {
        let is_number = |v: Value| matches!(self.g.node(v.node).op, Op::Const(_) | Op::Extent(_));
        let is_broadcast = matches!(self.g.node(v.node).op, Op::Broadcast(_));
        let v = if is_broadcast { self.g.operands(v.node)[0] } else { v };
        if is_number(v) {
            return;
        }
        if !self.map.contains_key(&v) {
            let input = self.graph.input(self.g.ty(v).clone(), InputKind::Arg, "");
            self.map.insert(v, Some(input));
            self.inputs.push(v);
        }
    }

    /// The operand in the body; broadcasts and constants are repeated there.
    fn operand(&mut self, v: Value) -> Value {
        if let Some(known) = self.map.get(&v) {
            return known.expect("bug in this library: a fusion uses a member before it is computed");
        }
        // Of a broadcast; numbers have none.
        let operands: Operands = self.g.operands(v.node).into_iter().map(|v| self.operand(v)).collect();
        let node = self.g.node(v.node);
        let new = port(self.graph.add_typed(node.op.clone(), node.types.clone(), &operands), 0);
        self.map.insert(v, Some(new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Dim, Type, UnaryOp, check};

    fn fused_ops(g: &Graph) -> Vec<usize> {
        let g = fuse_elementwise(g);
        check(&g).unwrap();
        let bodies = g.nodes().filter_map(|id| match &g.node(id).op {
            Op::Fusion(b) => Some(b.len() - b.inputs().len()),
            _ => None,
        });
        bodies.collect()
    }

    #[test]
    fn clusters_are_bounded() {
        let mut g = Graph::new();
        let x = g.input(Type::new(DType::F32, [Dim::fixed(4)]), InputKind::Arg, "x");
        let mut y = x;
        for _ in 0..450 {
            y = g.op(Op::Unary(UnaryOp::Sin), &[y]).unwrap();
        }
        g.output(y);
        assert_eq!(fused_ops(&g), [200, 200, 50]);

        let mut g = Graph::new();
        for i in 0..40 {
            let x = g.input(Type::new(DType::F32, [Dim::fixed(4)]), InputKind::Arg, format!("x{i}"));
            let y = g.op(Op::Unary(UnaryOp::Sin), &[x]).unwrap();
            g.output(y);
        }
        assert_eq!(fused_ops(&g), [16, 16, 8]);
    }
}
