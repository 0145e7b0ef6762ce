//! Builds layers: linear, convolutions, pooling, normalisation, padding, shapes.

use crate::case::Case;
use crate::subject::{Built, subject};
use allotrope::nn::{self, Forward};
use allotrope::{Result, Tensor};

/// The module of a class, of the arguments of its constructor.
pub fn build(class: &str, arguments: &Case<'_>) -> Built {
    let a = arguments;
    match class {
        "Linear" => one(linear(a)),
        _ => None,
    }
}

fn linear(a: &Case<'_>) -> Result<nn::Linear> {
    Ok(nn::Linear::with_bias(a.size(0, "in_features")?, a.size(1, "out_features")?, a.bool_or(2, "bias", true)?))
}

/// A layer of one input and one output.
fn one<M: Forward + 'static>(module: Result<M>) -> Built {
    subject(module, |module, call: &Case<'_>| -> Result<Vec<Tensor>> {
        Ok(vec![module.try_forward(call.tensor(0, "input")?)?])
    })
}
