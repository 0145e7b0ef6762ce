//! A part of a closure that can't be differentiated fails the backward passes that come there, with the error of the eager
//! program, and no others.

use crate::common::{assert_same, copy, draw, numbers, seeded};
use allotrope::prelude::*;
use std::sync::Arc;

/// Runs `inner` plainly and traced; `outer` gets its results, its argument and the captured parameter.
#[track_caller]
fn each(
    inner: impl Fn(&Tensor, &Tensor) -> Vec<Tensor>,
    outer: impl Fn(&str, Vec<Tensor>, &Tensor, &Tensor) -> Vec<Tensor>,
) {
    let run = |traced: bool| {
        let w = copy(&draw(1, &[3])).requires_grad();
        let x = draw(2, &[3]).requires_grad();
        let f = trace(|x: &Tensor| inner(x, &w));
        let name = if traced { "traced" } else { "eager" };
        let out: Vec<Tensor> = (0..2)
            .flat_map(|_| outer(name, if traced { f.call(&x).unwrap() } else { inner(&x, &w) }, &x, &w))
            .collect();
        assert!(!traced || f.compilations() == 1);
        out
    };
    let (eager, traced) = (run(false), run(true));
    assert_eq!(eager.len(), traced.len());
    eager.iter().zip(&traced).enumerate().for_each(|(i, (a, b))| assert_same(&format!("number {i}"), a, b));
}

#[track_caller]
fn fails(name: &str, y: &Tensor, with: &str) {
    let text = y.sum().try_backward().unwrap_err().to_string();
    assert!(text.contains(with), "{name}: {text}");
}

fn all_of(found: Result<Vec<Option<Tensor>>, allotrope::Error>) -> Vec<Tensor> {
    found.unwrap().into_iter().map(Option::unwrap).collect()
}

#[test]
fn a_saved_value_changed_in_the_closure() {
    each(
        |x, w| {
            let y = x.exp();
            let a = x * 2.0;
            let both = &y * w + &a;
            no_grad(|| {
                y.add_(1.0);
            });
            vec![a, y, both]
        },
        |name, y, x, w| {
            x.set_grad(None);
            fails(name, &y[1], "ExpBackward0 needs a tensor that was changed in place since");
            assert!(x.grad().is_none());
            y[0].sum().backward();
            assert_eq!(numbers(&x.grad().unwrap()), [2.0; 3]);
            // A result is computed by a way that works and by one that does not.
            fails(name, &y[2], "changed in place since");
            let keep = GradOptions { retain_graph: true, ..GradOptions::default() };
            assert!(grad_with(&[&y[2].sum()], &[x], keep).is_err() && grad_with(&[&y[2].sum()], &[w], keep).is_err());
            let mut out = all_of(grad_with(&[&y[2].sum()], &[&y[0]], keep));
            out.push(x.grad().unwrap().detach());
            out
        },
    );
}

#[test]
fn only_what_is_asked_for_must_work() {
    each(
        |x, w| {
            let y = w.exp();
            let z = (x * x).sin().sum() + y.sum();
            no_grad(|| {
                y.mul_(2.0);
            });
            vec![z]
        },
        |name, y, x, w| {
            let keep = GradOptions { retain_graph: true, ..GradOptions::default() };
            let of = |t: &Tensor| grad_with(&[&y[0]], &[t], keep);
            assert!(of(w).unwrap_err().to_string().contains("changed in place since"), "{name}");
            assert!(grad_with(&[&y[0]], &[x, w], keep).is_err(), "{name}");
            let first = all_of(grad(&[&y[0]], &[x], true));
            let second = all_of(grad(&[&first[0].square().sum()], &[x], false));
            assert!(y[0].try_backward().is_err());
            vec![first[0].detach(), second[0].clone()]
        },
    );
}

#[test]
fn a_backward_pass_of_the_closure_that_has_freed_a_part() {
    each(
        |x, w| {
            let hidden = (x * w).tanh();
            let loss = hidden.square().sum();
            let _ = grad(&[&loss], &[w], false).unwrap();
            vec![loss, x.cos(), &hidden + x]
        },
        |name, y, x, _| {
            fails(name, &y[0], "a second time");
            fails(name, &y[2], "a second time");
            all_of(grad(&[&y[1].sum()], &[x], false))
        },
    );
}

#[test]
fn a_hook_that_cannot_be_run_from_outside() {
    let _drawing = seeded(0);
    let draws = trace(|x: &Tensor| {
        let y = x * 3.0;
        y.register_hook(|g| Some(g * allotrope::ops::rand_like(g)));
        (x.sin(), y.cos())
    });
    let panics = trace(|x: &Tensor| {
        let y = x * 3.0;
        y.register_hook(|g| Some(g.matmul(&Tensor::ones(&[7, 7], DType::F32))));
        (x.sin(), y.cos())
    });
    let w = Tensor::ones(&[3], DType::F32).requires_grad();
    w.sum().backward();
    let sets = trace(|x: &Tensor| {
        let (y, w) = (x * 3.0, w.clone());
        y.register_hook(move |_| {
            w.set_grad(None);
            None
        });
        (x.sin(), y.cos())
    });
    let check = |name: &str, f: &dyn Fn(&Tensor) -> (Tensor, Tensor), text: &str| {
        let x = draw(1, &[3]).requires_grad();
        let (a, b) = f(&x);
        fails(name, &b, text);
        a.sum().backward();
        assert_same(name, &x.grad().unwrap(), &x.cos().detach());
    };
    check("draws", &|x| draws.call(x).unwrap(), "random numbers are drawn");
    check("panics", &|x| panics.call(x).unwrap(), "matmul");
    check("sets", &|x| sets.call(x).unwrap(), "a gradient is set");
}

#[test]
fn a_hook_on_an_argument_closes_the_way_to_that_only() {
    let f = trace(|x: &Tensor, y: &Tensor| {
        x.register_hook(|g| Some(g * 2.0));
        (x * 3.0, y.sin(), x * y)
    });
    let (x, y) = (draw(1, &[3]).requires_grad(), draw(2, &[3]).requires_grad());
    let (a, b, c) = f.call((&x, &y)).unwrap();
    fails("argument", &a, "hook on its argument 0");
    fails("argument", &c, "hook on its argument 0");
    assert_same("of the other", &all_of(grad(&[&c.sum()], &[&y], false))[0], &x.detach());
    b.sum().backward();
    assert!(x.grad().is_none() && y.grad().is_some());
}

#[test]
fn a_loop_has_no_second_derivative_but_what_is_beside_it_has() {
    each(
        |x, w| {
            let xs = Tensor::ones(&[4, 3], DType::F32);
            let (h, _) = scan(x.clone(), xs, |c, x| {
                let c = (c * x).sin();
                (c.clone(), c)
            });
            vec![h, (x * w).exp()]
        },
        |name, y, x, w| {
            let e = grad(&[&y[0].sum()], &[x], true).unwrap_err().to_string();
            assert!(e.contains("second derivatives through scan"), "{name}: {e}");
            let first = all_of(grad(&[&y[1].sum()], &[x, w], true));
            let second = all_of(grad(&[&(&first[0] * &first[1]).sum()], &[x, w], false));
            let plain = all_of(grad(&[&y[0].sum()], &[x], false));
            first.iter().map(Tensor::detach).chain(second).chain(plain).collect()
        },
    );
}

#[test]
fn a_dead_end_is_an_error_where_something_behind_it_is_asked_for() {
    let v = draw(5, &[3]).requires_grad();
    each(
        |x, w| {
            let loss = (x.detach() * w).square().sum();
            loss.backward();
            vec![loss]
        },
        |name, y, _, w| {
            w.set_grad(None);
            let how = GradOptions { allow_unused: true, retain_graph: true, ..GradOptions::default() };
            let text = grad_with(&[&y[0]], &[w], how).unwrap_err().to_string();
            assert!(text.contains("a second time"), "{name}: {text}");
            assert!(grad_with(&[&y[0]], &[&v], how).unwrap()[0].is_none(), "{name}");
            fails(name, &y[0], "a second time");
            vec![y[0].detach()]
        },
    );
}

/// Doubles; its derivative fails where it is told to.
struct Fails(Arc<dyn Fn() -> bool + Send + Sync>);

impl Function for Fails {
    fn forward(&self, _: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        vec![inputs[0] * 2.0]
    }
    fn backward(&self, _: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        match (self.0)() {
            true => panic!("no derivative here"),
            false => vec![Some(&grads[0] * 2.0)],
        }
    }
}

#[test]
fn a_derivative_of_the_users_that_panics() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| {
        let y = Fails(Arc::new(|| true)).apply1(&[&(x * &w)]);
        let z = Fails(Arc::new(|| false)).apply1(&[&(x * &w)]);
        (&y * 3.0, y, z)
    });
    let x = draw(2, &[3]).requires_grad();
    let (a, y, z) = f.call(&x).unwrap();
    fails("panics", &a, "no derivative here");
    let keep = GradOptions { retain_graph: true, ..GradOptions::default() };
    assert_eq!(numbers(&all_of(grad_with(&[&a.sum()], &[&y], keep))[0]), [3.0; 3]);
    z.sum().backward();
    assert_same("z", &x.grad().unwrap(), &(&w * 2.0).detach());
}
