//! Values, first and second derivatives at odd points (0, -0, ties, infinities, NaN), against what PyTorch 2.15 gives in
//! f64: `tests/data/odd_points.json`. The gradient that is sent back is 0.5, 0.75, 1, …; the weights of the second
//! derivative are 1, 0.7, 0.4, ….

use allotrope::functional as f;
use allotrope::ops::{grad, pow};
use allotrope::{Result, Tensor};
use serde_json::Value;

/// The call that a name means; what stands behind a colon are its numbers.
fn call(name: &str, xs: &[Tensor]) -> Result<Tensor> {
    let mut parts = name.split(':');
    let name = parts.next().expect("a name");
    let numbers: Vec<f64> = parts.map(|p| p.parse().expect("a number")).collect();
    let number = |i: usize| numbers[i];
    let x = &xs[0];
    macro_rules! methods {
        (one: $($one:ident)*; two: $($two:ident)*; $($name:literal => $call:expr,)*) => {
            match name {
                $(stringify!($one) => x.$one(),)*
                $(stringify!($two) => x.$two(&xs[1]),)*
                $($name => $call,)*
                _ => panic!("no call for {name}"),
            }
        };
    }
    Ok(methods! {
        one: abs neg sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh
            asinh acosh atanh erf erfc square deg2rad frac floor ceil round trunc sign sigmoid logit sinc relu relu6 selu
            gelu gelu_tanh silu mish hardsigmoid hardswish tanhshrink softsign logsigmoid max min prod sum mean std;
        two: atan2 hypot maximum minimum logaddexp logaddexp2 xlogy fmod remainder copysign div mul sub div_floor
            div_trunc prelu;
        "pow" => if xs.len() == 2 { x.pow(&xs[1]) } else { x.pow(number(0)) },
        "rpow" => pow(number(0), x),
        "logit_eps" => x.logit_eps(number(0)),
        "clamp" => if xs.len() == 3 { x.clamp(&xs[1], &xs[2]) } else { x.clamp(number(0), number(1)) },
        "clamp_min" => if xs.len() == 2 { x.clamp_min(&xs[1]) } else { x.clamp_min(number(0)) },
        "clamp_max" => if xs.len() == 2 { x.clamp_max(&xs[1]) } else { x.clamp_max(number(0)) },
        "nan_to_num" => x.nan_to_num(None, None, None),
        "elu" => x.elu(numbers.first().copied().unwrap_or(1.0)),
        "celu" => f::celu(x, 1.0),
        "leaky_relu" => f::leaky_relu(x, 0.01),
        "hardtanh" => x.hardtanh(-1.0, 1.0),
        "hardshrink" => x.hardshrink(0.5),
        "softshrink" => x.softshrink(0.5),
        "softplus" => x.softplus(1.0, 20.0),
        "threshold" => x.threshold(number(0), number(1)),
        "amax" => x.amax(&[], false),
        "amin" => x.amin(&[], false),
        "max_dim" => x.max_dim(0, false).0,
        "logsumexp" => x.logsumexp(&[0], false),
        "var" => x.var_dim(&[], numbers.first().copied().unwrap_or(1.0), false),
        "softmax" => x.softmax(0),
        "log_softmax" => x.log_softmax(0),
        "softmin" => x.softmin(0),
        "cumsum" => x.cumsum(0),
        "cumprod" => x.cumprod(0),
        "cummax" => x.cummax(0).0,
        "cummin" => x.cummin(0).0,
        "logcumsumexp" => x.logcumsumexp(0),
        "sort" => x.sort(0, true).0,
        "topk" => x.topk(1, 0, true).0,
        "kthvalue" => x.kthvalue(1, 0, false).0,
        "norm" => x.norm_dim(number(0), &[], false),
        "lerp" => if xs.len() == 3 { x.lerp(&xs[1], &xs[2]) } else { x.lerp(&xs[1], number(0)) },
        "addcmul" => x.addcmul(&xs[1], &xs[2], 2.5),
        "addcdiv" => x.addcdiv(&xs[1], &xs[2], 2.5),
        "glu" => x.glu(0),
    })
}

fn floats(v: &Value) -> Vec<f64> {
    let float = |v: &Value| v.as_f64().unwrap_or_else(|| v.as_str().expect("a number").parse().expect("a number"));
    v.as_array().expect("a list").iter().map(float).collect()
}

/// What differs between two lists, NaN being equal to NaN.
fn difference(got: &[f64], want: &[f64]) -> Option<String> {
    let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7 + 1e-7 * b.abs();
    match got.len() == want.len() && got.iter().zip(want).all(|(a, b)| close(*a, *b)) {
        true => None,
        false => Some(format!("got {got:?}, wanted {want:?}")),
    }
}

/// Weights `first`, `first + step`, … in the shape of `like`.
fn ramp(like: &Tensor, first: f64, step: f64) -> Tensor {
    Tensor::from_vec((0..like.numel()).map(|i| first + step * i as f64).collect(), like.shape())
}

fn check(case: &Value) -> Result<Option<String>> {
    let name = case["op"].as_str().expect("a name");
    let leaves: Vec<Tensor> = case["in"]
        .as_array()
        .expect("inputs")
        .iter()
        .map(floats)
        .map(|x| {
            let n = x.len();
            Tensor::from_vec(x, &[n]).requires_grad()
        })
        .collect();
    let inputs: Vec<&Tensor> = leaves.iter().collect();
    let y = call(name, &leaves)?;
    if let Some(what) = difference(&y.detach().reshape(&[-1]).to_vec::<f64>(), &floats(&case["out"])) {
        return Ok(Some(format!("value: {what}")));
    }
    let total = y.mul(&ramp(&y, 0.5, 0.25)).sum();
    let first = grad(&[&total], &inputs, true)?;
    let mut weighed: Option<Tensor> = None;
    for (i, (g, want)) in first.iter().zip(case["grad"].as_array().expect("gradients")).enumerate() {
        let want = if want.is_null() { vec![0.0; leaves[i].numel()] } else { floats(want) };
        let got = g.as_ref().map_or_else(|| vec![0.0; want.len()], |g| g.detach().to_vec::<f64>());
        if let Some(what) = difference(&got, &want) {
            return Ok(Some(format!("gradient {i}: {what}")));
        }
        if let Some(g) = g {
            let part = g.mul(&ramp(g, 1.0, -0.3)).sum();
            weighed = Some(weighed.map_or_else(|| part.clone(), |sum| sum + &part));
        }
    }
    let Some(second) = case.get("second").and_then(Value::as_array) else { return Ok(None) };
    let found = match weighed.filter(Tensor::is_requires_grad) {
        Some(weighed) => grad(&[&weighed], &inputs, false)?,
        None => vec![None; inputs.len()],
    };
    for (i, (h, want)) in found.iter().zip(second).enumerate() {
        let want = floats(want);
        let got = h.as_ref().map_or_else(|| vec![0.0; want.len()], |h| h.to_vec::<f64>());
        if let Some(what) = difference(&got, &want) {
            return Ok(Some(format!("second derivative {i}: {what}")));
        }
    }
    Ok(None)
}

#[test]
fn derivatives_at_odd_points_are_those_of_pytorch() {
    let text = include_str!("data/odd_points.json");
    let cases: Value = serde_json::from_str(text).expect("odd_points.json");
    let cases = cases.as_array().expect("a list");
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let what = check(case).unwrap_or_else(|e| Some(e.to_string()))?;
            Some(format!("{} of {}: {what}", case["op"], case["in"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
