//! One step of each recurrent layer, written once for layers and cells. The formulas are those of PyTorch's documentation of
//! `RNN`, `LSTM` and `GRU`; nothing here knows of time or of lengths.

use super::weights::Weights;
use crate::error::Result;
use crate::functional::try_linear;
use crate::ops::TensorTree;
use crate::tensor::Tensor;

/// The function of a step of an [`Rnn`](super::Rnn).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Nonlinearity {
    #[default]
    Tanh,
    Relu,
}

/// Which recurrence it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rnn(Nonlinearity),
    Lstm,
    Gru,
}

impl Kind {
    /// Rows of the weights for each hidden unit.
    pub(super) fn gates(self) -> usize {
        match self {
            Kind::Rnn(_) => 1,
            Kind::Lstm => 4,
            Kind::Gru => 3,
        }
    }

    /// What errors call it.
    pub(super) fn op(self) -> &'static str {
        match self {
            Kind::Rnn(_) => "rnn",
            Kind::Lstm => "lstm",
            Kind::Gru => "gru",
        }
    }
}

/// What goes from step to step: the hidden state, and the cell of an LSTM.
#[derive(Clone)]
pub(super) struct State {
    pub(super) h: Tensor,
    pub(super) c: Option<Tensor>,
}

impl State {
    /// Another state of each tensor.
    pub(super) fn map(&self, mut f: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<State> {
        Ok(State { h: f(&self.h)?, c: self.c.as_ref().map(f).transpose()? })
    }

    /// This state where `keep` (bool) is true, else the other.
    pub(super) fn chosen(&self, keep: &Tensor, other: &State) -> Result<State> {
        let c = match (&self.c, &other.c) {
            (Some(own), Some(other)) => Some(own.try_where_self(keep, other)?),
            _ => None,
        };
        Ok(State { h: self.h.try_where_self(keep, &other.h)?, c })
    }
}

impl TensorTree for State {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        out.push(self.h.clone());
        out.extend(self.c.clone());
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> State {
        State { h: TensorTree::unflatten(&self.h, from), c: self.c.unflatten(from) }
    }
}

impl Kind {
    /// What a step takes from the input alone, `[.., in] -> [.., gates]`: for a whole sequence it is one product.
    pub(super) fn inputs(self, weights: &Weights, x: &Tensor) -> Result<Tensor> {
        match (self, &weights.bias) {
            (_, None) => try_linear(x, &weights.ih, None),
            // The bias of the hidden state is inside of a product with a gate, so it can't be added here.
            (Kind::Gru, Some(bias)) => try_linear(x, &weights.ih, Some(&bias.ih)),
            (Kind::Rnn(_) | Kind::Lstm, Some(bias)) => try_linear(x, &weights.ih, Some(&bias.ih.try_add(&bias.hh)?)),
        }
    }

    /// The state after one step, of what [`Kind::inputs`] gives for it: `[batch, gates]` and `[batch, hidden]`.
    pub(super) fn step(self, weights: &Weights, inputs: &Tensor, state: &State) -> Result<State> {
        let hidden = || state.h.try_matmul(&weights.hh.try_t()?);
        match self {
            Kind::Rnn(nonlinearity) => {
                let z = inputs.try_add(&hidden()?)?;
                let h = match nonlinearity {
                    Nonlinearity::Tanh => z.try_tanh()?,
                    Nonlinearity::Relu => z.try_relu()?,
                };
                Ok(State { h, c: None })
            }
            Kind::Lstm => lstm(weights, &inputs.try_add(&hidden()?)?, state),
            Kind::Gru => {
                let hidden = try_linear(&state.h, &weights.hh, weights.bias.as_ref().map(|bias| &bias.hh))?;
                let ([r_x, z_x, n_x], [r_h, z_h, n_h]) = (gates(inputs)?, gates(&hidden)?);
                let r = r_x.try_add(&r_h)?.try_sigmoid()?;
                let z = z_x.try_add(&z_h)?.try_sigmoid()?;
                let n = n_x.try_add(&r.try_mul(&n_h)?)?.try_tanh()?;
                // (1 - z) n + z h, in PyTorch's order.
                let h = state.h.try_sub(&n)?.try_mul(&z)?.try_add(&n)?;
                Ok(State { h, c: None })
            }
        }
    }
}

/// The step of an LSTM, of the sums for its gates i, f, g, o.
fn lstm(weights: &Weights, z: &Tensor, state: &State) -> Result<State> {
    let [i, f, g, o] = gates(z)?;
    let kept = match &state.c {
        Some(c) => f.try_sigmoid()?.try_mul(c)?,
        None => unreachable!("bug in allotrope: an LSTM without a cell state"),
    };
    let c = kept.try_add(&i.try_sigmoid()?.try_mul(&g.try_tanh()?)?)?;
    let h = o.try_sigmoid()?.try_mul(&c.try_tanh()?)?;
    let h = match &weights.hr {
        Some(projection) => h.try_matmul(&projection.try_t()?)?,
        None => h,
    };
    Ok(State { h, c: Some(c) })
}

/// The parts of `[.., n hidden]` for each gate.
fn gates<const N: usize>(z: &Tensor) -> Result<[Tensor; N]> {
    let parts = z.try_chunk(N, -1)?;
    match parts.try_into() {
        Ok(parts) => Ok(parts),
        Err(_) => unreachable!("bug in allotrope: gates of another number"),
    }
}
