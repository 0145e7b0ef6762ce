//! Walks back through a recorded part of a program that begin outside of it: they are recorded on a copy of the recording,
//! each as a graph of its own, when a gradient first comes that way. A part is the closure, or a walk back through it whose
//! gradients can be differentiated again. Nothing is compiled or run here.

use crate::autograd::engine::{self, Root};
use crate::autograd::tape;
use crate::autograd::{scope, with_grad_enabled};
use crate::capture::captured::Source;
use crate::capture::recorder::Capture;
use crate::capture::state::Inner;
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::recorder::Recorder;
use crate::mode::recorder::settings::HostValue;
use crate::ops::backward::sum;
use crate::runtime::outer::Program;
use crate::tensor::grad_fn::{Edge, next_seq};
use crate::tensor::trace_handle::TraceHandle;
use crate::tensor::{Size, Tensor};
use allotrope_ir::passes::Passes;
use allotrope_ir::{Dim, Graph, Part, Sym, Type, Value, partition};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// Walks that one part keeps; there is one for each set of results whose gradients came together.
const WALKS: usize = 32;

/// A value of a part that gradients from outside come to.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) edge: Edge,
    ty: Type,
}

/// Where the tape leads out of a part.
#[derive(Clone)]
pub(crate) enum Exit {
    /// To an argument of the closure.
    Arg(usize),
    /// To a tensor from outside.
    Outside(TraceHandle),
    /// To a leaf that the closure made: its computed result of this number.
    Leaf(usize),
    /// To where exit `i` of the part below leads.
    Below(usize),
    /// To a value of the part below.
    Slot(usize),
    /// To the gradient that came for this slot of the part below.
    Gradient(usize),
}

/// What a run of a part keeps for walks back through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Keep {
    /// An input of its program, as a handle.
    Input(usize),
    /// A computed result, as a handle.
    Result(usize),
    /// One more output of its program.
    Output,
    /// What the run below keeps in this place.
    Below(usize),
    /// The gradient that came for this slot of the part below.
    Gradient(usize),
}

/// How a tensor is repeated that shows a value of the tape.
pub(crate) struct Repeated {
    pub(crate) by: fn(&Tensor, &[Size]) -> Result<Tensor>,
    /// The shape before.
    pub(crate) shape: Vec<Dim>,
}

/// The history of a result, seen from outside.
pub(crate) enum History {
    None,
    Slot(usize, Option<Repeated>),
    /// The result shows what is outside.
    Exit(usize, Option<Repeated>),
    /// It is a leaf itself.
    Leaf,
    /// It shows a leaf that nobody outside has.
    Lost,
}

/// Which gradients came, by slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Given {
    No,
    Plain,
    /// One that needs a gradient itself.
    Noted,
}

/// Where an input of a walk's program comes from.
#[derive(Clone)]
pub(crate) enum Feed {
    Kept(usize),
    Gradient(usize),
    /// A tensor from outside that only this walk reads.
    State(TraceHandle),
    /// The gradient that a tensor from outside has when the walk runs.
    Grad(TraceHandle),
}

/// Where the gradient that leaves comes from.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Output(usize),
    Feed(usize),
}

/// One walk back through a part, for one set of gradients.
pub(crate) struct Walk {
    pattern: Vec<Given>,
    /// Whether its gradients can be differentiated again.
    noted: bool,
    host_values: Vec<Arc<dyn HostValue>>,
    sizes: Vec<Bound>,
    pub(crate) graph: Graph,
    pub(crate) feeds: Vec<Feed>,
    /// The nodes that it walks through and that saved something, by number.
    pub(crate) saving: Vec<u64>,
    /// The gradients that leave, in order: the number of the exit, if anybody is behind it, and what it is.
    pub(crate) departures: Vec<(Option<usize>, Origin)>,
    /// The part that this walk is, where it can be differentiated again, with the histories of the departures; or why it
    /// can't.
    pub(crate) above: Option<Result<(Arc<Stage>, Vec<History>)>>,
    pub(crate) program: OnceLock<Result<Program>>,
}

/// What else must hold of the sizes for a walk that was recorded later.
enum Bound {
    Equal(Sym, Dim),
    AtLeast(Dim, usize),
}

/// A part of a program with the tape that it left.
pub(crate) struct Stage {
    /// The recording as it was at the end of the part.
    inner: Inner,
    /// Nodes of the tape from this number on are the part's.
    border: u64,
    slots: Mutex<Vec<Slot>>,
    pub(crate) exits: Vec<Exit>,
    by_edge: HashMap<(usize, u32), Option<usize>>,
    /// The edges behind those numbers, which live as long as this.
    _edges: Vec<Edge>,
    pub(crate) keeps: Vec<Keep>,
    /// The nodes that the walk with every gradient goes through and that saved something.
    pub(crate) saving: Vec<u64>,
    by_value: HashMap<Value, usize>,
    walks: Mutex<Vec<Arc<Walk>>>,
    pub(crate) passes: Passes,
    /// The traced arguments, by which the recording knows them.
    _args: Vec<Tensor>,
}

/// A closure whose results have a history that gradients from outside can walk back.
pub(crate) struct Recorded {
    pub(crate) stage: Result<Arc<Stage>>,
    /// One for each computed result.
    pub(crate) histories: Vec<History>,
    /// Whether a computed result keeps its gradient.
    pub(crate) retaining: Vec<bool>,
    /// The values that are outputs of the program besides the results.
    pub(crate) outputs: Vec<Value>,
    /// The walk back with every gradient given.
    pub(crate) walk: Graph,
}

/// A walk as it has been recorded.
struct Tape {
    inner: Inner,
    begun: u64,
    given: HashMap<Value, usize>,
    /// The leaf of each gradient given that needs one itself.
    leaves: Vec<(Edge, usize)>,
    departures: Vec<(Edge, Value, Tensor)>,
    saving: Vec<u64>,
    _given: Vec<Tensor>,
}

impl Capture {
    fn gradient(&self, slot: usize, ty: &Type) -> (Tensor, Value) {
        let mut inner = self.0.borrow_mut();
        let value = inner.script.program_mut().gradient(slot, ty);
        inner.sources.push(Source::Gradient);
        let made = inner.script.program_mut().typed(0, value);
        (inner.tensor(0, &made), value)
    }
}

/// Runs `f` with the recorder, apart from whatever this thread is in the midst of.
fn recording<T>(capture: &Rc<Capture>, noted: bool, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let recorder: Rc<dyn Recorder> = capture.clone();
    let run = || scope::isolated(|| mode::with(Some(recorder), || with_grad_enabled(noted, f)));
    catch_unwind(AssertUnwindSafe(run)).map_err(Error::caught)?
}

/// Records a walk back from the slots that the pattern names on a copy of `base`, to the nodes before `border`.
fn walk(base: &Inner, border: u64, slots: &[Slot], pattern: &[Given], noted: bool) -> Result<Tape> {
    let mut inner = base.clone();
    inner.sealed = inner.script.program_mut().root().len() as u32;
    inner.draws = vec![Vec::new()];
    inner.host_values.clear();
    inner.grads.iter_mut().for_each(|g| g.changed = false);
    let capture = Rc::new(Capture(std::cell::RefCell::new(inner)));
    let recorded = recording(&capture, noted, || {
        let (mut roots, mut given, mut leaves, mut held) = (Vec::new(), HashMap::new(), Vec::new(), Vec::new());
        for (k, (slot, how)) in slots.iter().zip(pattern).enumerate().filter(|(_, (_, how))| **how != Given::No) {
            let (tensor, value) = capture.gradient(k, &slot.ty);
            given.insert(value, k);
            if *how == Given::Noted {
                tensor.set_requires_grad(true);
                leaves.extend(tape::own_edge(&tensor).map(|e| (e, k)));
            }
            roots.push(Root { edge: slot.edge.clone(), gradient: tensor.clone() });
            held.push(tensor);
        }
        let begun = next_seq();
        let mut departures = Vec::new();
        let (out, saving) = engine::run_out(roots, border, sum)?;
        for (edge, gradient) in out {
            let value = capture.0.borrow_mut().lift(&gradient)?;
            departures.push((edge, value, gradient));
        }
        Ok((begun, given, leaves, departures, saving, held))
    });
    let inner = Rc::into_inner(capture).expect("the recorder is no longer installed").0.into_inner();
    let (begun, given, leaves, departures, saving, held) = recorded?;
    let drawn = inner.draws.iter().any(|items| !items.is_empty());
    if drawn || inner.grads.iter().any(|g| g.changed) {
        let what = if drawn { "random numbers are drawn" } else { "a gradient is set" };
        return Err(Error::Trace(format!(
            "{what} on the way back through a traced function, by a hook, a derivative of the user's or a checkpoint, where \
             the gradient comes from outside; call backward() inside the closure"
        )));
    }
    Ok(Tape { inner, begun, given, leaves, departures, saving, _given: held })
}

/// What is known of the walk with every gradient given, which says what a run has to keep.
struct Draft {
    /// The recording before the walk, with loops that collect what the walk uses.
    inner: Inner,
    tape: Tape,
    walk: Graph,
    /// The values of the part and those before that the walk uses.
    uses: Vec<Value>,
}

impl Draft {
    /// `like` is the same walk of another recording, which is to be the same graph.
    fn new(mut base: Inner, border: u64, slots: &[Slot], like: Option<&Graph>) -> Result<Draft> {
        let all = vec![Given::Plain; slots.len()];
        let mark = base.script.program_mut().root().len();
        let record = || -> Result<(Tape, Part)> {
            let mut tape = walk(&base, border, slots, &all, false)?;
            let values: Vec<Value> = tape.departures.iter().map(|(_, v, _)| *v).collect();
            let part = partition(tape.inner.script.program_mut().root(), mark, &values);
            Ok((tape, part))
        };
        let (mut tape, part) = record()?;
        // A view from outside may have looked at its history anew in between; what counts is that the same comes again.
        if like.is_some_and(|g| *g != part.graph) && record()?.1.graph != part.graph {
            return Err(Error::Trace(
                "the way back through the closure was recorded twice and did something else the second time: a hook or a \
                 derivative of the user's depends on a Rust value that changes"
                    .into(),
            ));
        }
        let program = base.script.program_mut();
        let walked = tape.inner.script.program_mut();
        program.builders[0].graph = Some(walked.root().prefix(mark));
        program.symbols = walked.symbols.clone();
        // What a loop in a loop had computed again around it stands in the body of that one now.
        for (b, walked) in program.builders.iter_mut().zip(&walked.builders).filter(|(b, _)| b.parent != Some(0)) {
            b.hoisted = walked.hoisted.clone();
        }
        // The gradients given are no values of the part, nor is what only the walk reads.
        let uses = part.feeds.into_iter().filter(|v| (v.node.0 as usize) < mark).collect();
        Ok(Draft { inner: base, tape, walk: part.graph, uses })
    }
}

/// The exits of a part, as they are found.
#[derive(Default)]
struct Exits {
    exits: Vec<Exit>,
    by_edge: HashMap<(usize, u32), Option<usize>>,
    edges: Vec<Edge>,
}

impl Exits {
    /// The number of the exit of this edge, which `find` knows where it is new; none where nobody is behind it.
    fn number(&mut self, edge: &Edge, find: impl FnOnce(&Edge) -> Result<Option<Exit>>) -> Result<Option<usize>> {
        let key = (edge.id(), edge.output);
        if let Some(known) = self.by_edge.get(&key) {
            return Ok(*known);
        }
        let number = find(edge)?.map(|exit| {
            self.exits.push(exit);
            self.exits.len() - 1
        });
        self.by_edge.insert(key, number);
        self.edges.push(edge.clone());
        Ok(number)
    }
}

fn nowhere(edge: &Edge) -> Error {
    Error::Autograd(format!("bug in allotrope: the way out of a trace over {} is not known", edge.node().name()))
}

/// Sorts the histories of tensors into slots of a part and edges that lead out of it.
struct Ends {
    slots: Vec<Slot>,
    each: Vec<End>,
}

enum End {
    None,
    Slot(usize, Option<Repeated>),
    Out(Edge, Option<Repeated>),
}

impl Ends {
    /// To be called while the recorder is installed.
    fn of(capture: &Capture, border: u64, tensors: &[Tensor]) -> Result<Ends> {
        let mut ends = Ends { slots: Vec::new(), each: Vec::new() };
        for t in tensors {
            let Some(edge) = tape::own_edge(t) else {
                ends.each.push(End::None);
                continue;
            };
            let (edge, onto) = edge.split();
            let inner = capture.0.borrow_mut();
            let onto = onto.map(|o| Repeated {
                by: o.sum,
                shape: o.sizes.iter().map(|&s| inner.script.program().symbols.dim(s)).collect(),
            });
            if edge.node().seq() < border {
                ends.each.push(End::Out(edge, onto));
                continue;
            }
            let known = ends.slots.iter().position(|s| s.edge.id() == edge.id() && s.edge.output == edge.output);
            let slot = match known {
                Some(k) => k,
                None => {
                    let mut ty = inner.script.program().ty(t.dtype(), &t.sizes());
                    if let Some(onto) = &onto {
                        ty.shape = onto.shape.iter().cloned().collect();
                    }
                    ends.slots.push(Slot { edge, ty });
                    ends.slots.len() - 1
                }
            };
            ends.each.push(End::Slot(slot, onto));
        }
        Ok(ends)
    }

    fn histories(
        self,
        exits: &mut Exits,
        mut find: impl FnMut(&Edge) -> Result<Option<Exit>>,
    ) -> Result<(Vec<Slot>, Vec<History>)> {
        let each = self.each.into_iter().map(|end| {
            Ok(match end {
                End::None => History::None,
                End::Slot(k, onto) => History::Slot(k, onto),
                End::Out(edge, onto) => {
                    exits.number(&edge, &mut find)?.map_or(History::Lost, |i| History::Exit(i, onto))
                }
            })
        });
        let each = each.collect::<Result<Vec<History>>>()?;
        Ok((self.slots, each))
    }
}

impl Recorded {
    /// What is to be kept of a closure that has run on the traced `args` and returned these tensors as computed ones; none
    /// where none of them needs a gradient. `how` has the passes for the way back, and what that was in another recording. `watching` are the [`watchers`] of the arguments before. The recording gets loops that collect what the way back needs.
    pub(crate) fn new(
        capture: &Rc<Capture>,
        computed: &[Tensor],
        args: &[Tensor],
        watching: &[usize],
        border: u64,
        how: (&Passes, Option<&Graph>),
    ) -> Result<Option<Recorded>> {
        let (passes, like) = how;
        if !computed.iter().any(Tensor::is_requires_grad) {
            return Ok(None);
        }
        let (ends, values, arg_edges) = recording(capture, true, || {
            let values = computed.iter().map(|t| capture.0.borrow_mut().lift(t)).collect::<Result<Vec<Value>>>()?;
            let args = args.iter().map(tape::own_edge).collect::<Vec<_>>();
            Ok((Ends::of(capture, border, computed)?, values, args))
        })?;
        let retaining = computed.iter().map(Tensor::retains_grad).collect();
        let leaf = |edge: &Edge| {
            let leaf = edge.node().leaf()?;
            computed.iter().position(|t| t.is_same(&leaf))
        };
        let base = capture.0.borrow().clone();
        let draft = Draft::new(base, border, &ends.slots, like);
        let ways_out = match &draft {
            Ok(d) => d.tape.inner.ways_out.clone(),
            Err(_) => capture.0.borrow().ways_out.clone(),
        };
        let find = |edge: &Edge| -> Result<Option<Exit>> {
            if let Some(i) = arg_edges.iter().position(|e| e.as_ref().is_some_and(|e| e.id() == edge.id())) {
                return Ok(Some(Exit::Arg(i)));
            }
            if let Some((_, t)) = ways_out.get(&(edge.id(), edge.output)) {
                return Ok(Some(Exit::Outside(TraceHandle::new(t.clone()))));
            }
            match edge.node().seq() {
                0 => Ok(leaf(edge).map(Exit::Leaf)),
                _ => Err(nowhere(edge)),
            }
        };
        let mut exits = Exits::default();
        let (slots, mut histories) = ends.histories(&mut exits, find)?;
        for (history, t) in histories.iter_mut().zip(computed).filter(|(_, t)| t.is_requires_grad() && t.is_leaf()) {
            debug_assert!(t.traced().is_some());
            *history = History::Leaf;
        }
        let watched = |i: &usize| watchers(&args[*i]) != watching[*i];
        let made = draft.and_then(|draft| {
            for (edge, ..) in &draft.tape.departures {
                exits.number(edge, find)?;
            }
            let hooked = exits.exits.iter().find_map(|e| match e {
                Exit::Arg(i) if watched(i) => Some(*i),
                _ => None,
            });
            if let Some(i) = hooked {
                return Err(Error::Trace(format!(
                    "the closure registers a hook on its argument {i}, or retains its gradient, and a gradient comes to that \
                     from outside too, which is not seen inside; do it on the tensor outside"
                )));
            }
            Ok(draft)
        });
        let mut draft = match made {
            Ok(draft) => draft,
            Err(e) => {
                let (stage, outputs, walk) = (Err(e), Vec::new(), Graph::new());
                return Ok(Some(Recorded { stage, histories, retaining, outputs, walk }));
            }
        };
        let (mut keeps, mut outputs) = (Vec::new(), Vec::new());
        for &v in &draft.uses {
            let input = draft.inner.script.program().builders[0]
                .graph
                .as_ref()
                .and_then(|g| g.input_values().position(|i| i == v));
            keeps.push(match (input, values.iter().position(|r| *r == v)) {
                (Some(i), _) if i < draft.inner.sources.len() && !draft.inner.overwrites(i) => Keep::Input(i),
                (None, Some(j)) => Keep::Result(j),
                _ => {
                    outputs.push(v);
                    Keep::Output
                }
            });
        }
        {
            let mut inner = capture.0.borrow_mut();
            let (program, drafted) = (inner.script.program_mut(), draft.inner.script.program());
            program.builders[0].graph = drafted.builders[0].graph.clone();
            program.symbols = drafted.symbols.clone();
            inner.host_values.extend(draft.tape.inner.host_values.iter().cloned());
        }
        let walk = std::mem::take(&mut draft.walk);
        let stage = Ok(Arc::new(Stage::new(draft, border, slots, exits, keeps, passes, args.to_vec())?));
        Ok(Some(Recorded { stage, histories, retaining, outputs, walk }))
    }
}

/// How many look at the gradient of a traced argument.
pub(crate) fn watchers(arg: &Tensor) -> usize {
    let hooks = match arg.grad_fn() {
        None => arg.leaf_hooks(false),
        Some(edge) => edge.node().hooks().and_then(|h| h.get()).cloned(),
    };
    hooks.map_or(0, |h| h.len()) + usize::from(arg.retains_grad())
}

impl Inner {
    /// Whether the program changes the elements of input `i` in place, so that they are others when it has run.
    fn overwrites(&self, i: usize) -> bool {
        match &self.sources[i] {
            Source::State(t) => {
                let storage = |t: &Tensor| t.strided().map(|s| Arc::as_ptr(&s.storage));
                self.states.iter().any(|s| s.changes > 0 && storage(&s.tensor) == storage(t))
            }
            Source::Arg(i) => {
                let changed = std::sync::atomic::Ordering::Relaxed;
                self.args_by_cell.values().any(|(cell, arg)| arg == i && cell.version.load(changed) > 0)
            }
            _ => false,
        }
    }
}

impl Stage {
    fn new(
        draft: Draft,
        border: u64,
        slots: Vec<Slot>,
        exits: Exits,
        keeps: Vec<Keep>,
        passes: &Passes,
        args: Vec<Tensor>,
    ) -> Result<Stage> {
        let mut inner = draft.inner;
        // The arguments of one call, and their history, are nobody's business later.
        inner.callers.clear();
        let stage = Stage {
            inner,
            border,
            exits: exits.exits,
            by_edge: exits.by_edge,
            _edges: exits.edges,
            by_value: draft.uses.iter().enumerate().map(|(i, v)| (*v, i)).collect(),
            keeps,
            saving: draft.tape.saving.clone(),
            walks: Mutex::default(),
            passes: *passes,
            _args: args,
            slots: Mutex::default(),
        };
        let pattern = vec![Given::Plain; slots.len()];
        *stage.slots.lock() = slots;
        let first = stage.made(draft.tape, pattern, None)?;
        stage.walks.lock().push(Arc::new(first));
        Ok(stage)
    }

    /// The walk for the gradients given, recorded where there is none yet.
    ///
    /// # Errors
    /// When it can't be recorded, or only for other sizes.
    pub(crate) fn walk(self: &Arc<Stage>, pattern: &[Given], noted: bool, binding: &[usize]) -> Result<Arc<Walk>> {
        let fits = |w: &&Arc<Walk>| w.noted == noted && w.is_for(pattern) && w.holds(binding);
        if let Some(walk) = self.walks.lock().iter().find(fits) {
            return Ok(Arc::clone(walk));
        }
        let slots = self.slots.lock().clone();
        let tape = walk(&self.inner, self.border, &slots, pattern, noted)?;
        let made = Arc::new(self.made(tape, pattern.to_vec(), noted.then_some(self))?);
        if !made.holds(binding) {
            return Err(Error::Trace(
                "a derivative made a number of a size that was another one when the traced function was recorded; give that \
                 argument the same size on every call, or use sizes() in the derivative"
                    .into(),
            ));
        }
        let mut walks = self.walks.lock();
        if walks.len() == WALKS {
            walks.remove(0);
        }
        walks.push(Arc::clone(&made));
        Ok(made)
    }

    /// The number of the slot of this edge of the part.
    fn slot(&self, edge: &Edge, ty: &Type) -> Option<usize> {
        if edge.node().seq() < self.border {
            return None;
        }
        let mut slots = self.slots.lock();
        let known = slots.iter().position(|s| s.edge.id() == edge.id() && s.edge.output == edge.output);
        Some(known.unwrap_or_else(|| {
            slots.push(Slot { edge: edge.clone(), ty: ty.clone() });
            slots.len() - 1
        }))
    }

    /// A walk that has been recorded; with `below`, which is this, one that can be differentiated again.
    fn made(&self, mut tape: Tape, pattern: Vec<Given>, below: Option<&Arc<Stage>>) -> Result<Walk> {
        let mark = self.inner.script.program().builders[0].graph.as_ref().map_or(0, Graph::len);
        let host_values = tape.inner.host_values.clone();
        let departures = std::mem::take(&mut tape.departures);
        let mut values: Vec<Value> = Vec::new();
        for (_, v, _) in &departures {
            if self.feed(&mut tape, *v).is_err() && !values.contains(v) {
                values.push(*v);
            }
        }
        let computed = values.len();
        let mut above = None;
        let mut whole = tape.inner.script.program_mut().root().clone();
        if let Some(below) = below {
            above = Some(self.above(below, &mut tape, &departures, &mut values, &mut whole));
        }
        let Part { graph, feeds } = partition(&whole, mark, &values);
        let mut feeds = feeds.into_iter().map(|v| self.feed(&mut tape, v)).collect::<Result<Vec<Feed>>>()?;
        let departures = departures.iter().map(|(edge, v, _)| {
            let exit = match self.by_edge.get(&(edge.id(), edge.output)) {
                Some(exit) => *exit,
                None if edge.node().seq() == 0 && edge.node().leaf().is_some_and(|t| t.traced().is_some()) => None,
                None => return Err(nowhere(edge)),
            };
            let origin = match values[..computed].iter().position(|c| c == v) {
                Some(i) => Origin::Output(i),
                None => {
                    feeds.push(self.feed(&mut tape, *v)?);
                    Origin::Feed(feeds.len() - 1)
                }
            };
            Ok((exit, origin))
        });
        let departures = departures.collect::<Result<Vec<_>>>()?;
        let sizes = self.inner.script.program().symbols.bounds_of(&tape.inner.script.program().symbols);
        let (noted, saving, program) = (below.is_some(), tape.saving, OnceLock::new());
        Ok(Walk { pattern, noted, host_values, sizes, graph, feeds, saving, departures, above, program })
    }

    /// Where a walk has a value from that it does not compute.
    fn feed(&self, tape: &mut Tape, v: Value) -> Result<Feed> {
        if let Some(k) = tape.given.get(&v) {
            return Ok(Feed::Gradient(*k));
        }
        if let Some(i) = self.by_value.get(&v) {
            return Ok(Feed::Kept(*i));
        }
        let input = tape.inner.script.program_mut().root().input_values().position(|i| i == v);
        match input.filter(|i| *i >= self.inner.sources.len()).map(|i| &tape.inner.sources[i]) {
            Some(Source::State(t)) => Ok(Feed::State(t.clone())),
            Some(Source::Grad(t)) => Ok(Feed::Grad(t.clone())),
            _ => Err(Error::Autograd(
                "this way back through a traced function needs a value that its call has not kept; compute the gradient \
                 inside the closure"
                    .into(),
            )),
        }
    }

    /// The part that a walk is whose gradients can be differentiated again. What that has to keep is added to `values`.
    fn above(
        &self,
        below: &Arc<Stage>,
        tape: &mut Tape,
        departures: &[(Edge, Value, Tensor)],
        values: &mut Vec<Value>,
        whole: &mut Graph,
    ) -> Result<(Arc<Stage>, Vec<History>)> {
        let gradients: Vec<Tensor> = departures.iter().map(|(.., g)| g.clone()).collect();
        let mut base = tape.inner.clone();
        base.sealed = 0;
        let capture = Rc::new(Capture(std::cell::RefCell::new(base)));
        let ends = recording(&capture, true, || Ends::of(&capture, tape.begun, &gradients))?;
        let base = Rc::into_inner(capture).expect("the recorder is no longer installed").0.into_inner();
        let mut draft = Draft::new(base, tape.begun, &ends.slots, Some(&Graph::new()))?;
        let mut exits = Exits::default();
        let ways_out = draft.tape.inner.ways_out.clone();
        let types: HashMap<(usize, u32), Type> = {
            let departures = std::mem::take(&mut draft.tape.departures);
            let root = draft.tape.inner.script.program_mut().root();
            let types = departures.iter().map(|(e, v, _)| ((e.id(), e.output), root.ty(*v).clone())).collect();
            draft.tape.departures = departures;
            types
        };
        let find = |edge: &Edge| -> Result<Option<Exit>> {
            let key = (edge.id(), edge.output);
            if let Some((_, k)) = tape.leaves.iter().find(|(leaf, _)| leaf.id() == edge.id()) {
                return Ok(Some(Exit::Gradient(*k)));
            }
            if let Some(known) = self.by_edge.get(&key) {
                return Ok(known.map(Exit::Below));
            }
            if let Some((_, t)) = ways_out.get(&key) {
                return Ok(Some(Exit::Outside(TraceHandle::new(t.clone()))));
            }
            match types.get(&key).and_then(|ty| below.slot(edge, ty)) {
                Some(k) => Ok(Some(Exit::Slot(k))),
                None if edge.node().seq() == 0 => Ok(None),
                None => Err(nowhere(edge)),
            }
        };
        let (slots, histories) = ends.histories(&mut exits, find)?;
        for (edge, ..) in &draft.tape.departures {
            exits.number(edge, find)?;
        }
        let mut keeps = Vec::new();
        for v in &draft.uses {
            keeps.push(match self.feed(tape, *v) {
                Ok(Feed::Gradient(k)) => Keep::Gradient(k),
                Ok(Feed::Kept(i)) => Keep::Below(i),
                _ => match values.iter().position(|known| known == v) {
                    Some(j) => Keep::Result(j),
                    None => {
                        values.push(*v);
                        Keep::Output
                    }
                },
            });
        }
        *whole = draft.inner.script.program_mut().root().clone();
        let stage = Stage::new(draft, tape.begun, slots, exits, keeps, &self.passes, Vec::new())?;
        Ok((Arc::new(stage), histories))
    }
}

impl Walk {
    fn is_for(&self, pattern: &[Given]) -> bool {
        let n = self.pattern.len().max(pattern.len());
        let at = |p: &[Given], i: usize| p.get(i).copied().unwrap_or(Given::No);
        (0..n).all(|i| at(&self.pattern, i) == at(pattern, i))
    }

    fn holds(&self, binding: &[usize]) -> bool {
        let sizes = self.sizes.iter().all(|b| match b {
            Bound::Equal(sym, dim) => binding[sym.0 as usize] == dim.eval(binding),
            Bound::AtLeast(dim, least) => dim.eval(binding) >= *least,
        });
        sizes && self.host_values.iter().all(|v| v.holds())
    }
}

impl crate::capture::symbols::Symbols {
    /// What `later`, a copy of these that knows more, demands besides.
    fn bounds_of(&self, later: &crate::capture::symbols::Symbols) -> Vec<Bound> {
        let solved = later.solved_besides(self).map(|(sym, dim)| Bound::Equal(sym, dim));
        let least = later.least.iter().skip(self.least.len()).map(|(dim, least)| Bound::AtLeast(dim.clone(), *least));
        solved.chain(least).collect()
    }
}
