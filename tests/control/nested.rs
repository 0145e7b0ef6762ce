//! Loops and branches in each other.

use crate::common::draw;
use crate::{Both, count, leaf, repeat, vector, with_gradients};
use allotrope::prelude::*;

/// A sequence of numbers of steps and of choices.
fn counts(n: &[i64]) -> Tensor {
    Tensor::from_vec(n.to_vec(), &[n.len()])
}

#[test]
fn a_while_loop_in_a_scan() {
    let mut f = Both::new(|a: &[Tensor]| {
        let [h, w, xs, ns] = a else { unreachable!() };
        let (h2, ys) = scan(h.clone(), (xs.clone(), ns.clone()), |h, (x, n)| {
            let h = repeat(&n, h + &x, |h| (h * w).tanh());
            (h.clone(), h.sum())
        });
        with_gradients(&(h2.sum() + (&ys * &ys).sum()), &[h, w, xs])
    });
    for ns in [&[1i64, 0, 3][..], &[0], &[20, 5, 0, 0, 40, 2], &[2, 2]] {
        let t = ns.len();
        f.run(&[leaf(draw(1, &[4])), leaf(draw(2, &[4])), leaf(draw(3, &[t, 4])), counts(ns)]);
    }
    assert_eq!(f.compilations(), 1);
}

#[test]
fn a_scan_in_a_while_loop() {
    let mut f = Both::new(|a: &[Tensor]| {
        let [h, w, xs, n] = a else { unreachable!() };
        let y = repeat(n, h.clone(), |h| {
            scan_reverse(h, xs.clone(), |h, x| {
                let h = (h * w + x).sin();
                (h.clone(), h)
            })
            .0
        });
        with_gradients(&y, &[h, w, xs])
    });
    for (n, t) in [(2, 3), (0, 2), (18, 1), (5, 7)] {
        f.run(&[leaf(draw(1, &[3])), leaf(draw(2, &[3])), leaf(draw(3, &[t, 3])), count(n)]);
    }
    assert_eq!(f.compilations(), 1);
}

#[test]
fn a_while_loop_in_a_while_loop() {
    let mut f = Both::new(|a: &[Tensor]| {
        let [x, w, n, m] = a else { unreachable!() };
        // The inner one has another number of steps each time.
        let (_, y) = repeat(n, (m.clone(), x.clone()), |(k, x)| {
            let x = repeat(&k, x, |x| (x * w).cos());
            ((&k * 3 + 1).remainder(7), x + 0.5)
        });
        with_gradients(&y, &[x, w])
    });
    for (n, m) in [(1, 1), (4, 2), (0, 3), (20, 0), (3, 50)] {
        f.run(&[leaf(draw(1, &[3])), leaf(draw(2, &[3])), count(n), count(m)]);
    }
    assert_eq!(f.compilations(), 1);
}

#[test]
fn branches_in_loops() {
    let mut f = Both::new(|a: &[Tensor]| {
        let [x, v, w, n, xs] = a else { unreachable!() };
        // Collatz, in a way.
        let (k, x) = while_loop(
            |(k, _)| k.gt(1),
            |(k, x)| {
                let even = k.remainder(2).eq(0);
                cond(
                    &even,
                    |(k, x): (Tensor, Tensor)| (k.floor_divide(2), (x * v).tanh()),
                    |(k, x)| (k * 3 + 1, x + w * 0.1),
                    (k, x),
                )
            },
            (n.clone(), x.clone()),
        );
        let (x, _) =
            scan(x, xs.clone(), |x, s| (cond(&s.sum().gt(0.0), |x: Tensor| x * v + &s, |x| (x * &s).sin(), x), ()));
        let mut out = with_gradients(&x, &[x_of(a), v, w, xs]);
        out.push(k);
        out
    });
    for (n, t) in [(1, 1), (6, 4), (27, 9), (2, 2)] {
        let xs = leaf(draw(7 + n as u64, &[t, 3]));
        f.run(&[leaf(draw(1, &[3])), leaf(draw(2, &[3])), leaf(draw(3, &[3])), count(n), xs]);
    }
    assert_eq!(f.compilations(), 1);
}

fn x_of(a: &[Tensor]) -> &Tensor {
    &a[0]
}

#[test]
fn loops_in_branches() {
    let mut f = Both::new(|a: &[Tensor]| {
        let [x, w, n, xs] = a else { unreachable!() };
        let y = cond(
            &n.gt(5),
            |x: Tensor| repeat(n, x, |x| (x * w).sin() + w),
            |x: Tensor| {
                let inner = cond(&n.eq(0), |x: Tensor| x, |x: Tensor| x.exp() * w, x);
                scan(inner, xs.clone(), |h, s| (h * s + w, ())).0
            },
            x.clone(),
        );
        with_gradients(&y, &[x, w, xs])
    });
    for (n, t) in [(0, 3), (3, 1), (6, 2), (40, 5), (5, 4)] {
        f.run(&[leaf(draw(1, &[3])), leaf(draw(2, &[3])), count(n), leaf(draw(3, &[t, 3]))]);
    }
    assert_eq!(f.compilations(), 1);
}

#[test]
fn checkpoint_functions_and_layers_in_loops() {
    let layer = {
        let _drawing = crate::common::seeded(1);
        nn::Linear::new(4, 4)
    };
    let mut f = Both::new({
        let (weight, bias) = (layer.parameters()[0].clone(), layer.parameters()[1].clone());
        let layer = std::sync::Arc::new(layer);
        move |a: &[Tensor]| {
            let [x, n] = a else { unreachable!() };
            let y = repeat(n, x.clone(), |x| {
                let layer = layer.clone();
                checkpoint(move |x: &[Tensor]| layer.forward(&x[0]).tanh(), &[&x])
            });
            with_gradients(&y, &[x, &weight, &bias])
        }
    });
    for n in [2, 0, 17] {
        f.run(&[leaf(draw(3, &[2, 4])), count(n)]);
    }
    assert_eq!(f.compilations(), 1);
}

/// Backward inside the body, of something that begins in it.
#[test]
fn gradients_within_a_step() {
    let mut f = Both::new(|a: &[Tensor]| {
        // Descent on (x - a)^4, as long as the derivative is large.
        let derivative = |x: &Tensor| {
            let x = x.detach().requires_grad();
            let y = (&x - &a[0]).pow(4.0).sum();
            grad(&[&y], &[&x], false).unwrap()[0].clone().unwrap()
        };
        let (x, n) = while_loop(
            |(x, _)| enable_grad(|| derivative(&x)).abs().max().gt(1e-2),
            |(x, n)| (&x - derivative(&x) * 0.05, n + 1),
            (a[0].zeros_like(), Tensor::scalar(0i64)),
        );
        vec![x.detach(), n]
    });
    for target in [[0.0, 0.1], [1.0, -1.5], [0.5, 2.0]] {
        f.run(&[vector(&target)]);
    }
    assert_eq!(f.compilations(), 1);
}

/// Branches that hand on what they get, in a loop that carries it.
#[test]
fn operands_pass_through_branches() {
    let mut f = Both::new(|a: &[Tensor]| {
        let [x, y, w, n, pred] = a else { unreachable!() };
        let (p, q) = repeat(n, (x.clone(), y.clone()), |s| {
            cond(pred, |(x, y)| (y.clone(), x * w + y), |(x, y): (Tensor, Tensor)| (y.clone(), x * w + y), s)
        });
        with_gradients(&(&p * &q), &[x, y, w])
    });
    for (n, on) in [(1, false), (1, true), (0, true), (5, false), (20, true)] {
        let v = |i| leaf(draw(i, &[2]));
        let args = [v(1), v(2), v(3), count(n), Tensor::scalar(on)];
        if n == 1 && std::env::var_os("SHOW").is_some() {
            let _ = f.traced.call(&args);
            for e in f.traced.explain() {
                eprintln!("{}\n{}", e.optimized(), e.clif().unwrap());
            }
        }
        f.run(&args);
    }
    assert_eq!(f.compilations(), 1);
}
