//! Splits a graph that was recorded in parts: what a later part computes becomes a graph of its own, whose inputs are the
//! values of the parts before that it uses. What only rearranges or repeats such a value is done again rather than kept.
//! No part is changed.

use crate::{Graph, InputKind, Op, Value};
use std::collections::{BTreeSet, HashMap};

/// A later part of a graph.
pub struct Part {
    pub graph: Graph,
    /// The value of the whole graph that each input is.
    pub feeds: Vec<Value>,
}

/// How a value of the parts before is had again.
enum Again {
    /// From its operands, by the same operation.
    Computed,
    /// It is its first operand.
    Operand,
    Given,
}

/// The part of `whole` that computes `outputs` with the nodes from number `mark` on.
///
/// ```
/// use allotrope_ir::*;
/// let mut g = Graph::new();
/// let x = g.input(Type::new(DType::F32, [Dim::sym(Sym(0))]), InputKind::Arg, "x");
/// let y = g.op(Op::Unary(UnaryOp::Exp), &[x]).unwrap();
/// let mark = g.len();
/// let z = g.op(Op::Binary(BinaryOp::Mul), &[x, y]).unwrap();
/// let part = partition(&g, mark, &[z]);
/// assert_eq!(part.feeds, [x, y]);
/// assert_eq!(part.graph.len(), 3);
/// ```
///
/// # Panics
/// When an output is no value of the graph.
pub fn partition(whole: &Graph, mark: usize, outputs: &[Value]) -> Part {
    let mut feeds: BTreeSet<Value> = BTreeSet::new();
    let mut wanted: Vec<Vec<Value>> = vec![Vec::new(); whole.len()];
    outputs.iter().for_each(|v| wanted[v.node.0 as usize].push(*v));
    let mut kept = vec![false; whole.len()];
    for id in whole.nodes().rev() {
        let values = std::mem::take(&mut wanted[id.0 as usize]);
        if values.is_empty() {
            continue;
        }
        match again(whole, mark, values[0]) {
            Again::Given => feeds.extend(values),
            Again::Operand | Again::Computed => {
                kept[id.0 as usize] = true;
                let operands = whole.operands(id);
                let used = if matches!(whole.node(id).op, Op::Check(_)) && (id.0 as usize) < mark {
                    1
                } else {
                    operands.len()
                };
                operands.iter().take(used).for_each(|v| wanted[v.node.0 as usize].push(*v));
            }
        }
    }
    let mut graph = Graph::new();
    let mut map: HashMap<Value, Value> = HashMap::new();
    for (i, v) in feeds.iter().enumerate() {
        map.insert(*v, graph.input(whole.ty(*v).clone(), InputKind::Arg, format!("given{i}")));
    }
    for id in whole.nodes().filter(|id| kept[id.0 as usize]) {
        match again(whole, mark, Value { node: id, port: 0 }) {
            Again::Operand => {
                let operand = map[&whole.operands(id)[0]];
                map.insert(Value { node: id, port: 0 }, operand);
            }
            _ => {
                graph.copy_node(whole, id, &mut map).expect("a node fits where its operands have their types");
            }
        }
    }
    outputs.iter().for_each(|v| graph.output(map[v]));
    Part { graph: graph.inputs_first(), feeds: feeds.into_iter().collect() }
}

/// How the later part has a value.
fn again(whole: &Graph, mark: usize, v: Value) -> Again {
    let op = &whole.node(v.node).op;
    match op {
        Op::Input => Again::Given,
        _ if v.node.0 as usize >= mark => Again::Computed,
        // It has been checked.
        Op::Check(_) => Again::Operand,
        Op::Const(_) | Op::Extent(_) | Op::Iota(_) => Again::Computed,
        Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Flip(_) | Op::Window { .. } => Again::Computed,
        // A piece of what is there anyway; of a computed value, only the piece is kept.
        Op::Slice { .. } if of_input(whole, v) => Again::Computed,
        _ => Again::Given,
    }
}

/// Whether a value is an input, seen in some way.
fn of_input(whole: &Graph, mut v: Value) -> bool {
    loop {
        match &whole.node(v.node).op {
            Op::Input => return true,
            Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Flip(_)
            | Op::Window { .. }
            | Op::Check(_)
            | Op::Slice { .. } => {
                v = whole.operands(v.node)[0];
            }
            _ => return false,
        }
    }
}
