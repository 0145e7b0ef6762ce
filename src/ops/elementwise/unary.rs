//! Functions of one operand that a primitive computes, each with its derivative beside it, as a function of the
//! operand, or of the result where that is cheaper.

use super::super::twins;
use super::{as_float, floating, in_full, numeric};
use crate::autograd::record::{composite, differentiable};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::Result;
use crate::ops::grads1;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{BinaryOp, DType, Op, Scalar, UnaryOp};
use smallvec::smallvec;
use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10, PI};

/// `op` of a float, or of an integer as f32; `derivative` gives the gradient of the operand, from that of the result and the operand.
fn by_operand(
    x: &Tensor,
    op: UnaryOp,
    name: &'static str,
    derivative: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let x = as_float(x)?;
    differentiable(&Op::Unary(op), name, &[Operand::Tensor(&x)], |_| {
        let saved = Saved::operand(&x);
        move |c: &_, g: &Tensor| grads1(derivative(g, &saved.get(c.me)?)?)
    })
}

/// As [`by_operand`], where `derivative` gets the result instead of the operand.
fn by_result(
    x: &Tensor,
    op: UnaryOp,
    name: &'static str,
    derivative: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let x = as_float(x)?;
    differentiable(&Op::Unary(op), name, &[Operand::Tensor(&x)], |y| {
        let saved = Saved::output(y, 0);
        move |c: &_, g: &Tensor| grads1(derivative(g, &saved.get(c.me)?)?)
    })
}

/// x times a number, which no node keeps.
fn scaled(x: &Tensor, name: &'static str, by: f64) -> Result<Tensor> {
    composite(name, &[Operand::Tensor(x)], || x.try_mul(by), |_| move |_: &_, g: &Tensor| grads1(g.try_mul(by)?))
}

/// 1 - x².
fn one_minus_square(x: &Tensor) -> Result<Tensor> {
    super::try_sub(1.0, &x.try_mul(x)?)
}

twins! {
    /// -x, elementwise.
    fn neg / try_neg(&self) -> Tensor {
        let x = numeric(self, "neg")?;
        differentiable(&Op::Unary(UnaryOp::Neg), "NegBackward0", &[Operand::Tensor(&x)], |_| |_: &_, g: &Tensor| grads1(g.try_neg()?))
    }

    /// x itself; as in PyTorch not defined for bool.
    fn positive / try_positive(&self) -> Tensor {
        numeric(self, "positive")
    }

    /// |x|, elementwise. The derivative at 0 is 0.
    fn abs / try_abs(&self) -> Tensor {
        let x = numeric(self, "abs")?;
        differentiable(&Op::Unary(UnaryOp::Abs), "AbsBackward0", &[Operand::Tensor(&x)], |_| {
            let saved = Saved::operand(&x);
            move |c: &_, g: &Tensor| grads1(g.try_mul(&saved.get(c.me)?.try_sign()?)?)
        })
    }

    /// Square root, elementwise; NaN below 0.
    fn sqrt / try_sqrt(&self) -> Tensor {
        by_result(self, UnaryOp::Sqrt, "SqrtBackward0", |g, y| g.try_div(&y.try_mul(2.0)?))
    }

    /// 1 / √x, elementwise.
    fn rsqrt / try_rsqrt(&self) -> Tensor {
        in_full(&as_float(self)?, |x| {
            composite("RsqrtBackward0", &[Operand::Tensor(x)], || x.try_sqrt()?.try_reciprocal(), |y| {
                let saved = Saved::output(y, 0);
                move |c: &Context<'_>, g: &Tensor| {
                    let y = saved.get(c.me)?;
                    grads1(g.try_mul(-0.5)?.try_mul(&y.try_mul(&y)?.try_mul(&y)?)?)
                }
            })
        })
    }

    /// 1 / x, elementwise.
    fn reciprocal / try_reciprocal(&self) -> Tensor {
        let x = as_float(self)?;
        let one = Scalar::from_f64(1.0, if x.dtype().is_half() { DType::F32 } else { x.dtype() });
        let operands = [Operand::Scalar(one), Operand::Tensor(&x)];
        differentiable(&Op::Binary(BinaryOp::Div), "ReciprocalBackward0", &operands, |y| {
            let saved = Saved::output(y, 0);
            move |c: &Context<'_>, g: &Tensor| {
                let y = saved.get(c.me)?;
                Ok(smallvec![None, Some(g.try_neg()?.try_mul(&y.try_mul(&y)?)?)])
            }
        })
    }

    /// e^x, elementwise.
    fn exp / try_exp(&self) -> Tensor {
        by_result(self, UnaryOp::Exp, "ExpBackward0", |g, y| g.try_mul(y))
    }

    /// 2^x, elementwise.
    fn exp2 / try_exp2(&self) -> Tensor {
        by_result(self, UnaryOp::Exp2, "Exp2Backward0", |g, y| g.try_mul(y)?.try_mul(LN_2))
    }

    /// e^x - 1, elementwise, with all digits near 0.
    fn expm1 / try_expm1(&self) -> Tensor {
        by_result(self, UnaryOp::Expm1, "Expm1Backward0", |g, y| g.try_mul(&y.try_add(1.0)?))
    }

    /// Natural logarithm, elementwise; NaN below 0.
    fn log / try_log(&self) -> Tensor {
        by_operand(self, UnaryOp::Log, "LogBackward0", |g, x| g.try_div(x))
    }

    /// Logarithm to base 2, elementwise.
    fn log2 / try_log2(&self) -> Tensor {
        by_operand(self, UnaryOp::Log2, "Log2Backward0", |g, x| g.try_div(&x.try_mul(LN_2)?))
    }

    /// Logarithm to base 10, elementwise.
    fn log10 / try_log10(&self) -> Tensor {
        by_operand(self, UnaryOp::Log10, "Log10Backward0", |g, x| g.try_div(&x.try_mul(LN_10)?))
    }

    /// log(1 + x), elementwise, with all digits near 0.
    fn log1p / try_log1p(&self) -> Tensor {
        by_operand(self, UnaryOp::Log1p, "Log1PBackward0", |g, x| g.try_div(&x.try_add(1.0)?))
    }

    /// Sine of radians, elementwise.
    fn sin / try_sin(&self) -> Tensor {
        by_operand(self, UnaryOp::Sin, "SinBackward0", |g, x| g.try_mul(&x.try_cos()?))
    }

    /// Cosine of radians, elementwise.
    fn cos / try_cos(&self) -> Tensor {
        by_operand(self, UnaryOp::Cos, "CosBackward0", |g, x| g.try_mul(&x.try_sin()?.try_neg()?))
    }

    /// Tangent of radians, elementwise.
    fn tan / try_tan(&self) -> Tensor {
        by_result(self, UnaryOp::Tan, "TanBackward0", |g, y| g.try_mul(&y.try_mul(y)?.try_add(1.0)?))
    }

    /// Arc sine in radians, elementwise; NaN outside [-1, 1].
    fn asin / try_asin(&self) -> Tensor {
        by_operand(self, UnaryOp::Asin, "AsinBackward0", |g, x| g.try_mul(&one_minus_square(x)?.try_rsqrt()?))
    }

    /// Arc cosine in radians, elementwise; NaN outside [-1, 1].
    fn acos / try_acos(&self) -> Tensor {
        by_operand(self, UnaryOp::Acos, "AcosBackward0", |g, x| g.try_neg()?.try_mul(&one_minus_square(x)?.try_rsqrt()?))
    }

    /// Arc tangent in radians, elementwise.
    fn atan / try_atan(&self) -> Tensor {
        by_operand(self, UnaryOp::Atan, "AtanBackward0", |g, x| g.try_div(&x.try_mul(x)?.try_add(1.0)?))
    }

    /// Hyperbolic sine, elementwise.
    fn sinh / try_sinh(&self) -> Tensor {
        by_operand(self, UnaryOp::Sinh, "SinhBackward0", |g, x| g.try_mul(&x.try_cosh()?))
    }

    /// Hyperbolic cosine, elementwise.
    fn cosh / try_cosh(&self) -> Tensor {
        by_operand(self, UnaryOp::Cosh, "CoshBackward0", |g, x| g.try_mul(&x.try_sinh()?))
    }

    /// Hyperbolic tangent, elementwise. Gradient: (1 - tanh(x)²) times the gradient of the result.
    fn tanh / try_tanh(&self) -> Tensor {
        by_result(self, UnaryOp::Tanh, "TanhBackward0", |g, y| g.try_mul(&one_minus_square(y)?))
    }

    /// Inverse hyperbolic sine, elementwise.
    fn asinh / try_asinh(&self) -> Tensor {
        by_operand(self, UnaryOp::Asinh, "AsinhBackward0", |g, x| g.try_mul(&x.try_mul(x)?.try_add(1.0)?.try_rsqrt()?))
    }

    /// Inverse hyperbolic cosine, elementwise; NaN below 1.
    fn acosh / try_acosh(&self) -> Tensor {
        by_operand(self, UnaryOp::Acosh, "AcoshBackward0", |g, x| g.try_mul(&x.try_mul(x)?.try_sub(1.0)?.try_rsqrt()?))
    }

    /// Inverse hyperbolic tangent, elementwise; NaN outside [-1, 1].
    fn atanh / try_atanh(&self) -> Tensor {
        by_operand(self, UnaryOp::Atanh, "AtanhBackward0", |g, x| g.try_div(&one_minus_square(x)?))
    }

    /// The error function 2/√π ∫₀ˣ e^-t² dt, elementwise.
    fn erf / try_erf(&self) -> Tensor {
        by_operand(self, UnaryOp::Erf, "ErfBackward0", |g, x| {
            x.try_mul(x)?.try_neg()?.try_exp()?.try_mul(FRAC_2_SQRT_PI)?.try_mul(g)
        })
    }

    /// 1 - erf(x), elementwise, with all digits where it is small.
    fn erfc / try_erfc(&self) -> Tensor {
        by_operand(self, UnaryOp::Erfc, "ErfcBackward0", |g, x| {
            x.try_mul(x)?.try_neg()?.try_exp()?.try_mul(-FRAC_2_SQRT_PI)?.try_mul(g)
        })
    }

    /// x², elementwise; bools are squared as integers.
    fn square / try_square(&self) -> Tensor {
        self.try_pow(2)
    }

    /// Degrees as radians, elementwise.
    fn deg2rad / try_deg2rad(&self) -> Tensor {
        scaled(&as_float(self)?, "Deg2RadBackward0", PI / 180.0)
    }

    /// Radians as degrees, elementwise.
    fn rad2deg / try_rad2deg(&self) -> Tensor {
        scaled(&as_float(self)?, "Rad2DegBackward0", 180.0 / PI)
    }

    /// The fraction of x, with its sign: x - trunc(x).
    fn frac / try_frac(&self) -> Tensor {
        let x = floating(self, "frac")?;
        composite("FracBackward0", &[Operand::Tensor(&x)], || x.try_sub(&x.try_trunc()?), |_| {
            |_: &_, g: &Tensor| grads1(g.clone())
        })
    }
}
