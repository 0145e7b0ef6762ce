//! One backward graph: what a backward pass through a joint graph computes for one set of gradients, cut off from the
//! recording, with where its inputs come from and where its outputs go. Its code is whoever's who compiles it.

use crate::capture::endpoints::Source;
use crate::capture::symbols::{Binding, Symbols};
use crate::error::{Error, Result};
use crate::mode::recorder::settings::HostValue;
use crate::partition::backward_pass::{BackwardPass, IncomingGradient};
use crate::partition::history::{History, key, unknown_exit};
use crate::partition::joint_graph::JointGraph;
use crate::tensor::Tensor;
use crate::tensor::trace_handle::TraceHandle;
use allotrope_ir::{Dim, Graph, Partition, Sym, Value, partition};
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};

/// Where an input of a backward graph comes from.
#[derive(Clone)]
pub(crate) enum BackwardInput {
    /// What a run of the joint graph saved in this place.
    Saved(usize),
    /// The gradient that came in for this value.
    Gradient(usize),
    /// A captured tensor that only this backward pass reads.
    State(TraceHandle),
    /// The gradient that a captured tensor has when the backward pass runs.
    Grad(TraceHandle),
}

/// What an outgoing gradient is.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Output(usize),
    Input(usize),
}

/// What else must hold of the sizes for a backward pass that was recorded later.
enum SizeCondition {
    Equal(Sym, Dim),
    AtLeast(Dim, usize),
}

/// Compiled code of a backward graph, which whoever runs it makes and keeps here.
pub(crate) trait BackwardCode: Send + Sync {
    /// The outputs for inputs of the graph's types; nothing is changed. The capacities of loops that only the pass has are
    /// added to the binding.
    ///
    /// # Errors
    /// Where a check of the program fails.
    fn run(&self, inputs: &[Tensor], binding: &mut Binding) -> Result<Vec<Tensor>>;
}

/// Where an outgoing gradient goes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// Out, by this exit.
    Exit(usize),
    /// To a value of an older stage.
    Value(usize),
}

/// The gradients that are wanted, where those are not all.
#[derive(Clone, PartialEq)]
pub(crate) struct Wanted {
    /// Those that leave by these exits.
    pub(crate) edges: Vec<usize>,
    /// Those of these results.
    pub(crate) results: Vec<u32>,
}

/// What a pass does with the hooks that the part itself has registered on the results that it begins with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum OwnHooks {
    Called,
    /// They have been called, those of this stage.
    CalledBefore(u32),
    /// It calls them and does nothing else.
    Only,
}

/// Which backward pass through a joint graph.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) pattern: SmallVec<[IncomingGradient; 4]>,
    /// Whether its gradients can be differentiated again.
    pub(crate) create_graph: bool,
    pub(crate) hooks: OwnHooks,
    /// The stage that it ends with; it began with the newest that has a gradient.
    pub(crate) oldest: u32,
    pub(crate) wanted: Option<Wanted>,
}

/// A backward pass through a joint graph, for one set of gradients.
pub(crate) struct BackwardGraph {
    route: Route,
    host_values: Vec<Arc<dyn HostValue>>,
    sizes: Vec<SizeCondition>,
    pub(crate) graph: Graph,
    /// Those of the graph, and after them outgoing gradients that it does not compute.
    pub(crate) inputs: Vec<BackwardInput>,
    /// The nodes that it goes through and that saved something, by number.
    pub(crate) saving: Vec<u64>,
    /// The outgoing gradients in order: where it goes, if anybody is there, and what it is.
    pub(crate) outgoing: Vec<(Option<Way>, Origin)>,
    /// The joint graph that this pass is, where it can be differentiated again, with the histories of the outgoing
    /// gradients; or why it can't.
    pub(crate) higher: Option<Result<(Arc<JointGraph>, Vec<History>)>>,
    pub(crate) code: OnceLock<Result<Box<dyn BackwardCode>>>,
}

impl BackwardInput {
    /// Where a backward pass has a value from that it does not compute.
    pub(super) fn of(joint: &JointGraph, pass: &BackwardPass, v: Value) -> Result<BackwardInput> {
        if let Some(k) = pass.gradients.get(&v) {
            return Ok(BackwardInput::Gradient(*k));
        }
        if let Some(i) = joint.by_value.get(&v) {
            return Ok(BackwardInput::Saved(*i));
        }
        let input = pass.state.replay.graphs().whole().input_values().position(|i| i == v);
        match input.filter(|i| *i >= joint.state.sources.len()).map(|i| &pass.state.sources[i]) {
            Some(Source::State(t)) => Ok(BackwardInput::State(t.clone())),
            Some(Source::Grad(t)) => Ok(BackwardInput::Grad(t.clone())),
            _ => Err(Error::autograd(
                "this backward pass through a traced function needs a value that its call has not saved; compute the \
                 gradient inside the closure",
            )),
        }
    }
}

impl BackwardGraph {
    /// Cuts a recorded pass off from the recording; with `differentiable`, which is `joint`, one that can be differentiated
    /// again.
    pub(super) fn new(
        joint: &JointGraph,
        pass: BackwardPass,
        route: Route,
        differentiable: Option<&Arc<JointGraph>>,
    ) -> Result<BackwardGraph> {
        let mark = joint.state.replay.graphs().whole().len();
        let mut values: Vec<Value> = Vec::new();
        for (_, v, _) in &pass.outgoing {
            if BackwardInput::of(joint, &pass, *v).is_err() && !values.contains(v) {
                values.push(*v);
            }
        }
        let computed = values.len();
        let mut whole = pass.state.replay.graphs().whole().clone();
        let higher = differentiable.map(|joint| joint.higher(&pass, &mut values, &mut whole));
        let Partition { graph, saved } = partition(&whole, mark, &values);
        let inputs = saved.into_iter().map(|v| BackwardInput::of(joint, &pass, v));
        let mut inputs = inputs.collect::<Result<Vec<BackwardInput>>>()?;
        let outgoing = pass.outgoing.iter().map(|(edge, v, _)| {
            let ty = pass.state.replay.graphs().whole().ty(*v);
            let way = match joint.by_edge.get(&key(edge)) {
                Some(exit) => exit.map(Way::Exit),
                None if let Some(k) = joint.number_of(edge, ty) => Some(Way::Value(k)),
                None if edge.node().seq() == 0 && edge.node().leaf().is_some_and(|t| t.traced().is_some()) => None,
                None => return Err(unknown_exit(edge)),
            };
            let origin = match values[..computed].iter().position(|c| c == v) {
                Some(i) => Origin::Output(i),
                None => {
                    inputs.push(BackwardInput::of(joint, &pass, *v)?);
                    Origin::Input(inputs.len() - 1)
                }
            };
            Ok((way, origin))
        });
        let outgoing = outgoing.collect::<Result<Vec<_>>>()?;
        Ok(BackwardGraph {
            route,
            sizes: conditions(&joint.state.replay.graphs().symbols, &pass.state.replay.graphs().symbols),
            host_values: pass.state.host_values,
            graph,
            inputs,
            saving: pass.saving,
            outgoing,
            higher,
            code: OnceLock::new(),
        })
    }

    /// Whether it is this pass.
    pub(super) fn is_for(&self, route: &Route) -> bool {
        let (a, b) = (&self.route, route);
        let n = a.pattern.len().max(b.pattern.len());
        let at = |p: &[IncomingGradient], i: usize| p.get(i).copied().unwrap_or(IncomingGradient::Absent);
        (a.create_graph, a.hooks, a.oldest, &a.wanted) == (b.create_graph, b.hooks, b.oldest, &b.wanted)
            && (0..n).all(|i| at(&a.pattern, i) == at(&b.pattern, i))
    }

    /// Whether a gradient leaves by this exit.
    pub(super) fn leaves_by(&self, exit: usize) -> bool {
        self.outgoing.iter().any(|(way, _)| *way == Some(Way::Exit(exit)))
    }

    /// Whether it stands for calls of these sizes, now.
    pub(super) fn holds(&self, binding: &[usize]) -> bool {
        let sizes = self.sizes.iter().all(|b| match b {
            SizeCondition::Equal(sym, dim) => binding[sym.0 as usize] == dim.eval(binding),
            SizeCondition::AtLeast(dim, least) => dim.eval(binding) >= *least,
        });
        sizes && self.host_values.iter().all(|v| v.holds())
    }

    /// Whether it can run where nothing is saved any more.
    pub(crate) fn needs_nothing_saved(&self) -> bool {
        let reads = |i: &BackwardInput| matches!(i, BackwardInput::Saved(_));
        self.saving.is_empty() && self.higher.is_none() && !self.inputs.iter().any(reads)
    }

    /// The number of outputs that are gradients; the others are saved.
    pub(crate) fn gradients(&self) -> usize {
        let each = self.outgoing.iter().map(|(_, origin)| if let Origin::Output(i) = origin { i + 1 } else { 0 });
        each.max().unwrap_or(0)
    }
}

/// What symbols, a copy of `before` that knows more, demand besides.
fn conditions(before: &Symbols, later: &Symbols) -> Vec<SizeCondition> {
    let solved = later.solved_besides(before).map(|(sym, dim)| SizeCondition::Equal(sym, dim));
    let least = later.least.iter().skip(before.least.len());
    let least = least.map(|(dim, least)| SizeCondition::AtLeast(dim.clone(), *least));
    solved.chain(least).collect()
}
