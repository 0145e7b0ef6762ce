//! New tensors lie in a trace as they do eagerly, whatever the arguments' layouts: results of calls, gradients, draws, and
//! the views that such layouts allow. A layout is another variant only where something of it can be seen.

use crate::common::{assert_all_same, copy, seeded};
use allotrope::functional::{self as f, FoldOptions, dropout};
use allotrope::ops::{rand_like, randint_like, randn_like, where_};
use allotrope::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| (i as f32 * 0.7).sin()).collect(), shape)
}

/// A tensor of this shape for each way in which a matrix or more can lie.
fn laid(layout: usize, shape: &[usize]) -> Tensor {
    let (last, n) = (shape.len() as isize - 1, shape[shape.len() - 1]);
    let mut turned: Vec<usize> = shape.to_vec();
    match layout {
        0 => ramp(shape),
        1 => {
            turned.swap(0, shape.len() - 1);
            ramp(&turned).transpose(0, last)
        }
        2 => {
            turned[shape.len() - 1] = n + 2;
            ramp(&turned).narrow(last, 1, n)
        }
        3 => {
            turned[shape.len() - 1] = 2 * n;
            ramp(&turned).slice(last, None, None, 2)
        }
        4 => {
            turned.rotate_left(1);
            let axes: Vec<isize> = std::iter::once(last).chain(0..last).collect();
            ramp(&turned).permute(&axes)
        }
        _ => {
            turned[0] = 1;
            let sizes: Vec<isize> = shape.iter().map(|&n| n as isize).collect();
            ramp(&turned).expand(&sizes)
        }
    }
}

const LAYOUTS: usize = 6;
const SHAPES: &[&[usize]] =
    &[&[3, 4], &[1, 4], &[3, 1], &[1, 1], &[0, 3], &[2, 3, 4], &[1, 3, 4], &[2, 1, 3], &[2, 3, 2, 4]];

/// What a call gives, with how it lies; nothing where it fails.
type Outcome = Option<(Vec<Tensor>, Vec<Vec<isize>>)>;

fn outcome(call: impl FnOnce() -> Option<Vec<Tensor>>) -> Outcome {
    let _held = seeded(11);
    let results = catch_unwind(AssertUnwindSafe(call)).ok().flatten()?;
    let strides = results.iter().map(|t| t.strides().to_vec()).collect();
    Some((results.iter().map(copy).collect(), strides))
}

fn assert_same(what: &str, got: &Outcome, wanted: &Outcome) {
    match (got, wanted) {
        (Some((a, s)), Some((b, t))) => {
            assert_all_same(what, a, b);
            // Whether a gradient is a copy, which has the strides of its leaf also along axes of one element, depends on how many
            // hold it.
            let wide = |all: &[Vec<isize>]| -> Vec<Vec<isize>> {
                let strides = |(t, s): (&Tensor, &Vec<isize>)| {
                    s.iter().zip(t.shape()).filter(|(_, n)| **n > 1 && t.numel() > 0).map(|(s, _)| *s).collect()
                };
                a.iter().zip(all).map(strides).collect()
            };
            // Nothing lies anywhere without elements; eagerly an empty tensor is dropped out of by giving it back.
            match what.contains("gradient") || a.iter().any(|t| t.numel() == 0) {
                true => assert_eq!(wide(s), wide(t), "strides of {what}"),
                false => assert_eq!(s, t, "strides of {what}"),
            }
        }
        (None, None) => {}
        (a, b) => panic!("{what}: succeeds {}, eagerly {}", a.is_some(), b.is_some()),
    }
}

type Program = fn(&Tensor) -> Vec<Tensor>;

/// One function of each form through all layouts of a rank, there and back; gives the number of variants of the traced one.
fn check(name: &str, program: Program) {
    let mut calls: Vec<(usize, &[usize])> = Vec::new();
    SHAPES.iter().for_each(|shape| calls.extend((0..LAYOUTS).map(|layout| (layout, *shape))));
    for backwards in [false, true] {
        if backwards {
            calls.reverse();
        }
        let traced = trace(program);
        let dynamic = trace_dynamic(program);
        for &(layout, shape) in &calls {
            let what = format!("{name}: layout {layout} of {shape:?}, {backwards}");
            let wanted = outcome(|| Some(program(&laid(layout, shape))));
            assert_same(&what, &outcome(|| traced.call(&laid(layout, shape)).ok()), &wanted);
            assert_same(&format!("dynamic {what}"), &outcome(|| dynamic.call(&laid(layout, shape)).ok()), &wanted);
        }
    }
}

const PROGRAMS: &[(&str, Program)] = &[
    ("a number", |x| vec![x * 2.0]),
    ("unary", |x| vec![x.exp()]),
    ("chain", |x| vec![(x * 2.0 + 1.0).tanh().neg()]),
    ("two", |x| vec![x + &x.flip(&[0])]),
    ("itself", |x| vec![x * x, x + 1.0]),
    ("fresh beside it", |x| vec![x + &x.contiguous(), &x.contiguous() + x]),
    ("broadcast", |x| vec![x + &x.narrow(0, 0, x.size(0).min(1)), &x.narrow(0, 0, x.size(0).min(1)) * x]),
    ("transposed", |x| vec![x.transpose(0, -1) * 2.0]),
    ("mixed", |x| vec![&(x.transpose(0, -1) * 2.0).transpose(0, -1) + x]),
    ("compare", |x| vec![x.gt(0.0), x.le(&(x * 2.0))]),
    ("choice", |x| vec![where_(&x.gt(0.0), x, &(x * 0.5)), x.clamp(-0.5, 0.5)]),
    ("cast", |x| vec![x.to(DType::F64), x.to(DType::F16) * 2.0, x.to(DType::I64)]),
    ("flip", |x| vec![x.flip(&[0]), x.flip(&[-1]) * 2.0]),
    ("view of it", |x| vec![(x * 2.0).view(&[-1])]),
    ("view of the transposed", |x| vec![(x * 2.0).transpose(0, -1).view(&[-1])]),
    ("reshape", |x| vec![(x * 2.0).reshape(&[-1]) + 1.0]),
    ("reshape and back", |x| vec![((x * 2.0).reshape(&[-1]) + 1.0).reshape_as(x) * 3.0]),
    ("contiguous", |x| vec![(x * 2.0).contiguous(), (x * 2.0).contiguous() * 1.5]),
    ("views of a result", |x| {
        let y = x * 2.0;
        vec![y.transpose(0, -1), y.narrow(0, 0, 1), y.unsqueeze(0), y]
    }),
    ("only the view", |x| vec![(x * 2.0).transpose(0, -1)]),
    ("changed in place", |x| {
        let y = x * 2.0;
        y.mul_(3.0);
        y.narrow(0, 0, 1).add_(1.0);
        vec![&y * 1.0, y]
    }),
    ("reduced", |x| vec![(x * 2.0).sum(), (x * 2.0).sum_dim(&[0], true) + x]),
    ("matrix product", |x| vec![x.mt().matmul(x) * 2.0]),
    ("detached", |x| vec![(x * 2.0).detach() + 1.0]),
    ("asked", |x| {
        let y = x * 2.0;
        let strides: Vec<f32> = y.strides().iter().map(|&s| s as f32).collect();
        vec![y * if x.is_contiguous() { 1.0 } else { 2.0 }, Tensor::full(&[1], strides.iter().sum::<f32>())]
    }),
    ("gradient", |x| {
        let a = (x * 0.5).detach().requires_grad();
        ((&a * &a).tanh() * x).sum().backward();
        vec![a.grad().unwrap()]
    }),
    ("gradient of a transposed leaf", |x| {
        let a = (x.transpose(0, -1) * 0.5).detach().requires_grad();
        (&a * &x.transpose(0, -1)).sum().backward();
        (&a * 2.0).sum().backward();
        vec![a.grad().unwrap(), a]
    }),
    ("rand_like", |x| vec![rand_like(x), rand_like(&x.transpose(0, -1)), rand_like(&(x * 2.0))]),
    ("randn_like", |x| vec![randn_like(x), randn_like(&(x * 2.0).transpose(0, -1)) * 2.0]),
    ("randint_like", |x| vec![randint_like(x, 0, 100)]),
    ("fill", |x| {
        let y = x * 2.0;
        y.uniform_(0.0, 1.0);
        y.transpose(0, -1).normal_(0.0, 1.0);
        let z = y.narrow(0, 0, x.size(0).min(1));
        z.normal_(1.0, 2.0);
        vec![y]
    }),
    ("dropout", |x| vec![dropout(x, 0.5, true), dropout(&(x * 2.0).transpose(0, -1), 0.3, true)]),
];

#[test]
fn results_lie_as_eagerly() {
    PROGRAMS.iter().for_each(|&(name, program)| check(name, program));
}

/// The layouts of one rank through one function: how many variants it takes.
fn variants(program: impl Fn(&Tensor) -> Tensor + Send + 'static, layouts: &[usize]) -> usize {
    let f = trace(program);
    for shape in [[3, 4], [5, 2], [2, 7]] {
        layouts.iter().for_each(|&layout| drop(f.call(&laid(layout, &shape)).unwrap()));
    }
    f.compilations()
}

#[test]
fn a_layout_is_another_variant_only_where_it_is_seen() {
    assert_eq!(variants(|x| (x * 2.0).exp().sum(), &[0, 1, 2, 3, 5]), 1);
    assert_eq!(variants(|x| x.exp().sum_dim(&[0], false), &[0, 1, 2, 3, 5]), 1);
    assert_eq!(variants(|x| x.exp().reshape(&[-1]).cumsum(0), &[0, 1, 2, 3, 5]), 1);
    assert_eq!(variants(|x| (x.reshape(&[-1]).matmul(&x.reshape(&[-1]))).tanh(), &[0, 1, 2]), 1);
    // What has gaps gives results in its order, without them.
    assert_eq!(variants(|x| x.exp(), &[0, 2, 3]), 1);
    assert_eq!(variants(|x| x.exp(), &[0, 1, 2, 3]), 2);
    assert_eq!(variants(|x| x.t().exp(), &[0, 1, 2, 3]), 2);
    assert_eq!(variants(rand_like, &[0, 2, 3]), 1);
    assert_eq!(variants(rand_like, &[0, 1, 2, 3]), 2);
    assert_eq!(variants(|x| randn_like(x).sum(), &[0, 1]), 2);
}

/// What is handed out is a tensor of its own, however it lies.
#[test]
fn results_in_another_order_are_tensors_of_their_own() {
    let x = ramp(&[4, 3]).t();
    let f = trace(|x: &Tensor| x * 2.0);
    let (y, z) = (f.call(&x).unwrap(), f.call(&x).unwrap());
    assert_eq!(y.strides()[..], [1, 3]);
    assert!(y.is_leaf());
    y.mul_(2.0);
    assert_all_same("after the change", &[y.contiguous()], &[z.contiguous() * 2.0]);
    // They can be viewed as eagerly.
    assert_eq!(z.t().view(&[-1]).shape(), [12]);
    assert!(z.try_view(&[-1]).is_err());
    // Captured tensors lie as they do in every call.
    let g = trace(move |y: &Tensor| &x + y);
    assert_eq!(g.call(&ramp(&[3, 4])).unwrap().strides()[..], [1, 3]);
    assert_eq!(g.call(&ramp(&[4, 3]).t()).unwrap().strides()[..], [1, 3]);
    assert_eq!(g.compilations(), 1);
}

/// Gradients that a call leaves outside, and results with a history.
#[test]
fn gradients_lie_as_eagerly() {
    for layout in 0..LAYOUTS {
        let run = |traced: bool| {
            let leaf = |layout| laid(layout, &[3, 4]).detach().requires_grad();
            let (w, x) = (leaf(layout), leaf(1));
            let inside = |y: &Tensor| {
                (&w * y).tanh().sum().backward();
                y * 2.0
            };
            let outside = |x: &Tensor| x * &w.detach();
            let y = laid(1, &[3, 4]);
            let mut seen = Vec::new();
            let (f, g) = (trace(inside), trace(outside));
            for _ in 0..2 {
                seen.push(if traced { f.call(&y).unwrap() } else { inside(&y) });
                seen.push(w.grad().unwrap());
                let out = if traced { g.call(&x).unwrap() } else { outside(&x) };
                out.sum().backward();
                seen.extend([x.grad().unwrap(), out.detach()]);
            }
            seen
        };
        let what = format!("layout {layout}");
        assert_same(&what, &outcome(|| Some(run(true))), &outcome(|| Some(run(false))));
    }
}

/// What PyTorch gives in an order of its own, or always in row-major order.
#[test]
fn strides_are_pytorch_s() {
    let pixels = |shape: &[usize]| {
        let last = shape.len() as isize;
        let turned: Vec<usize> =
            shape.iter().copied().take(1).chain(shape[2..].iter().copied()).chain([shape[1]]).collect();
        let axes: Vec<isize> = [0, last - 1].into_iter().chain(1..last - 1).collect();
        ramp(&turned).permute(&axes)
    };
    let check = |what: &str, inputs: &[Tensor], wanted: &[isize], call: fn(&[Tensor]) -> Tensor| {
        let traced = trace(move |x: &[Tensor]| call(x));
        assert_eq!(call(inputs).strides()[..], *wanted, "{what}");
        assert_eq!(traced.call(inputs).unwrap().strides()[..], *wanted, "{what}, traced");
    };
    let conv = |x: &[Tensor]| f::conv1d(&x[0], &x[1], None, Default::default());
    check("rows of pixels", &[pixels(&[3, 2, 5]), ramp(&[2, 2, 3])], &[6, 3, 1], conv);
    check("weights by pixels", &[ramp(&[3, 2, 5]), pixels(&[2, 2, 3])], &[6, 1, 2], conv);
    let whole = pixels(&[3, 2, 5]).to(DType::I64);
    check("whole numbers", &[whole, ramp(&[2, 2, 3]).to(DType::I64)], &[6, 3, 1], conv);
    let unfold =
        |x: &[Tensor]| f::unfold(&x[0], [2, 2], FoldOptions { padding: [1, 0], stride: [2, 2], ..Default::default() });
    check("columns", &[ramp(&[3, 1, 5, 2])], &[12, 3, 1], unfold);
    check("columns of a sample", &[ramp(&[1, 5, 2])], &[3, 1], unfold);
    let fold = |x: &[Tensor]| f::fold(&x[0], [2, 2], [2, 2], FoldOptions { padding: [1, 1], ..Default::default() });
    check("folded", &[ramp(&[2, 4, 9])], &[4, 4, 2, 1], fold);
    let norm = |x: &[Tensor]| {
        let (mean, var) = (Tensor::zeros(&[5], DType::F32), Tensor::ones(&[5], DType::F32));
        f::batch_norm(&x[0], Some(&mean), Some(&var), Default::default())
    };
    check("pixels", &[pixels(&[4, 5, 4, 3])], &[60, 1, 15, 5], norm);
    check("a column of pixels", &[ramp(&[80]).as_strided(&[4, 5, 4, 1], &[20, 1, 5, 20], 0)], &[20, 1, 5, 5], norm);
    check("pixels with gaps", &[ramp(&[160]).as_strided(&[4, 5, 4, 1], &[40, 1, 10, 40], 0)], &[20, 4, 1, 1], norm);
    check("columns of pixels", &[ramp(&[240]).as_strided(&[4, 5, 4, 3], &[60, 1, 5, 20], 0)], &[60, 12, 3, 1], norm);
    let attention = |x: &[Tensor]| f::scaled_dot_product_attention(&x[0], &x[1], &x[2], Default::default());
    let (query, rows) = (ramp(&[2, 4, 2]).transpose(0, 1), ramp(&[4, 2, 2]));
    let gaps = ramp(&[4, 2, 4]).slice(2, None, None, 2);
    check("queries in another order", &[query.clone(), rows.clone(), rows.clone()], &[2, 8, 1], attention);
    check("values apart", &[query, rows, gaps], &[4, 2, 1], attention);
}

/// Gaps are not an order: one trace is asked about both.
#[test]
fn gaps_are_another_variant_where_they_are_seen() {
    let norm = |x: &Tensor| {
        let (mean, var) = (Tensor::zeros(&[2], DType::F32), Tensor::ones(&[2], DType::F32));
        f::batch_norm(x, Some(&mean), Some(&var), Default::default())
    };
    let traced = trace(move |x: &Tensor| norm(x));
    let wide = ramp(&[2, 3, 3, 4]);
    for x in [wide.narrow(3, 0, 2), wide.slice(3, None, None, 2), ramp(&[2, 3, 3, 2]), wide.narrow(3, 2, 2)] {
        for x in [x.permute(&[0, 3, 1, 2]), x] {
            let x = if x.shape()[1] == 2 { x } else { x.transpose(1, 3) };
            assert_eq!(traced.call(&x).unwrap().strides(), norm(&x).strides(), "{:?}", x.strides());
        }
    }
}
