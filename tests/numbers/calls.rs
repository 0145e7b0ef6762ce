//! The call that a name in `tests/data/number_cases.json` means: PyTorch's names, a part after a colon names the overload.

use crate::written::Given;
use allotrope::functional::{self as f, KlReduction, Reduction};
use allotrope::ops;
use allotrope::{DType, Result, Tensor};

fn pair((a, b): (Tensor, Tensor)) -> Vec<Tensor> {
    vec![a, b]
}

fn reduction(g: &Given) -> Reduction {
    match g.text() {
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "none" => Reduction::None,
        other => panic!("no reduction {other}"),
    }
}

fn kl_reduction(g: &Given) -> KlReduction {
    match g.text() {
        "mean" => KlReduction::Mean,
        "batchmean" => KlReduction::BatchMean,
        "sum" => KlReduction::Sum,
        "none" => KlReduction::None,
        other => panic!("no reduction {other}"),
    }
}

fn dtype(g: &Given) -> DType {
    DType::from_name(g.text()).expect("a dtype")
}

/// A copy, changed in place: with its own history, so that leaves may be.
fn changed(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<&Tensor>) -> Result<Tensor> {
    let copy = if x.dtype() == DType::Bool { x.try_logical_or(false)? } else { x.try_mul(1)? };
    f(&copy)?;
    Ok(copy)
}

pub fn call(op: &str, a: &[Given]) -> Result<Vec<Tensor>> {
    macro_rules! table {
        (
            one: $($one:ident / $try_one:ident)*;
            two: $($two:ident / $try_two:ident)*;
            functions: $($function:ident / $try_function:ident)*;
            losses: $($loss:ident / $try_loss:ident)*;
            in_place: $($place:literal / $try_place:ident)*;
            $($name:literal => $call:expr,)*
        ) => {
            match op {
                $(stringify!($one) => a[0].tensor().$try_one(),)*
                $(stringify!($two) => a[0].tensor().$try_two(a[1].arg()),)*
                $(stringify!($function) => ops::$try_function(a[0].arg(), a[1].arg()),)*
                $(stringify!($loss) => f::$try_loss(a[0].tensor(), a[1].tensor(), reduction(&a[2])),)*
                $($place => changed(a[0].tensor(), |x| x.$try_place(a[1].arg())),)*
                $($name => $call,)*
                _ => return over(op, a),
            }
        };
    }
    let one = table! {
        one: abs/try_abs acos/try_acos acosh/try_acosh asin/try_asin asinh/try_asinh atan/try_atan atanh/try_atanh ceil/try_ceil
            cos/try_cos cosh/try_cosh deg2rad/try_deg2rad erf/try_erf erfc/try_erfc exp/try_exp exp2/try_exp2 expm1/try_expm1
            floor/try_floor frac/try_frac isfinite/try_isfinite isinf/try_isinf isnan/try_isnan isposinf/try_isposinf
            isneginf/try_isneginf log/try_log log10/try_log10 log1p/try_log1p log2/try_log2 logical_not/try_logical_not
            bitwise_not/try_bitwise_not logit/try_logit neg/try_neg positive/try_positive rad2deg/try_rad2deg
            reciprocal/try_reciprocal round/try_round rsqrt/try_rsqrt sgn/try_sgn sigmoid/try_sigmoid sign/try_sign
            signbit/try_signbit sin/try_sin sinc/try_sinc sinh/try_sinh sqrt/try_sqrt square/try_square tan/try_tan
            tanh/try_tanh trunc/try_trunc relu/try_relu relu6/try_relu6 selu/try_selu gelu/try_gelu silu/try_silu mish/try_mish
            hardsigmoid/try_hardsigmoid hardswish/try_hardswish tanhshrink/try_tanhshrink softsign/try_softsign
            logsigmoid/try_logsigmoid gelu_tanh/try_gelu_tanh
            sum/try_sum mean/try_mean prod/try_prod max/try_max min/try_min argmax/try_argmax argmin/try_argmin all/try_all
            any/try_any var/try_var std/try_std norm/try_norm;
        two: mul/try_mul maximum/try_maximum minimum/try_minimum atan2/try_atan2 eq/try_eq ne/try_ne lt/try_lt le/try_le
            gt/try_gt ge/try_ge clamp_min/try_clamp_min clamp_max/try_clamp_max logical_and/try_logical_and
            logical_or/try_logical_or logical_xor/try_logical_xor rsub/try_rsub add/try_add copysign/try_copysign hypot/try_hypot
            ldexp/try_ldexp;
        functions: sub/try_sub div/try_div div_floor/try_div_floor div_trunc/try_div_trunc floor_divide/try_floor_divide
            remainder/try_remainder fmod/try_fmod pow/try_pow float_power/try_float_power xlogy/try_xlogy
            bitwise_and/try_bitwise_and bitwise_or/try_bitwise_or bitwise_xor/try_bitwise_xor;
        losses: mse_loss/try_mse_loss_with l1_loss/try_l1_loss soft_margin_loss/try_soft_margin_loss;
        in_place: "add_"/try_add_ "sub_"/try_sub_ "mul_"/try_mul_ "div_"/try_div_ "remainder_"/try_remainder_ "fmod_"/try_fmod_
            "floor_divide_"/try_floor_divide_ "pow_"/try_pow_ "clamp_min_"/try_clamp_min_ "clamp_max_"/try_clamp_max_
            "fill_"/try_fill_ "bitwise_and_"/try_bitwise_and_ "logical_or_"/try_logical_or_;
        "logaddexp" => a[0].tensor().try_logaddexp(a[1].tensor()),
        "logaddexp2" => a[0].tensor().try_logaddexp2(a[1].tensor()),
        "clamp" => a[0].tensor().try_clamp(a[1].arg(), a[2].arg()),
        "clamp_" => changed(a[0].tensor(), |x| x.try_clamp_(a[1].arg(), a[2].arg())),
        "where" => ops::try_where_(a[0].tensor(), a[1].arg(), a[2].arg()),
        "masked_fill" => a[0].tensor().try_masked_fill(a[1].tensor(), a[2].arg()),
        "masked_fill_" => changed(a[0].tensor(), |x| x.try_masked_fill_(a[1].tensor(), a[2].arg())),
        "index_fill" => a[0].tensor().try_index_fill(0, a[1].tensor(), a[2].arg()),
        "scatter" => a[0].tensor().try_scatter(0, a[1].tensor(), a[2].arg()),
        "scatter_add" => a[0].tensor().try_scatter_add(0, a[1].tensor(), a[2].tensor()),
        "index_add" => a[0].tensor().try_index_add(0, a[1].tensor(), a[2].tensor(), a[3].number()),
        "index_copy" => a[0].tensor().try_index_copy(0, a[1].tensor(), a[2].tensor()),
        "gather" => a[0].tensor().try_gather(0, a[1].tensor()),
        "index_select" => a[0].tensor().try_index_select(0, a[1].tensor()),
        "take" => a[0].tensor().try_take(a[1].tensor()),
        "take_along_dim" => a[0].tensor().try_take_along_dim(a[1].tensor(), Some(0)),
        "index" => a[0].tensor().try_index(a[1].tensor()),
        "embedding" => f::try_embedding(a[0].tensor(), a[1].tensor(), None),
        "one_hot" => f::try_one_hot(a[0].tensor(), Some(4)),
        "repeat_interleave" => a[0].tensor().try_repeat_interleave_by(a[1].tensor(), Some(0)),
        "full_like" => a[0].tensor().try_full_like(a[1].number()),
        "pad" => f::try_pad(a[0].tensor(), &[1, 0], f::PadMode::Constant(a[1].float())),
        "add:alpha" => a[0].tensor().try_add_alpha(a[1].arg(), a[2].number()),
        "sub:alpha" => a[0].tensor().try_sub_alpha(a[1].arg(), a[2].number()),
        "rsub:alpha" => a[0].tensor().try_rsub_alpha(a[1].arg(), a[2].number()),
        "addcmul" => a[0].tensor().try_addcmul(a[1].tensor(), a[2].tensor(), a[3].number()),
        "addcdiv" => a[0].tensor().try_addcdiv(a[1].tensor(), a[2].tensor(), a[3].number()),
        "lerp" => a[0].tensor().try_lerp(a[1].tensor(), a[2].arg()),
        "threshold" => a[0].tensor().try_threshold(a[1].number(), a[2].number()),
        "hardtanh" => a[0].tensor().try_hardtanh(a[1].number(), a[2].number()),
        "leaky_relu" => a[0].tensor().try_leaky_relu(a[1].float()),
        "elu" => a[0].tensor().try_elu(a[1].float()),
        "celu" => a[0].tensor().try_celu(a[1].float()),
        "hardshrink" => a[0].tensor().try_hardshrink(a[1].float()),
        "softshrink" => a[0].tensor().try_softshrink(a[1].float()),
        "softplus" => a[0].tensor().try_softplus(a[1].float(), a[2].float()),
        "prelu" => a[0].tensor().try_prelu(a[1].tensor()),
        "glu" => a[0].tensor().try_glu(-1),
        "logit:eps" => a[0].tensor().try_logit_eps(a[1].float()),
        "round:decimals" => a[0].tensor().try_round_decimals(a[1].int() as i32),
        "nan_to_num" => {
            let number = |g: &Given| if let Given::None = g { None } else { Some(g.float()) };
            a[0].tensor().try_nan_to_num(number(&a[1]), number(&a[2]), number(&a[3]))
        },
        "isclose" => a[0].tensor().try_isclose(a[1].tensor(), a[2].float(), a[3].float(), a[4].int() == 1),
        "to" => a[0].tensor().try_to(dtype(&a[1])),
        "smooth_l1_loss" => f::try_smooth_l1_loss(a[0].tensor(), a[1].tensor(), a[3].float(), reduction(&a[2])),
        "huber_loss" => f::try_huber_loss(a[0].tensor(), a[1].tensor(), a[3].float(), reduction(&a[2])),
        "kl_div" => f::try_kl_div(a[0].tensor(), a[1].tensor(), a[3].int() == 1, kl_reduction(&a[2])),
        "binary_cross_entropy" => {
            f::try_binary_cross_entropy(a[0].tensor(), a[1].tensor(), a[3].tensor_opt(), reduction(&a[2]))
        },
        "binary_cross_entropy_with_logits" => {
            let (weight, pos_weight) = (a[3].tensor_opt(), a[4].tensor_opt());
            f::try_binary_cross_entropy_with_logits(a[0].tensor(), a[1].tensor(), weight, pos_weight, reduction(&a[2]))
        },
        "poisson_nll_loss" => {
            let (log, full) = (a[3].int() == 1, a[4].int() == 1);
            f::try_poisson_nll_loss(a[0].tensor(), a[1].tensor(), log, full, 1e-8, reduction(&a[2]))
        },
        "gaussian_nll_loss" => {
            f::try_gaussian_nll_loss(a[0].tensor(), a[1].tensor(), a[3].tensor(), a[4].int() == 1, 1e-6, reduction(&a[2]))
        },
        "hinge_embedding_loss" => {
            f::try_hinge_embedding_loss(a[0].tensor(), a[1].tensor(), a[3].float(), reduction(&a[2]))
        },
        "margin_ranking_loss" => f::try_margin_ranking_loss(
            a[0].tensor(), a[1].tensor(), a[3].tensor(), a[4].float(), reduction(&a[2]),
        ),
        "cosine_embedding_loss" => f::try_cosine_embedding_loss(
            a[0].tensor(), a[1].tensor(), a[3].tensor(), a[4].float(), reduction(&a[2]),
        ),
        "triplet_margin_loss" => {
            let options = f::TripletMarginOptions { margin: a[4].float(), reduction: reduction(&a[2]), ..Default::default() };
            f::try_triplet_margin_loss(a[0].tensor(), a[1].tensor(), a[3].tensor(), options)
        },
        "multi_margin_loss" => f::try_multi_margin_loss(
            a[0].tensor(), a[1].tensor(), a[4].int() as u32, 1.0, a[3].tensor_opt(), reduction(&a[2]),
        ),
        "multilabel_soft_margin_loss" => {
            f::try_multilabel_soft_margin_loss(a[0].tensor(), a[1].tensor(), a[3].tensor_opt(), reduction(&a[2]))
        },
        "cross_entropy" => f::try_cross_entropy(a[0].tensor(), a[1].tensor(), f::CrossEntropyOptions {
            weight: a[3].tensor_opt(), reduction: reduction(&a[2]), label_smoothing: a[4].float(), ..Default::default()
        }),
        "nll_loss" => f::try_nll_loss(a[0].tensor(), a[1].tensor(), f::NllLossOptions {
            weight: a[3].tensor_opt(), reduction: reduction(&a[2]), ..Default::default()
        }),
        "cosine_similarity" => f::try_cosine_similarity(a[0].tensor(), a[1].tensor(), -1, 1e-8),
        "pairwise_distance" => f::try_pairwise_distance(a[0].tensor(), a[1].tensor(), a[2].float(), 1e-6, false),
        "normalize" => f::try_normalize(a[0].tensor(), a[1].float(), -1, 1e-12),
        "dist" => a[0].tensor().try_dist(a[1].tensor(), a[2].float()),
        "matmul" => a[0].tensor().try_matmul(a[1].tensor()),
        "mm" => a[0].tensor().try_mm(a[1].tensor()),
        "outer" => a[0].tensor().try_outer(a[1].tensor()),
        "dot" => a[0].tensor().try_dot(a[1].tensor()),
        "addmm" => a[0].tensor().try_addmm(a[1].tensor(), a[2].tensor(), a[3].number(), a[4].number()),
        "addmv" => a[0].tensor().try_addmv(a[1].tensor(), a[2].tensor(), a[3].number(), a[4].number()),
        "baddbmm" => a[0].tensor().try_baddbmm(a[1].tensor(), a[2].tensor(), a[3].number(), a[4].number()),
        "addr" => a[0].tensor().try_addr(a[1].tensor(), a[2].tensor(), a[3].number(), a[4].number()),
        "linear" => f::try_linear(a[0].tensor(), a[1].tensor(), a[2].tensor_opt()),
        "cross" => a[0].tensor().try_cross(a[1].tensor(), -1),
        "cat" => ops::try_cat(&tensors(a), 0),
        "stack" => ops::try_stack(&tensors(a), 0),
        "attention" => {
            let options = f::AttentionOptions { attn_mask: a[3].tensor_opt(), is_causal: a[4].int() == 1, ..Default::default() };
            f::try_scaled_dot_product_attention(a[0].tensor(), a[1].tensor(), a[2].tensor(), options)
        },
        "layer_norm" => f::try_layer_norm(a[0].tensor(), &[a[1].int() as usize], f::NormOptions {
            weight: a[2].tensor_opt(), bias: a[3].tensor_opt(), ..Default::default()
        }),
    };
    Ok(vec![one?])
}

fn tensors(a: &[Given]) -> Vec<&Tensor> {
    a.iter().filter_map(Given::tensor_opt).collect()
}

/// Reductions and orders along axes.
fn over(op: &str, a: &[Given]) -> Result<Vec<Tensor>> {
    let x = a[0].tensor();
    Ok(match op {
        "max:dim" => pair(x.try_max_dim(a[1].int(), false)?),
        "min:dim" => pair(x.try_min_dim(a[1].int(), false)?),
        "aminmax" => pair(x.try_aminmax(a[1].axes(), false)?),
        "cummax" => pair(x.try_cummax(a[1].int())?),
        "cummin" => pair(x.try_cummin(a[1].int())?),
        "sort" => pair(x.try_sort(a[1].int(), false)?),
        "sort:down" => pair(x.try_sort(a[1].int(), true)?),
        "topk" => vec![x.try_topk(a[2].int() as usize, a[1].int(), true)?.0],
        "kthvalue" => vec![x.try_kthvalue(a[2].int() as usize, a[1].int(), false)?.0],
        "var_mean" => pair(x.try_var_mean(a[1].axes(), a[2].float(), false)?),
        "std_mean" => pair(x.try_std_mean(a[1].axes(), a[2].float(), false)?),
        _ => vec![match op {
            "sum:dim" => x.try_sum_dim(a[1].axes(), false)?,
            "mean:dim" => x.try_mean_dim(a[1].axes(), false)?,
            "prod:dim" => x.try_prod_dim(a[1].int(), false)?,
            "amax" => x.try_amax(a[1].axes(), false)?,
            "amin" => x.try_amin(a[1].axes(), false)?,
            "argmax:dim" => x.try_argmax_dim(a[1].int(), false)?,
            "argmin:dim" => x.try_argmin_dim(a[1].int(), false)?,
            "all:dim" => x.try_all_dim(a[1].axes(), false)?,
            "any:dim" => x.try_any_dim(a[1].axes(), false)?,
            "count_nonzero" => x.try_count_nonzero(a[1].axes())?,
            "cumsum" => x.try_cumsum(a[1].int())?,
            "cumprod" => x.try_cumprod(a[1].int())?,
            "logcumsumexp" => x.try_logcumsumexp(a[1].int())?,
            "logsumexp" => x.try_logsumexp(a[1].axes(), false)?,
            "softmax" => x.try_softmax(a[1].int())?,
            "log_softmax" => x.try_log_softmax(a[1].int())?,
            "softmin" => x.try_softmin(a[1].int())?,
            "var:dim" => x.try_var_dim(a[1].axes(), a[2].float(), false)?,
            "std:dim" => x.try_std_dim(a[1].axes(), a[2].float(), false)?,
            "norm:dim" => x.try_norm_dim(a[1].float(), a[2].axes(), false)?,
            "vector_norm" => x.try_vector_norm(a[1].float(), a[2].axes(), false)?,
            _ => panic!("no operator {op}"),
        }],
    })
}
