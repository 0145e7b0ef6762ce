//! How much memory the eager mode would hold at its peak for a graph, to compare the plan of its schedule with. Nothing is
//! decided here.

use crate::schedule::size::Size;
use allotrope_ir::{Graph, NodeId, Op, Value};
use rustc_hash::FxHashMap;

/// Bytes that the eager mode would hold at its peak beside the inputs, for the operations of this graph one after the
/// other: each result in memory of its own, from when it is computed until its last use is done, outputs until the end.
/// Views take none. A loop holds its stacked results whole, its carries, and what one iteration of it holds at its peak.
///
/// It is a lower bound of what running the program eagerly takes, whose tape may keep values for longer.
pub fn eager_peak_bytes(graph: &Graph, binding: &[usize]) -> usize {
    peak(graph, binding)
}

fn peak(g: &Graph, binding: &[usize]) -> usize {
    let mut sizes: FxHashMap<Value, usize> = FxHashMap::default();
    // What each value is a view of, and the node that uses it last.
    let mut root: FxHashMap<Value, Value> = FxHashMap::default();
    let mut last: FxHashMap<Value, NodeId> = FxHashMap::default();
    for id in g.nodes() {
        let operands = g.operands(id);
        let roots = operands.iter().map(|v| root[v]);
        roots.clone().for_each(|v| _ = last.insert(v, id));
        let first = roots.clone().next();
        let node = g.node(id);
        for (port, ty) in node.types.iter().enumerate() {
            let v = Value { node: id, port: port as u32 };
            match (is_view(&node.op), first) {
                (true, Some(of)) => _ = root.insert(v, of),
                _ => {
                    root.insert(v, v);
                    last.insert(v, id);
                    if node.op != Op::Input {
                        sizes.insert(v, Size::bytes(ty).eval(binding));
                    }
                }
            }
        }
    }
    let mut ends: FxHashMap<NodeId, usize> = FxHashMap::default();
    let kept: Vec<Value> = g.outputs().iter().map(|o| root[&o.value]).collect();
    kept.iter().for_each(|v| _ = last.remove(v));
    for (v, id) in last {
        *ends.entry(id).or_default() += sizes.get(&v).copied().unwrap_or(0);
    }
    let (mut now, mut most) = (0, 0);
    for id in g.nodes() {
        let node = g.node(id);
        now += (0..node.types.len() as u32).filter_map(|port| sizes.get(&Value { node: id, port })).sum::<usize>();
        let inside = match &node.op {
            Op::Scan(s) => peak(&s.body, binding),
            Op::Fusion(body) => peak(body, binding),
            Op::Input | Op::Const(_) | Op::Extent(_) | Op::Iota(_) | Op::Check(_) | Op::Barrier(_) => 0,
            Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => 0,
            Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Flip(_) | Op::Window { .. } => {
                0
            }
            Op::Concat { .. } | Op::Reduce { .. } | Op::Matmul | Op::AddMatmul => 0,
            Op::Gather { .. } | Op::Scatter { .. } | Op::ArgReduce { .. } | Op::ArgSort { .. } => 0,
            Op::Recurrence { .. } | Op::OverlapAdd { .. } => 0,
        };
        most = most.max(now + inside);
        now -= ends.get(&id).copied().unwrap_or(0);
    }
    most
}

/// Whether the eager mode gives another view of the operand's elements.
fn is_view(op: &Op) -> bool {
    matches!(
        op,
        Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Flip(_)
            | Op::Window { .. }
            | Op::Check(_)
    )
}
