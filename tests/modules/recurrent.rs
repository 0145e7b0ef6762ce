//! Builds recurrent layers and cells.

use crate::case::{Case, KEYWORD};
use crate::corpus::Given;
use crate::subject::{Built, subject};
use allotrope::nn::{self, CellOptions, GruOptions, LstmOptions, Module, Nonlinearity, RnnCellOptions, RnnOptions};
use allotrope::{DType, Error, Result, Tensor};

/// The module of a class, of the arguments of its constructor.
pub fn build(class: &str, arguments: &Case<'_>) -> Built {
    let a = arguments;
    match class {
        "RNN" => single(rnn(a), |l, x, h| l.try_forward(x, h)),
        "GRU" => single(gru(a), |l, x, h| l.try_forward(x, h)),
        "LSTM" => subject(lstm(a), |lstm, call: &Case<'_>| {
            let states = states(call)?;
            let states = states.as_ref().map(|s| (&s[0], &s[1]));
            let (out, (h, c)) = lstm.try_forward(call.tensor(0, "input")?, states)?;
            Ok(vec![out, h, c])
        }),
        "RNNCell" => cell(rnn_cell(a), |l, x, h| l.try_forward(x, h)),
        "GRUCell" => {
            cell(gated(a).and_then(|(i, h, o)| nn::GruCell::try_with_options(i, h, o)), |l, x, h| l.try_forward(x, h))
        }
        "LSTMCell" => {
            subject(gated(a).and_then(|(i, h, o)| nn::LstmCell::try_with_options(i, h, o)), |cell, call: &Case<'_>| {
                let states = states(call)?;
                let (h, c) = cell.try_forward(call.tensor(0, "input")?, states.as_ref().map(|s| (&s[0], &s[1])))?;
                Ok(vec![h, c])
            })
        }
        _ => None,
    }
}

/// A layer that gives its output and its last states.
fn single<M: Module + 'static>(
    layer: Result<M>,
    forward: impl Fn(&M, &Tensor, Option<&Tensor>) -> Result<(Tensor, Tensor)> + 'static,
) -> Built {
    subject(layer, move |layer, call: &Case<'_>| {
        let (out, h) = forward(layer, call.tensor(0, "input")?, call.tensor_opt(1, "hx")?)?;
        Ok(vec![out, h])
    })
}

/// A cell that gives its next state.
fn cell<M: Module + 'static>(
    cell: Result<M>,
    forward: impl Fn(&M, &Tensor, Option<&Tensor>) -> Result<Tensor> + 'static,
) -> Built {
    subject(cell, move |cell, call: &Case<'_>| {
        Ok(vec![forward(cell, call.tensor(0, "input")?, call.tensor_opt(1, "hx")?)?])
    })
}

/// The pair of states of an LSTM.
fn states(call: &Case<'_>) -> Result<Option<Vec<Tensor>>> {
    match call.given(1, "hx") {
        None | Some(Given::None) => Ok(None),
        Some(_) => Ok(Some(call.tensors(1, "hx")?.into_iter().cloned().collect())),
    }
}

fn sizes(a: &Case<'_>) -> Result<(usize, usize)> {
    Ok((a.size(0, "input_size")?, a.size(1, "hidden_size")?))
}

/// The dtype, at the end of the arguments; all tests are on the default device.
fn dtype(a: &Case<'_>) -> Result<DType> {
    a.given(KEYWORD, "device");
    Ok(a.dtype_opt(KEYWORD, "dtype")?.unwrap_or(DType::F32))
}

fn nonlinearity(a: &Case<'_>, place: usize) -> Result<Nonlinearity> {
    match a.str_or(place, "nonlinearity", "tanh")? {
        "tanh" => Ok(Nonlinearity::Tanh),
        "relu" => Ok(Nonlinearity::Relu),
        other => Err(Error::Argument(format!("no nonlinearity {other}"))),
    }
}

fn rnn(a: &Case<'_>) -> Result<nn::Rnn> {
    let (inputs, hidden) = sizes(a)?;
    let options = RnnOptions {
        num_layers: a.size_or(2, "num_layers", 1)?,
        nonlinearity: nonlinearity(a, 3)?,
        bias: a.bool_or(4, "bias", true)?,
        batch_first: a.bool_or(5, "batch_first", false)?,
        dropout: a.float_or(6, "dropout", 0.0)?,
        bidirectional: a.bool_or(7, "bidirectional", false)?,
        dtype: dtype(a)?,
    };
    nn::Rnn::try_with_options(inputs, hidden, options)
}

fn gru(a: &Case<'_>) -> Result<nn::Gru> {
    let (inputs, hidden) = sizes(a)?;
    let options = GruOptions {
        num_layers: a.size_or(2, "num_layers", 1)?,
        bias: a.bool_or(3, "bias", true)?,
        batch_first: a.bool_or(4, "batch_first", false)?,
        dropout: a.float_or(5, "dropout", 0.0)?,
        bidirectional: a.bool_or(6, "bidirectional", false)?,
        dtype: dtype(a)?,
    };
    nn::Gru::try_with_options(inputs, hidden, options)
}

fn lstm(a: &Case<'_>) -> Result<nn::Lstm> {
    let (inputs, hidden) = sizes(a)?;
    let options = LstmOptions {
        num_layers: a.size_or(2, "num_layers", 1)?,
        bias: a.bool_or(3, "bias", true)?,
        batch_first: a.bool_or(4, "batch_first", false)?,
        dropout: a.float_or(5, "dropout", 0.0)?,
        bidirectional: a.bool_or(6, "bidirectional", false)?,
        proj_size: a.size_or(7, "proj_size", 0)?,
        dtype: dtype(a)?,
    };
    nn::Lstm::try_with_options(inputs, hidden, options)
}

fn rnn_cell(a: &Case<'_>) -> Result<nn::RnnCell> {
    let (inputs, hidden) = sizes(a)?;
    let options =
        RnnCellOptions { bias: a.bool_or(2, "bias", true)?, nonlinearity: nonlinearity(a, 3)?, dtype: dtype(a)? };
    nn::RnnCell::try_with_options(inputs, hidden, options)
}

fn gated(a: &Case<'_>) -> Result<(usize, usize, CellOptions)> {
    let (inputs, hidden) = sizes(a)?;
    Ok((inputs, hidden, CellOptions { bias: a.bool_or(2, "bias", true)?, dtype: dtype(a)? }))
}
