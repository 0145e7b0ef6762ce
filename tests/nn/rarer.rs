//! Layers that few programs use, with PyTorch's values from the same seeds: fractional pooling and
//! `LinearCrossEntropyLoss`, eagerly and traced with equal bits.

use crate::{bits, refused, seeded};
use allotrope::functional::{FractionalSize, try_fractional_max_pool2d};
use allotrope::ops::grad;
use allotrope::prelude::*;

#[track_caller]
fn close(what: &str, got: &Tensor, want: &[f32]) {
    let got = got.to_vec::<f32>();
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (x, y)) in got.iter().zip(want).enumerate() {
        assert!((x - y).abs() <= 2e-6 * (1.0 + y.abs()), "{what}: element {i} is {x}, wanted {y}");
    }
}

fn gradient(y: &Tensor, x: &Tensor) -> Tensor {
    grad(&[y], &[x], false).unwrap().remove(0).expect("a gradient")
}

/// Values, places and the gradient of the values weighted by 1, 2, ...
fn pooled_with_gradient(pool: &nn::FractionalMaxPool2d, x: &Tensor) -> (Tensor, Tensor, Tensor) {
    let (y, places) = pool.forward_with_indices(x);
    let weights = Tensor::linspace(1.0, 18.0, 18).reshape(&[1, 2, 3, 3]);
    let g = gradient(&(&y * weights).sum(), x);
    (y.detach(), places, g)
}

#[test]
fn fractional_pooling_draws_pytorchs_windows() {
    let guard = seeded(1);
    let x = randn(&[1, 2, 5, 7]).requires_grad();
    let pool = nn::FractionalMaxPool2d::new([2, 3], FractionalSize::Ratio([0.7, 0.5]));
    assert_eq!(pool.to_string(), "FractionalMaxPool2d()");
    let state = allotrope::tensor::random::get_rng_state();
    let (y, places, g) = pooled_with_gradient(&pool, &x);
    close(
        "values",
        &y,
        &[
            0.303722, 0.303722, 1.687113, 0.4676355, 0.6995424, 1.687113, 0.8073083, 1.879346, 1.879346, 2.357111,
            2.357111, 1.574798, 2.357111, 2.357111, 1.673427, 1.326394, 0.8547218, 1.608935,
        ],
    );
    assert_eq!(places.to_vec::<i64>(), [9, 9, 13, 15, 18, 13, 23, 32, 32, 9, 9, 11, 9, 9, 19, 29, 30, 34]);
    close("gradient by row", &g.sum_dim(&[-1], false), &[0.0, 12.0, 9.0, 7.0, 17.0, 0.0, 60.0, 15.0, 0.0, 51.0]);

    allotrope::tensor::random::set_rng_state(&state).unwrap();
    let traced = trace(|x: &Tensor| pooled_with_gradient(&pool, x));
    let (ty, tplaces, tg) = traced.call(&x).unwrap();
    assert_eq!((bits(&ty), tplaces.to_vec::<i64>(), bits(&tg)), (bits(&y), places.to_vec::<i64>(), bits(&g)));
    drop(guard);

    let _guard = seeded(2);
    let x = randn(&[2, 4, 4, 5]);
    let pool = nn::FractionalMaxPool3d::new(2, FractionalSize::Output([2, 2, 2]));
    let (y, places) = pool.forward_with_indices(&x);
    close(
        "three axes",
        &y,
        &[
            1.167592, 1.119102, 1.752777, 1.829885, 1.156631, 1.615911, 1.849332, 2.143237, 0.8729979, 2.110804,
            1.199289, 0.9230636, 1.873682, 2.203949, 2.521065, 0.7120363,
        ],
    );
    assert_eq!(places.to_vec::<i64>(), [5, 29, 31, 33, 40, 69, 51, 79, 20, 8, 31, 39, 45, 68, 76, 54]);
    // As many numbers as PyTorch has drawn.
    assert_eq!(rand(&[1]).item::<f32>(), 0.205_997_4);
}

#[test]
fn fractional_pooling_refuses_what_does_not_fit() {
    let x = Tensor::zeros(&[1, 2, 5, 7], DType::F32);
    let size = FractionalSize::Output([3, 6]);
    refused("too many", try_fractional_max_pool2d(&x, [2, 3], size, None), &["6 windows of 3", "7"]);
    let size = FractionalSize::Ratio([0.5, 1.5]);
    refused("ratio", try_fractional_max_pool2d(&x, [2, 3], size, None), &["between 0 and 1", "1.5"]);
    refused("ratio", nn::FractionalMaxPool2d::try_new(2, size), &["between 0 and 1", "1.5"]);
    let size = FractionalSize::Output([2, 2]);
    let samples = Tensor::zeros(&[1, 2, 3], DType::F32);
    refused("samples", try_fractional_max_pool2d(&x, [2, 3], size, Some(&samples)), &["f32[1, 2, 2]", "[1, 2, 3]"]);
    refused("window", nn::FractionalMaxPool2d::try_new([0, 1], size), &["kernel_size", "1 at least"]);
}

#[test]
fn linear_cross_entropy() {
    let _guard = seeded(4);
    let classes = |t: &[i64], shape: &[usize]| Tensor::from_vec(t.to_vec(), shape);
    let options = nn::LinearCrossEntropyOptions {
        bias: true,
        label_smoothing: 0.1,
        weight: Some(Tensor::from_vec(vec![1.0f32, 2.0, 0.5, 1.0], &[4])),
        ..Default::default()
    };
    let loss = nn::LinearCrossEntropyLoss::with_options(3, 4, options);
    assert_eq!(
        loss.to_string(),
        "LinearCrossEntropyLoss(\n  in_features=3, num_classes=4, out_features=(), bias=True, reduction=mean, \
         ignore_index=None, label_smoothing=0.1, options=None\n  (linear): Linear(in_features=3, out_features=4, bias=True)\n)"
    );
    assert_eq!(loss.state_dict().names().collect::<Vec<_>>(), ["weight", "linear.weight", "linear.bias"]);
    let x = randn(&[2, 3]);
    let y = loss.forward(&x, &classes(&[1, 3], &[2]));
    close("a batch", &y, &[2.178_675]);
    close("one sample", &loss.forward(&x.select(0, 0), &classes(&[2], &[])), &[1.101_267_2]);
    let traced = trace(|x: &Tensor, t: &Tensor| loss.forward(x, t));
    assert_eq!(bits(&traced.call((&x, &classes(&[1, 3], &[2]))).unwrap()), bits(&y));
    let options = nn::LinearCrossEntropyOptions { out_features: vec![2], ..Default::default() };
    let loss = nn::LinearCrossEntropyLoss::with_options(3, 4, options);
    close("more axes", &loss.forward(&x, &classes(&[1, 3, 0, 2], &[2, 2])), &[1.732_967_1]);
    refused("features", loss.try_forward(&randn(&[2, 5]), &classes(&[1, 3], &[2])), &["[n, 3]", "[2, 5]"]);
    let weight = Some(Tensor::ones(&[3], DType::F32));
    let options = nn::LinearCrossEntropyOptions { weight, ..Default::default() };
    refused("weights", nn::LinearCrossEntropyLoss::try_with_options(3, 4, options), &["[4]", "[3]"]);
}
