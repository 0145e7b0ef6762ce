//! Computes what is known: exact operations on constants, and values whose elements are all one constant, which
//! become a broadcast of it. Constants that a scan is given move into its body. Never exp, log, sin, cos, tanh or
//! pow: their bits belong to the kernels.

use super::rewrite::{Rewrite, ValueMap, emit_typed, port, scan_frame};
use crate::{Graph, Op, Scalar, Scan, Type, Value, element};
use smallvec::SmallVec;
use std::collections::HashMap;

/// The graph with everything computed that is exact and known.
pub fn fold_constants(graph: &Graph) -> Graph {
    fold(graph, &vec![None; graph.inputs().len()])
}

/// `known[i]` is the constant that input `i` is full of, where it is one.
fn fold(graph: &Graph, known: &[Option<Scalar>]) -> Graph {
    let mut r = Rewrite::new(graph);
    // The constant that every element of a value is.
    let mut uniform: ValueMap<Option<Scalar>> = ValueMap::new(graph, None);
    let mut constants: HashMap<Scalar, Value> = HashMap::new();
    for input in graph.inputs() {
        r.copy_input(input.node);
    }
    for (input, s) in graph.inputs().iter().zip(known) {
        if let Some(s) = s {
            let v = port(input.node, 0);
            uniform.set(v, Some(*s));
            let new = fill(&mut r.to, &mut constants, *s, graph.ty(v));
            r.set(v, new);
        }
    }
    for id in graph.nodes().filter(|id| graph.node(*id).op != Op::Input) {
        let node = graph.node(id);
        let operands = graph.operands(id);
        let of = |i: usize| *uniform.get(operands[i]);
        let all: Option<SmallVec<[Scalar; 4]>> = operands.iter().map(|v| *uniform.get(*v)).collect();
        let value = match &node.op {
            Op::Const(s) => Some(*s),
            Op::Extent(d) => d.as_fixed().map(|n| Scalar::I64(n as i64)),
            Op::Unary(u) if u.is_exact() => of(0).map(|x| element::unary(*u, x)),
            Op::Binary(b) if b.is_exact() => all.map(|x| element::binary(*b, x[0], x[1])),
            Op::Compare(c) => all.map(|x| Scalar::Bool(element::compare(*c, x[0], x[1]))),
            Op::Select => all.map(|x| element::select(x[0], x[1], x[2])),
            Op::Cast(t) => of(0).map(|x| element::cast(x, *t)),
            Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) => of(0),
            Op::Concat { .. } => all.and_then(|x| x.iter().all(|s| *s == x[0]).then(|| x[0])),
            _ => None,
        };
        match (&node.op, value) {
            (_, Some(s)) => {
                uniform.set(port(id, 0), Some(s));
                let new = fill(&mut r.to, &mut constants, s, &node.types[0]);
                r.set(port(id, 0), new);
            }
            (Op::Scan(s), None) => {
                let known: Vec<Option<Scalar>> =
                    (0..operands.len()).map(|i| if i < s.carries { None } else { of(i) }).collect();
                r.copy_as(id, Op::Scan(Box::new(Scan { body: fold(&s.body, &known), ..scan_frame(s) })));
            }
            (_, None) => {
                r.copy(id);
            }
        }
    }
    r.finish()
}

/// A value of that type full of `s`.
fn fill(g: &mut Graph, constants: &mut HashMap<Scalar, Value>, s: Scalar, ty: &Type) -> Value {
    let constant = *constants.entry(s).or_insert_with(|| g.constant(s));
    if ty.shape.is_empty() {
        return constant;
    }
    emit_typed(g, Op::Broadcast(ty.shape.clone()), ty.clone(), &[constant])
}
