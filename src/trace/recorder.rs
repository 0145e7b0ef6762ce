//! Records the operations of a closure as a graph. Nothing is computed and no tensor outside is touched: what the
//! closure changes (parameters, gradients) is kept beside them until a compiled call has succeeded.

use super::captured::{Depended, Returned, Source, Target, Wiring};
use super::draws::{Draws, Item};
use super::event::{Answer, Event, Given, Loop};
use super::follow::{Ended, Script};
use super::inner::{GradState, Inner, Open};
use crate::autograd::is_grad_enabled;
use crate::autograd::tape::{next_seq, own_edge};
use crate::error::{Error, Result};
use crate::tensor::recorder::{Draw, Operand, Recorder, Root, Rounds, ScanBody, ScanSpec, SizeOp};
use crate::tensor::view::Link;
use crate::tensor::{Body, Flag, Generator, Size, Tensor, eval};
use allotrope_ir::{InputKind, Op, Scalar, Trip, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The recorder of one capture.
pub(super) struct Capture(RefCell<Inner>);

static NEXT_SCOPE: AtomicU64 = AtomicU64::new(0);
/// Builders that one capture can have.
const SCOPES_PER_CAPTURE: u64 = 1 << 24;

impl Capture {
    /// One whose recording nobody looks at.
    pub(super) fn forgetful() -> Capture {
        let capture = Capture::new(Script::plain());
        capture.0.borrow_mut().forgetful = true;
        capture
    }

    /// A capture whose graphs the script makes, or knows.
    pub(super) fn new(script: Script) -> Capture {
        let first = NEXT_SCOPE.fetch_add(SCOPES_PER_CAPTURE, Ordering::Relaxed);
        Capture(RefCell::new(Inner {
            forgetful: false,
            first,
            script,
            builders: 1,
            open: Vec::new(),
            sources: Vec::new(),
            states: Vec::new(),
            by_storage: FxHashMap::default(),
            flags: Vec::new(),
            grads: Vec::new(),
            by_grad: FxHashMap::default(),
            args: FxHashMap::default(),
            args_by_cell: FxHashMap::default(),
            callers: Vec::new(),
            first_seq: next_seq(),
            draws: vec![Vec::new()],
            outside: Vec::new(),
            first_values: FxHashMap::default(),
        }))
    }

    /// A traced tensor for argument number `i`, every dimension symbolic.
    ///
    /// # Errors
    /// None that a caller could meet.
    pub(super) fn argument(&self, i: usize, like: &Tensor) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let numbers = Cow::Borrowed(like.shape_hint());
        let made = inner.made(Event::Argument { dtype: like.dtype(), numbers, name: ("arg", i) })?;
        inner.sources.push(Source::Arg(i));
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
        if like.is_requires_grad() {
            tensor.set_requires_grad(true);
        }
        Ok(tensor)
    }

    /// Ends the capture: what the closure returned and changed becomes the outputs of the graph.
    pub(super) fn finish(self, returned: &[Tensor]) -> Result<(Ended, Wiring, Depended)> {
        let mut inner = self.0.into_inner();
        let mut targets = Vec::new();
        let mut results = Vec::new();
        for t in returned {
            let outside = t.traced().is_none();
            if outside {
                results.push(Returned::Same(t.clone()));
                continue;
            }
            if let Some(&(arg, _)) = inner.args.get(&t.id()) {
                results.push(Returned::Arg(arg));
                continue;
            }
            let value = inner.lift(t)?;
            inner.output(value, None)?;
            targets.push(Target::Return);
            results.push(Returned::Computed { requires_grad: t.is_requires_grad() });
        }
        let mut arguments: Vec<_> = std::mem::take(&mut inner.args_by_cell).into_values().collect();
        arguments.sort_unstable_by_key(|(_, arg)| *arg);
        for (cell, arg) in arguments {
            if cell.version.load(Ordering::Relaxed) > 0 {
                let value = *cell.value.lock();
                inner.output(value, None)?;
                targets.push(Target::Arg(arg));
            }
        }
        for s in std::mem::take(&mut inner.states) {
            if s.changes > 0 {
                let dense = s.tensor.is_contiguous();
                inner.output(s.value, dense.then_some(s.input))?;
                targets.push(Target::State { tensor: s.tensor });
            }
        }
        let mut depended = Depended { flags: std::mem::take(&mut inner.flags), ..Depended::default() };
        let mut cleared = Vec::new();
        let mut cleared_args = Vec::new();
        for g in std::mem::take(&mut inner.grads) {
            match (g.arg, g.initially) {
                (Some(i), Some(some)) => depended.arg_grads.push((i, some)),
                (None, Some(some)) => depended.grads.push((g.tensor.clone(), some)),
                (_, None) => {}
            }
            // The gradient itself may have been changed in place.
            let in_place = match (g.now.as_ref().and_then(Tensor::traced).map(|t| &t.root), g.given) {
                (Some(Root::Traced(cell)), Some(given)) => given != *cell.value.lock(),
                _ => false,
            };
            match (&g.now, g.changed || in_place, g.arg) {
                (Some(now), true, arg) => {
                    let value = inner.lift(now)?;
                    inner.output(value, None)?;
                    targets.push(arg.map_or(Target::Grad(g.tensor), Target::ArgGrad));
                }
                (None, true, None) => cleared.push(g.tensor),
                (None, true, Some(i)) => cleared_args.push(i),
                (_, false, _) => {}
            }
        }
        let ended = inner.script.end()?;
        let items = inner.draws.pop().expect("the whole program is open");
        let draws = Draws::new(items, inner.outside, &|length| ended.length(length));
        let mut sources = inner.sources;
        sources.extend(ended.numbers().map(|number| Source::Data(eval::full(&[], number))));
        let wiring = Wiring { sources, targets, returned: results, cleared, cleared_args, draws };
        Ok((ended, wiring, depended))
    }
}

impl Recorder for Capture {
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size {
        self.0.borrow_mut().size(Event::Arith(op, a, b)).expect("a sum or a product of sizes is one")
    }

    fn proven_equal(&self, a: Size, b: Size) -> bool {
        self.0.borrow().script.proven(a, b)
    }

    fn unify(&self, a: Size, b: Size, at: &'static Location<'static>) {
        self.0.borrow_mut().certainly(Event::Unify(a, b, at));
    }

    fn specialize(&self, size: Size, why: &str, at: &'static Location<'static>) {
        self.0.borrow_mut().certainly(Event::Specialize { size, why: Cow::Borrowed(why), at });
    }

    fn at_least(&self, size: Size, least: usize) {
        self.0.borrow_mut().certainly(Event::AtLeast(size, least));
    }

    fn divided(&self, size: Size, by: usize) -> Option<Size> {
        self.0.borrow_mut().size(Event::Divided(size, by))
    }

    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let mut given: SmallVec<[Given; 4]> = SmallVec::new();
        for operand in operands {
            given.push(match operand {
                Operand::Tensor(t) => Given::Value(inner.lift(t)?),
                Operand::Scalar(s) => Given::Number(*s),
            });
        }
        let made = inner.made(Event::Record { op: Cow::Borrowed(op), operands: Cow::Borrowed(&given) })?;
        Ok(inner.tensor(at, &made))
    }

    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let made = inner.made(Event::Full { sizes: Cow::Borrowed(sizes), number: Given::Number(value) })?;
        Ok(inner.tensor(at, &made))
    }

    fn extent(&self, size: Size) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let made = inner.made(Event::Extent(size))?;
        Ok(inner.tensor(at, &made))
    }

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
            (Root::Outside(t), Some(path)) => (t.clone(), Some(Arc::clone(path))),
            (Root::Traced(cell), Some(path)) => {
                let builder = inner.builder_of(cell.scope)?;
                let value = *cell.value.lock();
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
            let version = self.0.borrow().version_of(&t.root);
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
                if inner.args_by_cell.contains_key(&(Arc::as_ptr(cell) as usize))
                    && value.is_requires_grad()
                    && is_grad_enabled()
                {
                    return Err(Error::Trace(format!(
                        "an argument of shape {:?} would be changed to something that has a derivative, whose history ends with the call; detach() the value or do it under no_grad(|| ..)",
                        root.shape_hint()
                    )));
                }
                if inner.builder_of(cell.scope)? != at {
                    return Err(Error::Trace(
                        "a value from outside a loop can't be changed in place inside it; carry it".into(),
                    ));
                }
                let before = std::mem::replace(&mut *cell.value.lock(), new);
                let key = Arc::as_ptr(cell) as usize;
                inner.first_values.entry(key).or_insert_with(|| (Arc::clone(cell), before));
                cell.version.fetch_add(1, Ordering::Relaxed);
            }
            Body::Strided(strided) => {
                eval::check_apart(root.shape_hint(), &strided.strides)?;
                if at != 0 {
                    return Err(Error::Trace(
                        "a tensor from outside a loop can't be changed in place inside it; carry it".into(),
                    ));
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
        let inner = self.0.borrow();
        match tensor.body() {
            Body::Traced(t) => inner.version_of(&t.root),
            Body::Strided(_) => inner.outside_version(tensor),
        }
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
            let (sizes, name) = (tensor.sizes(), ("grad", inner.grads.len()));
            let kind = if arg.is_some() { InputKind::Arg } else { InputKind::State };
            let event = Event::Input { dtype: tensor.dtype(), sizes: Cow::Borrowed(&sizes), kind, name };
            let made = inner.made(event).expect("an input has no operands that could not fit");
            inner.sources.push(arg.map_or_else(|| Source::Grad(tensor.clone()), |(i, _)| Source::ArgGrad(i)));
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
        // The gradient is what these elements are now, whatever is done to a tensor from outside later.
        let at = inner.current();
        let now = grad.map(|g| match inner.lift(&g).and_then(|value| inner.tensor_of(at, value)) {
            Ok(now) => {
                // With a history where it can be differentiated again.
                if g.is_requires_grad() {
                    now.set_grad_fn(own_edge(&g));
                }
                now
            }
            Err(_) => g,
        });
        let state = &mut inner.grads[i];
        state.now = now;
        state.changed = true;
    }

    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody> {
        let mut inner = self.0.borrow_mut();
        let carries = spec.carries.iter().map(|t| inner.lift(t)).collect::<Result<_>>()?;
        let xs = spec.xs.iter().map(|t| inner.lift(t)).collect::<Result<_>>()?;
        let mirror = spec.mirror.map(|scope| (scope - inner.first) as usize);
        let (trip, limit, count) = match spec.rounds {
            Rounds::All(length) => (Trip::All, Some(length), None),
            Rounds::Count { n, limit } => (Trip::Count, Some(limit), Some(inner.lift(n)?)),
            Rounds::While => (Trip::While, None, None),
        };
        let reverse = spec.reverse;
        let begin = Loop { carries, xs, trip, limit, count, reverse, mirror };
        let (made, length) = match inner.script.ask(Event::Begin(Cow::Owned(begin)))? {
            Answer::Begun(made, limit) => (made, limit),
            other => unreachable!("bug in allotrope: no loop but {other:?}"),
        };
        let builder = inner.builders;
        inner.builders += 1;
        inner.open.push(Open { builder, length, reverse, trip });
        inner.draws.push(Vec::new());
        let mut inside = made.iter().map(|made| inner.tensor(builder, made));
        let carries = inside.by_ref().take(spec.carries.len()).collect();
        Ok(ScanBody { carries, xs: inside.collect(), scope: inner.first + builder as u64, limit: length })
    }

    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let mut inner = self.0.borrow_mut();
        let values = carries.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        let collected = ys.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        // What was carried must lie as a fresh result does, where a draw in the loop relied on it.
        if let Answer::Places(ordered) = inner.script.ask(Event::Ordered)? {
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
        inner.script.ask(Event::Results(Cow::Borrowed(&values)))?;
        // What it begins with is computed around it.
        inner.script.ask(Event::Leave)?;
        let open = inner.open.pop().expect("a branch is open");
        let begin = match otherwise {
            Some(tensors) => tensors.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>(),
            None => results
                .iter()
                .map(|t| {
                    let zero = Given::Number(Scalar::from_f64(0.0, t.dtype()));
                    Ok(inner.made(Event::Full { sizes: Cow::Borrowed(&t.sizes()), number: zero })?.value)
                })
                .collect(),
        };
        inner.open.push(open);
        inner.script.ask(Event::Enter(body))?;
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

    fn flag(&self, flag: &Flag) {
        self.0.borrow_mut().flags.push((flag.clone(), flag.peek()));
    }

    fn draw(&self, draw: &Draw<'_>) -> Result<Tensor> {
        self.0.borrow_mut().draw(draw)
    }

    fn reseed(&self, generator: &Generator, seed: u64) {
        if let Err(e) = self.0.borrow().draws_known("manual_seed()") {
            panic!("{e}");
        }
        self.0.borrow_mut().note(Item::Seed { generator: generator.clone(), seed });
    }

    fn in_order(&self, what: &'static str, like: &Tensor, whole: bool) -> Result<()> {
        self.0.borrow_mut().in_order(what, like, whole)
    }

    fn data(&self, tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        if inner.script.is_plain() {
            drop(inner);
            return Err(self.host_read(what, at));
        }
        let count = inner.sources.iter().filter(|s| matches!(s, Source::Data(_))).count();
        let (dtype, numbers) = (tensor.dtype(), Cow::Borrowed(tensor.shape_hint()));
        let made = inner.made(Event::Argument { dtype, numbers, name: ("data", count) })?;
        let traced = inner.tensor(0, &made);
        inner.sources.push(Source::Data(tensor));
        Ok(traced)
    }

    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error {
        Error::Trace(format!(
            "{what} at {at} is not known while a trace is recorded: the compiled program would have one call's numbers built in. \
             Return the tensor from the closure and read it after the call, pass data as an argument, or choose with where_self() instead of `if`"
        ))
    }
}
