//! The rules about what is computed of elements: arithmetic, logic, select and cast. Their equations and the dtypes that
//! they are asked about stand in the table of `mod.rs`; nothing here moves an element.

use super::rule::Simplifier;
use crate::{BinaryOp, DType, Op, Scalar, Type, UnaryOp, Value};

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

/// Whether the value is full of `x` to the bit, converted to its dtype.
fn is_full(s: &Simplifier, v: Value, x: f64) -> bool {
    s.full_of(v) == Some(Scalar::from_f64(x, s.ty(v).dtype))
}

fn is_binary(op: &Op, b: BinaryOp) -> bool {
    *op == Op::Binary(b)
}

pub(super) fn add_zero(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    is_binary(op, BinaryOp::Add).then(|| beside(x, |v| is_full(s, v, -0.0)))?
}

pub(super) fn sub_zero(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (is_binary(op, BinaryOp::Sub) && is_full(s, x[1], 0.0)).then(|| x[0])
}

pub(super) fn mul_one(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    is_binary(op, BinaryOp::Mul).then(|| beside(x, |v| is_full(s, v, 1.0)))?
}

pub(super) fn div_one(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (is_binary(op, BinaryOp::Div) && is_full(s, x[1], 1.0)).then(|| x[0])
}

pub(super) fn mul_minus_one(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let minus_one = |v| is_full(s, v, -1.0);
    let other = match op {
        Op::Binary(BinaryOp::Mul) => beside(x, minus_one)?,
        Op::Binary(BinaryOp::Div) if minus_one(x[1]) => x[0],
        _ => return None,
    };
    Some(s.add(Op::Unary(UnaryOp::Neg), &[other]))
}

pub(super) fn div_power_of_two(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    if !is_binary(op, BinaryOp::Div) {
        return None;
    }
    let reciprocal = match s.full_of(x[1])? {
        // A power of two has no mantissa bits; with a normal reciprocal too, nothing is lost.
        Scalar::F32(c) if c.is_normal() && c.to_bits() & 0x7f_ffff == 0 && c.recip().is_normal() => {
            Scalar::F32(c.recip())
        }
        Scalar::F64(c) if c.is_normal() && c.to_bits() & 0xf_ffff_ffff_ffff == 0 && c.recip().is_normal() => {
            Scalar::F64(c.recip())
        }
        _ => return None,
    };
    let constant = s.constant(reciprocal);
    let full = s.add(Op::Broadcast(ty.shape.clone()), &[constant]);
    Some(s.add(Op::Binary(BinaryOp::Mul), &[x[0], full]))
}

pub(super) fn add_neg(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
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

pub(super) fn sub_neg(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !is_binary(op, BinaryOp::Sub) {
        return None;
    }
    let b = s.negated(x[1])?;
    Some(s.add(Op::Binary(BinaryOp::Add), &[x[0], b]))
}

pub(super) fn mul_negs(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !matches!(op, Op::Binary(BinaryOp::Mul | BinaryOp::Div)) {
        return None;
    }
    let (a, b) = (s.negated(x[0])?, s.negated(x[1])?);
    Some(s.add(op.clone(), &[a, b]))
}

pub(super) fn involution(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    matches!(op, Op::Unary(UnaryOp::Neg | UnaryOp::Not)).then(|| s.operand_of(x[0], |inner| inner == op))?
}

pub(super) fn abs_of_neg(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if *op != Op::Unary(UnaryOp::Abs) {
        return None;
    }
    let inner = s.negated(x[0])?;
    Some(s.add(op.clone(), &[inner]))
}

pub(super) fn abs_of_abs(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (*op == Op::Unary(UnaryOp::Abs) && s.op(x[0]) == op).then(|| x[0])
}

/// True, or the integer of which all bits are set.
const ALL_SET: f64 = -1.0;
/// False, or the integer 0.
const NONE_SET: f64 = 0.0;

pub(super) fn logic_identity(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let identity = match op {
        Op::Binary(BinaryOp::And) => ALL_SET,
        Op::Binary(BinaryOp::Or | BinaryOp::Xor) => NONE_SET,
        _ => return None,
    };
    beside(x, |v| is_full(s, v, identity))
}

pub(super) fn logic_absorbing(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let absorbing = match op {
        Op::Binary(BinaryOp::And) => NONE_SET,
        Op::Binary(BinaryOp::Or) => ALL_SET,
        _ => return None,
    };
    x.iter().copied().find(|v| is_full(s, *v, absorbing))
}

pub(super) fn idempotent(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    use BinaryOp::{And, Maximum, Minimum, Or};
    (matches!(op, Op::Binary(Maximum | Minimum | And | Or)) && x[0] == x[1]).then(|| x[0])
}

pub(super) fn select_known(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    match (op, s.full_of(*x.first()?)) {
        (Op::Select, Some(Scalar::Bool(c))) => Some(if c { x[1] } else { x[2] }),
        _ => None,
    }
}

pub(super) fn select_equal(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (*op == Op::Select && x[1] == x[2]).then(|| x[1])
}

pub(super) fn select_not(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if *op != Op::Select {
        return None;
    }
    let c = s.operand_of(x[0], |op| *op == Op::Unary(UnaryOp::Not))?;
    Some(s.add(Op::Select, &[c, x[2], x[1]]))
}

pub(super) fn cast_same(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    matches!(op, Op::Cast(t) if *t == s.ty(x[0]).dtype).then(|| x[0])
}

pub(super) fn cast_cast(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
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
