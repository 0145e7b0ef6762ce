//! Handles that a trace keeps to captured tensors, counted apart: where nobody else can reach a tensor any more, the
//! program cannot be reading it, and a trace that does has become wrong. It decides nothing but that.

use super::handle::{Inner, Tensor};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// A handle that keeps a tensor alive for a trace, and does not count as somebody's who could use it.
pub(crate) struct TraceHandle(Tensor);

/// The tensors that traces keep, by the identity of their storage: several may show the same elements.
static KEPT: RwLock<Option<FxHashMap<usize, Vec<Weak<Inner>>>>> = RwLock::new(None);

impl TraceHandle {
    pub(crate) fn new(tensor: Tensor) -> TraceHandle {
        // A handle more than is counted only makes the tensor seem to be in use.
        if tensor.0.trace_handles.fetch_add(1, Ordering::AcqRel) == 0 {
            tensor.list();
        }
        TraceHandle(tensor)
    }

    /// Whether anybody but traces can reach the elements.
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.is_held_by_others() || self.0.is_seen_by_others()
    }
}

impl Clone for TraceHandle {
    fn clone(&self) -> TraceHandle {
        TraceHandle::new(self.0.clone())
    }
}

impl Deref for TraceHandle {
    type Target = Tensor;
    fn deref(&self) -> &Tensor {
        &self.0
    }
}

impl Drop for TraceHandle {
    fn drop(&mut self) {
        if self.0.0.trace_handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.list();
        }
    }
}

impl Tensor {
    #[inline]
    fn is_held_by_others(&self) -> bool {
        self.holders() > self.0.trace_handles.load(Ordering::Acquire) as usize
    }

    /// Whether another tensor over the same elements is held by somebody who is no trace.
    #[cold]
    fn is_seen_by_others(&self) -> bool {
        let Some(s) = self.strided() else { return true };
        let kept = KEPT.read();
        let same = kept.as_ref().and_then(|k| k.get(&(Arc::as_ptr(&s.storage) as usize)));
        let Some(same) = same else { return true };
        // Upgrading would be a handle of somebody's, so the counts are asked first.
        let others = |t: &Weak<Inner>| {
            let handles = t.strong_count();
            t.upgrade().is_some_and(|t| handles > t.trace_handles.load(Ordering::Acquire) as usize)
        };
        Arc::strong_count(&s.storage) > same.len() || same.iter().any(others)
    }

    /// Adds the tensor to the list of what traces keep, or takes it out.
    fn list(&self) {
        let Some(s) = self.strided() else { return };
        let storage = Arc::as_ptr(&s.storage) as usize;
        let mut kept = KEPT.write();
        let kept = kept.get_or_insert_default();
        let same = kept.entry(storage).or_default();
        same.retain(|t| t.as_ptr() != Arc::as_ptr(&self.0));
        if self.0.trace_handles.load(Ordering::Acquire) > 0 {
            same.push(Arc::downgrade(&self.0));
        } else if same.is_empty() {
            kept.remove(&storage);
        }
    }
}
