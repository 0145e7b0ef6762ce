//! Adapters: products of matrices and vectors.

use crate::case::{Case, KEYWORD, one};
use crate::run::Adapter;
use allotrope::Result;
use allotrope::ops::{Arg, Number, try_einsum};

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "matmul" => one(c.tensor(0, "input")?.try_matmul(c.tensor(1, "other")?)),
        "mm" => one(c.tensor(0, "input")?.try_mm(c.tensor(1, "mat2")?)),
        "bmm" => one(c.tensor(0, "input")?.try_bmm(c.tensor(1, "mat2")?)),
        "mv" => one(c.tensor(0, "input")?.try_mv(c.tensor(1, "vec")?)),
        "dot" => one(c.tensor(0, "input")?.try_dot(c.tensor(1, "tensor")?)),
        "outer" => one(c.tensor(0, "input")?.try_outer(c.tensor(1, "vec2")?)),
        "addmm" => {
            let (beta, alpha) = (number(c, "beta")?, number(c, "alpha")?);
            one(c.tensor(0, "input")?.try_addmm(c.tensor(1, "mat1")?, c.tensor(2, "mat2")?, beta, alpha))
        },
        "baddbmm" => {
            let (beta, alpha) = (number(c, "beta")?, number(c, "alpha")?);
            one(c.tensor(0, "input")?.try_baddbmm(c.tensor(1, "batch1")?, c.tensor(2, "batch2")?, beta, alpha))
        },
        "einsum" => one(try_einsum(c.str_or(0, "equation", "")?, &c.tensors(1, "operands")?)),
    }
}

/// A factor, as it was written: an integer wraps where a float is refused.
fn number(c: &Case, name: &str) -> Result<Number> {
    Ok(match c.arg_opt(KEYWORD, name)? {
        Some(Arg::Number(n)) => n,
        _ => Number::Int(1),
    })
}
