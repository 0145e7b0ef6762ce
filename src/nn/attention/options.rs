//! What the layers of transformers may be made and called with, PyTorch's names and defaults.

use super::multihead::{MultiheadAttention, MultiheadOptions};
use crate::error::Result;
use crate::nn::{Dropout, LayerNorm, LayerNormOptions, Linear, LinearOptions};
use crate::tensor::Tensor;
use allotrope_ir::DType;
use std::fmt;
use std::sync::Arc;

/// The function between the two products of a transformer's layer.
///
/// ```
/// use allotrope::prelude::*;
/// let options = nn::TransformerLayerOptions {
///     activation: nn::TransformerActivation::function(|x| x.silu()),
///     dim_feedforward: 16,
///     ..Default::default()
/// };
/// let layer = nn::TransformerEncoderLayer::with_options(4, 2, options);
/// assert_eq!(layer.forward(&randn(&[3, 2, 4])).shape(), [3, 2, 4]);
/// ```
#[derive(Clone, Default)]
pub enum TransformerActivation {
    #[default]
    Relu,
    Gelu,
    /// Any function that keeps the shape.
    Function(Arc<dyn Fn(&Tensor) -> Tensor + Send + Sync>),
}

impl TransformerActivation {
    /// A function of one's own.
    pub fn function(f: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static) -> TransformerActivation {
        TransformerActivation::Function(Arc::new(f))
    }

    pub(super) fn of(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            TransformerActivation::Relu => x.try_relu(),
            TransformerActivation::Gelu => x.try_gelu(),
            TransformerActivation::Function(f) => Ok(f(x)),
        }
    }
}

impl fmt::Debug for TransformerActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransformerActivation::Relu => "Relu",
            TransformerActivation::Gelu => "Gelu",
            TransformerActivation::Function(_) => "Function",
        })
    }
}

/// What a layer of a transformer may be made with.
#[derive(Clone, Debug)]
pub struct TransformerLayerOptions {
    /// Numbers between the two products behind the attention: 2048.
    pub dim_feedforward: usize,
    /// In training, the probability of a zero behind each part: 0.1.
    pub dropout: f64,
    /// Between the two products: ReLU.
    pub activation: TransformerActivation,
    /// Added to the variance in the normalisations: 1e-5.
    pub layer_norm_eps: f64,
    /// Takes and gives `[batch, time, ..]` instead of `[time, batch, ..]`: no.
    pub batch_first: bool,
    /// Normalises before each part, not behind the sum: no.
    pub norm_first: bool,
    /// Whether there are biases: yes.
    pub bias: bool,
    /// Of the parameters: `F32`.
    pub dtype: DType,
}

impl Default for TransformerLayerOptions {
    fn default() -> Self {
        TransformerLayerOptions {
            dim_feedforward: 2048,
            dropout: 0.1,
            activation: TransformerActivation::Relu,
            layer_norm_eps: 1e-5,
            batch_first: false,
            norm_first: false,
            bias: true,
            dtype: DType::F32,
        }
    }
}

/// What both kinds of layers are made of.
impl TransformerLayerOptions {
    pub(super) fn attention(&self, d_model: usize, nhead: usize) -> Result<MultiheadAttention> {
        let TransformerLayerOptions { dropout, bias, batch_first, dtype, .. } = *self;
        let options = MultiheadOptions { dropout, bias, batch_first, dtype, ..Default::default() };
        MultiheadAttention::build(d_model, nhead, options)
    }

    pub(super) fn linear(&self, inputs: usize, outputs: usize) -> Result<Linear> {
        Linear::try_with_options(inputs, outputs, LinearOptions { bias: self.bias, dtype: self.dtype })
    }

    pub(super) fn norm(&self, d_model: usize) -> Result<LayerNorm> {
        let TransformerLayerOptions { layer_norm_eps: eps, bias, dtype, .. } = *self;
        LayerNorm::try_with_options(&[d_model], LayerNormOptions { eps, bias, dtype, ..Default::default() })
    }

    pub(super) fn dropout(&self) -> Result<Dropout> {
        Dropout::try_new(self.dropout)
    }
}

/// What a [`Transformer`](super::Transformer) may be made with.
#[derive(Clone, Debug)]
pub struct TransformerOptions {
    /// Layers of the encoder: 6.
    pub num_encoder_layers: usize,
    /// Layers of the decoder: 6.
    pub num_decoder_layers: usize,
    /// What its layers are made with.
    pub layer: TransformerLayerOptions,
}

impl Default for TransformerOptions {
    fn default() -> Self {
        TransformerOptions { num_encoder_layers: 6, num_decoder_layers: 6, layer: TransformerLayerOptions::default() }
    }
}

/// Where an encoder may not look. Bool masks are true there; float masks are added to the scores.
#[derive(Copy, Clone, Debug, Default)]
pub struct EncoderMasks<'a> {
    /// `[time, time]`, or `[batch heads, time, time]`.
    pub src_mask: Option<&'a Tensor>,
    /// `[batch, time]`: steps that are only there to fill up.
    pub src_key_padding_mask: Option<&'a Tensor>,
    /// Says that `src_mask`, which must be given too, is [`Transformer::generate_square_subsequent_mask`](super::Transformer::generate_square_subsequent_mask).
    pub is_causal: bool,
}

/// Where a decoder may not look, in the target and in what the encoder gave (the memory). Kinds as in [`EncoderMasks`].
#[derive(Copy, Clone, Debug, Default)]
pub struct DecoderMasks<'a> {
    /// `[target, target]`, or one for each batch and head.
    pub tgt_mask: Option<&'a Tensor>,
    /// `[target, source]`, or one for each batch and head.
    pub memory_mask: Option<&'a Tensor>,
    /// `[batch, target]`.
    pub tgt_key_padding_mask: Option<&'a Tensor>,
    /// `[batch, source]`.
    pub memory_key_padding_mask: Option<&'a Tensor>,
    /// As [`EncoderMasks::is_causal`], of `tgt_mask`.
    pub tgt_is_causal: bool,
    /// As [`EncoderMasks::is_causal`], of `memory_mask`.
    pub memory_is_causal: bool,
}

/// Where a transformer may not look. Kinds and shapes as in [`EncoderMasks`] and [`DecoderMasks`].
#[derive(Copy, Clone, Debug, Default)]
pub struct TransformerMasks<'a> {
    pub src_mask: Option<&'a Tensor>,
    pub tgt_mask: Option<&'a Tensor>,
    pub memory_mask: Option<&'a Tensor>,
    pub src_key_padding_mask: Option<&'a Tensor>,
    pub tgt_key_padding_mask: Option<&'a Tensor>,
    pub memory_key_padding_mask: Option<&'a Tensor>,
    pub src_is_causal: bool,
    pub tgt_is_causal: bool,
    pub memory_is_causal: bool,
}
