//! Losses of rankings and margins: what is on the wrong side of a boundary, and how far.

use super::common::{Reduction, class_weight, demand_float, iota, no_bool, promoted, same_shapes, take, widened};
use super::loss::finish;
use super::try_pairwise_distance;
use crate::autograd::record::composite;
use crate::device;
use crate::error::{Error, Result};
use crate::mode::sizes::numel;
use crate::ops::gather::{all_true, checked, gather};
use crate::ops::reduce::{divide_by_size, size_tensor};
use crate::ops::single_node::{Keeps, single};
use crate::ops::{Number, twin_fns};
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::DType;

/// What [`triplet_margin_loss`] has besides its three points; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct TripletMarginOptions {
    /// How much nearer the positive must be.
    pub margin: f64,
    /// The order of the norm of differences.
    pub p: f64,
    /// Added to differences.
    pub eps: f64,
    /// The negative's distance to the positive counts where it is smaller than that to the anchor.
    pub swap: bool,
    pub reduction: Reduction,
}

impl Default for TripletMarginOptions {
    fn default() -> Self {
        TripletMarginOptions { margin: 1.0, p: 2.0, eps: 1e-6, swap: false, reduction: Reduction::Mean }
    }
}

twin_fns! {
    /// `x` where the target is 1, and `max(0, margin - x)` where it is -1. PyTorch's default: margin = 1.
    fn hinge_embedding_loss / try_hinge_embedding_loss(
        input: &Tensor, target: &Tensor, margin: f64, reduction: Reduction,
    ) -> Tensor {
        no_bool("hinge_embedding_loss", &[input])?;
        let x = widened(input)?;
        let zero = x.try_zeros_like()?;
        // The margin is an element of the input's dtype.
        let margin = Number::of(Number::Float(margin).fitted("hinge_embedding_loss", x.dtype())?);
        let far = x.try_neg()?.try_add(margin)?.try_clamp_min(Number::Int(0))?;
        let no = zero.try_where_self(&target.try_eq(1)?, &far)?;
        let yes = zero.try_where_self(&target.try_eq(-1)?, &x)?;
        finish(&no.try_add(&yes)?, reduction, input.dtype())
    }

    /// `1 - cos` where the target is 1, and `max(0, cos - margin)` where it is -1, for vectors `[d]` or `[n, d]`.
    /// PyTorch's default: margin = 0.
    fn cosine_embedding_loss / try_cosine_embedding_loss(
        input1: &Tensor, input2: &Tensor, target: &Tensor, margin: f64, reduction: Reduction,
    ) -> Tensor {
        let op = "cosine_embedding_loss";
        same_shapes(op, input1, input2)?;
        let n = input1.dim();
        if !(1..=2).contains(&n) || !target.has_sizes(&input1.sizes()[..n - 1]) {
            return Err(Error::operands(
                op,
                format!(
                    "the inputs must be [d] or [n, d] and the target [] or [n], got {:?} and {:?}",
                    input1.shape_hint(), target.shape_hint()
                ),
            ));
        }
        let (a, b) = (widened(input1)?, widened(input2)?);
        let sum = |t: Tensor| t.try_sum_dim(&[-1], false);
        // As PyTorch: the products are moved off 0, not the lengths.
        let square = |t: &Tensor| sum(t.try_mul(t)?)?.try_add(1e-12);
        let (aa, bb) = (square(&a)?, square(&b)?);
        let cos = sum(a.try_mul(&b)?)?.try_div(&aa.try_mul(&bb)?.try_sqrt()?)?;
        let zero = cos.try_zeros_like()?;
        let yes = cos.try_neg()?.try_add(1.0)?.try_where_self(&target.try_eq(1)?, &zero)?;
        let no = cos.try_sub(margin)?.try_clamp_min(0.0)?.try_where_self(&target.try_eq(-1)?, &zero)?;
        let losses = yes.try_add(&no)?;
        let dtype = promoted([input1, input2])?.1;
        // Lengths of whole numbers are f32.
        let half = dtype.is_half() && input1.dtype().is_float() && input2.dtype().is_float();
        finish(&losses, reduction, if half { dtype } else { losses.dtype() })
    }

    /// `max(0, margin - target (x1 - x2))`: the target, 1 or -1, says which should rank higher. PyTorch's default:
    /// margin = 0.
    fn margin_ranking_loss / try_margin_ranking_loss(
        input1: &Tensor, input2: &Tensor, target: &Tensor, margin: f64, reduction: Reduction,
    ) -> Tensor {
        no_bool("margin_ranking_loss", &[input1, input2, target])?;
        if input1.dim() != input2.dim() || input1.dim() != target.dim() {
            return Err(Error::operands(
                "margin_ranking_loss",
                format!(
                    "inputs {:?} and {:?} and target {:?} must have equally many axes",
                    input1.shape_hint(), input2.shape_hint(), target.shape_hint()
                ),
            ));
        }
        let dtype = promoted([input1, input2, target])?.1;
        let d = widened(input1)?.try_sub(&widened(input2)?)?;
        let losses = widened(target)?.try_neg()?.try_mul(&d)?.try_add(margin)?.try_clamp_min(0)?;
        finish(&losses, reduction, if dtype.is_half() { dtype } else { losses.dtype() })
    }

    /// `log(1 + exp(-target x))`, the target being 1 or -1, which has no gradient. The loss has the dtype and the shape of
    /// the input.
    fn soft_margin_loss / try_soft_margin_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        let op = "soft_margin_loss";
        demand_float(op, input)?;
        let fits = target.dim() <= input.dim() && target.expand_sizes(&input.sizes()).is_ok();
        if !fits {
            let (x, t) = (input.shape_hint(), target.shape_hint());
            return Err(Error::operands(op, format!("the target {t:?} does not broadcast to the input {x:?}")));
        }
        // One function rather than one for each sign, whose second derivatives do not meet at 0.
        single("SoftMarginLossBackward0", &[input, target], &[Keeps::Operand(0), Keeps::Operand(1)], |own| {
            let ([x, t], _) = promoted([&own[0], &own[1]])?;
            let t = without_derivative(op, t)?;
            finish(&x.try_mul(&t)?.try_logsigmoid()?.try_neg()?, reduction, own[0].dtype())
        })
    }

    /// How much nearer the positive is than the negative: `max(0, d(anchor, positive) - d(anchor, negative) + margin)` with
    /// the p-norm of differences `[.., d]`; with `swap` the smaller of the distances to the negative counts.
    fn triplet_margin_loss / try_triplet_margin_loss(
        anchor: &Tensor, positive: &Tensor, negative: &Tensor, options: TripletMarginOptions,
    ) -> Tensor {
        let TripletMarginOptions { margin, p, eps, swap, reduction } = options;
        let op = "triplet_margin_loss";
        no_bool(op, &[anchor, positive, negative])?;
        if margin.is_nan() || margin <= 0.0 || anchor.dim() != positive.dim() || anchor.dim() != negative.dim() {
            return Err(Error::operands(
                op,
                format!(
                    "needs a margin above 0 and equally many axes, got {margin}, {:?}, {:?} and {:?}",
                    anchor.shape_hint(), positive.shape_hint(), negative.shape_hint()
                ),
            ));
        }
        let dtype = promoted([anchor, positive, negative])?.1;
        let (a, b, c) = (widened(anchor)?, widened(positive)?, widened(negative)?);
        let near = try_pairwise_distance(&a, &b, p, eps, false)?;
        let mut far = try_pairwise_distance(&a, &c, p, eps, false)?;
        if swap {
            far = far.try_minimum(&try_pairwise_distance(&b, &c, p, eps, false)?)?;
        }
        let losses = near.try_sub(&far)?.try_add(margin)?.try_clamp_min(0.0)?;
        finish(&losses, reduction, if dtype.is_half() { dtype } else { losses.dtype() })
    }

    /// `max(0, margin - x[target] + x[j])^p` summed over the other classes j and divided by their number, for `[c]` or
    /// `[n, c]` and integers `[]` or `[n]`; `weight` (`[c]`) is that of the target's class. PyTorch's defaults: p = 1,
    /// margin = 1.
    fn multi_margin_loss / try_multi_margin_loss(
        input: &Tensor, target: &Tensor, p: u32, margin: f64, weight: Option<&Tensor>, reduction: Reduction,
    ) -> Tensor {
        let op = "multi_margin_loss";
        demand_float(op, input)?;
        class_weight(op, input, weight)?;
        let n = input.dim();
        if !(1..=2).contains(&n) || !(1..=2).contains(&p) || target.dtype() != DType::I64
            || !target.has_sizes(&input.sizes()[..n - 1])
        {
            return Err(Error::operands(
                op,
                format!(
                    "needs [c] or [n, c], i64 [] or [n] and p of 1 or 2, got {:?}, {}{:?} and {p}",
                    input.shape_hint(), target.dtype(), target.shape_hint()
                ),
            ));
        }
        let all = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Operand(2)];
        let (operands, keeps) = match weight {
            Some(w) => (vec![input, target, w], &all[..]),
            None => (vec![input, target], &all[..2]),
        };
        single("MultiMarginLossBackward0", &operands, keeps, |t| {
        let (input, target, weight) = (&t[0], &t[1], t.get(2));
        let x = widened(input)?;
        let c = x.sizes()[n - 1];
        let index = target.try_to(DType::I64)?.try_unsqueeze(-1)?;
        let count = size_tensor(c, DType::I64)?;
        let inside = index.try_ge(0)?.try_logical_and(&index.try_lt(&count)?)?;
        let index = checked(&index, &all_true(&inside)?, "multi_margin_loss: a target is not a class")?;
        let mut losses = x.try_sub(&gather(&x, &index, n - 1)?)?.try_add(margin)?.try_relu()?;
        if p == 2 {
            losses = losses.try_square()?;
        }
        if let Some(w) = weight {
            if !w.has_sizes(&[c]) {
                return Err(Error::operands(op, format!("the weight must be [{c}], got {:?}", w.shape_hint())));
            }
            let flat = index.reshape_sizes(&[numel(&index.sizes())])?;
            losses = losses.try_mul(&take(&widened(w)?, 0, &flat)?.reshape_sizes(&index.sizes())?)?;
        }
        let _entered = device::enter(x.device());
        let others = iota(c)?.try_ne(&index)?;
        let losses = losses.try_where_self(&others, &losses.try_zeros_like()?)?.try_sum_dim(&[-1], false)?;
        let losses = divide_by_size(&losses, c)?;
        reduction.of(&losses)?.try_to(input.dtype())
        })
    }

    /// For several classes a sample, `[c]` or `[n, c]`: the target, i64 of the same shape, names them from the front and
    /// ends with the first -1. What is lost is `max(0, 1 - x[own] + x[other])` summed over all pairs of a class named and
    /// one that is not, over the number of classes.
    ///
    /// ```
    /// use allotrope::functional::{Reduction, multilabel_margin_loss};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![0.1f32, 0.2, 0.4, 0.8], &[4]);
    /// let y = multilabel_margin_loss(&x, &Tensor::from_vec(vec![3i64, 0, -1, 1], &[4]), Reduction::Mean);
    /// assert!((y.item::<f32>() - 0.85).abs() < 1e-6);
    /// ```
    fn multilabel_margin_loss / try_multilabel_margin_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        let op = "multilabel_margin_loss";
        demand_float(op, input)?;
        let n = input.dim();
        if !(1..=2).contains(&n) || target.dtype() != DType::I64 || !input.same_shape(target) {
            return Err(Error::operands(
                op,
                format!(
                    "needs [c] or [n, c] and an i64 target of that shape, got {:?} and {}{:?}",
                    input.shape_hint(), target.dtype(), target.shape_hint()
                ),
            ));
        }
        let keeps = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Hidden];
        single("MultilabelMarginLossBackward0", &[input, target], &keeps, |t| {
            let (x, target) = (widened(&t[0])?, &t[1]);
            let _entered = device::enter(x.device());
            let c = x.sizes()[n - 1];
            // Up to the first that is negative.
            let named = target.try_lt(0)?.try_to(DType::I64)?.try_cumsum(-1)?.try_eq(0)?;
            let index = target.try_where_self(&named, &target.try_zeros_like()?)?;
            let inside = index.try_lt(&size_tensor(c, DType::I64)?)?;
            let fits = all_true(&inside.try_logical_or(&named.try_logical_not()?)?)?;
            let index = checked(&index, &fits, "multilabel_margin_loss: a target is not a class")?;
            let own = index.try_zeros_like()?.try_scatter_add(-1, &index, &named.try_to(DType::I64)?)?.try_gt(0)?;
            let pairs = named.try_unsqueeze(-1)?.try_logical_and(&own.try_logical_not()?.try_unsqueeze(-2)?)?;
            let picked = gather(&x, &index, n - 1)?.try_unsqueeze(-1)?;
            let losses = x.try_unsqueeze(-2)?.try_sub(&picked)?.try_add(1.0)?.try_relu()?;
            let losses = losses.try_where_self(&pairs, &losses.try_zeros_like()?)?.try_sum_dim(&[-2, -1], false)?;
            reduction.of(&divide_by_size(&losses, c)?)?.try_to(t[0].dtype())
        })
    }

    /// The mean over classes of the cross entropies of `sigmoid(x)` and targets of 0 and 1: `[.., c] -> [..]`.
    fn multilabel_soft_margin_loss / try_multilabel_soft_margin_loss(
        input: &Tensor, target: &Tensor, weight: Option<&Tensor>, reduction: Reduction,
    ) -> Tensor {
        let op = "multilabel_soft_margin_loss";
        demand_float(op, input)?;
        no_bool(op, &[target])?;
        let dtype = promoted([input, target])?.1;
        let (x, t) = (widened(input)?, widened(target)?);
        let yes = t.try_mul(&x.try_logsigmoid()?)?;
        let no = t.try_neg()?.try_add(1)?.try_mul(&x.try_neg()?.try_logsigmoid()?)?;
        let losses = yes.try_add(&no)?.try_neg()?;
        let losses = if let Some(w) = weight { losses.try_mul(&widened(w)?)? } else { losses };
        if losses.dim() == 0 {
            return Err(Error::operands(op, "the input must be [.., c], got no axes"));
        }
        finish(&losses.try_mean_dim(&[-1], false)?, reduction, dtype)
    }
}

/// A target that PyTorch knows no derivative for: asking for one is an error of the backward pass.
fn without_derivative(op: &'static str, target: Tensor) -> Result<Tensor> {
    if !target.is_requires_grad() {
        return Ok(target);
    }
    composite(
        "NotImplemented",
        &[Operand::Tensor(&target)],
        || target.try_mul(1.0),
        |_| {
            move |_: &_, _: &Tensor| {
                Err(Error::autograd(format!("the derivative of {op} for the target is not implemented")))
            }
        },
    )
}
