//! The hooks of a gradient: functions of the user's that see it, or replace it, before the backward pass goes on, and
//! tensors that keep it. Only kept here; `autograd` calls them.

use super::handle::{Inner, Tensor};
use super::setting::Flag;
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
    /// Gives the number of the hook.
    fn add(&self, hook: Hook) -> u64 {
        let mut list = self.0.lock();
        let id = list.next;
        list.next += 1;
        list.each.push((id, hook));
        list.changed();
        id
    }

    pub(crate) fn add_gradient(&self, output: u32, hook: GradientHook) -> u64 {
        self.add(Hook::Gradient(output, hook))
    }

    pub(crate) fn add_accumulated(&self, hook: AccumulatedHook) -> u64 {
        self.add(Hook::Accumulated(hook))
    }

    /// Takes a hook away, where it is still there.
    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.0.lock();
        let removed = list.each.iter().position(|(i, _)| *i == id).map(|i| list.each.remove(i));
        list.changed();
        // What the hook holds is dropped without the lock.
        drop(list);
        drop(removed);
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

    /// The hooks on the gradient of result `output`, in order of registration. A hook may remove hooks, so the list is
    /// not locked while they are called.
    pub(crate) fn on_gradient(&self, output: u32) -> Vec<GradientHook> {
        let list = self.0.lock();
        let of = |h: &(u64, Hook)| match &h.1 {
            Hook::Gradient(o, f) if *o == output => Some(f.clone()),
            Hook::Gradient(..) | Hook::Accumulated(_) => None,
        };
        list.each.iter().filter_map(of).collect()
    }

    /// The tensors alive that keep the gradient of result `output`.
    pub(crate) fn retaining(&self, output: u32) -> Vec<Tensor> {
        let list = self.0.lock();
        list.retained.iter().filter(|(o, _)| *o == output).filter_map(|(_, t)| t.upgrade().map(Tensor)).collect()
    }

    /// The results whose gradients somebody sees or keeps.
    pub(crate) fn watched(&self) -> Vec<u32> {
        let list = self.0.lock();
        let seen = list.each.iter().filter_map(|(_, hook)| match hook {
            Hook::Gradient(output, _) => Some(*output),
            Hook::Accumulated(_) => None,
        });
        seen.chain(list.retained.iter().map(|(output, _)| *output)).collect()
    }

    /// The hooks on the accumulated gradient of the leaf.
    pub(crate) fn on_accumulated(&self) -> Vec<AccumulatedHook> {
        let list = self.0.lock();
        let of = |h: &(u64, Hook)| match &h.1 {
            Hook::Accumulated(f) => Some(f.clone()),
            Hook::Gradient(..) => None,
        };
        list.each.iter().filter_map(of).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of hooks that are registered.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().each.len()
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hooks({})", self.0.lock().each.len())
    }
}
