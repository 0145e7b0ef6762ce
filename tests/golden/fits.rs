//! Fits of lines and curves: by hand, with a network, and with one that is saved and restored.

use crate::check::{By, Mode, Outcome, list, nudge, numbers};
use allotrope::io;
use allotrope::prelude::*;
use serde_json::Value;

const T_C: [f32; 11] = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0];
const T_U: [f32; 11] = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4];

/// The readings of both thermometers, the unknown one scaled.
fn thermometers(scale: f64) -> (Tensor, Tensor) {
    (Tensor::from_vec(T_U.to_vec(), &[11]) * scale, Tensor::from_vec(T_C.to_vec(), &[11]))
}

pub fn linear_regression(file: &Value, mode: Mode) -> Outcome {
    let (x, y) = thermometers(0.1);
    let step = |p: &Tensor| {
        let loss = (p.select(0, 0) * &x + p.select(0, 1) - &y).pow(2).mean();
        loss.backward();
        let next = (p - p.grad().expect("a gradient") * 1e-2).detach();
        (loss.detach(), next)
    };
    let traced = trace(step);
    let mut p = Tensor::from_vec(vec![1.0f32, 0.0], &[2]).requires_grad();
    nudge(&[p.clone()]);
    let mut all = Vec::new();
    for _ in 0..5000 {
        let (loss, next) = if mode == Mode::Traced { traced.call(&p).expect("the step runs") } else { step(&p) };
        all.push(f64::from(loss.item::<f32>()));
        p = next.requires_grad();
    }
    let losses = list(&file["epochs"]).iter().map(|epoch| all[*epoch as usize]).collect();
    let largest = list(&file["rtol_by_step"]).into_iter().fold(0.0, f64::max);
    let one_step = [(1.0, 1e-2), (1.0, 1e-4), (0.1, 1e-2)].map(|(scale, lr)| one_step(scale, lr, mode)).concat();
    Outcome { losses, left: vec![p.detach()], ..Outcome::default() }
        .number("params", numbers(&p), By::Relative(largest))
        .number("one_step_before_after", one_step, By::Relative(2e-5))
}

/// The loss before and after one step whose gradients are written out.
fn one_step(scale: f64, lr: f64, mode: Mode) -> Vec<f64> {
    let (x, y) = thermometers(scale);
    let step = |x: &Tensor, y: &Tensor| {
        let (w, b) = (Tensor::scalar(1.0f32), Tensor::scalar(0.0f32));
        let prediction = &w * x + &b;
        let before = (y - &prediction).pow(2).mean();
        let dw = (2.0 * (&prediction - y) * x).mean();
        let db = (2.0 * (&prediction - y)).mean();
        let after = ((&w - lr * dw) * x + (&b - lr * db) - y).pow(2).mean();
        (before, after)
    };
    let (before, after) = match mode {
        Mode::Eager => step(&x, &y),
        Mode::Traced => trace(step).call((&x, &y)).expect("the step runs"),
    };
    [before, after].map(|t| f64::from(t.item::<f32>())).to_vec()
}

/// A hidden layer and an output layer, under PyTorch's names.
#[derive(Module)]
pub struct Net {
    hidden: nn::Linear,
    output: nn::Linear,
}

impl Net {
    pub fn new(inputs: usize, hidden: usize, outputs: usize) -> Net {
        Net { hidden: nn::Linear::new(inputs, hidden), output: nn::Linear::new(hidden, outputs) }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.output.forward(&self.hidden.forward(x).relu())
    }
}

/// The losses of steps on one set of data.
pub fn train(
    mode: Mode,
    steps: usize,
    forward: impl Fn(&Tensor) -> Tensor,
    opt: &impl Optimizer,
    loss_of: impl Fn(&Tensor, &Tensor) -> Tensor,
    (x, y): (&Tensor, &Tensor),
) -> Vec<f64> {
    nudge(opt.parameters());
    let step = |x: &Tensor, y: &Tensor| {
        let loss = loss_of(&forward(x), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let traced = trace(step);
    let one = |_| match mode {
        Mode::Eager => step(x, y),
        Mode::Traced => traced.call((x, y)).expect("the step runs"),
    };
    (0..steps).map(one).map(|t| f64::from(t.item::<f32>())).collect()
}

pub fn regression(seed: u64, mode: Mode) -> Outcome {
    manual_seed(seed);
    let x = Tensor::linspace(-1.0, 1.0, 100).unsqueeze(1);
    let y = x.pow(2) + 0.1 * randn(&[100, 1]);
    let net = Net::new(1, 10, 1);
    let opt = optim::Sgd::new(net.parameters(), 0.2);
    let losses = train(mode, 200, |x| net.forward(x), &opt, mse_loss, (&x, &y));
    let left = net.parameters().iter().map(Tensor::detach).collect();
    Outcome { losses, left, ..Outcome::default() }
        .number("y_first5", numbers(&y.flatten(0, -1).narrow(0, 0, 5)), By::Relative(1e-6))
        .text("repr", net.to_string())
}

pub fn save_restore(seed: u64, mode: Mode) -> Outcome {
    manual_seed(seed);
    let x = Tensor::linspace(-1.0, 1.0, 100).unsqueeze(1);
    let y = x.pow(2) + 0.2 * rand(&[100, 1]);
    let network =
        || nn::Sequential::new().append(nn::Linear::new(1, 10)).append(nn::Relu::new()).append(nn::Linear::new(10, 1));
    let net = network();
    let opt = optim::Sgd::new(net.parameters(), 0.5);
    let losses = train(mode, 100, |x| net.forward(x), &opt, mse_loss, (&x, &y));
    // Through a file into another network, which must give the same curve.
    let path = std::env::temp_dir().join(format!("allotrope-golden-{}-{seed}-{mode}.safetensors", std::process::id()));
    io::save_safetensors(&path, &net.state_dict()).expect("written");
    let restored = network();
    restored.load_state_dict(&io::load_safetensors(&path).expect("read")).expect("it fits");
    std::fs::remove_file(&path).expect("removed");
    let prediction = restored.forward(&x);
    assert_eq!(numbers(&prediction), numbers(&net.forward(&x)), "the restored network gives another curve");
    let left = net.parameters().iter().map(Tensor::detach).collect();
    let keys: Vec<String> = net.state_dict().names().map(str::to_string).collect();
    Outcome { losses, left, ..Outcome::default() }
        .number("prediction_first5", numbers(&prediction.flatten(0, -1).narrow(0, 0, 5)), By::LastLoss)
        .text("repr", net.to_string())
        .text("state_keys", keys)
}
