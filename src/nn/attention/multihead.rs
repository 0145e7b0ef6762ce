//! `MultiheadAttention`: projections to several heads, attention in each, and one projection of all of them. It follows PyTorch's order
//! of operations, draws included.

use super::masks;
use super::parts::{copied, copied_option};
use crate::error::{Error, Result, called, must};
use crate::functional::{AttentionOptions, try_dropout, try_linear, try_scaled_dot_product_attention};
use crate::nn::constructors::constructors;
use crate::nn::init::{constant_parameter, demand_float, try_xavier_normal_, try_xavier_uniform_};
use crate::nn::repr::python_bool;
use crate::nn::{Linear, LinearOptions};
use crate::ops::try_cat;
use crate::tensor::{Flag, Size, Tensor};
use allotrope_derive::Module;
use allotrope_ir::{DType, Extent};

const OP: &str = "multihead_attention";

/// What a [`MultiheadAttention`] may be made with; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct MultiheadOptions {
    /// In training, the probability of a zero in the attention weights: 0.
    pub dropout: f64,
    /// Whether the projections have biases: yes.
    pub bias: bool,
    /// A learned key and value behind the given ones: no.
    pub add_bias_kv: bool,
    /// A key and a value of zeros behind the given ones: no.
    pub add_zero_attn: bool,
    /// Numbers in a key, where not as many as in a query.
    pub kdim: Option<usize>,
    /// Numbers in a value, where not as many as in a query.
    pub vdim: Option<usize>,
    /// Takes and gives `[batch, time, ..]` instead of `[time, batch, ..]`: no.
    pub batch_first: bool,
    /// Of the parameters: `F32`.
    pub dtype: DType,
}

impl Default for MultiheadOptions {
    fn default() -> Self {
        MultiheadOptions {
            dropout: 0.0,
            bias: true,
            add_bias_kv: false,
            add_zero_attn: false,
            kdim: None,
            vdim: None,
            batch_first: false,
            dtype: DType::F32,
        }
    }
}

/// What a call of a [`MultiheadAttention`] has besides queries, keys and values; PyTorch's defaults.
#[derive(Copy, Clone, Debug)]
pub struct MultiheadForwardOptions<'a> {
    /// `[batch, source]`, or `[source]`: keys that are not looked at (bool, true), or numbers added to their scores.
    pub key_padding_mask: Option<&'a Tensor>,
    /// Whether the attention weights are wanted: yes.
    pub need_weights: bool,
    /// `[target, source]` or `[batch heads, target, source]`: where not to look (bool, true), or numbers added to the scores.
    pub attn_mask: Option<&'a Tensor>,
    /// Whether the weights are their mean over the heads: yes.
    pub average_attn_weights: bool,
    /// Says that the mask, which must be given too, is causal; it is not read then where neither weights are wanted nor a padding
    /// mask is given.
    pub is_causal: bool,
}

impl Default for MultiheadForwardOptions<'_> {
    fn default() -> Self {
        MultiheadForwardOptions {
            key_padding_mask: None,
            need_weights: true,
            attn_mask: None,
            average_attn_weights: true,
            is_causal: false,
        }
    }
}

/// The affine layer at the end of an attention, which PyTorch prints under this name.
#[derive(Module)]
#[module(extra_repr = Self::sizes)]
pub struct NonDynamicallyQuantizableLinear {
    /// `[out, in]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

impl NonDynamicallyQuantizableLinear {
    fn sizes(&self) -> String {
        let [out, inn] = [self.weight.shape_hint()[0], self.weight.shape_hint()[1]];
        format!("in_features={inn}, out_features={out}, bias={}", python_bool(self.bias.is_some()))
    }
}

/// Attention with several heads, `torch.nn.MultiheadAttention` (Vaswani and others 2017): queries, keys and values are projected, each
/// head has a part of the numbers, and what the heads give is projected again.
///
/// Queries `[target, batch, embed]`, keys `[source, batch, kdim]` and values `[source, batch, vdim]`, with `batch_first` the batch first, or all
/// of them without batch; the result has the shape of the queries, the attention weights are `[batch, target, source]`, or with
/// `average_attn_weights: false` `[batch, heads, target, source]`. Parameters are drawn as PyTorch draws them.
///
/// ```
/// use allotrope::prelude::*;
/// let attention = nn::MultiheadAttention::new(8, 2);
/// let x = randn(&[5, 3, 8]);
/// let (y, weights) = attention.forward(&x, &x, &x, Default::default());
/// assert_eq!(y.shape(), [5, 3, 8]);
/// assert_eq!(weights.unwrap().shape(), [3, 5, 5]);
/// ```
#[derive(Module)]
pub struct MultiheadAttention {
    /// `[3 embed, embed]` for queries, keys and values, where all have as many numbers.
    pub in_proj_weight: Option<Tensor>,
    /// `[embed, embed]`, else.
    pub q_proj_weight: Option<Tensor>,
    /// `[embed, kdim]`, else.
    pub k_proj_weight: Option<Tensor>,
    /// `[embed, vdim]`, else.
    pub v_proj_weight: Option<Tensor>,
    /// `[3 embed]`
    pub in_proj_bias: Option<Tensor>,
    /// `[1, 1, embed]`
    pub bias_k: Option<Tensor>,
    /// `[1, 1, embed]`
    pub bias_v: Option<Tensor>,
    pub out_proj: NonDynamicallyQuantizableLinear,
    training: Flag,
    embed_dim: usize,
    num_heads: usize,
    #[module(skip)]
    options: MultiheadOptions,
}

constructors! { MultiheadAttention(embed_dim: usize, num_heads: usize; MultiheadOptions) }

impl MultiheadAttention {
    pub(super) fn build(embed_dim: usize, num_heads: usize, options: MultiheadOptions) -> Result<MultiheadAttention> {
        let fail = |message: String| Err(Error::argument(format!("MultiheadAttention: {message}")));
        if embed_dim == 0 || num_heads == 0 {
            return fail(format!("embed_dim and num_heads must be at least 1, got {embed_dim} and {num_heads}"));
        }
        if !embed_dim.is_multiple_of(num_heads) {
            return fail(format!("num_heads must divide embed_dim, got {num_heads} and {embed_dim}"));
        }
        if !(0.0..=1.0).contains(&options.dropout) {
            return fail(format!("the probability dropout must be 0 to 1, got {}", options.dropout));
        }
        demand_float("MultiheadAttention", options.dtype)?;
        let MultiheadOptions { bias, dtype, .. } = options;
        let (kdim, vdim) = (options.kdim.unwrap_or(embed_dim), options.vdim.unwrap_or(embed_dim));
        let triple = embed_dim.saturating_mul(3);
        let zeros = |shape: &[usize]| constant_parameter(shape, 0.0, dtype);
        let weights = |shape: &[usize]| {
            let weights = zeros(shape)?;
            try_xavier_uniform_(&weights, 1.0).map(|()| weights)
        };
        let learned = || {
            let row = zeros(&[1, 1, embed_dim])?;
            try_xavier_normal_(&row, 1.0).map(|()| row)
        };
        // In PyTorch's order: the last projection is drawn first.
        let Linear { weight, bias: out_bias } =
            Linear::try_with_options(embed_dim, embed_dim, LinearOptions { bias, dtype })?;
        let alike = kdim == embed_dim && vdim == embed_dim;
        let in_proj_weight = if alike { Some(weights(&[triple, embed_dim])?) } else { None };
        let apart = |inputs: usize| if alike { Ok(None) } else { weights(&[embed_dim, inputs]).map(Some) };
        let (q, k, v) = (apart(embed_dim)?, apart(kdim)?, apart(vdim)?);
        let in_proj_bias = if bias { Some(zeros(&[triple])?) } else { None };
        let out_bias = if out_bias.is_some() { Some(zeros(&[embed_dim])?) } else { None };
        let (bias_k, bias_v) = if options.add_bias_kv { (Some(learned()?), Some(learned()?)) } else { (None, None) };
        Ok(MultiheadAttention {
            in_proj_weight,
            q_proj_weight: q,
            k_proj_weight: k,
            v_proj_weight: v,
            in_proj_bias,
            bias_k,
            bias_v,
            out_proj: NonDynamicallyQuantizableLinear { weight, bias: out_bias },
            training: Flag::new(true),
            embed_dim,
            num_heads,
            options,
        })
    }

    /// Another one with the same numbers in tensors of its own.
    pub(super) fn duplicate(&self) -> Result<MultiheadAttention> {
        let out_proj = NonDynamicallyQuantizableLinear {
            weight: copied(&self.out_proj.weight)?,
            bias: copied_option(&self.out_proj.bias)?,
        };
        Ok(MultiheadAttention {
            in_proj_weight: copied_option(&self.in_proj_weight)?,
            q_proj_weight: copied_option(&self.q_proj_weight)?,
            k_proj_weight: copied_option(&self.k_proj_weight)?,
            v_proj_weight: copied_option(&self.v_proj_weight)?,
            in_proj_bias: copied_option(&self.in_proj_bias)?,
            bias_k: copied_option(&self.bias_k)?,
            bias_v: copied_option(&self.bias_v)?,
            out_proj,
            training: Flag::new(self.training.get()),
            ..*self
        })
    }

    /// What the heads see, projected, and the attention weights where they are wanted. A query that may look nowhere gets NaN where
    /// weights are wanted, as in PyTorch.
    ///
    /// # Panics
    /// Where [`MultiheadAttention::try_forward`] fails.
    #[track_caller]
    pub fn forward(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: MultiheadForwardOptions<'_>,
    ) -> (Tensor, Option<Tensor>) {
        must(self.try_forward(query, key, value, options))
    }

    /// As [`MultiheadAttention::forward`].
    ///
    /// # Errors
    /// When queries, keys, values and masks do not fit the sizes of the layer or each other.
    #[track_caller]
    pub fn try_forward(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: MultiheadForwardOptions<'_>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        called(self.attend(query, key, value, options))
    }

    pub(super) fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: MultiheadForwardOptions<'_>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let batched = self.check(query, key, value)?;
        let batch_first = self.options.batch_first && batched;
        let time_first = |t: &Tensor| match (batched, batch_first) {
            (false, _) => t.try_unsqueeze(1),
            (true, true) => t.try_transpose(0, 1),
            (true, false) => Ok(t.clone()),
        };
        let masks = self.masks(query, key, batched, options)?;
        let (out, weights) = self.heads(&time_first(query)?, &time_first(key)?, &time_first(value)?, masks, options)?;
        let out = match (batched, batch_first) {
            (false, _) => out.try_squeeze(1)?,
            (true, true) => out.try_transpose(0, 1)?,
            (true, false) => out,
        };
        let weights = match weights {
            Some(weights) if !batched => Some(weights.try_squeeze(0)?),
            weights => weights,
        };
        Ok((out, weights))
    }

    /// That the operands fit; whether they have a batch.
    fn check(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<bool> {
        let fail = |message: String| Err(Error::operands(OP, message));
        let batched = match query.dim() {
            3 => true,
            2 => false,
            _ => {
                let (layout, got) = (self.layout(), query.shape_hint());
                return fail(format!("the query must be {layout} or [time, embed], got {got:?}"));
            }
        };
        let widths =
            [self.embed_dim, self.options.kdim.unwrap_or(self.embed_dim), self.options.vdim.unwrap_or(self.embed_dim)];
        for ((t, name), width) in [(query, "query"), (key, "key"), (value, "value")].into_iter().zip(widths) {
            if t.dim() != query.dim() || !t.has_size(t.dim() - 1, Size::from(width)) {
                let axes = if batched { self.layout() } else { "[time, embed]" };
                let got = t.shape_hint();
                return fail(format!("the {name} must be {axes} with embed = {width}, got {got:?}"));
            }
            let own = self.out_proj.weight.dtype();
            if t.dtype() != own {
                return fail(format!("the {name} must be {own} as the weights, got {}", t.dtype()));
            }
        }
        let (time, batch) = if self.options.batch_first && batched { (1, 0) } else { (0, 1) };
        if !key.has_size(time, value.sizes()[time]) {
            return fail(format!("keys {:?} and values {:?} must be as many", key.shape_hint(), value.shape_hint()));
        }
        if batched && ![key, value].iter().all(|t| t.has_size(batch, query.sizes()[batch])) {
            return fail(format!(
                "query {:?}, key {:?} and value {:?}, which are {}, must have one batch size",
                query.shape_hint(),
                key.shape_hint(),
                value.shape_hint(),
                self.layout()
            ));
        }
        Ok(batched)
    }

    fn layout(&self) -> &'static str {
        if self.options.batch_first { "[batch, time, embed]" } else { "[time, batch, embed]" }
    }

    /// The mask of scores, `[1 or batch heads, target, source]`, and that of keys, `[batch, source]`.
    fn masks(
        &self,
        query: &Tensor,
        key: &Tensor,
        batched: bool,
        options: MultiheadForwardOptions<'_>,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if options.is_causal && options.attn_mask.is_none() {
            return Err(Error::operands(
                OP,
                "is_causal says of the mask that it is causal, so attn_mask must be given too",
            ));
        }
        let (time, batch) = if self.options.batch_first && batched { (1, 0) } else { (0, 1) };
        let batch = if batched { query.sizes()[batch] } else { Size::from(1) };
        let (target, source) = (query.sizes()[time], key.sizes()[time]);
        let padding = match options.key_padding_mask {
            None => None,
            Some(mask) => {
                let mask = if batched {
                    masks::check(OP, "key_padding_mask", "[batch, source]", mask, &[batch, source])?;
                    mask.clone()
                } else {
                    masks::check(OP, "key_padding_mask", "[source]", mask, &[source])?;
                    mask.try_unsqueeze(0)?
                };
                Some(masks::added(OP, "key_padding_mask", &mask, query.dtype())?)
            }
        };
        let scores = match options.attn_mask {
            None => None,
            Some(mask) => {
                let mask = if mask.dim() == 3 {
                    let all = batch.times(&Size::from(self.num_heads));
                    let axes = "[batch heads, target, source]";
                    masks::check(OP, "attn_mask", axes, mask, &[all, target, source])?;
                    mask.clone()
                } else {
                    masks::check(OP, "attn_mask", "[target, source]", mask, &[target, source])?;
                    mask.try_unsqueeze(0)?
                };
                Some(masks::added(OP, "attn_mask", &mask, query.dtype())?)
            }
        };
        Ok((scores, padding))
    }

    /// Attention of `[time, batch, ..]`.
    fn heads(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        (mut scores_mask, mut padding): (Option<Tensor>, Option<Tensor>),
        options: MultiheadForwardOptions<'_>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let (target, batch) = (query.sizes()[0], query.sizes()[1]);
        let (heads, width) = (Size::from(self.num_heads), self.embed_dim / self.num_heads);
        let (one, head, embed) = (Size::from(1), Size::from(width), Size::from(self.embed_dim));
        let all = batch.times(&heads);
        let [query, mut key, mut value] = self.projected(query, key, value)?;
        let is_causal = options.is_causal && padding.is_none() && !options.need_weights;
        if is_causal {
            scores_mask = None;
        }
        if let (Some(k), Some(v)) = (&self.bias_k, &self.bias_v) {
            let row = |bias: &Tensor| bias.expand_sizes(&[one, batch, embed]);
            key = try_cat(&[&key, &row(k)?], 0)?;
            value = try_cat(&[&value, &row(v)?], 0)?;
            (scores_mask, padding) = (masks::widened(scores_mask)?, masks::widened(padding)?);
        }
        let split = |t: &Tensor| t.reshape_sizes(&[t.sizes()[0], all, head])?.try_transpose(0, 1);
        let (query, mut key, mut value) = (split(&query)?, split(&key)?, split(&value)?);
        if self.options.add_zero_attn {
            let zeros = key.try_new_zeros(&[all, one, head])?;
            key = try_cat(&[&key, &zeros], 1)?;
            value = try_cat(&[&value, &zeros], 1)?;
            (scores_mask, padding) = (masks::widened(scores_mask)?, masks::widened(padding)?);
        }
        let source = key.sizes()[1];
        if let Some(padding) = padding {
            let keys = padding.reshape_sizes(&[batch, one, one, source])?.expand_sizes(&[batch, heads, one, source])?;
            let keys = keys.reshape_sizes(&[all, one, source])?;
            scores_mask = Some(match scores_mask {
                Some(mask) => mask.try_add(&keys)?,
                None => keys,
            });
        }
        let dropout_p = if self.options.dropout > 0.0 && self.training.get() { self.options.dropout } else { 0.0 };
        let join = |out: &Tensor| {
            let rows = out.try_transpose(0, 1)?.reshape_sizes(&[target.times(&batch), embed])?;
            let out = try_linear(&rows, &self.out_proj.weight, self.out_proj.bias.as_ref())?;
            out.reshape_sizes(&[target, batch, embed])
        };
        if options.need_weights {
            let scaled = query.try_mul((1.0 / width as f64).sqrt())?;
            let product = scaled.try_bmm(&key.try_transpose(1, 2)?)?;
            let scores = match &scores_mask {
                Some(mask) => mask.try_add(&product)?,
                None => product,
            };
            let weights = try_dropout(&scores.try_softmax(-1)?, dropout_p, dropout_p > 0.0)?;
            let out = join(&weights.try_bmm(&value)?)?;
            let weights = weights.reshape_sizes(&[batch, heads, target, source])?;
            let weights = if options.average_attn_weights { weights.try_mean_dim(&[1], false)? } else { weights };
            return Ok((out, Some(weights)));
        }
        let apart = |t: &Tensor| t.reshape_sizes(&[batch, heads, t.sizes()[1], head]);
        let mask = match &scores_mask {
            Some(mask) if mask.sizes()[0].is_one() => Some(mask.try_unsqueeze(0)?),
            Some(mask) => Some(mask.reshape_sizes(&[batch, heads, mask.sizes()[1], source])?),
            None => None,
        };
        let attention = AttentionOptions { attn_mask: mask.as_ref(), dropout_p, is_causal, ..Default::default() };
        let out = try_scaled_dot_product_attention(&apart(&query)?, &apart(&key)?, &apart(&value)?, attention)?;
        Ok((join(&out.reshape_sizes(&[all, target, head])?)?, None))
    }

    /// The projections of queries, keys and values.
    fn projected(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<[Tensor; 3]> {
        let biases: Vec<Tensor> = match &self.in_proj_bias {
            Some(bias) => bias.try_chunk(3, 0)?,
            None => Vec::new(),
        };
        let weights: Vec<Tensor> = match &self.in_proj_weight {
            Some(weight) => weight.try_chunk(3, 0)?,
            None => {
                [&self.q_proj_weight, &self.k_proj_weight, &self.v_proj_weight].into_iter().flatten().cloned().collect()
            }
        };
        let project = |i: usize, x: &Tensor| try_linear(x, &weights[i], biases.get(i));
        Ok([project(0, query)?, project(1, key)?, project(2, value)?])
    }
}
