//! The network of 64 x 1000 x 100 x 10 in its seven forms.

use crate::check::{Mode, Outcome, list, nudge};
use allotrope::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

const STEPS: usize = 500;
const RATE: f64 = 1e-6;

fn data() -> (Tensor, Tensor) {
    (randn(&[64, 1000]), randn(&[64, 10]))
}

/// The losses of `STEPS` calls of a step without arguments.
fn losses(mode: Mode, step: impl FnMut() -> Tensor) -> Vec<f64> {
    let mut step = step;
    let number = |t: Tensor| f64::from(t.item::<f32>());
    match mode {
        Mode::Eager => (0..STEPS).map(|_| number(step())).collect(),
        Mode::Traced => {
            let step = trace(step);
            let losses = (0..STEPS).map(|_| number(step.call(()).expect("the step runs"))).collect();
            assert_eq!(step.compilations(), 1);
            losses
        }
    }
}

pub fn manual(seed: u64, mode: Mode) -> Outcome {
    manual_seed(seed);
    let (x, y) = data();
    let (w1, w2) = (randn(&[1000, 100]), randn(&[100, 10]));
    nudge(&[w1.clone(), w2.clone()]);
    let losses = losses(mode, || {
        let h = x.matmul(&w1);
        let r = h.clamp_min(0.0);
        let p = r.matmul(&w2);
        let loss = (&p - &y).pow(2).sum();
        let gp = 2.0 * (&p - &y);
        let gw2 = r.t().matmul(&gp);
        let gr = gp.matmul(&w2.t());
        let gh = gr.where_self(&h.ge(0.0), 0.0);
        let gw1 = x.t().matmul(&gh);
        w1.sub_(&(gw1 * RATE));
        w2.sub_(&(gw2 * RATE));
        loss
    });
    Outcome { losses, left: vec![w1, w2], ..Outcome::default() }
}

fn by_autograd(seed: u64, mode: Mode, relu: impl Fn(&Tensor) -> Tensor) -> Outcome {
    manual_seed(seed);
    let (x, y) = data();
    let (w1, w2) = (randn(&[1000, 100]).requires_grad(), randn(&[100, 10]).requires_grad());
    nudge(&[w1.clone(), w2.clone()]);
    let losses = losses(mode, || {
        let loss = (relu(&x.matmul(&w1)).matmul(&w2) - &y).pow(2).sum();
        loss.backward();
        no_grad(|| {
            for w in [&w1, &w2] {
                w.sub_(&(w.grad().expect("a gradient") * RATE));
                w.set_grad(None);
            }
        });
        loss.detach()
    });
    Outcome { losses, left: vec![w1.detach(), w2.detach()], ..Outcome::default() }
}

pub fn autograd(seed: u64, mode: Mode) -> Outcome {
    by_autograd(seed, mode, |h| h.clamp_min(0.0))
}

struct MyRelu;

impl Function for MyRelu {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.save_for_backward(&[inputs[0]]);
        vec![inputs[0].clamp_min(0.0)]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let x = &ctx.saved_tensors()[0];
        vec![Some(grads[0].where_self(&x.ge(0.0), 0.0))]
    }
}

pub fn custom_function(seed: u64, mode: Mode) -> Outcome {
    by_autograd(seed, mode, |h| MyRelu.apply(&[h]).remove(0))
}

fn network() -> nn::Sequential {
    nn::Sequential::new().append(nn::Linear::new(1000, 100)).append(nn::Relu::new()).append(nn::Linear::new(100, 10))
}

fn trained<O: Optimizer>(seed: u64, mode: Mode, optimizer: impl Fn(Vec<Tensor>) -> O) -> Outcome {
    manual_seed(seed);
    let (x, y) = data();
    let model = network();
    nudge(&model.parameters());
    let opt = optimizer(model.parameters());
    let loss_of = nn::MseLoss::new().reduction(Reduction::Sum);
    let losses = losses(mode, || {
        let loss = loss_of.forward(&model.forward(&x), &y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    Outcome { losses, left: model.parameters().iter().map(Tensor::detach).collect(), ..Outcome::default() }
}

pub fn sequential(seed: u64, mode: Mode) -> Outcome {
    trained(seed, mode, |parameters| optim::Sgd::new(parameters, RATE))
}

pub fn adam(seed: u64, mode: Mode) -> Outcome {
    trained(seed, mode, |parameters| optim::Adam::new(parameters, RATE))
}

pub fn custom_module(seed: u64, mode: Mode) -> Outcome {
    trained(seed, mode, |parameters| optim::Sgd::new(parameters, 1e-4))
}

#[derive(Module)]
struct DynamicNet {
    first: nn::Linear,
    middle: nn::Linear,
    last: nn::Linear,
}

/// 0 to 3 passes through the middle layer, by a list that the closure goes through.
pub fn dynamic(seed: u64, file: &Value, mode: Mode) -> Outcome {
    let depths: Vec<usize> = list(&file["inputs"]["depths"]).iter().map(|d| *d as usize).collect();
    manual_seed(seed);
    let net = DynamicNet {
        first: nn::Linear::new(1000, 100),
        middle: nn::Linear::new(100, 100),
        last: nn::Linear::new(100, 10),
    };
    let (x, y) = data();
    nudge(&net.parameters());
    let options = optim::SgdOptions { momentum: 0.9, ..Default::default() };
    let opt = optim::Sgd::with_options(net.parameters(), 1e-4, options);
    let mut next = depths.iter();
    let mut step = || {
        let depth = *next.next().expect("a depth for each step");
        let h = net.first.forward(&x).relu();
        let h = (0..depth).fold(h, |h, _| net.middle.forward(&h).relu());
        let loss = (net.last.forward(&h) - &y).pow(2).sum();
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let number = |t: Tensor| f64::from(t.item::<f32>());
    let losses = match mode {
        Mode::Eager => depths.iter().map(|_| number(step())).collect(),
        Mode::Traced => {
            let step = trace_dynamic(step);
            let losses = depths.iter().map(|_| number(step.call(()).expect("the step runs"))).collect();
            // Once a step had no gradient for the middle layer, its momentum counts its own steps, so depths above 0 are recorded anew.
            let first_without = depths.iter().position(|d| *d == 0).unwrap_or(depths.len());
            let structures: BTreeSet<(usize, bool)> =
                depths.iter().enumerate().map(|(i, d)| (*d, *d > 0 && i > first_without)).collect();
            assert_eq!(step.compilations(), structures.len(), "for depths {depths:?}");
            losses
        }
    };
    Outcome { losses, left: net.parameters().iter().map(Tensor::detach).collect(), ..Outcome::default() }
}
