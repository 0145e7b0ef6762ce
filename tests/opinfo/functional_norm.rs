//! Adapters: normalisations, embedding, attention, linear maps of torch.nn.functional.

use crate::case::{Case, one};
use crate::run::Adapter;
use allotrope::functional as f;
use allotrope::{Result, Tensor};

fn input<'a>(c: &'a Case) -> Result<&'a Tensor> {
    c.tensor(0, "input")
}

fn batch_norm(c: &Case) -> Result<Vec<Tensor>> {
    let (mean, var) = (c.tensor_opt(1, "running_mean")?, c.tensor_opt(2, "running_var")?);
    let options = f::BatchNormOptions {
        weight: c.tensor_opt(3, "weight")?,
        bias: c.tensor_opt(4, "bias")?,
        training: c.bool_or(5, "training", false)?,
        momentum: c.float_or(6, "momentum", 0.1)?,
        eps: c.float_or(7, "eps", 1e-5)?,
    };
    one(f::try_batch_norm(input(c)?, mean, var, options))
}

fn instance_norm(c: &Case) -> Result<Vec<Tensor>> {
    let (mean, var) = (c.tensor_opt(1, "running_mean")?, c.tensor_opt(2, "running_var")?);
    let options = f::BatchNormOptions {
        weight: c.tensor_opt(3, "weight")?,
        bias: c.tensor_opt(4, "bias")?,
        training: c.bool_or(5, "use_input_stats", true)?,
        momentum: c.float_or(6, "momentum", 0.1)?,
        eps: c.float_or(7, "eps", 1e-5)?,
    };
    one(f::try_instance_norm(input(c)?, mean, var, options))
}

fn norm_options<'a>(c: &'a Case) -> Result<f::NormOptions<'a>> {
    let (weight, bias) = (c.tensor_opt(2, "weight")?, c.tensor_opt(3, "bias")?);
    Ok(f::NormOptions { weight, bias, eps: c.float_or(4, "eps", 1e-5)? })
}

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "nn.functional.batch_norm" => batch_norm(c),
        "nn.functional.instance_norm" => instance_norm(c),
        "nn.functional.layer_norm" => {
            one(f::try_layer_norm(input(c)?, &c.sizes(1, "normalized_shape")?, norm_options(c)?))
        },
        "nn.functional.group_norm" => one(f::try_group_norm(input(c)?, c.size(1, "num_groups")?, norm_options(c)?)),
        "nn.functional.rms_norm" => one(f::try_rms_norm(
            input(c)?, &c.sizes(1, "normalized_shape")?, c.tensor_opt(2, "weight")?, c.float_opt(3, "eps")?,
        )),
        "nn.functional.normalize" => one(f::try_normalize(
            input(c)?, c.float_or(1, "p", 2.0)?, c.int_or(2, "dim", 1)?, c.float_or(3, "eps", 1e-12)?,
        )),
        "nn.functional.cosine_similarity" => one(f::try_cosine_similarity(
            c.tensor(0, "x1")?, c.tensor(1, "x2")?, c.int_or(2, "dim", 1)?, c.float_or(3, "eps", 1e-8)?,
        )),
        "nn.functional.linear" => one(f::try_linear(input(c)?, c.tensor(1, "weight")?, c.tensor_opt(2, "bias")?)),
        "nn.functional.bilinear" => one(f::try_bilinear(
            c.tensor(0, "input1")?, c.tensor(1, "input2")?, c.tensor(2, "weight")?, c.tensor_opt(3, "bias")?,
        )),
        "nn.functional.embedding" => {
            one(f::try_embedding(input(c)?, c.tensor(1, "weight")?, c.int_opt(2, "padding_idx")?))
        },
        "nn.functional.one_hot" => {
            let classes = match c.int_or(1, "num_classes", -1)? {
                -1 => None,
                n => Some(n as usize),
            };
            one(f::try_one_hot(input(c)?, classes))
        },
        "nn.functional.scaled_dot_product_attention" => {
            one(f::try_scaled_dot_product_attention(
                c.tensor(0, "query")?, c.tensor(1, "key")?, c.tensor(2, "value")?,
                f::AttentionOptions {
                    attn_mask: c.tensor_opt(3, "attn_mask")?,
                    dropout_p: c.float_or(4, "dropout_p", 0.0)?,
                    is_causal: c.bool_or(5, "is_causal", false)?,
                    scale: c.float_opt(6, "scale")?,
                    enable_gqa: c.bool_or(7, "enable_gqa", false)?,
                },
            ))
        },
    }
}
