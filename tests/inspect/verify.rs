//! Both modes on copies of all state: equal, or the first node that is not.

use crate::{Training, bits};
use allotrope::prelude::*;
use allotrope::tensor::random::get_rng_state;
use allotrope::trace::{Cause, Verification};
use std::cell::{Cell, RefCell};

#[test]
fn a_training_step_agrees_and_nothing_is_changed() {
    let training = Training::new();
    let step = trace(training.step());
    for (i, n) in [6, 1, 9].into_iter().enumerate() {
        let (x, y) = training.data(n);
        let before = training.state();
        let grads: Vec<Option<Tensor>> = training.model.parameters().iter().map(Tensor::grad).collect();
        let found = step.verify((&x, &y)).unwrap();
        assert!(found.is_equal(), "{found}");
        // Loss, two arguments, parameters, moments, steps, learning rate, gradients, generator.
        assert!(found.compared > 15, "{}", found.compared);
        assert_eq!(training.state(), before);
        for (p, grad) in training.model.parameters().iter().zip(grads) {
            assert_eq!(p.grad().is_some(), grad.is_some());
            assert!(p.grad().zip(grad).is_none_or(|(a, b)| a.is_same(&b)));
        }
        step.call((&x, &y)).unwrap();
        assert_eq!(step.compilations(), 1, "call {i}");
    }
}

#[test]
fn arguments_loops_and_checks_agree() {
    let _alone = crate::alone();
    let w = Tensor::from_vec(vec![0.5f32, -1.0, 2.0], &[3]).requires_grad();
    let f = trace(|x: &Tensor, i: &Tensor| {
        x.mul_(2.0);
        let (last, ys) = scan(Tensor::zeros(&[3], DType::F32), x.clone(), |h, x| {
            let h = (&h * 0.5 + x * &w).tanh() + rand(&[3]);
            (h.clone(), h)
        });
        let last = while_loop(|h| h.abs().sum().lt(100.0), |h| h * 1.5, last);
        w.set_grad(None);
        (ys.sum() + last.sum()).backward();
        (w.index_select(0, i).detach(), x.clone())
    });
    let x = Generator::new(3).randn(&[4, 3], DType::F32);
    let before = bits(&x);
    let index = |i: i64| Tensor::from_vec(vec![i], &[1]);
    let found = f.verify((&x, &index(2))).unwrap();
    assert!(found.is_equal(), "{found}");
    assert_eq!(bits(&x), before);
    assert!(w.grad().is_none());
    // Where a check of the program's own fails, it fails in both.
    let state = get_rng_state();
    let found = f.verify((&x, &index(3))).unwrap();
    assert!(found.is_equal(), "{found}");
    assert_eq!((bits(&x), get_rng_state()), (before, state));
}

/// The report of a function whose Rust value changes after the first call.
fn after_change<F: Fn(&Tensor, f64) -> Tensor>(f: F) -> Verification {
    let factor = Cell::new(2.0);
    let traced = trace(|x: &Tensor| f(x, factor.get()));
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
    assert!(traced.verify(&x).unwrap().is_equal());
    factor.set(3.0);
    let found = traced.verify(&x).unwrap();
    assert_eq!(x.to_vec::<f32>(), [1.0, 2.0, 3.0]);
    found
}

#[test]
fn a_rust_value_that_changed_is_named() {
    let found = after_change(|x, factor| (x.sin() * factor).exp());
    let difference = found.difference.as_ref().unwrap();
    assert_eq!(difference.what, "result 0");
    assert!(difference.how.starts_with("3 of 3 elements; the first, at [0], is "), "{}", difference.how);
    let Cause::Closure(node) = &difference.cause else { panic!("{found}") };
    assert!(node.node.ends_with("= const 2.0") && node.how.ends_with("= const 3.0"), "{found}");
    assert!(found.to_string().contains("does not do any more what was recorded"), "{found}");
}

#[test]
fn a_node_that_changed_is_shown_with_its_inputs() {
    let found = after_change(|x, factor| if factor > 2.5 { (x * 2.0).cos() } else { (x * 2.0).sin() });
    let Cause::Closure(node) = &found.difference.as_ref().unwrap().cause else { panic!("{found}") };
    assert!(node.node.contains("= sin %") && node.how.contains("= cos %"), "{found}");
    assert_eq!(node.inputs.len(), 1);
    assert_eq!(node.inputs[0].1.to_vec::<f32>(), [2.0, 4.0, 6.0]);
    // One more operation at the end.
    let found = after_change(|x, factor| if factor > 2.5 { x.neg().abs() } else { x.neg() });
    assert!(!found.is_equal() && found.to_string().contains("abs"), "{found}");
}

#[test]
fn state_that_only_one_mode_changes_is_named() {
    let on = Cell::new(false);
    let w = Tensor::zeros(&[2], DType::F32);
    let f = trace(|x: &Tensor| {
        if on.get() {
            w.add_(x);
        }
        x * &w
    });
    let x = Tensor::ones(&[2], DType::F32);
    f.call(&x).unwrap();
    on.set(true);
    let found = f.verify(&x).unwrap();
    assert!(!found.is_equal());
    assert_eq!(w.to_vec::<f32>(), [0.0, 0.0], "{found}");
}

#[test]
fn one_mode_that_fails_is_a_difference() {
    let fails = Cell::new(false);
    let f = trace(|x: &Tensor| {
        assert!(!fails.get(), "not today");
        x + 1.0
    });
    let x = Tensor::ones(&[2], DType::F32);
    f.call(&x).unwrap();
    fails.set(true);
    let found = f.verify(&x).unwrap();
    assert!(matches!(found.difference.as_ref().unwrap().cause, Cause::Failure), "{found}");
    assert!(found.to_string().contains("not today"), "{found}");
}

#[test]
fn what_cannot_be_verified_says_so() {
    let calls = RefCell::new(0);
    let f = trace(|x: &Tensor| {
        *calls.borrow_mut() += 1;
        x.exp()
    });
    let x = Tensor::ones(&[2], DType::F32);
    f.verify(&x).unwrap();
    assert_eq!(*calls.borrow(), 3, "recorded twice, run once");
    let outer = trace(|x: &Tensor| {
        assert!(f.verify(x).is_err());
        x.clone()
    });
    let error = outer.call(&x).unwrap_err().to_string();
    assert!(error.contains("call it outside"), "{error}");
    // What is changed may be what is passed.
    let w = Tensor::ones(&[2], DType::F32);
    let g = trace(|x: &Tensor| {
        w.add_(x);
    });
    assert!(g.verify(&w).unwrap().is_equal());
    assert_eq!(w.to_vec::<f32>(), [1.0; 2]);
}

#[test]
fn switches_are_compared_and_put_back() {
    let (met, on) = (allotrope::tensor::Flag::new(false), Cell::new(true));
    let f = trace(|x: &Tensor| {
        met.set(on.get());
        x.exp()
    });
    let x = Tensor::ones(&[2], DType::F32);
    let found = f.verify(&x).unwrap();
    assert!(found.is_equal() && !met.get(), "{found}");
    on.set(false);
    let found = f.verify(&x).unwrap();
    assert!(!met.get());
    let what = &found.difference.as_ref().unwrap().what;
    assert!(what.contains("tests/inspect/verify.rs") && what.contains("as it was recorded"), "{found}");
}

#[test]
fn what_is_computed_again_agrees() {
    let w = Tensor::from_vec(vec![0.5f32, -1.0], &[2]).requires_grad();
    let on = Cell::new(false);
    let f = trace(|x: &Tensor| {
        let y = checkpoint(|xs: &[Tensor]| (&xs[0] * &xs[1]).tanh(), &[x, &w]);
        w.set_grad(None);
        y.sum().backward();
        if on.get() { y.detach() * 2.0 } else { y.detach() }
    });
    let x = Tensor::ones(&[2], DType::F32);
    let found = f.verify(&x).unwrap();
    assert!(found.is_equal(), "{found}");
    on.set(true);
    let found = f.verify(&x).unwrap();
    assert!(matches!(found.difference.as_ref().unwrap().cause, Cause::Closure(_)), "{found}");
}
