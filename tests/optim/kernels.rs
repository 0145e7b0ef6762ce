//! What a traced step consists of: one kernel walks over each parameter with its state; everything else is numbers without axes.

use crate::common::draw;
use crate::rules;
use allotrope::optim::{Adam, Optimizer, Sgd, SgdOptions};
use allotrope::prelude::*;

/// The kernels of a traced step, as the elements that each walks over.
fn walked(opt: &dyn Optimizer) -> Vec<usize> {
    let step = trace(|| opt.step());
    step.call(()).unwrap();
    let explained = step.explain();
    let elements = |space: &[allotrope::ir::Dim]| {
        space.iter().map(|d| d.to_string().parse::<usize>().expect("parameters have fixed sizes")).product()
    };
    explained[0].kernels().iter().map(|k| elements(&k.space)).collect()
}

fn parameters() -> Vec<Tensor> {
    let all = [draw(1, &[37]).requires_grad(), draw(2, &[5, 8]).requires_grad()];
    all.iter().for_each(|p| p.set_grad(Some(draw(3, p.shape()))));
    all.to_vec()
}

#[test]
fn one_kernel_for_each_parameter() {
    for (name, make) in rules::all() {
        let walked = walked(&*make(parameters()));
        let large: Vec<usize> = walked.iter().copied().filter(|n| *n > 1).collect();
        assert_eq!(large, [37, 40], "{name}: kernels of {walked:?} elements");
        println!("{name}: {} kernels without axes", walked.len() - large.len());
    }
}

/// What parameters share is computed once for all of them.
#[test]
fn more_parameters_have_no_more_numbers() {
    let many = |n: u64| -> Vec<Tensor> {
        let all: Vec<Tensor> = (0..n).map(|i| draw(i, &[11]).requires_grad()).collect();
        all.iter().for_each(|p| p.set_grad(Some(draw(3, &[11]))));
        all
    };
    let numbers = |all: Vec<usize>| all.into_iter().filter(|n| *n == 1).count();
    let adam = |n| numbers(walked(&Adam::new(many(n), 0.1)));
    assert_eq!(adam(1), adam(6));
    let options = SgdOptions { momentum: 0.9, ..Default::default() };
    let sgd = |n| numbers(walked(&Sgd::with_options(many(n), 0.1, options)));
    assert_eq!(sgd(1), sgd(6));
}
