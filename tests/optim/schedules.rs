//! What schedulers do beyond setting rates of the next epoch: epochs out of order, groups, traces.

use crate::common::panic_text;
use allotrope::optim::scheduler::*;
use allotrope::optim::*;
use allotrope::prelude::*;
use std::sync::Arc;

fn two_groups() -> Sgd {
    let p = || vec![Tensor::zeros(&[1], DType::F32).requires_grad()];
    let groups = vec![ParamGroup::new(p()).lr(1.0), ParamGroup::new(p()).lr(0.5)];
    Sgd::with_groups(groups, 0.1, SgdOptions { momentum: 0.9, ..Default::default() })
}

#[test]
fn each_group_has_a_rate_of_its_own() {
    let opt = two_groups();
    let factors: Vec<Factor> = vec![Arc::new(|epoch| 1.0 / (1 + epoch) as f64), Arc::new(|_| 0.5)];
    let mut s = LambdaLr::with_each(&opt, factors);
    s.step();
    assert_eq!(s.get_last_lr(), [0.5, 0.25]);
    let opt = two_groups();
    let options = OneCycleOptions { max_momentum: vec![0.9, 0.8].into(), ..Default::default() };
    let mut s = OneCycleLr::with_options(&opt, vec![0.2, 0.4], 11, options);
    let wanted = [0.2 / 25.0, 0.4 / 25.0];
    assert!(s.get_last_lr().iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", s.get_last_lr());
    assert_eq!([0, 1].map(|i| opt.groups()[i].momentum().unwrap()), [0.9, 0.8]);
    s.step();
    assert_eq!(opt.groups()[0].lr().item::<f64>(), s.get_last_lr()[0]);
}

#[test]
fn an_epoch_by_its_number() {
    let opt = two_groups();
    let mut s = StepLr::new(&opt, 2, 0.5);
    s.step_to(5);
    assert_eq!(s.get_last_lr(), [0.25, 0.125]);
    assert_eq!(s.last_epoch(), 5);
    let opt = two_groups();
    let mut s = CosineAnnealingWarmRestarts::new(&opt, 2, 2, 0.0);
    s.step_at(4.0);
    assert!((s.get_last_lr()[0] - 0.5).abs() < 1e-12, "half of the second round: {:?}", s.get_last_lr());
    assert_eq!(s.round(), (2.0, 4.0));
    s.step_at(0.5);
    assert!((s.get_last_lr()[0] - (1.0 + (std::f64::consts::PI / 4.0).cos()) / 2.0).abs() < 1e-12);
}

/// A step that was compiled before a scheduler takes the momentum is compiled once more, and then follows it.
#[test]
fn momentum_becomes_a_tensor_once() {
    let w = Tensor::zeros(&[1], DType::F32).requires_grad();
    w.set_grad(Some(Tensor::ones(&[1], DType::F32)));
    let opt = Sgd::with_options(vec![w.clone()], 1.0, SgdOptions { momentum: 0.5, ..Default::default() });
    let step = trace(|| opt.step());
    step.call(()).unwrap();
    assert_eq!(w.detach().item::<f32>(), -1.0);
    for (momentum, wanted) in [(0.25, -2.25), (0.0, -3.25), (2.0, -6.25)] {
        opt.groups()[0].set_momentum(momentum);
        step.call(()).unwrap();
        assert_eq!(w.detach().item::<f32>(), wanted);
    }
    assert_eq!(step.compilations(), 2);
}

#[test]
fn schedulers_are_stepped_between_the_calls() {
    let opt = two_groups();
    let text = |e: allotrope::Error| e.to_string();
    let f = trace(|| {
        _ = ExponentialLr::try_new(&opt, 0.5);
    });
    assert!(text(f.call(()).unwrap_err()).contains("between the calls"));
    let f = trace(|| _ = opt.try_state_dict());
    assert!(text(f.call(()).unwrap_err()).contains("state_dict"));
    let saved = opt.state_dict();
    let f = trace(|| _ = opt.load_state_dict(&saved));
    assert!(text(f.call(()).unwrap_err()).contains("load_state_dict"));
    let w = Tensor::zeros(&[1], DType::F32).requires_grad();
    let lbfgs = Lbfgs::new(vec![w.clone()], 1.0);
    let f = trace(|| lbfgs.step_with(&mut || w.square().sum()));
    assert!(text(f.call(()).unwrap_err()).contains("LBFGS"));
    assert!(panic_text(|| lbfgs.step()).contains("step_with"));
}

#[test]
fn the_end_of_a_cycle_changes_nothing() {
    let opt = two_groups();
    let mut s = OneCycleLr::new(&opt, 0.5, 3);
    (0..3).for_each(|_| s.step());
    let before = (s.get_last_lr(), s.last_epoch(), opt.groups()[0].momentum());
    let error = s.try_step().unwrap_err().to_string();
    assert!(error.contains("step 4") && error.contains("3 steps"), "{error}");
    assert_eq!((s.get_last_lr(), s.last_epoch(), opt.groups()[0].momentum()), before);
}
