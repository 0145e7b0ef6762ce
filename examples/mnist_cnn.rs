//! Digits told apart by a convolutional network, the PyTorch tutorial's: Conv(1, 16, 5)-ReLU-Pool, Conv(16, 32, 5)-ReLU-Pool, Linear;
//! with the accuracy on test images while it trains, the first ten predictions beside the labels, and t-SNE of what the last layer
//! is given, in which the digits have become islands.
//!
//! `cargo run --release --example mnist_cnn`; `-- --trace` compiles the training step, `--data FOLDER` takes MNIST's IDX files instead of
//! drawn digits, `--help` says the rest. It prints
//!
//! ```text
//! 800 images to train, 200 to test, drawn from a font, as there is no --data
//! CNN(
//!   (conv1): Sequential(
//!     (0): Conv2d(1, 16, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
//!     (1): ReLU()
//!     (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
//!   )
//!   (conv2): Sequential(
//!     (0): Conv2d(16, 32, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
//!     (1): ReLU()
//!     (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
//!   )
//!   (out): Linear(in_features=1568, out_features=10, bias=True)
//! )
//! epoch 1, step   8: loss 1.796, test accuracy 74.5 %
//! epoch 1, step  16: loss 0.558, test accuracy 88.5 %
//! epoch 2, step   8: loss 0.158, test accuracy 95.0 %
//! epoch 2, step  16: loss 0.109, test accuracy 95.5 %
//! epoch 3, step   8: loss 0.062, test accuracy 98.5 %
//! epoch 3, step  16: loss 0.059, test accuracy 98.0 %
//! predicted [0, 7, 1, 4, 8, 9, 2, 5, 0, 1]
//! labels    [8, 7, 1, 4, 8, 9, 2, 5, 0, 1]
//! ```
//!
//! and draws `accuracy.png`, `tsne.png` and the ten pictures, `digits.png`.

mod digits;

use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::optim::{Scheduler, scheduler::ExponentialLr};
use allotrope::plot::{Chart, Color, Images};
use allotrope::prelude::*;
use clap::Parser;
use digits::Digits;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Trains a convolutional network to tell digits apart.
#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder with MNIST's IDX files, compressed or not; without it digits are drawn from a font.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Passes over the training images.
    #[arg(long, default_value_t = 3)]
    epochs: usize,
    /// Images in a batch.
    #[arg(long, default_value_t = 50)]
    batch_size: usize,
    /// Learning rate.
    #[arg(long, default_value_t = 3e-3)]
    lr: f64,
    /// Test images in the picture of t-SNE.
    #[arg(long, default_value_t = 500)]
    points: usize,
    /// Folder for the plots.
    #[arg(long, default_value = "allotrope-report/mnist_cnn")]
    out: PathBuf,
}

#[derive(Module)]
#[module(name = "CNN")]
struct Cnn {
    conv1: nn::Sequential,
    conv2: nn::Sequential,
    out: nn::Linear,
}

impl Cnn {
    fn new() -> Cnn {
        let block = |from: usize, to: usize| {
            let options = nn::Conv2dOptions { padding: [2, 2].into(), ..Default::default() };
            nn::Sequential::new()
                .append(nn::Conv2d::with_options(from, to, 5, options))
                .append(nn::Relu::new())
                .append(nn::MaxPool2d::new(2))
        };
        Cnn { conv1: block(1, 16), conv2: block(16, 32), out: nn::Linear::new(32 * 7 * 7, 10) }
    }

    /// Images `[n, 1, 28, 28]` to scores `[n, 10]`, and what the last layer was given.
    fn forward(&self, x: &Tensor) -> (Tensor, Tensor) {
        let features = self.conv2.forward(&self.conv1.forward(x)).flatten(1, -1);
        (self.out.forward(&features), features)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let Digits { train: (x, y), test: (test_x, test_y) } = Digits::load(args.data.as_deref())?;
    let source = if args.data.is_some() { "from files" } else { "drawn from a font, as there is no --data" };
    println!("{} images to train, {} to test, {source}", y.shape()[0], test_y.shape()[0]);

    manual_seed(1);
    let cnn = Cnn::new();
    println!("{cnn}");
    let options = optim::AdamOptions { betas: (0.9, 0.99), ..Default::default() };
    let opt = optim::Adam::try_with_options(cnn.parameters(), args.lr, options)?;
    let mut scheduler = ExponentialLr::new(&opt, 0.5);
    let step = trace(|x: &Tensor, y: &Tensor| {
        let loss = cross_entropy(&cnn.forward(x).0, y, CrossEntropyOptions::default());
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    let step = step.disabled(!args.trace);
    let test = trace(|x: &Tensor| no_grad(|| cnn.forward(x))).disabled(!args.trace);

    let options = DataLoaderOptions { batch_size: args.batch_size, shuffle: true, ..Default::default() };
    let loader = DataLoader::try_with_options(TensorDataset::new((x.unsqueeze(1), y)), options)?;
    let test_x = test_x.unsqueeze(1);
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
                let accuracy = 100.0 * test.call(&test_x)?.0.argmax_dim(1, false).eq(&test_y).to(DType::F32).mean();
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

    let first = test_x.narrow(0, 0, test_x.shape()[0].min(10));
    println!("predicted {:?}", test.call(&first)?.0.argmax_dim(1, false).to_vec::<i64>());
    println!("labels    {:?}", test_y.narrow(0, 0, first.shape()[0]).to_vec::<i64>());
    Images::new(&first).columns(5).save(args.out.join("digits.png"))?;

    let points = args.points.min(test_y.shape()[0]);
    let (_, features) = test.call(&test_x.narrow(0, 0, points))?;
    draw_tsne(&features, &test_y.narrow(0, 0, points), &args.out.join("tsne.png"))
}

/// Features `[n, d]` in two dimensions, neighbours beside each other, each point in the colour of its label.
fn draw_tsne(features: &Tensor, labels: &Tensor, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (n, d) = (features.shape()[0], features.shape()[1]);
    // Each point looks at this many neighbours or so, of which there must be three times as many.
    let perplexity = 30.0f32.min((n.saturating_sub(1) / 3) as f32);
    if perplexity < 1.0 {
        return Err(format!("t-SNE needs at least 4 points, got {n}").into());
    }
    let features = features.to_vec::<f32>();
    let rows: Vec<&[f32]> = features.chunks(d).collect();
    let start = Generator::new(1).randn(&[2 * n], DType::F32) * 1e-4;
    let distance = |a: &&[f32], b: &&[f32]| a.iter().zip(*b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
    let places = bhtsne::tSNE::<f32, &[f32]>::new(&rows)
        .perplexity(perplexity)
        .initial_embedding(start.to_vec::<f32>())
        .barnes_hut(0.5, distance)
        .embedding();

    let labels = labels.to_vec::<i64>();
    let chart = Chart::new(format!("What the last layer is given for {n} test images, by t-SNE"))
        .size(640, 560)
        .x("t-SNE 1")
        .y("t-SNE 2");
    let chart = (0..10).zip(COLORS).fold(chart, |chart, (digit, color)| {
        let own = || places.chunks(2).zip(&labels).filter(move |(_, label)| **label == digit);
        let (x, y): (Vec<f32>, Vec<f32>) = own().map(|(place, _)| (place[0], place[1])).unzip();
        chart.scatter_in(color, digit.to_string(), x, y)
    });
    Ok(chart.save(path)?)
}

/// Ten colours that can be told apart.
const COLORS: [Color; 10] = [
    Color(0x1F, 0x77, 0xB4),
    Color(0xFF, 0x7F, 0x0E),
    Color(0x2C, 0xA0, 0x2C),
    Color(0xD6, 0x27, 0x28),
    Color(0x94, 0x67, 0xBD),
    Color(0x8C, 0x56, 0x4B),
    Color(0xE3, 0x77, 0xC2),
    Color(0x7F, 0x7F, 0x7F),
    Color(0xBC, 0xBD, 0x22),
    Color(0x17, 0xBE, 0xCF),
];
