//! Runs the cases of one optimizer: parameters after every step and the state at the end, against PyTorch's and between the modes.

use crate::Outcome;
use crate::case::{Case, KEYWORD};
use crate::corpus::{self, Given, Sample};
use allotrope::optim::*;
use allotrope::prelude::*;
use allotrope::state;
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// All cases of a class.
pub fn run(folder: &Path, class: &str) -> Outcome {
    let read = |suffix: &str| std::fs::read(folder.join(format!("{class}.{suffix}"))).expect("the corpus is there");
    let cases: Vec<Value> = serde_json::from_slice(&read("json")).expect("cases");
    let bytes = read("safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("tensors");
    let tensors: BTreeMap<&str, Tensor> = file.iter().map(|(name, view)| (name, tensor(&view))).collect();
    let mut outcome = Outcome { class: class.to_string(), passed: 0, failed: Vec::new() };
    for case in &cases {
        match one(case, &tensors) {
            Ok(()) => outcome.passed += 1,
            Err(why) => outcome.failed.push(format!("{} {}: {why}", text(&case["id"]), text(&case["description"]))),
        }
    }
    outcome
}

fn tensor(view: &safetensors::tensor::TensorView<'_>) -> Tensor {
    let bytes = view.data().as_chunks().0;
    match view.dtype() {
        safetensors::Dtype::F32 => {
            Tensor::from_vec(bytes.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<f32>>(), view.shape())
        }
        other => panic!("a dtype that the format does not have: {other:?}"),
    }
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or("")
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map_or(&[], Vec::as_slice)
}

type Tensors<'a> = BTreeMap<&'a str, Tensor>;

/// Elements of every tensor that a run shows, by what it is.
type Seen = Vec<(String, Vec<usize>, Vec<f32>)>;

fn seen(what: String, t: &Tensor) -> (String, Vec<usize>, Vec<f32>) {
    (what, t.shape().to_vec(), t.detach().to_vec())
}

fn one(case: &Value, tensors: &Tensors<'_>) -> Result<(), String> {
    let runs = [false, true].map(|traced| {
        let run =
            || if case["problem"].is_null() { steps(case, tensors, traced) } else { problem(case, tensors, traced) };
        run().map_err(|e| format!("{}: {e}", mode(traced)))
    });
    let [eager, traced] = runs;
    let (eager, traced) = (eager?, traced?);
    for ((what, _, a), (_, _, b)) in eager.iter().zip(&traced) {
        if a.iter().zip(b).any(|(a, b)| a.to_bits() != b.to_bits()) || a.len() != b.len() {
            return Err(format!("{what}: {a:?} eagerly, {b:?} traced"));
        }
    }
    if eager.len() != traced.len() { Err("the modes show different state".into()) } else { Ok(()) }
}

fn mode(traced: bool) -> &'static str {
    if traced { "traced" } else { "eager" }
}

/// The expected elements, within the corpus' tolerance.
fn close(got: &(String, Vec<usize>, Vec<f32>), want: &Tensor) -> Result<(), String> {
    let (what, shape, elements) = got;
    if shape != want.shape() {
        return Err(format!("{what} has shape {shape:?}, wanted {:?}", want.shape()));
    }
    for (i, (a, b)) in elements.iter().zip(want.to_vec::<f32>()).enumerate() {
        let (a, b) = (f64::from(*a), f64::from(b));
        if !((a - b).abs() <= 1e-5 + 1.3e-6 * b.abs() || a == b || (a.is_nan() && b.is_nan())) {
            return Err(format!("{what}, element {i}: {a:e}, wanted {b:e}"));
        }
    }
    Ok(())
}

fn sample(case: &Value) -> Sample {
    let kwargs = case["kwargs"].as_object().expect("keywords").iter();
    Sample::call(text(&case["optimizer"]), Vec::new(), kwargs.map(|(k, v)| (k.clone(), corpus::value(v))).collect())
}

fn steps(case: &Value, tensors: &Tensors<'_>, traced: bool) -> Result<Seen, String> {
    let own = |key: &Value| tensors[text(key)].copy();
    let parameters: Vec<Tensor> = list(&case["parameters"]).iter().map(|key| own(key).requires_grad()).collect();
    let sample = sample(case);
    let arguments = Case::new(&sample, tensors.iter().map(|(k, t)| (*k, t.clone())).collect());
    let opt = build(text(&case["optimizer"]), parameters.clone(), &arguments).map_err(|e| e.to_string())?;
    for ignored in ["foreach", "fused", "capturable", "differentiable"] {
        arguments.given(KEYWORD, ignored);
    }
    if let [first, ..] = arguments.unused()[..].as_ref() {
        return Err(format!("nobody reads {first}"));
    }
    let step = trace(|| opt.step());
    let mut all = Seen::new();
    for (i, given) in list(&case["steps"]).iter().enumerate() {
        for (p, key) in parameters.iter().zip(list(&given["grads"])) {
            p.set_grad((!key.is_null()).then(|| own(key)));
        }
        match traced {
            true => step.call(()).map_err(|e| e.to_string())?,
            false => opt.step(),
        }
        for (j, (p, key)) in parameters.iter().zip(list(&given["parameters"])).enumerate() {
            let now = seen(format!("step {i}, parameter {j}"), p);
            close(&now, &tensors[text(key)])?;
            all.push(now);
        }
    }
    let state = opt.state_dict();
    let state = state.get("state").ok_or("no state")?;
    let wanted = case["final_state"].as_object().expect("a final state");
    let entries = state.as_dict().ok_or("no state")?.len();
    if entries != wanted.len() {
        return Err(format!("state of {entries} parameters, wanted {}", wanted.len()));
    }
    for (number, wanted) in wanted {
        let entry = state.at(number.parse().expect("a number")).ok_or(format!("no state of parameter {number}"))?;
        let wanted = wanted.as_object().expect("state of a parameter");
        let names: Vec<&str> = entry.as_dict().ok_or("no names")?.iter().filter_map(|(k, _)| k.as_str()).collect();
        if names.len() != wanted.len() {
            return Err(format!("state {names:?} of parameter {number}, wanted {:?}", wanted.keys()));
        }
        for (name, key) in wanted {
            let t =
                entry.get(name).and_then(state::Value::as_tensor).ok_or(format!("no {name} of parameter {number}"))?;
            let now = seen(format!("{name} of parameter {number}"), t);
            close(&now, &tensors[text(key)])?;
            all.push(now);
        }
    }
    Ok(all)
}

/// How much the matrix of a problem is changed to see what rounding alone does, about an ulp of f32.
const NUDGE: f64 = 3e-7;

/// Least squares by a closure. Where the steps run away, as with `maximize`, PyTorch's own result depends on the processor's
/// instruction set; so to the tolerance come 20 times the spread that nudges of the matrix cause here, as in the golden files.
fn problem(case: &Value, tensors: &Tensors<'_>, traced: bool) -> Result<Seen, String> {
    let a = &tensors[text(&case["problem"]["A"])];
    let all = solved(case, tensors, a, traced)?;
    let nudges = [NUDGE, -NUDGE, 2.0 * NUDGE, -2.0 * NUDGE].map(|by| solved(case, tensors, &(a * (1.0 + by)), false));
    let nudged: Vec<Seen> = nudges.into_iter().collect::<Result<_, _>>()?;
    for (i, (now, given)) in all.iter().zip(list(&case["steps"])).enumerate() {
        let want = tensors[text(&given["parameters"][0])].to_vec::<f32>();
        for (j, (got, want)) in now.2.iter().zip(want).enumerate() {
            let off = |x: f32| (f64::from(x) - f64::from(*got)).abs();
            let spread = nudged.iter().map(|run| off(run[i].2[j])).fold(0.0, f64::max);
            // A NaN is as far off as can be.
            let within = off(want) <= 1e-5 + 1.3e-6 * f64::from(want.abs()) + 20.0 * spread;
            if !within {
                return Err(format!("{}, element {j}: {got:e}, wanted {want:e}, spread {spread:e}", now.0));
            }
        }
    }
    Ok(all)
}

/// The parameters after each step.
fn solved(case: &Value, tensors: &Tensors<'_>, a: &Tensor, traced: bool) -> Result<Seen, String> {
    let b = &tensors[text(&case["problem"]["b"])];
    let w = Tensor::zeros(&[3], DType::F32).requires_grad();
    let sample = sample(case);
    let arguments = Case::new(&sample, Vec::new());
    let opt = build(text(&case["optimizer"]), vec![w.clone()], &arguments).map_err(|e| e.to_string())?;
    if let [first, ..] = arguments.unused()[..].as_ref() {
        return Err(format!("nobody reads {first}"));
    }
    let closure = || {
        opt.zero_grad();
        let loss = (a.matmul(&w) - b).square().mean();
        loss.backward();
        loss.detach()
    };
    let compiled = trace(closure);
    let mut all = Seen::new();
    for i in 0..list(&case["steps"]).len() {
        match traced {
            true => opt.step_with(&mut || compiled.call(()).expect("the closure is traced")),
            false => opt.step_with(&mut || closure()),
        };
        all.push(seen(format!("step {i}"), &w));
    }
    Ok(all)
}

/// A number, which PyTorch also takes as a tensor.
fn number(c: &Case<'_>, name: &str, default: f64) -> allotrope::Result<f64> {
    match c.given(KEYWORD, name) {
        Some(Given::Tensor(_)) => Ok(f64::from(c.tensor(KEYWORD, name)?.to(DType::F32).item::<f32>())),
        _ => c.float_or(KEYWORD, name, default),
    }
}

fn pair(c: &Case<'_>, name: &str, default: (f64, f64)) -> allotrope::Result<(f64, f64)> {
    let float = |v: &Given| match v {
        Given::Float(x) => *x,
        Given::Int(n) => *n as f64,
        other => panic!("{name} has {other}"),
    };
    Ok(match c.given(KEYWORD, name) {
        Some(Given::List(two)) => (float(&two[0]), float(&two[1])),
        _ => default,
    })
}

type Built = allotrope::Result<Box<dyn Optimizer>>;

fn boxed<R: Rule>(parameters: Vec<Tensor>, c: &Case<'_>, options: R::Options) -> Built {
    let lr = number(c, "lr", R::DEFAULT_LR)?;
    Ok(Box::new(ByRule::<R>::try_with_options(parameters, lr, options)?))
}

/// The optimizer of PyTorch's name with a case's arguments.
pub fn build(name: &str, p: Vec<Tensor>, c: &Case<'_>) -> Built {
    let f = |name: &str, default: f64| number(c, name, default);
    let b = |name: &str| c.bool_or(KEYWORD, name, false);
    let betas = || pair(c, "betas", (0.9, 0.999));
    match name {
        "SGD" => boxed::<SgdRule>(
            p,
            c,
            SgdOptions {
                momentum: f("momentum", 0.0)?,
                dampening: f("dampening", 0.0)?,
                weight_decay: f("weight_decay", 0.0)?,
                nesterov: b("nesterov")?,
                maximize: b("maximize")?,
            },
        ),
        "Adagrad" => boxed::<AdagradRule>(
            p,
            c,
            AdagradOptions {
                lr_decay: f("lr_decay", 0.0)?,
                weight_decay: f("weight_decay", 0.0)?,
                initial_accumulator_value: f("initial_accumulator_value", 0.0)?,
                eps: f("eps", 1e-10)?,
                maximize: b("maximize")?,
            },
        ),
        "RMSprop" => boxed::<RmsPropRule>(
            p,
            c,
            RmsPropOptions {
                alpha: f("alpha", 0.99)?,
                eps: f("eps", 1e-8)?,
                weight_decay: f("weight_decay", 0.0)?,
                momentum: f("momentum", 0.0)?,
                centered: b("centered")?,
                maximize: b("maximize")?,
            },
        ),
        "Adam" => boxed::<AdamRule>(
            p,
            c,
            AdamOptions {
                betas: betas()?,
                eps: f("eps", 1e-8)?,
                weight_decay: f("weight_decay", 0.0)?,
                amsgrad: b("amsgrad")?,
                maximize: b("maximize")?,
                decoupled_weight_decay: b("decoupled_weight_decay")?,
            },
        ),
        "AdamW" => boxed::<AdamWRule>(
            p,
            c,
            AdamWOptions {
                betas: betas()?,
                eps: f("eps", 1e-8)?,
                weight_decay: f("weight_decay", 0.01)?,
                amsgrad: b("amsgrad")?,
                maximize: b("maximize")?,
            },
        ),
        "Adadelta" => boxed::<AdadeltaRule>(
            p,
            c,
            AdadeltaOptions {
                rho: f("rho", 0.9)?,
                eps: f("eps", 1e-6)?,
                weight_decay: f("weight_decay", 0.0)?,
                maximize: b("maximize")?,
            },
        ),
        "NAdam" => boxed::<NAdamRule>(
            p,
            c,
            NAdamOptions {
                betas: betas()?,
                eps: f("eps", 1e-8)?,
                weight_decay: f("weight_decay", 0.0)?,
                momentum_decay: f("momentum_decay", 4e-3)?,
                decoupled_weight_decay: b("decoupled_weight_decay")?,
                maximize: b("maximize")?,
            },
        ),
        "RAdam" => boxed::<RAdamRule>(
            p,
            c,
            RAdamOptions {
                betas: betas()?,
                eps: f("eps", 1e-8)?,
                weight_decay: f("weight_decay", 0.0)?,
                decoupled_weight_decay: b("decoupled_weight_decay")?,
                maximize: b("maximize")?,
            },
        ),
        "Adamax" => boxed::<AdamaxRule>(
            p,
            c,
            AdamaxOptions {
                betas: betas()?,
                eps: f("eps", 1e-8)?,
                weight_decay: f("weight_decay", 0.0)?,
                maximize: b("maximize")?,
            },
        ),
        "ASGD" => boxed::<AsgdRule>(
            p,
            c,
            AsgdOptions {
                lambd: f("lambd", 1e-4)?,
                alpha: f("alpha", 0.75)?,
                t0: f("t0", 1e6)?,
                weight_decay: f("weight_decay", 0.0)?,
                maximize: b("maximize")?,
            },
        ),
        "Rprop" => boxed::<RpropRule>(
            p,
            c,
            RpropOptions {
                etas: pair(c, "etas", (0.5, 1.2))?,
                step_sizes: pair(c, "step_sizes", (1e-6, 50.0))?,
                maximize: b("maximize")?,
            },
        ),
        "LBFGS" => {
            let options = LbfgsOptions {
                max_iter: c.size_or(KEYWORD, "max_iter", 20)?,
                max_eval: c.size_opt(KEYWORD, "max_eval")?,
                tolerance_grad: f("tolerance_grad", 1e-7)?,
                tolerance_change: f("tolerance_change", 1e-9)?,
                history_size: c.size_or(KEYWORD, "history_size", 100)?,
                line_search_fn: c.str_opt(KEYWORD, "line_search_fn")?.map(|_| LineSearch::StrongWolfe),
                maximize: b("maximize")?,
            };
            Ok(Box::new(Lbfgs::try_with_options(p, number(c, "lr", Lbfgs::DEFAULT_LR)?, options)?))
        }
        other => panic!("nobody builds the optimizer {other}"),
    }
}
