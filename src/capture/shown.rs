//! How a value of a recording lies, as an expression: whose memory it shows and through which views, or which operands its
//! own memory follows. It says what holds in every call that the recording stands for, and decides nothing.

use crate::capture::layout::{ComputedLayout, Layout, Memory, ViewStep};
use crate::tensor::handle::TraceHandle;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::size::sizes_of;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Class, Dim, Extent, View};
use smallvec::SmallVec;

/// Whose memory a value shows.
#[derive(Clone)]
pub(crate) enum Base {
    /// That of a fresh result of these sizes, in row-major order.
    Fresh(Sizes),
    /// That of an input, by number.
    Input(usize),
    /// That of a captured tensor.
    Captured(TraceHandle),
    /// That of a result which follows its operands, by its number among those of the recording.
    Computed(usize),
}

/// Memory, and how a value shows it.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) base: Base,
    pub(crate) steps: Vec<ViewStep<Size>>,
    /// The decision without which the memory is another one.
    pub(crate) because: Option<usize>,
    /// The carries of loops, by scope and number, that it is: as they begin.
    pub(crate) carries: SmallVec<[(usize, usize); 1]>,
}

/// In which calls something lies in row-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dense {
    Perhaps,
    /// Where all inputs do that it depends on.
    WithInputs,
    Always,
}

/// A result whose memory follows that of its operands.
#[derive(Clone)]
struct Computed {
    rule: LayoutRule,
    sizes: Sizes,
    /// None stands for a number.
    operands: SmallVec<[Option<Shown>; 2]>,
    dense: Dense,
}

/// Those of one recording; what others follow comes before these.
#[derive(Clone, Default)]
pub(crate) struct ComputedLayouts(Vec<Computed>);

/// What was asked about, as a call needs to know it.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) layouts: Vec<Layout>,
    pub(crate) computed: Vec<ComputedLayout>,
    /// Whether each computed one is the same in every call.
    pub(crate) fixed: Vec<bool>,
    pub(crate) captured: Vec<TraceHandle>,
}

impl Shown {
    pub(crate) fn of(base: Base) -> Shown {
        Shown { base, steps: Vec::new(), because: None, carries: SmallVec::new() }
    }

    pub(crate) fn captured(t: &Tensor) -> Shown {
        Shown::of(Base::Captured(TraceHandle::new(t.clone())))
    }
}

/// The result that all operands which are no numbers are, as it is.
fn common(operands: &[Option<Shown>]) -> Option<usize> {
    let computed = |o: &Shown| match o.base {
        Base::Computed(i) if o.steps.is_empty() => Some(i),
        _ => None,
    };
    let mut all = operands.iter().flatten();
    let first = computed(all.next()?)?;
    all.all(|o| computed(o) == Some(first)).then_some(first)
}

impl ComputedLayouts {
    /// In which calls it lies in row-major order.
    pub(crate) fn dense(&self, shown: &Shown) -> Dense {
        match self.order(shown) {
            (dense, false) => dense,
            (_, true) => Dense::Perhaps,
        }
    }

    /// In which calls it lies in row-major order but for axes that elements are repeated along, and whether there may be such.
    fn order(&self, shown: &Shown) -> (Dense, bool) {
        let (mut dense, mut sizes) = match &shown.base {
            Base::Fresh(sizes) => (Dense::Always, Some(sizes.clone())),
            Base::Input(_) => (Dense::WithInputs, None),
            Base::Captured(t) if t.is_dense() => (Dense::Always, Some(sizes_of(t.shape_hint()))),
            Base::Captured(_) => (Dense::Perhaps, None),
            Base::Computed(i) => (self.0[*i].dense, Some(self.0[*i].sizes.clone())),
        };
        let mut repeated = false;
        // The first axis that has several elements.
        let is_first = |axis: usize, sizes: &Option<Sizes>| {
            axis == 0 || sizes.as_ref().is_some_and(|s| s[..axis].iter().all(|n| n.fixed() == Some(1)))
        };
        for step in &shown.steps {
            let keeps = match step {
                ViewStep::Element => {
                    sizes.as_mut().map(|sizes| sizes.remove(0));
                    !repeated
                }
                ViewStep::View(ViewOp::Affine(_) | ViewOp::Memory { .. }) => {
                    sizes = None;
                    false
                }
                ViewStep::View(ViewOp::Select { axis, .. }) => {
                    let first = is_first(*axis, &sizes);
                    sizes.as_mut().map(|sizes| sizes.remove(*axis));
                    first && !repeated
                }
                ViewStep::View(ViewOp::Primitive(op)) => match op.class() {
                    Class::View(View::Reshape(to)) => {
                        sizes = Some(to.iter().copied().collect());
                        !repeated
                    }
                    Class::View(View::Broadcast(to)) => {
                        sizes = Some(to.iter().copied().collect());
                        repeated = true;
                        true
                    }
                    // The first elements of the first axis that has several.
                    Class::View(View::Slice { axis, len, .. }) => {
                        let first = is_first(axis, &sizes);
                        if let Some(sizes) = &mut sizes {
                            sizes[axis] = *len;
                        }
                        first && !repeated
                    }
                    _ => {
                        sizes = None;
                        false
                    }
                },
            };
            if !keeps {
                dense = Dense::Perhaps;
            }
        }
        (dense, repeated)
    }

    /// Whether how it lies depends on the memory of the other.
    pub(crate) fn involves(&self, shown: &Shown, other: &Shown) -> bool {
        let is = |base: &Base| match (base, &other.base) {
            (Base::Input(a), Base::Input(b)) | (Base::Computed(a), Base::Computed(b)) => a == b,
            (Base::Captured(a), Base::Captured(b)) => a.id() == b.id(),
            (Base::Fresh(_) | Base::Input(_) | Base::Captured(_) | Base::Computed(_), _) => false,
        };
        let Base::Computed(last) = shown.base else { return is(&shown.base) };
        let mut needed = vec![false; last + 1];
        needed[last] = true;
        (0..=last).rev().any(|i| {
            let operands = self.0[i].operands.iter().flatten().filter(|_| needed[i]);
            is(&Base::Computed(i)) & needed[i] || {
                let mut found = false;
                for base in operands.map(|o| &o.base).collect::<Vec<_>>() {
                    found |= is(base);
                    if let Base::Computed(j) = base {
                        needed[*j] = true;
                    }
                }
                found
            }
        })
    }

    /// How a result lies that follows these operands.
    pub(crate) fn follow(&mut self, rule: LayoutRule, sizes: Sizes, operands: SmallVec<[Option<Shown>; 2]>) -> Shown {
        let carries = operands.iter().flatten().flat_map(|o| o.carries.iter().copied());
        let mut carries: SmallVec<[(usize, usize); 1]> = carries.collect();
        carries.sort_unstable();
        carries.dedup();
        let number = self.settled(rule, &operands).unwrap_or_else(|| {
            let dense = match rule {
                LayoutRule::Contiguous | LayoutRule::RowMajor => Dense::Always,
                LayoutRule::Elementwise | LayoutRule::Preserved | LayoutRule::Gradient => self.followed(&operands),
            };
            self.0.push(Computed { rule, sizes, operands, dense });
            self.0.len() - 1
        });
        Shown { carries, ..Shown::of(Base::Computed(number)) }
    }

    /// In which calls a result lies in row-major order that follows these operands.
    fn followed(&self, operands: &[Option<Shown>]) -> Dense {
        let mut all = Dense::Always;
        for operand in operands.iter().flatten() {
            let (dense, repeated) = self.order(operand);
            all = all.min(dense);
            // The first operand with all elements decides: it leaves nothing open but axes along which nothing goes.
            if all == Dense::Perhaps || !repeated {
                break;
            }
        }
        all
    }

    /// The layout that all operands have, where a result that follows such ones has it too: what has no gaps is preserved, and
    /// a second elementwise operation changes nothing that the first one did not.
    fn settled(&self, rule: LayoutRule, operands: &[Option<Shown>]) -> Option<usize> {
        let it = common(operands)?;
        let before = &self.0[it];
        let again = || {
            let (a, b) = (operands.iter().map(Option::is_some), before.operands.iter().map(Option::is_some));
            before.rule == rule && a.eq(b) && common(&before.operands).is_some()
        };
        let settled = match rule {
            LayoutRule::Preserved => true,
            LayoutRule::Elementwise => again(),
            LayoutRule::Contiguous | LayoutRule::Gradient | LayoutRule::RowMajor => false,
        };
        settled.then_some(it)
    }

    /// What was asked about, with those that it follows; `of` says what a size is.
    pub(crate) fn resolve(&self, asked: &[&Shown], of: &dyn Fn(Size) -> Dim) -> Resolved {
        let mut needed = vec![false; self.0.len()];
        let need = |needed: &mut Vec<bool>, shown: &Shown| {
            if let Base::Computed(i) = shown.base {
                needed[i] = true;
            }
        };
        asked.iter().for_each(|shown| need(&mut needed, shown));
        for i in (0..self.0.len()).rev() {
            if needed[i] {
                self.0[i].operands.iter().flatten().for_each(|o| need(&mut needed, o));
            }
        }
        let mut out = Resolved::default();
        let mut places = vec![usize::MAX; self.0.len()];
        for i in (0..self.0.len()).filter(|i| needed[*i]) {
            let Computed { rule, operands, .. } = &self.0[i];
            let operands = operands.iter().map(|o| o.as_ref().map(|o| out.layout(o, &places, of))).collect();
            let computed = ComputedLayout { rule: *rule, operands };
            out.fixed.push(computed.is_fixed(&out.fixed));
            places[i] = out.computed.len();
            out.computed.push(computed);
        }
        for shown in asked {
            let layout = out.layout(shown, &places, of);
            out.layouts.push(layout);
        }
        out
    }
}

impl Resolved {
    fn layout(&mut self, shown: &Shown, places: &[usize], of: &dyn Fn(Size) -> Dim) -> Layout {
        let memory = match &shown.base {
            Base::Fresh(sizes) => Memory::Fresh(sizes.iter().map(|&n| of(n)).collect()),
            Base::Input(i) => Memory::Input(*i),
            Base::Captured(t) => {
                let known = self.captured.iter().position(|c| c.id() == t.id());
                Memory::Captured(known.unwrap_or_else(|| {
                    self.captured.push(t.clone());
                    self.captured.len() - 1
                }))
            }
            Base::Computed(i) => Memory::Computed(places[*i]),
        };
        Layout { memory, steps: shown.steps.iter().map(|step| step.map(&mut |&n| of(n))).collect() }
    }
}
