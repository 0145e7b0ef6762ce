//! Backward passes through a traced call from outside: the results of a call have one node on the tape, which saves what
//! backward passes need and runs them as compiled code when gradients come in. It records nothing itself; the joint graph
//! does, once for each set of results whose gradients come together.

use crate::autograd::ended::ended;
use crate::autograd::saved::Saved;
use crate::autograd::tape::{self, Edges};
use crate::autograd::{is_grad_enabled, no_grad};
use crate::backend::CompileOptions;
use crate::capture::inline::inline;
use crate::capture::symbols::Binding;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::mode;
use crate::partition::backward_graph::{
    BackwardCode, BackwardGraph, BackwardInput, Origin, OwnHooks, Route, Wanted, Way,
};
use crate::partition::backward_pass::IncomingGradient;
use crate::partition::closure::{DeadEnd, PartitionedClosure};
use crate::partition::history::{Exit, History, Repeated};
use crate::partition::joint_graph::{JointGraph, SavedValue};
use crate::runtime::capacity::Capacities;
use crate::runtime::execute::{self, Code, Input, Inputs, Results, Stop};
use crate::runtime::specialize::WorkspacePool;
use crate::tensor::grad_fn::{Behind, Contributions, Edge, GradFn, Grads, Part, SumToSize, next_seq};
use crate::tensor::hooks::Hooks;
use crate::tensor::size::sizes_of;
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::passes::{Passes, optimize};
use allotrope_ir::{Graph, Type};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};

const NAME: &str = "TraceBackward";

/// What of a variant knows the backward passes from outside.
pub(crate) struct Backward {
    joint: Result<Arc<JointGraph>, Arc<DeadEnd>>,
    histories: Vec<History>,
    /// Whether computed results keep their gradients.
    retaining: Vec<bool>,
}

impl Backward {
    pub(crate) fn new(partitioned: PartitionedClosure) -> Backward {
        let PartitionedClosure { joint, histories, retaining, .. } = partitioned;
        Backward { joint, histories, retaining }
    }

    /// The inputs of the code that a call saves as handles, by number.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        let saved = self.joint.as_ref().map_or(&[][..], |joint| &joint.saved);
        saved.iter().filter_map(|v| if let SavedValue::Input(i) = v { Some(*i) } else { None })
    }

    /// Gives the computed results of a call their history; `change` is what the call does to that of the caller's tensors.
    pub(crate) fn attach(
        &self,
        args: &[&Tensor],
        saved: SavedForBackward,
        results: &Results,
        binding: &Binding,
        change: &dyn Fn(),
    ) {
        for (t, history) in results.iter().zip(&self.histories) {
            if let History::Leaf = history {
                t.set_requires_grad(true);
            }
        }
        let joint = match &self.joint {
            Ok(joint) => joint,
            Err(end) => {
                let node = DeadEndNode::new(end, args, change);
                // A tensor of the caller's that becomes a result leads to the node from now on, and not to where it came from.
                if results.iter().any(Tensor::has_grad_fn) {
                    node.edges();
                }
                let edge = Edge::new(Arc::new(node), 0);
                for (t, history) in results.iter().zip(&self.histories) {
                    if !matches!(history, History::None | History::Leaf) {
                        t.set_grad_fn(Some(edge.clone()));
                    }
                }
                return;
            }
        };
        let mut edges: Edges = joint.exits.iter().map(|exit| edge_out(exit, args)).collect();
        change();
        for (edge, exit) in edges.iter_mut().zip(&joint.exits) {
            match exit {
                Exit::Leaf(j) => *edge = tape::edge_of(&results[*j]),
                Exit::Changed(of) => *edge = tape::edge_of(of.of(args)),
                Exit::Arg(_) | Exit::Captured(_) | Exit::Lower(_) | Exit::Incoming(_) | Exit::Gradient(_) => {}
            }
        }
        let SavedForBackward { mut inputs, mut outputs } = saved;
        let saved = joint.saved.iter().map(|value| match value {
            SavedValue::Input(_) => Saved::operand(&inputs.next().expect("an input for each that is saved")),
            SavedValue::Result(j) => Saved::output(&results[*j], 0),
            SavedValue::Output => Saved::operand(&outputs.next().expect("an output for each that is saved")),
            SavedValue::Lower(_) | SavedValue::Gradient(_) => {
                unreachable!("bug in allotrope: a closure has no lower joint graph")
            }
        });
        let saved = saved.map(Arc::new).collect();
        let node = TraceNode::new(joint, edges, binding.clone(), saved);
        for (i, (t, history)) in results.iter().zip(&self.histories).enumerate() {
            set_history(t, history, &node, binding);
            if self.retaining[i] && !t.is_leaf_now() {
                t.set_retains_grad();
            }
        }
    }
}

/// What a call saves for backward passes: inputs as handles, and outputs, each in order.
pub(crate) struct SavedForBackward {
    pub(crate) inputs: std::vec::IntoIter<Tensor>,
    pub(crate) outputs: std::vec::IntoIter<Tensor>,
}

/// Where an exit of a closure leads in a call with these arguments, as far as that is known when the call begins.
fn edge_out(exit: &Exit, args: &[&Tensor]) -> Option<Edge> {
    match exit {
        Exit::Arg(i) => tape::edge_of(args[*i]),
        Exit::Captured(t) => tape::edge_of(t).map(|e| e.split().0),
        Exit::Leaf(_) | Exit::Changed(_) => None,
        Exit::Lower(_) | Exit::Incoming(_) | Exit::Gradient(_) => {
            unreachable!("bug in allotrope: a closure has no lower joint graph")
        }
    }
}

/// The node of a call through which no backward pass can go. A training step that is traced whole has one in every call, and
/// nobody goes there: where it would lead is not looked up before somebody asks.
struct DeadEndNode {
    seq: u64,
    end: Arc<DeadEnd>,
    /// The edges of the arguments among the exits.
    args: SmallVec<[Option<Edge>; 1]>,
    edges: OnceLock<Edges>,
    hooks: OnceLock<Arc<Hooks>>,
}

impl DeadEndNode {
    fn new(end: &Arc<DeadEnd>, args: &[&Tensor], change: &dyn Fn()) -> DeadEndNode {
        let of_args = end.exits.iter().filter(|exit| matches!(exit, Exit::Arg(_)));
        let mut edges: SmallVec<[Option<Edge>; 1]> = of_args.map(|exit| edge_out(exit, args)).collect();
        change();
        edges.extend(end.exits.iter().filter_map(|exit| match exit {
            Exit::Changed(of) => Some(tape::edge_of(of.of(args))),
            _ => None,
        }));
        DeadEndNode {
            seq: next_seq(),
            end: Arc::clone(end),
            args: edges,
            edges: OnceLock::new(),
            hooks: OnceLock::new(),
        }
    }
}

impl GradFn for DeadEndNode {
    fn seq(&self) -> u64 {
        self.seq
    }
    fn name(&self) -> &str {
        NAME
    }
    fn edges(&self) -> &[Option<Edge>] {
        self.edges.get_or_init(|| {
            let captured = self.end.exits.iter().filter(|exit| !matches!(exit, Exit::Arg(_) | Exit::Changed(_)));
            captured.map(|exit| edge_out(exit, &[])).chain(self.args.iter().cloned()).collect()
        })
    }
    fn vjp(&self, _: &Edge, _: &[Option<Tensor>], _: bool) -> Result<Grads> {
        Err(self.end.why.clone())
    }
    fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
        Some(&self.hooks)
    }
}

/// Gives a fresh tensor its history: a value of `node` that gradients come in for, or what lies behind it.
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
        History::Incoming(k, onto) => t.set_grad_fn(Some(repeated(Edge::new(node.clone(), *k as u32), onto))),
        History::Exit(i, onto) => t.set_grad_fn(node.edges[*i].clone().map(|e| repeated(e, onto))),
        History::Lost => {
            let nowhere = tape::node(NAME, SmallVec::new(), false, |_, _| Ok(Grads::new()));
            t.set_grad_fn(Some(Edge::new(nowhere, 0)));
        }
    }
}

type SavedList = SmallVec<[Arc<Saved>; 8]>;

/// What backward passes need.
struct SavedState {
    /// None when all of it has been freed.
    saved: Option<SavedList>,
    /// The nodes inside that a backward pass has gone through and that would have freed what they saved.
    freed: FxHashSet<u64>,
}

/// The node of one call, or of one backward pass whose gradients can be differentiated again.
struct TraceNode {
    seq: u64,
    joint: Arc<JointGraph>,
    edges: Edges,
    hooks: OnceLock<Arc<Hooks>>,
    binding: Binding,
    state: Mutex<SavedState>,
}

impl TraceNode {
    fn new(joint: &Arc<JointGraph>, edges: Edges, binding: Binding, saved: SavedList) -> Arc<TraceNode> {
        let state = Mutex::new(SavedState { saved: Some(saved), freed: FxHashSet::default() });
        let (joint, hooks) = (Arc::clone(joint), OnceLock::new());
        Arc::new(TraceNode { seq: next_seq(), joint, edges, hooks, binding, state })
    }

    /// The backward pass through the stages down to `oldest`.
    fn run(
        &self,
        me: &Edge,
        grads: &[Option<Tensor>],
        hooks: OwnHooks,
        oldest: u32,
        wanted: Option<&dyn Fn(&Edge) -> bool>,
        keep: bool,
    ) -> Result<Contributions> {
        let create_graph = is_grad_enabled();
        let given = |g: &Option<Tensor>| match g {
            None => IncomingGradient::Absent,
            Some(g) if create_graph && g.is_requires_grad() => IncomingGradient::Differentiable,
            Some(_) => IncomingGradient::Plain,
        };
        let pattern: SmallVec<[IncomingGradient; 4]> = grads.iter().map(given).collect();
        if pattern.iter().all(|g| *g == IncomingGradient::Absent) {
            return Ok(Vec::new());
        }
        let wanted = wanted.and_then(|wanted| self.wanted(me, oldest, wanted));
        let backward = self.joint.backward(Route { pattern, create_graph, hooks, oldest, wanted }, &self.binding)?;
        let saved = self.saved(&backward)?;
        let inputs = backward.inputs.iter().map(|input| match input {
            BackwardInput::Saved(i) => saved[*i].get(me),
            BackwardInput::Gradient(k) => Ok(grads[*k].clone().expect("the backward graph is for these gradients")),
            BackwardInput::State(t) => Ok(Tensor::clone(t)),
            BackwardInput::Grad(t) => t
                .stored_grad()
                .ok_or_else(|| Error::autograd("a hook of a traced function reads a gradient that is not there")),
        });
        let inputs = inputs.collect::<Result<Vec<Tensor>>>()?;
        let read = &inputs[..backward.graph.inputs().len()];
        let device = grads.iter().flatten().next().map_or(Device::Cpu, Tensor::device);
        let mut binding = self.binding.clone();
        let outputs = match mode::recorder() {
            Some(r) => no_grad(|| inline(r.as_ref(), &backward.graph, read, &binding))?,
            None => code(&backward, device, &self.joint.passes)?.run(read, &mut binding)?,
        };
        let tensor = |origin: &Origin| match origin {
            Origin::Output(i) => outputs[*i].clone(),
            Origin::Input(i) if create_graph || inputs[*i].is_requires_grad() => inputs[*i].alias(),
            Origin::Input(i) => inputs[*i].clone(),
        };
        let mut found: Vec<(Option<Way>, Tensor)> =
            backward.outgoing.iter().map(|(way, origin)| (*way, tensor(origin))).collect();
        if let Some(higher) = &backward.higher {
            self.differentiate(me, grads, &backward, higher, &saved, &outputs, &binding, &mut found);
        }
        if !keep {
            self.free(&backward);
        }
        let edge = |way: Way| match way {
            Way::Exit(i) => self.edges[i].clone(),
            Way::Value(k) => Some(me.to_output(k as u32)),
        };
        Ok(found.into_iter().filter_map(|(way, t)| Some((edge(way?)?, t))).collect())
    }

    /// The gradients that are wanted; none where those are all.
    fn wanted(&self, me: &Edge, oldest: u32, leads: &dyn Fn(&Edge) -> bool) -> Option<Wanted> {
        let all = self.edges.iter().flatten().all(leads);
        (!all).then(|| Wanted {
            edges: (0..self.edges.len()).filter(|i| self.edges[*i].as_ref().is_some_and(leads)).collect(),
            results: (self.joint.results())
                .filter(|k| self.joint.stage(*k) < oldest && leads(&me.to_output(*k)))
                .collect(),
        })
    }

    /// What is saved, if the backward pass goes through nothing that is freed.
    fn saved(&self, backward: &BackwardGraph) -> Result<SavedList> {
        let state = self.state.lock();
        match &state.saved {
            Some(saved) if state.freed.is_empty() || !backward.saving.iter().any(|seq| state.freed.contains(seq)) => {
                Ok(saved.clone())
            }
            // Where nothing was saved, there can be another backward pass.
            None if backward.needs_nothing_saved() => Ok(SavedList::new()),
            _ => Err(tape::freed(NAME)),
        }
    }

    /// The nodes inside free what they saved; when all have, it is dropped.
    fn free(&self, backward: &BackwardGraph) {
        if backward.saving.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let all = &self.joint.saving;
        // Most backward passes go through everything.
        if backward.saving != *all {
            state.freed.extend(&backward.saving);
            if !all.iter().all(|seq| state.freed.contains(seq)) {
                return;
            }
        }
        state.saved = None;
    }

    /// Gives the gradients found their own history.
    #[allow(clippy::too_many_arguments, reason = "all of one backward pass")]
    fn differentiate(
        &self,
        me: &Edge,
        grads: &[Option<Tensor>],
        backward: &BackwardGraph,
        higher: &Result<(Arc<JointGraph>, Vec<History>)>,
        saved: &SavedList,
        outputs: &[Tensor],
        binding: &Binding,
        found: &mut [(Option<Way>, Tensor)],
    ) {
        let (joint, histories) = match higher {
            Ok(higher) => higher,
            Err(e) => {
                let seq = next_seq();
                for (_, t) in found.iter_mut() {
                    let why = e.clone();
                    *t = t.alias();
                    t.set_grad_fn(Some(ended(seq, NAME, move || why.clone())));
                }
                return;
            }
        };
        let edge = |exit: &Exit| match exit {
            Exit::Lower(i) => self.edges[*i].clone(),
            Exit::Incoming(k) => Some(me.to_output(*k as u32)),
            Exit::Gradient(k) => grads[*k].as_ref().and_then(tape::edge_of),
            Exit::Captured(t) => tape::edge_of(t).map(|e| e.split().0),
            Exit::Arg(_) | Exit::Changed(_) | Exit::Leaf(_) => {
                unreachable!("bug in allotrope: a backward pass has no arguments")
            }
        };
        let edges = joint.exits.iter().map(edge).collect();
        let mut extra = outputs[backward.gradients()..].iter();
        let saved = joint.saved.iter().map(|value| match value {
            SavedValue::Lower(i) => Arc::clone(&saved[*i]),
            SavedValue::Gradient(k) => {
                Arc::new(Saved::operand(grads[*k].as_ref().expect("the backward graph is for these gradients")))
            }
            SavedValue::Result(j) => Arc::new(Saved::output(&outputs[*j], 0)),
            SavedValue::Output => Arc::new(Saved::operand(extra.next().expect("an output for each that is saved"))),
            SavedValue::Input(_) => unreachable!("bug in allotrope: the lower joint graph saves the inputs"),
        });
        let node = TraceNode::new(joint, edges, binding.clone(), saved.collect());
        for ((_, t), history) in found.iter_mut().zip(histories) {
            if !matches!(history, History::None) {
                *t = t.alias();
            }
            set_history(t, history, &node, binding);
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
        unreachable!("bug in allotrope: a traced call is a part of a program")
    }
    fn part(&self) -> Option<&dyn Part> {
        Some(self)
    }
    fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
        Some(&self.hooks)
    }
}

impl Part for TraceNode {
    fn stage(&self, output: u32) -> u32 {
        self.joint.stage(output)
    }
    fn seq(&self, output: u32) -> u64 {
        self.joint.seq(output)
    }
    fn behind(&self, output: u32) -> Arc<Behind> {
        self.joint.behind(output)
    }
    fn call_hooks(&self, me: &Edge, grads: &mut [Option<Tensor>]) -> Result<bool> {
        let stage = self.joint.stage(me.output);
        let Some(results) = self.joint.hooked(stage) else { return Ok(false) };
        let of_results = |(k, g): (usize, &Option<Tensor>)| g.clone().filter(|_| results.contains(&(k as u32)));
        let given: SmallVec<[Option<Tensor>; 4]> = grads.iter().enumerate().map(of_results).collect();
        for (to, gradient) in self.run(me, &given, OwnHooks::Only, stage, None, true)? {
            grads[to.output as usize] = Some(gradient);
        }
        Ok(true)
    }
    fn backward(
        &self,
        me: &Edge,
        grads: &[Option<Tensor>],
        hooks_called: bool,
        oldest: u32,
        wanted: Option<&dyn Fn(&Edge) -> bool>,
        keep: bool,
    ) -> Result<Contributions> {
        let hooks = match hooks_called {
            true => OwnHooks::CalledBefore(self.joint.stage(me.output)),
            false => OwnHooks::Called,
        };
        self.run(me, grads, hooks, oldest, wanted, keep)
    }
}

/// Compiled code of a backward graph: every input is read, every output is a fresh tensor.
struct CompiledBackward {
    compiled: Code,
    outputs: Vec<Type>,
    workspaces: WorkspacePool,
    /// The number of its symbols. Those that the call does not know are capacities of loops that only this pass has, as where it
    /// recomputes them.
    symbols: usize,
    capacities: Capacities,
}

/// The code of a backward graph, made when it is first needed.
fn code<'a>(backward: &'a BackwardGraph, device: Device, passes: &Passes) -> Result<&'a dyn BackwardCode> {
    let compile = || Ok(Box::new(CompiledBackward::compile(&backward.graph, device, passes)?) as Box<dyn BackwardCode>);
    backward.code.get_or_init(compile).as_deref().map_err(Clone::clone)
}

impl CompiledBackward {
    fn compile(graph: &Graph, device: Device, passes: &Passes) -> Result<CompiledBackward> {
        let optimized = optimize(graph, passes);
        let compiled = execute::compile(device, &optimized, &CompileOptions::default())?;
        let outputs = optimized.outputs().iter().map(|o| optimized.ty(o.value).clone()).collect();
        let symbols = graph.symbols().last().map_or(0, |s| s.0 as usize + 1);
        let capacities = Capacities::new(&graph.capacities());
        Ok(CompiledBackward { compiled, outputs, workspaces: WorkspacePool::default(), symbols, capacities })
    }
}

impl BackwardCode for CompiledBackward {
    fn run(&self, inputs: &[Tensor], binding: &mut Binding) -> Result<Vec<Tensor>> {
        let known = binding.len();
        if known < self.symbols {
            binding.resize(self.symbols, 0);
            self.capacities.bind_from(known, binding);
        }
        let dense: SmallVec<[Tensor; 16]> = inputs.iter().map(eval::contiguous).collect::<Result<_>>()?;
        let inputs: Inputs<'_> = dense.iter().map(|t| Input::new(t, false)).collect();
        loop {
            let done = self.workspaces.with(&self.compiled, binding, |workspace| {
                let fresh = self.outputs.iter().map(|ty| execute::output(self.compiled.device, ty, binding));
                let mut outputs = fresh.collect::<Result<Vec<Tensor>>>()?;
                workspace.run(&self.compiled, |code, binding, scratch| {
                    execute::run(code, binding, &inputs, &mut outputs, scratch, None).map(|_| outputs)
                })
            });
            match done {
                Ok(outputs) => return Ok(outputs),
                Err(Stop::Error(e)) => return Err(e),
                Err(Stop::Full(limit)) => self.capacities.grow(&limit, &self.compiled, binding)?,
            }
        }
    }
}
