//! Corners that the table of numbers has no row for: products by 0 and by infinities, attention beside NaN, gradients that are none
//! or stay 0. Every value is PyTorch's, in both modes.

use crate::common::difference;
use allotrope::functional::{AttentionOptions, scaled_dot_product_attention};
use allotrope::ops::{GradOptions, grad_with, xlogy};
use allotrope::prelude::*;

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

fn matrix(rows: &[[f32; 2]]) -> Tensor {
    Tensor::from_vec(rows.concat(), &[rows.len(), 2])
}

/// What `f` gives of the arguments, in both modes, in row-major order.
#[track_caller]
fn gives(f: fn(&Tensor, &Tensor, &Tensor) -> Tensor, args: [&Tensor; 3], wanted: &[f32]) {
    let [a, b, c] = args;
    let eager = f(a, b, c);
    let traced = trace(f).call((a, b, c)).unwrap();
    assert_eq!(difference(&eager, &traced), None);
    let got = eager.to_vec::<f32>();
    let alike = got.len() == wanted.len() && got.iter().zip(wanted).all(|(x, y)| x == y || (x.is_nan() && y.is_nan()));
    assert!(alike, "{got:?}, wanted {wanted:?}");
}

#[test]
fn a_product_by_nothing_counts_for_nothing() {
    let (z, x, y) =
        (matrix(&[[NAN, 1.0], [INF, 0.0]]), matrix(&[[1.0, 0.0], [2.0, 3.0]]), matrix(&[[1.0, INF], [0.0, 2.0]]));
    gives(|z, x, y| z.addmm(x, y, 1, 0), [&z, &x, &y], &[NAN, 1.0, INF, 0.0]);
    gives(|z, x, y| z.addmm(x, y, 0, 0), [&z, &x, &y], &[0.0; 4]);
    let batch = |z: &Tensor, x: &Tensor, y: &Tensor| z.baddbmm(&x.unsqueeze(0), &y.unsqueeze(0), 1, 0);
    gives(batch, [&z, &x, &y], &[NAN, NAN, INF, NAN]);
}

/// The gradients of both factors.
fn by_factors(of: impl Fn(&Tensor, &Tensor) -> Tensor, a: &Tensor, b: &Tensor, g: &Tensor) -> Tensor {
    let (a, b) = (a.detach().requires_grad(), b.detach().requires_grad());
    let y = of(&a, &b);
    let g = g.view(&y.shape().iter().map(|&n| n as isize).collect::<Vec<_>>());
    let how = GradOptions { grad_outputs: &[Some(&g)], ..GradOptions::default() };
    let found = grad_with(&[&y], &[&a, &b], how).unwrap();
    let found: Vec<Tensor> = found.into_iter().map(Option::unwrap).collect();
    cat(&found.iter().map(|g| g.view(&[-1])).collect::<Vec<_>>().iter().collect::<Vec<_>>(), 0)
}

#[test]
fn gradients_of_factors_are_multiplied_last() {
    let (a, b, g) =
        (matrix(&[[1.0, -1.0], [0.5, 2.0]]), matrix(&[[1.0, 2.0], [3.0, -1.0]]), matrix(&[[1.0, -2.0], [0.0, 1.0]]));
    let wanted = [-INF, INF, INF, -INF, INF, -INF, -INF, INF];
    let one = |a: &Tensor| Tensor::zeros(&[1], a.dtype());
    assert_eq!(by_factors(|a, b| one(a).addmm(a, b, 1, f64::INFINITY), &a, &b, &g).to_vec::<f32>(), wanted);
    let batches = |a: &Tensor, b: &Tensor| one(a).baddbmm(&a.unsqueeze(0), &b.unsqueeze(0), 1, f64::INFINITY);
    assert_eq!(by_factors(batches, &a, &b, &g).to_vec::<f32>(), wanted);
}

#[test]
fn a_gradient_of_zero_stays_one() {
    let row = |v: [f32; 4]| Tensor::from_vec(v.to_vec(), &[4]);
    let (a, b, g) = (row([-1.0, -1.0, 0.0, 1.0]), row([-2.0, -2.0, 0.0, 0.0]), row([0.0, 1.0, 0.0, 0.0]));
    gives(
        |a, b, g| {
            let a = a.detach().requires_grad();
            let how = GradOptions { grad_outputs: &[Some(g)], ..GradOptions::default() };
            grad_with(&[&xlogy(&a, b)], &[&a], how).unwrap().remove(0).unwrap()
        },
        [&a, &b, &g],
        &[0.0, NAN, 0.0, 0.0],
    );
}

#[test]
fn how_many_are_not_zero_has_no_gradient() {
    let x = matrix(&[[1.0, 0.0]]).requires_grad();
    x.norm_dim(0.0, &[], false).backward();
    assert!(x.grad().is_none());
}

#[test]
fn nan_behind_a_causal_mask() {
    let q = matrix(&[[0.0, 1.0], [2.0, 3.0]]).unsqueeze(0);
    let k = matrix(&[[0.0, 1.0], [NAN, 3.0]]).unsqueeze(0);
    let v = Tensor::from_vec(vec![1.0f32, 3.0], &[1, 2, 1]);
    let causal = |q: &Tensor, k: &Tensor, v: &Tensor| {
        scaled_dot_product_attention(q, k, v, AttentionOptions { is_causal: true, ..AttentionOptions::default() })
    };
    // Values of another width are no case of the fused kernel: the mask is added.
    gives(causal, [&q, &k, &v], &[NAN, NAN]);
    let wide = matrix(&[[1.0, 2.0], [3.0, 4.0]]).unsqueeze(0);
    gives(causal, [&q, &k, &wide], &[1.0, 2.0, NAN, NAN]);
}

/// What was recorded for one size holds for others: of one element that is -0.0, of infinities, of other batches beside a NaN.
#[test]
fn other_sizes_in_one_trace() {
    let mean = |x: &Tensor| x.var_mean(&[], 1.0, false).1;
    let traced = trace(mean);
    for data in [vec![1.0f32, 2.0, 3.0], vec![-0.0], vec![INF], vec![INF, 1.0], vec![-0.0, -0.0]] {
        let x = Tensor::from_slice(&data, &[data.len()]);
        assert_eq!(difference(&mean(&x), &traced.call(&x).unwrap()), None, "{data:?}");
    }
    let causal = |q: &Tensor, k: &Tensor, v: &Tensor| {
        scaled_dot_product_attention(q, k, v, AttentionOptions { is_causal: true, ..AttentionOptions::default() })
    };
    let traced = trace(causal);
    let pair =
        |batch: usize| matrix(&[[1.0, 2.0], [3.0, NAN]]).unsqueeze(0).expand(&[batch as isize, 2, 2]).contiguous();
    for (q, k) in [(2, 2), (3, 3), (2, 1), (1, 2)] {
        let (q, k) = (pair(q), pair(k));
        assert_eq!(difference(&causal(&q, &k, &k), &traced.call((&q, &k, &k)).unwrap()), None);
    }
}
