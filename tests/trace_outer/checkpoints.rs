//! Checkpoints and functions of the user's in a traced call, differentiated from outside: what they capture, loops in them that
//! the backward pass recomputes, gradients that they take themselves.

use crate::common::{assert_all_same, draw};
use allotrope::prelude::*;

/// Runs the closure twice on `x` and on what came out, eagerly and traced, and demands the same gradients of `x` and `p`, in two
/// rounds.
#[track_caller]
fn same(what: &str, p: &Tensor, f: impl Fn(&Tensor) -> Tensor + Clone) {
    let x = draw(2, p.shape()).requires_grad();
    let run = |g: &dyn Fn(&Tensor) -> Tensor| {
        x.set_grad(None);
        p.set_grad(None);
        let y = g(&x);
        let z = g(&(&y * 0.5));
        (y.square().sum() + z.sin().sum()).backward();
        let grads = [x.grad(), p.grad()].map(|g| g.unwrap_or_else(|| Tensor::scalar(-77.0f32)));
        [y.detach(), z.detach(), grads[0].clone(), grads[1].clone()]
    };
    let eager = run(&f);
    let traced = trace(f.clone());
    for _ in 0..2 {
        assert_all_same(what, &run(&|x| traced.call(x).unwrap()), &eager);
    }
    assert_eq!(traced.compilations(), 1, "{what}");
}

#[test]
fn a_captured_tensor_given_back_as_it_is() {
    let p = draw(1, &[4]).requires_grad();
    let whole = |x: &Tensor| {
        let p = p.clone();
        checkpoint(move |_: &[Tensor]| p.clone(), &[x])
    };
    same("once", &p, |x| whole(x));
    same("three times", &p, |x| whole(x) * x + whole(x).exp() * 0.3 + whole(x) * 0.7);
    same("one used three times", &p, |x| {
        let y = whole(x);
        &y * x + y.exp() * 0.3 + &y * 0.7
    });
    same("its own result", &p, |x| {
        let y = whole(x);
        let z = &y * x;
        &z * &y + whole(&z) * 0.3 + y * 0.1
    });
    same("its input", &p, |x| checkpoint(|x: &[Tensor]| x[0].clone(), &[x]) * x + whole(x));
    same("its input twice", &p, |x| {
        let (a, b) = checkpoint(|x: &[Tensor]| (x[0].clone(), x[0].clone()), &[x]);
        &a * &b + &a * 0.3 + &b * &whole(x)
    });
}

#[test]
fn one_checkpoint_many_times() {
    let p = draw(1, &[4, 4]).requires_grad();
    let layer = |x: &Tensor| {
        let p = p.clone();
        checkpoint(move |x: &[Tensor]| x[0].matmul(&p).tanh(), &[x])
    };
    same("layers", &p, |x| {
        let y = layer(x);
        let z = layer(&y);
        layer(&z) + layer(&y) * &y
    });
}

/// A loop whose gradient is a loop too.
struct Looped;

impl Function for Looped {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.save_for_backward(inputs);
        vec![while_loop(|h: Tensor| h.abs().sum().lt(100.0), |h| h * 1.5, inputs[0].clone())]
    }
    fn backward(&self, _: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![Some(while_loop(|h: Tensor| h.abs().sum().lt(100.0), |h| h * 1.5, grads[0].clone()))]
    }
}

#[test]
fn loops_that_only_the_backward_pass_has() {
    let p = draw(1, &[4]).requires_grad();
    // The second needs more iterations than there is capacity for at first.
    for step in [1.5, 1.02] {
        same("while_loop in a checkpoint", &p, |x| {
            let p = p.clone();
            let looped = move |x: &[Tensor]| {
                while_loop(|h: Tensor| h.abs().sum().lt(50.0), |h| h * (&p * &p * 0.01 + step), x[0].clone())
            };
            checkpoint(looped, &[x])
        });
    }
    same("cond in a checkpoint", &p, |x| {
        let p = p.clone();
        checkpoint(move |x: &[Tensor]| cond(&x[0].sum().gt(0.0), |h: Tensor| h * &p, |h| h + &p, x[0].clone()), &[x])
    });
    same("while_loop in a Function", &p, |x| Looped.apply1(&[&(x * &p)]));
}

#[test]
fn gradients_taken_inside() {
    let p = draw(1, &[4]).requires_grad();
    for which in 0..3 {
        same("gradients of gradients", &p, |x| {
            let p = p.clone();
            let inside = move |x: &[Tensor]| {
                let z = x[0].detach().requires_grad();
                let (of, y) = match which {
                    0 => (&x[0], (&x[0] * &p).tanh().square().sum()),
                    1 => (&p, (&x[0] * &p).tanh().square().sum()),
                    // A leaf of its own, another one each time.
                    _ => (&z, (&z * &p).tanh().sum()),
                };
                let g = grad(&[&y], &[of], true).unwrap().remove(0).unwrap();
                g * &x[0]
            };
            checkpoint(inside, &[x])
        });
    }
}

/// A captured parameter that is a view and is changed before it is used again.
#[test]
fn a_strided_parameter_that_a_step_changes() {
    let strided: [fn() -> Tensor; 3] =
        [|| draw(1, &[3, 2]).t(), || draw(1, &[3, 2]).narrow(1, 1, 1), || draw(1, &[3, 2]).t().detach()];
    let uses: [fn(&Tensor) -> Tensor; 5] = [
        |p| p.sum(),
        |p| p.mean_dim(&[0], false).square().sum(),
        |p| p.amax(&[], false),
        |p| p.softmax(0).square().sum(),
        |p| (p.detach() * p).sum(),
    ];
    for make in strided {
        for used in uses {
            let run = |traced: bool| {
                let p = make();
                p.set_requires_grad(true);
                let opt = optim::Sgd::new(vec![p.clone()], 0.1);
                let step = |x: &Tensor| {
                    opt.zero_grad();
                    (x * &p).square().sum().backward();
                    opt.step();
                    opt.zero_grad();
                    used(&p)
                };
                let x = draw(2, p.shape());
                let compiled = trace(step);
                let mut seen = Vec::new();
                for _ in 0..2 {
                    let y = if traced { compiled.call(&x).unwrap() } else { step(&x) };
                    y.backward();
                    seen.extend([y.detach(), p.grad().unwrap(), p.detach() * 1.0]);
                    if traced {
                        let found = compiled.verify(&x).unwrap();
                        assert!(found.is_equal(), "{found}");
                    }
                }
                seen
            };
            assert_all_same("a step", &run(true), &run(false));
        }
    }
}
