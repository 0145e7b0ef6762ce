//! Digits told apart by a recurrent network that reads an image row by row, 28 steps of 28 pixels, the PyTorch tutorial's:
//! LSTM(28, 64), and a linear layer on the state behind the last row.
//!
//! `cargo run --release --example mnist_lstm`; `-- --trace` compiles the training step, `--data FOLDER` takes MNIST's IDX files instead of
//! drawn digits, `--help` says the rest. It prints
//!
//! ```text
//! 800 images to train, 200 to test, drawn from a font, as there is no --data
//! LSTMNet(
//!   (rnn): LSTM(28, 64, batch_first=True)
//!   (out): Linear(in_features=64, out_features=10, bias=True)
//! )
//! epoch 1, step   7: loss 2.300, test accuracy 24.0 %
//! epoch 1, step  13: loss 1.952, test accuracy 18.0 %
//! epoch 2, step   7: loss 1.594, test accuracy 41.0 %
//! epoch 2, step  13: loss 1.834, test accuracy 46.0 %
//! epoch 3, step   7: loss 1.383, test accuracy 54.5 %
//! epoch 3, step  13: loss 1.075, test accuracy 68.5 %
//! epoch 4, step   7: loss 0.829, test accuracy 80.5 %
//! epoch 4, step  13: loss 0.733, test accuracy 79.0 %
//! epoch 5, step   7: loss 0.589, test accuracy 87.5 %
//! epoch 5, step  13: loss 0.543, test accuracy 89.5 %
//! epoch 6, step   7: loss 0.396, test accuracy 88.5 %
//! epoch 6, step  13: loss 0.304, test accuracy 84.5 %
//! epoch 7, step   7: loss 0.315, test accuracy 89.5 %
//! epoch 7, step  13: loss 0.350, test accuracy 90.5 %
//! epoch 8, step   7: loss 0.279, test accuracy 97.0 %
//! epoch 8, step  13: loss 0.192, test accuracy 96.0 %
//! predicted [8, 7, 1, 4, 8, 9, 2, 5, 8, 1]
//! labels    [8, 7, 1, 4, 8, 9, 2, 5, 0, 1]
//! ```
//!
//! and draws `accuracy.png` and the ten pictures, `digits.png`.

mod digits;

use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::optim::{Scheduler, scheduler::ExponentialLr};
use allotrope::plot::{Chart, Images};
use allotrope::prelude::*;
use clap::Parser;
use digits::Digits;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Trains a recurrent network to tell digits apart.
#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder with MNIST's IDX files, compressed or not; without it digits are drawn from a font.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Passes over the training images.
    #[arg(long, default_value_t = 8)]
    epochs: usize,
    /// Images in a batch.
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Learning rate.
    #[arg(long, default_value_t = 1e-2)]
    lr: f64,
    /// Folder for the plots.
    #[arg(long, default_value = "allotrope-report/mnist_lstm")]
    out: PathBuf,
}

#[derive(Module)]
#[module(name = "LSTMNet")]
struct LstmNet {
    rnn: nn::Lstm,
    out: nn::Linear,
}

impl LstmNet {
    /// Images `[n, 28, 28]` to scores `[n, 10]`.
    fn forward(&self, x: &Tensor) -> Tensor {
        let (states, _) = self.rnn.forward(x, None);
        self.out.forward(&states.select(1, -1))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let Digits { train: (x, y), test: (test_x, test_y) } = Digits::load(args.data.as_deref())?;
    let source = if args.data.is_some() { "from files" } else { "drawn from a font, as there is no --data" };
    println!("{} images to train, {} to test, {source}", y.shape()[0], test_y.shape()[0]);

    manual_seed(1);
    let net = LstmNet { rnn: nn::Lstm::new(28, 64).batch_first(true), out: nn::Linear::new(64, 10) };
    println!("{net}");
    let opt = optim::Adam::try_with_options(net.parameters(), args.lr, Default::default())?;
    let mut scheduler = ExponentialLr::new(&opt, 0.75);
    let step = trace(|x: &Tensor, y: &Tensor| {
        let loss = cross_entropy(&net.forward(x), y, CrossEntropyOptions::default());
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    let step = step.disabled(!args.trace);
    let predict = trace(|x: &Tensor| no_grad(|| net.forward(x)).argmax_dim(1, false)).disabled(!args.trace);

    let options = DataLoaderOptions { batch_size: args.batch_size, shuffle: true, ..Default::default() };
    let loader = DataLoader::try_with_options(TensorDataset::new((x, y)), options)?;
    let bar = ProgressBar::new((args.epochs * loader.len()) as u64);
    let (mut seen, mut accuracies) = (Vec::new(), Vec::new());
    for epoch in 1..=args.epochs {
        let mut training = Duration::ZERO;
        let mut started = Instant::now();
        for (i, batch) in loader.iter().enumerate() {
            let (x, y) = batch?;
            let loss = step.call((&x, &y))?;
            // Twice an epoch, the second time at its end.
            if (i + 1) % loader.len().div_ceil(2) == 0 || i + 1 == loader.len() {
                training += started.elapsed();
                let accuracy = 100.0 * predict.call(&test_x)?.eq(&test_y).to(DType::F32).mean();
                let (loss, accuracy) = (loss.item::<f32>(), accuracy.item::<f32>());
                let line = format!("epoch {epoch}, step {:3}: loss {loss:.3}, test accuracy {accuracy:.1} %", i + 1);
                bar.suspend(|| println!("{line}"));
                seen.push((epoch - 1) as f64 + (i + 1) as f64 / loader.len() as f64);
                accuracies.push(accuracy);
                started = Instant::now();
            }
            bar.inc(1);
        }
        // The compiled step follows it as it is.
        scheduler.step();
        bar.suspend(|| eprintln!("epoch {epoch} trained for {:.3} s", training.as_secs_f64()));
    }
    bar.finish_and_clear();
    Chart::new("Accuracy on test images")
        .x("epochs")
        .y("%")
        .y_range(0.0, 100.0)
        .line("", seen, accuracies)
        .save(args.out.join("accuracy.png"))?;

    let n = test_y.shape()[0].min(10);
    let (images, labels) = (test_x.narrow(0, 0, n), test_y.narrow(0, 0, n));
    println!("predicted {:?}", predict.call(&images)?.to_vec::<i64>());
    println!("labels    {:?}", labels.to_vec::<i64>());
    Images::new(&images).columns(5).save(args.out.join("digits.png"))?;
    Ok(())
}
