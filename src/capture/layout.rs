//! How the elements of a recorded value would lie in memory if the program ran eagerly, for one call: what a recording has
//! decided by it becomes a guard, and what a call hands out lies so. It changes no layout.

use crate::capture::endpoints::Source;
use crate::capture::symbols::Binding;
use crate::tensor::handle::TraceHandle;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::strides::is_in_order;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Dims, Strides, Tensor, contiguous_strides, is_contiguous};
use allotrope_ir::{Axes, Class, Dim, Shape, View};
use smallvec::SmallVec;

/// Whose memory it is.
#[derive(Clone, PartialEq)]
pub(crate) enum Memory {
    /// That of a fresh result.
    Fresh(Shape),
    /// That of an input of the whole program, by number.
    Input(usize),
    /// That of a captured tensor, by its place among those that were asked about.
    Captured(usize),
    /// That of a result which follows its operands, by its place among those that were asked about.
    Computed(usize),
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

/// A result whose memory follows that of its operands, which are broadcast to its shape; no layout stands for a number.
#[derive(Clone, PartialEq)]
pub(crate) struct ComputedLayout {
    pub(crate) rule: LayoutRule,
    pub(crate) operands: SmallVec<[Option<Layout>; 2]>,
}

impl ComputedLayout {
    /// Whether it is the same in every call, where it is known of those before it.
    pub(crate) fn is_fixed(&self, before: &[bool]) -> bool {
        self.operands.iter().flatten().all(|o| o.is_fixed(before))
    }
}

/// Every input that each of them depends on.
pub(crate) fn inputs_of(computed: &[ComputedLayout]) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::with_capacity(computed.len());
    for result in computed {
        let mut inputs = Vec::new();
        result.operands.iter().flatten().for_each(|o| o.inputs(&all, &mut inputs));
        all.push(inputs);
    }
    all
}

impl Layout {
    /// Whether it is the same in every call, where it is known of the computed ones.
    pub(crate) fn is_fixed(&self, computed: &[bool]) -> bool {
        let mut fixed = match &self.memory {
            Memory::Fresh(shape) => shape.iter().all(|d| d.as_fixed().is_some()),
            Memory::Captured(_) => true,
            Memory::Input(_) => false,
            Memory::Computed(i) => computed[*i],
        };
        for step in &self.steps {
            step.map(&mut |d: &Dim| fixed &= d.as_fixed().is_some());
        }
        fixed
    }

    /// Adds every input that it depends on, where those of the computed ones are known.
    pub(crate) fn inputs(&self, computed: &[Vec<usize>], out: &mut Vec<usize>) {
        let own = match &self.memory {
            Memory::Input(i) => std::slice::from_ref(i),
            Memory::Computed(i) => &computed[*i][..],
            Memory::Fresh(_) | Memory::Captured(_) => &[],
        };
        for i in own {
            if !out.contains(i) {
                out.push(*i);
            }
        }
    }

    /// The strides in one call.
    pub(crate) fn strides(&self, given: &CallTensors<'_>, binding: &Binding) -> Strides {
        self.eval(given, binding).1
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
            Memory::Computed(i) => given.computed[*i].clone(),
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
        ViewOp::Memory { len, .. } => return dims(std::slice::from_ref(len)),
        ViewOp::Select { axis, .. } => {
            let mut to = Dims::from_slice(shape);
            to.remove(*axis);
            return to;
        }
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
    /// They lie without gaps, the axes in this order.
    Order(Axes),
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
    /// Whether it holds in every call where the inputs that it depends on lie in row-major order.
    pub(crate) usual: bool,
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
            Answer::Order(axes) => is_in_order(&shape, &strides, axes),
        }
    }
}

impl LayoutGuard {
    /// What must hold, in words.
    pub(crate) fn words(&self, sources: &[Source], computed: &[ComputedLayout]) -> String {
        let answer = match &self.answer {
            Answer::View(true) => "shares its elements".into(),
            Answer::View(false) => "is a copy".into(),
            Answer::Contiguous(true) => "is contiguous".into(),
            Answer::Contiguous(false) => "is not contiguous".into(),
            Answer::Strides(strides) => format!("has strides {strides:?}"),
            Answer::Order(axes) => format!("has its axes in memory in the order {axes:?}"),
            Answer::Begins(true) => "lies at the beginning of its memory".into(),
            Answer::Begins(false) => "does not lie at the beginning of its memory".into(),
        };
        format!("{} {answer}", self.layout.words(sources, computed))
    }
}

impl Layout {
    /// Whose it is, in words.
    fn words(&self, sources: &[Source], computed: &[ComputedLayout]) -> String {
        let whose = match &self.memory {
            Memory::Fresh(shape) => format!("a result of shape {}", shape_text(shape)),
            Memory::Input(i) => match sources[*i] {
                Source::Arg(i) => format!("argument {i}"),
                Source::ArgGrad(i) => format!("the gradient of argument {i}"),
                Source::Grad(_) => "the gradient of a captured tensor".into(),
                Source::State(_) | Source::Draw | Source::Data(_) | Source::Gradient => format!("input {i}"),
            },
            Memory::Captured(_) => "a captured tensor".into(),
            Memory::Computed(i) => {
                let inputs = inputs_of(computed).swap_remove(*i);
                let whole = |i: usize| Layout { memory: Memory::Input(i), steps: Vec::new() };
                let of: Vec<String> = inputs.into_iter().map(|i| whole(i).words(sources, computed)).collect();
                match of.is_empty() {
                    true => "a result".into(),
                    false => format!("a result that follows {},", of.join(" and ")),
                }
            }
        };
        let step = |step: &ViewStep| match step {
            ViewStep::View(op) => op.name(),
            ViewStep::Element => "element",
        };
        let steps: Vec<&str> = self.steps.iter().map(step).collect();
        let seen = if steps.is_empty() { String::new() } else { format!(" seen through {}", steps.join(", ")) };
        format!("{whose}{seen}")
    }
}

fn shape_text(shape: &Shape) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// What a recording depends on by how tensors lie.
#[derive(Clone, Default)]
pub(crate) struct RecordedLayouts {
    /// What must be decided as it was, the usual ones first.
    pub(crate) guards: Vec<LayoutGuard>,
    /// The results that were asked about and follow their operands, each after those that it follows.
    pub(crate) computed: Vec<ComputedLayout>,
    /// The captured tensors that were asked about.
    pub(crate) captured: Vec<TraceHandle>,
}

/// The tensors of one call.
pub(crate) struct CallTensors<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) args: &'a [&'a Tensor],
    /// Those whose memory was asked about.
    pub(crate) captured: &'a [TraceHandle],
    /// Sizes and strides of the results that were asked about and follow their operands.
    pub(crate) computed: &'a [(Dims, Strides)],
}

impl<'a> CallTensors<'a> {
    /// How the results lie that follow their operands, each after those that it follows.
    pub(crate) fn follow(&self, all: &[ComputedLayout], binding: &Binding) -> Vec<(Dims, Strides)> {
        let mut known: Vec<(Dims, Strides)> = Vec::with_capacity(all.len());
        for result in all {
            let given = CallTensors { computed: &known, ..*self };
            let operands: SmallVec<[Option<(Dims, Strides, bool)>; 4]> =
                result.operands.iter().map(|o| o.as_ref().map(|o| o.eval(&given, binding))).collect();
            let shape = operands.iter().flatten().next().map(|(shape, ..)| shape.clone()).unwrap_or_default();
            let strides = operands.iter().map(|o| o.as_ref().map(|(_, strides, _)| &strides[..]));
            let strides = result.rule.strides(&shape, strides);
            let strides = strides.unwrap_or_else(|| contiguous_strides(&shape));
            known.push((shape, strides));
        }
        known
    }

    /// What `f` says of an input.
    pub(crate) fn input<T>(&self, i: usize, f: impl FnOnce(&Tensor) -> T) -> T {
        // One that another thread has just taken away is noticed where the call binds its inputs.
        let gradient = |t: &Tensor| t.stored_grad().unwrap_or_else(|| t.clone());
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
