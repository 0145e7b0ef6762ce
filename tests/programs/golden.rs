//! The programs that PyTorch ran (`tests/data/golden`, and every other seed in `../shared/golden` where that is there),
//! eager and traced, within the tolerances that the files state.

use crate::common::{SinToCos, assert_all_same, assert_same, copy, numbers, seeded};
use allotrope::prelude::*;
use allotrope::tensor::random::default_generator;
use serde_json::Value;
use std::f64::consts::PI;
use std::path::{Path, PathBuf};

/// The files of a program, one for each seed.
pub fn files(program: &str) -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = |dir: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(dir) else {
            eprintln!("golden: {} is not there, only the committed copies are tested", dir.display());
            return Vec::new();
        };
        let name = |p: &PathBuf| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = |p: &PathBuf| name(p).starts_with(&format!("{program}.seed")) && name(p).ends_with(".json");
        entries.filter_map(|e| Some(e.ok()?.path())).filter(wanted).collect()
    };
    let mut paths = list(&root.join("tests/data/golden"));
    assert!(!paths.is_empty(), "a committed copy of {program}");
    // The seeds that are committed are there too.
    let known: Vec<_> = paths.iter().filter_map(|p| p.file_name().map(ToOwned::to_owned)).collect();
    let others = list(&root.join("../shared/golden"));
    paths.extend(others.into_iter().filter(|p| !known.iter().any(|name| p.ends_with(name))));
    paths.into_iter().map(|p| (p.clone(), serde_json::from_slice(&std::fs::read(p).unwrap()).unwrap())).collect()
}

pub fn list(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(list).collect(),
        v => vec![v.as_f64().unwrap_or_else(|| panic!("a number, got {v}"))],
    }
}

#[track_caller]
pub fn assert_close(what: &str, got: &[f64], want: &[f64], tolerance: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), want.len(), "{what}: as many numbers");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let off = (g - w).abs() / w.abs().max(1e-12);
        assert!(
            off <= tolerance(i),
            "{what}, number {i}: {g} where PyTorch has {w}: off by {off:e}, may be {:e}",
            tolerance(i)
        );
    }
}

/// Points of a stretch of half-turns: x = sin, y = cos, as NumPy computes them in float32.
fn stretch(at: u64, span: u64) -> (Tensor, Tensor) {
    let n = 10 * span as usize;
    let (from, to) = (at as f64 * PI, (at + span) as f64 * PI);
    let step = (to - from) / (n - 1) as f64;
    let points: Vec<f32> =
        (0..n).map(|i| if i == n - 1 { to as f32 } else { (i as f64 * step + from) as f32 }).collect();
    let of = |f: fn(f64) -> f64| Tensor::from_vec(points.iter().map(|&p| f(f64::from(p)) as f32).collect(), &[1, n, 1]);
    (of(f64::sin), of(f64::cos))
}

pub struct Run {
    pub losses: Vec<f64>,
    pub last: Tensor,
    pub parameters: Vec<Tensor>,
    pub moments: Vec<Tensor>,
    pub compilations: usize,
}

pub fn recurrent(seed: u64, spans: &[u64], traced: bool) -> Run {
    let model = SinToCos::new(seed, 32);
    let opt = optim::Adam::new(model.parameters(), 0.02);
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (prediction, h) = model.forward(x, h);
        let loss = mse_loss(&prediction, y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        (loss.detach(), prediction.detach(), h.detach())
    };
    let compiled = trace(step);
    let mut h = Tensor::zeros(&[1, 1, 32], DType::F32);
    let mut last = h.clone();
    let mut losses = Vec::new();
    let mut at = 0;
    for &span in spans {
        let (x, y) = stretch(at, span);
        at += span;
        let loss;
        (loss, last, h) = if traced { compiled.call((&x, &y, &h)).unwrap() } else { step(&x, &y, &h) };
        losses.push(f64::from(loss.item::<f32>()));
    }
    let compilations = compiled.compilations();
    drop(compiled);
    let moments = opt.state().into_iter().map(|(_, t)| copy(&t)).collect();
    Run { losses, last, parameters: model.parameters().iter().map(copy).collect(), moments, compilations }
}

fn recurrent_program(program: &str) {
    for (path, golden) in files(program) {
        let spans: Vec<u64> = list(&golden["inputs"]["spans"]).iter().map(|&s| s as u64).collect();
        let seed = golden["seed"].as_u64().unwrap();
        let tolerances = list(&golden["rtol_by_step"]);
        let eager = recurrent(seed, &spans, false);
        let traced = recurrent(seed, &spans, true);
        for (mode, run) in [("eager", &eager), ("traced", &traced)] {
            let what = format!("{}, {mode}", path.display());
            assert_close(&what, &run.losses, &list(&golden["losses"]), |i| tolerances[i]);
            // The last prediction hangs on the same parameters as the last loss; near 0 its size is that of a cosine.
            let (got, want) = (numbers(&run.last), list(&golden["last_prediction"]));
            assert_eq!(got.len(), want.len());
            let may = tolerances.last().unwrap();
            let off = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
            assert!(off <= *may, "{what}: the last prediction is off by {off:e}, may be {may:e}");
        }
        assert_eq!(eager.losses, traced.losses, "{}", path.display());
        assert_same("last prediction", &eager.last, &traced.last);
        assert_all_same("parameters", &eager.parameters, &traced.parameters);
        assert_all_same("moments", &eager.moments, &traced.moments);
        assert_eq!(traced.compilations, 1, "one program for every length");
    }
}

#[test]
fn rnn_fixed() {
    recurrent_program("rnn_fixed");
}

#[test]
fn rnn_dynamic() {
    recurrent_program("rnn_dynamic");
}

#[test]
pub fn no_hidden_state_is_zeros() {
    let model = SinToCos::new(1, 32);
    let (x, _) = stretch(0, 1);
    let zeros = model.rnn.forward(&x, &Tensor::zeros(&[1, 1, 32], DType::F32));
    let none = model.rnn.forward(&x, None);
    assert_all_same("eager", &[zeros.0.clone(), zeros.1.clone()], &[none.0, none.1]);
    let traced = trace(|x: &Tensor| model.rnn.forward(x, None)).call(&x).unwrap();
    assert_all_same("traced", &[zeros.0, zeros.1], &[traced.0, traced.1]);
}

const T_C: [f32; 11] = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0];
const T_U: [f32; 11] = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4];

fn loss_of(p: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
    let (w, b) = (p.select(0, 0), p.select(0, 1));
    (w * x + b - y).pow(2).mean()
}

fn start() -> Tensor {
    Tensor::from_vec(vec![1.0f32, 0.0], &[2]).requires_grad()
}

fn thermometer(scale: f64) -> (Tensor, Tensor) {
    (Tensor::from_vec(T_U.to_vec(), &[11]) * scale, Tensor::from_vec(T_C.to_vec(), &[11]))
}

/// Descent on `p` where it is, under `no_grad`.
pub fn in_place(steps: usize, traced: bool) -> (Vec<f32>, Tensor) {
    let (x, y) = thermometer(0.1);
    let p = start();
    let step = |x: &Tensor, y: &Tensor| {
        p.set_grad(None);
        let loss = loss_of(&p, x, y);
        loss.backward();
        no_grad(|| p.sub_(&(p.grad().unwrap() * 1e-2)));
        loss.detach()
    };
    let compiled = trace(step);
    let one = |_| if traced { compiled.call((&x, &y)).unwrap() } else { step(&x, &y) };
    let losses = (0..steps).map(one).map(|l| l.item::<f32>()).collect();
    (losses, p.detach())
}

/// Descent that makes a new `p` each time, as the program does.
pub fn carried(steps: usize, traced: bool) -> (Vec<f32>, Tensor) {
    let (x, y) = thermometer(0.1);
    let step = |p: &Tensor, x: &Tensor, y: &Tensor| {
        let loss = loss_of(p, x, y);
        loss.backward();
        let next = (p - p.grad().unwrap() * 1e-2).detach();
        (loss.detach(), next)
    };
    let compiled = trace(step);
    let mut p = start();
    let mut losses = Vec::new();
    for _ in 0..steps {
        let (loss, next) = if traced { compiled.call((&p, &x, &y)).unwrap() } else { step(&p, &x, &y) };
        losses.push(loss.item::<f32>());
        p = next.requires_grad();
    }
    assert!(!traced || compiled.compilations() == 1);
    (losses, p.detach())
}

#[test]
fn linear_regression() {
    let runs = [in_place(5000, false), in_place(5000, true), carried(5000, false), carried(5000, true)];
    for run in &runs[1..] {
        assert_eq!(run.0, runs[0].0, "all forms give one curve");
        assert_same("parameters", &run.1, &runs[0].1);
    }
    for (path, golden) in files("linear_regression") {
        let tolerances = list(&golden["rtol_by_step"]);
        let kept: Vec<f64> = list(&golden["epochs"]).iter().map(|&e| f64::from(runs[0].0[e as usize])).collect();
        let what = path.display().to_string();
        assert_close(&what, &kept, &list(&golden["losses"]), |i| tolerances[i]);
        let largest = tolerances.iter().fold(0.0f64, |a, &b| a.max(b));
        assert_close(&what, &numbers(&runs[0].1), &list(&golden["params"]), |_| largest);
    }
}

#[test]
pub fn one_step_of_descent() {
    let before_after = |x: &Tensor, y: &Tensor, lr: f64| {
        let (w, b) = (Tensor::scalar(1.0f32), Tensor::scalar(0.0f32));
        let tp = &w * x + &b;
        let before = (y - &tp).pow(2).mean();
        let dw = (2.0 * (&tp - y) * x).mean();
        let db = (2.0 * (&tp - y)).mean();
        let after = ((&w - lr * dw) * x + (&b - lr * db) - y).pow(2).mean();
        (before, after)
    };
    for (path, golden) in files("linear_regression") {
        let settings = [(1.0, 1e-2), (1.0, 1e-4), (0.1, 1e-2)];
        for ((scale, lr), want) in settings.into_iter().zip(golden["one_step_before_after"].as_array().unwrap()) {
            let (x, y) = thermometer(scale);
            let eager = before_after(&x, &y, lr);
            let traced = trace(|x: &Tensor, y: &Tensor| before_after(x, y, lr)).call((&x, &y)).unwrap();
            assert_same("before", &eager.0, &traced.0);
            assert_same("after", &eager.1, &traced.1);
            let got: Vec<f64> = [eager.0, eager.1].iter().map(|t| f64::from(t.item::<f32>())).collect();
            assert_close(&path.display().to_string(), &got, &list(want), |_| 2e-5);
            // The same by autograd.
            let p = start();
            let first = loss_of(&p, &x, &y);
            first.backward();
            no_grad(|| p.sub_(&(p.grad().unwrap() * lr)));
            let second = loss_of(&p, &x, &y);
            let got: Vec<f64> = [first, second].iter().map(|t| f64::from(t.item::<f32>())).collect();
            assert_close(&path.display().to_string(), &got, &list(want), |_| 2e-5);
        }
    }
}

#[test]
pub fn rng_streams() {
    for (path, golden) in files("rng_streams") {
        let seed = golden["seed"].as_u64().unwrap();
        let streams = &golden["streams"];
        let close = |name: &str, t: &Tensor| {
            assert_close(&format!("{}: {name}", path.display()), &numbers(t), &list(&streams[name]), |_| 1e-6);
        };
        let equal = |name: &str, t: &Tensor| assert_eq!(numbers(t), list(&streams[name]), "{}: {name}", path.display());
        let _drawing = seeded(seed);
        close("rand_5", &rand(&[5]));
        close("randn_5", &randn(&[5]));
        close("randn_20", &randn(&[20]));
        equal("randint_0_100_8", &randint(0, 100, &[8]));
        equal("randperm_12", &randperm(12));
        close("rand_after", &rand(&[3]));
        close("randn_double_4", &default_generator().randn(&[4], DType::F64));
        manual_seed(seed);
        let layer = nn::Linear::new(3, 2);
        close("linear_3_2_weight", &layer.weight);
        close("linear_3_2_bias", layer.bias.as_ref().unwrap());
        // The same draws in double: half the stream's resolution is shared, so only range and number are checked.
        manual_seed(seed);
        let doubles = default_generator().rand(&[1000], DType::F64).to_vec::<f64>();
        assert!(doubles.iter().all(|x| (0.0..1.0).contains(x)));
        manual_seed(seed);
        assert_eq!(doubles, default_generator().rand(&[1000], DType::F64).to_vec::<f64>());
    }
}
