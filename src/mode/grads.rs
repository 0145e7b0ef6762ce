//! Whether gradients flow to a tensor, and its gradient, as the program asks for them.

use super::slot;
use crate::error::{Error, Result, called, must, raise};
use crate::tensor::grad_fn::Edge;
use crate::tensor::view::Creation;
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

/// The name of the history of a view whose elements were changed in place.
pub(crate) const SEEN_AGAIN: &str = "AsStridedBackward0";

/// Why a loop that is recorded cannot change whether gradients flow to a captured tensor.
pub(crate) fn history_changed_in_loop() -> Error {
    Error::trace(
        "whether a captured tensor requires a gradient can't be changed inside the body of a loop or of a branch, which is recorded once \
         for all iterations; do it outside",
    )
}

#[cold]
fn ambiguous(what: &str, creation: Creation) -> Error {
    let of = match creation {
        Creation::Single | Creation::NoGrad => "that was made under no_grad",
        Creation::Several => "that is one of several results of an operation, such as split or unbind,",
        Creation::Function => "that a function of the user's gave back",
    };
    Error::autograd(format!(
        "a view {of} {what}; use the plain operation, or take the view and change it both under no_grad(|| ..) or both outside"
    ))
}

impl Tensor {
    /// Whether gradients flow to this tensor; a running trace holds for calls with the same answer.
    #[inline]
    pub fn is_requires_grad(&self) -> bool {
        // Gradients flow to what a view shows, also where its own history says nothing of that.
        let answer = self.stored_requires_grad() || self.view_of().is_some_and(|view| view.base.stored_requires_grad());
        if slot::is_recording() {
            self.note_requires_grad();
        }
        answer
    }

    #[cold]
    fn note_requires_grad(&self) {
        if let Some(r) = slot::recorder().filter(|_| self.strided().is_some()) {
            r.requires_grad_asked(self);
        }
    }

    /// Whether the user made it, so that `backward` accumulates into its `grad`.
    ///
    /// # Panics
    /// When it is a view whose history is not known: one that was made under `no_grad`, or as one of several results of an
    /// operation, and whose elements were changed in place since.
    #[track_caller]
    pub fn is_leaf(&self) -> bool {
        must(self.try_is_leaf())
    }

    /// As [`Tensor::is_leaf`].
    ///
    /// # Errors
    /// When it is a view whose history is not known.
    pub fn try_is_leaf(&self) -> Result<bool> {
        self.history_asked();
        self.history_known()?;
        Ok(self.is_leaf_now())
    }

    /// As [`Tensor::is_leaf`], of any view.
    pub(crate) fn is_leaf_now(&self) -> bool {
        !self.is_requires_grad() || !(self.has_grad_fn() || self.is_stale())
    }

    /// Whether this is a view whose elements were changed in place since its history was written, which is then that of the
    /// whole, seen as before.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.view_of().is_some_and(|view| {
            (self.has_grad_fn() || view.base.stored_requires_grad()) && self.version() != self.changes_seen()
        })
    }

    /// That the history of a view goes on, or was found anew after changes in place.
    ///
    /// # Errors
    /// When it came about in a way that leaves open which history the changed elements have.
    #[inline]
    pub(crate) fn history_known(&self) -> Result<()> {
        match self.view_of() {
            Some(view) if view.creation() != Creation::Single && self.is_stale() => Err(ambiguous(
                "was used after its elements, or others of what it shows, were changed in place",
                view.creation(),
            )),
            _ => Ok(()),
        }
    }

    /// That a view may be changed in place where the tape records that.
    ///
    /// # Errors
    /// When it came about in a way that leaves open which history the changed elements have.
    pub(crate) fn view_assignable(&self) -> Result<()> {
        match self.view_of() {
            Some(view) if view.creation() != Creation::Single => {
                Err(ambiguous("can't be changed in place where gradients are recorded", view.creation()))
            }
            _ => Ok(()),
        }
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
    /// Where [`Tensor::try_requires_grad_`] fails.
    #[track_caller]
    pub fn set_requires_grad(&self, on: bool) {
        must(self.try_requires_grad_(on).map(|_| ()));
    }

    /// Asks for gradients from now on, or for none; PyTorch's name of [`Tensor::set_requires_grad`], to be chained.
    ///
    /// # Panics
    /// Where [`Tensor::try_requires_grad_`] fails.
    #[track_caller]
    pub fn requires_grad_(&self, on: bool) -> &Tensor {
        must(self.try_requires_grad_(on))
    }

    /// As [`Tensor::requires_grad_`].
    ///
    /// # Errors
    /// When the dtype is not a float, or the tensor was computed from others (then `detach` it instead); for a
    /// captured tensor in a loop that is recorded.
    #[track_caller]
    pub fn try_requires_grad_(&self, on: bool) -> Result<&Tensor> {
        let refused = |error: Error| called(Err(error));
        if on && !self.dtype().is_float() {
            let text =
                format!("requires_grad: only floating-point tensors have gradients, this one is {}", self.dtype());
            return refused(Error::argument(text));
        }
        if !on && !called(self.try_is_leaf())? {
            let text = "requires_grad: this tensor was computed from others; detach() gives one that needs no gradient";
            return refused(Error::argument(text));
        }
        if on != self.stored_requires_grad() {
            called(self.history_changes())?;
        }
        self.store_requires_grad(on);
        Ok(self)
    }

    /// The program is about to change whether gradients flow to this tensor.
    ///
    /// # Errors
    /// For a captured tensor in a loop that is recorded.
    pub(crate) fn history_changes(&self) -> Result<()> {
        match slot::recorder().filter(|r| self.strided().is_some() && !r.is_new(self)) {
            Some(r) => r.history_changes(self),
            None => Ok(()),
        }
    }

    /// The tape is about to record a change in place of this tensor, which is no view.
    ///
    /// # Errors
    /// Where a trace cannot give the caller's tensor that history.
    pub(crate) fn becomes_result(&self) -> Result<()> {
        slot::recorder().filter(|r| !r.is_new(self)).map_or(Ok(()), |r| r.becomes_result(self))
    }

    /// This view is about to get the history that it has after what it shows was changed.
    pub(crate) fn seen_again(&self) {
        if let Some(r) = slot::recorder().filter(|r| self.strided().is_some() && !r.is_new(self)) {
            r.view_seen_again(self);
        }
    }

    /// Whether this is a view; a running trace holds for calls with the same answer.
    pub(crate) fn is_view(&self) -> bool {
        slot::recorder().map_or_else(|| self.view_of().is_some(), |r| r.is_view(self))
    }

    /// The name of the operation's derivative that made this tensor, such as `MulBackward0`; none for a leaf.
    ///
    /// # Panics
    /// As [`Tensor::is_leaf`].
    #[track_caller]
    pub fn grad_fn_name(&self) -> Option<String> {
        must(self.try_grad_fn_name())
    }

    /// As [`Tensor::grad_fn_name`].
    ///
    /// # Errors
    /// When it is a view whose history is not known.
    pub fn try_grad_fn_name(&self) -> Result<Option<String>> {
        self.history_asked();
        self.history_known()?;
        Ok(match self.is_stale() {
            true => Some(SEEN_AGAIN.to_string()),
            false => self.grad_fn().map(|edge| edge.node().name().to_string()),
        })
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
