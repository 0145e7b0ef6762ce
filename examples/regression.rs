//! A small network learns a parabola from noisy points; its curve after every few steps is an animation.
//!
//! `cargo run --release --example regression`, and the same with `-- --trace`, prints
//!
//! ```text
//! Net(
//!   (hidden): Linear(in_features=1, out_features=10, bias=True)
//!   (output): Linear(in_features=10, out_features=1, bias=True)
//! )
//! step   0: loss 0.52632
//! step  25: loss 0.07287
//! step  50: loss 0.05563
//! step  75: loss 0.03484
//! step 100: loss 0.02033
//! step 125: loss 0.01443
//! step 150: loss 0.01258
//! step 175: loss 0.01182
//! step 199: loss 0.01147
//! ```
//!
//! In the folder of `--out`: `fit.gif`, the curve while it is learned, and `fit.png`, the last one.

use allotrope::plot::{Animation, Chart};
use allotrope::prelude::*;
use clap::Parser;
use std::path::PathBuf;

const STEPS: usize = 200;

#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder for the plots.
    #[arg(long, default_value = "allotrope-report/regression")]
    out: PathBuf,
}

#[derive(Module)]
struct Net {
    hidden: nn::Linear,
    output: nn::Linear,
}

impl Net {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.output.forward(&self.hidden.forward(x).relu())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    manual_seed(1);
    let x = Tensor::linspace(-1.0, 1.0, 100).unsqueeze(1);
    let y = x.pow(2) + 0.1 * randn(&[100, 1]);

    let net = Net { hidden: nn::Linear::new(1, 10), output: nn::Linear::new(10, 1) };
    println!("{net}");
    let optimizer = optim::Sgd::new(net.parameters(), 0.2);
    let step = |x: &Tensor, y: &Tensor| {
        let prediction = net.forward(x);
        let loss = mse_loss(&prediction, y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        (loss.detach(), prediction.detach())
    };
    let step = trace(step).disabled(!args.trace);

    let mut film = Animation::new().times(120, 3000);
    for i in 0..STEPS {
        let (loss, prediction) = step.call((&x, &y))?;
        let loss = loss.item::<f32>();
        if i % 25 == 0 || i == STEPS - 1 {
            println!("step {i:3}: loss {loss:.5}");
        }
        if i % 5 == 0 || i == STEPS - 1 {
            film = film.frame(chart(&format!("Step {i}: loss {loss:.4}"), &x, &y, &prediction));
        }
    }

    film.save(args.out.join("fit.gif"))?;
    let prediction = no_grad(|| net.forward(&x));
    chart(&format!("A parabola from noisy points, after {STEPS} steps"), &x, &y, &prediction)
        .save(args.out.join("fit.png"))?;
    Ok(())
}

fn chart(title: &str, x: &Tensor, y: &Tensor, prediction: &Tensor) -> Chart {
    Chart::new(title)
        .x("x")
        .y("y")
        .x_range(-1.1, 1.1)
        .y_range(-0.5, 1.1)
        .scatter("data", x, y)
        .line("network", x, prediction)
}
