//! PyTorch's `x[...]` and `x[...] = value`: numbers, ranges and new axes become views, and what tensors of indices or
//! masks choose is gathered, all of them broadcast together.
//!
//! Where the axes of the tensors' shape go is PyTorch's rule: to the place of the first tensor where all of them stand
//! side by side (numbers and integer tensors without axes between them have already taken their axes away), else to the
//! front.

use super::arg::Arg;
use super::gather::{checked_index, scatter};
use super::index::{along, number, rows, true_places};
use super::index_kind::{Index, Indices};
use super::inplace::store;
use super::movement::{concat, iota, narrow, permute};
use super::parts::{every, slice_bounds};
use super::shape::common_sizes;
use crate::error::{Error, Result, called, must};
use crate::mode;
use crate::mode::layout::{laid_out, ordered_as, row_major};
use crate::mode::sizes::{at_most, numel, specialize};
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Axes, DType, ScatterOp};

impl Tensor {
    /// What stands at an index, as PyTorch's `x[...]`: numbers (an axis less), ranges with Python's rules for negative
    /// numbers, [`stepped`](super::stepped) ranges, [`NewAxis`](super::NewAxis), [`Ellipsis`](super::Ellipsis), tensors
    /// of integers and masks. Without tensors it is a view; with a mask its size depends on values, so a trace can't hold
    /// it.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::arange(12).reshape(&[3, 4]);
    /// assert_eq!(x.index(1).to_vec::<i64>(), [4, 5, 6, 7]);
    /// assert_eq!(x.index((.., -1)).to_vec::<i64>(), [3, 7, 11]);
    /// assert_eq!(x.index((1.., 0..2)).to_vec::<i64>(), [4, 5, 8, 9]);
    /// assert_eq!(x.index((NewAxis, Ellipsis, stepped(.., 3))).shape(), [1, 3, 2]);
    /// let (rows, columns) = (Tensor::from_vec(vec![0i64, 2], &[2]), Tensor::from_vec(vec![3i64, -4], &[2]));
    /// assert_eq!(x.index((&rows, &columns)).to_vec::<i64>(), [3, 8]);
    /// assert_eq!(x.index(&x.gt(9)).to_vec::<i64>(), [10, 11]);
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_index`] fails.
    #[track_caller]
    pub fn index<'a>(&self, at: impl Indices<'a>) -> Tensor {
        must(self.try_index(at))
    }

    /// As [`Tensor::index`].
    ///
    /// # Errors
    /// When there are more parts than axes, a number or an index lies outside its axis, or shapes of index tensors do not
    /// broadcast.
    #[track_caller]
    pub fn try_index<'a>(&self, at: impl Indices<'a>) -> Result<Tensor> {
        let place = called(Place::find(self, at.parts(), true))?;
        called(place.part(self).and_then(|x| place.chosen(&x)))
    }

    /// The tensor with `value` (broadcast, of this dtype) at an index; with `accumulate`, added there as often as the
    /// index names a place. Without it, the last value for a place stays.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let places = Tensor::from_vec(vec![1i64, 1], &[2]);
    /// assert_eq!(Tensor::arange(3).index_put(&places, 10, true).to_vec::<i64>(), [0, 21, 2]);
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_index_put`] fails.
    #[track_caller]
    pub fn index_put<'a, 'b>(&self, at: impl Indices<'a>, value: impl Into<Arg<'b>>, accumulate: bool) -> Tensor {
        must(self.try_index_put(at, value, accumulate))
    }

    /// As [`Tensor::index_put`].
    ///
    /// # Errors
    /// As [`Tensor::try_index`], and when the value does not broadcast or has another dtype.
    #[track_caller]
    pub fn try_index_put<'a, 'b>(
        &self,
        at: impl Indices<'a>,
        value: impl Into<Arg<'b>>,
        accumulate: bool,
    ) -> Result<Tensor> {
        let value = match value.into() {
            Arg::Number(n) => number(self, n),
            Arg::Tensor(t) if t.dtype() == self.dtype() => Ok(t.clone()),
            Arg::Tensor(t) => {
                let (given, own) = (t.dtype(), self.dtype());
                Err(Error::operands("index_put", format!("the value must be {own} as the tensor is, got {given}")))
            }
        };
        let new = value.and_then(|value| put(self, at.parts(), &value, accumulate));
        called(new.and_then(|new| ordered_as(new, self)))
    }

    /// As [`Tensor::index_put`], in place.
    ///
    /// # Panics
    /// Where [`Tensor::try_index_put_`] fails.
    #[track_caller]
    pub fn index_put_<'a, 'b>(&self, at: impl Indices<'a>, value: impl Into<Arg<'b>>, accumulate: bool) -> &Tensor {
        must(self.try_index_put_(at, value, accumulate))
    }

    /// As [`Tensor::index_put_`].
    ///
    /// # Errors
    /// As [`Tensor::try_index_put`], and when this is a leaf that requires a gradient outside `no_grad`.
    #[track_caller]
    pub fn try_index_put_<'a, 'b>(
        &self,
        at: impl Indices<'a>,
        value: impl Into<Arg<'b>>,
        accumulate: bool,
    ) -> Result<&Tensor> {
        let new = self.try_index_put(at, value, accumulate);
        called(new.and_then(|new| store("index_put_", self, &new)).map(|_| self))
    }

    /// PyTorch's `x[...] = value`: the value, cast and broadcast, at an index of this tensor.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::zeros(&[2, 3], DType::F32);
    /// x.set((.., 1..), 1.5);
    /// assert_eq!(x.to_vec::<f32>(), [0.0, 1.5, 1.5, 0.0, 1.5, 1.5]);
    /// ```
    ///
    /// # Panics
    /// Where [`Tensor::try_set`] fails.
    #[track_caller]
    pub fn set<'a, 'b>(&self, at: impl Indices<'a>, value: impl Into<Arg<'b>>) -> &Tensor {
        must(self.try_set(at, value))
    }

    /// As [`Tensor::set`].
    ///
    /// # Errors
    /// As [`Tensor::try_index_put_`], but of any dtype.
    #[track_caller]
    pub fn try_set<'a, 'b>(&self, at: impl Indices<'a>, value: impl Into<Arg<'b>>) -> Result<&Tensor> {
        let value = match value.into() {
            Arg::Number(n) => number(self, n),
            Arg::Tensor(t) => t.try_to(self.dtype()),
        };
        let new = value.and_then(|value| put(self, at.parts(), &value, false));
        called(new.and_then(|new| store("set", self, &new)).map(|_| self))
    }
}

/// One indexing operation, from a tensor to a part of it.
enum Step {
    Select {
        axis: usize,
        at: Size,
    },
    Narrow {
        axis: usize,
        start: Size,
        len: Size,
    },
    Every {
        axis: usize,
        step: usize,
    },
    NewAxis(usize),
    /// One element of an axis, which an integer without axes gives.
    Row {
        axis: usize,
        at: Tensor,
    },
}

/// A tensor of an index.
enum Chooser {
    /// Integers that count in one axis.
    Integers(Tensor),
    /// Bools over some axes.
    Mask(Tensor),
}

/// An index that was found in a tensor: the steps to a part of it, and what chooses there, by axis of the part.
struct Place {
    steps: Vec<Step>,
    choosers: Vec<(usize, Chooser)>,
}

/// How many axes a part of an index is about.
fn covers(part: &Index<'_>) -> usize {
    match part {
        Index::At(_) | Index::Slice { .. } => 1,
        Index::Tensor(t) if t.dtype() == DType::Bool => t.dim(),
        Index::Tensor(_) => 1,
        Index::Ellipsis | Index::NewAxis => 0,
    }
}

impl Place {
    /// Finds an index in `x`. Sizes are followed; the steps are not taken here.
    #[track_caller]
    fn find(x: &Tensor, parts: Vec<Index<'_>>, reads: bool) -> Result<Place> {
        let op = if reads { "index" } else { "index_put" };
        let covered: usize = parts.iter().map(covers).sum();
        if covered > x.dim() {
            return Err(Error::operands(op, format!("{covered} indices are too many for shape {:?}", x.shape_hint())));
        }
        if parts.iter().filter(|p| matches!(p, Index::Ellipsis)).count() > 1 {
            return Err(Error::operands(op, "Ellipsis may stand in an index once"));
        }
        let mut place = Place { steps: Vec::new(), choosers: Vec::new() };
        let (mut sizes, mut axis) = (x.sizes(), 0);
        // The axis of `x` itself, for messages.
        let mut own = 0;
        for part in parts {
            match part {
                Index::At(i) => {
                    let n = sizes[axis];
                    place.steps.push(Step::Select { axis, at: element(op, x, own, n, i)? });
                    sizes.remove(axis);
                    own += 1;
                }
                Index::Slice { start, end, step } => {
                    // By what was written and not by the size, since it is recorded for gradients.
                    let whole = matches!((start, end), (None | Some(0), None));
                    let (start, len) = slice_bounds(sizes[axis], start, end);
                    if !whole {
                        place.steps.push(Step::Narrow { axis, start, len });
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
                    sizes.insert(axis, Size::from(1));
                    axis += 1;
                }
                Index::Tensor(t) => match t.dtype() {
                    DType::Bool if t.dim() == 0 => {
                        // All or nothing, along a new axis.
                        place.steps.push(Step::NewAxis(axis));
                        sizes.insert(axis, Size::from(1));
                        place.choosers.push((axis, Chooser::Mask(t.try_reshape(&[1])?)));
                        axis += 1;
                    }
                    DType::Bool => {
                        let k = t.dim();
                        if !t.has_sizes(&sizes[axis..axis + k]) {
                            let (mask, shape) = (t.shape_hint(), x.shape_hint());
                            return Err(Error::operands(
                                op,
                                format!("a mask of shape {mask:?} does not fit the axes of {shape:?} from {own} on"),
                            ));
                        }
                        place.choosers.push((axis, Chooser::Mask(t.clone())));
                        axis += k;
                        own += k;
                    }
                    DType::I64 | DType::I32 => {
                        let index = checked_index(op, t, sizes[axis], true)?;
                        if t.dim() == 0 {
                            place.steps.push(Step::Row { axis, at: index.try_reshape(&[1])? });
                            sizes.remove(axis);
                        } else {
                            place.choosers.push((axis, Chooser::Integers(index)));
                            axis += 1;
                        }
                        own += 1;
                    }
                    other => {
                        return Err(Error::operands(
                            op,
                            format!("a tensor of indices must be i64, i32 or bool, got {other}"),
                        ));
                    }
                },
            }
        }
        Ok(place)
    }

    /// The part of `x` that the steps lead to.
    fn part(&self, x: &Tensor) -> Result<Tensor> {
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
    fn chosen(&self, x: &Tensor) -> Result<Tensor> {
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
        rest = without(&narrow(&rest, *axis, zero, one)?, *axis)?;
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
            Step::Select { axis, at } => without(&narrow(x, *axis, *at, Size::from(1))?, *axis),
            Step::Narrow { axis, start, len } => narrow(x, *axis, *start, *len),
            Step::Every { axis, step } => every(x, *axis, *step),
            Step::NewAxis(axis) => with_one(x, *axis),
            Step::Row { axis, at } => without(&rows(x, *axis, at)?, *axis),
        }
    }

    /// `x` with another part where this step leads.
    fn put(&self, x: &Tensor, part: &Tensor) -> Result<Tensor> {
        match self {
            Step::Select { axis, at } => replaced(x, *axis, *at, Size::from(1), &with_one(part, *axis)?),
            Step::Narrow { axis, start, len } => replaced(x, *axis, *start, *len, part),
            Step::Every { axis, step } => {
                let sizes = part.sizes();
                let places = iota(sizes[*axis])?.try_mul(*step as i64)?;
                scatter(ScatterOp::Set, x, &along(&places, *axis, &sizes)?, part, *axis)
            }
            Step::NewAxis(_) => part.reshape_sizes(&x.sizes()),
            Step::Row { axis, at } => {
                let part = with_one(part, *axis)?;
                scatter(ScatterOp::Set, x, &along(at, *axis, &part.sizes())?, &part, *axis)
            }
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

fn without(x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes.remove(axis);
    x.reshape_sizes(&sizes)
}

fn with_one(x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes.insert(axis, Size::from(1));
    x.reshape_sizes(&sizes)
}

/// `x` with other elements from `start` on along an axis.
fn replaced(x: &Tensor, axis: usize, start: Size, len: Size, part: &Tensor) -> Result<Tensor> {
    let (zero, n) = (Size::from(0), x.sizes()[axis]);
    let before = narrow(x, axis, zero, start)?;
    let rest = n.minus(start).minus(len);
    let after = narrow(x, axis, n.minus(rest), rest)?;
    concat(&[&before, part, &after], axis)
}

/// Several tensors of integers that choose together.
struct Joint {
    /// The axes chosen in, then the others.
    order: Axes,
    /// The axes that all index tensors broadcast to, and the others.
    chosen: Sizes,
    rest: Sizes,
    /// The places, as numbers in the chosen axes taken as one.
    places: Tensor,
    /// The number of elements in those.
    count: Size,
    /// Where the chosen axes go in the result.
    at: usize,
}

impl Joint {
    #[track_caller]
    fn new(x: &Tensor, integers: &[(usize, Tensor)]) -> Result<Joint> {
        let own = x.sizes();
        let tensors: Vec<&Tensor> = integers.iter().map(|(_, t)| t).collect();
        let chosen = common_sizes("index", &tensors)?;
        let axes: Vec<usize> = integers.iter().map(|(a, _)| *a).collect();
        let mut places = tensors[0].clone();
        for (i, t) in tensors.iter().enumerate().skip(1) {
            let n = super::reduce::size_tensor(own[axes[i]], DType::I64)?;
            places = places.try_mul(&n)?.try_add(*t)?;
        }
        let others = (0..x.dim()).filter(|a| !axes.contains(a));
        let rest: Sizes = others.clone().map(|a| own[a]).collect();
        let places = places.expand_sizes(&chosen)?.reshape_sizes(&[numel(&chosen)])?;
        let together = axes.windows(2).all(|w| w[1] == w[0] + 1);
        let sizes: Sizes = axes.iter().map(|&a| own[a]).collect();
        Ok(Joint {
            order: axes.iter().copied().chain(others).collect(),
            chosen,
            rest,
            places,
            count: numel(&sizes),
            at: if together { axes[0] } else { 0 },
        })
    }

    fn with_rest(&self, front: &[Size]) -> Sizes {
        front.iter().chain(&self.rest).copied().collect()
    }

    fn front_sizes(&self) -> Sizes {
        self.with_rest(&self.chosen)
    }

    /// `x` with the chosen axes as one, in front.
    fn flat(&self, x: &Tensor) -> Result<Tensor> {
        permute(x, self.order.clone())?.reshape_sizes(&self.with_rest(&[self.count]))
    }

    /// Undoes [`Joint::flat`].
    fn unflat(&self, flat: &Tensor, like: &Tensor) -> Result<Tensor> {
        let own = like.sizes();
        let sizes: Sizes = self.order.iter().map(|&a| own[a]).collect();
        let mut back = self.order.clone();
        for (i, &a) in self.order.iter().enumerate() {
            back[a] = i;
        }
        permute(&flat.reshape_sizes(&sizes)?, back)
    }

    /// The chosen axes from the front to their place.
    fn to_result(&self, x: &Tensor) -> Result<Tensor> {
        let k = self.chosen.len();
        super::shape::moved(x, &(0..k).collect::<Vec<_>>(), &(self.at..self.at + k).collect::<Vec<_>>())
    }

    /// The sizes of the result.
    fn result_sizes(&self) -> Sizes {
        let mut sizes = self.rest.clone();
        sizes.insert_many(self.at, self.chosen.iter().copied());
        sizes
    }

    /// A value in the shape of the result, as rows for the places.
    fn rows_of(&self, value: &Tensor) -> Result<Tensor> {
        let k = self.chosen.len();
        let front =
            super::shape::moved(value, &(self.at..self.at + k).collect::<Vec<_>>(), &(0..k).collect::<Vec<_>>())?;
        front.reshape_sizes(&self.with_rest(&[numel(&self.chosen)]))
    }
}

/// `x` with `value` at an index.
#[track_caller]
fn put(x: &Tensor, parts: Vec<Index<'_>>, value: &Tensor, accumulate: bool) -> Result<Tensor> {
    let place = Place::find(x, parts, false)?;
    let mut parts = vec![x.clone()];
    for step in &place.steps {
        let next = step.take(&parts[parts.len() - 1])?;
        parts.push(next);
    }
    let last = parts.pop().expect("the tensor itself is one");
    let mut new = place.changed(&last, value, accumulate)?;
    for (step, x) in place.steps.iter().zip(&parts).rev() {
        new = step.put(x, &new)?;
    }
    Ok(new)
}

/// The value repeated to `sizes`; more leading axes of size 1 than there are places for are dropped, as in PyTorch.
#[track_caller]
fn fill(value: &Tensor, sizes: &[Size]) -> Result<Tensor> {
    let extra = value.dim().saturating_sub(sizes.len());
    let own = value.sizes();
    let fits = own[..extra].iter().all(|n| n.is_one());
    let value = if fits && extra > 0 { value.reshape_sizes(&own[extra..])? } else { value.clone() };
    value.expand_sizes(sizes).map_err(|_| {
        let (given, wanted) = (value.shape_hint(), crate::tensor::size::hints(sizes));
        Error::operands("index_put", format!("a value of shape {given:?} does not broadcast to {:?}", &wanted[..]))
    })
}

impl Place {
    /// A part with the value where the tensors choose.
    #[track_caller]
    fn changed(&self, x: &Tensor, value: &Tensor, accumulate: bool) -> Result<Tensor> {
        if let [(axis, Chooser::Mask(mask))] = &self.choosers[..] {
            let behind = x.dim() - axis - mask.dim();
            if value.dim() <= behind {
                // Where each chosen element gets the same, their number is not needed.
                let mut sizes = mask.sizes();
                sizes.extend(std::iter::repeat_n(Size::from(1), behind));
                let mask = mask.reshape_sizes(&sizes)?;
                let value = fill(value, &x.sizes())?;
                let value = if accumulate { x.try_add(&value)? } else { value };
                return value.try_where_self(&mask, x);
            }
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
