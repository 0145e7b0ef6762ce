//! Elements put together where indices lead to one place: sums, products, means, extremes. Those that are no sum are found in the
//! sorted order of indices or of elements, so it takes no primitive of its own.

use super::elementwise::{choose, zero_where};
use super::gather::{argsort, checked_index, gather, scatter};
use super::index::{along, vector_index};
use super::movement::{concat, copied, narrow};
use super::twins;
use crate::autograd::no_grad;
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::sizes::{at_most, demand_equal, is_zero, specialize};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Extent, Scalar, ScatterOp};
use smallvec::smallvec;

/// How elements that lead to one place are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScatterReduce {
    Sum,
    Prod,
    /// Of integers rounded down.
    Mean,
    Amax,
    Amin,
}

/// One reduction of `source` into `x` along `axis`; all other axes are equal and every index has been checked.
struct Reduction<'a> {
    axis: usize,
    index: &'a Tensor,
    source: &'a Tensor,
    include_self: bool,
}

impl Reduction<'_> {
    /// How often each place is led to (i64).
    fn counts(&self, x: &Tensor) -> Result<Tensor> {
        let zeros = full_of(&x.sizes(), Scalar::I64(0))?;
        scatter(ScatterOp::Add, &zeros, self.index, &full_of(&self.index.sizes(), Scalar::I64(1))?, self.axis)
    }

    fn sum(&self, x: &Tensor) -> Result<Tensor> {
        let base = match self.include_self {
            true => x.clone(),
            false => zero_where(&self.counts(x)?.try_gt(0)?, x)?,
        };
        scatter(ScatterOp::Add, &base, self.index, self.source, self.axis)
    }

    fn mean(&self, x: &Tensor) -> Result<Tensor> {
        let counts = self.counts(x)?;
        let counts = if self.include_self { counts.try_add(1)? } else { counts.try_clamp_min(1)? };
        let (sum, counts) = (self.sum(x)?, counts.try_to(x.dtype())?);
        if x.dtype().is_float() { sum.try_div(&counts) } else { sum.try_div_floor(&counts) }
    }

    /// Products over runs of equal indices, the reach of every element doubled until it spans the axis; the last one of each run has
    /// the whole product.
    fn prod(&self, x: &Tensor) -> Result<Tensor> {
        let axis = self.axis;
        let size = self.index.sizes()[axis];
        specialize(&[size], "products at indices take as many steps as the axis of the index is long");
        let n = size.hint();
        let order = argsort(self.index, axis, false)?;
        let index = gather(self.index, &order, axis)?;
        let mut run = gather(self.source, &order, axis)?;
        let mut reach = 1;
        while reach < n {
            let (zero, start, rest) = (Size::from(0), Size::from(reach), Size::from(n - reach));
            let cut = |t: &Tensor| Ok::<_, Error>((narrow(t, axis, zero, rest)?, narrow(t, axis, start, rest)?));
            let ((before, here), (index_before, index_here)) = (cut(&run)?, cut(&index)?);
            let joined = choose(&index_before.try_eq(&index_here)?, &before.try_mul(&here)?, &here)?;
            run = concat(&[&narrow(&run, axis, zero, start)?, &joined], axis)?;
            reach *= 2;
        }
        let counts = self.counts(x)?;
        let touched = counts.try_gt(0)?;
        // Where the runs end.
        let ends = counts.try_cumsum(axis as isize)?.try_sub(1)?.try_clamp_min(0)?;
        let product = gather(&run, &ends, axis)?;
        match self.include_self {
            true => choose(&touched, &x.try_mul(&product)?, x),
            false => choose(&touched, &product, x),
        }
    }

    fn extreme(&self, x: &Tensor, largest: bool) -> Result<Tensor> {
        let (axis, index) = (self.axis, self.index);
        // Of what is put into one place the last stays: the largest in ascending order.
        let order = argsort(&self.source.detach(), axis, !largest)?;
        let (at, sorted) = (gather(index, &order, axis)?, gather(self.source, &order, axis)?);
        let mut found = scatter(ScatterOp::Set, x, &at, &sorted, axis)?;
        if !largest && x.dtype().is_float() {
            let nans = self.source.try_isnan()?.try_to(DType::I64)?;
            let nans = scatter(ScatterOp::Add, &full_of(&x.sizes(), Scalar::I64(0))?, index, &nans, axis)?;
            found = choose(&nans.try_gt(0)?, f64::NAN, &found)?;
        }
        if !self.include_self {
            return Ok(found);
        }
        // Where nothing leads to, it is compared with itself.
        if largest { x.try_maximum(&found) } else { x.try_minimum(&found) }
    }

    /// The extreme, whose gradient is shared evenly among all that are equal to it.
    fn shared_extreme(&self, x: &Tensor, largest: bool) -> Result<Tensor> {
        let (axis, include_self) = (self.axis, self.include_self);
        let operands = [Operand::Tensor(x), Operand::Tensor(self.source), Operand::Tensor(self.index)];
        composite(
            "ScatterReduceBackward0",
            &operands,
            || self.extreme(x, largest),
            |y| {
                let (x, source, index) = (Saved::operand(x), Saved::operand(self.source), Saved::operand(self.index));
                let y = Saved::output(y, 0);
                move |c: &Context<'_>, g: &Tensor| {
                    let (x, source, index, y) = (x.get(c.me)?, source.get(c.me)?, index.get(c.me)?, y.get(c.me)?);
                    let (x, source, y) = (x.detach(), source.detach(), y.detach());
                    let hit = x.try_eq(&y)?.try_to(g.dtype())?;
                    let source_hit = source.try_eq(&gather(&y, &index, axis)?)?.try_to(g.dtype())?;
                    let shares = scatter(ScatterOp::Add, &hit, &index, &source_hit, axis)?;
                    let share = g.try_div(&shares)?;
                    let mut by_x = hit.try_mul(&share)?;
                    if !include_self {
                        let zeros = full_of(&index.sizes(), Scalar::from_f64(0.0, g.dtype()))?;
                        by_x = scatter(ScatterOp::Set, &by_x, &index, &zeros, axis)?;
                    }
                    Ok(smallvec![Some(by_x), Some(source_hit.try_mul(&gather(&share, &index, axis)?)?), None])
                }
            },
        )
    }

    fn of(&self, x: &Tensor, how: ScatterReduce) -> Result<Tensor> {
        match how {
            ScatterReduce::Sum => self.sum(x),
            ScatterReduce::Mean => self.mean(x),
            ScatterReduce::Prod => self.prod(x),
            ScatterReduce::Amax => self.shared_extreme(x, true),
            ScatterReduce::Amin => self.shared_extreme(x, false),
        }
    }
}

/// Reduces into the part of `x` that the index covers in the axes besides its own, from `i` on; the rest stays.
fn in_front(x: &Tensor, how: ScatterReduce, by: &Reduction<'_>, i: usize) -> Result<Tensor> {
    if i == x.dim() {
        return by.of(x, how);
    }
    let (own, n) = (x.sizes()[i], by.index.sizes()[i]);
    if i == by.axis || own.same(&n) || demand_equal(own, n) {
        return in_front(x, how, by, i + 1);
    }
    let front = in_front(&narrow(x, i, Size::from(0), n)?, how, by, i + 1)?;
    concat(&[&front, &narrow(x, i, n, own.minus(n))?], i)
}

fn reduced(
    op: &'static str,
    x: &Tensor,
    axis: usize,
    index: &Tensor,
    source: &Tensor,
    how: ScatterReduce,
    include_self: bool,
) -> Result<Tensor> {
    if x.dtype() != source.dtype() {
        let (own, given) = (x.dtype(), source.dtype());
        return Err(Error::operands(op, format!("the source must be {own} as the tensor is, got {given}")));
    }
    if x.dtype() == DType::Bool {
        let wide = |t: &Tensor| t.try_to(DType::I64);
        return reduced(op, &wide(x)?, axis, index, &wide(source)?, how, include_self)?.try_to(DType::Bool);
    }
    let (own, wide, mut part) = (x.sizes(), x.try_atleast_1d()?, source.try_atleast_1d()?);
    let index = index.try_atleast_1d()?;
    let fits = |shape: &Tensor, i: usize| {
        index.sizes()[i].same(&shape.sizes()[i]) || at_most(index.sizes()[i], shape.sizes()[i])
    };
    let ranks = index.dim() == wide.dim() && part.dim() == wide.dim();
    if !ranks || !(0..wide.dim()).all(|i| fits(&part, i) && (i == axis || fits(&wide, i))) {
        let (x, index, source) = (x.shape_hint(), index.shape_hint(), source.shape_hint());
        let text = format!(
            "indices {index:?} must have as many axes as the tensor {x:?} and the source {source:?}, and not be longer than the source, nor than the tensor besides axis {axis}"
        );
        return Err(Error::operands(op, text));
    }
    for (i, &n) in index.sizes().iter().enumerate() {
        if !part.sizes()[i].same(&n) && !demand_equal(part.sizes()[i], n) {
            part = narrow(&part, i, Size::from(0), n)?;
        }
    }
    if index.sizes().iter().any(|&n| is_zero(n)) {
        return copied("CloneBackward0", x);
    }
    let index = no_grad(|| checked_index(op, &index, wide.sizes()[axis], false))?;
    let by = Reduction { axis, index: &index, source: &part, include_self };
    let result = in_front(&wide, how, &by, 0)?;
    if x.dim() == 0 { result.reshape_sizes(&own) } else { Ok(result) }
}

fn demand_index(op: &'static str, index: &Tensor) -> Result<()> {
    match index.dtype() {
        DType::I64 | DType::I32 => Ok(()),
        other => Err(Error::operands(op, format!("indices must be i64 or i32, got {other}"))),
    }
}

twins! {
    /// With the elements of `source` reduced into the places along `axis` that `index` gives: `out[index[i][j]][j]` is the sum, product,
    /// ... of all `source[i][j]` for axis 0, and of what is there where `include_self`. Places without an index stay. The gradient of
    /// an extreme is shared evenly among equals, as in PyTorch.
    ///
    /// ```
    /// use allotrope::ops::ScatterReduce;
    /// use allotrope::prelude::*;
    /// let (x, source) = (Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]), Tensor::from_vec(vec![5.0f32, 6.0, 7.0], &[3]));
    /// let index = Tensor::from_vec(vec![0i64, 0, 2], &[3]);
    /// assert_eq!(x.scatter_reduce(0, &index, &source, ScatterReduce::Prod, true).to_vec::<f32>(), [30.0, 2.0, 21.0]);
    /// assert_eq!(x.scatter_reduce(0, &index, &source, ScatterReduce::Mean, false).to_vec::<f32>(), [5.5, 2.0, 7.0]);
    /// ```
    fn scatter_reduce / try_scatter_reduce(
        &self, axis: isize, index: &Tensor, source: &Tensor, reduce: ScatterReduce, include_self: bool,
    ) -> Tensor {
        let op = "scatter_reduce";
        demand_index(op, index)?;
        reduced(op, self, super::wrapped(self, op, axis)?, index, source, reduce, include_self)
    }

    /// As [`Tensor::scatter_reduce`] of the parts of `source` along `axis`, whose places a vector of indices gives. Not for sums, which
    /// are [`Tensor::index_add`].
    fn index_reduce / try_index_reduce(
        &self, axis: isize, index: &Tensor, source: &Tensor, reduce: ScatterReduce, include_self: bool,
    ) -> Tensor {
        let op = "index_reduce";
        demand_index(op, index)?;
        if reduce == ScatterReduce::Sum {
            return Err(Error::operands(op, "takes Prod, Mean, Amax or Amin; a sum is index_add"));
        }
        let a = super::wrapped(self, op, axis)?;
        let index = vector_index(op, index)?;
        let source = source.try_atleast_1d()?;
        let mut sizes = self.try_atleast_1d()?.sizes();
        sizes[a] = index.sizes()[0];
        if !source.has_sizes(&sizes) {
            let (x, index, source) = (self.shape_hint(), index.shape_hint(), source.shape_hint());
            let text = format!("a source {source:?} does not fit {index:?} places along axis {axis} of {x:?}");
            return Err(Error::operands(op, text));
        }
        reduced(op, self, a, &along(&index, a, &sizes)?, &source, reduce, include_self)
    }
}
