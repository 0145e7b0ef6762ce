//! The two models that are trained on MNIST in the recorded PyTorch runs, a convolutional network and an LSTM, written
//! in operations: whole training steps with their optimizers and batch sizes.

use allotrope::prelude::*;

/// A parameter of uniform numbers in [-bound, bound).
fn uniform(shape: &[usize], bound: f64) -> Tensor {
    let t = Tensor::zeros(shape, DType::F32);
    nn::init::uniform_(&t, -bound, bound);
    t.requires_grad()
}

/// What follows a forward pass: the loss, backward, the update; gives the loss.
fn learn(logits: &Tensor, y: &Tensor, opt: &optim::Adam) -> Tensor {
    let loss = cross_entropy(logits, y, CrossEntropyOptions::default());
    opt.zero_grad();
    loss.backward();
    opt.step();
    loss.detach()
}

/// Two convolutions of 5 by 5, each with a ReLU and a pooling of 2 by 2, and a linear layer.
pub struct Cnn {
    convolutions: [(Tensor, Tensor); 2],
    out: nn::Linear,
}

impl Cnn {
    /// The model and its optimizer, the same ones on every call.
    pub fn new() -> (Cnn, optim::Adam) {
        manual_seed(0);
        let layer = |from: usize, to: usize| {
            let bound = 1.0 / (25.0 * from as f64).sqrt();
            (uniform(&[to, from, 5, 5], bound), uniform(&[to], bound))
        };
        let model = Cnn { convolutions: [layer(1, 16), layer(16, 32)], out: nn::Linear::new(32 * 7 * 7, 10) };
        let options = optim::AdamOptions { betas: (0.9, 0.99), ..Default::default() };
        let opt = optim::Adam::with_options(model.parameters(), 1e-3, options);
        (model, opt)
    }

    /// Images `[n, 1, 28, 28]` and their classes `[n]`.
    pub fn data() -> [Tensor; 2] {
        manual_seed(1);
        [randn(&[50, 1, 28, 28]), randint(0, 10, &[50])]
    }

    pub fn step(&self, opt: &optim::Adam, x: &Tensor, y: &Tensor) -> Tensor {
        let mut x = x.clone();
        for (weight, bias) in &self.convolutions {
            let options = ConvOptions { padding: Padding::Both([2, 2]), ..ConvOptions::default() };
            x = max_pool2d(&conv2d(&x, weight, Some(bias), options).relu(), [2, 2], MaxPoolOptions::default());
        }
        learn(&self.out.forward(&x.reshape(&[-1, 32 * 7 * 7])), y, opt)
    }
}

impl Module for Cnn {
    fn visit(&self, visitor: &mut dyn nn::Visitor) {
        for (i, (weight, bias)) in self.convolutions.iter().enumerate() {
            visitor.parameter(&format!("conv{}.weight", i + 1), weight);
            visitor.parameter(&format!("conv{}.bias", i + 1), bias);
        }
        visitor.child("out", &self.out);
    }
}

const HIDDEN: usize = 64;

/// An LSTM over the 28 rows of an image, and a linear layer on its last state.
#[derive(Module)]
pub struct Lstm {
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    out: nn::Linear,
}

impl Lstm {
    /// The model and its optimizer, the same ones on every call.
    pub fn new() -> (Lstm, optim::Adam) {
        manual_seed(0);
        let bound = 1.0 / (HIDDEN as f64).sqrt();
        let model = Lstm {
            weight_ih: uniform(&[4 * HIDDEN, 28], bound),
            weight_hh: uniform(&[4 * HIDDEN, HIDDEN], bound),
            bias_ih: uniform(&[4 * HIDDEN], bound),
            bias_hh: uniform(&[4 * HIDDEN], bound),
            out: nn::Linear::new(HIDDEN, 10),
        };
        let opt = optim::Adam::new(model.parameters(), 1e-2);
        (model, opt)
    }

    /// Images `[n, 28, 28]` and their classes `[n]`.
    pub fn data() -> [Tensor; 2] {
        manual_seed(1);
        [randn(&[64, 28, 28]), randint(0, 10, &[64])]
    }

    pub fn step(&self, opt: &optim::Adam, x: &Tensor, y: &Tensor) -> Tensor {
        let bias = &self.bias_ih + &self.bias_hh;
        let gates = x.transpose(0, 1).matmul(&self.weight_ih.t()) + bias;
        // Zeros with the batch of x, symbolic where that is.
        let rows = x.narrow(1, 0, 1).narrow(2, 0, 0).sum_dim(&[1, 2], false);
        let start = rows.reshape(&[-1, 1]).expand(&[-1, HIDDEN as isize]);
        let ((h, _), _) = scan((start.clone(), start), gates, |(h, c): (Tensor, Tensor), gates: Tensor| {
            let gates = gates + h.matmul(&self.weight_hh.t());
            let [input, forget, cell, output] = &gates.chunk(4, 1)[..] else { unreachable!("four gates") };
            let c = forget.sigmoid() * c + input.sigmoid() * cell.tanh();
            let h = output.sigmoid() * c.tanh();
            ((h.clone(), c), h)
        });
        learn(&self.out.forward(&h), y, opt)
    }
}
