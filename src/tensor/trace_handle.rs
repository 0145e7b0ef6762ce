//! Handles through which no program gets at a tensor, counted apart: those of traces, and those inside of views and of
//! the tape. Where a tensor has no others, nobody can be reading it any more, and a trace that does has become wrong. It
//! decides nothing but that.

use super::handle::Tensor;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

/// A handle that keeps a tensor alive for a trace, and does not count as somebody's who could use it.
pub(crate) struct TraceHandle(Tensor);

impl TraceHandle {
    pub(crate) fn new(tensor: Tensor) -> TraceHandle {
        // A handle more than is counted only makes the tensor seem to be in use.
        if tensor.0.hidden_handles.fetch_add(1, Ordering::AcqRel) == 0 {
            tensor.first_kept();
        }
        TraceHandle(tensor)
    }

    /// Whether anybody can get at this handle: at the tensor itself, not at another one that shows its elements.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.holders() > self.0.0.hidden_handles.load(Ordering::Acquire) as usize
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
        self.0.0.hidden_handles.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether anything in this process is traced.
static TRACES: AtomicBool = AtomicBool::new(false);

/// From now on every hidden handle is counted.
pub(crate) fn count_hidden_handles() {
    TRACES.store(true, Ordering::Relaxed);
}

/// The handle that a view has of its base, or the tape of what it saved. Eager code makes many; where nothing is traced they
/// are not counted, and need not be.
pub(crate) struct HiddenHandle {
    tensor: Tensor,
    counted: AtomicBool,
}

impl HiddenHandle {
    #[inline]
    pub(crate) fn new(tensor: Tensor) -> HiddenHandle {
        let handle = HiddenHandle { tensor, counted: AtomicBool::new(false) };
        if TRACES.load(Ordering::Relaxed) {
            handle.count();
        }
        handle
    }

    /// From now on the handle is counted.
    pub(crate) fn count(&self) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.tensor.0.hidden_handles.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Deref for HiddenHandle {
    type Target = Tensor;
    #[inline]
    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl Drop for HiddenHandle {
    #[inline]
    fn drop(&mut self) {
        if *self.counted.get_mut() {
            self.tensor.0.hidden_handles.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Tensor {
    /// Whether a trace may keep the tensor; if not, none does.
    #[inline]
    pub(crate) fn is_kept_by_trace(&self) -> bool {
        self.0.hidden_handles.load(Ordering::Relaxed) > 0
    }

    /// A trace keeps the tensor: what was made of it before anything was traced is counted now, as far as it is known.
    fn first_kept(&self) {
        if let Some(view) = &self.0.view {
            view.base.count();
        }
        if let Some(leaf) = self.known_leaf_node() {
            leaf.hide_leaf();
        }
    }
}
