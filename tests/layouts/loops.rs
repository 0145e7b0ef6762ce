//! What the body of a loop sees of memory: elements lie as their sequence does, the first carry as what it was begun with, and
//! a change of either before the backward pass is noticed.

use crate::common::{assert_all_same, copy, panic_text};
use allotrope::ops::cond;
use allotrope::prelude::*;

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| i as f32 + 1.0).collect(), shape)
}

fn one(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

type Program = fn(&Tensor) -> Vec<Tensor>;

/// Of `[2, 3, 4]` and what lies otherwise.
const PROGRAMS: &[(&str, Program)] = &[
    ("elements", |x| {
        let (a, b) = scan(x.select(0, 0) * 0.0, x.clone(), |c, e| {
            let seen = one(e.is_contiguous()) + e.strides()[0] as f64;
            (&c + &e + seen, e)
        });
        vec![a, b]
    }),
    ("views of elements", |x| {
        let (a, b) = scan(x.select(0, 0).reshape(&[-1]) * 0.0, x.clone(), |c, e| {
            let flat = e.t().reshape(&[-1]);
            let same = one(flat.is_contiguous()) + one(e.t().is_contiguous());
            (&c + &flat, flat + same)
        });
        vec![a, b]
    }),
    ("captured values", |x| {
        let y = (x * 2.0).transpose(1, 2);
        let (a, b) = scan(x.select(0, 0) * 0.0, x.clone(), |c, e| {
            let seen = one(y.is_contiguous()) + one(x.is_contiguous());
            (&c + seen, e)
        });
        vec![a, b]
    }),
    ("the first carry", |x| {
        let first = x.select(0, 0);
        let (a, b) = scan(first, x.clone(), |c, e| {
            let seen = one(c.is_contiguous());
            (c, e * seen)
        });
        vec![a, b]
    }),
    ("operands of a branch", |x| {
        let flag = x.sum().gt(0.0);
        cond(
            &flag,
            |x: Tensor| vec![&x + one(x.is_contiguous())],
            |x: Tensor| vec![&x - one(x.is_contiguous())],
            x.transpose(0, 1),
        )
    }),
    ("while", |x| {
        let (n, y) = while_loop(
            |(n, _): (Tensor, Tensor)| n.lt(3.0),
            |(n, y): (Tensor, Tensor)| (&n + one(y.is_contiguous()) + 1.0, y),
            (Tensor::scalar(0.0f32), x.transpose(0, 1)),
        );
        vec![n, y]
    }),
];

#[test]
fn layouts_inside_loops() {
    let dense = ramp(&[2, 3, 4]);
    let inputs = [
        dense.clone(),
        ramp(&[2, 4, 3]).transpose(1, 2),
        ramp(&[3, 2, 4]).transpose(0, 1),
        ramp(&[2, 3, 8]).slice(2, None, None, 2),
    ];
    for &(name, program) in PROGRAMS {
        let traced = trace(|x: &Tensor| program(x));
        let dynamic = trace_dynamic(|x: &Tensor| program(x));
        for round in 0..2 {
            for (i, x) in inputs.iter().enumerate() {
                let wanted: Vec<Tensor> = program(x).iter().map(copy).collect();
                let what = format!("{name}: input {i}, round {round}");
                let got = traced.call(x).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_all_same(&what, &got, &wanted);
                let got = dynamic.call(x).unwrap_or_else(|e| panic!("dynamic {what}: {e}"));
                assert_all_same(&format!("dynamic {what}"), &got, &wanted);
            }
        }
    }
}

/// Where iterations would say something else, one recording cannot stand for them.
#[test]
fn a_carry_that_lies_otherwise_later_is_refused_where_it_is_asked_about() {
    let f = |x: &Tensor| {
        scan(x.select(0, 0).t(), x.clone(), |c, e| {
            let seen = one(c.is_contiguous());
            ((&c * 2.0).contiguous(), e + seen)
        })
        .1
    };
    let x = ramp(&[2, 3, 3]);
    for error in [trace(f).call(&x).unwrap_err(), trace_dynamic(f).call(&x).unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("carry 0") && text.contains("memory"), "{text}");
    }
    // What is computed of a carry lies as it does.
    let same = |x: &Tensor| scan(x.select(0, 0).t(), x.clone(), |c, e| (&c * 2.0, e + one(c.is_contiguous()))).1;
    assert_all_same("as before", &[trace(same).call(&x).unwrap()], &[same(&x)]);
    // Where nothing asks, it may lie otherwise.
    let g = |x: &Tensor| scan(x.select(0, 0).t(), x.clone(), |c, e| ((&c * 2.0).contiguous(), e + &c)).1;
    assert_all_same("nothing asked", &[trace(g).call(&x).unwrap()], &[g(&x)]);
}

#[test]
fn what_a_loop_was_given_is_not_changed_before_the_backward_pass() {
    let element = |x: &Tensor| {
        let a = (x * 1.0).detach().requires_grad();
        let y = &a * 2.0;
        let total = scan(Tensor::zeros(&[3], DType::F32), y.clone(), |c, e| (&c + &e * &e, e)).0;
        y.add_(1.0);
        total.sum().backward();
        a.grad().unwrap()
    };
    let carry = |x: &Tensor| {
        let a = (x * 1.0).detach().requires_grad();
        let y = &a * 2.0;
        let total = scan(y.clone(), x.clone(), |c, e| (&c * &c, e)).0;
        y.add_(1.0);
        total.sum().backward();
        a.grad().unwrap()
    };
    for (name, f) in [("element", &element as &dyn Fn(&Tensor) -> Tensor), ("carry", &carry)] {
        let x = ramp(&[2, 3]);
        let x = if name == "carry" { x.select(0, 0) } else { x };
        let text = panic_text(|| drop(f(&x)));
        assert!(text.contains("changed in place"), "{name}: {text}");
        let text = trace(|x: &Tensor| f(x)).call(&x).unwrap_err().to_string();
        assert!(text.contains("changed in place"), "{name}: {text}");
        let text = trace_dynamic(|x: &Tensor| f(x)).call(&x).unwrap_err().to_string();
        assert!(text.contains("changed in place"), "{name}: {text}");
    }
}

/// Whether there are elements has no say in whether a tensor was changed.
#[test]
fn an_empty_change_is_a_change() {
    let f = |x: &Tensor| {
        let a = (x * 1.0).detach().requires_grad();
        let y = a.exp();
        no_grad(|| drop(y.narrow(0, 0, 0).add_(1.0).detach()));
        y.sum().backward();
        a.grad().unwrap()
    };
    let x = ramp(&[3]);
    assert!(panic_text(|| drop(f(&x))).contains("changed in place"));
    assert!(trace(f).call(&x).unwrap_err().to_string().contains("changed in place"));
    assert!(trace_dynamic(f).call(&x).unwrap_err().to_string().contains("changed in place"));
}
