//! Normalisations: elements shifted and scaled to mean 0 and variance 1 over some axes, then by weights.

use super::common::{demand_float, numbers, pad_axis, widened, windows};
use crate::autograd::{no_grad, tape};
use crate::error::{Error, Result};
use crate::mode::layout::{are_dense_images, are_images, as_images, row_major};
use crate::mode::sizes::{demand_at_least, demand_equal, is_zero, numel};
use crate::ops::movement::copied;
use crate::ops::reduce::divide_by_size;
use crate::ops::single_node::{Keeps, single};
use crate::ops::twin_fns;
use crate::tensor::size::sizes_of;
use crate::tensor::{Size, Sizes, Tensor, eval};
use allotrope_ir::{DType, Scalar};

/// What a batch or instance normalisation has besides its input; PyTorch's defaults.
#[derive(Copy, Clone, Debug)]
pub struct BatchNormOptions<'a> {
    /// `[c]`, the factor after normalising.
    pub weight: Option<&'a Tensor>,
    /// `[c]`, added at the end.
    pub bias: Option<&'a Tensor>,
    /// Normalises by the input's own mean and variance, and moves the running ones there; else by the running ones.
    pub training: bool,
    /// How far the running mean and variance move.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

impl Default for BatchNormOptions<'_> {
    fn default() -> Self {
        BatchNormOptions { weight: None, bias: None, training: false, momentum: 0.1, eps: 1e-5 }
    }
}

/// What a normalisation has besides its input and axes.
#[derive(Copy, Clone, Debug)]
pub struct NormOptions<'a> {
    /// The factor after normalising.
    pub weight: Option<&'a Tensor>,
    /// Added at the end.
    pub bias: Option<&'a Tensor>,
    /// Added to the variance.
    pub eps: f64,
}

impl Default for NormOptions<'_> {
    fn default() -> Self {
        NormOptions { weight: None, bias: None, eps: 1e-5 }
    }
}

/// The mean over axes and what is left, squared and summed up: both with the axes kept.
struct Moments {
    mean: Tensor,
    centred: Tensor,
    squares: Tensor,
    count: Size,
}

impl Moments {
    fn of(x: &Tensor, axes: &[isize]) -> Result<Moments> {
        let sizes = x.sizes();
        let counted: Sizes = axes.iter().map(|&a| Ok(sizes[x.axis("norm", a)?])).collect::<Result<_>>()?;
        let mean = x.try_mean_dim(axes, true)?;
        let centred = x.try_sub(&mean)?;
        let squares = centred.try_square()?.try_sum_dim(axes, true)?;
        Ok(Moments { mean, centred, squares, count: numel(&counted) })
    }

    fn variance(&self) -> Result<Tensor> {
        divide_by_size(&self.squares, self.count)
    }

    fn normalised(&self, eps: f64) -> Result<Tensor> {
        self.centred.try_mul(&self.variance()?.try_add(eps)?.try_sqrt()?.try_reciprocal()?)
    }
}

/// `[c]` as a factor of `[n, c, ..]`.
fn by_channel(t: &Tensor, rank: usize) -> Result<Tensor> {
    let mut sizes: Sizes = (0..rank).map(|_| Size::from(1)).collect();
    sizes[1] = t.sizes()[0];
    t.reshape_sizes(&sizes)
}

/// x w + b, each where it is given.
fn affine(x: Tensor, weight: Option<Tensor>, bias: Option<Tensor>) -> Result<Tensor> {
    let x = if let Some(w) = weight { x.try_mul(&w)? } else { x };
    // PyTorch adds 0 where there is no bias, so no zero is negative.
    if let Some(b) = bias { x.try_add(&b) } else { x.try_add(0.0) }
}

/// A normalisation with what it is scaled by, as one node, which keeps the input, the weight and `also` these, and for `all` the
/// bias too.
fn with_affine(
    node: &'static str,
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    all: bool,
    also: &[&Tensor],
    compute: impl FnOnce(&Tensor, Option<&Tensor>, Option<&Tensor>) -> Result<Tensor>,
) -> Result<Tensor> {
    let given = 1 + usize::from(weight.is_some()) + usize::from(bias.is_some());
    let operands: Vec<&Tensor> = [x].into_iter().chain(weight).chain(bias).chain(also.iter().copied()).collect();
    let own = if all { given } else { 1 + usize::from(weight.is_some()) };
    let keeps: Vec<Keeps> = (0..own).chain(given..operands.len()).map(Keeps::Operand).collect();
    single(node, &operands, &keeps, |t| {
        let (w, b) = (weight.map(|_| &t[1]), bias.map(|_| &t[given - 1]));
        compute(&t[0], w, b)
    })
}

/// An error unless each tensor given is `[c]`.
fn check_channels(op: &'static str, input: &Tensor, given: &[(&str, Option<&Tensor>)]) -> Result<()> {
    let c = input.sizes()[if input.dim() > 1 { 1 } else { 0 }];
    for (name, t) in given {
        if let Some(t) = t
            && !t.has_sizes(&[c])
        {
            return Err(Error::operands(
                op,
                format!(
                    "{name} must be [{c}], one for each channel of {:?}, got {:?}",
                    input.shape_hint(),
                    t.shape_hint()
                ),
            ));
        }
    }
    Ok(())
}

/// A copy of what has no elements, which depends on the weights as in PyTorch: they are used by no element, and have gradients.
fn weighted_nothing(input: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>) -> Result<Tensor> {
    let mut y = copied("CloneBackward0", input)?;
    if let Some(w) = weight {
        y = y.try_mul(&w.try_select(0, 0)?)?;
    }
    if let Some(b) = bias {
        y = y.try_add(&b.try_select(0, 0)?)?;
    }
    Ok(y)
}

/// How far a running statistic moves towards the one of the batch.
#[derive(Copy, Clone)]
enum Momentum<'a> {
    Number(f64),
    /// What a call computes, without axes.
    Computed(&'a Tensor),
}

/// Moves a running statistic to `now`, by a part that is the momentum; one that does not move is not written.
fn follow(running: &Tensor, now: &Tensor, momentum: Momentum<'_>) -> Result<()> {
    no_grad(|| {
        let now = now.detach().try_to(running.dtype())?;
        let moved = match momentum {
            Momentum::Number(0.0) => return Ok(()),
            Momentum::Number(m) => running.try_mul(1.0 - m)?.try_add(&now.try_mul(m)?)?,
            Momentum::Computed(m) => {
                let m = m.detach().try_to(running.dtype())?;
                running.try_mul(&m.try_neg()?.try_add(1.0)?)?.try_add(&now.try_mul(&m)?)?
            }
        };
        running.try_copy_(&moved).map(|_| ())
    })
}

/// As [`follow`], where one that all channels share moves once for each.
fn follow_each(running: &Tensor, now: &Tensor, momentum: Momentum<'_>) -> Result<()> {
    if eval::check_apart(running.shape_hint(), running.laid_out()).is_ok() {
        return follow(running, now, momentum);
    }
    (0..running.shape_hint()[0] as isize).try_for_each(|i| {
        let of = |x: &Tensor| no_grad(|| x.try_narrow(0, i, 1));
        follow(&of(running)?, &of(now)?, momentum)
    })
}

/// Normalisation of a batch, `[n, c, ..]`; see [`batch_norm`].
fn of_batch(
    input: &Tensor,
    running_mean: Option<&Tensor>,
    running_var: Option<&Tensor>,
    options: BatchNormOptions<'_>,
    momentum: Momentum<'_>,
) -> Result<Tensor> {
    let op = "batch_norm";
    demand_float(op, input)?;
    if input.dim() == 0 {
        return Err(Error::operands(op, "the input must be [n, c, ..], got a tensor without axes"));
    }
    let BatchNormOptions { weight, bias, training, eps, .. } = options;
    check_channels(
        op,
        input,
        &[("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)],
    )?;
    if input.sizes().iter().any(|&n| is_zero(n)) {
        // Nothing to normalise, and nothing to learn from.
        return weighted_nothing(input, weight, bias);
    }
    let rank = input.dim();
    if rank < 2 {
        return Err(Error::operands(op, format!("the input must be [n, c, ..], got {:?}", input.shape_hint())));
    }
    let statistics: Vec<&Tensor> = running_mean.into_iter().chain(running_var).collect();
    with_affine("NativeBatchNormBackward0", input, weight, bias, false, &statistics, |input, weight, bias| {
        let x = widened(input)?;
        let lined = |t: Option<&Tensor>| t.map(|t| by_channel(t, rank)).transpose();
        let y = if training {
            let axes: Vec<isize> = (0..rank).filter(|&a| a != 1).map(|a| a as isize).collect();
            let m = Moments::of(&x, &axes)?;
            if m.count.hint() == 1 {
                return Err(Error::operands(
                    op,
                    format!("needs more than one element for each channel in training, got {:?}", input.shape_hint()),
                ));
            }
            demand_at_least(m.count, 2);
            let flat = |t: &Tensor| t.detach().reshape_sizes(&x.sizes()[1..2]);
            if let Some(r) = running_mean {
                follow_each(r, &flat(&m.mean)?, momentum)?;
            }
            if let Some(r) = running_var {
                let unbiased = no_grad(|| divide_by_size(&flat(&m.squares)?, m.count.minus(Size::from(1))))?;
                follow_each(r, &unbiased, momentum)?;
            }
            m.normalised(eps)?
        } else {
            let (Some(mean), Some(var)) = (running_mean, running_var) else {
                return Err(Error::operands(op, "needs a running mean and variance outside of training"));
            };
            let scale = var.try_add(eps)?.try_sqrt()?.try_reciprocal()?;
            x.try_sub(&by_channel(mean, rank)?)?.try_mul(&by_channel(&scale, rank)?)?
        };
        as_images(
            affine(y, lined(weight)?, lined(bias)?)?.try_to(input.dtype())?,
            input.dim() > 3 && are_dense_images(input)?,
        )
    })
}

twin_fns! {
    /// Normalises each channel over batch and places: `[n, c, ..]`. With `training` the running mean and variance (`[c]`)
    /// move towards the batch's by the momentum, the variance without bias; without it they are what is normalised by.
    ///
    /// ```
    /// use allotrope::functional::{BatchNormOptions, batch_norm};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 3.0], &[2, 1]);
    /// let options = BatchNormOptions { training: true, eps: 0.0, ..Default::default() };
    /// assert_eq!(batch_norm(&x, None, None, options).to_vec::<f32>(), [-1.0, 1.0]);
    /// ```
    fn batch_norm / try_batch_norm(
        input: &Tensor, running_mean: Option<&Tensor>, running_var: Option<&Tensor>, options: BatchNormOptions<'_>,
    ) -> Tensor {
        of_batch(input, running_mean, running_var, options, Momentum::Number(options.momentum))
    }

    /// As [`batch_norm`], where the momentum is a tensor without axes, which a call computes: 1 / n in the n-th call makes running
    /// statistics the mean over all batches. The momentum of the options is not used.
    fn batch_norm_by / try_batch_norm_by(
        input: &Tensor, running_mean: Option<&Tensor>, running_var: Option<&Tensor>, momentum: &Tensor, options: BatchNormOptions<'_>,
    ) -> Tensor {
        of_batch(input, running_mean, running_var, options, Momentum::Computed(momentum))
    }

    /// Normalises each channel of each sample over its places: `[n, c, ..]`, or `[c, ..]` where a running mean or the
    /// layer says so. `training` is PyTorch's `use_input_stats`; running statistics move towards the mean over the batch.
    fn instance_norm / try_instance_norm(
        input: &Tensor, running_mean: Option<&Tensor>, running_var: Option<&Tensor>, options: BatchNormOptions<'_>,
    ) -> Tensor {
        let op = "instance_norm";
        demand_float(op, input)?;
        let rank = input.dim();
        // Running statistics need no places to be computed from.
        let least = if options.training { 3 } else { 2 };
        if rank < least {
            return Err(Error::operands(
                op,
                format!("the input must be [n, c, ..] with {least} axes at least, got {:?}", input.shape_hint()),
            ));
        }
        if !options.training {
            return as_seen(&try_batch_norm(input, running_mean, running_var, options)?);
        }
        let BatchNormOptions { weight, bias, eps, .. } = options;
        let momentum = Momentum::Number(options.momentum);
        check_channels(op, input, &[
            ("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias),
        ])?;
        let places = numel(&input.sizes()[2..]);
        if places.hint() == 1 {
            return Err(Error::operands(
                op,
                format!("needs more than one place for each channel, got {:?}", input.shape_hint()),
            ));
        }
        if input.sizes().iter().any(|&n| is_zero(n)) {
            if is_zero(input.sizes()[0]) && (weight.is_some() || bias.is_some()) {
                return Err(Error::operands(op, "there is no sample that the weights are for"));
            }
            return as_seen(&weighted_nothing(input, weight, bias)?);
        }
        demand_at_least(places, 2);
        let x = widened(input)?;
        let axes: Vec<isize> = (2..rank as isize).collect();
        let m = Moments::of(&x, &axes)?;
        let flat = |t: &Tensor| -> Result<Tensor> { t.detach().reshape_sizes(&x.sizes()[..2])?.try_mean_dim(&[0], false) };
        if let Some(r) = running_mean {
            follow(r, &flat(&m.mean)?, momentum)?;
        }
        if let Some(r) = running_var {
            let unbiased = no_grad(|| divide_by_size(&m.squares.detach(), m.count.minus(Size::from(1))))?;
            follow(r, &flat(&unbiased)?, momentum)?;
        }
        let lined = |t: Option<&Tensor>| t.map(|t| by_channel(t, rank)).transpose();
        let y = row_major(affine(m.normalised(eps)?, lined(weight)?, lined(bias)?)?.try_to(input.dtype())?)?;
        as_seen(&y)
    }

    /// Normalises over the last axes, whose shape is `normalized_shape`, as are those of weight and bias.
    ///
    /// ```
    /// use allotrope::functional::{NormOptions, layer_norm};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 3.0], &[1, 2]);
    /// let options = NormOptions { eps: 0.0, ..Default::default() };
    /// assert_eq!(layer_norm(&x, &[2], options).to_vec::<f32>(), [-1.0, 1.0]);
    /// ```
    fn layer_norm / try_layer_norm(input: &Tensor, normalized_shape: &[usize], options: NormOptions<'_>) -> Tensor {
        let NormOptions { weight, bias, eps } = options;
        let axes = last_axes("layer_norm", input, normalized_shape, &[("weight", weight), ("bias", bias)])?;
        with_affine("NativeLayerNormBackward0", input, weight, bias, true, &[], |x, weight, bias| {
            let y = Moments::of(&widened(x)?, &axes)?.normalised(eps)?;
            row_major(affine(y, weight.cloned(), bias.cloned())?.try_to(x.dtype())?)
        })
    }

    /// Divides by the root of the mean square over the last axes, whose shape is `normalized_shape`, as is that of the
    /// weight. Without `eps` it is the smallest step of the dtype at 1.
    fn rms_norm / try_rms_norm(
        input: &Tensor, normalized_shape: &[usize], weight: Option<&Tensor>, eps: Option<f64>,
    ) -> Tensor {
        let axes = last_axes("rms_norm", input, normalized_shape, &[("weight", weight)])?;
        let x = widened(input)?;
        let eps = eps.unwrap_or(match x.dtype() {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        });
        let scale = x.try_square()?.try_mean_dim(&axes, true)?.try_add(eps)?.try_sqrt()?.try_reciprocal()?;
        let y = x.try_mul(&scale)?;
        let y = if let Some(w) = weight { y.try_mul(w)? } else { y };
        // PyTorch copies what does not lie in row-major order.
        let is_copied = !y.is_dense() && !input.dtype().is_half();
        let y = row_major(y.try_to(input.dtype())?)?;
        Ok(if is_copied { tape::named("CloneBackward0", &y) } else { y })
    }

    /// Normalises groups of channels of each sample over channels and places: `[n, c, ..]`; weight and bias are `[c]`.
    fn group_norm / try_group_norm(input: &Tensor, groups: usize, options: NormOptions<'_>) -> Tensor {
        let op = "group_norm";
        demand_float(op, input)?;
        let NormOptions { weight, bias, eps } = options;
        if input.dim() < 2 {
            return Err(Error::operands(op, format!("the input must be [n, c, ..], got {:?}", input.shape_hint())));
        }
        let own = input.sizes();
        let c = numbers(&own[1..2], "group_norm divides the channels")[0];
        if c == 0 || groups == 0 || !c.is_multiple_of(groups) {
            return Err(Error::operands(
                op,
                format!("the {c} channels of {:?} must be a multiple of the groups, {groups}", input.shape_hint()),
            ));
        }
        check_channels(op, input, &[("weight", weight), ("bias", bias)])?;
        if own[2..].iter().any(|&n| is_zero(n)) {
            return Err(Error::operands(op, format!("the planes of {:?} are empty", input.shape_hint())));
        }
        let rest = own[2..].iter().chain(&own[..1]).copied().collect::<Sizes>();
        if c == groups && numel(&rest).equals(1) {
            return Err(Error::operands(
                op,
                format!("needs more than one element for each group, got {:?}", input.shape_hint()),
            ));
        }
        let mut grouped = own.clone();
        grouped[1] = Size::from(groups);
        grouped.insert(2, Size::from(c / groups));
        let axes: Vec<isize> = (2..grouped.len() as isize).collect();
        with_affine("NativeGroupNormBackward0", input, weight, bias, false, &[], |x, weight, bias| {
            let y = Moments::of(&widened(x)?.reshape_sizes(&grouped)?, &axes)?.normalised(eps)?.reshape_sizes(&own)?;
            let lined = |t: Option<&Tensor>| t.map(|t| by_channel(t, own.len())).transpose();
            as_images(affine(y, lined(weight)?, lined(bias)?)?.try_to(x.dtype())?, x.dim() > 3 && are_images(x))
        })
    }

    /// Divides each element by a power of the mean square over `size` neighbouring channels:
    /// `x / (k + alpha mean)^beta`, `[n, c, ..]`. PyTorch's defaults: alpha = 1e-4, beta = 0.75, k = 1.
    fn local_response_norm / try_local_response_norm(input: &Tensor, size: usize, alpha: f64, beta: f64, k: f64) -> Tensor {
        let op = "local_response_norm";
        demand_float(op, input)?;
        if input.dim() < 3 || size == 0 {
            return Err(Error::operands(
                op,
                format!("needs an input [n, c, ..] with one axis more at least and a size, got {:?} and {size}", input.shape_hint()),
            ));
        }
        let x = widened(input)?;
        let zero = Scalar::from_f64(0.0, x.dtype());
        let squares = pad_axis(&x.try_square()?, 1, size / 2, (size - 1) / 2, zero)?;
        let means = windows(op, &squares, 1, size, 1, 1)?.try_sum_dim(&[-1], false)?.try_div(size as f64)?;
        x.try_div(&means.try_mul(alpha)?.try_add(k)?.try_pow(beta)?)?.try_to(input.dtype())
    }
}

/// PyTorch has samples and channels as one axis on the way, and gives a view of that.
fn as_seen(y: &Tensor) -> Result<Tensor> {
    y.reshape_recorded(&y.sizes())
}

/// The last axes, after the check that they have this shape, and what is given too.
fn last_axes(op: &'static str, x: &Tensor, shape: &[usize], given: &[(&str, Option<&Tensor>)]) -> Result<Vec<isize>> {
    demand_float(op, x)?;
    let sizes = sizes_of(shape);
    let n = shape.len();
    let fits = n > 0 && n <= x.dim() && x.sizes()[x.dim() - n..].iter().zip(&sizes).all(|(&a, &b)| demand_equal(a, b));
    if !fits {
        return Err(Error::operands(
            op,
            format!(
                "the last axes of {:?} must be the normalized shape {shape:?}, of one axis at least",
                x.shape_hint()
            ),
        ));
    }
    for (name, t) in given {
        if let Some(t) = t
            && !t.has_sizes(&sizes)
        {
            return Err(Error::operands(op, format!("{name} must be {shape:?}, got {:?}", t.shape_hint())));
        }
    }
    Ok((1..=n as isize).rev().map(|a| -a).collect())
}
