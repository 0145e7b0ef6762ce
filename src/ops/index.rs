//! Elements chosen and placed by tensors of indices or of bools, one axis at a time. An index that lies outside its axis
//! is an error of the call, in a compiled function too. What Rust's ranges and several axes at once are, see
//! `indexing.rs`.

use super::arg::{Arg, Number, broadcast_size};
use super::elementwise::{choose, select_as};
use super::gather::{checked_index, checked_index_for, gather, scatter};
use super::movement::{concat, narrow};
use super::repeating::host;
use super::shape::as_vector;
use super::single_node::{Keeps, single};
use super::twins;
use crate::autograd::is_grad_enabled;
use crate::autograd::record::{composite, no_integers};
use crate::backend::cpu::host::room;
use crate::error::{Error, Result};
use crate::mode::layout::{ordered_as, row_major};
use crate::mode::sizes::{at_most, demand_equal, is_zero};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Extent, Scalar, ScatterOp};

twins! {
    /// `out[i][j] = x[index[i][j]][j]` for axis 0, and so on: the element whose place along `axis` is given. The index
    /// has as many axes, none of the others longer than here; the result has its shape.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    /// let index = Tensor::from_vec(vec![1i64, 0], &[2, 1]);
    /// assert_eq!(x.gather(1, &index).to_vec::<f32>(), [2.0, 3.0]);
    /// ```
    fn gather / try_gather(&self, axis: isize, index: &Tensor) -> Tensor {
        let a = super::wrapped(self, "gather", axis)?;
        single("GatherBackward0", &[self, index], &[Keeps::Operand(0), Keeps::Operand(1)], |t| {
            let own = t[1].sizes();
            let (x, index) = same_rank("gather", &t[0], &t[1])?;
            let sizes = index.sizes();
            let mut part = x.clone();
            for i in (0..x.dim()).filter(|&i| i != a) {
                part = fitted("gather", &part, i, sizes[i], &index)?;
            }
            let index = checked_index("gather", &index, x.sizes()[a], false)?;
            let out = gather(&part, &index, a)?;
            if t[0].dim() == 0 { out.reshape_sizes(&own) } else { Ok(out) }
        })
    }

    /// The elements of an axis whose places a vector of indices gives: `[.., n, ..] -> [.., k, ..]`.
    fn index_select / try_index_select(&self, axis: isize, index: &Tensor) -> Tensor {
        let a = super::wrapped(self, "index_select", axis)?;
        single("IndexSelectBackward0", &[self, index], &[Keeps::Operand(1)], |t| {
            let index = vector_index("index_select", &t[1])?;
            let x = t[0].try_atleast_1d()?;
            let out = rows(&x, a, &checked_index("index_select", &index, x.sizes()[a], false)?)?;
            if t[0].dim() > 0 {
                return Ok(out);
            }
            match demand_equal(index.sizes()[0], Size::from(1)) {
                true => out.reshape_sizes(&[]),
                false => Err(Error::operands("index_select", "takes one index where the tensor has no axes")),
            }
        })
    }

    /// The elements of the flattened tensor at the indices, in the shape of those; negative ones count from the end.
    fn take / try_take(&self, index: &Tensor) -> Tensor {
        single("TakeBackward0", &[self, index], &[Keeps::Operand(0), Keeps::Operand(1)], |t| {
            let flat = t[0].try_ravel()?;
            let places = longs("take", &t[1])?.try_ravel()?;
            let places = checked_index("take", &places, flat.sizes()[0], true)?;
            gather(&flat, &places, 0)?.reshape_sizes(&t[1].sizes())
        })
    }

    /// As [`Tensor::gather`], where the axes besides `axis` broadcast; an index outside of its axis goes round it, as -1 and
    /// as often as it takes. Without an axis, both are seen as vectors, without a copy, and no index lies outside.
    fn take_along_dim / try_take_along_dim(&self, index: &Tensor, axis: Option<isize>) -> Tensor {
        let op = "take_along_dim";
        let Some(axis) = axis else {
            let (x, index) = (as_vector(op, self)?, as_vector(op, index)?);
            return x.try_gather(0, &integers(op, &index)?);
        };
        let a = self.axis(op, axis)?;
        let index = longs(op, index)?;
        let (own, at) = (self.sizes(), index.sizes());
        if index.dim() != self.dim() {
            return Err(rank_error(op, self, &index));
        }
        let (mut x_sizes, mut index_sizes) = (own.clone(), at.clone());
        for i in (0..self.dim()).filter(|&i| i != a) {
            let n = broadcast_size(own[i], at[i]).ok_or_else(|| {
                let (x, index) = (self.shape_hint(), index.shape_hint());
                Error::operands(op, format!("cannot broadcast {x:?} with indices {index:?} in axis {i}"))
            })?;
            (x_sizes[i], index_sizes[i]) = (n, n);
        }
        let n = super::reduce::size_tensor(own[a], DType::I64)?;
        // Where there is nothing to divide by, only no indices at all are fine.
        let nothing = own[a].hint() == 0 && is_zero(own[a]);
        let index = if nothing { index.expand_sizes(&index_sizes)? } else { index };
        let round = index.try_to(DType::I64)?.try_remainder(&n.expand_sizes(&index.sizes())?)?;
        single("GatherBackward0", &[self], &[Keeps::Operand(0)], |x| {
            let index = checked_index(op, &round, own[a], false)?.expand_sizes(&index_sizes)?;
            gather(&x[0].expand_sizes(&x_sizes)?, &index, a)
        })
    }

    /// With the elements of `source` added at the indices along `axis`: `out[index[i][j]][j] += source[i][j]` for axis 0.
    /// Neither index nor source is longer than here in the other axes, and the index not longer than the source.
    fn scatter_add / try_scatter_add(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        if self.dtype() == DType::Bool && source.dtype() == DType::Bool {
            // A sum of bools is whether one is true.
            let wide = |x: &Tensor| x.try_to(DType::I64);
            return wide(self)?.try_scatter_add(axis, index, &wide(source)?)?.try_to(DType::Bool);
        }
        let keeps: &[Keeps] = if source.is_requires_grad() { &[Keeps::Operand(1)] } else { &[] };
        single("ScatterAddBackward0", &[self, index, source], keeps, |t| {
            placed("scatter_add", ScatterOp::Add, &t[0], axis, &t[1], Arg::Tensor(&t[2]))
        })
    }

    /// PyTorch's `scatter(.., reduce="add")`: as [`Tensor::scatter_add`], of a tensor or a number. There it has no derivative,
    /// so a backward pass through it is refused.
    fn scatter_accumulate / try_scatter_accumulate<'a>(
        &self, axis: isize, index: &Tensor, source: impl Into<Arg<'a>>,
    ) -> Tensor {
        let op = "scatter";
        let source = match source.into() {
            Arg::Number(n) => full_of(&index.sizes(), n.fitted(op, self.dtype())?)?,
            Arg::Tensor(t) => t.clone(),
        };
        let compute = || self.try_scatter_add(axis, index, &source);
        composite("NotImplemented", &[Operand::Tensor(self), Operand::Tensor(&source)], compute, |_| {
            move |_: &_, _: &Tensor| Err(Error::autograd("scatter with a reduction has no derivative, as in PyTorch"))
        })
    }

    /// With the parts of `source` along `axis` added, `alpha` times, at the places that a vector of indices gives.
    fn index_add / try_index_add(&self, axis: isize, index: &Tensor, source: &Tensor, alpha: impl Into<Number>) -> Tensor {
        let alpha = alpha.into();
        if self.dtype() == DType::Bool && source.dtype() == DType::Bool {
            // A multiple of a bool is one too.
            let wide = |x: &Tensor| x.try_to(DType::I64);
            let alpha = f64::from(u8::from(alpha.to_f64() != 0.0));
            return wide(self)?.try_index_add(axis, index, &wide(source)?, alpha)?.try_to(DType::Bool);
        }
        let keeps: &[Keeps] = if source.is_requires_grad() { &[Keeps::Operand(1), Keeps::Operand(2)] } else { &[] };
        single("IndexAddBackward0", &[self, index, source], keeps, |t| {
            let one = alpha.to_f64() == 1.0;
            let source = if one { t[2].clone() } else { super::linalg::scaled("index_add", &t[2], alpha)? };
            placed_rows("index_add", ScatterOp::Add, &t[0], axis, &t[1], Arg::Tensor(&source))
        })
    }

    /// With the parts of `source` along `axis` put at the places that a vector of indices gives; the last one stays where
    /// a place is given twice.
    fn index_copy / try_index_copy(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        let index = longs("index_copy", index)?;
        let all = [Keeps::Operand(1), Keeps::Operand(2)];
        let keeps = if source.is_requires_grad() { &all[..] } else { &all[..1] };
        single("IndexCopyBackward0", &[self, &index, source], keeps, |t| {
            placed_rows("index_copy", ScatterOp::Set, &t[0], axis, &t[1], Arg::Tensor(&t[2]))
        })
    }

    /// The elements where the mask (bool, broadcast with this tensor) is true, in row-major order. How many there are
    /// depends on values, so a trace can't hold it: choose with `where_self` there.
    fn masked_select / try_masked_select(&self, mask: &Tensor) -> Tensor {
        demand_mask("masked_select", mask)?;
        let sizes = super::arg::broadcast_sizes("masked_select", self, mask)?;
        let given = mask;
        let mask = mask.expand_sizes(&sizes)?;
        let flags: Vec<bool> = host("masked_select", &mask)?;
        let mut places = room::<i64>(flags.iter().filter(|b| **b).count())?;
        places.extend(flags.iter().enumerate().filter(|(_, b)| **b).map(|(i, _)| i as i64));
        let places = Tensor::try_from_slice(&places, &[places.len()])?;
        single("MaskedSelectBackward0", &[self, given], &[Keeps::Operand(0), Keeps::Operand(1)], |t| {
            gather(&t[0].expand_sizes(&sizes)?.try_ravel()?, &places, 0)
        })
    }

    /// The places of the elements that are not 0, in row-major order: `[k, number of axes]`, i64. How many there are
    /// depends on values, so a trace can't hold it.
    fn nonzero / try_nonzero(&self) -> Tensor {
        let places = true_places("nonzero", &self.try_to(DType::Bool)?)?;
        let (k, rank) = (places.len() / self.dim().max(1), self.dim());
        match rank {
            0 => {
                let one: Vec<bool> = host("nonzero", &self.try_to(DType::Bool)?)?;
                Ok(Tensor::zeros(&[usize::from(one[0]), 0], DType::I64))
            }
            // PyTorch writes down the places along each axis.
            _ => Tensor::try_from_slice(&places, &[k, rank])?.try_t()?.try_contiguous()?.try_t(),
        }
    }
}

twins! {
    /// With the elements of `source` (a tensor of this dtype, or a number) put at the indices along `axis`:
    /// `out[index[i][j]][j] = source[i][j]` for axis 0. Where a place is given twice the last one stays. The index is not
    /// longer than the source, nor, in the other axes, than this tensor.
    fn scatter / try_scatter<'a>(&self, axis: isize, index: &Tensor, source: impl Into<Arg<'a>>) -> Tensor {
        match source.into() {
            Arg::Number(n) => single("ScatterBackward1", &[self, index], &[Keeps::Operand(1)], |t| {
                placed("scatter", ScatterOp::Set, &t[0], axis, &t[1], Arg::Number(n))
            }),
            Arg::Tensor(source) => single("ScatterBackward0", &[self, index, source], &[Keeps::Operand(1)], |t| {
                placed("scatter", ScatterOp::Set, &t[0], axis, &t[1], Arg::Tensor(&t[2]))
            }),
        }
    }

    /// With a number, or a tensor without axes, at the places along `axis` that a vector of indices gives; negative ones
    /// count from the end.
    fn index_fill / try_index_fill<'a>(&self, axis: isize, index: &Tensor, value: impl Into<Arg<'a>>) -> Tensor {
        let op = "index_fill";
        let value = value.into();
        let node = if matches!(value, Arg::Number(_)) { "IndexFillBackward0" } else { "IndexFillBackward1" };
        given_history(self, value)?;
        let value = as_element(op, self, value)?;
        let a = super::wrapped(self, op, axis)?;
        let index = longs(op, index)?;
        single(node, &[self, &index, &value], &[Keeps::Operand(1)], |t| {
            let x = t[0].try_atleast_1d()?;
            let own = x.sizes();
            let index = checked_index(op, &vector_index(op, &t[1])?, own[a], true)?;
            let mut sizes = own.clone();
            sizes[a] = index.sizes()[0];
            let places = along(&index, a, &sizes)?;
            let out = match t[2].is_requires_grad() {
                false => scatter(ScatterOp::Set, &x, &places, &t[2].expand_sizes(&sizes)?, a)?,
                // A place that is named twice is filled once, so its gradient counts once.
                true => {
                    let full = |sizes: &[Size], filled| full_of(sizes, Scalar::Bool(filled));
                    let filled = scatter(ScatterOp::Set, &full(&own, false)?, &places, &full(&sizes, true)?, a)?;
                    choose(&filled, &t[2], &x)?
                }
            };
            ordered_as(out, &x)?.reshape_sizes(&t[0].sizes())
        })
    }

    /// With a number, or a tensor without axes, where the mask (bool, broadcast with this tensor) is true.
    fn masked_fill / try_masked_fill<'a>(&self, mask: &Tensor, value: impl Into<Arg<'a>>) -> Tensor {
        demand_mask("masked_fill", mask)?;
        let value = value.into();
        given_history(self, value)?;
        let element = as_element("masked_fill", self, value)?;
        row_major(masked(mask, self, value, &element)?)
    }
}

/// The elements of `x`, or `element` where the mask is true; the node says whether that was given as a number.
pub(super) fn masked(mask: &Tensor, x: &Tensor, value: Arg<'_>, element: &Tensor) -> Result<Tensor> {
    let node = if matches!(value, Arg::Number(_)) { "MaskedFillBackward0" } else { "MaskedFillBackward1" };
    select_as(node, mask, Arg::Tensor(element), Arg::Tensor(x), x.dtype())
}

/// The places of the true elements of a tensor of bools, one after the other, each as one number for each axis.
#[track_caller]
pub(super) fn true_places(op: &str, mask: &Tensor) -> Result<Vec<i64>> {
    let flags: Vec<bool> = host(op, mask)?;
    let shape = mask.shape_hint();
    let count = flags.iter().filter(|b| **b).count();
    let mut places = room(count.saturating_mul(shape.len()))?;
    for (i, _) in flags.iter().enumerate().filter(|(_, b)| **b) {
        let mut rest = i;
        let from = places.len();
        for &n in shape.iter().rev() {
            places.push((rest % n) as i64);
            rest /= n;
        }
        places[from..].reverse();
    }
    Ok(places)
}

/// The elements of an axis at the places of a vector that has been checked.
pub(super) fn rows(x: &Tensor, axis: usize, index: &Tensor) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes[axis] = index.sizes()[0];
    gather(x, &along(index, axis, &sizes)?, axis)
}

/// A vector of indices along an axis, repeated over the others.
pub(super) fn along(index: &Tensor, axis: usize, sizes: &[Size]) -> Result<Tensor> {
    let mut raised: Sizes = sizes.iter().map(|_| Size::from(1)).collect();
    raised[axis] = index.sizes()[0];
    index.reshape_sizes(&raised)?.expand_sizes(sizes)
}

/// That `x` may be filled with the value: integers do not get the history that it has.
///
/// # Errors
/// When they would.
pub(super) fn given_history(x: &Tensor, value: Arg<'_>) -> Result<()> {
    match value {
        Arg::Tensor(t) if !x.dtype().is_float() && is_grad_enabled() && t.is_requires_grad() => {
            Err(no_integers(x.dtype()))
        }
        Arg::Tensor(_) | Arg::Number(_) => Ok(()),
    }
}

/// One element of the dtype of `x`, for operations that put it in many places.
#[track_caller]
pub(super) fn as_element(op: &'static str, x: &Tensor, value: Arg<'_>) -> Result<Tensor> {
    match value {
        Arg::Number(n) => full_of(&[], n.fitted(op, x.dtype())?),
        Arg::Tensor(t) if t.dim() == 0 => t.try_to(x.dtype()),
        Arg::Tensor(t) => Err(Error::operands(
            op,
            format!("the value must be a number or a tensor without axes, got {:?}", t.shape_hint()),
        )),
    }
}

/// One element that is written into `x`; halves take what is beyond them as infinite.
pub(super) fn number(op: &'static str, x: &Tensor, n: Number) -> Result<Tensor> {
    full_of(&[], if x.dtype().is_half() { n.to(x.dtype()) } else { n.fitted(op, x.dtype())? })
}

fn demand_mask(op: &'static str, mask: &Tensor) -> Result<()> {
    match mask.dtype() {
        DType::Bool => Ok(()),
        other => Err(Error::operands(op, format!("the mask must be bool, got {other}"))),
    }
}

fn integers(op: &'static str, index: &Tensor) -> Result<Tensor> {
    match index.dtype() {
        DType::I64 | DType::I32 => Ok(index.clone()),
        other => Err(Error::operands(op, format!("indices must be i64 or i32, got {other}"))),
    }
}

/// Indices where PyTorch takes i64 only.
pub(super) fn longs(op: &'static str, index: &Tensor) -> Result<Tensor> {
    match index.dtype() {
        DType::I64 => Ok(index.clone()),
        other => Err(Error::operands(op, format!("indices must be i64, got {other}"))),
    }
}

/// A vector of indices; one without axes is a vector of one.
pub(super) fn vector_index(op: &'static str, index: &Tensor) -> Result<Tensor> {
    match index.dim() {
        0 | 1 => integers(op, index)?.try_atleast_1d(),
        _ => Err(Error::operands(op, format!("indices must be a vector, got {:?}", index.shape_hint()))),
    }
}

fn rank_error(op: &'static str, x: &Tensor, index: &Tensor) -> Error {
    let (x, index) = (x.shape_hint(), index.shape_hint());
    Error::operands(op, format!("indices of shape {index:?} must have as many axes as the tensor of shape {x:?}"))
}

/// Both with one axis at least, and as many.
fn same_rank(op: &'static str, x: &Tensor, index: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x1, index1) = (x.try_atleast_1d()?, integers(op, index)?.try_atleast_1d()?);
    if x1.dim() != index1.dim() { Err(rank_error(op, x, index)) } else { Ok((x1, index1)) }
}

/// The first `size` elements of an axis, which must have as many, for an index of shape `by`.
#[track_caller]
fn fitted(op: &'static str, x: &Tensor, axis: usize, size: Size, by: &Tensor) -> Result<Tensor> {
    let own = x.sizes()[axis];
    if own.same(&size) || demand_equal(own, size) {
        return Ok(x.clone());
    }
    if !at_most(size, own) {
        let (x, index) = (x.shape_hint(), by.shape_hint());
        return Err(Error::operands(op, format!("indices of shape {index:?} are longer than {x:?} in axis {axis}")));
    }
    narrow(x, axis, Size::from(0), size)
}

#[track_caller]
fn placed(
    op: &'static str,
    how: ScatterOp,
    x: &Tensor,
    axis: isize,
    index: &Tensor,
    source: Arg<'_>,
) -> Result<Tensor> {
    let a = super::wrapped(x, op, axis)?;
    let (wide, index) = same_rank(op, x, index)?;
    let sizes = index.sizes();
    let source = match source {
        // A number that is put nowhere need not fit.
        Arg::Number(n) if n.fits(x.dtype()) || !sizes.iter().any(|&n| is_zero(n)) => {
            full_of(&sizes, n.fitted(op, x.dtype())?)?
        }
        Arg::Number(n) => full_of(&sizes, n.to(x.dtype()))?,
        Arg::Tensor(t) => {
            let mut t = t.try_atleast_1d()?;
            if t.dtype() != x.dtype() || t.dim() != index.dim() {
                return Err(Error::operands(
                    op,
                    format!(
                        "cannot put {}{:?} at indices {:?} of {}{:?}: dtypes and numbers of axes must be equal",
                        t.dtype(),
                        t.shape_hint(),
                        index.shape_hint(),
                        x.dtype(),
                        x.shape_hint()
                    ),
                ));
            }
            let whole = t.clone();
            for (i, &n) in sizes.iter().enumerate() {
                t = fitted(op, &t, i, n, &index)?;
            }
            if t.id() == whole.id() { t } else { without_rest(op, &whole, &t)? }
        }
    };
    let index = checked_index(op, &index, wide.sizes()[a], false)?;
    placed_in_front(op, how, &wide, a, &index, &source, 0)?.reshape_sizes(&x.sizes())
}

/// The first elements of a source that has more than there are places for. As in PyTorch, no gradient flows to it.
fn without_rest(op: &'static str, source: &Tensor, first: &Tensor) -> Result<Tensor> {
    composite(
        "SliceBackward0",
        &[Operand::Tensor(source)],
        || Ok(first.detach()),
        |_| {
            move |_: &_, _: &Tensor| {
                Err(Error::autograd(format!(
                    "{op}: the source has more elements than the index, so it has no gradient; give it the shape of the index"
                )))
            }
        },
    )
}

/// Scatters into the part of `x` that the index covers in the axes from `i` on; the rest stays.
#[track_caller]
fn placed_in_front(
    op: &'static str,
    how: ScatterOp,
    x: &Tensor,
    axis: usize,
    index: &Tensor,
    source: &Tensor,
    i: usize,
) -> Result<Tensor> {
    if i == x.dim() {
        return scatter(how, x, index, source, axis);
    }
    let (own, n) = (x.sizes()[i], index.sizes()[i]);
    if i == axis || own.same(&n) || demand_equal(own, n) {
        return placed_in_front(op, how, x, axis, index, source, i + 1);
    }
    let front = placed_in_front(op, how, &fitted(op, x, i, n, index)?, axis, index, source, i + 1)?;
    concat(&[&front, &narrow(x, i, n, own.minus(n))?], i)
}

#[track_caller]
fn placed_rows(
    op: &'static str,
    how: ScatterOp,
    x: &Tensor,
    axis: isize,
    index: &Tensor,
    source: Arg<'_>,
) -> Result<Tensor> {
    let Arg::Tensor(source) = source else { unreachable!("parts are tensors") };
    let a = super::wrapped(x, op, axis)?;
    let index = vector_index(op, index)?;
    let (wide, source) = (x.try_atleast_1d()?, source.try_atleast_1d()?);
    let mut sizes = wide.sizes();
    let own = sizes[a];
    sizes[a] = index.sizes()[0];
    if source.dtype() != x.dtype() || !source.has_sizes(&sizes) {
        return Err(Error::operands(
            op,
            format!(
                "cannot put {}{:?} at {} places along axis {axis} of {}{:?}: dtypes and the other axes must be equal, and there must be one part for each place",
                source.dtype(),
                source.shape_hint(),
                index.sizes()[0].hint(),
                x.dtype(),
                x.shape_hint()
            ),
        ));
    }
    // Nothing is added to an axis without elements, wherever; PyTorch looks at the indices of vectors first.
    if how == ScatterOp::Add && wide.dim() > 1 && own.hint() == 0 && is_zero(own) {
        // Its derivative chooses along that axis, which PyTorch refuses.
        let source =
            super::underived("IndexAddBackward0", &source, "index_add: nothing is chosen along an empty axis")?;
        return x.try_add(&narrow(&source, a, Size::from(0), own)?);
    }
    let index = checked_index_for(op, &index, own, false, &sizes)?;
    scatter(how, &wide, &along(&index, a, &sizes)?, &source, a)?.reshape_sizes(&x.sizes())
}
