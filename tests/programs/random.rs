//! Random numbers in a trace: every call draws what the eager program would, from the same generators and in the same
//! order, and leaves them in the same state.

use crate::common::{assert_all_same, assert_same, bits, copy, draw, seeded};
use allotrope::functional::{alpha_dropout, dropout, embedding, feature_dropout};
use allotrope::ops::{bernoulli, normal, rand_like, randint_like, randn_like};
use allotrope::prelude::*;
use allotrope::tensor::random::get_rng_state;

/// Runs `f` on each of the inputs, eagerly, compiled, and now so, now so; demands equal bits and equal states of the
/// default generator after each call, and one compilation.
#[track_caller]
fn agree(what: &str, inputs: &[Tensor], f: impl Fn(&Tensor) -> Vec<Tensor>) {
    let _drawing = seeded(7);
    let run = |f: &mut dyn FnMut(usize, &Tensor) -> Vec<Tensor>| -> Vec<(Vec<Tensor>, Vec<u8>)> {
        manual_seed(7);
        inputs.iter().enumerate().map(|(i, x)| (f(i, &copy(x)), get_rng_state())).collect()
    };
    let eager = run(&mut |_, x| f(x));
    let compiled = trace(|x: &Tensor| f(x));
    let traced = run(&mut |_, x| compiled.call(x).unwrap_or_else(|e| panic!("{what}: {e}")));
    let mixed = run(&mut |i, x| if i % 2 == 0 { f(x) } else { compiled.call(x).unwrap() });
    assert_eq!(compiled.compilations(), 1, "{what}: compilations");
    for (mode, other) in [("traced", traced), ("mixed", mixed)] {
        for (i, ((a, before), (b, after))) in eager.iter().zip(&other).enumerate() {
            assert_all_same(&format!("{what}, {mode}, call {i}"), a, b);
            assert!(before == after, "{what}, {mode}: the state after call {i}");
        }
    }
    let (first, last) = (&eager[0].1, &eager[eager.len() - 1].1);
    assert!(first != last, "{what}: each call draws");
}

/// Inputs of several batch sizes.
fn batches() -> Vec<Tensor> {
    [3, 5, 3, 1, 20, 2].iter().map(|&n| draw(n as u64, &[n, 4])).collect()
}

#[test]
fn draws_of_every_kind() {
    agree("fixed shapes", &batches(), |x| {
        let (a, b, c) = (rand(&[2, 3]), randn(&[5]), randn(&[37]));
        let d = randint(-3, 1 << 40, &[4]);
        let g = default_generator();
        let wide = (g.uniform(&[3], DType::F64, -1.0, 2.0), g.normal_of(&[21], DType::F64, 1.0, 0.5));
        let halves = (g.randn(&[3], DType::F16), g.rand(&[17], DType::BF16));
        let small = (g.random(&[5], DType::U8), g.random(&[5], DType::I32), g.random(&[5], DType::Bool));
        let rest = (g.exponential(&[4], DType::F32, 1.5), g.random(&[3], DType::F64), g.random(&[2], DType::I64));
        vec![
            x + a.sum(),
            a,
            b,
            c,
            d,
            randperm(9),
            wide.0,
            wide.1,
            halves.0,
            halves.1,
            small.0,
            small.1,
            small.2,
            rest.0,
            rest.1,
            rest.2,
            g.bernoulli_of(&[6], DType::F32, 0.3),
            g.bernoulli_of(&[6], DType::I64, 0.3),
            rand(&[0, 3]),
            g.dropout_mask(&[5], DType::F64, 0.25),
        ]
    });
}

fn default_generator() -> &'static Generator {
    allotrope::tensor::random::default_generator()
}

#[test]
fn draws_that_follow_the_batch() {
    agree("like", &batches(), |x| {
        let y = x * 2.0;
        let column = y.narrow(1, 1, 2);
        vec![
            x + randn_like(x),
            rand_like(&y),
            randint_like(&y, 0, 10),
            rand_like(&column),
            randn_like(&y.reshape(&[-1])),
            randn_like(&x.to(DType::F64)),
            randn_like(&y.sum_dim(&[1], true).expand(&[-1, 1])),
        ]
    });
    agree("filled", &batches(), |x| {
        let y = x * 0.0;
        y.uniform_(-1.0, 3.0);
        let z = y.zeros_like();
        z.normal_(1.0, 2.0);
        y.narrow(1, 0, 2).bernoulli_(0.25);
        let n = y.to(DType::I64);
        n.random_range_(-5, 6);
        let w = x.exp();
        w.exponential_(0.5);
        x.random_();
        vec![y, z, n, w, x.clone()]
    });
}

#[test]
fn draws_with_parameters_that_are_computed() {
    agree("bernoulli, normal", &batches(), |x| {
        let p = x.sigmoid();
        let y = x.zeros_like();
        y.bernoulli_(&p.narrow(0, 0, 1));
        let mean = x.sum_dim(&[1], true);
        vec![
            bernoulli(&p),
            bernoulli(&p.to(DType::F64)),
            bernoulli(&p.to(DType::F16)),
            y,
            normal(&mean, &p),
            normal(x, 0.5),
            normal(2.0, &p),
        ]
    });
}

#[test]
fn dropout_of_every_kind_with_gradients() {
    let w = draw(9, &[4, 4]).requires_grad();
    agree("dropout", &batches(), |x| {
        let a = dropout(&x.matmul(&w), 0.3, true);
        let b = alpha_dropout(&a.selu(), 0.2, true);
        let c = feature_dropout(&b.unsqueeze(-1).expand(&[-1, -1, 3]), 0.5, true);
        let whole = dropout(&c, 1.0, true).sum() + dropout(&c, 0.5, false).sum();
        w.set_grad(None);
        (c.sum() + whole).backward();
        vec![a.detach(), b.detach(), c.detach(), copy_of(&w.grad().unwrap())]
    });
}

fn copy_of(t: &Tensor) -> Tensor {
    t * 1.0
}

#[test]
fn a_training_loop_with_dropout() {
    let _drawing = seeded(1);
    let run = |traced: bool| {
        manual_seed(11);
        let (first, second) = (nn::Linear::new(4, 16), nn::Linear::new(16, 1));
        let parameters = [first.parameters(), second.parameters()].concat();
        let opt = optim::Adam::new(parameters.clone(), 0.01);
        let step = |x: &Tensor| {
            let hidden = dropout(&first.forward(&(x + randn_like(x) * 0.1)).relu(), 0.5, true);
            let loss = mse_loss(&second.forward(&hidden), &x.sum_dim(&[1], true));
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        };
        let compiled = trace(step);
        let mut losses = Vec::new();
        for i in 0..12 {
            // Whoever draws between the steps draws from the same stream.
            let x = randn(&[[6, 9, 2][i % 3], 4]);
            losses.push(if traced { compiled.call(&x).unwrap() } else { step(&x) });
        }
        // Gradients exist from the second step on, which is another program.
        assert!(compiled.compilations() <= 2 * usize::from(traced));
        (losses, parameters.iter().map(copy).collect::<Vec<_>>(), get_rng_state())
    };
    let (eager, traced) = (run(false), run(true));
    assert_all_same("losses", &eager.0, &traced.0);
    assert_all_same("parameters", &eager.1, &traced.1);
    assert!(eager.2 == traced.2);
}

#[test]
fn generators_of_ones_own() {
    let make = || (Generator::new(3), Generator::new(4));
    let ((a, b), (c, d)) = (make(), make());
    let program = |g: &Generator, h: &Generator, x: &Tensor| {
        let first = g.randn(&[3], DType::F32);
        let second = h.rand(&[3], DType::F32);
        h.uniform_(x, 0.0, 1.0);
        vec![x + g.rand_like(x), first * second, h.bernoulli(&x.sigmoid())]
    };
    let compiled = trace(|x: &Tensor| program(&c, &d, x));
    for n in [1, 4, 20] {
        let (x, y) = (draw(n, &[n as usize]), draw(n, &[n as usize]));
        assert_all_same("two generators", &program(&a, &b, &x), &compiled.call(&y).unwrap());
        assert_same("the argument", &x, &y);
        assert!(a.get_state() == c.get_state() && b.get_state() == d.get_state());
    }
    assert_eq!(compiled.compilations(), 1);
    // A seed in the program starts each call's draws at the same place.
    let g = Generator::new(1);
    let seeds = trace(|x: &Tensor| {
        g.manual_seed(5);
        x + g.rand(&[2], DType::F32)
    });
    let zero = Tensor::zeros(&[2], DType::F32);
    let want = Generator::new(5).rand(&[2], DType::F32);
    for _ in 0..2 {
        assert_same("after a seed", &seeds.call(&zero).unwrap(), &want);
    }
    let after = Generator::new(5);
    after.rand(&[2], DType::F32);
    assert!(g.get_state() == after.get_state());
}

#[test]
fn recording_draws_nothing() {
    let g = Generator::new(1);
    let before = g.get_state();
    let f = trace(|x: &Tensor| x + g.randn_like(x));
    f.compile(&draw(1, &[3])).unwrap();
    assert!(g.get_state() == before);
    assert_eq!(f.compilations(), 1);
    let _drawing = seeded(2);
    let before = get_rng_state();
    let made = trace(|x: &Tensor| nn::Linear::new(4, 2).forward(x).detach());
    made.compile(&draw(1, &[3, 4])).unwrap();
    assert!(get_rng_state() == before);
    let x = draw(1, &[3, 4]);
    let (one, two) = (made.call(&x).unwrap(), made.call(&x).unwrap());
    assert_ne!(bits(&one), bits(&two), "new numbers on every call");
    manual_seed(2);
    assert_same("a layer made by the program", &one, &nn::Linear::new(4, 2).forward(&x).detach());
}

/// Sequences of several lengths.
fn sequences() -> Vec<Tensor> {
    [(4, 3), (1, 2), (7, 3), (4, 20)].iter().map(|&(t, n)| draw(t as u64, &[t, n, 2])).collect()
}

#[test]
fn draws_in_loops() {
    agree("forwards", &sequences(), |x| {
        let (last, ys) = scan(x.select(0, 0) * 0.0, x.clone(), |h, x| {
            let h = dropout(&(&h + &x + randn_like(&h)), 0.4, true);
            (h.clone(), (rand_like(&x), randint(0, 9, &[2]), h))
        });
        vec![last, ys.0, ys.1, ys.2, rand(&[2])]
    });
    agree("backwards", &sequences(), |x| {
        let (last, ys) = scan_reverse(rand_like(&x.sum_dim(&[0], false)), x.clone(), |h, x| {
            let first = rand(&[2]);
            let h = &h * rand(&[1]) + &x + &first;
            (h, first)
        });
        vec![last, ys]
    });
    agree("nested", &sequences(), |x| {
        let (last, ys) = scan(Tensor::scalar(0.0f32), x.clone(), |sum, x| {
            let before = rand(&[3]);
            let (inner, zs) = scan_reverse(before.sum(), x.clone(), |c, x| {
                let noise = randn(&[2]);
                (&c + (&x * &noise).sum(), noise)
            });
            let after = bernoulli(&inner.sigmoid());
            (&sum + &inner + &after, (before, zs, after))
        });
        vec![last, ys.0, ys.1, ys.2]
    });
}

#[test]
fn draws_in_loops_with_gradients() {
    let w = draw(5, &[2, 2]).requires_grad();
    agree("one loop", &sequences(), |x| {
        let (last, ys) = scan(x.select(0, 0), x.clone(), |h, x| {
            let h = (dropout(&h, 0.5, true).matmul(&w) + &x * rand(&[2])).tanh();
            (h.clone(), h)
        });
        w.set_grad(None);
        (last.sum() + (&ys * &ys).mean()).backward();
        vec![last.detach(), copy_of(&w.grad().unwrap())]
    });
    agree("nested loops", &sequences(), |x| {
        let (last, _) = scan(Tensor::scalar(1.0f32), x.clone(), |c, x| {
            let scale = rand(&[2]);
            let (inner, _) = scan(&scale * &c, x.clone(), |h, x| {
                let h = (dropout(&h, 0.3, true).unsqueeze(0).matmul(&w).squeeze(0) + &x * randn(&[2])).tanh();
                (h, ())
            });
            (inner.sum() + &c * scale.sum(), ())
        });
        w.set_grad(None);
        last.backward();
        vec![last.detach(), copy_of(&w.grad().unwrap())]
    });
}

#[test]
fn a_failed_call_puts_generators_back() {
    let g = Generator::new(1);
    let table = draw(1, &[5, 1]);
    let state = Tensor::zeros(&[2], DType::F32);
    let f = trace(|i: &Tensor| {
        state.add_(&g.rand(&[2], DType::F32));
        let taken = embedding(i, &table, None).reshape(&[-1]);
        taken + g.randn(&[2], DType::F32)
    });
    let (good, bad) = (Tensor::from_vec(vec![0i64, 4], &[2]), Tensor::from_vec(vec![0i64, 5], &[2]));
    let twin = Generator::new(1);
    let same = |f: &mut dyn FnMut() -> Tensor| {
        twin.rand(&[2], DType::F32);
        let want = embedding(&good, &table, None).reshape(&[-1]) + twin.randn(&[2], DType::F32);
        assert_same("a good call", &f(), &want);
        assert!(g.get_state() == twin.get_state());
    };
    for _ in 0..2 {
        let (before, sum) = (g.get_state(), copy(&state));
        let text = f.call(&bad).unwrap_err().to_string();
        assert!(text.contains("index"), "{text}");
        assert!(g.get_state() == before);
        assert_same("state", &state, &sum);
        same(&mut || f.call(&good).unwrap());
    }
    // Probabilities that are none are found by the call too.
    let b = trace(|p: &Tensor| g.bernoulli(&(p * 2.0)));
    let before = g.get_state();
    for p in [0.6f32, f32::NAN, -0.1] {
        let text = b.call(&Tensor::full(&[3], p)).unwrap_err().to_string();
        assert!(text.contains("bernoulli") && text.contains("[0, 1]"), "{text}");
        assert!(g.get_state() == before);
        assert!(g.try_bernoulli(&Tensor::full(&[3], p * 2.0)).is_err());
        assert!(g.get_state() == before);
    }
    b.call(&Tensor::full(&[3], 0.5f32)).unwrap();
    assert_eq!((f.compilations(), b.compilations()), (1, 1));
}

#[test]
fn draws_that_change_with_rust_values_are_refused() {
    let x = draw(1, &[3]);
    let refused = |f: &mut dyn FnMut(&Tensor) -> Tensor, needle: &str| {
        let text = trace(f).call(&x).unwrap_err().to_string();
        assert!(text.contains("twice") && text.contains(needle), "{text}");
    };
    let g = Generator::new(1);
    refused(&mut |x| x + Generator::new(1).rand(&[3], DType::F32), "another generator");
    let mut n = 0.0;
    refused(
        &mut |x| {
            n += 1.0;
            x + g.uniform(&[3], DType::F32, 0.0, n)
        },
        "Uniform",
    );
    let mut n = 0;
    refused(
        &mut |x| {
            n += 1;
            g.manual_seed(n);
            x + g.rand(&[3], DType::F32)
        },
        "seed",
    );
    let mut n = 0;
    refused(
        &mut |x| {
            n += 1;
            (0..n).for_each(|_| drop(g.rand(&[3], DType::F32)));
            x * 1.0
        },
        "random",
    );
    assert!(g.get_state() == Generator::new(1).get_state());
}

/// Numbers are drawn in the order of memory, in a trace as eagerly: a call that lies otherwise is recorded anew.
#[test]
fn shapes_whose_memory_is_in_another_order() {
    let g = Generator::new(1);
    let noise = trace(|x: &Tensor| g.rand_like(x));
    let (x, turned, part) = (draw(1, &[3, 4]), draw(2, &[4, 3]).t(), draw(2, &[3, 9]).narrow(1, 2, 4));
    for (what, x) in [("in order", &x), ("turned", &turned), ("a part", &part), ("turned again", &turned)] {
        let twin = g.fork();
        assert_same(what, &noise.call(x).unwrap(), &twin.rand_like(x));
        assert!(g.get_state() == twin.get_state(), "{what}");
    }
    for f in
        [&(|x: &Tensor| g.rand_like(&x.t())) as &dyn Fn(&Tensor) -> Tensor, &|x| g.rand_like(&(x * 2.0).t()), &|x| {
            g.randn_like(&x.narrow(1, 0, 2).t())
        }]
    {
        let before = g.get_state();
        let y = trace(f).call(&x).unwrap();
        let after = g.get_state();
        g.set_state(&before).unwrap();
        assert_same("as eagerly", &y, &f(&x));
        assert!(g.get_state() == after);
    }
}
