//! PyTorch's `x[...]` and `x[...] = value`: numbers, ranges and new axes become views, and what tensors of indices or
//! masks choose is gathered, all of them broadcast together.
//!
//! Where the axes of the tensors' shape go is PyTorch's rule: to the place of the first tensor where all of them stand
//! side by side (numbers and integer tensors without axes between them have already taken their axes away), else to the
//! front.

use super::arg::Arg;
use super::assign::{Derivative, assign_meeting};
use super::index::{given_history, number};
use super::index_kind::{Index, Indices};
use super::index_place::{Chooser, Kept, Place, without_leading_ones};
use super::inplace::{computed, copy, copy_as, store_given, wholly_apart};
use super::meeting::{Meeting, Write};
use super::movement::aliased;
use super::single_node::single;
use crate::error::{Error, Result, called, must};
use crate::mode;
use crate::mode::layout::ordered_as;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// The node of elements that were put at an index.
const PUT: &str = "IndexPutBackward0";

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
        called(self.at(at.parts()))
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
        let value = value.into();
        let new = given_history(self, value).and_then(|()| self.put_at(at.parts(), value, accumulate));
        called(new.and_then(|(_, new)| ordered_as(new, self)))
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
        let (parts, value) = (at.parts(), value.into());
        called(self.put_in_place(parts, value, accumulate))
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
        let (parts, value) = (at.parts(), value.into());
        called(self.set_at(parts, value))
    }

    #[track_caller]
    fn at(&self, parts: Vec<Index<'_>>) -> Result<Tensor> {
        let kept = Kept::of(&parts);
        let place = Place::find(self, parts, true)?;
        let part = place.part(self)?;
        match place.choosers.is_empty() {
            true if part.id() == self.id() => aliased(self),
            true => Ok(part),
            false => single("IndexBackward0", &kept.after(&[&part]), &kept.keeps(1), |t| place.chosen(&t[0])),
        }
    }

    #[track_caller]
    fn put_in_place(&self, parts: Vec<Index<'_>>, value: Arg<'_>, accumulate: bool) -> Result<&Tensor> {
        demand_apart("index_put_", self, &parts, value)?;
        let (place, new) = computed(self, || self.put_at(parts, value, accumulate))?;
        let by: Write<'_> = &|memory, places| place.written(memory, places, value, accumulate);
        store_given("index_put_", PUT, self, &new, value, by)?;
        Ok(self)
    }

    /// Where the index leads, and what this is with the value there.
    #[track_caller]
    fn put_at(&self, parts: Vec<Index<'_>>, value: Arg<'_>, accumulate: bool) -> Result<(Place, Tensor)> {
        let kept = Kept::of(&parts);
        let place = Place::find(self, parts, false)?;
        let new = place.put_by(PUT, &kept, self, value, accumulate)?;
        Ok((place, new))
    }

    #[track_caller]
    fn set_at(&self, parts: Vec<Index<'_>>, value: Arg<'_>) -> Result<&Tensor> {
        let op = "set";
        if let Some(i) = parts
            .iter()
            .position(|p| matches!(p, Index::Tensor(t) if t.dim() > 0 || matches!(t.dtype(), DType::Bool | DType::U8)))
        {
            demand_apart(op, self, &parts[i..], value)?;
        }
        let kept = Kept::of(&parts);
        // A mask without axes is a bool to PyTorch, bytes or not: all or nothing of the tensor's own dtype.
        let is_flag = |p: &Index<'_>| matches!(p, Index::Tensor(t) if t.dim() == 0 && matches!(t.dtype(), DType::Bool | DType::U8));
        let is_bytes = |p: &Index<'_>| matches!(p, Index::Tensor(t) if t.dtype() == DType::U8);
        let flags = parts.iter().filter(|p| is_flag(p)).count();
        let bytes = parts.iter().any(|p| is_bytes(p) && !is_flag(p));
        let mut place = Place::find(self, parts, false)?;
        if place.is_whole() && !mode::is_recording() {
            place.steps.clear();
        }
        place.bytes = bytes;
        if let Arg::Tensor(t) = value
            && flags > 0
            && t.dtype() != self.dtype()
        {
            let (given, own) = (t.dtype(), self.dtype());
            return Err(Error::operands(op, format!("the value must be {own} as the tensor is, got {given}")));
        }
        // What steps lead to is a view, and what becomes of it what becomes of this tensor.
        let part = place.part(self)?;
        place.steps.clear();
        match value {
            Arg::Number(n) if place.is_part() => {
                let full = number(op, &part, n)?.expand_sizes(&part.sizes())?;
                assign_meeting(&part, &full, Derivative::Taken("FillBackward2", None), Meeting::Alike)?;
            }
            Arg::Tensor(t) if place.is_part() && t.dim() == 0 && part.dim() > 0 => {
                copy_as(op, "FillBackward3", &part, t)?
            }
            Arg::Tensor(t) if place.is_part() => copy(op, &part, &without_leading_ones(t, part.dim())?)?,
            value => {
                let node = match (&place.choosers[..], value) {
                    ([(_, Chooser::Mask(_))], Arg::Number(_)) => "MaskedFillBackward0",
                    ([(_, Chooser::Integers(_))], Arg::Number(_)) => "IndexFillBackward0",
                    _ => PUT,
                };
                let new = computed(self, || place.put_by(node, &kept, &part, value, false))?;
                store_given(op, PUT, &part, &new, value, &|memory, places| {
                    place.written(memory, places, value, false)
                })?;
            }
        }
        Ok(self)
    }
}

/// That neither a value to be put somewhere nor indices share memory with the tensor that is changed.
fn demand_apart(op: &'static str, target: &Tensor, parts: &[Index<'_>], value: Arg<'_>) -> Result<()> {
    if let Arg::Tensor(x) = value {
        wholly_apart(op, target, x)?;
    }
    parts.iter().try_for_each(|part| match part {
        Index::Tensor(x) => wholly_apart(op, target, x),
        Index::At(_) | Index::Slice { .. } | Index::Ellipsis | Index::NewAxis => Ok(()),
    })
}
