//! A recurrent network learns the cosine from the sine, half a turn a step, and carries its hidden state over from step to step: the
//! tutorial program of `nn.RNN(1, 32, batch_first=True)`, `nn.Linear(32, 1)` and `Adam(lr=0.02)`, with PyTorch's losses from the same seed.
//!
//! `cargo run --release --example rnn_fixed`, and the same with `-- --trace`, prints
//!
//! ```text
//! RNN(
//!   (rnn): RNN(1, 32, batch_first=True)
//!   (out): Linear(in_features=32, out_features=1, bias=True)
//! )
//! step 10: loss 0.2026
//! step 20: loss 0.1993
//! step 30: loss 0.3140
//! step 40: loss 0.1695
//! step 50: loss 0.0285
//! step 60: loss 0.0141
//! ```
//!
//! In the folder of `--out`: `fit.gif`, each stretch as it was predicted in its own step, and `fit.png`, all of them.

use allotrope::plot::{Animation, Chart};
use allotrope::prelude::*;
use clap::Parser;
use std::f64::consts::PI;
use std::path::PathBuf;

const STEPS: usize = 60;
/// Points of half a turn.
const POINTS: usize = 10;

#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder for the plots.
    #[arg(long, default_value = "allotrope-report/rnn_fixed")]
    out: PathBuf,
}

#[derive(Module)]
#[module(name = "RNN")]
struct Net {
    rnn: nn::Rnn,
    out: nn::Linear,
}

impl Net {
    /// `x` is `[batch, time, 1]`, `h` is `[layers, batch, hidden]`; so are the prediction and the next hidden state.
    fn forward(&self, x: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        let (r_out, h) = self.rnn.forward(x, h);
        (self.out.forward(&r_out), h)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    manual_seed(1);
    let net = Net { rnn: nn::Rnn::new(1, 32).batch_first(true), out: nn::Linear::new(32, 1) };
    println!("{net}");
    let optimizer = optim::Adam::new(net.parameters(), 0.02);
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (prediction, h) = net.forward(x, h);
        let loss = mse_loss(&prediction, y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        (loss.detach(), prediction.detach(), h.detach())
    };
    let step = trace(step).disabled(!args.trace);

    let mut h = Tensor::zeros(&[1, 1, 32], DType::F32);
    let mut fit = Fit::default();
    let mut film = Animation::new();
    for i in 0..STEPS {
        let (time, x, y) = half_turn(i);
        let (loss, prediction, next) = step.call((&x, &y, &h))?;
        h = next;
        let loss = loss.item::<f32>();
        if i % 10 == 9 {
            println!("step {:2}: loss {loss:.4}", i + 1);
        }
        fit.add(&time, &y, &prediction);
        film = film.frame(fit.chart(&format!("Step {} of {STEPS}, loss {loss:.4}", i + 1), 6));
    }

    film.save(args.out.join("fit.gif"))?;
    let all = fit.chart("The cosine from the sine, predicted while it is learned", STEPS);
    all.size(1200, 300).save(args.out.join("fit.png"))?;
    Ok(())
}

/// The time of half a turn, both ends included, its sine and its cosine.
fn half_turn(i: usize) -> (Tensor, Tensor, Tensor) {
    let time = Tensor::linspace_with(i as f64 * PI, (i + 1) as f64 * PI, POINTS, DType::F64).to(DType::F32);
    let (x, y) = (time.sin().reshape(&[1, -1, 1]), time.cos().reshape(&[1, -1, 1]));
    (time, x, y)
}

/// All points so far.
#[derive(Default)]
struct Fit {
    half_turns: Vec<f32>,
    target: Vec<f32>,
    prediction: Vec<f32>,
}

impl Fit {
    fn add(&mut self, time: &Tensor, target: &Tensor, prediction: &Tensor) {
        self.half_turns.extend((time / PI).to_vec::<f32>());
        self.target.extend(target.to_vec::<f32>());
        self.prediction.extend(prediction.to_vec::<f32>());
    }

    /// The last half-turns.
    fn chart(&self, title: &str, half_turns: usize) -> Chart {
        let width = half_turns as f64;
        let end = (self.half_turns.len() as f64 / POINTS as f64).max(width);
        let from = self.half_turns.len().saturating_sub(half_turns * POINTS);
        Chart::new(title)
            .x("half-turns")
            .y("cos")
            .x_range(end - width, end)
            .y_range(-2.0, 2.0)
            .line("target", &self.half_turns[from..], &self.target[from..])
            .line("prediction", &self.half_turns[from..], &self.prediction[from..])
    }
}
