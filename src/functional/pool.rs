//! Pooling over windows of a fixed size: averages and maxima, one axis after the other. A maximum is taken by its place,
//! so that its gradient goes to one element.

use super::common::{along, demand_float, lowest, numbers, pad_axis, widened, windows, with_batch, without_batch};
use crate::autograd::is_grad_enabled;
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::device;
use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::layout::{are_images, as_images, row_major};
use crate::mode::sizes::{is_zero, numel};
use crate::ops::results::unlinked;
use crate::ops::single_node::{Keeps, pair, single};
use crate::ops::{flat_in, gather, grads1, movement, twin_fns};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{ArgOp, DType, Op, Scalar};

/// How maxima over windows of `N` axes are taken; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MaxPoolOptions<const N: usize> {
    /// Elements from one window to the next; none means the size of a window.
    pub stride: Option<[usize; N]>,
    /// Places on both sides that are smaller than every number; at most half a window.
    pub padding: [usize; N],
    pub dilation: [usize; N],
    /// A window at the end that lies partly outside counts too.
    pub ceil_mode: bool,
}

impl<const N: usize> Default for MaxPoolOptions<N> {
    fn default() -> Self {
        MaxPoolOptions { stride: None, padding: [0; N], dilation: [1; N], ceil_mode: false }
    }
}

/// How averages over windows of `N` axes are taken; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AvgPoolOptions<const N: usize> {
    /// Elements from one window to the next; none means the size of a window.
    pub stride: Option<[usize; N]>,
    /// Zeros on both sides; at most half a window.
    pub padding: [usize; N],
    /// A window at the end that lies partly outside counts too.
    pub ceil_mode: bool,
    /// Whether the zeros of the padding are counted.
    pub count_include_pad: bool,
    /// What sums are divided by, in place of the number of elements.
    pub divisor_override: Option<i64>,
}

impl<const N: usize> Default for AvgPoolOptions<N> {
    fn default() -> Self {
        AvgPoolOptions {
            stride: None,
            padding: [0; N],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }
}

twin_fns! {
    /// Averages of windows: `[n, c, l] -> [n, c, l']`, `l' = (l + 2 padding - k) / stride + 1`, rounded down, or up in
    /// `ceil_mode`. The axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::functional::{AvgPoolOptions, avg_pool1d};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 3.0, 5.0, 7.0], &[1, 1, 4]);
    /// assert_eq!(avg_pool1d(&x, [2], AvgPoolOptions::default()).to_vec::<f32>(), [2.0, 6.0]);
    /// ```
    fn avg_pool1d / try_avg_pool1d(input: &Tensor, kernel: [usize; 1], options: AvgPoolOptions<1>) -> Tensor {
        averages("avg_pool1d", input, kernel, options)
    }

    /// Averages of windows over two axes: `[n, c, h, w] -> [n, c, h', w']`; see [`avg_pool1d`].
    fn avg_pool2d / try_avg_pool2d(input: &Tensor, kernel: [usize; 2], options: AvgPoolOptions<2>) -> Tensor {
        averages("avg_pool2d", input, kernel, options)
    }

    /// Averages of windows over three axes; see [`avg_pool1d`].
    fn avg_pool3d / try_avg_pool3d(input: &Tensor, kernel: [usize; 3], options: AvgPoolOptions<3>) -> Tensor {
        averages("avg_pool3d", input, kernel, options)
    }

    /// Maxima of windows: `[n, c, l] -> [n, c, l']`, `l' = (l + 2 padding - dilation (k - 1) - 1) / stride + 1`, rounded
    /// down, or up in `ceil_mode`. The axis of the batch may be missing. The first of equal maxima gets the gradient.
    ///
    /// ```
    /// use allotrope::functional::{MaxPoolOptions, max_pool1d};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 3.0, 7.0, 5.0], &[1, 1, 4]);
    /// assert_eq!(max_pool1d(&x, [2], MaxPoolOptions::default()).to_vec::<f32>(), [3.0, 7.0]);
    /// ```
    fn max_pool1d / try_max_pool1d(input: &Tensor, kernel: [usize; 1], options: MaxPoolOptions<1>) -> Tensor {
        // As PyTorch's, which has another kernel where the places are not asked for.
        demand_float("max_pool1d", input)?;
        let values = maxima("max_pool1d", input, kernel, options)?.0;
        if is_grad_enabled() && input.is_requires_grad() { Ok(values) } else { row_major(values) }
    }

    /// Maxima of windows over two axes: `[n, c, h, w] -> [n, c, h', w']`; see [`max_pool1d`].
    fn max_pool2d / try_max_pool2d(input: &Tensor, kernel: [usize; 2], options: MaxPoolOptions<2>) -> Tensor {
        Ok(maxima("max_pool2d", input, kernel, options)?.0)
    }

    /// Maxima of windows over three axes; see [`max_pool1d`].
    fn max_pool3d / try_max_pool3d(input: &Tensor, kernel: [usize; 3], options: MaxPoolOptions<3>) -> Tensor {
        Ok(maxima("max_pool3d", input, kernel, options)?.0)
    }

    /// As [`max_pool1d`], with the place of each maximum in its row (i64).
    fn max_pool1d_with_indices / try_max_pool1d_with_indices(
        input: &Tensor, kernel: [usize; 1], options: MaxPoolOptions<1>,
    ) -> (Tensor, Tensor) {
        maxima("max_pool1d", input, kernel, options)
    }

    /// As [`max_pool2d`], with the place of each maximum in its plane, counted row by row (i64).
    fn max_pool2d_with_indices / try_max_pool2d_with_indices(
        input: &Tensor, kernel: [usize; 2], options: MaxPoolOptions<2>,
    ) -> (Tensor, Tensor) {
        maxima("max_pool2d", input, kernel, options)
    }

    /// As [`max_pool3d`], with the place of each maximum in its volume, counted in row-major order (i64).
    fn max_pool3d_with_indices / try_max_pool3d_with_indices(
        input: &Tensor, kernel: [usize; 3], options: MaxPoolOptions<3>,
    ) -> (Tensor, Tensor) {
        maxima("max_pool3d", input, kernel, options)
    }
}

/// The windows of one axis.
#[derive(Copy, Clone)]
struct Plan {
    n: usize,
    size: usize,
    step: usize,
    padding: usize,
    dilation: usize,
    count: usize,
    /// Places behind the padding at the end that the last window reaches.
    extra: usize,
}

impl Plan {
    fn new(op: &'static str, n: usize, [size, step, padding, dilation]: [usize; 4], ceil: bool) -> Result<Plan> {
        if size == 0 || step == 0 || dilation == 0 {
            return Err(Error::operands(
                op,
                format!("window {size}, stride {step} and dilation {dilation} must be at least 1"),
            ));
        }
        let span = (size - 1).checked_mul(dilation).and_then(|d| d.checked_add(1)).unwrap_or(usize::MAX);
        if padding > span / 2 {
            return Err(Error::operands(
                op,
                format!("padding {padding} is more than half of a window of {span} elements"),
            ));
        }
        // What is beyond all numbers here is refused as a size when the axis is padded.
        let padded = padding.saturating_mul(2).saturating_add(n);
        if span > padded {
            let fits = ceil && span < padded.saturating_add(step) && n > 0;
            if !fits {
                return Err(Error::operands(
                    op,
                    format!("a window of {span} elements does not fit into {n} with {padding} on both sides"),
                ));
            }
        }
        let rest = padded.saturating_sub(span);
        // How many windows come after the first.
        let more = match ceil {
            false => rest / step,
            true => {
                let more = rest.div_ceil(step);
                // The last window begins inside, or in the padding before it.
                let begin = more.saturating_mul(step);
                if begin > 0 && begin >= n.saturating_add(padding) { more - 1 } else { more }
            }
        };
        let count = more + 1;
        let extra = more.saturating_mul(step).saturating_add(span).saturating_sub(padded);
        Ok(Plan { n, size, step, padding, dilation, count, extra })
    }

    fn pad(&self, x: &Tensor, axis: usize, value: Scalar) -> Result<Tensor> {
        pad_axis(x, axis, self.padding, self.padding.saturating_add(self.extra), value)
    }

    /// Whether some window shows only padding.
    fn sees_nothing(&self) -> bool {
        (0..self.count).any(|window| {
            let start = window * self.step;
            let skipped = self.padding.saturating_sub(start).div_ceil(self.dilation);
            skipped >= self.size || start + skipped * self.dilation >= self.padding + self.n
        })
    }

    /// For each window where PyTorch begins to look, at its first element that is not in the padding before the axis, and whether it
    /// shows only padding.
    fn begins(&self) -> Result<(Tensor, Tensor)> {
        let [step, padding, dilation] = [self.step as i64, self.padding as i64, self.dilation as i64];
        let start = Tensor::try_arange(self.count)?.try_mul(step)?.try_sub(padding)?;
        let before = start.try_neg()?.try_maximum(0)?;
        let skipped = before.try_add(dilation - 1)?.try_floor_divide(dilation)?;
        let begin = start.try_add(&skipped.try_mul(dilation)?)?;
        let outside = skipped.try_ge(self.size as i64)?.try_logical_or(&begin.try_ge(self.n as i64)?)?;
        Ok((begin, outside))
    }

    fn windows(&self, op: &'static str, x: &Tensor, axis: usize) -> Result<Tensor> {
        windows(op, x, axis, self.size, self.step, self.dilation)
    }

    /// How many elements each window counts, where they are not equally many.
    fn counts(&self, include_pad: bool) -> Result<Option<Tensor>> {
        let uneven = self.extra > 0 || (self.padding > 0 && !include_pad);
        if !uneven {
            return Ok(None);
        }
        // From the start of the padding on.
        let start = Tensor::try_arange(self.count)?.try_mul(self.step as i64)?;
        let end = start.try_add(self.size as i64)?;
        let (low, high) = match include_pad {
            true => (0, self.n + 2 * self.padding),
            false => (self.padding, self.n + self.padding),
        };
        Ok(Some(end.try_minimum(high as i64)?.try_sub(&start.try_maximum(low as i64)?)?))
    }
}

fn plans<const N: usize>(
    op: &'static str,
    x: &Tensor,
    kernel: [usize; N],
    stride: Option<[usize; N]>,
    padding: [usize; N],
    dilation: [usize; N],
    ceil: bool,
) -> Result<Vec<Plan>> {
    let sizes = numbers(&x.sizes()[x.dim() - N..], "pooling cuts an axis into windows");
    let stride = stride.unwrap_or(kernel);
    (0..N).map(|i| Plan::new(op, sizes[i], [kernel[i], stride[i], padding[i], dilation[i]], ceil)).collect()
}

/// The input, on which its gradient is to depend although it is flat in it.
fn dependent(x: &Tensor) -> Result<Tensor> {
    if !x.is_requires_grad() || !is_grad_enabled() {
        return Ok(x.clone());
    }
    composite(
        "PoolBackward0",
        &[Operand::Tensor(x)],
        || Ok(x.alias()),
        |_| {
            let x = Saved::operand(x);
            move |c: &Context<'_>, g: &Tensor| grads1(flat_in(g.clone(), &x.get(c.me)?)?)
        },
    )
}

fn check_channels(op: &'static str, x: &Tensor) -> Result<()> {
    match x.sizes()[1..].iter().any(|&n| is_zero(n)) {
        true => Err(Error::operands(op, format!("only the batch may be empty, got {:?}", x.shape_hint()))),
        false => Ok(()),
    }
}

fn averages<const N: usize>(
    op: &'static str,
    input: &Tensor,
    kernel: [usize; N],
    options: AvgPoolOptions<N>,
) -> Result<Tensor> {
    // Averages of integers are rounded to zero, as PyTorch's are.
    if input.dtype() != DType::I64 {
        demand_float(op, input)?;
    }
    let divided = |sum: &Tensor, by: &Tensor| match input.dtype() {
        DType::I64 => sum.try_div_trunc(by),
        _ => sum.try_div(&by.try_to(sum.dtype())?),
    };
    let _entered = device::enter(input.device());
    let by = |n: i64| Tensor::scalar(n);
    if options.divisor_override == Some(0) {
        return Err(Error::operands(op, "the divisor must not be 0"));
    }
    let (x, added) = with_batch(op, input, N + 2)?;
    check_channels(op, &x)?;
    let plans = plans(op, &x, kernel, options.stride, options.padding, [1; N], options.ceil_mode)?;
    let names = ["AvgPool1DBackward0", "AvgPool2DBackward0", "AvgPool3DBackward0"];
    let means = single(pooled(names, N), &[&x], &[Keeps::Operand(0)], |x| {
        let x = &dependent(&x[0])?;
        let mut sum = widened(x)?;
        for (i, plan) in plans.iter().enumerate().rev() {
            let padded = plan.pad(&sum, 2 + i, Scalar::from_f64(0.0, sum.dtype()))?;
            sum = plan.windows(op, &padded, 2 + i)?.try_sum_dim(&[-1], false)?;
        }
        let means = match options.divisor_override {
            Some(n) => divided(&sum, &by(n))?,
            None => {
                let mut even = 1usize;
                let mut counts: Option<Tensor> = None;
                for (i, plan) in plans.iter().enumerate() {
                    let Some(own) = plan.counts(options.count_include_pad)? else {
                        even = plan.size.saturating_mul(even);
                        continue;
                    };
                    let own = own.try_reshape(&along(N, i, plan.count))?;
                    counts = Some(match counts {
                        None => own,
                        Some(c) => c.try_mul(&own)?,
                    });
                }
                match counts {
                    None => divided(&sum, &by(even as i64))?,
                    Some(c) => divided(&sum, &c.try_mul(even as i64)?)?,
                }
            }
        };
        as_images(means.try_to(input.dtype())?, are_images(x))
    })?;
    shaped(pooled(names, N), &means, N, added)
}

/// PyTorch pools one axis as two, so the last node is another one.
pub(super) fn pooled([one, two, three]: [&'static str; 3], axes: usize) -> &'static str {
    match axes {
        1 => one,
        2 => two,
        _ => three,
    }
}

/// Without the axis of the batch where it was added. PyTorch pools one axis as two, and takes one away after that.
pub(super) fn shaped(node: &'static str, y: &Tensor, axes: usize, added: bool) -> Result<Tensor> {
    let sizes = y.sizes();
    let node = if axes == 1 { "SqueezeBackward1" } else { node };
    match added {
        false if axes == 1 && y.is_requires_grad() => Ok(unlinked(&y.reshape_as_node(node, &sizes)?)),
        false => Ok(y.clone()),
        true => Ok(unlinked(&y.reshape_as_node(node, &sizes[1..])?)),
    }
}

fn maxima<const N: usize>(
    op: &'static str,
    input: &Tensor,
    kernel: [usize; N],
    options: MaxPoolOptions<N>,
) -> Result<(Tensor, Tensor)> {
    let (x, added) = with_batch(op, input, N + 2)?;
    check_channels(op, &x)?;
    let plans = plans(op, &x, kernel, options.stride, options.padding, options.dilation, options.ceil_mode)?;
    let names = ["MaxPool2DWithIndicesBackward0", "MaxPool2DWithIndicesBackward0", "MaxPool3DWithIndicesBackward0"];
    let keeps = [Keeps::Operand(0), Keeps::Result(1)];
    let (values, places) = pair(pooled(names, N), &[&x], &keeps, |x| {
        let x = &dependent(&x[0])?;
        let places = maximum_places(x, N, |t, i, values| {
            let (plan, axis) = (plans[i], 2 + i);
            let padded = match values {
                true => plan.pad(t, axis, lowest(t.dtype()))?,
                false => pad_places(t, axis, plan)?,
            };
            plan.windows(op, &padded, axis)
        })?;
        let images = are_images(x);
        let (values, places) = beside_nothing(at_places(x, &places, N)?, places, &plans)?;
        Ok((as_images(values, images)?, as_images(places, images)?))
    })?;
    Ok((shaped(pooled(names, N), &values, N, added)?, without_batch(&places, added)?))
}

/// Maxima and their places, where windows that show only padding have the least number, and the place that PyTorch begins to look
/// at, which need not exist.
fn beside_nothing(values: Tensor, places: Tensor, plans: &[Plan]) -> Result<(Tensor, Tensor)> {
    if !plans.iter().any(Plan::sees_nothing) {
        return Ok((values, places));
    }
    let _entered = device::enter(values.device());
    let (mut nothing, mut first) = (Tensor::try_zeros(&[], DType::Bool)?, Tensor::try_zeros(&[], DType::I64)?);
    for plan in plans {
        let (begin, outside) = plan.begins()?;
        nothing = nothing.try_unsqueeze(-1)?.try_logical_or(&outside)?;
        first = first.try_unsqueeze(-1)?.try_mul(plan.n as i64)?.try_add(&begin)?;
    }
    let least = crate::mode::values::full_of(&[], lowest(values.dtype()))?;
    Ok((least.try_where_self(&nothing, &values)?, first.try_where_self(&nothing, &places)?))
}

/// Places padded at the beginning with the first one, which is thus the place of a maximum that no element is less than.
fn pad_places(t: &Tensor, axis: usize, plan: Plan) -> Result<Tensor> {
    let t = match plan.padding {
        0 => t.clone(),
        p => {
            let first = movement::narrow(t, axis, Size::from(0), Size::from(1))?;
            let mut sizes = t.sizes();
            sizes[axis] = Size::from(p);
            movement::concat(&[&first.expand_sizes(&sizes)?, t], axis)?
        }
    };
    pad_axis(&t, axis, 0, plan.padding.saturating_add(plan.extra), Scalar::I64(0))
}

/// The places of the first maxima in the last `n` axes, counted in row-major order. `cut` gives the windows of the axis
/// `i` of those, as a new last axis; it is called for the values and for their places.
pub(super) fn maximum_places(
    x: &Tensor,
    n: usize,
    cut: impl Fn(&Tensor, usize, bool) -> Result<Tensor>,
) -> Result<Tensor> {
    if x.dtype() == DType::Bool {
        return Err(Error::operands("max_pool", "not defined for bool; use to(DType::U8) first"));
    }
    let _entered = device::enter(x.device());
    let own = x.sizes();
    let mut values = x.detach();
    let of = &own[x.dim() - n..];
    let total: usize = numbers(of, "pooling cuts an axis into windows").iter().product();
    let mut places = Tensor::try_arange(total)?.reshape_sizes(of)?.expand_sizes(&own)?;
    for i in (0..n).rev() {
        // Row by row first and then over the rows: the first row that has the maximum, and the first place in it.
        let (v, p) = (cut(&values, i, true)?, cut(&places, i, false)?);
        let last = v.dim() - 1;
        let first = apply(&Op::ArgReduce { op: ArgOp::Max, axis: last }, &[Operand::Tensor(&v)])?.try_unsqueeze(-1)?;
        let sizes: Sizes = first.sizes()[..last].iter().copied().collect();
        places = gather::gather(&p, &first, last)?.reshape_sizes(&sizes)?;
        if i > 0 {
            values = gather::gather(&v, &first, last)?.reshape_sizes(&sizes)?;
        }
    }
    Ok(places)
}

/// The elements at places in the last `n` axes, counted in row-major order.
pub(super) fn at_places(x: &Tensor, places: &Tensor, n: usize) -> Result<Tensor> {
    let flat = |t: &Tensor| {
        let (lead, rest) = (t.dim() - n, t.sizes());
        let sizes: Sizes = rest[..lead].iter().copied().chain([numel(&rest[lead..])]).collect();
        t.reshape_sizes(&sizes)
    };
    gather::gather(&flat(x)?, &flat(places)?, x.dim() - n)?.reshape_sizes(&places.sizes())
}
