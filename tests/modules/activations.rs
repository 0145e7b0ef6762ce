//! Builds activations.

use crate::case::{BY_TYPE, Case, one};
use crate::subject::{Built, subject};
use allotrope::ops::{Arg, Number};
use allotrope::prelude::*;
use allotrope::{Error, Result};

/// The module of a class, of the arguments of its constructor.
pub fn build(class: &str, c: &Case<'_>) -> Built {
    match class {
        "CELU" => layer(with(c, &[("alpha", 1.0)], |n| nn::Celu::new(n[0]), nn::Celu::inplace)),
        "ELU" => layer(with(c, &[("alpha", 1.0)], |n| nn::Elu::new(n[0]), nn::Elu::inplace)),
        "GELU" => layer(gelu(c)),
        "GLU" => layer(c.int_or(0, "dim", -1).map(nn::Glu::new)),
        "Hardshrink" => layer(number(c, 0, "lambd", 0.5).map(nn::Hardshrink::new)),
        "Hardsigmoid" => layer(with(c, &[], |_| nn::Hardsigmoid::new(), nn::Hardsigmoid::inplace)),
        "Hardswish" => layer(with(c, &[], |_| nn::Hardswish::new(), nn::Hardswish::inplace)),
        "Hardtanh" => layer(with(
            c,
            &[("min_val", -1.0), ("max_val", 1.0)],
            |n| nn::Hardtanh::new(n[0], n[1]),
            nn::Hardtanh::inplace,
        )),
        "LeakyReLU" => {
            layer(with(c, &[("negative_slope", 0.01)], |n| nn::LeakyRelu::new(n[0]), nn::LeakyRelu::inplace))
        }
        "LogSigmoid" => layer(Ok(nn::LogSigmoid::new())),
        "LogSoftmax" => layer(c.int_opt(0, "dim").map(nn::LogSoftmax::new)),
        "Mish" => layer(with(c, &[], |_| nn::Mish::new(), nn::Mish::inplace)),
        "PReLU" => layer(prelu(c)),
        "ReLU" => layer(with(c, &[], |_| nn::Relu::new(), nn::Relu::inplace)),
        "ReLU6" => layer(with(c, &[], |_| nn::Relu6::new(), nn::Relu6::inplace)),
        "RReLU" => {
            let bounds = [("lower", 1.0 / 8.0), ("upper", 1.0 / 3.0)];
            layer(with(c, &bounds, |n| nn::RRelu::new(n[0], n[1]), nn::RRelu::inplace))
        }
        "SELU" => layer(with(c, &[], |_| nn::Selu::new(), nn::Selu::inplace)),
        "SiLU" => layer(with(c, &[], |_| nn::Silu::new(), nn::Silu::inplace)),
        "Sigmoid" => layer(Ok(nn::Sigmoid::new())),
        "Softmax" => layer(c.int_opt(0, "dim").map(nn::Softmax::new)),
        "Softmax2d" => layer(Ok(nn::Softmax2d::new())),
        "Softmin" => layer(c.int_opt(0, "dim").map(nn::Softmin::new)),
        "Softplus" => layer(softplus(c)),
        "Softshrink" => layer(number(c, 0, "lambd", 0.5).map(nn::Softshrink::new)),
        "Softsign" => layer(Ok(nn::Softsign::new())),
        "Tanh" => layer(Ok(nn::Tanh::new())),
        "Tanhshrink" => layer(Ok(nn::Tanhshrink::new())),
        "Threshold" => layer(with(
            c,
            &[("threshold", 0.0), ("value", 0.0)],
            |n| nn::Threshold::new(n[0], n[1]),
            nn::Threshold::inplace,
        )),
        _ => None,
    }
}

fn layer<M: Forward + 'static>(module: Result<M>) -> Built {
    subject(module, |layer, c| one(layer.try_forward(c.tensor(0, "input")?)))
}

/// A layer of numbers by position or name, with the switch behind them.
fn with<M>(
    c: &Case<'_>,
    names: &[(&str, f64)],
    new: impl Fn(&[Number]) -> M,
    inplace: impl Fn(M, bool) -> M,
) -> Result<M> {
    let numbers = names.iter().enumerate().map(|(i, (name, default))| number(c, i, name, *default));
    let numbers = numbers.collect::<Result<Vec<Number>>>()?;
    Ok(inplace(new(&numbers), c.bool_or(names.len(), "inplace", false)?))
}

fn number(c: &Case<'_>, i: usize, name: &str, default: f64) -> Result<Number> {
    match c.arg_opt(i, name)? {
        None => Ok(Number::Float(default)),
        Some(Arg::Number(n)) => Ok(n),
        Some(Arg::Tensor(_)) => Err(Error::Argument(format!("{BY_TYPE}: {name} is a tensor, wanted a number"))),
    }
}

fn softplus(c: &Case<'_>) -> Result<nn::Softplus> {
    Ok(nn::Softplus::new(number(c, 0, "beta", 1.0)?, number(c, 1, "threshold", 20.0)?))
}

fn gelu(c: &Case<'_>) -> Result<nn::Gelu> {
    match c.str_or(0, "approximate", "none")? {
        "none" => Ok(nn::Gelu::new(nn::Approximate::None)),
        "tanh" => Ok(nn::Gelu::new(nn::Approximate::Tanh)),
        other => Err(Error::Argument(format!("{BY_TYPE}: approximate is {other}"))),
    }
}

fn prelu(c: &Case<'_>) -> Result<nn::PRelu> {
    nn::PRelu::try_with_options(nn::PReluOptions {
        num_parameters: c.size_or(0, "num_parameters", 1)?,
        init: c.float_or(1, "init", 0.25)?,
        dtype: c.dtype_opt(3, "dtype")?.unwrap_or(DType::F32),
    })
}
