//! Local identities that keep the bits, as a table: the equation, what it relies on, and the function that knows it.
//! What is wrong for some float is not here: `x * 0` (NaN, infinity, the sign), `x - x`, `x + 0.0` (-0.0 becomes 0.0),
//! and nothing here assumes more of exp, log, sin, cos, tanh and pow than that equal operands give equal results.

use super::rewrite::{Rewrite, emit, emit_typed, port, with_scan_body};
use super::simplify_shapes as shapes;
use crate::{BinaryOp, DType, Graph, NodeId, Op, Scalar, Type, UnaryOp, Value};

/// An identity. `apply` is asked with an operation and its operands in the new graph, and gives a value to use
/// instead, of the same type.
pub(super) struct Rule {
    pub(super) equation: &'static str,
    /// Why the bits are the same.
    #[allow(dead_code, reason = "for the reader")]
    pub(super) because: &'static str,
    pub(super) apply: fn(&mut Simplifier, &Op, &[Value], &Type) -> Option<Value>,
}

const fn rule(
    equation: &'static str,
    because: &'static str,
    apply: fn(&mut Simplifier, &Op, &[Value], &Type) -> Option<Value>,
) -> Rule {
    Rule { equation, because, apply }
}

const RULES: &[Rule] = &[
    rule("x + -0.0 => x", "-0.0 is the exact identity of IEEE addition; 0 for integers", add_zero),
    rule("x - 0.0 => x", "x - 0.0 is x + -0.0", sub_zero),
    rule("x * 1 => x", "exact", mul_one),
    rule("x / 1 => x", "exact", div_one),
    rule("x * -1 => -x", "changes the sign only", mul_minus_one),
    rule("x / 2^k => x * 2^-k", "both round the same real number; 2^-k must be a normal number", div_power_of_two),
    rule("x + -y => x - y", "IEEE subtraction is addition of the negated", add_neg),
    rule("x - -y => x + y", "IEEE subtraction is addition of the negated", sub_neg),
    rule("-x * -y => x * y", "the signs cancel; also in a division", mul_negs),
    rule("--x => x", "exact; also not not x", involution),
    rule("abs(-x) => abs(x)", "the sign is dropped; also abs(abs(x))", abs_of_sign),
    rule("x and true => x", "bool; also or false, xor false", logic_identity),
    rule("x and false => false", "bool; also or true", logic_absorbing),
    rule("maximum(x, x) => x", "NaN gives itself; also minimum, and, or", idempotent),
    rule("select(true, x, y) => x", "also select(false, x, y) => y", select_known),
    rule("select(c, x, x) => x", "both arms are one value", select_equal),
    rule("select(not c, x, y) => select(c, y, x)", "by definition", select_not),
    rule("cast(x) to its own dtype => x", "exact", cast_same),
    rule("cast(cast(x)) => cast(x)", "where the inner cast loses nothing: from bool, or from f32 to f64", cast_cast),
    rule("broadcast to the same shape => x", "moves nothing", shapes::broadcast_same),
    rule("broadcast(broadcast(x)) => broadcast(x)", "right-aligned expansion composes", shapes::broadcast_broadcast),
    rule("reshape to the same shape => x", "moves nothing", shapes::reshape_same),
    rule("reshape(reshape(x)) => reshape(x)", "row-major order is kept by both", shapes::reshape_reshape),
    rule("permute of axes in their order => x", "moves nothing", shapes::permute_identity),
    rule("permute(permute(x)) => permute(x)", "permutations compose", shapes::permute_permute),
    rule("permute of axes of size 1 => reshape", "row-major order is kept", shapes::permute_ones),
    rule("move of one element => broadcast", "reshape, permute of a broadcast scalar", shapes::move_scalar),
    rule("slice of everything => x", "moves nothing", shapes::slice_all),
    rule("slice(slice(x)) => slice(x)", "of one axis: starts add up", shapes::slice_slice),
    rule("slice(concat(x, y)) => x", "where it is exactly one operand", shapes::slice_concat),
    rule("concat(x) => x", "moves nothing", shapes::concat_one),
    rule("reduce over no axes => x", "a sum of one element is that element: lanes begin at -0.0", shapes::reduce_none),
    rule("reduce over axes of size 1 => reshape", "each element is reduced alone", shapes::reduce_ones),
    rule("reduce of all of reshape(x) => reduce of all of x", "same elements, same order", shapes::reduce_reshape),
    rule(
        "reduce with axes of size 1 behind => reshape(reduce of the last axes)",
        "same elements, same order",
        shapes::reduce_last,
    ),
    rule(
        "f(broadcast(x), broadcast(y)) => broadcast(f(x, y))",
        "f is elementwise; x, y of one smaller shape or scalars",
        shapes::lift_broadcast,
    ),
    rule(
        "f(reshape(x), reshape(y)) => reshape(f(x, y))",
        "f is elementwise; x, y of one shape or scalars",
        shapes::lift_reshape,
    ),
];

/// The equations of the rules: every one has a case in the tests.
pub fn simplify_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|r| r.equation)
}

/// The graph with every rule applied wherever it fits.
pub fn simplify(graph: &Graph) -> Graph {
    let mut r = Rewrite::new(graph);
    let mut s = Simplifier { to: Graph::new() };
    for id in graph.nodes() {
        let node = graph.node(id);
        match &node.op {
            Op::Input => {
                std::mem::swap(&mut r.to, &mut s.to);
                r.copy_input(id);
                std::mem::swap(&mut r.to, &mut s.to);
            }
            Op::Scan(_) | Op::Fusion(_) => {
                let op = with_scan_body(&node.op, simplify);
                let new = s.to.add_typed(op, node.types.clone(), &r.operands(id));
                r.set_all(id, new);
            }
            op => {
                let new = s.simplified(op, &r.operands(id), &node.types[0]);
                r.set(port(id, 0), new);
            }
        }
    }
    r.to = s.to;
    r.finish()
}

/// The graph under construction, asked by the rules.
pub(super) struct Simplifier {
    to: Graph,
}

impl Simplifier {
    fn simplified(&mut self, op: &Op, x: &[Value], ty: &Type) -> Value {
        for rule in RULES {
            if let Some(v) = (rule.apply)(self, op, x, ty) {
                return v;
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

    pub(super) fn op(&self, v: Value) -> &Op {
        &self.to.node(v.node).op
    }

    pub(super) fn ty(&self, v: Value) -> &Type {
        self.to.ty(v)
    }

    pub(super) fn operands(&self, id: NodeId) -> super::rewrite::Operands {
        self.to.operands(id)
    }

    /// The operand of a value that is one certain operation of one operand.
    pub(super) fn operand_of(&self, v: Value, is: impl Fn(&Op) -> bool) -> Option<Value> {
        is(self.op(v)).then(|| self.to.operands(v.node)[0])
    }

    /// The constant that every element of the value is.
    pub(super) fn constant(&self, v: Value) -> Option<Scalar> {
        match self.op(v) {
            Op::Const(s) => Some(*s),
            Op::Broadcast(_) => match self.op(self.to.operands(v.node)[0]) {
                Op::Const(s) => Some(*s),
                _ => None,
            },
            _ => None,
        }
    }

    fn negated(&self, v: Value) -> Option<Value> {
        self.operand_of(v, |op| *op == Op::Unary(UnaryOp::Neg))
    }
}

/// The other operand, where one of two satisfies `is`.
fn beside(x: &[Value], is: impl Fn(Value) -> bool) -> Option<Value> {
    if is(x[1]) {
        Some(x[0])
    } else if is(x[0]) {
        Some(x[1])
    } else {
        None
    }
}

/// Whether `s` is `float` to the bit, or the integer `int`.
fn is_number(s: Option<Scalar>, float: f64, int: i64) -> bool {
    match s {
        Some(Scalar::I64(i)) => i == int,
        Some(s @ (Scalar::F32(_) | Scalar::F64(_))) => s == Scalar::from_f64(float, s.dtype()),
        _ => false,
    }
}

fn is_binary(op: &Op, b: BinaryOp) -> bool {
    *op == Op::Binary(b)
}

fn add_zero(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    is_binary(op, BinaryOp::Add).then(|| beside(x, |v| is_number(s.constant(v), -0.0, 0)))?
}

fn sub_zero(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (is_binary(op, BinaryOp::Sub) && is_number(s.constant(x[1]), 0.0, 0)).then(|| x[0])
}

fn mul_one(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    is_binary(op, BinaryOp::Mul).then(|| beside(x, |v| is_number(s.constant(v), 1.0, 1)))?
}

fn div_one(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (is_binary(op, BinaryOp::Div) && is_number(s.constant(x[1]), 1.0, 1)).then(|| x[0])
}

fn mul_minus_one(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let minus_one = |v| is_number(s.constant(v), -1.0, -1);
    let other = match op {
        Op::Binary(BinaryOp::Mul) => beside(x, minus_one)?,
        Op::Binary(BinaryOp::Div) if minus_one(x[1]) => x[0],
        _ => return None,
    };
    Some(s.add(Op::Unary(UnaryOp::Neg), &[other]))
}

fn div_power_of_two(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    if !is_binary(op, BinaryOp::Div) {
        return None;
    }
    let reciprocal = match s.constant(x[1])? {
        // A power of two has no mantissa bits; with a normal reciprocal too, nothing is lost.
        Scalar::F32(c) if c.is_normal() && c.to_bits() & 0x7f_ffff == 0 && c.recip().is_normal() => {
            Scalar::F32(c.recip())
        }
        Scalar::F64(c) if c.is_normal() && c.to_bits() & 0xf_ffff_ffff_ffff == 0 && c.recip().is_normal() => {
            Scalar::F64(c.recip())
        }
        _ => return None,
    };
    let constant = s.to.constant(reciprocal);
    let full = s.add(Op::Broadcast(ty.shape.clone()), &[constant]);
    Some(s.add(Op::Binary(BinaryOp::Mul), &[x[0], full]))
}

fn add_neg(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !is_binary(op, BinaryOp::Add) {
        return None;
    }
    let (a, b) = match (s.negated(x[0]), s.negated(x[1])) {
        (_, Some(b)) => (x[0], b),
        (Some(a), None) => (x[1], a),
        (None, None) => return None,
    };
    Some(s.add(Op::Binary(BinaryOp::Sub), &[a, b]))
}

fn sub_neg(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !is_binary(op, BinaryOp::Sub) {
        return None;
    }
    let b = s.negated(x[1])?;
    Some(s.add(Op::Binary(BinaryOp::Add), &[x[0], b]))
}

fn mul_negs(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !matches!(op, Op::Binary(BinaryOp::Mul | BinaryOp::Div)) {
        return None;
    }
    let (a, b) = (s.negated(x[0])?, s.negated(x[1])?);
    Some(s.add(op.clone(), &[a, b]))
}

fn involution(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    matches!(op, Op::Unary(UnaryOp::Neg | UnaryOp::Not)).then(|| s.operand_of(x[0], |inner| inner == op))?
}

fn abs_of_sign(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if *op != Op::Unary(UnaryOp::Abs) {
        return None;
    }
    if s.op(x[0]) == op {
        return Some(x[0]);
    }
    let inner = s.negated(x[0])?;
    Some(s.add(op.clone(), &[inner]))
}

fn logic_identity(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let identity = match op {
        Op::Binary(BinaryOp::And) => true,
        Op::Binary(BinaryOp::Or | BinaryOp::Xor) => false,
        _ => return None,
    };
    beside(x, |v| s.constant(v) == Some(Scalar::Bool(identity)))
}

fn logic_absorbing(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let absorbing = match op {
        Op::Binary(BinaryOp::And) => false,
        Op::Binary(BinaryOp::Or) => true,
        _ => return None,
    };
    x.iter().copied().find(|v| s.constant(*v) == Some(Scalar::Bool(absorbing)))
}

fn idempotent(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    use BinaryOp::{And, Maximum, Minimum, Or};
    (matches!(op, Op::Binary(Maximum | Minimum | And | Or)) && x[0] == x[1]).then(|| x[0])
}

fn select_known(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    match (op, s.constant(*x.first()?)) {
        (Op::Select, Some(Scalar::Bool(c))) => Some(if c { x[1] } else { x[2] }),
        _ => None,
    }
}

fn select_equal(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (*op == Op::Select && x[1] == x[2]).then(|| x[1])
}

fn select_not(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if *op != Op::Select {
        return None;
    }
    let c = s.operand_of(x[0], |op| *op == Op::Unary(UnaryOp::Not))?;
    Some(s.add(Op::Select, &[c, x[2], x[1]]))
}

fn cast_same(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    matches!(op, Op::Cast(t) if *t == s.ty(x[0]).dtype).then(|| x[0])
}

fn cast_cast(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !matches!(op, Op::Cast(_)) {
        return None;
    }
    let inner = s.operand_of(x[0], |op| matches!(op, Op::Cast(_)))?;
    let lossless = match (s.ty(inner).dtype, s.ty(x[0]).dtype) {
        (DType::Bool, _) => true,
        (from, to) => (from, to) == (DType::F32, DType::F64),
    };
    lossless.then(|| s.add(op.clone(), &[inner]))
}
