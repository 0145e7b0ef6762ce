//! Scopes of the tape: the body of a loop is differentiated on its own, so whatever it uses from outside is met at a
//! boundary node, where the walk back through the body ends.

use super::tape::next_seq;
use crate::error::Result;
use crate::tensor::grad_fn::{Edge, GradFn, Grads};
use crate::tensor::{Sizes, Tensor};
use allotrope_ir::DType;
use std::cell::RefCell;
use std::sync::Arc;

/// Stands inside a scope for one value from outside.
pub(crate) struct Boundary {
    /// Where the value came from.
    pub(crate) outside: Edge,
    /// The node inside.
    pub(crate) inside: Edge,
    pub(crate) dtype: DType,
    pub(crate) sizes: Sizes,
}

struct Scope {
    /// Nodes with a smaller number were made outside.
    first_seq: u64,
    boundaries: Vec<Boundary>,
}

struct BoundaryNode(u64);

impl GradFn for BoundaryNode {
    fn seq(&self) -> u64 {
        self.0
    }
    fn name(&self) -> &'static str {
        "ScanInput"
    }
    fn edges(&self) -> &[Option<Edge>] {
        &[]
    }
    fn vjp(&self, _: &Edge, _: &[Option<Tensor>]) -> Result<Grads> {
        Ok(Grads::new())
    }
}

thread_local! {
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

/// A fresh node that ends a walk, for an input of a loop body.
pub(crate) fn input_edge() -> Edge {
    Edge::new(Arc::new(BoundaryNode(next_seq())), 0)
}

/// `edge`, to a value of this dtype and these sizes, as the innermost scope sees it.
pub(crate) fn inside(edge: Edge, dtype: DType, sizes: impl FnOnce() -> Sizes) -> Edge {
    SCOPES.with_borrow_mut(|scopes| match scopes.last_mut() {
        None => edge,
        Some(scope) if edge.node().seq() >= scope.first_seq => edge,
        Some(scope) => {
            let known =
                scope.boundaries.iter().find(|b| b.outside.id() == edge.id() && b.outside.output == edge.output);
            if let Some(b) = known {
                return b.inside.clone();
            }
            let inside = input_edge();
            scope.boundaries.push(Boundary { outside: edge, inside: inside.clone(), dtype, sizes: sizes() });
            inside
        }
    })
}

/// Runs `f` in a new scope, and gives the boundaries that it made, in order of first use. What the outside edges are in
/// the enclosing scope is for [`inside`] to say.
pub(crate) fn run<T>(f: impl FnOnce() -> T) -> (T, Vec<Boundary>) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            SCOPES.with_borrow_mut(|s| s.pop());
        }
    }
    SCOPES.with_borrow_mut(|s| s.push(Scope { first_seq: next_seq(), boundaries: Vec::new() }));
    let leave = Leave;
    let result = f();
    let boundaries =
        SCOPES.with_borrow_mut(|s| std::mem::take(&mut s.last_mut().expect("the scope just made").boundaries));
    drop(leave);
    (result, boundaries)
}
