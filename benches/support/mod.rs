//! The model that the benches train: sin to cos with one recurrent layer, as the examples and the comparison do. Each
//! bench uses a part of what is here.
#![allow(dead_code)]

pub mod large;
pub mod mnist;

use allotrope::prelude::*;

pub const HIDDEN: usize = 32;

#[derive(Module)]
pub struct SinToCos {
    rnn: nn::Rnn,
    out: nn::Linear,
}

impl SinToCos {
    /// The model and its optimizer, the same ones on every call.
    pub fn new() -> (SinToCos, optim::Adam) {
        manual_seed(0);
        let model = SinToCos { rnn: nn::Rnn::new(1, HIDDEN).batch_first(true), out: nn::Linear::new(HIDDEN, 1) };
        let opt = optim::Adam::new(model.parameters(), 0.02);
        (model, opt)
    }

    /// One whole training step: forward, loss, backward, update; gives the loss and the hidden state.
    pub fn step(&self, opt: &optim::Adam, x: &Tensor, y: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        let (states, h) = self.rnn.forward(x, h);
        let loss = mse_loss(&self.out.forward(&states), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        (loss.detach(), h.detach())
    }
}

/// One sequence of `points` points with its target, and a hidden state of zeros.
pub fn data(points: usize) -> [Tensor; 3] {
    manual_seed(1);
    let (x, y) = (randn(&[1, points, 1]), randn(&[1, points, 1]));
    [x, y, Tensor::zeros(&[1, 1, HIDDEN], DType::F32)]
}
