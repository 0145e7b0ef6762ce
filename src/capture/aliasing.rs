//! What the program, run eagerly, decides by how elements lie: whether a reshape shows the same elements or copies them, and
//! what `is_contiguous()` and `strides()` say. A decision is kept as a condition with the value that it made, and becomes a
//! guard where the difference could be seen: something that shares the elements, or would, is changed in place, or the
//! caller gets both. Nothing is decided here.

use crate::capture::endpoints::{Lies, OutputLayout, Source};
use crate::capture::layout::{Answer, LayoutGuard, RecordedLayouts, ViewStep, begins};
use crate::capture::shown::{Base, ComputedLayouts, Dense, Resolved, Shown};
use crate::capture::state::CaptureState;
use crate::error::{Error, Result};
use crate::mode::recorder::state::LayoutQuestion;
use crate::tensor::handle::{Link, Root, TraceHandle};
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::{LayoutRule, outermost_first};
use crate::tensor::result_memory::ResultMemory;
use crate::tensor::strides::is_in_order;
use crate::tensor::traced::Cell;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Size, Sizes, Strides, Tensor, contiguous_strides, is_contiguous, size};
use allotrope_ir::{Axes, Class, Extent, Op, View};
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

/// How a value lies that a call hands out: in each, and in the one that is recorded.
#[derive(Clone)]
pub(crate) struct HandedLayout {
    shown: Shown,
    strides: Strides,
    /// Whether these are just those of row-major order.
    row_major: bool,
}

/// The decisions of one recording.
#[derive(Clone, Default)]
pub(crate) struct Aliasing {
    decisions: Vec<Decision>,
    /// Those that say which tensors share the elements of a root, by its identity.
    families: FxHashMap<usize, Vec<usize>>,
    /// The decisions that made copies, by the identity of what was made.
    copies: FxHashMap<usize, usize>,
    /// The decisions that a tensor is contiguous as it is.
    kept: Vec<usize>,
    /// Values that show memory which the program does not make, or that follow such ones, by the identity of their elements.
    origins: FxHashMap<usize, Origin>,
    /// The results that follow their operands.
    computed: ComputedLayouts,
    /// What the inputs of loop bodies are elements of, or begin as: a change of that is one of them.
    followed: FxHashMap<usize, Root>,
    /// The carries of which something was guarded.
    asked_carries: FxHashSet<(usize, usize)>,
}

/// What is known of the memory of a value that does not just lie in row-major order in its own.
#[derive(Clone)]
struct Origin {
    /// Keeps the identity from being another one's.
    _cell: Weak<Cell>,
    /// None where no other call is asked about.
    shown: Option<Shown>,
    /// In the call that is recorded.
    strides: Strides,
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

/// The order of the axes of a tensor that lies without gaps in another than row-major order; none where it does not.
fn order_of(t: &Tensor) -> Option<Axes> {
    let (shape, strides) = (t.shape_hint(), t.laid_out());
    let axes: Axes = outermost_first(shape, strides).into_iter().collect();
    (!t.is_dense() && is_in_order(shape, strides, &axes)).then_some(axes)
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
    /// `tensor`, which the recording has just made, shows memory of an input, which lies so in this call.
    pub(crate) fn shows_input(&mut self, tensor: &mut Tensor, input: usize, strides: Strides) {
        self.lies(tensor, strides, Some(Shown::of(Base::Input(input))));
    }

    /// `tensor`, which the recording has just made, lies so in this call, and as it is shown in each.
    fn lies(&mut self, tensor: &mut Tensor, strides: Strides, shown: Option<Shown>) {
        let Some(Body::Traced(t)) = Arc::get_mut(&mut tensor.0).map(|inner| inner.body_mut()) else { return };
        t.strides = strides.clone();
        if let Root::Traced(cell) = &t.root {
            self.aliasing.origins.insert(identity(cell), Origin { _cell: Arc::downgrade(cell), shown, strides });
        }
    }

    /// `result`, which the recording has just made, is what `op` makes of these operands, and lies as it does eagerly.
    pub(crate) fn follows(&mut self, result: &mut Tensor, op: &Op<Size>, operands: &[Operand<'_>]) {
        match ResultMemory::of(op) {
            ResultMemory::Own(rule) => self.follows_rule(result, rule, operands),
            memory @ (ResultMemory::Seen(_) | ResultMemory::Same) => {
                let Some(x) = operands.first().and_then(Operand::tensor) else { return };
                let strides = memory.strides(result.shape_hint(), operands);
                let shown = self.can_differ(x).then(|| {
                    let mut shown = self.memory_of(x);
                    if let ResultMemory::Seen(_) = memory {
                        shown.steps.push(ViewStep::View(op.clone().into()));
                    }
                    shown
                });
                if let Some(strides) = strides {
                    self.lies(result, strides, shown);
                }
            }
        }
    }

    /// `result`, which the recording has just made and nothing else shows, lies as the rule says for these operands.
    fn follows_rule(&mut self, result: &mut Tensor, rule: LayoutRule, operands: &[Operand<'_>]) {
        let strides = rule.strides(result.shape_hint(), operands.iter().map(Operand::laid_out));
        let row_major = |x: &Operand<'_>| match x.tensor().map(|t| t.traced().map(|t| (&t.root, &t.path))) {
            Some(Some((Root::Traced(cell), None))) => !self.aliasing.origins.contains_key(&identity(cell)),
            Some(_) => false,
            None => true,
        };
        if strides.is_none() && (rule == LayoutRule::RowMajor || operands.iter().all(row_major)) {
            // Nearly everything that is computed of such values is one.
            self.lies_in_order(result);
            return;
        }
        let differs = operands.iter().filter_map(Operand::tensor).any(|t| self.can_differ(t));
        let shown = differs.then(|| {
            let operands = operands.iter().map(|x| x.tensor().map(|t| self.memory_of(t))).collect();
            self.aliasing.computed.follow(rule, result.sizes(), operands)
        });
        let strides = strides.unwrap_or_else(|| contiguous_strides(result.shape_hint()));
        self.lies(result, strides, shown);
    }

    /// `result`, which nothing else shows, lies in row-major order in memory of its own, whatever was said before.
    fn lies_in_order(&mut self, result: &mut Tensor) {
        let strides = contiguous_strides(result.shape_hint());
        let Some(Body::Traced(t)) = Arc::get_mut(&mut result.0).map(|inner| inner.body_mut()) else { return };
        if let Root::Traced(cell) = &t.root {
            self.aliasing.origins.remove(&identity(cell));
        }
        t.strides = strides;
    }

    /// `result`, lying as the rule says for these operands.
    pub(crate) fn laid_out(&mut self, result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor> {
        let mut result = result;
        let own = |t: &Tensor| match t.traced().map(|t| (&t.root, &t.path)) {
            Some((Root::Traced(cell), None)) => Arc::strong_count(cell) == 1,
            _ => false,
        };
        if !own(&result) || Arc::get_mut(&mut result.0).is_none() {
            // The elements of a value never change: the same one stands for both.
            let at = self.current();
            let value = self.lift(&result)?;
            let mut moved = self.tensor_of(at, value)?;
            self.follows_rule(&mut moved, rule, operands);
            if result.has_grad_fn() {
                moved.set_grad_fn(result.grad_fn());
            }
            return Ok(moved);
        }
        self.follows_rule(&mut result, rule, operands);
        Ok(result)
    }

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
    fn shown(&self, t: &Tensor) -> Shown {
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

    /// How a tensor lies, whatever was decided on the way: where a reshape shows elements in one call and copies them in
    /// another, it lies one way or the other.
    fn memory_of(&self, t: &Tensor) -> Shown {
        self.undecided(self.shown(t))
    }

    fn undecided(&self, shown: Shown) -> Shown {
        let Some(i) = shown.because else { return shown };
        let decision = &self.aliasing.decisions[i];
        match decision.answer {
            Answer::View(_) => {
                let mut before = self.undecided(decision.shown.clone());
                before.steps.extend(shown.steps);
                before
            }
            // In row-major order in either case.
            Answer::Contiguous(_) | Answer::Strides(_) | Answer::Order(_) | Answer::Begins(_) => {
                Shown { because: None, ..shown }
            }
        }
    }

    /// The elements of a cell as they are, as a tensor.
    pub(crate) fn whole_of(&mut self, cell: &Arc<Cell>) -> Result<Tensor> {
        let scope = self.scope_of(cell.scope)?;
        let mut whole = self.tensor_of(scope, cell.value())?;
        let strides = self.aliasing.origins.get(&identity(cell)).map(|origin| origin.strides.clone());
        if let Some(Body::Traced(t)) = Arc::get_mut(&mut whole.0).map(|i| i.body_mut()) {
            t.root = Root::Traced(Arc::clone(cell));
            t.strides = strides.unwrap_or_else(|| t.strides.clone());
        }
        Ok(whole)
    }

    /// Whether anything could be decided otherwise in another call that this recording stands for, or in another iteration.
    fn can_differ(&self, of: &Tensor) -> bool {
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

    /// The program goes on in the order in which a copy of the tensor would lie that keeps its order in memory: calls with another
    /// one are others.
    pub(crate) fn order_asked(&mut self, of: &Tensor) {
        if !self.can_differ(of) {
            return;
        }
        let sizes = of.sizes();
        let shape = size::hints(&sizes);
        let shown = self.memory_of(of);
        let shown = self.aliasing.computed.follow(LayoutRule::Preserved, sizes, smallvec![Some(shown)]);
        let answer = match LayoutRule::Preserved.strides(&shape, [Some(of.laid_out())].into_iter()) {
            Some(strides) if !is_contiguous(&shape, &strides) => Answer::Order(outermost_first(&shape, &strides)),
            _ => Answer::Contiguous(true),
        };
        self.asked(of, shown, answer);
    }

    /// How a value lies that the caller gets in memory of its own, as output `output`; none where that is just row-major order.
    /// Calls where its axes lie in another order are others.
    pub(crate) fn handed_out_in(&mut self, of: &Tensor, output: usize) -> Option<OutputLayout<HandedLayout>> {
        // What shares memory eagerly, as a checked value does, may lie in any way; a result of its own does not.
        let axes = if of.is_dense() { Axes::new() } else { order_of(of)? };
        let laid_out = |axes, lies, usual| Some(OutputLayout { output, axes, lies, usual });
        let strides = Strides::from_slice(of.laid_out());
        let row_major = axes.is_empty() && strides == contiguous_strides(of.shape_hint());
        if !self.can_differ(of) {
            return if row_major { None } else { laid_out(axes, Lies::So(strides), false) };
        }
        let shown = self.memory_of(of);
        let dense = self.aliasing.computed.dense(&shown);
        if let (Dense::Always, Base::Fresh(_)) = (dense, &shown.base) {
            return None;
        }
        let question = if axes.is_empty() { LayoutQuestion::Contiguous } else { LayoutQuestion::Order };
        if dense != Dense::Always {
            self.layout_asked(of, question);
        }
        laid_out(axes, Lies::As(HandedLayout { shown, strides, row_major }), dense != Dense::Perhaps)
    }

    fn asked(&mut self, of: &Tensor, shown: Shown, answer: Answer) {
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
            (Base::Fresh(_), []) => return true,
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

    /// What must hold of layouts for the recording to stand for a call, and how what is handed out lies, as a call needs to know
    /// it.
    pub(crate) fn layouts(
        &mut self,
        handed_out: Vec<OutputLayout<HandedLayout>>,
    ) -> (RecordedLayouts, Vec<OutputLayout>) {
        let mut decisions = std::mem::take(&mut self.aliasing.decisions);
        // A recording that is made anew for each call needs none.
        decisions.retain(|d| d.is_guarded && self.replay.is_plain());
        if !self.replay.is_plain() {
            let known = |o: OutputLayout<HandedLayout>| o.map(|handed| Lies::So(handed.strides));
            return (RecordedLayouts::default(), handed_out.into_iter().map(known).collect());
        }
        let symbols = &self.replay.graphs().symbols;
        let handed = handed_out.iter().filter_map(|o| match &o.lies {
            Lies::As(handed) => Some(&handed.shown),
            Lies::So(_) => None,
        });
        let asked: Vec<&Shown> = decisions.iter().map(|d| &d.shown).chain(handed).collect();
        let Resolved { computed, captured, layouts, fixed } =
            self.aliasing.computed.resolve(&asked, &|n| symbols.dim(n));
        let mut layouts = layouts.into_iter();
        let mut guards: Vec<LayoutGuard> = Vec::new();
        for (Decision { shown, answer, .. }, layout) in decisions.into_iter().zip(layouts.by_ref()) {
            let usual = matches!(answer, Answer::View(true) | Answer::Contiguous(true))
                && self.aliasing.computed.dense(&shown) != Dense::Perhaps;
            let guard = LayoutGuard { layout, answer, usual };
            if !guard.layout.is_fixed(&fixed) && !guards.contains(&guard) {
                guards.push(guard);
            }
        }
        guards.sort_by_key(|guard| !guard.usual);
        let outputs = handed_out.into_iter().filter_map(|o| {
            let mut always = false;
            let o = o.map(|handed| match layouts.next().expect("a layout for each that was asked about") {
                layout if layout.is_fixed(&fixed) => {
                    always = handed.row_major;
                    Lies::So(handed.strides)
                }
                layout => Lies::As(layout),
            });
            (!always).then_some(o)
        });
        (RecordedLayouts { guards, computed, captured }, outputs.collect())
    }
}
