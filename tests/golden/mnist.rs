//! MNIST with a convolutional and a recurrent network, one epoch: the first 8,000 images train, the last 2,000 test.

use crate::check::{By, Mode, Outcome, nudge};
use allotrope::data::{DataLoader, DataLoaderOptions, Mnist, TensorDataset};
use allotrope::prelude::*;
use std::path::Path;

/// Images `[10000, 28, 28]` and labels, where the files are there.
fn digits() -> Option<Mnist> {
    let beside = crate::folder().join("../data/mnist");
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/mnist");
    let folder = [beside, shared].into_iter().find(|folder| folder.is_dir())?;
    Some(Mnist::load(folder, false).expect("MNIST"))
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
            let options = nn::Conv2dOptions { stride: [1, 1], padding: [2, 2].into(), ..Default::default() };
            nn::Sequential::new()
                .append(nn::Conv2d::with_options(from, to, 5, options))
                .append(nn::Relu::new())
                .append(nn::MaxPool2d::new(2))
        };
        Cnn { conv1: block(1, 16), conv2: block(16, 32), out: nn::Linear::new(32 * 7 * 7, 10) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let x = self.conv2.forward(&self.conv1.forward(x));
        self.out.forward(&x.flatten(1, -1))
    }
}

#[derive(Module)]
#[module(name = "LSTMNet")]
struct LstmNet {
    rnn: nn::Lstm,
    out: nn::Linear,
}

impl LstmNet {
    /// The rows of an image are a sequence.
    fn forward(&self, x: &Tensor) -> Tensor {
        let (states, _) = self.rnn.forward(x, None);
        self.out.forward(&states.select(1, -1))
    }
}

/// One epoch, and the accuracy on the test images.
fn epoch(
    mode: Mode,
    model: &impl Module,
    forward: impl Fn(&Tensor) -> Tensor,
    opt: &impl Optimizer,
    batch_size: usize,
    (x, y): (Tensor, Tensor),
) -> Outcome {
    let part = |t: &Tensor, from: usize, n: usize| t.narrow(0, from as isize, n);
    let train = TensorDataset::new((part(&x, 0, 8000), part(&y, 0, 8000)));
    let loader = DataLoader::with_options(train, DataLoaderOptions { batch_size, shuffle: true, ..Default::default() });
    let step = |x: &Tensor, y: &Tensor| {
        let loss = cross_entropy(&forward(x), y, CrossEntropyOptions::default());
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    nudge(&model.parameters());
    let traced = trace(step);
    let mut losses = Vec::new();
    for batch in loader.iter() {
        let (x, y) = batch.expect("a batch");
        let loss = match mode {
            Mode::Eager => step(&x, &y),
            Mode::Traced => traced.call((&x, &y)).expect("the step runs"),
        };
        losses.push(f64::from(loss.item::<f32>()));
    }
    let predicted = no_grad(|| forward(&part(&x, 8000, 2000))).argmax_dim(1, false);
    let accuracy = predicted.eq(&part(&y, 8000, 2000)).to(DType::F32).mean().item::<f32>();
    let left = model.parameters().iter().map(Tensor::detach).collect();
    Outcome { losses, left, ..Outcome::default() }
        .number("accuracy", vec![accuracy.into()], By::Absolute(0.01))
        .text("repr", model.repr())
}

pub fn cnn(seed: u64, mode: Mode) -> Option<Outcome> {
    let Mnist { images, labels } = digits()?;
    manual_seed(seed);
    let model = Cnn::new();
    let options = optim::AdamOptions { betas: (0.9, 0.99), ..Default::default() };
    let opt = optim::Adam::with_options(model.parameters(), 1e-3, options);
    Some(epoch(mode, &model, |x| model.forward(x), &opt, 50, (images.unsqueeze(1), labels)))
}

pub fn lstm(seed: u64, mode: Mode) -> Option<Outcome> {
    let Mnist { images, labels } = digits()?;
    manual_seed(seed);
    let options = nn::LstmOptions { batch_first: true, ..Default::default() };
    let model = LstmNet { rnn: nn::Lstm::with_options(28, 64, options), out: nn::Linear::new(64, 10) };
    let opt = optim::Adam::new(model.parameters(), 1e-2);
    Some(epoch(mode, &model, |x| model.forward(x), &opt, 64, (images, labels)))
}
