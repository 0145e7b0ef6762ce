//! Computes equal things once: nodes of one operation on the same operands (constants by their bits, commutative
//! operands in either order), operands that a scan gets twice, ys that it collects twice. Nothing is reordered.

use super::rewrite::{Operands, Rewrite, Types, port, scan_frame};
use crate::{BinaryOp, CompareOp, Graph, NodeId, Op, Scan, Value};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The graph with every value computed once.
pub fn eliminate_common_subexpressions(graph: &Graph) -> Graph {
    let mut r = Rewrite::new(graph);
    let mut seen: HashMap<u64, Vec<NodeId>> = HashMap::new();
    for id in graph.nodes() {
        let (op, operands, ports) = match &graph.node(id).op {
            Op::Input => {
                r.copy_input(id);
                continue;
            }
            Op::Scan(s) => dedup_scan(s, &r.operands(id)),
            op => (op.clone(), r.operands(id), (0..graph.node(id).types.len()).collect()),
        };
        let key = sorted(&op, &operands);
        let same = seen.entry(hash(&op, &key)).or_default();
        let known = same.iter().copied().find(|&n| {
            let node = r.to.node(n);
            node.op == op && sorted(&op, &r.to.operands(n)) == key
        });
        let new = known.unwrap_or_else(|| {
            let mut types = Types::new();
            for (old, &new) in ports.iter().enumerate() {
                if new == types.len() {
                    types.push(graph.node(id).types[old].clone());
                }
            }
            let new = r.to.add_typed(op, types, &operands);
            same.push(new);
            new
        });
        for (old, &p) in ports.iter().enumerate() {
            r.set(port(id, old), port(new, p));
        }
    }
    r.finish()
}

/// The operands in an order of their own where the operation is commutative, up to the payload of a NaN.
fn sorted(op: &Op, operands: &Operands) -> Operands {
    let commutes = match op {
        Op::Binary(b) => {
            matches!(b, BinaryOp::Add | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor)
        }
        Op::Compare(c) => matches!(c, CompareOp::Eq | CompareOp::Ne),
        _ => false,
    };
    let mut out = operands.clone();
    if commutes {
        out.sort_unstable();
    }
    out
}

/// Equal for equal nodes; bodies are told apart by comparison, not here.
fn hash(op: &Op, operands: &Operands) -> u64 {
    let mut h = DefaultHasher::new();
    (op.name(), operands).hash(&mut h);
    match op {
        Op::Const(s) => s.hash(&mut h),
        Op::Extent(d) | Op::Iota(d) => d.hash(&mut h),
        Op::Cast(t) => t.hash(&mut h),
        Op::Broadcast(s) | Op::Reshape(s) => s.hash(&mut h),
        Op::Permute(a) | Op::Reduce { axes: a, .. } => a.hash(&mut h),
        Op::Slice { axis, start, len } => (axis, start, len).hash(&mut h),
        Op::Concat { axis } => axis.hash(&mut h),
        Op::Scan(s) => (s.body.len(), s.carries, s.xs, &s.length, s.reverse).hash(&mut h),
        Op::Fusion(b) => b.len().hash(&mut h),
        Op::Input | Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Matmul | Op::AddMatmul => {}
    }
    h.finish()
}

/// The scan without repeated xs, invariants and ys; also its operands and where each of its results went.
fn dedup_scan(s: &Scan, operands: &Operands) -> (Op, Operands, Vec<usize>) {
    // An operand is repeated when an earlier one of its kind is the same value; carries differ after one step.
    let first_invariant = s.carries + s.xs;
    let same_as: Vec<usize> = (0..operands.len())
        .map(|i| {
            let kind = if i < s.carries {
                i
            } else if i < first_invariant {
                s.carries
            } else {
                first_invariant
            };
            (kind..i).find(|&j| operands[j] == operands[i]).unwrap_or(i)
        })
        .collect();
    let mut body = Rewrite::new(&s.body);
    let inputs: Vec<Value> = s.body.input_values().collect();
    let mut index = 0..;
    for id in s.body.nodes() {
        if s.body.node(id).op != Op::Input {
            body.copy(id);
            continue;
        }
        let i = index.next().expect("endless");
        if same_as[i] == i {
            body.copy_input(id);
        } else {
            let kept = body.get(inputs[same_as[i]]);
            body.set(inputs[i], kept);
        }
    }
    let body = eliminate_common_subexpressions(&body.finish());

    // Equal ys can be told only now that equal values of the body are one.
    let mut outputs: Vec<Value> = Vec::new();
    let ports = (body.outputs().iter().enumerate())
        .map(|(i, o)| {
            let known = (s.carries..outputs.len()).find(|&j| i >= s.carries && outputs[j] == o.value);
            known.unwrap_or_else(|| {
                outputs.push(o.value);
                outputs.len() - 1
            })
        })
        .collect();
    let body = body.with_outputs(outputs);
    let kept = |i: &usize| same_as[*i] == *i;
    let xs = (s.carries..first_invariant).filter(kept).count();
    let operands = (0..operands.len()).filter(kept).map(|i| operands[i]).collect();
    (Op::Scan(Box::new(Scan { body, xs, ..scan_frame(s) })), operands, ports)
}
