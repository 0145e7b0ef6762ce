//! What the program, run eagerly, decides by how elements lie: whether a reshape shows the same elements or copies them, and
//! what `is_contiguous()` and `strides()` say. A decision is kept as a condition with the value that it made, and becomes a
//! guard where the difference could be seen: something that shares the elements, or would, is changed in place, or the
//! caller gets both. Nothing is decided here.

use crate::capture::endpoints::Source;
use crate::capture::laid_out::order_of;
use crate::capture::layout::{Answer, ViewStep, begins};
use crate::capture::shown::{Base, ComputedLayouts, Dense, Shown};
use crate::capture::state::CaptureState;
use crate::error::{Error, Result};
use crate::mode::recorder::state::LayoutQuestion;
use crate::tensor::handle::{Link, Root, TraceHandle};
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::traced::Cell;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Size, Sizes, Strides, Tensor, eval};
use allotrope_ir::{Axes, Class, Extent, View};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};
use std::sync::{Arc, Weak};

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
pub(super) struct Decision {
    pub(super) shown: Shown,
    pub(super) answer: Answer,
    lifetime: Lifetime,
    /// The families of what it was decided about, and of what was made; the second keeps the first from being another one's.
    from: usize,
    to: usize,
    _held: Option<Weak<Cell>>,
    pub(super) is_guarded: bool,
}

/// The decisions of one recording.
#[derive(Clone, Default)]
pub(crate) struct Aliasing {
    pub(super) decisions: Vec<Decision>,
    /// Those that say which tensors share the elements of a root, by its identity.
    families: FxHashMap<usize, Vec<usize>>,
    /// The decisions that made copies, by the identity of what was made.
    copies: FxHashMap<usize, usize>,
    /// The decisions that a tensor is contiguous as it is.
    kept: Vec<usize>,
    /// Values that show memory which the program does not make, or that follow such ones, by the identity of their elements.
    pub(super) origins: FxHashMap<usize, Origin>,
    /// The results that follow their operands.
    pub(super) computed: ComputedLayouts,
    /// What the inputs of loop bodies are elements of, or begin as: a change of that is one of them.
    followed: FxHashMap<usize, Root>,
    /// The carries of which something was guarded.
    asked_carries: FxHashSet<(usize, usize)>,
}

/// What is known of the memory of a value that does not just lie in row-major order in its own.
#[derive(Clone)]
pub(super) struct Origin {
    /// Keeps the identity from being another one's.
    pub(super) _cell: Weak<Cell>,
    /// None where no other call is asked about.
    pub(super) shown: Option<Shown>,
    /// In the call that is recorded.
    pub(super) strides: Strides,
}

pub(super) fn identity(cell: &Arc<Cell>) -> usize {
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

    fn origin(&self, cell: &Arc<Cell>) -> Option<&Shown> {
        self.origins.get(&identity(cell)).and_then(|origin| origin.shown.as_ref())
    }
}

impl CaptureState {
    /// `inside`, an input of the body of a loop, is an element of `outside`, or the carry of this scope and number that begins as it.
    pub(crate) fn enters_loop(&mut self, inside: &mut Tensor, outside: &Tensor, carry: Option<(usize, usize)>) {
        let mut shown = self.shown(outside);
        let skip = usize::from(carry.is_none());
        match carry {
            Some(carry) => shown.carries.push(carry),
            None => shown.steps.push(ViewStep::Element),
        }
        let root = match outside.traced() {
            Some(t) => t.root.clone(),
            None => Root::External(TraceHandle::new(outside.clone())),
        };
        if let Some(cell) = inside.traced().and_then(|t| t.root.cell()) {
            self.aliasing.followed.insert(identity(cell), root);
        }
        self.lies(inside, Strides::from_slice(&outside.laid_out()[skip..]), Some(shown));
    }

    /// The memory of a tensor.
    pub(super) fn shown(&self, t: &Tensor) -> Shown {
        let traced = match t.body() {
            Body::Strided(_) => return Shown::captured(t),
            Body::Traced(traced) => traced,
        };
        let links = traced.path.iter().flat_map(|path| path.steps()).collect::<Vec<_>>();
        let mut shown = match &traced.root {
            Root::External(base) => Shown::captured(base),
            Root::Traced(cell) => match self.aliasing.origin(cell) {
                Some(shown) => shown.clone(),
                None => {
                    let sizes = links.first().map_or_else(|| t.sizes(), |link| link.from.clone());
                    let because = self.aliasing.copies.get(&identity(cell)).copied();
                    Shown { because, ..Shown::of(Base::Fresh(sizes)) }
                }
            },
        };
        shown.steps.extend(links.iter().map(|link| ViewStep::View(link.op.clone())));
        shown
    }

    /// Whether anything could be decided otherwise in another call that this recording stands for, or in another iteration.
    pub(super) fn can_differ(&self, of: &Tensor) -> bool {
        let carried = |cell| self.aliasing.origin(cell).is_some_and(|s| !s.carries.is_empty());
        self.replay.is_plain() || of.traced().and_then(|t| t.root.cell()).is_some_and(carried)
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
            let orders = (order_of(first), order_of(next));
            if !dense && orders.0.is_none() | (orders.0 != orders.1) && first.laid_out() != next.laid_out() {
                return Err(Error::trace(format!(
                    "the body of a loop asks how carry {i} lies in memory, and that differs between iterations: it begins with \
                     strides {:?} and goes on with {:?}; carry what contiguous() gives",
                    first.laid_out(),
                    next.laid_out()
                )));
            }
            let question = match orders.0 {
                _ if dense => LayoutQuestion::Contiguous,
                Some(_) => LayoutQuestion::Order,
                None => LayoutQuestion::Strides,
            };
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
        if self.aliasing.computed.dense(&shown) == Dense::Always {
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
        if self.aliasing.computed.dense(&shown) == Dense::Always {
            return;
        }
        let number = self.aliasing.decisions.len();
        match result.traced().map(|t| &t.root) {
            _ if result.is_same(of) => self.aliasing.kept.push(number),
            Some(Root::Traced(cell)) => {
                let before = smallvec![Some(self.undecided(shown.clone()))];
                let shown = self.aliasing.computed.follow(LayoutRule::Contiguous, of.sizes(), before);
                let shown = Some(Shown { because: Some(number), ..shown });
                let strides = Strides::from_slice(result.laid_out());
                self.aliasing.origins.insert(identity(cell), Origin { _cell: Arc::downgrade(cell), shown, strides });
            }
            Some(Root::External(_)) | None => {}
        }
        self.decided(shown, Answer::Contiguous(result.is_same(of)), of, result);
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
        let shown = self.shown(of);
        let answer = match question {
            LayoutQuestion::Contiguous => Answer::Contiguous(of.is_dense()),
            LayoutQuestion::Strides => Answer::Strides(Strides::from_slice(of.laid_out())),
            LayoutQuestion::Order if of.is_dense() => Answer::Contiguous(true),
            LayoutQuestion::Order => match order_of(of) {
                Some(order) => Answer::Order(order),
                None => Answer::Strides(Strides::from_slice(of.laid_out())),
            },
        };
        self.asked(of, shown, answer);
    }

    pub(super) fn asked(&mut self, of: &Tensor, shown: Shown, answer: Answer) {
        // What is contiguous already is its own copy, and would be another value of another layout.
        let (computed, decisions) = (&self.aliasing.computed, &self.aliasing.decisions);
        let same = self.aliasing.kept.iter().filter(|d| computed.involves(&shown, &decisions[**d].shown));
        for decision in same.copied().collect::<Vec<_>>() {
            self.guard_decisions(Some(decision));
        }
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
        for (&family, origin) in &self.aliasing.origins {
            let Some(shown) = &origin.shown else { continue };
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
        self.guard_decisions(shown.because);
        let begins = match (&shown.base, &shown.steps[..]) {
            // Where every call is recorded, what is computed is known by how it lies in this one.
            (Base::Fresh(_), []) => return of.is_dense(),
            (Base::Input(i), []) => match &self.sources[*i] {
                Source::Arg(i) => begins(&self.arguments[*i]),
                Source::Grad(t) => t.stored_grad().is_some_and(|g| begins(&g)),
                Source::ArgGrad(i) => self.arguments[*i].stored_grad().is_some_and(|g| begins(&g)),
                Source::State(t) => begins(t),
                Source::Data(t) => begins(t),
                Source::Draw | Source::Gradient => true,
            },
            (Base::Captured(t), []) => begins(t),
            (Base::Computed(_), []) => of.is_dense(),
            (_, [_, ..]) => return false,
        };
        if self.can_differ(of) {
            let answer = match shown.base {
                Base::Computed(_) => Answer::Contiguous(begins),
                _ => Answer::Begins(begins),
            };
            self.asked(of, shown, answer);
        }
        begins
    }

    /// The order in memory of the axes of a value that is no view, where it is computed and lies without gaps.
    pub(crate) fn order_in_memory(&mut self, of: &Tensor) -> Option<Axes> {
        let shown = self.shown(of);
        let is_computed = shown.steps.is_empty() && matches!(shown.base, Base::Computed(_) | Base::Fresh(_));
        let axes = order_of(of).filter(|_| is_computed)?;
        self.layout_asked(of, LayoutQuestion::Strides);
        Some(axes)
    }

    /// The memory of an argument, or of a gradient, that this value is, has so many elements.
    pub(crate) fn memory_wanted(&mut self, of: &Tensor, elements: usize) -> bool {
        let Base::Input(i) = self.shown(of).base else { return false };
        let given = match &self.sources[i] {
            Source::Arg(i) => self.arguments.get(*i).cloned(),
            Source::Grad(t) => t.stored_grad(),
            Source::ArgGrad(i) => self.arguments.get(*i).and_then(Tensor::stored_grad),
            Source::State(_) | Source::Data(_) | Source::Draw | Source::Gradient => None,
        };
        let Some(given) = given else { return false };
        let has = eval::place_in_storage(&given).is_ok_and(|(all, _)| elements <= all);
        if has {
            self.wanted_memory.extend(given.strided().map(|s| Arc::as_ptr(&s.storage) as usize));
        }
        has
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
        let shown = self.aliasing.origins.get(&family).and_then(|origin| origin.shown.as_ref());
        let given = shown.is_some_and(|s| !matches!(s.base, Base::Computed(_) | Base::Fresh(_)));
        given || captured(&self.by_storage)
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
}
