//! Loops of your own: `scan` is a loop in eager mode and stays a loop in a trace, so one compilation serves every
//! length, and gradients flow through it. Here: an exponential moving average whose decay is learnt.
//!
//! `cargo run --release --example scan` prints
//!
//! ```text
//! tensor([0.5000, 0.7500, 0.8750, 0.9375])
//! step 20: loss 0.003605, decay 0.8532
//! step 40: loss 0.000039, decay 0.8914
//! step 60: loss 0.000023, decay 0.8953
//! 1 compilation for sequences of 5 to 11 elements
//! ```

use allotrope::prelude::*;

/// `mean[t] = decay * mean[t-1] + (1 - decay) * xs[t]`
fn moving_average(xs: &Tensor, decay: &Tensor) -> Tensor {
    let (_last, means) = scan(Tensor::scalar(0.0f32), xs.clone(), |mean, x| {
        let mean = decay * mean + (1.0 - decay) * x;
        (mean.clone(), mean)
    });
    means
}

fn main() -> Result<(), Error> {
    let xs = Tensor::from_vec(vec![1.0f32, 1.0, 1.0, 1.0], &[4]);
    println!("{}", moving_average(&xs, &Tensor::scalar(0.5f32)));

    // Which decay makes these averages?
    let decay = Tensor::scalar(0.5f32).requires_grad();
    let opt = optim::Adam::new(vec![decay.clone()], 0.05);
    let step = trace(|xs: &Tensor, wanted: &Tensor| {
        let loss = mse_loss(&moving_average(xs, &decay), wanted);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    let truth = Tensor::scalar(0.9f32);
    for i in 1..=60 {
        let xs = Tensor::linspace(0.0, 1.0, 5 + i % 7);
        let loss = step.call((&xs, &moving_average(&xs, &truth)))?;
        if i % 20 == 0 {
            println!("step {i}: loss {:.6}, decay {:.4}", loss.item::<f32>(), decay.item::<f32>());
        }
    }
    println!("{} compilation for sequences of 5 to 11 elements", step.compilations());
    Ok(())
}
