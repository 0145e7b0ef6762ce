//! Records the operations of a closure as a graph. Nothing is computed and no tensor outside is touched: what the
//! closure changes (parameters, gradients) is kept beside them until a compiled call has succeeded.

mod draws;
mod finish;

use crate::autograd::tape::{self, own_edge};
use crate::autograd::{is_grad_enabled, scope};
use crate::capture::builder::ARGUMENT;
use crate::capture::draws::Item;
use crate::capture::endpoints::{CallerTensor, Source};
use crate::capture::event::{Answer, Aside, Event, EventOperand, Loop, Symbolic};
use crate::capture::replay_builder::ReplayBuilder;
use crate::capture::replay_cache::ReplayCache;
use crate::capture::state::{CaptureState, GradState, Open};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::recorder::loops::{Iterations, ScanBody, ScanSpec};
use crate::mode::recorder::random::Draw;
use crate::mode::recorder::settings::HostValue;
use crate::mode::recorder::sizes::SizeOp;
use crate::mode::recorder::{
    GradRecorder, LoopRecorder, RandomRecorder, RecomputeRecorder, Recorder, SettingRecorder, SizeRecorder,
    StateRecorder, ValueRecorder,
};
use crate::mode::values;
use crate::tensor::grad_fn::{Edge, next_seq};
use crate::tensor::handle::{Link, Root};
use crate::tensor::hooks::GradientHook;
use crate::tensor::operand::Operand;
use crate::tensor::trace_handle::TraceHandle;
use crate::tensor::traced::{capture_of, new_capture};
use crate::tensor::{Body, Generator, Size, Tensor, eval};
use allotrope_ir::{InputKind, LoopKind, Op, Scalar, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The recorder of one capture.
pub(crate) struct Capture(pub(crate) RefCell<CaptureState>);

/// What a hook or a derivative may not do when the gradient comes from outside of the trace.
fn late(what: &str) -> Error {
    Error::Trace(format!(
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
        Err(Error::Trace(format!(
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
            true => panic!(
                "argument {i} has hooks on its gradient, or keeps it; register them inside the closure, or let it capture the tensor"
            ),
        }
    })
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
            by_storage: FxHashMap::default(),
            host_values: Vec::new(),
            effects: Vec::new(),
            arguments: Vec::new(),
            layouts: Vec::new(),
            identities: Vec::new(),
            requires_grad_asked: FxHashMap::default(),
            made_here: FxHashMap::default(),
            recomputing: 0,
            grads: Vec::new(),
            by_grad: FxHashMap::default(),
            args: FxHashMap::default(),
            args_by_cell: FxHashMap::default(),
            callers: Vec::new(),
            first_seq: next_seq(),
            draws: vec![Vec::new()],
            draw_layouts: Vec::new(),
            first_values: FxHashMap::default(),
            versions: FxHashMap::default(),
            outgoing_edges: HashMap::new(),
            asked: Vec::new(),
            sealed: 0,
        }))
    }

    /// A traced tensor for argument number `i`, every dimension symbolic.
    ///
    /// # Errors
    /// When it is on another device than the recording.
    pub(crate) fn argument(&self, i: usize, like: &Tensor) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        inner.runs_on("trace", like.device())?;
        let made = inner.argument(like, (ARGUMENT, i))?;
        inner.sources.push(Source::Arg(i));
        inner.arguments.resize_with(i, || like.clone());
        inner.arguments.push(like.clone());
        let mut tensor = inner.tensor(0, &made);
        if let Some(Body::Traced(t)) = Arc::get_mut(&mut tensor.0).map(|inner| inner.body_mut()) {
            t.strides = like.strides();
        }
        inner.args.insert(tensor.id(), (i, like.has_grad()));
        if let Some(Root::Traced(cell)) = tensor.traced().map(|t| &t.root) {
            inner.args_by_cell.insert(Arc::as_ptr(cell) as usize, (Arc::clone(cell), i));
        }
        if like.is_requires_grad() {
            inner.callers.push((i, like.clone()));
        }
        drop(inner);
        if !like.is_requires_grad() {
            return Ok(tensor);
        }
        let watched = is_watched(like);
        let hooks = match like.is_leaf() && !watched {
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

    /// The results that are computed, each once.
    pub(crate) fn computed(&self, returned: &[Tensor]) -> Vec<Tensor> {
        let inner = self.0.borrow();
        let mut computed: Vec<Tensor> = Vec::new();
        for t in returned.iter().filter(|t| t.traced().is_some() && !inner.args.contains_key(&t.id())) {
            if !computed.iter().any(|c| c.is_same(t)) {
                computed.push(t.clone());
            }
        }
        computed
    }

    /// Runs `f` with the recorder of this capture, outside of whatever scope of the tape this thread is in.
    ///
    /// # Errors
    /// When it panics.
    pub(crate) fn recording<T>(self: &Rc<Capture>, f: impl FnOnce() -> T) -> Result<T> {
        let recorder: Rc<dyn Recorder> = self.clone();
        let run = || scope::isolated(|| mode::with(Some(recorder), f));
        catch_unwind(AssertUnwindSafe(run)).map_err(Error::caught)
    }

    /// The state of a capture whose recorder is no longer installed.
    pub(crate) fn into_state(self: Rc<Capture>) -> CaptureState {
        Rc::into_inner(self).expect("the recorder is no longer installed").0.into_inner()
    }
}

impl SizeRecorder for Capture {
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size {
        self.0.borrow_mut().size(Event::Arith(op, Symbolic([a, b]))).expect("a sum or a product of sizes is one")
    }

    fn proven_equal(&self, a: Size, b: Size) -> bool {
        self.0.borrow().replay.proven(a, b)
    }

    fn unify(&self, a: Size, b: Size, at: &'static Location<'static>) {
        self.0.borrow_mut().certainly(Event::Unify(Symbolic([a, b]), Aside(at)));
    }

    fn specialize(&self, size: Size, why: &str, at: &'static Location<'static>) {
        self.0.borrow_mut().certainly(Event::Specialize {
            size: Symbolic(size),
            why: Aside(Cow::Borrowed(why)),
            at: Aside(at),
        });
    }

    fn at_least(&self, size: Size, least: usize) {
        self.0.borrow_mut().certainly(Event::AtLeast(Symbolic(size), least));
    }

    fn divided(&self, size: Size, by: usize) -> Option<Size> {
        self.0.borrow_mut().size(Event::Divided(Symbolic(size), by))
    }
}

impl ValueRecorder for Capture {
    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let mut given: SmallVec<[EventOperand; 4]> = SmallVec::new();
        for operand in operands {
            given.push(match operand {
                Operand::Tensor(t) => EventOperand::Value(inner.lift(t)?),
                Operand::Scalar(s) => EventOperand::number(*s),
            });
        }
        // It held the first time, or the call has failed.
        if let (Op::Check(_), 1.., Some(EventOperand::Value(value))) = (op, inner.recomputing, given.first()) {
            return inner.tensor_of(at, *value);
        }
        let made = inner.made(Event::Record { op: Symbolic(Cow::Borrowed(op)), operands: Cow::Borrowed(&given) })?;
        Ok(inner.tensor(at, &made))
    }

    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let made =
            inner.made(Event::Full { sizes: Symbolic(Cow::Borrowed(sizes)), number: EventOperand::number(value) })?;
        Ok(inner.tensor(at, &made))
    }

    fn extent(&self, size: Size) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let made = inner.made(Event::Extent(Symbolic(size)))?;
        Ok(inner.tensor(at, &made))
    }

    fn data(&self, tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        if inner.replay.is_plain() {
            drop(inner);
            return Err(self.host_read(what, at));
        }
        inner.runs_on("trace", tensor.device())?;
        let count = inner.sources.iter().filter(|s| matches!(s, Source::Data(_))).count();
        let made = inner.argument(&tensor, ("data", count))?;
        let traced = inner.tensor(0, &made);
        inner.sources.push(Source::Data(tensor));
        Ok(traced)
    }

    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error {
        values::host_read(what, at)
    }
}

impl StateRecorder for Capture {
    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)> {
        let mut inner = self.0.borrow_mut();
        let Some(traced) = target.traced() else {
            return Ok(match target.view_of() {
                Some(view) => (view.base.clone(), Some(Arc::clone(&view.path))),
                None => (target.clone(), None),
            });
        };
        Ok(match (&traced.root, &traced.path) {
            (_, None) => (target.clone(), None),
            (Root::External(t), Some(path)) => (t.clone(), Some(Arc::clone(path))),
            (Root::Traced(cell), Some(path)) => {
                let builder = inner.scope_of(cell.scope)?;
                let value = cell.value();
                let mut root = inner.tensor_of(builder, value)?;
                if let Some(Body::Traced(t)) = Arc::get_mut(&mut root.0).map(|i| i.body_mut()) {
                    t.root = Root::Traced(Arc::clone(cell));
                }
                (root, Some(Arc::clone(path)))
            }
        })
    }

    fn note_view(&self, view: &Tensor) {
        if let Some(t) = view.traced() {
            let version = self.0.borrow_mut().version_of(&t.root);
            t.seen.lock().1 = version;
        }
    }

    fn assign(&self, root: &Tensor, value: &Tensor) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let new = inner.lift(value)?;
        match root.body() {
            Body::Traced(t) => {
                let Root::Traced(cell) = &t.root else { unreachable!("bug in allotrope: a root is a view") };
                let arg = inner.args_by_cell.get(&(Arc::as_ptr(cell) as usize)).map(|(_, i)| *i);
                let has_history = |i: usize| inner.callers.iter().any(|(j, _)| *j == i) || value.is_requires_grad();
                if is_grad_enabled() && arg.is_some_and(has_history) {
                    return Err(Error::Trace(format!(
                        "an argument of shape {:?} would be changed where it has a derivative before or after, and its history outside stays as it is; detach() both or do it under no_grad(|| ..)",
                        root.shape_hint()
                    )));
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
        Ok(())
    }

    fn version(&self, tensor: &Tensor) -> u32 {
        let mut inner = self.0.borrow_mut();
        match tensor.body() {
            Body::Traced(t) => inner.version_of(&t.root),
            Body::Strided(_) => inner.captured_version(tensor),
        }
    }

    fn layout_asked(&self, of: Option<&Tensor>) {
        let mut inner = self.0.borrow_mut();
        let Some(t) = of else {
            inner.layouts = (0..inner.arguments.len()).collect();
            return;
        };
        // A value that was computed is dense whatever the arguments are.
        if let Some(Root::Traced(cell)) = t.traced().map(|t| &t.root)
            && let Some((_, arg)) = inner.args_by_cell.get(&(Arc::as_ptr(cell) as usize))
        {
            let arg = *arg;
            inner.layouts.push(arg);
        }
    }

    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool {
        // The capture itself asks too, about handles only.
        let Ok(mut inner) = self.0.try_borrow_mut() else { return false };
        let arg = |t: &Tensor| inner.args.get(&t.id()).map(|(i, _)| *i);
        let (which, other) = match (arg(a), arg(b)) {
            (Some(i), Some(j)) => (i.max(j), CallerTensor::Arg(i.min(j))),
            (Some(i), None) if b.strided().is_some() => (i, CallerTensor::Captured(TraceHandle::new(b.clone()))),
            (None, Some(j)) if a.strided().is_some() => (j, CallerTensor::Captured(TraceHandle::new(a.clone()))),
            _ => return false,
        };
        let given = |i: usize| &inner.arguments[i];
        let same = match &other {
            CallerTensor::Arg(i) => given(which).id() == given(*i).id(),
            CallerTensor::Captured(t) => given(which).id() == t.id(),
        };
        inner.identities.push((which, other, same));
        same
    }

    fn note_new(&self, alias: &Tensor) {
        if let Ok(mut inner) = self.0.try_borrow_mut() {
            inner.made_here.insert(alias.id(), TraceHandle::new(alias.clone()));
        }
    }

    fn is_new(&self, tensor: &Tensor) -> bool {
        self.0.borrow().made_here.contains_key(&tensor.id())
    }
}

impl GradRecorder for Capture {
    fn history_asked(&self, tensor: &Tensor) {
        let inner = self.0.borrow();
        let arg = inner.args.get(&tensor.id()).map(|(i, _)| *i);
        if let Some((_, asked)) = inner.asked.iter().find(|(i, _)| Some(*i) == arg) {
            asked.store(true, Ordering::Relaxed);
        }
    }

    fn history_captured(&self, edge: &Edge, tensor: &Tensor) {
        let way = || (edge.to_output(edge.output), tensor.clone());
        self.0.borrow_mut().outgoing_edges.entry((edge.id(), edge.output)).or_insert_with(way);
    }

    fn first_seq(&self) -> u64 {
        self.0.borrow().first_seq
    }

    fn grad(&self, tensor: &Tensor) -> Option<Tensor> {
        let mut inner = self.0.borrow_mut();
        let arg = inner.args.get(&tensor.id()).copied();
        if tensor.traced().is_some() && arg.is_none() {
            return tensor.stored_grad();
        }
        if let Some(&i) = inner.by_grad.get(&tensor.id()) {
            return inner.grads[i].now.clone();
        }
        let has = arg.map_or_else(|| tensor.has_grad(), |(_, has)| has);
        // A gradient has the dtype and the shape of its tensor.
        let given = has.then(|| {
            let (sizes, name) = (tensor.sizes(), Aside(("grad", inner.grads.len())));
            let kind = if arg.is_some() { InputKind::Arg } else { InputKind::State };
            let event = Event::Input { dtype: tensor.dtype(), sizes: Symbolic(Cow::Borrowed(&sizes)), kind, name };
            let made = inner.made(event).expect("an input has no operands that could not fit");
            let source = || Source::Grad(TraceHandle::new(tensor.clone()));
            inner.sources.push(arg.map_or_else(source, |(i, _)| Source::ArgGrad(i)));
            made
        });
        let now = given.as_ref().map(|made| inner.tensor(0, made));
        let given = given.map(|made| made.value);
        inner.grads.push(GradState {
            tensor: tensor.clone(),
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
        // With a history where it can be differentiated again.
        let history = grad.as_ref().and_then(own_edge);
        let mut inner = self.0.borrow_mut();
        let arg = inner.args.get(&tensor.id()).map(|(i, _)| *i);
        if tensor.traced().is_some() && arg.is_none() {
            return tensor.store_grad(grad);
        }
        let i = match inner.by_grad.get(&tensor.id()) {
            Some(&i) => i,
            None => {
                inner.grads.push(GradState {
                    tensor: tensor.clone(),
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
        // The gradient is what these elements are now, whatever is done to a captured tensor later.
        let at = inner.current();
        let now = grad.map(|g| match inner.lift(&g).and_then(|value| inner.tensor_of(at, value)) {
            Ok(now) => {
                now.set_grad_fn(history.clone());
                now
            }
            Err(_) => g,
        });
        let state = &mut inner.grads[i];
        state.now = now;
        state.changed = true;
    }

    fn requires_grad_asked(&self, captured: &Tensor, answer: bool) {
        let Ok(mut inner) = self.0.try_borrow_mut() else { return };
        if !inner.made_here.contains_key(&captured.id()) {
            inner
                .requires_grad_asked
                .entry(captured.id())
                .or_insert_with(|| (TraceHandle::new(captured.clone()), answer));
        }
    }
}

impl LoopRecorder for Capture {
    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody> {
        let mut inner = self.0.borrow_mut();
        let carries = spec.carries.iter().map(|t| inner.lift(t)).collect::<Result<_>>()?;
        let xs = spec.xs.iter().map(|t| inner.lift(t)).collect::<Result<_>>()?;
        let mirror = spec.mirror.map(|scope| (scope - inner.first) as usize);
        let (kind, limit, count) = match spec.iterations {
            Iterations::All(length) => (LoopKind::All, Some(length), None),
            Iterations::Count { n, limit } => (LoopKind::Count, Some(limit), Some(inner.lift(n)?)),
            Iterations::While => (LoopKind::While, None, None),
        };
        let reverse = spec.reverse;
        let begin = Loop { carries, xs, kind, limit: Symbolic(limit), count, reverse, mirror };
        let (made, length) = match inner.replay.ask(Event::Begin(Cow::Owned(begin)))? {
            Answer::Begun(made, Symbolic(limit)) => (made, limit),
            other => unreachable!("bug in allotrope: no loop but {other:?}"),
        };
        let scope = inner.scopes;
        inner.scopes += 1;
        inner.open.push(Open { scope, length, reverse, kind });
        inner.draws.push(Vec::new());
        let mut inside = made.iter().map(|made| inner.tensor(scope, made));
        let carries = inside.by_ref().take(spec.carries.len()).collect();
        Ok(ScanBody { carries, xs: inside.collect(), scope: inner.first + scope as u64, limit: length })
    }

    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let mut inner = self.0.borrow_mut();
        let values = carries.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        let collected = ys.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        // What was carried must lie as a fresh result does, where a draw in the loop relied on it.
        if let Answer::Places(ordered) = inner.replay.ask(Event::Ordered)? {
            for i in ordered {
                inner.in_order("a draw in a loop", &carries[i], true)?;
            }
        }
        let made = inner.many(Event::End { carries: Cow::Borrowed(&values), ys: Cow::Borrowed(&collected) })?;
        inner.leave_loop();
        let at = inner.current();
        let mut results = made.iter().map(|made| inner.tensor(at, made));
        let finals = results.by_ref().take(carries.len()).collect();
        Ok((finals, results.collect()))
    }

    fn branch_end(&self, results: &[Tensor], otherwise: Option<&[Tensor]>) -> Result<Vec<Tensor>> {
        let mut inner = self.0.borrow_mut();
        let body = inner.current();
        let values = results.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        inner.replay.ask(Event::Results(Cow::Borrowed(&values)))?;
        // What it begins with is computed around it.
        inner.replay.ask(Event::Leave)?;
        let open = inner.open.pop().expect("a branch is open");
        let begin = match otherwise {
            Some(tensors) => tensors.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>(),
            None => results
                .iter()
                .map(|t| {
                    let zero = EventOperand::number(Scalar::from_f64(0.0, t.dtype()));
                    Ok(inner.made(Event::Full { sizes: Symbolic(Cow::Borrowed(&t.sizes())), number: zero })?.value)
                })
                .collect(),
        };
        inner.open.push(open);
        inner.replay.ask(Event::Enter(body))?;
        let made = inner.many(Event::EndBranch(Cow::Owned(begin?)))?;
        inner.leave_loop();
        let at = inner.current();
        Ok(made.iter().map(|made| inner.tensor(at, made)).collect())
    }

    fn scan_abandon(&self) {
        let mut inner = self.0.borrow_mut();
        if !inner.open.is_empty() {
            inner.certainly(Event::Abandon);
            inner.leave_loop();
        }
    }
}

impl SettingRecorder for Capture {
    fn host_value(&self, seen: Arc<dyn HostValue>) -> Option<Arc<dyn HostValue>> {
        let mut inner = self.0.borrow_mut();
        if let Some(set) = inner.effects.iter().find(|e| e.id() == seen.id()) {
            return Some(Arc::clone(set));
        }
        // Another thread may set it while this is recorded: the first answer is the one that the trace holds for.
        if let Some(known) = inner.host_values.iter().find(|g| g.id() == seen.id()) {
            return Some(Arc::clone(known));
        }
        inner.host_values.push(seen);
        None
    }

    fn set_host_value(&self, new: Arc<dyn HostValue>) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let known = inner.effects.iter().position(|e| e.id() == new.id());
        let unchanged = known.is_some_and(|i| inner.effects[i].is_same(&*new));
        if inner.current() != 0 && !unchanged {
            return Err(values::set_in_loop());
        }
        match known {
            Some(i) => inner.effects[i] = new,
            None => inner.effects.push(new),
        }
        Ok(())
    }
}

impl RandomRecorder for Capture {
    fn draw(&self, draw: &Draw<'_>) -> Result<(Tensor, usize)> {
        self.0.borrow_mut().draw(draw)
    }

    fn reseed(&self, generator: &Generator, seed: u64) {
        crate::error::must(self.0.borrow().draws_known("manual_seed()"));
        self.0.borrow_mut().push_draw(Item::Seed { generator: generator.clone(), seed });
    }

    fn in_order(&self, what: &'static str, like: &Tensor, whole: bool) -> Result<()> {
        self.0.borrow_mut().in_order(what, like, whole)
    }
}

impl RecomputeRecorder for Capture {
    fn recompute_begin(&self) {
        let mut inner = self.0.borrow_mut();
        inner.certainly(Event::RecomputeBegin);
        inner.recomputing += 1;
    }

    fn recompute_end(&self) {
        let mut inner = self.0.borrow_mut();
        inner.certainly(Event::RecomputeEnd);
        inner.recomputing -= 1;
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
