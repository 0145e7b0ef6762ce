//! Gradients and histories of arguments and captured tensors while a closure is recorded; those of the caller stay as they
//! are.

use super::Capture;
use super::is_watched;
use super::late;
use crate::capture::endpoints::CallerTensor;
use crate::capture::endpoints::Source;
use crate::capture::event::Aside;
use crate::capture::event::Event;
use crate::capture::event::Symbolic;
use crate::capture::state::CaptureState;
use crate::capture::state::GradState;
use crate::capture::state::HistoryBefore;
use crate::error::Error;
use crate::error::Result;
use crate::mode::grads::history_changed_in_loop;
use crate::mode::recorder::GradRecorder;
use crate::tensor::Strides;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::TraceHandle;
use allotrope_ir::InputKind;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

impl GradRecorder for Capture {
    fn history_asked(&self, tensor: &Tensor) {
        let inner = self.0.borrow();
        let arg = inner.args.get(&tensor.id()).map(|(i, _)| *i);
        if let Some((_, asked)) = inner.asked.iter().find(|(i, _)| Some(*i) == arg) {
            asked.store(true, Ordering::Relaxed);
        }
    }

    fn history_captured(&self, edge: &Edge, tensor: &Tensor) {
        let mut inner = self.0.borrow_mut();
        inner.touch(tensor);
        let is_new = inner.changed_histories.iter().any(|before| before.tensor.id() == tensor.id());
        let way = || (edge.to_output(edge.output), TraceHandle::new(tensor.clone()), is_new);
        inner.outgoing_edges.entry((edge.id(), edge.output)).or_insert_with(way);
    }

    fn first_seq(&self) -> u64 {
        self.0.borrow().first_seq
    }

    fn grad(&self, tensor: &Tensor) -> Option<Tensor> {
        let mut inner = self.0.borrow_mut();
        let arg = inner.args.get(&tensor.id()).copied();
        if inner.is_own(tensor) {
            return tensor.stored_grad();
        }
        inner.touch(tensor);
        if let Some(&i) = inner.by_grad.get(&tensor.id()) {
            return inner.grads[i].now.clone();
        }
        let has = arg.map_or_else(|| tensor.has_grad(), |(_, has)| has);
        let known = inner.known_grad(tensor, arg.map(|(i, _)| i));
        // A gradient has the dtype and the shape of its tensor.
        let given = (has && known.is_none()).then(|| {
            let (sizes, name) = (tensor.sizes(), Aside(("grad", inner.grads.len())));
            let kind = if arg.is_some() { InputKind::Arg } else { InputKind::State };
            let event = Event::Input { dtype: tensor.dtype(), sizes: Symbolic(Cow::Borrowed(&sizes)), kind, name };
            let made = inner.made(event).expect("an input has no operands that could not fit");
            let source = || Source::Grad(TraceHandle::new(tensor.clone()));
            inner.sources.push(arg.map_or_else(source, |(i, _)| Source::ArgGrad(i)));
            made
        });
        let tensor_of = |made| {
            let mut given = inner.tensor(0, &made).expect("a gradient has the sizes of its tensor");
            let input = inner.sources.len() - 1;
            let now = arg.map_or(Some(tensor), |(i, _)| inner.arguments.get(i)).and_then(Tensor::stored_grad);
            if let Some(now) = now {
                inner.shows_input(&mut given, input, Strides::from_slice(now.laid_out()));
            }
            given
        };
        let given = known.or_else(|| given.map(tensor_of));
        let now = given.clone();
        inner.grads.push(GradState {
            tensor: TraceHandle::new(tensor.clone()),
            arg: arg.map(|(i, _)| i),
            initially: Some(has),
            given,
            now: now.clone(),
            changed: false,
        });
        let i = inner.grads.len() - 1;
        inner.by_grad.insert(tensor.id(), i);
        now
    }

    fn set_grad(&self, tensor: &Tensor, grad: Option<Tensor>) {
        let mut inner = self.0.borrow_mut();
        let arg = inner.args.get(&tensor.id()).map(|(i, _)| *i);
        if inner.is_own(tensor) {
            return tensor.store_grad(grad);
        }
        inner.touch(tensor);
        let i = match inner.by_grad.get(&tensor.id()) {
            Some(&i) => i,
            None => {
                inner.grads.push(GradState {
                    tensor: TraceHandle::new(tensor.clone()),
                    arg,
                    initially: None,
                    given: None,
                    now: None,
                    changed: false,
                });
                let i = inner.grads.len() - 1;
                inner.by_grad.insert(tensor.id(), i);
                i
            }
        };
        let state = &mut inner.grads[i];
        state.now = grad;
        state.changed = true;
    }

    fn requires_grad_asked(&self, captured: &Tensor) {
        let Ok(mut inner) = self.0.try_borrow_mut() else { return };
        inner.touch(captured);
        if !inner.made_here.contains_key(&captured.id()) && !inner.requires_grad_asked.contains_key(&captured.id()) {
            let view = captured.view_of();
            let before = inner.required_grad(captured) || view.is_some_and(|view| inner.required_grad(&view.base));
            inner.requires_grad_asked.insert(captured.id(), (TraceHandle::new(captured.clone()), before));
        }
    }

    fn history_changes(&self, captured: &Tensor) -> Result<()> {
        self.requires_grad_asked(captured);
        let mut inner = self.0.borrow_mut();
        if inner.sealed > 0 {
            return Err(late("whether a captured tensor requires a gradient"));
        }
        if inner.current() != 0 {
            return Err(history_changed_in_loop());
        }
        if !inner.changed_histories.iter().any(|before| before.tensor.id() == captured.id()) {
            inner.history_begins(captured);
        }
        Ok(())
    }

    fn becomes_result(&self, changed: &Tensor) -> Result<()> {
        if changed.strided().is_some() {
            if is_watched(changed) {
                return Err(history_stays("a captured tensor whose gradient has hooks or is kept", changed));
            }
            return self.history_changes(changed);
        }
        let mut inner = self.0.borrow_mut();
        let Some((i, _)) = inner.args.get(&changed.id()).copied() else { return Ok(()) };
        // A backward pass that is recorded later has no arguments of its own.
        let Some(given) = inner.arguments.get(i).cloned() else { return Ok(()) };
        if given.view_of().is_some() {
            return Err(history_stays("an argument that is a view", changed));
        }
        if is_watched(&given) {
            return Err(history_stays("an argument whose gradient has hooks or is kept", changed));
        }
        inner.views_asked.push((i, false));
        inner.asked.push((i, Arc::new(AtomicBool::new(true))));
        Ok(())
    }

    fn view_seen_again(&self, captured: &Tensor) {
        let mut inner = self.0.borrow_mut();
        inner.touch(captured);
        if !inner.changed_histories.iter().any(|before| before.tensor.id() == captured.id()) {
            inner.history_begins(captured);
        }
    }

    fn is_view(&self, tensor: &Tensor) -> bool {
        let mut inner = self.0.borrow_mut();
        let Some((i, _)) = inner.args.get(&tensor.id()).copied() else { return tensor.view_of().is_some() };
        // A backward pass that is recorded later has no arguments of its own.
        let Some(given) = inner.arguments.get(i) else { return false };
        let answer = given.view_of().is_some();
        inner.views_asked.push((i, answer));
        answer
    }
}

/// That what history the caller's tensor has is not for a trace to change.
pub(super) fn history_stays(what: &str, t: &Tensor) -> Error {
    Error::trace(format!(
        "{what}, of shape {:?}, would be changed where it has a derivative before or after, and its history outside stays as it is; detach() both or do it under no_grad(|| ..)",
        t.shape_hint()
    ))
}

impl CaptureState {
    /// Whether a captured tensor required a gradient when the recording began.
    fn required_grad(&self, captured: &Tensor) -> bool {
        let before = self.changed_histories.iter().find(|before| before.tensor.id() == captured.id());
        before.map_or_else(|| captured.stored_requires_grad(), |before| before.requires_grad)
    }

    fn history_begins(&mut self, captured: &Tensor) {
        let requires_grad = captured.stored_requires_grad();
        let edge = captured.grad_fn();
        let tensor = TraceHandle::new(captured.clone());
        let retains_grad = captured.retains_grad();
        let changes_seen = captured.changes_seen();
        self.changed_histories.push(HistoryBefore { tensor, requires_grad, edge, retains_grad, changes_seen });
    }

    /// The gradient that a tensor of the caller's has, or the argument of this number, if it is known by identity.
    fn known_grad(&mut self, tensor: &Tensor, arg: Option<usize>) -> Option<Tensor> {
        if self.known_memory.is_empty() {
            return None;
        }
        let grad = arg.map_or(tensor, |i| &self.arguments[i]).stored_grad()?;
        let memory = Arc::as_ptr(&grad.strided()?.storage) as usize;
        if !self.known_memory.contains(&memory) {
            return None;
        }
        self.touch(&grad);
        let owner = arg.map_or_else(|| CallerTensor::Captured(TraceHandle::new(tensor.clone())), CallerTensor::Arg);
        self.known_grads.push((owner, TraceHandle::new(grad.clone())));
        Some(grad)
    }
}
