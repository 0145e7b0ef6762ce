//! `while_loop` alone.

use crate::common::{bits, draw, numbers};
use crate::{Both, count, leaf, repeat, scalar, vector, with_gradients};
use allotrope::prelude::*;

#[test]
fn a_loop_runs_as_long_as_its_condition_holds() {
    let mut doubled = Both::new(|a: &[Tensor]| {
        let (x, n) = while_loop(|(x, _)| x.lt(&a[1]), |(x, n)| (x * 2.0, n + 1), (a[0].clone(), Tensor::scalar(0i64)));
        vec![x, n]
    });
    for (start, limit, last, steps) in
        [(1.0, 100.0, 128.0, 7), (3.0, 1.0, 3.0, 0), (1.0, 2.0, 2.0, 1), (0.5, 1e30, 1.2676506e30, 101)]
    {
        let out = doubled.run(&[scalar(start), scalar(limit)]);
        assert_eq!((out[0].item::<f32>(), out[1].item::<i64>()), (last, steps));
    }
    assert_eq!(doubled.compilations(), 1);
}

#[test]
fn carries_change_places() {
    let mut fibonacci = Both::new(|a: &[Tensor]| {
        let (x, y) = repeat(&a[0], (Tensor::scalar(0i64), Tensor::scalar(1i64)), |(x, y)| (y.clone(), x + y));
        vec![x, y]
    });
    for (n, f) in [(0, 0), (1, 1), (2, 1), (10, 55), (90, 2880067194370816120)] {
        assert_eq!(fibonacci.run(&[count(n)])[0].item::<i64>(), f);
    }
    assert_eq!(fibonacci.compilations(), 1);
}

/// PyTorch's numbers for `x = tanh(x * w + b)` done n times, and the gradients of the sum.
#[test]
fn gradients_are_pytorchs_for_any_number_of_steps() {
    let mut steps = Both::new(|a: &[Tensor]| {
        let [x, w, b, n] = a else { unreachable!() };
        let y = repeat(n, x.clone(), |x| (x * w + b).tanh());
        with_gradients(&y, &[x, w, b])
    });
    let args = |n: i64| {
        [leaf(vector(&[0.5, -1.0, 2.0])), leaf(vector(&[1.5, 0.3, -0.7])), leaf(vector(&[0.1, 0.2, 0.3])), count(n)]
    };
    let want: [(i64, [[f64; 3]; 4]); 3] = [
        (
            1,
            [
                [0.691069483757019, -0.0996680036187172, -0.8004989624023438],
                [0.7836344242095947, 0.297019898891449, -0.25144097208976746],
                [0.26121148467063904, -0.9900662899017334, 0.7184028029441833],
                [0.5224229693412781, 0.9900662899017334, 0.3592014014720917],
            ],
        ),
        (
            2,
            [
                [0.8132674694061279, 0.16847781836986542, 0.6964375972747803],
                [0.3980032503604889, 0.08657671511173248, 0.09064000844955444],
                [0.3666611313819885, -0.38542798161506653, -0.6712081432342529],
                [0.6039315462112427, 1.2602041959762573, 0.38548892736434937],
            ],
        ),
        (
            5,
            [
                [0.8912709355354309, 0.272997111082077, 0.01642720215022564],
                [0.014846976846456528, 0.0018881153082475066, -0.025088036432862282],
                [0.2737448215484619, 0.3142251670360565, 0.9745711088180542],
                [0.3196907937526703, 1.2835004329681396, 0.7034757137298584],
            ],
        ),
    ];
    for (n, want) in want {
        let out = steps.run(&args(n));
        for (got, want) in out.iter().zip(want) {
            for (got, want) in numbers(got).into_iter().zip(want) {
                assert!((got - want).abs() <= 4e-6 * want.abs().max(1e-3), "{n} steps: {got} against {want}");
            }
        }
    }
    for n in [0, 1, 2, 3, 15, 16, 17, 33, 100] {
        steps.run(&args(n));
    }
    assert_eq!(steps.compilations(), 1);
}

#[test]
fn what_a_loop_without_steps_would_use_has_zeros_as_its_gradient() {
    let mut none = Both::new(|a: &[Tensor]| {
        let [x, w, n] = a else { unreachable!() };
        let y = repeat(n, x.clone(), |x| x * w);
        with_gradients(&(&y * 3.0), &[x, w])
    });
    let args = |n| [leaf(vector(&[1.0, 2.0])), leaf(vector(&[4.0, 5.0])), count(n)];
    let out = none.run(&args(0));
    assert_eq!(out[1].to_vec::<f32>(), [3.0, 3.0]);
    assert_eq!(bits(&out[2]), [u64::from((-0.0f32).to_bits()); 2]);
    assert_eq!(none.run(&args(1))[2].to_vec::<f32>(), [3.0, 6.0]);
    assert_eq!(none.compilations(), 1);
}

#[test]
fn gradients_of_ten_thousand_steps() {
    let mut long = Both::new(|a: &[Tensor]| {
        let [x, w, n] = a else { unreachable!() };
        let y = repeat(n, x.clone(), |x| x * w + 1e-4);
        with_gradients(&y, &[x, w])
    });
    let f64s = |x: &[f64]| leaf(Tensor::from_vec(x.to_vec(), &[x.len()]));
    for n in [10_000, 3, 9_999, 10_000] {
        let out = long.run(&[f64s(&[1.0, 2.0]), f64s(&[0.9999, 0.9998]), count(n)]);
        let want = 0.9999f64.powi(n as i32);
        assert!((numbers(&out[1])[0] / want - 1.0).abs() < 1e-9);
    }
    assert_eq!(long.compilations(), 1);
}

/// The backward pass needs no value of any iteration, only their number.
#[test]
fn gradients_that_need_nothing_collected() {
    let mut sums = Both::new(|a: &[Tensor]| {
        let [x, w, n] = a else { unreachable!() };
        let y = cond(&n.ne(5), |x: Tensor| repeat(n, x, |x| x - w * 0.5), |x| x, x.clone());
        with_gradients(&(y + repeat(n, x.clone(), |x| x + w)), &[x, w])
    });
    for n in [3, 17, 5, 100, 0] {
        let out = sums.run(&[leaf(vector(&[1.0, 2.0])), leaf(vector(&[4.0, 8.0])), count(n)]);
        let steps = if n == 5 { 5.0 } else { n as f32 * 0.5 };
        assert_eq!(out[2].to_vec::<f32>(), [steps, steps]);
    }
    assert_eq!(sums.compilations(), 1);
}

/// The derivative of the square root by Newton's method, which converges with the value.
#[test]
fn newtons_method_until_it_has_converged() {
    let mut root = Both::new(|a: &[Tensor]| {
        let a = &a[0];
        let (x, _) = while_loop(
            |(x, before)| (x - before).abs().gt(1e-12).any(),
            |(x, _)| ((&x + a / &x) * 0.5, x),
            (a.ones_like(), a.zeros_like()),
        );
        with_gradients(&x, &[a])
    });
    for values in [&[2.0f64, 9.0][..], &[1e6, 1e-6], &[1.0, 4.0], &[0.25, 1e12]] {
        let out = root.run(&[leaf(Tensor::from_vec(values.to_vec(), &[2]))]);
        for (i, a) in values.iter().enumerate() {
            let (x, dx) = (numbers(&out[0])[i], numbers(&out[1])[i]);
            assert!((x / a.sqrt() - 1.0).abs() < 1e-9, "{x}");
            assert!((dx * 2.0 * a.sqrt() - 1.0).abs() < 1e-6, "{dx}");
        }
    }
    assert_eq!(root.compilations(), 1);
}

/// A hidden state that is refined until it no longer changes: how often is the data's and the weights' affair.
#[test]
fn training_through_a_loop_with_the_optimizer_in_the_trace() {
    let train = |traced: bool| {
        let w = (draw(1, &[8, 8]) * 0.2).requires_grad();
        let u = (draw(2, &[3, 8]) * 0.5).requires_grad();
        let v = draw(3, &[8, 1]).requires_grad();
        let opt = optim::Adam::new(vec![w.clone(), u.clone(), v.clone()], 0.01);
        let step = {
            let (w, u, v) = (w.clone(), u.clone(), v.clone());
            move |x: &Tensor, y: &Tensor| {
                let drive = x.matmul(&u);
                let (h, _, n) = while_loop(
                    |(h, before, n)| (h - before).abs().max().gt(1e-3).logical_and(&n.lt(50)),
                    |(h, _, n)| ((h.matmul(&w) + &drive).tanh(), h, n + 1),
                    (drive.tanh(), drive.zeros_like(), Tensor::scalar(0i64)),
                );
                let loss = mse_loss(&h.matmul(&v), y);
                opt.zero_grad();
                loss.backward();
                opt.step();
                (loss.detach(), n)
            }
        };
        let data = |i: u64| {
            let x = draw(10 + i, &[4 + i as usize % 3, 3]);
            (x.clone(), x.sum_dim(&[1], true).sin())
        };
        let mut losses = Vec::new();
        let mut steps = Vec::new();
        if traced {
            let step = trace(step);
            for i in 0..30 {
                let (x, y) = data(i);
                let (loss, n) = step.call((&x, &y)).unwrap();
                losses.push(loss);
                steps.push(n.item::<i64>());
            }
            assert_eq!(step.compilations(), 1);
        } else {
            for i in 0..30 {
                let (x, y) = data(i);
                let (loss, n) = step(&x, &y);
                losses.push(loss);
                steps.push(n.item::<i64>());
            }
        }
        (losses, steps, vec![w.detach(), u.detach(), v.detach()])
    };
    let (eager, steps, weights) = train(false);
    let (traced, traced_steps, traced_weights) = train(true);
    crate::assert_all_same("losses", &eager, &traced);
    crate::assert_all_same("weights", &weights, &traced_weights);
    assert_eq!(steps, traced_steps);
    let different = steps.iter().collect::<std::collections::HashSet<_>>().len();
    assert!(different > 2, "the number of steps should vary: {steps:?}");
    assert!(eager[29].item::<f32>() < eager[0].item::<f32>());
}

#[test]
fn a_result_shares_nothing_with_what_was_carried() {
    let mut same = Both::new(|a: &[Tensor]| {
        let x = &a[0] * 1.0;
        let out = repeat(&a[1], (x.clone(), a[0].clone()), |(x, y)| (x, y));
        out.0.add_(1.0);
        out.1.add_(1.0);
        vec![x, out.0, out.1, &a[0] + 0.0]
    });
    for n in [0, 2] {
        let out = same.run(&[vector(&[1.0, 2.0]), count(n)]);
        let values: Vec<Vec<f32>> = out.iter().map(Tensor::to_vec::<f32>).collect();
        assert_eq!(values, [[1.0, 2.0], [2.0, 3.0], [2.0, 3.0], [1.0, 2.0]]);
    }
}

#[test]
fn without_gradients_nothing_is_kept() {
    let mut plain = Both::new(|a: &[Tensor]| {
        let y = no_grad(|| repeat(&a[1], a[0].clone(), |x| x * 0.5));
        assert!(!y.is_requires_grad());
        vec![y]
    });
    for n in [0, 40, 3] {
        plain.run(&[leaf(vector(&[1.0])), count(n)]);
    }
    let text = plain.traced.explain()[0].optimized().to_string();
    // Two carries, the value and the counter that the condition reads, and nothing collected.
    assert!(text.contains("kind=while") && !text.contains("f32[s1, s0]"), "{text}");
}

/// A product with a matrix that is transposed for it, which is done once, before the loop, though that may have no steps.
#[test]
fn products_sums_and_views_in_a_loop() {
    let mut power = Both::new(|a: &[Tensor]| {
        let [x, w, n] = a else { unreachable!() };
        let y = repeat(n, x.clone(), |h| {
            let z = h.matmul(&w.t());
            let scale = (&z * &z).sum_dim(&[-1], true).sqrt() + 1.0;
            (z / scale).flip(&[1])
        });
        with_gradients(&y, &[x, w])
    });
    for (rows, n) in [(3, 4), (1, 0), (7, 20), (2, 1)] {
        power.run(&[leaf(draw(5, &[rows, 5])), leaf(draw(6, &[5, 5])), count(n)]);
    }
    assert_eq!(power.compilations(), 1);
}

#[test]
fn a_check_in_the_body_fails_the_call_and_changes_nothing() {
    let total = Tensor::zeros(&[], DType::F32);
    let look = trace({
        let total = total.clone();
        move |table: &Tensor, n: &Tensor| {
            let (i, sum) = while_loop(
                |(i, _)| i.lt(n),
                |(i, sum)| {
                    let x = table.take(&i);
                    (i + 1, sum + x)
                },
                (Tensor::scalar(0i64), Tensor::scalar(0.0f32)),
            );
            total.add_(&sum);
            i
        }
    });
    let table = vector(&[1.0, 2.0, 4.0]);
    assert_eq!(look.call((&table, &count(3))).unwrap().item::<i64>(), 3);
    assert_eq!(total.item::<f32>(), 7.0);
    let error = look.call((&table, &count(5))).unwrap_err().to_string();
    assert!(error.contains("out of range") || error.contains("index"), "{error}");
    assert_eq!(total.item::<f32>(), 7.0);
    // What is read through an index out of range is nobody's element: the loop ends with the check.
    let chase = trace(|next: &Tensor| while_loop(|i| i.ne(-7), |i| next.take(&i), Tensor::scalar(0i64)));
    let error = chase.call(&Tensor::from_vec(vec![1i64, 2, 9], &[3])).unwrap_err().to_string();
    assert!(error.contains("9") || error.contains("index"), "{error}");
}

#[test]
fn state_is_changed_once_however_often_a_call_needs_more_room() {
    let w = leaf(vector(&[1.0, 1.0]));
    let calls = Tensor::zeros(&[], DType::I64);
    let step = trace({
        let (w, calls) = (w.clone(), calls.clone());
        move |n: &Tensor| {
            let y = repeat(n, w.ones_like(), |x| x * &w).sum();
            w.set_grad(None);
            y.backward();
            no_grad(|| w.sub_(&(w.grad().unwrap() * 1e-4)));
            calls.add_(1);
            y.detach()
        }
    });
    for (i, n) in [3, 200, 40, 500, 0].into_iter().enumerate() {
        step.call(&count(n)).unwrap();
        assert_eq!(calls.item::<i64>(), i as i64 + 1);
    }
    assert_eq!(step.compilations(), 1);
}

/// `cargo test --release --test control measure -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn measure() {
    let time = |what: &str, per: f64, f: &mut dyn FnMut()| {
        f();
        let mut runs: Vec<f64> = (0..9)
            .map(|_| {
                let start = std::time::Instant::now();
                f();
                start.elapsed().as_secs_f64()
            })
            .collect();
        runs.sort_by(f64::total_cmp);
        println!("{what}: {:.1} ns", runs[4] * 1e9 / per);
    };
    let value = |x: &Tensor, n: &Tensor| no_grad(|| repeat(n, x.clone(), |x| x * 0.999 + 0.001));
    let gradient = |x: &Tensor, n: &Tensor| {
        let y = repeat(n, x.clone(), |x| x * 0.999 + 0.001).sum();
        grad(&[&y], &[x], false).unwrap().remove(0).unwrap()
    };
    for (size, n) in [(1, 100_000), (256, 100_000)] {
        let (x, n) = (leaf(draw(1, &[size])), count(n));
        let per = n.item::<i64>() as f64;
        let (a, b) = (trace(value), trace(gradient));
        time(&format!("a step of {size} numbers, traced"), per, &mut || _ = a.call((&x, &n)).unwrap());
        time(&format!("a step of {size} numbers and its backward pass, traced"), per, &mut || {
            _ = b.call((&x, &n)).unwrap()
        });
        let few = count(1_000);
        time(&format!("a step of {size} numbers, eager"), 1e3, &mut || _ = value(&x, &few));
        time(&format!("a step of {size} numbers and its backward pass, eager"), 1e3, &mut || _ = gradient(&x, &few));
    }
    let choose = |x: &Tensor, p: &Tensor| cond(p, |x: Tensor| x * 2.0, |x: Tensor| x + 1.0, x.clone());
    let plain = |x: &Tensor, _: &Tensor| x * 2.0;
    let (x, p) = (draw(1, &[256]), Tensor::scalar(true));
    let (a, b) = (trace(choose), trace(plain));
    time("a call that chooses, traced", 1e3, &mut || (0..1000).for_each(|_| _ = a.call((&x, &p)).unwrap()));
    time("a call that does not", 1e3, &mut || (0..1000).for_each(|_| _ = b.call((&x, &p)).unwrap()));
    time("a choice, eager", 1e3, &mut || (0..1000).for_each(|_| _ = choose(&x, &p)));
    time("a choice, eager without gradients", 1e3, &mut || (0..1000).for_each(|_| _ = no_grad(|| choose(&x, &p))));
}
