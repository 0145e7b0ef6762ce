//! Training steps over several calls: losses, parameters, gradients and moments are equal to the bit, whether every
//! step is eager, traced, or now this and now that.

use crate::common::{assert_all_same, copy, draw, seeded};
use allotrope::nn::{Nonlinearity, Rnn};
use allotrope::optim::{Adam, AdamOptions, Sgd, SgdOptions};
use allotrope::prelude::*;

/// How the steps of a run are made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Eager,
    Traced,
    /// In turns, on the same parameters.
    Mixed,
}

const MODES: [Mode; 3] = [Mode::Eager, Mode::Traced, Mode::Mixed];

impl Mode {
    fn traced(self, step: usize) -> bool {
        self == Mode::Traced || (self == Mode::Mixed && step % 3 != 1)
    }
}

/// A model of one layer kind; the hidden state is there or not.
enum Model {
    Linear(nn::Linear),
    Rnn { rnn: Rnn, out: nn::Linear, hidden: bool },
}

impl Model {
    fn forward(&self, x: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        match self {
            Model::Linear(layer) => (layer.forward(x), h.clone()),
            Model::Rnn { rnn, out, hidden } => {
                let (states, h) = rnn.forward(x, hidden.then_some(h));
                (out.forward(&states), h)
            }
        }
    }
}

impl Module for Model {
    fn visit(&self, visitor: &mut dyn nn::Visitor) {
        match self {
            Model::Linear(layer) => layer.visit(visitor),
            Model::Rnn { rnn, out, .. } => {
                visitor.child("rnn", rnn);
                visitor.child("out", out);
            }
        }
    }
}

fn linear() -> Model {
    let _drawing = seeded(3);
    Model::Linear(nn::Linear::new(2, 3))
}

fn recurrent(layers: usize, relu: bool, batch_first: bool, hidden: bool) -> Model {
    let _drawing = seeded(4);
    let kind = if relu { Nonlinearity::Relu } else { Nonlinearity::Tanh };
    let rnn = Rnn::with_layers(2, 5, layers).nonlinearity(kind).batch_first(batch_first);
    Model::Rnn { rnn, out: nn::Linear::new(5, 3), hidden }
}

enum Rule {
    Sgd(Sgd),
    Adam(Adam),
}

impl Rule {
    fn optimizer(&self) -> &dyn Optimizer {
        match self {
            Rule::Sgd(o) => o,
            Rule::Adam(o) => o,
        }
    }

    fn moments(&self) -> Vec<Tensor> {
        match self {
            Rule::Sgd(_) => Vec::new(),
            Rule::Adam(o) => o.state().into_iter().map(|(_, t)| t).collect(),
        }
    }
}

const RULES: usize = 5;

fn rule(kind: usize, parameters: Vec<Tensor>) -> Rule {
    match kind {
        0 => Rule::Sgd(Sgd::new(parameters, 0.05)),
        1 => Rule::Sgd(Sgd::with_options(parameters, 0.02, SgdOptions { momentum: 0.9, ..Default::default() })),
        2 => Rule::Sgd(Sgd::with_options(
            parameters,
            0.02,
            SgdOptions { momentum: 0.5, weight_decay: 0.01, ..Default::default() },
        )),
        3 => Rule::Adam(Adam::new(parameters, 0.02)),
        _ => {
            let options = AdamOptions { betas: (0.8, 0.99), weight_decay: 0.1, ..Default::default() };
            Rule::Adam(Adam::with_options(parameters, 0.01, options))
        }
    }
}

/// Sizes of step i: batch and length change.
fn sizes(i: usize) -> (usize, usize) {
    [(2, 3), (2, 3), (4, 1), (1, 7), (3, 5), (2, 3)][i % 6]
}

/// Everything that a run leaves, and how often it compiled.
fn run(mode: Mode, model: &Model, rule: &Rule, steps: usize, zero_every: usize) -> (Vec<Tensor>, usize) {
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (prediction, h) = model.forward(x, h);
        let loss = mse_loss(&prediction, y);
        loss.backward();
        rule.optimizer().step();
        (loss.detach(), h.detach())
    };
    let compiled = trace(step);
    let (layers, batch_first) = match model {
        Model::Linear(_) => (1, true),
        Model::Rnn { rnn, .. } => (rnn.parameters().len() / 4, rnn.to_string().contains("batch_first")),
    };
    let mut all = Vec::new();
    for i in 0..steps {
        if i % zero_every == 0 {
            rule.optimizer().zero_grad();
        }
        if i == 4 {
            rule.optimizer().set_lr(0.007);
        }
        let (batch, time) = sizes(i);
        let (a, b) = if batch_first { (batch, time) } else { (time, batch) };
        let (x, y) = (draw(100 + i as u64, &[a, b, 2]), draw(200 + i as u64, &[a, b, 3]));
        let h = draw(300 + i as u64, &[layers, batch, 5]);
        let (loss, h) = if mode.traced(i) { compiled.call((&x, &y, &h)).unwrap() } else { step(&x, &y, &h) };
        all.extend([copy(&loss), copy(&h)]);
        all.extend(model.parameters().iter().filter_map(Tensor::grad).map(|g| copy(&g)));
        all.extend(model.parameters().iter().map(copy));
        all.extend(rule.moments().iter().map(copy));
    }
    (all, compiled.compilations())
}

fn modes_agree(what: &str, make: impl Fn() -> (Model, Rule), zero_every: usize, compilations: usize) {
    let runs = MODES.map(|mode| {
        let (model, rule) = make();
        run(mode, &model, &rule, 8, zero_every)
    });
    for (mode, (all, n)) in MODES.iter().zip(&runs).skip(1) {
        assert_all_same(&format!("{what}, {mode:?}"), &runs[0].0, all);
        assert_eq!(*n, compilations, "{what}, {mode:?}: compilations");
    }
    assert!(runs[0].0.iter().flat_map(crate::common::numbers).all(f64::is_finite));
}

#[test]
fn every_rule_on_a_linear_layer() {
    for kind in 0..RULES {
        let make = || {
            let model = linear();
            let rule = rule(kind, model.parameters());
            (model, rule)
        };
        modes_agree(&format!("rule {kind}"), make, 1, 1);
    }
}

#[test]
fn gradients_accumulate_over_calls() {
    for kind in [0, 1, 3] {
        let make = || {
            let model = linear();
            let rule = rule(kind, model.parameters());
            (model, rule)
        };
        // A first call without gradients and the later ones with them are two programs.
        modes_agree(&format!("linear, rule {kind}"), make, 3, 2);
        let make = || {
            let model = recurrent(1, false, true, true);
            let rule = rule(kind, model.parameters());
            (model, rule)
        };
        modes_agree(&format!("rnn, rule {kind}"), make, 3, 2);
    }
}

#[test]
fn every_kind_of_rnn() {
    for layers in [1, 2, 3] {
        for flags in 0..8 {
            let make = || {
                let model = recurrent(layers, flags & 1 > 0, flags & 2 > 0, flags & 4 > 0);
                let rule = rule(3, model.parameters());
                (model, rule)
            };
            modes_agree(&format!("{layers} layers, flags {flags}"), make, 1, 1);
        }
    }
}

#[test]
fn frozen_parameters_stay() {
    for kind in 0..RULES {
        let make = || {
            let model = recurrent(2, false, true, true);
            let all = model.parameters();
            for (i, p) in all.iter().enumerate() {
                p.set_requires_grad(i % 3 != 0);
            }
            let rule = rule(kind, all);
            (model, rule)
        };
        let (model, _) = make();
        let before: Vec<Tensor> = model.parameters().iter().map(copy).collect();
        modes_agree(&format!("rule {kind}"), make, 1, 1);
        let (model, rule) = make();
        run(Mode::Traced, &model, &rule, 3, 1);
        let frozen = model.parameters().into_iter().zip(&before).filter(|(p, _)| !p.is_requires_grad());
        frozen.for_each(|(p, b)| crate::common::assert_same("a frozen parameter", &p, b));
    }
}

/// A parameter without a gradient in some steps does not count those steps, in either mode.
#[test]
fn adam_skips_what_has_no_gradient() {
    let runs = MODES.map(|mode| {
        let (w, v) = (draw(1, &[3]).requires_grad(), draw(2, &[3]).requires_grad());
        let opt = Adam::new(vec![w.clone(), v.clone()], 0.1);
        let finish = |loss: Tensor| {
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        };
        let both = |x: &Tensor| finish((&w * x + &v).square().sum());
        let one = |x: &Tensor| finish((&w * x).square().sum());
        let (both_c, one_c) = (trace(both), trace(one));
        let mut all = Vec::new();
        for i in 0..9 {
            let x = draw(10 + i as u64, &[3]);
            let loss = match (i % 3 == 2 || i == 0, mode.traced(i)) {
                (true, true) => one_c.call(&x).unwrap(),
                (true, false) => one(&x),
                (false, true) => both_c.call(&x).unwrap(),
                (false, false) => both(&x),
            };
            all.push(copy(&loss));
            all.extend([&w, &v].map(copy));
            all.extend([&w, &v].into_iter().filter_map(Tensor::grad).map(|g| copy(&g)));
            all.extend(opt.state().iter().map(|(_, t)| copy(t)));
        }
        all
    });
    assert_all_same("traced", &runs[0], &runs[1]);
    assert_all_same("mixed", &runs[0], &runs[2]);
}

/// `set_lr` reaches a compiled step without another compilation, and changes what it does.
#[test]
fn the_learning_rate_is_a_value() {
    let p = Tensor::ones(&[2], DType::F32).requires_grad();
    let opt = Sgd::new(vec![p.clone()], 1.0);
    let step = trace(|x: &Tensor| {
        opt.zero_grad();
        (&p * x).sum().backward();
        opt.step();
    });
    let x = Tensor::ones(&[2], DType::F32);
    step.call(&x).unwrap();
    assert_eq!(p.detach().to_vec::<f32>(), [0.0, 0.0]);
    opt.set_lr(0.25);
    step.call(&x).unwrap();
    assert_eq!(p.detach().to_vec::<f32>(), [-0.25, -0.25]);
    assert_eq!(step.compilations(), 1);
}
