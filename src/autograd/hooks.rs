//! Hooks on gradients as users register them, on tensors and leaves, how they are run, and `retain_grad`.

use super::{scope, tape};
use crate::error::{Error, Result, called, must, raise};
use crate::mode;
use crate::tensor::Tensor;
use crate::tensor::hooks::Hooks;
use std::sync::{Arc, Weak};

/// Names one registered hook. Dropping it changes nothing; [`HookHandle::remove`] takes the hook away.
#[derive(Debug, Clone)]
pub struct HookHandle {
    hooks: Weak<Hooks>,
    id: u64,
    recorded: bool,
}

impl HookHandle {
    /// Takes the hook away; nothing happens where that was done before. A compiled function that was recorded with it is
    /// compiled anew.
    ///
    /// # Panics
    /// Inside a trace, for a hook that was registered outside of it: recording must change nothing.
    #[track_caller]
    pub fn remove(&self) {
        if mode::is_recording() && !self.recorded {
            raise(Error::trace(
                "a hook registered outside of the closure can't be removed inside it; do it between calls",
            ));
        }
        let Some(hooks) = self.hooks.upgrade() else { return };
        hooks.remove(self.id);
    }
}

impl HookHandle {
    fn new(hooks: &Arc<Hooks>, id: u64) -> HookHandle {
        HookHandle { hooks: Arc::downgrade(hooks), id, recorded: mode::is_recording() }
    }
}

impl Hooks {
    /// The gradient of result `output` after each hook has seen it, in order of registration.
    ///
    /// # Errors
    /// When a hook gives a gradient of another dtype or shape.
    pub(crate) fn run(&self, output: u32, mut gradient: Tensor) -> Result<Tensor> {
        for hook in self.on_gradient(output) {
            let Some(new) = hook(&gradient) else { continue };
            if new.dtype() != gradient.dtype() || !new.same_shape(&gradient) {
                return Err(Error::autograd(format!(
                    "a hook must give a gradient like the one it got, {}{:?}; it gave {}{:?}",
                    gradient.dtype(),
                    gradient.shape_hint(),
                    new.dtype(),
                    new.shape_hint()
                )));
            }
            gradient = new;
        }
        Ok(gradient)
    }

    /// Calls what waits for the accumulated gradient of `leaf`.
    pub(crate) fn run_accumulated(&self, leaf: &Tensor) {
        self.on_accumulated().iter().for_each(|f| f(leaf));
    }
}

impl Tensor {
    /// Calls `hook` with the gradient of this tensor when `backward` or `grad` has it: once per backward pass, with the sum of all
    /// that flows to the tensor. What it returns goes on instead; `None` leaves the gradient as it is. Hooks of one
    /// tensor are called in the order in which they were registered, for a leaf before the gradient is accumulated.
    ///
    /// A tensor that is changed in place is another one to the tape: earlier hooks see the gradient of what it was.
    /// Inside a trace a hook is recorded with the rest: it is called while recording, with gradients whose elements are
    /// not known yet, and what it computes becomes part of the compiled function.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::scalar(3.0f32).requires_grad();
    /// let hook = x.register_hook(|g| Some(g * 2.0));
    /// (&x * 5.0).backward();
    /// assert_eq!(x.grad().unwrap().item::<f32>(), 10.0);
    /// hook.remove();
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_register_hook`] fails.
    #[track_caller]
    pub fn register_hook(&self, hook: impl Fn(&Tensor) -> Option<Tensor> + Send + Sync + 'static) -> HookHandle {
        must(self.try_register_hook(hook))
    }

    /// As [`Tensor::register_hook`].
    ///
    /// # Errors
    /// When the tensor needs no gradient; and where the hook would be registered again and again: inside a trace or the
    /// body of a loop, on a tensor that it captures.
    #[track_caller]
    pub fn try_register_hook(
        &self,
        hook: impl Fn(&Tensor) -> Option<Tensor> + Send + Sync + 'static,
    ) -> Result<HookHandle> {
        let output = self.grad_fn().map_or(0, |e| e.output);
        let hooks = called(self.hooks_for("register_hook"))?;
        Ok(HookHandle::new(&hooks, hooks.add_gradient(output, Arc::new(hook))))
    }

    /// Calls `hook` with this leaf whenever `backward` has accumulated into its `grad`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let w = Tensor::scalar(3.0f32).requires_grad();
    /// w.register_post_accumulate_grad_hook(|w| {
    ///     no_grad(|| w.sub_(&(w.grad().unwrap() * 0.5)));
    ///     w.set_grad(None);
    /// });
    /// (&w * 2.0).backward();
    /// assert_eq!(w.item::<f32>(), 2.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_register_post_accumulate_grad_hook`] fails.
    #[track_caller]
    pub fn register_post_accumulate_grad_hook(&self, hook: impl Fn(&Tensor) + Send + Sync + 'static) -> HookHandle {
        must(self.try_register_post_accumulate_grad_hook(hook))
    }

    /// As [`Tensor::register_post_accumulate_grad_hook`].
    ///
    /// # Errors
    /// When the tensor is no leaf, and as [`Tensor::try_register_hook`].
    #[track_caller]
    pub fn try_register_post_accumulate_grad_hook(
        &self,
        hook: impl Fn(&Tensor) + Send + Sync + 'static,
    ) -> Result<HookHandle> {
        if !self.is_leaf_now() {
            return Err(Error::autograd(
                "register_post_accumulate_grad_hook: the tensor is no leaf, so nothing is accumulated into it; use register_hook",
            ));
        }
        let hooks = called(self.hooks_for("register_post_accumulate_grad_hook"))?;
        Ok(HookHandle::new(&hooks, hooks.add_accumulated(Arc::new(hook))))
    }

    /// Keeps the gradient of this tensor in its `grad` although it is no leaf; a leaf keeps its own anyway.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::scalar(3.0f32).requires_grad();
    /// let y = &x * 2.0;
    /// y.retain_grad();
    /// (&y * &y).backward();
    /// assert_eq!(y.grad().unwrap().item::<f32>(), 12.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_retain_grad`] fails.
    #[track_caller]
    pub fn retain_grad(&self) {
        must(self.try_retain_grad());
    }

    /// As [`Tensor::retain_grad`].
    ///
    /// # Errors
    /// When the tensor needs no gradient, and inside the body of a loop or checkpoint, which is differentiated on its
    /// own: give the value back from the body and keep that.
    #[track_caller]
    pub fn try_retain_grad(&self) -> Result<()> {
        if !self.is_requires_grad() {
            return Err(Error::autograd("retain_grad: this tensor requires no gradient, so it has none to keep"));
        }
        called(self.history_known())?;
        if self.is_leaf_now() || self.retains_grad() {
            return Ok(());
        }
        if scope::is_active() {
            return Err(Error::autograd(
                "retain_grad: inside the body of a scan or a checkpoint a value is differentiated on its own; give it back from the body and keep that",
            ));
        }
        called(self.not_captured("retain_grad"))?;
        self.set_retains_grad();
        Ok(())
    }

    /// Where hooks of this tensor are kept.
    fn hooks_for(&self, what: &str) -> Result<Arc<Hooks>> {
        self.history_known()?;
        let Some(edge) = tape::own_edge(self) else {
            if self.is_requires_grad() {
                // A view taken where nothing was recorded: none will come by.
                return Ok(self.leaf_hooks(true).expect("made where there was none"));
            }
            return Err(Error::autograd(format!("{what}: this tensor requires no gradient, so none will come by")));
        };
        self.not_captured(what)?;
        if scope::is_external(&edge) {
            return Err(Error::autograd(format!(
                "{what}: the tensor is captured by the body of this scan or checkpoint, which may run many times; register the hook outside"
            )));
        }
        let hooks = if edge.node().seq() == 0 { self.leaf_hooks(true) } else { edge.hooks().cloned() };
        hooks.ok_or_else(|| {
            let name = edge.node().name();
            Error::autograd(format!(
                "{what}: {name} ends the history of this tensor, and takes no hooks; use detach() first"
            ))
        })
    }

    /// Recording must not change what was there before, and would do it twice.
    fn not_captured(&self, what: &str) -> Result<()> {
        match mode::is_recording() && self.strided().is_some() {
            true => Err(Error::trace(format!(
                "{what}: the tensor is captured by the closure that is recorded, and no later call would register anything; do it outside"
            ))),
            false => Ok(()),
        }
    }

    /// Whether hooks are registered on this leaf.
    pub(crate) fn has_leaf_hooks(&self) -> bool {
        self.is_leaf_now() && self.leaf_hooks(false).is_some_and(|h| !h.is_empty())
    }
}
