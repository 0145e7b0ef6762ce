//! Where the inputs of a captured graph come from and where its outputs go: the tensors of the caller by number, captured
//! tensors by handle. Plain data; nothing is recorded or run here.

use crate::tensor::Tensor;
use crate::tensor::trace_handle::TraceHandle;
use std::sync::Arc;

/// Where an input of the captured graph comes from on a call.
#[derive(Clone)]
pub(crate) enum Source {
    /// An argument of the closure.
    Arg(usize),
    /// A captured tensor.
    State(TraceHandle),
    /// The gradient that a captured tensor holds when the call begins.
    Grad(TraceHandle),
    /// The gradient that an argument holds when the call begins.
    ArgGrad(usize),
    /// Random numbers, new ones for each call.
    Draw,
    /// Data of the host in this call: a tensor that the closure made of it, or a number in the program.
    Data(Tensor),
    /// The gradient of a result, which comes from outside; only where a backward pass from there is recorded.
    Gradient,
}

/// A tensor of the caller's.
#[derive(Clone)]
pub(crate) enum CallerTensor {
    Arg(usize),
    Captured(TraceHandle),
}

/// Where a result of the captured graph goes.
#[derive(Clone)]
pub(crate) enum Target {
    /// The next computed result of the closure.
    Return,
    /// What backward passes from outside need, in order.
    Save,
    /// Elements of a captured tensor.
    State { tensor: TraceHandle },
    /// Elements of an argument, which the closure changed in place.
    Arg(usize),
    /// The gradient of a captured tensor.
    Grad(TraceHandle),
    /// The gradient of an argument.
    ArgGrad(usize),
}

/// A result of the closure.
pub(crate) enum Returned {
    /// A computed value: the next output of the graph.
    Computed { requires_grad: bool },
    /// The same tensor as the result of this number.
    SameAs(usize),
    /// A captured tensor, unchanged or updated: the caller gets the same handle.
    Same(TraceHandle),
    /// An argument: the caller gets the handle that was passed.
    Arg(usize),
}

impl Returned {
    /// What is otherwise about the results of another recording, in words.
    pub(crate) fn difference(a: &[Returned], b: &[Returned]) -> Option<String> {
        let same = |(a, b): (&Returned, &Returned)| match (a, b) {
            (Returned::Arg(a), Returned::Arg(b)) | (Returned::SameAs(a), Returned::SameAs(b)) => a == b,
            (Returned::Computed { requires_grad: a }, Returned::Computed { requires_grad: b }) => a == b,
            // A closure that detaches a captured tensor returns another handle to the same elements.
            (Returned::Same(a), Returned::Same(b)) => a.is_same(b) || same_elements(a, b),
            _ => false,
        };
        let equal = a.len() == b.len() && a.iter().zip(b).all(same);
        if equal { None } else { Some("it returned something else".to_string()) }
    }
}

/// Whether two captured tensors show the same elements in the same way.
pub(crate) fn same_elements(a: &Tensor, b: &Tensor) -> bool {
    let (Some(s), Some(t)) = (a.strided(), b.strided()) else { return false };
    Arc::ptr_eq(&s.storage, &t.storage)
        && s.offset == t.offset
        && a.shape_hint() == b.shape_hint()
        && s.strides == t.strides
}
