//! Sorted order along an axis: stable, a NaN as the largest. Values are gathered at the places that were found, and their
//! gradient goes back to them.

use super::elementwise::numeric;
use super::gather::{self, gather};
use super::movement::narrow;
use super::reduce::{along, without_axes};
use super::single_node::{Keeps, pair};
use super::twins;
use crate::error::{Error, Result};
use crate::mode::layout::ordered_as;
use crate::mode::sizes::demand_at_least;
use crate::tensor::{Size, Tensor};

fn places(x: &Tensor, axis: usize, descending: bool) -> Result<Tensor> {
    gather::argsort(&x.detach(), axis, descending)
}

/// Values and places in order, by a node of this name.
fn sorted(node: &'static str, x: &Tensor, axis: isize, descending: bool) -> Result<(Tensor, Tensor)> {
    pair(node, &[x], &[Keeps::Result(1)], |own| {
        let (x, axis) = along(&own[0], "sort", axis)?;
        let places = places(&x, axis, descending)?;
        let values = ordered_as(gather(&x, &places, axis)?, &x)?;
        shaped(&own[0], values, ordered_as(places, &x)?)
    })
}

/// Values and places; those of a tensor without axes lose the axis that was added for the computation.
fn shaped(x: &Tensor, values: Tensor, places: Tensor) -> Result<(Tensor, Tensor)> {
    match x.dim() {
        0 => Ok((values.reshape_sizes(&[])?, places.reshape_sizes(&[])?)),
        _ => Ok((values, places)),
    }
}

/// That an axis has at least `k` elements; a trace holds for calls where it does.
fn at_least(op: &'static str, x: &Tensor, axis: usize, k: usize) -> Result<()> {
    let n = x.sizes()[axis];
    if n.hint() < k {
        return Err(Error::operands(op, format!("k = {k} is more than axis {axis} of shape {:?} has", x.shape_hint())));
    }
    demand_at_least(n, k);
    Ok(())
}

twins! {
    /// The elements along an axis in stable ascending or descending order, and the places (i64) that they come from. NaN
    /// counts as largest.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (values, places) = Tensor::from_vec(vec![2.0f32, 3.0, 1.0], &[3]).sort(-1, false);
    /// assert_eq!((values.to_vec::<f32>(), places.to_vec::<i64>()), (vec![1.0, 2.0, 3.0], vec![2, 0, 1]));
    /// ```
    fn sort / try_sort(&self, axis: isize, descending: bool) -> (Tensor, Tensor) {
        sorted("SortBackward1", self, axis, descending)
    }

    /// The places (i64) of the elements along an axis in stable ascending or descending order.
    fn argsort / try_argsort(&self, axis: isize, descending: bool) -> Tensor {
        let (x, axis) = along(self, "argsort", axis)?;
        let places = ordered_as(places(&x, axis, descending)?, &x)?;
        if self.dim() == 0 { places.reshape_sizes(&[]) } else { Ok(places) }
    }

    /// The elements along the first axis in ascending order.
    fn msort / try_msort(&self) -> Tensor {
        Ok(sorted("SortBackward0", self, 0, false)?.0)
    }

    /// The `k` largest or smallest elements along an axis, in that order, and their places (i64). Not for bool.
    fn topk / try_topk(&self, k: usize, axis: isize, largest: bool) -> (Tensor, Tensor) {
        if self.dtype() == crate::DType::Bool {
            return Err(Error::operands("topk", "not defined for bool; use to(DType::U8) first"));
        }
        // A tensor without axes is its own largest element, however few are asked for.
        let k = if self.dim() == 0 { k.max(1) } else { k };
        pair("TopkBackward0", &[self], &[Keeps::Result(1)], |own| {
            let (x, axis) = along(&own[0], "topk", axis)?;
            at_least("topk", &x, axis, k)?;
            let places = narrow(&places(&x, axis, largest)?, axis, Size::from(0), Size::from(k))?.try_contiguous()?;
            let values = gather(&x, &places, axis)?;
            if k == 1 { shaped(&own[0], values, places) } else { Ok((values, places)) }
        })
    }

    /// The `k`-th smallest elements along an axis, counted from 1, and their places (i64).
    fn kthvalue / try_kthvalue(&self, k: usize, axis: isize, keepdim: bool) -> (Tensor, Tensor) {
        // A tensor without axes is its own.
        if self.dim() > 0 {
            numeric(self, "kthvalue")?;
        }
        if k == 0 {
            return Err(Error::operands("kthvalue", "k counts from 1"));
        }
        pair("KthvalueBackward0", &[self], &[Keeps::Result(1)], |own| {
            let (x, axis) = along(&own[0], "kthvalue", axis)?;
            at_least("kthvalue", &x, axis, k)?;
            let places = narrow(&places(&x, axis, false)?, axis, Size::from(k - 1), Size::from(1))?.try_contiguous()?;
            let values = gather(&x, &places, axis)?;
            if keepdim {
                return shaped(&own[0], values, places);
            }
            let sizes = without_axes(&x.sizes(), &[axis].into_iter().collect());
            Ok((values.reshape_sizes(&sizes)?, places.reshape_sizes(&sizes)?))
        })
    }
}
