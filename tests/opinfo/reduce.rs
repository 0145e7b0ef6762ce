//! Adapters: reductions, running sums, norms, sorting.

use crate::case::{BY_TYPE, Case, KEYWORD, one};
use crate::corpus::Given;
use crate::run::Adapter;
use allotrope::{DType, Error, Result, Tensor};

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "sum" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.ints_opt(1, "dim")? {
                Some(axes) => x.try_sum_dim(&axes, keepdim),
                None => x.try_sum(),
            })
        },
        "mean" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.ints_opt(1, "dim")? {
                Some(axes) => x.try_mean_dim(&axes, keepdim),
                None => x.try_mean(),
            })
        },
        "all" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.ints_opt(1, "dim")? {
                Some(axes) => x.try_all_dim(&axes, keepdim),
                None => x.try_all(),
            })
        },
        "any" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.ints_opt(1, "dim")? {
                Some(axes) => x.try_any_dim(&axes, keepdim),
                None => x.try_any(),
            })
        },
        "amax" => {
            let axes = c.ints_opt(1, "dim")?.unwrap_or_default();
            one(c.tensor(0, "input")?.try_amax(&axes, c.bool_or(2, "keepdim", false)?))
        },
        "amin" => {
            let axes = c.ints_opt(1, "dim")?.unwrap_or_default();
            one(c.tensor(0, "input")?.try_amin(&axes, c.bool_or(2, "keepdim", false)?))
        },
        "argmax" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.int_opt(1, "dim")? {
                Some(axis) => x.try_argmax_dim(axis, keepdim),
                None => x.try_argmax(),
            })
        },
        "argmin" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.int_opt(1, "dim")? {
                Some(axis) => x.try_argmin_dim(axis, keepdim),
                None => x.try_argmin(),
            })
        },
        "max.reduction_no_dim" => one(c.tensor(0, "input")?.try_max()),
        "min.reduction_no_dim" => one(c.tensor(0, "input")?.try_min()),
        "max.reduction_with_dim" => {
            two(c.tensor(0, "input")?.try_max_dim(c.int(1, "dim")?, c.bool_or(2, "keepdim", false)?))
        },
        "min.reduction_with_dim" => {
            two(c.tensor(0, "input")?.try_min_dim(c.int(1, "dim")?, c.bool_or(2, "keepdim", false)?))
        },
        "prod" => {
            let (x, keepdim) = (cast(c)?, c.bool_or(2, "keepdim", false)?);
            narrowed(c, match c.int_opt(1, "dim")? {
                Some(axis) => x.try_prod_dim(axis, keepdim),
                None => x.try_prod(),
            })
        },
        "cumsum" => narrowed(c, running(c)?.try_cumsum(c.int(1, "dim")?)),
        "cumprod" => narrowed(c, running(c)?.try_cumprod(c.int(1, "dim")?)),
        "var" => {
            let (x, (axes, correction, keepdim)) = (c.tensor(0, "input")?, variance(c)?);
            one(x.try_var_dim(&axes, correction, keepdim))
        },
        "std" => {
            let (x, (axes, correction, keepdim)) = (c.tensor(0, "input")?, variance(c)?);
            one(x.try_std_dim(&axes, correction, keepdim))
        },
        "var_mean" => {
            let (x, (axes, correction, keepdim)) = (c.tensor(0, "input")?, variance(c)?);
            two(x.try_var_mean(&axes, correction, keepdim))
        },
        "std_mean" => {
            let (x, (axes, correction, keepdim)) = (c.tensor(0, "input")?, variance(c)?);
            two(x.try_std_mean(&axes, correction, keepdim))
        },
        "var.unbiased" => one(c.tensor(0, "input")?.try_var_dim(&[], unbiased(c)?, false)),
        "std.unbiased" => one(c.tensor(0, "input")?.try_std_dim(&[], unbiased(c)?, false)),
        "var_mean.unbiased" => two(c.tensor(0, "input")?.try_var_mean(&[], unbiased(c)?, false)),
        "std_mean.unbiased" => two(c.tensor(0, "input")?.try_std_mean(&[], unbiased(c)?, false)),
        "norm" => norm(c),
        "norm.fro" => norm(c),
        "norm.inf" => norm(c),
        "linalg.vector_norm" => {
            let axes = c.ints_opt(2, "dim")?.unwrap_or_default();
            let keepdim = c.bool_or(3, "keepdim", false)?;
            one(c.tensor(0, "x")?.try_vector_norm(c.float_or(1, "ord", 2.0)?, &axes, keepdim))
        },
        "logsumexp" => {
            one(c.tensor(0, "input")?.try_logsumexp(&c.ints(1, "dim")?, c.bool_or(2, "keepdim", false)?))
        },
        "softmax" => one(c.tensor(0, "input")?.try_softmax(c.int(1, "dim")?)),
        "log_softmax" => one(c.tensor(0, "input")?.try_log_softmax(c.int(1, "dim")?)),
        "sort" => {
            // The order is always stable.
            c.bool_opt(KEYWORD, "stable")?;
            two(c.tensor(0, "input")?.try_sort(c.int_or(1, "dim", -1)?, c.bool_or(2, "descending", false)?))
        },
        "topk" => {
            // Always sorted.
            c.bool_opt(4, "sorted")?;
            let (k, axis) = (c.size(1, "k")?, c.int_or(2, "dim", -1)?);
            two(c.tensor(0, "input")?.try_topk(k, axis, c.bool_or(3, "largest", true)?))
        },
    }
}

fn two(pair: Result<(Tensor, Tensor)>) -> Result<Vec<Tensor>> {
    let (a, b) = pair?;
    Ok(vec![a, b])
}

/// The input as the dtype asked for: what PyTorch's `dtype=` of a reduction does first.
fn cast(c: &Case) -> Result<Tensor> {
    let x = c.tensor(0, "input")?;
    match c.dtype_opt(KEYWORD, "dtype")? {
        Some(dtype) if !dtype.is_float() && x.is_requires_grad() && allotrope::autograd::is_grad_enabled() => {
            Err(Error::Argument(format!("{BY_TYPE}: integers have no gradient")))
        }
        Some(dtype) => x.try_to(dtype),
        None => Ok(x.clone()),
    }
}

/// As [`cast`], for running sums and products, of which there are none of bools but of a number and of nothing.
fn running(c: &Case) -> Result<Tensor> {
    let x = c.tensor(0, "input")?;
    match c.dtype_opt(KEYWORD, "dtype")? {
        Some(DType::Bool) if x.dim() > 0 && !x.shape().contains(&0) => {
            Err(Error::Argument(format!("{BY_TYPE}: a running sum of bools")))
        }
        _ => cast(c),
    }
}

/// The result in the dtype asked for: integers are added up as i64, which keeps what a narrower sum has.
fn narrowed(c: &Case, result: Result<Tensor>) -> Result<Vec<Tensor>> {
    one(match c.dtype_opt(KEYWORD, "dtype")? {
        Some(dtype) => result?.try_to(dtype),
        None => result,
    })
}

/// Axes, correction and keepdim of a variance.
fn variance(c: &Case) -> Result<(Vec<isize>, f64, bool)> {
    let correction = match c.bool_opt(KEYWORD, "unbiased")? {
        Some(unbiased) => unbiased as u8 as f64,
        None => c.float_or(KEYWORD, "correction", 1.0)?,
    };
    Ok((c.ints_opt(1, "dim")?.unwrap_or_default(), correction, c.bool_or(KEYWORD, "keepdim", false)?))
}

/// The correction that the other overload says by a bool.
fn unbiased(c: &Case) -> Result<f64> {
    Ok(c.bool_or(1, "unbiased", true)? as u8 as f64)
}

fn norm(c: &Case) -> Result<Vec<Tensor>> {
    let axes = c.ints_opt(2, "dim")?.unwrap_or_default();
    // "fro" is the Euclidean norm of a vector or of a matrix.
    let p = match c.given(1, "p") {
        Some(Given::Str(s)) if s == "fro" && axes.len() > 2 => {
            return Err(Error::Argument(format!("{BY_TYPE}: the Frobenius norm over {} axes", axes.len())));
        }
        Some(Given::Str(s)) if s == "fro" => 2.0,
        _ => c.float_or(1, "p", 2.0)?,
    };
    one(c.tensor(0, "input")?.try_norm_dim(p, &axes, c.bool_or(3, "keepdim", false)?))
}
