//! sin to cos with a recurrent network whose hidden state is carried over; a step covers some half-turns of ten points.

use crate::check::{By, Mode, Outcome, list, nudge, numbers};
use allotrope::prelude::*;
use serde_json::Value;
use std::f64::consts::PI;

#[derive(Module)]
#[module(name = "RNN")]
struct Net {
    rnn: nn::Rnn,
    out: nn::Linear,
}

impl Net {
    /// The output layer on all points at once, which gives what PyTorch's loop over them gives.
    fn forward(&self, x: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        let (states, h) = self.rnn.forward(x, h);
        (self.out.forward(&states), h)
    }
}

/// Points of a stretch of half-turns, as NumPy computes them in f32: sin and cos.
fn stretch(at: u64, span: u64) -> (Tensor, Tensor) {
    let n = 10 * span as usize;
    let (from, to) = (at as f64 * PI, (at + span) as f64 * PI);
    let step = (to - from) / (n - 1) as f64;
    let point = |i: usize| if i == n - 1 { to as f32 } else { (i as f64 * step + from) as f32 };
    let of = |f: fn(f64) -> f64| Tensor::from_vec((0..n).map(|i| f(f64::from(point(i))) as f32).collect(), &[1, n, 1]);
    (of(f64::sin), of(f64::cos))
}

pub fn run(seed: u64, file: &Value, mode: Mode) -> Outcome {
    manual_seed(seed);
    let model = Net { rnn: nn::Rnn::new(1, 32).batch_first(true), out: nn::Linear::new(32, 1) };
    nudge(&model.parameters());
    let opt = optim::Adam::new(model.parameters(), 0.02);
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (prediction, h) = model.forward(x, h);
        let loss = mse_loss(&prediction, y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        (loss.detach(), prediction.detach(), h.detach())
    };
    let traced = trace(step);
    let mut h = Tensor::zeros(&[1, 1, 32], DType::F32);
    let mut last = h.clone();
    let (mut losses, mut at) = (Vec::new(), 0);
    for span in list(&file["inputs"]["spans"]) {
        let (x, y) = stretch(at, span as u64);
        at += span as u64;
        let loss;
        (loss, last, h) = match mode {
            Mode::Eager => step(&x, &y, &h),
            Mode::Traced => traced.call((&x, &y, &h)).expect("the step runs"),
        };
        losses.push(f64::from(loss.item::<f32>()));
    }
    assert!(mode == Mode::Eager || traced.compilations() == 1, "one program for every length");
    let left = model.parameters().iter().map(Tensor::detach).chain([h]).collect();
    Outcome { losses, left, ..Outcome::default() }
        .number("last_prediction", numbers(&last), By::LastLoss)
        .text("repr", model.to_string())
}
