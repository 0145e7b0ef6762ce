//! Division to whole numbers, and its remainder. For integers a divisor of 0 is an error, in a compiled function too;
//! for floats the quotient is what Python's `//` gives.

use super::super::arg::{Arg, Number, PromotedArg, common, result_dtype};
use super::super::gather::{all_true, checked, holds_for};
use super::super::grads2;
use super::{binary, binary_fns, binary_twins, compare, zero_where};
use crate::autograd::no_grad;
use crate::autograd::record::{check_integers, composite};
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::laid_out;
use crate::mode::sizes::{all_same, is_zero};
use crate::ops::arg::SavedArg;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{BinaryOp, CompareOp, DType, Scalar};

/// What is asked for.
#[derive(Copy, Clone, PartialEq)]
enum Part {
    /// The quotient, rounded down.
    Floor,
    /// The quotient, rounded to zero.
    Trunc,
    /// a - floor(a / b) b, with the sign of b.
    Remainder,
    /// a - trunc(a / b) b, with the sign of a.
    Rest,
}

binary_twins! {
    /// a / b rounded down, elementwise; PyTorch's `div(.., rounding_mode="floor")`.
    div_floor / try_div_floor = part(Part::Floor);
    /// a / b rounded down, elementwise.
    floor_divide / try_floor_divide = part(Part::Floor);
    /// a / b rounded to zero, elementwise; PyTorch's `div(.., rounding_mode="trunc")`.
    div_trunc / try_div_trunc = part(Part::Trunc);
    /// What is left of a after division by b, elementwise, with the sign of b, as Python's `%`.
    remainder / try_remainder = part(Part::Remainder);
    /// What is left of a after division by b, elementwise, with the sign of a, as C's `fmod`.
    fmod / try_fmod = part(Part::Rest);
}

binary_fns! {
    /// a / b rounded down, elementwise; PyTorch's `div(.., rounding_mode="floor")`.
    div_floor / try_div_floor = part(Part::Floor);
    /// a / b rounded down, elementwise.
    floor_divide / try_floor_divide = part(Part::Floor);
    /// a / b rounded to zero, elementwise; PyTorch's `div(.., rounding_mode="trunc")`.
    div_trunc / try_div_trunc = part(Part::Trunc);
    /// What is left of a after division by b, elementwise, with the sign of b, as Python's `%`.
    remainder / try_remainder = part(Part::Remainder);
    /// What is left of a after division by b, elementwise, with the sign of a, as C's `fmod`.
    fmod / try_fmod = part(Part::Rest);
}

fn part(name: &'static str, part: Part, a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    let dtype = result_dtype(&[a, b]);
    // A bool that is divided is a number.
    let counted = |arg| match arg {
        Arg::Number(Number::Bool(b)) if dtype != DType::Bool => Arg::Number(Number::Int(i64::from(b))),
        arg => arg,
    };
    let (a, b) = (counted(a), counted(b));
    match dtype {
        DType::Bool => Err(Error::operands(name, "not defined for bool; use to(DType::I64) first")),
        t if t.is_float() => {
            // PyTorch divides halves by one number in f32, of which it is as precise; a rest is that of halves.
            let is_exact = t.is_half() && matches!(part, Part::Floor | Part::Trunc) && is_number(b);
            let held = [in_dtype(a, t)?, in_dtype(b, if is_exact { DType::F32 } else { t })?];
            let [a, b] = [held[0].arg(), held[1].arg()];
            let compute = || super::all_in_full(name, [a, b], dtype, |[a, b]| of_floats(name, part, &a, &b));
            match (name, a) {
                ("floor_divide" | "floor_divide_", _) | ("remainder", Arg::Number(_)) => {
                    without_derivative(name, [a, b], compute)
                }
                _ => compute(),
            }
        }
        _ => {
            let compute = || {
                let b = nonzero(name, a, b, dtype)?;
                let [a, b] = common(name, [a, b.arg()], dtype)?;
                laid_out(of_integers(part, &a, &b)?, LayoutRule::Elementwise, &[a.operand(), b.operand()])
            };
            if matches!(name, "floor_divide" | "floor_divide_") {
                return no_grad(compute);
            }
            for x in [a, b] {
                if let Arg::Tensor(x) = x {
                    check_integers(x)?;
                }
            }
            compute()
        }
    }
}

/// Whether an operand is a number, or a tensor without axes.
fn is_number(x: Arg<'_>) -> bool {
    match x {
        Arg::Number(_) => true,
        Arg::Tensor(t) => t.dim() == 0,
    }
}

/// An operand as precise as the dtype.
fn in_dtype(x: Arg<'_>, dtype: DType) -> Result<PromotedArg> {
    Ok(match x {
        Arg::Number(n) => PromotedArg::Number(n.rounded(dtype)),
        Arg::Tensor(t) => PromotedArg::Tensor(t.try_to(dtype)?),
    })
}

/// The divisor, after the check that it is not 0 where something is divided.
fn nonzero(name: &'static str, a: Arg<'_>, b: Arg<'_>, dtype: DType) -> Result<PromotedArg> {
    match b {
        Arg::Number(n) if n.to(dtype) == Scalar::from_f64(0.0, dtype) => match a {
            Arg::Tensor(a) if a.sizes().iter().any(|&n| is_zero(n)) => Ok(PromotedArg::Number(n)),
            _ => Err(Error::operands(name, "division of integers by zero (ZeroDivisionError)")),
        },
        Arg::Number(n) => Ok(PromotedArg::Number(n.rounded(dtype))),
        Arg::Tensor(b) => {
            let b = b.try_to(dtype)?;
            let mut holds = all_true(&b.try_ne(0)?)?;
            if let Arg::Tensor(a) = a
                && !all_same(&a.sizes(), &b.sizes())
            {
                holds = holds_for(holds, &a.sizes())?;
            }
            let b = checked(&b, &holds, &format!("{name}: division of integers by zero (ZeroDivisionError)"))?;
            Ok(PromotedArg::Tensor(b))
        }
    }
}

fn of_integers(part: Part, a: &PromotedArg, b: &PromotedArg) -> Result<Tensor> {
    let of = |op: BinaryOp| binary(op.name(), op, a.arg(), b.arg());
    match part {
        Part::Trunc => of(BinaryOp::Quotient),
        Part::Rest => of(BinaryOp::Rem),
        Part::Floor => {
            let quotient = of(BinaryOp::Quotient)?;
            quotient.try_sub(&other_side(&of(BinaryOp::Rem)?, b)?.try_to(quotient.dtype())?)
        }
        Part::Remainder => {
            let rest = of(BinaryOp::Rem)?;
            let corrected = rest.try_add(b.arg())?;
            corrected.try_where_self(&other_side(&rest, b)?, &rest)
        }
    }
}

/// Where there is a rest, and it does not have the sign of the divisor.
fn other_side(rest: &Tensor, b: &PromotedArg) -> Result<Tensor> {
    let zero = Arg::Number(Number::Int(0));
    let b_negative = match b {
        PromotedArg::Number(_) => None,
        PromotedArg::Tensor(b) => Some(b.try_lt(0)?),
    };
    let differs = match (b, &b_negative) {
        (_, Some(b)) => rest.try_lt(0)?.try_logical_xor(b)?,
        (PromotedArg::Number(n), None) if n.to_f64() < 0.0 => compare("ge", CompareOp::Ge, Arg::Tensor(rest), zero)?,
        _ => rest.try_lt(0)?,
    };
    differs.try_logical_and(&rest.try_ne(0)?)
}

fn of_floats(name: &'static str, part: Part, a: &PromotedArg, b: &PromotedArg) -> Result<Tensor> {
    if part == Part::Rest {
        return binary(name, BinaryOp::Rem, a.arg(), b.arg());
    }
    let div = || binary(name, BinaryOp::Div, a.arg(), b.arg());
    let rem = || binary(name, BinaryOp::Rem, a.arg(), b.arg());
    let operands = [a.operand(), b.operand()];
    match part {
        Part::Trunc | Part::Floor => {
            let compute = || match part {
                Part::Trunc => div()?.try_trunc(),
                _ => laid_out(floored(&div()?, &rem()?, a, b)?, LayoutRule::Elementwise, &operands),
            };
            composite("DivBackward2", &operands, compute, |_| {
                // PyTorch's derivative, which is 0, keeps what that of a quotient needs.
                let kept = [b.needs_gradient().then(|| SavedArg::of(a)), Some(SavedArg::kept(b))];
                move |c: &Context<'_>, g: &Tensor| {
                    kept.iter().flatten().try_for_each(|k| k.get(c.me).map(drop))?;
                    grads2(c, || g.try_zeros_like(), || g.try_zeros_like())
                }
            })
        }
        Part::Remainder | Part::Rest => {
            let compute = || {
                let rest = rem()?;
                let corrected = rest.try_add(b.arg())?.try_where_self(&other_side(&rest, b)?, &rest)?;
                laid_out(corrected, LayoutRule::Elementwise, &operands)
            };
            composite(super::by_kind(b.arg(), "RemainderBackward0", "RemainderBackward1"), &operands, compute, |_| {
                let kept = b.needs_gradient().then(|| (SavedArg::of(a), SavedArg::of(b)));
                move |c: &Context<'_>, g: &Tensor| {
                    let by_b = || {
                        let (a, b) = kept.as_ref().expect("kept where the divisor wants its gradient");
                        g.try_neg()?.try_mul(&part_of(c, a, b)?)
                    };
                    grads2(c, || Ok(g.clone()), by_b)
                }
            })
        }
    }
}

/// What PyTorch has no derivative for: the backward pass is refused.
fn without_derivative(
    name: &'static str,
    operands: [Arg<'_>; 2],
    compute: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    let operands: smallvec::SmallVec<[Operand<'_>; 2]> = operands
        .iter()
        .filter_map(|x| match x {
            Arg::Tensor(t) => Some(Operand::Tensor(t)),
            Arg::Number(_) => None,
        })
        .collect();
    composite("NotImplemented", &operands, compute, |_| {
        move |_: &Context<'_>, _: &Tensor| Err(Error::autograd(format!("{name} has no derivative, as in PyTorch")))
    })
}

fn part_of(c: &Context<'_>, a: &SavedArg, b: &SavedArg) -> Result<Tensor> {
    part("div_floor", Part::Floor, a.get(c.me)?.arg(), b.get(c.me)?.arg())
}

/// The quotient rounded down, from the exact rest, so that it agrees with the remainder (as Python's and PyTorch's).
fn floored(div: &Tensor, rest: &Tensor, a: &PromotedArg, b: &PromotedArg) -> Result<Tensor> {
    // (a - rest) / b is whole but for rounding.
    let whole = binary("sub", BinaryOp::Sub, a.arg(), Arg::Tensor(rest))?.try_div(b.arg())?;
    let whole = whole.try_sub(&other_side(rest, b)?.try_to(whole.dtype())?)?;
    let floor = whole.try_floor()?;
    let up = whole.try_sub(&floor)?.try_gt(0.5)?.try_to(floor.dtype())?;
    let floor = floor.try_add(&up)?;
    // A zero has the sign of the exact quotient; a divisor of 0 gives a / b.
    let zero = div.try_mul(0.0)?;
    let zero = zero_where(&zero.try_isnan()?, &zero)?;
    let floor = zero.try_where_self(&whole.try_eq(0.0)?, &floor)?;
    let by_zero = compare("eq", CompareOp::Eq, b.arg(), Arg::Number(Number::Float(0.0)))?;
    match b {
        PromotedArg::Tensor(_) => div.try_where_self(&by_zero, &floor),
        PromotedArg::Number(n) => Ok(if n.to_f64() == 0.0 { div.clone() } else { floor }),
    }
}
