//! Single steps of recurrent layers, for loops of one's own. What they compute is in `step.rs`.

use super::options::{CellOptions, RnnCellOptions};
use super::step::{Kind, Nonlinearity, State};
use super::weights::Weights;
use crate::error::{Error, Result, called, must};
use crate::nn::constructors::constructors;
use crate::nn::init::demand_float;
use crate::nn::{Module, Visitor};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;
use std::fmt;

/// One step of an [`Rnn`](super::Rnn), `torch.nn.RNNCell`: `[batch, in]` and `[batch, hidden]`, or `[in]` and `[hidden]`, give the next hidden
/// state.
///
/// ```
/// use allotrope::prelude::*;
/// let cell = nn::RnnCell::new(3, 5);
/// let h = cell.forward(&randn(&[2, 3]), None);
/// assert_eq!(cell.forward(&randn(&[2, 3]), &h).shape(), [2, 5]);
/// ```
pub struct RnnCell {
    cell: Cell,
}

/// One step of an [`Lstm`](super::Lstm), `torch.nn.LSTMCell`: `[batch, in]` and both states `[batch, hidden]`, or `[in]` and `[hidden]`, give the
/// next states `(h, c)`.
///
/// ```
/// use allotrope::prelude::*;
/// let cell = nn::LstmCell::new(3, 5);
/// let (h, c) = cell.forward(&randn(&[2, 3]), None);
/// assert_eq!(cell.forward(&randn(&[2, 3]), (&h, &c)).0.shape(), [2, 5]);
/// ```
pub struct LstmCell {
    cell: Cell,
}

/// One step of a [`Gru`](super::Gru), `torch.nn.GRUCell`, with the shapes of [`RnnCell`].
pub struct GruCell {
    cell: Cell,
}

/// What all cells have.
struct Cell {
    kind: Kind,
    input_size: usize,
    hidden_size: usize,
    weights: Weights,
}

impl Cell {
    fn new(kind: Kind, name: &str, input_size: usize, hidden_size: usize, bias: bool, dtype: DType) -> Result<Cell> {
        demand_float(name, dtype)?;
        let weights = Weights::drawn(kind, input_size, hidden_size, 0, bias, dtype)?;
        Ok(Cell { kind, input_size, hidden_size, weights })
    }

    fn forward(&self, x: &Tensor, given: Option<(&Tensor, Option<&Tensor>)>) -> Result<State> {
        let op = match self.kind {
            Kind::Rnn(_) => "rnn_cell",
            Kind::Lstm => "lstm_cell",
            Kind::Gru => "gru_cell",
        };
        let fail = |message: String| Error::operands(op, message);
        let check_dtype = |what: &str, t: &Tensor| match t.dtype() == self.weights.ih.dtype() {
            true => Ok(()),
            false => {
                Err(fail(format!("the {what} must be {} as the weights, got {}", self.weights.ih.dtype(), t.dtype())))
            }
        };
        let rank = x.dim();
        if !(1..=2).contains(&rank) || !x.has_size(rank - 1, Size::from(self.input_size)) {
            let (wanted, got) = (self.input_size, x.shape_hint());
            return Err(fail(format!("the input must be [batch, in] or [in] with in = {wanted}, got {got:?}")));
        }
        check_dtype("input", x)?;
        let batch = (rank == 2).then(|| x.sizes()[0]);
        let sizes: Sizes = batch.into_iter().chain([Size::from(self.hidden_size)]).collect();
        let check = |what: &str, t: &Tensor| {
            if t.dim() != rank || !t.has_sizes(&sizes) {
                let axes = if rank == 2 { "[batch, hidden]" } else { "[hidden]" };
                let wanted: Vec<String> = sizes.iter().map(Size::to_string).collect();
                let (wanted, got) = (wanted.join(", "), t.shape_hint());
                return Err(fail(format!("the {what} state must be {axes} = [{wanted}], got {got:?}")));
            }
            check_dtype(&format!("{what} state"), t)
        };
        let state = match given {
            Some((h, c)) => {
                check("hidden", h)?;
                c.map_or(Ok(()), |c| check("cell", c))?;
                State { h: h.clone(), c: c.cloned() }
            }
            None => {
                let zeros = x.try_new_zeros(&sizes)?;
                State { c: (self.kind == Kind::Lstm).then(|| zeros.clone()), h: zeros }
            }
        };
        if rank == 2 {
            return self.step(x, &state);
        }
        let state = state.map(|t| t.try_unsqueeze(0))?;
        self.step(&x.try_unsqueeze(0)?, &state)?.map(|t| t.try_squeeze(0))
    }

    fn step(&self, x: &Tensor, state: &State) -> Result<State> {
        self.kind.step(&self.weights, &self.kind.inputs(&self.weights, x)?, state)
    }

    fn extra_repr(&self) -> String {
        let mut text = format!("{}, {}", self.input_size, self.hidden_size);
        if self.weights.bias.is_none() {
            text += ", bias=False";
        }
        if self.kind == Kind::Rnn(Nonlinearity::Relu) {
            text += ", nonlinearity=relu";
        }
        text
    }
}

constructors! { RnnCell(input_size: usize, hidden_size: usize; RnnCellOptions) }
constructors! { LstmCell(input_size: usize, hidden_size: usize; CellOptions) }
constructors! { GruCell(input_size: usize, hidden_size: usize; CellOptions) }

impl RnnCell {
    fn build(input_size: usize, hidden_size: usize, options: RnnCellOptions) -> Result<RnnCell> {
        let kind = Kind::Rnn(options.nonlinearity);
        let cell = Cell::new(kind, "RnnCell", input_size, hidden_size, options.bias, options.dtype)?;
        Ok(RnnCell { cell })
    }
}

impl LstmCell {
    fn build(input_size: usize, hidden_size: usize, options: CellOptions) -> Result<LstmCell> {
        let cell = Cell::new(Kind::Lstm, "LstmCell", input_size, hidden_size, options.bias, options.dtype)?;
        Ok(LstmCell { cell })
    }
}

impl GruCell {
    fn build(input_size: usize, hidden_size: usize, options: CellOptions) -> Result<GruCell> {
        let cell = Cell::new(Kind::Gru, "GruCell", input_size, hidden_size, options.bias, options.dtype)?;
        Ok(GruCell { cell })
    }
}

macro_rules! single_state {
    ($($cell:ident)*) => {$(
        impl $cell {
            /// The next hidden state. None to begin with means zeros.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($cell), "::try_forward`] fails.")]
            #[track_caller]
            pub fn forward<'a>(&self, x: &Tensor, h: impl Into<Option<&'a Tensor>>) -> Tensor {
                must(self.try_forward(x, h))
            }

            #[doc = concat!("As [`", stringify!($cell), "::forward`].")]
            ///
            /// # Errors
            /// When input and state do not fit the cell or each other.
            #[track_caller]
            pub fn try_forward<'a>(&self, x: &Tensor, h: impl Into<Option<&'a Tensor>>) -> Result<Tensor> {
                Ok(called(self.cell.forward(x, h.into().map(|h| (h, None))))?.h)
            }
        }
    )*};
}
single_state!(RnnCell GruCell);

impl LstmCell {
    /// The next states `(h, c)`. None to begin with mean zeros.
    ///
    /// # Panics
    /// Where [`LstmCell::try_forward`] fails.
    #[track_caller]
    pub fn forward<'a>(&self, x: &Tensor, states: impl Into<Option<(&'a Tensor, &'a Tensor)>>) -> (Tensor, Tensor) {
        must(self.try_forward(x, states))
    }

    /// As [`LstmCell::forward`].
    ///
    /// # Errors
    /// When input and states do not fit the cell or each other.
    #[track_caller]
    pub fn try_forward<'a>(
        &self,
        x: &Tensor,
        states: impl Into<Option<(&'a Tensor, &'a Tensor)>>,
    ) -> Result<(Tensor, Tensor)> {
        let end = called(self.cell.forward(x, states.into().map(|(h, c)| (h, Some(c)))))?;
        match end.c {
            Some(c) => Ok((end.h, c)),
            None => unreachable!("bug in allotrope: an LSTM without a cell state"),
        }
    }
}

macro_rules! module {
    ($($cell:ident $class:literal;)*) => {$(
        impl Module for $cell {
            fn visit(&self, visitor: &mut dyn Visitor) {
                self.cell.weights.named().into_iter().for_each(|(name, tensor)| visitor.parameter(name, tensor));
            }
            fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
                self.cell.weights.map(f)
            }
            fn class_name(&self) -> &'static str {
                $class
            }
            fn extra_repr(&self) -> String {
                self.cell.extra_repr()
            }
        }

        /// As PyTorch prints it.
        impl fmt::Display for $cell {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.repr())
            }
        }
    )*};
}
module! {
    RnnCell "RNNCell";
    LstmCell "LSTMCell";
    GruCell "GRUCell";
}
