//! Views that no primitive shows, diagonals and strided layouts, are views in both modes: changes in place go through them,
//! with gradients, and they lie as eagerly.

use crate::common::{assert_all_same, copy, panic_text, seeded};
use allotrope::ops::{cat, rand_like, randn_like};
use allotrope::prelude::*;

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| i as f32 + 1.0).collect(), shape)
}

/// Eagerly, and twice in each form; gives the results.
fn both(what: &str, shapes: &[&[usize]], program: &dyn Fn(&Tensor) -> Vec<Tensor>) -> Vec<Tensor> {
    let mut first = Vec::new();
    let traced = trace(|x: &Tensor| program(x));
    let dynamic = trace_dynamic(|x: &Tensor| program(x));
    for shape in shapes {
        let run = |f: &dyn Fn(&Tensor) -> Vec<Tensor>| {
            let _held = seeded(3);
            let x = ramp(shape);
            let mut all: Vec<Tensor> = f(&x).iter().map(copy).collect();
            all.push(x);
            all
        };
        let eager = run(program);
        for call in 0..2 {
            let what = format!("{what} of {shape:?}, call {call}");
            assert_all_same(&what, &run(&|x| traced.call(x).unwrap_or_else(|e| panic!("{what}: {e}"))), &eager);
            let what = format!("dynamic {what}");
            assert_all_same(&what, &run(&|x| dynamic.call(x).unwrap_or_else(|e| panic!("{what}: {e}"))), &eager);
        }
        if first.is_empty() {
            first = eager;
        }
    }
    first
}

fn numbers(x: &Tensor) -> Tensor {
    let mut all: Vec<f32> = x.strides().iter().map(|&s| s as f32).collect();
    all.push(f32::from(u8::from(x.is_contiguous())));
    all.iter().fold(Tensor::zeros(&[0], DType::F32), |all, &n| cat(&[&all, &Tensor::full(&[1], n)], 0))
}

const SQUARES: &[&[usize]] = &[&[3, 3], &[2, 4], &[4, 2], &[1, 3], &[1, 1], &[0, 2]];

type View = fn(&Tensor) -> Tensor;

/// Views of a matrix that are a diagonal or strided, or lie beyond one.
const VIEWS: &[(&str, View)] = &[
    ("diagonal", |x| x.diagonal(0, 0, 1)),
    ("beside it", |x| x.diagonal(1, 0, 1)),
    ("below it", |x| x.diagonal(-1, 1, 0)),
    ("flat", |x| x.diagonal(0, 0, 1).view(&[-1])),
    ("a part", |x| x.diagonal(0, 0, 1).slice(0, None, None, 2)),
    ("of the transposed", |x| x.t().diagonal(0, 0, 1)),
    ("of a batch", |x| x.unsqueeze(0).expand(&[1, -1, -1]).diagonal(0, 1, 2).t()),
    ("of a column", |x| x.unsqueeze(2).diagonal(0, 1, 2).reshape(&[-1])),
    ("diagonal of windows", |x| x.unsqueeze(2).unfold(2, 1, 1).diagonal(0, 0, 1)),
];

#[test]
fn diagonals_are_views() {
    for &(name, view) in VIEWS {
        both(name, SQUARES, &|x| {
            let y = x * 1.0;
            let older = y.t().diagonal(0, 0, 1);
            view(&y).add_(100.0);
            vec![y, older * 1.0]
        });
        both(&format!("{name}, of an argument"), SQUARES, &|x| {
            view(x).mul_(2.0);
            vec![view(x) * 1.0]
        });
        both(&format!("{name}, the whole changed"), SQUARES, &|x| {
            let y = x * 1.0;
            let v = view(&y);
            y.mul_(3.0);
            vec![v * 1.0]
        });
        both(&format!("{name}, as numbers"), SQUARES, &|x| vec![numbers(&view(x)), numbers(&view(&(x * 1.0).t()))]);
    }
}

const STRIDED: &[(&str, View)] = &[
    ("as it is", |x| x.as_strided(&[2, 2], &[2, 1], 0)),
    ("transposed", |x| x.as_strided(&[2, 2], &[1, 2], 0)),
    ("then transposed", |x| x.as_strided(&[2, 2], &[2, 1], 0).t()),
    ("apart", |x| x.as_strided(&[2], &[3], 0)),
    ("one", |x| x.as_strided(&[], &[], 3)),
    ("none", |x| x.as_strided(&[0, 2], &[5, 7], 1)),
    ("of a part", |x| x.narrow(0, 1, 1).as_strided(&[2], &[2], 0)),
    ("of the transposed", |x| x.t().as_strided(&[2, 2], &[1, 2], 0)),
    ("of a diagonal", |x| x.diagonal(0, 0, 1).as_strided(&[3], &[1], 1)),
    ("of itself", |x| x.as_strided(&[2], &[1], 2).as_strided(&[4], &[1], 0)),
];

#[test]
fn strided_layouts_are_views() {
    let shapes: &[&[usize]] = &[&[2, 3], &[3, 3], &[2, 2]];
    for &(name, view) in STRIDED {
        both(name, shapes, &|x| {
            let y = x * 1.0;
            let older = view(&y);
            view(&y).add_(100.0);
            y.add_(0.5);
            vec![y, &older * 1.0, numbers(&older)]
        });
        both(&format!("{name}, of an argument"), shapes, &|x| {
            view(x).mul_(2.0);
            vec![view(x) * 1.0, numbers(&view(x))]
        });
    }
    // Elements that share memory are read, and not changed.
    let read = both("shared", shapes, &|x| vec![x.as_strided(&[2, 2], &[1, 1], 0).t() * 1.0]);
    assert_eq!(read[0].to_vec::<f32>(), [1.0, 2.0, 2.0, 3.0]);
    let change = |x: &Tensor| drop((x * 1.0).as_strided(&[2, 2], &[1, 1], 0).add_(1.0).detach());
    assert!(panic_text(|| change(&ramp(&[3]))).contains("share memory"));
    let error = trace(|x: &Tensor| change(x)).call(&ramp(&[3])).unwrap_err().to_string();
    assert!(error.contains("share memory"), "{error}");
}

/// The offset counts from the beginning of the memory, whatever the tensor shows of it.
#[test]
fn offsets_count_from_the_beginning_of_memory() {
    let part = Tensor::arange(8).index(4..);
    assert_eq!(part.as_strided(&[3], &[1], 1).to_vec::<i64>(), [1, 2, 3]);
    assert_eq!(part.as_strided(&[2], &[3], 4).to_vec::<i64>(), [4, 7]);
    assert_eq!(Tensor::arange(6).reshape(&[2, 3]).t().as_strided(&[6], &[1], 0).to_vec::<i64>(), [0, 1, 2, 3, 4, 5]);
    assert!(part.try_as_strided(&[3], &[1], 6).is_err());
    assert!(part.try_as_strided(&[2], &[usize::MAX], 1).is_err());
    assert!(part.try_as_strided(&[usize::MAX, usize::MAX], &[1, 1], 1).is_err());
    let traced = trace(|x: &Tensor| (x * 1).index(4..).as_strided(&[3], &[1], 1) + 0);
    assert_eq!(traced.call(&Tensor::arange(8)).unwrap().to_vec::<i64>(), [1, 2, 3]);
    // The memory before an argument.
    let f = trace(|x: &Tensor| x.as_strided(&[2], &[1], 0) + 0);
    assert_eq!(f.call(&Tensor::arange(8)).unwrap().to_vec::<i64>(), [0, 1]);
    assert_eq!(f.call(&part).unwrap().to_vec::<i64>(), [0, 1]);
    assert_eq!(f.call(&Tensor::arange(5)).unwrap().to_vec::<i64>(), [0, 1]);
    // A captured one has it.
    let whole = Tensor::arange(8);
    let seen = whole.index(4..);
    let g = trace(|x: &Tensor| seen.as_strided(&[3], &[1], 1) + x);
    assert_eq!(g.call(&Tensor::arange(3)).unwrap().to_vec::<i64>(), [1, 3, 5]);
    whole.add_(10);
    assert_eq!(g.call(&Tensor::arange(3)).unwrap().to_vec::<i64>(), [11, 13, 15]);
}

#[test]
fn gradients_follow_changes_through_diagonals() {
    let run = |traced: bool| {
        let (x, src) = (ramp(&[2, 2]).requires_grad(), ramp(&[2]).requires_grad());
        let f = |x: &Tensor, src: &Tensor| {
            let y = x * 1.0;
            y.diagonal(0, 0, 1).copy_(src);
            y.sum()
        };
        let loss = if traced { trace(f).call((&x, &src)).unwrap() } else { f(&x, &src) };
        loss.backward();
        vec![loss.detach(), x.grad().unwrap(), src.grad().unwrap()]
    };
    let eager = run(false);
    assert_eq!(eager[1].to_vec::<f32>(), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(eager[2].to_vec::<f32>(), [1.0, 1.0]);
    assert_all_same("outside", &run(true), &eager);
    // Inside, also of strided layouts, of the whole after the change, and twice.
    for &(name, view) in VIEWS.iter().chain(STRIDED) {
        both(&format!("gradient through {name}"), &[&[3, 3], &[3, 4]], &|x| {
            let a = (x * 0.5).detach().requires_grad();
            let y = &a * &a;
            let v = view(&y);
            v.mul_(3.0);
            let older = (&y * &y).sum() + (&v * 2.0).sum();
            let first = grad(&[&older], &[&a], true).unwrap().remove(0).unwrap();
            let second = grad(&[&(&first * &first).sum()], &[&a], false).unwrap().remove(0).unwrap();
            vec![y.detach(), first.detach(), second]
        });
    }
    let got = both("strided with shared elements", &[&[4]], &|x| {
        let a = (x * 1.0).detach().requires_grad();
        let y = a.as_strided(&[2, 2], &[1, 1], 1);
        (&y * &y).sum().backward();
        vec![a.grad().unwrap()]
    });
    assert_eq!(got[0].to_vec::<f32>(), [0.0, 4.0, 12.0, 8.0]);
}

/// Draws follow memory.
#[test]
fn draws_in_the_shape_of_diagonals() {
    both("rand_like", SQUARES, &|x| vec![rand_like(&x.diagonal(0, 0, 1)), randn_like(&(x * 1.0).diagonal(1, 0, 1))]);
    both("fill", SQUARES, &|x| {
        let y = x * 1.0;
        y.diagonal(0, 0, 1).uniform_(0.0, 1.0);
        vec![y]
    });
}

/// A diagonal that was taken outside is one inside.
#[test]
fn captured_diagonals() {
    let run = |traced: bool| {
        let whole = ramp(&[3, 3]);
        let diagonal = whole.diagonal(0, 0, 1);
        let f = |x: &Tensor| {
            let before = &diagonal * x;
            diagonal.add_(x);
            whole.mul_(2.0);
            (before, &diagonal * 1.0)
        };
        let traced = if traced { Some(trace(f)) } else { None };
        let mut all = Vec::new();
        for i in 0..3 {
            let x = ramp(&[3]) * f64::from(i);
            let (a, b) = traced.as_ref().map_or_else(|| f(&x), |t| t.call(&x).unwrap());
            all.extend([copy(&a), copy(&b), copy(&whole), copy(&diagonal)]);
        }
        all
    };
    assert_all_same("captured", &run(true), &run(false));
}
