//! Arithmetic of two operands: the primitives with their derivatives, and what differs from them by a factor or a sign.

use super::super::arg::{Aligned, Arg, Number, PromotedArg, result_dtype};
use super::super::single_node::single;
use super::super::{grads2, twins};
use super::{binary_fns, binary_twins, choose, compare, zero_where};
use crate::autograd::record::differentiable;
use crate::autograd::saved::{self, Saved};
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::layout::laid_out;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{BinaryOp, CompareOp, DType, Op};

/// Arithmetic of two operands with PyTorch's promotion and broadcasting.
pub(crate) fn binary(name: &'static str, op: BinaryOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let mut dtype = result_dtype(&[a, b]);
    match op {
        BinaryOp::Div | BinaryOp::Atan2 if !dtype.is_float() => dtype = DType::F32,
        BinaryOp::Sub if a.dtype() == DType::Bool || b.dtype() == DType::Bool => {
            return Err(Error::operands(name, "not defined for bool; use logical_xor() or logical_not()"));
        }
        BinaryOp::Pow | BinaryOp::Rem | BinaryOp::Quotient if dtype == DType::Bool => {
            return Err(Error::operands(name, "not defined for bool; use to(DType::I64) first"));
        }
        _ => {}
    }
    // Sums, products and maxima of bools are or, and, or.
    let op = match (op, dtype) {
        (BinaryOp::Add | BinaryOp::Maximum, DType::Bool) => BinaryOp::Or,
        (BinaryOp::Mul | BinaryOp::Minimum, DType::Bool) => BinaryOp::And,
        (op, _) => op,
    };
    let pair = match op {
        BinaryOp::Add | BinaryOp::Mul | BinaryOp::Div => Aligned::for_arithmetic(name, a, b, dtype)?,
        _ => Aligned::new(name, a, b, dtype)?,
    };
    let operands = [pair.operand(0), pair.operand(1)];
    let prim = Op::Binary(op);
    match op {
        BinaryOp::Add => differentiable(&prim, "AddBackward0", &operands, |_| {
            |c: &_, g: &Tensor| grads2(c, || Ok(g.clone()), || Ok(g.clone()))
        }),
        BinaryOp::Sub => differentiable(&prim, subtraction(name, a), &operands, |_| {
            |c: &_, g: &Tensor| grads2(c, || Ok(g.clone()), || g.try_neg())
        }),
        BinaryOp::Mul => differentiable(&prim, "MulBackward0", &operands, |_| {
            let (a, b) = (pair.saved(0, 1), pair.saved(1, 0));
            number_kept(&operands);
            move |c: &_, g: &Tensor| grads2(c, || g.try_mul(b.get(c.me)?.arg()), || g.try_mul(a.get(c.me)?.arg()))
        }),
        BinaryOp::Div => differentiable(&prim, "DivBackward0", &operands, |_| {
            let (a, b) = (pair.saved(0, 1), pair.saved_for_both(1));
            number_kept(&operands);
            move |c: &_, g: &Tensor| {
                let b = b.get(c.me)?;
                let by_b = || {
                    let quotient = binary("div", BinaryOp::Div, a.get(c.me)?.arg(), b.arg())?;
                    g.try_neg()?.try_mul(&quotient.try_div(b.arg())?)
                };
                grads2(c, || g.try_div(b.arg()), by_b)
            }
        }),
        BinaryOp::Maximum | BinaryOp::Minimum => differentiable(&prim, extreme(op), &operands, |_| {
            let (a, b) = (pair.saved_for_both(0), pair.saved_for_both(1));
            move |c: &_, g: &Tensor| {
                // Equal operands get half each; else the smaller one, of a maximum, gets nothing. Beside a NaN neither is.
                let (a, b) = (a.get(c.me)?, b.get(c.me)?);
                let shared = choose(&compare("eq", CompareOp::Eq, a.arg(), b.arg())?, &g.try_mul(0.5)?, g)?;
                let loses = |a: &PromotedArg, b: &PromotedArg| match op {
                    BinaryOp::Maximum => compare("lt", CompareOp::Lt, a.arg(), b.arg()),
                    _ => compare("gt", CompareOp::Gt, a.arg(), b.arg()),
                };
                let lies = |gradient| laid_out(gradient, LayoutRule::Elementwise, &[a.operand(), b.operand()]);
                grads2(
                    c,
                    || lies(zero_where(&loses(&a, &b)?, &shared)?),
                    || lies(zero_where(&loses(&b, &a)?, &shared)?),
                )
            }
        }),
        BinaryOp::Pow => differentiable(&prim, super::power::node(a, b), &operands, |y| {
            let (a, b, y) = (pair.saved_for_both(0), pair.saved_for_both(1), Saved::output(y, 0));
            move |c: &_, g: &Tensor| {
                let (a, b, y) = (a.get(c.me)?, b.get(c.me)?, y.get(c.me)?);
                grads2(c, || super::power::by_base(g, &a, &b), || super::power::by_exponent(g, &a, &b, &y))
            }
        }),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Quotient => apply(&prim, &operands),
        BinaryOp::Atan2 => differentiable(&prim, "Atan2Backward0", &operands, |_| {
            let (a, b) = (pair.saved_for_both(0), pair.saved_for_both(1));
            move |c: &_, g: &Tensor| {
                // d atan2(a, b) = (b da - a db) / (a² + b²)
                let (a, b) = (a.get(c.me)?, b.get(c.me)?);
                let mul = |x: &PromotedArg, y: &PromotedArg| binary("mul", BinaryOp::Mul, x.arg(), y.arg());
                let square = mul(&a, &a)?.try_add(&mul(&b, &b)?)?;
                // The derivative at the origin is 0, as in PyTorch.
                let scale = zero_where(&square.try_eq(0.0)?, &square.try_reciprocal()?)?;
                let by = |g: &Tensor, x: &PromotedArg| g.try_mul(x.arg())?.try_mul(&scale);
                grads2(c, || by(g, &b), || by(&g.try_neg()?, &a))
            }
        }),
        BinaryOp::Rem => differentiable(&prim, super::by_kind(b, "FmodBackward0", "FmodBackward1"), &operands, |_| {
            let (a, b) = (pair.saved(0, 1), pair.saved(1, 1));
            move |c: &Context<'_>, g: &Tensor| {
                // a - trunc(a / b) b
                let by_b = || {
                    let times = binary("div", BinaryOp::Div, a.get(c.me)?.arg(), b.get(c.me)?.arg())?.try_trunc()?;
                    g.try_neg()?.try_mul(&times)
                };
                grads2(c, || Ok(g.clone()), by_b)
            }
        }),
    }
}

/// The node of a difference: PyTorch's `rsub` is another one, and so is a number less a tensor.
fn subtraction(name: &'static str, a: Arg<'_>) -> &'static str {
    match a {
        Arg::Number(_) if name == "rsub" => "RsubBackward1",
        Arg::Tensor(_) if name == "rsub" => "RsubBackward0",
        Arg::Number(_) | Arg::Tensor(_) => "SubBackward0",
    }
}

fn extreme(op: BinaryOp) -> &'static str {
    if op == BinaryOp::Maximum { "MaximumBackward0" } else { "MinimumBackward0" }
}

/// In PyTorch a number that a derivative needs is a tensor that is kept, and freed after the backward pass.
fn number_kept(operands: &[Operand<'_>]) {
    if operands.iter().any(|x| matches!(x, Operand::Scalar(_))) {
        saved::hidden();
    }
}

/// And, or, xor of bools, or of the bits of integers.
fn bitwise(name: &'static str, op: BinaryOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let dtype = result_dtype(&[a, b]);
    if dtype.is_float() {
        return Err(Error::operands(name, format!("not defined for {dtype}; it takes integers and bools")));
    }
    binary(name, op, a, b)
}

/// And, or, xor of truth: what is not 0 is true.
fn logical(name: &'static str, op: BinaryOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let pair = crate::autograd::no_grad(|| Aligned::new(name, a, b, DType::Bool))?;
    apply(&Op::Binary(op), &[pair.operand(0), pair.operand(1)])
}

binary_twins! {
    /// a + b, elementwise.
    add / try_add = binary(BinaryOp::Add);
    /// a - b, elementwise.
    sub / try_sub = binary(BinaryOp::Sub);
    /// a · b, elementwise.
    mul / try_mul = binary(BinaryOp::Mul);
    /// a / b, elementwise; integers are divided as f32.
    div / try_div = binary(BinaryOp::Div);
    /// As [`Tensor::div`].
    true_divide / try_true_divide = binary(BinaryOp::Div);
    /// The larger of both, elementwise; NaN where either is.
    maximum / try_maximum = binary(BinaryOp::Maximum);
    /// The smaller of both, elementwise; NaN where either is.
    minimum / try_minimum = binary(BinaryOp::Minimum);
    /// The angle of the point (b, a) in radians, elementwise: the arc tangent of a / b in the right quadrant.
    atan2 / try_atan2 = binary(BinaryOp::Atan2);
    /// b - a, elementwise.
    rsub / try_rsub = reversed(BinaryOp::Sub);
    /// Both are true (not 0).
    logical_and / try_logical_and = logical(BinaryOp::And);
    /// One is true (not 0).
    logical_or / try_logical_or = logical(BinaryOp::Or);
    /// Just one is true (not 0).
    logical_xor / try_logical_xor = logical(BinaryOp::Xor);
    /// Both, of bools, or bit by bit of integers.
    bitwise_and / try_bitwise_and = bitwise(BinaryOp::And);
    /// Either, of bools, or bit by bit of integers.
    bitwise_or / try_bitwise_or = bitwise(BinaryOp::Or);
    /// Just one, of bools, or bit by bit of integers.
    bitwise_xor / try_bitwise_xor = bitwise(BinaryOp::Xor);
}

fn reversed(name: &'static str, op: BinaryOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    binary(name, op, b, a)
}

/// `b` times the factor that `add` and `sub` take, where the factor's kind fits; what is beside it is of dtype `beside`.
fn scaled(name: &'static str, a: &Tensor, b: Arg<'_>, alpha: Number, beside: DType) -> Result<Tensor> {
    let dtype = result_dtype(&[Arg::Tensor(a), b]);
    match alpha {
        _ if name != "add" && (b.dtype() == DType::Bool || beside == DType::Bool) => {
            return Err(Error::operands(name, "not defined for bool; use logical_xor() or logical_not()"));
        }
        Number::Float(_) if !dtype.is_float() => {
            return Err(Error::operands(name, format!("alpha must be a whole number where the result is {dtype}")));
        }
        Number::Bool(_) if dtype != DType::Bool => {
            return Err(Error::operands(name, "alpha may be a bool only where the result is bool"));
        }
        _ => {}
    }
    let b = match b {
        Arg::Tensor(b) => b.try_to(dtype)?,
        Arg::Number(b) => crate::mode::values::full_of(&[], b.to(dtype))?,
    };
    alpha.fitted(name, dtype)?;
    // A factor for bools counts as whether it is 0.
    let alpha = if dtype == DType::Bool { Number::Bool(alpha.to_f64() != 0.0) } else { alpha.rounded(dtype) };
    b.try_mul(alpha)
}

/// Two operands and a factor as one node, which keeps neither.
fn with_alpha(
    node: &'static str,
    a: &Tensor,
    b: Arg<'_>,
    compute: impl FnOnce(&Tensor, Arg<'_>) -> Result<Tensor>,
) -> Result<Tensor> {
    match b {
        Arg::Tensor(b) => single(node, &[a, b], &[], |t| compute(&t[0], Arg::Tensor(&t[1]))),
        Arg::Number(_) => single(node, &[a], &[], |t| compute(&t[0], b)),
    }
}

twins! {
    /// a + alpha · b, elementwise.
    fn add_alpha / try_add_alpha<'a>(&self, other: impl Into<Arg<'a>>, alpha: impl Into<Number>) -> Tensor {
        with_alpha("AddBackward0", self, other.into(), |x, other| {
            x.try_add(&scaled("add", x, other, alpha.into(), x.dtype())?)
        })
    }

    /// a - alpha · b, elementwise.
    fn sub_alpha / try_sub_alpha<'a>(&self, other: impl Into<Arg<'a>>, alpha: impl Into<Number>) -> Tensor {
        with_alpha("SubBackward0", self, other.into(), |x, other| {
            x.try_sub(&scaled("sub", x, other, alpha.into(), x.dtype())?)
        })
    }

    /// b - alpha · a, elementwise.
    fn rsub_alpha / try_rsub_alpha<'a>(&self, other: impl Into<Arg<'a>>, alpha: impl Into<Number>) -> Tensor {
        let other = other.into();
        let node = if matches!(other, Arg::Number(_)) { "RsubBackward1" } else { "RsubBackward0" };
        with_alpha(node, self, other, |x, other| {
            let dtype = result_dtype(&[Arg::Tensor(x), other]);
            let own = scaled("rsub", &x.try_to(dtype)?, Arg::Tensor(x), alpha.into(), other.dtype())?;
            binary("rsub", BinaryOp::Sub, other, Arg::Tensor(&own))
        })
    }
}

binary_fns! {
    /// a - b, elementwise.
    sub / try_sub = binary(BinaryOp::Sub);
    /// a / b, elementwise; integers are divided as f32. The operator `/` multiplies a number on its left with the reciprocal of
    /// b, as Python's does.
    div / try_div = binary(BinaryOp::Div);
    /// Both, of bools, or bit by bit of integers.
    bitwise_and / try_bitwise_and = bitwise(BinaryOp::And);
    /// Either, of bools, or bit by bit of integers.
    bitwise_or / try_bitwise_or = bitwise(BinaryOp::Or);
    /// Just one, of bools, or bit by bit of integers.
    bitwise_xor / try_bitwise_xor = bitwise(BinaryOp::Xor);
}
