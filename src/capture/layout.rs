//! How the elements of a recorded value would lie in memory if the program ran eagerly. Random fills follow memory, a
//! graph has none: so a draw in the shape of a tensor is only right in calls where that lies in row-major order, which
//! is asked before anything is drawn. It changes no layout.

use crate::capture::builder::{Program, Role};
use crate::capture::captured::Source;
use crate::capture::event;
use crate::error::{Error, Result};
use crate::runtime::guards::Binding;
use crate::tensor::trace_handle::TraceHandle;
use crate::tensor::{Dims, Strides, Tensor, contiguous_strides, eval, is_contiguous};
use allotrope_ir::{Class, Dim, LoopKind, Op, Shape, Value, View};
use std::borrow::Cow;

/// Whose memory it is.
#[derive(Clone)]
pub(crate) enum Place {
    /// That of a fresh result.
    Fresh(Shape),
    /// That of an input of the whole program, by number.
    Input(usize),
    /// That of a tensor from outside, by its place among those that were asked about.
    Outside(usize),
}

#[derive(Clone)]
pub(crate) enum Step {
    View(Op<Dim>),
    /// One element along the first axis, as the body of a loop gets it.
    Element,
}

/// Whose memory a value shows, and how.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) place: Place,
    pub(crate) steps: Vec<Step>,
}

impl Layout {
    fn fresh(shape: Shape) -> Layout {
        Layout { place: Place::Fresh(shape), steps: Vec::new() }
    }

    /// As it is seen through `op`.
    pub(crate) fn view(self, op: Op<Dim>) -> Layout {
        self.then(Step::View(op))
    }

    fn then(mut self, step: Step) -> Layout {
        self.steps.push(step);
        self
    }

    fn is_fresh(&self) -> bool {
        matches!(self.place, Place::Fresh(_)) && self.steps.is_empty()
    }

    /// Sizes as they are at the end of the capture.
    fn resolve(&mut self, of: &dyn Fn(&Dim) -> Dim) {
        if let Place::Fresh(shape) = &mut self.place {
            shape.iter_mut().for_each(|d| *d = of(d));
        }
        for step in &mut self.steps {
            if let Step::View(op) = step {
                *op = op.map_dims(&mut |d| of(d));
            }
        }
    }

    /// Shape and strides in one call.
    fn eval(&self, given: &Given<'_>, binding: &Binding) -> (Dims, Strides) {
        let of = |t: &Tensor| (Dims::from_slice(t.shape_hint()), t.strides());
        let dims = |shape: &[Dim]| -> Dims { shape.iter().map(|d| d.eval(binding)).collect() };
        let fresh = |shape: Dims| {
            let strides = contiguous_strides(&shape);
            (shape, strides)
        };
        let (mut shape, mut strides) = match &self.place {
            Place::Fresh(shape) => fresh(dims(shape)),
            Place::Outside(i) => of(&given.outside[*i]),
            Place::Input(i) => match &given.sources[*i] {
                Source::Arg(i) => of(given.args[*i]),
                Source::State(t) => of(t),
                Source::Grad(t) => of(&t.stored_grad().expect("guarded")),
                Source::ArgGrad(i) => of(&given.args[*i].stored_grad().expect("guarded")),
                Source::Data(t) => of(t),
                Source::Draw | Source::Gradient => unreachable!("bug in allotrope: drawn tensors are fresh"),
            },
        };
        for step in &self.steps {
            match step {
                Step::Element => {
                    shape.remove(0);
                    strides.remove(0);
                }
                Step::View(op) => {
                    let Class::View(view) = op.class() else {
                        unreachable!("bug in allotrope: {} is no view", op.name())
                    };
                    let to = match view {
                        View::Broadcast(to) | View::Reshape(to) => dims(to),
                        View::Permute(axes) => axes.iter().map(|&a| shape[a]).collect(),
                        View::Slice { axis, len, .. } => {
                            let mut to = shape.clone();
                            to[axis] = len.eval(binding);
                            to
                        }
                        View::Flip(_) => shape.clone(),
                        View::Window { axis, count, size, .. } => {
                            let mut to = shape.clone();
                            to[axis] = count.eval(binding);
                            to.push(size.eval(binding));
                            to
                        }
                    };
                    // What no strides show is copied.
                    let seen = eval::view_strides(view, &shape, &strides, &to);
                    strides = seen.unwrap_or_else(|| contiguous_strides(&to));
                    shape = to;
                }
            }
        }
        (shape, strides)
    }
}

/// The tensors of one call.
pub(crate) struct Given<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) args: &'a [&'a Tensor],
    /// Those whose memory was asked about.
    pub(crate) outside: &'a [TraceHandle],
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
    pub(crate) fn check(&self, given: &Given<'_>, binding: &Binding) -> Result<()> {
        let (shape, strides) = self.layout.eval(given, binding);
        if is_contiguous(&shape, &strides) {
            return Ok(());
        }
        let wide: Strides = shape.iter().zip(&strides).filter(|(n, _)| **n > 1).map(|(_, s)| s.abs()).collect();
        match !self.whole && wide.windows(2).all(|w| w[0] >= w[1]) {
            true => Ok(()),
            false => Err(Error::Trace(format!(
                "{} draws in the order of memory, and a tensor of shape {shape:?} that it follows has strides {strides:?}, \
                 which compiled code does not follow; pass a contiguous tensor, or draw in the shape before it was \
                 permuted, narrowed or expanded",
                self.what
            ))),
        }
    }
}

impl Program {
    /// The layout of what is asked about.
    pub(crate) fn layout_at(&mut self, what: &'static str, place: &event::Place) -> Result<Layout> {
        match place {
            event::Place::Outside(i) => Ok(Layout { place: Place::Outside(*i), steps: Vec::new() }),
            event::Place::Value(at, value) => self.layout_of(what, *at, *value),
        }
    }

    /// Notes that the elements must lie in row-major order.
    pub(crate) fn demand(&mut self, what: &'static str, layout: Layout, whole: bool) {
        if !layout.is_fresh() {
            self.demands.push(Demand { what: what.into(), layout, whole });
        }
    }

    /// The layout of a value of builder `at`, open or closed.
    fn layout_of(&mut self, what: &'static str, at: usize, v: Value) -> Result<Layout> {
        let fresh = Layout::fresh(self.graph(at).ty(v).shape.clone());
        let number = self.graph(at).inputs().iter().position(|i| i.node == v.node);
        if let Some(number) = number {
            return self.layout_of_input(what, at, number, fresh);
        }
        let op = self.graph(at).node(v.node).op.clone();
        let operand = self.graph(at).operands(v.node).first().copied();
        match (op.class(), operand) {
            // A number repeated is what makes a full tensor.
            (Class::View(View::Broadcast(_)), Some(x)) if self.is_number(at, x) => Ok(fresh),
            (Class::View(view), Some(x)) if view.is_strided() => Ok(self.layout_of(what, at, x)?.then(Step::View(op))),
            (Class::Check(_) | Class::Barrier(_), Some(x)) => self.layout_of(what, at, x),
            // A branch, and a loop that may have no iterations, give fresh tensors.
            (Class::Loop(scan), _) if (v.port as usize) < scan.carries && scan.kind == LoopKind::All => {
                let body = self.builders.iter().position(|b| b.parent == Some(at) && b.node == Some(v.node));
                let body = body.expect("bug in allotrope: a loop has no builder");
                let last = self.layout_of(what, body, scan.body.outputs()[v.port as usize].value)?;
                match last.is_fresh() {
                    true => Ok(fresh),
                    false => Err(Error::Trace(format!(
                        "{what} draws in the order of memory, which is not known of what a loop carried and did not \
                         compute; draw in the shape of another tensor"
                    ))),
                }
            }
            (Class::Leaf(_) | Class::View(_) | Class::Loop(_) | Class::Fusion(_), _) => Ok(fresh),
            (Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_), _) => Ok(fresh),
            (Class::Check(_) | Class::Barrier(_), None) => unreachable!("bug in allotrope: {} of nothing", op.name()),
        }
    }

    /// Whether the value is a number in the program.
    fn is_number(&mut self, at: usize, v: Value) -> bool {
        let Some(number) = self.graph(at).inputs().iter().position(|i| i.node == v.node) else {
            return matches!(self.graph(at).node(v.node).op, Op::Const(_));
        };
        if at == 0 {
            return self.roles[number] == Role::Slot;
        }
        let b = &self.builders[at];
        let outer = b.inputs[2].iter().position(|&n| n == number).map(|i| b.invariants[i]);
        let parent = b.parent.expect("a loop has a builder around it");
        outer.is_some_and(|outer| self.is_number(parent, outer))
    }

    fn layout_of_input(&mut self, what: &'static str, at: usize, number: usize, fresh: Layout) -> Result<Layout> {
        if at == 0 {
            let place = self.roles[..number].iter().filter(|r| **r != Role::Slot).count();
            return Ok(match self.roles[number] {
                Role::Drawn | Role::Slot | Role::Gradient => fresh,
                Role::Tensor => Layout { place: Place::Input(place), steps: Vec::new() },
            });
        }
        let b = &self.builders[at];
        let parent = b.parent.expect("a loop has a builder around it");
        let place = |kind: usize| b.inputs[kind].iter().position(|&n| n == number);
        if let Some(i) = place(1) {
            let outer = b.xs[i];
            return Ok(self.layout_of(what, parent, outer)?.then(Step::Element));
        }
        if let Some(i) = place(2) {
            let outer = b.invariants[i];
            return self.layout_of(what, parent, outer);
        }
        // A carry lies as the step before left it: fresh, or the capture does not hold.
        let i = place(0).expect("an input of a loop is of one kind");
        if !b.asked.contains(&i) {
            let outer = b.carries[i];
            self.builders[at].asked.push(i);
            let first = self.layout_of(what, parent, outer)?;
            self.demand(what, first, true);
            if self.builders[at].node.is_some() {
                let next = self.graph(at).outputs()[i].value;
                let next = self.layout_of(what, at, next)?;
                self.demand(what, next, true);
            }
        }
        Ok(fresh)
    }
}
