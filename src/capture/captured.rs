//! What a finished capture knows: the graph, where its inputs come from, where its outputs go, and how two recordings of
//! one closure differ. Nothing is recorded or run here.

use crate::capture::builder::{GraphBuilder, Role};
use crate::capture::draws::{Draws, Fills};
use crate::capture::endpoints::{CallerTensor, HistoryAfter, OutputLayout, Returned, Source, Target, same_elements};
use crate::capture::layout::RecordedLayouts;
use crate::capture::symbols::Symbols;
use crate::device::Device;
use crate::mode::recorder::settings::HostValue;
use crate::tensor::Tensor;
use crate::tensor::handle::TraceHandle;
use allotrope_ir::Graph;
use std::sync::Arc;

/// What one recording says of tensors: where the inputs of the graph come from, and where its outputs go.
#[derive(Default)]
pub(crate) struct Wiring {
    pub(crate) sources: Vec<Source>,
    /// What becomes of the outputs, in order.
    pub(crate) targets: Vec<Target>,
    /// How those of them lie that are new tensors, where that may not just be row-major order.
    pub(crate) laid_out: Vec<OutputLayout>,
    /// The tensors that a call hands out, what others are views of before these.
    pub(crate) returned: Vec<Returned>,
    /// Which of them each result is.
    pub(crate) results: Vec<usize>,
    /// Gradients that are one of them after the call.
    pub(crate) grads: Vec<(CallerTensor, usize)>,
    /// New tensors among them whose gradient is another one.
    pub(crate) own_grads: Vec<(usize, usize)>,
    /// Gradients that are none after the call.
    pub(crate) cleared: Vec<TraceHandle>,
    /// Arguments whose gradients are.
    pub(crate) cleared_args: Vec<usize>,
    /// Tensors of the caller's whose history the program has changed. The results among them come in the order in which backward
    /// passes know them, after the tensors that a call makes.
    pub(crate) histories: Vec<(CallerTensor, HistoryAfter)>,
    /// Where the inputs that are drawn come from.
    pub(crate) draws: Draws,
    /// Values on the host that each call sets.
    pub(crate) effects: Vec<Arc<dyn HostValue>>,
}

impl Wiring {
    /// The tensors of the caller's that are results after the call, with these arguments.
    pub(crate) fn changed_into_results<'a>(&'a self, args: &'a [&'a Tensor]) -> impl Iterator<Item = &'a Tensor> {
        let results = self.histories.iter().filter(|(_, after)| *after == HistoryAfter::Result);
        results.map(|(of, _)| of.of(args))
    }

    /// What is otherwise about the results of another recording, in words.
    fn other_returned(&self, other: &Wiring) -> Option<String> {
        let (a, b) = (&self.returned, &other.returned);
        let returned = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b));
        let (a, b) = (&self.grads, &other.grads);
        let grads = a.len() == b.len() && a.iter().zip(b).all(|((a, i), (b, j))| a.is_same(b) && i == j);
        let (a, b) = (&self.histories, &other.histories);
        let changed = a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a.is_same(b) && x == y);
        if !changed {
            return Some("it changed the history of other tensors".to_string());
        }
        match returned && grads && self.results == other.results && self.own_grads == other.own_grads {
            true => None,
            false => Some("it returned something else".to_string()),
        }
    }
}

/// What a recording dependencies on that is neither an input nor a size.
#[derive(Default)]
pub(crate) struct Dependencies {
    /// The handles of captured tensors that the program found, each once.
    pub(crate) touched: Vec<TraceHandle>,
    /// Tensors whose gradient was looked at: whether there must be one when a call begins.
    pub(crate) grads: Vec<(TraceHandle, bool)>,
    /// The same for arguments, by number.
    pub(crate) arg_grads: Vec<(usize, bool)>,
    /// Values on the host that the program read.
    pub(crate) host_values: Vec<Arc<dyn HostValue>>,
    /// What it decided by how tensors lie.
    pub(crate) layouts: RecordedLayouts,
    /// Arguments that it compared with other tensors, and whether they were the same.
    pub(crate) identities: Vec<(usize, CallerTensor, bool)>,
    /// Captured tensors that it compared with others, by identity.
    pub(crate) compared: Vec<usize>,
    /// Gradients that are known by identity, with the tensors whose they are.
    pub(crate) known_grads: Vec<(CallerTensor, TraceHandle)>,
    /// Captured tensors that it asked whether they need gradients.
    pub(crate) requires_grad: Vec<(TraceHandle, bool)>,
    /// Arguments of which the program depends on what history they have.
    pub(crate) asked: Vec<usize>,
    /// Arguments that it asked whether they are views, with the answers.
    pub(crate) views: Vec<(usize, bool)>,
}

/// What a finished capture knows.
pub(crate) struct Captured {
    /// Where the code is to run.
    pub(crate) device: Device,
    pub(crate) graph: Graph,
    pub(crate) fills: Fills,
    pub(crate) symbols: Symbols,
    pub(crate) wiring: Wiring,
    pub(crate) dependencies: Dependencies,
}

impl Captured {
    /// What a recording made that replayed no other one.
    pub(crate) fn new(
        mut graphs: GraphBuilder,
        device: Device,
        wiring: Wiring,
        dependencies: Dependencies,
    ) -> Captured {
        let graph = graphs.finish();
        let tensors = graphs.roles.iter().filter(|r| **r != Role::Slot);
        let fills = Fills::of(tensors.map(|role| *role == Role::Drawn), &graph);
        Captured { device, graph, fills, symbols: graphs.symbols, wiring, dependencies }
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
                a.is_same(b) || same_elements(a, b)
            }
            (Source::Draw, Source::Draw) => true,
            _ => false,
        };
        if !self.wiring.sources.iter().zip(&other.wiring.sources).all(same) {
            return Some("it read another captured tensor".to_string());
        }
        let (a, b) = (&self.wiring.effects, &other.wiring.effects);
        let same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(&**b));
        match same {
            true => self.wiring.other_returned(&other.wiring),
            false => Some("it set a Setting to another value".to_string()),
        }
    }
}
