//! Every optimizer with every option that changes its update, under one name, for tests that hold for all of them.

use allotrope::optim::*;
use allotrope::prelude::*;

/// A name, and how the optimizer is made.
pub type Case = (&'static str, Box<dyn Fn(Vec<Tensor>) -> Box<dyn Optimizer>>);

fn case<R: Rule>(name: &'static str, lr: f64, options: R::Options) -> Case {
    (name, Box::new(move |p| Box::new(ByRule::<R>::with_options(p, lr, options.clone()))))
}

/// All of them but LBFGS, whose step takes a closure.
pub fn all() -> Vec<Case> {
    let momentum = SgdOptions { momentum: 0.9, ..Default::default() };
    let rms = RmsPropOptions { momentum: 0.3, centered: true, weight_decay: 0.1, ..Default::default() };
    vec![
        case::<SgdRule>("SGD", 0.05, SgdOptions::default()),
        case::<SgdRule>("SGD momentum", 0.05, momentum),
        case::<SgdRule>("SGD dampening", 0.05, SgdOptions { dampening: 0.4, weight_decay: 0.1, ..momentum }),
        case::<SgdRule>("SGD nesterov", 0.05, SgdOptions { nesterov: true, maximize: true, ..momentum }),
        case::<AdagradRule>(
            "Adagrad",
            0.1,
            AdagradOptions { lr_decay: 0.1, initial_accumulator_value: 0.2, weight_decay: 0.1, ..Default::default() },
        ),
        case::<RmsPropRule>("RMSprop", 0.01, RmsPropOptions::default()),
        case::<RmsPropRule>("RMSprop centered", 0.01, rms),
        case::<AdamRule>("Adam", 0.02, AdamOptions::default()),
        case::<AdamRule>("Adam amsgrad", 0.02, AdamOptions { amsgrad: true, weight_decay: 0.1, ..Default::default() }),
        case::<AdamRule>("Adam far", 0.02, AdamOptions { betas: (0.3, 0.9), ..Default::default() }),
        case::<AdamWRule>("AdamW", 0.02, AdamWOptions::default()),
        case::<AdadeltaRule>("Adadelta", 1.0, AdadeltaOptions::default()),
        case::<NAdamRule>("NAdam", 0.02, NAdamOptions { weight_decay: 0.1, ..Default::default() }),
        case::<NAdamRule>(
            "NAdam decoupled",
            0.02,
            NAdamOptions { weight_decay: 0.1, decoupled_weight_decay: true, ..Default::default() },
        ),
        case::<RAdamRule>("RAdam", 0.02, RAdamOptions { weight_decay: 0.1, ..Default::default() }),
        case::<AdamaxRule>("Adamax", 0.02, AdamaxOptions::default()),
        case::<AsgdRule>("ASGD", 0.05, AsgdOptions { t0: 2.0, lambd: 0.1, ..Default::default() }),
        case::<RpropRule>("Rprop", 0.01, RpropOptions::default()),
    ]
}
