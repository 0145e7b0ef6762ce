//! Adapters: tensors from numbers.

use crate::case::{Case, KEYWORD, one};
use crate::run::Adapter;
use allotrope::ops::{Arange, Arg, Number};
use allotrope::{DType, Result, Tensor};

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "arange" => one(arange(c)),
        "eye" => {
            let (n, m) = (c.size(0, "n")?, c.size_opt(1, "m")?);
            one(Tensor::try_eye(n, m, dtype(c, DType::F32)?))
        },
        "full" => one(full(&c.sizes(0, "size")?, number(c, 1, "fill_value")?, c.dtype_opt(KEYWORD, "dtype")?)),
        "full_like" => {
            let x = c.tensor(0, "input")?;
            let value = as_f64(number(c, 1, "fill_value")?);
            one(x.full_like(value).try_to(dtype(c, x.dtype())?))
        },
        "linspace" => {
            let (start, end, steps) = (c.float(0, "start")?, c.float(1, "end")?, c.size(2, "steps")?);
            one(Tensor::try_linspace_with(start, end, steps, dtype(c, DType::F32)?))
        },
    }
}

fn dtype(c: &Case, default: DType) -> Result<DType> {
    Ok(c.dtype_opt(KEYWORD, "dtype")?.unwrap_or(default))
}

fn number(c: &Case, i: usize, name: &str) -> Result<Number> {
    match c.arg(i, name)? {
        Arg::Number(n) => Ok(n),
        Arg::Tensor(_) => Err(allotrope::Error::Argument(format!("{name} is a tensor"))),
    }
}

fn as_f64(n: Number) -> f64 {
    match n {
        Number::Bool(b) => f64::from(u8::from(b)),
        Number::Int(i) => i as f64,
        Number::Float(x) => x,
    }
}

fn full(shape: &[usize], value: Number, dtype: Option<DType>) -> Result<Tensor> {
    let made = match value {
        Number::Bool(b) => Tensor::full(shape, b),
        Number::Int(i) => Tensor::full(shape, i),
        Number::Float(x) => Tensor::full(shape, x).try_to(DType::F32)?,
    };
    dtype.map_or(Ok(made.clone()), |t| made.try_to(t))
}

/// `arange(end)`, `arange(start, end)` or `arange(start, end, step)`, in integers where all of them are.
fn arange(c: &Case) -> Result<Tensor> {
    let mut numbers = Vec::new();
    if c.has("end") {
        numbers.extend([number(c, 0, "start")?, number(c, KEYWORD, "end")?]);
    } else {
        for (i, name) in ["start", "end", "step"].into_iter().enumerate().take(c.len()) {
            numbers.push(number(c, i, name)?);
        }
    }
    let whole = |n: &Number| matches!(n, Number::Int(_));
    let range = match numbers.iter().all(whole) {
        true => {
            let n: Vec<i64> = numbers.iter().map(|n| as_f64(*n) as i64).collect();
            match n[..] {
                [end] => Arange::from(end),
                [start, end] => Arange::from((start, end)),
                _ => Arange::from((n[0], n[1], n[2])),
            }
        }
        false => {
            let n: Vec<f64> = numbers.iter().map(|n| as_f64(*n)).collect();
            match n[..] {
                [end] => Arange::from(end),
                [start, end] => Arange::from((start, end)),
                _ => Arange::from((n[0], n[1], n[2])),
            }
        }
    };
    match c.dtype_opt(KEYWORD, "dtype")? {
        Some(dtype) => Tensor::try_arange_with(range, dtype),
        None => Tensor::try_arange(range),
    }
}
