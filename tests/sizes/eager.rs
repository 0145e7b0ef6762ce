//! Tensors that are made eagerly: whatever makes one asks the same place first.

use crate::{ABSURD, panics, refused};
use allotrope::functional::*;
use allotrope::prelude::*;

#[test]
fn tensors_that_no_memory_has_are_refused() {
    for n in ABSURD {
        let name = n.to_string();
        for shape in [vec![n], vec![1, n], vec![n, n], vec![n, 3, 0], vec![0, n, n]] {
            // An empty tensor is one, where strides are still numbers.
            if shape.contains(&0) && n < 1 << 47 && shape[1] == 3 {
                continue;
            }
            panics(&name, || Tensor::zeros(&shape, DType::F32));
            panics(&name, || Tensor::ones(&shape, DType::Bool));
            panics(&name, || Tensor::empty(&shape, DType::F64));
            panics(&name, || Tensor::full(&shape, 1i64));
            panics(&name, || rand(&shape));
            panics(&name, || randn(&shape));
        }
        panics(&name, || Tensor::eye(n, None, DType::F32));
        panics(&name, || Tensor::eye(n, 1, DType::F32));
        panics(&name, || Tensor::linspace(0.0, 1.0, n));
        panics(&name, || Tensor::logspace(0.0, 1.0, n));
        panics(&name, || randperm(n));
        refused(Tensor::try_from_vec(vec![1.0f32; 4], &[n]), &name);
        refused(Tensor::try_from_vec(vec![1.0f32; 4], &[n, n]), &name);
        refused(Tensor::try_from_vec(vec![1.0f32; 4], &[4, n, n]), &name);
    }
    // A product that comes round to what is there.
    refused(Tensor::try_from_vec(vec![1.0f32; 4], &[1 << 62, 4, 4]), "4611686018427387904");
    refused(Tensor::try_arange(usize::MAX), "18446744073709551615");
    refused(Tensor::try_arange(0..usize::MAX), "numbers are too many");
    refused(Tensor::try_arange((0.0, 1e18)), "1000000000000000000");
}

#[test]
fn empty_tensors_have_sizes_whose_strides_are_numbers() {
    let x = Tensor::zeros(&[0, 1 << 20, 1 << 20], DType::F32);
    assert_eq!((x.numel(), x.strides()[0]), (0, 1 << 40));
    assert_eq!(x.sum().item::<f32>(), 0.0);
    panics("too long", || Tensor::zeros(&[0, 1 << 40, 1 << 40], DType::F32));
}

#[test]
fn what_repeats_without_memory_is_refused_where_it_would_need_some() {
    let one = Tensor::ones(&[1], DType::F32);
    let x = one.expand(&[1 << 44]);
    assert_eq!(x.shape(), [1 << 44]);
    assert_eq!(x.narrow(0, (1 << 44) - 2, 2).to_vec::<f32>(), [1.0, 1.0]);
    for made in [
        x.try_mul(2.0),
        x.try_contiguous().and_then(|x| x.try_reshape(&[2, -1])),
        x.try_exp(),
        x.try_sort(0, false).map(|s| s.0),
    ] {
        refused(made, "[17592186044416]");
    }
    refused(x.try_to(DType::I64), "i64[17592186044416]");
    panics("f32[17592186044416]", || x.to_vec::<f32>());
    panics("f32[17592186044416]", || x.zeros_like());
    refused(one.try_expand(&[1 << 62]), "f32[4611686018427387904]");
    refused(one.try_expand(&[isize::MAX]), "f32[9223372036854775807]");
    refused(one.try_expand(&[1 << 40, 1 << 40, 1]), "1099511627776");
    refused(one.try_tile(&[1 << 62]), "4611686018427387904");
    refused(one.try_repeat(&[usize::MAX, usize::MAX]), "18446744073709551615");
    refused(one.try_repeat_interleave(usize::MAX, None), "18446744073709551615");
    let times = Tensor::from_vec(vec![i64::MAX, i64::MAX], &[2]);
    refused(Tensor::arange(2).try_repeat_interleave_by(&times, None), "bytes");
    refused(Tensor::arange(2).try_diag_embed(isize::MAX, 0, 1), "922337203685477580");
    refused(Tensor::arange(2).try_diag(isize::MIN), "922337203685477580");
    refused(one.try_as_strided(&[1 << 62], &[0], 0), "4611686018427387904");
}

#[test]
fn triangles_end_beyond_every_matrix() {
    let x = Tensor::arange(4).reshape(&[2, 2]);
    for far in [isize::MAX, isize::MAX - 1, 1 << 61] {
        assert_eq!(x.tril(far).to_vec::<i64>(), [0, 1, 2, 3]);
        assert_eq!(x.triu(far).to_vec::<i64>(), [0; 4]);
        assert_eq!(x.tril(-far).to_vec::<i64>(), [0; 4]);
        assert_eq!(x.triu(-far - 1).to_vec::<i64>(), [0, 1, 2, 3]);
        assert_eq!(x.diagonal(far, 0, 1).shape(), [0]);
        assert_eq!(x.diagonal(-far - 1, 0, 1).shape(), [0]);
    }
}

#[test]
fn functions_refuse_what_they_would_have_to_make() {
    let x = Tensor::ones(&[1, 1, 4], DType::F32);
    let plane = Tensor::ones(&[1, 1, 4, 4], DType::F32);
    let w = Tensor::ones(&[1, 1, 2], DType::F32);
    for n in ABSURD {
        let name = n.to_string();
        let signed = isize::try_from(n).unwrap_or(isize::MAX);
        refused(try_pad(&x, &[signed, signed], PadMode::Zeros), "f32[1, 1, ");
        refused(try_pad(&x, &[signed, 1], PadMode::Replicate), "f32[1, 1, ");
        refused(try_pad(&x, &[signed, signed], PadMode::Reflect), &signed.to_string());
        refused(try_pad(&x, &[-signed, 0], PadMode::Circular), &signed.to_string());
        refused(try_pad(&x, &[isize::MIN, isize::MIN], PadMode::Zeros), "9223372036854775808");
        let padded = ConvOptions { padding: Padding::Both([n]), ..ConvOptions::default() };
        refused(try_conv1d(&x, &w, None, padded), "f32[1, 1, ");
        let dilated = ConvOptions { dilation: [n], ..ConvOptions::default() };
        refused(try_conv1d(&x, &w, None, dilated), "a window of");
        let same = ConvOptions { dilation: [n], padding: Padding::Same, ..ConvOptions::default() };
        refused(try_conv1d(&x, &w, None, same), "f32[1, 1, ");
        let groups = ConvOptions { groups: n, ..ConvOptions::default() };
        refused(try_conv1d(&x, &w, None, groups), &name);
        let stride = ConvTransposeOptions { stride: [n], ..ConvTransposeOptions::default() };
        refused(try_conv_transpose1d(&x, &w, None, stride), "f32[1, 1, ");
        let cut = ConvTransposeOptions { padding: [n], ..ConvTransposeOptions::default() };
        refused(try_conv_transpose1d(&x, &w, None, cut), &name);
        refused(try_interpolate(&x, &InterpolateOptions { size: vec![n], ..Default::default() }), &name);
        refused(
            try_interpolate(&x, &InterpolateOptions { scale_factor: vec![n as f64], ..Default::default() }),
            "f32[1, 1, ",
        );
        for mode in [InterpolateMode::Area, InterpolateMode::Linear] {
            refused(try_interpolate(&x, &InterpolateOptions { size: vec![n], mode, ..Default::default() }), &name);
        }
        refused(try_adaptive_avg_pool1d(&x, [Some(n)]), &name);
        refused(try_adaptive_max_pool1d(&x, [Some(n)]), &name);
        refused(try_adaptive_avg_pool2d(&plane, [Some(n), Some(n)]), &name);
        refused(try_adaptive_max_pool2d(&plane, [None, Some(n)]), &name);
        refused(try_local_response_norm(&x, n, 1e-4, 0.75, 1.0), "f32[1, ");
        refused(try_avg_pool1d(&x, [n], AvgPoolOptions::default()), "window of");
        refused(try_max_pool1d(&x, [n], MaxPoolOptions { padding: [n / 2], ..Default::default() }), "[1, 1, ");
        refused(
            try_max_pool1d(&x, [n], MaxPoolOptions { dilation: [n], ceil_mode: true, ..Default::default() }),
            "window of",
        );
        refused(try_unfold(&plane, [2, 2], FoldOptions { padding: [n, 0], ..Default::default() }), "f32[1, 1, ");
        refused(try_unfold(&plane, [2, n], FoldOptions::default()), &name);
        refused(try_fold(&plane.reshape(&[1, 4, 4]), [n, n], [2, 2], FoldOptions::default()), &name);
        refused(try_one_hot(&Tensor::arange(2), Some(n)), "i64[");
        refused(try_pixel_shuffle(&plane, n), &name);
        refused(try_channel_shuffle(&plane, n), &name);
        refused(Tensor::arange(2).try_topk(n, 0, true), &name);
        refused(allotrope::ops::try_multinomial(&Tensor::ones(&[2], DType::F32), n, true), "bytes");
        refused(allotrope::ops::try_dropout_mask(&[n], DType::F32, 0.5), "[");
        refused(allotrope::ops::try_dropout_mask(&[n], DType::F32, 1.0), &name);
        panics("f32[", || nn::Linear::new(n, n));
        panics("f32[", || nn::Rnn::new(1, n));
        panics("bytes", || nn::Rnn::with_layers(1, 1, n));
    }
}

#[test]
fn shares_of_adaptive_pooling_are_as_large_as_the_largest() {
    // The largest share is known without a look at all of them; results say whether it was.
    for l in 1..20usize {
        let x = Tensor::arange(l).to(DType::F64).reshape(&[1, 1, -1]);
        for m in 1..20usize {
            let got = adaptive_avg_pool1d(&x, [Some(m)]).to_vec::<f64>();
            let want: Vec<f64> = (0..m)
                .map(|i| {
                    let (a, b) = (i * l / m, ((i + 1) * l).div_ceil(m));
                    (a..b).map(|i| i as f64).sum::<f64>() / (b - a) as f64
                })
                .collect();
            assert_eq!(got, want, "{l} in {m}");
        }
    }
}
