//! What users ask of the tape beyond a plain `backward`: its options, hooks, kept gradients, changes in place, and what
//! is refused. Numbers are PyTorch's; nearly all is run in both modes.

use crate::common::{assert_all_same, numbers, panic_text};
use allotrope::autograd::{is_grad_enabled, set_grad_enabled, with_grad_enabled};
use allotrope::prelude::*;
use std::sync::{Arc, Mutex};

pub fn leaf(values: &[f32]) -> Tensor {
    Tensor::from_vec(values.to_vec(), &[values.len()]).requires_grad()
}

/// Runs `f` on a leaf eagerly and traced, demands the same bits, and gives the numbers.
pub fn both(values: &[f32], f: impl Fn(&Tensor) -> Vec<Tensor>) -> Vec<Vec<f64>> {
    let eager = f(&leaf(values));
    let traced = trace(|x: &Tensor| f(x)).call(&leaf(values)).unwrap();
    assert_all_same("eager and traced", &eager, &traced);
    eager.iter().map(numbers).collect()
}

#[track_caller]
pub fn near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 2e-6 * w.abs().max(1e-3), "{got:?} where PyTorch has {want:?}");
    }
}

/// The gradient that was accumulated.
pub fn of(x: &Tensor) -> Tensor {
    x.grad().expect("a gradient")
}

pub fn refused<T>(result: Result<T, Error>, words: &[&str]) {
    let text = result.err().expect("an error").to_string();
    assert!(words.iter().all(|w| text.contains(w)), "{words:?} in: {text}");
}

#[test]
fn hooks_of_a_leaf_see_the_sum_once_and_in_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let x = leaf(&[1.0, 2.0, 3.0]);
    for factor in [2.0, 1.0] {
        let seen = seen.clone();
        x.register_hook(move |g| {
            seen.lock().unwrap().push(numbers(g));
            Some(g * factor)
        });
    }
    (&x * &x + x.sin() * 3.0).sum().backward();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    near(&seen[0], &[3.6209070682525635, 2.7515594959259033, 3.030022621154785]);
    near(&seen[1], &[7.241814136505127, 5.503118991851807, 6.06004524230957]);
    let got = both(&[1.0, 2.0, 3.0], |x| {
        x.register_hook(|g| Some(g * 2.0));
        x.register_hook(|_| None);
        x.register_hook(|g| Some(g + 1.0));
        (x * x + x.sin() * 3.0).sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[8.241813659667969, 6.503118991851807, 7.06004524230957]);
}

#[test]
fn hooks_of_results_and_kept_gradients() {
    let got = both(&[1.0, 2.0, 3.0], |x| {
        let y = x * 2.0;
        assert!(!y.retains_grad());
        y.retain_grad();
        y.register_hook(|g| Some(g * 10.0));
        x.retain_grad();
        assert!(y.retains_grad() && !x.retains_grad() && x.is_leaf() && !y.is_leaf());
        ((&y * &y).sum() + y.sum()).backward();
        vec![of(&y), of(x)]
    });
    near(&got[0], &[50.0, 90.0, 130.0]);
    near(&got[1], &[100.0, 180.0, 260.0]);
    // Kept gradients accumulate, and come by grad() too; without being asked for there are none.
    let got = both(&[1.0, 2.0], |x| {
        let y = x * 2.0;
        y.retain_grad();
        let z = (&y * &y).sum();
        z.backward_with(Backward { retain_graph: true, ..Backward::default() });
        let plain = x * 3.0;
        plain.sum().backward();
        assert!(plain.grad().is_none());
        let found = grad(&[&z], &[x], false).unwrap().remove(0).unwrap();
        vec![of(&y), found]
    });
    near(&got[0], &[8.0, 16.0]);
    near(&got[1], &[8.0, 16.0]);
    // A change in place makes another tensor of it for the tape: earlier hooks see the gradient of what it was, and the
    // kept gradient is that of what it is.
    let got = both(&[1.0, 2.0], |x| {
        let y = x * 2.0;
        y.retain_grad();
        y.register_hook(|g| Some(g * 100.0));
        y.mul_(3.0);
        y.register_hook(|g| Some(g + 1.0));
        y.sum().backward();
        vec![of(&y), of(x)]
    });
    near(&got[0], &[2.0, 2.0]);
    near(&got[1], &[1200.0, 1200.0]);
    // A hook is differentiated like anything else.
    let got = both(&[1.0, 2.0, 3.0], |x| {
        let h = x * x;
        h.register_hook(|g| Some(g * g));
        let first = grad(&[&(&h * &h).sum()], &[x], true).unwrap().remove(0).unwrap();
        let second = grad(&[&first.sum()], &[x], false).unwrap().remove(0).unwrap();
        vec![first, second]
    });
    near(&got[0], &[8.0, 256.0, 1944.0]);
    near(&got[1], &[520.0, 65664.0, 1120392.0]);
    // What a hook gives may have a history of its own; the accumulated gradient has none unless it was asked for.
    let other = leaf(&[7.0, 8.0]);
    let got = both(&[1.0, 2.0], |x| {
        let mine = other.clone();
        x.register_hook(move |_| Some(mine.clone()));
        (x * 2.0).sum().backward();
        assert!(!of(x).is_requires_grad() && !of(x).is_same(&other));
        vec![of(x)]
    });
    near(&got[0], &[7.0, 8.0]);
    // One hook per result of a node with several.
    let got = both(&[1.0, 2.0], |x| {
        let (last, all) = scan(Tensor::scalar(0.0f32), x.clone(), |sum, x| (&sum + &x, &x * &x));
        all.register_hook(|g| Some(g * 10.0));
        (last + all.sum()).backward();
        vec![of(x)]
    });
    near(&got[0], &[21.0, 41.0]);
    // Inside a loop's body, where it is a value of each step.
    let got = both(&[1.0, 2.0], |x| {
        let (last, _) = scan(Tensor::scalar(1.0f32), x.clone(), |c, x| {
            let y = &c * &x;
            y.register_hook(|g| Some(g * 2.0));
            (y, ())
        });
        last.backward();
        vec![of(x)]
    });
    near(&got[0], &[8.0, 2.0]);
}

#[test]
fn hooks_that_are_refused() {
    let none = Tensor::ones(&[2], DType::F32);
    refused(none.try_register_hook(|_| None), &["requires no gradient"]);
    refused(none.try_retain_grad(), &["requires no gradient"]);
    let x = leaf(&[1.0, 2.0]);
    refused((&x * 2.0).try_register_post_accumulate_grad_hook(|_| ()), &["no leaf"]);
    let hook = x.register_hook(|_| Some(Tensor::ones(&[3], DType::F32)));
    refused((&x * 2.0).sum().try_backward(), &["hook", "[2]", "[3]"]);
    assert!(x.grad().is_none());
    // An argument's hooks are its own, and recording registers nothing outside.
    let f = trace(|x: &Tensor| (x * 2.0).sum().backward());
    refused(f.call(&x), &["argument 0", "hooks"]);
    hook.remove();
    f.call(&x).unwrap();
    let f = trace(|y: &Tensor| {
        x.register_hook(|_| None);
        y * 1.0
    });
    refused(f.call(&none), &["register_hook", "outside"]);
    let outside = x.register_hook(|_| None);
    refused(
        trace(|y: &Tensor| {
            outside.remove();
            y * 1.0
        })
        .call(&none),
        &["hook registered outside"],
    );
    let loops = || {
        let body = |c: Tensor, x: Tensor| {
            c.register_hook(|_| None);
            (&c + &x, x)
        };
        scan(Tensor::scalar(0.0f32), x.clone(), body).0
    };
    loops().backward();
    let bad = |_: Tensor, e: Tensor| {
        x.register_hook(|_| None);
        (e.clone(), e)
    };
    let text = panic_text(|| drop(scan(Tensor::scalar(0.0f32), x.clone(), bad)));
    assert!(text.contains("register the hook outside"), "{text}");
    let keeps = |_: Tensor, e: Tensor| {
        let y = &e * 2.0;
        y.retain_grad();
        (y, e)
    };
    let text = panic_text(|| drop(scan(Tensor::scalar(0.0f32), x.clone(), keeps)));
    assert!(text.contains("retain_grad") && text.contains("scan"), "{text}");
}

/// Compiled code has the hooks in it that were there; with others it is compiled anew.
#[test]
fn hooks_from_outside_are_part_of_a_compiled_function() {
    let w = leaf(&[3.0]);
    let step = |x: &Tensor| {
        w.set_grad(None);
        (x * &w).sum().backward();
        of(&w)
    };
    let f = trace(step);
    let x = Tensor::from_vec(vec![2.0f32], &[1]);
    let run = |want: f32, compilations: usize| {
        assert_eq!(step(&x).item::<f32>(), want);
        for _ in 0..2 {
            assert_eq!(f.call(&x).unwrap().item::<f32>(), want);
        }
        assert_eq!(f.compilations(), compilations);
    };
    run(2.0, 1);
    let ten = w.register_hook(|g| Some(g * 10.0));
    run(20.0, 2);
    let more = w.register_hook(|g| Some(g + 1.0));
    run(21.0, 3);
    ten.remove();
    ten.remove();
    run(3.0, 4);
    more.remove();
    run(2.0, 5);
}

#[test]
fn an_optimizer_in_the_backward_pass() {
    for traced in [false, true] {
        let w = leaf(&[1.0, 2.0]);
        let hook = w.register_post_accumulate_grad_hook(|w| {
            no_grad(|| w.sub_(&(of(w) * 0.1)));
            w.set_grad(None);
        });
        let step = || {
            let loss = (&w * &w * &w).sum();
            loss.backward();
            loss.detach()
        };
        let compiled = trace(step);
        for _ in 0..3 {
            if traced { drop(compiled.call([]).unwrap()) } else { drop(step()) }
        }
        near(&numbers(&w), &[0.46125727891921997, 0.4971007704734802]);
        assert!(w.grad().is_none());
        hook.remove();
        step();
        assert!(w.grad().is_some());
    }
}

#[test]
fn a_graph_serves_one_backward_pass_unless_retained() {
    let got = both(&[1.0, 2.0], |x| {
        let z = (x * x).sum();
        z.backward_with(Backward { retain_graph: true, ..Backward::default() });
        z.backward();
        refused(z.try_backward(), &["second time", "retain_graph", "MulBackward0"]);
        refused(grad(&[&z], &[x], false), &["second time"]);
        vec![of(x)]
    });
    near(&got[0], &[4.0, 8.0]);
    // A graph that saved nothing allows further backward passes, as in PyTorch.
    let got = both(&[1.0, 2.0], |x| {
        let y = x + x;
        y.sum().backward();
        y.sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[4.0, 4.0]);
    // grad() goes only where it is asked to: the rest is not used up.
    let got = both(&[1.0, 2.0], |x| {
        let (y, z) = (x * x, x * 3.0);
        let first = grad(&[&(&y * &z).sum()], &[&z], false).unwrap().remove(0).unwrap();
        vec![first, grad(&[&y.sum()], &[x], false).unwrap().remove(0).unwrap()]
    });
    near(&got[0], &[1.0, 4.0]);
    near(&got[1], &[2.0, 4.0]);
    // A failed backward pass accumulates nothing.
    let x = leaf(&[1.0]);
    let used = &x * &x;
    used.sum().backward();
    let other = (&x * 3.0 + &used).sum();
    x.set_grad(None);
    assert!(other.try_backward().is_err() && x.grad().is_none());
}

/// Tells when it is dropped, by a count of its holders.
struct Marked(Arc<()>);

impl Function for Marked {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        assert!(Arc::strong_count(&self.0) > 0);
        ctx.save_for_backward(&[inputs[0]]);
        vec![inputs[0] * 2.0]
    }
    fn backward(&self, _: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![Some(&grads[0] * 2.0)]
    }
}

#[test]
fn whoever_keeps_a_loss_does_not_keep_what_was_saved() {
    let x = leaf(&[1.0, 2.0]);
    let mark = Arc::new(());
    let loss = Marked(mark.clone()).apply1(&[&x]).sum();
    loss.backward_with(Backward { retain_graph: true, ..Backward::default() });
    assert_eq!(Arc::strong_count(&mark), 2);
    loss.backward();
    assert_eq!(Arc::strong_count(&mark), 1, "the graph was freed, though the loss lives");
    assert_eq!(numbers(&loss), [6.0]);
    assert_eq!(numbers(&of(&x)), [4.0, 4.0]);
}

#[test]
fn backward_with_inputs_and_create_graph() {
    let numbers_of_w = Tensor::from_vec(vec![3.0f32, 4.0], &[2]);
    let got = both(&[1.0, 2.0], |x| {
        let w = (&numbers_of_w * 1.0).requires_grad();
        let y = x * &w;
        let z = &y * &y;
        let how = Backward { inputs: &[&w, &y], ..Backward::default() };
        z.sum().backward_with(how);
        assert!(x.grad().is_none());
        vec![of(&w), of(&y)]
    });
    near(&got[0], &[6.0, 32.0]);
    near(&got[1], &[6.0, 16.0]);
    let got = both(&[1.0, 2.0], |x| {
        x.pow(3).sum().backward_with(Backward { create_graph: true, ..Backward::default() });
        let g = of(x);
        assert!(g.is_requires_grad());
        x.set_grad(None);
        (&g * &g).sum().backward();
        assert!(!of(x).is_requires_grad());
        vec![g.detach(), of(x)]
    });
    near(&got[0], &[3.0, 12.0]);
    near(&got[1], &[36.0, 288.0]);
    let none = Tensor::ones(&[2], DType::F32);
    refused(
        leaf(&[1.0]).sum().try_backward_with(Backward { inputs: &[&none], ..Backward::default() }),
        &["input 0", "requires_grad"],
    );
    // A gradient that needs a gradient itself leaves no history unless that is asked for.
    let (x, g) = (leaf(&[1.0, 2.0]), leaf(&[5.0, 6.0]));
    (&x + 1.0).backward_from(&g);
    assert!(!of(&x).is_requires_grad());
    x.set_grad(None);
    (&x * 2.0).backward_with(Backward { gradient: Some(&g), create_graph: true, ..Backward::default() });
    of(&x).sum().backward();
    assert_eq!(numbers(&of(&g)), [2.0, 2.0]);
}

#[test]
fn grad_with_options() {
    let (a, b) = (leaf(&[1.0, -1.0]).detach(), leaf(&[0.5, 2.0]).detach());
    let got = both(&[1.0, 2.0], |x| {
        let how = GradOptions { grad_outputs: &[Some(&a), Some(&b)], ..GradOptions::default() };
        vec![grad_with(&[&x.exp(), &(x * x)], &[x], how).unwrap().remove(0).unwrap()]
    });
    near(&got[0], &[3.7182817459106445, 0.6109437942504883]);
    both(&[1.0, 2.0], |x| {
        let unused = Tensor::ones(&[3], DType::F32).requires_grad();
        let how = GradOptions::default();
        refused(grad_with(&[&x.sum()], &[x, &unused], how), &["input 1", "[3]", "allow_unused"]);
        let found = grad_with(&[&x.sum()], &[x, &unused], GradOptions { allow_unused: true, ..how }).unwrap();
        assert!(found[0].is_some() && found[1].is_none());
        let zeros = grad_with(&[&x.sum()], &[x, &unused], GradOptions { materialize_grads: true, ..how }).unwrap();
        refused(grad_with(&[&(x * 2.0)], &[x], how), &["grad_outputs", "[2]"]);
        let wrong = GradOptions { grad_outputs: &[Some(&unused)], ..how };
        refused(grad_with(&[&(x * 2.0)], &[x], wrong), &["[2]", "[3]"]);
        let two = GradOptions { grad_outputs: &[None, None], ..how };
        refused(grad_with(&[&x.sum()], &[x], two), &["1 outputs", "2 gradients"]);
        refused(grad_with(&[&unused.detach().sum()], &[x], how), &["needs no gradient"]);
        vec![zeros[1].clone().unwrap()]
    });
}

#[test]
fn modes_and_names() {
    let x = leaf(&[1.0, 2.0]);
    assert_eq!((&x * 2.0).grad_fn_name().as_deref(), Some("MulBackward0"));
    assert_eq!(x.grad_fn_name(), None);
    assert!(!with_grad_enabled(false, || (&x * 2.0).is_requires_grad()));
    assert!(no_grad(|| with_grad_enabled(true, || (&x * 2.0).is_requires_grad())));
    no_grad(|| {
        set_grad_enabled(true);
        assert!(is_grad_enabled());
    });
    assert!(is_grad_enabled());
    set_grad_enabled(false);
    assert!(!(&x * 2.0).is_requires_grad());
    set_grad_enabled(true);
    refused(
        trace(|x: &Tensor| {
            set_grad_enabled(false);
            x * 1.0
        })
        .call(&x),
        &["set_grad_enabled", "no_grad"],
    );
    assert!(is_grad_enabled());
    both(&[1.0, 2.0], |x| {
        let y = x * 2.0;
        y.detach_();
        assert!(!y.is_requires_grad() && y.is_leaf());
        y.requires_grad_(true);
        (&y * &y).sum().backward();
        assert!(x.grad().is_none());
        vec![of(&y)]
    });
    assert!(panic_text(|| drop((&x * 2.0).requires_grad_(false).clone())).contains("detach"));
    assert!(panic_text(|| drop(Tensor::arange(3).requires_grad_(true).clone())).contains("floating-point"));
}

#[test]
fn changes_in_place_that_can_be_differentiated() {
    let got = both(&[1.0, 2.0], |x| {
        let y = x * 1.0;
        y.mul_(x);
        y.mul_(x);
        y.sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[3.0, 12.0]);
    let got = both(&[1.0, 2.0], |x| {
        let y = x * 3.0;
        y.div_(&(x * x));
        y.sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[-3.0, -0.75]);
    // A tensor that needed no gradient begins to.
    let got = both(&[3.0, 4.0], |x| {
        let y = Tensor::ones(&[2], DType::F32) * 2.0;
        y.div_(x);
        y.sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[-2.0 / 9.0, -0.125]);
    // And twice.
    let got = both(&[1.0, 2.0], |x| {
        let y = x * 1.0;
        y.mul_(x);
        let g = grad(&[&(&y * x).sum()], &[x], true).unwrap().remove(0).unwrap();
        vec![grad(&[&g.sum()], &[x], false).unwrap().remove(0).unwrap()]
    });
    near(&got[0], &[6.0, 12.0]);
}

#[test]
fn changes_in_place_that_cannot_are_named() {
    let x = leaf(&[1.0, 2.0]);
    let y = x.exp();
    y.add_(1.0);
    refused(y.sum().try_backward(), &["ExpBackward0", "f32[2]", "output 0", "version 1", "version 0"]);
    // As the second factor it is needed as it was.
    let y = &x * 1.0;
    y.mul_(&y);
    refused(y.sum().try_backward(), &["MulBackward0", "f32[2]", "version 1", "version 0"]);
    let y = &x * 2.0;
    let z = &y * &y;
    y.add_(1.0);
    refused(z.sum().try_backward(), &["MulBackward0 needs", "output 0 of AddBackward0", "version 1"]);
    let f = |x: &Tensor| {
        let y = x.exp();
        y.add_(1.0);
        y.sum().backward();
        of(x)
    };
    refused(trace(f).call(&x), &["ExpBackward0", "changed in place", "f32[2]"]);
    let f = |x: &Tensor| {
        let y = x * 2.0;
        let z = &y * &y;
        y.add_(1.0);
        z.sum().backward();
        of(x)
    };
    refused(trace(f).call(&x), &["MulBackward0 needs", "version 1"]);
    // Of what somebody looks at the gradient, a trace changes no history.
    let outside = &x * 1.0;
    outside.retain_grad();
    let f = |x: &Tensor| {
        outside.copy_(&(x * 2.0));
        outside.sum()
    };
    refused(trace(f).call(&x), &["outside", "detach"]);
    assert_eq!(outside.grad_fn_name().unwrap(), "MulBackward0");
}
