//! The decoder of a transformer: its layer, and several of them.

use super::multihead::{MultiheadAttention, MultiheadForwardOptions, MultiheadOptions};
use super::options::{DecoderMasks, TransformerActivation, TransformerLayerOptions};
use super::parts::{Dropout, LayerNorm, copied_linear, linear};
use crate::error::{Error, Result, called, must};
use crate::nn::{Forward, Linear};
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
    #[module(skip)]
    activation: TransformerActivation,
    norm_first: bool,
}

impl TransformerDecoderLayer {
    /// With the defaults.
    ///
    /// # Panics
    /// Where [`TransformerDecoderLayer::try_with_options`] fails.
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> TransformerDecoderLayer {
        TransformerDecoderLayer::with_options(d_model, nhead, TransformerLayerOptions::default())
    }

    /// With options.
    ///
    /// # Panics
    /// Where [`TransformerDecoderLayer::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(d_model: usize, nhead: usize, options: TransformerLayerOptions) -> TransformerDecoderLayer {
        must(TransformerDecoderLayer::try_with_options(d_model, nhead, options))
    }

    /// As [`TransformerDecoderLayer::with_options`].
    ///
    /// # Errors
    /// When a size is 0, the heads do not divide `d_model`, `dropout` is no probability, the dtype is no float, or there is no memory.
    #[track_caller]
    pub fn try_with_options(
        d_model: usize,
        nhead: usize,
        options: TransformerLayerOptions,
    ) -> Result<TransformerDecoderLayer> {
        called(TransformerDecoderLayer::drawn(d_model, nhead, options))
    }

    pub(super) fn drawn(d_model: usize, nhead: usize, options: TransformerLayerOptions) -> Result<Self> {
        options.check("TransformerDecoderLayer")?;
        let TransformerLayerOptions { dim_feedforward, dropout, layer_norm_eps, bias, dtype, batch_first, .. } =
            options;
        let attention = MultiheadOptions { dropout, bias, batch_first, dtype, ..Default::default() };
        let norm = || LayerNorm::new(d_model, layer_norm_eps, bias, dtype);
        Ok(TransformerDecoderLayer {
            self_attn: MultiheadAttention::drawn(d_model, nhead, attention)?,
            multihead_attn: MultiheadAttention::drawn(d_model, nhead, attention)?,
            linear1: linear(d_model, dim_feedforward, bias, dtype)?,
            dropout: Dropout::new(dropout),
            linear2: linear(dim_feedforward, d_model, bias, dtype)?,
            norm1: norm()?,
            norm2: norm()?,
            norm3: norm()?,
            dropout1: Dropout::new(dropout),
            dropout2: Dropout::new(dropout),
            dropout3: Dropout::new(dropout),
            activation: options.activation,
            norm_first: options.norm_first,
        })
    }

    fn duplicate(&self) -> Result<TransformerDecoderLayer> {
        Ok(TransformerDecoderLayer {
            self_attn: self.self_attn.duplicate()?,
            multihead_attn: self.multihead_attn.duplicate()?,
            linear1: copied_linear(&self.linear1)?,
            dropout: self.dropout.duplicate(),
            linear2: copied_linear(&self.linear2)?,
            norm1: self.norm1.duplicate()?,
            norm2: self.norm2.duplicate()?,
            norm3: self.norm3.duplicate()?,
            dropout1: self.dropout1.duplicate(),
            dropout2: self.dropout2.duplicate(),
            dropout3: self.dropout3.duplicate(),
            activation: self.activation.clone(),
            norm_first: self.norm_first,
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
        if self.norm_first {
            let x = tgt.try_add(&self.to_itself(&self.norm1.try_forward(tgt)?, masks)?)?;
            let x = x.try_add(&self.to_memory(&self.norm2.try_forward(&x)?, memory, masks)?)?;
            return x.try_add(&self.feed_forward(&self.norm3.try_forward(&x)?)?);
        }
        let x = self.norm1.try_forward(&tgt.try_add(&self.to_itself(tgt, masks)?)?)?;
        let x = self.norm2.try_forward(&x.try_add(&self.to_memory(&x, memory, masks)?)?)?;
        self.norm3.try_forward(&x.try_add(&self.feed_forward(&x)?)?)
    }

    fn to_itself(&self, x: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        let options = MultiheadForwardOptions {
            attn_mask: masks.tgt_mask,
            key_padding_mask: masks.tgt_key_padding_mask,
            is_causal: masks.tgt_is_causal,
            need_weights: false,
            ..Default::default()
        };
        self.dropout1.try_forward(&self.self_attn.attend(x, x, x, options)?.0)
    }

    fn to_memory(&self, x: &Tensor, memory: &Tensor, masks: DecoderMasks<'_>) -> Result<Tensor> {
        let options = MultiheadForwardOptions {
            attn_mask: masks.memory_mask,
            key_padding_mask: masks.memory_key_padding_mask,
            is_causal: masks.memory_is_causal,
            need_weights: false,
            ..Default::default()
        };
        self.dropout2.try_forward(&self.multihead_attn.attend(x, memory, memory, options)?.0)
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.dropout.try_forward(&self.activation.of(&self.linear1.try_forward(x)?)?)?;
        self.dropout3.try_forward(&self.linear2.try_forward(&hidden)?)
    }
}

/// Layers one after the other, and a normalisation at the end where there is one: `torch.nn.TransformerDecoder`.
#[derive(Module)]
pub struct TransformerDecoder {
    pub layers: Vec<TransformerDecoderLayer>,
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// So many copies of a layer, each with parameters of its own that begin with the same numbers.
    ///
    /// # Panics
    /// When there is no memory for them.
    #[track_caller]
    pub fn new(
        layer: TransformerDecoderLayer,
        num_layers: usize,
        norm: impl Into<Option<LayerNorm>>,
    ) -> TransformerDecoder {
        must(TransformerDecoder::try_new(layer, num_layers, norm))
    }

    /// As [`TransformerDecoder::new`].
    ///
    /// # Errors
    /// When there is no memory for them.
    #[track_caller]
    pub fn try_new(
        layer: TransformerDecoderLayer,
        num_layers: usize,
        norm: impl Into<Option<LayerNorm>>,
    ) -> Result<TransformerDecoder> {
        let layers = called(super::parts::repeated(layer, num_layers, TransformerDecoderLayer::duplicate))?;
        Ok(TransformerDecoder { layers, norm: norm.into() })
    }

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
        if self.layers.is_empty() && self.norm.is_none() {
            return Err(Error::argument("TransformerDecoder: it has no layers"));
        }
        let out = self.layers.iter().try_fold(tgt.clone(), |x, layer| layer.layer(&x, memory, masks))?;
        self.norm.as_ref().map_or(Ok(out.clone()), |norm| norm.try_forward(&out))
    }
}
