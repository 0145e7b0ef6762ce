//! Computes what is known: exact operations on constants, and values whose elements are all one constant, which
//! become a broadcast of it. Constants that a scan is given move into its body. Never exp, log, sin, cos, tanh or
//! pow: their bits belong to the kernels.

use super::rewrite::{Rewrite, ValueMap, emit_typed, port};
use crate::{AxisOp, Class, Elementwise, Graph, Leaf, Op, Scalar, Scan, Type, Value, View, element};
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
        let value = match node.op.class() {
            Class::Leaf(leaf) => match leaf {
                Leaf::Const(s) => Some(s),
                Leaf::Extent(d) => d.as_fixed().map(|n| Scalar::I64(n as i64)),
                Leaf::Input | Leaf::Iota(_) => None,
            },
            Class::Elementwise(e) => match e {
                Elementwise::Unary(u) => of(0).filter(|_| u.is_exact()).map(|x| element::unary(u, x)),
                Elementwise::Binary(b) => all.filter(|_| b.is_exact()).map(|x| element::binary(b, x[0], x[1])),
                Elementwise::Compare(c) => all.map(|x| Scalar::Bool(element::compare(c, x[0], x[1]))),
                Elementwise::Select => all.map(|x| element::select(x[0], x[1], x[2])),
                Elementwise::Cast(t) => of(0).map(|x| element::cast(x, t)),
            },
            Class::View(view) => match view {
                View::Broadcast(_) | View::Reshape(_) | View::Permute(_) => of(0),
                // A slice may have to fail; the others are not worth it.
                View::Slice { .. } | View::Flip(_) | View::Window { .. } => None,
            },
            Class::Axis(AxisOp::Concat { .. }) => all.and_then(|x| x.iter().all(|s| *s == x[0]).then(|| x[0])),
            // What is computed belongs to the kernels; an effect and a barrier stay.
            Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => None,
            Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => None,
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
                r.copy_as(id, Op::Scan(Box::new(Scan { body: fold(&s.body, &known), ..s.frame() })));
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
