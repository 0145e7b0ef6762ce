//! The loss of connectionist temporal classification (Graves, Fernández, Gomez and Schmidhuber 2006): how likely it is that
//! a sequence of class probabilities, one set a step, spells a shorter target. The sums over all alignments are two loops
//! over the steps, one forward and one backward, both in logarithms; it has no loop over samples or labels.

use super::common::{Reduction, demand_float, iota, take, widened};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::device;
use crate::error::{Error, Result};
use crate::mode::sizes::{at_most, demand_equal, is_zero};
use crate::mode::values::full_of;
use crate::ops::gather::{all_true, checked, gather};
use crate::ops::movement::{concat, narrow};
use crate::ops::reduce::size_tensor;
use crate::ops::{grads1, try_scan, try_scan_reverse, twin_fns};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Scalar};
use std::cell::RefCell;

const OP: &str = "ctc_loss";

/// How long each sequence is: numbers, or a tensor `[n]` of integers (`[]` or `[1]` where there is no batch).
#[derive(Copy, Clone)]
pub enum Lengths<'a> {
    List(&'a [usize]),
    Tensor(&'a Tensor),
}

impl<'a> From<&'a Tensor> for Lengths<'a> {
    fn from(lengths: &'a Tensor) -> Lengths<'a> {
        Lengths::Tensor(lengths)
    }
}

impl<'a> From<&'a [usize]> for Lengths<'a> {
    fn from(lengths: &'a [usize]) -> Lengths<'a> {
        Lengths::List(lengths)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Lengths<'a> {
    fn from(lengths: &'a [usize; N]) -> Lengths<'a> {
        Lengths::List(lengths)
    }
}

impl<'a> From<&'a Vec<usize>> for Lengths<'a> {
    fn from(lengths: &'a Vec<usize>) -> Lengths<'a> {
        Lengths::List(lengths)
    }
}

/// What [`ctc_loss`] has besides its operands; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct CtcLossOptions {
    /// The class that spells nothing.
    pub blank: usize,
    /// The mean is that of the losses over their targets' lengths.
    pub reduction: Reduction,
    /// Counts a target that no alignment spells as 0, with no gradient, rather than as infinite.
    pub zero_infinity: bool,
}

twin_fns! {
    /// The connectionist temporal classification loss: `log_probs` `[t, n, c]` (or `[t, c]`) are logarithms of
    /// probabilities, `targets` classes `[n, s]`, or those of all samples one after the other `[sum of target_lengths]`.
    /// Lengths beyond the axes, classes that there are not, and targets that do not add up fail, also in a compiled
    /// function.
    ///
    /// The formula is that of Graves et al. 2006, "Connectionist Temporal Classification".
    ///
    /// ```
    /// use allotrope::functional::{CtcLossOptions, ctc_loss};
    /// use allotrope::prelude::*;
    /// // Two steps of even odds between the blank and class 1: three of four alignments spell "1".
    /// let log_probs = Tensor::full(&[2, 1, 2], 0.5f32.ln());
    /// let target = Tensor::from_vec(vec![1i64], &[1, 1]);
    /// let loss = ctc_loss(&log_probs, &target, &[2], &[1], CtcLossOptions::default());
    /// assert!((loss.item::<f32>() + 0.75f32.ln()).abs() < 1e-6);
    /// ```
    ///
    /// # Gradient
    /// As PyTorch's it is that of the unnormalised scores before a `log_softmax`: `exp(log_probs)` less the probability
    /// that the step belongs to the class. It is the derivative by `log_probs` only together with the `log_softmax` that
    /// they come from. There is no second derivative.
    fn ctc_loss / try_ctc_loss<'a>(
        log_probs: &Tensor, targets: &Tensor, input_lengths: impl Into<Lengths<'a>>, target_lengths: impl Into<Lengths<'a>>,
        options: CtcLossOptions,
    ) -> Tensor {
        let CtcLossOptions { blank, reduction, zero_infinity } = options;
        demand_float(OP, log_probs)?;
        let is_batch = log_probs.dim() == 3;
        let (x, targets) = match (log_probs.dim(), targets.dim()) {
            (3, 1 | 2) => (log_probs.clone(), targets.clone()),
            (2, 1) => (log_probs.try_unsqueeze(1)?, targets.try_unsqueeze(0)?),
            _ => {
                return Err(misfit(format!(
                    "needs log_probs [t, n, c] and targets [n, s] or [sum of lengths], or [t, c] and [s] without a batch, got {:?} and {:?}",
                    log_probs.shape_hint(), targets.shape_hint()
                )));
            }
        };
        let _entered = device::enter(x.device());
        let x = widened(&x)?;
        let paths = Paths::new(&x, &targets, input_lengths.into(), target_lengths.into(), blank)?;
        let losses = losses(&x, &paths, zero_infinity)?;
        let losses = match zero_infinity {
            true => losses.try_zeros_like()?.try_where_self(&losses.try_eq(f64::INFINITY)?, &losses)?,
            false => losses,
        };
        let y = match reduction {
            Reduction::Mean => losses.try_div(&paths.target_lengths.try_clamp_min(1)?.try_to(losses.dtype())?)?.try_mean()?,
            Reduction::Sum => losses.try_sum()?,
            Reduction::None if is_batch => losses,
            Reduction::None => losses.try_squeeze(0)?,
        };
        y.try_to(log_probs.dtype())
    }
}

fn misfit(message: String) -> Error {
    Error::operands(OP, message)
}

/// What the two loops go along: the labels of each target with a blank before, between and behind them. A path stays at a
/// place, goes to the next one, or skips a blank between two labels that differ.
struct Paths {
    /// `[n]`, i64.
    target_lengths: Tensor,
    /// `[n, l]`, i64, l = 2 s + 1: the class of each place, the blank behind the last.
    classes: Tensor,
    /// `[n, l]`, bool: whether a path may come to the place from two before.
    skips: Tensor,
    /// `[n, l]`: 0 where a path ends on the last blank, else the logarithm of 0.
    ends: Tensor,
    /// `[t, n, 1]`, bool: whether the step is one of the sample's.
    active: Tensor,
}

impl Paths {
    fn new(
        x: &Tensor,
        targets: &Tensor,
        input_lengths: Lengths<'_>,
        target_lengths: Lengths<'_>,
        blank: usize,
    ) -> Result<Paths> {
        let [t, n, c] = [x.sizes()[0], x.sizes()[1], x.sizes()[2]];
        if is_zero(t) || is_zero(n) {
            return Err(misfit(format!("log_probs must have a step and a sample at least, got {:?}", x.shape_hint())));
        }
        if !at_most(Size::from(blank.saturating_add(1)), c) {
            return Err(misfit(format!("the blank must be one of the {c} classes, got {blank}")));
        }
        if !matches!(targets.dtype(), DType::I64 | DType::I32) {
            return Err(misfit(format!("targets must be i64 or i32, got {}", targets.dtype())));
        }
        let steps = as_tensor("input_lengths", input_lengths, n, t)?;
        let none_negative = steps.try_ge(0)?;
        let fits = none_negative.try_logical_and(&steps.try_le(&size_tensor(t, DType::I64)?)?)?;
        let steps = checked(
            &steps,
            &all_true(&fits)?,
            "ctc_loss: an input length is negative or beyond the steps of log_probs",
        )?;
        let target_lengths = as_tensor("target_lengths", target_lengths, n, targets.sizes()[targets.dim() - 1])?;
        let targets = targets.try_to(DType::I64)?;
        let (targets, target_lengths) = match targets.dim() {
            2 => padded(targets, target_lengths, n)?,
            _ => separated(&targets, target_lengths, n)?,
        };

        let s = targets.sizes()[1];
        let one = Size::from(1);
        let inside = iota(s)?.try_lt(&target_lengths.try_unsqueeze(1)?)?;
        let is_class = targets.try_ge(0)?.try_logical_and(&targets.try_lt(&size_tensor(c, DType::I64)?)?)?;
        let fits = all_true(&is_class.try_logical_or(&inside.try_logical_not()?)?)?;
        let targets = checked(&targets, &fits, "ctc_loss: a target is not a class")?;
        let labels = targets.try_where_self(&inside, blank as i64)?;
        let blanks = labels.try_full_like(blank as i64)?;
        let last = full_of(&[n, one], Scalar::I64(blank as i64))?;
        // Blank and label in turn.
        let pairs = concat(&[&blanks.try_unsqueeze(2)?, &labels.try_unsqueeze(2)?], 2)?.try_flatten(1, 2)?;
        let classes = concat(&[&pairs, &last], 1)?;
        let l = classes.sizes()[1];
        // Of the second place this says too much, but two before it there is nothing.
        let two_before = narrow(&concat(&[&last, &last, &classes], 1)?, 1, Size::from(0), l)?;
        let skips = classes.try_ne(&two_before)?;
        let is_end = iota(l)?.try_eq(&target_lengths.try_mul(2)?.try_unsqueeze(1)?)?;
        let nothing = full_of(&[n, l], Scalar::from_f64(f64::NEG_INFINITY, x.dtype()))?;
        let ends = nothing.try_zeros_like()?.try_where_self(&is_end, &nothing)?;
        let active = iota(t)?.try_unsqueeze(1)?.try_lt(&steps)?.try_unsqueeze(2)?;
        Ok(Paths { target_lengths, classes, skips, ends, active })
    }

    /// Log probabilities of no place, for so many places of each sample.
    fn nowhere(&self, places: usize) -> Result<Tensor> {
        let n = self.classes.sizes()[0];
        full_of(&[n, Size::from(places)], Scalar::from_f64(f64::NEG_INFINITY, self.ends.dtype()))
    }

    /// `[t, n, l]`: where in the classes of each step its places are.
    fn index(&self, x: &Tensor) -> Result<Tensor> {
        let [n, l] = [self.classes.sizes()[0], self.classes.sizes()[1]];
        self.classes.try_unsqueeze(0)?.expand_sizes(&[x.sizes()[0], n, l])
    }
}

/// Lengths as i64 `[n]`; those that are numbers are known not to be beyond `most`.
fn as_tensor(what: &str, lengths: Lengths<'_>, n: Size, most: Size) -> Result<Tensor> {
    match lengths {
        Lengths::List(list) if demand_equal(n, Size::from(list.len())) => {
            if let Some(long) = list.iter().max().filter(|&&k| !at_most(Size::from(k), most)) {
                return Err(misfit(format!("{what} must be at most {most}, got {long}")));
            }
            // Numbers of the program, as constants.
            let numbers: Vec<Tensor> =
                list.iter().map(|&k| full_of(&[Size::from(1)], Scalar::I64(k as i64))).collect::<Result<_>>()?;
            concat(&numbers.iter().collect::<Vec<_>>(), 0)
        }
        Lengths::List(list) => Err(misfit(format!("{what} must be one for each of {n} samples, got {}", list.len()))),
        Lengths::Tensor(t) => {
            let fits = match t.dim() {
                0 => demand_equal(n, Size::from(1)),
                1 => demand_equal(n, t.sizes()[0]),
                _ => false,
            };
            if !fits || t.dtype().is_float() || t.dtype() == DType::Bool {
                return Err(misfit(format!("{what} must be [{n}] integers, got {}{:?}", t.dtype(), t.shape_hint())));
            }
            t.try_to(DType::I64)?.reshape_sizes(&[n])
        }
    }
}

/// Targets `[n, s]` as they are, and their lengths.
fn padded(targets: Tensor, lengths: Tensor, n: Size) -> Result<(Tensor, Tensor)> {
    if !demand_equal(n, targets.sizes()[0]) {
        return Err(misfit(format!(
            "targets must be [{n}, s], one row for each sample, got {:?}",
            targets.shape_hint()
        )));
    }
    let s = size_tensor(targets.sizes()[1], DType::I64)?;
    let fits = all_true(&lengths.try_ge(0)?.try_logical_and(&lengths.try_le(&s)?)?)?;
    let lengths = checked(&lengths, &fits, "ctc_loss: a target length is negative or beyond the targets")?;
    Ok((targets, lengths))
}

/// Targets one after the other as rows `[n, s]`; how long the longest is, is not known before the run, so s is what there
/// is in all.
fn separated(targets: &Tensor, lengths: Tensor, n: Size) -> Result<(Tensor, Tensor)> {
    let s = targets.sizes()[0];
    let total = size_tensor(s, DType::I64)?;
    let fits = all_true(&lengths.try_ge(0)?)?.try_logical_and(&lengths.try_sum()?.try_eq(&total)?)?;
    let lengths = checked(&lengths, &fits, "ctc_loss: target lengths are negative or do not add up to the targets")?;
    let begins = lengths.try_cumsum(0)?.try_sub(&lengths)?;
    let places = begins.try_unsqueeze(1)?.try_add(&iota(s)?)?;
    let places = places.try_minimum(&total.try_sub(1)?)?;
    let rows =
        take(targets, 0, &places.reshape_sizes(&[crate::mode::sizes::numel(&[n, s])])?)?.reshape_sizes(&[n, s])?;
    Ok((rows, lengths))
}

/// log(e^a + e^b + ..), where the logarithm of 0 is an operand too.
fn log_sum(terms: &[&Tensor]) -> Tensor {
    let most = terms[1..].iter().fold(terms[0].clone(), |most, term| most.maximum(*term));
    // Nothing is far from nothing: without this it would be NaN.
    let most = most.zeros_like().where_self(&most.eq(f64::NEG_INFINITY), &most);
    let powers: Vec<Tensor> = terms.iter().map(|term| (*term - &most).exp()).collect();
    let sum = powers[1..].iter().fold(powers[0].clone(), |sum, power| sum + power);
    sum.log() + most
}

/// The negative log likelihood of each sample, `[n]`, as one node.
fn losses(x: &Tensor, paths: &Paths, zero_infinity: bool) -> Result<Tensor> {
    let alphas = RefCell::new(None);
    let compute = || {
        let (losses, all) = forward(x, paths)?;
        alphas.replace(Some(all));
        Ok(losses)
    };
    composite("CtcLossBackward0", &[Operand::Tensor(x)], compute, |losses| {
        let alphas = alphas.take().expect("the losses are computed");
        let kept = [x, &alphas, &paths.target_lengths, &paths.classes, &paths.skips, &paths.ends, &paths.active]
            .map(Saved::operand);
        let losses = Saved::output(losses, 0);
        move |c: &Context<'_>, g: &Tensor| {
            let all = kept.iter().map(|k| k.get(c.me)).collect::<Result<Vec<Tensor>>>()?;
            let [x, alphas, target_lengths, classes, skips, ends, active] =
                <[Tensor; 7]>::try_from(all).expect("seven are kept");
            let losses = losses.get(c.me)?.detach();
            let paths = Paths { target_lengths, classes, skips, ends, active };
            let _entered = device::enter(x.device());
            let compute = || gradient(&x, &losses, &alphas, &paths, zero_infinity)?.try_mul(&g.try_unsqueeze(1)?);
            // PyTorch's node has this name where there is no derivative.
            grads1(composite("NotImplemented", &[Operand::Tensor(&x), Operand::Tensor(g)], compute, |_| {
                |_: &Context<'_>, _: &Tensor| Err(Error::autograd("the gradient of ctc_loss has no derivative itself"))
            })?)
        }
    })
}

/// The losses, and for each step and place the log probability of all paths that end there, `[t, n, l]`.
fn forward(x: &Tensor, paths: &Paths) -> Result<(Tensor, Tensor)> {
    let l = paths.classes.sizes()[1];
    let emitted = gather(x, &paths.index(x)?, 2)?;
    let (one, two) = (paths.nowhere(1)?, paths.nowhere(2)?);
    // Before the first step all paths are at the first place, from which they may stay or go on.
    let start = narrow(
        &concat(&[&one.try_zeros_like()?, &paths.ends.try_full_like(f64::NEG_INFINITY)?], 1)?,
        1,
        Size::from(0),
        l,
    )?;
    let nothing = paths.ends.try_full_like(f64::NEG_INFINITY)?;
    let (last, alphas) =
        try_scan(start, (emitted, paths.active.clone()), |before: Tensor, (emitted, active): (Tensor, Tensor)| {
            let wider = must_all(concat(&[&two, &before], 1));
            let from = |places: usize| must_all(narrow(&wider, 1, Size::from(2 - places), l));
            let skipped = from(2).where_self(&paths.skips, &nothing);
            let alpha = log_sum(&[&before, &from(1), &skipped]) + emitted;
            (alpha.where_self(&active, &before), alpha)
        })?;
    // A path ends on the last blank or the last label.
    let ends = paths.target_lengths.try_mul(2)?.try_unsqueeze(1)?;
    let on_blank = gather(&last, &ends, 1)?;
    let on_label = gather(&last, &ends.try_sub(1)?.try_clamp_min(0)?, 1)?;
    let on_label = on_label.try_where_self(&ends.try_gt(0)?, f64::NEG_INFINITY)?;
    let likelihood = log_sum(&[&on_blank, &on_label]).try_squeeze(1)?;
    Ok((likelihood.try_neg()?, alphas))
}

/// The derivative of each sample's loss, `[t, n, c]`.
fn gradient(x: &Tensor, losses: &Tensor, alphas: &Tensor, paths: &Paths, zero_infinity: bool) -> Result<Tensor> {
    let l = paths.classes.sizes()[1];
    let index = paths.index(x)?;
    let emitted = gather(x, &index, 2)?;
    let two = paths.nowhere(2)?;
    let nothing = paths.ends.try_full_like(f64::NEG_INFINITY)?;
    // The log probability of all paths that begin at a place and end as they should.
    let xs = (emitted.clone(), paths.active.clone());
    let (_, betas) = try_scan_reverse(paths.ends.clone(), xs, |after: Tensor, (emitted, active): (Tensor, Tensor)| {
        let next = |after: &Tensor, places: usize| {
            let wider = must_all(concat(&[after, &two], 1));
            must_all(narrow(&wider, 1, Size::from(places), l))
        };
        let skipped = next(&after.where_self(&paths.skips, &nothing), 2);
        let beta = log_sum(&[&after, &next(&after, 1), &skipped]) + emitted;
        (beta.where_self(&active, &paths.ends), beta)
    })?;
    let losses = losses.try_unsqueeze(1)?;
    // The probability that the step is at the place, given the target: what is emitted there is in both.
    let places = alphas.try_add(&betas)?.try_add(&losses)?.try_sub(&emitted)?.try_exp()?;
    // As in PyTorch there is no gradient where nothing is likely.
    let infinite = losses.try_eq(f64::INFINITY)?;
    let undefined = x.try_eq(f64::NEG_INFINITY)?.try_logical_or(&infinite)?;
    let base = x.try_full_like(f64::NAN)?.try_where_self(&undefined, &x.try_zeros_like()?)?;
    let classes = base.try_scatter_add(2, &index, &places)?;
    let gradient = x.try_exp()?.try_sub(&classes)?;
    let counts = match zero_infinity {
        true => paths.active.try_logical_and(&infinite.try_logical_not()?)?,
        false => paths.active.clone(),
    };
    gradient.try_where_self(&counts, 0.0)
}

/// What cannot fail, since all sizes were checked before the loop.
fn must_all(x: Result<Tensor>) -> Tensor {
    crate::error::must(x)
}
