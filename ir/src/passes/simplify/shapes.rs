//! The rules about where elements lie: broadcast, reshape, permute, slice, concat and reductions
//! over trivial axes. Their equations stand in the table of `mod.rs`.

use super::super::rewrite::surely_at_most;
use super::rule::Simplifier;
use crate::{Axes, Dim, Op, Shape, Type, Value};

fn one() -> Dim {
    Dim::fixed(1)
}

/// The operand, where the type is already what is asked for.
fn unchanged(s: &Simplifier, x: &[Value], ty: &Type) -> Option<Value> {
    (s.ty(x[0]) == ty).then(|| x[0])
}

pub(super) fn broadcast_same(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    matches!(op, Op::Broadcast(_)).then(|| unchanged(s, x, ty))?
}

pub(super) fn broadcast_broadcast(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !matches!(op, Op::Broadcast(_)) {
        return None;
    }
    let inner = s.operand_of(x[0], |op| matches!(op, Op::Broadcast(_)))?;
    Some(s.add(op.clone(), &[inner]))
}

pub(super) fn reshape_same(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    matches!(op, Op::Reshape(_)).then(|| unchanged(s, x, ty))?
}

pub(super) fn reshape_reshape(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    if !matches!(op, Op::Reshape(_)) {
        return None;
    }
    let inner = s.operand_of(x[0], |op| matches!(op, Op::Reshape(_)))?;
    Some(s.add(op.clone(), &[inner]))
}

pub(super) fn permute_identity(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    matches!(op, Op::Permute(axes) if axes.iter().copied().eq(0..axes.len())).then(|| x[0])
}

pub(super) fn permute_permute(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let (Op::Permute(outer), Op::Permute(inner)) = (op, s.op(*x.first()?)) else { return None };
    let composed: Axes = outer.iter().map(|&a| inner[a]).collect();
    let source = s.operands(x[0].node)[0];
    Some(s.add(Op::Permute(composed), &[source]))
}

pub(super) fn permute_ones(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    let Op::Permute(axes) = op else { return None };
    let shape = &s.ty(x[0]).shape;
    let moved: Vec<usize> = axes.iter().copied().filter(|&a| shape[a] != one()).collect();
    moved.is_sorted().then(|| s.add(Op::Reshape(ty.shape.clone()), x))
}

pub(super) fn move_scalar(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    if !matches!(op, Op::Reshape(_) | Op::Permute(_)) {
        return None;
    }
    let scalar = s.operand_of(x[0], |op| matches!(op, Op::Broadcast(_)))?;
    s.ty(scalar).shape.is_empty().then(|| s.add(Op::Broadcast(ty.shape.clone()), &[scalar]))
}

pub(super) fn slice_all(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    matches!(op, Op::Slice { start, .. } if *start == Dim::fixed(0)).then(|| unchanged(s, x, ty))?
}

pub(super) fn slice_slice(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let (Op::Slice { axis, start, len }, Op::Slice { axis: inner_axis, start: inner_start, .. }) =
        (op, s.op(*x.first()?))
    else {
        return None;
    };
    if axis != inner_axis {
        return None;
    }
    let joined = Op::Slice { axis: *axis, start: inner_start + start, len: len.clone() };
    let source = s.operands(x[0].node)[0];
    // Else the outer slice may be out of range where the joined one is not.
    let within = surely_at_most(&(start + len), &s.ty(x[0]).shape[*axis]);
    within.then(|| s.add(joined, &[source]))
}

pub(super) fn slice_concat(s: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    let (Op::Slice { axis, start, len }, Op::Concat { axis: joined }) = (op, s.op(*x.first()?)) else { return None };
    if axis != joined {
        return None;
    }
    let mut at = Dim::fixed(0);
    for v in s.operands(x[0].node) {
        let n = &s.ty(v).shape[*axis];
        if at == *start && n == len {
            return Some(v);
        }
        at = &at + n;
    }
    None
}

pub(super) fn concat_one(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    (matches!(op, Op::Concat { .. }) && x.len() == 1).then(|| x[0])
}

pub(super) fn reduce_none(_: &mut Simplifier, op: &Op, x: &[Value], _: &Type) -> Option<Value> {
    matches!(op, Op::Reduce { axes, .. } if axes.is_empty()).then(|| x[0])
}

pub(super) fn reduce_ones(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    let Op::Reduce { axes, .. } = op else { return None };
    let shape = &s.ty(x[0]).shape;
    axes.iter().all(|&a| shape[a] == one()).then(|| s.add(Op::Reshape(ty.shape.clone()), x))
}

pub(super) fn reduce_reshape(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    let Op::Reduce { op: r, .. } = op else { return None };
    let source = s.operand_of(x[0], |op| matches!(op, Op::Reshape(_)))?;
    let rank = s.ty(source).shape.len();
    // A scalar has no axes to reduce, but is never behind a reshape that is reduced: that is of size 1.
    (ty.shape.is_empty() && rank > 0).then(|| s.add(Op::Reduce { op: *r, axes: (0..rank).collect() }, &[source]))
}

pub(super) fn reduce_last(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    let Op::Reduce { op: r, axes } = op else { return None };
    let shape = &s.ty(x[0]).shape;
    let first = *axes.first()?;
    let mut behind = (first..shape.len()).filter(|a| !axes.contains(a)).peekable();
    behind.peek()?;
    if !behind.all(|a| shape[a] == one()) {
        return None;
    }
    let last = (first..shape.len()).collect();
    let reduced = s.add(Op::Reduce { op: *r, axes: last }, x);
    Some(s.add(Op::Reshape(ty.shape.clone()), &[reduced]))
}

/// The sources of operands that are all `is`, or broadcasts of scalars, and the shape of the sources that are not
/// scalars (none where all are).
fn sources(s: &Simplifier, x: &[Value], is: fn(&Op) -> bool) -> Option<(Vec<Value>, Option<Shape>)> {
    let mut small: Option<Shape> = None;
    let mut out = Vec::with_capacity(x.len());
    for v in x {
        let source = s.operand_of(*v, |op| is(op) || matches!(op, Op::Broadcast(_)))?;
        let shape = &s.ty(source).shape;
        if !shape.is_empty() {
            if !is(s.op(*v)) || *small.get_or_insert_with(|| shape.clone()) != *shape {
                return None;
            }
        } else if !matches!(s.op(*v), Op::Broadcast(_)) {
            return None;
        }
        out.push(source);
    }
    Some((out, small))
}

/// The operation on sources, the scalars among them expanded to the shape of the others.
fn on_sources(s: &mut Simplifier, op: &Op, sources: &[Value], shape: &Shape) -> Value {
    let full: Vec<Value> = sources.iter().map(|v| s.add(Op::Broadcast(shape.clone()), &[*v])).collect();
    s.add(op.clone(), &full)
}

pub(super) fn lift_broadcast(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    if !op.is_elementwise() {
        return None;
    }
    let (sources, small) = sources(s, x, |op| matches!(op, Op::Broadcast(_)))?;
    let small = small.unwrap_or_default();
    // Where nothing is repeated there is nothing to gain, and two kernels would be made of one.
    let numel = |shape: &Shape| Type::new(ty.dtype, shape.iter().cloned()).numel();
    if numel(&small) == numel(&ty.shape) {
        return None;
    }
    let result = on_sources(s, op, &sources, &small);
    Some(s.add(Op::Broadcast(ty.shape.clone()), &[result]))
}

pub(super) fn lift_reshape(s: &mut Simplifier, op: &Op, x: &[Value], ty: &Type) -> Option<Value> {
    if !op.is_elementwise() {
        return None;
    }
    let (sources, small) = sources(s, x, |op| matches!(op, Op::Reshape(_)))?;
    let result = on_sources(s, op, &sources, &small?);
    Some(s.add(Op::Reshape(ty.shape.clone()), &[result]))
}
