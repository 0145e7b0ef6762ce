//! The decoder of a transformer: its layer, and several of them.

use super::multihead::MultiheadAttention;
use super::options::{DecoderMasks, TransformerLayerOptions};
use super::parts::{Hidden, attended, copied_linear, copied_norm, fed_forward, stack};
use crate::error::{Result, called, must};
use crate::nn::constructors::constructors;
use crate::nn::{Dropout, Forward as _, LayerNorm, Linear};
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// Attention of the target to itself, attention to what an encoder gave (the memory), and two products with a function between, each
/// added to what went in and normalised: `torch.nn.TransformerDecoderLayer`. Shapes as in
/// [`TransformerEncoderLayer`](super::TransformerEncoderLayer).
///
/// ```
/// use allotrope::prelude::*;
/// let options = nn::TransformerLayerOptions { dim_feedforward: 16, ..Default::default() };
/// let layer = nn::TransformerDecoderLayer::with_options(4, 2, options);
/// let mask = nn::Transformer::generate_square_subsequent_mask(3);
/// let masks = nn::DecoderMasks { tgt_mask: Some(&mask), ..Default::default() };
/// assert_eq!(layer.forward(&randn(&[3, 1, 4]), &randn(&[5, 1, 4]), masks).shape(), [3, 1, 4]);
/// ```
#[derive(Module)]
pub struct TransformerDecoderLayer {
    pub self_attn: MultiheadAttention,
    pub multihead_attn: MultiheadAttention,
    pub linear1: Linear,
    dropout: Dropout,
    pub linear2: Linear,
    pub norm1: LayerNorm,
    pub norm2: LayerNorm,
    pub norm3: LayerNorm,
    dropout1: Dropout,
    dropout2: Dropout,
    dropout3: Dropout,
    d_model: usize,
    #[module(skip)]
    options: TransformerLayerOptions,
}

constructors! { TransformerDecoderLayer(d_model: usize, nhead: usize; TransformerLayerOptions) }

impl TransformerDecoderLayer {
    pub(super) fn build(
        d_model: usize,
        nhead: usize,
        options: TransformerLayerOptions,
    ) -> Result<TransformerDecoderLayer> {
        Ok(TransformerDecoderLayer {
            self_attn: options.attention(d_model, nhead)?,
            multihead_attn: options.attention(d_model, nhead)?,
            linear1: options.linear(d_model, options.dim_feedforward)?,
            dropout: options.dropout()?,
            linear2: options.linear(options.dim_feedforward, d_model)?,
            norm1: options.norm(d_model)?,
            norm2: options.norm(d_model)?,
            norm3: options.norm(d_model)?,
            dropout1: options.dropout()?,
            dropout2: options.dropout()?,
            dropout3: options.dropout()?,
            d_model,
            options,
        })
    }

    /// `d_model`, and whether the batch comes first.
    pub(super) fn axes(&self) -> (usize, bool) {
        (self.d_model, self.options.batch_first)
    }

    fn duplicate(&self) -> Result<TransformerDecoderLayer> {
        Ok(TransformerDecoderLayer {
            self_attn: self.self_attn.duplicate()?,
            multihead_attn: self.multihead_attn.duplicate()?,
            linear1: copied_linear(&self.linear1)?,
            dropout: self.options.dropout()?,
            linear2: copied_linear(&self.linear2)?,
            norm1: copied_norm(&self.norm1, self.options.norm(self.d_model)?)?,
            norm2: copied_norm(&self.norm2, self.options.norm(self.d_model)?)?,
            norm3: copied_norm(&self.norm3, self.options.norm(self.d_model)?)?,
            dropout1: self.options.dropout()?,
            dropout2: self.options.dropout()?,
            dropout3: self.options.dropout()?,
            d_model: self.d_model,
            options: self.options.clone(),
        })
    }

    /// The target's next representation, of the target and the memory.
    ///
    /// # Panics
    /// Where [`TransformerDecoderLayer::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, tgt: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Tensor {
        must(self.try_forward(tgt, memory, masks))
    }

    /// As [`TransformerDecoderLayer::forward`].
    ///
    /// # Errors
    /// When target, memory and masks do not fit the layer or each other.
    #[track_caller]
    pub fn try_forward(&self, tgt: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        called(self.layer(tgt, memory, masks))
    }

    fn layer(&self, tgt: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        if self.options.norm_first {
            let x = tgt.try_add(&self.to_itself(&self.norm1.try_forward(tgt)?, masks)?)?;
            let x = x.try_add(&self.to_memory(&self.norm2.try_forward(&x)?, memory, masks)?)?;
            return x.try_add(&self.feed_forward(&self.norm3.try_forward(&x)?)?);
        }
        let x = self.norm1.try_forward(&tgt.try_add(&self.to_itself(tgt, masks)?)?)?;
        let x = self.norm2.try_forward(&x.try_add(&self.to_memory(&x, memory, masks)?)?)?;
        self.norm3.try_forward(&x.try_add(&self.feed_forward(&x)?)?)
    }

    fn to_itself(&self, x: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        let hidden =
            Hidden { mask: masks.tgt_mask, padding: masks.tgt_key_padding_mask, is_causal: masks.tgt_is_causal };
        attended(&self.self_attn, &self.dropout1, x, x, hidden)
    }

    fn to_memory(&self, x: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        let DecoderMasks { memory_mask: mask, memory_key_padding_mask: padding, memory_is_causal: is_causal, .. } =
            masks;
        attended(&self.multihead_attn, &self.dropout2, x, memory, Hidden { mask, padding, is_causal })
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let dropouts = [&self.dropout, &self.dropout3];
        fed_forward([&self.linear1, &self.linear2], &self.options.activation, dropouts, x)
    }
}

/// Layers one after the other, and a normalisation at the end where there is one: `torch.nn.TransformerDecoder`.
#[derive(Module)]
pub struct TransformerDecoder {
    pub layers: Vec<TransformerDecoderLayer>,
    pub norm: Option<LayerNorm>,
}

stack! { TransformerDecoder of TransformerDecoderLayer }

impl TransformerDecoder {
    /// The target's representation, of the target and the memory.
    ///
    /// # Panics
    /// Where [`TransformerDecoder::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, tgt: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Tensor {
        must(self.try_forward(tgt, memory, masks))
    }

    /// As [`TransformerDecoder::forward`].
    ///
    /// # Errors
    /// When target, memory and masks do not fit the layers or each other.
    #[track_caller]
    pub fn try_forward(&self, tgt: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        called(self.decode(tgt, memory, masks))
    }

    pub(super) fn decode(&self, tgt: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        self.through(tgt, |layer, x| layer.layer(x, memory, masks))
    }
}
