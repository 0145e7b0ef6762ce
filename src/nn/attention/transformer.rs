//! The transformer of an encoder and a decoder.

use super::decoder::{TransformerDecoder, TransformerDecoderLayer};
use super::encoder::{TransformerEncoder, TransformerEncoderLayer};
use super::masks::square_subsequent;
use super::options::{DecoderMasks, EncoderMasks, TransformerMasks, TransformerOptions};
use crate::error::{Error, Result, called, must};
use crate::nn::Module as _;
use crate::nn::constructors::constructors;
use crate::nn::init::try_xavier_uniform_;
use crate::tensor::{Size, Tensor};
use allotrope_derive::Module;

/// An encoder and a decoder, `torch.nn.Transformer` (Vaswani and others 2017): `[source, batch, d_model]` and `[target, batch, d_model]` give
/// `[target, batch, d_model]`, with `batch_first` the batch first, or all without batch. Parameters are drawn as PyTorch draws them.
///
/// ```
/// use allotrope::prelude::*;
/// let options = nn::TransformerOptions {
///     num_encoder_layers: 1,
///     num_decoder_layers: 1,
///     layer: nn::TransformerLayerOptions { dim_feedforward: 16, ..Default::default() },
/// };
/// let model = nn::Transformer::with_options(4, 2, options);
/// let mask = nn::Transformer::generate_square_subsequent_mask(3);
/// let masks = nn::TransformerMasks { tgt_mask: Some(&mask), ..Default::default() };
/// assert_eq!(model.forward(&randn(&[5, 2, 4]), &randn(&[3, 2, 4]), masks).shape(), [3, 2, 4]);
/// ```
#[derive(Module)]
pub struct Transformer {
    pub encoder: TransformerEncoder,
    pub decoder: TransformerDecoder,
    d_model: usize,
    batch_first: bool,
}

constructors! { Transformer(d_model: usize, nhead: usize; TransformerOptions) }

impl Transformer {
    fn build(d_model: usize, nhead: usize, options: TransformerOptions) -> Result<Transformer> {
        let layer = options.layer;
        let first = TransformerEncoderLayer::build(d_model, nhead, layer.clone())?;
        let encoder = TransformerEncoder::try_new(first, options.num_encoder_layers, layer.norm(d_model)?)?;
        let first = TransformerDecoderLayer::build(d_model, nhead, layer.clone())?;
        let decoder = TransformerDecoder::try_new(first, options.num_decoder_layers, layer.norm(d_model)?)?;
        let model = Transformer { encoder, decoder, d_model, batch_first: layer.batch_first };
        model.draw()?;
        Ok(model)
    }

    /// Of an encoder and a decoder of one's own, PyTorch's `custom_encoder` and `custom_decoder`: their weights are drawn anew, as PyTorch
    /// does.
    ///
    /// # Panics
    /// Where [`Transformer::try_of`] fails.
    #[track_caller]
    pub fn of(encoder: TransformerEncoder, decoder: TransformerDecoder) -> Transformer {
        must(Transformer::try_of(encoder, decoder))
    }

    /// As [`Transformer::of`].
    ///
    /// # Errors
    /// When one of them has no layers, or their layers have other sizes or another order of axes.
    #[track_caller]
    pub fn try_of(encoder: TransformerEncoder, decoder: TransformerDecoder) -> Result<Transformer> {
        called(Transformer::joined(encoder, decoder))
    }

    fn joined(encoder: TransformerEncoder, decoder: TransformerDecoder) -> Result<Transformer> {
        let layers = encoder.layers.first().zip(decoder.layers.first());
        let axes = layers.map(|(e, d)| (e.axes(), d.axes()));
        let Some(((d_model, batch_first), _)) = axes.filter(|(encoder, decoder)| encoder == decoder) else {
            return Err(Error::argument(format!(
                "Transformer: the layers of encoder and decoder must have one d_model and one order of axes (batch_first), got {}",
                match axes {
                    Some((encoder, decoder)) => format!("{encoder:?} and {decoder:?}"),
                    None => format!("{} and {} layers", encoder.layers.len(), decoder.layers.len()),
                }
            )));
        };
        let model = Transformer { encoder, decoder, d_model, batch_first };
        model.draw()?;
        Ok(model)
    }

    /// Draws the weights as the whole has them.
    fn draw(&self) -> Result<()> {
        self.parameters().iter().filter(|p| p.dim() > 1).try_for_each(|p| try_xavier_uniform_(p, 1.0))
    }

    /// 0 up to the diagonal and -inf behind it, f32 `[size, size]`: a mask with which no step looks at a later one. A size of a tensor
    /// stays symbolic in a trace.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let mask = nn::Transformer::generate_square_subsequent_mask(2);
    /// assert_eq!(mask.to_vec::<f32>(), [0.0, f32::NEG_INFINITY, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// When no tensor can have this size.
    #[track_caller]
    pub fn generate_square_subsequent_mask(size: impl Into<Size>) -> Tensor {
        must(square_subsequent(size.into()))
    }

    /// What the decoder makes of the target and of what the encoder makes of the source.
    ///
    /// # Panics
    /// Where [`Transformer::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, src: &Tensor, tgt: &Tensor, masks: TransformerMasks<'_>) -> Tensor {
        must(self.try_forward(src, tgt, masks))
    }

    /// As [`Transformer::forward`].
    ///
    /// # Errors
    /// When source, target and masks do not fit the model or each other.
    #[track_caller]
    pub fn try_forward(&self, src: &Tensor, tgt: &Tensor, masks: TransformerMasks<'_>) -> Result<Tensor> {
        called(self.run(src, tgt, masks))
    }

    fn run(&self, src: &Tensor, tgt: &Tensor, masks: TransformerMasks<'_>) -> Result<Tensor> {
        let (rank, width) = (src.dim(), Size::from(self.d_model));
        let fits = |t: &Tensor| t.dim() == rank && t.has_size(rank - 1, width);
        let batch = usize::from(!self.batch_first);
        if !(2..=3).contains(&rank)
            || !fits(src)
            || !fits(tgt)
            || (rank == 3 && !tgt.has_size(batch, src.sizes()[batch]))
        {
            let layout = if self.batch_first { "[batch, time, d_model]" } else { "[time, batch, d_model]" };
            return Err(Error::operands(
                "transformer",
                format!(
                    "source and target must be {layout} with one batch size, or [time, d_model], and d_model = {}, got {:?} and {:?}",
                    self.d_model,
                    src.shape_hint(),
                    tgt.shape_hint()
                ),
            ));
        }
        let memory = self.encoder.encode(
            src,
            EncoderMasks {
                src_mask: masks.src_mask,
                src_key_padding_mask: masks.src_key_padding_mask,
                is_causal: masks.src_is_causal,
            },
        )?;
        self.decoder.decode(
            tgt,
            &memory,
            DecoderMasks {
                tgt_mask: masks.tgt_mask,
                memory_mask: masks.memory_mask,
                tgt_key_padding_mask: masks.tgt_key_padding_mask,
                memory_key_padding_mask: masks.memory_key_padding_mask,
                tgt_is_causal: masks.tgt_is_causal,
                memory_is_causal: masks.memory_is_causal,
            },
        )
    }
}
