//! Records the operations of a closure as a graph. Nothing is computed and no tensor outside is touched: what the
//! closure changes (parameters, gradients) is kept beside them until a compiled call has succeeded.

mod draws;
mod finish;
mod grads;
mod loops;
mod random;
mod recompute;
pub(crate) mod returned;
mod settings;
mod sizes;
mod state;
mod values;

use crate::autograd::scope;
use crate::autograd::tape;
use crate::capture::aliasing::Aliasing;
use crate::capture::builder::ARGUMENT;
use crate::capture::endpoints::CallerTensor;
use crate::capture::endpoints::HistoryAfter;
use crate::capture::endpoints::Source;
use crate::capture::event::Event;
use crate::capture::replay_builder::ReplayBuilder;
use crate::capture::replay_cache::ReplayCache;
use crate::capture::state::CaptureState;
use crate::capture::state::HistoryBefore;
use crate::capture::state::no_integer_history;
use crate::device::Device;
use crate::error;
use crate::error::Error;
use crate::error::Result;
use crate::mode;
use crate::mode::recorder::Recorder;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::grad_fn::next_seq;
use crate::tensor::handle::Root;
use crate::tensor::hooks::GradientHook;
use crate::tensor::traced::capture_of;
use crate::tensor::traced::new_capture;
use rustc_hash::FxHashMap;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// The recorder of one capture.
pub(crate) struct Capture(pub(crate) RefCell<CaptureState>);

/// What a hook or a derivative may not do when the gradient comes from outside of the trace.
fn late(what: &str) -> Error {
    Error::trace(format!(
        "{what} would be changed in place in the backward pass, by a hook or a derivative of the user's, where the gradient comes \
         from outside of the traced function; compute a new tensor instead, or call backward() inside the closure"
    ))
}

/// Whether somebody looks at the gradient of an argument on its way outside.
pub(crate) fn is_watched(arg: &Tensor) -> bool {
    match arg.grad_fn() {
        None => arg.has_leaf_hooks(),
        Some(edge) => arg.retains_grad() || edge.node().hooks().and_then(|h| h.get()).is_some_and(|h| !h.is_empty()),
    }
}

/// The history that argument `i` has inside, where it has one outside that is not in the trace: a backward pass inside ends here.
fn entrance(i: usize) -> Edge {
    let node = tape::node("TraceInput", SmallVec::new(), false, move |_, _| {
        Err(Error::trace(format!(
            "backward() inside the closure comes to argument {i}, which was computed from tensors that need gradients: that \
             history is not in the trace. Call backward() after the call, or pass the argument with detach()"
        )))
    });
    Edge::new(node, 0)
}

/// Sees the gradient of argument `i` in a backward pass inside. The capture then holds only for arguments with a history of that
/// kind; and compiled code stands for all of them, so nobody can look at the gradient who is one tensor's own.
fn reached(i: usize, watched: bool, asked: Arc<AtomicBool>) -> GradientHook {
    Arc::new(move |_| {
        asked.store(true, Ordering::Relaxed);
        match watched {
            false => None,
            true => error::give_up(Error::trace(format!(
                "argument {i} has hooks on its gradient, or keeps it, and backward() inside the closure comes to it: these \
                 are one tensor's own, and the code serves all. Register them inside the closure, or let it capture the tensor"
            ))),
        }
    })
}

/// Captured tensors with the history that a program has given them; they get back their own when this goes.
pub(crate) struct ChangedHistories(Vec<HistoryBefore>);

impl ChangedHistories {
    /// The tensors that are leaves after a call where they were none, or required gradients where they do not now.
    pub(crate) fn leaves(&self) -> Vec<(CallerTensor, HistoryAfter)> {
        let changes = self.0.iter().filter_map(|HistoryBefore { tensor, requires_grad, edge, .. }| {
            let now = tensor.stored_requires_grad();
            let leaf = !tensor.has_grad_fn() && (now != *requires_grad || edge.is_some());
            leaf.then(|| (CallerTensor::Captured(tensor.clone()), HistoryAfter::Leaf(now)))
        });
        changes.collect()
    }
}

impl Drop for ChangedHistories {
    fn drop(&mut self) {
        for HistoryBefore { tensor, requires_grad, edge, retains_grad, changes_seen } in self.0.drain(..) {
            if tensor.has_grad_fn() || edge.is_some() {
                tensor.set_grad_fn(edge);
            }
            if retains_grad {
                tensor.set_retains_grad();
            }
            tensor.store_requires_grad(requires_grad);
            tensor.see_changes(changes_seen);
        }
    }
}

impl Capture {
    /// One that builds its graphs.
    pub(crate) fn plain(device: Device) -> Capture {
        Capture::new(Some(device), ReplayBuilder::plain)
    }

    /// One that replays the recordings of a cache, beginning with number `at`.
    pub(crate) fn replaying(cache: Arc<ReplayCache>, at: usize, device: Device) -> Capture {
        let capture = Capture::new(Some(device), |capture| ReplayBuilder::replaying(cache, at, capture));
        if device != Device::Cpu {
            capture.0.borrow_mut().certainly(Event::On(device));
        }
        capture
    }

    fn new(device: Option<Device>, replay: impl FnOnce(u32) -> ReplayBuilder) -> Capture {
        let first = new_capture();
        Capture(RefCell::new(CaptureState {
            device,
            first,
            replay: replay(capture_of(first)),
            scopes: 1,
            open: Vec::new(),
            sources: Vec::new(),
            states: Vec::new(),
            touched: Vec::new(),
            known: FxHashSet::default(),
            by_storage: FxHashMap::default(),
            host_values: Vec::new(),
            effects: Vec::new(),
            arguments: Vec::new(),
            aliasing: Aliasing::default(),
            identities: Vec::new(),
            compared: Vec::new(),
            known_memory: SmallVec::new(),
            wanted_memory: SmallVec::new(),
            memories: FxHashMap::default(),
            known_args: FxHashMap::default(),
            known_grads: Vec::new(),
            requires_grad_asked: FxHashMap::default(),
            places: Vec::new(),
            made_here: FxHashMap::default(),
            recomputing: 0,
            grads: Vec::new(),
            by_grad: FxHashMap::default(),
            args: FxHashMap::default(),
            args_by_cell: FxHashMap::default(),
            first_seq: next_seq(),
            draws: vec![Vec::new()],
            first_values: FxHashMap::default(),
            versions: FxHashMap::default(),
            outgoing_edges: HashMap::new(),
            changed_histories: Vec::new(),
            views_asked: Vec::new(),
            traced_args: FxHashMap::default(),
            asked: Vec::new(),
            sealed: 0,
        }))
    }

    /// What the arguments of the call are, and which memory is known by identity, whoever shows it; the arguments with these
    /// numbers do.
    pub(crate) fn arguments(&self, args: &[&Tensor], known_memory: &[usize], known: impl Iterator<Item = usize>) {
        let mut inner = self.0.borrow_mut();
        inner.arguments = args.iter().map(|&a| a.clone()).collect();
        inner.known_memory = known_memory.iter().copied().collect();
        inner.known_args = known.map(|i| (args[i].id(), i)).collect();
    }

    /// A traced tensor for argument number `i`, every dimension symbolic.
    ///
    /// # Errors
    /// When it is on another device than the recording.
    pub(crate) fn argument(&self, i: usize, like: &Tensor) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        inner.runs_on("trace", like.device())?;
        no_integer_history(like)?;
        let made = inner.argument(like, (ARGUMENT, i))?;
        inner.sources.push(Source::Arg(i));
        let mut tensor = inner.tensor(0, &made)?;
        let input = inner.sources.len() - 1;
        inner.shows_input(&mut tensor, input, like.strides());
        inner.args.insert(tensor.id(), (i, like.has_grad()));
        if let Some(Root::Traced(cell)) = tensor.traced().map(|t| &t.root) {
            inner.args_by_cell.insert(Arc::as_ptr(cell) as usize, (Arc::clone(cell), i));
        }
        inner.traced_args.insert(i, tensor.clone());
        drop(inner);
        if !like.is_requires_grad() {
            return Ok(tensor);
        }
        let watched = is_watched(like);
        if !like.stored_requires_grad() && like.is_leaf_now() {
            // A view of what requires a gradient, taken where nothing was recorded: no gradient comes to anything.
            let node = tape::node("TraceInput", SmallVec::new(), false, |_, _| Ok(SmallVec::new()));
            tensor.set_grad_fn(Some(Edge::new(node, 0)));
            self.0.borrow_mut().asked.push((i, Arc::new(AtomicBool::new(true))));
            return Ok(tensor);
        }
        let hooks = match like.is_leaf_now() && !watched {
            true => {
                tensor.set_requires_grad(true);
                tensor.leaf_hooks(true)
            }
            false => {
                let edge = entrance(i);
                let hooks = edge.hooks().cloned();
                tensor.set_grad_fn(Some(edge));
                hooks
            }
        };
        let asked = Arc::<AtomicBool>::default();
        if let Some(hooks) = hooks {
            hooks.add_gradient(0, reached(i, watched, Arc::clone(&asked)));
        }
        self.0.borrow_mut().asked.push((i, asked));
        Ok(tensor)
    }

    /// Runs `f` with the recorder of this capture, outside of whatever scope of the tape this thread is in.
    ///
    /// # Errors
    /// When it panics.
    pub(crate) fn recording<T>(self: &Rc<Capture>, f: impl FnOnce() -> T) -> Result<T> {
        let recorder: Rc<dyn Recorder> = self.clone();
        let run = || scope::isolated(|| mode::with(Some(recorder), f));
        let (result, arisen) = error::noting(|| catch_unwind(AssertUnwindSafe(run)));
        if let Some(refused) = arisen.refused {
            return Err(refused.into_error());
        }
        let result = result.map_err(Error::caught)?;
        if !self.0.borrow().open.is_empty() {
            return Err(Error::trace(
                "the body of a scan, a while_loop or a cond panicked and the closure caught the panic, so the loop has no \
                 end; catch it inside of the body, or use the try_ form of what fails there",
            ));
        }
        if let Some(failed) = arisen.failed {
            self.0.borrow_mut().depend_on_failure(&failed);
        }
        Ok(result)
    }

    /// The captured tensors of which the program has changed whether gradients flow to them, until they get back what they
    /// had.
    pub(crate) fn changed_histories(&self) -> ChangedHistories {
        ChangedHistories(std::mem::take(&mut self.0.borrow_mut().changed_histories))
    }

    /// The captured tensors that the program has changed in place by what has a derivative: they are results.
    pub(crate) fn captured_results(&self) -> Vec<(CallerTensor, Tensor)> {
        let inner = self.0.borrow();
        let results = inner.changed_histories.iter().filter(|before| before.is_result());
        results
            .map(|HistoryBefore { tensor, .. }| (CallerTensor::Captured(tensor.clone()), Tensor::clone(tensor)))
            .collect()
    }

    /// The state of a capture whose recorder is no longer installed.
    pub(crate) fn into_state(self: Rc<Capture>) -> CaptureState {
        Rc::into_inner(self).expect("the recorder is no longer installed").0.into_inner()
    }
}

impl Recorder for Capture {
    fn runs_on(&self, op: &'static str, device: Device) -> Result<()> {
        self.0.borrow_mut().runs_on(op, device)
    }

    fn catches(&self) -> bool {
        true
    }
}
