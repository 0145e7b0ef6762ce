//! Arguments that are one tensor, or show the same elements, as another argument, as what the closure captures, or as a
//! gradient: what eager code does, in both forms, and recorded again only where it matters.

use crate::common::{assert_all_same, copy, draw};
use allotrope::optim::Sgd;
use allotrope::prelude::*;

type Step = Box<dyn Fn(&[Tensor]) -> Tensor>;

/// A closure, the arguments of some calls, and what may change besides these.
struct Program {
    step: Step,
    calls: Vec<Vec<Tensor>>,
    state: Vec<Tensor>,
}

/// Everything there is to see of the program after each call.
fn run(program: &Program, mut call: impl FnMut(&[Tensor]) -> Tensor) -> Vec<Tensor> {
    let mut seen = Vec::new();
    for args in &program.calls {
        seen.push(copy(&call(args)));
        for t in program.state.iter().chain(program.calls.iter().flatten()) {
            seen.push(copy(t));
            seen.push(t.grad().map_or_else(|| Tensor::full(&[1], -77.0f32), |g| copy(&g)));
        }
    }
    seen
}

/// That all forms agree, and how often `trace` compiles.
#[track_caller]
fn agree(name: &str, compilations: usize, program: impl Fn() -> Program) {
    let p = program();
    let eager = run(&p, |args| (p.step)(args));
    let p = program();
    let f = trace(|args: &[Tensor]| (p.step)(args));
    assert_all_same(name, &eager, &run(&p, |args| f.call(args).unwrap_or_else(|e| panic!("{name}: {e}"))));
    let reasons: Vec<String> = f.explain().iter().map(|e| e.reason().to_string()).collect();
    assert_eq!(f.compilations(), compilations, "{name}: {reasons:?}");
    let p = program();
    let d = trace_dynamic(|args: &[Tensor]| (p.step)(args));
    let name = format!("{name}, dynamic");
    assert_all_same(&name, &eager, &run(&p, |args| d.call(args).unwrap_or_else(|e| panic!("{name}: {e}"))));
}

fn parameter(seed: u64) -> Tensor {
    draw(seed, &[3]).requires_grad()
}

/// A program with a parameter, whose calls come from what is drawn and the parameter.
fn with_parameter(
    step: impl Fn(&Tensor, &[Tensor]) -> Tensor + 'static,
    calls: impl Fn(&Tensor) -> Vec<Vec<Tensor>>,
) -> Program {
    let p = parameter(1);
    let calls = calls(&p);
    let state = vec![p.clone()];
    Program { step: Box::new(move |args| step(&p, args)), calls, state }
}

#[test]
fn the_argument_is_the_parameter() {
    let step = |p: &Tensor, args: &[Tensor]| {
        let opt = Sgd::new(vec![p.clone()], 0.1);
        (&args[0] * &args[0]).sum().backward();
        opt.step();
        args[0].sum().detach()
    };
    // A gradient is there from the second call on.
    agree("a step", 2, || with_parameter(step, |p| vec![vec![p.clone()], vec![p.clone()]]));
    let train = |p: &Tensor, args: &[Tensor]| {
        p.set_grad(None);
        (&args[0] * p).sum().backward();
        no_grad(|| p.sub_(&(p.grad().unwrap() * 0.1)));
        (args[0].sum() + args[0].grad().map_or_else(|| p.sum() * 0.0, |g| g.sum())).detach()
    };
    agree("first another, then it", 2, || {
        with_parameter(train, |p| vec![vec![parameter(5)], vec![p.clone()], vec![parameter(6)], vec![p.clone()]])
    });
    agree("first it, then another", 2, || {
        with_parameter(train, |p| vec![vec![p.clone()], vec![parameter(5)], vec![p.clone()]])
    });
    agree("grad() of it", 1, || {
        let step = |p: &Tensor, args: &[Tensor]| {
            let y = (&args[0] * &args[0] * p).sum();
            let g = grad(&[&y], &[p], false).unwrap().remove(0).unwrap();
            let h = grad(&[&(&args[0] * 2.0).sum()], &[p], false).unwrap().remove(0).unwrap();
            g + h
        };
        with_parameter(step, |p| vec![vec![p.clone()], vec![p.clone()]])
    });
    agree("no gradient before", 1, || {
        let step = |p: &Tensor, args: &[Tensor]| {
            p.set_grad(None);
            (&args[0] * 3.0).sum().backward();
            p.grad().unwrap() + args[0].grad().unwrap()
        };
        with_parameter(step, |p| vec![vec![p.clone()], vec![p.clone()]])
    });
    // Where it does not matter, nothing is recorded for it.
    agree("only read", 1, || {
        let w = draw(3, &[3]);
        let calls = vec![vec![draw(4, &[3])], vec![w.clone()], vec![w.view(&[3])], vec![w.detach()]];
        Program { step: Box::new(move |args| &args[0] * &w), calls, state: vec![] }
    });
    agree("only read, first", 1, || {
        let w = draw(3, &[3]);
        let calls = vec![vec![w.clone()], vec![draw(4, &[3])]];
        Program { step: Box::new(move |args| &args[0] * &w), calls, state: vec![] }
    });
}

#[test]
fn gradients_that_begin_outside() {
    for first in [false, true] {
        let run = |traced: bool| {
            let p = parameter(1);
            let f = |x: &Tensor| (x * &p).exp().sum() + (&p * 2.0).sum();
            let compiled = trace(f);
            if first {
                compiled.call(&parameter(2)).unwrap();
            }
            let mut all = Vec::new();
            for _ in 0..2 {
                let y = if traced { compiled.call(&p).unwrap() } else { f(&p) };
                all.push(copy(&y));
                all.push(grad(&[&y], &[&p], false).unwrap().remove(0).unwrap());
                let y = if traced { compiled.call(&p).unwrap() } else { f(&p) };
                y.backward();
                all.push(copy(&p.grad().unwrap()));
            }
            all
        };
        assert_all_same("outside", &run(false), &run(true));
    }
}

#[test]
fn one_tensor_twice() {
    agree("backward inside", 2, || {
        let step = |args: &[Tensor]| {
            args[0].set_grad(None);
            (&args[0] * &args[1]).sum().backward();
            args[0].grad().unwrap() + args[1].grad().unwrap()
        };
        let (a, b) = (parameter(1), parameter(2));
        let calls = vec![vec![a.clone(), b.clone()], vec![a.clone(), a.clone()], vec![b.clone(), b.clone()]];
        Program { step: Box::new(step), calls, state: vec![] }
    });
    agree("changed in place", 2, || {
        let step = |args: &[Tensor]| {
            args[0].mul_(2.0);
            &args[0] + &args[1]
        };
        let (a, b) = (draw(1, &[3]), draw(2, &[3]));
        let calls = vec![vec![a.clone(), b.clone()], vec![a.clone(), a.clone()], vec![b.clone(), b.clone()]];
        Program { step: Box::new(step), calls, state: vec![] }
    });
    agree("only read", 1, || {
        let (a, b) = (draw(1, &[3]), draw(2, &[3]));
        let calls = vec![vec![a.clone(), b.clone()], vec![a.clone(), a.clone()], vec![b.clone(), b.clone()]];
        Program { step: Box::new(|args| &args[0] + &args[1]), calls, state: vec![] }
    });
    agree("gradients that are set", 2, || {
        let step = |args: &[Tensor]| {
            args[0].set_grad(Some(&args[0] * 2.0));
            args[1].grad().map_or_else(|| args[1].clone() * 0.0, |g| g * 1.0)
        };
        let (a, b) = (draw(1, &[3]), draw(2, &[3]));
        let calls = vec![vec![a.clone(), b.clone()], vec![b.clone(), b.clone()]];
        Program { step: Box::new(step), calls, state: vec![] }
    });
}

#[test]
fn arguments_that_share_elements() {
    type Way = (&'static str, fn(&Tensor) -> Tensor);
    let ways: [Way; 4] = [
        ("detach", |p| p.detach()),
        ("view", |p| no_grad(|| p.detach().view(&[3]))),
        ("detached view", |p| p.view(&[3]).detach()),
        ("no gradient", |p| p.detach().unsqueeze(0).squeeze(0)),
    ];
    for (name, way) in ways {
        agree(&format!("{name} of the parameter, which is changed"), 1, || {
            let step = |p: &Tensor, args: &[Tensor]| {
                let before = &args[0] * 1.0;
                no_grad(|| p.mul_(2.0));
                before + &args[0] * 10.0
            };
            with_parameter(step, |p| vec![vec![way(p)], vec![way(p)]])
        });
        agree(&format!("{name} of the parameter, itself changed"), 1, || {
            let step = |p: &Tensor, args: &[Tensor]| {
                args[0].mul_(2.0);
                (p * 3.0).detach()
            };
            with_parameter(step, |p| vec![vec![way(p)], vec![way(p)]])
        });
        agree(&format!("{name} of another argument"), 1, || {
            let a = draw(3, &[3]);
            let step = |args: &[Tensor]| {
                args[1].mul_(2.0);
                &args[0] * 3.0
            };
            let calls = vec![vec![a.clone(), way(&a)], vec![a.clone(), way(&a)]];
            Program { step: Box::new(step), calls, state: vec![a] }
        });
        agree(&format!("{name}, only read"), 1, || {
            let step = |p: &Tensor, args: &[Tensor]| (p * &args[0]).detach();
            with_parameter(step, |p| vec![vec![way(p)], vec![draw(7, &[3])], vec![way(p)]])
        });
    }
}

#[test]
fn arguments_that_are_gradients() {
    let filled = || {
        let p = parameter(1);
        p.set_grad(Some(draw(2, &[3])));
        p
    };
    agree("of another argument, changed", 1, || {
        let p = filled();
        let g = p.grad().unwrap();
        let step = |args: &[Tensor]| {
            args[0].grad().unwrap().mul_(2.0);
            &args[1] * 1.0
        };
        Program { step: Box::new(step), calls: vec![vec![p.clone(), g.clone()], vec![p.clone(), g]], state: vec![p] }
    });
    agree("of another argument, itself changed", 1, || {
        let p = filled();
        let g = p.grad().unwrap();
        let step = |args: &[Tensor]| {
            args[1].mul_(2.0);
            args[0].grad().unwrap() * 1.0
        };
        Program { step: Box::new(step), calls: vec![vec![p.clone(), g.clone()], vec![p.clone(), g]], state: vec![p] }
    });
    agree("of a captured tensor, changed", 1, || {
        let p = filled();
        let g = p.grad().unwrap();
        let q = p.clone();
        let step = move |args: &[Tensor]| {
            q.grad().unwrap().zero_();
            &args[0] + 1.0
        };
        Program { step: Box::new(step), calls: vec![vec![g.clone()], vec![g]], state: vec![p] }
    });
    // Accumulated in place, it is seen through the argument too: the gradient, another tensor, the parameter.
    agree("of a captured tensor, accumulated into", 3, || {
        let p = filled();
        let g = p.grad().unwrap();
        let q = p.clone();
        let step = move |args: &[Tensor]| {
            (&q * &q).sum().backward();
            let opt = Sgd::new(vec![q.clone()], 0.1);
            opt.step();
            &args[0] + q.grad().unwrap()
        };
        let calls = vec![vec![g.clone()], vec![g.clone()], vec![draw(8, &[3])], vec![p.clone()], vec![g]];
        Program { step: Box::new(step), calls, state: vec![p] }
    });
}

/// A part of what the closure changes, passed as an argument: as a view, or as a tensor that only shares its memory.
#[test]
fn parts_of_what_is_changed() {
    let run = |traced: bool, detached: bool| {
        let p = draw(1, &[3]);
        let part = p.narrow(0, 1, 2);
        let part = if detached { part.detach() } else { part };
        let step = |x: &Tensor| {
            p.mul_(2.0);
            x * 1.0
        };
        let f = trace(step);
        let other = draw(2, &[2]);
        let mut all = vec![if traced { f.call(&other).unwrap() } else { step(&other) }];
        for _ in 0..3 {
            all.extend([if traced { f.call(&part).unwrap() } else { step(&part) }, copy(&p)]);
        }
        all
    };
    for detached in [false, true] {
        assert_all_same("a part", &run(false, detached), &run(true, detached));
    }
}
