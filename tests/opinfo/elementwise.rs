//! Adapters: functions of each element, arithmetic, comparison, logic, choice.

use crate::case::{BY_TYPE, Case, KEYWORD, one};
use crate::run::Adapter;
use allotrope::ops::{self, Arg, Number};
use allotrope::{DType, Error, Result, Tensor};

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "abs" => one(c.tensor(0, "input")?.try_abs()),
        "acos" => one(c.tensor(0, "input")?.try_acos()),
        "asin" => one(c.tensor(0, "input")?.try_asin()),
        "atan" => one(c.tensor(0, "input")?.try_atan()),
        "ceil" => one(c.tensor(0, "input")?.try_ceil()),
        "cos" => one(c.tensor(0, "input")?.try_cos()),
        "cosh" => one(c.tensor(0, "input")?.try_cosh()),
        "erf" => one(c.tensor(0, "input")?.try_erf()),
        "erfc" => one(c.tensor(0, "input")?.try_erfc()),
        "exp" => one(c.tensor(0, "input")?.try_exp()),
        "exp2" => one(c.tensor(0, "input")?.try_exp2()),
        "expm1" => one(c.tensor(0, "input")?.try_expm1()),
        "floor" => one(c.tensor(0, "input")?.try_floor()),
        "frac" => one(c.tensor(0, "input")?.try_frac()),
        "isfinite" => one(c.tensor(0, "input")?.try_isfinite()),
        "isinf" => one(c.tensor(0, "input")?.try_isinf()),
        "isnan" => one(c.tensor(0, "input")?.try_isnan()),
        "log" => one(c.tensor(0, "input")?.try_log()),
        "log10" => one(c.tensor(0, "input")?.try_log10()),
        "log1p" => one(c.tensor(0, "input")?.try_log1p()),
        "log2" => one(c.tensor(0, "input")?.try_log2()),
        "logical_not" => one(c.tensor(0, "input")?.try_logical_not()),
        "neg" => one(c.tensor(0, "input")?.try_neg()),
        "reciprocal" => one(c.tensor(0, "input")?.try_reciprocal()),
        "rsqrt" => one(c.tensor(0, "input")?.try_rsqrt()),
        "sgn" => one(c.tensor(0, "input")?.try_sgn()),
        "sigmoid" => one(c.tensor(0, "input")?.try_sigmoid()),
        "sign" => one(c.tensor(0, "input")?.try_sign()),
        "sin" => one(c.tensor(0, "input")?.try_sin()),
        "sinh" => one(c.tensor(0, "input")?.try_sinh()),
        "sqrt" => one(c.tensor(0, "input")?.try_sqrt()),
        "square" => one(c.tensor(0, "input")?.try_square()),
        "tan" => one(c.tensor(0, "input")?.try_tan()),
        "tanh" => one(c.tensor(0, "input")?.try_tanh()),
        "trunc" => one(c.tensor(0, "input")?.try_trunc()),
        "maximum" => one(c.tensor(0, "input")?.try_maximum(c.tensor(1, "other")?)),
        "minimum" => one(c.tensor(0, "input")?.try_minimum(c.tensor(1, "other")?)),
        "logical_and" => one(c.tensor(0, "input")?.try_logical_and(c.tensor(1, "other")?)),
        "logical_or" => one(c.tensor(0, "input")?.try_logical_or(c.tensor(1, "other")?)),
        "logical_xor" => one(c.tensor(0, "input")?.try_logical_xor(c.tensor(1, "other")?)),
        "atan2" => one(c.tensor(0, "input")?.try_atan2(c.tensor(1, "other")?)),
        "hypot" => one(c.tensor(0, "input")?.try_hypot(c.tensor(1, "other")?)),
        "max.binary" => one(c.tensor(0, "input")?.try_maximum(c.tensor(1, "other")?)),
        "min.binary" => one(c.tensor(0, "input")?.try_minimum(c.tensor(1, "other")?)),
        "mul" => {
            // PyTorch's functions of arithmetic take a number first, too.
            one(match pair(c, "other")? {
                (Arg::Tensor(a), b) => a.try_mul(b),
                (a, b) => tensor_of(b)?.try_mul(a),
            })
        },
        "eq" => one(c.tensor(0, "input")?.try_eq(c.arg(1, "other")?)),
        "ne" => one(c.tensor(0, "input")?.try_ne(c.arg(1, "other")?)),
        "lt" => one(c.tensor(0, "input")?.try_lt(c.arg(1, "other")?)),
        "le" => one(c.tensor(0, "input")?.try_le(c.arg(1, "other")?)),
        "gt" => one(c.tensor(0, "input")?.try_gt(c.arg(1, "other")?)),
        "ge" => one(c.tensor(0, "input")?.try_ge(c.arg(1, "other")?)),
        "fmod" => one(c.tensor(0, "input")?.try_fmod(c.arg(1, "other")?)),
        "clamp_max" => one(c.tensor(0, "input")?.try_clamp_max(c.arg(1, "max")?)),
        "clamp_min" => one(c.tensor(0, "input")?.try_clamp_min(c.arg(1, "min")?)),
        "pow" => {
            let (a, b) = pair(c, "exponent")?;
            one(ops::try_pow(a, b))
        },
        "remainder" => {
            let (a, b) = pair(c, "other")?;
            one(ops::try_remainder(a, b))
        },
        "xlogy" => {
            let (a, b) = pair(c, "other")?;
            one(ops::try_xlogy(a, b))
        },
        "div.no_rounding_mode" => {
            let (a, b) = pair(c, "other")?;
            one(ops::try_div(a, b))
        },
        "div.floor_rounding" => divided(c),
        "div.trunc_rounding" => divided(c),
        "add" => {
            let (x, other) = pair(c, "other")?;
            one(match (x, number(c, "alpha")?) {
                (Arg::Tensor(x), Some(alpha)) => x.try_add_alpha(other, alpha),
                (Arg::Tensor(x), None) => x.try_add(other),
                (n, Some(alpha)) => {
                    let other = tensor_of(other)?;
                    let (float, bool) = match n {
                        Arg::Number(Number::Float(_)) => (true, false),
                        Arg::Number(Number::Bool(_)) => (other.dtype().is_float(), other.dtype() == DType::Bool),
                        _ => (other.dtype().is_float(), false),
                    };
                    match alpha {
                        Number::Bool(_) if !bool => Err(Error::Argument(format!("{BY_TYPE}: alpha is a bool"))),
                        Number::Float(_) if !float => Err(Error::Argument(format!("{BY_TYPE}: alpha is a float"))),
                        _ => other.try_mul(alpha)?.try_add(n),
                    }
                },
                (n, None) => tensor_of(other)?.try_add(n),
            })
        },
        "sub" => {
            let (x, other) = pair(c, "other")?;
            one(match (x, number(c, "alpha")?) {
                (Arg::Tensor(x), Some(alpha)) => x.try_sub_alpha(other, alpha),
                (n, Some(alpha)) => tensor_of(other)?.try_rsub_alpha(n, alpha),
                (x, None) => ops::try_sub(x, other),
            })
        },
        "rsub" => {
            let (x, other) = (c.tensor(0, "input")?, c.arg(1, "other")?);
            one(match number(c, "alpha")? {
                Some(alpha) => x.try_rsub_alpha(other, alpha),
                None => x.try_rsub(other),
            })
        },
        "addcmul" => {
            let value = number(c, "value")?.unwrap_or(Number::Int(1));
            one(c.tensor(0, "input")?.try_addcmul(c.tensor(1, "tensor1")?, c.tensor(2, "tensor2")?, value))
        },
        "addcdiv" => {
            let value = number(c, "value")?.unwrap_or(Number::Int(1));
            one(c.tensor(0, "input")?.try_addcdiv(c.tensor(1, "tensor1")?, c.tensor(2, "tensor2")?, value))
        },
        "lerp" => one(c.tensor(0, "input")?.try_lerp(c.tensor(1, "end")?, c.arg(2, "weight")?)),
        "clamp" => {
            one(c.tensor(0, "input")?.try_clamp_with(c.arg_opt(1, "min")?, c.arg_opt(2, "max")?))
        },
        "logit" => {
            let x = c.tensor(0, "input")?;
            one(match c.float_opt(1, "eps")? {
                Some(eps) => x.try_logit_eps(eps),
                None => x.try_logit(),
            })
        },
        "round" => one(c.tensor(0, "input")?.try_round()),
        "round.decimals_0" => rounded(c),
        "round.decimals_3" => rounded(c),
        "round.decimals_neg_3" => rounded(c),
        "where" => one(ops::try_where_(c.tensor(0, "condition")?, c.arg(1, "input")?, c.arg(2, "other")?)),
    }
}

/// Two operands, of which the first may be a number, but not both.
fn pair<'a>(c: &'a Case, second: &str) -> Result<(Arg<'a>, Arg<'a>)> {
    let (a, b) = (c.arg(0, "input")?, c.arg(1, second)?);
    if let (Arg::Number(_), Arg::Number(_)) = (a, b) {
        c.tensor(0, "input")?;
    }
    Ok((a, b))
}

/// The tensor beside a number.
fn tensor_of(arg: Arg<'_>) -> Result<&Tensor> {
    match arg {
        Arg::Tensor(t) => Ok(t),
        Arg::Number(_) => Err(Error::Argument(format!("{BY_TYPE}: two numbers"))),
    }
}

fn number(c: &Case, name: &str) -> Result<Option<Number>> {
    Ok(match c.arg_opt(KEYWORD, name)? {
        Some(Arg::Number(n)) => Some(n),
        _ => None,
    })
}

fn divided(c: &Case) -> Result<Vec<Tensor>> {
    let (a, b) = pair(c, "other")?;
    one(match c.str_or(KEYWORD, "rounding_mode", "")? {
        "floor" => ops::try_div_floor(a, b),
        _ => ops::try_div_trunc(a, b),
    })
}

fn rounded(c: &Case) -> Result<Vec<Tensor>> {
    one(c.tensor(0, "input")?.try_round_decimals(c.int(KEYWORD, "decimals")? as i32))
}
