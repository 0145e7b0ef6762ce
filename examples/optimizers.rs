//! Six optimizers on one data set: SGD, SGD with momentum, RMSprop, Adam, Adagrad and AdamW train a network each, on the same shuffled
//! mini-batches of a `DataLoader`. The losses are PyTorch's from the same seed.
//!
//! `cargo run --release --example optimizers`, and the same with `-- --trace`, prints
//!
//! ```text
//! mean loss       SGD  Momentum   RMSprop      Adam   Adagrad     AdamW
//! epoch  1    0.21337   0.09130   0.04259   0.05225   0.08928   0.02571
//! epoch  2    0.10643   0.05771   0.01569   0.01468   0.04843   0.01298
//! epoch  3    0.10296   0.03850   0.01374   0.01277   0.04198   0.01226
//! epoch  6    0.09386   0.01455   0.01260   0.01140   0.02969   0.01117
//! epoch  9    0.08397   0.01136   0.01225   0.01129   0.02246   0.01102
//! epoch 12    0.07649   0.01136   0.01245   0.01132   0.01885   0.01119
//! ```
//!
//! In the folder of `--out`: `losses.png`, the loss of every step.

use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::plot::Chart;
use allotrope::prelude::*;
use allotrope::tensor::random::fork_rng;
use clap::Parser;
use std::path::PathBuf;

const EPOCHS: usize = 12;

#[derive(Parser)]
struct Args {
    /// Compile the training steps.
    #[arg(long)]
    trace: bool,
    /// Folder for the plot.
    #[arg(long, default_value = "allotrope-report/optimizers")]
    out: PathBuf,
}

#[derive(Module)]
struct Net {
    hidden: nn::Linear,
    output: nn::Linear,
}

impl Net {
    fn new() -> Net {
        Net { hidden: nn::Linear::new(1, 20), output: nn::Linear::new(20, 1) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.output.forward(&self.hidden.forward(x).relu())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    manual_seed(1);
    let x = Tensor::linspace(-1.0, 1.0, 1000).unsqueeze(1);
    let y = x.pow(2) + 0.1 * normal(&Tensor::zeros(&[1000, 1], DType::F32), 1.0);
    let options = DataLoaderOptions { batch_size: 32, shuffle: true, num_workers: 2, ..Default::default() };
    let loader = DataLoader::with_options(TensorDataset::new((x, y)), options);

    let mut nets: Vec<Net> = (0..5).map(|_| Net::new()).collect();
    // The sixth leaves the generator as it was, so that the batches are those of the PyTorch program, which has five.
    nets.push(fork_rng(Net::new));
    let p = |i: usize| nets[i].parameters();
    let momentum = optim::SgdOptions { momentum: 0.8, ..Default::default() };
    let alpha = optim::RmsPropOptions { alpha: 0.9, ..Default::default() };
    let adam = optim::AdamOptions { betas: (0.9, 0.99), ..Default::default() };
    let adam_w = optim::AdamWOptions { betas: (0.9, 0.99), ..Default::default() };
    let optimizers: [(&str, Box<dyn Optimizer>); 6] = [
        ("SGD", Box::new(optim::Sgd::new(p(0), 0.01))),
        ("Momentum", Box::new(optim::Sgd::with_options(p(1), 0.01, momentum))),
        ("RMSprop", Box::new(optim::RmsProp::with_options(p(2), 0.01, alpha))),
        ("Adam", Box::new(optim::Adam::with_options(p(3), 0.01, adam))),
        ("Adagrad", Box::new(optim::Adagrad::new(p(4), 0.01))),
        ("AdamW", Box::new(optim::AdamW::with_options(p(5), 0.01, adam_w))),
    ];
    let pairs = nets.iter().zip(&optimizers);
    let steps: Vec<_> = pairs.map(|(net, (_, optimizer))| trace(step(net, optimizer)).disabled(!args.trace)).collect();

    let mut losses = vec![Vec::new(); optimizers.len()];
    println!("mean loss{}", optimizers.iter().map(|(name, _)| format!("{name:>10}")).collect::<String>());
    for epoch in 1..=EPOCHS {
        for batch in &loader {
            let (x, y) = batch?;
            for (step, losses) in steps.iter().zip(&mut losses) {
                losses.push(step.call((&x, &y))?.item::<f32>());
            }
        }
        if epoch <= 3 || epoch % 3 == 0 {
            let means: String =
                losses.iter().map(|losses| format!("{:10.5}", mean(&losses[losses.len() - loader.len()..]))).collect();
            println!("epoch {epoch:2} {means}");
        }
    }

    // Means of as many steps as tell the curves from the noise of the batches.
    const SPAN: usize = 16;
    let mut chart =
        Chart::new("One network, six optimizers").x("step").y(format!("mean loss of {SPAN} batches")).log_y();
    for ((name, _), losses) in optimizers.iter().zip(&losses) {
        let means: Vec<f32> = losses.windows(SPAN).map(mean).collect();
        chart = chart.line(*name, SPAN..losses.len() + 1, means);
    }
    chart.size(900, 480).save(args.out.join("losses.png"))?;
    Ok(())
}

/// A training step of one network.
fn step<'a>(net: &'a Net, optimizer: &'a dyn Optimizer) -> impl Fn(&Tensor, &Tensor) -> Tensor + 'a {
    move |x, y| {
        let loss = mse_loss(&net.forward(x), y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        loss.detach()
    }
}

fn mean(losses: &[f32]) -> f32 {
    losses.iter().sum::<f32>() / losses.len() as f32
}
