//! How each case of the file is called.

use super::Call;
use allotrope::functional::{self as f, InterpolateMode as Mode, InterpolateOptions, KlReduction, PadMode, Reduction};
use allotrope::{DType, Tensor, prelude::manual_seed};

/// `calls! { t; "name" => tensor, ... }`: an expression that gives one tensor, with a `?` where it can fail.
macro_rules! calls {
    ($t:ident; $($name:literal => $body:expr),* $(,)?) => {
        vec![$(($name, {
            fn call($t: &[Tensor]) -> allotrope::Result<Vec<Tensor>> {
                Ok(Several::from($body).0)
            }
            call as Call
        })),*]
    };
}

/// One tensor or more.
struct Several(Vec<Tensor>);

impl From<Tensor> for Several {
    fn from(t: Tensor) -> Self {
        Several(vec![t])
    }
}

impl From<(Tensor, Tensor)> for Several {
    fn from((a, b): (Tensor, Tensor)) -> Self {
        Several(vec![a, b])
    }
}

impl From<[Tensor; 3]> for Several {
    fn from(all: [Tensor; 3]) -> Self {
        Several(all.to_vec())
    }
}

fn resize(mode: Mode, size: &[usize]) -> InterpolateOptions {
    InterpolateOptions { size: size.to_vec(), mode, ..Default::default() }
}

fn corners(mode: Mode, size: &[usize]) -> InterpolateOptions {
    InterpolateOptions { align_corners: true, ..resize(mode, size) }
}

fn affine<'a>(t: &'a [Tensor], eps: f64) -> f::NormOptions<'a> {
    f::NormOptions { weight: Some(&t[1]), bias: Some(&t[2]), eps }
}

fn training<'a>() -> f::BatchNormOptions<'a> {
    f::BatchNormOptions { training: true, ..Default::default() }
}

fn smooth<'a>(weight: Option<&'a Tensor>, label_smoothing: f64) -> f::CrossEntropyOptions<'a> {
    f::CrossEntropyOptions { weight, label_smoothing, ..Default::default() }
}

pub fn calls() -> Vec<(&'static str, Call)> {
    calls! { t;
        "conv1d" => f::try_conv1d(&t[0], &t[1], Some(&t[2]), f::ConvOptions { stride: [2], padding: [1].into(), dilation: [2], groups: 2 })?,
        "conv1d_same" => f::try_conv1d(&t[0], &t[1], None, f::ConvOptions { padding: f::Padding::Same, dilation: [2], ..Default::default() })?,
        "conv2d" => f::try_conv2d(&t[0], &t[1], Some(&t[2]), f::ConvOptions { stride: [2, 1], padding: [1, 2].into(), dilation: [1, 2], groups: 1 })?,
        "conv2d_depthwise" => f::try_conv2d(&t[0], &t[1], None, f::ConvOptions { padding: [1, 1].into(), groups: 4, ..Default::default() })?,
        "conv3d" => f::try_conv3d(&t[0], &t[1], Some(&t[2]), f::ConvOptions { stride: [2, 1, 1], padding: [1, 1, 0].into(), ..Default::default() })?,
        "conv_transpose1d" => f::try_conv_transpose1d(&t[0], &t[1], Some(&t[2]), f::ConvTransposeOptions {
            stride: [2], padding: [1], output_padding: [1], groups: 2, dilation: [2],
        })?,
        "conv_transpose2d" => f::try_conv_transpose2d(&t[0], &t[1], None, f::ConvTransposeOptions {
            stride: [1, 3], padding: [2, 0], output_padding: [0, 2], ..Default::default()
        })?,
        "conv_transpose3d" => f::try_conv_transpose3d(&t[0], &t[1], None, f::ConvTransposeOptions {
            stride: [2; 3], padding: [1; 3], ..Default::default()
        })?,
        "avg_pool1d_ceil" => f::try_avg_pool1d(&t[0], [3], f::AvgPoolOptions {
            stride: Some([2]), padding: [1], ceil_mode: true, ..Default::default()
        })?,
        "avg_pool2d_exclude" => f::try_avg_pool2d(&t[0], [3, 2], f::AvgPoolOptions {
            stride: Some([2, 3]), padding: [1, 1], ceil_mode: true, count_include_pad: false, divisor_override: None,
        })?,
        "avg_pool3d" => f::try_avg_pool3d(&t[0], [2; 3], f::AvgPoolOptions { stride: Some([1; 3]), padding: [1; 3], ..Default::default() })?,
        "max_pool1d" => f::try_max_pool1d_with_indices(&t[0], [3], f::MaxPoolOptions {
            stride: Some([2]), padding: [1], dilation: [2], ceil_mode: true,
        })?,
        "max_pool2d_ties" => f::try_max_pool2d_with_indices(&t[0], [2, 2], f::MaxPoolOptions {
            stride: Some([1, 1]), padding: [1, 1], ..Default::default()
        })?,
        "max_pool3d" => f::try_max_pool3d_with_indices(&t[0], [2; 3], f::MaxPoolOptions {
            stride: Some([2, 1, 2]), padding: [1; 3], ceil_mode: true, ..Default::default()
        })?,
        "adaptive_avg_pool1d" => f::try_adaptive_avg_pool1d(&t[0], [Some(3)])?,
        "adaptive_avg_pool2d" => f::try_adaptive_avg_pool2d(&t[0], [Some(3), Some(4)])?,
        "adaptive_avg_pool3d" => f::try_adaptive_avg_pool3d(&t[0], [Some(2), Some(2), Some(7)])?,
        "adaptive_max_pool1d" => f::try_adaptive_max_pool1d(&t[0], [Some(3)])?,
        "adaptive_max_pool2d" => f::try_adaptive_max_pool2d(&t[0], [Some(3), Some(4)])?,
        "unfold" => f::try_unfold(&t[0], [3, 2], f::FoldOptions { dilation: [1, 2], padding: [1, 0], stride: [2, 1] })?,
        "fold" => f::try_fold(&t[0], [5, 6], [3, 2], f::FoldOptions { dilation: [1, 2], padding: [0, 1], stride: [2, 3] })?,
        "linear_resize" => f::try_interpolate(&t[0], &resize(Mode::Linear, &[11]))?,
        "nearest_exact" => f::try_interpolate(&t[0], &resize(Mode::NearestExact, &[7, 4]))?,
        "bilinear_corners" => f::try_interpolate(&t[0], &corners(Mode::Bilinear, &[7, 4]))?,
        "trilinear" => f::try_interpolate(&t[0], &InterpolateOptions {
            scale_factor: vec![0.5, 2.0, 1.3], mode: Mode::Trilinear, ..Default::default()
        })?,
        "bicubic" => f::try_interpolate(&t[0], &resize(Mode::Bicubic, &[8, 4]))?,
        "bicubic_corners" => f::try_interpolate(&t[0], &corners(Mode::Bicubic, &[3, 9]))?,
        "area" => f::try_interpolate(&t[0], &resize(Mode::Area, &[3, 4]))?,
        "pad_reflect" => f::try_pad(&t[0], &[3, -1, 0, 4], PadMode::Reflect)?,
        "pad_replicate" => f::try_pad(&t[0], &[-2, 3], PadMode::Replicate)?,
        "pad_circular" => f::try_pad(&t[0], &[3, 1, -1, 2], PadMode::Circular)?,
        "pixel_unshuffle" => f::try_pixel_unshuffle(&t[0], 2)?,
        "channel_shuffle" => f::try_channel_shuffle(&t[0], 2)?,
        "batch_norm" => f::try_batch_norm(&t[0], None, None, f::BatchNormOptions {
            weight: Some(&t[1]), bias: Some(&t[2]), eps: 1e-3, ..training()
        })?,
        "instance_norm" => f::try_instance_norm(&t[0], None, None, training())?,
        "layer_norm" => f::try_layer_norm(&t[0], &[5, 6], affine(t, 1e-5))?,
        "group_norm" => f::try_group_norm(&t[0], 2, affine(t, 1e-5))?,
        "rms_norm" => f::try_rms_norm(&t[0], &[7], None, None)?,
        "local_response_norm" => f::try_local_response_norm(&t[0], 3, 0.5, 0.75, 2.0)?,
        "normalize_zero" => f::try_normalize(&t[0], 2.0, 1, 1e-12)?,
        "normalize_inf" => f::try_normalize(&t[0], f64::INFINITY, 2, 1e-12)?,
        "normalize_3" => f::try_normalize(&t[0], 3.0, 1, 1e-12)?,
        "cosine_similarity" => f::try_cosine_similarity(&t[0], &t[1], 2, 1e-8)?,
        "pairwise_distance" => f::try_pairwise_distance(&t[0], &t[1], 3.0, 1e-6, true)?,
        "embedding_padding" => f::try_embedding(&t[0], &t[1], Some(1))?,
        "attention_gqa" => f::try_scaled_dot_product_attention(&t[0], &t[1], &t[2], f::AttentionOptions {
            is_causal: true, enable_gqa: true, ..Default::default()
        })?,
        "attention_mask" => f::try_scaled_dot_product_attention(&t[0], &t[1], &t[2], f::AttentionOptions {
            attn_mask: Some(&t[3]), scale: Some(0.3), ..Default::default()
        })?,
        "attention_bool" => f::try_scaled_dot_product_attention(&t[0], &t[1], &t[2], f::AttentionOptions {
            attn_mask: Some(&t[3].to(DType::Bool)), ..Default::default()
        })?,
        "smooth_l1_loss" => f::try_smooth_l1_loss(&t[0], &t[1], 0.5, Reduction::Sum)?,
        "smooth_l1_inf" => f::try_smooth_l1_loss(&t[0], &t[1], 0.5, Reduction::None)?,
        "huber_loss" => f::try_huber_loss(&t[0], &t[1], 0.75, Reduction::None)?,
        "binary_cross_entropy" => f::try_binary_cross_entropy(&t[0], &t[1], None, Reduction::None)?,
        "bce_with_logits" => f::try_binary_cross_entropy_with_logits(&t[0], &t[1], None, Some(&t[2]), Reduction::None)?,
        "cross_entropy_smooth" => f::try_cross_entropy(&t[0], &t[1], smooth(Some(&t[2]), 0.2))?,
        "cross_entropy_smooth_none" => f::try_cross_entropy(&t[0], &t[1], f::CrossEntropyOptions {
            reduction: Reduction::None, ..smooth(Some(&t[2]), 0.2)
        })?,
        "cross_entropy_probabilities" => f::try_cross_entropy(&t[0], &t[1], smooth(None, 0.1))?,
        "cross_entropy_places" => f::try_cross_entropy(&t[0], &t[1], f::CrossEntropyOptions { ignore_index: 1, ..Default::default() })?,
        "nll_loss_infinite" => f::try_nll_loss(&t[0], &t[1], f::NllLossOptions { ignore_index: 0, ..Default::default() })?,
        "kl_div" => f::try_kl_div(&t[0], &t[1], false, KlReduction::BatchMean)?,
        "hinge_embedding_loss" => f::try_hinge_embedding_loss(&t[0], &t[1], 0.5, Reduction::None)?,
        "cosine_embedding_loss" => f::try_cosine_embedding_loss(&t[0], &t[1], &t[2], -0.5, Reduction::Mean)?,
        "margin_ranking_loss" => f::try_margin_ranking_loss(&t[0], &t[1], &t[2], 0.5, Reduction::Mean)?,
        "gaussian_nll_loss" => f::try_gaussian_nll_loss(&t[0], &t[1], &t[2], true, 0.01, Reduction::Mean)?,
        "poisson_nll_loss" => f::try_poisson_nll_loss(&t[0], &t[1], true, true, 1e-8, Reduction::Mean)?,
        "poisson_nll_loss_plain" => f::try_poisson_nll_loss(&t[0], &t[1], false, false, 1e-8, Reduction::Sum)?,
        "triplet_margin_loss" => f::try_triplet_margin_loss(&t[0], &t[1], &t[2], f::TripletMarginOptions { margin: 2.0, swap: true, ..Default::default() })?,
        "soft_margin_loss" => f::try_soft_margin_loss(&t[0], &t[1], Reduction::None)?,
        "multi_margin_loss" => f::try_multi_margin_loss(&t[0], &t[1], 2, 0.5, Some(&t[2]), Reduction::Mean)?,
        "multilabel_soft_margin_loss" => f::try_multilabel_soft_margin_loss(&t[0], &t[1], None, Reduction::Mean)?,
        "dropout" => {
            manual_seed(3);
            let (a, b) = (f::try_dropout(&t[0], 0.3, true)?, f::try_alpha_dropout(&t[0], 0.3, true)?);
            let c = f::try_feature_dropout(&t[0].unsqueeze(0), 0.5, true)?.select(0, 0);
            [a, b, c]
        },
    }
}
