//! What a view remembers: of which tensor it was taken, and by which steps. In-place operations need it, to reach the
//! whole from a part; nothing is computed and no history is written here.

use super::grad_fn::ViewVjp;
use super::handle::{Body, Link, Root, Tensor, ViewOf};
use super::size::Sizes;
use super::trace_handle::{HiddenHandle, TraceHandle};
use super::view_op::ViewOp;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Link {
    /// The steps up to this one, in order.
    pub(crate) fn steps(self: &Arc<Link>) -> Vec<Arc<Link>> {
        let mut out = vec![Arc::clone(self)];
        while let Some(prev) = &out.last().expect("never empty").prev {
            out.push(Arc::clone(prev));
        }
        out.reverse();
        out
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A long chain of views must not be taken apart by recursion.
        let mut next = self.prev.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.prev.take();
        }
    }
}

impl Tensor {
    /// Makes this fresh result the view that `x` is through `op`. Nothing happens, and it is no view, where the elements
    /// had to be copied.
    pub(crate) fn link_view(&mut self, x: &Tensor, op: &ViewOp, from: &Sizes, name: &'static str, vjp: ViewVjp) {
        let link = |prev: Option<Arc<Link>>| Arc::new(Link { prev, op: op.clone(), from: from.clone(), name, vjp });
        let before = x.0.view.as_ref();
        let strides = op.strides(x.shape_hint(), x.laid_out(), self.shape_hint());
        let (Some(inner), Some(strides)) = (Arc::get_mut(&mut self.0), strides) else { return };
        let path = link(before.map(|v| Arc::clone(&v.path)));
        match (&mut inner.body, &x.0.body) {
            (Body::Strided(s), Body::Strided(of)) if !Arc::ptr_eq(&s.storage, &of.storage) => return,
            (Body::Strided(_), _) => {}
            (Body::Traced(t), Body::Strided(_)) => {
                t.strides = strides;
                t.root = Root::External(TraceHandle::new(Tensor::clone(before.map_or(x, |v| &v.base))));
                t.path = Some(Arc::clone(&path));
            }
            (Body::Traced(t), Body::Traced(of)) => {
                t.strides = strides;
                // Detached tensors are bases for gradients, though they show the elements of others.
                let same = of.path.as_ref().map(Arc::as_ptr) == before.map(|v| Arc::as_ptr(&v.path));
                t.root = of.root.clone();
                t.path = Some(if same { Arc::clone(&path) } else { link(of.path.clone()) });
            }
        }
        let base = HiddenHandle::new(Tensor::clone(before.map_or(x, |v| &v.base)));
        inner.seen = base.history().into();
        inner.view = Some(ViewOf { base, path });
    }

    /// The tensor of which this is a differentiable view, and how.
    pub(crate) fn view_of(&self) -> Option<&ViewOf> {
        self.0.view.as_ref()
    }

    /// How often in-place operations have changed the history of this tensor, which is no view.
    pub(crate) fn history(&self) -> u32 {
        self.0.history.load(Ordering::Relaxed)
    }

    /// An in-place operation has changed the history: views taken before have to look at it again.
    pub(crate) fn history_changed(&self) {
        self.0.history.fetch_add(1, Ordering::Relaxed);
    }

    /// The base whose history has changed since this view last looked.
    pub(crate) fn stale_view(&self) -> Option<&ViewOf> {
        self.0.view.as_ref().filter(|v| v.base.history() != self.0.seen.load(Ordering::Relaxed))
    }

    /// The view has looked at its base.
    pub(crate) fn history_seen(&self) {
        if let Some(v) = &self.0.view {
            self.0.seen.store(v.base.history(), Ordering::Relaxed);
        }
    }
}
