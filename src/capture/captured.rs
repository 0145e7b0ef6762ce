//! What a finished capture knows: the graph, where its inputs come from, where its outputs go, and how two recordings of
//! one closure differ. Nothing is recorded or run here.

use crate::capture::random::{Draws, Fills};
use crate::capture::state::Inner;
use crate::capture::symbols::Symbols;
use crate::mode::recorder::settings::HostValue;
use crate::partition::stage::Recorded;
use crate::tensor::Tensor;
use crate::tensor::trace_handle::TraceHandle;
use allotrope_ir::Graph;
use std::sync::Arc;

/// Where an input of the captured graph comes from on a call.
#[derive(Clone)]
pub(crate) enum Source {
    /// An argument of the closure.
    Arg(usize),
    /// A tensor from outside.
    State(TraceHandle),
    /// The gradient that a tensor from outside holds when the call begins.
    Grad(TraceHandle),
    /// The gradient that an argument holds when the call begins.
    ArgGrad(usize),
    /// Random numbers, new ones for each call.
    Draw,
    /// Data of the host in this call: a tensor that the closure made of it, or a number in the program.
    Data(Tensor),
    /// The gradient of a result, which comes from outside; only where a walk back from there is recorded.
    Gradient,
}

/// A tensor of the caller's.
#[derive(Clone)]
pub(crate) enum Whose {
    Arg(usize),
    Outside(TraceHandle),
}

/// What one recording says of tensors: where the inputs of the graph come from, and where its outputs go.
#[derive(Default)]
pub(crate) struct Wiring {
    pub(crate) sources: Vec<Source>,
    /// What becomes of the outputs, in order.
    pub(crate) targets: Vec<Target>,
    pub(crate) returned: Vec<Returned>,
    /// Gradients that are none after the call.
    pub(crate) cleared: Vec<TraceHandle>,
    /// Arguments whose gradients are.
    pub(crate) cleared_args: Vec<usize>,
    /// Where the inputs that are drawn come from.
    pub(crate) draws: Draws,
    /// Values on the host that each call sets.
    pub(crate) effects: Vec<Arc<dyn HostValue>>,
}

/// What a recording depended on that is neither an input nor a size.
#[derive(Default)]
pub(crate) struct Depended {
    /// Tensors whose gradient was looked at: whether there must be one when a call begins.
    pub(crate) grads: Vec<(TraceHandle, bool)>,
    /// The same for arguments, by number.
    pub(crate) arg_grads: Vec<(usize, bool)>,
    /// Values on the host that the program read.
    pub(crate) host_values: Vec<Arc<dyn HostValue>>,
    /// Arguments whose layout in memory the program asked for.
    pub(crate) layouts: Vec<usize>,
    /// Arguments that it compared with other tensors, and whether they were the same.
    pub(crate) identities: Vec<(usize, Whose, bool)>,
    /// Tensors from outside that it asked whether they need gradients.
    pub(crate) wishes: Vec<(TraceHandle, bool)>,
    /// Arguments of which the program depended on what history they have.
    pub(crate) asked: Vec<usize>,
}

/// What a finished capture knows.
pub(crate) struct Captured {
    pub(crate) graph: Graph,
    pub(crate) fills: Fills,
    pub(crate) symbols: Symbols,
    pub(crate) wiring: Wiring,
    pub(crate) depended: Depended,
    /// The way back from outside, where a result needs a gradient.
    pub(crate) recorded: Option<Recorded>,
}

/// Where a result of the captured graph goes.
#[derive(Clone)]
pub(crate) enum Target {
    /// The next computed result of the closure.
    Return,
    /// What the way back from outside needs, in order.
    Keep,
    /// Elements of a tensor from outside.
    State { tensor: TraceHandle },
    /// Elements of an argument, which the closure changed in place.
    Arg(usize),
    /// The gradient of a tensor from outside.
    Grad(TraceHandle),
    /// The gradient of an argument.
    ArgGrad(usize),
}

/// A result of the closure.
pub(crate) enum Returned {
    /// A computed value: the next output of the graph.
    Computed { requires_grad: bool },
    /// The same tensor as the result of this number.
    Again(usize),
    /// A tensor from outside, unchanged or updated: the caller gets the same handle.
    Same(TraceHandle),
    /// An argument: the caller gets the handle that was passed.
    Arg(usize),
}

impl Captured {
    /// Every tensor from outside that the program reads or changes, each once.
    pub(crate) fn outside(&self) -> Vec<TraceHandle> {
        let wiring = &self.wiring;
        let source = |s: &Source| match s {
            Source::State(t) | Source::Grad(t) => Some(t.clone()),
            Source::Arg(_) | Source::ArgGrad(_) | Source::Draw | Source::Data(_) | Source::Gradient => None,
        };
        let target = |t: &Target| match t {
            Target::State { tensor: t } | Target::Grad(t) => Some(t.clone()),
            Target::Return | Target::Keep | Target::Arg(_) | Target::ArgGrad(_) => None,
        };
        let result = |r: &Returned| match r {
            Returned::Same(t) => Some(t.clone()),
            Returned::Arg(_) | Returned::Computed { .. } | Returned::Again(_) => None,
        };
        let all = wiring.sources.iter().filter_map(source).chain(wiring.targets.iter().filter_map(target));
        let all = all.chain(wiring.cleared.iter().cloned()).chain(self.depended.grads.iter().map(|(t, _)| t.clone()));
        let mut seen = rustc_hash::FxHashSet::default();
        all.chain(wiring.returned.iter().filter_map(result)).filter(|t| seen.insert(t.id())).collect()
    }

    /// What another recording of the same closure did otherwise, in words.
    pub(crate) fn difference(&self, other: &Captured) -> Option<String> {
        // The draws first: they say it in the program's words.
        if let Some(what) = self.wiring.draws.difference(&other.wiring.draws) {
            return Some(what);
        }
        if self.graph != other.graph {
            let (a, b) = (self.graph.to_string(), other.graph.to_string());
            let lines = a.lines().zip(b.lines()).find(|(a, b)| a != b);
            return Some(match lines {
                Some((a, b)) => format!("`{}` became `{}`", a.trim(), b.trim()),
                None => format!("{} operations became {}", self.graph.len(), other.graph.len()),
            });
        }
        let same = |(a, b): (&Source, &Source)| match (a, b) {
            (Source::Arg(a), Source::Arg(b)) | (Source::ArgGrad(a), Source::ArgGrad(b)) => a == b,
            (Source::State(a), Source::State(b)) | (Source::Grad(a), Source::Grad(b)) => {
                a.is_same(b) || Inner::same_elements(a, b)
            }
            (Source::Draw, Source::Draw) => true,
            _ => false,
        };
        if !self.wiring.sources.iter().zip(&other.wiring.sources).all(same) {
            return Some("it read another tensor from outside".to_string());
        }
        let (a, b) = (&self.wiring.effects, &other.wiring.effects);
        let same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(&**b));
        match same {
            true => Returned::difference(&self.wiring.returned, &other.wiring.returned),
            false => Some("it set a Setting to another value".to_string()),
        }
    }
}

impl Returned {
    /// What is otherwise about the results of another recording, in words.
    fn difference(a: &[Returned], b: &[Returned]) -> Option<String> {
        let same = |(a, b): (&Returned, &Returned)| match (a, b) {
            (Returned::Arg(a), Returned::Arg(b)) | (Returned::Again(a), Returned::Again(b)) => a == b,
            (Returned::Computed { requires_grad: a }, Returned::Computed { requires_grad: b }) => a == b,
            // A closure that detaches a tensor from outside returns another handle to the same elements.
            (Returned::Same(a), Returned::Same(b)) => a.is_same(b) || Inner::same_elements(a, b),
            _ => false,
        };
        let equal = a.len() == b.len() && a.iter().zip(b).all(same);
        if equal { None } else { Some("it returned something else".to_string()) }
    }
}
