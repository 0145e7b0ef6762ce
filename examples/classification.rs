//! A small network tells two clouds of points apart; the regions where it sees either class are drawn while it learns.
//!
//! `cargo run --release --example classification`, and the same with `-- --trace`, prints
//!
//! ```text
//! Net(
//!   (hidden): Linear(in_features=2, out_features=10, bias=True)
//!   (output): Linear(in_features=10, out_features=2, bias=True)
//! )
//! step  0: loss 0.84597, accuracy 0.500
//! step 20: loss 0.43513, accuracy 1.000
//! step 40: loss 0.28644, accuracy 1.000
//! step 60: loss 0.21220, accuracy 1.000
//! step 80: loss 0.16741, accuracy 1.000
//! step 99: loss 0.13875, accuracy 1.000
//! ```
//!
//! In the folder of `--out`: `regions.gif`, the regions while they are learned, and `regions.png`, the last ones.

use allotrope::plot::{Animation, Chart};
use allotrope::prelude::*;
use clap::Parser;
use std::path::PathBuf;

const STEPS: usize = 100;

#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder for the plots.
    #[arg(long, default_value = "allotrope-report/classification")]
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

    /// The class with the largest probability.
    fn predict(&self, x: &Tensor) -> Tensor {
        no_grad(|| self.forward(x).softmax(-1).argmax_dim(-1, false))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    manual_seed(1);
    let ones = Tensor::ones(&[100, 2], DType::F32);
    let clouds = [normal(&(2.0 * &ones), 1.0), normal(&(-2.0 * &ones), 1.0)];
    let x = cat(&[&clouds[0], &clouds[1]], 0);
    let y = cat(&[&Tensor::zeros(&[100], DType::I64), &Tensor::ones(&[100], DType::I64)], 0);

    let net = Net { hidden: nn::Linear::new(2, 10), output: nn::Linear::new(10, 2) };
    println!("{net}");
    let optimizer = optim::Sgd::new(net.parameters(), 0.01);
    let loss_fn = nn::CrossEntropyLoss::new();
    let step = |x: &Tensor, y: &Tensor| {
        let loss = loss_fn.forward(&net.forward(x), y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        loss.detach()
    };
    let step = trace(step).disabled(!args.trace);

    let mut film = Animation::new().times(120, 3000);
    for i in 0..STEPS {
        let loss = step.call((&x, &y))?.item::<f32>();
        let accuracy = net.predict(&x).eq(&y).to(DType::F32).mean().item::<f32>();
        if i % 20 == 0 || i == STEPS - 1 {
            println!("step {i:2}: loss {loss:.5}, accuracy {accuracy:.3}");
        }
        if i % 3 == 0 {
            film = film.frame(chart(&format!("Step {i}: loss {loss:.3}, accuracy {accuracy:.3}"), &net, &clouds));
        }
    }

    film.save(args.out.join("regions.gif"))?;
    chart(&format!("Two clouds of points, after {STEPS} steps"), &net, &clouds).save(args.out.join("regions.png"))?;
    Ok(())
}

/// The points in front of what the network says of a grid of them.
fn chart(title: &str, net: &Net, clouds: &[Tensor; 2]) -> Chart {
    const LOW: f64 = -5.0;
    const HIGH: f64 = 5.0;
    const CELLS: usize = 200;
    let axis = Tensor::linspace(LOW, HIGH, CELLS);
    let grid = meshgrid(&[&axis, &axis], "xy");
    let classes = net.predict(&stack(&[&grid[0], &grid[1]], -1));
    let [first, second] = clouds.each_ref().map(|cloud| (cloud.select(1, 0), cloud.select(1, 1)));
    Chart::new(title)
        .size(480, 480)
        .x("first coordinate")
        .y("second coordinate")
        .regions(&classes, (LOW, HIGH), (LOW, HIGH))
        .scatter("class 0", &first.0, &first.1)
        .scatter("class 1", &second.0, &second.1)
}
