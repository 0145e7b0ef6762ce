//! Losses of classes: log likelihoods of one class, of several, and of probabilities.

use super::common::{
    Reduction, class_weight, demand_float, no_bool, no_gradient, promoted, same_dtypes, same_shapes, take, widened,
};
use super::loss::finish;
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::row_major;
use crate::mode::sizes::{is_zero, numel};
use crate::ops::elementwise::{rounded, try_xlogy};
use crate::ops::gather::{all_true, checked, gather};
use crate::ops::reduce::{divide_by_size, size_tensor};
use crate::ops::single_node::{Keeps, single};
use crate::ops::{grads2, twin_fns};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;

/// What [`cross_entropy`] has besides input and target; PyTorch's defaults.
#[derive(Copy, Clone, Debug)]
pub struct CrossEntropyOptions<'a> {
    /// `[c]`, the weight of each class.
    pub weight: Option<&'a Tensor>,
    /// The target that counts for nothing.
    pub ignore_index: i64,
    pub reduction: Reduction,
    /// The share of each target that goes to all classes evenly.
    pub label_smoothing: f64,
}

impl Default for CrossEntropyOptions<'_> {
    fn default() -> Self {
        CrossEntropyOptions { weight: None, ignore_index: -100, reduction: Reduction::Mean, label_smoothing: 0.0 }
    }
}

/// What [`nll_loss`] has besides input and target; PyTorch's defaults.
#[derive(Copy, Clone, Debug)]
pub struct NllLossOptions<'a> {
    /// `[c]`, the weight of each class.
    pub weight: Option<&'a Tensor>,
    /// The target that counts for nothing.
    pub ignore_index: i64,
    pub reduction: Reduction,
}

impl Default for NllLossOptions<'_> {
    fn default() -> Self {
        NllLossOptions { weight: None, ignore_index: -100, reduction: Reduction::Mean }
    }
}

/// What [`kl_div`] does with the divergences of the elements.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum KlReduction {
    /// Their mean: not the divergence of distributions, but PyTorch's default.
    #[default]
    Mean,
    /// Their sum over the size of the first axis.
    BatchMean,
    Sum,
    None,
}

/// Targets as they are gathered by, with what they weigh.
struct Classes {
    /// `[n, 1, ..]`, 0 where the target is ignored.
    index: Tensor,
    /// `[n, ..]`, bool.
    counts: Tensor,
    /// `[n, ..]`, the weight of the class, 0 where the target is ignored.
    weights: Tensor,
}

impl Classes {
    /// `axis` is that of the classes in `x`.
    fn new(
        op: &'static str,
        x: &Tensor,
        target: &Tensor,
        axis: usize,
        weight: Option<&Tensor>,
        ignored: i64,
    ) -> Result<Classes> {
        let own = x.sizes();
        let mut rest = own.clone();
        let c = rest.remove(axis);
        // PyTorch's kernel for several places has targets of i64 only.
        let (is_class, wanted) = match x.dim() {
            0..=2 => (matches!(target.dtype(), DType::I64 | DType::U8), "i64 or u8"),
            _ => (target.dtype() == DType::I64, "i64"),
        };
        if !is_class || !target.has_sizes(&rest) {
            return Err(Error::operands(
                op,
                format!(
                    "the target of an input {:?} must be {wanted} of that shape without the axis of the {c} classes, got {}{:?}",
                    x.shape_hint(),
                    target.dtype(),
                    target.shape_hint()
                ),
            ));
        }
        check_weight(op, weight, c)?;
        let target = target.try_to(DType::I64)?;
        let counts = target.try_ne(ignored)?;
        let index = target.try_where_self(&counts, &target.try_zeros_like()?)?;
        let c = size_tensor(c, DType::I64)?;
        let inside = index.try_ge(0)?.try_logical_and(&index.try_lt(&c)?)?;
        // An ignored target lies in no class, so there needs to be none.
        let fine = all_true(&inside.try_logical_or(&counts.try_logical_not()?)?)?;
        let index = checked(&index, &fine, &format!("{op}: a target is not a class"))?;
        let weights = match weight {
            None => counts.try_to(x.dtype())?,
            Some(w) => {
                let flat = take(&widened(w)?.try_to(x.dtype())?, 0, &index.reshape_sizes(&[numel(&rest)])?)?;
                let of = flat.reshape_sizes(&rest)?;
                of.try_where_self(&counts, &of.try_zeros_like()?)?
            }
        };
        Ok(Classes { index: index.try_unsqueeze(axis as isize)?, counts, weights })
    }

    /// The weighted mean, where the mean is asked for.
    fn reduce(&self, losses: &Tensor, reduction: Reduction) -> Result<Tensor> {
        match reduction {
            Reduction::Mean => losses.try_sum()?.try_div(&self.weights.try_sum()?),
            // PyTorch adds up also what one sample without a batch loses.
            Reduction::None if losses.dim() == 0 => losses.try_sum(),
            other => other.of(losses),
        }
    }

    /// `-weight x[target]` for each target.
    fn losses(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
        let picked = gather(x, &self.index, axis)?.reshape_sizes(&self.counts.sizes())?;
        let losses = picked.try_neg()?.try_mul(&self.weights)?;
        // Nothing of an ignored target counts, not even an infinity.
        row_major(losses.try_where_self(&self.counts, &losses.try_zeros_like()?)?)
    }
}

fn check_weight(op: &'static str, weight: Option<&Tensor>, c: Size) -> Result<()> {
    match weight {
        Some(w) if !w.has_sizes(&[c]) => {
            Err(Error::operands(op, format!("the weight must be [{c}], one for each class, got {:?}", w.shape_hint())))
        }
        _ => Ok(()),
    }
}

/// The axis of the classes: the first of one sample, the second of a batch.
fn class_axis(op: &'static str, x: &Tensor) -> Result<usize> {
    demand_float(op, x)?;
    match x.dim() {
        0 => Err(Error::operands(op, "the input must be [c], or [n, c, ..], got a tensor without axes")),
        1 => Ok(0),
        _ => Ok(1),
    }
}

twin_fns! {
    /// The negative log likelihood of classes: input `[c]` or `[n, c, ..]` of log probabilities, target of integers, `[]` or
    /// `[n, ..]`. The mean is weighted by the classes' weights. A target that is no class fails, also in a compiled
    /// function.
    ///
    /// ```
    /// use allotrope::functional::{NllLossOptions, nll_loss};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![-1.0f32, -2.0, -3.0, -4.0], &[2, 2]);
    /// let loss = nll_loss(&x, &Tensor::from_vec(vec![0i64, 1], &[2]), NllLossOptions::default());
    /// assert_eq!(loss.item::<f32>(), 2.5);
    /// ```
    fn nll_loss / try_nll_loss(input: &Tensor, target: &Tensor, options: NllLossOptions<'_>) -> Tensor {
        let axis = class_axis("nll_loss", input)?;
        class_weight("nll_loss", input, options.weight)?;
        likelihood("nll_loss", input, target, axis, options)
    }

    /// The cross entropy between logits, `[c]` or `[n, c, ..]`, and a target: classes as for [`nll_loss`], or probabilities
    /// of the input's shape.
    ///
    /// ```
    /// use allotrope::functional::{CrossEntropyOptions, cross_entropy};
    /// use allotrope::prelude::*;
    /// let x = Tensor::zeros(&[3, 2], DType::F32);
    /// let loss = cross_entropy(&x, &Tensor::from_vec(vec![0i64, 1, 1], &[3]), CrossEntropyOptions::default());
    /// assert_eq!(loss.item::<f32>(), 2f32.ln());
    /// ```
    fn cross_entropy / try_cross_entropy(input: &Tensor, target: &Tensor, options: CrossEntropyOptions<'_>) -> Tensor {
        let op = "cross_entropy";
        let CrossEntropyOptions { weight, ignore_index, reduction, label_smoothing: smooth } = options;
        let axis = class_axis(op, input)?;
        if !(0.0..=1.0).contains(&smooth) {
            return Err(Error::operands(op, format!("label_smoothing must be 0 to 1, got {smooth}")));
        }
        let x = widened(input)?;
        let own = x.sizes();
        let c = own[axis];
        let logs = x.try_log_softmax(axis as isize)?;
        let by_class = |t: &Tensor| -> Result<Tensor> {
            let Some(w) = weight else { return Ok(t.clone()) };
            let mut sizes: Sizes = own.iter().map(|_| Size::from(1)).collect();
            sizes[axis] = c;
            t.try_mul(&widened(w)?.reshape_sizes(&sizes)?)
        };
        if target.dtype().is_float() {
            same_shapes(op, input, target)?;
            check_weight(op, weight, c)?;
            if ignore_index >= 0 {
                return Err(Error::operands(op, "ignore_index is for targets that are classes, not probabilities"));
            }
            let dtype = promoted([input, target])?.1;
            let mut t = widened(target)?;
            if smooth > 0.0 {
                let even = divide_by_size(&t.try_ones_like()?.try_mul(smooth)?, c)?;
                t = t.try_mul(1.0 - smooth)?.try_add(&even)?;
            }
            let sums = by_class(&logs)?.try_mul(&t)?.try_sum_dim(&[axis as isize], false)?;
            let y = match reduction {
                Reduction::Mean => {
                    let mut rest = own.clone();
                    rest.remove(axis);
                    let total = sums.try_sum()?.try_neg()?;
                    // Without classes there is no number of samples to PyTorch either.
                    let count = if is_zero(c) { c } else { numel(&rest) };
                    let node = if is_zero(numel(&own)) { "NegBackward0" } else { "DivBackward1" };
                    single(node, &[&total], &[], |t| divide_by_size(&t[0], count))?
                }
                other => other.of(&sums)?.try_neg()?,
            };
            return rounded(&y, dtype, None);
        }
        class_weight(op, input, weight)?;
        if smooth == 0.0 {
            let options = NllLossOptions { weight, ignore_index, reduction };
            return likelihood(op, &logs.try_to(input.dtype())?, target, axis, options);
        }
        let classes = Classes::new(op, &x, target, axis, weight, ignore_index)?;
        let y = likelihood(op, &logs, target, axis, NllLossOptions { weight, ignore_index, reduction })?;
        let all = by_class(&logs)?.try_sum_dim(&[axis as isize], false)?.try_neg()?;
        let all = classes.reduce(&all.try_where_self(&classes.counts, &all.try_zeros_like()?)?, reduction)?;
        let all = divide_by_size(&all.try_mul(smooth)?, c)?;
        rounded(&y.try_mul(1.0 - smooth)?.try_add(&all)?, input.dtype(), None)
    }

    /// The cross entropy between probabilities, 0 to 1, and targets of their shape; logarithms are no less than -100. A
    /// `weight` broadcasts to them. Probabilities outside 0 to 1 fail, also in a compiled function.
    ///
    /// ```
    /// use allotrope::functional::{Reduction, binary_cross_entropy};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 0.0], &[2]);
    /// let y = binary_cross_entropy(&x, &Tensor::ones(&[2], DType::F32), None, Reduction::None);
    /// assert_eq!(y.to_vec::<f32>(), [0.0, 100.0]);
    /// ```
    ///
    /// # Gradient
    /// `weight (x - t) / max(x (1 - x), 1e-12)`, as PyTorch's: finite at 0 and 1.
    fn binary_cross_entropy / try_binary_cross_entropy(
        input: &Tensor, target: &Tensor, weight: Option<&Tensor>, reduction: Reduction,
    ) -> Tensor {
        let op = "binary_cross_entropy";
        demand_float(op, input)?;
        same_shapes(op, input, target)?;
        same_dtypes(op, input, target)?;
        no_gradient(op, weight)?;
        let operands: Vec<&Tensor> = [input, target].into_iter().chain(weight).collect();
        let all = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Operand(2)];
        single("BinaryCrossEntropyBackward0", &operands, &all[..operands.len()], |own| {
        let (input, target, weight) = (&own[0], &own[1], own.get(2));
        let inside = input.try_ge(0.0)?.try_logical_and(&input.try_le(1.0)?)?;
        let x = checked(input, &all_true(&inside)?, "binary_cross_entropy: a probability is not between 0 and 1")?;
        let (x, t) = (widened(&x)?, widened(target)?.try_to(widened(input)?.dtype())?);
        let value = || {
            let (yes, no) = logs(&x)?;
            no.try_mul(&t.try_sub(1.0)?)?.try_sub(&yes.try_mul(&t)?)
        };
        let operands = [Operand::Tensor(&x), Operand::Tensor(&t)];
        let losses = composite("BinaryCrossEntropyBackward0", &operands, value, |_| {
            let (x, t) = (Saved::operand(&x), Saved::operand(&t));
            move |c: &Context<'_>, g: &Tensor| {
                let (x, t) = (x.get(c.me)?, t.get(c.me)?);
                let by_x = || {
                    let derivative = x.try_mul(&x.try_neg()?.try_add(1.0)?)?.try_maximum(1e-12)?;
                    g.try_mul(&x.try_sub(&t)?.try_div(&derivative)?)
                };
                let by_t = || {
                    let (yes, no) = logs(&x)?;
                    g.try_mul(&no.try_sub(&yes)?)
                };
                grads2(c, by_x, by_t)
            }
        })?;
        let losses = match weight {
            Some(w) => in_place(op, &losses, &losses.try_mul(&widened(w)?)?)?,
            None => losses,
        };
        reduction.of(&losses)?.try_to(input.dtype())
        })
    }

    /// As [`binary_cross_entropy`] of `sigmoid(input)`, without its overflows. `pos_weight` is the weight of what is true,
    /// and broadcasts as `weight` does.
    fn binary_cross_entropy_with_logits / try_binary_cross_entropy_with_logits(
        input: &Tensor, target: &Tensor, weight: Option<&Tensor>, pos_weight: Option<&Tensor>, reduction: Reduction,
    ) -> Tensor {
        let op = "binary_cross_entropy_with_logits";
        demand_float(op, input)?;
        demand_float(op, target)?;
        same_shapes(op, input, target)?;
        no_gradient(op, weight)?;
        no_gradient(op, pos_weight)?;
        let operands: Vec<&Tensor> = [input, target].into_iter().chain(weight).chain(pos_weight).collect();
        let all = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Operand(2), Keeps::Operand(3)];
        single("BinaryCrossEntropyWithLogitsBackward0", &operands, &all[..operands.len()], |own| {
        let (input, target) = (&own[0], &own[1]);
        let (weight, pos_weight) = (weight.map(|_| &own[2]), pos_weight.map(|_| &own[own.len() - 1]));
        let (wide, _) = promoted([input, target])?;
        let [x, t] = wide;
        // PyTorch's logarithm stays in the input's dtype, also where the target's is a wider one.
        let own = |log: Tensor| if input.dtype() == target.dtype() { Ok(log) } else { log.try_to(input.dtype()) };
        let log = own(x.try_logsigmoid()?.try_neg()?)?;
        let log = match pos_weight {
            None => log,
            Some(p) => {
                let factor = factor(op, p)?.try_sub(1.0)?.try_mul(&t)?.try_add(1.0)?;
                own(in_place(op, &log, &log.try_mul(&factor)?)?)?
            }
        };
        let losses = t.try_neg()?.try_add(1.0)?.try_mul(&x)?.try_add(&log)?;
        let losses = match weight {
            Some(w) => in_place(op, &losses, &losses.try_mul(&widened(w)?)?)?,
            None => losses,
        };
        // PyTorch computes in place in 1 - target.
        finish(&losses, reduction, target.dtype())
        })
    }

    /// The divergence of distributions: `target (log target - input)`, the input being a logarithm; with `log_target` the
    /// target too. PyTorch's default: no log target.
    fn kl_div / try_kl_div(input: &Tensor, target: &Tensor, log_target: bool, reduction: KlReduction) -> Tensor {
        demand_float("kl_div", input)?;
        demand_float("kl_div", target)?;
        let ([x, t], dtype) = promoted([input, target])?;
        // What is of one of them alone is computed in its own dtype, where there are two.
        let (x, t) = if input.dtype() == target.dtype() { (x, t) } else { (input.clone(), target.clone()) };
        let losses = match log_target {
            true => t.try_exp()?.try_mul(&t.try_sub(&x)?)?,
            false => try_xlogy(&t, &t)?.try_sub(&t.try_mul(&x)?)?,
        };
        let y = match reduction {
            KlReduction::Mean => losses.try_mean()?,
            KlReduction::Sum => losses.try_sum()?,
            KlReduction::None => losses,
            KlReduction::BatchMean if input.dim() == 0 => losses.try_sum()?,
            KlReduction::BatchMean => {
                let n = input.sizes().first().copied().unwrap_or(Size::from(1));
                divide_by_size(&losses.try_sum()?, n)?
            }
        };
        rounded(&y, dtype, None)
    }
}

/// A weight that 1 is taken off.
fn factor(op: &'static str, weight: &Tensor) -> Result<Tensor> {
    no_bool(op, &[weight])?;
    widened(weight)
}

/// `new`, which takes the place of `old` and so has its shape.
fn in_place(op: &'static str, old: &Tensor, new: &Tensor) -> Result<Tensor> {
    match new.same_shape(old) {
        true => Ok(new.clone()),
        false => Err(Error::operands(
            op,
            format!("a weight makes {:?} of the losses' shape {:?}", new.shape_hint(), old.shape_hint()),
        )),
    }
}

/// The negative log likelihoods, as one node.
fn likelihood(
    op: &'static str,
    input: &Tensor,
    target: &Tensor,
    axis: usize,
    options: NllLossOptions<'_>,
) -> Result<Tensor> {
    let NllLossOptions { weight, ignore_index, reduction } = options;
    let node = match input.dim() {
        0..=2 => "NllLossBackward0",
        // PyTorch has planes, and other shapes as planes.
        3 | 5.. if reduction == Reduction::None => "ViewBackward0",
        _ => "NllLoss2DBackward0",
    };
    let all = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Operand(2)];
    let operands: Vec<&Tensor> = [input, target].into_iter().chain(weight).collect();
    single(node, &operands, &all[..operands.len()], |t| {
        let x = widened(&t[0])?;
        let classes = Classes::new(op, &x, &t[1], axis, t.get(2), ignore_index)?;
        classes.reduce(&classes.losses(&x, axis)?, reduction)?.try_to(t[0].dtype())
    })
}

/// log x and log(1 - x), no less than -100.
fn logs(x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((x.try_log()?.try_maximum(-100.0)?, x.try_neg()?.try_log1p()?.try_maximum(-100.0)?))
}
