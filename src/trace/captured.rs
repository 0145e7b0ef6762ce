//! What a finished capture knows: the graph, where its inputs come from, where its outputs go, and how two recordings of
//! one closure differ. Nothing is recorded or run here.

use super::draws::{Draws, Fills};
use super::inner::Inner;
use super::symbols::Symbols;
use crate::tensor::{Flag, Tensor};
use allotrope_ir::Graph;

/// Where an input of the captured graph comes from on a call.
#[derive(Clone)]
pub(super) enum Source {
    /// An argument of the closure.
    Arg(usize),
    /// A tensor from outside.
    State(Tensor),
    /// The gradient that a tensor from outside holds when the call begins.
    Grad(Tensor),
    /// The gradient that an argument holds when the call begins.
    ArgGrad(usize),
    /// Random numbers, new ones for each call.
    Draw,
    /// Data of the host in this call: a tensor that the closure made of it, or a number in the program.
    Data(Tensor),
}

/// What one recording says of tensors: where the inputs of the graph come from, and where its outputs go.
#[derive(Default)]
pub(super) struct Wiring {
    pub(super) sources: Vec<Source>,
    /// What becomes of the outputs, in order.
    pub(super) targets: Vec<Target>,
    pub(super) returned: Vec<Returned>,
    /// Gradients that are none after the call.
    pub(super) cleared: Vec<Tensor>,
    /// Arguments whose gradients are.
    pub(super) cleared_args: Vec<usize>,
    /// Where the inputs that are drawn come from.
    pub(super) draws: Draws,
}

/// What a recording depended on that is neither an input nor a size.
#[derive(Default)]
pub(super) struct Depended {
    /// Tensors whose gradient was looked at: whether there must be one when a call begins.
    pub(super) grads: Vec<(Tensor, bool)>,
    /// The same for arguments, by number.
    pub(super) arg_grads: Vec<(usize, bool)>,
    /// Switches that the program branched on.
    pub(super) flags: Vec<(Flag, bool)>,
}

/// What a finished capture knows.
pub(super) struct Captured {
    pub(super) graph: Graph,
    pub(super) fills: Fills,
    pub(super) symbols: Symbols,
    pub(super) wiring: Wiring,
    pub(super) depended: Depended,
}

/// Where a result of the captured graph goes.
#[derive(Clone)]
pub(super) enum Target {
    /// The next computed result of the closure.
    Return,
    /// Elements of a tensor from outside.
    State { tensor: Tensor },
    /// Elements of an argument, which the closure changed in place.
    Arg(usize),
    /// The gradient of a tensor from outside.
    Grad(Tensor),
    /// The gradient of an argument.
    ArgGrad(usize),
}

/// A result of the closure.
pub(super) enum Returned {
    /// A computed value: the next output of the graph.
    Computed { requires_grad: bool },
    /// A tensor from outside, unchanged or updated: the caller gets the same handle.
    Same(Tensor),
    /// An argument: the caller gets the handle that was passed.
    Arg(usize),
}

impl Captured {
    /// What another recording of the same closure did otherwise, in words.
    pub(super) fn difference(&self, other: &Captured) -> Option<String> {
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
        let (sources, others) = (&self.wiring.sources, &other.wiring.sources);
        match sources.iter().zip(others).all(same) {
            true => Returned::difference(&self.wiring.returned, &other.wiring.returned),
            false => Some("it read another tensor from outside".to_string()),
        }
    }
}

impl Returned {
    /// What is otherwise about the results of another recording, in words.
    fn difference(a: &[Returned], b: &[Returned]) -> Option<String> {
        let same = |(a, b): (&Returned, &Returned)| match (a, b) {
            (Returned::Arg(a), Returned::Arg(b)) => a == b,
            (Returned::Computed { requires_grad: a }, Returned::Computed { requires_grad: b }) => a == b,
            // A closure that detaches a tensor from outside returns another handle to the same elements.
            (Returned::Same(a), Returned::Same(b)) => a.is_same(b) || Inner::same_elements(a, b),
            _ => false,
        };
        let equal = a.len() == b.len() && a.iter().zip(b).all(same);
        if equal { None } else { Some("it returned something else".to_string()) }
    }
}
