//! Recording backward passes through a part of a program, on copies of its recording. What they compute is not cut off
//! from it here.

use crate::autograd::engine::{self, Root};
use crate::autograd::tape;
use crate::autograd::with_grad_enabled;
use crate::capture::endpoints::Source;
use crate::capture::recorder::Capture;
use crate::capture::state::CaptureState;
use crate::error::{Error, Result};
use crate::ops::backward::sum;
use crate::partition::history::Incoming;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::grad_fn::next_seq;
use allotrope_ir::{Graph, Partition, Type, Value, partition};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Which gradient came in for a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum IncomingGradient {
    Absent,
    Plain,
    /// One that needs a gradient itself.
    Differentiable,
}

/// A gradient that leaves a part: over which edge, which value it is, and the traced tensor.
pub(super) type Outgoing = (Edge, Value, Tensor);

/// A backward pass as it has been recorded.
pub(super) struct BackwardPass {
    /// The recording of the part and, after it, of the pass.
    pub(super) state: CaptureState,
    /// Nodes of the tape from this number on are the pass's.
    pub(super) begun: u64,
    /// The incoming gradient that each of these values is, by number.
    pub(super) gradients: HashMap<Value, usize>,
    /// The leaf of each incoming gradient that needs one itself.
    pub(super) leaves: Vec<(Edge, usize)>,
    pub(super) outgoing: Vec<Outgoing>,
    /// The nodes that it goes through and that saved something, by number.
    pub(super) saving: Vec<u64>,
    /// The incoming gradients, by which the recording knows them.
    _tensors: Vec<Tensor>,
}

impl Capture {
    /// An incoming gradient, as an input of the whole program.
    fn incoming_gradient(&self, number: usize, ty: &Type) -> (Tensor, Value) {
        let mut state = self.0.borrow_mut();
        let value = state.replay.graphs_mut().gradient(number, ty);
        state.sources.push(Source::Gradient);
        let made = state.replay.graphs_mut().typed(0, value);
        (state.tensor(0, &made).expect("a gradient has the sizes of its result"), value)
    }
}

impl BackwardPass {
    /// Records the pass for the gradients that the pattern names on a copy of `base`, down to the nodes before `boundary`.
    pub(super) fn record(
        base: &CaptureState,
        boundary: u64,
        incoming: &[Incoming],
        pattern: &[IncomingGradient],
        create_graph: bool,
    ) -> Result<BackwardPass> {
        let mut state = base.clone();
        state.sealed = state.replay.graphs_mut().root().len() as u32;
        state.draws = vec![Vec::new()];
        state.host_values.clear();
        state.grads.iter_mut().for_each(|g| g.changed = false);
        let capture = Rc::new(Capture(RefCell::new(state)));
        let recorded = capture.recording(|| {
            with_grad_enabled(create_graph, || {
                let (mut roots, mut gradients) = (Vec::new(), HashMap::new());
                let (mut leaves, mut tensors) = (Vec::new(), Vec::new());
                let came = incoming.iter().zip(pattern).enumerate();
                for (k, (to, how)) in came.filter(|(_, (_, how))| **how != IncomingGradient::Absent) {
                    let (tensor, value) = capture.incoming_gradient(k, &to.ty);
                    gradients.insert(value, k);
                    if *how == IncomingGradient::Differentiable {
                        tensor.set_requires_grad(true);
                        leaves.extend(tape::own_edge(&tensor).map(|e| (e, k)));
                    }
                    roots.push(Root { edge: to.edge.clone(), gradient: tensor.clone() });
                    tensors.push(tensor);
                }
                let begun = next_seq();
                let (left, saving) = engine::run_out(roots, boundary, sum)?;
                let outgoing = left.into_iter().map(|(edge, gradient)| {
                    let value = capture.0.borrow_mut().lift(&gradient)?;
                    Ok((edge, value, gradient))
                });
                let outgoing = outgoing.collect::<Result<Vec<Outgoing>>>()?;
                Ok::<_, Error>((begun, gradients, leaves, outgoing, saving, tensors))
            })
        });
        let state = capture.into_state();
        let (begun, gradients, leaves, outgoing, saving, tensors) = recorded??;
        let drawn = state.draws.iter().any(|items| !items.is_empty());
        if drawn || state.grads.iter().any(|g| g.changed) {
            let what = if drawn { "random numbers are drawn" } else { "a gradient is set" };
            return Err(Error::Trace(format!(
                "{what} in the backward pass through a traced function, by a hook, a derivative of the user's or a \
                 checkpoint, where the gradient comes from outside; call backward() inside the closure"
            )));
        }
        Ok(BackwardPass { state, begun, gradients, leaves, outgoing, saving, _tensors: tensors })
    }
}

/// The backward pass with every gradient, which says what a run of the part has to save.
pub(super) struct FullBackward {
    /// The recording of the part, with loops that collect what the pass uses.
    pub(super) state: CaptureState,
    pub(super) pass: BackwardPass,
    /// What the pass computes.
    pub(super) graph: Graph,
    /// The values of the part and those before that it uses.
    pub(super) uses: Vec<Value>,
}

impl FullBackward {
    /// `like` is the same pass of another recording, which is to be the same graph.
    pub(super) fn record(
        mut base: CaptureState,
        boundary: u64,
        incoming: &[Incoming],
        like: Option<&Graph>,
    ) -> Result<FullBackward> {
        let all = vec![IncomingGradient::Plain; incoming.len()];
        let mark = base.replay.graphs().whole().len();
        let record = || -> Result<(BackwardPass, Partition)> {
            let pass = BackwardPass::record(&base, boundary, incoming, &all, false)?;
            let values: Vec<Value> = pass.outgoing.iter().map(|(_, v, _)| *v).collect();
            let part = partition(pass.state.replay.graphs().whole(), mark, &values);
            Ok((pass, part))
        };
        let (pass, part) = record()?;
        // A captured view may have looked at its history anew in between; what counts is that the same comes again.
        if like.is_some_and(|g| *g != part.graph) && record()?.1.graph != part.graph {
            return Err(Error::Trace(
                "the backward pass through the closure was recorded twice and did something else the second time: a hook \
                 or a derivative of the user's depends on a Rust value that changes"
                    .into(),
            ));
        }
        let (builder, after) = (base.replay.graphs_mut(), pass.state.replay.graphs());
        builder.scopes[0].graph = Some(after.whole().prefix(mark));
        builder.symbols = after.symbols.clone();
        // What a loop in a loop had recomputed around it stands in the body of that one now.
        for (before, after) in builder.scopes.iter_mut().zip(&after.scopes).filter(|(b, _)| b.parent != Some(0)) {
            before.hoisted = after.hoisted.clone();
        }
        // The incoming gradients are no values of the part, nor is what only the pass reads.
        let uses = part.saved.into_iter().filter(|v| (v.node.0 as usize) < mark).collect();
        Ok(FullBackward { state: base, pass, graph: part.graph, uses })
    }
}
