//! A recurrent network learns cos from sin, on sequences of 10, 20 or 30 points: the whole training step, first eagerly
//! and then as one compiled function, from the same seed.
//!
//! `cargo run --release --example rnn_fixed` prints the following, and the time of each run on standard error.
//! `-- 10` makes 10 steps instead of 100.
//!
//! ```text
//! step  20: loss 0.044831
//! step  40: loss 0.014072
//! step  60: loss 0.003902
//! step  80: loss 0.000857
//! step 100: loss 0.003112
//! losses equal to the bit: true
//! ```

use allotrope::prelude::*;
use std::f32::consts::PI;
use std::time::Instant;

#[derive(Module)]
struct SinToCos {
    rnn: nn::Rnn,
    out: nn::Linear,
}

impl SinToCos {
    /// `[batch, time, 1] -> [batch, time, 1]`, and the hidden state for the next sequence.
    fn forward(&self, x: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        let (states, h) = self.rnn.forward(x, h);
        (self.out.forward(&states), h)
    }
}

/// The sequence from one half-turn to another, 10 points each: sin and cos.
fn window(from: usize, half_turns: usize) -> (Tensor, Tensor) {
    let points = 10 * half_turns;
    let time = Tensor::linspace(from as f32 * PI, (from + half_turns) as f32 * PI, points).reshape(&[1, -1, 1]);
    (time.sin(), time.cos())
}

/// The loss of every step.
fn train(steps: usize, traced: bool) -> Result<Vec<f32>, Error> {
    manual_seed(1);
    let model = SinToCos { rnn: nn::Rnn::new(1, 32).batch_first(true), out: nn::Linear::new(32, 1) };
    let opt = optim::Adam::new(model.parameters(), 0.005);
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (prediction, h) = model.forward(x, h);
        let loss = mse_loss(&prediction, y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        (loss.detach(), h.detach())
    };
    let compiled = trace(&step);

    let start = Instant::now();
    let mut h = Tensor::zeros(&[1, 1, 32], DType::F32);
    let (mut at, mut losses) = (0, Vec::new());
    for i in 0..steps {
        let half_turns = 1 + i % 3;
        let (x, y) = window(at, half_turns);
        at += half_turns;
        let (loss, next) = if traced { compiled.call((&x, &y, &h))? } else { step(&x, &y, &h) };
        h = next;
        losses.push(loss.item::<f32>());
    }
    let mode = if traced { "traced" } else { "eager" };
    eprintln!("{mode}: {:.2} ms, {} compilations", start.elapsed().as_secs_f64() * 1e3, compiled.compilations());
    Ok(losses)
}

fn main() -> Result<(), Error> {
    let steps = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100);
    let (eager, traced) = (train(steps, false)?, train(steps, true)?);
    for (i, loss) in traced.iter().enumerate().filter(|(i, _)| i % 20 == 19) {
        println!("step {:>3}: loss {loss:.6}", i + 1);
    }
    let bits = |losses: &[f32]| losses.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    println!("losses equal to the bit: {}", bits(&eager) == bits(&traced));
    Ok(())
}
