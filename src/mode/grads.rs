//! Whether gradients flow to a tensor, and its gradient, as the program asks for them.

use super::slot;
use crate::error::{Error, must, raise};
use crate::tensor::grad_fn::Edge;
use crate::tensor::{Body, Tensor, eval};

/// Nodes of the tape with a smaller number were there before what is recorded, which takes nothing away from them.
pub(crate) fn first_seq() -> u64 {
    slot::recorder().map_or(0, |r| r.first_seq())
}

/// The tape goes on through `edge`, the history of `tensor`.
#[inline]
pub(crate) fn history_captured(edge: &Edge, tensor: &Tensor) {
    if tensor.strided().is_some()
        && let Some(r) = slot::recorder()
    {
        r.history_captured(edge, tensor);
    }
}

impl Tensor {
    /// Whether gradients flow to this tensor; a running trace holds for calls with the same answer.
    #[inline]
    pub fn is_requires_grad(&self) -> bool {
        let answer = match self.stale_view() {
            None => self.stored_requires_grad(),
            Some(v) => return v.base.is_requires_grad(),
        };
        if slot::is_recording() {
            self.note_requires_grad(answer);
        }
        answer
    }

    #[cold]
    fn note_requires_grad(&self, answer: bool) {
        if let Some(r) = slot::recorder().filter(|_| self.strided().is_some()) {
            r.requires_grad_asked(self, answer);
        }
    }

    /// Whether the user made it, so that `backward` accumulates into its `grad`.
    pub fn is_leaf(&self) -> bool {
        self.history_asked();
        !self.is_requires_grad() || !self.has_grad_fn()
    }

    fn history_asked(&self) {
        if let (Body::Traced(_), Some(r)) = (self.body(), slot::recorder()) {
            r.history_asked(self);
        }
    }

    /// Asks for gradients, and returns the tensor: `let w = randn(&[3]).requires_grad();`
    ///
    /// # Panics
    /// When the dtype is not a float.
    #[track_caller]
    pub fn requires_grad(self) -> Tensor {
        self.set_requires_grad(true);
        self
    }

    /// Asks for gradients from now on, or for none.
    ///
    /// # Panics
    /// When the dtype is not a float, or the tensor was computed from others (then `detach` it instead).
    #[track_caller]
    pub fn set_requires_grad(&self, on: bool) {
        if on && !self.dtype().is_float() {
            let text =
                format!("requires_grad: only floating-point tensors have gradients, this one is {}", self.dtype());
            raise(Error::argument(text));
        }
        if !on && !self.is_leaf() {
            let text = "requires_grad: this tensor was computed from others; detach() gives one that needs no gradient";
            raise(Error::argument(text));
        }
        if let Some(r) = slot::recorder().filter(|_| self.strided().is_some())
            && on != self.stored_requires_grad()
            && !r.is_new(self)
        {
            raise(Error::trace(
                "requires_grad: the tensor is captured by the closure that is recorded, and no later call would change it; do it outside, or to what detach() gives",
            ));
        }
        self.store_requires_grad(on);
    }

    /// Asks for gradients from now on, or for none; PyTorch's name of [`Tensor::set_requires_grad`], to be chained.
    ///
    /// # Panics
    /// As [`Tensor::set_requires_grad`].
    #[track_caller]
    pub fn requires_grad_(&self, on: bool) -> &Tensor {
        self.set_requires_grad(on);
        self
    }

    /// The name of the operation's derivative that made this tensor, such as `MulBackward0`; none for a leaf.
    pub fn grad_fn_name(&self) -> Option<String> {
        self.history_asked();
        self.grad_fn().map(|edge| edge.node().name().to_string())
    }

    /// The gradient that `backward` has accumulated, if any. A tensor that is no leaf has one only where
    /// [`Tensor::retain_grad`] asked for it, or where `backward` was told to accumulate into it.
    pub fn grad(&self) -> Option<Tensor> {
        match slot::recorder() {
            Some(r) => r.grad(self),
            None => self.stored_grad(),
        }
    }

    /// Replaces the accumulated gradient; PyTorch's `zero_grad` sets none.
    ///
    /// # Panics
    /// When the gradient does not have the dtype and shape of the tensor, or is on another device.
    #[track_caller]
    pub fn set_grad(&self, grad: Option<Tensor>) {
        if let Some(g) = &grad
            && (g.dtype() != self.dtype() || !g.same_shape(self))
        {
            raise(Error::argument(format!(
                "set_grad: the gradient must be {}{:?} as the tensor is, got {}{:?}",
                self.dtype(),
                self.shape_hint(),
                g.dtype(),
                g.shape_hint()
            )));
        }
        if let Some(g) = &grad {
            must(eval::same_device("set_grad", self.device(), g.device()));
        }
        match slot::recorder() {
            Some(r) => r.set_grad(self, grad),
            None => self.store_grad(grad),
        }
    }
}
