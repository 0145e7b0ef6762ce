//! Loops and branches that tensors decide: `while_loop` and `cond`. Eagerly they are a loop and an `if`; a trace keeps them,
//! so one compilation serves every number of iterations and both branches, and gradients flow through what ran. Here: a
//! fixed point that is refined until it no longer moves, trained with a step that is shortened where it is too long.
//!
//! `cargo run --release --example control_flow` prints
//!
//! ```text
//! step 10: loss 0.005071, w 0.6107, 22 steps
//! step 20: loss 0.000556, w 0.7243, 34 steps
//! step 30: loss 0.000105, w 0.7649, 41 steps
//! step 40: loss 0.000024, w 0.7828, 45 steps
//! 1 compilation
//! ```

use allotrope::prelude::*;

/// The state h with h = cos(h * w + x), and the number of steps that it took to find it.
fn fixed_point(x: &Tensor, w: &Tensor) -> (Tensor, Tensor) {
    let (h, _, steps) = while_loop(
        |(h, before, _)| (h - before).abs().max().gt(1e-6),
        |(h, _, steps)| ((&h * w + x).cos(), h, steps + 1),
        (x.cos(), x.clone(), Tensor::scalar(0i64)),
    );
    (h, steps)
}

fn main() -> Result<(), Error> {
    let w = Tensor::scalar(0.1f32).requires_grad();
    let step = |x: &Tensor, wanted: &Tensor| {
        let (h, steps) = fixed_point(x, &w);
        let loss = mse_loss(&h, wanted);
        w.set_grad(None);
        loss.backward();
        // Large gradients are clipped to 1.
        let gradient = w.grad().expect("backward was called");
        let gradient = cond(&gradient.abs().gt(1.0), |g: Tensor| g.sign(), |g| g, gradient);
        no_grad(|| w.sub_(&(gradient * 0.5)));
        (loss.detach(), steps)
    };

    // Which w makes these fixed points?
    let truth = Tensor::scalar(0.8f32);
    let step = trace(step);
    for i in 1..=40 {
        let x = Tensor::linspace(-1.0, 1.0, 3 + i % 5);
        let (wanted, _) = fixed_point(&x, &truth);
        let (loss, steps) = step.call((&x, &wanted))?;
        if i % 10 == 0 {
            println!(
                "step {i}: loss {:.6}, w {:.4}, {} steps",
                loss.item::<f32>(),
                w.item::<f32>(),
                steps.item::<i64>()
            );
        }
    }
    println!("{} compilation", step.compilations());
    Ok(())
}
