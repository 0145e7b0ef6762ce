//! Partitions a joint graph, in which a forward pass is followed by a backward pass: what the later part computes becomes a
//! graph of its own, whose inputs are the values of the earlier part that must be saved for it. What only rearranges or
//! repeats a value that is there is recomputed rather than saved. Checks of the later part are in it whatever needs them,
//! those of the earlier one are not asked again. The joint graph is not changed.

use crate::{Class, Graph, InputKind, Leaf, NodeId, Op, Value, View};
use std::collections::{BTreeSet, HashMap};

/// The later part of a joint graph, such as its backward graph.
pub struct Partition {
    pub graph: Graph,
    /// The value of the joint graph that each input is: what is saved for this part.
    pub saved: Vec<Value>,
}

/// How the later part gets a value of the joint graph.
enum Source {
    /// By the same operation on its operands.
    Computed,
    /// It is its first operand.
    Operand,
    /// It is an input.
    Saved,
}

/// The part of `joint` that computes `outputs` with the nodes from number `mark` on, and has their effects.
///
/// ```
/// use allotrope_ir::*;
/// let mut g = Graph::new();
/// let x = g.input(Type::new(DType::F32, [Dim::sym(Sym(0))]), InputKind::Arg, "x");
/// let y = g.op(Op::Unary(UnaryOp::Exp), &[x]).unwrap();
/// let mark = g.len();
/// let z = g.op(Op::Binary(BinaryOp::Mul), &[x, y]).unwrap();
/// let part = partition(&g, mark, &[z]);
/// assert_eq!(part.saved, [x, y]);
/// assert_eq!(part.graph.len(), 3);
/// ```
///
/// # Panics
/// When an output is no value of the graph.
pub fn partition(joint: &Graph, mark: usize, outputs: &[Value]) -> Partition {
    let mut saved: BTreeSet<Value> = BTreeSet::new();
    let mut wanted: Vec<Vec<Value>> = vec![Vec::new(); joint.len()];
    outputs.iter().for_each(|v| wanted[v.node.0 as usize].push(*v));
    let mut kept = vec![false; joint.len()];
    for id in joint.nodes().rev() {
        let values = std::mem::take(&mut wanted[id.0 as usize]);
        let effect = id.0 as usize >= mark && joint.node(id).op.has_effect();
        if values.is_empty() && !effect {
            continue;
        }
        match source(joint, mark, id) {
            Source::Saved => saved.extend(values),
            Source::Operand | Source::Computed => {
                kept[id.0 as usize] = true;
                let operands = joint.operands(id);
                let used = if matches!(joint.node(id).op, Op::Check(_)) && (id.0 as usize) < mark {
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
    for (i, v) in saved.iter().enumerate() {
        map.insert(*v, graph.input(joint.ty(*v).clone(), InputKind::Arg, format!("saved{i}")));
    }
    for id in joint.nodes().filter(|id| kept[id.0 as usize]) {
        match source(joint, mark, id) {
            Source::Operand => {
                let operand = map[&joint.operands(id)[0]];
                map.insert(Value { node: id, port: 0 }, operand);
            }
            _ => {
                graph.copy_node(joint, id, &mut map).expect("a node fits where its operands have their types");
            }
        }
    }
    outputs.iter().for_each(|v| graph.output(map[v]));
    Partition { graph: graph.inputs_first(), saved: saved.into_iter().collect() }
}

fn source(joint: &Graph, mark: usize, id: NodeId) -> Source {
    match joint.node(id).op.class() {
        Class::Leaf(Leaf::Input) => Source::Saved,
        _ if id.0 as usize >= mark => Source::Computed,
        // It has been checked.
        Class::Check(_) => Source::Operand,
        Class::Leaf(_) => Source::Computed,
        Class::View(view) => match view {
            // A part of what is there anyway; of a computed value, only that part is kept.
            View::Slice { .. } if !of_input(joint, id) => Source::Saved,
            View::Slice { .. } | View::Broadcast(_) | View::Reshape(_) | View::Permute(_) => Source::Computed,
            View::Flip(_) | View::Window { .. } => Source::Computed,
        },
        Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => Source::Saved,
        Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => Source::Saved,
    }
}

/// Whether a node gives an input, seen in some way.
fn of_input(joint: &Graph, mut id: NodeId) -> bool {
    loop {
        match joint.node(id).op.class() {
            Class::Leaf(leaf) => return matches!(leaf, Leaf::Input),
            Class::View(_) | Class::Check(_) => id = joint.operands(id)[0].node,
            Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => return false,
            Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => return false,
        }
    }
}
