//! Builds attention and transformers.

use crate::case::{Case, KEYWORD};
use crate::subject::{Built, subject};
use allotrope::nn::{
    self, DecoderMasks, EncoderMasks, MultiheadForwardOptions, MultiheadOptions, TransformerActivation,
    TransformerLayerOptions, TransformerMasks, TransformerOptions,
};
use allotrope::{DType, Error, Result};

/// The module of a class, of the arguments of its constructor.
pub fn build(class: &str, arguments: &Case<'_>) -> Built {
    let a = arguments;
    match class {
        "MultiheadAttention" => subject(multihead(a), |attention, c: &Case<'_>| {
            let options = MultiheadForwardOptions {
                key_padding_mask: c.tensor_opt(3, "key_padding_mask")?,
                need_weights: c.bool_or(4, "need_weights", true)?,
                attn_mask: c.tensor_opt(5, "attn_mask")?,
                average_attn_weights: c.bool_or(6, "average_attn_weights", true)?,
                is_causal: c.bool_or(7, "is_causal", false)?,
            };
            let (q, k, v) = (c.tensor(0, "query")?, c.tensor(1, "key")?, c.tensor(2, "value")?);
            let (out, weights) = attention.try_forward(q, k, v, options)?;
            Ok([out].into_iter().chain(weights).collect())
        }),
        "TransformerEncoderLayer" => subject(encoder_layer(a), |layer, c: &Case<'_>| {
            let masks = EncoderMasks {
                src_mask: c.tensor_opt(1, "src_mask")?,
                src_key_padding_mask: c.tensor_opt(2, "src_key_padding_mask")?,
                is_causal: c.bool_or(3, "is_causal", false)?,
            };
            Ok(vec![layer.try_forward_with(c.tensor(0, "src")?, masks)?])
        }),
        "TransformerDecoderLayer" => subject(decoder_layer(a), |layer, c: &Case<'_>| {
            let masks = DecoderMasks {
                tgt_mask: c.tensor_opt(2, "tgt_mask")?,
                memory_mask: c.tensor_opt(3, "memory_mask")?,
                tgt_key_padding_mask: c.tensor_opt(4, "tgt_key_padding_mask")?,
                memory_key_padding_mask: c.tensor_opt(5, "memory_key_padding_mask")?,
                tgt_is_causal: c.bool_or(6, "tgt_is_causal", false)?,
                memory_is_causal: c.bool_or(7, "memory_is_causal", false)?,
            };
            Ok(vec![layer.try_forward(c.tensor(0, "tgt")?, c.tensor(1, "memory")?, masks)?])
        }),
        "Transformer" => subject(transformer(a), |model, c: &Case<'_>| {
            let masks = TransformerMasks {
                src_mask: c.tensor_opt(2, "src_mask")?,
                tgt_mask: c.tensor_opt(3, "tgt_mask")?,
                memory_mask: c.tensor_opt(4, "memory_mask")?,
                src_key_padding_mask: c.tensor_opt(5, "src_key_padding_mask")?,
                tgt_key_padding_mask: c.tensor_opt(6, "tgt_key_padding_mask")?,
                memory_key_padding_mask: c.tensor_opt(7, "memory_key_padding_mask")?,
                src_is_causal: c.bool_or(8, "src_is_causal", false)?,
                tgt_is_causal: c.bool_or(9, "tgt_is_causal", false)?,
                memory_is_causal: c.bool_or(10, "memory_is_causal", false)?,
            };
            Ok(vec![model.try_forward(c.tensor(0, "src")?, c.tensor(1, "tgt")?, masks)?])
        }),
        _ => None,
    }
}

/// The dtype, at the end of the arguments; all tests are on the default device.
fn dtype(a: &Case<'_>) -> Result<DType> {
    a.given(KEYWORD, "device");
    Ok(a.dtype_opt(KEYWORD, "dtype")?.unwrap_or(DType::F32))
}

fn multihead(a: &Case<'_>) -> Result<nn::MultiheadAttention> {
    let options = MultiheadOptions {
        dropout: a.float_or(2, "dropout", 0.0)?,
        bias: a.bool_or(3, "bias", true)?,
        add_bias_kv: a.bool_or(4, "add_bias_kv", false)?,
        add_zero_attn: a.bool_or(5, "add_zero_attn", false)?,
        kdim: a.size_opt(6, "kdim")?,
        vdim: a.size_opt(7, "vdim")?,
        batch_first: a.bool_or(8, "batch_first", false)?,
        dtype: dtype(a)?,
    };
    nn::MultiheadAttention::try_with_options(a.size(0, "embed_dim")?, a.size(1, "num_heads")?, options)
}

/// The options of layers, the first of which has this place among the arguments.
fn layer_options(a: &Case<'_>, first: usize, then: usize) -> Result<TransformerLayerOptions> {
    let activation = match a.str_or(first + 2, "activation", "relu")? {
        "relu" => TransformerActivation::Relu,
        "gelu" => TransformerActivation::Gelu,
        other => return Err(Error::Argument(format!("no activation {other}"))),
    };
    Ok(TransformerLayerOptions {
        dim_feedforward: a.size_or(first, "dim_feedforward", 2048)?,
        dropout: a.float_or(first + 1, "dropout", 0.1)?,
        activation,
        layer_norm_eps: a.float_or(then, "layer_norm_eps", 1e-5)?,
        batch_first: a.bool_or(then + 1, "batch_first", false)?,
        norm_first: a.bool_or(then + 2, "norm_first", false)?,
        bias: a.bool_or(then + 3, "bias", true)?,
        dtype: dtype(a)?,
    })
}

fn encoder_layer(a: &Case<'_>) -> Result<nn::TransformerEncoderLayer> {
    let options = layer_options(a, 2, 5)?;
    nn::TransformerEncoderLayer::try_with_options(a.size(0, "d_model")?, a.size(1, "nhead")?, options)
}

fn decoder_layer(a: &Case<'_>) -> Result<nn::TransformerDecoderLayer> {
    let options = layer_options(a, 2, 5)?;
    nn::TransformerDecoderLayer::try_with_options(a.size(0, "d_model")?, a.size(1, "nhead")?, options)
}

fn transformer(a: &Case<'_>) -> Result<nn::Transformer> {
    let options = TransformerOptions {
        num_encoder_layers: a.size_or(2, "num_encoder_layers", 6)?,
        num_decoder_layers: a.size_or(3, "num_decoder_layers", 6)?,
        // Two more are between them: an encoder and a decoder of one's own, which no file can hold.
        layer: layer_options(a, 4, 9)?,
    };
    nn::Transformer::try_with_options(a.size_or(0, "d_model", 512)?, a.size_or(1, "nhead", 8)?, options)
}
