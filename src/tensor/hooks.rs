//! What users hang on a gradient: functions that see it, or replace it, before the walk goes on, and tensors that keep
//! it. Only kept here; `autograd` calls them.

use super::{Flag, Inner, Tensor, recorder};
use crate::error::{Error, Result, raise};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

pub(crate) type GradientHook = Arc<dyn Fn(&Tensor) -> Option<Tensor> + Send + Sync>;
pub(crate) type AccumulatedHook = Arc<dyn Fn(&Tensor) + Send + Sync>;

enum Hook {
    /// Sees the gradient of one result of the node.
    Gradient(u32, GradientHook),
    /// Sees the leaf when its gradient has been accumulated.
    Accumulated(AccumulatedHook),
}

#[derive(Default)]
struct List {
    next: u64,
    /// In order of registration.
    each: Vec<(u64, Hook)>,
    /// Tensors that keep the gradient of one result.
    retained: Vec<(u32, Weak<Inner>)>,
    /// On as long as the list is as it is: what a trace that used it holds for.
    unchanged: Option<Flag>,
}

impl List {
    /// To be called after every change.
    fn changed(&mut self) {
        if let Some(flag) = self.unchanged.take() {
            flag.put(false);
        }
    }
}

/// The hooks of one node of the tape, or of one leaf.
#[derive(Default)]
pub(crate) struct Hooks(Mutex<List>);

impl Hooks {
    fn add(self: &Arc<Hooks>, hook: Hook) -> HookHandle {
        let mut list = self.0.lock();
        let id = list.next;
        list.next += 1;
        list.each.push((id, hook));
        list.changed();
        HookHandle { hooks: Arc::downgrade(self), id, recorded: recorder::is_active() }
    }

    pub(crate) fn add_gradient(self: &Arc<Hooks>, output: u32, hook: GradientHook) -> HookHandle {
        self.add(Hook::Gradient(output, hook))
    }

    pub(crate) fn add_accumulated(self: &Arc<Hooks>, hook: AccumulatedHook) -> HookHandle {
        self.add(Hook::Accumulated(hook))
    }

    /// The tensor keeps the gradient of result `output`.
    pub(crate) fn retain(&self, output: u32, tensor: Weak<Inner>) {
        self.0.lock().retained.push((output, tensor));
    }

    /// The tensor does not keep it any more.
    pub(super) fn release(&self, tensor: *const Inner) {
        self.0.lock().retained.retain(|(_, t)| t.as_ptr() != tensor);
    }

    /// A switch that goes off when the list changes.
    pub(crate) fn unchanged(&self) -> Flag {
        self.0.lock().unchanged.get_or_insert_with(|| Flag::new(true)).clone()
    }

    /// The gradient of result `output` after each hook has seen it, in order of registration.
    ///
    /// # Errors
    /// When a hook gives a gradient of another dtype or shape.
    pub(crate) fn run(&self, output: u32, mut gradient: Tensor) -> Result<Tensor> {
        // A hook may remove hooks, so the list is not locked meanwhile.
        let each: Vec<GradientHook> = {
            let list = self.0.lock();
            let of = |h: &(u64, Hook)| match &h.1 {
                Hook::Gradient(o, f) if *o == output => Some(f.clone()),
                _ => None,
            };
            list.each.iter().filter_map(of).collect()
        };
        for hook in each {
            let Some(new) = hook(&gradient) else { continue };
            if new.dtype() != gradient.dtype() || !new.same_shape(&gradient) {
                return Err(Error::Autograd(format!(
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

    /// The tensors alive that keep the gradient of result `output`.
    pub(crate) fn retaining(&self, output: u32) -> Vec<Tensor> {
        let list = self.0.lock();
        list.retained.iter().filter(|(o, _)| *o == output).filter_map(|(_, t)| t.upgrade().map(Tensor)).collect()
    }

    /// Calls what waits for the accumulated gradient of `leaf`.
    pub(crate) fn run_accumulated(&self, leaf: &Tensor) {
        let each: Vec<AccumulatedHook> = {
            let list = self.0.lock();
            let of = |h: &(u64, Hook)| match &h.1 {
                Hook::Accumulated(f) => Some(f.clone()),
                Hook::Gradient(..) => None,
            };
            list.each.iter().filter_map(of).collect()
        };
        each.iter().for_each(|f| f(leaf));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of hooks that are registered.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().each.len()
    }
}

/// Names one registered hook. Dropping it changes nothing; [`HookHandle::remove`] takes the hook away.
#[derive(Debug, Clone)]
pub struct HookHandle {
    hooks: Weak<Hooks>,
    id: u64,
    recorded: bool,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hooks({})", self.0.lock().each.len())
    }
}

impl HookHandle {
    /// Takes the hook away; nothing happens where it is gone already. A compiled function that was recorded with it is
    /// compiled anew.
    ///
    /// # Panics
    /// Inside a trace, for a hook that was registered outside of it: recording must change nothing.
    #[track_caller]
    pub fn remove(&self) {
        if recorder::is_active() && !self.recorded {
            raise(Error::Trace("a hook from outside can't be removed inside the closure; do it between calls".into()));
        }
        let Some(hooks) = self.hooks.upgrade() else { return };
        let mut list = hooks.0.lock();
        let gone = list.each.iter().position(|(id, _)| *id == self.id).map(|i| list.each.remove(i));
        list.changed();
        // What the hook holds is dropped without the lock.
        drop(list);
        drop(gone);
    }
}
