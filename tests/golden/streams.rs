//! The random streams of a seed, and the batches that a loader makes of them.

use crate::check::{By, Outcome, numbers};
use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::functional;
use allotrope::prelude::*;
use allotrope::tensor::random::default_generator;

pub fn dataloader(seed: u64) -> Outcome {
    manual_seed(seed);
    let (x, y) = (Tensor::linspace(1.0, 10.0, 10), Tensor::linspace(10.0, 1.0, 10));
    let options = DataLoaderOptions { batch_size: 4, shuffle: true, ..Default::default() };
    let loader = DataLoader::with_options(TensorDataset::new((x, y)), options);
    let mut batches = Vec::new();
    for _ in 0..3 {
        for batch in loader.iter() {
            let (x, y) = batch.expect("a batch");
            batches.extend(numbers(&x).into_iter().chain(numbers(&y)));
        }
    }
    Outcome::default().number("batches", batches, By::Exactly)
}

pub fn rng_streams(seed: u64) -> Outcome {
    let mut all = Outcome::default();
    let mut put = |name: &str, values: Vec<f64>, by: By| all.numbers.push((format!("streams.{name}"), values, by));
    let close = By::Relative(1e-6);
    manual_seed(seed);
    put("rand_5", numbers(&rand(&[5])), close);
    put("randn_5", numbers(&randn(&[5])), close);
    put("randn_20", numbers(&randn(&[20])), close);
    put("randint_0_100_8", numbers(&randint(0, 100, &[8])), By::Exactly);
    put("randperm_12", numbers(&randperm(12)), By::Exactly);
    put("rand_after", numbers(&rand(&[3])), close);
    put("randn_double_4", numbers(&default_generator().randn(&[4], DType::F64)), close);
    put("bernoulli_0.3_10", numbers(&bernoulli(&Tensor::full(&[10], 0.3f32))), By::Exactly);
    manual_seed(seed);
    let layer = nn::Linear::new(3, 2);
    put("linear_3_2_weight", numbers(&layer.weight), close);
    put("linear_3_2_bias", numbers(layer.bias.as_ref().expect("a bias")), close);
    manual_seed(seed);
    let layer = nn::Conv2d::new(1, 2, 3);
    put("conv2d_1_2_3_weight_sum", numbers(&layer.weight.sum()), close);
    put("conv2d_bias", numbers(layer.bias.as_ref().expect("a bias")), close);
    manual_seed(seed);
    for (name, tensor) in nn::Lstm::new(2, 3).state_dict().iter() {
        put(&format!("lstm_2_3.{name}"), numbers(tensor), close);
    }
    manual_seed(seed);
    put("embedding_4_3", numbers(&nn::Embedding::new(4, 3).weight), close);
    manual_seed(seed);
    put("dropout_0.5_ones_16", numbers(&functional::dropout(&Tensor::ones(&[16], DType::F32), 0.5, true)), By::Exactly);
    all
}
