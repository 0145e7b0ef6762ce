//! The tables of `src/functional`. Calls only.

use crate::row::{Row, table, unnamed};
use allotrope::functional as f;
use allotrope::functional::{
    AvgPoolOptions, ConvOptions, ConvTransposeOptions, CrossEntropyOptions, EmbeddingBagOptions, EmbeddingOptions,
    FoldOptions, FractionalSize, InterpolateMode, InterpolateOptions, LpPoolOptions, MaxPoolOptions, MaxUnpoolOptions,
    NllLossOptions, NormOptions, PadMode, Padding,
};
use allotrope::prelude::*;

fn any(_: i128) -> bool {
    true
}

fn negative(n: i128) -> bool {
    n < 0
}

pub fn rows() -> Vec<Row> {
    let mut all = Vec::new();
    all.extend(convolutions());
    all.extend(pools());
    all.extend(unpools());
    all.extend(windows());
    all.extend(others());
    all.extend(values());
    all
}

fn conv1(n: usize) -> ConvOptions<1> {
    ConvOptions { padding: Padding::Both([n]), ..Default::default() }
}

fn size(size: Vec<usize>, mode: InterpolateMode) -> InterpolateOptions {
    InterpolateOptions { size, mode, ..Default::default() }
}

fn convolutions() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "conv::conv1d ConvOptions.padding": f::try_conv1d(t.line, t.w1, None, conv1(n));
        "conv::conv1d ConvOptions.stride": f::try_conv1d(t.line, t.w1, None, ConvOptions { stride: [n], ..Default::default() }), right if any;
        "conv::conv1d ConvOptions.dilation": f::try_conv1d(t.line, t.w1, None, ConvOptions { dilation: [n], ..Default::default() });
        "conv::conv1d ConvOptions.groups": f::try_conv1d(t.line, t.w1, None, ConvOptions { groups: n, ..Default::default() });
        "conv::conv1d": f::try_conv1d(t.line, t.w1, None, ConvOptions { padding: Padding::Same, dilation: [n], ..Default::default() });
        "conv::conv1d": f::try_conv1d(t.line, t.w1, None, ConvOptions { stride: [n], padding: Padding::Both([n]), dilation: [n], groups: 1 });
        "conv::conv2d": f::try_conv2d(t.image, t.w2, None, ConvOptions { padding: Padding::Both([0, n]), ..Default::default() });
        "conv::conv2d": f::try_conv2d(t.image, t.w2, None, ConvOptions { stride: [n, 1], ..Default::default() }), right if any;
        "conv::conv2d": f::try_conv2d(t.image, t.w2, None, ConvOptions { dilation: [1, n], ..Default::default() });
        "conv::conv2d": f::try_conv2d(t.image, t.w2, None, ConvOptions { groups: n, ..Default::default() });
        "conv::conv3d": f::try_conv3d(t.volume, t.w3, None, ConvOptions { padding: Padding::Both([n, n, n]), ..Default::default() });
        "conv::conv3d": f::try_conv3d(t.volume, t.w3, None, ConvOptions { stride: [n, n, n], ..Default::default() }), right if any;
        "conv::conv3d": f::try_conv3d(t.volume, t.w3, None, ConvOptions { dilation: [n, 1, 1], ..Default::default() });
        "conv_transpose::conv_transpose1d ConvTransposeOptions.stride": f::try_conv_transpose1d(t.line, t.w1, None, ConvTransposeOptions { stride: [n], ..Default::default() });
        "conv_transpose::conv_transpose1d ConvTransposeOptions.padding": f::try_conv_transpose1d(t.line, t.w1, None, ConvTransposeOptions { padding: [n], ..Default::default() });
        "conv_transpose::conv_transpose1d ConvTransposeOptions.output_padding": f::try_conv_transpose1d(t.line, t.w1, None, ConvTransposeOptions { output_padding: [n], ..Default::default() });
        "conv_transpose::conv_transpose1d": f::try_conv_transpose1d(t.line, t.w1, None, ConvTransposeOptions { output_padding: [n - n / 2], stride: [n], ..Default::default() });
        "conv_transpose::conv_transpose1d ConvTransposeOptions.groups": f::try_conv_transpose1d(t.line, t.w1, None, ConvTransposeOptions { groups: n, ..Default::default() });
        "conv_transpose::conv_transpose1d ConvTransposeOptions.dilation": f::try_conv_transpose1d(t.line, t.w1, None, ConvTransposeOptions { dilation: [n], ..Default::default() });
        "conv_transpose::conv_transpose2d": f::try_conv_transpose2d(t.image, t.w2, None, ConvTransposeOptions { stride: [1, n], ..Default::default() });
        "conv_transpose::conv_transpose2d": f::try_conv_transpose2d(t.image, t.w2, None, ConvTransposeOptions { padding: [n, n], ..Default::default() });
        "conv_transpose::conv_transpose2d": f::try_conv_transpose2d(t.image, t.w2, None, ConvTransposeOptions { dilation: [n, n], ..Default::default() });
        "conv_transpose::conv_transpose3d": f::try_conv_transpose3d(t.volume, t.w3, None, ConvTransposeOptions { stride: [n, n, n], ..Default::default() });
        "conv_transpose::conv_transpose3d": f::try_conv_transpose3d(t.volume, t.w3, None, ConvTransposeOptions { dilation: [1, 1, n], ..Default::default() });
    }
}

fn pools() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "pool::avg_pool1d": f::try_avg_pool1d(t.line, [n], AvgPoolOptions::default());
        "pool::avg_pool1d AvgPoolOptions.stride": f::try_avg_pool1d(t.line, [2], AvgPoolOptions { stride: Some([n]), ..Default::default() }), right if any;
        "pool::avg_pool1d": f::try_avg_pool1d(t.line, [2], AvgPoolOptions { stride: Some([n]), ceil_mode: true, ..Default::default() }), right if any;
        "pool::avg_pool1d AvgPoolOptions.padding": f::try_avg_pool1d(t.line, [2], AvgPoolOptions { padding: [n], ..Default::default() });
        "pool::avg_pool1d": f::try_avg_pool1d(t.line, [n], AvgPoolOptions { padding: [n / 2], ceil_mode: true, ..Default::default() });
        "pool::avg_pool1d AvgPoolOptions.divisor_override": f::try_avg_pool1d(t.line, [2], AvgPoolOptions { divisor_override: Some(n as i64), ..Default::default() }), right if any;
        "pool::avg_pool2d": f::try_avg_pool2d(t.image, [1, n], AvgPoolOptions::default());
        "pool::avg_pool2d": f::try_avg_pool2d(t.image, [n, n], AvgPoolOptions { padding: [n / 2, n / 2], ..Default::default() });
        "pool::avg_pool2d": f::try_avg_pool2d(t.image, [2, 2], AvgPoolOptions { stride: Some([n, n]), ceil_mode: true, ..Default::default() }), right if any;
        "pool::avg_pool3d": f::try_avg_pool3d(t.volume, [n, n, n], AvgPoolOptions::default());
        "pool::avg_pool3d": f::try_avg_pool3d(t.volume, [2, 2, 2], AvgPoolOptions { stride: Some([n, n, n]), ..Default::default() }), right if any;
        "fractional_pool::fractional_max_pool2d": f::try_fractional_max_pool2d(t.image, [n, 1], FractionalSize::Output([1, 1]), None);
        "fractional_pool::fractional_max_pool2d": f::try_fractional_max_pool2d(t.image, [1, 1], FractionalSize::Output([1, n]), None);
        "fractional_pool::fractional_max_pool3d": f::try_fractional_max_pool3d(t.volume, [n, n, n], FractionalSize::Output([n, n, n]), None);
        "fractional_pool::fractional_max_pool2d_with_indices": f::try_fractional_max_pool2d_with_indices(t.image, [n, n], FractionalSize::Ratio([0.5, 0.5]), None).map(|(values, _)| values);
        "fractional_pool::fractional_max_pool3d_with_indices": f::try_fractional_max_pool3d_with_indices(t.volume, [1, 1, n], FractionalSize::Output([1, 1, n]), None).map(|(values, _)| values);
        "pool::max_pool1d": f::try_max_pool1d(t.line, [n], MaxPoolOptions::default());
        "pool::max_pool1d MaxPoolOptions.stride": f::try_max_pool1d(t.line, [2], MaxPoolOptions { stride: Some([n]), ..Default::default() }), right if any;
        "pool::max_pool1d": f::try_max_pool1d(t.line, [2], MaxPoolOptions { stride: Some([n]), ceil_mode: true, ..Default::default() }), right if any;
        "pool::max_pool1d MaxPoolOptions.padding": f::try_max_pool1d(t.line, [2], MaxPoolOptions { padding: [n], ..Default::default() });
        "pool::max_pool1d": f::try_max_pool1d(t.line, [n], MaxPoolOptions { padding: [n / 2], ceil_mode: true, ..Default::default() });
        "pool::max_pool1d MaxPoolOptions.dilation": f::try_max_pool1d(t.line, [2], MaxPoolOptions { dilation: [n], ..Default::default() });
        "pool::max_pool1d": f::try_max_pool1d(t.line, [n], MaxPoolOptions { dilation: [n], ..Default::default() });
        "pool::max_pool2d": f::try_max_pool2d(t.image, [n, 1], MaxPoolOptions::default());
        "pool::max_pool2d": f::try_max_pool2d(t.image, [2, 2], MaxPoolOptions { dilation: [n, 1], ..Default::default() });
        "pool::max_pool2d": f::try_max_pool2d(t.image, [2, 2], MaxPoolOptions { stride: Some([1, n]), ceil_mode: true, ..Default::default() }), right if any;
        "pool::max_pool3d": f::try_max_pool3d(t.volume, [1, 1, n], MaxPoolOptions::default());
        "pool::max_pool3d": f::try_max_pool3d(t.volume, [2, 2, 2], MaxPoolOptions { padding: [n, 0, 0], ..Default::default() });
        "pool::max_pool1d_with_indices": f::try_max_pool1d_with_indices(t.line, [n], MaxPoolOptions::default());
        "pool::max_pool1d_with_indices": f::try_max_pool1d_with_indices(t.line, [2], MaxPoolOptions { dilation: [n], ..Default::default() });
        "pool::max_pool2d_with_indices": f::try_max_pool2d_with_indices(t.image, [n, n], MaxPoolOptions { padding: [n / 2, n / 2], ..Default::default() });
        "pool::max_pool3d_with_indices": f::try_max_pool3d_with_indices(t.volume, [n, n, n], MaxPoolOptions::default());
        "adaptive::adaptive_avg_pool1d": f::try_adaptive_avg_pool1d(t.line, [Some(n)]);
        "adaptive::adaptive_avg_pool2d": f::try_adaptive_avg_pool2d(t.image, [Some(n), None]);
        "adaptive::adaptive_avg_pool2d": f::try_adaptive_avg_pool2d(t.image, [Some(n), Some(n)]);
        "adaptive::adaptive_avg_pool3d": f::try_adaptive_avg_pool3d(t.volume, [None, None, Some(n)]);
        "adaptive::adaptive_max_pool1d": f::try_adaptive_max_pool1d(t.line, [Some(n)]);
        "adaptive::adaptive_max_pool2d": f::try_adaptive_max_pool2d(t.image, [Some(2), Some(n)]);
        "adaptive::adaptive_max_pool3d": f::try_adaptive_max_pool3d(t.volume, [Some(n), None, Some(1)]);
        "adaptive::adaptive_max_pool3d": f::try_adaptive_max_pool3d(t.volume, [Some(n), Some(n), Some(n)]);
        "lp_pool::lp_pool1d": f::try_lp_pool1d(t.line, 2.0, [n], LpPoolOptions::default());
        "lp_pool::lp_pool1d LpPoolOptions.stride": f::try_lp_pool1d(t.line, 2.0, [2], LpPoolOptions { stride: Some([n]), ..Default::default() }), right if any;
        "lp_pool::lp_pool1d": f::try_lp_pool1d(t.line, 3.0, [2], LpPoolOptions { stride: Some([n]), ceil_mode: true }), right if any;
        "lp_pool::lp_pool2d": f::try_lp_pool2d(t.image, 2.0, [n, 1], LpPoolOptions::default());
        "lp_pool::lp_pool2d": f::try_lp_pool2d(t.image, 2.0, [n, n], LpPoolOptions { stride: Some([1, 1]), ceil_mode: true });
        "lp_pool::lp_pool2d": f::try_lp_pool2d(t.image, 2.0, [2, 2], LpPoolOptions { stride: Some([1, n]), ceil_mode: true }), right if any;
        "lp_pool::lp_pool3d": f::try_lp_pool3d(t.volume, 2.0, [1, n, 1], LpPoolOptions::default());
        "lp_pool::lp_pool3d": f::try_lp_pool3d(t.volume, 2.0, [2, 2, 2], LpPoolOptions { stride: Some([n, n, n]), ceil_mode: false }), right if any;
    }
}

/// Places of maxima, of the shape of what is put back: all 0.
fn places(x: &Tensor) -> Tensor {
    Tensor::zeros(x.shape(), DType::I64)
}

/// To so many elements of one axis; of those that the windows of two elements allow none is absurd.
fn to_size(n: usize) -> MaxUnpoolOptions<1> {
    MaxUnpoolOptions { output_size: Some([n]), ..Default::default() }
}

fn unpools() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "unpool::max_unpool1d": f::try_max_unpool1d(t.line, &places(t.line), [n], MaxUnpoolOptions::default());
        "unpool::max_unpool1d MaxUnpoolOptions.stride": f::try_max_unpool1d(t.line, &places(t.line), [2], MaxUnpoolOptions { stride: Some([n]), ..Default::default() });
        "unpool::max_unpool1d MaxUnpoolOptions.padding": f::try_max_unpool1d(t.line, &places(t.line), [2], MaxUnpoolOptions { padding: [n], ..Default::default() });
        "unpool::max_unpool1d MaxUnpoolOptions.output_size": f::try_max_unpool1d(t.line, &places(t.line), [2], to_size(n));
        "unpool::max_unpool1d": f::try_max_unpool1d(t.line, &places(t.line), [n], to_size(n));
        "unpool::max_unpool1d": f::try_max_unpool1d(t.line, &places(t.line), [n], to_size(12)), right if any;
        "unpool::max_unpool1d": f::try_max_unpool1d(t.line, &places(t.line), [2], MaxUnpoolOptions { stride: Some([n]), padding: [n], output_size: Some([n]) });
        "unpool::max_unpool1d": f::try_max_unpool1d(&t.line.narrow(2, 0, 1), &places(t.line).narrow(2, 0, 1), [2], MaxUnpoolOptions { stride: Some([n]), ..to_size(2) }), right if any;
        "unpool::max_unpool1d": f::try_max_unpool1d(&t.line.narrow(2, 0, 0), &places(t.line).narrow(2, 0, 0), [n], MaxUnpoolOptions::default());
        "unpool::max_unpool2d": f::try_max_unpool2d(t.image, &places(t.image), [2, n], MaxUnpoolOptions::default());
        "unpool::max_unpool2d": f::try_max_unpool2d(t.image, &places(t.image), [2, 2], MaxUnpoolOptions { stride: Some([n, n]), ..Default::default() });
        "unpool::max_unpool2d": f::try_max_unpool2d(t.image, &places(t.image), [2, 2], MaxUnpoolOptions { output_size: Some([8, n]), ..Default::default() });
        "unpool::max_unpool3d": f::try_max_unpool3d(t.volume, &places(t.volume), [n, n, n], MaxUnpoolOptions::default());
        "unpool::max_unpool3d": f::try_max_unpool3d(t.volume, &places(t.volume), [2, 2, 2], MaxUnpoolOptions { padding: [0, n, 0], ..Default::default() });
    }
}

fn windows() -> Vec<Row> {
    let mut rows = table! { Unsigned n: usize, t;
        "fold::unfold": f::try_unfold(t.image, [n, 1], FoldOptions::default());
        "fold::unfold FoldOptions.dilation": f::try_unfold(t.image, [2, 2], FoldOptions { dilation: [n, 1], ..Default::default() });
        "fold::unfold FoldOptions.padding": f::try_unfold(t.image, [2, 2], FoldOptions { padding: [n, n], ..Default::default() });
        "fold::unfold FoldOptions.stride": f::try_unfold(t.image, [2, 2], FoldOptions { stride: [1, n], ..Default::default() }), right if any;
        "fold::fold": f::try_fold(t.line, [n, 1], [1, 2], FoldOptions::default());
        "fold::fold": f::try_fold(t.line, [n, n], [1, 2], FoldOptions::default());
        "fold::fold": f::try_fold(t.line, [1, 7], [n, 2], FoldOptions::default());
        "fold::fold": f::try_fold(t.line, [1, 7], [n, n], FoldOptions::default());
        "fold::fold": f::try_fold(t.line, [1, 7], [1, 2], FoldOptions { dilation: [1, n], ..Default::default() });
        "fold::fold": f::try_fold(t.line, [1, 7], [1, 2], FoldOptions { padding: [0, n], ..Default::default() });
        "fold::fold": f::try_fold(t.line, [1, 7], [1, 2], FoldOptions { stride: [1, n], ..Default::default() });
        "interpolate::interpolate": f::try_interpolate(t.line, &size(vec![n], InterpolateMode::Nearest));
        "interpolate::interpolate": f::try_interpolate(t.line, &size(vec![n], InterpolateMode::NearestExact));
        "interpolate::interpolate": f::try_interpolate(t.line, &size(vec![n], InterpolateMode::Linear));
        "interpolate::interpolate": f::try_interpolate(t.image, &size(vec![n], InterpolateMode::Bilinear));
        "interpolate::interpolate": f::try_interpolate(t.image, &size(vec![2, n], InterpolateMode::Bicubic));
        "interpolate::interpolate": f::try_interpolate(t.volume, &size(vec![n, 1, 1], InterpolateMode::Trilinear));
        "interpolate::interpolate InterpolateOptions.size": f::try_interpolate(t.image, &size(vec![n, n], InterpolateMode::Area));
        "interpolate::interpolate": f::try_interpolate(t.line, &InterpolateOptions { scale_factor: vec![n as f64], ..Default::default() });
        "shuffle::pixel_shuffle": f::try_pixel_shuffle(t.image, n);
        "shuffle::pixel_unshuffle": f::try_pixel_unshuffle(t.image, n);
        "shuffle::channel_shuffle": f::try_channel_shuffle(t.image, n);
        "norm::local_response_norm": f::try_local_response_norm(t.line, n, 1e-4, 0.75, 1.0);
    };
    rows.extend(table! { Signed n: isize, t;
        "pad::pad": f::try_pad(t.line, &[n, 0], PadMode::Zeros);
        "pad::pad": f::try_pad(t.line, &[0, n], PadMode::Zeros);
        "pad::pad": f::try_pad(t.line, &[n, n], PadMode::Constant(1.0));
        "pad::pad": f::try_pad(t.line, &[n, n.checked_neg().unwrap_or(n)], PadMode::Zeros);
        "pad::pad": f::try_pad(t.line, &[1, 1, n, 0], PadMode::Zeros);
        "pad::pad": f::try_pad(t.line, &[n, 0], PadMode::Reflect);
        "pad::pad": f::try_pad(t.line, &[0, n], PadMode::Replicate);
        "pad::pad": f::try_pad(t.line, &[n, n], PadMode::Replicate);
        "pad::pad": f::try_pad(t.line, &[n, 0], PadMode::Circular);
    });
    rows
}

fn others() -> Vec<Row> {
    let mut rows = table! { Unsigned n: usize, t;
        "embedding::one_hot": f::try_one_hot(t.i, Some(n));
        "norm::layer_norm": f::try_layer_norm(t.x, &[n], NormOptions::default());
        "norm::layer_norm": f::try_layer_norm(t.x, &[n, 3], NormOptions::default());
        "norm::rms_norm": f::try_rms_norm(t.x, &[n], None, None);
        "norm::group_norm": f::try_group_norm(t.image, n, NormOptions::default());
        "ctc::ctc_loss CtcLossOptions.blank": f::try_ctc_loss(t.line, &t.i.unsqueeze(1), &[1, 1], &[1, 1], f::CtcLossOptions { blank: n, ..Default::default() });
        "ctc::ctc_loss": f::try_ctc_loss(t.line, &t.i.unsqueeze(1), &[n, 1], &[1, 1], f::CtcLossOptions::default());
        "ctc::ctc_loss": f::try_ctc_loss(t.line, &t.i.unsqueeze(1), &[1, 1], &[1, n], f::CtcLossOptions::default());
    };
    rows.extend(table! { Signed n: isize, t;
        "embedding::embedding": f::try_embedding(t.i, t.x, Some(n));
        "embedding::embedding_with EmbeddingOptions.padding_idx": f::try_embedding_with(t.i, t.x, padded_row(n));
        "embedding::embedding_with": f::try_embedding_with(t.i, t.x, EmbeddingOptions { max_norm: Some(1.0), ..padded_row(n) });
        "embedding_bag::embedding_bag EmbeddingBagOptions.padding_idx": f::try_embedding_bag(&t.i.unsqueeze(0), t.x, EmbeddingBagOptions { padding_idx: Some(n), ..Default::default() });
        "embedding_bag::embedding_bag": f::try_embedding_bag(t.i, t.x, EmbeddingBagOptions { offsets: Some(t.i), padding_idx: Some(n), ..Default::default() });
        "activation::softmax": f::try_softmax(t.x, n);
        "activation::log_softmax": f::try_log_softmax(t.x, n);
        "activation::softmin": f::try_softmin(t.x, n);
        "activation::glu": f::try_glu(&t.x.t(), n);
        "distance::normalize": f::try_normalize(t.x, 2.0, n, 1e-12);
        "distance::cosine_similarity": f::try_cosine_similarity(t.x, t.x, n, 1e-8);
        "classification::nll_loss NllLossOptions.ignore_index": f::try_nll_loss(t.x, t.i, NllLossOptions { ignore_index: n as i64, ..Default::default() }), right if any;
        "classification::cross_entropy CrossEntropyOptions.ignore_index": f::try_cross_entropy(t.x, t.i, CrossEntropyOptions { ignore_index: n as i64, ..Default::default() }), right if any;
        "special::negative": f::try_pad(t.line, &[n, 20], PadMode::Zeros), right if |n| negative(n) && n > -20;
    });
    rows
}

fn padded_row(row: isize) -> EmbeddingOptions {
    EmbeddingOptions { padding_idx: Some(row), ..Default::default() }
}

/// Classes and places that are elements: no error need name them.
fn values() -> Vec<Row> {
    unnamed(table! { Signed n: isize, t;
        "embedding::embedding": f::try_embedding(&Tensor::from_slice(&[n as i64], &[1]), t.x, None);
        "embedding::embedding_with": f::try_embedding_with(&Tensor::from_slice(&[n as i64], &[1]), t.x, EmbeddingOptions { max_norm: Some(1.0), ..Default::default() });
        "embedding::embedding_with": f::try_embedding_with(&Tensor::from_slice(&[n as i64], &[1]), t.x, EmbeddingOptions { scale_grad_by_freq: true, ..Default::default() });
        "embedding_bag::embedding_bag": f::try_embedding_bag(&Tensor::from_slice(&[n as i64], &[1, 1]), t.x, EmbeddingBagOptions::default());
        "embedding_bag::embedding_bag": f::try_embedding_bag(t.i, t.x, EmbeddingBagOptions { offsets: Some(&Tensor::from_slice(&[0, n as i64], &[2])), ..Default::default() });
        "embedding_bag::embedding_bag": f::try_embedding_bag(t.i, t.x, EmbeddingBagOptions { offsets: Some(&Tensor::from_slice(&[n as i64, 1], &[2])), include_last_offset: true, ..Default::default() });
        "unpool::max_unpool1d": f::try_max_unpool1d(t.line, places(t.line).add_(n as i64), [2], MaxUnpoolOptions::default());
        "embedding::one_hot": f::try_one_hot(&Tensor::from_slice(&[n as i64], &[1]), None);
        "embedding::one_hot": f::try_one_hot(&Tensor::from_slice(&[n as i64], &[1]), Some(3));
        "classification::nll_loss": f::try_nll_loss(t.x, &Tensor::from_slice(&[n as i64, 0], &[2]), NllLossOptions::default());
        "classification::cross_entropy": f::try_cross_entropy(t.x, &Tensor::from_slice(&[n as i64, 0], &[2]), CrossEntropyOptions::default());
        "margin::multi_margin_loss": f::try_multi_margin_loss(t.x, &Tensor::from_slice(&[n as i64, 0], &[2]), 1, 1.0, None, f::Reduction::Mean);
    })
}
