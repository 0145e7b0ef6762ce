//! As `rnn_fixed`, with steps of one to three half-turns and the output layer called point by point in a loop, as the PyTorch tutorial on
//! dynamic graphs has it: `for t in range(r_out.size(1)): outs.append(self.out(r_out[:, t, :]))`, then `torch.stack(outs, dim=1)`. The
//! losses are PyTorch's from the same seed.
//!
//! A trace records a Rust loop as often as it runs, so the step is compiled once for each number of points that it meets: for 10, 20 and
//! 30, three times in 60 steps, and a line on standard error says so. The bits are those of eager mode. What `rnn_fixed` does,
//! `self.out.forward(&r_out)` on all points at once, is compiled once for every length, and so is a `scan`.
//!
//! `cargo run --release --example rnn_dynamic`, and the same with `-- --trace`, prints
//!
//! ```text
//! RNN(
//!   (rnn): RNN(1, 32, batch_first=True)
//!   (out): Linear(in_features=32, out_features=1, bias=True)
//! )
//! step 10: 20 points, loss 0.0292
//! step 20: 20 points, loss 0.2374
//! step 30: 30 points, loss 0.0331
//! step 40: 10 points, loss 0.0299
//! step 50: 20 points, loss 0.0075
//! step 60: 10 points, loss 0.0050
//! ```
//!
//! In the folder of `--out`: `fit.gif`, each stretch as it was predicted in its own step, and `fit.png`, all of them.

use allotrope::plot::{Animation, Chart};
use allotrope::prelude::*;
use clap::Parser;
use std::f64::consts::PI;
use std::path::PathBuf;

/// The half-turns of each step, drawn by Python's `random.Random(1).randint(1, 3)`.
const SPANS: [usize; 60] = [
    1, 3, 1, 2, 1, 2, 2, 2, 3, 2, 1, 1, 2, 1, 2, 2, 3, 1, 3, 2, 2, 3, 1, 3, 1, 2, 1, 1, 1, 3, 3, 1, 2, 3, 1, 2, 3, 1,
    3, 1, 2, 2, 3, 1, 2, 1, 3, 1, 2, 2, 1, 2, 3, 3, 1, 1, 3, 3, 2, 1,
];
/// Points of half a turn.
const POINTS: usize = 10;

#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder for the plots.
    #[arg(long, default_value = "allotrope-report/rnn_dynamic")]
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
        let mut outs = Vec::new();
        for t in 0..r_out.size(1) {
            outs.push(self.out.forward(&r_out.index((.., t))));
        }
        (stack(&outs, 1), h)
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
    let mut at = 0;
    for (i, span) in SPANS.into_iter().enumerate() {
        let (time, x, y) = half_turns(at, span);
        at += span;
        let (loss, prediction, next) = step.call((&x, &y, &h))?;
        h = next;
        let loss = loss.item::<f32>();
        if i % 10 == 9 {
            println!("step {:2}: {:2} points, loss {loss:.4}", i + 1, x.size(1));
        }
        fit.add(&time, &y, &prediction);
        film = film.frame(fit.chart(&format!("Step {} of {}, loss {loss:.4}", i + 1, SPANS.len()), 6, span));
    }
    if args.trace {
        eprintln!("{} compilations, one for each number of points", step.compilations());
    }

    film.save(args.out.join("fit.gif"))?;
    let all = fit.chart("The cosine from the sine, predicted while it is learned", at, 0);
    all.size(1600, 320).save(args.out.join("fit.png"))?;
    Ok(())
}

/// The time of some half-turns from one on, both ends included, its sine and its cosine.
fn half_turns(from: usize, span: usize) -> (Tensor, Tensor, Tensor) {
    let (start, end) = (from as f64 * PI, (from + span) as f64 * PI);
    let time = Tensor::linspace_with(start, end, span * POINTS, DType::F64).to(DType::F32);
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

    /// The last half-turns, those of the last step on grey.
    fn chart(&self, title: &str, half_turns: usize, span: usize) -> Chart {
        let now = self.half_turns.len() as f64 / POINTS as f64;
        let width = half_turns as f64;
        let end = now.max(width);
        let from = self.half_turns.len().saturating_sub(half_turns * POINTS);
        Chart::new(title)
            .x("half-turns")
            .y("cos")
            .x_range(end - width, end)
            .y_range(-2.0, 2.0)
            .band(now - span as f64, now)
            .line("target", &self.half_turns[from..], &self.target[from..])
            .line("prediction", &self.half_turns[from..], &self.prediction[from..])
    }
}
