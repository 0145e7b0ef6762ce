//! Order statistics, counts, searches, scattered reductions, gamma functions, decompositions and Fourier transforms against PyTorch:
//! values and gradients of `tests/data/more_operators.json`, eager and traced with equal bits; what only runs eagerly is refused in a
//! trace, with the place in the program. `tests/data/more_operators.py` writes the file.

mod cases;
mod errors;
mod exact;
mod steps;

use allotrope::ops::grad;
use allotrope::prelude::trace;
use allotrope::{DType, Tensor};
use serde_json::Value;

/// Numbers with a dtype and a shape.
struct Given {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Given {
    fn read(v: &Value) -> Given {
        let list = |key: &str| v[key].as_array().expect("a list").clone();
        let number = |x: &Value| match x {
            Value::String(s) => s.parse().expect("inf or nan"),
            Value::Bool(b) => f64::from(u8::from(*b)),
            x => x.as_f64().expect("a number"),
        };
        let dtype = match v["dtype"].as_str().expect("a dtype") {
            "f16" => DType::F16,
            "bf16" => DType::BF16,
            "f32" => DType::F32,
            "f64" => DType::F64,
            "i64" => DType::I64,
            "i32" => DType::I32,
            "u8" => DType::U8,
            "bool" => DType::Bool,
            other => panic!("no dtype {other}"),
        };
        Given {
            dtype,
            shape: list("shape").iter().map(|n| n.as_u64().expect("a size") as usize).collect(),
            data: list("data").iter().map(number).collect(),
        }
    }

    fn tensor(&self) -> Tensor {
        Tensor::from_vec(self.data.clone(), &self.shape).to(self.dtype)
    }

    /// What differs, if anything.
    fn differs(&self, got: &Tensor, what: &str, tol: f64) -> Option<String> {
        if got.shape() != self.shape || got.dtype() != self.dtype {
            let (dtype, shape) = (got.dtype(), got.shape());
            return Some(format!("{what}: {dtype}{shape:?}, wanted {}{:?}", self.dtype, self.shape));
        }
        let values = got.to(DType::F64).to_vec::<f64>();
        let near = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tol + tol * b.abs();
        let at = values.iter().zip(&self.data).position(|(&a, &b)| !near(a, b))?;
        Some(format!("{what}[{at}]: {}, wanted {}", values[at], self.data[at]))
    }
}

/// What the gradients are those of.
fn weights(out: &Tensor) -> Tensor {
    let numbers = (0..out.numel()).map(|i| (i * 7 % 11) as f64 / 4.0 - 1.25).collect();
    Tensor::from_vec(numbers, out.shape()).to(out.dtype())
}

type Call = fn(&[Tensor]) -> allotrope::Result<Vec<Tensor>>;

/// Outputs, then the gradients of the inputs that are wanted. The weights are given, as they are data.
fn run(call: Call, inputs: &[Tensor], wanted: &[usize], weights: &[Tensor]) -> allotrope::Result<Vec<Tensor>> {
    let mut results = call(inputs)?;
    let floats: Vec<Tensor> = (results.iter().zip(weights))
        .filter(|(t, _)| t.dtype().is_float() && t.is_requires_grad())
        .map(|(t, w)| (t * w).sum())
        .collect();
    if !wanted.is_empty() {
        let wanted: Vec<&Tensor> = wanted.iter().map(|&i| &inputs[i]).collect();
        let grads = grad(&floats.iter().collect::<Vec<_>>(), &wanted, false)?;
        results.extend(grads.into_iter().map(|g| g.expect("every input is used")));
    }
    Ok(results.iter().map(Tensor::detach).collect())
}

fn bits(t: &Tensor) -> Vec<u64> {
    let wide = t.to(DType::F64).to_vec::<f64>();
    wide.into_iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect()
}

/// One case in both modes; what is wrong with it.
fn check(case: &Value, call: Call) -> Vec<String> {
    let list = |key: &str| -> Vec<Value> { case[key].as_array().expect("a list").clone() };
    let inputs: Vec<Given> = list("inputs").iter().map(Given::read).collect();
    let outputs: Vec<Given> = list("outputs").iter().map(Given::read).collect();
    let grads: Vec<Option<Given>> = list("grads").iter().map(|g| (!g.is_null()).then(|| Given::read(g))).collect();
    let wanted: Vec<usize> = (0..grads.len()).filter(|&i| grads[i].is_some()).collect();
    let tensors = || -> Vec<Tensor> {
        let make = |(i, g): (usize, &Given)| {
            let t = g.tensor();
            if wanted.contains(&i) { t.requires_grad() } else { t }
        };
        inputs.iter().enumerate().map(make).collect()
    };
    let tol = case["tol"].as_f64().expect("a number");
    let weights: Vec<Tensor> = outputs.iter().map(|o| weights(&Tensor::zeros(&o.shape, o.dtype))).collect();
    let eager = match run(call, &tensors(), &wanted, &weights) {
        Ok(results) => results,
        Err(e) => return vec![format!("eager: {e}")],
    };
    let mut wrong = Vec::new();
    if eager.len() < outputs.len() {
        return vec![format!("{} results", eager.len())];
    }
    for (i, (want, got)) in outputs.iter().zip(&eager).enumerate() {
        wrong.extend(want.differs(got, &format!("output {i}"), tol));
    }
    for ((want, got), i) in grads.iter().flatten().zip(&eager[outputs.len()..]).zip(&wanted) {
        wrong.extend(want.differs(got, &format!("gradient {i}"), tol * 10.0));
    }
    let traced = trace(|inputs: &[Tensor]| run(call, inputs, &wanted, &weights).unwrap_or_else(|e| panic!("{e}")));
    match (traced.call(&tensors()[..]), case["eager"].as_bool() == Some(true)) {
        (Err(e), true) if e.to_string().contains("trace") && e.to_string().contains("cases.rs") => {}
        (Err(e), true) => wrong.push(format!("the error in a trace names no place: {e}")),
        (Ok(_), true) => wrong.push("a trace ran what is eager only".to_string()),
        (Err(e), false) => wrong.push(format!("traced: {e}")),
        (Ok(results), false) => {
            for (i, (a, b)) in results.iter().zip(&eager).enumerate() {
                if a.shape() != b.shape() || bits(a) != bits(b) {
                    wrong.push(format!("traced: result {i} differs in a bit"));
                }
            }
        }
    }
    wrong
}

#[test]
fn as_pytorch_and_equal_in_both_modes() {
    let text = include_str!("../data/more_operators.json");
    let data: Vec<Value> = serde_json::from_str(text).expect("the file is JSON");
    let calls = cases::calls();
    let only = std::env::var("ALLOTROPE_ONLY").ok();
    let mut wrong = Vec::new();
    for case in &data {
        let name = case["name"].as_str().expect("a name");
        if only.as_deref().is_some_and(|o| !name.contains(o)) {
            continue;
        }
        match calls.iter().find(|(n, _)| *n == name) {
            None => wrong.push(format!("{name}: nobody says how to call it")),
            Some((_, call)) => wrong.extend(check(case, *call).iter().map(|w| format!("{name}: {w}"))),
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(only.is_some() || calls.len() == data.len(), "{} calls, {} cases", calls.len(), data.len());
}
