//! Two clouds of points told apart, and five optimizers on one data set.

use crate::check::{By, Mode, Outcome, nudge};
use crate::fits::{Net, train};
use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::prelude::*;

pub fn classification(seed: u64, mode: Mode) -> Outcome {
    manual_seed(seed);
    let ones = Tensor::ones(&[100, 2], DType::F32);
    let x0 = normal(&(2.0 * &ones), 1.0);
    let x1 = normal(&(-2.0 * &ones), 1.0);
    let x = cat(&[&x0, &x1], 0);
    let y = cat(&[&Tensor::zeros(&[100], DType::I64), &Tensor::ones(&[100], DType::I64)], 0);
    let net = Net::new(2, 10, 2);
    let opt = optim::Sgd::new(net.parameters(), 0.01);
    let cross_entropy = nn::CrossEntropyLoss::new();
    let losses = train(mode, 100, |x| net.forward(x), &opt, |x, y| cross_entropy.forward(x, y), (&x, &y));
    let predicted = net.forward(&x).softmax(1).argmax_dim(1, false);
    let accuracy = predicted.eq(&y).to(DType::F32).mean().item::<f32>();
    let left = net.parameters().iter().map(Tensor::detach).collect();
    Outcome { losses, left, ..Outcome::default() }.number("accuracy", vec![accuracy.into()], By::Absolute(0.01))
}

pub fn optimizers(seed: u64, mode: Mode) -> Outcome {
    manual_seed(seed);
    let x = Tensor::linspace(-1.0, 1.0, 1000).unsqueeze(1);
    let y = x.pow(2) + 0.1 * normal(&Tensor::zeros(&[1000, 1], DType::F32), 1.0);
    let options = DataLoaderOptions { batch_size: 32, shuffle: true, ..Default::default() };
    let loader = DataLoader::with_options(TensorDataset::new((x, y)), options);
    let nets: Vec<Net> = (0..5).map(|_| Net::new(1, 20, 1)).collect();
    nets.iter().for_each(|net| nudge(&net.parameters()));
    let p = |i: usize| nets[i].parameters();
    let momentum = optim::SgdOptions { momentum: 0.8, ..Default::default() };
    let alpha = optim::RmsPropOptions { alpha: 0.9, ..Default::default() };
    let betas = optim::AdamOptions { betas: (0.9, 0.99), ..Default::default() };
    let optimizers: Vec<Box<dyn Optimizer>> = vec![
        Box::new(optim::Sgd::new(p(0), 0.01)),
        Box::new(optim::Sgd::with_options(p(1), 0.01, momentum)),
        Box::new(optim::RmsProp::with_options(p(2), 0.01, alpha)),
        Box::new(optim::Adam::with_options(p(3), 0.01, betas)),
        Box::new(optim::Adagrad::new(p(4), 0.01)),
    ];
    let steps = nets.iter().zip(&optimizers).map(|(net, opt)| {
        move |x: &Tensor, y: &Tensor| {
            let loss = mse_loss(&net.forward(x), y);
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        }
    });
    let steps: Vec<_> = steps.map(|step| (step, trace(step))).collect();
    let mut losses = vec![Vec::new(); steps.len()];
    for _ in 0..12 {
        for batch in loader.iter() {
            let (x, y) = batch.expect("a batch");
            for ((step, traced), losses) in steps.iter().zip(&mut losses) {
                let loss = match mode {
                    Mode::Eager => step(&x, &y),
                    Mode::Traced => traced.call((&x, &y)).expect("the step runs"),
                };
                losses.push(f64::from(loss.item::<f32>()));
            }
        }
    }
    assert!(
        mode == Mode::Eager || steps.iter().all(|(_, traced)| traced.compilations() == 1),
        "the last batch is smaller"
    );
    let left = nets.iter().flat_map(|net| net.parameters()).map(|p| p.detach()).collect();
    Outcome { losses: losses.concat(), left, ..Outcome::default() }
}
