//! A network whose depth Rust draws anew on every call, compiled: `trace_dynamic` records each call and runs the code that
//! was compiled for what was recorded.
//!
//! `cargo run --release --example dynamic_net`
//!
//! ```text
//! call   0: depth 1, loss 0.9427, compiled 1
//! call  25: depth 0, loss 0.8973, compiled 4
//! call  50: depth 1, loss 0.8212, compiled 4
//! call  75: depth 0, loss 0.7122, compiled 4
//! call 100: depth 1, loss 0.6649, compiled 4
//! call 125: depth 1, loss 0.4461, compiled 4
//! call 150: depth 0, loss 0.2841, compiled 4
//! call 175: depth 2, loss 0.2141, compiled 4
//! call 199: depth 1, loss 0.1438, compiled 4
//! 100 operations, made because: it was the first call
//! 70 operations, made because: the closure did something else: event 13 was a captured tensor f32[2], not a captured tensor f32[10]
//! 148 operations, made because: the closure did something else: event 22 was broadcast, not a captured tensor f32[2]
//! 124 operations, made because: the closure did something else: event 29 was a captured tensor f32[2], not broadcast
//! ```

use allotrope::prelude::*;

fn main() -> allotrope::Result<()> {
    manual_seed(1);
    let first = nn::Linear::new(20, 10);
    let middle = nn::Linear::new(10, 10);
    let last = nn::Linear::new(10, 2);
    let parameters = [&first, &middle, &last].into_iter().flat_map(|l| l.parameters()).collect();
    let opt = optim::Sgd::new(parameters, 0.05);

    // Any Rust code may decide what is computed; here a small generator of our own.
    let mut state = 1u64;
    let step = trace_dynamic(|x: &Tensor, y: &Tensor| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let depth = (state >> 62) as usize;
        let mut h = first.forward(x).relu();
        for _ in 0..depth {
            h = middle.forward(&h).relu();
        }
        let loss = mse_loss(&last.forward(&h), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        // Rust data becomes an input of the compiled code, new on every call.
        (loss.detach(), Tensor::scalar(depth as i64))
    });

    let (x, y) = (randn(&[16, 20]), randn(&[16, 2]));
    for i in 0..200 {
        let (loss, depth) = step.call((&x, &y))?;
        if i % 25 == 0 || i == 199 {
            let (depth, loss) = (depth.item::<i64>(), loss.item::<f32>());
            println!("call {i:3}: depth {depth}, loss {loss:.4}, compiled {}", step.compilations());
        }
    }
    for variant in step.explain() {
        println!("{} operations, made because: {}", variant.captured().len(), variant.reason());
    }
    Ok(())
}
