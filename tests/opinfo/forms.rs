//! Calls that PyTorch's database has no case for, or not in each form: views, indexing, changes in place, operands of several
//! kinds. `tests/data/saved_tensors_forms.py` has the same calls, by name.

use allotrope::functional::{self as f, PadMode, Reduction};
use allotrope::ops::{self, Ellipsis, NewAxis, stepped};
use allotrope::{DType, Result, Tensor};

/// A call of some tensors.
pub type Form = fn(&[Tensor]) -> Result<Vec<Tensor>>;

/// One tensor or more.
struct Several(Vec<Tensor>);

impl From<Tensor> for Several {
    fn from(t: Tensor) -> Self {
        Several(vec![t])
    }
}

impl From<&Tensor> for Several {
    fn from(t: &Tensor) -> Self {
        Several(vec![t.clone()])
    }
}

impl From<(Tensor, Tensor)> for Several {
    fn from((a, b): (Tensor, Tensor)) -> Self {
        Several(vec![a, b])
    }
}

impl From<Vec<Tensor>> for Several {
    fn from(all: Vec<Tensor>) -> Self {
        Several(all)
    }
}

macro_rules! forms {
    ($t:ident; $($name:literal => $body:expr),* $(,)?) => {
        vec![$(($name, {
            fn call($t: &[Tensor]) -> Result<Vec<Tensor>> {
                Ok(Several::from($body).0)
            }
            call as Form
        })),*]
    };
}

fn mask() -> Tensor {
    // Of operations, for a trace takes no data.
    let numbers = Tensor::arange(12).mul(7).remainder(11).to(DType::F32).mul(0.0625).add(0.25);
    numbers.reshape(&[3, 4]).gt(0.5)
}

/// A result that nobody saves.
fn y(t: &[Tensor]) -> Tensor {
    &t[0] + 1.0
}

/// What a base and a view of it are after a change of the view.
fn part(
    t: &[Tensor],
    view: impl FnOnce(&Tensor) -> Tensor,
    change: impl FnOnce(&Tensor) -> Result<&Tensor>,
) -> Result<Vec<Tensor>> {
    let y = y(t);
    let z = view(&y);
    change(&z)?;
    Ok(vec![y, z])
}

/// What they are after a change of the base.
fn base(
    t: &[Tensor],
    view: impl FnOnce(&Tensor) -> Tensor,
    change: impl FnOnce(&Tensor) -> Result<&Tensor>,
) -> Result<Vec<Tensor>> {
    let y = y(t);
    let z = view(&y);
    change(&y)?;
    Ok(vec![y, z])
}

/// The forms by name.
pub fn forms() -> Vec<(&'static str, Form)> {
    [
        views(),
        indexing(),
        arithmetic(),
        unary(),
        reductions(),
        matrices(),
        moving(),
        functions(),
        in_place(),
        of_views(),
    ]
    .concat()
}

fn views() -> Vec<(&'static str, Form)> {
    forms! { t;
        "select" => t[0].try_select(0, 1)?,
        "select -1" => t[0].try_select(-1, -1)?,
        "[1]" => t[0].try_index(1)?,
        "[:, -1]" => t[0].try_index((.., -1))?,
        "[1, 2]" => t[0].try_index((1, 2))?,
        "[1:]" => t[0].try_index(1..)?,
        "[1:, 0:2]" => t[0].try_index((1.., 0..2))?,
        "[::2]" => t[0].try_index(stepped(.., 2))?,
        "[1::2]" => t[0].try_index(stepped(1.., 2))?,
        "[None]" => t[0].try_index(NewAxis)?,
        "[None, ..., ::3]" => t[0].try_index((NewAxis, Ellipsis, stepped(.., 3)))?,
        "[0, None]" => t[0].try_index((0, NewAxis))?,
        "slice" => t[0].try_slice(1, Some(1), Some(-1), 1)?,
        "narrow" => t[0].try_narrow(1, 1, 2)?,
        "t" => t[0].try_t()?,
        "transpose" => t[0].try_transpose(0, 1)?,
        "swapaxes" => t[0].try_swapaxes(0, 2)?,
        "mt" => t[0].try_mt()?,
        "permute" => t[0].try_permute(&[2, 0, 1])?,
        "movedim" => t[0].try_movedim(&[0], &[-1])?,
        "unsqueeze" => t[0].try_unsqueeze(-1)?,
        "squeeze" => t[0].try_squeeze(1)?,
        "squeeze_dims" => t[0].try_squeeze_dims(&[1, 2])?,
        "squeeze_all" => t[0].try_squeeze_all()?,
        "reshape" => t[0].try_reshape(&[2, 6])?,
        "reshape copy" => t[0].try_t()?.try_reshape(&[12])?,
        "reshape expanded" => t[0].try_expand(&[3, 4])?.try_reshape(&[12])?,
        "view" => t[0].try_view(&[-1])?,
        "view of t" => t[0].try_permute(&[2, 0, 1])?.try_view(&[4, 6])?,
        "view_as" => t[0].try_view_as(&t[1])?,
        "reshape_as" => t[0].try_reshape_as(&t[1])?,
        "flatten" => t[0].try_flatten(0, -1)?,
        "flatten 0-d" => t[0].try_flatten(0, -1)?,
        "flatten part" => t[0].try_flatten(1, -1)?,
        "flatten copy" => t[0].try_t()?.try_flatten(0, -1)?,
        "ravel" => t[0].try_ravel()?,
        "ravel copy" => t[0].try_t()?.try_ravel()?,
        "unflatten" => t[0].try_unflatten(1, &[2, -1])?,
        "expand" => t[0].try_expand(&[3, 4])?,
        "expand_as" => t[0].try_expand_as(&t[1])?,
        "broadcast_to" => t[0].try_broadcast_to(&[3, 4])?,
        "broadcast_tensors" => ops::try_broadcast_tensors(&[&t[0].try_index(..3)?, &t[1]])?,
        "atleast_1d" => t[0].try_atleast_1d()?,
        "atleast_2d" => t[0].try_atleast_2d()?,
        "atleast_2d 0" => t[0].try_atleast_2d()?,
        "atleast_3d" => t[0].try_atleast_3d()?,
        "atleast_3d 2" => t[0].try_atleast_3d()?,
        "atleast_3d 0" => t[0].try_atleast_3d()?,
        "contiguous copy" => t[0].try_t()?.try_contiguous()?,
        "split" => t[0].try_split(2, 1)?,
        "split_with_sizes" => t[0].try_split_with_sizes(&[1, 3], 1)?,
        "chunk" => t[0].try_chunk(2, 1)?,
        "tensor_split" => t[0].try_tensor_split(3, 1)?,
        "tensor_split_at" => t[0].try_tensor_split_at(&[1, 2], 1)?,
        "unbind" => t[0].try_unbind(0)?,
        "unfold" => t[0].try_unfold(1, 2, 1)?,
        "diagonal" => t[0].try_diagonal(1, 0, 1)?,
        "as_strided" => t[0].try_as_strided(&[2, 2], &[1, 4], 1)?,
        "meshgrid" => ops::try_meshgrid(&[&t[0], &t[1]], "ij")?,
        "meshgrid xy" => ops::try_meshgrid(&[&t[0], &t[1]], "xy")?,
    }
}

fn indexing() -> Vec<(&'static str, Form)> {
    forms! { t;
        "[ints]" => t[0].try_index(&t[1])?,
        "[:, ints]" => t[0].try_index((.., &t[1]))?,
        "[ints, ints]" => t[0].try_index((&t[1], &t[2]))?,
        "[mask]" => t[0].try_index(&mask())?,
        "[1, ints]" => t[0].try_index((1, &t[1]))?,
        "[ints] = v" => y(t).try_set(&t[1], &t[2])?,
        "[ints] = 2" => y(t).try_set(&t[1], 2.0)?,
        "[mask] = 2" => y(t).try_set(&mask(), 2.0)?,
        "[1] = v" => y(t).try_set(1, &t[1])?,
        "[1] = 2" => y(t).try_set(1, 2.0)?,
        "[:, 1:] = v" => y(t).try_set((.., 1..), &t[1])?,
        "[...] = v" => y(t).try_set(Ellipsis, &t[1])?,
        "index_put" => t[0].try_index_put(&t[1], &t[2], false)?,
        "index_put accumulate" => t[0].try_index_put(&t[1], &t[2], true)?,
        "index_put_" => y(t).try_index_put_(&t[1], &t[2], false)?,
        "index_select" => t[0].try_index_select(1, &t[1])?,
        "index_add" => t[0].try_index_add(0, &t[1], &t[2], 1.0)?,
        "index_add alpha" => t[0].try_index_add(0, &t[1], &t[2], 2.0)?,
        "index_copy" => t[0].try_index_copy(0, &t[1], &t[2])?,
        "index_fill" => t[0].try_index_fill(0, &t[1], 2.0)?,
        "index_fill tensor" => t[0].try_index_fill(0, &t[1], &t[2])?,
        "index_add_" => y(t).try_index_add_(0, &t[1], &t[2], 1.0)?,
        "index_copy_" => y(t).try_index_copy_(0, &t[1], &t[2])?,
        "index_fill_" => y(t).try_index_fill_(0, &t[1], 2.0)?,
        "gather" => t[0].try_gather(0, &t[1])?,
        "gather whole" => t[0].try_gather(0, &t[1])?,
        "take" => t[0].try_take(&t[1])?,
        "take_along_dim" => t[0].try_take_along_dim(&t[1], Some(0))?,
        "scatter" => t[0].try_scatter(0, &t[1], &t[2])?,
        "scatter small" => t[0].try_scatter(0, &t[1], &t[2])?,
        "scatter number" => t[0].try_scatter(0, &t[1], 2.0)?,
        "scatter_add" => t[0].try_scatter_add(0, &t[1], &t[2])?,
        "scatter_" => y(t).try_scatter_(0, &t[1], &t[2])?,
        "scatter_add_" => y(t).try_scatter_add_(0, &t[1], &t[2])?,
        "masked_select" => t[0].try_masked_select(&mask())?,
        "masked_fill" => t[0].try_masked_fill(&mask(), 2.0)?,
        "masked_fill tensor" => t[0].try_masked_fill(&mask(), &t[1])?,
        "masked_fill_" => y(t).try_masked_fill_(&mask(), 2.0)?,
    }
}

fn arithmetic() -> Vec<(&'static str, Form)> {
    forms! { t;
        "add" => t[0].try_add(&t[1])?,
        "add broadcast" => t[0].try_add(&t[1])?,
        "add number" => t[0].try_add(2.0)?,
        "number + x" => 2.0 + &t[0],
        "add_alpha" => t[0].try_add_alpha(&t[1], 2.0)?,
        "sub" => t[0].try_sub(&t[1])?,
        "sub number" => t[0].try_sub(2.0)?,
        "number - x" => 2.0 - &t[0],
        "sub_alpha" => t[0].try_sub_alpha(&t[1], 2.0)?,
        "rsub" => t[0].try_rsub(&t[1])?,
        "mul" => t[0].try_mul(&t[1])?,
        "mul broadcast" => t[0].try_mul(&t[1])?,
        "mul number" => t[0].try_mul(2.0)?,
        "mul itself" => t[0].try_mul(&t[0])?,
        "div" => t[0].try_div(&t[1])?,
        "div broadcast" => t[0].try_div(&t[1])?,
        "div number" => t[0].try_div(2.0)?,
        "number / x" => 2.0 / &t[0],
        "div itself" => t[0].try_div(&t[0])?,
        "div_floor" => t[0].try_div_floor(&t[1])?,
        "div_trunc number" => t[0].try_div_trunc(2.0)?,
        "floor_divide" => t[0].try_floor_divide(&t[1])?,
        "remainder" => t[0].try_remainder(&t[1])?,
        "remainder number" => t[0].try_remainder(0.5)?,
        "number % x" => ops::try_remainder(2.0, &t[0])?,
        "fmod" => t[0].try_fmod(&t[1])?,
        "fmod number" => t[0].try_fmod(0.5)?,
        "pow number" => t[0].try_pow(2.5)?,
        "pow 0" => t[0].try_pow(0.0)?,
        "pow 1" => t[0].try_pow(1.0)?,
        "pow 2" => t[0].try_pow(2.0)?,
        "pow tensor" => t[0].try_pow(&t[1])?,
        "number ** x" => ops::try_pow(2.0, &t[0])?,
        "float_power" => t[0].try_float_power(&t[1])?,
        "float_power number" => t[0].try_float_power(2.0)?,
        "square" => t[0].try_square()?,
        "ldexp" => t[0].try_ldexp(&t[1])?,
        "maximum" => t[0].try_maximum(&t[1])?,
        "minimum" => t[0].try_minimum(&t[1])?,
        "atan2" => t[0].try_atan2(&t[1])?,
        "hypot" => t[0].try_hypot(&t[1])?,
        "logaddexp" => t[0].try_logaddexp(&t[1])?,
        "logaddexp2" => t[0].try_logaddexp2(&t[1])?,
        "xlogy" => t[0].try_xlogy(&t[1])?,
        "xlogy number" => t[0].try_xlogy(2.0)?,
        "number xlogy x" => ops::try_xlogy(2.0, &t[0])?,
        "copysign" => t[0].try_copysign(&t[1])?,
        "copysign number" => t[0].try_copysign(-1.0)?,
        "lerp" => t[0].try_lerp(&t[1], 0.25)?,
        "lerp tensor" => t[0].try_lerp(&t[1], &t[2])?,
        "addcmul" => t[0].try_addcmul(&t[1], &t[2], 2.0)?,
        "addcdiv" => t[0].try_addcdiv(&t[1], &t[2], 2.0)?,
        "where" => ops::try_where_(&mask(), &t[0], &t[1])?,
        "where number" => ops::try_where_(&mask(), &t[0], 2.0)?,
        "clamp" => t[0].try_clamp(0.3, 0.6)?,
        "clamp tensors" => t[0].try_clamp(&t[1], &t[2])?,
        "clamp_min" => t[0].try_clamp_min(0.5)?,
        "clamp_min tensor" => t[0].try_clamp_min(&t[1])?,
        "clamp_max" => t[0].try_clamp_max(0.5)?,
        "clamp_max tensor" => t[0].try_clamp_max(&t[1])?,
        "nan_to_num" => t[0].try_nan_to_num(None, None, None)?,
        "to" => t[0].try_to(DType::F64)?,
        "to half" => t[0].try_to(DType::F16)?,
        "promoted" => t[0].try_mul(&t[1])?,
        "promoted add" => t[0].try_add(&t[1])?,
        "half mul" => t[0].try_mul(&t[1])?,
        "half exp" => t[0].try_exp()?,
        "half sum" => t[0].try_sum()?,
        "half sigmoid" => t[0].try_sigmoid()?,
        "half softmax" => t[0].try_softmax(-1)?,
        "half mean" => t[0].try_mean()?,
        "half var" => t[0].try_var()?,
    }
}

fn unary() -> Vec<(&'static str, Form)> {
    forms! { t;
        "positive" => y(t).try_positive()?,
        "sgn" => t[0].try_sgn()?,
        "logit eps" => t[0].try_logit_eps(0.3)?,
        "sinc" => t[0].try_sinc()?,
        "deg2rad" => t[0].try_deg2rad()?,
        "rad2deg" => t[0].try_rad2deg()?,
        "fix" => t[0].try_fix()?,
        "asinh" => t[0].try_asinh()?,
        "acosh" => t[0].try_acosh()?,
        "atanh" => t[0].try_atanh()?,
        "relu6" => t[0].try_relu6()?,
        "softmin" => t[0].try_softmin(1)?,
        "softshrink" => t[0].try_softshrink(0.5)?,
        "hardshrink" => t[0].try_hardshrink(0.5)?,
        "tanhshrink" => t[0].try_tanhshrink()?,
        "gelu_tanh" => t[0].try_gelu_tanh()?,
        "rrelu" => t[0].try_rrelu(1.0 / 8.0, 1.0 / 3.0, false)?,
        "dropout" => f::try_dropout(&t[0], 0.5, true)?,
        "dropout 1" => f::try_dropout(&t[0], 1.0, true)?,
        "feature_dropout" => f::try_feature_dropout(&t[0], 0.5, true)?,
        "alpha_dropout" => f::try_alpha_dropout(&t[0], 0.5, true)?,
    }
}

fn reductions() -> Vec<(&'static str, Form)> {
    forms! { t;
        "sum" => t[0].try_sum()?,
        "sum dim" => t[0].try_sum_dim(&[1], false)?,
        "sum keepdim" => t[0].try_sum_dim(&[1], true)?,
        "mean" => t[0].try_mean()?,
        "mean dim" => t[0].try_mean_dim(&[1], false)?,
        "mean keepdim" => t[0].try_mean_dim(&[1], true)?,
        "prod" => t[0].try_prod()?,
        "prod dim" => t[0].try_prod_dim(1, false)?,
        "amax" => t[0].try_amax(&[1], false)?,
        "amin" => t[0].try_amin(&[], false)?,
        "aminmax" => t[0].try_aminmax(&[], false)?,
        "max" => t[0].try_max()?,
        "max dim" => t[0].try_max_dim(1, false)?,
        "max keepdim" => t[0].try_max_dim(1, true)?,
        "min dim" => t[0].try_min_dim(0, false)?,
        "logsumexp" => t[0].try_logsumexp(&[1], false)?,
        "norm" => t[0].try_norm()?,
        "norm dim" => t[0].try_norm_dim(3.0, &[1], false)?,
        "vector_norm" => t[0].try_vector_norm(1.0, &[1], true)?,
        "dist" => t[0].try_dist(&t[1], 2.0)?,
        "var" => t[0].try_var()?,
        "var_dim" => t[0].try_var_dim(&[1], 0.0, false)?,
        "var keepdim" => t[0].try_var_dim(&[1], 1.0, true)?,
        "std" => t[0].try_std()?,
        "std_dim" => t[0].try_std_dim(&[1], 1.0, false)?,
        "var_mean" => t[0].try_var_mean(&[1], 1.0, false)?,
        "std_mean" => t[0].try_std_mean(&[1], 1.0, false)?,
        "cumsum" => t[0].try_cumsum(1)?,
        "cumprod" => t[0].try_cumprod(1)?,
        "cummax" => t[0].try_cummax(1)?,
        "cummin" => t[0].try_cummin(1)?,
        "logcumsumexp" => t[0].try_logcumsumexp(1)?,
        "sort" => t[0].try_sort(1, false)?,
        "msort" => t[0].try_msort()?,
        "topk" => t[0].try_topk(2, 1, true)?,
        "kthvalue" => t[0].try_kthvalue(2, 1, false)?,
        "softmax" => t[0].try_softmax(1)?,
        "log_softmax" => t[0].try_log_softmax(1)?,
    }
}

fn matrices() -> Vec<(&'static str, Form)> {
    forms! { t;
        "matmul 2 2" => t[0].try_matmul(&t[1])?,
        "matmul 1 1" => t[0].try_matmul(&t[1])?,
        "matmul 2 1" => t[0].try_matmul(&t[1])?,
        "matmul 1 2" => t[0].try_matmul(&t[1])?,
        "matmul 3 3" => t[0].try_matmul(&t[1])?,
        "matmul 3 2" => t[0].try_matmul(&t[1])?,
        "matmul 2 3" => t[0].try_matmul(&t[1])?,
        "matmul 3 1" => t[0].try_matmul(&t[1])?,
        "matmul 1 3" => t[0].try_matmul(&t[1])?,
        "matmul 4 3" => t[0].try_matmul(&t[1])?,
        "mm" => t[0].try_mm(&t[1])?,
        "bmm" => t[0].try_bmm(&t[1])?,
        "mv" => t[0].try_mv(&t[1])?,
        "dot" => t[0].try_dot(&t[1])?,
        "outer" => t[0].try_outer(&t[1])?,
        "addmm" => t[0].try_addmm(&t[1], &t[2], 1.0, 1.0)?,
        "addmm alpha" => t[0].try_addmm(&t[1], &t[2], 0.5, 2.0)?,
        "baddbmm" => t[0].try_baddbmm(&t[1], &t[2], 0.5, 2.0)?,
        "addmv" => t[0].try_addmv(&t[1], &t[2], 0.5, 2.0)?,
        "addr" => t[0].try_addr(&t[1], &t[2], 0.5, 2.0)?,
        "tensordot" => t[0].try_tensordot(&t[1], &[1, 2], &[1, 0])?,
        "cross" => t[0].try_cross(&t[1], 1)?,
        "einsum bmm" => ops::try_einsum("bik,bkj->bij", &[&t[0], &t[1]])?,
        "einsum mm" => ops::try_einsum("ik,kj->ij", &[&t[0], &t[1]])?,
        "einsum trace" => ops::try_einsum("ii", &[&t[0]])?,
        "einsum outer" => ops::try_einsum("i,j->ij", &[&t[0], &t[1]])?,
        "einsum transposed" => ops::try_einsum("ij->ji", &[&t[0]])?,
        "einsum sum" => ops::try_einsum("ij->i", &[&t[0]])?,
        "linear" => f::try_linear(&t[0], &t[1], Some(&t[2]))?,
        "linear no bias" => f::try_linear(&t[0], &t[1], None)?,
        "linear 1" => f::try_linear(&t[0], &t[1], Some(&t[2]))?,
        "linear 1 no bias" => f::try_linear(&t[0], &t[1], None)?,
        "linear 3" => f::try_linear(&t[0], &t[1], Some(&t[2]))?,
        "linear 3 no bias" => f::try_linear(&t[0], &t[1], None)?,
        "linear vector" => f::try_linear(&t[0], &t[1], None)?,
        "tril" => t[0].try_tril(0)?,
        "triu" => t[0].try_triu(1)?,
        "diag" => t[0].try_diag(0)?,
        "diag 2" => t[0].try_diag(0)?,
        "diag_embed" => t[0].try_diag_embed(0, -2, -1)?,
        "trace" => t[0].try_trace()?,
    }
}

fn moving() -> Vec<(&'static str, Form)> {
    forms! { t;
        "cat" => ops::try_cat(&[&t[0], &t[1]], 0)?,
        "stack" => ops::try_stack(&[&t[0], &t[1]], 1)?,
        "hstack" => ops::try_hstack(&[&t[0], &t[1]])?,
        "vstack" => ops::try_vstack(&[&t[0], &t[1]])?,
        "dstack" => ops::try_dstack(&[&t[0], &t[1]])?,
        "column_stack" => ops::try_column_stack(&[&t[0], &t[1]])?,
        "repeat" => t[0].try_repeat(&[2, 1])?,
        "tile" => t[0].try_tile(&[2])?,
        "repeat_interleave" => t[0].try_repeat_interleave(2, Some(0))?,
        "repeat_interleave flat" => t[0].try_repeat_interleave(2, None)?,
        "repeat_interleave_by" => t[0].try_repeat_interleave_by(&t[1], Some(0))?,
        "flip" => t[0].try_flip(&[0])?,
        "fliplr" => t[0].try_fliplr()?,
        "roll" => t[0].try_roll(&[1], &[0])?,
        "roll flat" => t[0].try_roll(&[1], &[])?,
        "rot90" => t[0].try_rot90(1, [0, 1])?,
        "rot90 2" => t[0].try_rot90(2, [0, 1])?,
    }
}

fn functions() -> Vec<(&'static str, Form)> {
    const MEAN: Reduction = Reduction::Mean;
    forms! { t;
        "mse_loss" => f::try_mse_loss(&t[0], &t[1])?,
        "l1_loss" => f::try_l1_loss(&t[0], &t[1], MEAN)?,
        "l1_loss none" => f::try_l1_loss(&t[0], &t[1], Reduction::None)?,
        "smooth_l1_loss" => f::try_smooth_l1_loss(&t[0], &t[1], 1.0, MEAN)?,
        "huber_loss" => f::try_huber_loss(&t[0], &t[1], 1.0, MEAN)?,
        "cross_entropy" => f::try_cross_entropy(&t[0], &t[1], Default::default())?,
        "cross_entropy smooth" => {
            f::try_cross_entropy(&t[0], &t[1], f::CrossEntropyOptions { label_smoothing: 0.1, ..Default::default() })?
        },
        "nll_loss" => f::try_nll_loss(&t[0], &t[1], Default::default())?,
        "soft_margin_loss" => f::try_soft_margin_loss(&t[0], &t[1], MEAN)?,
        "triplet_margin_loss" => f::try_triplet_margin_loss(&t[0], &t[1], &t[2], Default::default())?,
        "cosine_embedding_loss" => f::try_cosine_embedding_loss(&t[0], &t[1], &t[2], 0.0, MEAN)?,
        "hinge_embedding_loss" => f::try_hinge_embedding_loss(&t[0], &Tensor::ones(&[3, 4], DType::F32), 1.0, MEAN)?,
        "margin_ranking_loss" => f::try_margin_ranking_loss(&t[0], &t[1], &Tensor::ones(&[4], DType::F32), 0.0, MEAN)?,
        "poisson_nll_loss" => f::try_poisson_nll_loss(&t[0], &t[1], true, false, 1e-8, MEAN)?,
        "gaussian_nll_loss" => f::try_gaussian_nll_loss(&t[0], &t[1], &t[2], false, 1e-6, MEAN)?,
        "multi_margin_loss" => f::try_multi_margin_loss(&t[0], &t[1], 1, 1.0, None, MEAN)?,
        "multilabel_soft_margin_loss" => f::try_multilabel_soft_margin_loss(&t[0], &t[1], None, MEAN)?,
        "pairwise_distance" => f::try_pairwise_distance(&t[0], &t[1], 2.0, 1e-6, false)?,
        "pad" => f::try_pad(&t[0], &[1, 1], PadMode::Zeros)?,
        "pad crop" => f::try_pad(&t[0], &[-1, 1], PadMode::Zeros)?,
        "pad reflect" => f::try_pad(&t[0], &[1, 1], PadMode::Reflect)?,
        "pad circular" => f::try_pad(&t[0], &[1, 1], PadMode::Circular)?,
        "pixel_shuffle" => f::try_pixel_shuffle(&t[0], 2)?,
        "pixel_unshuffle" => f::try_pixel_unshuffle(&t[0], 2)?,
        "channel_shuffle" => f::try_channel_shuffle(&t[0], 2)?,
        "fold" => f::try_fold(&t[0], [3, 3], [2, 2], Default::default())?,
        "max_pool1d" => f::try_max_pool1d(&t[0], [2], Default::default())?,
        "max_pool1d_with_indices" => f::try_max_pool1d_with_indices(&t[0], [2], Default::default())?,
        "avg_pool1d" => f::try_avg_pool1d(&t[0], [2], Default::default())?,
        "adaptive_avg_pool1d" => f::try_adaptive_avg_pool1d(&t[0], [Some(2)])?,
        "adaptive_max_pool1d" => f::try_adaptive_max_pool1d(&t[0], [Some(2)])?,
        "local_response_norm" => f::try_local_response_norm(&t[0], 2, 1e-4, 0.75, 1.0)?,
        "embedding" => f::try_embedding(&t[1], &t[0], None)?,
        "embedding padding" => f::try_embedding(&t[1], &t[0], Some(1))?,
    }
}

fn in_place() -> Vec<(&'static str, Form)> {
    forms! { t;
        "neg_" => y(t).try_neg_()?,
        "abs_" => y(t).try_abs_()?,
        "sqrt_" => y(t).try_sqrt_()?,
        "rsqrt_" => y(t).try_rsqrt_()?,
        "reciprocal_" => y(t).try_reciprocal_()?,
        "square_" => y(t).try_square_()?,
        "exp_" => y(t).try_exp_()?,
        "exp2_" => y(t).try_exp2_()?,
        "expm1_" => y(t).try_expm1_()?,
        "log_" => y(t).try_log_()?,
        "log2_" => y(t).try_log2_()?,
        "log10_" => y(t).try_log10_()?,
        "log1p_" => y(t).try_log1p_()?,
        "sin_" => y(t).try_sin_()?,
        "cos_" => y(t).try_cos_()?,
        "tan_" => y(t).try_tan_()?,
        "sinh_" => y(t).try_sinh_()?,
        "cosh_" => y(t).try_cosh_()?,
        "tanh_" => y(t).try_tanh_()?,
        "erf_" => y(t).try_erf_()?,
        "erfc_" => y(t).try_erfc_()?,
        "sigmoid_" => y(t).try_sigmoid_()?,
        "relu_" => y(t).try_relu_()?,
        "floor_" => y(t).try_floor_()?,
        "ceil_" => y(t).try_ceil_()?,
        "round_" => y(t).try_round_()?,
        "trunc_" => y(t).try_trunc_()?,
        "frac_" => y(t).try_frac_()?,
        "sign_" => y(t).try_sign_()?,
        "zero_" => y(t).try_zero_()?,
        "nan_to_num_" => y(t).try_nan_to_num_(None, None, None)?,
        "add_" => y(t).try_add_(&t[1])?,
        "sub_" => y(t).try_sub_(&t[1])?,
        "mul_" => y(t).try_mul_(&t[1])?,
        "div_" => y(t).try_div_(&t[1])?,
        "add_ number" => y(t).try_add_(2.0)?,
        "mul_ number" => y(t).try_mul_(2.0)?,
        "mul_ itself" => { let y = y(t); y.try_mul_(&y)?.clone() },
        "pow_ number" => y(t).try_pow_(2.0)?,
        "pow_ tensor" => y(t).try_pow_(&t[1])?,
        "remainder_" => y(t).try_remainder_(&t[1])?,
        "fmod_" => y(t).try_fmod_(&t[1])?,
        "floor_divide_" => y(t).try_floor_divide_(&t[1])?,
        "lerp_" => y(t).try_lerp_(&t[1], 0.25)?,
        "addcmul_" => y(t).try_addcmul_(&t[1], &t[2], 1.0)?,
        "addcdiv_" => y(t).try_addcdiv_(&t[1], &t[2], 1.0)?,
        "clamp_" => y(t).try_clamp_(0.3, 1.6)?,
        "clamp_min_" => y(t).try_clamp_min_(1.5)?,
        "clamp_max_" => y(t).try_clamp_max_(1.5)?,
        "cumsum_" => y(t).try_cumsum_(1)?,
        "cumprod_" => y(t).try_cumprod_(1)?,
        "leaky_relu_" => y(t).try_leaky_relu_(0.1)?,
        "elu_" => y(t).try_elu_(1.0)?,
        "hardtanh_" => y(t).try_hardtanh_(-1.0, 1.0)?,
        "copy_" => y(t).try_copy_(&t[1])?,
        "copy_ broadcast" => y(t).try_copy_(&t[1])?,
        "fill_" => y(t).try_fill_(2.0)?,
        "fill_ tensor" => y(t).try_fill_(&t[1])?,
        "normal_" => y(t).try_normal_(0.0, 1.0)?,
        "uniform_" => y(t).try_uniform_(0.0, 1.0)?,
    }
}

fn of_views() -> Vec<(&'static str, Form)> {
    forms! { t;
        "view mul_" => part(t, |y| y.index(1), |z| z.try_mul_(2.0))?,
        "view mul_ tensor" => part(t, |y| y.index(1), |z| z.try_mul_(&t[1]))?,
        "view add_" => part(t, |y| y.index((.., 1..)), |z| z.try_add_(1.0))?,
        "view copy_" => part(t, |y| y.t().index((.., 1)), |z| z.try_copy_(&t[1]))?,
        "view fill_" => part(t, |y| y.view(&[-1]), |z| z.try_fill_(1.0))?,
        "view exp_" => part(t, |y| y.t(), |z| z.try_exp_())?,
        "view diagonal" => part(t, |y| y.diagonal(0, 0, 1), |z| z.try_mul_(2.0))?,
        "view unsqueeze" => part(t, |y| y.unsqueeze(0), |z| z.try_mul_(2.0))?,
        "view of view" => part(t, |y| y.index(1..).index(0), |z| z.try_mul_(2.0))?,
        "base mul_" => base(t, |y| y.index(1), |y| y.try_mul_(2.0))?,
        "base mul_ slice" => base(t, |y| y.index(1..), |y| y.try_mul_(2.0))?,
        "base mul_ t" => base(t, |y| y.t(), |y| y.try_mul_(2.0))?,
        "base mul_ view" => base(t, |y| y.view(&[-1]), |y| y.try_mul_(2.0))?,
        "base mul_ expand" => base(t, |y| y.expand(&[3, 4]), |y| y.try_mul_(2.0))?,
        "base mul_ diagonal" => base(t, |y| y.diagonal(0, 0, 1), |y| y.try_mul_(2.0))?,
        "base mul_ of view of view" => base(t, |y| y.index(1..).index(0), |y| y.try_mul_(2.0))?,
        "base copy_" => base(t, |y| y.index(0), |y| y.try_copy_(&t[1]))?,
    }
}
