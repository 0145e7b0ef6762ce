//! Batches of a data set: `DataLoader` shuffles, two threads make batches ahead, and the last one is smaller. From the same seed
//! the batches are PyTorch's. With `--trace` the function of each batch is compiled: once, for batches of any size.
//!
//! `cargo run --release --example batches`, and the same with `-- --trace`, prints
//!
//! ```text
//! epoch 0, step 0: x tensor([5., 3., 1., 7.]), y tensor([ 6.,  8., 10.,  4.]), mean square 29
//! epoch 0, step 1: x tensor([ 9.,  8., 10.,  2.]), y tensor([2., 3., 1., 9.]), mean square 51
//! epoch 0, step 2: x tensor([6., 4.]), y tensor([5., 7.]), mean square 5
//! epoch 1, step 0: x tensor([5., 9., 2., 6.]), y tensor([6., 2., 9., 5.]), mean square 25
//! epoch 1, step 1: x tensor([1., 3., 4., 7.]), y tensor([10.,  8.,  7.,  4.]), mean square 31
//! epoch 1, step 2: x tensor([10.,  8.]), y tensor([1., 3.]), mean square 53
//! 6 batches of 10 items in 2 epochs
//! ```

use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::prelude::*;
use clap::Parser;

/// Batches of a data set.
#[derive(Parser)]
struct Args {
    /// Compile the function of each batch.
    #[arg(long)]
    trace: bool,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    manual_seed(1);
    let (x, y) = (Tensor::linspace(1.0, 10.0, 10), Tensor::linspace(10.0, 1.0, 10));
    let data = TensorDataset::new((x, y));
    let options = DataLoaderOptions { batch_size: 4, shuffle: true, num_workers: 2, ..Default::default() };
    let loader = DataLoader::with_options(data, options);
    let step = trace(|x: &Tensor, y: &Tensor| mse_loss(x, y)).disabled(!args.trace);
    for epoch in 0..2 {
        for (i, batch) in loader.iter().enumerate() {
            let (x, y) = batch?;
            let loss = step.call((&x, &y))?;
            println!("epoch {epoch}, step {i}: x {x}, y {y}, mean square {}", loss.item::<f32>());
        }
    }
    println!("{} batches of 10 items in 2 epochs", 2 * loader.len());
    Ok(())
}
