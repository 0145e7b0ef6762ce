//! Which reshapes are no copies although no view has their shape: those that only matrix products read. They are no values of
//! their own in a schedule; each product takes the view that they are of, in groups of axes.

use crate::schedule::factor::Factor;
use crate::schedule::view::View;
use allotrope_ir::{Graph, Op, Value};
use rustc_hash::FxHashMap;

/// What a product reads where `v` is its factor, through the reshapes and permutations that have no views.
pub fn of(g: &Graph, env: &FxHashMap<Value, View>, v: Value) -> Option<Factor> {
    if let Some(view) = env.get(&v) {
        return Some(Factor::of(view.clone()));
    }
    let x = || of(g, env, g.operands(v.node)[0]);
    match &g.node(v.node).op {
        Op::Reshape(shape) => x()?.reshape(shape),
        Op::Permute(axes) => Some(x()?.permute(axes)),
        _ => None,
    }
}

/// Whether products alone read `v`, each as a factor, where it is this one.
pub fn is_one(g: &Graph, v: Value, factor: Option<Factor>) -> bool {
    let Some(factor) = factor else { return false };
    let reads = |x: &Value| *x == v;
    !g.outputs().iter().any(|o| o.value == v)
        && g.users(v.node).iter().all(|&user| {
            let operands = g.operands(user);
            let result = Value { node: user, port: 0 };
            match &g.node(user).op {
                Op::Matmul => factor.is_of_matrices(),
                Op::AddMatmul => factor.is_of_matrices() && !reads(&operands[0]),
                Op::Reshape(shape) => is_one(g, result, factor.reshape(shape)),
                Op::Permute(axes) => is_one(g, result, Some(factor.permute(axes))),
                _ => false,
            }
        })
}
