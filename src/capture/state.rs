//! The state of a running capture beside its graphs: captured tensors and what the program did to them. It is the
//! same in every recording, also where the graphs are known already. It decides nothing of its own; the recorder asks
//! and tells.

use crate::capture::aliasing::Aliasing;
use crate::capture::draws::Item;
use crate::capture::endpoints::{CallerTensor, Source, same_elements};
use crate::capture::event::{Answer, Aside, Event, EventOperand, Made, Symbolic};
use crate::capture::replay_builder::ReplayBuilder;
use crate::device::{Device, default_device};
use crate::error::{Error, Noted, Result};
use crate::mode::recorder::settings::HostValue;
use crate::mode::values;
use crate::tensor::affine::{Affine, Given};
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::{Link, Root, TraceHandle};
use crate::tensor::traced::Cell;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Size, Sizes, Tensor, TensorType, Traced, contiguous_strides, eval, select, size};
use allotrope_ir::{InputKind, LoopKind, Op, Value};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A captured tensor that the program reads or changes.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) tensor: TraceHandle,
    /// Its value now, in the whole program's graph.
    pub(crate) value: Value,
    pub(crate) input: usize,
    pub(crate) changes: u32,
}

/// What the program knows of the gradient of a captured tensor or of an argument.
#[derive(Clone)]
pub(crate) struct GradState {
    pub(crate) tensor: TraceHandle,
    /// The argument's number.
    pub(crate) arg: Option<usize>,
    /// Whether there was one when the program first looked, where it looked before setting one.
    pub(crate) initially: Option<bool>,
    /// What it was then.
    pub(crate) given: Option<Tensor>,
    pub(crate) now: Option<Tensor>,
    pub(crate) changed: bool,
}

impl GradState {
    /// What the program has set it to, if it is another tensor than the one that was given.
    pub(crate) fn set(&self) -> Option<Tensor> {
        let now = self.now.as_ref().filter(|_| self.changed)?;
        let given = self.given.as_ref().is_some_and(|given| given.id() == now.id());
        if given { None } else { Some(now.clone()) }
    }
}

/// A loop whose body is being recorded.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) scope: usize,
    /// The capacity of what it collects, in iterations.
    pub(crate) length: Size,
    pub(crate) reverse: bool,
    pub(crate) kind: LoopKind,
    /// What its carries begin as.
    pub(crate) carries: Vec<Tensor>,
}

/// A captured tensor that the program made: another handle to elements that were there.
#[derive(Clone)]
pub(crate) struct MadeHere {
    pub(crate) _handle: TraceHandle,
    /// The tensor that the program found there, where it has storage.
    pub(crate) of: Option<TraceHandle>,
    /// The tensor whose elements it shows in some way, and how, where the one that it is made of is a view.
    pub(crate) shows: Option<(TraceHandle, Arc<Link>)>,
}

/// What history a captured tensor had that the program changes.
#[derive(Clone)]
pub(crate) struct HistoryBefore {
    pub(crate) tensor: TraceHandle,
    pub(crate) requires_grad: bool,
    pub(crate) edge: Option<Edge>,
    pub(crate) retains_grad: bool,
    /// How many changes in place a view knew of.
    pub(crate) changes_seen: u32,
}

impl HistoryBefore {
    /// Whether the tensor has another history now that something computed. A view has that of what it shows.
    pub(crate) fn is_result(&self) -> bool {
        let key = |e: &Edge| (e.id(), e.output);
        let now = self.tensor.grad_fn().as_ref().map(key);
        self.tensor.view_of().is_none() && now.is_some() && now != self.edge.as_ref().map(key)
    }
}

#[derive(Clone)]
pub(crate) struct CaptureState {
    /// Where it runs; none where nobody has said so yet.
    pub(crate) device: Option<Device>,
    /// Identity of scope 0; scope i has `first + i`.
    pub(crate) first: u64,
    /// The graphs, under construction or known already.
    pub(crate) replay: ReplayBuilder,
    /// Scopes so far, open and closed.
    pub(crate) scopes: usize,
    /// The open loops, innermost last.
    pub(crate) open: Vec<Open>,
    pub(crate) sources: Vec<Source>,
    pub(crate) states: Vec<State>,
    /// Every handle of a captured tensor that the program has asked anything of, as it was found, each once: not the tensor that
    /// it is a view of, and none that the program has made itself.
    pub(crate) touched: Vec<TraceHandle>,
    /// Their identities.
    pub(crate) known: FxHashSet<usize>,
    /// The states on each storage, by its address.
    pub(crate) by_storage: FxHashMap<usize, SmallVec<[usize; 1]>>,
    /// What the program read of the host.
    pub(crate) host_values: Vec<Arc<dyn HostValue>>,
    /// What it set there.
    pub(crate) effects: Vec<Arc<dyn HostValue>>,
    /// The caller's arguments.
    pub(crate) arguments: Vec<Tensor>,
    /// What it decided by how tensors lie.
    pub(crate) aliasing: Aliasing,
    /// Arguments that it compared with other tensors, and the answers.
    pub(crate) identities: Vec<(usize, CallerTensor, bool)>,
    /// Captured tensors that it compared, by identity.
    pub(crate) compared: Vec<usize>,
    /// Memory that arguments or gradients share with something else, so that they are known by identity as captured tensors
    /// are.
    pub(crate) known_memory: SmallVec<[usize; 2]>,
    /// Such memory of which the program wants more than the tensors there have.
    pub(crate) wanted_memory: SmallVec<[usize; 1]>,
    /// All memory of storages, by their address, of which the program sees more than one tensor shows.
    pub(crate) memories: FxHashMap<usize, TraceHandle>,
    /// The arguments of which that is so, by identity.
    pub(crate) known_args: FxHashMap<usize, usize>,
    /// The gradients of which it is, and whose they are.
    pub(crate) known_grads: Vec<(CallerTensor, TraceHandle)>,
    /// Captured tensors that it asked whether they need gradients, by identity.
    pub(crate) requires_grad_asked: FxHashMap<usize, (TraceHandle, bool)>,
    /// Tensors over captured elements that it made, by identity.
    pub(crate) made_here: FxHashMap<usize, MadeHere>,
    /// The places, computed by a run, of elements that views show.
    pub(crate) places: Vec<Tensor>,
    /// How many parts are being recomputed, one in the other.
    pub(crate) recomputing: usize,
    pub(crate) grads: Vec<GradState>,
    pub(crate) by_grad: FxHashMap<usize, usize>,
    /// The arguments by identity: number, and whether the caller's tensor has a gradient.
    pub(crate) args: FxHashMap<usize, (usize, bool)>,
    /// The arguments by the identity of their elements.
    pub(crate) args_by_cell: FxHashMap<usize, (Arc<Cell>, usize)>,
    /// Nodes of the tape with a smaller number were there before.
    pub(crate) first_seq: u64,
    /// What is drawn, for each open scope.
    pub(crate) draws: Vec<Vec<Item<Size>>>,
    /// The values that elements had before they were changed in place, by their identity.
    pub(crate) first_values: FxHashMap<usize, (Arc<Cell>, Value)>,
    /// In-place changes that captured storages had had when they were first asked: what is recorded later sees them
    /// as they were.
    pub(crate) versions: FxHashMap<usize, u32>,
    /// The edges by which the tape leads out of the program, by node and result, with the tensors whose history they are, and
    /// whether that is the one which the program leaves behind.
    pub(crate) outgoing_edges: HashMap<(usize, u32), (Edge, TraceHandle, bool)>,
    /// The captured tensors of which the program has changed whether gradients flow to them.
    pub(crate) changed_histories: Vec<HistoryBefore>,
    /// The arguments that it asked whether they are views, with the answers.
    pub(crate) views_asked: Vec<(usize, bool)>,
    /// The traced arguments.
    pub(crate) traced_args: FxHashMap<usize, Tensor>,
    /// The arguments that need gradients, by number, with whether the program depends on what history they have.
    pub(crate) asked: Vec<(usize, Arc<AtomicBool>)>,
    /// Nodes of the whole program with a smaller number have run when what is recorded now runs: nothing that they
    /// computed can be changed in place. 0 while the closure is recorded.
    pub(crate) sealed: u32,
}

impl CaptureState {
    pub(crate) fn current(&self) -> usize {
        self.open.last().map_or(0, |l| l.scope)
    }

    /// Asks for something that is a value.
    pub(crate) fn made(&mut self, event: Event<'_>) -> Result<Made> {
        self.replay.made(event)
    }

    /// Asks for an input in the place of a tensor, all dimensions symbolic.
    pub(crate) fn argument(&mut self, like: &Tensor, name: (&'static str, usize)) -> Result<Made> {
        let (rank, numbers) = (like.dim(), Aside(Cow::Borrowed(like.shape_hint())));
        self.made(Event::Argument { dtype: like.dtype(), rank, numbers, name: Aside(name) })
    }

    /// Asks for several values.
    pub(crate) fn many(&mut self, event: Event<'_>) -> Result<Vec<Made>> {
        match self.replay.ask(event)? {
            Answer::Many(made) => Ok(made),
            other => unreachable!("bug in allotrope: no values but {other:?}"),
        }
    }

    /// Asks for a size, which may not be there.
    pub(crate) fn size(&mut self, event: Event<'_>) -> Option<Size> {
        match self.certainly(event) {
            Answer::Size(Symbolic(size)) => size,
            other => unreachable!("bug in allotrope: no size but {other:?}"),
        }
    }

    /// Asks what always has an answer.
    pub(crate) fn certainly(&mut self, event: Event<'_>) -> Answer {
        self.replay.ask(event).expect("what is asked of sizes can't fail")
    }

    /// One more result of the whole program, which updates the input where one is named.
    pub(crate) fn output(&mut self, value: Value, update: Option<usize>) -> Result<()> {
        self.replay.ask(Event::Output { value, update }).map(|_| ())
    }

    /// The innermost loop is recorded, or given up.
    pub(crate) fn leave_loop(&mut self) {
        if let Some(open) = self.open.pop() {
            self.end_draws(open);
        }
    }

    /// The traced tensor for what was made.
    ///
    /// # Errors
    /// When no tensor can have these sizes.
    pub(crate) fn tensor(&self, builder: usize, made: &Made) -> Result<Tensor> {
        let ty = TensorType::new(made.dtype, size::small(&made.sizes.0, |s| s.hint()))?;
        let traced = Traced {
            strides: contiguous_strides(ty.shape()),
            offset: Some(0),
            scope: self.first + builder as u64,
            device: self.device.unwrap_or_else(default_device),
            exprs: size::small(&made.sizes.0, |s| s.expr().number),
            root: Root::Traced(Arc::new(Cell::new(self.first + builder as u64, made.value))),
            path: None,
            seen: Mutex::new((made.value, 0)),
        };
        Ok(Tensor::from_parts(ty, Body::Traced(Box::new(traced))))
    }

    /// The traced tensor for a value, with the sizes of its type.
    pub(crate) fn tensor_of(&mut self, builder: usize, value: Value) -> Result<Tensor> {
        let made = self.made(Event::TypeOf(builder, value))?;
        self.tensor(builder, &made)
    }

    /// Whether the program made the tensor, whatever elements it shows: its gradient is nobody's outside.
    pub(crate) fn is_own(&self, t: &Tensor) -> bool {
        match t.body() {
            Body::Traced(_) => !self.args.contains_key(&t.id()),
            Body::Strided(_) => self.made_here.contains_key(&t.id()),
        }
    }

    /// The scope of this capture that a traced tensor belongs to.
    pub(crate) fn scope_of(&self, scope: u64) -> Result<usize> {
        match scope.checked_sub(self.first) {
            Some(i) if (i as usize) < self.scopes => Ok(i as usize),
            _ => Err(values::other_trace()),
        }
    }

    /// The value `v` of scope `from` in the innermost open graph.
    pub(crate) fn import(&mut self, from: usize, value: Value) -> Result<Value> {
        // What is recomputed takes its operands from before behind barriers, which the builder knows.
        if from == self.current() && self.recomputing == 0 {
            return Ok(value);
        }
        match self.replay.ask(Event::Import { from, value })? {
            Answer::Value(value) => Ok(value),
            other => unreachable!("bug in allotrope: no value but {other:?}"),
        }
    }

    /// The value of a tensor in the innermost open graph.
    pub(crate) fn lift(&mut self, t: &Tensor) -> Result<Value> {
        let into = self.current();
        match t.body() {
            Body::Traced(traced) => {
                let from = self.scope_of(traced.scope)?;
                let Some(path) = &traced.path else { return self.lift_root(&traced.root) };
                let version = self.version_of(&traced.root);
                let (value, seen) = *traced.seen.lock();
                if seen == version {
                    return self.import(from, value);
                }
                // The root was changed in place since: look at it again.
                let value = match &traced.root {
                    Root::External(t) => self.lift_in_memory(Tensor::clone(t), Some(Arc::clone(path)))?,
                    Root::Traced(_) => {
                        let root = self.lift_root(&traced.root)?;
                        self.through(root, path)?
                    }
                };
                // A backward pass is recorded on a copy, whose values the tensor must not remember.
                if from == into && self.sealed == 0 {
                    *traced.seen.lock() = (value, version);
                }
                Ok(value)
            }
            Body::Strided(_) => {
                self.touch(t);
                self.lift_captured(t)
            }
        }
    }

    /// The elements of a captured tensor, which are those of the whole that it is a view of.
    fn lift_captured(&mut self, t: &Tensor) -> Result<Value> {
        match self.shown_by(t) {
            Some((base, path)) => self.lift_in_memory(base, Some(path)),
            None => self.lift_in_memory(t.clone(), None),
        }
    }

    /// The elements of a captured tensor, seen as the path says.
    fn lift_in_memory(&mut self, base: Tensor, path: Option<Arc<Link>>) -> Result<Value> {
        let (base, path) = self.in_memory(base, path)?;
        let slot = self.state(&base)?;
        let value = self.states[slot].value;
        let value = self.import(0, value)?;
        match path {
            Some(path) => self.through(value, &path),
            None => Ok(value),
        }
    }

    /// A captured tensor, which is no view, and the way from it: from the memory that it lies in, where the program sees more of that
    /// than one tensor shows.
    pub(crate) fn in_memory(&mut self, base: Tensor, path: Option<Arc<Link>>) -> Result<(Tensor, Option<Arc<Link>>)> {
        let Some(strided) = base.strided() else { return Ok((base, path)) };
        let storage = Arc::as_ptr(&strided.storage) as usize;
        let steps = path.as_ref().map_or_else(Vec::new, Link::steps);
        let part = match steps.first().map(|step| &step.op) {
            Some(ViewOp::Memory { len, places }) => {
                Some(Op::Slice { axis: 0, start: Size::from(strided.offset - places.offset), len: *len })
            }
            _ => None,
        };
        let changed_otherwise =
            |slot: &usize| self.states[*slot].changes > 0 && !same_elements(&self.states[*slot].tensor, &base);
        let known = self.by_storage.get(&storage);
        if !self.memories.contains_key(&storage)
            && (part.is_some() || known.is_some_and(|slots| slots.iter().any(changed_otherwise)))
        {
            self.see_memory(&base, storage)?;
        }
        let Some(memory) = self.memories.get(&storage).filter(|memory| memory.id() != base.id()) else {
            return Ok((base, path));
        };
        let (op, rest) = match part {
            Some(op) => (op.into(), &steps[1..]),
            None => (ViewOp::Affine(places_in_storage(&base)?), &steps[..]),
        };
        let first = in_storage(op, memory);
        let path: Vec<_> = std::iter::once(first).chain(rest.iter().cloned()).collect();
        Ok((Tensor::clone(memory), Link::chain(&path)))
    }

    /// From here on the elements of captured tensors of this storage are those of its memory.
    fn see_memory(&mut self, base: &Tensor, storage: usize) -> Result<()> {
        let memory = eval::memory_around(base, 0, eval::place_in_storage(base)?.0)?;
        let made = MadeHere { _handle: TraceHandle::new(memory.clone()), of: None, shows: None };
        // What one of them was changed to before.
        let slots = self.by_storage.get(&storage).cloned().unwrap_or_default();
        let before = slots.into_iter().find(|&slot| self.states[slot].changes > 0);
        if before.is_some() && self.current() != 0 {
            return Err(overlap(base));
        }
        self.made_here.insert(memory.id(), made);
        if let Some(before) = before {
            let State { value, changes, tensor, .. } = self.states[before].clone();
            self.states[before].changes = 0;
            let slot = self.state(&memory)?;
            let whole = self.states[slot].value;
            let places = places_in_storage(&tensor)?;
            let value = places.scattered(&whole, &value, 1, &mut |op, given| self.emitted(op, given))?;
            (self.states[slot].value, self.states[slot].changes) = (value, changes);
        }
        self.memories.insert(storage, TraceHandle::new(memory));
        Ok(())
    }

    /// A primitive in the innermost open graph.
    fn emitted(&mut self, op: &Op<Size>, operands: &[Given<'_, Value>]) -> Result<Value> {
        let operands: SmallVec<[EventOperand; 2]> = operands.iter().map(EventOperand::given).collect();
        let (op, operands) = (Symbolic(Cow::Borrowed(op)), Cow::Borrowed(&operands[..]));
        Ok(self.made(Event::Record { op, operands })?.value)
    }

    /// The program has asked something of a tensor: if it is a captured one, this handle must stay in use.
    pub(crate) fn touch(&mut self, t: &Tensor) {
        if t.strided().is_some() && !self.made_here.contains_key(&t.id()) && self.known.insert(t.id()) {
            self.touched.push(TraceHandle::new(t.clone()));
        }
    }

    /// The captured tensor whose elements a captured one shows, and how: that of which it is a view, or an alias of one.
    pub(crate) fn shown_by(&self, t: &Tensor) -> Option<(Tensor, Arc<Link>)> {
        match (t.view_of(), self.made_here.get(&t.id())) {
            (Some(view), _) => Some((Tensor::clone(&view.base), Arc::clone(&view.path))),
            (None, Some(made)) => made.shows.as_ref().map(|(base, path)| (Tensor::clone(base), Arc::clone(path))),
            (None, None) => None,
        }
    }

    /// The elements themselves, however they are seen.
    fn lift_root(&mut self, root: &Root) -> Result<Value> {
        match root {
            Root::External(t) => self.lift_captured(t),
            Root::Traced(cell) => {
                let from = self.scope_of(cell.scope)?;
                let value = cell.value();
                self.import(from, value)
            }
        }
    }

    /// A value of the innermost open graph seen through a view's path.
    fn through(&mut self, mut value: Value, path: &Arc<Link>) -> Result<Value> {
        for step in path.steps() {
            let place = match &step.op {
                ViewOp::Select { at, .. } => Some(self.place(*at)?),
                ViewOp::Primitive(_) | ViewOp::Affine(_) | ViewOp::Memory { .. } => None,
            };
            let mut emit = |op: &Op<Size>, operands: &[Given<'_, Value>]| self.emitted(op, operands);
            value = match &step.op {
                ViewOp::Primitive(op) => emit(op, &[Given::Value(&value)])?,
                ViewOp::Affine(affine) => affine.gathered(&value, step.from.len(), &mut emit)?,
                ViewOp::Memory { .. } => unreachable!("bug in allotrope: the elements are not those of the memory"),
                ViewOp::Select { axis, .. } => {
                    let place = place.expect("just looked up");
                    select::gathered(*axis, &step.from, &value, &place, &mut emit)?
                }
            };
        }
        Ok(value)
    }

    /// The place of this number, in the innermost open graph.
    fn place(&mut self, number: usize) -> Result<Value> {
        let place = self.places[number].clone();
        self.lift(&place)
    }

    /// In-place changes of a root so far, those of the capture included.
    pub(crate) fn version_of(&mut self, root: &Root) -> u32 {
        match root {
            Root::Traced(cell) => {
                let own = cell.version.load(Ordering::Relaxed);
                match self.followed(cell).cloned() {
                    Some(root) => own + self.version_of(&root),
                    None => own,
                }
            }
            Root::External(t) => self.captured_version(t),
        }
    }

    /// In-place changes of a captured tensor so far, those of the capture included.
    pub(crate) fn captured_version(&mut self, t: &Tensor) -> u32 {
        let Some(s) = t.strided() else { return 0 };
        let storage = Arc::as_ptr(&s.storage) as usize;
        let here = self.by_storage.get(&storage);
        let changes: u32 = here.into_iter().flatten().map(|&slot| self.states[slot].changes).sum();
        *self.versions.entry(storage).or_insert_with(|| s.storage.version()) + changes
    }

    /// An operation failed, as it does in eager code, and the program went on without it: where it would not fail, the
    /// program goes another way. Whether it fails may depend on any size, layout and history; other things that an operation
    /// sees of its operands are guarded anyway.
    pub(crate) fn depend_on_failure(&mut self, failed: &Noted) {
        if !self.replay.is_plain() {
            // Each call is recorded, and fails or not by itself.
            return;
        }
        let why = format!("{} failed, and the closure went on", failed.error.operation());
        self.replay.graphs_mut().specialize_arguments(&why, failed.place());
        self.guard_arguments();
        self.asked.iter().for_each(|(_, asked)| asked.store(true, Ordering::Relaxed));
    }

    /// That this is for the device that the whole recording runs on.
    pub(crate) fn runs_on(&mut self, op: &'static str, device: Device) -> Result<()> {
        eval::same_device(op, *self.device.get_or_insert(device), device)
    }

    /// The state entry for a captured tensor.
    pub(crate) fn state(&mut self, t: &Tensor) -> Result<usize> {
        let strided = t.strided().expect("a captured tensor has storage");
        let storage = Arc::as_ptr(&strided.storage) as usize;
        let mut known = None;
        for &slot in self.by_storage.get(&storage).into_iter().flatten() {
            let state = &self.states[slot];
            match same_elements(&state.tensor, t) {
                true => known = Some(slot),
                false if state.changes > 0 => return Err(overlap(t)),
                false => {}
            }
        }
        if let Some(slot) = known {
            return Ok(slot);
        }
        self.runs_on("trace", t.device())?;
        no_integer_history(t)?;
        let input = self.sources.len();
        let sizes: Sizes = size::small(t.shape_hint(), Size::from);
        let name = Aside(("state", self.states.len()));
        let kind = InputKind::State;
        let made = self.made(Event::Input { dtype: t.dtype(), sizes: Symbolic(Cow::Borrowed(&sizes)), kind, name })?;
        // The handle kept must not keep the tape of the program alive: only elements matter.
        // What the program itself made of a tensor shows that one's elements, and only that one is somebody's.
        let of = self.made_here.get(&t.id()).and_then(|made| made.of.clone()).filter(|of| same_elements(of, t));
        let tensor = of.unwrap_or_else(|| TraceHandle::new(t.clone()));
        self.sources.push(Source::State(tensor.clone()));
        self.states.push(State { tensor, value: made.value, input, changes: 0 });
        self.by_storage.entry(storage).or_default().push(self.states.len() - 1);
        Ok(self.states.len() - 1)
    }
}

/// Where the elements of a captured tensor are in its storage.
///
/// # Errors
/// When an axis goes backwards.
fn places_in_storage(t: &Tensor) -> Result<Affine> {
    let strided = t.strided().expect("a captured tensor has storage");
    let steps = strided.strides.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<_>>();
    Ok(Affine {
        sizes: size::small(t.shape_hint(), Size::from),
        steps: steps.ok_or_else(|| overlap(t))?,
        offset: strided.offset,
        count: Size::from(t.ty().numel()),
        is_apart: eval::check_apart(t.shape_hint(), &strided.strides).is_ok(),
    })
}

/// The step from all memory to elements of it, which is on no tape.
fn in_storage(op: ViewOp, memory: &Tensor) -> Arc<Link> {
    let vjp = |_: &ViewOp, _: &Sizes, _: &Tensor| {
        unreachable!("bug in allotrope: the memory of a captured tensor has no history")
    };
    Link::after(None, op, size::small(memory.shape_hint(), Size::from), "AsStridedBackward0", vjp)
}

/// That this, which is used in a recording, is no tensor of integers with a history.
pub(super) fn no_integer_history(t: &Tensor) -> Result<()> {
    match t.stored_requires_grad() && !t.dtype().is_float() {
        true => Err(Error::trace(format!(
            "a tensor {}{:?} has a history, which integers bring into no trace; detach() it",
            t.dtype(),
            t.shape_hint()
        ))),
        false => Ok(()),
    }
}

pub(crate) fn overlap(t: &Tensor) -> Error {
    Error::trace(format!(
        "a tensor of shape {:?} shares storage with another one that the trace changes in place through a different view; change and read it through views of one tensor, or one of them in a copy, x.copy(); x.clone() is another handle to the same elements",
        t.shape_hint()
    ))
}
