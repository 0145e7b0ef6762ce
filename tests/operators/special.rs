//! Numbers at the edge as PyTorch has them: NaN, infinities and zeros with their gradients, tensors without elements,
//! integers that overflow, half precision. `tests/data/operators_special.py` writes the file; both modes, equal bits.

use crate::common::{assert_all_same, numbers};
use allotrope::ops::{GradOptions, grad_with, where_};
use allotrope::prelude::trace;
use allotrope::{DType, Result, Tensor, functional as f};
use serde_json::Value;
use std::collections::HashMap;

const INF: f64 = f64::INFINITY;

fn pair((a, b): (Tensor, Tensor)) -> Vec<Tensor> {
    vec![a, b]
}

/// The operator of a name in the file.
fn call(op: &str, t: &[Tensor]) -> Result<Vec<Tensor>> {
    let x = &t[0];
    let y = t.get(1).unwrap_or(x);
    let two = t.len() > 1;
    Ok(vec![match op {
        "maximum" => x.try_maximum(y)?,
        "minimum" => x.try_minimum(y)?,
        "add" => x.try_add(y)?,
        "sub" => x.try_sub(y)?,
        "mul" => x.try_mul(y)?,
        "div" => x.try_div(y)?,
        "div_floor" => x.try_div_floor(y)?,
        "div_trunc" => x.try_div_trunc(y)?,
        "remainder" => x.try_remainder(y)?,
        "fmod" => x.try_fmod(y)?,
        "atan2" => x.try_atan2(y)?,
        "hypot" => x.try_hypot(y)?,
        "pow" => x.try_pow(y)?,
        "xlogy" => x.try_xlogy(y)?,
        "copysign" => x.try_copysign(y)?,
        "logaddexp" => x.try_logaddexp(y)?,
        "logaddexp2" => x.try_logaddexp2(y)?,
        "eq" => x.try_eq(y)?,
        "ne" => x.try_ne(y)?,
        "lt" => x.try_lt(y)?,
        "le" => x.try_le(y)?,
        "gt" => x.try_gt(y)?,
        "ge" => x.try_ge(y)?,
        "logical_and" => x.try_logical_and(y)?,
        "logical_or" => x.try_logical_or(y)?,
        "logical_xor" => x.try_logical_xor(y)?,
        "clamp_min" => x.try_clamp_min(y)?,
        "clamp_max" => x.try_clamp_max(y)?,
        "isclose" => x.try_isclose(y, 1e-5, 1e-8, false)?,
        "isclose_nan" => x.try_isclose(y, 1e-5, 1e-8, true)?,
        "lerp" => x.try_lerp(y, 0.25)?,
        "where" => where_(&x.try_gt(y)?, x, y),
        "float_power" => x.try_float_power(y)?,
        "dot" => x.try_matmul(y)?,
        "mse_loss" => f::try_mse_loss(x, y)?,
        _ if two => panic!("no operator of two tensors {op}"),
        "abs" => x.try_abs()?,
        "acos" => x.try_acos()?,
        "acosh" => x.try_acosh()?,
        "asin" => x.try_asin()?,
        "asinh" => x.try_asinh()?,
        "atan" => x.try_atan()?,
        "atanh" => x.try_atanh()?,
        "ceil" => x.try_ceil()?,
        "cos" => x.try_cos()?,
        "cosh" => x.try_cosh()?,
        "deg2rad" => x.try_deg2rad()?,
        "erf" => x.try_erf()?,
        "erfc" => x.try_erfc()?,
        "exp" => x.try_exp()?,
        "exp2" => x.try_exp2()?,
        "expm1" => x.try_expm1()?,
        "floor" => x.try_floor()?,
        "frac" => x.try_frac()?,
        "log" => x.try_log()?,
        "log10" => x.try_log10()?,
        "log1p" => x.try_log1p()?,
        "log2" => x.try_log2()?,
        "logit" => x.try_logit()?,
        "neg" => x.try_neg()?,
        "rad2deg" => x.try_rad2deg()?,
        "reciprocal" => x.try_reciprocal()?,
        "round" => x.try_round()?,
        "rsqrt" => x.try_rsqrt()?,
        "sgn" => x.try_sgn()?,
        "sigmoid" => x.try_sigmoid()?,
        "sign" => x.try_sign()?,
        "sin" => x.try_sin()?,
        "sinc" => x.try_sinc()?,
        "sinh" => x.try_sinh()?,
        "sqrt" => x.try_sqrt()?,
        "square" => x.try_square()?,
        "tan" => x.try_tan()?,
        "tanh" => x.try_tanh()?,
        "trunc" => x.try_trunc()?,
        "nan_to_num" => x.try_nan_to_num(None, None, None)?,
        "isnan" => x.try_isnan()?,
        "isinf" => x.try_isinf()?,
        "isfinite" => x.try_isfinite()?,
        "isposinf" => x.try_isposinf()?,
        "isneginf" => x.try_isneginf()?,
        "signbit" => x.try_signbit()?,
        "logical_not" => x.try_logical_not()?,
        "relu" => x.try_relu()?,
        "relu6" => x.try_relu6()?,
        "hardtanh" => x.try_hardtanh(-1.0, 1.0)?,
        "leaky_relu" => x.try_leaky_relu(0.01)?,
        "elu" => x.try_elu(1.0)?,
        "selu" => x.try_selu()?,
        "celu" => x.try_celu(1.0)?,
        "gelu" => x.try_gelu()?,
        "silu" => x.try_silu()?,
        "mish" => x.try_mish()?,
        "hardsigmoid" => x.try_hardsigmoid()?,
        "hardswish" => x.try_hardswish()?,
        "hardshrink" => f::try_hardshrink(x, 0.5)?,
        "softshrink" => f::try_softshrink(x, 0.5)?,
        "tanhshrink" => f::try_tanhshrink(x)?,
        "softplus" => f::try_softplus(x, 1.0, 20.0)?,
        "softsign" => f::try_softsign(x)?,
        "logsigmoid" => f::try_logsigmoid(x)?,
        "threshold" => f::try_threshold(x, 0.5, -2.0)?,
        "clamp" => x.try_clamp(-1.0, 2.0)?,
        "pow0" => x.try_pow(0)?,
        "pow2" => x.try_pow(2)?,
        "pow3" => x.try_pow(3)?,
        "pow_half" => x.try_pow(0.5)?,
        "pow_minus1" => x.try_pow(-1)?,
        "rpow0" => allotrope::ops::try_pow(0.0, x)?,
        "rpow2" => allotrope::ops::try_pow(2.0, x)?,
        _ => return over(op, x),
    }])
}

/// Reductions and orders, along the second axis unless the name says otherwise.
fn over(op: &str, x: &Tensor) -> Result<Vec<Tensor>> {
    Ok(match op {
        "max_dim" => pair(x.try_max_dim(1, false)?),
        "min_dim" => pair(x.try_min_dim(1, false)?),
        "aminmax" => pair(x.try_aminmax(&[1], false)?),
        "cummax" => pair(x.try_cummax(1)?),
        "cummin" => pair(x.try_cummin(1)?),
        "sort" => pair(x.try_sort(1, false)?),
        "sort_down" => pair(x.try_sort(1, true)?),
        "topk0" => pair(x.try_topk(0, 1, true)?),
        // Which of equal ones is taken is not defined.
        "topk" => vec![x.try_topk(2, 1, true)?.0],
        "topk_least" => vec![x.try_topk(2, 1, false)?.0],
        "kthvalue" => vec![x.try_kthvalue(2, 1, false)?.0],
        _ => vec![match op {
            "sum" => x.try_sum_dim(&[1], false)?,
            "mean" => x.try_mean_dim(&[1], false)?,
            "prod" => x.try_prod_dim(1, false)?,
            "amax" => x.try_amax(&[1], false)?,
            "amin" => x.try_amin(&[1], false)?,
            "argmax" => x.try_argmax_dim(1, false)?,
            "argmin" => x.try_argmin_dim(1, false)?,
            "all" => x.try_all_dim(&[1], false)?,
            "any" => x.try_any_dim(&[1], false)?,
            "count_nonzero" => x.try_count_nonzero(&[1])?,
            "cumsum" => x.try_cumsum(1)?,
            "cumprod" => x.try_cumprod(1)?,
            "logcumsumexp" => x.try_logcumsumexp(1)?,
            "logsumexp" => x.try_logsumexp(&[1], false)?,
            "softmax" => x.try_softmax(1)?,
            "log_softmax" => x.try_log_softmax(1)?,
            "var" => x.try_var_dim(&[1], 1.0, false)?,
            "std" => x.try_std_dim(&[1], 1.0, false)?,
            "norm0" => x.try_norm_dim(0.0, &[1], false)?,
            "norm1" => x.try_norm_dim(1.0, &[1], false)?,
            "norm2" => x.try_norm_dim(2.0, &[1], false)?,
            "norm3" => x.try_norm_dim(3.0, &[1], false)?,
            "norm_inf" => x.try_norm_dim(INF, &[1], false)?,
            "norm_minus_inf" => x.try_norm_dim(-INF, &[1], false)?,
            "max" => x.try_max()?,
            "min" => x.try_min()?,
            "argmax_all" => x.try_argmax()?,
            "argmin_all" => x.try_argmin()?,
            "sum_all" => x.try_sum()?,
            "norm_all" => x.try_norm()?,
            "prod_all" => x.try_prod()?,
            "mean_all" => x.try_mean()?,
            "all_all" => x.try_all()?,
            "any_all" => x.try_any()?,
            "var_all" => x.try_var()?,
            "std_all" => x.try_std()?,
            "amax_all" => x.try_amax(&[], false)?,
            "amin_all" => x.try_amin(&[], false)?,
            "logsumexp_all" => x.try_logsumexp(&[0, 1], false)?,
            "norm_inf_all" => x.try_norm_dim(INF, &[], false)?,
            // The running sum of small integers is an i64, also in PyTorch unless a dtype is asked for.
            "cumsum0_same" => x.try_cumsum(0)?.try_to(x.dtype())?,
            "cumsum0" => x.try_cumsum(0)?,
            "cumprod0" => x.try_cumprod(0)?,
            "softmax0" => x.try_softmax(0)?,
            "log_softmax0" => x.try_log_softmax(0)?,
            "logsumexp0" => x.try_logsumexp(&[0], false)?,
            _ => panic!("no operator {op}"),
        }],
    })
}

/// The results and the gradients of their sum.
fn program(op: &str, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut all = call(op, x)?;
    let roots: Vec<&Tensor> = all.iter().filter(|y| y.is_requires_grad()).collect();
    if roots.is_empty() {
        return Ok(all);
    }
    let ones: Vec<Tensor> = roots.iter().map(|y| y.detach().ones_like()).collect();
    let ones: Vec<Option<&Tensor>> = ones.iter().map(Some).collect();
    let how = GradOptions { grad_outputs: &ones, materialize_grads: true, ..GradOptions::default() };
    let grads = grad_with(&roots, &x.iter().collect::<Vec<_>>(), how)?;
    all.extend(grads.into_iter().flatten());
    Ok(all.iter().map(Tensor::detach).collect())
}

fn number(v: &Value) -> f64 {
    match v {
        Value::String(s) => s.parse().expect("inf or nan"),
        v => v.as_f64().expect("a number"),
    }
}

fn dtype(v: &Value) -> DType {
    match v["dtype"].as_str().expect("a dtype") {
        "bool" => DType::Bool,
        "uint8" => DType::U8,
        "int32" => DType::I32,
        "int64" => DType::I64,
        "float16" => DType::F16,
        "bfloat16" => DType::BF16,
        "float32" => DType::F32,
        "float64" => DType::F64,
        other => panic!("no dtype {other}"),
    }
}

fn tensor(v: &Value) -> Tensor {
    let list = |key: &str| v[key].as_array().expect("a list").clone();
    let shape: Vec<usize> = list("shape").iter().map(|n| n.as_u64().expect("a size") as usize).collect();
    let dtype = dtype(v);
    match dtype.is_float() {
        true => Tensor::from_vec(list("data").iter().map(number).collect(), &shape).to(dtype),
        false => {
            Tensor::from_vec(list("data").iter().map(|x| x.as_i64().expect("an integer")).collect(), &shape).to(dtype)
        }
    }
}

/// Where PyTorch's own numbers say nothing, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    ("outputs", "gelu", "PyTorch's f32 gives NaN at infinity, its f64 does not"),
    ("outputs", "std", "PyTorch takes the root before it rounds a variance above the greatest f32"),
    ("grads", "std", "as its result"),
    ("grads", "logit", "the sign of the infinite derivative at -0"),
    ("grads", "relu6", "at NaN PyTorch has 0 or 1 by the place in memory"),
    ("grads", "hardtanh", "as relu6"),
    ("grads", "hardshrink", "as relu6"),
    ("grads", "softshrink", "as relu6"),
    ("grads", "cumprod", "PyTorch divides by the elements: NaN beside NaN; the product of the others is a number"),
    ("grads", "topk", "which of equal elements it takes is open"),
    ("grads", "topk_least", "as topk"),
    ("grads", "kthvalue", "as topk"),
];

/// Operators whose zeros may have another sign than PyTorch's: which of 0 and -0 is greater is open, and so is where a sum
/// begins.
const ZEROS: &[&str] = &[
    "softshrink",
    "maximum",
    "minimum",
    "clamp_min",
    "clamp_max",
    "amax",
    "amin",
    "aminmax",
    "max",
    "min",
    "topk",
    "topk_least",
    "kthvalue",
];

/// What differs between a result and what PyTorch gave.
fn differs(got: &Tensor, want: &Tensor, signs: bool, slack: f64) -> Option<String> {
    if got.dtype() != want.dtype() || got.shape() != want.shape() {
        return Some(format!("{}{:?}, wanted {}{:?}", got.dtype(), got.shape(), want.dtype(), want.shape()));
    }
    if !want.dtype().is_float() {
        let (a, b) = (got.to(DType::I64).to_vec::<i64>(), want.to(DType::I64).to_vec::<i64>());
        let at = a.iter().zip(&b).position(|(a, b)| a != b)?;
        return Some(format!("[{at}]: {}, wanted {}", a[at], b[at]));
    }
    let rtol = match want.dtype() {
        DType::BF16 => 1.0 / 128.0,
        DType::F16 => 1.0 / 1024.0,
        _ => 4e-6,
    } * slack;
    let near = |a: f64, b: f64| match a == b {
        true => !signs || a != 0.0 || a.is_sign_negative() == b.is_sign_negative(),
        false => {
            (a.is_nan() && b.is_nan())
                || (a.is_finite()
                    && b.is_finite()
                    && (a - b).abs() <= rtol * b.abs() + 1e-38 + if slack > 1.0 { 2e-8 } else { 0.0 })
        }
    };
    let (a, b) = (numbers(got), numbers(want));
    let all: Vec<usize> = (0..a.len()).filter(|&i| !near(a[i], b[i])).collect();
    let at = *all.first()?;
    Some(format!("{} places, first [{at}]: {:e}, wanted {:e}", all.len(), a[at], b[at]))
}

/// Checks the cases of one group of the file.
fn check(group: &str) {
    let text = include_str!("../data/operators_special.json");
    let cases: Vec<Value> = serde_json::from_str(text).expect("the file is a list");
    let shared: HashMap<String, Tensor> = (cases.last().and_then(|last| last["inputs"].as_object()))
        .expect("the inputs come last")
        .iter()
        .map(|(name, v)| (name.clone(), tensor(v)))
        .collect();
    let mut failures = Vec::new();
    let mut done = 0;
    for case in cases.iter().filter(|c| c["group"] == group) {
        done += 1;
        let op = case["op"].as_str().expect("a name");
        let names: Vec<&str> =
            (case["inputs"].as_array().expect("a list").iter()).map(|v| v.as_str().expect("a name")).collect();
        let plain: Vec<Tensor> = names.iter().map(|n| shared[*n].clone()).collect();
        let graded = case["grads"].is_array();
        let inputs: Vec<Tensor> = match graded {
            true => plain.iter().map(|x| x.detach().requires_grad()).collect(),
            false => plain,
        };
        let about = || format!("{op} of {}{:?}", inputs[0].dtype(), inputs[0].shape());
        let mut wrong = |what: String| failures.push(format!("{}: {what}", about()));
        let eager = program(op, &inputs);
        let traced = trace(|x: &[Tensor]| program(op, x).unwrap_or_else(|e| panic!("{e}"))).call(&inputs);
        let (eager, traced) = match (eager, traced, case["error"].as_str()) {
            (Ok(eager), Ok(traced), None) => (eager, traced),
            (Err(_), Err(_), Some(_)) => continue,
            (eager, traced, error) => {
                wrong(format!("eager {:?}, traced {:?}, PyTorch {error:?}", eager.err(), traced.err()));
                continue;
            }
        };
        assert_all_same(&about(), &eager, &traced);
        let mut want: Vec<(&str, Tensor)> = Vec::new();
        for key in ["outputs", "grads"] {
            want.extend(case[key].as_array().into_iter().flatten().map(|v| (key, tensor(v))));
        }
        if want.len() != eager.len() {
            wrong(format!("{} results and gradients, wanted {}", eager.len(), want.len()));
            continue;
        }
        for (got, (key, want)) in eager.iter().zip(&want) {
            if KNOWN.iter().any(|(k, name, _)| k == key && *name == op) {
                continue;
            }
            // Near a zero of the function PyTorch's f32 loses digits too.
            let slack = if *key == "grads" || op == "gelu" || op == "logaddexp2" { 5.0 } else { 1.0 };
            if let Some(d) = differs(got, want, *key == "outputs" && !ZEROS.contains(&op), slack) {
                wrong(format!("{key} {d}"));
            }
        }
    }
    assert!(done > 0, "the file has no group {group}");
    assert!(failures.is_empty(), "{} failures in {done} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn nan_infinities_and_zeros() {
    check("special");
}

#[test]
fn tensors_without_elements() {
    check("empty");
}

#[test]
fn integers_wrap() {
    check("wrap");
}

#[test]
fn halves_round_once() {
    check("half");
}

/// Found by random graphs with a fresh seed: -5 as u8 is 251, whose absolute value is not 5.
#[test]
fn the_absolute_value_of_a_negated_u8_is_the_same_traced() {
    let f = |x: &Tensor| x.neg().abs();
    let x = Tensor::from_vec((0..=u8::MAX).collect::<Vec<u8>>(), &[256]);
    let (eager, traced) = (f(&x), trace(f).call(&x).unwrap());
    assert_all_same("abs(neg(x))", std::slice::from_ref(&eager), &[traced]);
    assert_eq!(eager.to_vec::<u8>()[5], 251);
}
