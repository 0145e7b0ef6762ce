//! The tables of `src/functional`, `src/nn` and what users give options to. Calls only.

use crate::row::{Plain, Row, table, unnamed};
use allotrope::functional as f;
use allotrope::functional::{
    AvgPoolOptions, ConvOptions, ConvTransposeOptions, CrossEntropyOptions, FoldOptions, FractionalSize,
    InterpolateMode, InterpolateOptions, MaxPoolOptions, NllLossOptions, NormOptions, PadMode, Padding,
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
    all.extend(windows());
    all.extend(others());
    all.extend(layers());
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
        "LinearCrossEntropyOptions.out_features": nn::LinearCrossEntropyLoss::try_with_options(2, 2, nn::LinearCrossEntropyOptions { out_features: vec![n, 2], ..Default::default() }).map(|loss| loss.linear.weight);
        "LinearCrossEntropyOptions.ignore_index": nn::LinearCrossEntropyLoss::try_with_options(2, 2, nn::LinearCrossEntropyOptions { ignore_index: Some(n as i64), ..Default::default() }).map(|loss| loss.linear.weight), right if any;
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
    };
    rows.extend(table! { Signed n: isize, t;
        "embedding::embedding": f::try_embedding(t.i, t.x, Some(n));
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

fn layers() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "special::linear_new": Plain(drop(nn::Linear::new(n, 2)));
        "special::linear_new": Plain(drop(nn::Linear::new(2, n)));
        "special::linear_new": Plain(drop(nn::Linear::new(n, n)));
        "linear::with_bias": Plain(drop(nn::Linear::with_bias(n, 3, false)));
        "special::layers_new": Plain(drop(nn::Rnn::new(n, 2)));
        "special::layers_new": Plain(drop(nn::Rnn::new(2, n)));
        "special::layers_new": Plain(drop(nn::Gru::new(n, n)));
        "layers::with_layers": Plain(drop(nn::Rnn::with_layers(n, n, 2)));
        "layers::with_layers": Plain(drop(nn::Rnn::with_layers(1, 1, n)));
        "special::layers_with_options": Plain(drop(nn::Gru::with_options(1, 1, nn::GruOptions { num_layers: n, ..Default::default() })));
        "special::lstm_new": Plain(drop(nn::Lstm::new(n, 2)));
        "special::lstm_new": Plain(drop(nn::Lstm::new(2, n)));
        "special::lstm_with_options": Plain(drop(nn::Lstm::with_options(1, 1, nn::LstmOptions { num_layers: n, ..Default::default() })));
        "special::lstm_with_options": Plain(drop(nn::Lstm::with_options(2, 2, nn::LstmOptions { proj_size: n, ..Default::default() })));
        "packed::pad_packed_sequence PadPackedOptions.total_length": {
            use nn::rnn::{PadPackedOptions, try_pack_padded_sequence, try_pad_packed_sequence};
            let options = PadPackedOptions { total_length: Some(n), ..Default::default() };
            try_pack_padded_sequence(t.x, &[2, 1, 1], false, true).and_then(|packed| try_pad_packed_sequence(&packed, options))
        };
        "special::cells_new": Plain(drop(nn::LstmCell::new(n, 2)));
        "special::cells_new": Plain(drop(nn::GruCell::new(2, n)));
        "special::cells_with_options": Plain(drop(nn::RnnCell::with_options(n, n, Default::default())));
        "special::multihead_new": Plain(drop(nn::MultiheadAttention::new(n, 1)));
        "special::multihead_new": Plain(drop(nn::MultiheadAttention::new(6, n)));
        "special::multihead_with_options MultiheadOptions.kdim": Plain(drop(nn::MultiheadAttention::with_options(2, 1, nn::MultiheadOptions { kdim: Some(n), ..Default::default() })));
        "special::multihead_with_options MultiheadOptions.vdim": Plain(drop(nn::MultiheadAttention::with_options(2, 1, nn::MultiheadOptions { vdim: Some(n), ..Default::default() })));
        "special::encoder_layer": Plain(drop(nn::TransformerEncoderLayer::new(n, 1)));
        "parts::new": Plain(drop(nn::TransformerEncoder::new(nn::TransformerEncoderLayer::with_options(2, 1, feed_forward(2)), n, None)));
        "special::encoder_with_options TransformerLayerOptions.dim_feedforward": Plain(drop(nn::TransformerEncoderLayer::with_options(2, 1, feed_forward(n))));
        "special::decoder_layer": Plain(drop(nn::TransformerDecoderLayer::new(n, 1)));
        "parts::new": Plain(drop(nn::TransformerDecoder::new(nn::TransformerDecoderLayer::with_options(2, 1, feed_forward(2)), n, None)));
        "special::decoder_with_options": Plain(drop(nn::TransformerDecoderLayer::with_options(2, 1, feed_forward(n))));
        "special::transformer_new": Plain(drop(nn::Transformer::new(n, 1)));
        "special::transformer_with_options TransformerOptions.num_encoder_layers": Plain(drop(nn::Transformer::with_options(2, 1, nn::TransformerOptions { num_encoder_layers: n, layer: feed_forward(2), ..Default::default() })));
        "special::transformer_with_options TransformerOptions.num_decoder_layers": Plain(drop(nn::Transformer::with_options(2, 1, nn::TransformerOptions { num_encoder_layers: 1, num_decoder_layers: n, layer: feed_forward(2) })));
        "transformer::generate_square_subsequent_mask": Plain(nn::Transformer::generate_square_subsequent_mask(n));
        "activation::new PReluOptions.num_parameters": Plain(drop(nn::PRelu::new(n))), right if any;
        "activation::with_options": nn::PRelu::try_with_options(nn::PReluOptions { num_parameters: n, ..Default::default() }).map(|l| l.weight);
        "adaptive::new": Plain(drop(nn::AdaptiveLogSoftmaxWithLoss::new(n, 10, &[2])));
        "adaptive::new": Plain(drop(nn::AdaptiveLogSoftmaxWithLoss::new(4, n, &[2])));
        "adaptive::with_options": Plain(drop(nn::AdaptiveLogSoftmaxWithLoss::with_options(4, 10, &[n], nn::AdaptiveLogSoftmaxOptions::default())));
        "init::dirac_": nn::init::try_dirac_(t.w1, n).map(|()| t.w1.clone());
        "ctc::ctc_loss CtcLossOptions.blank": f::try_ctc_loss(t.line, &t.i.unsqueeze(1), &[1, 1], &[1, 1], f::CtcLossOptions { blank: n, ..Default::default() });
        "ctc::ctc_loss": f::try_ctc_loss(t.line, &t.i.unsqueeze(1), &[n, 1], &[1, 1], f::CtcLossOptions::default());
        "ctc::ctc_loss": f::try_ctc_loss(t.line, &t.i.unsqueeze(1), &[1, 1], &[1, n], f::CtcLossOptions::default());
        "ctc::blank": nn::CtcLoss::new().blank(n).try_forward(t.line, &t.i.unsqueeze(1), &[1, 1], &[1, 1]);
    }
}

/// A small transformer's layer, with so many numbers between its products.
fn feed_forward(dim_feedforward: usize) -> nn::TransformerLayerOptions {
    nn::TransformerLayerOptions { dim_feedforward, ..Default::default() }
}

/// Classes and places that are elements: no error need name them.
fn values() -> Vec<Row> {
    unnamed(table! { Signed n: isize, t;
        "embedding::embedding": f::try_embedding(&Tensor::from_slice(&[n as i64], &[1]), t.x, None);
        "embedding::one_hot": f::try_one_hot(&Tensor::from_slice(&[n as i64], &[1]), None);
        "embedding::one_hot": f::try_one_hot(&Tensor::from_slice(&[n as i64], &[1]), Some(3));
        "classification::nll_loss": f::try_nll_loss(t.x, &Tensor::from_slice(&[n as i64, 0], &[2]), NllLossOptions::default());
        "classification::cross_entropy": f::try_cross_entropy(t.x, &Tensor::from_slice(&[n as i64, 0], &[2]), CrossEntropyOptions::default());
        "margin::multi_margin_loss": f::try_multi_margin_loss(t.x, &Tensor::from_slice(&[n as i64, 0], &[2]), 1, 1.0, None, f::Reduction::Mean);
    })
}
