//! How recorded values lie, as eager ones do: results follow their operands, and what a call hands out lies so. What a
//! call depends on by that is written down for it; whether something is a guard is decided in [`super::aliasing`].

use crate::autograd::saved::is_output;
use crate::capture::aliasing::{Decision, Origin, identity};
use crate::capture::endpoints::{Lies, OutputLayout};
use crate::capture::layout::{Answer, LayoutGuard, RecordedLayouts, ViewStep};
use crate::capture::shown::{Base, Dense, Resolved, Shown};
use crate::capture::state::CaptureState;
use crate::error::Result;
use crate::mode::recorder::state::LayoutQuestion;
use crate::tensor::handle::Root;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::{LayoutRule, outermost_first};
use crate::tensor::result_memory::ResultMemory;
use crate::tensor::strides::is_in_order;
use crate::tensor::traced::Cell;
use crate::tensor::{Body, Size, Strides, Tensor, contiguous_strides, is_contiguous, size};
use allotrope_ir::{Axes, Op};
use smallvec::smallvec;
use std::sync::Arc;

/// How a value lies that a call hands out: in each, and in the one that is recorded.
#[derive(Clone)]
pub(crate) struct HandedLayout {
    shown: Shown,
    strides: Strides,
    /// Whether these are just those of row-major order.
    row_major: bool,
}

/// The order of the axes of a tensor that lies without gaps in another than row-major order; none where it does not.
pub(super) fn order_of(t: &Tensor) -> Option<Axes> {
    let (shape, strides) = (t.shape_hint(), t.laid_out());
    let axes: Axes = outermost_first(shape, strides).into_iter().collect();
    (!t.is_dense() && is_in_order(shape, strides, &axes)).then_some(axes)
}

impl CaptureState {
    /// `tensor`, which the recording has just made, shows memory of an input, which lies so in this call.
    pub(crate) fn shows_input(&mut self, tensor: &mut Tensor, input: usize, strides: Strides) {
        self.lies(tensor, strides, Some(Shown::of(Base::Input(input))));
    }

    /// `tensor`, which the recording has just made, lies so in this call, and as it is shown in each.
    pub(super) fn lies(&mut self, tensor: &mut Tensor, strides: Strides, shown: Option<Shown>) {
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
            // What its own node keeps shows nothing to anybody.
            Some((Root::Traced(cell), None)) => Arc::strong_count(cell) == 1 + usize::from(is_output(t)),
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

    /// How a tensor lies, whatever was decided on the way: where a reshape shows elements in one call and copies them in
    /// another, it lies one way or the other.
    pub(super) fn memory_of(&self, t: &Tensor) -> Shown {
        self.undecided(self.shown(t))
    }

    pub(super) fn undecided(&self, shown: Shown) -> Shown {
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
