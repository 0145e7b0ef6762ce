//! Attention: softmax of products of queries and keys, times values. Written out, so that its derivative follows.

use super::common::{demand_float, iota, numbers, widened};
use super::try_dropout;
use crate::device;
use crate::error::{Error, Result};
use crate::mode::layout::ordered_as;
use crate::mode::state::order_asked;
use crate::ops::single_node::{Keeps, single};
use crate::ops::twin_fns;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;

/// What attention has besides queries, keys and values; PyTorch's defaults.
#[derive(Copy, Clone, Debug, Default)]
pub struct AttentionOptions<'a> {
    /// Bool: where attention may look; float: added to the products. Broadcasts to `[.., l, s]`.
    pub attn_mask: Option<&'a Tensor>,
    /// The share of attention weights that is dropped.
    pub dropout_p: f64,
    /// The query at place i looks at the keys up to place i only.
    pub is_causal: bool,
    /// The factor of the products; none means 1 / √e.
    pub scale: Option<f64>,
    /// Keys and values may have fewer heads, each of which is used by several heads of the queries.
    pub enable_gqa: bool,
}

twin_fns! {
    /// `softmax(scale q kᵀ + mask) v`: queries `[.., l, e]`, keys `[.., s, e]` and values `[.., s, ev] -> [.., l, ev]`,
    /// with leading axes that broadcast. A query that may look nowhere gets zeros.
    ///
    /// ```
    /// use allotrope::functional::{AttentionOptions, scaled_dot_product_attention};
    /// use allotrope::prelude::*;
    /// let v = Tensor::from_vec(vec![1.0f32, 3.0], &[2, 1]);
    /// let q = Tensor::zeros(&[2, 1], DType::F32);
    /// let causal = AttentionOptions { is_causal: true, ..Default::default() };
    /// assert_eq!(scaled_dot_product_attention(&q, &q, &v, causal).to_vec::<f32>(), [1.0, 2.0]);
    /// ```
    fn scaled_dot_product_attention / try_scaled_dot_product_attention(
        query: &Tensor, key: &Tensor, value: &Tensor, options: AttentionOptions<'_>,
    ) -> Tensor {
        let op = "scaled_dot_product_attention";
        let given = || format!(
            "query {:?}, key {:?} and value {:?}", query.shape_hint(), key.shape_hint(), value.shape_hint()
        );
        for t in [query, key, value] {
            demand_float(op, t)?;
            if t.dim() < 2 || t.dtype() != query.dtype() {
                return Err(Error::operands(op, format!("{} must have two axes at least and one dtype", given())));
            }
        }
        if options.is_causal && options.attn_mask.is_some() {
            return Err(Error::operands(op, "takes either a mask or is_causal"));
        }
        let rank = query.dim();
        // How a causal mask meets a NaN follows from it, so a trace then holds for calls with the same answer.
        let is_as_wide = |t: &Tensor| match options.is_causal {
            true => t.has_size(rank - 1, query.sizes()[rank - 1]),
            false => t.shape_hint()[rank - 1] == query.shape_hint()[rank - 1],
        };
        let fused = matches!(rank, 3 | 4)
            && [key, value].iter().all(|t| t.dim() == rank && is_as_wide(t))
            && options.dropout_p == 0.0
            && !options.attn_mask.is_some_and(Tensor::is_requires_grad);
        let as_sample = |y: Tensor| match rank == 3 && y.is_requires_grad() {
            // PyTorch adds an axis of heads, and takes it away at the end.
            true => y.reshape_as_node("SqueezeBackward1", &y.sizes()),
            false => Ok(y),
        };
        if !fused {
            return as_sample(attention(query, key, value, options, false)?);
        }
        let operands = [query, key, value];
        let flash = [Keeps::Operand(0), Keeps::Operand(1), Keeps::Operand(2), Keeps::Result(0)];
        let is_flash = is_flash(&operands, options);
        let (node, keeps) = match () {
            () if is_flash => ("ScaledDotProductFlashAttentionForCpuBackward0", &flash[..]),
            () if operands.iter().any(|t| t.shape_hint().contains(&0)) => ("AddBackward0", &flash[2..3]),
            () if query.dtype().is_half() => ("ToCopyBackward0", &flash[2..3]),
            () => ("UnsafeViewBackward0", &flash[2..3]),
        };
        let y = single(node, &operands, keeps, |t| {
            let y = attention(&t[0], &t[1], &t[2], options, true)?;
            if is_flash { ordered_as_queries(y, &t[0], &t[1..]) } else { Ok(y) }
        })?;
        as_sample(y)
    }
}

/// Whether PyTorch has one function for these operands: full ones, with equal batches and heads, whose numbers lie next to each
/// other, and a mask of one row for each query, or of as many axes as they have. It is part by part otherwise.
fn is_flash(operands: &[&Tensor], options: AttentionOptions<'_>) -> bool {
    let query = operands[0].shape_hint();
    let lead = query.len() - 2;
    let alike = |t: &&Tensor| {
        let own = t.shape_hint();
        own[..lead] == query[..lead] || (options.enable_gqa && own.first() == query.first())
    };
    let full = |t: &&Tensor| !t.shape_hint().contains(&0) && t.laid_out().last() == Some(&1);
    operands.iter().all(|t| alike(t) && full(t))
        && options.attn_mask.is_none_or(|m| matches!(m.dim(), 2 | 4) || (m.dim() == 3 && query.len() == 3))
}

/// The operation, part by part; `fused`: as PyTorch's kernel for it does.
fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    options: AttentionOptions<'_>,
    fused: bool,
) -> Result<Tensor> {
    let op = "scaled_dot_product_attention";
    let (mut k, mut v) = (widened(key)?, widened(value)?);
    if options.enable_gqa {
        (k, v) = (shared_heads(op, query, &k)?, shared_heads(op, query, &v)?);
    }
    let _entered = device::enter(query.device());
    let q = widened(query)?;
    let scale = match options.scale {
        Some(s) => s,
        None => 1.0 / (numbers(&query.sizes()[query.dim() - 1..], "attention is scaled by a size")[0] as f64).sqrt(),
    };
    let mut scores = q.try_mul(scale)?.try_matmul(&k.try_transpose(-1, -2)?)?;
    let low = f64::NEG_INFINITY;
    let fill = |scores: &Tensor, keep: &Tensor| scores.try_where_self(keep, &scores.try_zeros_like()?.try_add(low)?);
    if options.is_causal {
        let sizes = scores.sizes();
        let [l, s] = [sizes[sizes.len() - 2], sizes[sizes.len() - 1]];
        let seen = iota(l)?.try_unsqueeze(1)?.try_ge(&iota(s)?)?;
        scores = match fused {
            true => fill(&scores, &seen)?,
            // As a mask of bools.
            false => scores.try_add(&fill(&seen.try_to(scores.dtype())?.try_mul(0.0)?, &seen)?)?,
        };
    }
    if let Some(m) = options.attn_mask {
        scores = match m.dtype() {
            // Added, as PyTorch does: a NaN or an infinity stays one where it may not be looked at, too.
            DType::Bool => scores.try_add(&fill(&scores.try_zeros_like()?.detach(), m)?)?,
            t if t.is_float() => scores.try_add(&m.try_to(scores.dtype())?)?,
            t => return Err(Error::operands(op, format!("the mask must be bool or float, got {t}"))),
        };
    }
    // Without the largest, so that nothing overflows; where all are -inf, nothing is taken off, and the weights are 0.
    let most = scores.detach().try_amax(&[-1], true)?;
    let blind = most.try_eq(low)?;
    let exp = scores.try_sub(&most.try_zeros_like()?.try_where_self(&blind, &most)?)?.try_exp()?;
    let sum = exp.try_sum_dim(&[-1], true)?;
    let weights = exp.try_div(&sum.try_ones_like()?.try_where_self(&blind, &sum)?)?;
    let weights = try_dropout(&weights, options.dropout_p, options.dropout_p > 0.0)?;
    weights.try_matmul(&v)?.try_to(query.dtype())
}

/// In the order of the queries where these have their numbers next to each other, as the one function of PyTorch's gives it.
fn ordered_as_queries(y: Tensor, query: &Tensor, others: &[Tensor]) -> Result<Tensor> {
    order_asked(query);
    if query.is_dense() || !y.same_shape(query) || !innermost_last(query.laid_out()) {
        return Ok(y);
    }
    // Where they do not lie so, it is part by part.
    others.iter().for_each(order_asked);
    ordered_as(y, query)
}

/// Whether no axis has a smaller stride than the last, which has 1.
fn innermost_last(strides: &[isize]) -> bool {
    strides.last() == Some(&1) && strides.iter().all(|&s| s >= 1)
}

/// Each head of `x` (the axis before the last two) repeated for its heads of the queries.
fn shared_heads(op: &'static str, query: &Tensor, x: &Tensor) -> Result<Tensor> {
    let fail = || {
        Err(Error::operands(
            op,
            format!(
                "the heads of the query {:?} must be a multiple of those of {:?}",
                query.shape_hint(),
                x.shape_hint()
            ),
        ))
    };
    if query.dim() < 3 || x.dim() < 3 {
        return fail();
    }
    let axis = x.dim() - 3;
    let of = |t: &Tensor| numbers(&t.sizes()[t.dim() - 3..t.dim() - 2], "heads share keys and values")[0];
    let (heads, own) = (of(query), of(x));
    if own == 0 || !heads.is_multiple_of(own) {
        return fail();
    }
    let mut sizes: Sizes = x.sizes();
    sizes.insert(axis + 1, Size::from(1));
    let raised = x.reshape_sizes(&sizes)?;
    sizes[axis + 1] = Size::from(heads / own);
    let repeated = raised.expand_sizes(&sizes)?;
    sizes.remove(axis + 1);
    sizes[axis] = Size::from(heads);
    repeated.reshape_sizes(&sizes)
}
