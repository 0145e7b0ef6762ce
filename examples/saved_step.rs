//! A training step in a file: captured, saved with its state, loaded, and continued without the closure that made it.
//!
//! `cargo run --release --example saved_step`
//!
//! ```text
//! 100 steps, 50 of them loaded:
//! model.bias = tensor([0.9977], requires_grad=True)
//! model.weight = tensor([[1.9902]], requires_grad=True)
//!
//! the graph file begins with
//!
//! allotrope 4
//!
//! tensor "model.bias": f32[1] requires_grad grad "model.bias.grad"
//! tensor "model.weight": f32[1, 1] requires_grad grad "model.weight.grad"
//! tensor "adam.step": f32[]
//! tensor "lr": f64[]
//! tensor "adam.0.exp_avg": f32[1, 1]
//! tensor "adam.0.exp_avg_sq": f32[1, 1]
//! tensor "adam.1.exp_avg": f32[1]
//! tensor "adam.1.exp_avg_sq": f32[1]
//! tensor "model.bias.grad": f32[1]
//! tensor "model.weight.grad": f32[1, 1]
//! ```

use allotrope::prelude::*;
use allotrope::trace::{Names, Program};

fn main() -> Result<(), Error> {
    let path = std::env::temp_dir().join(format!("allotrope-line-{}", std::process::id()));
    let x = Tensor::from_vec((0..8).map(|i| i as f32 / 8.0).collect(), &[8, 1]);
    let y = &x * 2.0 + 1.0;

    manual_seed(1);
    let model = nn::Linear::new(1, 1);
    let opt = optim::Adam::new(model.parameters(), 0.1);
    let step = trace(|x: &Tensor, y: &Tensor| {
        let loss = mse_loss(&model.forward(x), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    for _ in 0..50 {
        step.call((&x, &y))?;
    }
    let names = Names::new().module("model", &model).tensors("adam", opt.state()).tensor("lr", opt.lr());
    step.save_with_names(&path, &names)?;

    // From here on nothing of the above is needed.
    let program = Program::load(&path)?;
    for _ in 0..50 {
        let loss = program.call(&[&x, &y])?.remove(0);
        assert_eq!(loss.item::<f32>(), step.call((&x, &y))?.item::<f32>());
    }
    println!("100 steps, 50 of them loaded:");
    for (name, tensor) in program.states().filter(|(name, _)| name.starts_with("model")) {
        println!("{name} = {tensor}");
    }
    let text = std::fs::read_to_string(path.with_extension("graph")).expect("it was just written");
    println!("\nthe graph file begins with\n");
    text.lines().take(12).for_each(|line| println!("{line}"));
    for ending in ["graph", "safetensors"] {
        let _ = std::fs::remove_file(path.with_extension(ending));
    }
    Ok(())
}
