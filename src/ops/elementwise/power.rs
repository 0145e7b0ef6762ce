//! Powers, with PyTorch's meaning of integer ones and its derivatives at 0.

use super::super::arg::{Arg, Number, PromotedArg, SavedArg, common, result_dtype};
use super::super::{flat_in, grads1, grads2, twins, underived};
use super::{binary, binary_fns, binary_twins, choose, compare, in_full, zero_where};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::row_major;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::{BinaryOp, CompareOp, DType};
use std::f64::consts::LN_2;

binary_twins! {
    /// a to the power b, elementwise. Integers to integer powers are integers, wrapping; a negative exponent gives 0
    /// there (1 and -1 for a base of 1 or -1), and as a number it is an error.
    pow / try_pow = power(());
    /// a to the power b, computed in f64.
    float_power / try_float_power = in_f64(());
}

binary_fns! {
    /// a to the power b, elementwise; see [`Tensor::pow`].
    pow / try_pow = power(());
    /// a to the power b, computed in f64.
    float_power / try_float_power = in_f64(());
}

fn in_f64(name: &'static str, _: (), a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let wide = |x: Arg<'_>| match x {
        Arg::Tensor(t) => Ok(PromotedArg::Tensor(t.try_to(DType::F64)?)),
        Arg::Number(n) => Ok::<_, Error>(PromotedArg::Number(Number::Float(n.to_f64()))),
    };
    let (a, b) = (wide(a)?, wide(b)?);
    power(name, (), a.arg(), b.arg())
}

fn power(name: &'static str, _: (), a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let dtype = result_dtype(&[a, b]);
    match (a, b) {
        (Arg::Tensor(x), Arg::Number(n)) if dtype == DType::Bool => match n.to_f64() == 0.0 {
            true => x.try_logical_or(true),
            false => x.try_logical_or(false),
        },
        (Arg::Tensor(x), Arg::Number(n)) if dtype.is_float() => {
            if dtype.is_half() {
                n.fitted(name, dtype)?;
            }
            float_power_of(&x.try_to(dtype)?, n.to_f64())
        }
        (Arg::Tensor(x), Arg::Number(n)) => {
            if n.to_f64() < 0.0 {
                return Err(Error::operands(
                    name,
                    "integers to negative integer powers are not allowed; use to(DType::F32) first",
                ));
            }
            n.fitted(name, dtype)?;
            let x = x.try_to(dtype)?;
            if n.to_f64() == 2.0 { x.try_mul(&x) } else { binary(name, BinaryOp::Pow, Arg::Tensor(&x), b) }
        }
        (Arg::Number(_), _) => row_major(binary(name, BinaryOp::Pow, a, b)?),
        // PyTorch's derivative takes 1 off the exponent.
        (Arg::Tensor(_), Arg::Tensor(b)) if b.dtype() == DType::Bool && dtype.is_float() => {
            underived("PowBackward1", &binary(name, BinaryOp::Pow, a, b.into())?, "pow: bools have no difference")
        }
        _ => binary(name, BinaryOp::Pow, a, b),
    }
}

/// Powers by a number that products or roots give exactly are computed so, as PyTorch does.
fn float_power_of(x: &Tensor, n: f64) -> Result<Tensor> {
    // A product rounds halves once, as what is computed in f32 does.
    let exact = n == 1.0 || n == 2.0;
    let dtype = x.dtype();
    let power = |x: &Tensor| {
        let compute = || match n {
            0.0 => x.try_ones_like(),
            1.0 => x.try_mul(1.0),
            2.0 => x.try_mul(x),
            0.5 => x.try_sqrt(),
            3.0 => x.try_mul(x)?.try_mul(x),
            -0.5 => x.try_rsqrt(),
            -1.0 => x.try_reciprocal(),
            -2.0 => x.try_mul(x)?.try_reciprocal(),
            _ => binary("pow", BinaryOp::Pow, Arg::Tensor(x), Arg::Number(Number::Float(n).rounded(dtype))),
        };
        composite("PowBackward0", &[Operand::Tensor(x)], compute, |_| {
            let x = Saved::operand(x);
            move |c: &Context<'_>, g: &Tensor| match n {
                0.0 => x.get(c.me).and_then(|_| grads1(g.try_zeros_like()?)),
                1.0 => x.get(c.me).and_then(|x| grads1(flat_in(g.try_mul(1.0)?, &x)?)),
                2.0 => grads1(g.try_mul(&x.get(c.me)?.try_mul(2.0)?)?),
                _ => grads1(g.try_mul(&float_power_of(&x.get(c.me)?, n - 1.0)?.try_mul(n)?)?),
            }
        })
    };
    if exact { power(x) } else { in_full(x, power) }
}

/// The node of a power, by which operands are numbers.
pub(super) fn node(a: Arg<'_>, b: Arg<'_>) -> &'static str {
    match (a, b) {
        (Arg::Number(_), _) => "PowBackward2",
        (_, Arg::Number(_)) => "PowBackward0",
        _ => "PowBackward1",
    }
}

/// Gradient of the base: g b a^(b-1), and 0 for b = 0 also where a is 0.
pub(super) fn by_base(g: &Tensor, a: &PromotedArg, b: &PromotedArg) -> Result<Tensor> {
    let one = Arg::Number(Number::Float(1.0));
    let power = binary("pow", BinaryOp::Pow, a.arg(), Arg::Tensor(&binary("sub", BinaryOp::Sub, b.arg(), one)?))?;
    let derivative = binary("mul", BinaryOp::Mul, b.arg(), Arg::Tensor(&power))?;
    let flat = compare("eq", CompareOp::Eq, b.arg(), Arg::Number(Number::Float(0.0)))?;
    zero_where(&flat, &g.try_mul(&derivative)?)
}

/// Gradient of the exponent: g a^b log(a), and 0 where a is 0 and b is not negative.
pub(super) fn by_exponent(g: &Tensor, a: &PromotedArg, b: &PromotedArg, y: &Tensor) -> Result<Tensor> {
    let zero = Arg::Number(Number::Float(0.0));
    let rising = compare("ge", CompareOp::Ge, b.arg(), zero)?;
    match a {
        PromotedArg::Number(n) => {
            let derivative = y.try_mul(n.to_f64().ln())?;
            g.try_mul(&if n.to_f64() == 0.0 { zero_where(&rising, &derivative)? } else { derivative })
        }
        PromotedArg::Tensor(a) => {
            let flat = rising.try_logical_and(&a.try_eq(0.0)?)?;
            g.try_mul(&choose(&flat, &g.try_zeros_like()?, &y.try_mul(&a.try_log()?)?)?)
        }
    }
}

twins! {
    /// 2 to the power `other`, times x: a float of both dtypes. The exponent of a float is a number, no bool.
    fn ldexp / try_ldexp<'a>(&self, other: impl Into<Arg<'a>>) -> Tensor {
        let other = other.into();
        if self.dtype().is_float() && other.dtype() == DType::Bool {
            return Err(Error::operands("ldexp", "the exponent must be a number, got bool"));
        }
        let dtype = result_dtype(&[Arg::Tensor(self), other]);
        let dtype = if dtype.is_float() { dtype } else { DType::F32 };
        let [x, power] = common("ldexp", [Arg::Tensor(self), other], dtype)?;
        let scale = |power: &PromotedArg| try_pow(2.0, power.arg());
        // Halves are computed in f32 and rounded once.
        let wide = if dtype.is_half() { DType::F32 } else { dtype };
        let compute = || {
            let [x, power] = common("ldexp", [x.arg(), power.arg()], wide)?;
            binary("mul", BinaryOp::Mul, x.arg(), Arg::Tensor(&scale(&power)?))?.try_to(dtype)
        };
        composite("LdexpBackward0", &[x.operand(), power.operand()], compute, |y| {
            let power = x.needs_gradient().then(|| SavedArg::of(&power));
            let y = Saved::output(y, 0);
            move |c: &Context<'_>, g: &Tensor| {
                let y = y.get(c.me)?;
                let by_x = || g.try_mul(&scale(&power.as_ref().expect("kept where x wants it").get(c.me)?)?);
                grads2(c, by_x, || g.try_mul(&y)?.try_mul(LN_2))
            }
        })
    }
}
