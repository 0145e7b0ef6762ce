//! What passes share: building a new graph from an old one while recording where each value went. It decides
//! nothing; passes do.

use crate::{Dim, Graph, Input, Node, NodeId, Op, Type, Value};
use smallvec::SmallVec;

pub(super) type Operands = SmallVec<[Value; 4]>;
pub(super) type Types = SmallVec<[Type; 1]>;

/// One slot per value of a graph, without hashing.
pub(super) struct ValueMap<T> {
    first: Vec<u32>,
    slots: Vec<T>,
}

impl<T: Clone> ValueMap<T> {
    pub(super) fn new(graph: &Graph, empty: T) -> ValueMap<T> {
        let mut next = 0;
        let first = graph
            .nodes()
            .map(|id| {
                let first = next;
                next += graph.node(id).types.len() as u32;
                first
            })
            .collect();
        ValueMap { first, slots: vec![empty; next as usize] }
    }

    pub(super) fn get(&self, v: Value) -> &T {
        &self.slots[(self.first[v.node.0 as usize] + v.port) as usize]
    }

    pub(super) fn get_mut(&mut self, v: Value) -> &mut T {
        &mut self.slots[(self.first[v.node.0 as usize] + v.port) as usize]
    }

    pub(super) fn set(&mut self, v: Value, item: T) {
        *self.get_mut(v) = item;
    }
}

/// A graph under construction beside the one it comes from.
pub(super) struct Rewrite<'a> {
    pub(super) from: &'a Graph,
    pub(super) to: Graph,
    map: ValueMap<Option<Value>>,
    inputs: std::slice::Iter<'a, Input>,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(from: &'a Graph) -> Rewrite<'a> {
        Rewrite { from, to: Graph::new(), map: ValueMap::new(from, None), inputs: from.inputs().iter() }
    }

    pub(super) fn node(&self, id: NodeId) -> &'a Node {
        self.from.node(id)
    }

    /// Where a value of the old graph is in the new one.
    pub(super) fn get(&self, old: Value) -> Value {
        self.map.get(old).expect("bug in this library: a value is used before it has been rewritten")
    }

    pub(super) fn set(&mut self, old: Value, new: Value) {
        self.map.set(old, Some(new));
    }

    /// All results of `old` are those of `new`, port by port.
    pub(super) fn set_all(&mut self, old: NodeId, new: NodeId) {
        for port in 0..self.node(old).types.len() as u32 {
            self.set(Value { node: old, port }, Value { node: new, port });
        }
    }

    /// The operands of an old node, in the new graph.
    pub(super) fn operands(&self, id: NodeId) -> Operands {
        self.from.operands(id).into_iter().map(|v| self.get(v)).collect()
    }

    /// Copies an input; inputs must be passed in node order.
    pub(super) fn copy_input(&mut self, id: NodeId) {
        let input = self.inputs.find(|i| i.node == id).expect("bug in this library: inputs are out of order");
        let new = self.to.input(self.node(id).types[0].clone(), input.kind, input.name.clone());
        self.set(Value { node: id, port: 0 }, new);
    }

    /// Copies a node, its operands mapped; their types must be those of the old ones.
    pub(super) fn copy(&mut self, id: NodeId) -> NodeId {
        self.copy_as(id, self.node(id).op.clone())
    }

    /// Copies a node with another operation of the same result types.
    pub(super) fn copy_as(&mut self, id: NodeId, op: Op) -> NodeId {
        let operands = self.operands(id);
        let new = self.to.add_typed(op, self.node(id).types.clone(), &operands);
        self.set_all(id, new);
        new
    }

    /// The new graph, with the outputs of the old one.
    pub(super) fn finish(mut self) -> Graph {
        for o in self.from.outputs() {
            let value = self.get(o.value);
            add_output(&mut self.to, value, o.update);
        }
        self.to
    }
}

pub(super) fn add_output(g: &mut Graph, value: Value, update: Option<usize>) {
    match update {
        Some(input) => g.update(input, value),
        None => g.output(value),
    }
}

/// The operation with the pass applied to its body, where it is a loop; what is fused stays.
pub(super) fn with_loop_body(op: &Op, pass: impl Fn(&Graph) -> Graph) -> Op {
    if let Op::Fusion(_) = op { op.clone() } else { op.with_body(pass) }
}

/// A value of one node.
pub(super) fn port(node: NodeId, port: usize) -> Value {
    Value { node, port: port as u32 }
}

/// Adds an operation that a pass has made up; its operands fit by construction.
pub(super) fn emit(g: &mut Graph, op: Op, operands: &[Value]) -> Value {
    let name = op.name();
    g.op(op, operands).unwrap_or_else(|e| panic!("bug in this library: a pass built a wrong {name}: {e}"))
}

/// Adds an operation with known result types.
pub(super) fn emit_typed(g: &mut Graph, op: Op, ty: Type, operands: &[Value]) -> Value {
    port(g.add_typed(op, SmallVec::from_iter([ty]), operands), 0)
}

/// Whether `a <= b` for every binding; false where that is not plain to see.
pub(super) fn surely_at_most(a: &Dim, b: &Dim) -> bool {
    (b - a).terms().iter().all(|(_, coefficient)| *coefficient >= 0)
}
