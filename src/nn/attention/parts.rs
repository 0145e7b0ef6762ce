//! What the layers of encoders and decoders have in common: attention followed by dropout, the two products, and copies with
//! parameters of their own that begin with the same numbers.

use super::multihead::{MultiheadAttention, MultiheadForwardOptions};
use super::options::TransformerActivation;
use crate::backend::cpu::host::affords;
use crate::error::Result;
use crate::nn::{Dropout, Forward as _, LayerNorm, Linear, Module};
use crate::tensor::Tensor;

/// Where a layer's attention may not look.
#[derive(Copy, Clone)]
pub(super) struct Hidden<'a> {
    pub mask: Option<&'a Tensor>,
    pub padding: Option<&'a Tensor>,
    pub is_causal: bool,
}

/// Attention of `x` to `memory`, and dropout.
pub(super) fn attended(
    attention: &MultiheadAttention,
    dropout: &Dropout,
    x: &Tensor,
    memory: &Tensor,
    Hidden { mask, padding, is_causal }: Hidden<'_>,
) -> Result<Tensor> {
    let options = MultiheadForwardOptions {
        attn_mask: mask,
        key_padding_mask: padding,
        is_causal,
        need_weights: false,
        ..Default::default()
    };
    dropout.try_forward(&attention.attend(x, memory, memory, options)?.0)
}

/// Two products with a function between, and dropout behind both.
pub(super) fn fed_forward(
    [first, second]: [&Linear; 2],
    activation: &TransformerActivation,
    [inner, outer]: [&Dropout; 2],
    x: &Tensor,
) -> Result<Tensor> {
    let hidden = inner.try_forward(&activation.of(&first.try_forward(x)?)?)?;
    outer.try_forward(&second.try_forward(&hidden)?)
}

/// A parameter of its own with the same numbers.
pub(super) fn copied(tensor: &Tensor) -> Result<Tensor> {
    let copy = tensor.detach().try_copy()?;
    copy.set_requires_grad(tensor.is_requires_grad());
    Ok(copy)
}

pub(super) fn copied_option(tensor: &Option<Tensor>) -> Result<Option<Tensor>> {
    tensor.as_ref().map(copied).transpose()
}

pub(super) fn copied_linear(layer: &Linear) -> Result<Linear> {
    Ok(Linear { weight: copied(&layer.weight)?, bias: copied_option(&layer.bias)? })
}

/// A norm like the given one, which is `made` anew, with copies of its parameters.
pub(super) fn copied_norm(norm: &LayerNorm, mut made: LayerNorm) -> Result<LayerNorm> {
    (made.weight, made.bias) = (copied_option(&norm.weight)?, copied_option(&norm.bias)?);
    Ok(made)
}

/// Bytes that a layer takes, about, beside the numbers of its parameters.
const LAYER_BYTES: usize = 1 << 14;

/// A layer and copies of it, as many as are asked for.
pub(super) fn repeated<M: Module>(layer: M, count: usize, duplicate: impl Fn(&M) -> Result<M>) -> Result<Vec<M>> {
    if count > 1 {
        // The first one is made, so these are numbers.
        let numbers: usize = layer.parameters().iter().map(|p| p.numel() * p.dtype().size()).sum();
        affords((numbers + LAYER_BYTES).saturating_mul(count - 1), || format!("{count} layers"))?;
    }
    let mut layers = Vec::new();
    for _ in 1..count {
        layers.push(duplicate(&layer)?);
    }
    if count > 0 {
        layers.push(layer);
    }
    Ok(layers)
}

/// The constructors of layers one after the other, with a normalisation at the end where there is one.
macro_rules! stack {
    ($name:ident of $layer:ident) => {
        impl $name {
            /// So many copies of a layer, each with parameters of its own that begin with the same numbers.
            ///
            /// # Panics
            /// When there is no memory for them.
            #[track_caller]
            pub fn new(layer: $layer, num_layers: usize, norm: impl Into<Option<$crate::nn::LayerNorm>>) -> $name {
                $crate::error::must($name::try_new(layer, num_layers, norm))
            }

            #[doc = concat!("As [`", stringify!($name), "::new`].")]
            ///
            /// # Errors
            /// When there is no memory for them.
            #[track_caller]
            pub fn try_new(
                layer: $layer,
                num_layers: usize,
                norm: impl Into<Option<$crate::nn::LayerNorm>>,
            ) -> $crate::error::Result<$name> {
                let layers = $crate::error::called($crate::nn::attention::parts::repeated(
                    layer,
                    num_layers,
                    $layer::duplicate,
                ))?;
                Ok($name { layers, norm: norm.into() })
            }

            /// The layers, each given to `step` with what the one before gave, and the normalisation.
            fn through(
                &self,
                x: &$crate::tensor::Tensor,
                step: impl Fn(&$layer, &$crate::tensor::Tensor) -> $crate::error::Result<$crate::tensor::Tensor>,
            ) -> $crate::error::Result<$crate::tensor::Tensor> {
                if self.layers.is_empty() && self.norm.is_none() {
                    return Err($crate::error::Error::argument(concat!(stringify!($name), ": it has no layers")));
                }
                let out = self.layers.iter().try_fold(x.clone(), |x, layer| step(layer, &x))?;
                self.norm.as_ref().map_or(Ok(out.clone()), |norm| norm.try_forward(&out))
            }
        }
    };
}
pub(super) use stack;
