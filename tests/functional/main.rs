//! `allotrope::functional` against PyTorch: values and gradients of `tests/data/functional.json`, eager and traced with equal
//! bits, also where the batch of a compiled function has another size. `tests/data/functional.py` writes the file.

mod cases;
mod convolution_cases;
mod convolutions;
mod shapes_of_losses;
mod symbolic;

use allotrope::Tensor;
use allotrope::ops::grad;
use allotrope::prelude::trace;
use serde_json::Value;

/// Numbers with a shape.
struct Given {
    shape: Vec<usize>,
    data: Vec<f64>,
    is_int: bool,
}

impl Given {
    fn read(v: &Value) -> Given {
        let list = |key: &str| v[key].as_array().expect("a list").clone();
        let number = |x: &Value| match x {
            Value::String(s) => s.parse().expect("inf or nan"),
            x => x.as_f64().expect("a number"),
        };
        Given {
            shape: list("shape").iter().map(|n| n.as_u64().expect("a size") as usize).collect(),
            data: list("data").iter().map(number).collect(),
            is_int: v["int"].as_bool().unwrap_or(false),
        }
    }

    fn tensor(&self) -> Tensor {
        match self.is_int {
            true => Tensor::from_vec(self.data.iter().map(|&x| x as i64).collect(), &self.shape),
            false => Tensor::from_vec(self.data.iter().map(|&x| x as f32).collect(), &self.shape),
        }
    }

    /// What differs, if anything.
    fn differs(&self, got: &Tensor, what: &str, rtol: f64, atol: f64) -> Option<String> {
        let values: Vec<f64> = match self.is_int {
            true => got.to_vec::<i64>().into_iter().map(|x| x as f64).collect(),
            false => got.to_vec::<f32>().into_iter().map(f64::from).collect(),
        };
        if got.shape() != self.shape {
            return Some(format!("{what}: shape {:?}, wanted {:?}", got.shape(), self.shape));
        }
        let near = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= atol + rtol * b.abs();
        let at = values.iter().zip(&self.data).position(|(&a, &b)| !near(a, b))?;
        Some(format!("{what}[{at}]: {}, wanted {}", values[at], self.data[at]))
    }
}

/// What the gradients are those of.
fn weights(out: &Tensor) -> Tensor {
    let i = Tensor::arange(out.numel());
    let turn = &(&i * 7.0) - &(&(&(&i * 7.0) / 11.0).to(allotrope::DType::I64).to(allotrope::DType::F32) * 11.0);
    (&(&turn / 4.0) - 1.25).to(out.dtype()).reshape(&out.shape().iter().map(|&n| n as isize).collect::<Vec<_>>())
}

type Call = fn(&[Tensor]) -> allotrope::Result<Vec<Tensor>>;

/// Outputs, then the gradients of the inputs that are wanted.
fn run(call: Call, inputs: &[Tensor], wanted: &[usize]) -> allotrope::Result<Vec<Tensor>> {
    let mut results = call(inputs)?;
    let floats: Vec<Tensor> =
        results.iter().filter(|t| t.is_requires_grad()).map(|t| (t * &weights(t)).sum()).collect();
    let wanted: Vec<&Tensor> = wanted.iter().map(|&i| &inputs[i]).collect();
    if !wanted.is_empty() {
        let grads = grad(&floats.iter().collect::<Vec<_>>(), &wanted, false)?;
        results.extend(grads.into_iter().map(|g| g.expect("every input is used")));
    }
    Ok(results.iter().map(Tensor::detach).collect())
}

fn bits(t: &Tensor) -> Vec<u64> {
    match t.dtype() {
        allotrope::DType::I64 => t.to_vec::<i64>().into_iter().map(|x| x as u64).collect(),
        _ => {
            t.to_vec::<f32>().into_iter().map(|x| if x.is_nan() { u64::MAX } else { u64::from(x.to_bits()) }).collect()
        }
    }
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
    let eager = match run(call, &tensors(), &wanted) {
        Ok(results) => results,
        Err(e) => return vec![format!("eager: {e}")],
    };
    let mut wrong = Vec::new();
    let given_grads = grads.iter().flatten();
    for (i, (want, got)) in outputs.iter().zip(&eager).enumerate() {
        wrong.extend(want.differs(got, &format!("output {i}"), 3e-6, 1e-5));
    }
    for ((want, got), i) in given_grads.zip(&eager[outputs.len()..]).zip(&wanted) {
        wrong.extend(want.differs(got, &format!("gradient {i}"), 1e-4, 1e-4));
    }
    let traced = trace(|inputs: &[Tensor]| run(call, inputs, &wanted).expect("as eagerly"));
    match traced.call(&tensors()[..]) {
        Err(e) => wrong.push(format!("traced: {e}")),
        Ok(results) => {
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
    let text = include_str!("../data/functional.json");
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
    assert!(only.is_some() || calls.len() == data.len(), "a call without data");
}
