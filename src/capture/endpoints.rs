//! Where the inputs of a captured graph come from and where its outputs go: the tensors of the caller by number, captured
//! tensors by handle. Plain data; nothing is recorded or run here.

use crate::capture::layout::Layout;
use crate::tensor::handle::TraceHandle;
use crate::tensor::view::Creation;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Strides, Tensor};
use allotrope_ir::{Axes, Dim};
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

/// What becomes of the history of a tensor of the caller's, where the closure changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistoryAfter {
    /// It is a leaf after the call, which requires a gradient or not.
    Leaf(bool),
    /// It was changed in place by what has a derivative: after the call it is a result of that.
    Result,
}

/// Where a result of the captured graph goes.
#[derive(Clone)]
pub(crate) enum Target {
    /// The next computed one of the tensors that a call hands out.
    Return,
    /// What backward passes from outside need, in order.
    Save,
    /// Elements of a captured tensor.
    State { tensor: TraceHandle },
    /// Elements of an argument, which the closure changed in place.
    Arg(usize),
    /// A new gradient of a captured tensor, which nothing else shows.
    Grad(TraceHandle),
    /// A new gradient of an argument.
    ArgGrad(usize),
    /// Elements of the gradient that this tensor had when the call began, which the closure changed in place.
    GradElements(CallerTensor),
}

/// How an output lies that a call hands out as a new tensor, where that may not just be row-major order.
#[derive(Clone, PartialEq)]
pub(crate) struct OutputLayout<L = Layout> {
    pub(crate) output: usize,
    /// The order in memory of the axes, in which the graph gives them; none where that is row-major.
    pub(crate) axes: Axes,
    pub(crate) lies: Lies<L>,
    /// Whether that is row-major order in every call where the inputs that it depends on lie so.
    pub(crate) usual: bool,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Lies<L = Layout> {
    /// With these strides.
    So(Strides),
    /// With those that this has in a call.
    As(L),
}

impl<L> OutputLayout<L> {
    /// The same with its layout said in another way.
    pub(crate) fn map<M>(self, of: impl FnOnce(L) -> Lies<M>) -> OutputLayout<M> {
        let lies = match self.lies {
            Lies::So(strides) => Lies::So(strides),
            Lies::As(layout) => of(layout),
        };
        OutputLayout { output: self.output, axes: self.axes, lies, usual: self.usual }
    }
}

/// A tensor that a call hands out: a result of the closure, a gradient that it stored, or what one of these is a view of.
#[derive(Clone)]
pub(crate) enum Returned<D = Dim> {
    /// A computed value: the next output of the graph.
    Computed { requires_grad: bool, leaf: bool },
    /// A captured tensor: the caller gets the same handle.
    Same(TraceHandle),
    /// An argument: the caller gets the handle that was passed.
    Arg(usize),
    /// The gradient that this tensor had when the call began.
    Grad(CallerTensor),
    /// Another one of these, which comes before, seen through the steps. In-place changes of it have a history only where it
    /// is differentiable: it was not detached.
    View { of: usize, steps: Vec<ViewOp<D>>, differentiable: bool, creation: Creation, requires_grad: bool, leaf: bool },
}

impl CallerTensor {
    /// The tensor in a call with these arguments.
    pub(crate) fn of<'a>(&'a self, args: &[&'a Tensor]) -> &'a Tensor {
        match self {
            CallerTensor::Arg(i) => args[*i],
            CallerTensor::Captured(t) => t,
        }
    }

    pub(crate) fn is_same(&self, other: &CallerTensor) -> bool {
        match (self, other) {
            (CallerTensor::Arg(a), CallerTensor::Arg(b)) => a == b,
            (CallerTensor::Captured(a), CallerTensor::Captured(b)) => a.id() == b.id(),
            (CallerTensor::Arg(_), CallerTensor::Captured(_)) | (CallerTensor::Captured(_), CallerTensor::Arg(_)) => {
                false
            }
        }
    }
}

impl Returned<Size> {
    /// The same with its sizes said in another way.
    pub(crate) fn map(self, of: &dyn Fn(Size) -> Dim) -> Returned {
        match self {
            Returned::Computed { requires_grad, leaf } => Returned::Computed { requires_grad, leaf },
            Returned::Same(t) => Returned::Same(t),
            Returned::Arg(i) => Returned::Arg(i),
            Returned::Grad(whose) => Returned::Grad(whose),
            Returned::View { of: base, steps, differentiable, creation, requires_grad, leaf } => {
                let steps = steps.iter().map(|op| op.map(&mut |size| of(*size))).collect();
                Returned::View { of: base, steps, differentiable, creation, requires_grad, leaf }
            }
        }
    }
}

impl Returned {
    /// Whether another recording returned the same.
    pub(crate) fn is_same(&self, other: &Returned) -> bool {
        match (self, other) {
            (Returned::Arg(a), Returned::Arg(b)) => a == b,
            (Returned::Computed { requires_grad: a, leaf: m }, Returned::Computed { requires_grad: b, leaf: n }) => {
                a == b && m == n
            }
            // A closure that detaches a captured tensor has another handle to the same elements.
            (Returned::Same(a), Returned::Same(b)) => a.is_same(b) || same_elements(a, b),
            (Returned::Grad(a), Returned::Grad(b)) => a.is_same(b),
            (
                Returned::View { of: a, steps: s, differentiable: d, creation: c, requires_grad: g, leaf: m },
                Returned::View { of: b, steps: t, differentiable: e, creation: f, requires_grad: h, leaf: n },
            ) => a == b && s == t && d == e && c == f && g == h && m == n,
            _ => false,
        }
    }

    /// Whether it requires a gradient, and is a leaf, as a new tensor of each call.
    pub(crate) fn gradients(&self) -> Option<(bool, bool)> {
        match self {
            Returned::Computed { requires_grad, leaf } | Returned::View { requires_grad, leaf, .. } => {
                Some((*requires_grad, *leaf))
            }
            Returned::Same(_) | Returned::Arg(_) | Returned::Grad(_) => None,
        }
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
