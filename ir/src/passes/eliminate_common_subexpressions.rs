//! Computes equal things once: nodes of one operation on the same operands (constants by their bits, commutative
//! operands in either order), operands that a scan gets twice, carries that stay equal, ys that it collects twice. Nothing is reordered.

use super::rewrite::{Operands, Rewrite, Types, port};
use crate::{Graph, NodeId, Op, Scan, Value};
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
    let mut out = operands.clone();
    if op.commutes() {
        out.sort_unstable();
    }
    out
}

/// Equal for equal nodes.
fn hash(op: &Op, operands: &Operands) -> u64 {
    let mut h = DefaultHasher::new();
    (op, operands).hash(&mut h);
    h.finish()
}

/// The scan without repeated operands and ys; also its operands and where each of its results went.
fn dedup_scan(s: &Scan, operands: &Operands) -> (Op, Operands, Vec<usize>) {
    let (operands, count) = s.split(operands);
    let first_invariant = s.carries + s.xs;
    let kinds = [0..s.carries, s.carries..first_invariant, first_invariant..operands.len()];
    // Each operand stands for the first one of its kind that is the same value. For carries that is a hypothesis.
    let mut same_as: Vec<usize> = Vec::with_capacity(operands.len());
    for kind in kinds {
        same_as.extend(kind.clone().map(|i| kind.clone().find(|&j| operands[j] == operands[i]).expect("itself")));
    }
    // Carries that begin equal stay equal if the body, given one value for them, gives one value back; groups of
    // which it gives back several values are split by these until none is.
    let body = loop {
        let body = eliminate_common_subexpressions(&with_shared_inputs(&s.body, &same_as));
        let key = |i: usize| (same_as[i], body.outputs()[i].value);
        let split: Vec<usize> = (0..s.carries).map(|i| (0..=i).find(|&j| key(j) == key(i)).expect("itself")).collect();
        if split == same_as[..s.carries] {
            break body;
        }
        same_as[..s.carries].copy_from_slice(&split);
    };

    let mut outputs: Vec<Value> = Vec::new();
    let mut ports: Vec<usize> = Vec::new();
    let mut carries = 0;
    for (i, o) in body.outputs().iter().enumerate() {
        let known = if i < s.carries {
            (same_as[i] != i).then(|| ports[same_as[i]])
        } else {
            (carries..outputs.len()).find(|&j| outputs[j] == o.value)
        };
        ports.push(known.unwrap_or(outputs.len()));
        if known.is_none() {
            outputs.push(o.value);
            carries += usize::from(i < s.carries);
        }
    }
    let body = body.with_outputs(outputs);
    let kept = |i: &usize| same_as[*i] == *i;
    let xs = (s.carries..first_invariant).filter(kept).count();
    let operands = (0..operands.len()).filter(kept).map(|i| operands[i]).chain(count.copied()).collect();
    (Op::Scan(Box::new(Scan { body, carries, xs, ..s.frame() })), operands, ports)
}

/// The body with every input that is the same as another replaced by that other.
fn with_shared_inputs(body: &Graph, same_as: &[usize]) -> Graph {
    let mut r = Rewrite::new(body);
    let inputs: Vec<Value> = body.input_values().collect();
    for (i, v) in inputs.iter().enumerate() {
        if same_as[i] == i {
            r.copy_input(v.node);
        } else {
            let kept = r.get(inputs[same_as[i]]);
            r.set(*v, kept);
        }
    }
    for id in body.nodes().filter(|id| body.node(*id).op != Op::Input) {
        r.copy(id);
    }
    r.finish()
}
