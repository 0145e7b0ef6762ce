//! Which reshapes are no copies although no view has their shape: those of overlapping windows that only matrix products read.
//! They are no values of their own in a schedule; each product takes the view that they are of, in groups of axes. Where nothing
//! overlaps, a copy is no larger than what it is of, and the product of what lies densely is faster than that of several axes.

use crate::schedule::factor::Factor;
use crate::schedule::view::View as Place;
use allotrope_ir::class::{Class, Contraction, View};
use allotrope_ir::{Graph, Op, Value};
use rustc_hash::FxHashMap;

/// What a product reads where `v` is its factor, through the reshapes and permutations that have no views.
pub fn of(g: &Graph, env: &FxHashMap<Value, Place>, v: Value) -> Option<Factor> {
    if let Some(view) = env.get(&v) {
        return Some(Factor::of(view.clone()));
    }
    let op = &g.node(v.node).op;
    if !arranges(op) {
        return None;
    }
    arranged(op, &of(g, env, g.operands(v.node)[0])?)
}

/// Whether a primitive puts the axes of its operand together otherwise, and nothing else.
pub fn arranges(op: &Op) -> bool {
    match op.class() {
        Class::View(View::Reshape(_) | View::Permute(_)) => true,
        Class::View(View::Broadcast(_) | View::Slice { .. } | View::Flip(_) | View::Window { .. })
        | Class::Leaf(_)
        | Class::Elementwise(_)
        | Class::Reduction(..)
        | Class::Contraction(_)
        | Class::Axis(_)
        | Class::Check(_)
        | Class::Barrier(_)
        | Class::Loop(_)
        | Class::Fusion(_) => false,
    }
}

/// A factor as such a primitive shows it, where that is one.
fn arranged(op: &Op, x: &Factor) -> Option<Factor> {
    match op.class() {
        Class::View(View::Reshape(shape)) => x.reshape(shape),
        Class::View(View::Permute(axes)) => Some(x.permute(axes)),
        other => unreachable!("bug in allotrope: {other:?} arranges no axes"),
    }
}

/// Whether the elements of `v`, which is views of something, are more than those of that, since windows overlap.
pub fn overlaps(g: &Graph, v: Value) -> bool {
    let above = || overlaps(g, g.operands(v.node)[0]);
    match g.node(v.node).op.class() {
        Class::View(View::Window { size, step, dilation, .. }) => {
            let apart = size.as_fixed().is_some_and(|n| n.saturating_sub(1).saturating_mul(dilation) < step);
            !apart || above()
        }
        Class::View(View::Broadcast(_) | View::Reshape(_) | View::Permute(_) | View::Slice { .. } | View::Flip(_)) => {
            above()
        }
        Class::Leaf(_)
        | Class::Elementwise(_)
        | Class::Reduction(..)
        | Class::Contraction(_)
        | Class::Axis(_)
        | Class::Check(_)
        | Class::Barrier(_)
        | Class::Loop(_)
        | Class::Fusion(_) => false,
    }
}

/// Whether products alone read `v`, each as a factor, where it is this one.
pub fn is_one(g: &Graph, v: Value, factor: Option<Factor>) -> bool {
    let Some(factor) = factor else { return false };
    !g.outputs().iter().any(|o| o.value == v)
        && g.users(v.node).iter().all(|&user| {
            let op = &g.node(user).op;
            match op.class() {
                Class::Contraction(Contraction::Matmul) => factor.is_of_matrices(),
                Class::Contraction(Contraction::AddMatmul) => factor.is_of_matrices() && g.operands(user)[0] != v,
                Class::View(_) if arranges(op) => is_one(g, Value { node: user, port: 0 }, arranged(op, &factor)),
                Class::View(_)
                | Class::Leaf(_)
                | Class::Elementwise(_)
                | Class::Reduction(..)
                | Class::Axis(_)
                | Class::Check(_)
                | Class::Barrier(_)
                | Class::Loop(_)
                | Class::Fusion(_) => false,
            }
        })
}
