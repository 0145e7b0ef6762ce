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

#[test]
fn averages_of_whole_planes_are_means() {
    let plane = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &[4, 2]);
    let whole = |x: &Tensor| f::try_adaptive_avg_pool2d(x, [Some(1); 2]);
    assert_eq!(both("a plane", &plane, whole), [3.5]);
    assert_eq!(both("no places", &ones(&[0, 3], DType::F32), whole), [-1.0]);
    assert_eq!(both("no rows", &ones(&[2, 0, 3], DType::F32), whole), [-1.0, -1.0]);
    assert_eq!(both("several axes before", &ones(&[2, 1, 1, 2, 3], DType::F32), whole), [1.0, 1.0]);
    let volume = |x: &Tensor| f::try_adaptive_avg_pool3d(x, [Some(1); 3]);
    assert_eq!(both("a volume", &plane.reshape(&[2, 2, 2]), volume), [3.5]);
    refused("a row", &ones(&[3], DType::F32), whole);
    refused("a plane as two", &plane, |x| f::try_adaptive_avg_pool2d(x, [Some(2), Some(1)]));
    // One trace for planes of any size.
    let traced = trace(move |x: &Tensor| f::adaptive_avg_pool2d(x, [Some(1); 2]));
    for n in 2..5 {
        assert_same(
            "any size",
            &traced.call(&ones(&[1, 2, n, 3], DType::F32)).unwrap(),
            &ones(&[1, 2, 1, 1], DType::F32),
        );
    }
    assert_eq!(traced.compilations(), 1);
}

#[test]
fn dropping_out_everything_of_integers() {
    for dtype in [DType::Bool, DType::U8, DType::I64] {
        let x = ones(&[2, 3], dtype);
        for dropped in [f::try_dropout, f::try_feature_dropout, f::try_alpha_dropout] {
            let none = |x: &Tensor| {
                let y = dropped(x, 1.0, true)?;
                assert_eq!(y.dtype(), dtype);
                Ok(y)
            };
            assert_eq!(both("all", &x, none), [0.0; 6]);
        }
        refused("some", &x, |x| f::try_dropout(x, 0.5, true));
    }
}

#[test]
fn what_takes_no_integers_and_no_bools() {
    let halved = f::InterpolateOptions { scale_factor: vec![0.5], ..Default::default() };
    for mode in [f::InterpolateMode::Nearest, f::InterpolateMode::NearestExact] {
        let options = f::InterpolateOptions { mode, ..halved.clone() };
        for dtype in [DType::I64, DType::I32, DType::Bool] {
            refused("whole numbers", &ones(&[1, 1, 4], dtype), |x| f::try_interpolate(x, &options));
        }
        assert_eq!(both("bytes", &ones(&[1, 1, 4], DType::U8), |x| f::try_interpolate(x, &options)), [1.0, 1.0]);
    }
    let bools = ones(&[1, 3], DType::Bool);
    for mode in [PadMode::Reflect, PadMode::Replicate] {
        for pads in [[1, 1], [0, 0], [-1, 0]] {
            refused("bools", &bools, |x| f::try_pad(x, &pads, mode));
        }
        assert_eq!(both("integers", &ones(&[1, 3], DType::I64), |x| f::try_pad(x, &[1, 0], mode)), [1.0; 4]);
    }
    assert_eq!(both("bools", &bools, |x| f::try_pad(x, &[1, 0], PadMode::Circular)), [1.0; 4]);
}

#[test]
fn cross_entropy_of_two_dtypes_keeps_its_logarithm_narrow() {
    let x = floats(&[0.5, -1.25, 3.0], &[3]).to(DType::F16);
    let target = Tensor::from_slice(&[0.25f64, 0.7, 0.1], &[3]);
    let weights = floats(&[0.3, 2.0, 1.5], &[3]);
    let losses = |x: &Tensor, weights: Option<&Tensor>| {
        f::try_binary_cross_entropy_with_logits(x, &target, None, weights, f::Reduction::None)
    };
    let round = |all: Vec<f64>| all.into_iter().map(|x| (x * 1e12).round() / 1e12).collect::<Vec<f64>>();
    assert_eq!(round(both("plain", &x, |x| losses(x, None))), [0.84912109375, 1.126953125, 2.748583984375]);
    assert_eq!(
        round(both("weighted", &x, |x| losses(x, Some(&weights)))),
        [0.76611328125, 2.177734375, 2.751025390625]
    );
}

#[test]
fn infinities_between_two_pixels() {
    let x = floats(&[f64::INFINITY, 0.0], &[1, 1, 2, 1]);
    let options = f::InterpolateOptions { size: vec![4, 3], mode: f::InterpolateMode::Bilinear, ..Default::default() };
    // A third and a half of a pixel, less a half: nearly nothing, but more.
    let y = both("an infinity", &x, |x| f::try_interpolate(x, &options));
    assert_eq!(y[3..6], [-1.0, f64::INFINITY, f64::INFINITY]);
}

#[test]
fn squares_of_halves_overflow_before_they_are_added_up() {
    let x = floats(&[300.0, 1.0, 2.0, 0.5], &[4]).to(DType::F16);
    let mean = |x: &Tensor| f::try_mse_loss_with(x, &x.try_zeros_like()?, f::Reduction::Mean);
    assert_eq!(both("too large", &x, mean), [f64::INFINITY]);
    assert_eq!(both("not too large", &x.narrow(0, 1, 3), mean), [1.75]);
    let leaf = x.detach().requires_grad();
    mean(&leaf).unwrap().backward();
    assert_eq!(numbers(&leaf.grad().unwrap()), [150.0, 0.5, 1.0, 0.25]);
}

#[test]
fn halves_hold_no_length_that_small() {
    for (dtype, of_nothing) in [(DType::F16, -1.0), (DType::BF16, 0.0), (DType::F32, 0.0)] {
        let none = Tensor::zeros(&[2], dtype);
        assert_eq!(both("nothing", &none, |x| f::try_normalize(x, 2.0, 0, 1e-12)), [of_nothing; 2]);
        assert_eq!(both("enough", &none, |x| f::try_normalize(x, 2.0, 0, 1e-6)), [0.0; 2]);
        for (other, the_other_way) in [(dtype, of_nothing), (DType::F64, 0.0), (DType::I64, of_nothing)] {
            let one = ones(&[2], other);
            assert_eq!(both("cosine", &none, |x| f::try_cosine_similarity(x, &one, 0, 1e-8)), [of_nothing]);
            let (one, none) = (ones(&[2], dtype), Tensor::zeros(&[2], other));
            assert_eq!(both("turned", &one, |x| f::try_cosine_similarity(x, &none, 0, 1e-8)), [the_other_way]);
        }
    }
}

#[test]
fn weights_of_nothing_have_gradients() {
    let leaf = |value: f32| Tensor::full(&[3], value).requires_grad();
    for shape in [&[0, 3][..], &[2, 3, 0], &[0, 3, 2, 2]] {
        let (weight, bias) = (leaf(2.0), leaf(1.0));
        let norm = |x: &Tensor, w: Option<&Tensor>, b: Option<&Tensor>| {
            f::batch_norm(
                x,
                None,
                None,
                f::BatchNormOptions { weight: w, bias: b, training: true, ..Default::default() },
            )
        };
        let x = ones(shape, DType::F32);
        assert!(!norm(&x, None, None).is_requires_grad());
        assert_eq!(norm(&x, Some(&weight), None).grad_fn_name().as_deref(), Some("MulBackward0"));
        let y = norm(&x, Some(&weight), Some(&bias));
        assert_eq!(y.grad_fn_name().as_deref(), Some("AddBackward0"));
        y.sum().backward();
        assert_eq!((numbers(&weight.grad().unwrap()), numbers(&bias.grad().unwrap())), (vec![0.0; 3], vec![0.0; 3]));
        let traced = trace(move |x: &Tensor, w: &Tensor| norm(x, Some(w), None));
        assert!(traced.call((&x, &weight)).unwrap().is_requires_grad());
    }
    let options = f::BatchNormOptions { training: true, ..Default::default() };
    assert_eq!(f::instance_norm(&ones(&[2, 3, 0], DType::F32), None, None, options).shape(), [2, 3, 0]);
    let weighted = f::BatchNormOptions { weight: Some(&leaf(1.0)), ..options };
    assert!(f::instance_norm(&ones(&[2, 3, 0], DType::F32), None, None, weighted).is_requires_grad());
}

#[test]
fn halves_are_divided_by_a_number_in_f32_and_leave_a_rest_of_halves() {
    type Case = (DType, [f64; 4], [f64; 4], [f64; 4]);
    let cases: [Case; 2] = [
        (
            DType::F16,
            [10.0, 24.0, 5.0, 30.0],
            [9.0, 24.0, 4.0, 29.0],
            [0.000244140625, 0.0537109375, 0.0001220703125, 0.000732421875],
        ),
        (
            DType::BF16,
            [10.0, 24.0, 5.0, 30.0],
            [9.0, 24.0, 4.0, 29.0],
            [0.09912109375, 0.05078125, 0.099609375, 0.09716796875],
        ),
    ];
    let tenth = Tensor::full(&[], 0.1f64);
    for (dtype, trunc, floor, rest) in cases {
        let x = floats(&[1.0, 2.453125, 0.5, 3.0], &[4]).to(dtype);
        for by in [Arg::from(0.1), Arg::Tensor(&tenth)] {
            assert_eq!(both("trunc", &x, |x| x.try_div_trunc(by)), trunc);
            assert_eq!(both("floor", &x, |x| x.try_div_floor(by)), floor);
            assert_eq!(both("floor_divide", &x, |x| x.try_floor_divide(by)), floor);
            assert_eq!(both("remainder", &x, |x| x.try_remainder(by)), rest);
            assert_eq!(both("fmod", &x, |x| x.try_fmod(by)), rest);
        }
    }
}

#[test]
fn nothing_is_drawn_or_put_where_there_is_nothing() {
    let nowhere = Tensor::zeros(&[0], DType::I64);
    for dtype in [DType::I64, DType::U8, DType::Bool] {
        let none = Tensor::zeros(&[0, 2], dtype);
        let drawn: [fn(&Tensor) -> Result<&Tensor>; 2] = [|x| x.try_normal_(0.0, 1.0), |x| x.try_exponential_(1.0)];
        for draw in drawn {
            assert!(both("drawn", &none, |x| draw(&x.clone()).cloned()).is_empty());
            refused("drawn", &ones(&[1], dtype), |x| draw(x).cloned());
        }
        refused("a deviation", &none, |x| x.try_normal_(0.0, -1.0).cloned());
        refused("uniform", &none, |x| x.try_uniform_(0.0, 1.0).cloned());
        assert_eq!(both("put nowhere", &ones(&[2], dtype), |x| x.try_scatter(0, &nowhere, f64::NAN)), [1.0, 1.0]);
    }
    let somewhere = Tensor::zeros(&[1], DType::I64);
    refused("put somewhere", &ones(&[2], DType::I64), |x| x.try_scatter(0, &somewhere, f64::NAN));
}
