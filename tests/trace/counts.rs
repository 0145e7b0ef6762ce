//! How often a closure is recorded and compiled over many calls, each count beside equal bits with the same steps made
//! eagerly. A capture runs the closure twice and compiles once; any other call runs it not at all.

use crate::common::{assert_all_same, copy, draw, seeded};
use allotrope::functional::{BatchNormOptions, batch_norm, dropout};
use allotrope::optim::{Adam, AdamOptions, Sgd, SgdOptions};
use allotrope::prelude::*;
use allotrope::tensor::{Flag, Generator};
use std::cell::{Cell, RefCell};

/// What a run leaves, how often its closure ran, and how often it was compiled.
struct Run {
    all: Vec<Tensor>,
    recorded: usize,
    compiled: usize,
}

/// The same run eagerly and traced; equal bits, and `captures` captures.
#[track_caller]
fn counted(what: &str, captures: usize, run: impl Fn(bool) -> Run) {
    let [eager, traced] = [run(false), run(true)];
    assert_all_same(what, &eager.all, &traced.all);
    assert!(!eager.all.is_empty(), "{what}: something is compared");
    assert_eq!(traced.compiled, captures, "{what}: compilations");
    assert_eq!(traced.recorded, 2 * captures, "{what}: runs of the closure");
    assert_eq!(eager.compiled, 0, "{what}: an eager run compiles nothing");
}

/// Copies of parameters, gradients and the optimizer's state.
fn left(parameters: &[Tensor], state: Vec<(String, Tensor)>) -> Vec<Tensor> {
    let gradients = parameters.iter().filter_map(Tensor::grad);
    let all = parameters.iter().cloned().chain(gradients).chain(state.into_iter().map(|(_, t)| t));
    all.map(|t| copy(&t)).collect()
}

fn layers(seed: u64, sizes: &[usize]) -> Vec<nn::Linear> {
    let _drawing = seeded(seed);
    sizes.windows(2).map(|w| nn::Linear::new(w[0], w[1])).collect()
}

fn parameters_of(layers: &[nn::Linear]) -> Vec<Tensor> {
    layers.iter().flat_map(Module::parameters).collect()
}

fn forward(layers: &[nn::Linear], x: &Tensor) -> Tensor {
    let (last, hidden) = layers.split_last().expect("a network has layers");
    last.forward(&hidden.iter().fold(x.clone(), |x, l| l.forward(&x).tanh()))
}

/// A network trained by Adam on what `batch` gives for each step.
fn training(traced: bool, steps: u64, batch: impl Fn(u64) -> usize) -> Run {
    let network = layers(1, &[3, 8, 2]);
    let opt = Adam::new(parameters_of(&network), 0.01);
    let recorded = Cell::new(0);
    let step = |x: &Tensor, y: &Tensor| {
        recorded.set(recorded.get() + 1);
        let loss = mse_loss(&forward(&network, x), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let compiled = trace(step);
    let mut all = Vec::new();
    for i in 0..steps {
        let (x, y) = (draw(i, &[batch(i), 3]), draw(1000 + i, &[batch(i), 2]));
        all.push(copy(&if traced { compiled.call((&x, &y)).unwrap() } else { step(&x, &y) }));
    }
    all.extend(left(opt.parameters(), opt.state()));
    let recorded = if traced { recorded.get() } else { 0 };
    Run { all, recorded, compiled: compiled.compilations() }
}

#[test]
fn one_length_many_times() {
    counted("fixed", 1, |traced| training(traced, 60, |_| 5));
}

#[test]
fn batches_of_any_size() {
    let sizes = Generator::new(3).randint(1, 65, &[120]).to_vec::<i64>();
    // The first of one sample: an axis of length 1 is no special case.
    for first in [1, 2, 33] {
        counted("batches", 1, |traced| {
            training(traced, 120, |i| if i == 0 { first } else { sizes[i as usize] as usize })
        });
    }
}

#[test]
fn two_hundred_lengths_are_one_program() {
    let lengths = Generator::new(5).randint(1, 201, &[200]).to_vec::<i64>();
    counted("lengths", 1, |traced| {
        let model = crate::common::SinToCos::new(2, 6);
        let opt = Adam::new(model.parameters(), 0.01);
        let recorded = Cell::new(0);
        let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
            recorded.set(recorded.get() + 1);
            let (prediction, h) = model.forward(x, h);
            let loss = mse_loss(&prediction, y);
            opt.zero_grad();
            loss.backward();
            opt.step();
            (loss.detach(), h.detach())
        };
        let compiled = trace(step);
        let mut h = Tensor::zeros(&[1, 1, 6], DType::F32);
        let mut all = Vec::new();
        for (i, &n) in lengths.iter().enumerate() {
            let (x, y) = (draw(i as u64, &[1, n as usize, 1]), draw(i as u64 + 999, &[1, n as usize, 1]));
            let loss;
            (loss, h) = if traced { compiled.call((&x, &y, &h)).unwrap() } else { step(&x, &y, &h) };
            all.push(copy(&loss));
        }
        all.extend(left(opt.parameters(), opt.state()));
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// Dropout and batch norm behave otherwise in evaluation: two variants, and going back and forth compiles nothing more.
#[test]
fn training_and_evaluation_in_turns() {
    let _drawing = seeded(0);
    counted("train and eval", 2, |traced| {
        manual_seed(7);
        let (w, b) = (draw(1, &[4]).requires_grad(), draw(2, &[4]).requires_grad());
        let (mean, var) = (Tensor::zeros(&[4], DType::F32), Tensor::ones(&[4], DType::F32));
        let is_training = Flag::new(true);
        let recorded = Cell::new(0);
        let forward = |x: &Tensor| {
            recorded.set(recorded.get() + 1);
            let training = is_training.get();
            let options = BatchNormOptions { weight: Some(&w), bias: Some(&b), training, ..Default::default() };
            let y = dropout(&batch_norm(x, Some(&mean), Some(&var), options), 0.3, training);
            if training {
                [&w, &b].into_iter().for_each(|p| p.set_grad(None));
                y.square().sum().backward();
            }
            y.detach()
        };
        let compiled = trace(forward);
        let mut all = Vec::new();
        for i in 0..40u64 {
            is_training.set(i % 5 != 3 && i % 7 != 2);
            let x = draw(100 + i, &[2 + i as usize % 9, 4]);
            all.push(copy(&if traced { compiled.call(&x).unwrap() } else { forward(&x) }));
            all.extend([&mean, &var].map(copy));
        }
        all.extend(left(&[w.clone(), b.clone()], Vec::new()));
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

#[test]
fn a_hundred_learning_rates() {
    for rule in 0..3 {
        counted(&format!("rates, rule {rule}"), 1, |traced| {
            let w = draw(1, &[3]).requires_grad();
            let opt: Box<dyn Optimizer> = match rule {
                0 => Box::new(Sgd::new(vec![w.clone()], 1.0)),
                1 => Box::new(Sgd::with_options(
                    vec![w.clone()],
                    1.0,
                    SgdOptions { momentum: 0.9, weight_decay: 0.01, ..Default::default() },
                )),
                _ => Box::new(Adam::with_options(vec![w.clone()], 1.0, AdamOptions::default())),
            };
            let recorded = Cell::new(0);
            let step = |x: &Tensor| {
                recorded.set(recorded.get() + 1);
                opt.zero_grad();
                (&w * x).square().sum().backward();
                opt.step();
            };
            let compiled = trace(step);
            let mut all = Vec::new();
            for i in 0..100u64 {
                opt.set_lr(0.1 * (0.5 + 0.5 * (i as f64 / 30.0).cos()));
                let x = draw(i, &[3]);
                if traced {
                    compiled.call(&x).unwrap()
                } else {
                    step(&x)
                }
                all.push(copy(&w));
            }
            Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
        });
    }
}

/// New numbers on each call, those of the eager mode from one seed; and where the modes take turns, one stream.
#[test]
fn dropout_draws_on_each_call() {
    let _drawing = seeded(0);
    counted("dropout", 1, |traced| {
        manual_seed(11);
        let recorded = Cell::new(0);
        let f = |x: &Tensor| {
            recorded.set(recorded.get() + 1);
            dropout(&dropout(x, 0.5, true), 0.2, true)
        };
        let compiled = trace(f);
        let all: Vec<Tensor> = (0..30)
            .map(|i| {
                let x = Tensor::ones(&[3 + i % 4, 5], DType::F32);
                copy(&if traced && i % 3 != 1 { compiled.call(&x).unwrap() } else { f(&x) })
            })
            .collect();
        assert!(crate::common::difference(&all[0], &all[4]).is_some(), "new numbers");
        // What the eager steps of a mixed run add to the count is known.
        let recorded = if traced { recorded.get() - 10 } else { 0 };
        Run { all, recorded, compiled: compiled.compilations() }
    });
}

/// The first call of a round finds no gradients, later ones do: two variants for all rounds.
#[test]
fn gradients_accumulate_over_calls() {
    counted("accumulation", 2, |traced| {
        let network = layers(2, &[3, 6, 1]);
        let parameters = parameters_of(&network);
        let opt = Sgd::with_options(parameters.clone(), 0.05, SgdOptions { momentum: 0.9, ..Default::default() });
        let recorded = Cell::new(0);
        let accumulate = |x: &Tensor, y: &Tensor| {
            recorded.set(recorded.get() + 1);
            let loss = mse_loss(&forward(&network, x), y);
            loss.backward();
            loss.detach()
        };
        let compiled = trace(accumulate);
        let mut all = Vec::new();
        for i in 0..24u64 {
            if i % 4 == 0 {
                opt.zero_grad();
            }
            let (x, y) = (draw(i, &[1 + i as usize % 5, 3]), draw(50 + i, &[1 + i as usize % 5, 1]));
            all.push(copy(&if traced { compiled.call((&x, &y)).unwrap() } else { accumulate(&x, &y) }));
            if i % 4 == 3 {
                opt.step();
            }
            all.extend(left(&parameters, Vec::new()));
        }
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// Freezing a layer makes a variant; thawing it, and freezing it a second time, makes none.
#[test]
fn layers_are_frozen_and_thawed() {
    counted("frozen", 2, |traced| {
        let network = layers(3, &[3, 5, 2]);
        let parameters = parameters_of(&network);
        let opt = Adam::new(parameters.clone(), 0.02);
        let recorded = Cell::new(0);
        let step = |x: &Tensor, y: &Tensor| {
            recorded.set(recorded.get() + 1);
            let loss = mse_loss(&forward(&network, x), y);
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        };
        let compiled = trace(step);
        let mut all = Vec::new();
        for i in 0..18u64 {
            // Frozen from the beginning, so that no step passes that the optimizer has to count separately.
            let frozen = i / 3 % 2 == 0;
            parameters[..2].iter().for_each(|p| p.set_requires_grad(!frozen));
            let (x, y) = (draw(i, &[4, 3]), draw(70 + i, &[4, 2]));
            let before = copy(&parameters[0]);
            all.push(copy(&if traced { compiled.call((&x, &y)).unwrap() } else { step(&x, &y) }));
            assert_eq!(crate::common::difference(&before, &parameters[0]).is_none(), frozen);
            all.extend(left(&parameters, opt.state()));
        }
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// One tensor in two places of the model has one gradient, and moves once.
#[test]
fn tied_weights() {
    counted("tied", 1, |traced| {
        let (w, b) = (draw(1, &[4, 4]).requires_grad(), draw(2, &[4]).requires_grad());
        let opt = Adam::new(vec![w.clone(), b.clone()], 0.05);
        let recorded = Cell::new(0);
        let step = |x: &Tensor| {
            recorded.set(recorded.get() + 1);
            let hidden = (x.matmul(&w.t()) + &b).tanh();
            let loss = mse_loss(&(hidden.matmul(&w) - &b), x);
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        };
        let compiled = trace(step);
        let mut all = Vec::new();
        for i in 0..20u64 {
            let x = draw(i, &[1 + i as usize % 6, 4]);
            all.push(copy(&if traced { compiled.call(&x).unwrap() } else { step(&x) }));
        }
        all.extend(left(opt.parameters(), opt.state()));
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// Another tensor in the place of a parameter: one capture for each, whether its values are the same or not.
#[test]
fn a_parameter_is_replaced_between_calls() {
    counted("replaced", 4, |traced| {
        let place = RefCell::new(draw(1, &[3]).requires_grad());
        let recorded = Cell::new(0);
        let step = |x: &Tensor| {
            recorded.set(recorded.get() + 1);
            let w = place.borrow().clone();
            let loss = (&w * x).square().sum();
            w.set_grad(None);
            loss.backward();
            no_grad(|| w.sub_(&(w.grad().unwrap() * 0.1)));
            loss.detach()
        };
        let compiled = trace(step);
        let mut all = Vec::new();
        for i in 0..20u64 {
            if i % 5 == 4 {
                place.replace(draw(500 + i, &[3]).requires_grad());
            }
            // The last is never used, so there are four.
            if i == 19 {
                break;
            }
            let x = draw(i, &[3]);
            all.push(copy(&if traced { compiled.call(&x).unwrap() } else { step(&x) }));
            all.extend(left(&[place.borrow().clone()], Vec::new()));
        }
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// A network and its critic, each with an optimizer of its own, in one step.
#[test]
fn two_optimizers() {
    counted("two optimizers", 1, |traced| {
        let (maker, critic) = (layers(4, &[2, 5, 2]), layers(5, &[2, 5, 1]));
        let (a, b) = (Adam::new(parameters_of(&maker), 0.02), Sgd::new(parameters_of(&critic), 0.1));
        let recorded = Cell::new(0);
        let step = |x: &Tensor, z: &Tensor| {
            recorded.set(recorded.get() + 1);
            let made = forward(&maker, z);
            b.zero_grad();
            let seen = forward(&critic, x).square().mean() - forward(&critic, &made.detach()).square().mean();
            seen.backward();
            b.step();
            a.zero_grad();
            let judged = forward(&critic, &made).square().mean();
            judged.backward();
            a.step();
            (seen.detach(), judged.detach())
        };
        let compiled = trace(step);
        let mut all = Vec::new();
        for i in 0..25u64 {
            let n = 1 + i as usize % 7;
            let (x, z) = (draw(i, &[n, 2]), draw(90 + i, &[n, 2]));
            let (s, j) = if traced { compiled.call((&x, &z)).unwrap() } else { step(&x, &z) };
            all.extend([s, j].iter().map(copy));
        }
        all.extend(left(a.parameters(), a.state()));
        all.extend(left(b.parameters(), Vec::new()));
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// A penalty on the gradient, so a second derivative, inside the step.
#[test]
fn second_derivatives_inside() {
    counted("gradient penalty", 1, |traced| {
        let network = layers(6, &[3, 6, 1]);
        let opt = Adam::new(parameters_of(&network), 0.02);
        let recorded = Cell::new(0);
        let step = |x: &Tensor| {
            recorded.set(recorded.get() + 1);
            let x = x.detach().requires_grad();
            let y = forward(&network, &x).sum();
            let g = grad(&[&y], &[&x], true).unwrap().remove(0).unwrap();
            let loss = y.square() + (g.square().sum() - 1.0).square();
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        };
        let compiled = trace(step);
        let mut all = Vec::new();
        for i in 0..20u64 {
            let x = draw(i, &[1 + i as usize % 5, 3]);
            all.push(copy(&if traced { compiled.call(&x).unwrap() } else { step(&x) }));
        }
        all.extend(left(opt.parameters(), opt.state()));
        Run { all, recorded: if traced { recorded.get() } else { 0 }, compiled: compiled.compilations() }
    });
}

/// A size that the closure asks for as a number: one more capture for each new value, and a warning at the third that
/// names the line and a workaround. Eight are kept.
#[test]
fn a_size_that_is_asked_for_as_a_number() {
    let recorded = Cell::new(0);
    let line = Cell::new(0);
    let f = trace(|x: &Tensor| {
        recorded.set(recorded.get() + 1);
        line.set(line!() + 1);
        (0..x.size(0)).fold(Tensor::zeros(&[2], DType::F32), |h, t| (h + x.select(0, t as isize)).tanh())
    });
    let eager =
        |x: &Tensor| (0..x.size(0)).fold(Tensor::zeros(&[2], DType::F32), |h, t| (h + x.select(0, t as isize)).tanh());
    let call = |n: usize, captures: usize| {
        let x = draw(n as u64, &[n, 2]);
        crate::common::assert_same("steps", &f.call(&x).unwrap(), &eager(&x));
        assert_eq!((f.compilations(), recorded.get()), (captures, 2 * captures), "after {n} steps");
    };
    for (i, n) in (1..=8).enumerate() {
        call(n, i + 1);
        call(n, i + 1);
        assert_eq!(f.warnings().len(), usize::from(n >= 3), "the third value is one too many");
    }
    let place = format!("tests/trace/counts.rs:{}", line.get());
    let warning = &f.warnings()[0];
    for needle in [
        "compiled for 3 values of axis 0 of argument 0",
        "size() was asked for as a number",
        &place,
        "sizes()",
        "scan()",
    ] {
        assert!(warning.contains(needle), "{warning:?} should say {needle:?}");
    }
    // What is kept needs no capture, whatever the order.
    (1..=8).rev().for_each(|n| call(n, 8));
    // The ninth goes for the one that was used least recently, which is the one of eight steps.
    call(9, 9);
    assert_eq!((f.explain().len(), f.warnings().len()), (8, 2));
    assert!(f.warnings()[1].contains("least recently used") && f.warnings()[1].contains(&place));
    call(1, 9);
    call(8, 10);
    assert_eq!(f.warnings().len(), 2, "it is said once");
    // Each says why it was made: what the nearest variant missed, and where that came from.
    let reasons: Vec<String> = f.explain().iter().map(|e| e.reason().to_string()).collect();
    assert!(reasons[0].contains("axis 0 of argument 0 is 8, not 1"), "{reasons:?}");
    assert!(reasons.iter().filter(|r| r.contains(&place)).count() >= 7, "{reasons:?}");
    assert!(f.explain()[0].guards().contains(&place));
}

/// What makes few variants is nothing to warn of.
#[test]
fn modes_are_no_reason_to_warn() {
    let training = Flag::new(true);
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| if training.get() { &w * x } else { &w + x });
    for i in 0..12u64 {
        training.set(i % 2 == 0);
        w.set_requires_grad(i % 4 < 2);
        f.call(&draw(i, &[3])).unwrap();
        f.call(&draw(i, &[3]).to(DType::F64)).unwrap();
    }
    assert_eq!(f.compilations(), 8);
    assert!(f.warnings().is_empty(), "{:?}", f.warnings());
}

/// A tensor that is exchanged before each call is compiled for each call; the warning says what to do instead.
#[test]
fn an_exchange_before_each_call_is_warned_of() {
    let x = draw(1, &[3]);
    let place = RefCell::new(draw(2, &[3]));
    let f = trace(|x: &Tensor| x * &*place.borrow());
    for i in 0..5u64 {
        crate::common::assert_same("the new one", &f.call(&x).unwrap(), &(&x * &*place.borrow()));
        place.replace(draw(10 + i, &[3]));
    }
    assert_eq!(f.compilations(), 5);
    // Variants of tensors that were freed can't be called any more, and hold no memory.
    assert_eq!(f.explain().len(), 1);
    let warnings = f.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("exchanged") && warnings[0].contains("copy_()"), "{warnings:?}");
    // And so is a Setting that takes many values.
    let factor = allotrope::tensor::Setting::new(0.0);
    let g = trace(|x: &Tensor| x * factor.get());
    for i in 0..4 {
        factor.set(f64::from(i));
        crate::common::assert_same("the setting", &g.call(&x).unwrap(), &(&x * f64::from(i)));
    }
    let warnings = g.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("Setting read at tests/trace/counts.rs:"), "{warnings:?}");
}
