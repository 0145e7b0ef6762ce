//! What a view remembers: of which tensor it was taken, by which steps, and how it came about. In-place operations need it,
//! to reach the whole from a part; nothing is computed and no history is written here.

use super::grad_fn::ViewVjp;
use super::handle::{Body, HiddenHandle, Link, Root, Tensor, TraceHandle, ViewOf};
use super::size::Sizes;
use super::view_op::ViewOp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How a view came about, which says whether it may be changed in place where the tape records that.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(crate) enum Creation {
    /// By an operation with one result.
    #[default]
    Single,
    /// Where nothing was recorded, by itself or as a view of such a view.
    NoGrad,
    /// As one of several results of one operation.
    Several,
    /// As a result of a user's own function.
    Function,
}

impl Creation {
    fn of(number: u8) -> Creation {
        match number {
            1 => Creation::NoGrad,
            2 => Creation::Several,
            3 => Creation::Function,
            _ => Creation::Single,
        }
    }
}

impl Link {
    /// One step more.
    pub(crate) fn after(
        prev: Option<Arc<Link>>,
        op: ViewOp,
        from: Sizes,
        name: &'static str,
        vjp: ViewVjp,
    ) -> Arc<Link> {
        Arc::new(Link { prev, op, from, name, vjp })
    }

    /// These steps, one after the other.
    pub(crate) fn chain(steps: &[Arc<Link>]) -> Option<Arc<Link>> {
        let after =
            |prev, step: &Arc<Link>| Some(Link::after(prev, step.op.clone(), step.from.clone(), step.name, step.vjp));
        steps.iter().fold(None, after)
    }

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

impl ViewOf {
    pub(crate) fn creation(&self) -> Creation {
        Creation::of(self.creation.load(Ordering::Relaxed))
    }
}

impl Tensor {
    /// Makes this fresh result the view that `x` is through `op`. Nothing happens, and it is no view, where the elements
    /// had to be copied.
    pub(crate) fn link_view(
        &mut self,
        x: &Tensor,
        op: ViewOp,
        from: Sizes,
        name: &'static str,
        vjp: ViewVjp,
        creation: Creation,
    ) {
        let before = x.0.view.as_ref();
        let strides = op.strides(x.shape_hint(), x.laid_out(), self.shape_hint());
        let (Some(inner), Some(strides)) = (Arc::get_mut(&mut self.0), strides) else { return };
        let path = Arc::new(Link { prev: before.map(|v| Arc::clone(&v.path)), op, from, name, vjp });
        let op = &path.op;
        match (&mut inner.body, &x.0.body) {
            (Body::Strided(s), Body::Strided(of)) if !Arc::ptr_eq(&s.storage, &of.storage) => return,
            (Body::Strided(s), _) => *inner.seen.get_mut() = s.storage.version(),
            (Body::Traced(t), Body::Strided(of)) => {
                t.strides = strides;
                t.offset = op.skip(&of.strides).map(|n| of.offset as isize + n);
                t.root = Root::External(TraceHandle::new(Tensor::clone(before.map_or(x, |v| &v.base))));
                t.path = Some(Arc::clone(&path));
            }
            (Body::Traced(t), Body::Traced(of)) => {
                t.strides = strides;
                t.offset = of.offset.zip(op.skip(&of.strides)).map(|(before, n)| before + n);
                // Detached tensors are bases for gradients, though they show the elements of others.
                let same = of.path.as_ref().map(Arc::as_ptr) == before.map(|v| Arc::as_ptr(&v.path));
                t.root = of.root.clone();
                t.path = Some(match same {
                    true => Arc::clone(&path),
                    false => {
                        let from = path.from.clone();
                        Arc::new(Link { prev: of.path.clone(), op: op.clone(), from, name, vjp })
                    }
                });
            }
        }
        let base = HiddenHandle::new(Tensor::clone(before.map_or(x, |v| &v.base)));
        let creation = match (creation, before) {
            (Creation::Single, Some(of)) => of.creation(),
            _ => creation,
        };
        inner.view = Some(ViewOf { base, path, creation: AtomicU8::new(creation as u8) });
    }

    /// Makes this fresh result, which shows elements of the memory of `base`, a view of it by these steps.
    pub(crate) fn link_view_of(&mut self, base: &Tensor, path: Arc<Link>, creation: Creation) {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            let base = HiddenHandle::new(base.clone());
            inner.view = Some(ViewOf { base, path, creation: AtomicU8::new(creation as u8) });
        }
    }

    /// The tensor of which this is a differentiable view, and how.
    pub(crate) fn view_of(&self) -> Option<&ViewOf> {
        self.0.view.as_ref()
    }

    /// Says how this view came about.
    pub(crate) fn set_creation(&self, creation: Creation) {
        if let Some(view) = &self.0.view {
            view.creation.store(creation as u8, Ordering::Relaxed);
        }
    }

    /// The result of an operation as no view, where nobody else has it: of what it shows nobody has anything. An operand that
    /// is given back stays what it is.
    #[inline]
    pub(crate) fn unlinked_if_alone(mut self) -> Tensor {
        if self.0.view.is_some()
            && let Some(inner) = Arc::get_mut(&mut self.0)
        {
            inner.view = None;
        }
        self
    }

    /// How many in-place changes of its elements the history of this view knows of.
    pub(crate) fn changes_seen(&self) -> u32 {
        self.0.seen.load(Ordering::Relaxed)
    }

    /// The history of this view knows of so many in-place changes of its elements.
    pub(crate) fn see_changes(&self, version: u32) {
        self.0.seen.store(version, Ordering::Relaxed);
    }
}
