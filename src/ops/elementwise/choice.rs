//! Choosing between elements: by a condition, by bounds.

use super::super::arg::{Arg, Number, PromotedArg, broadcast, common, result_dtype};
use super::super::number::Side;
use super::super::{grads1, twin_fns, twins};
use super::{binary, compare};
use crate::autograd::record::{composite, differentiable};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::laid_out;
use crate::ops::arg::SavedArg;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{BinaryOp, CompareOp, DType, Op};
use smallvec::smallvec;

twin_fns! {
    /// `a` where `condition` (bool) is true, else `b`; PyTorch's `where`. Tensors or numbers, broadcast together, of the
    /// dtype that both are promoted to.
    ///
    /// ```
    /// use allotrope::{ops::where_, prelude::*};
    /// let x = Tensor::from_vec(vec![-1.0f32, 2.0], &[2]);
    /// assert_eq!(where_(&x.gt(0.0), &x, 0.0).to_vec::<f32>(), [0.0, 2.0]);
    /// ```
    fn where_ / try_where_<'a>(condition: &Tensor, a: impl Into<Arg<'a>>, b: impl Into<Arg<'a>>) -> Tensor {
        let (a, b) = (a.into(), b.into());
        select(condition, a, b, result_dtype(&[a, b]))
    }
}

twins! {
    /// `self` where `condition` (bool, same shape after broadcasting) is true, else `other`.
    fn where_self / try_where_self<'a>(&self, condition: &Tensor, other: impl Into<Arg<'a>>) -> Tensor {
        let other = other.into();
        select(condition, Arg::Tensor(self), other, result_dtype(&[Arg::Tensor(self), other]))
    }

    /// The elements within bounds, which are tensors or numbers: x below `min` becomes `min`, above `max` becomes `max`;
    /// where `min > max` all become `max`. NaN stays, and a bound that is NaN gives NaN. Gradients at the bounds are as
    /// PyTorch's: none beside numbers, and shared with a bound that is a tensor.
    fn clamp / try_clamp<'a>(&self, min: impl Into<Arg<'a>>, max: impl Into<Arg<'a>>) -> Tensor {
        clamp("clamp", self, Some(min.into()), Some(max.into()))
    }

    /// As [`Tensor::clamp`], with either bound or both.
    fn clamp_with / try_clamp_with<'a>(&self, min: Option<Arg<'a>>, max: Option<Arg<'a>>) -> Tensor {
        match (min, max) {
            (None, None) => Err(Error::operands("clamp", "at least one of the bounds must be given")),
            _ => clamp("clamp", self, min, max),
        }
    }

    /// As [`Tensor::clamp`], with a lower bound only.
    fn clamp_min / try_clamp_min<'a>(&self, min: impl Into<Arg<'a>>) -> Tensor {
        clamp("clamp_min", self, Some(min.into()), None)
    }

    /// As [`Tensor::clamp`], with an upper bound only.
    fn clamp_max / try_clamp_max<'a>(&self, max: impl Into<Arg<'a>>) -> Tensor {
        clamp("clamp_max", self, None, Some(max.into()))
    }

    /// Numbers in place of NaN (0 unless given) and of the infinities (unless given, the largest and the smallest
    /// finite number); integers stay.
    fn nan_to_num / try_nan_to_num(&self, nan: Option<f64>, posinf: Option<f64>, neginf: Option<f64>) -> Tensor {
        let largest = match self.dtype() {
            DType::F16 => 65504.0,
            DType::BF16 => half::bf16::MAX.to_f64(),
            DType::F32 => f32::MAX as f64,
            DType::F64 => f64::MAX,
            DType::Bool => return self.try_logical_or(false),
            DType::U8 | DType::I32 | DType::I64 => return self.try_mul(1),
        };
        let number = |x: Option<f64>, or: f64| Number::Float(x.unwrap_or(or)).rounded(self.dtype());
        let compute = || {
            let x = choose(&self.try_isnan()?, number(nan, 0.0), self)?;
            let x = choose(&self.try_isposinf()?, number(posinf, largest), &x)?;
            choose(&self.try_isneginf()?, number(neginf, -largest), &x)
        };
        composite("NanToNumBackward0", &[Operand::Tensor(self)], compute, |_| {
            let x = Saved::operand(self);
            move |c: &Context<'_>, g: &Tensor| {
                let x = x.get(c.me)?;
                let gradient = g.try_where_self(&x.try_isfinite()?, 0.0)?;
                grads1(laid_out(gradient, LayoutRule::Elementwise, &[Operand::Tensor(g), Operand::Tensor(&x)])?)
            }
        })
    }
}

/// `a` where the condition holds, else `b`, with the dtype of `b`.
pub(crate) fn choose<'a>(condition: &Tensor, a: impl Into<Arg<'a>>, b: &Tensor) -> Result<Tensor> {
    select(condition, a.into(), Arg::Tensor(b), b.dtype())
}

/// 0 where the condition holds, else the tensor.
pub(crate) fn zero_where(condition: &Tensor, x: &Tensor) -> Result<Tensor> {
    choose(condition, 0.0, x)
}

/// `a` where the condition is true, else `b`, as `dtype`.
pub(crate) fn select(condition: &Tensor, a: Arg<'_>, b: Arg<'_>, dtype: DType) -> Result<Tensor> {
    select_as("WhereBackward0", condition, a, b, dtype)
}

/// As [`select`], by a node of this name.
pub(crate) fn select_as(
    node: &'static str,
    condition: &Tensor,
    a: Arg<'_>,
    b: Arg<'_>,
    dtype: DType,
) -> Result<Tensor> {
    let condition = match condition.dtype() {
        DType::Bool => condition.clone(),
        DType::U8 => condition.try_to(DType::Bool)?,
        other => return Err(Error::operands("where", format!("the condition must be bool, got {other}"))),
    };
    let cast = |x: Arg<'_>| match x {
        Arg::Tensor(t) => Ok::<_, Error>(PromotedArg::Tensor(t.try_to(dtype)?)),
        Arg::Number(n) => Ok(PromotedArg::Number(n)),
    };
    let [condition, a, b] = broadcast("where", [PromotedArg::Tensor(condition), cast(a)?, cast(b)?])?;
    let condition = condition.tensor().expect("the condition is a tensor").clone();
    let operands = [Operand::Tensor(&condition), fitted(&a, dtype)?, fitted(&b, dtype)?];
    differentiable(&Op::Select, node, &operands, |_| {
        let saved = Saved::operand(&condition);
        move |c: &_, g: &Tensor| {
            let condition = saved.get(c.me)?;
            let zero = Arg::Number(Number::Float(0.0));
            let part = |i: usize| -> Result<Option<Tensor>> {
                if !Context::wants(c, i) {
                    return Ok(None);
                }
                let (a, b) = if i == 1 { (Arg::Tensor(g), zero) } else { (zero, Arg::Tensor(g)) };
                select(&condition, a, b, g.dtype()).map(Some)
            };
            Ok(smallvec![None, part(1)?, part(2)?])
        }
    })
}

/// An operand of a choice: a number must fit into the dtype, unless that is a half-precision float.
fn fitted(x: &PromotedArg, dtype: DType) -> Result<Operand<'_>> {
    Ok(match x {
        PromotedArg::Tensor(t) => Operand::Tensor(t),
        PromotedArg::Number(n) if dtype.is_half() => Operand::Scalar(n.to(dtype)),
        PromotedArg::Number(n) => Operand::Scalar(n.fitted("where", dtype)?),
    })
}

fn clamp<'a>(name: &'static str, x: &Tensor, low: Option<Arg<'a>>, high: Option<Arg<'a>>) -> Result<Tensor> {
    let bounds = [low, high].into_iter().flatten();
    let args: smallvec::SmallVec<[Arg<'_>; 3]> = std::iter::once(Arg::Tensor(x)).chain(bounds).collect();
    let dtype = result_dtype(&args);
    if dtype == DType::Bool {
        // PyTorch bounds bools on one side only, where that is or, or and.
        return match (low, high) {
            (Some(low @ Arg::Tensor(_)), None) => binary(name, BinaryOp::Maximum, Arg::Tensor(x), low),
            (None, Some(high @ Arg::Tensor(_))) => binary(name, BinaryOp::Minimum, Arg::Tensor(x), high),
            _ => Err(Error::operands(name, "not defined for bool; use to(DType::I64) first")),
        };
    }
    // A number in place of a bound that is not there: it needs no gradient.
    let (has_low, has_high) = (low.is_some(), high.is_some());
    let fitted = |bound: Option<Arg<'a>>, side| match bound {
        Some(Arg::Number(n)) => Ok::<_, Error>(Some(Arg::Number(n.bound(name, dtype, side)?))),
        bound => Ok(bound),
    };
    let (low, high) = (fitted(low, Side::Lower)?, fitted(high, Side::Upper)?);
    let nothing = Arg::Number(Number::Bool(false));
    let [x, low, high] = common(name, [Arg::Tensor(x), low.unwrap_or(nothing), high.unwrap_or(nothing)], dtype)?;
    let (low, high) = (has_low.then_some(low), has_high.then_some(high));
    let PromotedArg::Tensor(x) = x else { unreachable!("a tensor went in") };
    let compute = || {
        let x = match &low {
            Some(low) => binary(name, BinaryOp::Maximum, Arg::Tensor(&x), low.arg())?,
            None => x.clone(),
        };
        match &high {
            Some(high) => binary(name, BinaryOp::Minimum, Arg::Tensor(&x), high.arg()),
            None => Ok(x),
        }
    };
    let none = PromotedArg::Number(Number::Bool(false));
    let operand = |k: &Option<PromotedArg>| SavedArg::of(k.as_ref().unwrap_or(&none));
    let operands =
        [Operand::Tensor(&x), low.as_ref().unwrap_or(&none).operand(), high.as_ref().unwrap_or(&none).operand()];
    let compute = || laid_out(compute()?, LayoutRule::Elementwise, &operands);
    let is_number = |k: &Option<PromotedArg>| !matches!(k, Some(PromotedArg::Tensor(_)));
    let node = match (name, is_number(&low) && is_number(&high)) {
        ("clamp_min", true) => "ClampMinBackward0",
        ("clamp_min", false) => "ClampMinBackward1",
        ("clamp_max", true) => "ClampMaxBackward0",
        ("clamp_max", false) => "ClampMaxBackward1",
        (_, true) => "ClampBackward1",
        (_, false) => "ClampBackward0",
    };
    composite(node, &operands, compute, |_| {
        let (low, high, x) = (has_low.then(|| operand(&low)), has_high.then(|| operand(&high)), Saved::operand(&x));
        move |c: &Context<'_>, g: &Tensor| {
            let get = |k: &Option<SavedArg>| k.as_ref().map(|k| k.get(c.me)).transpose();
            Bounds { x: x.get(c.me)?, low: get(&low)?, high: get(&high)? }.gradients(c, g)
        }
    })
}

/// What a clamp was given, for its derivative.
struct Bounds {
    x: Tensor,
    low: Option<PromotedArg>,
    high: Option<PromotedArg>,
}

impl Bounds {
    /// A gradient as the clamped tensor lies, and the bounds.
    fn laid_out(&self, gradient: Tensor) -> Result<Tensor> {
        let bounds = [&self.low, &self.high].into_iter().flatten().map(PromotedArg::operand);
        let operands: smallvec::SmallVec<[Operand<'_>; 3]> =
            std::iter::once(Operand::Tensor(&self.x)).chain(bounds).collect();
        laid_out(gradient, LayoutRule::Elementwise, &operands)
    }

    fn gradients(&self, c: &Context<'_>, g: &Tensor) -> Result<crate::tensor::grad_fn::Grads> {
        let x = Arg::Tensor(&self.x);
        let is = |op: CompareOp, a: Arg<'_>, b: Arg<'_>| compare(op.name(), op, a, b);
        let is_number = |k: &Option<PromotedArg>| !matches!(k, Some(PromotedArg::Tensor(_)));
        if is_number(&self.low) && is_number(&self.high) {
            // Only what lies between passes; at a number that bounds it, nothing does.
            let above = self.low.as_ref().map(|low| is(CompareOp::Gt, x, low.arg())).transpose()?;
            let below = self.high.as_ref().map(|high| is(CompareOp::Lt, x, high.arg())).transpose()?;
            let between = match (above, below) {
                (Some(a), Some(b)) => a.try_logical_and(&b)?,
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => unreachable!("a clamp has a bound"),
            };
            return grads1(choose(&between, g, &g.try_zeros_like()?)?);
        }
        let half = g.try_mul(0.5)?;
        let (Some(low), Some(high)) = (&self.low, &self.high) else {
            // A maximum or a minimum: equal operands get half each, and beside a NaN both get all.
            let (bound, i, op) = match (&self.low, &self.high) {
                (Some(low), None) => (low.arg(), 1, CompareOp::Lt),
                (_, high) => (high.as_ref().expect("a clamp has a bound").arg(), 2, CompareOp::Gt),
            };
            let shared = choose(&is(CompareOp::Eq, x, bound)?, &half, g)?;
            let mut grads = smallvec![None, None, None];
            if c.wants(0) {
                grads[0] = Some(self.laid_out(zero_where(&is(op, x, bound)?, &shared)?)?);
            }
            if c.wants(i) {
                grads[i] = Some(self.laid_out(zero_where(&is(op, bound, x)?, &shared)?)?);
            }
            return Ok(grads);
        };
        let (low, high) = (low.arg(), high.arg());
        let (ordered, crossed) = (is(CompareOp::Lt, low, high)?, is(CompareOp::Gt, low, high)?);
        let (at_low, at_high) = (is(CompareOp::Eq, x, low)?, is(CompareOp::Eq, x, high)?);
        let (under, over) = (is(CompareOp::Lt, x, low)?, is(CompareOp::Gt, x, high)?);
        let mut grads = smallvec![None, None, None];
        if c.wants(0) {
            let at = at_low.try_logical_or(&at_high)?.try_logical_and(&ordered)?;
            let outside = under.try_logical_or(&over)?.try_logical_or(&crossed)?;
            grads[0] = Some(self.laid_out(zero_where(&outside, &choose(&at, &half, g)?)?)?);
        }
        // A bound gets all where it is the result, and half where x is the same; the upper one wins where they cross.
        let of_bound = |all: &Tensor, at: &Tensor| {
            let part = zero_where(&at.try_logical_and(&ordered)?.try_logical_not()?, &half)?;
            self.laid_out(choose(all, g, &part)?)
        };
        if c.wants(1) {
            let all = under.try_logical_and(&is(CompareOp::Le, low, high)?)?;
            grads[1] = Some(of_bound(&all, &at_low)?);
        }
        if c.wants(2) {
            grads[2] = Some(of_bound(
                &over.try_logical_and(&is(CompareOp::Le, low, high)?)?.try_logical_or(&crossed)?,
                &at_high,
            )?);
        }
        Ok(grads)
    }
}
