//! A network whose depth is drawn anew for every forward pass: 0 to 3 times through one middle layer, which shares its weights.
//! Rust decides what is computed, as Python does in PyTorch's example of control flow and weight sharing.
//!
//! `cargo run --release --example dynamic_net`, and the same with `-- --trace`, prints
//!
//! ```text
//! step   0: depth 3, loss  645.680
//! step  50: depth 1, loss   78.788
//! step 100: depth 2, loss   30.464
//! step 150: depth 2, loss    3.311
//! step 200: depth 1, loss    1.823
//! step 250: depth 1, loss    1.181
//! step 300: depth 2, loss    0.956
//! step 350: depth 1, loss    0.426
//! step 400: depth 0, loss    0.124
//! step 450: depth 2, loss    0.299
//! step 499: depth 2, loss    0.446
//! ```
//!
//! With `--trace`, `trace_dynamic` records each call and runs the code that was compiled for its depth. What it compiled, and why,
//! is said on standard error.

use allotrope::prelude::*;
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Compile the step for each depth that is drawn.
    #[arg(long)]
    trace: bool,
}

#[derive(Module)]
struct DynamicNet {
    input: nn::Linear,
    middle: nn::Linear,
    output: nn::Linear,
}

impl DynamicNet {
    fn forward(&self, x: &Tensor, depth: i64) -> Tensor {
        let mut h = self.input.forward(x).relu();
        for _ in 0..depth {
            h = self.middle.forward(&h).relu();
        }
        self.output.forward(&h)
    }
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    manual_seed(1);
    let net = DynamicNet {
        input: nn::Linear::new(1000, 100),
        middle: nn::Linear::new(100, 100),
        output: nn::Linear::new(100, 10),
    };
    let (x, y) = (randn(&[64, 1000]), randn(&[64, 10]));
    // Python's example calls random.randint(0, 3) in each forward pass; these come from PyTorch's stream, all at once, because no
    // tensor has numbers within a trace.
    let depths = randint(0, 4, &[500]).to_vec::<i64>();

    let loss_fn = nn::MseLoss::new().reduction(Reduction::Sum);
    let momentum = optim::SgdOptions { momentum: 0.9, ..Default::default() };
    let optimizer = optim::Sgd::with_options(net.parameters(), 1e-4, momentum);
    let mut next_depth = depths.iter();
    let step = || {
        let depth = next_depth.next().expect("a depth for each step");
        let loss = loss_fn.forward(&net.forward(&x, *depth), &y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        loss.detach()
    };
    // A plain `trace` would compile one depth for all calls.
    let step = trace_dynamic(step).disabled(!args.trace);
    for (i, depth) in depths.iter().enumerate() {
        let loss = step.call(())?.item::<f32>();
        if i % 50 == 0 || i == depths.len() - 1 {
            println!("step {i:3}: depth {depth}, loss {loss:8.3}");
        }
    }
    for variant in step.explain().iter().rev() {
        eprintln!("compiled {} operations: {}", variant.captured().len(), variant.reason());
    }
    Ok(())
}
