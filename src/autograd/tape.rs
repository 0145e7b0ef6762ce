//! Nodes of the tape: one per noted operation, holding the closure that is its derivative, and one per leaf.

use super::scope;
use crate::error::Result;
use crate::tensor::grad_fn::{Edge, GradFn, Grads};
use crate::tensor::size::Sizes;
use crate::tensor::view::ViewVjp;
use crate::tensor::{Size, Tensor};
use allotrope_ir::Op;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One edge per operand.
pub(crate) type Edges = SmallVec<[Option<Edge>; 2]>;

/// The next place in the order of creation; leaves come before everything.
pub(crate) fn next_seq() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What a derivative is told about its node.
pub(crate) struct Context<'a> {
    /// The edge to the node.
    pub(crate) me: &'a Edge,
    edges: &'a [Option<Edge>],
}

impl Context<'_> {
    /// Whether the gradient of operand `i` is wanted.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.edges[i].is_some()
    }
}

struct OpNode<F> {
    seq: u64,
    name: &'static str,
    edges: Edges,
    vjp: F,
}

impl<F: Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send + Sync> GradFn for OpNode<F> {
    fn seq(&self) -> u64 {
        self.seq
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn edges(&self) -> &[Option<Edge>] {
        &self.edges
    }
    fn vjp(&self, me: &Edge, grads: &[Option<Tensor>]) -> Result<Grads> {
        (self.vjp)(&Context { me, edges: &self.edges }, grads)
    }
}

struct Leaf(Tensor);

impl GradFn for Leaf {
    fn seq(&self) -> u64 {
        0
    }
    fn name(&self) -> &'static str {
        "AccumulateGrad"
    }
    fn edges(&self) -> &[Option<Edge>] {
        &[]
    }
    fn vjp(&self, _: &Edge, _: &[Option<Tensor>]) -> Result<Grads> {
        Ok(Grads::new())
    }
    fn leaf(&self) -> Option<Tensor> {
        Some(self.0.clone())
    }
}

/// The edge to whatever made `x`, or to the node that accumulates into it; none where it needs no gradient.
/// Inside a scope, values from outside are met through the scope's boundary.
pub(crate) fn edge_of(x: &Tensor) -> Option<Edge> {
    if !x.is_requires_grad() {
        return None;
    }
    if let Some(view) = x.stale_view() {
        // An in-place operation has changed what this is a view of: its history is that of the whole, seen as before.
        let edge = edge_of(&view.base).map(|edge| {
            view.path
                .steps()
                .iter()
                .fold(edge, |edge, step| view_edge(edge, step.op.clone(), step.from.clone(), step.name, step.vjp))
        });
        x.set_grad_fn(edge);
        x.history_seen();
    }
    let edge = x.grad_fn().unwrap_or_else(|| Edge::new(x.leaf_node(|| Arc::new(Leaf(x.clone()))), 0));
    Some(scope::inside(edge, x.dtype(), || x.sizes()))
}

/// The edge to a view of the value behind `edge`.
pub(crate) fn view_edge(edge: Edge, op: Op<Size>, from: Sizes, name: &'static str, vjp: ViewVjp) -> Edge {
    let node = node(name, smallvec![Some(edge)], move |_, grads| match &grads[0] {
        Some(g) => Ok(smallvec![Some(vjp(&op, &from, g)?)]),
        None => Ok(Grads::new()),
    });
    Edge::new(node, 0)
}

/// A node over `edges` with the derivative `vjp`: gradients of the results in, gradients of the operands out.
pub(crate) fn node(
    name: &'static str,
    edges: Edges,
    vjp: impl Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send + Sync + 'static,
) -> Arc<dyn GradFn> {
    Arc::new(OpNode { seq: next_seq(), name, edges, vjp })
}
