//! Scopes of the tape: the body of a loop is differentiated on its own, so whatever it captures is met at a boundary
//! node, where the backward pass of the body ends.

use crate::error::Result;
use crate::tensor::grad_fn::{Edge, GradFn, Grads, next_seq};
use crate::tensor::hooks::Hooks;
use crate::tensor::{Sizes, Tensor};
use allotrope_ir::DType;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

/// Stands inside a scope for one captured value.
pub(crate) struct Boundary {
    /// Where the value came from.
    pub(crate) external: Edge,
    /// The node inside.
    pub(crate) inside: Edge,
    pub(crate) dtype: DType,
    pub(crate) sizes: Sizes,
}

struct Scope {
    /// Nodes with a smaller number were made outside.
    first_seq: u64,
    boundaries: Vec<Boundary>,
    /// Boundaries lead on to what they stand for, so that what is computed inside keeps its whole history.
    linked: bool,
}

struct BoundaryNode {
    seq: u64,
    external: Option<[Option<Edge>; 1]>,
    hooks: OnceLock<Arc<Hooks>>,
}

impl GradFn for BoundaryNode {
    fn seq(&self) -> u64 {
        self.seq
    }
    fn name(&self) -> &str {
        "ScanInput"
    }
    fn edges(&self) -> &[Option<Edge>] {
        self.external.as_ref().map_or(&[], |edge| edge)
    }
    fn vjp(&self, _: &Edge, grads: &[Option<Tensor>], _: bool) -> Result<Grads> {
        Ok(grads.iter().take(self.edges().len()).cloned().collect())
    }
    fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
        Some(&self.hooks)
    }
    fn is_boundary(&self) -> bool {
        true
    }
}

thread_local! {
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

/// A fresh node that ends a backward pass, for an input of a loop body.
pub(crate) fn input_edge() -> Edge {
    boundary(None)
}

/// A fresh node that ends the backward pass of a part of the program, for an input of that; `external` is where the input
/// came from, and leads on for other passes.
pub(crate) fn linked_edge(external: Edge) -> Edge {
    boundary(Some([Some(external)]))
}

fn boundary(external: Option<[Option<Edge>; 1]>) -> Edge {
    Edge::new(Arc::new(BoundaryNode { seq: next_seq(), external, hooks: OnceLock::new() }), 0)
}

/// Whether this runs in a part of the program that is differentiated on its own.
pub(crate) fn is_active() -> bool {
    SCOPES.with_borrow(|s| !s.is_empty())
}

/// Whether `edge` leads to a value that the innermost scope captures.
pub(crate) fn is_external(edge: &Edge) -> bool {
    SCOPES.with_borrow(|s| s.last().is_some_and(|scope| edge.node().seq() < scope.first_seq))
}

/// `edge`, to a value of this dtype and these sizes, as the innermost scope sees it.
pub(crate) fn inside(edge: Edge, dtype: DType, sizes: impl FnOnce() -> Sizes) -> Edge {
    SCOPES.with_borrow_mut(|scopes| match scopes.last_mut() {
        None => edge,
        Some(scope) if edge.node().seq() >= scope.first_seq => edge,
        Some(scope) => {
            let known =
                scope.boundaries.iter().find(|b| b.external.id() == edge.id() && b.external.output == edge.output);
            if let Some(b) = known {
                return b.inside.clone();
            }
            let inside = boundary(scope.linked.then(|| [Some(edge.clone())]));
            scope.boundaries.push(Boundary { external: edge, inside: inside.clone(), dtype, sizes: sizes() });
            inside
        }
    })
}

/// Runs `f` in a new scope, and gives the boundaries that it made, in order of first use. What the external edges are in
/// the enclosing scope is for [`inside`] to say.
pub(crate) fn run<T>(f: impl FnOnce() -> T) -> (T, Vec<Boundary>) {
    run_linked(false, f)
}

/// Runs `f` outside of every scope: for a part of the program that is recorded on a tape of its own.
pub(crate) fn isolated<T>(f: impl FnOnce() -> T) -> T {
    struct Return(Vec<Scope>);
    impl Drop for Return {
        fn drop(&mut self) {
            SCOPES.set(std::mem::take(&mut self.0));
        }
    }
    let _return = Return(SCOPES.take());
    f()
}

/// As [`run`]; where `linked`, boundaries lead on to what they stand for, in any backward pass that does not end at them.
pub(crate) fn run_linked<T>(linked: bool, f: impl FnOnce() -> T) -> (T, Vec<Boundary>) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            SCOPES.with_borrow_mut(|s| s.pop());
        }
    }
    SCOPES.with_borrow_mut(|s| s.push(Scope { first_seq: next_seq(), boundaries: Vec::new(), linked }));
    let leave = Leave;
    let result = f();
    let boundaries =
        SCOPES.with_borrow_mut(|s| std::mem::take(&mut s.last_mut().expect("the scope just made").boundaries));
    drop(leave);
    (result, boundaries)
}
