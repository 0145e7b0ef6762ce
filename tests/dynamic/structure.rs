//! What Rust code may decide: branches, the count of a loop, the length of a list, which layer, lengths of arguments.

use crate::common::{assert_all_same, assert_same, copy, draw};
use allotrope::prelude::*;
use allotrope::tensor::Flag;
use std::cell::Cell;

/// Numbers of the host, the same on each machine.
pub fn host(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |n| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    }
}

/// Why the code was generated as often as it was, for a test that wants it less often.
pub fn reasons(all: &[allotrope::trace::Explanation]) -> String {
    all.iter().map(|v| format!("\n  {}", v.reason())).collect()
}

#[test]
fn a_branch_on_a_value_of_the_host() {
    let which = Cell::new(0);
    let program = |x: &Tensor| match which.get() {
        0 => x.tanh(),
        1 => x.sin() + 1.0,
        _ => x.tanh().sum(),
    };
    let f = trace_dynamic(program);
    let mut next = host(1);
    for i in 0..100 {
        which.set(next(3));
        let x = draw(i, &[3, 1 + next(4)]);
        assert_same("branch", &program(&x), &f.call(&x).unwrap());
    }
    assert_eq!(f.compilations(), 3);
    let reasons: Vec<String> = f.explain().iter().map(|v| v.reason().to_string()).collect();
    assert!(reasons.iter().any(|r| r.contains("sin")), "{reasons:?}");
}

/// What comes first is common to all, and the structures diverge and rejoin in many ways.
#[test]
fn every_order_of_layers() {
    let order = Cell::new([0usize; 4]);
    let layers: Vec<nn::Linear> = {
        let _drawing = crate::common::seeded(4);
        (0..3).map(|i| nn::Linear::new(3, 3 + usize::from(i == 9))).collect()
    };
    let program = |x: &Tensor| {
        let h = order.get().iter().fold(x.clone(), |h, &i| match i {
            0 => layers[0].forward(&h),
            1 => h.relu(),
            _ => h * 0.5,
        });
        h.sum_dim(&[0], false)
    };
    let f = trace_dynamic(program);
    let mut next = host(2);
    let mut seen = std::collections::HashSet::new();
    for i in 0..200 {
        let now = [next(2), next(2), next(2), next(2)];
        order.set(now);
        seen.insert(now);
        let x = draw(i, &[2, 3]);
        assert_same("order", &program(&x), &f.call(&x).unwrap());
    }
    assert_eq!(f.compilations(), seen.len());
}

#[test]
fn the_count_of_a_loop_and_a_list_that_grows() {
    let mut seen: Vec<Tensor> = Vec::new();
    let f = trace_dynamic(move |x: &Tensor| {
        // Captured tensors that stay in the list.
        seen.push(if x.sizes().len().eq(&1) { Tensor::ones(&[3], DType::F32) } else { x.clone() });
        (0..seen.len()).fold(x.clone(), |h, _| h * 1.5)
    });
    let x = draw(1, &[3]);
    let mut want = copy(&x);
    for n in 1..6 {
        want *= 1.5;
        assert_same("list", &want, &f.call(&x).unwrap());
        assert_eq!(f.compilations(), n);
    }
}

/// Which of several tensors stands in a place is no structure.
#[test]
fn a_layer_picked_from_a_list() {
    let layers: Vec<nn::Linear> = {
        let _drawing = crate::common::seeded(5);
        (0..6).map(|_| nn::Linear::new(4, 4)).collect()
    };
    let (first, second) = (Cell::new(0), Cell::new(0));
    let step = |x: &Tensor| {
        let (a, b) = (&layers[first.get()], &layers[second.get()]);
        let loss = b.forward(&a.forward(x).tanh()).square().sum();
        for l in [a, b] {
            l.parameters().iter().for_each(|p| p.set_grad(None));
        }
        loss.backward();
        no_grad(|| a.parameters().iter().for_each(|p| _ = p.sub_(&(p.grad().unwrap() * 0.01))));
        loss.detach()
    };
    let f = trace_dynamic(step);
    let parameters: Vec<Tensor> = layers.iter().flat_map(|l| l.parameters()).collect();
    let mut next = host(6);
    let mut same = 0;
    for i in 0..60 {
        first.set(next(6));
        second.set(next(6));
        same += usize::from(first.get() == second.get());
        let x = draw(i, &[2, 4]);
        let before: Vec<Tensor> = parameters.iter().map(copy).collect();
        let eager = step(&x);
        let after: Vec<Tensor> = parameters.iter().map(copy).collect();
        no_grad(|| parameters.iter().zip(&before).for_each(|(p, b)| _ = p.copy_(b)));
        parameters.iter().for_each(|p| p.set_grad(None));
        let compiled = f.call(&x).unwrap();
        assert_same("loss", &eager, &compiled);
        assert_all_same("parameters", &after, &parameters.iter().map(copy).collect::<Vec<_>>());
    }
    assert!(same > 0, "the same layer twice is another structure");
    assert_eq!(f.compilations(), 2);
}

#[test]
fn lengths_are_no_structure() {
    let f = trace_dynamic(|x: &Tensor, y: &Tensor| {
        let joined = cat(&[x, y], 0);
        scan(Tensor::zeros(&[2], DType::F32), joined, |h, x| {
            let h = (h + &x).tanh();
            (h.clone(), h)
        })
    });
    let mut next = host(8);
    for i in 0..50 {
        let (x, y) = (draw(i, &[1 + next(9), 2]), draw(i + 100, &[1 + next(9), 2]));
        let (h, hs) = f.call((&x, &y)).unwrap();
        let mut h2 = Tensor::zeros(&[2], DType::F32);
        let mut rows = Vec::new();
        let joined = cat(&[&x, &y], 0);
        for t in 0..joined.size(0) {
            h2 = (h2 + joined.select(0, t as isize)).tanh();
            rows.push(h2.clone());
        }
        assert_same("last", &h2, &h);
        assert_same("all", &stack(&rows.iter().collect::<Vec<_>>(), 0), &hs);
    }
    assert_eq!(f.compilations(), 1);
}

/// A size that the closure makes a number of does not decide for the structures that part before.
#[test]
fn a_size_that_became_a_number_in_one_branch() {
    let counts = Cell::new(false);
    let program = |x: &Tensor| {
        let h = x.tanh();
        if counts.get() { (0..h.size(0)).fold(h.sum(), |s, i| s + h.select(0, i as isize).sum()) } else { h.sin() }
    };
    let f = trace_dynamic(program);
    let call = |counting: bool, n: usize| {
        counts.set(counting);
        let x = draw(n as u64, &[n, 3]);
        assert_same("size", &program(&x), &f.call(&x).unwrap());
    };
    call(true, 2);
    (1..6).for_each(|n| call(false, n));
    assert_eq!(f.compilations(), 2, "the branch that counts nothing holds for every length");
    call(true, 3);
    call(true, 2);
    call(false, 7);
    assert_eq!(f.compilations(), 3);
    assert!(f.explain().iter().any(|v| v.specializations().iter().any(|s| s.value == 3)));
}

#[test]
fn bodies_of_loops_that_differ() {
    let (deep, inside) = (Cell::new(0), Cell::new(false));
    let w = draw(9, &[2, 2]).requires_grad();
    let step = |x: &Tensor| {
        let (_, ys) = scan(Tensor::zeros(&[2], DType::F32), x.clone(), |h, x| {
            let mut h = (h + &x).unsqueeze(0).matmul(&w).squeeze(0);
            for _ in 0..deep.get() {
                h = h.tanh();
            }
            let y = if inside.get() { h.sin() } else { h.clone() };
            (h, y)
        });
        let loss = ys.square().sum();
        w.set_grad(None);
        loss.backward();
        (loss.detach(), w.grad().unwrap())
    };
    let f = trace_dynamic(step);
    let mut next = host(10);
    for i in 0..60 {
        deep.set(next(3));
        inside.set(next(2) == 1);
        let x = draw(i, &[1 + next(5), 2]);
        let (eager, compiled) = (step(&x), f.call(&x).unwrap());
        assert_same("loss", &eager.0, &compiled.0);
        assert_same("gradient", &eager.1, &compiled.1);
    }
    assert_eq!(f.compilations(), 6, "{}", reasons(&f.explain()));
}

#[test]
fn flags_gradient_modes_and_kinds_of_arguments() {
    let flag = Flag::new(false);
    let program = |x: &Tensor| {
        let y = if flag.get() { x * 3.0 } else { x.exp() };
        let z = no_grad(|| &y * &y);
        if y.is_requires_grad() { (y.sum() + z.sum()).detach() } else { z }
    };
    let f = trace_dynamic(program);
    for round in 0..3 {
        for on in [false, true] {
            flag.set(on);
            for grad in [false, true] {
                let x = draw(round, &[2]);
                x.set_requires_grad(grad);
                assert_same("flag", &program(&x), &f.call(&x).unwrap());
                no_grad(|| assert_same("no_grad", &program(&x), &f.call(&x).unwrap()));
            }
        }
        let wide = draw(round, &[2]).to(DType::F64);
        assert_same("f64", &program(&wide), &f.call(&wide).unwrap());
    }
    // exp or times 3, each as z alone and as the sum, and one for f64.
    assert_eq!(f.compilations(), 5);
}
