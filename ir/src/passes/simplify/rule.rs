//! What an identity is, and the graph under construction that it asks. No identity stands here.

use super::super::rewrite::{Operands, Rewrite, emit, emit_typed, port, with_loop_body};
use crate::{Class, DType, Graph, Leaf, NodeId, Op, Scalar, Type, UnaryOp, Value};
use std::fmt;

/// An identity that keeps the bits for certain dtypes: a row of the table of [`simplify()`](super::simplify()).
#[derive(Copy, Clone)]
pub struct Rule {
    /// What is replaced by what, which is the name of the rule.
    pub equation: &'static str,
    /// The dtypes that it holds for: that of the last operand must be one of them.
    pub dtypes: DTypes,
    /// Why the bits are the same.
    pub because: &'static str,
    apply: Apply,
}

/// Is given an operation and its operands in the new graph, and gives a value to use instead, of the same type.
type Apply = fn(&mut Simplifier, &Op, &[Value], &Type) -> Option<Value>;

pub(super) const fn rule(equation: &'static str, dtypes: DTypes, because: &'static str, apply: Apply) -> Rule {
    Rule { equation, dtypes, because, apply }
}

impl Rule {
    /// The graph with this rule alone applied wherever it fits.
    pub fn run(&self, graph: &Graph) -> Graph {
        apply(std::slice::from_ref(self), graph)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:?}", self.equation, self.dtypes)
    }
}

/// A set of dtypes.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct DTypes(u8);

impl DTypes {
    pub const ALL: DTypes = DTypes::of(&DType::ALL);

    pub const fn of(dtypes: &[DType]) -> DTypes {
        let (mut bits, mut i) = (0, 0);
        while i < dtypes.len() {
            bits |= 1 << dtypes[i] as u8;
            i += 1;
        }
        DTypes(bits)
    }

    pub const fn or(self, other: DTypes) -> DTypes {
        DTypes(self.0 | other.0)
    }

    pub const fn contains(self, dtype: DType) -> bool {
        self.0 & 1 << dtype as u8 != 0
    }
}

impl fmt::Debug for DTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(DType::ALL.into_iter().filter(|d| self.contains(*d))).finish()
    }
}

/// The graph with the first of the rules that fits applied to every node, and to what it gives.
pub(super) fn apply(rules: &[Rule], graph: &Graph) -> Graph {
    let mut r = Rewrite::new(graph);
    let mut s = Simplifier { rules, to: Graph::new() };
    for id in graph.nodes() {
        let node = graph.node(id);
        match node.op.class() {
            Class::Leaf(Leaf::Input) => {
                std::mem::swap(&mut r.to, &mut s.to);
                r.copy_input(id);
                std::mem::swap(&mut r.to, &mut s.to);
            }
            Class::Loop(_) | Class::Fusion(_) => {
                let op = with_loop_body(&node.op, |body| apply(rules, body));
                let new = s.to.add_typed(op, node.types.clone(), &r.operands(id));
                r.set_all(id, new);
            }
            Class::Leaf(_)
            | Class::Elementwise(_)
            | Class::View(_)
            | Class::Reduction(..)
            | Class::Contraction(_)
            | Class::Axis(_)
            | Class::Check(_)
            | Class::Barrier(_) => {
                let new = s.simplified(&node.op, &r.operands(id), &node.types[0]);
                r.set(port(id, 0), new);
            }
        }
    }
    r.to = s.to;
    r.finish()
}

/// The graph under construction, asked by the rules.
pub(super) struct Simplifier<'r> {
    rules: &'r [Rule],
    to: Graph,
}

impl Simplifier<'_> {
    fn simplified(&mut self, op: &Op, x: &[Value], ty: &Type) -> Value {
        if let Some(dtype) = x.last().map(|v| self.ty(*v).dtype) {
            for rule in self.rules {
                if rule.dtypes.contains(dtype)
                    && let Some(v) = (rule.apply)(self, op, x, ty)
                {
                    return v;
                }
            }
        }
        emit_typed(&mut self.to, op.clone(), ty.clone(), x)
    }

    /// Adds an operation that a rule has made, simplified in turn.
    pub(super) fn add(&mut self, op: Op, x: &[Value]) -> Value {
        match self.to.result_types(&op, x) {
            Ok(types) => self.simplified(&op, x, &types[0]),
            // Reports the bug with the operation's name.
            Err(_) => emit(&mut self.to, op, x),
        }
    }

    pub(super) fn constant(&mut self, s: Scalar) -> Value {
        self.to.constant(s)
    }

    pub(super) fn op(&self, v: Value) -> &Op {
        &self.to.node(v.node).op
    }

    pub(super) fn ty(&self, v: Value) -> &Type {
        self.to.ty(v)
    }

    pub(super) fn operands(&self, id: NodeId) -> Operands {
        self.to.operands(id)
    }

    /// The operand of a value that is one certain operation of one operand.
    pub(super) fn operand_of(&self, v: Value, is: impl Fn(&Op) -> bool) -> Option<Value> {
        is(self.op(v)).then(|| self.to.operands(v.node)[0])
    }

    /// The constant that every element of the value is.
    pub(super) fn full_of(&self, v: Value) -> Option<Scalar> {
        let source = self.operand_of(v, |op| matches!(op, Op::Broadcast(_))).unwrap_or(v);
        if let Op::Const(s) = self.op(source) { Some(*s) } else { None }
    }

    pub(super) fn negated(&self, v: Value) -> Option<Value> {
        self.operand_of(v, |op| *op == Op::Unary(UnaryOp::Neg))
    }
}
