//! Reductions over axes, with their derivatives. The order of the additions is the kernels' definition.

use super::{grads1, twins};
use crate::autograd::saved::Saved;
use crate::dispatch::{apply, differentiable};
use crate::error::{Error, Result};
use crate::tensor::recorder::{self, Operand};
use crate::tensor::size::Sizes;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Axes, DType, Op, ReduceOp};

/// The axes meant, sorted; none given means all.
fn axes_of(x: &Tensor, op: &'static str, axes: &[isize]) -> Result<Axes> {
    if axes.is_empty() {
        return Ok((0..x.dim()).collect());
    }
    let mut out: Axes = axes.iter().map(|&a| x.axis(op, a)).collect::<Result<_>>()?;
    out.sort_unstable();
    if out.windows(2).any(|w| w[0] == w[1]) {
        return Err(Error::operands(op, format!("axes {axes:?} name one axis twice")));
    }
    Ok(out)
}

/// `sizes` with the reduced axes as 1.
fn kept(sizes: &Sizes, axes: &Axes) -> Sizes {
    sizes.iter().enumerate().map(|(i, s)| if axes.contains(&i) { Size::from(1) } else { *s }).collect()
}

fn with_axes_kept(result: Tensor, x: &Tensor, axes: &Axes, keepdim: bool) -> Result<Tensor> {
    if keepdim { result.reshape_sizes(&kept(&x.sizes(), axes)) } else { Ok(result) }
}

/// The sum over sorted axes, which go.
pub(crate) fn sum_axes(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let x = if x.dtype() == DType::Bool { x.try_to(DType::I64)? } else { x.clone() };
    let own = x.sizes();
    differentiable(
        &Op::Reduce { op: ReduceOp::Sum, axes: axes.clone() },
        "SumBackward1",
        &[Operand::Tensor(&x)],
        |_| move |_: &_, g: &Tensor| grads1(g.reshape_sizes(&kept(&own, &axes))?.expand_sizes(&own)?),
    )
}

fn extreme(x: &Tensor, name: &'static str, op: ReduceOp, axes: &[isize], keepdim: bool) -> Result<Tensor> {
    if x.dtype() == DType::Bool {
        return Err(Error::operands(name, "not defined for bool; use to(DType::I64) first"));
    }
    let axes = axes_of(x, name, axes)?;
    let own = x.sizes();
    if axes.iter().any(|&a| recorder::is_zero(own[a])) {
        return Err(Error::operands(name, format!("has no value over an empty axis of shape {:?}", x.shape_hint())));
    }
    let at = axes.clone();
    let result = differentiable(&Op::Reduce { op, axes: axes.clone() }, "AmaxBackward0", &[Operand::Tensor(x)], |y| {
        let (x, y) = (Saved::operand(x), Saved::output(y, 0));
        move |c: &crate::autograd::tape::Context<'_>, g: &Tensor| {
            // Elements equal to the extreme share its gradient evenly, as in PyTorch.
            let (x, y) = (x.get(c.me)?, y.get(c.me)?);
            let spread = |t: &Tensor| t.reshape_sizes(&kept(&own, &at))?.expand_sizes(&own);
            let hit = x.try_eq(&spread(&y)?)?.try_to(g.dtype())?;
            let count = spread(&sum_axes(&hit, at.clone())?)?;
            grads1(hit.try_mul(&spread(g)?)?.try_div(&count)?)
        }
    })?;
    with_axes_kept(result, x, &axes, keepdim)
}

twins! {
    /// The sum of all elements; bools are counted. An empty sum is 0.
    fn sum / try_sum(&self) -> Tensor {
        sum_axes(self, axes_of(self, "sum", &[])?)
    }

    /// The sum over some axes (none named means all); with `keepdim` they stay with size 1.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(x.sum_dim(&[0], false).to_vec::<f32>(), [4.0, 6.0]);
    /// ```
    fn sum_dim / try_sum_dim(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let axes = axes_of(self, "sum", axes)?;
        with_axes_kept(sum_axes(self, axes.clone())?, self, &axes, keepdim)
    }

    /// The mean of all elements; NaN where there is none.
    fn mean / try_mean(&self) -> Tensor {
        self.try_mean_dim(&[], false)
    }

    /// The mean over some axes (none named means all); with `keepdim` they stay with size 1.
    fn mean_dim / try_mean_dim(&self, axes: &[isize], keepdim: bool) -> Tensor {
        if !self.dtype().is_float() {
            return Err(Error::operands("mean", format!("not defined for {}; use to(DType::F32) first", self.dtype())));
        }
        let axes = axes_of(self, "mean", axes)?;
        let own = self.sizes();
        let counted: Sizes = axes.iter().map(|&a| own[a]).collect();
        let sum = with_axes_kept(sum_axes(self, axes.clone())?, self, &axes, keepdim)?;
        divide_by_size(&sum, recorder::numel(&counted))
    }

    /// The largest element over some axes (none named means all); NaN where there is one.
    fn amax / try_amax(&self, axes: &[isize], keepdim: bool) -> Tensor {
        extreme(self, "amax", ReduceOp::Max, axes, keepdim)
    }

    /// The smallest element over some axes (none named means all); NaN where there is one.
    fn amin / try_amin(&self, axes: &[isize], keepdim: bool) -> Tensor {
        extreme(self, "amin", ReduceOp::Min, axes, keepdim)
    }
}

/// x / n where n may be symbolic.
pub(crate) fn divide_by_size(x: &Tensor, n: Size) -> Result<Tensor> {
    match n.is_symbolic() {
        false => x.try_div(n.hint() as f64),
        true => x.try_div(&size_tensor(n, x.dtype())?),
    }
}

/// A size, which may be symbolic, as a tensor without axes.
pub(crate) fn size_tensor(n: Size, dtype: DType) -> Result<Tensor> {
    match recorder::active().filter(|_| n.is_symbolic()) {
        None => crate::tensor::create::full_of(&[], super::arg::Number::Int(n.hint() as i64).to(dtype)),
        Some(r) => apply(&Op::Cast(dtype), &[Operand::Tensor(&r.extent(n)?)]),
    }
}
