//! One network of 64 x 1000 x 100 x 10 in the six forms that PyTorch's first examples give it: gradients by hand, autograd, an
//! autograd function of one's own, a `Sequential` with SGD, the same with Adam, and a module of one's own.
//!
//! `cargo run --release --example two_layer`, and the same with `-- --trace`, prints
//!
//! ```text
//! loss at step        0      100      200      300      400      499
//! manual          4.0e7    6.6e2    9.5e0   2.2e-1   5.8e-3   3.7e-4
//! autograd        4.0e7    6.6e2    9.5e0   2.2e-1   5.8e-3   3.7e-4
//! function        4.0e7    6.6e2    9.5e0   2.2e-1   5.8e-3   3.7e-4
//! sequential      6.9e2    6.4e2    6.0e2    5.6e2    5.3e2    5.0e2
//! adam            6.9e2    6.7e2    6.6e2    6.4e2    6.3e2    6.1e2
//! module          6.9e2    1.8e0   2.2e-2   5.3e-4   1.7e-5   6.2e-7
//! ```
//!
//! `-- --variant adam` runs one of them. The first three start from normal weights and large losses, the others from PyTorch's
//! initialisation of layers; the module has a larger learning rate than the two before it.

use allotrope::prelude::*;
use clap::{Parser, ValueEnum};

const STEPS: usize = 500;
const SHOWN: [usize; 6] = [0, 100, 200, 300, 400, STEPS - 1];
const LR: f64 = 1e-6;

#[derive(Parser)]
struct Args {
    /// Compile the step.
    #[arg(long)]
    trace: bool,
    /// Run this form only.
    #[arg(long)]
    variant: Option<Variant>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Variant {
    Manual,
    Autograd,
    Function,
    Sequential,
    Adam,
    Module,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let variants = args.variant.map_or(Variant::value_variants().to_vec(), |one| vec![one]);
    println!("loss at step{}", SHOWN.map(|step| format!("{step:>9}")).concat());
    for variant in variants {
        manual_seed(1);
        let (x, y) = (randn(&[64, 1000]), randn(&[64, 10]));
        let losses = match variant {
            Variant::Manual => manual(&x, &y, args.trace),
            Variant::Autograd => autograd(&x, &y, |h| h.clamp_min(0.0), args.trace),
            Variant::Function => autograd(&x, &y, |h| MyRelu.apply1(&[h]), args.trace),
            Variant::Sequential => sequential(&x, &y, args.trace),
            Variant::Adam => adam(&x, &y, args.trace),
            Variant::Module => module(&x, &y, args.trace),
        }?;
        let name = format!("{variant:?}").to_lowercase();
        println!("{name:<12}{}", SHOWN.map(|step| format!("{:>9.1e}", losses[step])).concat());
    }
    Ok(())
}

/// Tensors alone: the forward pass, the chain rule, and the update in place.
fn manual(x: &Tensor, y: &Tensor, is_traced: bool) -> Result<Vec<f32>, Error> {
    let (w1, w2) = (randn(&[1000, 100]), randn(&[100, 10]));
    run(is_traced, || {
        let h = x.matmul(&w1);
        let h_relu = h.clamp_min(0.0);
        let y_pred = h_relu.matmul(&w2);
        let loss = (&y_pred - y).pow(2).sum();

        let grad_y_pred = 2.0 * (y_pred - y);
        let grad_w2 = h_relu.t().matmul(&grad_y_pred);
        let grad_h_relu = grad_y_pred.matmul(&w2.t());
        let grad_h = grad_h_relu.masked_fill(&h.lt(0.0), 0.0);
        let grad_w1 = x.t().matmul(&grad_h);
        w1.sub_(&(LR * grad_w1));
        w2.sub_(&(LR * grad_w2));
        loss
    })
}

/// The backward pass is autograd's, the update is still ours.
fn autograd(x: &Tensor, y: &Tensor, relu: impl Fn(&Tensor) -> Tensor, is_traced: bool) -> Result<Vec<f32>, Error> {
    let w1 = randn(&[1000, 100]).requires_grad();
    let w2 = randn(&[100, 10]).requires_grad();
    run(is_traced, || {
        let loss = (relu(&x.matmul(&w1)).matmul(&w2) - y).pow(2).sum();
        loss.backward();
        no_grad(|| {
            for w in [&w1, &w2] {
                w.sub_(&(LR * w.grad().expect("backward has reached it")));
                w.set_grad(None);
            }
        });
        loss.detach()
    })
}

/// A ReLU with a derivative of our own, as a subclass of `torch.autograd.Function`.
struct MyRelu;

impl Function for MyRelu {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.save_for_backward(inputs);
        vec![inputs[0].clamp_min(0.0)]
    }

    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let negative = ctx.saved_tensors()[0].lt(0.0);
        vec![Some(grads[0].masked_fill(&negative, 0.0))]
    }
}

fn network() -> nn::Sequential {
    nn::Sequential::new().append(nn::Linear::new(1000, 100)).append(nn::Relu::new()).append(nn::Linear::new(100, 10))
}

/// Layers in a row, and an optimizer that knows their parameters.
fn sequential(x: &Tensor, y: &Tensor, is_traced: bool) -> Result<Vec<f32>, Error> {
    let model = network();
    let optimizer = optim::Sgd::new(model.parameters(), LR);
    train(&model, &optimizer, x, y, is_traced)
}

fn adam(x: &Tensor, y: &Tensor, is_traced: bool) -> Result<Vec<f32>, Error> {
    let model = network();
    let optimizer = optim::Adam::new(model.parameters(), LR);
    train(&model, &optimizer, x, y, is_traced)
}

/// A module of our own: the derive macro finds the layers, the forward pass is Rust.
#[derive(Module)]
struct TwoLayerNet {
    linear1: nn::Linear,
    linear2: nn::Linear,
}

impl Forward for TwoLayerNet {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.linear2.forward(&self.linear1.forward(x).clamp_min(0.0))
    }
}

fn module(x: &Tensor, y: &Tensor, is_traced: bool) -> Result<Vec<f32>, Error> {
    let model = TwoLayerNet { linear1: nn::Linear::new(1000, 100), linear2: nn::Linear::new(100, 10) };
    let optimizer = optim::Sgd::new(model.parameters(), 1e-4);
    train(&model, &optimizer, x, y, is_traced)
}

/// PyTorch's training loop, for any module and optimizer.
fn train(
    model: &impl Forward,
    optimizer: &impl Optimizer,
    x: &Tensor,
    y: &Tensor,
    is_traced: bool,
) -> Result<Vec<f32>, Error> {
    let loss_fn = nn::MseLoss::new().reduction(Reduction::Sum);
    run(is_traced, || {
        let loss = loss_fn.forward(&model.forward(x), y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        loss.detach()
    })
}

/// The losses of all steps, each of which is compiled code where `is_traced`.
fn run(is_traced: bool, step: impl Fn() -> Tensor) -> Result<Vec<f32>, Error> {
    let step = trace(step).disabled(!is_traced);
    (0..STEPS).map(|_| Ok(step.call(())?.item())).collect()
}
