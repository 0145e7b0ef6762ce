//! What the program sees and changes of tensors while it is recorded: in-place changes, views, versions, layout and identity.
//! No tensor of the caller is touched.

use super::Capture;
use super::grads::history_stays;
use super::late;
use crate::autograd::is_grad_enabled;
use crate::autograd::record::{needed_by_tape, shows_leaf};
use crate::capture::endpoints::CallerTensor;
use crate::capture::state::MadeHere;
use crate::error::Result;
use crate::mode::recorder::StateRecorder;
use crate::mode::recorder::state::LayoutQuestion;
use crate::mode::values;
use crate::tensor::Body;
use crate::tensor::Tensor;
use crate::tensor::eval;
use crate::tensor::handle::Link;
use crate::tensor::handle::Root;
use crate::tensor::handle::TraceHandle;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::view_op::ViewOp;
use allotrope_ir::Axes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

impl StateRecorder for Capture {
    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)> {
        let mut inner = self.0.borrow_mut();
        let Some(traced) = target.traced() else {
            inner.touch(target);
            let shown = inner.shown_by(target);
            let (base, path) = shown.map_or_else(|| (target.clone(), None), |(base, path)| (base, Some(path)));
            return inner.in_memory(base, path);
        };
        Ok(match (&traced.root, &traced.path) {
            (_, None) => (target.clone(), None),
            (Root::External(t), Some(path)) => {
                let (base, path) = (Tensor::clone(t), Arc::clone(path));
                return inner.in_memory(base, Some(path));
            }
            (Root::Traced(cell), Some(path)) => {
                let root = inner.whole_of(cell)?;
                (root, Some(Arc::clone(path)))
            }
        })
    }

    fn copy(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        // The elements of a value never change: the same one stands for both until either is changed in place.
        let value = inner.lift(tensor)?;
        inner.tensor_of(at, value)
    }

    fn note_view(&self, of: &Tensor, result: &Tensor, op: &ViewOp) {
        let mut inner = self.0.borrow_mut();
        if let Some(t) = result.traced() {
            let version = inner.version_of(&t.root);
            t.seen.lock().1 = version;
            result.see_changes(version);
        }
        inner.view_decided(of, result, op);
    }

    fn keep(&self, place: &Tensor) -> Result<usize> {
        let place = self.copy(place)?;
        let mut inner = self.0.borrow_mut();
        inner.places.push(place);
        Ok(inner.places.len() - 1)
    }

    fn kept(&self, number: usize) -> Tensor {
        self.0.borrow().places[number].clone()
    }

    fn begins_memory(&self, of: &Tensor) -> bool {
        self.0.borrow_mut().begins_memory(of)
    }

    fn memory_wanted(&self, of: &Tensor, elements: usize) -> bool {
        self.0.borrow_mut().memory_wanted(of, elements)
    }

    fn order_in_memory(&self, of: &Tensor) -> Option<Axes> {
        self.0.borrow_mut().order_in_memory(of)
    }

    fn sharing_asked(&self, result: &Tensor) {
        self.0.borrow_mut().guard_last_step(result);
    }

    fn note_contiguous(&self, of: &Tensor, result: &Tensor) {
        self.0.borrow_mut().contiguous_decided(of, result);
    }

    fn assign(&self, root: &Tensor, value: &Tensor, needs_gradient: bool) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let new = inner.lift(value)?;
        match root.body() {
            Body::Traced(t) => {
                let Root::Traced(cell) = &t.root else { unreachable!("bug in allotrope: a root is a view") };
                let arg = inner.args_by_cell.get(&(Arc::as_ptr(cell) as usize)).map(|(_, i)| *i);
                if let Some(i) = arg.filter(|_| is_grad_enabled())
                    && let Some(argument) = inner.arguments.get(i).cloned()
                {
                    // Whether it may be changed depends on what it is a view of.
                    inner.asked.push((i, Arc::new(AtomicBool::new(true))));
                    argument.view_assignable()?;
                    if argument.is_requires_grad() && shows_leaf(&argument) {
                        return Err(needed_by_tape("a view of a leaf"));
                    }
                }
                if is_grad_enabled() && needs_gradient && inner.given_gradient(cell).is_some() {
                    return Err(history_stays("a gradient", root));
                }
                if inner.scope_of(cell.scope)? != at {
                    return Err(values::changed_in_loop("value"));
                }
                if at == 0 && cell.value().node.0 < inner.sealed {
                    return Err(late("a value of the traced function"));
                }
                let before = cell.replace(new);
                let key = Arc::as_ptr(cell) as usize;
                inner.first_values.entry(key).or_insert_with(|| (Arc::clone(cell), before));
                cell.version.fetch_add(1, Ordering::Relaxed);
            }
            Body::Strided(strided) => {
                eval::check_apart(root.shape_hint(), &strided.strides)?;
                if inner.sealed > 0 {
                    return Err(late("a captured tensor"));
                }
                if at != 0 {
                    return Err(values::changed_in_loop("tensor"));
                }
                let slot = inner.state(root)?;
                let state = &mut inner.states[slot];
                state.value = new;
                state.changes += 1;
            }
        }
        inner.sharing_seen(root);
        Ok(())
    }

    fn version(&self, tensor: &Tensor) -> u32 {
        // The capture itself asks too, about the caller's tensors.
        let Ok(mut inner) = self.0.try_borrow_mut() else { return tensor.stored_version() };
        match tensor.body() {
            Body::Traced(t) => inner.version_of(&t.root),
            Body::Strided(_) => {
                inner.touch(tensor);
                inner.captured_version(tensor)
            }
        }
    }

    fn layout_asked(&self, of: &Tensor, question: LayoutQuestion) {
        self.0.borrow_mut().layout_asked(of, question);
    }

    fn laid_out(&self, result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor> {
        self.0.borrow_mut().laid_out(result, rule, operands)
    }

    fn order_asked(&self, of: &Tensor) {
        self.0.borrow_mut().order_asked(of);
    }

    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool {
        let equal = a.id() == b.id();
        // The capture itself asks too, about handles only.
        let Ok(mut inner) = self.0.try_borrow_mut() else { return equal };
        for t in [a, b].into_iter().filter(|t| t.strided().is_some()) {
            inner.touch(t);
            inner.compared.push(t.id());
        }
        if equal {
            return true;
        }
        let arg = |t: &Tensor| inner.args.get(&t.id()).map(|(i, _)| *i);
        let (which, other) = match (arg(a), arg(b)) {
            (Some(i), Some(j)) => (i.max(j), CallerTensor::Arg(i.min(j))),
            (Some(i), None) if b.strided().is_some() => (i, CallerTensor::Captured(TraceHandle::new(b.clone()))),
            (None, Some(j)) if a.strided().is_some() => (j, CallerTensor::Captured(TraceHandle::new(a.clone()))),
            _ => return false,
        };
        // A backward pass that is recorded later stands for all calls.
        let Some(given) = inner.arguments.get(which) else { return false };
        let same = match &other {
            CallerTensor::Arg(i) => given.id() == inner.arguments[*i].id(),
            CallerTensor::Captured(t) => given.id() == t.id(),
        };
        inner.identities.push((which, other, same));
        same
    }

    fn note_new(&self, alias: &Tensor, of: &Tensor) {
        if let Ok(mut inner) = self.0.try_borrow_mut() {
            inner.touch(of);
            let shows = inner.shown_by(of).map(|(base, path)| (TraceHandle::new(base), path));
            // Of what the program made before, that which it was made of.
            let of = match inner.made_here.get(&of.id()) {
                Some(made) => made.of.clone(),
                None => of.strided().map(|_| TraceHandle::new(of.clone())),
            };
            let made = MadeHere { _handle: TraceHandle::new(alias.clone()), of, shows };
            inner.made_here.insert(alias.id(), made);
        }
    }

    fn is_new(&self, tensor: &Tensor) -> bool {
        self.0.borrow().made_here.contains_key(&tensor.id())
    }
}
