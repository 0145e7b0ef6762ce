//! The encoder of a transformer: its layer, and several of them.

use super::multihead::{MultiheadAttention, MultiheadForwardOptions, MultiheadOptions};
use super::options::{EncoderMasks, TransformerActivation, TransformerLayerOptions};
use super::parts::{Dropout, LayerNorm, copied_linear, linear};
use crate::error::{Error, Result, called, must};
use crate::nn::forward::forward;
use crate::nn::{Forward, Linear};
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
    #[module(skip)]
    activation: TransformerActivation,
    norm_first: bool,
}

impl TransformerEncoderLayer {
    /// With the defaults.
    ///
    /// # Panics
    /// Where [`TransformerEncoderLayer::try_with_options`] fails.
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> TransformerEncoderLayer {
        TransformerEncoderLayer::with_options(d_model, nhead, TransformerLayerOptions::default())
    }

    /// With options.
    ///
    /// # Panics
    /// Where [`TransformerEncoderLayer::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(d_model: usize, nhead: usize, options: TransformerLayerOptions) -> TransformerEncoderLayer {
        must(TransformerEncoderLayer::try_with_options(d_model, nhead, options))
    }

    /// As [`TransformerEncoderLayer::with_options`].
    ///
    /// # Errors
    /// When a size is 0, the heads do not divide `d_model`, `dropout` is no probability, the dtype is no float, or there is no memory.
    #[track_caller]
    pub fn try_with_options(
        d_model: usize,
        nhead: usize,
        options: TransformerLayerOptions,
    ) -> Result<TransformerEncoderLayer> {
        called(TransformerEncoderLayer::drawn(d_model, nhead, options))
    }

    pub(super) fn drawn(d_model: usize, nhead: usize, options: TransformerLayerOptions) -> Result<Self> {
        options.check("TransformerEncoderLayer")?;
        let TransformerLayerOptions { dim_feedforward, dropout, layer_norm_eps, bias, dtype, batch_first, .. } =
            options;
        let attention = MultiheadOptions { dropout, bias, batch_first, dtype, ..Default::default() };
        let norm = || LayerNorm::new(d_model, layer_norm_eps, bias, dtype);
        Ok(TransformerEncoderLayer {
            self_attn: MultiheadAttention::drawn(d_model, nhead, attention)?,
            linear1: linear(d_model, dim_feedforward, bias, dtype)?,
            dropout: Dropout::new(dropout),
            linear2: linear(dim_feedforward, d_model, bias, dtype)?,
            norm1: norm()?,
            norm2: norm()?,
            dropout1: Dropout::new(dropout),
            dropout2: Dropout::new(dropout),
            activation: options.activation,
            norm_first: options.norm_first,
        })
    }

    fn duplicate(&self) -> Result<TransformerEncoderLayer> {
        Ok(TransformerEncoderLayer {
            self_attn: self.self_attn.duplicate()?,
            linear1: copied_linear(&self.linear1)?,
            dropout: self.dropout.duplicate(),
            linear2: copied_linear(&self.linear2)?,
            norm1: self.norm1.duplicate()?,
            norm2: self.norm2.duplicate()?,
            dropout1: self.dropout1.duplicate(),
            dropout2: self.dropout2.duplicate(),
            activation: self.activation.clone(),
            norm_first: self.norm_first,
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
        if self.norm_first {
            let x = src.try_add(&self.attention(&self.norm1.try_forward(src)?, masks)?)?;
            return x.try_add(&self.feed_forward(&self.norm2.try_forward(&x)?)?);
        }
        let x = self.norm1.try_forward(&src.try_add(&self.attention(src, masks)?)?)?;
        self.norm2.try_forward(&x.try_add(&self.feed_forward(&x)?)?)
    }

    fn attention(&self, x: &Tensor, masks: EncoderMasks<'_>) -> Result<Tensor> {
        let options = MultiheadForwardOptions {
            attn_mask: masks.src_mask,
            key_padding_mask: masks.src_key_padding_mask,
            is_causal: masks.is_causal,
            need_weights: false,
            ..Default::default()
        };
        self.dropout1.try_forward(&self.self_attn.attend(x, x, x, options)?.0)
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.dropout.try_forward(&self.activation.of(&self.linear1.try_forward(x)?)?)?;
        self.dropout2.try_forward(&self.linear2.try_forward(&hidden)?)
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

impl TransformerEncoder {
    /// So many copies of a layer, each with parameters of its own that begin with the same numbers.
    ///
    /// # Panics
    /// When there is no memory for them.
    #[track_caller]
    pub fn new(
        layer: TransformerEncoderLayer,
        num_layers: usize,
        norm: impl Into<Option<LayerNorm>>,
    ) -> TransformerEncoder {
        must(TransformerEncoder::try_new(layer, num_layers, norm))
    }

    /// As [`TransformerEncoder::new`].
    ///
    /// # Errors
    /// When there is no memory for them.
    #[track_caller]
    pub fn try_new(
        layer: TransformerEncoderLayer,
        num_layers: usize,
        norm: impl Into<Option<LayerNorm>>,
    ) -> Result<TransformerEncoder> {
        let layers = called(super::parts::repeated(layer, num_layers, TransformerEncoderLayer::duplicate))?;
        Ok(TransformerEncoder { layers, norm: norm.into() })
    }

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
        if self.layers.is_empty() && self.norm.is_none() {
            return Err(Error::argument("TransformerEncoder: it has no layers"));
        }
        let out = self.layers.iter().try_fold(src.clone(), |x, layer| layer.layer(&x, masks))?;
        self.norm.as_ref().map_or(Ok(out.clone()), |norm| norm.try_forward(&out))
    }
}

forward! {
    TransformerEncoderLayer: |this, x| this.layer(x, EncoderMasks::default());
    TransformerEncoder: |this, x| this.encode(x, EncoderMasks::default());
}
