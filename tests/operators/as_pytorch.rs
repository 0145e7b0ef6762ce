//! What PyTorch takes, refuses or computes in odd cases, found by random programs: dtypes that it has no kernel for, results without
//! elements, padding alone, infinities. Each in both modes with equal bits. Values are PyTorch's.

use crate::common::{assert_same, numbers};
use allotrope::functional::{self as f, PadMode};
use allotrope::ops::{Arg, GradOptions, grad_with};
use allotrope::prelude::trace;
use allotrope::{DType, Result, Tensor};

fn floats(data: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(data.iter().map(|&x| x as f32).collect(), shape)
}

fn ones(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::ones(shape, dtype)
}

/// The elements of a result in both modes, NaN as -1.
fn both(what: &str, x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let eager = f(x).unwrap_or_else(|e| panic!("{what}: {e}"));
    let traced = trace(|x: &Tensor| f(x).unwrap_or_else(|e| panic!("{e}"))).call(x);
    assert_same(what, &traced.unwrap_or_else(|e| panic!("{what}, traced: {e}")), &eager);
    numbers(&eager).into_iter().map(|x| if x.is_nan() { -1.0 } else { x }).collect()
}

fn refused(what: &str, x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) {
    assert!(f(x).is_err(), "{what}: taken");
    assert!(trace(|x: &Tensor| f(x).unwrap_or_else(|e| panic!("{e}"))).call(x).is_err(), "{what}: taken when traced");
}

#[test]
fn targets_of_several_places_are_i64() {
    let (x, target) = (ones(&[2, 3, 4], DType::F32), Tensor::zeros(&[2, 4], DType::U8));
    refused("places of bytes", &x, |x| f::try_nll_loss(x, &target, Default::default()));
    let (x, target) = (ones(&[2, 3], DType::F32), Tensor::zeros(&[2], DType::U8));
    assert_eq!(both("bytes", &x, |x| f::try_nll_loss(x, &target, Default::default())), [-1.0]);
    let shares = ones(&[2, 3], DType::F32);
    let options = f::CrossEntropyOptions { ignore_index: 0, ..Default::default() };
    refused("probabilities are not ignored", &x, |x| f::try_cross_entropy(x, &shares, options));
    let none = Tensor::zeros(&[2, 0], DType::F32);
    assert_eq!(both("no classes", &none, |x| f::try_cross_entropy(x, x, Default::default())), [-1.0]);
}

#[test]
fn convolutions_have_pytorch_s_dtypes_and_sizes() {
    let bytes = ones(&[1, 1, 3], DType::U8);
    let dilated = f::ConvOptions { dilation: [2], ..Default::default() };
    refused("bytes, transposed", &bytes, |x| f::try_conv_transpose1d(x, x, None, Default::default()));
    refused("bytes, dilated", &bytes, |x| f::try_conv1d(x, &x.try_narrow(2, 0, 2)?, None, dilated));
    let (x, w) = (ones(&[1, 1, 2], DType::F32), ones(&[1, 1, 1], DType::F32));
    let padded = f::ConvTransposeOptions { padding: [1], ..Default::default() };
    refused("nothing left", &x, |x| f::try_conv_transpose1d(x, &w, None, padded));
    let bias = Tensor::from_vec(vec![2i64], &[1]);
    assert_eq!(
        both("a bias of integers", &x, |x| f::try_conv_transpose1d(x, &w, Some(&bias), Default::default())),
        [3.0, 3.0]
    );
}

#[test]
fn windows_of_padding_alone_are_infinite() {
    let x = floats(&[0.5, -1.5, 1.5, -2.5], &[1, 2, 2, 1]);
    let options = f::MaxPoolOptions { stride: Some([2, 2]), padding: [1, 1], dilation: [2, 2], ceil_mode: false };
    let values = both("values", &x, |x| f::try_max_pool2d(x, [2, 2], options));
    assert_eq!(values, [f64::NEG_INFINITY; 2]);
    let places = both("places", &x, |x| Ok(f::try_max_pool2d_with_indices(x, [2, 2], options)?.1));
    assert_eq!(places, [2.0, 2.0]);
    refused("integers along one axis", &ones(&[1, 2], DType::I64), |x| f::try_max_pool1d(x, [2], Default::default()));
}

#[test]
fn variances_of_infinities_and_of_nothing() {
    let x = floats(&[f64::INFINITY, 1.0], &[2]);
    assert_eq!(both("mean", &x, |x| Ok(x.try_var_mean(&[], 1.0, false)?.1)), [-1.0]);
    let one = floats(&[f64::INFINITY], &[1]);
    assert_eq!(both("mean of one", &one, |x| Ok(x.try_var_mean(&[], 1.0, false)?.1)), [f64::INFINITY]);
    let none = Tensor::zeros(&[0, 2], DType::F32);
    assert_eq!(both("nothing", &none, |x| x.try_var_dim(&[0], -2.0, false)), [-1.0, -1.0]);
}

#[test]
fn padding_that_adds_nothing_or_again() {
    let x = Tensor::from_vec(vec![1i64, 2, 3, 4], &[2, 2]);
    let infinite = PadMode::Constant(f64::INFINITY);
    assert_eq!(both("nothing", &x, |x| f::try_pad(x, &[-1, 0], infinite)), [2.0, 4.0]);
    assert_eq!(both("again", &x, |x| f::try_pad(x, &[-1, 2], PadMode::Circular)), [2.0, 2.0, 2.0, 4.0, 4.0, 4.0]);
}

#[test]
fn a_size_that_stays_is_copied() {
    let x = floats(&[1.0, 2.0], &[1, 1, 2]);
    let options =
        f::InterpolateOptions { scale_factor: vec![1.2], mode: f::InterpolateMode::Linear, ..Default::default() };
    assert_eq!(both("linear", &x, |x| f::try_interpolate(x, &options)), [1.0, 2.0]);
}

#[test]
fn products_and_sums_of_nothing() {
    let (index, source) = (Tensor::from_vec(vec![9i64, 0], &[2]), ones(&[2, 2], DType::F32));
    let none = Tensor::zeros(&[0, 2], DType::F32);
    assert_eq!(both("added to nothing", &none, |x| x.try_index_add(0, &index, &source, 1)), [] as [f64; 0]);
    let one = ones(&[1, 1], DType::F32);
    assert_eq!(both("chosen of nothing", &one, |x| x.try_narrow(1, 0, 0)?.try_index(&index)), [] as [f64; 0]);
    assert_eq!(both("a negative factor", &ones(&[1, 1], DType::U8), |x| x.try_addmm(x, x, -3, 1)), [254.0]);
}

#[test]
fn masks_without_axes_are_bools() {
    let x = floats(&[1.0, 2.0], &[2]);
    let set = |x: &Tensor, mask: &Tensor, value: Arg<'_>| -> Result<Tensor> {
        let y = x.mul(1.0);
        y.try_set(mask, value)?;
        Ok(y)
    };
    let (on, off) = (Tensor::scalar(1i64).to(DType::U8), Tensor::scalar(0i64).to(DType::U8));
    assert_eq!(both("on", &x, |x| set(x, &on, 9.0.into())), [9.0, 9.0]);
    assert_eq!(both("off", &x, |x| set(x, &off, 9.0.into())), [1.0, 2.0]);
    let bytes = ones(&[2], DType::U8);
    refused("with axes", &x, |x| set(x, &bytes, 9.0.into()));
}

#[test]
fn roundings_and_ranks_of_integers_and_bools() {
    refused("digits of integers", &ones(&[2], DType::I64), |x| x.try_round_decimals(0));
    assert_eq!(both("of one bool", &Tensor::scalar(true), |x| Ok(x.try_kthvalue(1, 0, false)?.1)), [0.0]);
    refused("of bools", &ones(&[2], DType::Bool), |x| Ok(x.try_kthvalue(1, 0, false)?.0));
    assert_eq!(both("no axes", &Tensor::scalar(2.0f32), |x| x.try_mt()), [2.0]);
}

#[test]
fn nothing_times_an_infinite_logarithm() {
    let gradient = |x: &Tensor| -> Result<Tensor> {
        let x = x.detach().requires_grad();
        let y = allotrope::ops::try_xlogy(&x, -2.0)?;
        let zeros = Tensor::try_zeros(&[2], DType::F32)?;
        let options = GradOptions { grad_outputs: &[Some(&zeros)], ..Default::default() };
        Ok(grad_with(&[&y], &[&x], options)?[0].clone().expect("used"))
    };
    assert_eq!(both("gradient", &floats(&[1.0, -1.0], &[2]), gradient), [0.0, 0.0]);
}

#[test]
fn backward_refuses_what_a_change_in_place_took() {
    let fails = |change: fn(&Tensor) -> Result<()>| {
        let x = floats(&[0.25, 0.5], &[2]).requires_grad();
        let y = x.mul(1.0);
        change(&y).expect("the change itself is fine");
        y.sum().try_backward().is_err()
    };
    // The second operand is kept as it was, and is changed; the first one's place is copied.
    assert!(fails(|y| y.try_mul_(y).map(drop)));
    assert!(!fails(|y| y.try_add_(y).map(drop)));
    assert!(!fails(|y| y.try_mul_(2.0).map(drop)));
    // PyTorch has no derivative of these.
    assert!(fails(|y| y.try_asinh_().map(drop)));
    assert!(fails(|y| y.try_acosh_().map(drop)));
    assert!(fails(|y| y.try_atanh_().map(drop)));
}

#[test]
fn gradients_of_views_and_repetitions_that_change_nothing() {
    let x = floats(&[1.0, 2.0], &[2]).requires_grad();
    let g = floats(&[3.0, 4.0], &[2]);
    let through = |y: &Tensor| -> Tensor {
        let options = GradOptions { grad_outputs: &[Some(&g)], ..Default::default() };
        grad_with(&[y], &[&x], options).expect("it has one")[0].clone().expect("used")
    };
    assert!(through(&x.expand(&[2])).is_same(&g), "what is repeated once hands its gradient on");
    assert!(!through(&x.view(&[2])).is_same(&g), "a view has a view of it");
}
