//! A captured tensor that is exchanged for another one between calls: each call reads what the closure would read now, and as
//! long as a handle stays in its place nothing is recorded anew. What counts is the handle that the closure finds: not the
//! tensor that it is a view of, nor what the tape and the traced function keep of it.

use crate::common::{assert_same, copy, draw};
use allotrope::optim::Sgd;
use allotrope::prelude::*;
use std::cell::RefCell;

/// Ways to another handle on a 3×3 tensor, which may share its elements.
type View = fn(&Tensor) -> Tensor;

fn views() -> Vec<(&'static str, View)> {
    vec![
        ("itself", |m| m.clone()),
        ("t", |m| m.t()),
        ("narrow", |m| m.narrow(0, 0, 2)),
        ("reshape", |m| m.reshape(&[9])),
        ("view", |m| m.view(&[9])),
        ("select", |m| m.select(1, 0)),
        ("slice", |m| m.slice(1, None, None, 2)),
        ("unsqueeze", |m| m.unsqueeze(0)),
        ("expand", |m| m.unsqueeze(0).expand(&[2, 3, 3])),
        ("detach", |m| m.detach()),
        ("a view of a view", |m| m.t().narrow(1, 1, 2)),
        ("a view of a view of a view", |m| m.t().narrow(1, 1, 2).select(0, 0)),
        ("a view of what is detached", |m| m.detach().t()),
        ("a detached view", |m| m.narrow(1, 0, 2).detach()),
    ]
}

/// New whole tensors, of which some need gradients.
fn whole(i: u64, grads: bool) -> Tensor {
    let m = draw(100 + i, &[3, 3]);
    if grads { m.requires_grad() } else { m }
}

/// Exchanges of each view after every third call, with `next` between what was there and what comes.
fn exchanges(what: &str, grads: bool, next: impl Fn(u64, &Tensor) -> Tensor) {
    for (name, view) in views() {
        let base = RefCell::new(whole(0, grads));
        let place = RefCell::new(view(&base.borrow()));
        let f = trace(|s: &Tensor| (&*place.borrow() * s).sum());
        let s = draw(1, &[1]);
        for i in 0..12 {
            let wanted = (&*place.borrow() * &s).sum();
            assert_same(&format!("{what}, {name}, call {i}"), &f.call(&s).unwrap(), &wanted);
            if i % 3 == 2 {
                let new = next(i, &base.borrow());
                place.replace(view(&new));
                base.replace(new);
            }
        }
        assert_eq!(f.compilations(), 4, "{what}, {name}: once for each");
    }
}

#[test]
fn a_view_is_exchanged() {
    for grads in [false, true] {
        exchanges("of another tensor", grads, |i, _| whole(i, grads));
    }
}

/// The tensor that a view is taken of stays, so only the handle tells.
#[test]
fn a_view_is_exchanged_for_one_of_the_same_tensor() {
    for grads in [false, true] {
        let all = whole(7, grads);
        // The tensor itself is still held.
        for (name, view) in views().into_iter().skip(1) {
            let other = |i: u64| view(&all.reshape(&[9]).roll(&[i as isize], &[0]).reshape(&[3, 3]));
            let others: Vec<Tensor> = (0..3).map(other).collect();
            let place = RefCell::new(view(&all));
            let f = trace(|s: &Tensor| (&*place.borrow() * s).sum());
            let s = draw(1, &[1]);
            for (i, other) in std::iter::once(view(&all)).chain(others).enumerate() {
                place.replace(other);
                for _ in 0..2 {
                    let wanted = (&*place.borrow() * &s).sum();
                    assert_same(&format!("{name}, {i}"), &f.call(&s).unwrap(), &wanted);
                }
            }
        }
        // Two parts of one tensor, one after the other.
        let place = RefCell::new(all.narrow(0, 0, 1));
        let f = trace(|s: &Tensor| (&*place.borrow() * s).sum());
        let s = draw(1, &[1]);
        for i in 0..6 {
            assert_same("parts", &f.call(&s).unwrap(), &(&*place.borrow() * &s).sum());
            if i % 2 == 1 {
                place.replace(all.narrow(0, 1 + i as isize / 2 % 2, 1));
            }
        }
        assert_eq!(f.compilations(), 3);
    }
}

/// A tensor and a view of it, or two views of it, are captured; one of them is exchanged at a time.
#[test]
fn two_handles_of_one_tensor() {
    for grads in [false, true] {
        for (name, view) in views() {
            // One handle in two places would still be held by the other one.
            for (other_name, other) in views().into_iter().filter(|(n, _)| (name, *n) != ("itself", "itself")) {
                let m = whole(0, grads);
                let (a, b) = (RefCell::new(view(&m)), RefCell::new(other(&m)));
                drop(m);
                let f = trace(|s: &Tensor| (&*a.borrow() * s).sum() + (&*b.borrow() * s).sum());
                let s = draw(1, &[1]);
                for i in 0..6 {
                    let what = format!("{name} and {other_name}, call {i}");
                    let wanted = (&*a.borrow() * &s).sum() + (&*b.borrow() * &s).sum();
                    assert_same(&what, &f.call(&s).unwrap(), &wanted);
                    match i {
                        1 => drop(a.replace(view(&whole(1, grads)))),
                        3 => drop(b.replace(other(&whole(2, grads)))),
                        _ => {}
                    }
                }
                assert_eq!(f.compilations(), 3, "{name} and {other_name}");
            }
        }
    }
}

/// Results with a history, eager or traced, keep what they were computed from; nobody gets at that through them.
#[test]
fn results_with_a_history_are_kept() {
    for (name, view) in views() {
        let place = RefCell::new(view(&whole(0, true)));
        let f = trace(|s: &Tensor| (&*place.borrow() * s).exp().sum());
        let (s, mut kept) = (draw(1, &[1]).requires_grad(), Vec::new());
        for i in 0..6 {
            let wanted = (&*place.borrow() * &s).exp().sum();
            let y = f.call(&s).unwrap();
            assert_same(&format!("{name}, call {i}"), &y, &wanted);
            kept.push(y);
            kept.push(wanted);
            if i % 2 == 1 {
                place.replace(view(&whole(10 + i, true)));
            }
        }
        assert_eq!(f.compilations(), 3, "{name}");
        // They can still be differentiated, each as eager code does it.
        for pair in kept.chunks(2) {
            let grads: Vec<Tensor> =
                pair.iter().map(|y| grad(&[y], &[&s], false).unwrap().remove(0).unwrap()).collect();
            assert_same(name, &grads[0], &grads[1]);
        }
    }
}

/// A handle that the closure makes anew on each call is none that was exchanged.
#[test]
fn handles_that_the_closure_makes() {
    let s = draw(1, &[1]);
    for grads in [false, true] {
        for (name, view) in views() {
            let place = RefCell::new(whole(0, grads));
            let f = trace(|s: &Tensor| (view(&place.borrow()) * s).sum());
            let d = trace(|s: &Tensor| (view(&place.borrow().detach()) * s).sum());
            for i in 0..6 {
                let wanted = (view(&place.borrow()) * &s).sum();
                assert_same(&format!("{name}, call {i}"), &f.call(&s).unwrap(), &wanted);
                assert_same(&format!("{name} of detached, call {i}"), &d.call(&s).unwrap(), &wanted.detach());
                if i % 3 == 2 {
                    place.replace(whole(10 + i, grads));
                }
            }
            assert_eq!((f.compilations(), d.compilations()), (2, 2), "{name}");
        }
    }
}

/// What stays is recorded once, whatever else happens to it: other handles come and go, its elements change, gradients too.
#[test]
fn handles_that_stay() {
    for (name, view) in views() {
        let m = whole(0, false);
        let place = RefCell::new(view(&m));
        let f = trace(|s: &Tensor| (&*place.borrow() * s).sum());
        let s = draw(1, &[1]);
        let mut handles = Vec::new();
        for i in 0..8u64 {
            let wanted = (&*place.borrow() * &s).sum();
            assert_same(&format!("{name}, call {i}"), &f.call(&s).unwrap(), &wanted);
            match i {
                0..4 => handles.push(view(&m)),
                4 => handles.clear(),
                5 => handles.push(place.borrow().clone()),
                // The same handle, put back.
                6 => drop(place.replace(handles.pop().unwrap())),
                _ => {}
            }
            m.copy_(&draw(50 + i, &[3, 3]));
        }
        assert_eq!(f.compilations(), 1, "{name}");
    }
    // A parameter that is stepped, and read through a view.
    let w = whole(1, true);
    let turned = w.t();
    let opt = Sgd::new(vec![w.clone()], 0.1);
    let f = trace(|x: &Tensor| {
        opt.zero_grad();
        let loss = x.matmul(&w).square().sum();
        loss.backward();
        opt.step();
        (loss.detach(), x.matmul(&turned).detach())
    });
    let x = draw(2, &[2, 3]);
    for i in 0..4 {
        let (loss, y) = f.call(&x).unwrap();
        assert_same(&format!("step {i}"), &y, &x.matmul(&copy(&w).t()));
        assert!(loss.item::<f32>().is_finite());
    }
    assert_eq!(f.compilations(), 1);
}

/// What only a question or an answer depends on is captured as well.
#[test]
fn handles_whose_elements_are_not_read() {
    let x = draw(1, &[2]);
    let w = whole(0, false).t();
    let place = RefCell::new(w.clone());
    let f = trace(|x: &Tensor| if place.borrow().is_same(&w) { x * 2.0 } else { x * 3.0 });
    let y = f.call(&x).unwrap();
    assert_same("the same", &y, &(&x * 2.0));
    let place = RefCell::new(draw(1, &[2]).requires_grad());
    let g = trace(|x: &Tensor| if place.borrow().grad().is_some() { x * 2.0 } else { x * 3.0 });
    assert_same("no gradient", &g.call(&x).unwrap(), &(&x * 3.0));
    let new = draw(1, &[2]).requires_grad();
    new.set_grad(Some(draw(2, &[2])));
    place.replace(new);
    assert_same("a gradient", &g.call(&x).unwrap(), &(&x * 2.0));
    let place = RefCell::new(draw(1, &[2]).narrow(0, 0, 1));
    let h = trace(|x: &Tensor| if place.borrow().is_requires_grad() { x * 2.0 } else { x * 3.0 });
    assert_same("needs none", &h.call(&x).unwrap(), &(&x * 3.0));
    place.replace(draw(1, &[2]).requires_grad().narrow(0, 0, 1));
    assert_same("needs one", &h.call(&x).unwrap(), &(&x * 2.0));
    let place = RefCell::new(draw(1, &[3, 2]).t());
    let returned = trace(|_: &Tensor| place.borrow().clone());
    for i in 0..3 {
        assert!(returned.call(&x).unwrap().is_same(&place.borrow()));
        place.replace(draw(i, &[3, 2]).t());
    }
}
