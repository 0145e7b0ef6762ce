//! What histories results have, what a call saves for them and when it frees that, and how calls combine with other nodes of the tape.

use crate::both::{both, both_with, grads};
use crate::common::{assert_same, copy, draw, numbers, panic_text};
use allotrope::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn an_argument_may_have_a_history() {
    let params = [draw(1, &[4, 4]).requires_grad()];
    both(
        "history",
        &params,
        |x, p| vec![x[0].matmul(&p[0]).tanh()],
        |f, p| {
            let x = draw(2, &[3, 4]).requires_grad();
            let middle = (&x * 2.0).matmul(&p[0]);
            middle.retain_grad();
            let y = f(std::slice::from_ref(&middle)).remove(0);
            let z = f(&[&y + &middle]).remove(0);
            z.square().sum().backward();
            vec![x.grad().unwrap(), p[0].grad().unwrap(), middle.grad().unwrap()]
        },
    );
}

#[test]
fn calls_feed_one_another_and_each_has_its_own_values() {
    let params = [draw(1, &[4, 4]).requires_grad()];
    let run = |traced: bool| {
        let w = copy(&params[0]).requires_grad();
        let f = trace(|x: &Tensor| x.matmul(&w).tanh());
        let g = trace(|x: &Tensor, y: &Tensor| (x * y).sin());
        let f_of = |x: &Tensor| if traced { f.call(x).unwrap() } else { x.matmul(&w).tanh() };
        let g_of = |x: &Tensor, y: &Tensor| if traced { g.call((x, y)).unwrap() } else { (x * y).sin() };
        let x = draw(2, &[3, 4]).requires_grad();
        let (a, b) = (f_of(&x), f_of(&(&x * 3.0)));
        let y = g_of(&f_of(&a), &g_of(&b, &x));
        y.sum().backward();
        [x.grad().unwrap(), w.grad().unwrap(), y.detach()]
    };
    run(false).iter().zip(&run(true)).for_each(|(a, b)| assert_same("chain", a, b));
}

#[test]
fn results_that_are_no_new_values() {
    let params = [draw(1, &[3]).requires_grad()];
    both_with(
        "the same",
        &params,
        |x, p| {
            let y = &x[0] * &p[0];
            let leaf = x[0].detach().requires_grad();
            let copied = Tensor::zeros(&[3], DType::F32);
            copied.copy_(&x[0]);
            vec![y.clone(), y.clone(), x[0].clone(), p[0].clone(), y.detach(), &leaf * &y, leaf, copied]
        },
        |f, p| {
            let x = (draw(2, &[3]).requires_grad()) * 1.5;
            x.retain_grad();
            let y = f(std::slice::from_ref(&x));
            assert!(y[0].is_same(&y[1]) && y[2].is_same(&x) && y[3].is_same(&p[0]));
            let loss = (&y[0] * &x + &y[1] * 3.0 + &y[0] * &y[3] * &y[2] + &y[4] * &x + &y[5] + &y[6] * &y[7]).sum();
            (&loss + y[7].exp().sum() + (&y[7] * &x).sum()).backward();
            vec![x.grad().unwrap(), p[0].grad().unwrap(), y[6].grad().unwrap(), y[6].detach(), y[7].detach()]
        },
    );
}

#[test]
fn a_graph_serves_one_backward_pass_unless_it_is_retained() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| (x * &w).tanh());
    let x = draw(2, &[3]).requires_grad();
    let y = f.call(&x).unwrap().sum();
    y.backward_with(Backward { retain_graph: true, ..Backward::default() });
    let once = numbers(&x.grad().unwrap());
    y.backward();
    assert_eq!(numbers(&x.grad().unwrap()), once.iter().map(|g| g * 2.0).collect::<Vec<_>>());
    let text = y.try_backward().unwrap_err().to_string();
    assert!(text.contains("a second time") && text.contains("TraceBackward"), "{text}");
    assert_eq!(numbers(&x.grad().unwrap()), once.iter().map(|g| g * 2.0).collect::<Vec<_>>());
    // The next call has its own.
    f.call(&x).unwrap().sum().backward();
    assert_eq!(f.compilations(), 1);
    assert_eq!(f.call(&x).unwrap().grad_fn_name().unwrap(), "TraceBackward");
}

#[test]
fn a_changed_value_is_noticed() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| (x * &w).tanh());
    let x = draw(2, &[3]).requires_grad();
    let fails = |change: &dyn Fn(&Tensor, &Tensor)| {
        let y = f.call(&x).unwrap();
        let sum = y.sum();
        change(&x, &y);
        let text = sum.try_backward().unwrap_err().to_string();
        assert!(text.contains("changed in place since"), "{text}");
    };
    fails(&|x, _| {
        no_grad(|| x.add_(1.0));
    });
    fails(&|_, _| {
        no_grad(|| w.mul_(0.5));
    });
    // The result of tanh is what its derivative needs.
    fails(&|_, y| {
        y.mul_(2.0);
    });
    assert!(w.grad().is_none() && x.grad().is_none());
    f.call(&x).unwrap().sum().backward();
    assert!(w.grad().is_some());
}

#[test]
fn results_can_be_changed_in_place() {
    let params = [draw(1, &[2, 3]).requires_grad()];
    both(
        "in place",
        &params,
        |x, p| vec![&x[0] + &p[0], &x[0] * &p[0]],
        |f, p| {
            let x = draw(2, &[2, 3]).requires_grad();
            let y = f(std::slice::from_ref(&x));
            y[1].select(0, 1).mul_(3.0);
            y[0].mul_(&y[1]);
            (&y[0] * &y[1]).sum().backward();
            vec![x.grad().unwrap(), p[0].grad().unwrap()]
        },
    );
}

#[test]
fn hooks_outside_see_what_they_see_eagerly() {
    let params = [draw(1, &[3]).requires_grad()];
    both(
        "hooks",
        &params,
        |x, p| vec![(&x[0] * &p[0]).exp() * &p[0]],
        |f, p| {
            let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
            let note = |name: &'static str| {
                let seen = Arc::clone(&seen);
                move |g: &Tensor| {
                    seen.lock().unwrap().push((name, g.detach()));
                    Some(g * 2.0)
                }
            };
            let x = draw(2, &[3]).requires_grad();
            x.register_hook(note("x"));
            p[0].register_hook(note("w"));
            let middle = &x * 2.0;
            middle.register_hook(note("middle"));
            let y = f(std::slice::from_ref(&middle)).remove(0);
            y.register_hook(note("y"));
            let z = f(std::slice::from_ref(&x)).remove(0);
            (&y * &p[0] + &z).sum().backward();
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            assert_eq!(seen.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["y", "middle", "w", "x"]);
            seen.into_iter().map(|(_, g)| g).chain(grads(&[x, p[0].clone()])).collect()
        },
    );
}

#[test]
fn hooks_inside_are_part_of_the_function() {
    let params = [draw(1, &[3]).requires_grad()];
    both(
        "hooks inside",
        &params,
        |x, p| {
            let y = &x[0] * &p[0];
            y.register_hook(|g| Some(g * 3.0));
            vec![y.sin()]
        },
        |f, p| {
            let x = draw(2, &[3]).requires_grad();
            f(std::slice::from_ref(&x)).remove(0).sum().backward();
            vec![x.grad().unwrap(), p[0].grad().unwrap()]
        },
    );
}

#[test]
fn second_derivatives() {
    let params = [draw(1, &[3, 3]).requires_grad(), draw(2, &[3]).requires_grad()];
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let h = x[0].matmul(&p[0]).tanh();
        vec![(&h * &p[1]).sigmoid().matmul(&p[0]), h.softmax(-1) + &x[0] * &x[0]]
    };
    both("second", &params, inner, |f, p| {
        let x = (draw(3, &[2, 3])).requires_grad();
        let y = f(&[&x * 1.5]);
        let loss = (&y[0] * &y[1]).sum() + (&y[0] * &x).square().sum();
        let wanted = [&x, &p[0], &p[1]];
        let first = grad(&[&loss], &wanted, true).unwrap();
        let first: Vec<Tensor> = first.into_iter().map(Option::unwrap).collect();
        let penalty = first.iter().fold(loss, |sum, g| sum + g.square().sum());
        let second = grad(&[&penalty], &wanted, true).unwrap();
        let second: Vec<Tensor> = second.into_iter().map(Option::unwrap).collect();
        let all = second.iter().fold(Tensor::scalar(0.0f32), |sum, g| sum + g.exp().mean());
        let third = grad(&[&all], &wanted, false).unwrap();
        first.into_iter().chain(second).chain(third.into_iter().map(Option::unwrap)).collect()
    });
}

#[test]
fn gradients_of_gradients_given() {
    // The vjp is linear in the gradient that is given: differentiating by that gives the jvp.
    let params = [draw(1, &[4]).requires_grad()];
    both(
        "jvp",
        &params,
        |x, p| vec![(&x[0] * &p[0]).sin()],
        |f, p| {
            let x = draw(2, &[4]).requires_grad();
            let y = f(std::slice::from_ref(&x)).remove(0);
            let v = draw(3, &[4]).requires_grad();
            let how = GradOptions { grad_outputs: &[Some(&v)], create_graph: true, ..GradOptions::default() };
            let g = grad_with(&[&y], &[&x], how).unwrap().remove(0).unwrap();
            let t = draw(4, &[4]);
            let how = GradOptions { grad_outputs: &[Some(&t)], retain_graph: true, ..GradOptions::default() };
            let jvp = grad_with(&[&g], &[&v], how).unwrap().remove(0).unwrap();
            let again = grad_with(&[&g], &[&x, &p[0]], GradOptions { grad_outputs: &[Some(&t)], ..how }).unwrap();
            vec![g, jvp, again[0].clone().unwrap(), again[1].clone().unwrap()]
        },
    );
}

#[test]
fn a_closure_that_went_back_itself_has_no_way_back() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| {
        let loss = (x * &w).tanh().sum();
        loss.backward();
        loss
    });
    let loss = f.call(&draw(2, &[3])).unwrap();
    assert!(loss.is_requires_grad());
    let text = loss.try_backward().unwrap_err().to_string();
    assert!(text.contains("a second time"), "{text}");
}

#[test]
fn a_backward_pass_inside_does_not_enter_a_history_outside() {
    let f = trace(|x: &Tensor| x.square().sum().backward());
    let x = draw(1, &[3]).requires_grad();
    f.call(&x).unwrap();
    assert!(x.grad().is_some());
    let leaf = trace(|x: &Tensor| if x.is_leaf() { x * 1.0 } else { x * 2.0 });
    assert_same("a leaf", &leaf.call(&x).unwrap(), &x);
    assert_same("no leaf", &leaf.call(&(&x * 1.0)).unwrap(), &(&x * 2.0));
    assert_eq!(leaf.compilations(), 2);
    let text = f.call(&(&x * 2.0)).unwrap_err().to_string();
    assert!(text.contains("argument 0") && text.contains("detach()"), "{text}");
    // A gradient as a value needs no history behind the argument.
    let params = [draw(1, &[3]).requires_grad()];
    both(
        "grad inside",
        &params,
        |x, p| {
            let y = (&x[0] * &p[0]).sin().sum();
            vec![grad(&[&y], &[&x[0]], true).unwrap().remove(0).unwrap()]
        },
        |f, p| {
            let x = draw(2, &[3]).requires_grad();
            f(&[&x * 2.0]).remove(0).exp().sum().backward();
            vec![x.grad().unwrap(), p[0].grad().unwrap()]
        },
    );
}

#[test]
fn hooks_of_an_argument_are_not_passed_over() {
    let inside = trace(|x: &Tensor| x.square().sum().backward());
    let outside = trace(|x: &Tensor| x.square());
    let x = draw(1, &[3]).requires_grad();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    x.register_hook(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        None
    });
    let text = inside.call(&x).unwrap_err().to_string();
    assert!(text.contains("argument 0 has hooks on its gradient"), "{text}");
    outside.call(&x).unwrap().sum().backward();
    assert_eq!((calls.load(Ordering::Relaxed), x.grad().is_some()), (1, true));
}

#[test]
fn without_gradients_nothing_is_kept() {
    let w = draw(1, &[3]).requires_grad();
    let f = trace(|x: &Tensor| (x * &w).tanh().exp());
    let x = draw(2, &[3]);
    let y = no_grad(|| f.call(&x).unwrap());
    assert!(!y.is_requires_grad());
    assert_eq!(f.explain()[0].captured().outputs().len(), 1);
    assert!(f.call(&x).unwrap().is_requires_grad());
    // tanh(x w) and exp(..), which is the result itself.
    assert_eq!(f.explain()[0].captured().outputs().len(), 2);
    assert_eq!(f.compilations(), 2);
}

#[test]
fn inside_checkpoints_functions_loops_and_other_traces() {
    let w = draw(1, &[3, 3]).requires_grad();
    let run = |traced: bool| -> Vec<Tensor> {
        let w = copy(&w).requires_grad();
        let own = w.clone();
        let f = Arc::new(trace(move |x: &Tensor| x.matmul(&own).tanh()));
        let plain = w.clone();
        let call = move |x: &Tensor| if traced { f.call(x).unwrap() } else { x.matmul(&plain).tanh() };
        let x = draw(2, &[3, 3]).requires_grad();
        let inner = call.clone();
        let y = checkpoint(move |x| inner(&x[0]).square(), &[&x]);
        let (carry, ys) = scan(y, draw(3, &[4, 3, 3]), |c, x| {
            let y = call(&(&c + &x));
            (y.clone(), y)
        });
        let outer = trace(|a: &Tensor| call(a) * &w);
        let z = if traced { outer.call(&carry).unwrap() } else { call(&carry) * &w };
        (z.sum() + ys.square().sum()).backward();
        vec![x.grad().unwrap(), w.grad().unwrap(), z.detach()]
    };
    run(false).iter().zip(&run(true)).enumerate().for_each(|(i, (a, b))| assert_same(&format!("nested {i}"), a, b));
}

#[test]
fn a_result_is_differentiated_inside_another_trace() {
    let run = |traced: bool| -> Vec<Tensor> {
        let w = draw(1, &[3, 3]).requires_grad();
        let f = trace(|x: &Tensor| {
            let (h, ys) = scan(x.clone(), draw_xs(), |c, x| {
                let y = (c + &x).matmul(&w).tanh();
                (y.clone(), y)
            });
            h + ys.sum_dim(&[0], false)
        });
        let inner = |x: &Tensor| {
            let (h, ys) = scan(x.clone(), draw_xs(), |c, x| {
                let y = (c + &x).matmul(&w).tanh();
                (y.clone(), y)
            });
            h + ys.sum_dim(&[0], false)
        };
        let x = draw(2, &[3, 3]).requires_grad();
        let y = if traced { f.call(&x).unwrap() } else { inner(&x) };
        let step = |s: &Tensor| {
            let loss = (&y * s).sum();
            let g =
                grad_with(&[&loss], &[&x, &w], GradOptions { retain_graph: true, ..GradOptions::default() }).unwrap();
            g.into_iter().map(Option::unwrap).collect::<Vec<_>>()
        };
        let s = draw(4, &[3, 3]);
        if traced { trace(step).call(&s).unwrap() } else { step(&s) }
    };
    run(false).iter().zip(&run(true)).for_each(|(a, b)| assert_same("inside another trace", a, b));
}

fn draw_xs() -> Tensor {
    Tensor::ones(&[4, 3, 3], DType::F32) * 0.25
}

#[test]
fn a_changed_history_of_a_tensor_from_outside_is_seen() {
    let run = |traced: bool| {
        let w = draw(1, &[3]).requires_grad();
        let v = draw(2, &[3]).requires_grad();
        let outside = &w * 2.0;
        let view = w.narrow(0, 0, 3);
        let inner = |x: &Tensor| (x * &outside).tanh() + &view;
        let f = trace(inner);
        let call = |x: &Tensor| if traced { f.call(x).unwrap() } else { inner(x) };
        let x = draw(3, &[3]);
        let mut out = vec![];
        call(&x).sum().backward_with(Backward { retain_graph: true, ..Backward::default() });
        out.extend(grads(std::slice::from_ref(&w)));
        outside.mul_(&v);
        call(&x).sum().backward();
        out.extend(grads(&[w.clone(), v.clone()]));
        out
    };
    run(false).iter().zip(&run(true)).for_each(|(a, b)| assert_same("history", a, b));
}

#[test]
fn what_cannot_be_is_said() {
    let x = draw(1, &[3]).requires_grad();
    // A part of what the caller has, overwritten: it is the whole that would have another history.
    let f = trace(|x: &Tensor| {
        x.zero_();
    });
    let text = f.call(&(&x * 2.0).narrow(0, 0, 2)).unwrap_err().to_string();
    assert!(text.contains("no_grad") || text.contains("detach"), "{text}");
    // A hook on the argument that would see a part of the gradient.
    let f = trace(|x: &Tensor| {
        x.register_hook(|g| Some(g * 2.0));
        x * 3.0
    });
    let y = f.call(&x).unwrap();
    let text = y.sum().try_backward().unwrap_err().to_string();
    assert!(text.contains("hook on its argument 0"), "{text}");
    // A loop has no second derivative.
    let f = trace(|x: &Tensor| {
        scan(x.clone(), draw_row(), |c, x| {
            let c = (c * x).sin();
            (c.clone(), c)
        })
        .0
    });
    let y = f.call(&x).unwrap();
    let text = grad(&[&y.sum()], &[&x], true).unwrap_err().to_string();
    assert!(text.contains("second derivatives through scan"), "{text}");
    assert!(panic_text(|| y.backward()).contains("one element"));
}

fn draw_row() -> Tensor {
    Tensor::ones(&[4, 3], DType::F32)
}

/// Doubles, and saves a token for the backward pass.
struct Token(Arc<()>);

impl Function for Token {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.put(Arc::clone(&self.0));
        ctx.save_for_backward(&[inputs[0]]);
        vec![inputs[0] * 2.0]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let _: &Arc<()> = ctx.get();
        vec![Some(&grads[0] * &ctx.saved_tensors()[0])]
    }
}

#[test]
fn nothing_stays_when_all_is_dropped() {
    let token = Arc::new(());
    let w = draw(1, &[3]).requires_grad();
    let x = draw(2, &[3]).requires_grad();
    {
        let f = trace(|x: &Tensor| (Token(Arc::clone(&token)).apply1(&[&(x * &w)]), (x * &w).exp()));
        let (a, b) = f.call(&(&x * 1.0)).unwrap();
        assert!(Arc::strong_count(&token) > 1);
        // The derivative that the user wrote is the one that is differentiated a second time: a * a of a = x w, not 2.
        let loss = a.sum() + b.square().sum();
        let g = grad(&[&loss], &[&x], true).unwrap().remove(0).unwrap();
        let second = grad(&[&g.sum()], &[&x], false).unwrap().remove(0).unwrap();
        let plain = |x: &Tensor| (Token(Arc::clone(&token)).apply1(&[&(x * &w)]), (x * &w).exp());
        let (a, b) = plain(&(&x * 1.0));
        let loss = a.sum() + b.square().sum();
        let eager = grad(&[&loss], &[&x], true).unwrap().remove(0).unwrap();
        assert_same("first", &g, &eager);
        assert_same("second", &second, &grad(&[&eager.sum()], &[&x], false).unwrap().remove(0).unwrap());
    }
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn results_that_share_no_operation_allow_one_backward_pass_each() {
    let w = draw(1, &[3]).requires_grad();
    let inner = |x: &Tensor| {
        let shared = (x * &w).exp();
        (x.square().sum(), shared.sin().sum(), shared.cos().sum())
    };
    let f = trace(inner);
    for traced in [false, true] {
        let x = draw(2, &[3]).requires_grad();
        let (a, b, c) = if traced { f.call(&x).unwrap() } else { inner(&x) };
        a.backward();
        b.backward();
        for freed in [a, b, c] {
            let text = freed.try_backward().unwrap_err().to_string();
            assert!(text.contains("a second time"), "{text}");
        }
    }
}

#[test]
fn threads_call_and_go_back_at_the_same_time() {
    let w = draw(1, &[8, 8]);
    let f = trace(|x: &Tensor| (x.matmul(&w).tanh(), x.sum()));
    let wanted = |x: &Tensor| grad(&[&(x.matmul(&w).tanh() * 3.0).sum()], &[x], false).unwrap().remove(0).unwrap();
    std::thread::scope(|s| {
        for i in 0..4u64 {
            let (f, wanted) = (&f, &wanted);
            s.spawn(move || {
                for k in 0..20 {
                    let x = draw(10 * i + k, &[1 + (k as usize) % 5, 8]).requires_grad();
                    let (y, total) = f.call(&x).unwrap();
                    // The other result brings what adds nothing, or nothing at all.
                    let sum = (y * 3.0).sum();
                    if k % 3 == 0 {
                        (sum + total * 0.0).backward()
                    } else {
                        sum.backward()
                    }
                    assert_same("a thread", &x.grad().unwrap(), &wanted(&x));
                }
            });
        }
    });
    assert_eq!(f.compilations(), 1);
}
