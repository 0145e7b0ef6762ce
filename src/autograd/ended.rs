//! The end of a history that is not there: that of a result of `trace_dynamic`, of a loaded function, of a gradient that can't be
//! differentiated. A gradient comes to such a tensor, and hooks see it, but no further; and as nobody knows what is behind, a
//! gradient that is asked for of anything older is an error, never taken for one that does not exist.

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::{Edge, GradFn, Grads};
use crate::tensor::hooks::Hooks;
use std::sync::{Arc, OnceLock};

struct Ended<F> {
    seq: u64,
    name: &'static str,
    why: F,
    hooks: OnceLock<Arc<Hooks>>,
}

impl<F: Fn() -> Error + Send + Sync> GradFn for Ended<F> {
    fn seq(&self) -> u64 {
        self.seq
    }
    fn name(&self) -> &str {
        self.name
    }
    fn edges(&self) -> &[Option<Edge>] {
        &[]
    }
    fn vjp(&self, _: &Edge, _: &[Option<Tensor>], _: bool) -> Result<Grads> {
        Err((self.why)())
    }
    fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
        Some(&self.hooks)
    }
    fn is_ended(&self) -> bool {
        true
    }
}

/// The history of one tensor, which ended. Tensors that may depend on one another have the same number.
pub(crate) fn ended(seq: u64, name: &'static str, why: impl Fn() -> Error + Send + Sync + 'static) -> Edge {
    Edge::new(Arc::new(Ended { seq, name, why, hooks: OnceLock::new() }), 0)
}
