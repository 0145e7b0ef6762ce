//! Elementwise operations with their derivatives: arithmetic, comparison, choice and the functions of one operand.

use super::arg::{Aligned, Arg, Kept, Number, result_dtype};
use super::{grads1, grads2, twins};
use crate::autograd::no_grad;
use crate::autograd::saved::Saved;
use crate::dispatch::{apply, differentiable};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::recorder::Operand;
use allotrope_ir::{BinaryOp, CompareOp, DType, Op, Scalar, UnaryOp};
use smallvec::smallvec;

/// Integers and bools are computed as f32 by functions that have no integer meaning, as in PyTorch.
fn as_float(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() { Ok(x.clone()) } else { x.try_to(DType::F32) }
}

fn numeric(x: &Tensor, op: &'static str) -> Result<Tensor> {
    match x.dtype() {
        DType::Bool => Err(Error::operands(op, "not defined for bool; use logical_not(), or to(DType::I64) first")),
        _ => Ok(x.clone()),
    }
}

twins! {
    /// -x, elementwise.
    fn neg / try_neg(&self) -> Tensor {
        let x = numeric(self, "neg")?;
        differentiable(&Op::Unary(UnaryOp::Neg), "NegBackward0", &[Operand::Tensor(&x)], |_| |_: &_, g: &Tensor| grads1(g.try_neg()?))
    }

    /// |x|, elementwise. The derivative at 0 is 0.
    fn abs / try_abs(&self) -> Tensor {
        let x = numeric(self, "abs")?;
        differentiable(&Op::Unary(UnaryOp::Abs), "AbsBackward0", &[Operand::Tensor(&x)], |_| {
            let saved = Saved::operand(&x);
            move |c: &_, g: &Tensor| {
                let x = saved.get(c.me)?;
                let negative = g.try_neg()?.where_or_zero(&x.try_lt(0.0)?)?;
                grads1(g.try_where_self(&x.try_gt(0.0)?, &negative)?)
            }
        })
    }

    /// Square root, elementwise; NaN below 0.
    fn sqrt / try_sqrt(&self) -> Tensor {
        let x = as_float(self)?;
        differentiable(&Op::Unary(UnaryOp::Sqrt), "SqrtBackward0", &[Operand::Tensor(&x)], |y| {
            let saved = Saved::output(y, 0);
            move |c: &_, g: &Tensor| grads1(g.try_div(&saved.get(c.me)?.try_mul(2.0)?)?)
        })
    }

    /// e^x, elementwise.
    fn exp / try_exp(&self) -> Tensor {
        let x = as_float(self)?;
        differentiable(&Op::Unary(UnaryOp::Exp), "ExpBackward0", &[Operand::Tensor(&x)], |y| {
            let saved = Saved::output(y, 0);
            move |c: &_, g: &Tensor| grads1(g.try_mul(&saved.get(c.me)?)?)
        })
    }

    /// Natural logarithm, elementwise; NaN below 0.
    fn log / try_log(&self) -> Tensor {
        let x = as_float(self)?;
        differentiable(&Op::Unary(UnaryOp::Log), "LogBackward0", &[Operand::Tensor(&x)], |_| {
            let saved = Saved::operand(&x);
            move |c: &_, g: &Tensor| grads1(g.try_div(&saved.get(c.me)?)?)
        })
    }

    /// Sine of radians, elementwise.
    fn sin / try_sin(&self) -> Tensor {
        let x = as_float(self)?;
        differentiable(&Op::Unary(UnaryOp::Sin), "SinBackward0", &[Operand::Tensor(&x)], |_| {
            let saved = Saved::operand(&x);
            move |c: &_, g: &Tensor| grads1(g.try_mul(&saved.get(c.me)?.try_cos()?)?)
        })
    }

    /// Cosine of radians, elementwise.
    fn cos / try_cos(&self) -> Tensor {
        let x = as_float(self)?;
        differentiable(&Op::Unary(UnaryOp::Cos), "CosBackward0", &[Operand::Tensor(&x)], |_| {
            let saved = Saved::operand(&x);
            move |c: &_, g: &Tensor| grads1(g.try_mul(&saved.get(c.me)?.try_sin()?.try_neg()?)?)
        })
    }

    /// Hyperbolic tangent, elementwise. Gradient: (1 - tanh(x)²) times the gradient of the result.
    fn tanh / try_tanh(&self) -> Tensor {
        let x = as_float(self)?;
        differentiable(&Op::Unary(UnaryOp::Tanh), "TanhBackward0", &[Operand::Tensor(&x)], |y| {
            let saved = Saved::output(y, 0);
            move |c: &_, g: &Tensor| {
                let y = saved.get(c.me)?;
                grads1(g.try_mul(&(1.0 - &y * &y))?)
            }
        })
    }

    /// 1 / (1 + e^-x), elementwise.
    fn sigmoid / try_sigmoid(&self) -> Tensor {
        let e = as_float(self)?.try_neg()?.try_exp()?;
        (&e + 1.0).try_reciprocal()
    }

    /// 1 / x, elementwise.
    fn reciprocal / try_reciprocal(&self) -> Tensor {
        let x = as_float(self)?;
        binary("reciprocal", BinaryOp::Div, Arg::Number(Number::Float(1.0)), Arg::Tensor(&x))
    }

    /// x where x > 0, else 0, elementwise; NaN stays NaN. The derivative at 0 is 0.
    fn relu / try_relu(&self) -> Tensor {
        let x = numeric(self, "relu")?;
        let zero = x.zeros_like();
        zero.try_where_self(&x.try_le(0.0)?, &x)
    }

    /// x², elementwise.
    fn square / try_square(&self) -> Tensor {
        self.try_mul(self)
    }

    /// Not, for bools; other dtypes count as `!= 0`.
    fn logical_not / try_logical_not(&self) -> Tensor {
        apply(&Op::Unary(UnaryOp::Not), &[Operand::Tensor(&self.try_to(DType::Bool)?)])
    }

    /// The same numbers as another dtype: float to integer truncates and saturates (NaN gives 0), to bool asks `!= 0`.
    fn to / try_to(&self, dtype: DType) -> Tensor {
        let from = self.dtype();
        if from == dtype {
            return Ok(self.clone());
        }
        differentiable(&Op::Cast(dtype), "ToCopyBackward0", &[Operand::Tensor(self)], |_| {
            move |_: &_, g: &Tensor| grads1(g.try_to(from)?)
        })
    }

    /// `self` where `condition` (bool, same shape after broadcasting) is true, else `other`.
    fn where_self / try_where_self(&self, condition: &Tensor, other: &Tensor) -> Tensor {
        where_(condition, self, other)
    }
}

impl Tensor {
    /// The tensor where the condition holds, else 0.
    fn where_or_zero(&self, condition: &Tensor) -> Result<Tensor> {
        where_(condition, self, &self.zeros_like())
    }
}

/// `a` where `condition` is true, else `b`, broadcast together.
fn where_(condition: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if condition.dtype() != DType::Bool {
        return Err(Error::operands("where", format!("the condition must be bool, got {}", condition.dtype())));
    }
    let dtype = result_dtype(&[Arg::Tensor(a), Arg::Tensor(b)]);
    let pair = Aligned::new("where", Arg::Tensor(a), Arg::Tensor(b), dtype)?;
    let (Operand::Tensor(a), Operand::Tensor(b)) = (pair.operand(0), pair.operand(1)) else { unreachable!() };
    let sizes = super::arg::broadcast_sizes("where", condition, a)?;
    let (condition, a, b) = (condition.expand_sizes(&sizes)?, a.expand_sizes(&sizes)?, b.expand_sizes(&sizes)?);
    let operands = [Operand::Tensor(&condition), Operand::Tensor(&a), Operand::Tensor(&b)];
    differentiable(&Op::Select, "WhereBackward0", &operands, |_| {
        let saved = Saved::operand(&condition);
        move |c: &_, g: &Tensor| {
            let condition = saved.get(c.me)?;
            let zero = g.zeros_like();
            let part = |wanted: bool, a: &Tensor, b: &Tensor| -> Result<Option<Tensor>> {
                if wanted { Ok(Some(where_(&condition, a, b)?)) } else { Ok(None) }
            };
            Ok(smallvec![None, part(c.wants(1), g, &zero)?, part(c.wants(2), &zero, g)?])
        }
    })
}

/// Arithmetic of two operands with PyTorch's promotion and broadcasting.
pub(crate) fn binary(name: &'static str, op: BinaryOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let mut dtype = result_dtype(&[a, b]);
    match op {
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => dtype = DType::Bool,
        BinaryOp::Div | BinaryOp::Pow if !dtype.is_float() => dtype = DType::F32,
        BinaryOp::Sub if dtype == DType::Bool => {
            return Err(Error::operands(name, "not defined for bool; use logical_xor() or logical_not()"));
        }
        _ => {}
    }
    // Sums, products and maxima of bools are or, and, or.
    let op = match (op, dtype) {
        (BinaryOp::Add | BinaryOp::Maximum, DType::Bool) => BinaryOp::Or,
        (BinaryOp::Mul | BinaryOp::Minimum, DType::Bool) => BinaryOp::And,
        (op, _) => op,
    };
    let pair = Aligned::new(name, a, b, dtype)?;
    let operands = [pair.operand(0), pair.operand(1)];
    let prim = Op::Binary(op);
    match op {
        BinaryOp::Add => differentiable(&prim, "AddBackward0", &operands, |_| {
            |c: &_, g: &Tensor| grads2(c, || Ok(g.clone()), || Ok(g.clone()))
        }),
        BinaryOp::Sub => differentiable(&prim, "SubBackward0", &operands, |_| {
            |c: &_, g: &Tensor| grads2(c, || Ok(g.clone()), || g.try_neg())
        }),
        BinaryOp::Mul => differentiable(&prim, "MulBackward0", &operands, |_| {
            let (a, b) = (pair.saved(0, 1), pair.saved(1, 0));
            move |c: &_, g: &Tensor| grads2(c, || g.try_mul(b.get(c.me)?.arg()), || g.try_mul(a.get(c.me)?.arg()))
        }),
        BinaryOp::Div => differentiable(&prim, "DivBackward0", &operands, |y| {
            let b = match pair.saved(1, 1) {
                super::arg::SavedArg::Unwanted => pair.saved(1, 0),
                saved => saved,
            };
            let y = Saved::output(y, 0);
            move |c: &_, g: &Tensor| {
                let b = b.get(c.me)?;
                grads2(c, || g.try_div(b.arg()), || g.try_neg()?.try_mul(&y.get(c.me)?)?.try_div(b.arg()))
            }
        }),
        BinaryOp::Maximum | BinaryOp::Minimum => differentiable(&prim, "MaximumBackward0", &operands, |_| {
            let keep = |i: usize| match pair.saved(i, 0) {
                super::arg::SavedArg::Unwanted => pair.saved(i, 1),
                saved => saved,
            };
            let (a, b) = (keep(0), keep(1));
            move |c: &_, g: &Tensor| {
                // The larger operand gets the gradient; equal ones get half each, as in PyTorch.
                let (a, b) = (a.get(c.me)?, b.get(c.me)?);
                let half = (g * 0.5).where_or_zero(&compare("eq", CompareOp::Eq, a.arg(), b.arg())?)?;
                let (wins, loses) = match op {
                    BinaryOp::Maximum => (CompareOp::Gt, CompareOp::Lt),
                    _ => (CompareOp::Lt, CompareOp::Gt),
                };
                let part = |op: CompareOp| where_(&compare("gt", op, a.arg(), b.arg())?, g, &half);
                grads2(c, || part(wins), || part(loses))
            }
        }),
        BinaryOp::Pow => differentiable(&prim, "PowBackward0", &operands, |y| {
            let keep = |i: usize| match pair.saved(i, 0) {
                super::arg::SavedArg::Unwanted => pair.saved(i, 1),
                saved => saved,
            };
            let (a, b, y) = (keep(0), keep(1), Saved::output(y, 0));
            move |c: &_, g: &Tensor| {
                let (a, b) = (a.get(c.me)?, b.get(c.me)?);
                grads2(
                    c,
                    || {
                        if let Arg::Number(n) = b.arg() {
                            // In f64 on the host, so that no digit of the exponent is lost.
                            let Scalar::F64(b) = n.to(DType::F64) else { unreachable!("asked for f64") };
                            let slope = || binary("pow", BinaryOp::Pow, a.arg(), Arg::Number(Number::Float(b - 1.0)));
                            return if b == 0.0 { Ok(g.zeros_like()) } else { g.try_mul(&slope()?.try_mul(b)?) };
                        }
                        let less = binary("sub", BinaryOp::Sub, b.arg(), Arg::Number(Number::Float(1.0)))?;
                        let slope = binary(
                            "mul",
                            BinaryOp::Mul,
                            b.arg(),
                            Arg::Tensor(&binary("pow", BinaryOp::Pow, a.arg(), Arg::Tensor(&less))?),
                        )?;
                        // b * a^(b-1) is 0 for b = 0, also where a is 0.
                        let flat = compare("eq", CompareOp::Eq, b.arg(), Arg::Number(Number::Float(0.0)))?;
                        where_(&flat, &g.zeros_like(), &g.try_mul(&slope)?)
                    },
                    || {
                        let a = binary("mul", BinaryOp::Mul, a.arg(), Arg::Number(Number::Float(1.0)))?;
                        let slope = y.get(c.me)?.try_mul(&a.try_log()?)?;
                        // 0^b does not change with b >= 0.
                        let at_zero = compare("eq", CompareOp::Eq, Arg::Tensor(&a), Arg::Number(Number::Float(0.0)))?;
                        where_(&at_zero, &g.zeros_like(), &g.try_mul(&slope)?)
                    },
                )
            }
        }),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Quotient => apply(&prim, &operands),
        BinaryOp::Atan2 => differentiable(&prim, "Atan2Backward0", &operands, |_| {
            let keep = |i: usize| match pair.saved(i, 0) {
                super::arg::SavedArg::Unwanted => pair.saved(i, 1),
                saved => saved,
            };
            let (a, b) = (keep(0), keep(1));
            move |c: &_, g: &Tensor| {
                // d atan2(a, b) = (b da - a db) / (a² + b²)
                let (a, b) = (a.get(c.me)?, b.get(c.me)?);
                let mul = |x: &Kept, y: &Kept| binary("mul", BinaryOp::Mul, x.arg(), y.arg());
                let scale = g.try_div(&mul(&a, &a)?.try_add(&mul(&b, &b)?)?)?;
                grads2(c, || scale.try_mul(b.arg()), || scale.try_neg()?.try_mul(a.arg()))
            }
        }),
        BinaryOp::Rem => differentiable(&prim, "FmodBackward0", &operands, |_| {
            let keep = |i: usize| match pair.saved(i, 0) {
                super::arg::SavedArg::Unwanted => pair.saved(i, 1),
                saved => saved,
            };
            let (a, b) = (keep(0), keep(1));
            move |c: &_, g: &Tensor| {
                // a - trunc(a / b) b
                let by_b = || {
                    let times = binary("div", BinaryOp::Div, a.get(c.me)?.arg(), b.get(c.me)?.arg())?;
                    g.try_neg()?.try_mul(&apply(&Op::Unary(UnaryOp::Trunc), &[Operand::Tensor(&times)])?)
                };
                grads2(c, || Ok(g.clone()), by_b)
            }
        }),
    }
}

/// A comparison with PyTorch's promotion and broadcasting.
fn compare(name: &'static str, op: CompareOp, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let mut dtype = result_dtype(&[a, b]);
    if dtype == DType::Bool && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
        dtype = DType::I64;
    }
    // No gradient goes through a comparison, so what prepares its operands is not noted either.
    let pair = no_grad(|| Aligned::new(name, a, b, dtype))?;
    apply(&Op::Compare(op), &[pair.operand(0), pair.operand(1)])
}

/// Defines binary operations as twins that take a tensor or a number.
macro_rules! binary_twins {
    ($($(#[$doc:meta])* $name:ident / $try_name:ident = $call:ident ( $op:expr );)*) => {
        impl Tensor {$(
            $(#[$doc])*
            /// The other operand is a tensor or a number; shapes broadcast, dtypes are promoted as in PyTorch.
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name<'a>(&self, other: impl Into<Arg<'a>>) -> Tensor {
                crate::error::must(self.$try_name(other))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the shapes do not broadcast or the operation has no meaning for the dtypes.
            #[track_caller]
            pub fn $try_name<'a>(&self, other: impl Into<Arg<'a>>) -> Result<Tensor> {
                $call(stringify!($name), $op, Arg::Tensor(self), other.into())
            }
        )*}
    };
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
    /// The larger of both, elementwise; NaN where either is.
    maximum / try_maximum = binary(BinaryOp::Maximum);
    /// The smaller of both, elementwise; NaN where either is.
    minimum / try_minimum = binary(BinaryOp::Minimum);
    /// a to the power b, elementwise.
    pow / try_pow = power(());
    /// Both are true (not 0).
    logical_and / try_logical_and = binary(BinaryOp::And);
    /// One is true (not 0).
    logical_or / try_logical_or = binary(BinaryOp::Or);
    /// Just one is true (not 0).
    logical_xor / try_logical_xor = binary(BinaryOp::Xor);
    /// a == b, elementwise, as bool.
    eq / try_eq = compare(CompareOp::Eq);
    /// a != b, elementwise, as bool.
    ne / try_ne = compare(CompareOp::Ne);
    /// a < b, elementwise, as bool.
    lt / try_lt = compare(CompareOp::Lt);
    /// a <= b, elementwise, as bool.
    le / try_le = compare(CompareOp::Le);
    /// a > b, elementwise, as bool.
    gt / try_gt = compare(CompareOp::Gt);
    /// a >= b, elementwise, as bool.
    ge / try_ge = compare(CompareOp::Ge);
}

/// Powers by a number that products or roots give exactly are computed so, as PyTorch does.
fn power(name: &'static str, _: (), a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let exponent = match b {
        Arg::Number(Number::Float(x)) => Some(x),
        Arg::Number(Number::Int(i)) => Some(i as f64),
        _ => None,
    };
    match (a, exponent) {
        (Arg::Tensor(x), Some(1.0)) if x.dtype().is_float() => x.try_mul(1.0),
        (Arg::Tensor(x), Some(2.0)) => x.try_mul(x),
        (Arg::Tensor(x), Some(3.0)) => x.try_mul(x)?.try_mul(x),
        (Arg::Tensor(x), Some(0.5)) => x.try_sqrt(),
        _ => binary(name, BinaryOp::Pow, a, b),
    }
}
