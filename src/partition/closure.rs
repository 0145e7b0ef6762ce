//! The partition of a closure that was recorded: what its calls save, and the history that its results have, for backward
//! passes that begin outside of it.

use crate::autograd::{tape, with_grad_enabled};
use crate::capture::endpoints::{CallerTensor, Source};
use crate::capture::recorder::Capture;
use crate::capture::state::CaptureState;
use crate::error::{Error, Result};
use crate::partition::history::{Ends, Exit, Exits, History, key, unknown_exit};
use crate::partition::joint_graph::{JointGraph, KnownEdges, SavedValue, partition};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use allotrope_ir::passes::Passes;
use allotrope_ir::{Graph, Value};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Why no backward pass can go through a closure, and where it would lead.
pub(crate) struct DeadEnd {
    pub(crate) why: Error,
    pub(crate) exits: Vec<Exit>,
}

/// A closure whose results have a history that gradients from outside go back through.
pub(crate) struct PartitionedClosure {
    pub(crate) joint: Result<Arc<JointGraph>, Arc<DeadEnd>>,
    /// One for each tensor that a call makes, then for each of the caller's that it changes into a result.
    pub(crate) histories: Vec<History>,
    /// Whether such a tensor keeps its gradient.
    pub(crate) retaining: Vec<bool>,
    /// The values that are outputs of the forward graph besides the results.
    pub(crate) outputs: Vec<Value>,
    /// The backward pass with every gradient.
    pub(crate) backward: Graph,
}

/// How the backward pass of a closure is recorded.
#[derive(Clone, Copy)]
pub(crate) struct BackwardOptions<'a> {
    /// The passes for backward graphs.
    pub(crate) passes: &'a Passes,
    /// The backward pass of another recording of the closure, which is to be the same.
    pub(crate) like: Option<&'a Graph>,
}

impl PartitionedClosure {
    /// Partitions a closure that has run on the traced `args`, and whose calls make these tensors, computed or as views, or
    /// change them in place so that they are results; none where none of them needs a gradient. `begun` are the arguments as they were before. The recording gets loops that
    /// collect what the backward pass needs.
    pub(crate) fn new(
        capture: &Rc<Capture>,
        made: &[(Tensor, bool)],
        args: &[Tensor],
        begun: &[BegunArgument],
        boundary: u64,
        options: BackwardOptions<'_>,
    ) -> Result<Option<PartitionedClosure>> {
        if !made.iter().any(|(t, _)| t.is_requires_grad()) {
            return Ok(None);
        }
        let tensors: Vec<Tensor> = made.iter().map(|(t, _)| t.clone()).collect();
        let (values, arg_edges) = capture.recording(|| {
            with_grad_enabled(true, || {
                let value =
                    |(t, computed): &(Tensor, bool)| computed.then(|| capture.0.borrow_mut().lift(t)).transpose();
                let values = made.iter().map(value).collect::<Result<Vec<Option<Value>>>>();
                let leaf = |(a, b): (&Tensor, &BegunArgument)| if b.is_result(a) { None } else { tape::own_edge(a) };
                (values, args.iter().zip(begun).map(leaf).collect::<Vec<_>>())
            })
        })?;
        let values = values?;
        let ends = Ends::of(capture, boundary, &tensors)?;
        let retaining = tensors.iter().map(Tensor::retains_grad).collect();
        let find = |known: &KnownEdges, edge: &Edge| -> Result<Option<Exit>> {
            let is_it = |e: Option<&Edge>| e.is_some_and(|e| e.id() == edge.id());
            if let Some(i) = begun.iter().position(|b| is_it(b.edge.as_ref())) {
                return Ok(Some(Exit::Arg(i)));
            }
            if let Some(i) = arg_edges.iter().position(|e| is_it(e.as_ref())) {
                return Ok(Some(Exit::Changed(CallerTensor::Arg(i))));
            }
            // A leaf that the closure made over captured elements is each call's own.
            let leaf = edge.node().leaf();
            if let Some(j) = leaf.and_then(|leaf| tensors.iter().position(|t| t.is_same(&leaf))) {
                return Ok(Some(Exit::Leaf(j)));
            }
            if let Some(exit) = known.captured(edge) {
                return Ok(Some(exit));
            }
            match edge.node().seq() {
                0 => Ok(None),
                _ => Err(unknown_exit(edge)),
            }
        };
        let mut outputs = Vec::new();
        let mut save = |state: &CaptureState, v: Value| {
            let input = state.replay.graphs().whole().input_values().position(|i| i == v);
            match (input, values.iter().position(|r| *r == Some(v))) {
                (Some(i), _) if i < state.sources.len() && !state.overwrites(i) => SavedValue::Input(i),
                (None, Some(j)) => SavedValue::Result(j),
                _ => {
                    outputs.push(v);
                    SavedValue::Output
                }
            }
        };
        let base = capture.0.borrow().clone();
        let (mut histories, parts) = partition(base, boundary, ends, options.like, &find, &mut save)?;
        // Not what only shows a leaf, and has no history of its own.
        let is_leaf = |t: &Tensor| t.stored_requires_grad() && t.is_leaf_now();
        for (history, _) in histories.iter_mut().zip(&tensors).filter(|(_, t)| is_leaf(t)) {
            *history = History::Leaf;
        }
        let mut parts = match parts {
            Ok(parts) => parts,
            Err(e) => return Ok(Some(PartitionedClosure::dead_end(e, Exits::default(), histories, retaining))),
        };
        if let Some(e) = parts.dead_end() {
            return Ok(Some(PartitionedClosure::dead_end(e.clone(), parts.exits, histories, retaining)));
        }
        parts.closed = watched(&parts.exits.exits, args, begun);
        {
            let mut state = capture.0.borrow_mut();
            let (builder, collecting) = (state.replay.graphs_mut(), parts.full.state.replay.graphs());
            builder.scopes[0].graph = collecting.scopes[0].graph.clone();
            builder.symbols = collecting.symbols.clone();
            state.host_values.extend(parts.full.pass.state.host_values.iter().cloned());
        }
        let backward = std::mem::take(&mut parts.full.graph);
        let joint = Ok(parts.into_joint_graph(
            boundary,
            options.passes,
            args.iter().filter(|a| a.traced().is_some()).cloned().collect(),
        )?);
        Ok(Some(PartitionedClosure { joint, histories, retaining, outputs, backward }))
    }

    /// One through which no backward pass can go, for which nothing is saved.
    fn dead_end(why: Error, exits: Exits, histories: Vec<History>, retaining: Vec<bool>) -> PartitionedClosure {
        let joint = Err(Arc::new(DeadEnd { why, exits: exits.exits }));
        PartitionedClosure { joint, histories, retaining, outputs: Vec::new(), backward: Graph::new() }
    }
}

/// A traced argument before the closure runs.
pub(crate) struct BegunArgument {
    /// Its history.
    edge: Option<Edge>,
    /// Whether that is what was computed, not the tensor itself.
    has_grad_fn: bool,
    watchers: usize,
}

impl BegunArgument {
    pub(crate) fn of(arg: &Tensor) -> BegunArgument {
        let traced = arg.traced().is_some();
        let mut begun = BegunArgument {
            edge: traced.then(|| tape::own_edge(arg)).flatten(),
            has_grad_fn: arg.has_grad_fn(),
            watchers: 0,
        };
        begun.watchers = begun.watchers(arg);
        begun
    }

    /// How many look at its gradient.
    fn watchers(&self, arg: &Tensor) -> usize {
        let hooks = match self.edge.as_ref().filter(|_| self.has_grad_fn) {
            None => arg.leaf_hooks(false),
            Some(edge) => edge.node().hooks().and_then(|h| h.get()).cloned(),
        };
        hooks.map_or(0, |h| h.len()) + usize::from(arg.retains_grad())
    }

    /// Whether the program has changed its history: given it another one, taken it away, or changed if gradients flow to it.
    pub(crate) fn is_changed(&self, arg: &Tensor) -> bool {
        self.edge.is_some() != arg.stored_requires_grad()
            || self.has_grad_fn != arg.has_grad_fn()
            || self.is_result(arg)
    }

    /// Whether what the program changed it by in place is its history now.
    pub(crate) fn is_result(&self, arg: &Tensor) -> bool {
        let same = |now: &Edge| self.edge.as_ref().is_some_and(|e| key(e) == key(now));
        arg.grad_fn().is_some_and(|now| !same(&now))
    }
}

/// The arguments that gradients leave to and that more look at than before, with why none may.
fn watched(exits: &[Exit], args: &[Tensor], before: &[BegunArgument]) -> Vec<(usize, Error)> {
    let closed = exits.iter().enumerate().filter_map(|(exit, to)| match to {
        Exit::Arg(i) if before[*i].watchers(&args[*i]) != before[*i].watchers => Some((exit, *i)),
        _ => None,
    });
    let why = |i: usize| {
        Error::trace(format!(
            "the closure registers a hook on its argument {i}, or retains its gradient, and a gradient comes to that \
             from outside too, which is not seen inside; do it on the tensor outside"
        ))
    };
    closed.map(|(exit, i)| (exit, why(i))).collect()
}

impl CaptureState {
    /// Whether the program changes the elements of input `i` in place, so that they are others when it has run.
    fn overwrites(&self, i: usize) -> bool {
        match &self.sources[i] {
            Source::State(t) => {
                let storage = |t: &Tensor| t.strided().map(|s| Arc::as_ptr(&s.storage));
                self.states.iter().any(|s| s.changes > 0 && storage(&s.tensor) == storage(t))
            }
            Source::Arg(i) => {
                self.args_by_cell.values().any(|(cell, arg)| arg == i && cell.version.load(Ordering::Relaxed) > 0)
            }
            _ => false,
        }
    }
}
