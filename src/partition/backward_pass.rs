//! Recording backward passes through a part of a program, on copies of its recording. What they compute is not cut off
//! from it here.

use crate::autograd::engine::{self, Broken, PartPass, Root};
use crate::autograd::reach::Reach;
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
    /// Why it can't be run from outside, although it could be recorded.
    pub(super) refused: Option<Error>,
    /// The incoming gradients, by which the recording knows them.
    _tensors: Vec<Tensor>,
}

/// Where a backward pass goes.
#[derive(Clone, Copy)]
pub(super) struct Course<'a> {
    /// The values that gradients may come in for, and which do.
    pub(super) incoming: &'a [Incoming],
    pub(super) pattern: &'a [IncomingGradient],
    pub(super) create_graph: bool,
    /// The node whose hooks have been called before.
    pub(super) hooks_of: Option<u64>,
    /// Whether it ends when the hooks of the first node have been called.
    pub(super) hooks_only: bool,
    /// It ends before nodes with a smaller number.
    pub(super) first_seq: u64,
    /// It goes only where it comes to one of these edges, none of which leads to a node with a number below this one.
    pub(super) targets: Option<(&'a [Edge], u64)>,
    /// It goes around these nodes, and finds more of them.
    pub(super) broken: Option<&'a RefCell<Broken>>,
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
    /// Records a pass on a copy of `base`.
    pub(super) fn record(base: &CaptureState, course: Course<'_>) -> Result<BackwardPass> {
        let mut state = base.clone();
        state.sealed = state.replay.graphs_mut().root().len() as u32;
        state.draws = vec![Vec::new()];
        state.host_values.clear();
        state.grads.iter_mut().for_each(|g| g.changed = false);
        let capture = Rc::new(Capture(RefCell::new(state)));
        let recorded = capture.recording(|| {
            with_grad_enabled(course.create_graph, || {
                let (mut roots, mut gradients) = (Vec::new(), HashMap::new());
                let (mut leaves, mut tensors) = (Vec::new(), Vec::new());
                let came = course.incoming.iter().zip(course.pattern).enumerate();
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
                let reach =
                    course.targets.map(|(targets, first)| Reach::new(roots.iter().map(|r| &r.edge), targets, first));
                let Course { first_seq, hooks_of, hooks_only, broken, .. } = course;
                let pass = PartPass { first_seq, reach: reach.as_ref(), hooks_of, hooks_only, broken };
                let (left, saving) = engine::run_out(roots, pass, sum)?;
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
        let refused = refusal(&state);
        Ok(BackwardPass { state, begun, gradients, leaves, outgoing, saving, refused, _tensors: tensors })
    }
}

/// What a pass from outside must not do.
fn refusal(state: &CaptureState) -> Option<Error> {
    let drawn = state.draws.iter().any(|items| !items.is_empty());
    let what = match drawn {
        true => "random numbers are drawn",
        false if state.grads.iter().any(|g| g.changed) => "a gradient is set",
        false => return None,
    };
    Some(Error::trace(format!(
        "{what} in the backward pass through a traced function, by a hook, a derivative of the user's or a \
         checkpoint, where the gradient comes from outside; call backward() inside the closure"
    )))
}

/// The backward pass with every gradient, which says what a run of the part has to save. It goes around what can't be
/// differentiated: a pass that comes there is recorded later, and says why it fails; all others don't notice.
pub(super) struct FullBackward {
    /// The recording of the part, with loops that collect what the pass uses.
    pub(super) state: CaptureState,
    pub(super) pass: BackwardPass,
    /// What the pass computes.
    pub(super) graph: Graph,
    /// The values of the part and those before that it uses.
    pub(super) uses: Vec<Value>,
    /// The nodes that it went around, with why.
    pub(super) broken: Vec<(u64, Error)>,
}

impl FullBackward {
    /// `like` is the same pass of another recording, which is to be the same graph.
    pub(super) fn record(
        mut base: CaptureState,
        boundary: u64,
        incoming: &[Incoming],
        like: Option<&Graph>,
    ) -> Result<FullBackward> {
        let pattern = vec![IncomingGradient::Plain; incoming.len()];
        let broken = RefCell::default();
        let course = Course {
            incoming,
            pattern: &pattern,
            create_graph: false,
            hooks_of: None,
            hooks_only: false,
            first_seq: boundary,
            targets: None,
            broken: Some(&broken),
        };
        let mark = base.replay.graphs().whole().len();
        let record = || -> Result<(BackwardPass, Partition)> {
            let pass = around_what_fails(&base, course, &broken)?;
            let values: Vec<Value> = pass.outgoing.iter().map(|(_, v, _)| *v).collect();
            let part = partition(pass.state.replay.graphs().whole(), mark, &values);
            Ok((pass, part))
        };
        let (pass, part) = record()?;
        // A captured view may have looked at its history anew in between; what counts is that the same comes again.
        if like.is_some_and(|g| *g != part.graph) && record()?.1.graph != part.graph {
            return Err(Error::trace(
                "the backward pass through the closure was recorded twice and did something else the second time: a hook \
                 or a derivative of the user's depends on a Rust value that changes",
            ));
        }
        let broken = broken.into_inner().nodes;
        let (builder, after) = (base.replay.graphs_mut(), pass.state.replay.graphs());
        builder.scopes[0].graph = Some(after.whole().prefix(mark));
        builder.symbols = after.symbols.clone();
        // What a loop in a loop had recomputed around it stands in the body of that one now.
        for (before, after) in builder.scopes.iter_mut().zip(&after.scopes).filter(|(b, _)| b.parent != Some(0)) {
            before.hoisted = after.hoisted.clone();
        }
        // The incoming gradients are no values of the part, nor is what only the pass reads.
        let uses = part.saved.into_iter().filter(|v| (v.node.0 as usize) < mark).collect();
        Ok(FullBackward { state: base, pass, graph: part.graph, uses, broken })
    }
}

/// Records a pass until it meets no more nodes that fail. What such a node has left in a recording is not kept.
fn around_what_fails(base: &CaptureState, course: Course<'_>, broken: &RefCell<Broken>) -> Result<BackwardPass> {
    loop {
        let known = broken.borrow().nodes.len();
        let recorded = BackwardPass::record(base, course);
        let mut broken = broken.borrow_mut();
        match recorded {
            // A hook or a derivative of the user's has panicked.
            Err(e) => match std::mem::take(&mut broken.at) {
                0 => return Err(e),
                at => broken.nodes.push((at, e)),
            },
            Ok(pass) if broken.nodes.len() == known => return Ok(pass),
            Ok(_) => {}
        }
    }
}
