//! Transformations of a program inside of a trace, in any order and in each other: `grad` and second derivatives,
//! `no_grad`, functions with derivatives of the user's own, hooks, `checkpoint`, loops, dropout, traces.

use crate::common::{assert_all_same, assert_same, copy, difference, draw, seeded};
use allotrope::backend::{Compiled, Options};
use allotrope::functional::dropout;
use allotrope::ir::Op;
use allotrope::prelude::*;
use allotrope::tensor::Generator;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// x³, with a derivative that is written out; it saves its input, and a number.
struct Cube;

impl Function for Cube {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.save_for_backward(&[inputs[0]]);
        ctx.put(3.0f64);
        vec![inputs[0] * inputs[0] * inputs[0]]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let x = &ctx.saved_tensors()[0];
        vec![Some(&grads[0] * (x * x * *ctx.get::<f64>()))]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Checkpoint,
    Function,
    Hook,
    NoGrad,
    Grad,
    Scan,
    Dropout,
    Cond,
    While,
}

const KINDS: [Kind; 8] =
    [Kind::Plain, Kind::Checkpoint, Kind::Function, Kind::Hook, Kind::NoGrad, Kind::Grad, Kind::Scan, Kind::Dropout];

/// The transformations around each other, outermost first, around tanh(x w). `x` is `[.., 4]`, as the result.
fn nested(kinds: &[Kind], x: &Tensor, w: &Tensor) -> Tensor {
    let Some((kind, rest)) = kinds.split_first() else { return (x * w).tanh() };
    let inner = |x: &Tensor| nested(rest, x, w);
    match kind {
        Kind::Plain => inner(x) * w + x,
        Kind::Checkpoint => {
            let (rest, w) = (rest.to_vec(), w.clone());
            checkpoint(move |v| nested(&rest, &v[0], &w) * &w, &[x])
        }
        Kind::Function => Cube.apply1(&[&inner(&Cube.apply1(&[x]))]),
        Kind::Hook => {
            let y = inner(x) * 1.5;
            if y.is_requires_grad() {
                y.register_hook(|g| Some(g * g));
            }
            y * w
        }
        Kind::NoGrad => inner(x) + no_grad(|| inner(x)) * x,
        Kind::Grad => {
            let y = inner(x);
            if !y.is_requires_grad() {
                return y * 3.0;
            }
            let g = grad(&[&y.sum()], &[w], true).unwrap_or_else(|e| panic!("{e}")).remove(0);
            y + g.expect("w was used")
        }
        // One row of it.
        Kind::Scan if x.dim() == 1 => nested(kinds, &x.unsqueeze(0), w).select(0, 0),
        Kind::Scan => scan(x.sum_dim(&[0], false), x.clone(), |c, e| (&c * 0.5 + inner(&e), inner(&c))).1,
        Kind::Dropout => dropout(&inner(&dropout(x, 0.25, true)), 0.5, true),
        Kind::Cond => cond(&x.mean().gt(0.05), |v: Tensor| inner(&v), |v: Tensor| (v * w).sin(), x.clone()),
        Kind::While => {
            let step = |(i, v): (Tensor, Tensor)| (i + 1, inner(&v) * 0.5);
            while_loop(|(i, _): (Tensor, Tensor)| i.lt(2), step, (Tensor::scalar(0i64), x.clone())).1
        }
    }
}

/// The result, and the gradients of all that went in.
fn program(kinds: &[Kind], x: &Tensor, w: &Tensor) -> Vec<Tensor> {
    let x = x.detach().requires_grad();
    w.set_grad(None);
    let y = nested(kinds, &x, w);
    y.square().sum().backward();
    vec![y.detach(), x.grad().expect("it flows to x"), w.grad().expect("and to w")]
}

/// Equal bits in both modes over several calls, or an error in both.
fn agree(kinds: &[Kind], refused: &mut usize) {
    let runs = [false, true].map(|traced| {
        manual_seed(5);
        let w = draw(2, &[4]).requires_grad();
        let f = |x: &Tensor| program(kinds, x, &w);
        let compiled = trace(f);
        let mut all = Vec::new();
        for i in 0..3u64 {
            let x = draw(10 + i, &[2 + i as usize, 4]) * 0.5;
            let results = match traced {
                true => compiled.call(&x).map_err(|e| e.to_string()),
                false => catch_unwind(AssertUnwindSafe(|| f(&x))).map_err(|_| "a panic".to_string()),
            };
            match results {
                Ok(results) => all.extend(results.iter().map(copy)),
                Err(e) => return Err(e),
            }
        }
        assert_eq!(compiled.compilations(), usize::from(traced), "{kinds:?}");
        // The streams stand where they stood.
        all.push(copy(&rand(&[3])));
        Ok(all)
    });
    match &runs {
        [Ok(eager), Ok(traced)] => assert_all_same(&format!("{kinds:?}"), eager, traced),
        [Err(_), Err(_)] => *refused += 1,
        [Ok(_), Err(e)] => panic!("{kinds:?}: eager code does it, a trace does not: {e}"),
        [Err(_), Ok(_)] => panic!("{kinds:?}: a trace does what eager code does not"),
    }
}

/// Second derivatives through `scan` are refused so far, in both modes.
fn is_refused(kinds: &[Kind]) -> bool {
    let grad = kinds.iter().position(|k| *k == Kind::Grad);
    grad.is_some_and(|i| kinds[i..].contains(&Kind::Scan))
}

#[test]
fn every_pair_of_transformations() {
    let _drawing = seeded(5);
    let (mut refused, mut expected) = (0, 0);
    for a in KINDS {
        for b in KINDS {
            expected += usize::from(is_refused(&[a, b]));
            agree(&[a, b], &mut refused);
        }
    }
    assert_eq!(refused, expected);
}

/// Branches and loops of unknown length around all others, and inside of them. Random numbers in them are refused by a
/// trace alone, which must know how many there are.
#[test]
fn branches_and_unknown_lengths() {
    let _drawing = seeded(5);
    let mut refused = 0;
    for a in [Kind::Cond, Kind::While] {
        for b in KINDS.into_iter().chain([Kind::Cond, Kind::While]) {
            for kinds in [[a, b], [b, a]] {
                if kinds[1] != Kind::Dropout {
                    agree(&kinds, &mut refused);
                }
            }
        }
        assert!(trace(|x: &Tensor| nested(&[a, Kind::Dropout], x, x)).call(&draw(1, &[2, 4])).is_err());
    }
    assert!(refused <= 6, "{refused} were refused in both modes: only second derivatives may be");
}

#[test]
fn three_and_four_transformations() {
    let _drawing = seeded(5);
    let choices = Generator::new(8).randint(0, KINDS.len() as i64, &[48, 4]).to_vec::<i64>();
    for (i, four) in choices.chunks(4).enumerate() {
        let kinds: Vec<Kind> = four.iter().take(3 + i % 2).map(|k| KINDS[*k as usize]).collect();
        if !is_refused(&kinds) {
            let mut refused = 0;
            agree(&kinds, &mut refused);
            assert_eq!(refused, 0, "{kinds:?}");
        }
    }
}

/// A traced function in a checkpoint of a trace, and a checkpoint in a traced function in a trace.
#[test]
fn traces_in_checkpoints() {
    let w = draw(1, &[4]).requires_grad();
    let plain = |x: &Tensor| {
        w.set_grad(None);
        ((x * &w).tanh() * &w).square().sum().backward();
        w.grad().unwrap()
    };
    let x = draw(2, &[3, 4]);
    let wanted = copy(&plain(&x));
    let inner_w = w.clone();
    let inside = trace(|x: &Tensor| {
        w.set_grad(None);
        let v = inner_w.clone();
        let y = checkpoint(
            move |x| {
                let step = trace(|x: &Tensor| (x * &v).tanh() * &v);
                step.call(&x[0]).unwrap_or_else(|e| panic!("{e}"))
            },
            &[x],
        );
        y.square().sum().backward();
        w.grad().unwrap()
    });
    assert_same("a trace in a checkpoint", &inside.call(&x).unwrap(), &wanted);
    let part = trace(|x: &Tensor| {
        let v = w.clone();
        checkpoint(move |x| (&x[0] * &v).tanh() * &v, &[x])
    });
    let outside = trace(|x: &Tensor| {
        w.set_grad(None);
        part.call(x).unwrap_or_else(|e| panic!("{e}")).square().sum().backward();
        w.grad().unwrap()
    });
    assert_same("a checkpoint in a trace", &outside.call(&x).unwrap(), &wanted);
}

/// How often `op` is in a graph, in bodies of loops too.
fn count(graph: &allotrope::ir::Graph, op: &str) -> usize {
    let each = graph.nodes().map(|id| {
        let op_here = &graph.node(id).op;
        let within = match op_here {
            Op::Scan(s) => count(&s.body, op),
            Op::Fusion(body) => count(body, op),
            _ => 0,
        };
        within + usize::from(op_here.name() == op)
    });
    each.sum()
}

const LAYERS: usize = 6;

/// A deep network in parts, and its gradients.
fn deep(parts: bool) -> impl Fn(&Tensor) -> Vec<Tensor> {
    let weights: Vec<Tensor> = (0..LAYERS as u64).map(|i| (draw(i, &[16, 16]) * 0.3).requires_grad()).collect();
    move |x: &Tensor| {
        let y = weights.iter().fold(x.clone(), |x, w| {
            let w = w.clone();
            let part = move |x: &[Tensor]| {
                let y = x[0].matmul(&w).tanh();
                (y.exp() * &y).sin().matmul(&w)
            };
            if parts { checkpoint(part, &[&x]) } else { part(&[x]) }
        });
        let inputs: Vec<&Tensor> = weights.iter().collect();
        let gradients = grad(&[&y.square().sum()], &inputs, false).unwrap();
        gradients.into_iter().map(|g| g.expect("every weight is used")).collect()
    }
}

/// In a trace too a checkpoint recomputes instead of saving: no pass merges the two computations, and the memory
/// that is planned is less.
#[test]
fn checkpoints_compute_again() {
    let x = draw(99, &[64, 16]);
    let [plain, parts] = [false, true].map(deep);
    assert_all_same("eagerly", &plain(&x), &parts(&x));
    let (plain_c, parts_c) = (trace(&plain), trace(&parts));
    assert_all_same("traced", &plain(&x), &parts_c.call(&x).unwrap());
    assert_all_same("traced", &plain(&x), &plain_c.call(&x).unwrap());
    let (plain, parts) = (&plain_c.explain()[0], &parts_c.explain()[0]);
    for op in ["tanh", "exp"] {
        assert_eq!(count(plain.optimized(), op), LAYERS, "{op}");
        assert_eq!(count(parts.optimized(), op), 2 * LAYERS, "{op}, computed twice");
    }
    let bytes = |g: &allotrope::ir::Graph| Compiled::compile(g, &Options::default()).unwrap().scratch_bytes(&[64]);
    let (saved, recomputed) = (bytes(plain.optimized()), bytes(parts.optimized()));
    assert!(recomputed * 2 < saved, "{recomputed} bytes with checkpoints, {saved} without");
}

/// What does not depend on the inputs of the function is recomputed too, where it reads parameters; so is what a
/// checkpoint in a loop computes.
#[test]
fn checkpoints_of_parameters_and_in_loops() {
    let w = draw(1, &[8]).requires_grad();
    let of_parameter = |x: &Tensor| {
        let v = w.clone();
        let y = checkpoint(move |_| v.tanh().exp() * 2.0, &[x]);
        let g = grad(&[&(&y * x).sum()], &[&w], false).unwrap().remove(0).unwrap();
        (y.detach(), g)
    };
    let in_loop = |x: &Tensor| {
        let v = w.clone();
        let (last, _) = scan(x.select(0, 0), x.clone(), |c, e| {
            let v = v.clone();
            (checkpoint(move |p| (&p[0] * &v).tanh() + (&p[1] * &v).exp(), &[&c, &e]), ())
        });
        let g = grad(&[&last.sum()], &[&w], false).unwrap().remove(0).unwrap();
        (last.detach(), g)
    };
    let x = draw(2, &[5, 8]);
    type Program<'a> = &'a dyn Fn(&Tensor) -> (Tensor, Tensor);
    let programs: [Program<'_>; 2] = [&of_parameter, &in_loop];
    for f in programs {
        let traced = trace(|x: &Tensor| f(x));
        for n in [5, 3, 1] {
            let x = x.narrow(0, 0, n);
            let ((y, g), (want_y, want_g)) = (traced.call(&x).unwrap(), f(&x));
            assert_same("result", &y, &want_y);
            assert_same("gradient", &g, &want_g);
        }
        assert_eq!(traced.compilations(), 1);
        let optimized = traced.explain()[0].optimized().clone();
        assert_eq!(count(&optimized, "tanh"), 2, "computed twice:\n{optimized}");
        assert_eq!(count(&optimized, "exp"), 2, "computed twice");
    }
}

/// The second computation has the numbers of the first, and the streams go on as if it had not been: as PyTorch's
/// `preserve_rng_state`, for generators of one's own too, and for nested parts.
#[test]
fn dropout_in_checkpoints() {
    let _drawing = seeded(0);
    let own = Generator::new(3);
    let w = draw(1, &[6]).requires_grad();
    let body = |g: &Generator, x: &Tensor, w: &Tensor| {
        let y = dropout(&(x * w).tanh(), 0.5, true);
        y * g.rand_like(x) + g.bernoulli(&x.sigmoid()) * w
    };
    let run = |checkpoints: usize, traced: bool| {
        manual_seed(9);
        own.manual_seed(4);
        let f = |x: &Tensor| {
            let (g, v) = (own.clone(), w.clone());
            let y = match checkpoints {
                0 => body(&g, x, &v),
                1 => checkpoint(move |x| body(&g, &x[0], &v), &[x]),
                _ => {
                    let part = move |x: &[Tensor]| {
                        let (g, v) = (g.clone(), v.clone());
                        checkpoint(move |x| body(&g, &x[0], &v), &[&x[0]])
                    };
                    checkpoint(part, &[x])
                }
            };
            let g = grad(&[&y.square().sum()], &[&w], false).unwrap().remove(0).unwrap();
            (y.detach(), g, rand(&[2]))
        };
        let compiled = trace(f);
        let mut all = Vec::new();
        for i in 0..4u64 {
            let x = draw(20 + i, &[2 + i as usize, 6]);
            let (y, g, r) = if traced && i != 2 { compiled.call(&x).unwrap() } else { f(&x) };
            all.extend([y, g, r].iter().map(copy));
        }
        all.extend([own.rand(&[3], DType::F32), rand(&[3])].iter().map(copy));
        all
    };
    let wanted = run(0, false);
    for checkpoints in 0..3 {
        for traced in [false, true] {
            assert_all_same(&format!("{checkpoints} checkpoints, traced {traced}"), &wanted, &run(checkpoints, traced));
        }
    }
    assert!(difference(&wanted[0], &wanted[3]).is_some());
}

/// In a loop each iteration draws, and its checkpoint recomputes with the same numbers; so does a loop in a checkpoint.
#[test]
fn dropout_in_checkpoints_and_loops() {
    let _drawing = seeded(0);
    let w = draw(1, &[4]).requires_grad();
    let in_loop = |x: &Tensor, parts: bool| {
        let step = |c: &Tensor, e: &Tensor| {
            let v = w.clone();
            let f = move |p: &[Tensor]| dropout(&(&p[0] * &v + &p[1]).tanh(), 0.5, true);
            if parts { checkpoint(f, &[c, e]) } else { f(&[c.clone(), e.clone()]) }
        };
        scan(x.select(0, 0), x.clone(), |c, e| (step(&c, &e), ())).0
    };
    let around = |x: &Tensor, parts: bool| {
        let v = w.clone();
        let f = move |p: &[Tensor]| {
            scan(p[0].select(0, 0), p[0].clone(), |c, e| (dropout(&(&c * &v + &e).tanh(), 0.5, true), ())).0
        };
        if parts { checkpoint(f, &[x]) } else { f(std::slice::from_ref(x)) }
    };
    type Program<'a> = &'a dyn Fn(&Tensor, bool) -> Tensor;
    let programs: [Program<'_>; 2] = [&in_loop, &around];
    for (p, program) in programs.iter().enumerate() {
        let run = |parts: bool, traced: bool| {
            manual_seed(2);
            let f = |x: &Tensor| {
                let y = program(x, parts);
                let g = grad(&[&y.square().sum()], &[&w], false).unwrap().remove(0).unwrap();
                (y.detach(), g)
            };
            let compiled = trace(f);
            let mut all = Vec::new();
            for n in [3, 5, 1, 4] {
                let x = draw(n as u64, &[n, 4]);
                let (y, g) = if traced { compiled.call(&x).unwrap() } else { f(&x) };
                all.extend([y, g].iter().map(copy));
            }
            all.push(copy(&rand(&[3])));
            all
        };
        let wanted = run(false, false);
        for (parts, traced) in [(true, false), (false, true), (true, true)] {
            assert_all_same(&format!("program {p}, checkpoint {parts}, traced {traced}"), &wanted, &run(parts, traced));
        }
    }
}

/// A part that does something else the second time is refused.
#[test]
fn a_part_must_do_the_same_again() {
    let x = draw(1, &[3]).requires_grad();
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let text = trace(|x: &Tensor| {
        let y = {
            let runs = runs.clone();
            checkpoint(
                move |x| {
                    let n = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2;
                    (0..=n).fold(x[0].clone(), |x, _| dropout(&x, 0.5, true))
                },
                &[x],
            )
        };
        y.sum().backward();
    })
    .call(&x)
    .unwrap_err()
    .to_string();
    assert!(text.contains("checkpoint") && text.contains("random numbers"), "{text}");
}
