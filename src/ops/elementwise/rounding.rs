//! Functions of one operand that are flat wherever they have a derivative: to whole numbers, to signs. Their gradient is 0,
//! as PyTorch's, rather than none.

use super::super::arg::{Arg, common, result_dtype};
use super::super::{grads2, twins};
use super::{floating, in_full, numeric, zero_where};
use crate::autograd::record::{composite, differentiable};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::Result;
use crate::mode::layout::{laid_out, row_major};
use crate::ops::{flat_in, grads1};
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{DType, Op, UnaryOp};

/// A rounding: of floats the primitive, of integers a copy.
fn rounded(x: &Tensor, op: UnaryOp, name: &'static str, node: &'static str) -> Result<Tensor> {
    let x = numeric(x, name)?;
    if !x.dtype().is_float() {
        return x.try_mul(1);
    }
    differentiable(&Op::Unary(op), node, &[Operand::Tensor(&x)], |_| flat)
}

/// The derivative of what is flat.
pub(super) fn flat(_: &Context<'_>, g: &Tensor) -> Result<crate::tensor::grad_fn::Grads> {
    grads1(g.try_zeros_like()?)
}

twins! {
    /// The largest whole number that is not above x, elementwise; integers stay.
    fn floor / try_floor(&self) -> Tensor {
        rounded(self, UnaryOp::Floor, "floor", "FloorBackward0")
    }

    /// The smallest whole number that is not below x, elementwise; integers stay.
    fn ceil / try_ceil(&self) -> Tensor {
        rounded(self, UnaryOp::Ceil, "ceil", "CeilBackward0")
    }

    /// The nearest whole number, halves to the even one, elementwise; integers stay.
    fn round / try_round(&self) -> Tensor {
        rounded(self, UnaryOp::Round, "round", "RoundBackward0")
    }

    /// Rounded to so many decimals (negative: to tens, hundreds, …), computed as PyTorch does: scaled, rounded, scaled
    /// back. Floats only.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::from_vec(vec![1.2345f64, 678.9], &[2]).round_decimals(2).to_vec::<f64>(), [1.23, 678.9]);
    /// ```
    fn round_decimals / try_round_decimals(&self, decimals: i32) -> Tensor {
        if self.dtype().is_float() && decimals == 0 {
            let x = self.clone();
            return composite("RoundBackward1", &[Operand::Tensor(&x)], || x.try_round(), |_| flat);
        }
        let x = floating(self, "round")?;
        let scale = 10f64.powi(decimals.abs());
        in_full(&x, |x| {
            let compute = || match decimals > 0 {
                true => x.try_mul(scale)?.try_round()?.try_div(scale),
                false => x.try_div(scale)?.try_round()?.try_mul(scale),
            };
            composite("RoundBackward1", &[Operand::Tensor(x)], compute, |_| flat)
        })
    }

    /// x without its fraction, elementwise; integers stay.
    fn trunc / try_trunc(&self) -> Tensor {
        rounded(self, UnaryOp::Trunc, "trunc", "TruncBackward0")
    }

    /// As [`Tensor::trunc`].
    fn fix / try_fix(&self) -> Tensor {
        self.try_trunc()
    }

    /// 1, 0 or -1 as x is above 0, neither, or below, elementwise; 0 for NaN, bools as they are.
    fn sign / try_sign(&self) -> Tensor {
        if self.dtype() == DType::Bool {
            return self.try_logical_or(false);
        }
        composite("SignBackward0", &[Operand::Tensor(self)], || sign_of(self), |_| flat)
    }

    /// As [`Tensor::sign`]: for real numbers both are one.
    fn sgn / try_sgn(&self) -> Tensor {
        if self.dtype() == DType::Bool {
            return self.try_logical_or(false);
        }
        composite("SgnBackward0", &[Operand::Tensor(self)], || sign_of(self), |y| {
            // PyTorch's derivative is one for complex numbers, too, and keeps what that needs.
            let kept = [Saved::operand(self), Saved::output(y, 0)];
            move |c: &Context<'_>, g: &Tensor| {
                kept.iter().try_for_each(|k| k.get(c.me).map(drop))?;
                flat(c, g)
            }
        })
    }

    /// Whether the sign bit is set, elementwise, so that -0.0 counts as negative. Of a NaN it is false.
    fn signbit / try_signbit(&self) -> Tensor {
        match self.dtype() {
            DType::Bool => self.try_logical_and(false),
            t if t.is_float() => {
                let x = self.detach();
                x.try_lt(0.0)?.try_logical_or(&x.try_reciprocal()?.try_lt(0.0)?)
            }
            _ => self.try_lt(0),
        }
    }

    /// The magnitude of x with the sign of `other`, elementwise; integers as f32.
    fn copysign / try_copysign<'a>(&self, other: impl Into<Arg<'a>>) -> Tensor {
        let other = other.into();
        let dtype = result_dtype(&[Arg::Tensor(self), other]);
        let dtype = if dtype.is_float() { dtype } else { DType::F32 };
        let [x, sign] = common("copysign", [Arg::Tensor(self), other], dtype)?;
        let x = x.tensor().expect("a tensor went in").clone();
        let compute = || {
            let size = x.try_abs()?;
            match sign.arg() {
                Arg::Number(n) if n.to_f64().is_sign_negative() => size.try_neg(),
                Arg::Number(_) => Ok(size),
                Arg::Tensor(s) => size.try_neg()?.try_where_self(&s.try_signbit()?, &size),
            }
        };
        let node = super::by_kind(other, "CopysignBackward1", "CopysignBackward0");
        let operands = [Operand::Tensor(&x), sign.operand()];
        let compute = || laid_out(compute()?, LayoutRule::Elementwise, &operands);
        composite(node, &operands, compute, |y| {
            let x = x.is_requires_grad().then(|| Saved::operand(&x));
            let y = Saved::output(y, 0);
            move |c: &Context<'_>, g: &Tensor| {
                let y = y.get(c.me)?.detach();
                let by_x = || {
                    let x = x.as_ref().expect("kept where it wants its gradient").get(c.me)?;
                    let own = x.detach();
                    flat_in(g.try_mul(&zero_where(&own.try_eq(0.0)?, &y.try_div(&own)?)?)?, &x)
                };
                grads2(c, by_x, || row_major(g.try_zeros_like()?))
            }
        })
    }
}

fn sign_of(x: &Tensor) -> Result<Tensor> {
    let dtype = x.dtype();
    x.try_gt(0)?.try_to(dtype)?.try_sub(&x.try_lt(0)?.try_to(dtype)?)
}
