//! A line through the readings of two thermometers, t_c = w * t_u + b, by gradient descent: three experiments of one step, then
//! 5,000 epochs with the gradients written out by hand, and 5,000 with autograd. PyTorch ends with a loss of 2.927647.
//!
//! `cargo run --release --example linear_regression`, and the same with `-- --trace`, prints
//!
//! ```text
//! one step with lr 1e-2           loss 1.764e3 -> 5.802e6
//! one step with lr 1e-4           loss 1.764e3 -> 3.231e2
//! one step with lr 1e-2, t_u / 10 loss 8.036e1 -> 3.757e1
//! gradients by hand
//!   epoch    1: loss 80.3643
//!   epoch   10: loss 29.0305
//!   epoch  100: loss 22.1487
//!   epoch 1000: loss 3.8285
//!   epoch 5000: loss 2.9276
//!   w and b: tensor([  5.3671, -17.3012])
//! gradients by autograd
//!   epoch    1: loss 80.3643
//!   epoch   10: loss 29.0305
//!   epoch  100: loss 22.1487
//!   epoch 1000: loss 3.8285
//!   epoch 5000: loss 2.9276
//!   w and b: tensor([  5.3671, -17.3012])
//! ```
//!
//! `line.png` in the folder of `--out` shows the readings and the line.

use allotrope::plot::Chart;
use allotrope::prelude::*;
use clap::Parser;
use std::path::PathBuf;

/// Temperatures in degrees Celsius, and the same ones as a thermometer of an unknown unit shows them.
const T_C: [f32; 11] = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0];
const T_U: [f32; 11] = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4];

const EPOCHS: usize = 5000;

#[derive(Parser)]
struct Args {
    /// Compile the step.
    #[arg(long)]
    trace: bool,
    /// Folder for the plot.
    #[arg(long, default_value = "allotrope-report/linear_regression")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let t_c = Tensor::from_vec(T_C.to_vec(), &[11]);
    let t_u = Tensor::from_vec(T_U.to_vec(), &[11]);
    let scaled = &t_u * 0.1;

    // Too large a step, a smaller one, and the large one where both gradients are of one size.
    for (what, x, lr) in [("lr 1e-2", &t_u, 1e-2), ("lr 1e-4", &t_u, 1e-4), ("lr 1e-2, t_u / 10", &scaled, 1e-2)] {
        let (losses, _) = by_hand(x, &t_c, lr, 2, args.trace)?;
        println!("one step with {what:<17} loss {:.3e} -> {:.3e}", losses[0], losses[1]);
    }

    let (losses, params) = by_hand(&scaled, &t_c, 1e-2, EPOCHS, args.trace)?;
    report("gradients by hand", &losses, &params);
    let (losses, params) = by_autograd(&scaled, &t_c, 1e-2, EPOCHS, args.trace)?;
    report("gradients by autograd", &losses, &params);

    let ends = Tensor::linspace(18.0, 86.0, 2);
    Chart::new("Two thermometers, and the line that gradient descent finds")
        .x("reading in the unknown unit")
        .y("degrees Celsius")
        .x_range(18.0, 86.0)
        .y_range(-8.0, 32.0)
        .line("w t_u + b", &ends, &model(&(&ends * 0.1), &params))
        .scatter("readings", &t_u, &t_c)
        .save(args.out.join("line.png"))?;
    Ok(())
}

fn model(x: &Tensor, params: &Tensor) -> Tensor {
    params.select(0, 0) * x + params.select(0, 1)
}

/// Losses and the last parameters of gradient descent from w = 1, b = 0. The derivatives of the mean of (prediction - t_c)² are the
/// means of 2 (prediction - t_c) x by w, and of 2 (prediction - t_c) by b.
fn by_hand(x: &Tensor, t_c: &Tensor, lr: f64, epochs: usize, traced: bool) -> Result<(Vec<f32>, Tensor), Error> {
    let step = |params: &Tensor| {
        let error = model(x, params) - t_c;
        let d_error = 2.0 * &error;
        let gradient = stack(&[&(&d_error * x).mean(), &d_error.mean()], 0);
        (error.pow(2).mean(), params - lr * gradient)
    };
    let step = trace(step).disabled(!traced);
    let mut params = Tensor::from_vec(vec![1.0f32, 0.0], &[2]);
    let mut losses = Vec::new();
    for _ in 0..epochs {
        let (loss, next) = step.call(&params)?;
        losses.push(loss.item());
        params = next;
    }
    Ok((losses, params))
}

/// The same with a backward pass in the place of the derivatives.
fn by_autograd(x: &Tensor, t_c: &Tensor, lr: f64, epochs: usize, traced: bool) -> Result<(Vec<f32>, Tensor), Error> {
    let params = Tensor::from_vec(vec![1.0f32, 0.0], &[2]).requires_grad();
    let step = || {
        let loss = (model(x, &params) - t_c).pow(2).mean();
        params.set_grad(None);
        loss.backward();
        // The update is no part of what is differentiated.
        no_grad(|| params.sub_(&(lr * params.grad().expect("backward has reached it"))));
        loss.detach()
    };
    let step = trace(step).disabled(!traced);
    let losses = (0..epochs).map(|_| Ok(step.call(())?.item())).collect::<Result<_, Error>>()?;
    Ok((losses, params.detach()))
}

fn report(what: &str, losses: &[f32], params: &Tensor) {
    println!("{what}");
    for epoch in [1, 10, 100, 1000, EPOCHS] {
        println!("  epoch {epoch:4}: loss {:.4}", losses[epoch - 1]);
    }
    println!("  w and b: {params}");
}
