//! Gradients through a traced call from outside: the results of a call have one node on the tape, which keeps what the way
//! back needs and runs it as compiled code when gradients come. It records nothing itself; `stage` does, once for each set
//! of results whose gradients come together.

use crate::autograd::saved::Saved;
use crate::autograd::tape;
use crate::autograd::tape::Edges;
use crate::autograd::{is_grad_enabled, no_grad};
use crate::backend::cpu::{Compiled, Options};
use crate::capture::inline::replay;
use crate::error::{Error, Result};
use crate::mode;
use crate::partition::stage::{Exit, Feed, Given, History, Keep, Origin, Recorded, Repeated, Stage, Walk};
use crate::runtime::call::{Results, bytes_of};
use crate::runtime::guards::Binding;
use crate::runtime::specialize as hot;
use crate::schedule::program::Failure;
use crate::tensor::grad_fn::{Contributions, Edge, GradFn, Grads, SumToSize, next_seq};
use crate::tensor::hooks::Hooks;
use crate::tensor::size::sizes_of;
use crate::tensor::storage::{Buffer, ReadGuard};
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::passes::{Passes, optimize};
use allotrope_ir::{Graph, Type};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};

const NAME: &str = "TraceBackward";

/// What of a variant knows the way back from outside.
pub(crate) struct Outer {
    stage: Result<Arc<Stage>>,
    histories: Vec<History>,
    /// Whether computed results keep their gradients.
    retaining: Vec<bool>,
    /// Stands for a history that has no way back: results whose way back can't be recorded have it.
    end: OnceLock<Edge>,
}

impl Outer {
    pub(crate) fn new(recorded: Recorded) -> Outer {
        let Recorded { stage, histories, retaining, .. } = recorded;
        Outer { stage, histories, retaining, end: OnceLock::new() }
    }

    /// The inputs of the program that a call must keep as they are, by number.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        let keeps = self.stage.as_ref().map_or(&[][..], |s| &s.keeps);
        keeps.iter().filter_map(|k| if let Keep::Input(i) = k { Some(*i) } else { None })
    }

    /// Gives the computed results of a call their history.
    pub(crate) fn attach(&self, args: &[&Tensor], kept: Kept, results: &Results, binding: &Binding) {
        for (t, history) in results.iter().zip(&self.histories) {
            if let History::Leaf = history {
                t.set_requires_grad(true);
            }
        }
        let stage = match &self.stage {
            Ok(stage) => stage,
            Err(e) => {
                let edge = self.end.get_or_init(|| dead_end(e.clone()));
                for (t, history) in results.iter().zip(&self.histories) {
                    if !matches!(history, History::None | History::Leaf) {
                        t.set_grad_fn(Some(edge.clone()));
                    }
                }
                return;
            }
        };
        let edge = |exit: &Exit| match exit {
            Exit::Arg(i) => tape::edge_of(args[*i]),
            Exit::Outside(t) => tape::edge_of(t).map(|e| e.split().0),
            Exit::Leaf(j) => tape::edge_of(&results[*j]),
            Exit::Below(_) | Exit::Slot(_) | Exit::Gradient(_) => {
                unreachable!("bug in allotrope: nothing is below a closure")
            }
        };
        let edges = stage.exits.iter().map(edge).collect();
        let Kept { mut inputs, mut outputs } = kept;
        let saved = stage.keeps.iter().map(|keep| match keep {
            Keep::Input(_) => Saved::operand(&inputs.next().expect("an input for each that is kept")),
            Keep::Result(j) => Saved::output(&results[*j], 0),
            Keep::Output => Saved::operand(&outputs.next().expect("an output for each that is kept")),
            Keep::Below(_) | Keep::Gradient(_) => unreachable!("bug in allotrope: nothing is below a closure"),
        });
        let saved = saved.map(Arc::new).collect();
        let node = TraceNode::new(stage, edges, binding.clone(), saved);
        for (i, (t, history)) in results.iter().zip(&self.histories).enumerate() {
            set_history(t, history, &node, binding);
            if self.retaining[i] && !t.is_leaf() {
                t.set_retains_grad();
            }
        }
    }
}

/// What a call has for the way back: inputs as handles, and outputs, each in order.
pub(crate) struct Kept {
    pub(crate) inputs: std::vec::IntoIter<Tensor>,
    pub(crate) outputs: std::vec::IntoIter<Tensor>,
}

/// An edge whose walk fails.
fn dead_end(e: Error) -> Edge {
    Edge::new(tape::node(NAME, SmallVec::new(), false, move |_, _| Err(e.clone())), 0)
}

/// Gives a fresh tensor its history: a slot of `node`, or what lies behind it.
fn set_history(t: &Tensor, history: &History, node: &Arc<TraceNode>, binding: &Binding) {
    let repeated = |edge: Edge, onto: &Option<Repeated>| match onto {
        None => edge,
        Some(Repeated { by, shape }) => {
            let shape: Dims = shape.iter().map(|d| d.eval(binding)).collect();
            edge.repeated(SumToSize { sizes: sizes_of(&shape), sum: *by })
        }
    };
    match history {
        History::None | History::Leaf => {}
        History::Slot(k, onto) => t.set_grad_fn(Some(repeated(Edge::new(node.clone(), *k as u32), onto))),
        History::Exit(i, onto) => t.set_grad_fn(node.edges[*i].clone().map(|e| repeated(e, onto))),
        History::Lost => {
            let nowhere = tape::node(NAME, SmallVec::new(), false, |_, _| Ok(Grads::new()));
            t.set_grad_fn(Some(Edge::new(nowhere, 0)));
        }
    }
}

type SavedList = SmallVec<[Arc<Saved>; 8]>;

/// What the walks back need.
struct Shelf {
    /// None when all of it has been let go.
    saved: Option<SavedList>,
    /// The nodes inside that have been walked through and would have let go of what they saved.
    gone: FxHashSet<u64>,
}

/// The node of one call, or of one walk back whose gradients can be differentiated again.
struct TraceNode {
    seq: u64,
    stage: Arc<Stage>,
    edges: Edges,
    hooks: OnceLock<Arc<Hooks>>,
    binding: Binding,
    shelf: Mutex<Shelf>,
}

impl TraceNode {
    fn new(stage: &Arc<Stage>, edges: Edges, binding: Binding, saved: SavedList) -> Arc<TraceNode> {
        let shelf = Mutex::new(Shelf { saved: Some(saved), gone: FxHashSet::default() });
        let (stage, hooks) = (Arc::clone(stage), OnceLock::new());
        Arc::new(TraceNode { seq: next_seq(), stage, edges, hooks, binding, shelf })
    }

    fn walk_back(&self, me: &Edge, grads: &[Option<Tensor>], keep: bool) -> Result<Contributions> {
        let noted = is_grad_enabled();
        let given = |g: &Option<Tensor>| match g {
            None => Given::No,
            Some(g) if noted && g.is_requires_grad() => Given::Noted,
            Some(_) => Given::Plain,
        };
        let pattern: SmallVec<[Given; 4]> = grads.iter().map(given).collect();
        if pattern.iter().all(|g| *g == Given::No) {
            return Ok(Vec::new());
        }
        let walk = self.stage.walk(&pattern, noted, &self.binding)?;
        let saved = self.saved(&walk)?;
        let feeds = walk.feeds.iter().map(|feed| match feed {
            Feed::Kept(i) => saved[*i].get(me),
            Feed::Gradient(k) => Ok(grads[*k].clone().expect("the walk is for these gradients")),
            Feed::State(t) => Ok(Tensor::clone(t)),
            Feed::Grad(t) => t.stored_grad().ok_or_else(|| {
                Error::Autograd("a hook of a traced function reads a gradient that is not there".into())
            }),
        });
        let feeds = feeds.collect::<Result<Vec<Tensor>>>()?;
        let inputs = &feeds[..walk.graph.inputs().len()];
        let outputs = match mode::recorder() {
            Some(r) => no_grad(|| replay(r.as_ref(), &walk.graph, inputs, &self.binding))?,
            None => walk.program(&self.stage.passes)?.run(inputs, &self.binding)?,
        };
        let tensor = |origin: &Origin| match origin {
            Origin::Output(i) => outputs[*i].clone(),
            Origin::Feed(i) if noted || feeds[*i].is_requires_grad() => feeds[*i].alias(),
            Origin::Feed(i) => feeds[*i].clone(),
        };
        let mut found: Vec<(Option<usize>, Tensor)> =
            walk.departures.iter().map(|(exit, origin)| (*exit, tensor(origin))).collect();
        if let Some(above) = &walk.above {
            self.note(me, grads, &walk, above, &saved, &outputs, &mut found);
        }
        if !keep {
            self.let_go(&walk);
        }
        Ok(found.into_iter().filter_map(|(exit, t)| Some((exit?, t))).collect())
    }

    /// What is saved, if the walk goes through nothing that has let go.
    fn saved(&self, walk: &Walk) -> Result<SavedList> {
        let shelf = self.shelf.lock();
        match &shelf.saved {
            Some(saved) if shelf.gone.is_empty() || !walk.saving.iter().any(|seq| shelf.gone.contains(seq)) => {
                Ok(saved.clone())
            }
            // A part that saved nothing can be walked through again.
            None if walk.needs_nothing() => Ok(SavedList::new()),
            _ => Err(tape::freed(NAME)),
        }
    }

    /// The nodes inside let go of what they saved; when all have, it is dropped.
    fn let_go(&self, walk: &Walk) {
        if walk.saving.is_empty() {
            return;
        }
        let mut shelf = self.shelf.lock();
        let all = &self.stage.saving;
        // Most walks go through everything.
        if walk.saving != *all {
            shelf.gone.extend(&walk.saving);
            if !all.iter().all(|seq| shelf.gone.contains(seq)) {
                return;
            }
        }
        shelf.saved = None;
    }

    /// Gives the gradients found their own history.
    #[allow(clippy::too_many_arguments, reason = "all of one walk")]
    fn note(
        &self,
        me: &Edge,
        grads: &[Option<Tensor>],
        walk: &Walk,
        above: &Result<(Arc<Stage>, Vec<History>)>,
        saved: &SavedList,
        outputs: &[Tensor],
        found: &mut [(Option<usize>, Tensor)],
    ) {
        let (stage, histories) = match above {
            Ok(above) => above,
            Err(e) => {
                let edge = dead_end(e.clone());
                for (_, t) in found.iter_mut() {
                    *t = t.alias();
                    t.set_grad_fn(Some(edge.clone()));
                }
                return;
            }
        };
        let edge = |exit: &Exit| match exit {
            Exit::Below(i) => self.edges[*i].clone(),
            Exit::Slot(k) => Some(me.to_output(*k as u32)),
            Exit::Gradient(k) => grads[*k].as_ref().and_then(tape::edge_of),
            Exit::Outside(t) => tape::edge_of(t).map(|e| e.split().0),
            Exit::Arg(_) | Exit::Leaf(_) => unreachable!("bug in allotrope: a walk back has no arguments"),
        };
        let edges = stage.exits.iter().map(edge).collect();
        let computed = walk.outputs();
        let mut extra = outputs[computed..].iter();
        let kept = stage.keeps.iter().map(|keep| match keep {
            Keep::Below(i) => Arc::clone(&saved[*i]),
            Keep::Gradient(k) => Arc::new(Saved::operand(grads[*k].as_ref().expect("the walk is for these gradients"))),
            Keep::Result(j) => Arc::new(Saved::output(&outputs[*j], 0)),
            Keep::Output => Arc::new(Saved::operand(extra.next().expect("an output for each that is kept"))),
            Keep::Input(_) => unreachable!("bug in allotrope: the inputs of a walk back are kept below"),
        });
        let node = TraceNode::new(stage, edges, self.binding.clone(), kept.collect());
        for ((_, t), history) in found.iter_mut().zip(histories) {
            if !matches!(history, History::None) {
                *t = t.alias();
            }
            set_history(t, history, &node, &self.binding);
        }
    }
}

impl GradFn for TraceNode {
    fn seq(&self) -> u64 {
        self.seq
    }
    fn name(&self) -> &str {
        NAME
    }
    fn edges(&self) -> &[Option<Edge>] {
        &self.edges
    }
    fn vjp(&self, _: &Edge, _: &[Option<Tensor>], _: bool) -> Result<Grads> {
        unreachable!("bug in allotrope: a traced call gives contributions")
    }
    fn contributions(&self, me: &Edge, grads: &[Option<Tensor>], keep: bool) -> Option<Result<Contributions>> {
        Some(self.walk_back(me, grads, keep))
    }
    fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
        Some(&self.hooks)
    }
}

impl Walk {
    fn needs_nothing(&self) -> bool {
        self.saving.is_empty() && self.above.is_none() && !self.feeds.iter().any(|f| matches!(f, Feed::Kept(_)))
    }

    /// The code, made when it is first needed.
    fn program(&self, passes: &Passes) -> Result<&Program> {
        self.program.get_or_init(|| Program::compile(&self.graph, passes)).as_ref().map_err(Clone::clone)
    }

    /// The number of outputs that are gradients.
    fn outputs(&self) -> usize {
        let each = self.departures.iter().map(|(_, origin)| if let Origin::Output(i) = origin { i + 1 } else { 0 });
        each.max().unwrap_or(0)
    }
}

/// Compiled code that changes nothing: every input is read, every output is a fresh tensor.
pub(crate) struct Program {
    code: Compiled,
    outputs: Vec<Type>,
    kept: hot::Kept,
}

impl Program {
    fn compile(graph: &Graph, passes: &Passes) -> Result<Program> {
        let optimized = optimize(graph, passes);
        let code = Compiled::compile(&optimized, &Options::default()).map_err(|e| Error::Compile(e.to_string()))?;
        let outputs = optimized.outputs().iter().map(|o| optimized.ty(o.value).clone()).collect();
        Ok(Program { code, outputs, kept: hot::Kept::default() })
    }

    /// Runs the code on inputs of its types.
    fn run(&self, inputs: &[Tensor], binding: &Binding) -> Result<Vec<Tensor>> {
        let dense: SmallVec<[Tensor; 16]> = inputs.iter().map(eval::contiguous).collect::<Result<_>>()?;
        let fresh = |ty: &Type| {
            let shape: Dims = ty.shape.iter().map(|d| d.eval(binding)).collect();
            eval::fresh(ty.dtype, &shape, eval::buffer_for(ty.dtype, shape.iter().product()))
        };
        let mut outputs: Vec<Tensor> = self.outputs.iter().map(fresh).collect();
        self.kept.turn(&self.code, binding, |turn| {
            turn.run(&self.code, |code, binding, scratch| {
                let held = dense.iter().map(|t| Ok(eval::strided(t)?.storage.read()));
                let held = held.collect::<Result<SmallVec<[ReadGuard<'_, Buffer>; 16]>>>()?;
                let mut call = code.call(binding);
                for (t, held) in dense.iter().zip(&held) {
                    call.input(&held.bytes()[bytes_of(t)]);
                }
                for t in &mut outputs {
                    let buffer = t.own_buffer().expect("an output tensor is in no other hands");
                    call.output(buffer.bytes_mut());
                }
                call.run(scratch.bytes_mut()).map_err(|failure| match failure {
                    Failure::Check(message) => Error::checked(message),
                    Failure::Iterations(limit) => {
                        Error::Trace(format!("bug in allotrope: a walk back has more than {limit} steps"))
                    }
                })
            })
        })?;
        Ok(outputs)
    }
}
