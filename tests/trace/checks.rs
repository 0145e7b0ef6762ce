//! A check of elements is an effect: a call fails where the closure fails, whether or not anything uses what was checked, and
//! then has changed nothing. Only where the body of a loop or a branch runs is it asked.

use crate::common::{assert_same, copy, draw, panic_text, seeded};
use crate::traps::says;
use allotrope::functional as f;
use allotrope::prelude::*;

/// A program that uses values which a check may refuse, and does nothing with what comes out.
struct Case {
    says: &'static str,
    good: Tensor,
    bad: Tensor,
    run: fn(&Tensor, &Tensor),
}

fn places(items: &[i64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(items.to_vec(), shape)
}

fn numbers(items: &[f32]) -> Tensor {
    Tensor::from_vec(items.to_vec(), &[items.len()])
}

/// `x` is f32[2, 3].
fn cases() -> Vec<Case> {
    let row = |items| places(items, &[1, 3]);
    let case = |says, good, bad, run| Case { says, good, bad, run };
    let (in_two, beyond_two) = (places(&[0, 1], &[2]), places(&[0, 2], &[2]));
    let (in_three, beyond_three) = (places(&[0, 2], &[2]), places(&[3, 0], &[2]));
    vec![
        case("gather", row(&[0, 1, 1]), row(&[0, 7, 1]), |x, i| _ = x.gather(0, i)),
        case("index_select", in_two.clone(), beyond_two.clone(), |x, i| _ = x.index_select(0, i)),
        case("take", in_three.clone(), places(&[-7, 0], &[2]), |x, i| _ = x.take(i)),
        case("index", in_two.clone(), beyond_two.clone(), |x, i| _ = x.index(i)),
        case("scatter", row(&[0, 1, 1]), row(&[0, 1, 2]), |x, i| _ = x.scatter(0, i, &x.narrow(0, 0, 1))),
        case("embedding", in_two.clone(), beyond_two.clone(), |x, i| _ = f::embedding(i, x, None)),
        case("one_hot", in_three.clone(), beyond_three.clone(), |_, i| _ = f::one_hot(i, Some(3))),
        case("cross_entropy", in_three.clone(), beyond_three.clone(), |x, i| {
            _ = f::cross_entropy(x, i, CrossEntropyOptions::default());
        }),
        case("nll_loss", in_three.clone(), beyond_three.clone(), |x, i| {
            _ = f::nll_loss(x, i, f::NllLossOptions::default());
        }),
        case("multi_margin_loss", in_three.clone(), beyond_three.clone(), |x, i| {
            _ = f::multi_margin_loss(x, i, 1, 1.0, None, Reduction::Mean);
        }),
        case("binary_cross_entropy", numbers(&[0.5, 0.0, 1.0]), numbers(&[0.5, 0.0, 1.5]), |x, p| {
            _ = f::binary_cross_entropy(p, &x.index(0), None, Reduction::Mean);
        }),
        case("gaussian_nll_loss", numbers(&[0.5, 0.0, 1.0]), numbers(&[0.5, 0.0, -1.5]), |x, v| {
            _ = f::gaussian_nll_loss(&x.index(0), &x.index(1), v, true, 1e-6, Reduction::Mean);
        }),
        case("bernoulli", numbers(&[0.0, 1.0]), numbers(&[0.0, 1.5]), |_, p| _ = bernoulli(p)),
        case("normal", numbers(&[0.0, 1.0]), numbers(&[0.0, -1.0]), |_, s| _ = normal(0.0, s)),
        case("division of integers by zero", places(&[1, 2], &[2]), places(&[1, 0], &[2]), |_, d| {
            _ = Tensor::full(&[2], 7i64).floor_divide(d);
        }),
        case("division of integers by zero", places(&[1, 2], &[2]), places(&[1, 0], &[2]), |_, d| {
            _ = Tensor::full(&[2], 7i64).remainder(d);
        }),
    ]
}

/// One form, and its call.
type Form<'a, R> = (&'static str, Box<dyn Fn(&Tensor, &Tensor) -> Result<R, Error> + 'a>);

/// The one call in both forms.
fn calls<'a, R>(f: impl Fn(&Tensor, &Tensor) -> R + Copy + 'a) -> [Form<'a, R>; 2]
where
    R: allotrope::ops::TensorTree + 'a,
{
    let traced = trace(move |x: &Tensor, v: &Tensor| f(x, v));
    let dynamic = trace_dynamic(move |x: &Tensor, v: &Tensor| f(x, v));
    [
        ("trace", Box::new(move |x: &Tensor, v: &Tensor| traced.call((x, v)))),
        ("trace_dynamic", Box::new(move |x: &Tensor, v: &Tensor| dynamic.call((x, v)))),
    ]
}

/// That both forms fail with these words where `bad` is given, like the closure, and leave `p` as it was; and with `good`
/// do what the closure does.
#[track_caller]
fn fails_alike(
    says_what: &str,
    p: &Tensor,
    good: &Tensor,
    bad: &Tensor,
    f: impl Fn(&Tensor, &Tensor) -> Tensor + Copy,
) {
    let x = draw(3, &[2, 3]);
    says(&panic_text(|| _ = f(&x, bad)), &[says_what]);
    for (form, call) in calls(f) {
        for _ in 0..2 {
            let before = copy(p);
            let error = call(&x, bad).expect_err(&format!("{says_what} by {form}"));
            says(&error.to_string(), &[says_what]);
            assert_same(&format!("{says_what} by {form}: a failed call"), p, &before);
            let traced = call(&x, good).unwrap();
            let after = copy(p);
            allotrope::autograd::no_grad(|| p.copy_(&before));
            assert_same(&format!("{says_what} by {form}: the result"), &traced, &f(&x, good));
            assert_same(&format!("{says_what} by {form}: the state"), &after, p);
        }
    }
}

#[test]
fn a_check_is_asked_where_nothing_uses_what_it_checks() {
    let _drawing = seeded(1);
    for Case { says, good, bad, run } in &cases() {
        let p = draw(2, &[3]);
        fails_alike(says, &p, good, bad, |x, v| {
            run(x, v);
            p.add_(1.0);
            x * 2.0
        });
    }
}

#[test]
fn a_call_that_returns_nothing_is_checked() {
    let good = places(&[0], &[1]);
    let bad = places(&[9], &[1]);
    for (form, call) in calls(|x: &Tensor, i: &Tensor| drop(x.take(i))) {
        let x = draw(1, &[3]);
        call(&x, &good).unwrap();
        says(&call(&x, &bad).expect_err(form).to_string(), &["take: an index lies outside its axis"]);
    }
}

#[test]
fn in_a_loop_it_is_asked_where_the_body_runs() {
    let p = draw(2, &[3]);
    let (good, bad) = (places(&[0, 1, 2], &[3]), places(&[0, 1, 3], &[3]));
    let none = places(&[], &[0]);
    let scanned = |x: &Tensor, i: &Tensor| {
        let (_, _) = scan((), i.clone(), |(), i: Tensor| {
            let _ = x.index(0).take(&i);
            ((), Vec::<Tensor>::new())
        });
        p.add_(1.0);
        x * 2.0
    };
    fails_alike("take: an index", &p, &good, &bad, scanned);
    // What it checks is the same in each iteration.
    let invariant = |x: &Tensor, i: &Tensor| {
        let (sum, _) = scan(x.index(0).sum(), i.clone(), |sum: Tensor, _: Tensor| {
            let _ = x.index(0).take(&i.sum());
            (sum * 2.0, Vec::<Tensor>::new())
        });
        p.add_(1.0);
        sum
    };
    fails_alike("take: an index", &p, &places(&[2, 0], &[2]), &bad, invariant);
    // While a condition holds.
    let looped = |x: &Tensor, i: &Tensor| {
        let (n, _) = while_loop(
            |(n, _): (Tensor, Tensor)| n.lt(&i.sum()),
            |(n, k)| {
                let _ = x.index(0).take(&n);
                (n + 1, k)
            },
            (Tensor::scalar(0i64), x.sum()),
        );
        p.add_(1.0);
        n
    };
    fails_alike("take: an index", &p, &good, &bad, looped);
    fails_alike("take: an index", &p, &none, &bad, looped);
}

#[test]
fn in_a_branch_it_is_asked_where_that_is_taken() {
    let p = draw(2, &[3]);
    let (good, bad) = (places(&[2], &[1]), places(&[3], &[1]));
    let branch = |first: bool| {
        let p = &p;
        move |x: &Tensor, i: &Tensor| {
            let take = |x: &Tensor| {
                let _ = x.index(0).take(i);
                x * 2.0
            };
            let leave = |x: &Tensor| x + 1.0;
            let flag = Tensor::scalar(0i64).lt(&i.sum());
            let y = match first {
                true => cond(&flag, |x: Tensor| take(&x), |x| leave(&x), x.clone()),
                false => cond(&flag.logical_not(), |x: Tensor| leave(&x), |x| take(&x), x.clone()),
            };
            p.add_(1.0);
            y
        }
    };
    fails_alike("take: an index", &p, &good, &bad, branch(true));
    fails_alike("take: an index", &p, &good, &bad, branch(false));
    // The index that would fail is one that takes the other branch.
    let below = places(&[-5], &[1]);
    let x = draw(3, &[2, 3]);
    for first in [true, false] {
        for (form, call) in calls(branch(first)) {
            let found = call(&x, &below).unwrap();
            assert_same(form, &found, &branch(first)(&x, &below));
        }
    }
}

#[test]
fn in_a_checkpoint_and_in_backward_passes() {
    let p = draw(2, &[3]);
    let (good, bad) = (places(&[2], &[1]), places(&[3], &[1]));
    let w = draw(5, &[3]).requires_grad();
    let inner = w.clone();
    // Recomputed, it is asked once all the same.
    fails_alike("take: an index", &p, &good, &bad, |x, i| {
        let (i, w) = (i.clone(), inner.clone());
        let y = checkpoint(
            move |x| {
                let _ = x[0].index(0).take(&i);
                x[0].index(0) * &w
            },
            &[x],
        );
        let g = grad(&[&y.sum()], &[&inner], false).unwrap().remove(0).unwrap();
        p.add_(1.0);
        g
    });
    // A hook of a backward pass inside.
    fails_alike("take: an index", &p, &good, &bad, |x, i| {
        let y = x.index(0) * &w;
        let i = i.clone();
        y.register_hook(move |g| {
            let _ = g.take(&i);
            None
        });
        let g = grad(&[&y.sum()], &[&w], false).unwrap().remove(0).unwrap();
        p.add_(1.0);
        g
    });
}

/// A backward pass from outside has the checks of its own, and the call those of the forward pass.
#[test]
fn in_a_backward_pass_from_outside() {
    let w = draw(5, &[3]).requires_grad();
    let run = |x: &Tensor, i: &Tensor| {
        let y = x.index(0) * &w;
        let i = i.clone();
        y.register_hook(move |g| {
            let _ = g.take(&i);
            None
        });
        y
    };
    let traced = trace(run);
    let x = draw(3, &[2, 3]);
    let (good, bad) = (places(&[2], &[1]), places(&[3], &[1]));
    for i in [&good, &bad, &good, &bad] {
        w.set_grad(None);
        if std::ptr::eq(i, &bad) {
            says(&panic_text(|| run(&x, i).sum().backward()), &["take: an index lies outside its axis"]);
            let error = traced.call((&x, i)).unwrap().sum().try_backward().unwrap_err();
            says(&error.to_string(), &["take: an index lies outside its axis"]);
            assert!(w.grad().is_none());
            continue;
        }
        run(&x, i).sum().backward();
        let wanted = w.grad().unwrap();
        w.set_grad(None);
        traced.call((&x, i)).unwrap().sum().backward();
        assert_same("the gradient", &w.grad().unwrap(), &wanted);
    }
}

#[test]
fn a_failed_call_leaves_the_generators() {
    let _drawing = seeded(7);
    let run = |x: &Tensor, v: &Tensor| {
        let noise = rand(x.shape());
        let _ = bernoulli(v);
        x + noise
    };
    let x = draw(3, &[2, 3]);
    for (form, call) in calls(run) {
        manual_seed(3);
        let wanted = run(&x, &numbers(&[0.5]));
        manual_seed(3);
        says(&call(&x, &numbers(&[1.5])).expect_err(form).to_string(), &["bernoulli: probabilities must be in [0, 1]"]);
        assert_same(form, &call(&x, &numbers(&[0.5])).unwrap(), &wanted);
    }
}

#[test]
fn who_asks_for_it_does_without_unused_checks() {
    let x = draw(1, &[3]);
    let bad = places(&[9], &[1]);
    let unused = |x: &Tensor, i: &Tensor| {
        let _ = x.take(i);
        x * 2.0
    };
    let traced = trace(unused).with_unused_checks(false).with_passes(allotrope::ir::passes::Passes::NONE);
    assert_same("trace", &traced.call((&x, &bad)).unwrap(), &(&x * 2.0));
    let dynamic = trace_dynamic(unused).with_unused_checks(false);
    assert_same("trace_dynamic", &dynamic.call((&x, &bad)).unwrap(), &(&x * 2.0));
    assert!(trace(unused).with_unused_checks(false).with_unused_checks(true).call((&x, &bad)).is_err());
    // What is used is checked.
    let used = trace(|x: &Tensor, i: &Tensor| x.take(i)).with_unused_checks(false);
    assert!(used.call((&x, &bad)).is_err());
}
