//! Functions that are composed, but differentiated by hand: where steps would overflow, lose digits, or have no derivative at
//! an odd point.

use super::super::arg::{Arg, Number, PromotedArg, result_dtype};
use super::super::{grads1, grads2, twins, underived};
use super::{all_in_full, as_float, binary, binary_fns, binary_twins, choose, compare, floating, in_full, zero_where};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::Result;
use crate::mode::layout::row_major;
use crate::ops::arg::SavedArg;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{BinaryOp, CompareOp, DType};
use std::f64::consts::{LN_2, PI};

twins! {
    /// 1 / (1 + e^-x), elementwise. Gradient: y (1 - y), which is 0 where y has come to 0 or 1.
    fn sigmoid / try_sigmoid(&self) -> Tensor {
        in_full(&as_float(self)?, |x| {
            let compute = || x.try_neg()?.try_exp()?.try_add(1.0)?.try_reciprocal();
            composite("SigmoidBackward0", &[Operand::Tensor(x)], compute, |y| {
                let y = Saved::output(y, 0);
                move |c: &Context<'_>, g: &Tensor| {
                    let y = y.get(c.me)?;
                    grads1(g.try_mul(&super::try_sub(1.0, &y)?.try_mul(&y)?)?)
                }
            })
        })
    }

    /// log(x / (1 - x)), elementwise, the inverse of `sigmoid`; NaN outside [0, 1].
    fn logit / try_logit(&self) -> Tensor {
        logit(self, None)
    }

    /// As [`Tensor::logit`], of x clamped to [eps, 1 - eps].
    fn logit_eps / try_logit_eps(&self, eps: f64) -> Tensor {
        logit(self, Some(eps))
    }

    /// sin(πx) / (πx), elementwise; 1 at 0.
    fn sinc / try_sinc(&self) -> Tensor {
        in_full(&as_float(self)?, |x| {
            let compute = || {
                let angle = x.try_mul(PI)?;
                choose(&x.try_eq(0.0)?, &x.try_ones_like()?, &angle.try_sin()?.try_div(&angle)?)
            };
            composite("SincBackward0", &[Operand::Tensor(x)], compute, |_| {
                let x = Saved::operand(x);
                move |c: &Context<'_>, g: &Tensor| {
                    let x = x.get(c.me)?;
                    // At 0 the derivative is that of its series, -π²x/3, which can itself be differentiated there.
                    let near = x.try_mul(-PI * PI / 3.0)?;
                    let flat = x.try_mul(&x)?.try_eq(0.0)?;
                    let x = choose(&flat, 1.0, &x)?;
                    let angle = x.try_mul(PI)?;
                    let square = angle.try_mul(&x)?;
                    let derivative = angle.try_mul(&angle.try_cos()?)?.try_sub(&angle.try_sin()?)?.try_div(&square)?;
                    grads1(choose(&flat, &near, &derivative)?.try_mul(g)?)
                }
            })
        })
    }

    /// The length of the vector (a, b), elementwise: √(a² + b²), where no step overflows. Floats only.
    fn hypot / try_hypot<'a>(&self, other: impl Into<Arg<'a>>) -> Tensor {
        let other = other.into();
        let dtype = result_dtype(&[Arg::Tensor(self), other]);
        floating(&Tensor::zeros(&[0], dtype), "hypot")?;
        all_in_full("hypot", [Arg::Tensor(self), other], dtype, |[a, b]| {
            composite("HypotBackward0", &[a.operand(), b.operand()], || length(&a, &b), |y| {
                let keep = |x: &PromotedArg| x.needs_gradient().then(|| SavedArg::of(x));
                let (a, b, y) = (keep(&a), keep(&b), Saved::output(y, 0));
                move |c: &Context<'_>, g: &Tensor| {
                    let y = y.get(c.me)?;
                    let by = |x: &Option<SavedArg>| {
                        let x = x.as_ref().expect("kept where it wants its gradient").get(c.me)?;
                        g.try_mul(&binary("div", BinaryOp::Div, x.arg(), Arg::Tensor(&y))?)
                    };
                    grads2(c, || by(&a), || by(&b))
                }
            })
        })
    }

    /// log(e^a + e^b), elementwise, where no step overflows. Floats only.
    fn logaddexp / try_logaddexp(&self, other: &Tensor) -> Tensor {
        log_sum("logaddexp", self, other, 1.0)
    }

    /// log₂(2^a + 2^b), elementwise, where no step overflows. Floats only.
    fn logaddexp2 / try_logaddexp2(&self, other: &Tensor) -> Tensor {
        log_sum("logaddexp2", self, other, LN_2)
    }
}

fn logit(x: &Tensor, eps: Option<f64>) -> Result<Tensor> {
    in_full(&as_float(x)?, |x| {
        let (low, high) = eps.map_or((0.0, 1.0), |e| (e, 1.0 - e));
        let compute = || {
            // The lower bound wins where the two cross, other than in a clamp.
            let z = match eps {
                Some(_) => choose(&x.try_lt(low)?, low, &choose(&x.try_gt(high)?, high, x)?)?,
                None => x.clone(),
            };
            z.try_div(&super::try_sub(1.0, &z)?)?.try_log()
        };
        composite("LogitBackward0", &[Operand::Tensor(x)], compute, |_| {
            let x = Saved::operand(x);
            move |c: &Context<'_>, g: &Tensor| {
                let x = x.get(c.me)?;
                let derivative = g.try_div(&x.try_mul(&super::try_sub(1.0, &x)?)?)?;
                let outside = x.try_lt(low)?.try_logical_or(&x.try_gt(high)?)?;
                let there = if eps.is_some() { 0.0 } else { f64::NAN };
                grads1(choose(&outside, there, &derivative)?)
            }
        })
    })
}

fn length(a: &PromotedArg, b: &PromotedArg) -> Result<Tensor> {
    let full = |x: &PromotedArg| match x {
        PromotedArg::Tensor(t) => Ok(t.clone()),
        PromotedArg::Number(n) => crate::mode::values::full_of(&[], n.to(DType::F64)),
    };
    let (a, b) = (full(a)?, full(b)?);
    if a.dtype() == DType::F32 || b.dtype() == DType::F32 {
        // No square of an f32 overflows or vanishes in f64, and the sum is exact but for the last of its digits.
        let (a, b) = (a.try_to(DType::F64)?, b.try_to(DType::F64)?);
        let length = a.try_mul(&a)?.try_add(&b.try_mul(&b)?)?.try_sqrt()?;
        let infinite = a.try_isinf()?.try_logical_or(&b.try_isinf()?)?;
        return choose(&infinite, f64::INFINITY, &length)?.try_to(DType::F32);
    }
    let (a, b) = (a.try_abs()?, b.try_abs()?);
    let (high, low) = (a.try_maximum(&b)?, a.try_minimum(&b)?);
    let ratio = low.try_div(&high)?;
    let length = ratio.try_mul(&ratio)?.try_add(1.0)?.try_sqrt()?.try_mul(&high)?;
    let length = zero_where(&high.try_eq(0.0)?, &length)?;
    choose(&a.try_isinf()?.try_logical_or(&b.try_isinf()?)?, f64::INFINITY, &length)
}

/// log(e^ua + e^ub) / u: max + log1p(e^(-u|a - b|)) / u.
fn log_sum(name: &'static str, a: &Tensor, b: &Tensor, unit: f64) -> Result<Tensor> {
    let dtype = result_dtype(&[Arg::Tensor(a), Arg::Tensor(b)]);
    floating(&Tensor::zeros(&[0], dtype), name)?;
    let node = if unit == 1.0 { "LogaddexpBackward0" } else { "Logaddexp2Backward0" };
    if [a, b].iter().any(|x| x.dtype() == DType::Bool) {
        // PyTorch's derivative takes one from the other.
        let sum = log_sum(name, &a.try_to(dtype)?, &b.try_to(dtype)?, unit)?;
        return underived(node, &sum, "a derivative by the difference to bools, which have none");
    }
    let times = move |x: Tensor| if unit == 1.0 { Ok(x) } else { x.try_mul(unit) };
    all_in_full(name, [Arg::Tensor(a), Arg::Tensor(b)], dtype, |[a, b]| {
        let (PromotedArg::Tensor(a), PromotedArg::Tensor(b)) = (a, b) else { unreachable!("tensors went in") };
        let compute = || {
            let more = times(a.try_sub(&b)?.try_abs()?.try_neg()?)?.try_exp()?.try_log1p()?;
            let more = if unit == 1.0 { more } else { more.try_div(unit)? };
            let sum = a.try_maximum(&b)?.try_add(&more)?;
            // The difference of equal infinities is none.
            choose(&a.try_eq(&b)?.try_logical_and(&a.try_isinf()?)?, &a, &sum)
        };
        composite(node, &[Operand::Tensor(&a), Operand::Tensor(&b)], compute, |_| {
            let (a, b) = (Saved::operand(&a), Saved::operand(&b));
            move |c: &Context<'_>, g: &Tensor| {
                let by = |x: &Saved, other: &Saved| {
                    let difference = times(other.get(c.me)?.try_sub(&x.get(c.me)?)?)?;
                    g.try_div(&difference.try_exp()?.try_add(1.0)?)
                };
                grads2(c, || by(&a, &b), || by(&b, &a))
            }
        })
    })
}

binary_twins! {
    /// a log(b), elementwise; 0 where a is 0, unless b is NaN.
    xlogy / try_xlogy = x_log_y(());
}

binary_fns! {
    /// a log(b), elementwise; 0 where a is 0, unless b is NaN.
    xlogy / try_xlogy = x_log_y(());
}

fn x_log_y(name: &'static str, _: (), a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let dtype = result_dtype(&[a, b]);
    let dtype = if dtype.is_float() { dtype } else { DType::F32 };
    let rounded = |x| if let Arg::Number(n) = x { Arg::Number(n.rounded(dtype)) } else { x };
    all_in_full(name, [rounded(a), rounded(b)], dtype, |[a, b]| {
        let compute = || {
            let log = match &b {
                PromotedArg::Tensor(b) => PromotedArg::Tensor(b.try_log()?),
                PromotedArg::Number(n) => PromotedArg::Number(Number::Float(n.to_f64().ln())),
            };
            let product = binary("mul", BinaryOp::Mul, a.arg(), log.arg())?;
            let nothing = compare("eq", CompareOp::Eq, a.arg(), Arg::Number(Number::Float(0.0)))?;
            // Equal to itself: not NaN.
            let nothing = nothing.try_logical_and(&compare("eq", CompareOp::Eq, b.arg(), b.arg())?)?;
            zero_where(&nothing, &product)
        };
        let node = match (&a, &b) {
            (PromotedArg::Number(_), _) => "XlogyBackward1",
            (_, PromotedArg::Number(_)) => "XlogyBackward2",
            _ => "XlogyBackward0",
        };
        composite(node, &[a.operand(), b.operand()], compute, |_| {
            let (a, b) = (SavedArg::of(&a), SavedArg::of(&b));
            move |c: &Context<'_>, g: &Tensor| {
                let (a, b) = (a.get(c.me)?, b.get(c.me)?);
                let by_a = || {
                    let zero = Arg::Number(Number::Float(0.0));
                    let flat = compare("eq", CompareOp::Eq, a.arg(), zero)?;
                    let flat = match &b {
                        PromotedArg::Number(n) if n.to_f64() > 0.0 => flat.try_logical_and(false)?,
                        PromotedArg::Number(_) => flat,
                        PromotedArg::Tensor(b) => flat.try_logical_and(&b.try_le(0.0)?)?,
                    };
                    // Nothing of a gradient that is 0, whatever the logarithm.
                    row_major(zero_where(&flat, &try_xlogy(g, b.arg())?)?)
                };
                grads2(c, by_a, || g.try_mul(a.arg())?.try_div(b.arg()))
            }
        })
    })
}
