//! How the elements of a recorded value would lie in memory if the program ran eagerly. Random fills follow memory, a
//! graph has none: so a draw in the shape of a tensor is only right in calls where that lies in row-major order, which
//! is asked before anything is drawn. It changes no layout.

use crate::capture::endpoints::Source;
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::tensor::trace_handle::TraceHandle;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Dims, Strides, Tensor, contiguous_strides, is_contiguous};
use allotrope_ir::{Class, Dim, Shape, View};
use std::borrow::Cow;

/// Whose memory it is.
#[derive(Clone, PartialEq)]
pub(crate) enum Memory {
    /// That of a fresh result.
    Fresh(Shape),
    /// That of an input of the whole program, by number.
    Input(usize),
    /// That of a captured tensor, by its place among those that were asked about.
    Captured(usize),
}

#[derive(Clone, PartialEq)]
pub(crate) enum ViewStep<D = Dim> {
    View(ViewOp<D>),
    /// One element along the first axis, as the body of a loop gets it.
    Element,
}

impl<D> ViewStep<D> {
    /// The step with its sizes said in another way.
    pub(crate) fn map<E>(&self, of: &mut dyn FnMut(&D) -> E) -> ViewStep<E> {
        match self {
            ViewStep::View(op) => ViewStep::View(op.map(of)),
            ViewStep::Element => ViewStep::Element,
        }
    }
}

/// What memory a value shows, and how.
#[derive(Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) memory: Memory,
    pub(crate) steps: Vec<ViewStep>,
}

impl Layout {
    pub(super) fn fresh(shape: Shape) -> Layout {
        Layout { memory: Memory::Fresh(shape), steps: Vec::new() }
    }

    /// As it is seen through `op`.
    pub(crate) fn view(self, op: ViewOp<Dim>) -> Layout {
        self.then(ViewStep::View(op))
    }

    pub(super) fn then(mut self, step: ViewStep) -> Layout {
        self.steps.push(step);
        self
    }

    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.memory, Memory::Fresh(_)) && self.steps.is_empty()
    }

    /// Whether it is the same in every call.
    pub(crate) fn is_fixed(&self) -> bool {
        let mut fixed = match &self.memory {
            Memory::Fresh(shape) => shape.iter().all(|d| d.as_fixed().is_some()),
            Memory::Captured(_) => true,
            Memory::Input(_) => false,
        };
        for step in &self.steps {
            step.map(&mut |d: &Dim| fixed &= d.as_fixed().is_some());
        }
        fixed
    }

    /// Sizes as they are at the end of the capture.
    fn resolve(&mut self, of: &dyn Fn(&Dim) -> Dim) {
        if let Memory::Fresh(shape) = &mut self.memory {
            shape.iter_mut().for_each(|d| *d = of(d));
        }
        for step in &mut self.steps {
            *step = step.map(&mut |d| of(d));
        }
    }

    /// Shape and strides in one call, and whether the last step shows what the one before does, or copies.
    fn eval(&self, given: &CallTensors<'_>, binding: &Binding) -> (Dims, Strides, bool) {
        let of = |t: &Tensor| (Dims::from_slice(t.shape_hint()), t.strides());
        let dims = |shape: &[Dim]| -> Dims { shape.iter().map(|d| d.eval(binding)).collect() };
        let fresh = |shape: Dims| {
            let strides = contiguous_strides(&shape);
            (shape, strides)
        };
        let (mut shape, mut strides) = match &self.memory {
            Memory::Fresh(shape) => fresh(dims(shape)),
            Memory::Captured(i) => of(&given.captured[*i]),
            Memory::Input(i) => given.input(*i, of),
        };
        let mut is_view = true;
        for step in &self.steps {
            match step {
                ViewStep::Element => {
                    shape.remove(0);
                    strides.remove(0);
                    is_view = true;
                }
                ViewStep::View(op) => {
                    let to = seen_shape(op, &shape, binding);
                    // What no strides show is copied.
                    let seen = op.strides(&shape, &strides, &to);
                    is_view = seen.is_some();
                    strides = seen.unwrap_or_else(|| contiguous_strides(&to));
                    shape = to;
                }
            }
        }
        (shape, strides, is_view)
    }
}

/// The shape of a view of a tensor of this shape in one call.
fn seen_shape(op: &ViewOp<Dim>, shape: &[usize], binding: &Binding) -> Dims {
    let dims = |shape: &[Dim]| -> Dims { shape.iter().map(|d| d.eval(binding)).collect() };
    let op = match op {
        ViewOp::Affine(affine) => return dims(&affine.sizes),
        ViewOp::Primitive(op) => op,
    };
    let Class::View(view) = op.class() else { unreachable!("bug in allotrope: {} is no view", op.name()) };
    let mut to = Dims::from_slice(shape);
    match view {
        View::Broadcast(to) | View::Reshape(to) => return dims(to),
        View::Permute(axes) => return axes.iter().map(|&a| shape[a]).collect(),
        View::Slice { axis, len, .. } => to[axis] = len.eval(binding),
        View::Flip(_) => {}
        View::Window { axis, count, size, .. } => {
            to[axis] = count.eval(binding);
            to.push(size.eval(binding));
        }
    }
    to
}

/// What the program decided by a layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The last step shows the same elements, or copies them.
    View(bool),
    /// The elements lie in row-major order without gaps, or not.
    Contiguous(bool),
    Strides(Strides),
    /// They lie so from the first one of their memory on, or not; asked of what is no view.
    Begins(bool),
}

/// Whether a tensor lies in row-major order from the first element of its memory on.
pub(crate) fn begins(t: &Tensor) -> bool {
    t.strided().is_some_and(|s| s.offset == 0 && is_contiguous(t.shape_hint(), &s.strides))
}

/// What must be decided as it was for a recording to stand for a call.
#[derive(Clone, PartialEq)]
pub(crate) struct LayoutGuard {
    pub(crate) layout: Layout,
    pub(crate) answer: Answer,
}

impl LayoutGuard {
    pub(crate) fn holds(&self, given: &CallTensors<'_>, binding: &Binding) -> bool {
        if let (Answer::Begins(answer), Memory::Input(i)) = (&self.answer, &self.layout.memory) {
            return given.input(*i, begins) == *answer;
        }
        let (shape, strides, is_view) = self.layout.eval(given, binding);
        match &self.answer {
            Answer::Begins(answer) => *answer,
            Answer::View(answer) => is_view == *answer,
            Answer::Contiguous(answer) => is_contiguous(&shape, &strides) == *answer,
            Answer::Strides(answer) => strides == *answer,
        }
    }
}

impl LayoutGuard {
    /// What must hold, in words.
    pub(crate) fn words(&self, sources: &[Source]) -> String {
        let whose = match &self.layout.memory {
            Memory::Fresh(shape) => format!("a result of shape {}", shape_text(shape)),
            Memory::Input(i) => match sources[*i] {
                Source::Arg(i) => format!("argument {i}"),
                Source::ArgGrad(i) => format!("the gradient of argument {i}"),
                Source::Grad(_) => "the gradient of a captured tensor".into(),
                Source::State(_) | Source::Draw | Source::Data(_) | Source::Gradient => format!("input {i}"),
            },
            Memory::Captured(_) => "a captured tensor".into(),
        };
        let step = |step: &ViewStep| match step {
            ViewStep::View(op) => op.name(),
            ViewStep::Element => "element",
        };
        let steps: Vec<&str> = self.layout.steps.iter().map(step).collect();
        let seen = if steps.is_empty() { String::new() } else { format!(" seen through {}", steps.join(", ")) };
        let answer = match &self.answer {
            Answer::View(true) => "shares its elements".into(),
            Answer::View(false) => "is a copy".into(),
            Answer::Contiguous(true) => "is contiguous".into(),
            Answer::Contiguous(false) => "is not contiguous".into(),
            Answer::Strides(strides) => format!("has strides {strides:?}"),
            Answer::Begins(true) => "lies at the beginning of its memory".into(),
            Answer::Begins(false) => "does not lie at the beginning of its memory".into(),
        };
        format!("{whose}{seen} {answer}")
    }
}

fn shape_text(shape: &Shape) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// The tensors of one call.
pub(crate) struct CallTensors<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) args: &'a [&'a Tensor],
    /// Those whose memory was asked about.
    pub(crate) captured: &'a [TraceHandle],
}

impl CallTensors<'_> {
    /// What `f` says of an input.
    fn input<T>(&self, i: usize, f: impl FnOnce(&Tensor) -> T) -> T {
        let gradient = |t: &Tensor| t.stored_grad().expect("guarded");
        match &self.sources[i] {
            Source::Arg(i) => f(self.args[*i]),
            Source::State(t) => f(t),
            Source::Grad(t) => f(&gradient(t)),
            Source::ArgGrad(i) => f(&gradient(self.args[*i])),
            Source::Data(t) => f(t),
            Source::Draw | Source::Gradient => unreachable!("bug in allotrope: drawn tensors are fresh"),
        }
    }
}

/// What must hold of a layout in a call.
#[derive(Clone)]
pub(crate) struct Demand {
    pub(crate) what: Cow<'static, str>,
    pub(crate) layout: Layout,
    /// Without gaps, not only in row-major order.
    pub(crate) whole: bool,
}

impl Demand {
    pub(crate) fn resolve(&mut self, of: &dyn Fn(&Dim) -> Dim) {
        self.layout.resolve(of);
    }

    /// # Errors
    /// Where it does not hold.
    pub(crate) fn check(&self, given: &CallTensors<'_>, binding: &Binding) -> Result<()> {
        let (shape, strides, _) = self.layout.eval(given, binding);
        if is_contiguous(&shape, &strides) {
            return Ok(());
        }
        let wide: Strides = shape.iter().zip(&strides).filter(|(n, _)| **n > 1).map(|(_, s)| s.abs()).collect();
        match !self.whole && wide.windows(2).all(|w| w[0] >= w[1]) {
            true => Ok(()),
            false => Err(Error::trace(format!(
                "{} draws in the order of memory, and a tensor of shape {shape:?} that it follows has strides {strides:?}, \
                 which compiled code does not follow; pass a contiguous tensor, or draw in the shape before it was \
                 permuted, narrowed or expanded",
                self.what
            ))),
        }
    }
}
