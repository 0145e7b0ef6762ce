//! What a trace sees of the world: state by identity, gradients, sizes, structures, other threads. Counts, traps, guards
//! and transformations are in `tests/trace`.

use crate::common::{assert_all_same, assert_same, copy, draw, numbers};
use allotrope::prelude::*;

#[test]
fn parameters_changed_outside_are_seen() {
    let w = draw(1, &[3]);
    let x = draw(2, &[3]);
    let f = trace(|x: &Tensor| x * &w);
    for i in 0..4 {
        assert_same("follows the tensor", &f.call(&x).unwrap(), &(&x * &w));
        w.add_(f64::from(i));
    }
    w.copy_(&draw(3, &[3]));
    assert_same("follows the tensor", &f.call(&x).unwrap(), &(&x * &w));
    assert_eq!(f.compilations(), 1);
}

#[test]
fn two_traced_functions_share_parameters() {
    let make = || draw(1, &[4]).requires_grad();
    let (w, twin) = (make(), make());
    let (sgd, twin_sgd) = (optim::Sgd::new(vec![w.clone()], 0.1), optim::Sgd::new(vec![twin.clone()], 0.1));
    let step = |w: &Tensor, opt: &optim::Sgd, x: &Tensor| {
        opt.zero_grad();
        let loss = (w * x).square().sum();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let train = trace(|x: &Tensor| step(&w, &sgd, x));
    let look = trace(|x: &Tensor| no_grad(|| (&w * x).sum()));
    for i in 0..5 {
        let x = draw(10 + i, &[4]);
        assert_same("loss", &train.call(&x).unwrap(), &step(&twin, &twin_sgd, &x));
        assert_same("seen by the other", &look.call(&x).unwrap(), &no_grad(|| (&twin * &x).sum()));
        assert_same("gradient", &w.grad().unwrap(), &twin.grad().unwrap());
        assert_same("parameter", &w.detach(), &twin.detach());
    }
}

#[test]
fn gradients_are_there_after_the_call() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| (&w * x).sum().backward());
    let x = draw(2, &[3]);
    assert!(w.grad().is_none());
    f.call(&x).unwrap();
    assert_same("first", &w.grad().unwrap(), &x);
    f.call(&x).unwrap();
    assert_same("accumulated", &w.grad().unwrap(), &(&x + &x));
    let clear = trace(|| w.set_grad(None));
    clear.call([]).unwrap();
    assert!(w.grad().is_none());
    // A gradient changed in place, and one that is given.
    f.call(&x).unwrap();
    let halve = trace(|| {
        w.grad().unwrap().mul_(0.5);
    });
    halve.call([]).unwrap();
    halve.call([]).unwrap();
    assert_same("halved twice", &w.grad().unwrap(), &(&x * 0.25));
    let give = trace(|x: &Tensor| w.set_grad(Some(x * 3.0)));
    give.call(&x).unwrap();
    assert_same("given", &w.grad().unwrap(), &(&x * 3.0));
}

#[test]
fn gradients_of_arguments() {
    let f = |a: &Tensor, b: &Tensor| (a * b).sum().backward();
    let traced = trace(f);
    let [(a, b), (c, d)] = [(); 2].map(|()| (draw(1, &[3]).requires_grad(), draw(2, &[3]).requires_grad()));
    for _ in 0..3 {
        traced.call((&a, &b)).unwrap();
        f(&c, &d);
        assert_same("the first's", &a.grad().unwrap(), &c.grad().unwrap());
        assert_same("the second's", &b.grad().unwrap(), &d.grad().unwrap());
    }
    // One tensor given twice has one gradient.
    traced.call((&a, &a)).unwrap();
    f(&c, &c);
    assert_same("both at once", &a.grad().unwrap(), &c.grad().unwrap());
    traced.call((&a, &b)).unwrap();
    f(&c, &d);
    assert_same("and independent afterwards", &a.grad().unwrap(), &c.grad().unwrap());
    let clear = trace(|a: &Tensor| a.set_grad(None));
    clear.call(&a).unwrap();
    assert!(a.grad().is_none() && b.grad().is_some());
}

/// A slice may have more tensors than a tuple; each number of them is a program of its own, each length is not.
#[test]
fn a_slice_of_arguments() {
    let f = |xs: &[Tensor]| {
        let sum = xs.iter().enumerate().fold(Tensor::zeros(&[], DType::F32), |sum, (i, x)| sum + x.sum() * i as f64);
        let gradients = match sum.is_requires_grad() {
            true => grad(&[&sum], &xs.iter().collect::<Vec<_>>(), false).unwrap(),
            false => Vec::new(),
        };
        (sum.detach(), gradients)
    };
    let traced = trace(f);
    for (n, len) in [(12, 3), (12, 5), (1, 2), (0, 0), (12, 7), (1, 4)] {
        let xs: Vec<Tensor> = (0..n).map(|i| draw(i as u64, &[len]).requires_grad()).collect();
        let ((a, ga), (b, gb)) = (traced.call(&xs).unwrap(), f(&xs));
        assert_same("the sum", &a, &b);
        assert_eq!((ga.len(), gb.len()), (n, n));
        for (a, b) in ga.iter().zip(&gb) {
            assert_same("a gradient", a.as_ref().unwrap(), b.as_ref().unwrap());
        }
    }
    assert_eq!(traced.compilations(), 3);
    traced.compile(&[draw(1, &[2]), draw(2, &[2])]).unwrap();
    assert_eq!(traced.compilations(), 4);
}

#[test]
fn a_returned_parameter_is_the_same_tensor() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| {
        no_grad(|| w.add_(x));
        (w.clone(), x * 1.0)
    });
    let x = draw(2, &[3]);
    let (same, other) = f.call(&x).unwrap();
    assert!(same.is_same(&w) && !other.is_same(&x));
    assert!(same.is_requires_grad() && same.is_leaf());
    let detached = trace(|x: &Tensor| (w.detach(), x * 1.0)).call(&x).unwrap().0;
    assert!(!detached.is_requires_grad());
    assert_same("the same elements", &detached, &w);
}

/// In a trace, whatever is computed of a captured tensor is computed of its elements at each call.
#[test]
fn nothing_from_outside_is_baked() {
    let w = draw(1, &[2, 3]);
    let turned = w.t();
    let p = draw(2, &[3, 2]).requires_grad();
    let f = trace(|x: &Tensor| {
        p.set_grad(None);
        (&p + x).backward_from(&turned);
        (turned.contiguous() * x, p.grad().unwrap())
    });
    let x = draw(3, &[3, 2]);
    for _ in 0..3 {
        let (y, g) = f.call(&x).unwrap();
        assert_same("a copy", &y, &(&w.t() * &x));
        assert_same("a gradient", &g, &w.t().contiguous());
        w.add_(1.0);
    }
}

/// Views and changes in place: both modes see the same elements at the same time.
#[test]
fn views_of_what_is_changed() {
    let x = Tensor::ones(&[2, 3], DType::F32);
    let w = draw(1, &[2, 3]);
    let row = w.narrow(0, 0, 1);
    let before = copy(&w);
    // Read through one view, then changed through another: the reading came first.
    let first = trace(|x: &Tensor| {
        let y = &row * 2.0;
        w.add_(x);
        y
    })
    .call(&x)
    .unwrap();
    assert_same("read before", &first, &(before.narrow(0, 0, 1) * 2.0));
    assert_same("changed after", &w, &(&before + &x));
    // A view taken before the change and read after it.
    let before = copy(&w);
    let after = trace(|x: &Tensor| {
        let view = w.t();
        w.add_(x);
        view * 1.0
    })
    .call(&x)
    .unwrap();
    assert_same("a view taken before", &after, &((&before + &x).t() * 1.0));
    let before = copy(&w);
    let after = trace(|x: &Tensor| {
        w.add_(x);
        &row * 1.0
    })
    .call(&x)
    .unwrap();
    assert_same("a captured view", &after, &((&before + &x).narrow(0, 0, 1) * 1.0));
    let before = copy(&w);
    // Elements that share memory can't be changed one by one.
    let wide = Tensor::ones(&[1, 3], DType::F32).expand(&[2, 3]);
    let text = trace(|x: &Tensor| {
        w.add_(x);
        wide.add_(x);
    })
    .call(&x)
    .unwrap_err()
    .to_string();
    assert!(text.contains("share memory"), "{text}");
    assert_same("a failed call", &before, &w);
    // A derivative whose operand has changed meanwhile.
    let p = draw(2, &[3]).requires_grad();
    let text = trace(|x: &Tensor| {
        let loss = (p.reshape(&[1, 3]) * x).square().sum();
        no_grad(|| p.add_(1.0));
        loss.backward();
    })
    .call(&x)
    .map(|_| ());
    let eager = {
        let q = draw(2, &[3]).requires_grad();
        let loss = (q.reshape(&[1, 3]) * &x).square().sum();
        no_grad(|| q.add_(1.0));
        loss.try_backward()
    };
    assert_eq!(text.is_err(), eager.is_err(), "{text:?} and {eager:?}");
}

/// Views of a captured tensor that is not dense are changed in place.
#[test]
fn a_part_of_a_tensor_is_changed() {
    let runs = [false, true].map(|traced| {
        let w = draw(1, &[4, 3]);
        let column = w.narrow(1, 1, 1);
        let f = |x: &Tensor| {
            column.mul_(x);
            &column + 1.0
        };
        let compiled = trace(f);
        let x = Tensor::full(&[4, 1], 3.0f32);
        let results: Vec<Tensor> = (0..3).map(|_| if traced { compiled.call(&x).unwrap() } else { f(&x) }).collect();
        (results.iter().map(copy).collect::<Vec<_>>(), copy(&w))
    });
    assert_all_same("results", &runs[0].0, &runs[1].0);
    assert_same("the whole", &runs[0].1, &runs[1].1);
}

#[test]
fn sizes_that_become_numbers_say_where() {
    let line = line!() + 1;
    let f = trace(|x: &Tensor| x * x.shape()[0] as f64);
    let g = trace(|x: &Tensor| x * x.size(-1) as f64);
    for n in [3, 5, 3] {
        let x = draw(1, &[n]);
        assert_same("shape()", &f.call(&x).unwrap(), &(&x * n as f64));
        assert_same("size()", &g.call(&x).unwrap(), &(&x * n as f64));
    }
    assert_eq!((f.compilations(), g.compilations()), (2, 2));
    let explained = f.explain();
    let found = &explained[0].specializations()[0];
    assert_eq!((found.value, found.at.line()), (3, line));
    assert!(found.at.file().ends_with("semantics.rs") && found.why.contains("shape()"));
    let text = explained[0].to_string();
    assert!(text.contains("specialised to 3 at") && text.contains("semantics.rs"), "{text}");
    assert!(g.explain()[0].specializations()[0].why.contains("size()"));
    // Sizes that stay sizes make nothing special.
    let h = trace(|x: &Tensor| x + x.sum().expand_as(x) * x.mean());
    for n in [3, 5, 1] {
        let x = draw(1, &[n]);
        assert_same("expand_as", &h.call(&x).unwrap(), &(&x + x.sum().expand_as(&x) * x.mean()));
    }
    assert_eq!(h.compilations(), 1);
    assert!(h.explain()[0].specializations().is_empty());
}

#[test]
fn sizes_that_are_found_equal() {
    // What one equation gives is solved: no call needs another program.
    let f = trace(|a: &Tensor, b: &Tensor| cat(&[a, a], 0) + cat(&[b, b], 0));
    // What it does not becomes numbers, and says so.
    let g = trace(|a: &Tensor, b: &Tensor| a.flatten(0, 1) + b.flatten(0, 1));
    for n in [3, 5, 4] {
        let (a, b) = (draw(1, &[n]), draw(2, &[n]));
        assert_same("2a = 2b", &f.call((&a, &b)).unwrap(), &cat(&[&(&a + &b), &(&a + &b)], 0));
        let (a, b) = (draw(1, &[n, 2]), draw(2, &[2, n]));
        assert_same("ab = cd", &g.call((&a, &b)).unwrap(), &(a.flatten(0, 1) + b.flatten(0, 1)));
    }
    assert_eq!((f.compilations(), g.compilations()), (1, 3));
    assert!(f.explain()[0].specializations().is_empty());
    let text = g.explain()[0].to_string();
    assert!(text.contains("must be equal"), "{text}");
}

/// What wants gradients, and in which order they are added, does not depend on the sizes at hand.
#[test]
fn sizes_of_one_want_the_same_gradients() {
    let w = draw(1, &[4, 1]).requires_grad();
    let compare = |x: &Tensor| {
        scan(x.select(0, 0), x.clone(), |c, e| {
            let larger = e.gt(&w).to(DType::F32).sum();
            (&c + &e, larger)
        })
        .0
    };
    let share = |x: &Tensor| {
        let same = w.expand_as(x);
        let y = (&same / &same + &w * &same - &same * 0.3).sum();
        grad(&[&y], &[&w], false).unwrap().remove(0).unwrap()
    };
    let (compared, shared) = (trace(compare), trace(share));
    for n in [3, 1, 2] {
        let x = draw(2, &[4, n]);
        assert!(!compare(&x).is_requires_grad() && !compared.call(&x).unwrap().is_requires_grad());
        assert_same("gradient", &share(&x), &shared.call(&x).unwrap());
    }
    assert_eq!((compared.compilations(), shared.compilations()), (1, 1));
}

#[test]
fn a_result_has_the_history_of_its_call() {
    let w = draw(1, &[1]).requires_grad();
    let x = draw(2, &[1]);
    let y = trace(|x: &Tensor| &w * x).call(&x).unwrap();
    assert!(y.is_requires_grad() && !y.is_leaf());
    (&y * 2.0).sum().backward();
    assert_same("the gradient", &w.grad().unwrap(), &(&x * 2.0));
    assert_eq!(numbers(&(y.detach() * 2.0)), numbers(&y).iter().map(|v| v * 2.0).collect::<Vec<_>>());
}

#[test]
fn compiling_alone_changes_nothing() {
    let w = draw(1, &[3]).requires_grad();
    let before = copy(&w);
    let opt = optim::Adam::new(vec![w.clone()], 0.1);
    let f = trace(|x: &Tensor| {
        (&w * x).sum().backward();
        opt.step();
    });
    f.compile(&draw(2, &[3])).unwrap();
    assert_same("the parameter", &before, &w);
    assert!(w.grad().is_none());
    assert!(opt.state().iter().all(|(_, t)| numbers(t).iter().all(|x| *x == 0.0)));
    f.call(&draw(2, &[3])).unwrap();
    assert_eq!(f.compilations(), 1);
}

#[test]
fn structures_come_back_as_they_went() {
    let f = trace(|a: &Tensor, b: &Tensor| (vec![a + b, a - b], [a * b], Some((a.clone(), ())), None::<Tensor>));
    let (a, b) = (draw(1, &[2]), draw(2, &[2]));
    let (two, [product], some, none) = f.call((&a, &b)).unwrap();
    assert_all_same("sums", &two, &[&a + &b, &a - &b]);
    assert_same("product", &product, &(&a * &b));
    assert_same("the argument", &some.unwrap().0, &a);
    assert!(none.is_none());
    let g = trace(|a: &Tensor| {
        let y = a * 2.0;
        (y.clone(), y)
    });
    let (y, z) = g.call(&a).unwrap();
    y.add_(1.0);
    assert!(y.is_same(&z));
    assert_same("one tensor that is returned twice is one tensor, as in eager code", &z, &(&a * 2.0 + 1.0));
}

fn sendable<T: Send + Sync>(_: &T) {}

#[test]
fn tensors_go_to_other_threads() {
    let w = draw(1, &[64]).requires_grad();
    sendable(&w);
    let x = draw(2, &[64]);
    let wanted = no_grad(|| (&w * &x).tanh());
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                let f = trace(|x: &Tensor| no_grad(|| (&w * x).tanh()));
                for _ in 0..200 {
                    assert_same("in each thread", &f.call(&x).unwrap(), &wanted);
                }
            });
        }
        s.spawn(|| {
            for _ in 0..200 {
                assert_same("eagerly beside them", &no_grad(|| (&w * &x).tanh()), &wanted);
            }
        });
    });
    let loss = (&w * &x).sum();
    std::thread::spawn(move || loss.backward()).join().unwrap();
    assert_same("a graph goes too", &w.grad().unwrap(), &x);
}

/// Threads that change two tensors in opposite order neither block each other nor lose a change.
#[test]
fn threads_that_change_the_same_tensors() {
    let (a, b) = (Tensor::zeros(&[8], DType::F32), Tensor::zeros(&[8], DType::F32));
    std::thread::scope(|s| {
        for flip in [false, true, false, true] {
            let (a, b) = if flip { (&b, &a) } else { (&a, &b) };
            s.spawn(move || {
                let f = trace(|| {
                    a.add_(1.0);
                    b.add_(1.0);
                });
                (0..500).for_each(|_| f.call([]).unwrap());
            });
        }
    });
    assert_eq!(a.to_vec::<f32>(), [2000.0; 8]);
    assert_eq!(b.to_vec::<f32>(), [2000.0; 8]);
}

#[test]
fn a_rust_value_that_changes_between_calls_is_an_error() {
    let x = draw(1, &[3]);
    let mut calls = 0;
    let counting = trace(|x: &Tensor| {
        calls += 1;
        x * f64::from(calls)
    });
    let error = counting.call(&x).unwrap_err().to_string();
    assert!(error.contains("const 1.0") && error.contains("const 2.0") && error.contains("Rust value"), "{error}");

    let batches: Vec<Tensor> = (0..4).map(|i| draw(i, &[3])).collect();
    let mut next = 0;
    let walking = trace(|x: &Tensor| {
        next = (next + 1) % batches.len();
        x + &batches[next]
    });
    let error = walking.call(&x).unwrap_err().to_string();
    assert!(error.contains("another captured tensor"), "{error}");

    // A value that stays as it is belongs to the program.
    let factor = 3.0;
    let steady = trace(|x: &Tensor| x * factor);
    assert_same("a constant", &steady.call(&x).unwrap(), &(&x * 3.0));
}
