//! Captured tensors: replaced between calls, changed in place, seen through views, with gradients and hooks; and random
//! generators.

use crate::common::{assert_all_same, assert_same, copy, draw, seeded};
use crate::structure::host;
use allotrope::prelude::*;
use std::cell::{Cell, RefCell};

#[test]
fn a_parameter_that_is_replaced() {
    let w = RefCell::new(draw(1, &[3, 3]));
    let f = trace_dynamic(|x: &Tensor| x.matmul(&w.borrow()).relu());
    for i in 0..20 {
        w.replace(draw(i, &[3, 3]));
        let x = draw(i + 50, &[2, 3]);
        assert_same("replaced", &x.matmul(&w.borrow()).relu(), &f.call(&x).unwrap());
    }
    assert_eq!(f.compilations(), 1);
    w.replace(draw(99, &[3, 4]));
    assert_eq!(f.call(&draw(1, &[2, 3])).unwrap().shape(), [2, 4]);
    // A view is what it is a view of, and the way to it.
    for i in 90..95 {
        w.replace(draw(i, &[4, 3]).t());
        let x = draw(2, &[2, 3]);
        assert_same("transposed", &x.matmul(&w.borrow()).relu(), &f.call(&x).unwrap());
    }
    assert_eq!(f.compilations(), 3, "{}", crate::structure::reasons(&f.explain()));
}

#[test]
fn tensors_that_are_let_go() {
    let slot = RefCell::new(draw(1, &[4]));
    let held = || slot.borrow().clone();
    let f = trace_dynamic(|x: &Tensor| x + &held());
    f.call(&draw(2, &[4])).unwrap();
    let old = std::sync::Arc::new(());
    let counted = std::sync::Arc::downgrade(&old);
    drop(old);
    assert!(counted.upgrade().is_none());
    // What a call used is free to go: its memory can be taken over without a copy.
    let t = slot.replace(draw(3, &[4]));
    f.call(&draw(2, &[4])).unwrap();
    assert_eq!(f.compilations(), 1);
    drop(t);
}

#[test]
fn one_tensor_in_two_places_is_another_structure() {
    let (a, b) = (Tensor::ones(&[2], DType::F32), Tensor::ones(&[2], DType::F32));
    let tied = Cell::new(false);
    let step = |x: &Tensor| {
        let other = if tied.get() { &a } else { &b };
        a.add_(x);
        other.mul_(&Tensor::scalar(2.0f32));
        &a + other
    };
    let f = trace_dynamic(step);
    let mut next = host(3);
    for _ in 0..20 {
        tied.set(next(2) == 0);
        let before = [copy(&a), copy(&b)];
        let x = draw(next(100) as u64, &[2]);
        let eager = copy(&step(&x));
        let after = [copy(&a), copy(&b)];
        a.copy_(&before[0]);
        b.copy_(&before[1]);
        assert_same("sum", &eager, &f.call(&x).unwrap());
        assert_all_same("state", &after, &[a.detach(), b.detach()]);
    }
    assert_eq!(f.compilations(), 2);
}

#[test]
fn views_that_are_changed_in_place() {
    let table = RefCell::new(Tensor::zeros(&[5, 3], DType::F32));
    let row = Cell::new(0isize);
    let program = |x: &Tensor| {
        let table = table.borrow();
        let view = table.select(0, row.get());
        view.add_(x);
        x.mul_(&view);
        table.sum_dim(&[1], false)
    };
    let f = trace_dynamic(program);
    let mut next = host(4);
    for i in 0..30 {
        row.set(next(2) as isize);
        if next(4) == 0 {
            table.replace(draw(i, &[5, 3]));
        }
        let before = copy(&table.borrow());
        let (x, y) = (draw(i, &[3]), draw(i, &[3]));
        let eager = copy(&program(&x));
        let after = copy(&table.borrow());
        table.borrow().copy_(&before);
        assert_same("sums", &eager, &f.call(&y).unwrap());
        assert_same("argument", &x, &y);
        assert_same("table", &after, &table.borrow());
    }
    assert_eq!(f.compilations(), 2, "one for each row");
}

#[test]
fn gradients_that_accumulate_and_hooks() {
    let run = |dynamic: bool| {
        let w = draw(1, &[3]).requires_grad();
        let factor = Cell::new(1.0f32);
        let (clear, hook) = (Cell::new(false), Cell::new(false));
        let step = |x: &Tensor| {
            if clear.get() {
                w.set_grad(None);
            }
            let loss = (&w * x).tanh().sum();
            let handle = hook.get().then(|| loss.register_hook(|g| Some(g * 2.0)));
            loss.backward();
            drop(handle);
            loss.detach()
        };
        let f = trace_dynamic(step);
        let outside = w.register_hook(|g| Some(g.clamp(-0.5, 0.5)));
        let mut next = host(5);
        let mut all = Vec::new();
        for i in 0..40 {
            clear.set(next(3) == 0);
            hook.set(next(2) == 0);
            factor.set(next(9) as f32);
            let x = draw(i, &[3]);
            all.push(if dynamic { f.call(&x).unwrap() } else { step(&x) });
            all.push(copy(&w.grad().unwrap()));
        }
        outside.remove();
        let compilations = f.compilations();
        drop(f);
        (all, compilations)
    };
    let ((eager, _), (dynamic, compilations)) = (run(false), run(true));
    assert_all_same("losses and gradients", &eager, &dynamic);
    // With and without the hook, each with and without a gradient from before.
    assert!(compilations <= 4, "{compilations}");
}

#[test]
fn dropout_and_draws_take_one_stream() {
    let run = |dynamic: &dyn Fn(usize) -> bool| {
        let _drawing = seeded(11);
        let (depth, p) = (Cell::new(0), Cell::new(0.5));
        let program = |x: &Tensor| {
            let h = (0..depth.get()).fold(x.clone(), |h, _| allotrope::functional::dropout(&h, p.get(), true));
            let (_, noise) = scan(Tensor::zeros(&[2], DType::F32), h, |c, x| {
                let y = &x + &rand(&[2]);
                (c + &y, y)
            });
            noise + randn(&[2])
        };
        let f = trace_dynamic(program);
        let mut next = host(12);
        let mut all = Vec::new();
        for i in 0..40 {
            depth.set(next(3));
            p.set(if next(2) == 0 { 0.5 } else { 0.25 });
            let x = draw(i, &[1 + next(4), 2]);
            all.push(if dynamic(i as usize) { f.call(&x).unwrap() } else { program(&x) });
        }
        all.push(rand(&[3]));
        let compilations = f.compilations();
        if compilations > 6 {
            eprintln!("{}", crate::structure::reasons(&f.explain()));
        }
        (all, compilations)
    };
    let (eager, _) = run(&|_| false);
    let (dynamic, compilations) = run(&|_| true);
    assert_all_same("all compiled", &eager, &dynamic);
    assert_all_same("some compiled", &eager, &run(&|i| i % 3 != 0).0);
    assert!(compilations <= 6, "{compilations}: what p is takes at most one more for each depth");
}
