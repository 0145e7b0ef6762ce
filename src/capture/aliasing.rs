//! What the program, run eagerly, decides by how elements lie: whether a reshape shows the same elements or copies them, and
//! what `is_contiguous()` and `strides()` say. A decision is kept as a condition with the value that it made, and becomes a
//! guard where the difference could be seen: something that shares the elements, or would, is changed in place, or the
//! caller gets both. Nothing is decided here.

use crate::capture::endpoints::Source;
use crate::capture::layout::{Answer, Layout, LayoutGuard, Memory, ViewStep, begins};
use crate::capture::state::CaptureState;
use crate::error::{Error, Result};
use crate::mode::recorder::state::LayoutQuestion;
use crate::tensor::handle::{Link, Root, TraceHandle};
use crate::tensor::traced::Cell;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Size, Sizes, Strides, Tensor};
use allotrope_ir::{Class, Extent, View};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::sync::{Arc, Weak};

/// Whose memory a value of the recording shows.
#[derive(Clone)]
pub(crate) enum Base {
    /// That of a fresh result of these sizes.
    Fresh(Sizes),
    /// That of an input, by number.
    Input(usize),
    /// That of a captured tensor.
    Captured(TraceHandle),
}

/// Memory, and how a value shows it.
#[derive(Clone)]
pub(crate) struct Shown {
    base: Base,
    steps: Vec<ViewStep<Size>>,
    /// The decisions without which the memory is another one.
    because: Option<usize>,
    /// The carries of loops, by scope and number, that it is: as they begin.
    carries: SmallVec<[(usize, usize); 1]>,
}

/// As long as what was decided about can be used.
#[derive(Clone)]
enum Lifetime {
    Whole,
    View(Weak<Link>),
    Copy(Weak<Cell>),
}

impl Lifetime {
    fn is_over(&self) -> bool {
        match self {
            Lifetime::Whole => false,
            Lifetime::View(link) => link.strong_count() == 0,
            Lifetime::Copy(cell) => cell.strong_count() == 0,
        }
    }
}

#[derive(Clone)]
struct Decision {
    shown: Shown,
    answer: Answer,
    lifetime: Lifetime,
    /// The families of what it was decided about, and of what was made; the second keeps the first from being another one's.
    from: usize,
    to: usize,
    _held: Option<Weak<Cell>>,
    is_guarded: bool,
}

/// The decisions of one recording.
#[derive(Clone, Default)]
pub(crate) struct Aliasing {
    decisions: Vec<Decision>,
    /// Those that say which tensors share the elements of a root, by its identity.
    families: FxHashMap<usize, Vec<usize>>,
    /// The decisions that made copies, by the identity of what was made.
    copies: FxHashMap<usize, usize>,
    /// Values that show memory which the program does not make, by the identity of their elements.
    origins: FxHashMap<usize, (Arc<Cell>, Shown)>,
    /// What the inputs of loop bodies are elements of, or begin as: a change of that is one of them.
    followed: FxHashMap<usize, Root>,
    /// The carries of which something was guarded.
    asked_carries: FxHashSet<(usize, usize)>,
}

fn identity(cell: &Arc<Cell>) -> usize {
    Arc::as_ptr(cell) as usize
}

/// Identity of what a tensor shows elements of.
fn family(t: &Tensor) -> usize {
    let storage = |t: &Tensor| t.strided().map_or(0, |s| Arc::as_ptr(&s.storage) as usize);
    match t.traced().map(|t| &t.root) {
        None => storage(t),
        Some(Root::External(base)) => storage(base),
        Some(Root::Traced(cell)) => identity(cell),
    }
}

/// Whether the sizes of both are the same but for axes of size 1.
fn same_but_for_ones(a: &[Size], b: &[Size]) -> bool {
    let wide = |sizes: &[Size]| sizes.iter().filter(|n| n.fixed() != Some(1)).copied().collect::<Sizes>();
    let (a, b) = (wide(a), wide(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.expr() == b.expr() && a.hint() == b.hint())
}

impl Shown {
    fn sizes(&self) -> Option<&Sizes> {
        match &self.base {
            Base::Fresh(sizes) => Some(sizes),
            Base::Input(_) | Base::Captured(_) => None,
        }
    }

    /// Whether it lies in row-major order in every call.
    fn is_dense(&self) -> bool {
        let Some(sizes) = self.sizes() else { return false };
        let mut sizes = sizes.clone();
        self.steps.iter().all(|step| match step {
            ViewStep::Element => {
                sizes.remove(0);
                true
            }
            ViewStep::View(ViewOp::Affine(_)) => false,
            ViewStep::View(ViewOp::Primitive(op)) => match op.class() {
                Class::View(View::Reshape(to)) => {
                    sizes = to.iter().copied().collect();
                    true
                }
                // The first elements of the first axis that has several.
                Class::View(View::Slice { axis, len, .. }) => {
                    let first = sizes[..axis].iter().all(|n| n.fixed() == Some(1));
                    sizes[axis] = *len;
                    first
                }
                _ => false,
            },
        })
    }
}

impl Aliasing {
    /// The decisions of a family where the program can still use what was made: itself, or what was made of that, which would
    /// show the first one's elements in a call where all are views.
    fn usable(&self, family: usize) -> Vec<usize> {
        let Some(of) = self.families.get(&family) else { return Vec::new() };
        let mut used = FxHashSet::default();
        let mut usable = Vec::new();
        for (i, d) in self.decisions.iter().enumerate().skip(of[0]).rev() {
            if !d.lifetime.is_over() || (d.from != d.to && used.contains(&d.to)) {
                used.insert(d.from);
                usable.push(i);
            }
        }
        usable.retain(|i| of.contains(i));
        usable
    }
}

impl CaptureState {
    /// The values of `tensor`, which the recording has just made, show memory of an input.
    pub(crate) fn shows_input(&mut self, tensor: &Tensor, input: usize) {
        self.shows(
            tensor,
            Shown { base: Base::Input(input), steps: Vec::new(), because: None, carries: SmallVec::new() },
        );
    }

    fn shows(&mut self, tensor: &Tensor, shown: Shown) {
        if let Some(Root::Traced(cell)) = tensor.traced().map(|t| &t.root) {
            self.aliasing.origins.insert(identity(cell), (Arc::clone(cell), shown));
        }
    }

    /// The memory of a tensor.
    fn shown(&self, t: &Tensor) -> Shown {
        let captured = |t: &Tensor| Base::Captured(TraceHandle::new(t.clone()));
        let traced = match t.body() {
            Body::Strided(_) => {
                return Shown { base: captured(t), steps: Vec::new(), because: None, carries: SmallVec::new() };
            }
            Body::Traced(traced) => traced,
        };
        let links = traced.path.iter().flat_map(|path| path.steps()).collect::<Vec<_>>();
        let mut shown = match &traced.root {
            Root::External(base) => {
                Shown { base: captured(base), steps: Vec::new(), because: None, carries: SmallVec::new() }
            }
            Root::Traced(cell) => match self.aliasing.origins.get(&identity(cell)) {
                Some((_, shown)) => shown.clone(),
                None => {
                    let sizes = links.first().map_or_else(|| t.sizes(), |link| link.from.clone());
                    let because = self.aliasing.copies.get(&identity(cell)).copied();
                    Shown { base: Base::Fresh(sizes), steps: Vec::new(), because, carries: SmallVec::new() }
                }
            },
        };
        shown.steps.extend(links.iter().map(|link| ViewStep::View(link.op.clone())));
        shown
    }

    /// Whether anything could be decided otherwise in another call that this recording stands for, or in another iteration.
    fn can_differ(&self, of: &Tensor) -> bool {
        let carried = |cell| self.aliasing.origins.get(&identity(cell)).is_some_and(|(_, s)| !s.carries.is_empty());
        self.replay.is_plain() || of.traced().and_then(|t| t.root.cell()).is_some_and(carried)
    }

    /// `inside`, an input of the body of a loop, is an element of `outside`, or the carry of this scope and number that begins as it.
    pub(crate) fn enters_loop(&mut self, inside: &mut Tensor, outside: &Tensor, carry: Option<(usize, usize)>) {
        let mut shown = self.shown(outside);
        let skip = usize::from(carry.is_none());
        match carry {
            Some(carry) => shown.carries.push(carry),
            None => shown.steps.push(ViewStep::Element),
        }
        if let Some(Body::Traced(t)) = Arc::get_mut(&mut inside.0).map(|inner| inner.body_mut()) {
            t.strides = Strides::from_slice(&outside.laid_out()[skip..]);
        }
        let root = match outside.traced() {
            Some(t) => t.root.clone(),
            None => Root::External(TraceHandle::new(outside.clone())),
        };
        if let Some(cell) = inside.traced().and_then(|t| t.root.cell()) {
            self.aliasing.followed.insert(identity(cell), root);
        }
        self.shows(inside, shown);
    }

    /// What an input of the body of a loop is an element of, or begins as.
    pub(crate) fn followed(&self, cell: &Arc<Cell>) -> Option<&Root> {
        self.aliasing.followed.get(&identity(cell))
    }

    /// That the carries of the innermost loop, of which the body has asked how they lie, lie so in every iteration.
    ///
    /// # Errors
    /// When they lie otherwise after one than before the first.
    pub(crate) fn carries_lie_alike(&mut self, new: &[Tensor]) -> Result<()> {
        let Some(open) = self.open.last() else { return Ok(()) };
        let (scope, begun) = (open.scope, open.carries.clone());
        let mut seen = vec![false; new.len()];
        // What the new ones show may be another carry, which is asked then too.
        while let Some(i) = (0..new.len()).find(|i| !seen[*i] && self.aliasing.asked_carries.contains(&(scope, *i))) {
            seen[i] = true;
            let (first, next) = (&begun[i], &new[i]);
            let dense = first.is_dense() && next.is_dense();
            if !dense && first.laid_out() != next.laid_out() {
                return Err(Error::trace(format!(
                    "the body of a loop asks how carry {i} lies in memory, and that differs between iterations: it begins with \
                     strides {:?} and goes on with {:?}; carry what contiguous() gives",
                    first.laid_out(),
                    next.laid_out()
                )));
            }
            let question = if dense { LayoutQuestion::Contiguous } else { LayoutQuestion::Strides };
            self.layout_asked(first, question);
            self.layout_asked(next, question);
        }
        Ok(())
    }

    /// `result` is `of` seen through `op`, or a copy.
    pub(crate) fn view_decided(&mut self, of: &Tensor, result: &Tensor, op: &ViewOp) {
        let ViewOp::Primitive(primitive) = op else { return };
        let Class::View(View::Reshape(to)) = primitive.class() else { return };
        if !self.can_differ(of) || same_but_for_ones(&of.sizes(), to) {
            return;
        }
        let mut shown = self.shown(of);
        if shown.is_dense() {
            return;
        }
        shown.steps.push(ViewStep::View(op.clone()));
        self.decided(shown, Answer::View(result.shares_elements_of(of)), of, result);
    }

    /// `result` is `of` where that lies in row-major order, or a copy.
    pub(crate) fn contiguous_decided(&mut self, of: &Tensor, result: &Tensor) {
        if !self.can_differ(of) {
            return;
        }
        let shown = self.shown(of);
        if !shown.is_dense() {
            self.decided(shown, Answer::Contiguous(result.is_same(of)), of, result);
        }
    }

    fn decided(&mut self, shown: Shown, answer: Answer, of: &Tensor, result: &Tensor) {
        let aliasing = &mut self.aliasing;
        let number = aliasing.decisions.len();
        let (from, to) = (family(of), family(result));
        let lifetime = match result.traced().map(|t| (&t.root, &t.path)) {
            Some((Root::Traced(cell), _)) if from != to => {
                aliasing.copies.insert(identity(cell), number);
                Lifetime::Copy(Arc::downgrade(cell))
            }
            Some((_, Some(path))) if result.id() != of.id() => Lifetime::View(Arc::downgrade(path)),
            _ => Lifetime::Whole,
        };
        aliasing.families.entry(from).or_default().push(number);
        if from != to {
            aliasing.families.entry(to).or_default().push(number);
        }
        let held = of.traced().and_then(|t| t.root.cell()).map(Arc::downgrade);
        aliasing.decisions.push(Decision { shown, answer, lifetime, from, to, _held: held, is_guarded: false });
    }

    /// The program asks how a tensor lies: calls with another answer are others.
    pub(crate) fn layout_asked(&mut self, of: &Tensor, question: LayoutQuestion) {
        if !self.can_differ(of) {
            return;
        }
        let answer = match question {
            LayoutQuestion::Contiguous => Answer::Contiguous(of.is_dense()),
            LayoutQuestion::Strides => Answer::Strides(Strides::from_slice(of.laid_out())),
        };
        let shown = self.shown(of);
        self.asked(of, shown, answer);
    }

    fn asked(&mut self, of: &Tensor, shown: Shown, answer: Answer) {
        let (lifetime, from, because) = (Lifetime::Whole, family(of), shown.because);
        self.aliasing.asked_carries.extend(shown.carries.iter().copied());
        let held = of.traced().and_then(|t| t.root.cell()).map(Arc::downgrade);
        self.aliasing.decisions.push(Decision {
            shown,
            answer,
            lifetime,
            from,
            to: from,
            _held: held,
            is_guarded: true,
        });
        self.guard_decisions(because);
    }

    /// How every argument lies matters: calls where one lies otherwise are others.
    pub(crate) fn guard_arguments(&mut self) {
        for (&family, (_, shown)) in &self.aliasing.origins {
            let Base::Input(input) = shown.base else { continue };
            let Source::Arg(i) = self.sources[input] else { continue };
            // A backward pass that is recorded later has no arguments of its own.
            let Some(argument) = self.arguments.get(i) else { continue };
            if shown.steps.is_empty() {
                self.aliasing.decisions.push(Decision {
                    shown: shown.clone(),
                    answer: Answer::Strides(argument.strides()),
                    lifetime: Lifetime::Whole,
                    from: family,
                    to: family,
                    _held: None,
                    is_guarded: true,
                });
            }
        }
    }

    /// Whether a value that is no view lies in row-major order from the first element of its memory on.
    pub(crate) fn begins_memory(&mut self, of: &Tensor) -> bool {
        let shown = self.shown(of);
        let begins = match (&shown.base, &shown.steps[..]) {
            (Base::Fresh(_), []) => {
                self.guard_decisions(shown.because);
                return true;
            }
            (Base::Input(i), []) => match &self.sources[*i] {
                Source::Arg(i) => begins(&self.arguments[*i]),
                Source::Grad(t) => t.stored_grad().is_some_and(|g| begins(&g)),
                Source::ArgGrad(i) => self.arguments[*i].stored_grad().is_some_and(|g| begins(&g)),
                Source::State(t) => begins(t),
                Source::Data(t) => begins(t),
                Source::Draw | Source::Gradient => true,
            },
            (Base::Captured(t), []) => begins(t),
            (_, [_, ..]) => return false,
        };
        if self.can_differ(of) {
            self.asked(of, shown, Answer::Begins(begins));
        }
        begins
    }

    fn guard_decisions(&mut self, mut number: Option<usize>) {
        while let Some(i) = number {
            let decision = &mut self.aliasing.decisions[i];
            // What it depends on is guarded with it.
            if std::mem::replace(&mut decision.is_guarded, true) {
                return;
            }
            number = decision.shown.because;
            self.aliasing.asked_carries.extend(decision.shown.carries.iter().copied());
        }
    }

    /// Elements of `root` are changed in place: which tensors share them can be seen.
    pub(crate) fn sharing_seen(&mut self, root: &Tensor) {
        for i in self.aliasing.usable(family(root)) {
            self.guard_decisions(Some(i));
        }
    }

    /// Whether the last step to a tensor copied elements becomes a guard.
    pub(crate) fn guard_last_step(&mut self, tensor: &Tensor) {
        let last = tensor.traced().and_then(|t| t.path.as_ref()).map(Arc::as_ptr);
        for i in self.decisions_about(tensor) {
            let is_last = match &self.aliasing.decisions[i].lifetime {
                Lifetime::View(link) => last.is_some_and(|last| last == link.as_ptr()),
                Lifetime::Copy(_) => last.is_none(),
                Lifetime::Whole => false,
            };
            if is_last {
                self.guard_decisions(Some(i));
            }
        }
    }

    /// The decisions by which a tensor shares elements with what it was made of, or does not.
    fn decisions_about(&self, tensor: &Tensor) -> Vec<usize> {
        let Some(traced) = tensor.traced() else { return Vec::new() };
        let links: Vec<Arc<Link>> = traced.path.iter().flat_map(|path| path.steps()).collect();
        let copied = match &traced.root {
            Root::Traced(cell) => self.aliasing.copies.get(&identity(cell)).copied(),
            Root::External(_) => None,
        };
        let of = self.aliasing.families.get(&family(tensor)).into_iter().flatten().copied();
        let on_the_way = of.filter(|&i| match &self.aliasing.decisions[i].lifetime {
            Lifetime::View(link) => links.iter().any(|l| Arc::as_ptr(l) == link.as_ptr()),
            Lifetime::Whole => true,
            Lifetime::Copy(_) => false,
        });
        copied.into_iter().chain(on_the_way).collect()
    }

    /// Whether the caller has a tensor of this family.
    fn is_callers(&self, family: usize) -> bool {
        let captured = |slots: &FxHashMap<usize, SmallVec<[usize; 1]>>| slots.contains_key(&family);
        self.aliasing.origins.contains_key(&family) || captured(&self.by_storage)
    }

    /// What the caller gets shares elements, or would, with what it has or gets besides.
    pub(crate) fn guard_results(&mut self, returned: &[Tensor]) {
        for (i, t) in returned.iter().enumerate() {
            for d in self.decisions_about(t) {
                let others = returned.iter().enumerate().filter(|(j, _)| *j != i);
                let from = self.aliasing.decisions[d].from;
                if self.is_callers(from) || others.map(|(_, t)| family(t)).any(|f| f == from) {
                    self.guard_decisions(Some(d));
                }
            }
        }
    }

    /// What must hold of layouts for the recording to stand for a call, with the captured tensors that it is about.
    pub(crate) fn layout_guards(&mut self) -> (Vec<LayoutGuard>, Vec<TraceHandle>) {
        let mut decisions = std::mem::take(&mut self.aliasing.decisions);
        // A recording that is made anew for each call needs none.
        decisions.retain(|_| self.replay.is_plain());
        let (mut guards, mut captured): (Vec<LayoutGuard>, Vec<TraceHandle>) = (Vec::new(), Vec::new());
        for Decision { shown, answer, .. } in decisions.into_iter().filter(|d| d.is_guarded) {
            let symbols = &self.replay.graphs().symbols;
            let memory = match shown.base {
                Base::Fresh(sizes) => Memory::Fresh(sizes.iter().map(|&n| symbols.dim(n)).collect()),
                Base::Input(i) => Memory::Input(i),
                Base::Captured(t) => {
                    let known = captured.iter().position(|c| c.id() == t.id());
                    Memory::Captured(known.unwrap_or_else(|| {
                        captured.push(t);
                        captured.len() - 1
                    }))
                }
            };
            let steps = shown.steps.into_iter().map(|step| step.map(&mut |&n| symbols.dim(n))).collect();
            let guard = LayoutGuard { layout: Layout { memory, steps }, answer };
            if !guard.layout.is_fixed() && !guards.contains(&guard) {
                guards.push(guard);
            }
        }
        (guards, captured)
    }
}
