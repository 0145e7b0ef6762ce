//! A training loop: a layer, a loss, an optimizer, and fifteen points on a noisy line.
//!
//! `cargo run --release --example linear_regression` prints
//!
//! ```text
//! Linear(in_features=1, out_features=1, bias=True)
//! epoch 10: loss 0.022492
//! epoch 20: loss 0.003680
//! epoch 30: loss 0.003575
//! epoch 40: loss 0.003575
//! epoch 50: loss 0.003575
//! weight 2.963
//! bias -0.523
//! ```

use allotrope::prelude::*;

fn main() {
    manual_seed(1);
    let x = Tensor::linspace(-1.0, 1.0, 15).unsqueeze(1);
    let y = &x * 3.0 - 0.5 + randn(&[15, 1]) * 0.1;

    let model = nn::Linear::new(1, 1);
    let opt = optim::Sgd::new(model.parameters(), 0.3);
    println!("{model}");
    for epoch in 1..=50 {
        let loss = mse_loss(&model.forward(&x), &y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        if epoch % 10 == 0 {
            println!("epoch {epoch}: loss {:.6}", loss.item::<f32>());
        }
    }
    for (name, parameter) in model.named_parameters() {
        println!("{name} {:.3}", parameter.item::<f32>());
    }
}
