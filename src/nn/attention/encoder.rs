//! The encoder of a transformer: its layer, and several of them.

use super::multihead::MultiheadAttention;
use super::options::{EncoderMasks, TransformerLayerOptions};
use super::parts::{Hidden, attended, copied_linear, copied_norm, fed_forward, stack};
use crate::error::{Result, called, must};
use crate::nn::constructors::constructors;
use crate::nn::forward::forward;
use crate::nn::{Dropout, Forward, LayerNorm, Linear};
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// Attention of a sequence to itself, and two products with a function between, each added to what went in and normalised:
/// `torch.nn.TransformerEncoderLayer`. `[time, batch, d_model]`, with `batch_first` the batch first, or `[time, d_model]`.
///
/// ```
/// use allotrope::prelude::*;
/// let options = nn::TransformerLayerOptions { dim_feedforward: 16, ..Default::default() };
/// let layer = nn::TransformerEncoderLayer::with_options(4, 2, options);
/// let padding = Tensor::from_vec(vec![false, false, true], &[1, 3]);
/// let masks = nn::EncoderMasks { src_key_padding_mask: Some(&padding), ..Default::default() };
/// assert_eq!(layer.forward_with(&randn(&[3, 1, 4]), masks).shape(), [3, 1, 4]);
/// ```
#[derive(Module)]
pub struct TransformerEncoderLayer {
    pub self_attn: MultiheadAttention,
    pub linear1: Linear,
    dropout: Dropout,
    pub linear2: Linear,
    pub norm1: LayerNorm,
    pub norm2: LayerNorm,
    dropout1: Dropout,
    dropout2: Dropout,
    d_model: usize,
    #[module(skip)]
    options: TransformerLayerOptions,
}

constructors! { TransformerEncoderLayer(d_model: usize, nhead: usize; TransformerLayerOptions) }

impl TransformerEncoderLayer {
    pub(super) fn build(
        d_model: usize,
        nhead: usize,
        options: TransformerLayerOptions,
    ) -> Result<TransformerEncoderLayer> {
        Ok(TransformerEncoderLayer {
            self_attn: options.attention(d_model, nhead)?,
            linear1: options.linear(d_model, options.dim_feedforward)?,
            dropout: options.dropout()?,
            linear2: options.linear(options.dim_feedforward, d_model)?,
            norm1: options.norm(d_model)?,
            norm2: options.norm(d_model)?,
            dropout1: options.dropout()?,
            dropout2: options.dropout()?,
            d_model,
            options,
        })
    }

    /// `d_model`, and whether the batch comes first.
    pub(super) fn axes(&self) -> (usize, bool) {
        (self.d_model, self.options.batch_first)
    }

    fn duplicate(&self) -> Result<TransformerEncoderLayer> {
        Ok(TransformerEncoderLayer {
            self_attn: self.self_attn.duplicate()?,
            linear1: copied_linear(&self.linear1)?,
            dropout: self.options.dropout()?,
            linear2: copied_linear(&self.linear2)?,
            norm1: copied_norm(&self.norm1, self.options.norm(self.d_model)?)?,
            norm2: copied_norm(&self.norm2, self.options.norm(self.d_model)?)?,
            dropout1: self.options.dropout()?,
            dropout2: self.options.dropout()?,
            d_model: self.d_model,
            options: self.options.clone(),
        })
    }

    /// With masks.
    ///
    /// # Panics
    /// Where [`TransformerEncoderLayer::try_forward_with`] fails.
    #[track_caller]
    pub fn forward_with(&self, src: &Tensor, masks: EncoderMasks<'_>) -> Tensor {
        must(self.try_forward_with(src, masks))
    }

    /// As [`TransformerEncoderLayer::forward_with`].
    ///
    /// # Errors
    /// When the sequence or the masks do not fit.
    #[track_caller]
    pub fn try_forward_with(&self, src: &Tensor, masks: EncoderMasks<'_>) -> Result<Tensor> {
        called(self.layer(src, masks))
    }

    fn layer(&self, src: &Tensor, masks: EncoderMasks<'_>) -> Result<Tensor> {
        if self.options.norm_first {
            let x = src.try_add(&self.attention(&self.norm1.try_forward(src)?, masks)?)?;
            return x.try_add(&self.feed_forward(&self.norm2.try_forward(&x)?)?);
        }
        let x = self.norm1.try_forward(&src.try_add(&self.attention(src, masks)?)?)?;
        self.norm2.try_forward(&x.try_add(&self.feed_forward(&x)?)?)
    }

    fn attention(&self, x: &Tensor, masks: EncoderMasks<'_>) -> Result<Tensor> {
        let hidden = Hidden { mask: masks.src_mask, padding: masks.src_key_padding_mask, is_causal: masks.is_causal };
        attended(&self.self_attn, &self.dropout1, x, x, hidden)
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let dropouts = [&self.dropout, &self.dropout2];
        fed_forward([&self.linear1, &self.linear2], &self.options.activation, dropouts, x)
    }
}

/// Layers one after the other, and a normalisation at the end where there is one: `torch.nn.TransformerEncoder`.
///
/// Where a padding mask is given, PyTorch in evaluation without gradients may leave out the steps that only fill up, and gives zeros (then
/// normalised) in their places; here they are computed as in training. The other steps are the same.
#[derive(Module)]
pub struct TransformerEncoder {
    pub layers: Vec<TransformerEncoderLayer>,
    pub norm: Option<LayerNorm>,
}

stack! { TransformerEncoder of TransformerEncoderLayer }

impl TransformerEncoder {
    /// With masks.
    ///
    /// # Panics
    /// Where [`TransformerEncoder::try_forward_with`] fails.
    #[track_caller]
    pub fn forward_with(&self, src: &Tensor, masks: EncoderMasks<'_>) -> Tensor {
        must(self.try_forward_with(src, masks))
    }

    /// As [`TransformerEncoder::forward_with`].
    ///
    /// # Errors
    /// When the sequence or the masks do not fit.
    #[track_caller]
    pub fn try_forward_with(&self, src: &Tensor, masks: EncoderMasks<'_>) -> Result<Tensor> {
        called(self.encode(src, masks))
    }

    pub(super) fn encode(&self, src: &Tensor, masks: EncoderMasks<'_>) -> Result<Tensor> {
        self.through(src, |layer, x| layer.layer(x, masks))
    }
}

forward! {
    TransformerEncoderLayer: |this, x| this.layer(x, EncoderMasks::default());
    TransformerEncoder: |this, x| this.encode(x, EncoderMasks::default());
}
