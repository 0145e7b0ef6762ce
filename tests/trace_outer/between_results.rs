//! Derivatives between the results of one traced call: each result is a place of the tape, with hooks, kept gradients and
//! gradients asked for, in the order and with the bits of the eager program.

use crate::both::{both, both_with, grads};
use crate::common::{assert_same, copy, draw, numbers};
use allotrope::prelude::*;
use std::sync::{Arc, Mutex};

/// A loss, and what it was computed from.
fn loss_and_value(x: &Tensor) -> (Tensor, Tensor) {
    let y = x * 2.0;
    ((&y * &y).sum(), y)
}

fn one_to_three() -> Tensor {
    Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]).requires_grad()
}

#[test]
fn a_hook_sees_what_comes_of_another_result() {
    let f = trace(loss_and_value);
    let x = one_to_three();
    let (z, y) = f.call(&x).unwrap();
    y.register_hook(|g| Some(g * 10.0));
    z.backward();
    assert_eq!(numbers(&x.grad().unwrap()), [80.0, 160.0, 240.0]);
}

#[test]
fn a_result_is_asked_for_or_keeps_its_gradient() {
    let f = trace(loss_and_value);
    let x = one_to_three();
    let (z, y) = f.call(&x).unwrap();
    let g = grad(&[&z], &[&y], false).unwrap().remove(0).unwrap();
    assert_eq!(numbers(&g), [4.0, 8.0, 12.0]);
    let (z, y) = f.call(&x).unwrap();
    y.retain_grad();
    z.backward();
    assert_eq!(numbers(&y.grad().unwrap()), [4.0, 8.0, 12.0]);
    assert_eq!(numbers(&x.grad().unwrap()), [8.0, 16.0, 24.0]);
    let (z, y) = f.call(&x).unwrap();
    z.backward_with(Backward { inputs: &[&y], ..Backward::default() });
    assert_eq!(numbers(&y.grad().unwrap()), [4.0, 8.0, 12.0]);
    assert_eq!(numbers(&x.grad().unwrap()), [8.0, 16.0, 24.0], "nobody asked for x");
    // It was not on the way to z.
    let (z, y) = f.call(&x).unwrap();
    assert!(
        grad_with(&[&y.sum()], &[&z], GradOptions { allow_unused: true, ..GradOptions::default() }).unwrap()[0]
            .is_none()
    );
    assert_eq!(f.compilations(), 1);
}

/// Values that depend on one another, some by several ways, with weights that all of them use.
fn chain(x: &[Tensor], p: &[Tensor]) -> Vec<Tensor> {
    let a = x[0].matmul(&p[0]).tanh();
    let side = (&x[0] * 0.3).sin();
    let b = &a * &side + a.matmul(&p[0]);
    let c = (&b + &side * &a).sigmoid() * &p[1];
    let z = (&c * &a).sum() + b.exp().mean() + side.sum();
    vec![z, a, b, c]
}

fn chain_params() -> [Tensor; 2] {
    [draw(1, &[3, 3]).requires_grad(), draw(2, &[3]).requires_grad()]
}

/// Every choice of results that are looked at.
#[test]
fn any_results_are_looked_at_in_any_way() {
    for looked_at in 0..8u32 {
        for how in 0..3 {
            let params = chain_params();
            both(&format!("looked at {looked_at:03b} in way {how}"), &params, chain, |f, p| {
                let x = draw(3, &[2, 3]).requires_grad();
                let y = f(std::slice::from_ref(&x));
                let seen = Arc::new(Mutex::new(Vec::new()));
                for i in (0..3usize).filter(|i| looked_at >> i & 1 == 1) {
                    let seen = Arc::clone(&seen);
                    match how {
                        0 => drop(y[1 + i].register_hook(move |g| {
                            seen.lock().unwrap().extend([Tensor::scalar(i as f32), g.detach()]);
                            Some(g * 1.7)
                        })),
                        _ => y[1 + i].retain_grad(),
                    }
                }
                // What is outside comes first into the sums.
                let outside = (&y[1] * &y[3]).sum() + (y[2].square() * &x).sum();
                let loss = if how == 2 { &y[0] + &outside + &outside * &y[0] } else { y[0].clone() };
                loss.backward();
                let kept = (1..4).filter(|i| how > 0 && looked_at >> (i - 1) & 1 == 1);
                let mut out: Vec<Tensor> = kept.map(|i| y[i].grad().unwrap()).collect();
                out.extend(seen.lock().unwrap().drain(..));
                out.extend(grads(&[x, p[0].clone(), p[1].clone()]));
                out
            });
        }
    }
}

#[test]
fn any_results_are_asked_for() {
    for asked in 1..32u32 {
        let params = chain_params();
        both(&format!("asked for {asked:05b}"), &params, chain, |f, p| {
            let x = draw(3, &[2, 3]).requires_grad();
            let y = f(std::slice::from_ref(&x));
            let of = [&x, &p[0], &y[1], &y[2], &y[3]];
            let of: Vec<&Tensor> = (0..5).filter(|i| asked >> i & 1 == 1).map(|i| of[i]).collect();
            let loss = &y[0] * 2.0 + (&y[2] * &y[1]).sum();
            grad(&[&loss], &of, false).unwrap().into_iter().map(Option::unwrap).collect()
        });
    }
}

#[test]
fn second_derivatives_between_results() {
    let params = chain_params();
    both("second", &params, chain, |f, p| {
        let x = draw(3, &[2, 3]).requires_grad();
        let y = f(&[&x * 1.5]);
        let wanted = [&x, &p[0], &y[1], &y[2], &y[3]];
        let first = grad(&[&y[0]], &wanted, true).unwrap();
        let first: Vec<Tensor> = first.into_iter().map(Option::unwrap).collect();
        let penalty = first.iter().fold(y[0].clone(), |sum, g| sum + g.square().sum());
        // A gradient on the way is a tensor with a history like any other.
        let of = [&x, &p[0], &p[1], &y[1], &y[2], &first[4]];
        let second = grad(&[&penalty], &of, true).unwrap();
        let second: Vec<Tensor> = second.into_iter().map(Option::unwrap).collect();
        let all = second.iter().fold(Tensor::scalar(0.0f32), |sum, g| sum + g.sin().mean());
        let third = grad(&[&all], &[&x, &p[0], &p[1]], false).unwrap();
        first.into_iter().chain(second).chain(third.into_iter().map(Option::unwrap)).collect()
    });
}

#[test]
fn hooks_in_a_pass_that_is_differentiated_again() {
    let params = chain_params();
    both("hooks, again", &params, chain, |f, p| {
        let x = draw(3, &[2, 3]).requires_grad();
        let y = f(std::slice::from_ref(&x));
        let (scale, own) = (y[1].clone(), p[1].clone());
        y[2].register_hook(move |g| Some(g * &scale * &own));
        y[1].retain_grad();
        let first = grad(&[&y[0]], &[&x, &p[0]], true).unwrap();
        let penalty = first.iter().flatten().map(|g| g.square().sum()).reduce(|a, b| a + b).unwrap();
        penalty.backward();
        let kept = y[1].grad().unwrap().detach();
        first
            .into_iter()
            .map(|g| g.unwrap().detach())
            .chain(grads(&[x, p[0].clone(), p[1].clone()]))
            .chain([kept])
            .collect()
    });
}

#[test]
fn hooks_are_called_from_the_newest_result_to_the_oldest() {
    let params = [draw(1, &[3]).requires_grad()];
    both(
        "order of hooks",
        &params,
        |x, p| {
            let a = &x[0] * 2.0;
            let b = &a * &p[0];
            let c = &x[0] + 1.0;
            vec![c, a, b]
        },
        |f, p| {
            let x = draw(2, &[3]).requires_grad();
            let y = f(std::slice::from_ref(&x));
            let order = Arc::new(Mutex::new(Vec::new()));
            for (i, y) in y.iter().enumerate() {
                let order = Arc::clone(&order);
                y.register_hook(move |g| {
                    order.lock().unwrap().extend([Tensor::scalar(i as f32), g.detach()]);
                    None
                });
            }
            (&y[0] * &y[2] * &p[0]).sum().backward();
            let order = std::mem::take(&mut *order.lock().unwrap());
            assert_eq!(order.iter().step_by(2).map(|t| t.item::<f32>()).collect::<Vec<_>>(), [0.0, 2.0, 1.0]);
            order.into_iter().chain(grads(&[x, p[0].clone()])).collect()
        },
    );
}

/// Hooks of the closure were registered first, on the same node of the tape.
#[test]
fn hooks_inside_come_before_those_outside() {
    let params = chain_params();
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let all = chain(x, p);
        let (scale, weights) = (all[1].clone(), p[1].clone());
        all[2].register_hook(move |g| Some(g * &scale + &weights));
        all[1].register_hook(|g| Some(g.sin()));
        all[0].register_hook(|g| Some(g * 3.0));
        all[2].retain_grad();
        all
    };
    for looked_at in 0..16u32 {
        for again in [false, true] {
            both(&format!("{looked_at:04b} {again}"), &params, inner, |f, p| {
                let x = draw(3, &[2, 3]).requires_grad();
                let y = f(std::slice::from_ref(&x));
                let seen = Arc::new(Mutex::new(Vec::new()));
                for i in (0..4usize).filter(|i| looked_at >> i & 1 == 1) {
                    let seen = Arc::clone(&seen);
                    y[i].register_hook(move |g| {
                        seen.lock().unwrap().extend([Tensor::scalar(i as f32), g.detach()]);
                        Some(g * 1.7)
                    });
                }
                let loss = &y[0] * 2.0 + (&y[1] * &y[2]).sum();
                let first = grad(&[&loss], &[&x, &y[1], &p[0], &p[1]], again).unwrap();
                let first: Vec<Tensor> = first.into_iter().map(Option::unwrap).collect();
                if again {
                    first.iter().map(|g| g.square().sum()).reduce(|a, b| a + b).unwrap().backward();
                } else {
                    f(std::slice::from_ref(&x)).iter().map(Tensor::sum).reduce(|a, b| a + b).unwrap().backward();
                }
                let mut out: Vec<Tensor> = first.iter().map(Tensor::detach).collect();
                out.extend(seen.lock().unwrap().drain(..));
                out.extend(grads(&[x, p[0].clone(), p[1].clone()]));
                out.extend(y[2].grad());
                out
            });
        }
    }
}

#[test]
fn a_removed_hook_or_a_dropped_result_changes_nothing() {
    let params = chain_params();
    both("dropped", &params, chain, |f, p| {
        let x = draw(3, &[2, 3]).requires_grad();
        let mut y = f(std::slice::from_ref(&x));
        y[2].register_hook(|g| Some(g * 3.0)).remove();
        y[1].register_hook(|g| Some(g * 1.5));
        y.truncate(1);
        y[0].backward();
        grads(&[x, p[0].clone(), p[1].clone()])
    });
}

#[test]
fn results_that_show_one_another() {
    let params = [draw(1, &[2, 3]).requires_grad()];
    both_with(
        "views",
        &params,
        |x, p| {
            let y = &x[0] * &p[0];
            let row = y.select(0, 1);
            let wide = row.expand(&[4, 3]);
            let shadow = y.detach();
            let changed = &y * 1.5;
            changed.mul_(&row);
            let z = (&wide * 0.5).sum() + (&shadow * &y).sum() + changed.sin().sum();
            vec![z, y, row, wide, shadow, changed]
        },
        |f, p| {
            let x = draw(2, &[2, 3]).requires_grad();
            let y = f(std::slice::from_ref(&x));
            for t in [&y[1], &y[2], &y[5]] {
                t.retain_grad();
            }
            y[3].register_hook(|g| Some(g * 2.0));
            (&y[0] + (&y[2] * &y[4]).sum()).backward();
            grads(&[y[1].clone(), y[2].clone(), y[5].clone(), x, p[0].clone()])
        },
    );
}

#[test]
fn results_changed_in_place_outside() {
    let params = [draw(1, &[3]).requires_grad()];
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let y = &x[0] * &p[0];
        let u = &y + 1.0;
        vec![(&u * 3.0).sum() + y.sin().sum(), y, u]
    };
    both("changed", &params, inner, |f, p| {
        let x = draw(2, &[3]).requires_grad();
        let y = f(std::slice::from_ref(&x));
        y[2].register_hook(|g| Some(g * 5.0));
        let before = y[2].clone();
        y[2].mul_(2.0);
        assert!(before.is_same(&y[2]));
        // What it is now is not what the loss was computed from.
        let of_u = grad_with(
            &[&y[0]],
            &[&y[2]],
            GradOptions { allow_unused: true, retain_graph: true, ..GradOptions::default() },
        );
        assert!(of_u.unwrap()[0].is_none());
        (&y[0] + y[2].square().sum()).backward();
        grads(&[x, p[0].clone()])
    });
    // One that a derivative needs is noticed, in the passes that need it only.
    for traced in [false, true] {
        let w = copy(&params[0]).requires_grad();
        let f = trace(|x: &Tensor| {
            let v = inner(std::slice::from_ref(x), std::slice::from_ref(&w));
            (v[0].clone(), v[1].clone(), v[2].clone())
        });
        let x = draw(2, &[3]).requires_grad();
        let plain = || inner(std::slice::from_ref(&x), std::slice::from_ref(&w));
        let (z, y, u) = match traced {
            true => f.call(&x).unwrap(),
            false => plain().try_into().map(|[a, b, c]: [Tensor; 3]| (a, b, c)).unwrap(),
        };
        no_grad(|| y.add_(1.0));
        let keep = GradOptions { retain_graph: true, ..GradOptions::default() };
        assert_eq!(numbers(&grad_with(&[&z], &[&u], keep).unwrap().remove(0).unwrap()), [3.0; 3]);
        let text = z.try_backward().unwrap_err().to_string();
        assert!(text.contains("changed in place since"), "{text}");
    }
}

#[test]
fn results_of_loops() {
    let params = [draw(1, &[3, 3]).requires_grad()];
    both(
        "loops",
        &params,
        |x, p| {
            let start = &x[0] * 2.0;
            let (h, ys) = scan(start.clone(), x[1].clone(), |c, x| {
                let y = (c + &x).matmul(&p[0]).tanh();
                (y.clone(), y)
            });
            vec![(&h * &ys).sum(), start, h, ys]
        },
        |f, p| {
            let x = [draw(2, &[2, 3]).requires_grad(), draw(3, &[4, 2, 3]).requires_grad()];
            let y = f(&x);
            y[1].register_hook(|g| Some(g * 0.5));
            y[3].register_hook(|g| Some(g * 1.5));
            y[2].retain_grad();
            let first =
                grad_with(&[&y[0]], &[&y[1], &y[3]], GradOptions { retain_graph: true, ..GradOptions::default() });
            y[0].backward();
            let all = grads(&[y[2].clone(), x[0].clone(), x[1].clone(), p[0].clone()]);
            first.unwrap().into_iter().map(Option::unwrap).chain(all).collect()
        },
    );
}

#[test]
fn each_stage_frees_what_it_saved() {
    let params = [draw(1, &[3]).requires_grad()];
    let inner = |x: &Tensor, w: &Tensor| {
        let y = (x * w).tanh();
        let z = y.exp().sum();
        let other = (&y + 1.0).sum();
        (z, other, y)
    };
    for traced in [false, true] {
        let w = copy(&params[0]).requires_grad();
        let f = trace(|x: &Tensor| inner(x, &w));
        let x = draw(2, &[3]).requires_grad();
        let call = || if traced { f.call(&x).unwrap() } else { inner(&x, &w) };
        // Only the newest stage is passed; the older one is there for another pass.
        let (z, other, y) = call();
        assert!(grad(&[&z], &[&y], false).unwrap()[0].is_some());
        let text = z.try_backward().unwrap_err().to_string();
        assert!(text.contains("a second time"), "{text}");
        other.backward();
        let once = numbers(&x.grad().unwrap());
        let text = y.sum().try_backward().unwrap_err().to_string();
        assert!(text.contains("a second time"), "{text}");
        x.set_grad(None);
        call().1.backward();
        assert_eq!(numbers(&x.grad().unwrap()), once);
    }
}

#[test]
fn only_what_is_asked_for_is_passed_and_freed() {
    let inner = |x: &Tensor, w: &Tensor| x.exp().sum() + w.exp().sum();
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| inner(x, &w));
    for traced in [false, true] {
        let x = draw(2, &[3]).requires_grad();
        let z = if traced { f.call(&x).unwrap() } else { inner(&x, &w) };
        let of_x = grad(&[&z], &[&x], false).unwrap().remove(0).unwrap();
        let of_w = grad(&[&z], &[&w], false).unwrap().remove(0).unwrap();
        assert_same("x", &of_x, &x.exp().detach());
        assert_same("w", &of_w, &w.exp().detach());
        assert!(z.try_backward().is_err());
    }
}

#[test]
fn many_results_with_and_without_hooks() {
    let params = [draw(1, &[3, 3]).requires_grad()];
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let mut all = vec![x[0].clone() * 1.0];
        for _ in 0..40 {
            let last = all.last().unwrap();
            all.push(last.matmul(&p[0]).tanh() + last);
        }
        all.push(all.iter().skip(1).fold(all[0].sum(), |sum, h| sum + h.square().mean()));
        all
    };
    for hooked in [0usize, 1, 7] {
        both(&format!("many, {hooked}"), &params, inner, |f, p| {
            let x = draw(2, &[2, 3]).requires_grad();
            let mut out = Vec::new();
            for _ in 0..2 {
                let y = f(std::slice::from_ref(&x));
                let seen = Arc::new(Mutex::new(Vec::new()));
                for h in y.iter().take(41).filter(|_| hooked > 0).step_by(hooked.max(1)) {
                    let seen = Arc::clone(&seen);
                    h.register_hook(move |g| {
                        seen.lock().unwrap().push(g.detach());
                        Some(g * 0.75)
                    });
                }
                (&y[41] + (&y[20] * &y[3]).sum()).backward();
                out.extend(seen.lock().unwrap().drain(..));
            }
            out.extend(grads(&[x, p[0].clone()]));
            out
        });
    }
}

#[test]
fn inside_other_programs() {
    let w = draw(1, &[3, 3]).requires_grad();
    let run = |traced: bool| -> Vec<Tensor> {
        let w = copy(&w).requires_grad();
        let inner = |x: &Tensor| {
            let y = x.matmul(&w).tanh();
            ((&y * &y + &y).sum(), y)
        };
        let f = trace(inner);
        let call = |x: &Tensor| if traced { f.call(x).unwrap() } else { inner(x) };
        let x = draw(2, &[3, 3]).requires_grad();
        let (a, b) = call(&(&x * 2.0));
        let (c, d) = call(&b);
        b.retain_grad();
        d.register_hook(|g| Some(g * 3.0));
        // A traced step that asks for gradients of a call before it.
        let step = |s: &Tensor| {
            let loss = &a * s + &c * &a;
            let how = GradOptions { retain_graph: true, ..GradOptions::default() };
            let found = grad_with(&[&loss], &[&b, &d, &x], how).unwrap();
            found.into_iter().map(Option::unwrap).collect::<Vec<_>>()
        };
        let s = Tensor::scalar(0.7f32);
        let mut out = if traced { trace(step).call(&s).unwrap() } else { step(&s) };
        (a * &c).backward();
        out.extend(grads(&[b, x, w.clone()]));
        out
    };
    run(false).iter().zip(&run(true)).enumerate().for_each(|(i, (a, b))| assert_same(&format!("{i}"), a, b));
}

#[test]
fn other_sizes_run_the_same_code() {
    let params = [draw(1, &[3]).requires_grad()];
    both(
        "sizes",
        &params,
        |x, p| {
            let y = &x[0] * &p[0];
            vec![(&y * &y).mean() + y.sum(), y]
        },
        |f, p| {
            let mut out = Vec::new();
            for n in [2usize, 5, 1] {
                let x = draw(n as u64, &[n, 3]).requires_grad();
                let y = f(std::slice::from_ref(&x));
                y[1].register_hook(|g| Some(g * 2.0));
                (&y[0] + y[1].exp().sum()).backward();
                out.extend(grads(&[x, p[0].clone()]));
            }
            out
        },
    );
}

/// The history of results of `trace_dynamic` ends with the call, so nobody knows that of two results one depends on the other:
/// an error, not a gradient of something else.
#[test]
fn results_of_trace_dynamic_say_that_their_history_ended() {
    let f = trace_dynamic(loss_and_value);
    let x = one_to_three();
    let (z, y) = f.call(&x).unwrap();
    let how = GradOptions { allow_unused: true, retain_graph: true, ..GradOptions::default() };
    let ended = |found: Result<(), allotrope::Error>| {
        let text = found.unwrap_err().to_string();
        assert!(text.contains("history ended with the call"), "{text}");
    };
    let asked = |of: &Tensor, for_: &[&Tensor]| {
        grad_with(&[of], for_, how).map(|found| found.into_iter().map(Option::unwrap).collect::<Vec<_>>())
    };
    y.retain_grad();
    y.register_hook(|g| Some(g * 2.0));
    z.register_hook(|_| panic!("not on the way"));
    ended(asked(&y.sum(), &[&z]).map(drop));
    ended(asked(&(&x + &y).sum(), &[&x]).map(drop));
    ended(y.sum().try_backward());
    assert!(y.grad().is_none() && x.grad().is_none());
    // Up to a result, there is a history.
    let w = draw(1, &[3]).requires_grad();
    let v = &w * 1.0;
    let found = asked(&(&y * &w * &v).sum(), &[&y, &v]).unwrap();
    assert_same("y", &found[0], &(&w.detach() * &w.detach() * 2.0));
    assert_same("v", &found[1], &(&y.detach() * &w.detach()));
    // Another result of the call, and another call's.
    let (z, y) = f.call(&x).unwrap();
    ended(asked(&z, &[&y]).map(drop));
    y.retain_grad();
    ended(z.try_backward());
    assert!(y.grad().is_none());
    ended(z.try_backward_with(Backward { inputs: &[&y], ..Backward::default() }));
    assert!(y.grad().is_none());
}
