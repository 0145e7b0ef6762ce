//! Data of the host: numbers in the program that change from call to call, and Rust data that is made into tensors inside.

use crate::common::{assert_same, draw};
use crate::structure::host;
use allotrope::prelude::*;
use std::cell::{Cell, RefCell};

#[test]
fn a_number_that_changes_is_compiled_twice() {
    let (k, fill) = (Cell::new(0.5f64), Cell::new(0.0f64));
    let program = |x: &Tensor| (x * k.get() + Tensor::full(&[3], fill.get() as f32)).tanh() * 2.0 + k.get();
    let f = trace_dynamic(program);
    for i in 0..50 {
        k.set(i as f64 * 0.37 - 3.0);
        fill.set((i / 7) as f64);
        let x = draw(i, &[2, 3]);
        assert_same("number", &program(&x), &f.call(&x).unwrap());
    }
    assert!(f.compilations() <= 3, "{} compilations: the first number, then any", f.compilations());
    for odd in [f64::NAN, f64::INFINITY, -0.0, 1e-40] {
        k.set(odd);
        let x = draw(3, &[2, 3]);
        assert_same("odd", &program(&x), &f.call(&x).unwrap());
    }
    assert!(f.compilations() <= 3);
}

/// A number that has to do with the structure beside one that has not.
#[test]
fn numbers_that_go_with_a_branch() {
    let (which, k) = (Cell::new(false), Cell::new(1.0f64));
    let program = |x: &Tensor| if which.get() { (x * 2.0).tanh() * k.get() } else { (x * 3.0).exp() * k.get() };
    let f = trace_dynamic(program);
    let mut next = host(3);
    for i in 0..60 {
        which.set(next(2) == 0);
        k.set(1.0 + next(5) as f64);
        let x = draw(i, &[4]);
        assert_same("branch", &program(&x), &f.call(&x).unwrap());
    }
    assert!(f.compilations() <= 6, "{}", f.compilations());
}

#[test]
fn a_number_inside_a_loop_and_in_its_gradient() {
    let k = Cell::new(1.0f64);
    let w = draw(5, &[2]).requires_grad();
    let step = |x: &Tensor| {
        let (h, _) = scan(Tensor::zeros(&[2], DType::F32), x.clone(), |h, x| ((h * k.get() + &x * &w).tanh(), ()));
        let loss = (h * k.get()).sum();
        w.set_grad(None);
        loss.backward();
        (loss.detach(), w.grad().unwrap())
    };
    let f = trace_dynamic(step);
    for i in 0..20 {
        k.set(0.1 * (i % 7) as f64);
        let x = draw(i, &[3, 2]);
        let (a, b) = (step(&x), f.call(&x).unwrap());
        assert_same("loss", &a.0, &b.0);
        assert_same("gradient", &a.1, &b.1);
    }
    assert!(f.compilations() <= 5, "{}", f.compilations());
}

#[test]
fn rust_data_inside_the_closure() {
    let words = RefCell::new(vec![0i64]);
    let table = draw(1, &[7, 3]).requires_grad();
    let step = |scale: &Tensor| {
        let words = words.borrow();
        let index = Tensor::from_vec(words.clone(), &[words.len()]);
        let weights = Tensor::from_slice(&[0.5f32, 1.5], &[2]).sum() * Tensor::scalar(words.len() as f32);
        let loss = (table.index_select(0, &index) * scale * weights).sum();
        table.set_grad(None);
        loss.backward();
        (loss.detach(), table.grad().unwrap())
    };
    let f = trace_dynamic(step);
    let mut next = host(9);
    let scale = draw(2, &[3]);
    for _ in 0..40 {
        let n = 1 + next(6);
        words.replace((0..n).map(|_| next(7) as i64).collect());
        let (a, b) = (step(&scale), f.call(&scale).unwrap());
        assert_same("loss", &a.0, &b.0);
        assert_same("gradient", &a.1, &b.1);
    }
    assert!(f.compilations() <= 3, "{}: any list of words, after one of one word", f.compilations());
    // An index that is not there is an error of the call.
    words.replace(vec![7]);
    assert!(f.call(&scale).unwrap_err().to_string().contains("index"));
    words.replace(vec![6]);
    assert_same("after", &step(&scale).0, &f.call(&scale).unwrap().0);
}

/// In the plain form they are still errors: nobody would see the next call's.
#[test]
fn only_here() {
    let f = trace(|x: &Tensor| x + Tensor::from_vec(vec![1.0f32], &[1]));
    assert!(f.call(&draw(1, &[1])).unwrap_err().to_string().contains("Rust data"));
}
