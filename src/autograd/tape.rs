//! Nodes of the tape: one per recorded operation, holding the closure that is its derivative, and one per leaf.

use super::scope;
use crate::error::{Error, Result};
use crate::mode::grads::{SEEN_AGAIN, history_captured};
use crate::tensor::grad_fn::{Edge, GradFn, Grads, ViewVjp, next_seq};
use crate::tensor::handle::HiddenHandle;
use crate::tensor::handle::Link;
use crate::tensor::hooks::Hooks;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Sizes, Tensor};
use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// One edge per operand.
pub(crate) type Edges = SmallVec<[Option<Edge>; 2]>;

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

/// What every node of an operation has.
struct Head {
    seq: u64,
    name: Cow<'static, str>,
    edges: Edges,
    /// Made when the first is registered.
    hooks: OnceLock<Arc<Hooks>>,
    /// Whether it only hands gradients of gradients on.
    is_relay: bool,
}

impl Head {
    fn new(name: Cow<'static, str>, edges: Edges) -> Head {
        Head { seq: next_seq(), name, edges, hooks: OnceLock::new(), is_relay: false }
    }

    fn context<'a>(&'a self, me: &'a Edge) -> Context<'a> {
        Context { me, edges: &self.edges }
    }
}

macro_rules! head {
    () => {
        fn seq(&self) -> u64 {
            self.head.seq
        }
        fn name(&self) -> &str {
            &self.head.name
        }
        fn edges(&self) -> &[Option<Edge>] {
            &self.head.edges
        }
        fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
            Some(&self.head.hooks)
        }
        fn is_relay(&self) -> bool {
            self.head.is_relay
        }
    };
}

/// An operation whose derivative saved no tensor: there is nothing to free, so any number of backward passes may go
/// through it.
struct OpNode<F> {
    head: Head,
    vjp: F,
}

impl<F: Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send + Sync> GradFn for OpNode<F> {
    head!();
    fn vjp(&self, me: &Edge, grads: &[Option<Tensor>], _: bool) -> Result<Grads> {
        (self.vjp)(&self.head.context(me), grads)
    }
}

/// An operation whose derivative saved tensors. They go with the closure that holds them, after the one backward pass that a
/// graph is good for unless it is retained; so whoever keeps a loss does not keep every activation behind it. The lock
/// costs a few nanoseconds in the backward pass and nothing in the forward one. It is held while the derivative runs: only a
/// derivative that goes through its own node could meet it locked, and such a pass would have no end anyway.
struct SavingNode<F> {
    head: Head,
    vjp: Mutex<Option<F>>,
}

impl<F: Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send> GradFn for SavingNode<F> {
    head!();
    fn saves(&self) -> bool {
        true
    }
    fn vjp(&self, me: &Edge, grads: &[Option<Tensor>], keep: bool) -> Result<Grads> {
        let mut slot = self.vjp.lock();
        let Some(vjp) = &*slot else {
            return Err(freed(&self.head.name));
        };
        let found = vjp(&self.head.context(me), grads);
        if !keep && found.is_ok() {
            *slot = None;
        }
        found
    }
}

/// The error of a node that was passed before and whose saved tensors were freed.
pub(crate) fn freed(name: &str) -> Error {
    Error::autograd(format!(
        "Trying to backward through the graph a second time: the tensors that {name} saved have been freed. \
         Set retain_graph in the first backward or grad if the graph is needed again"
    ))
}

struct Leaf(HiddenHandle);

impl GradFn for Leaf {
    fn seq(&self) -> u64 {
        0
    }
    fn name(&self) -> &str {
        "AccumulateGrad"
    }
    fn edges(&self) -> &[Option<Edge>] {
        &[]
    }
    fn vjp(&self, _: &Edge, _: &[Option<Tensor>], _: bool) -> Result<Grads> {
        Ok(Grads::new())
    }
    fn leaf(&self) -> Option<Tensor> {
        Some(Tensor::clone(&self.0))
    }
    fn hide_leaf(&self) {
        self.0.count();
    }
}

/// The edge to whatever made `x`, or to the node that accumulates into it; none where it needs no gradient.
/// Inside a scope, captured values are met through the scope's boundary.
pub(crate) fn edge_of(x: &Tensor) -> Option<Edge> {
    let (edge, repeated) = own_edge(x)?.split();
    let sizes = || repeated.as_ref().map_or_else(|| x.sizes(), |o| o.sizes.clone());
    Some(scope::inside(edge, x.dtype(), sizes).joined(repeated))
}

/// As [`edge_of`], whatever scope this is.
pub(crate) fn own_edge(x: &Tensor) -> Option<Edge> {
    if !x.is_requires_grad() {
        return None;
    }
    if x.is_stale()
        && let Some(view) = x.view_of()
    {
        // An in-place operation has changed what this is a view of: its history is that of the whole, seen as before.
        x.seen_again();
        x.set_grad_fn(Some(seen_again(own_edge(&view.base), &view.path)));
        x.see_changes(x.version());
    }
    let edge = match x.grad_fn() {
        Some(edge) => edge,
        None if x.stored_requires_grad() => Edge::new(x.leaf_node(|| Arc::new(Leaf(HiddenHandle::new(x.clone())))), 0),
        // What it shows has a history, but nothing was recorded when the view was taken.
        None => return None,
    };
    history_captured(&edge, x);
    Some(edge)
}

/// As [`edge_of`], for an operand of what is recorded.
///
/// # Errors
/// When it is a view whose history is not known.
#[inline]
pub(crate) fn operand_edge(x: &Tensor) -> Result<Option<Edge>> {
    x.history_known()?;
    Ok(edge_of(x))
}

/// The edge to a view, by all these steps, of the value behind `edge`.
fn seen_again(edge: Option<Edge>, path: &Arc<Link>) -> Edge {
    let path = Arc::clone(path);
    let node = node(SEEN_AGAIN, smallvec![edge], false, move |c, grads| match &grads[0] {
        Some(g) if c.wants(0) => {
            let whole =
                path.steps().iter().rev().try_fold(g.clone(), |g, step| (step.vjp)(&step.op, &step.from, &g))?;
            Ok(smallvec![Some(whole)])
        }
        _ => Ok(smallvec![None]),
    });
    Edge::new(node, 0)
}

/// The edge to a view of the value behind `edge`.
pub(crate) fn view_edge(edge: Option<Edge>, op: ViewOp, from: Sizes, name: &'static str, vjp: ViewVjp) -> Edge {
    let node = node(name, smallvec![edge], false, move |c, grads| match &grads[0] {
        Some(g) if c.wants(0) => Ok(smallvec![Some(vjp(&op, &from, g)?)]),
        _ => Ok(Grads::new()),
    });
    Edge::new(node, 0)
}

/// The elements of `x`, by a node of this name that hands gradients on.
pub(crate) fn named(name: impl Into<Cow<'static, str>>, x: &Tensor) -> Tensor {
    let Some(edge) = edge_of(x) else { return x.clone() };
    let same = x.alias();
    same.set_grad_fn(Some(renamed(name, edge)));
    same
}

/// The edge by a node of this name that hands gradients on.
pub(crate) fn renamed(name: impl Into<Cow<'static, str>>, edge: Edge) -> Edge {
    Edge::new(node(name, smallvec![Some(edge)], false, |_, grads| Ok(smallvec![grads[0].clone()])), 0)
}

/// A node over `edges` with the derivative `vjp`: gradients of the results in, gradients of the operands out. `saves`
/// says whether the closure holds tensors that are to be freed after the backward pass.
pub(crate) fn node(
    name: impl Into<Cow<'static, str>>,
    edges: Edges,
    saves: bool,
    vjp: impl Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send + Sync + 'static,
) -> Arc<dyn GradFn> {
    let head = Head::new(name.into(), edges);
    match saves {
        true => Arc::new(SavingNode { head, vjp: Mutex::new(Some(vjp)) }),
        false => Arc::new(OpNode { head, vjp }),
    }
}

/// A node with which the engine stands between a gradient of gradients and where it comes from.
pub(crate) fn relay(
    name: Cow<'static, str>,
    edge: Edge,
    vjp: impl Fn(&Context<'_>, &[Option<Tensor>]) -> Result<Grads> + Send + Sync + 'static,
) -> Arc<dyn GradFn> {
    let head = Head { is_relay: true, ..Head::new(name, smallvec![Some(edge)]) };
    Arc::new(OpNode { head, vjp })
}
