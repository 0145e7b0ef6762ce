//! Adapters: views, joining, splitting, repeating, triangles, making.

use crate::case::{Case, KEYWORD, one};
use crate::corpus::Given;
use crate::run::Adapter;
use allotrope::ops::{Arg, Number, try_cat, try_hstack, try_stack, try_vstack};

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "reshape" => one(c.tensor(0, "input")?.try_reshape(&c.rest(1, "shape")?)),
        "view" => one(c.tensor(0, "self")?.try_view(&c.rest(1, "size")?)),
        "permute" => one(c.tensor(0, "input")?.try_permute(&c.rest(1, "dims")?)),
        "transpose" => one(c.tensor(0, "input")?.try_transpose(c.int(1, "dim0")?, c.int(2, "dim1")?)),
        "t" => one(c.tensor(0, "input")?.try_t()),
        "movedim" => one(c.tensor(0, "input")?.try_movedim(&c.ints(1, "source")?, &c.ints(2, "destination")?)),
        "squeeze" => match c.int_opt(1, "dim")? {
            Some(dim) => one(c.tensor(0, "input")?.try_squeeze(dim)),
            None => one(c.tensor(0, "input")?.try_squeeze_all()),
        },
        "squeeze.multiple" => one(c.tensor(0, "input")?.try_squeeze_dims(&c.ints(1, "dim")?)),
        "unsqueeze" => one(c.tensor(0, "input")?.try_unsqueeze(c.int(1, "dim")?)),
        "flatten" => {
            one(c.tensor(0, "input")?.try_flatten(c.int_or(1, "start_dim", 0)?, c.int_or(2, "end_dim", -1)?))
        },
        "expand" => one(c.tensor(0, "self")?.try_expand(&c.rest(1, "size")?)),
        "expand_as" => one(c.tensor(0, "self")?.try_expand_as(c.tensor(1, "other")?)),
        "broadcast_to" => one(c.tensor(0, "input")?.try_broadcast_to(&c.rest(1, "size")?)),
        "narrow" => {
            let (x, dim, len) = (c.tensor(0, "input")?, c.int(1, "dim")?, c.size(3, "length")?);
            match c.given(2, "start") {
                Some(Given::Tensor(_)) => one(x.try_narrow_at(dim, c.tensor(2, "start")?, len)),
                _ => one(x.try_narrow(dim, c.int(2, "start")?, len)),
            }
        },
        "select" => one(c.tensor(0, "input")?.try_select(c.int(1, "dim")?, c.int(2, "index")?)),
        "chunk" => c.tensor(0, "input")?.try_chunk(c.size(1, "chunks")?, c.int_or(2, "dim", 0)?),
        "split" => c.tensor(0, "tensor")?.try_split(c.size(1, "split_size_or_sections")?, c.int_or(2, "dim", 0)?),
        "split.list_args" => split_with_sizes(c, "split_size_or_sections"),
        "split_with_sizes" => split_with_sizes(c, "split_sizes"),
        "unbind" => c.tensor(0, "input")?.try_unbind(c.int_or(1, "dim", 0)?),
        "unfold" => {
            one(c.tensor(0, "self")?.try_unfold(c.int(1, "dimension")?, c.size(2, "size")?, c.size(3, "step")?))
        },
        "cat" => one(try_cat(&c.tensors(0, "tensors")?, c.int_or(1, "dim", 0)?)),
        "stack" => one(try_stack(&c.tensors(0, "tensors")?, c.int_or(1, "dim", 0)?)),
        "hstack" => one(try_hstack(&c.tensors(0, "tensors")?)),
        "vstack" => one(try_vstack(&c.tensors(0, "tensors")?)),
        "repeat" => one(c.tensor(0, "self")?.try_repeat(&c.sizes(1, "repeats")?)),
        "tile" => one(c.tensor(0, "input")?.try_tile(&c.sizes(1, "dims")?)),
        "flip" => one(c.tensor(0, "input")?.try_flip(&c.ints(1, "dims")?)),
        "roll" => {
            one(c.tensor(0, "input")?.try_roll(&c.ints(1, "shifts")?, &c.ints_opt(2, "dims")?.unwrap_or_default()))
        },
        "diag" => one(c.tensor(0, "input")?.try_diag(c.int_or(1, "diagonal", 0)?)),
        "diagonal" => {
            let (offset, dims) = (c.int_or(1, "offset", 0)?, (c.int_or(2, "dim1", 0)?, c.int_or(3, "dim2", 1)?));
            one(c.tensor(0, "input")?.try_diagonal(offset, dims.0, dims.1))
        },
        "tril" => one(c.tensor(0, "input")?.try_tril(c.int_or(1, "diagonal", 0)?)),
        "triu" => one(c.tensor(0, "input")?.try_triu(c.int_or(1, "diagonal", 0)?)),
        "arange" => {
            let dtype = c.dtype_opt(KEYWORD, "dtype")?;
            let end = c.given(1, "end");
            let whole = [c.given(0, "start"), end, c.given(2, "step")].iter().flatten().all(|v| matches!(v, Given::Int(_) | Given::Bool(_)));
            let value = |i: usize, name: &str| match c.given(i, name) {
                Some(Given::Bool(b)) => Ok(Some(f64::from(u8::from(*b)))),
                _ => c.float_opt(i, name),
            };
            let (first, step) = (value(0, "start")?.unwrap_or_default(), value(2, "step")?.unwrap_or(1.0));
            let (start, end) = match value(1, "end")? {
                Some(end) => (first, end),
                None => (0.0, first),
            };
            let dtype = dtype.unwrap_or(if whole { allotrope::DType::I64 } else { allotrope::DType::F32 });
            one(allotrope::Tensor::try_arange_with((start, end, step), dtype))
        },
        "eye" => {
            let (n, m) = (c.size(0, "n")?, c.size_opt(1, "m")?);
            one(allotrope::Tensor::try_eye(n, m, c.dtype_opt(KEYWORD, "dtype")?.unwrap_or(allotrope::DType::F32)))
        },
        "linspace" => {
            let (start, end, steps) = (c.float(0, "start")?, c.float(1, "end")?, c.size(2, "steps")?);
            let dtype = c.dtype_opt(KEYWORD, "dtype")?.unwrap_or(allotrope::DType::F32);
            one(allotrope::Tensor::try_linspace_with(start, end, steps, dtype))
        },
        "full" => {
            let x = allotrope::Tensor::zeros(&c.sizes(0, "size")?, c.dtype_opt(KEYWORD, "dtype")?.unwrap_or(allotrope::DType::F32));
            one(x.try_full_like(number(c)?))
        },
        "full_like" => one(c.tensor(0, "input")?.try_to(dtype_of(c)?)?.try_full_like(number(c)?)),
        "zeros_like" => one(c.tensor(0, "input")?.zeros_like().try_to(dtype_of(c)?)),
        "ones_like" => one(c.tensor(0, "input")?.ones_like().try_to(dtype_of(c)?)),
    }
}

fn split_with_sizes(c: &Case, name: &str) -> allotrope::Result<Vec<allotrope::Tensor>> {
    c.tensor(0, "tensor")?.try_split_with_sizes(&c.sizes(1, name)?, c.int_or(2, "dim", 0)?)
}

fn dtype_of(c: &Case) -> allotrope::Result<allotrope::DType> {
    Ok(c.dtype_opt(KEYWORD, "dtype")?.unwrap_or(c.tensor(0, "input")?.dtype()))
}

/// The value of `full`: a bool counts as a number, an integer may wrap.
fn number(c: &Case) -> allotrope::Result<Number> {
    Ok(match c.arg_opt(1, "fill_value")? {
        Some(Arg::Number(n)) => n,
        _ => Number::Float(c.float(1, "fill_value")?),
    })
}
