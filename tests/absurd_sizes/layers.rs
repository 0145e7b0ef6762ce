//! The tables of `src/nn`: sizes given to constructors and options, which are looked at there or by the first forward pass.
//! Calls only.

use crate::row::{Plain, Row, table};
use allotrope::functional::{FractionalSize, InterpolateMode, InterpolateOptions};
use allotrope::prelude::*;
use allotrope::{Result, nn::PerAxis};

fn any(_: i128) -> bool {
    true
}

pub fn rows() -> Vec<Row> {
    let mut all = of_numbers();
    all.extend(convolutions());
    all.extend(windows());
    all.extend(resampled());
    all.extend(norms());
    all.extend(axes());
    all
}

/// A layer's value.
fn of(layer: Result<impl Forward>, x: &Tensor) -> Result<Tensor> {
    layer?.try_forward(x)
}

fn of_numbers() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "linear::new": Plain(drop(nn::Linear::new(n, 2)));
        "linear::new": Plain(drop(nn::Linear::new(2, n)));
        "linear::new": Plain(drop(nn::Linear::new(n, n)));
        "linear::new": nn::Bilinear::try_new(2, n, 3).map(|layer| layer.weight);
        "linear::with_options": nn::Linear::try_with_options(n, n, nn::LinearOptions { bias: false, ..Default::default() }).map(|layer| layer.weight);
        "embedding::new": nn::Embedding::try_new(n, 2).map(|layer| layer.weight);
        "embedding::new": nn::Embedding::try_new(2, n).map(|layer| layer.weight);
        "embedding_bag::new": nn::EmbeddingBag::try_new(n, n).map(|layer| layer.weight);
        "linear::with_bias": Plain(drop(nn::Linear::with_bias(n, 3, false)));
        "layers::new": Plain(drop(nn::Rnn::new(n, 2)));
        "layers::new": Plain(drop(nn::Rnn::new(2, n)));
        "layers::new": Plain(drop(nn::Gru::new(n, n)));
        "layers::with_layers": Plain(drop(nn::Rnn::with_layers(n, n, 2)));
        "layers::with_layers": Plain(drop(nn::Rnn::with_layers(1, 1, n)));
        "layers::with_options": Plain(drop(nn::Gru::with_options(1, 1, nn::GruOptions { num_layers: n, ..Default::default() })));
        "lstm::new": Plain(drop(nn::Lstm::new(n, 2)));
        "lstm::new": Plain(drop(nn::Lstm::new(2, n)));
        "lstm::with_options": Plain(drop(nn::Lstm::with_options(1, 1, nn::LstmOptions { num_layers: n, ..Default::default() })));
        "lstm::with_options": Plain(drop(nn::Lstm::with_options(2, 2, nn::LstmOptions { proj_size: n, ..Default::default() })));
        "packed::pad_packed_sequence PadPackedOptions.total_length": {
            use nn::rnn::{PadPackedOptions, try_pack_padded_sequence, try_pad_packed_sequence};
            let options = PadPackedOptions { total_length: Some(n), ..Default::default() };
            try_pack_padded_sequence(t.x, &[2, 1, 1], false, true).and_then(|packed| try_pad_packed_sequence(&packed, options))
        };
        "packed::pack_padded_sequence": nn::rnn::try_pack_padded_sequence(t.x, &[2, n, 1], false, false).map(|packed| packed.tensors());
        "packed::pack_padded_sequence": nn::rnn::try_pack_padded_sequence(t.x, &[n, 3], true, true).map(|packed| packed.tensors());
        "padding::unpad_sequence": nn::rnn::try_unpad_sequence(t.x, &[1, n, 1], false);
        "ctc::forward": nn::CtcLoss::new().try_forward(t.line, &t.i.unsqueeze(1), &[n, 1], &[1, 1]);
        "cells::new": Plain(drop(nn::LstmCell::new(n, 2)));
        "cells::new": Plain(drop(nn::GruCell::new(2, n)));
        "cells::with_options": Plain(drop(nn::RnnCell::with_options(n, n, Default::default())));
        "multihead::new": Plain(drop(nn::MultiheadAttention::new(n, 1)));
        "multihead::new": Plain(drop(nn::MultiheadAttention::new(6, n)));
        "multihead::with_options MultiheadOptions.kdim": Plain(drop(nn::MultiheadAttention::with_options(2, 1, nn::MultiheadOptions { kdim: Some(n), ..Default::default() })));
        "multihead::with_options MultiheadOptions.vdim": Plain(drop(nn::MultiheadAttention::with_options(2, 1, nn::MultiheadOptions { vdim: Some(n), ..Default::default() })));
        "encoder::new": Plain(drop(nn::TransformerEncoderLayer::new(n, 1)));
        "parts::new": Plain(drop(nn::TransformerEncoder::new(nn::TransformerEncoderLayer::with_options(2, 1, feed_forward(2)), n, None)));
        "encoder::with_options TransformerLayerOptions.dim_feedforward": Plain(drop(nn::TransformerEncoderLayer::with_options(2, 1, feed_forward(n))));
        "decoder::new": Plain(drop(nn::TransformerDecoderLayer::new(n, 1)));
        "parts::new": Plain(drop(nn::TransformerDecoder::new(nn::TransformerDecoderLayer::with_options(2, 1, feed_forward(2)), n, None)));
        "decoder::with_options": Plain(drop(nn::TransformerDecoderLayer::with_options(2, 1, feed_forward(n))));
        "transformer::new": Plain(drop(nn::Transformer::new(n, 1)));
        "transformer::with_options TransformerOptions.num_encoder_layers": Plain(drop(nn::Transformer::with_options(2, 1, nn::TransformerOptions { num_encoder_layers: n, layer: feed_forward(2), ..Default::default() })));
        "transformer::with_options TransformerOptions.num_decoder_layers": Plain(drop(nn::Transformer::with_options(2, 1, nn::TransformerOptions { num_encoder_layers: 1, num_decoder_layers: n, layer: feed_forward(2) })));
        "transformer::generate_square_subsequent_mask": Plain(nn::Transformer::generate_square_subsequent_mask(n));
        "activation::new PReluOptions.num_parameters": Plain(drop(nn::PRelu::new(n))), right if any;
        "activation::with_options": nn::PRelu::try_with_options(nn::PReluOptions { num_parameters: n, ..Default::default() }).map(|l| l.weight);
        "adaptive::new": Plain(drop(nn::AdaptiveLogSoftmaxWithLoss::new(n, 10, &[2])));
        "adaptive::new": Plain(drop(nn::AdaptiveLogSoftmaxWithLoss::new(4, n, &[2])));
        "adaptive::with_options": Plain(drop(nn::AdaptiveLogSoftmaxWithLoss::with_options(4, 10, &[n], nn::AdaptiveLogSoftmaxOptions::default())));
        "linear_cross_entropy::new": nn::LinearCrossEntropyLoss::try_new(n, 2).map(|loss| loss.linear.weight);
        "linear_cross_entropy::new": nn::LinearCrossEntropyLoss::try_new(2, n).map(|loss| loss.linear.weight);
        "linear_cross_entropy::with_options LinearCrossEntropyOptions.out_features": nn::LinearCrossEntropyLoss::try_with_options(2, 2, nn::LinearCrossEntropyOptions { out_features: vec![n, 2], ..Default::default() }).map(|loss| loss.linear.weight);
        "linear_cross_entropy::with_options LinearCrossEntropyOptions.ignore_index": nn::LinearCrossEntropyLoss::try_with_options(2, 2, nn::LinearCrossEntropyOptions { ignore_index: Some(n as i64), ..Default::default() }).map(|loss| loss.linear.weight), right if any;
        "fractional::new": of(nn::FractionalMaxPool2d::try_new(n, FractionalSize::Output([1, 1])), t.image);
        "fractional::new": of(nn::FractionalMaxPool3d::try_new(1, FractionalSize::Output([n, 1, n])), t.volume);
        "init::dirac_": nn::init::try_dirac_(t.w1, n).map(|()| t.w1.clone());
        "ctc::blank": nn::CtcLoss::new().blank(n).try_forward(t.line, &t.i.unsqueeze(1), &[1, 1], &[1, 1]);
    }
}

/// A small transformer's layer, with so many numbers between its products.
fn feed_forward(dim_feedforward: usize) -> nn::TransformerLayerOptions {
    nn::TransformerLayerOptions { dim_feedforward, ..Default::default() }
}

fn convolutions() -> Vec<Row> {
    use nn::{Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose1dOptions, ConvTranspose2dOptions};
    table! { Unsigned n: usize, t;
        "conv::new": of(nn::Conv1d::try_new(n, 2, 3), t.line);
        "conv::new": of(nn::Conv2d::try_new(2, n, 3), t.image);
        "conv::new": of(nn::Conv3d::try_new(2, 2, n), t.volume);
        "conv::new": of(nn::Conv3d::try_new(n, n, [n, n, n]), t.volume);
        "conv::with_options ConvLayerOptions.stride": of(nn::Conv1d::try_with_options(2, 2, 3, Conv1dOptions { stride: [n], ..Default::default() }), t.line), right if any;
        "conv::with_options ConvLayerOptions.padding": of(nn::Conv2d::try_with_options(2, 2, 3, Conv2dOptions { padding: Padding::Both([n, 0]), ..Default::default() }), t.image);
        "conv::with_options ConvLayerOptions.dilation": of(nn::Conv3d::try_with_options(2, 2, 3, Conv3dOptions { dilation: [n, 1, 1], ..Default::default() }), t.volume);
        "conv::with_options ConvLayerOptions.groups": of(nn::Conv1d::try_with_options(2, 2, 3, Conv1dOptions { groups: n, ..Default::default() }), t.line);
        "conv::with_options": of(nn::Conv1d::try_with_options(n, n, 3, Conv1dOptions { groups: n, ..Default::default() }), t.line);
        "conv::with_options": of(nn::Conv1d::try_with_options(2, 2, 3, Conv1dOptions { padding: Padding::Both([n]), padding_mode: nn::PaddingMode::Circular, ..Default::default() }), t.line);
        "conv::with_options": of(nn::Conv1d::try_with_options(2, 2, 3, Conv1dOptions { padding: Padding::Both([n]), padding_mode: nn::PaddingMode::Reflect, ..Default::default() }), t.line);
        "conv::with_options": of(nn::Conv1d::try_with_options(2, 2, 3, Conv1dOptions { padding: Padding::Same, dilation: [n], padding_mode: nn::PaddingMode::Replicate, ..Default::default() }), t.line);
        "conv_transpose::new": of(nn::ConvTranspose1d::try_new(n, 2, 3), t.line);
        "conv_transpose::new": of(nn::ConvTranspose2d::try_new(2, 2, n), t.image);
        "conv_transpose::new": of(nn::ConvTranspose3d::try_new(2, n, 3), t.volume);
        "conv_transpose::with_options ConvTransposeLayerOptions.stride": of(nn::ConvTranspose1d::try_with_options(2, 2, 3, ConvTranspose1dOptions { stride: [n], ..Default::default() }), t.line);
        "conv_transpose::with_options ConvTransposeLayerOptions.padding": of(nn::ConvTranspose1d::try_with_options(2, 2, 3, ConvTranspose1dOptions { padding: [n], ..Default::default() }), t.line);
        "conv_transpose::with_options ConvTransposeLayerOptions.output_padding": of(nn::ConvTranspose2d::try_with_options(2, 2, 3, ConvTranspose2dOptions { output_padding: [0, n], ..Default::default() }), t.image);
        "conv_transpose::with_options ConvTransposeLayerOptions.dilation": of(nn::ConvTranspose2d::try_with_options(2, 2, 3, ConvTranspose2dOptions { dilation: [n, n], ..Default::default() }), t.image);
        "conv_transpose::with_options ConvTransposeLayerOptions.groups": of(nn::ConvTranspose1d::try_with_options(2, 2, 3, ConvTranspose1dOptions { groups: n, ..Default::default() }), t.line);
        "conv_transpose::forward_to": nn::ConvTranspose1d::try_new(2, 2, 3).and_then(|layer| layer.try_forward_to(t.line, [n]));
        "conv_transpose::forward_to": nn::ConvTranspose2d::try_new(2, 2, 3).and_then(|layer| layer.try_forward_to(t.image, [6, n]));
        "conv_transpose::forward_to": strided(n).and_then(|layer| layer.try_forward_to(t.line, [n]));
        "conv_transpose::forward_to": strided(n).and_then(|layer| layer.try_forward_to(&t.line.narrow(2, 0, 1), [3])), right if any;
    }
}

/// So many places apart, which leaves as many sizes open.
fn strided(n: usize) -> Result<nn::ConvTranspose1d> {
    nn::ConvTranspose1d::try_with_options(2, 2, 3, nn::ConvTranspose1dOptions { stride: [n], ..Default::default() })
}

fn windows() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "max::new": of(nn::MaxPool1d::try_new(n), t.line);
        "max::with_options": of(nn::MaxPool2d::try_with_options(2, nn::MaxPool2dOptions { stride: Some(n.into()), ..Default::default() }), t.image), right if any;
        "max::with_options MaxPoolOptions.padding": of(nn::MaxPool2d::try_with_options(2, nn::MaxPool2dOptions { padding: n.into(), ..Default::default() }), t.image);
        "max::with_options MaxPoolOptions.dilation": nn::MaxPool3d::try_with_options(2, nn::MaxPool3dOptions { dilation: n.into(), ..Default::default() }).and_then(|layer| layer.try_forward_with_indices(t.volume));
        "average::new": of(nn::AvgPool3d::try_new(n), t.volume);
        "average::with_options": of(nn::AvgPool1d::try_with_options(n, nn::AvgPool1dOptions { padding: (n / 2).into(), ..Default::default() }), t.line);
        "power::new": of(nn::LpPool1d::try_new(2.0, n), t.line);
        "power::with_options": of(nn::LpPool2d::try_with_options(2.0, 2, nn::LpPoolOptions { stride: Some(n.into()), ..Default::default() }), t.image), right if any;
        "unpool::new unpool::forward": nn::MaxUnpool1d::try_new(n).and_then(|layer| layer.try_forward(t.line, &places(t.line), None));
        "unpool::forward": nn::MaxUnpool1d::try_new(2).and_then(|layer| layer.try_forward(t.line, &places(t.line), Some([n])));
        "unpool::forward": nn::MaxUnpool2d::try_new(2).and_then(|layer| layer.try_forward(t.image, &places(t.image), Some([n, 8])));
        "unpool::forward": nn::MaxUnpool3d::try_new(2).and_then(|layer| layer.try_forward(t.volume, &places(t.volume), Some([n, n, n])));
        "unpool::with_options UnpoolOptions.stride": nn::MaxUnpool1d::try_with_options(2, nn::UnpoolOptions { stride: Some(n.into()), ..Default::default() }).and_then(|layer| layer.try_forward(t.line, &places(t.line), None));
        "unpool::with_options UnpoolOptions.padding": nn::MaxUnpool1d::try_with_options(2, nn::UnpoolOptions { padding: n.into(), ..Default::default() }).and_then(|layer| layer.try_forward(t.line, &places(t.line), None));
        "adaptive::new": of(Ok(nn::AdaptiveAvgPool1d::new(n)), t.line);
        "adaptive::new": of(Ok(nn::AdaptiveMaxPool3d::new([Some(1), Some(n), None])), t.volume);
        "shape::new": of(nn::Unfold::try_new(n), t.image);
        "shape::with_options": of(nn::Unfold::try_with_options(2, nn::FoldOptions { padding: n.into(), ..Default::default() }), t.image);
        "shape::new": of(nn::Fold::try_new(n, [1, 2]), t.line);
        "shape::with_options": of(nn::Fold::try_with_options([1, 7], [1, 2], nn::FoldOptions { dilation: PerAxis::Each([1, n]), ..Default::default() }), t.line);
    }
}

fn places(x: &Tensor) -> Tensor {
    Tensor::zeros(x.shape(), DType::I64)
}

fn resampled() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "upsample::new": of(Ok(nn::Upsample::new(InterpolateOptions { size: vec![n], ..Default::default() })), t.line);
        "upsample::new": of(Ok(nn::Upsample::new(InterpolateOptions { size: vec![n, n], mode: InterpolateMode::Bicubic, ..Default::default() })), t.image);
        "upsample::new": of(Ok(nn::Upsample::new(InterpolateOptions { scale_factor: vec![n as f64], ..Default::default() })), t.volume);
        "upsample::to_size": of(Ok(nn::UpsamplingNearest2d::to_size(&[n])), t.image);
        "upsample::to_size": of(Ok(nn::UpsamplingBilinear2d::to_size(&[3, n])), t.image);
        "shape::new": of(nn::PixelShuffle::try_new(n), t.image);
        "shape::new": of(nn::PixelUnshuffle::try_new(n), t.image);
        "shape::new": of(nn::ChannelShuffle::try_new(n), t.image);
    }
}

fn norms() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "running::new": of(nn::BatchNorm1d::try_new(n), t.line);
        "running::with_options": of(nn::BatchNorm2d::try_with_options(n, nn::BatchNormOptions { affine: false, ..Default::default() }), t.image);
        "running::with_options": of(nn::BatchNorm3d::try_with_options(n, nn::BatchNormOptions { affine: false, track_running_stats: false, ..Default::default() }), t.volume), right if any;
        "running::with_options": of(nn::InstanceNorm1d::try_with_options(n, nn::InstanceNormOptions { affine: true, track_running_stats: true, ..Default::default() }), t.line);
        "layer::new": of(nn::LayerNorm::try_new(&[n]), t.x);
        "layer::new": of(nn::LayerNorm::try_new(&[n, n, 3]), t.x);
        "layer::new": of(nn::RmsNorm::try_new(&[n]), t.x);
        "running::new": of(nn::InstanceNorm2d::try_new(n), t.image), right if any;
        "layer::with_options": of(nn::LayerNorm::try_with_options(&[n], nn::LayerNormOptions { elementwise_affine: false, ..Default::default() }), t.x);
        "group::with_options": of(nn::GroupNorm::try_with_options(n, 2, nn::GroupNormOptions { affine: false, ..Default::default() }), t.image);
        "response::with_options": of(nn::LocalResponseNorm::try_with_options(n, nn::LocalResponseNormOptions { k: 0.5, ..Default::default() }), t.image);
        "group::new": of(nn::GroupNorm::try_new(n, 2), t.image);
        "group::new": of(nn::GroupNorm::try_new(1, n), t.image);
        "group::new": of(nn::GroupNorm::try_new(n, n), t.image);
        "response::new": of(nn::LocalResponseNorm::try_new(n), t.line);
    }
}

fn axes() -> Vec<Row> {
    table! { Signed n: isize, t;
        "shape::new": of(Ok(nn::Flatten::new(n, -1)), t.image);
        "shape::new": of(Ok(nn::Flatten::new(0, n)), t.image);
        "shape::new": of(nn::Unflatten::try_new(n, &[1, 3]), t.x);
        "shape::new": of(nn::Unflatten::try_new(1, &[n, 3]), t.x);
        "shape::new": of(nn::Unflatten::try_new(1, &[n, n, -1]), t.x);
        "distance::new": nn::CosineSimilarity::new(n, 1e-8).try_forward(t.x, t.x);
        "embedding::with_options": of(nn::Embedding::try_with_options(2, 3, table_options(n)), t.i);
        "embedding::from_pretrained": of(nn::Embedding::try_from_pretrained(t.x, false, table_options(n)), t.i);
        "embedding_bag::from_pretrained": nn::EmbeddingBag::try_from_pretrained(t.x, true, bag_options(n)).and_then(|layer| layer.try_forward(t.i, Some(t.i), None));
        "embedding_bag::with_options": nn::EmbeddingBag::try_with_options(2, 3, bag_options(n)).and_then(|layer| layer.try_forward(t.i, Some(t.i), None));
        "pad::new": of(Ok(nn::ZeroPad1d::new([n, 0])), t.line);
        "pad::new": of(Ok(nn::ConstantPad2d::new(n, 1.0)), t.image);
        "pad::new": of(Ok(nn::ReflectionPad1d::new([0, n])), t.line);
        "pad::new": of(Ok(nn::ReplicationPad3d::new(n)), t.volume);
        "pad::new": of(Ok(nn::CircularPad2d::new([n, 0, 0, 0])), t.image);
    }
}

fn table_options(row: isize) -> nn::EmbeddingOptions {
    nn::EmbeddingOptions { padding_idx: Some(row), ..Default::default() }
}

fn bag_options(row: isize) -> nn::EmbeddingBagOptions {
    nn::EmbeddingBagOptions { padding_idx: Some(row), ..Default::default() }
}
