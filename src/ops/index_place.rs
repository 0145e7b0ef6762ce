//! Where an index leads in a tensor: steps to a part of it, which are views, and what tensors of integers and masks choose there. It
//! changes no tensor.

use super::arg::Arg;
use super::gather::{checked_index, checked_index_for, scatter};
use super::index::{along, number, rows, true_places};
use super::index_joint::Joint;
use super::index_kind::Index;
use super::meeting::put_where;
use super::movement::{concat, iota, narrow, put_chosen, seen};
use super::parts::{every, slice_bounds};
use super::single_node::{Keeps, single};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::layout::{laid_out, row_major};
use crate::mode::sizes::{at_most, is_zero, specialize};
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes, Tensor, eval};
use allotrope_ir::{DType, Op, ScatterOp};
/// One indexing operation, from a tensor to a part of it.
pub(super) enum Step {
    Select {
        axis: usize,
        at: Size,
    },
    Narrow {
        axis: usize,
        start: Size,
        len: Size,
        /// The node's name: PyTorch takes no view of a whole axis, so one behind others has the name of the last of those.
        node: &'static str,
    },
    Every {
        axis: usize,
        step: usize,
    },
    NewAxis(usize),
    /// One element of an axis, which an integer without axes gives whose value a run computes: that of this number.
    Chosen {
        axis: usize,
        at: usize,
    },
}

/// A tensor of an index.
pub(super) enum Chooser {
    /// Integers that count in one axis.
    Integers(Tensor),
    /// Bools over some axes.
    Mask(Tensor),
}

/// An index that was found in a tensor: the steps to a part of it, and what chooses there, by axis of the part.
pub(super) struct Place {
    pub(super) steps: Vec<Step>,
    pub(super) choosers: Vec<(usize, Chooser)>,
    /// Whether a mask was of bytes.
    pub(super) bytes: bool,
}

/// How many axes a part of an index is about.
fn covers(part: &Index<'_>) -> usize {
    match part {
        Index::At(_) | Index::Slice { .. } => 1,
        Index::Tensor(t) if matches!(t.dtype(), DType::Bool | DType::U8) => t.dim(),
        Index::Tensor(_) => 1,
        Index::Ellipsis | Index::NewAxis => 0,
    }
}

impl Place {
    /// Finds an index in `x`. Sizes are followed; the steps are not taken here.
    #[track_caller]
    pub(super) fn find(x: &Tensor, parts: Vec<Index<'_>>, reads: bool) -> Result<Place> {
        let op = if reads { "index" } else { "index_put" };
        let covered: usize = parts.iter().map(covers).sum();
        if covered > x.dim() {
            return Err(Error::operands(op, format!("{covered} indices are too many for shape {:?}", x.shape_hint())));
        }
        if parts.iter().filter(|p| matches!(p, Index::Ellipsis)).count() > 1 {
            return Err(Error::operands(op, "Ellipsis may stand in an index once"));
        }
        let mut place = Place { steps: Vec::new(), choosers: Vec::new(), bytes: false };
        let several = parts.len() > 1;
        let mut last = "AliasBackward0";
        place.bytes = parts.iter().any(|part| matches!(part, Index::Tensor(t) if t.dtype() == DType::U8));
        // PyTorch's older masks are bytes.
        let mask = |t: &Tensor| t.try_to(DType::Bool);
        let (mut sizes, mut axis) = (x.sizes(), 0);
        // The axis of `x` itself, for messages.
        let mut own = 0;
        for part in parts {
            match part {
                Index::At(i) => {
                    let n = sizes[axis];
                    place.steps.push(Step::Select { axis, at: element(op, x, own, n, i)? });
                    last = "SelectBackward0";
                    sizes.remove(axis);
                    own += 1;
                }
                Index::Slice { start, end, step } => {
                    // By what was written and not by the size, since it is recorded for gradients.
                    let whole = several && matches!((start, end), (None | Some(0), None));
                    let from_first = matches!(start, None | Some(0)) && end.is_none_or(|end| end >= 0);
                    let (start, len) = slice_bounds(sizes[axis], start, end);
                    if !(from_first && len.hint() == sizes[axis].hint() && step == 1) {
                        last = "SliceBackward0";
                    }
                    if !whole {
                        place.steps.push(Step::Narrow { axis, start, len, node: last });
                        sizes[axis] = len;
                    }
                    match step {
                        0 => return Err(Error::operands(op, "the step of a range must be at least 1")),
                        1 => {}
                        _ => {
                            specialize(&[len], "an axis is indexed with a step");
                            place.steps.push(Step::Every { axis, step });
                            sizes[axis] = Size::from(len.hint().div_ceil(step));
                        }
                    }
                    axis += 1;
                    own += 1;
                }
                Index::Ellipsis => {
                    axis += x.dim() - covered;
                    own += x.dim() - covered;
                }
                Index::NewAxis => {
                    place.steps.push(Step::NewAxis(axis));
                    last = "UnsqueezeBackward0";
                    sizes.insert(axis, Size::from(1));
                    axis += 1;
                }
                Index::Tensor(t) => match t.dtype() {
                    DType::Bool | DType::U8 if t.dim() == 0 => {
                        // All or nothing, along a new axis.
                        place.steps.push(Step::NewAxis(axis));
                        sizes.insert(axis, Size::from(1));
                        place.choosers.push((axis, Chooser::Mask(mask(t)?.try_reshape(&[1])?)));
                        axis += 1;
                    }
                    DType::Bool | DType::U8 => {
                        let k = t.dim();
                        if !t.has_sizes(&sizes[axis..axis + k]) {
                            let (mask, shape) = (t.shape_hint(), x.shape_hint());
                            return Err(Error::operands(
                                op,
                                format!("a mask of shape {mask:?} does not fit the axes of {shape:?} from {own} on"),
                            ));
                        }
                        place.choosers.push((axis, Chooser::Mask(mask(t)?)));
                        axis += k;
                        own += k;
                    }
                    DType::I64 | DType::I32 => {
                        if t.dim() == 0 {
                            let index = checked_index(op, t, sizes[axis], true)?;
                            place.steps.push(match mode::state::keep(&index) {
                                Some(kept) => Step::Chosen { axis, at: kept? },
                                // A number like any other.
                                None => {
                                    last = "SelectBackward0";
                                    let at = eval::elements::<i64>(&index.try_to(DType::I64)?)?[0];
                                    Step::Select { axis, at: Size::from(at as usize) }
                                }
                            });
                            sizes.remove(axis);
                        } else {
                            place.choosers.push((axis, Chooser::Integers(t.clone())));
                            axis += 1;
                        }
                        own += 1;
                    }
                    other => {
                        return Err(Error::operands(
                            op,
                            format!("a tensor of indices must be i64, i32, bool or u8, got {other}"),
                        ));
                    }
                },
            }
        }
        place.check(op, &sizes)?;
        Ok(place)
    }

    /// That the integers lie in their axes of a part of these sizes. Where other axes have no elements, nothing is chosen, and they may
    /// be anything.
    fn check(&mut self, op: &'static str, sizes: &[Size]) -> Result<()> {
        let mut rest = Sizes::from_slice(sizes);
        for (axis, chooser) in self.choosers.iter().rev() {
            match chooser {
                Chooser::Integers(_) => drop(rest.remove(*axis)),
                Chooser::Mask(mask) => drop(rest.drain(*axis..axis + mask.dim())),
            }
        }
        for (axis, chooser) in &mut self.choosers {
            if let Chooser::Integers(t) = chooser {
                let n = sizes[*axis];
                *t = match n.hint() == 0 && is_zero(n) {
                    true => checked_index(op, t, n, true)?,
                    false => checked_index_for(op, t, n, true, &rest)?,
                };
            }
        }
        Ok(())
    }

    /// The part of `x` that the steps lead to.
    pub(super) fn part(&self, x: &Tensor) -> Result<Tensor> {
        self.steps.iter().try_fold(x.clone(), |x, step| step.take(&x))
    }

    /// Integers for every axis that a tensor chooses in, masks as the places where they are true.
    #[track_caller]
    fn integers(&self) -> Result<Vec<(usize, Tensor)>> {
        let mut out = Vec::new();
        for (axis, chooser) in &self.choosers {
            match chooser {
                Chooser::Integers(t) => out.push((*axis, t.clone())),
                Chooser::Mask(mask) => {
                    let rank = mask.dim();
                    let places = true_places("a mask in an index", mask)?;
                    for i in 0..rank {
                        let column: Vec<i64> = places.iter().skip(i).step_by(rank).copied().collect();
                        out.push((axis + i, Tensor::try_from_slice(&column, &[column.len()])?));
                    }
                }
            }
        }
        Ok(out)
    }

    /// What the tensors choose of a part.
    #[track_caller]
    pub(super) fn chosen(&self, x: &Tensor) -> Result<Tensor> {
        let integers = self.integers()?;
        match &integers[..] {
            [] => Ok(x.clone()),
            [(axis, index)] => {
                let mut sizes = x.sizes();
                let chosen = rows(x, *axis, &index.try_ravel()?)?;
                sizes.remove(*axis);
                sizes.insert_many(*axis, index.sizes());
                lying_as_chosen(chosen.reshape_sizes(&sizes)?, x, &integers, *axis)
            }
            several => {
                let joint = Joint::new(x, several)?;
                let rows = rows(&joint.flat(x)?, 0, &joint.places)?;
                let result = joint.to_result(&rows.reshape_sizes(&joint.front_sizes())?)?;
                lying_as_chosen(result, x, several, joint.at)
            }
        }
    }
}

/// What tensors of integers chose of `x`, lying as PyTorch's: an elementwise operation on `x`, repeated along the new axes, and
/// on the integers, repeated along the others. The new axes begin at `at`.
fn lying_as_chosen(result: Tensor, x: &Tensor, integers: &[(usize, Tensor)], at: usize) -> Result<Tensor> {
    let in_order = |x: &Tensor| !mode::is_recording() && x.is_dense();
    let nothing = x.shape_hint().contains(&0) || result.shape_hint().contains(&0);
    if nothing || (in_order(x) && integers.iter().all(|(_, i)| in_order(i))) {
        return row_major(result);
    }
    let (sizes, one, zero) = (result.sizes(), Size::from(1), Size::from(0));
    let count = integers.iter().map(|(_, i)| i.dim()).max().unwrap_or(0);
    let mut rest = x.detach();
    for (axis, _) in integers.iter().rev() {
        rest = without("SelectBackward0", &narrow(&rest, *axis, zero, one)?, *axis)?;
    }
    let mut raised = rest.sizes();
    raised.insert_many(at, std::iter::repeat_n(one, count));
    let mut views = vec![rest.reshape_sizes(&raised)?.expand_sizes(&sizes)?];
    for (_, index) in integers {
        let mut raised = index.sizes();
        raised.extend(std::iter::repeat_n(one, sizes.len() - at - count));
        views.push(index.reshape_sizes(&raised)?.expand_sizes(&sizes)?);
    }
    let operands: Vec<Operand<'_>> = views.iter().map(Operand::Tensor).collect();
    laid_out(result, LayoutRule::Elementwise, &operands)
}

impl Step {
    fn take(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Step::Select { axis, at } => without("SelectBackward0", &narrow(x, *axis, *at, Size::from(1))?, *axis),
            Step::Narrow { axis, start, len, node } => {
                seen(x, Op::Slice { axis: *axis, start: *start, len: *len }, node)
            }
            Step::Every { axis, step } => every(x, *axis, *step),
            Step::NewAxis(axis) => with_one(x, *axis),
            Step::Chosen { axis, at } => seen(x, ViewOp::Select { axis: *axis, at: *at }, "SelectBackward0"),
        }
    }

    /// `x` with another part where this step leads.
    fn put(&self, x: &Tensor, part: &Tensor) -> Result<Tensor> {
        match self {
            Step::Select { axis, at } => replaced(x, *axis, *at, Size::from(1), &with_one(part, *axis)?),
            Step::Narrow { axis, start, len, .. } => replaced(x, *axis, *start, *len, part),
            Step::Every { axis, step } => {
                let sizes = part.sizes();
                let places = iota(sizes[*axis])?.try_mul(*step as i64)?;
                scatter(ScatterOp::Set, x, &along(&places, *axis, &sizes)?, part, *axis)
            }
            Step::NewAxis(_) => part.reshape_sizes(&x.sizes()),
            Step::Chosen { axis, at } => put_chosen(*axis, *at, x, part),
        }
    }
}

/// The element `i` of an axis of `n`, counted from 0.
#[track_caller]
fn element(op: &'static str, x: &Tensor, axis: usize, n: Size, i: isize) -> Result<Size> {
    let m = n.hint() as isize;
    if !(-m..m).contains(&i) {
        let shape = x.shape_hint();
        let range = if m == 0 { "there is none".to_string() } else { format!("it may be {} to {}", -m, m - 1) };
        return Err(Error::operands(
            op,
            format!("index {i} does not exist in axis {axis} of shape {shape:?}; {range}"),
        ));
    }
    let at = Size::from(i.unsigned_abs());
    if i < 0 {
        at_most(at, n);
        return Ok(n.minus(at));
    }
    at_most(Size::from(i.unsigned_abs() + 1), n);
    Ok(at)
}

fn without(node: &'static str, x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes.remove(axis);
    x.reshape_as_node(node, &sizes)
}

fn with_one(x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes.insert(axis, Size::from(1));
    x.reshape_as_node("UnsqueezeBackward0", &sizes)
}

/// `x` with other elements from `start` on along an axis.
fn replaced(x: &Tensor, axis: usize, start: Size, len: Size, part: &Tensor) -> Result<Tensor> {
    let (zero, n) = (Size::from(0), x.sizes()[axis]);
    let before = narrow(x, axis, zero, start)?;
    let rest = n.minus(start).minus(len);
    let after = narrow(x, axis, n.minus(rest), rest)?;
    concat(&[&before, part, &after], axis)
}

/// The tensors of integers in an index, which the tape keeps; masks are turned into such first.
pub(super) struct Kept(Vec<Tensor>);

impl Kept {
    pub(super) fn of(parts: &[Index<'_>]) -> Kept {
        let integers = parts.iter().filter_map(|part| match part {
            Index::Tensor(t) if t.dtype() != DType::Bool && t.dim() > 0 => Some((*t).clone()),
            Index::Tensor(_) | Index::At(_) | Index::Slice { .. } | Index::Ellipsis | Index::NewAxis => None,
        });
        Kept(integers.collect())
    }

    /// Behind other operands.
    pub(super) fn after<'a>(&'a self, operands: &[&'a Tensor]) -> Vec<&'a Tensor> {
        operands.iter().copied().chain(&self.0).collect()
    }

    /// What a node keeps that has them behind so many operands.
    pub(super) fn keeps(&self, first: usize) -> Vec<Keeps> {
        match self.0.len() {
            0 => vec![Keeps::Hidden],
            n => (first..first + n).map(Keeps::Operand).collect(),
        }
    }
}

/// The value without leading axes of size 1 for which there are no places, as in PyTorch.
pub(super) fn without_leading_ones(value: &Tensor, rank: usize) -> Result<Tensor> {
    let own = value.sizes();
    let extra = value.dim().saturating_sub(rank);
    let fits = own[..extra].iter().all(|n| n.is_one());
    if fits && extra > 0 { value.reshape_sizes(&own[extra..]) } else { Ok(value.clone()) }
}

/// The value repeated to `sizes`; more leading axes of size 1 than there are places for are dropped, as in PyTorch.
#[track_caller]
fn fill(value: &Tensor, sizes: &[Size]) -> Result<Tensor> {
    let value = without_leading_ones(value, sizes.len())?;
    value.expand_sizes(sizes).map_err(|_| {
        let (given, wanted) = (value.shape_hint(), crate::tensor::size::hints(sizes));
        Error::operands("index_put", format!("a value of shape {given:?} does not broadcast to {:?}", &wanted[..]))
    })
}

impl Place {
    /// Whether it is the whole tensor, as PyTorch finds it: no view is taken then.
    pub(super) fn is_whole(&self) -> bool {
        let whole = |s: &Step| matches!(s, Step::Narrow { node: "AliasBackward0", .. });
        self.choosers.is_empty() && self.steps.iter().all(whole)
    }

    /// Whether it is a part, of which no tensor chooses anything.
    pub(super) fn is_part(&self) -> bool {
        self.steps.is_empty() && self.choosers.is_empty()
    }

    /// `x` with `value` there, by one node.
    #[track_caller]
    pub(super) fn put_by(
        &self,
        node: &'static str,
        kept: &Kept,
        x: &Tensor,
        value: Arg<'_>,
        accumulate: bool,
    ) -> Result<Tensor> {
        match value {
            Arg::Number(_) => single(node, &kept.after(&[x]), &kept.keeps(1), |t| self.put(&t[0], value, accumulate)),
            Arg::Tensor(v) => {
                single(node, &kept.after(&[x, v]), &kept.keeps(2), |t| self.put(&t[0], Arg::Tensor(&t[1]), accumulate))
            }
        }
    }

    /// `x` with `value` there.
    #[track_caller]
    fn put(&self, x: &Tensor, value: Arg<'_>, accumulate: bool) -> Result<Tensor> {
        let fills = match value {
            Arg::Number(_) => true,
            Arg::Tensor(t) => t.shape_hint().iter().all(|&n| n == 1),
        };
        if self.bytes && fills && !accumulate && self.choosers.len() == 1 {
            return Err(Error::operands("index_put", "one value is put where a mask of bools is true, not of u8"));
        }
        let value = self.given(x, value, accumulate)?;
        let mut parts = vec![x.clone()];
        for step in &self.steps {
            let next = step.take(&parts[parts.len() - 1])?;
            parts.push(next);
        }
        let last = parts.pop().expect("the tensor itself is one");
        let mut new = self.changed(&last, &value, accumulate)?;
        for (step, x) in self.steps.iter().zip(&parts).rev() {
            new = step.put(x, &new)?;
        }
        Ok(new)
    }

    /// What is put into `x`.
    fn given(&self, x: &Tensor, value: Arg<'_>, accumulate: bool) -> Result<Tensor> {
        match value {
            Arg::Number(n) => number("index_put", x, n),
            Arg::Tensor(t) if t.dtype() == x.dtype() => Ok(t.clone()),
            // What a mask chooses may be filled with one element of any dtype.
            Arg::Tensor(t) if self.fills(t, accumulate) => t.try_to(x.dtype()),
            Arg::Tensor(t) => {
                let (given, own) = (t.dtype(), x.dtype());
                Err(Error::operands("index_put", format!("the value must be {own} as the tensor is, got {given}")))
            }
        }
    }

    /// A vector of memory with the value at the places in it that are chosen, one after the other.
    #[track_caller]
    pub(super) fn written(&self, memory: &Tensor, places: &Tensor, value: Arg<'_>, accumulate: bool) -> Result<Tensor> {
        let value = self.given(memory, value, accumulate)?;
        let part = self.part(places)?;
        let (hit, chosen) = match self.mask_for(&part, &value)? {
            Some(mask) => (Some(mask.expand_sizes(&part.sizes())?), part),
            None => (None, self.chosen(&part)?),
        };
        let value = fill(&value, &chosen.sizes())?;
        match accumulate {
            false => put_where(ScatterOp::Set, memory, &chosen, hit.as_ref(), &value),
            true if memory.dtype() == DType::Bool => {
                let wide = |x: &Tensor| x.try_to(DType::I64);
                let sum = put_where(ScatterOp::Add, &wide(memory)?, &chosen, hit.as_ref(), &wide(&value)?)?;
                sum.try_to(DType::Bool)
            }
            true => put_where(ScatterOp::Add, memory, &chosen, hit.as_ref(), &value),
        }
    }

    /// The one mask that chooses in `x`, seen as broadcasting with it, where each chosen element gets the same of the value: their
    /// number is not needed then.
    fn mask_for(&self, x: &Tensor, value: &Tensor) -> Result<Option<Tensor>> {
        let [(axis, Chooser::Mask(mask))] = &self.choosers[..] else { return Ok(None) };
        let behind = x.dim() - axis - mask.dim();
        if value.dim() > behind {
            return Ok(None);
        }
        let mut sizes = mask.sizes();
        sizes.extend(std::iter::repeat_n(Size::from(1), behind));
        mask.reshape_sizes(&sizes).map(Some)
    }

    /// Whether all that is chosen gets the one element of `value`.
    fn fills(&self, value: &Tensor, accumulate: bool) -> bool {
        let one = value.shape_hint().iter().all(|&n| n == 1);
        let masked = match &self.choosers[..] {
            [(_, Chooser::Mask(_))] => !accumulate,
            chosen => chosen.is_empty(),
        };
        masked && (one || self.choosers.is_empty())
    }

    /// A part with the value where the tensors choose.
    #[track_caller]
    fn changed(&self, x: &Tensor, value: &Tensor, accumulate: bool) -> Result<Tensor> {
        if let Some(mask) = self.mask_for(x, value)? {
            let value = fill(value, &x.sizes())?;
            let value = if accumulate { x.try_add(&value)? } else { value };
            return value.try_where_self(&mask, x);
        }
        let how = if accumulate { ScatterOp::Add } else { ScatterOp::Set };
        if accumulate && x.dtype() == DType::Bool {
            let wide = |x: &Tensor| x.try_to(DType::I64);
            return self.changed(&wide(x)?, &wide(value)?, true)?.try_to(DType::Bool);
        }
        let integers = self.integers()?;
        match &integers[..] {
            [] => {
                let value = fill(value, &x.sizes())?;
                if accumulate { x.try_add(&value) } else { Ok(value) }
            }
            [(axis, index)] => {
                let mut sizes = x.sizes();
                sizes.remove(*axis);
                let mut result = sizes.clone();
                result.insert_many(*axis, index.sizes());
                let flat = index.try_ravel()?;
                sizes.insert(*axis, flat.sizes()[0]);
                let rows = fill(value, &result)?.reshape_sizes(&sizes)?;
                scatter(how, x, &along(&flat, *axis, &sizes)?, &rows, *axis)
            }
            several => {
                let joint = Joint::new(x, several)?;
                let rows = joint.rows_of(&fill(value, &joint.result_sizes())?)?;
                let places = along(&joint.places, 0, &rows.sizes())?;
                joint.unflat(&scatter(how, &joint.flat(x)?, &places, &rows, 0)?, x)
            }
        }
    }
}
