//! The layer with two states, `Lstm`. What it computes is in `step.rs`, what it has in common with other layers in `stack.rs`.

use super::options::LstmOptions;
use super::packed::PackedSequence;
use super::stack::{Given, Plan, Stack};
use super::step::{Kind, State};
use crate::error::{Result, called, must};
use crate::nn::constructors::constructors;
use crate::nn::{Module, Visitor};
use crate::tensor::Tensor;
use std::fmt;

/// Long short-term memory, `torch.nn.LSTM`:
///
/// `i, f, o = σ(x W_iᵀ + b_i + h W_hᵀ + b_h)`, each with its weights, `g` likewise with tanh, `c = f c + i g`, `h = o tanh(c)`; with
/// `proj_size` then `h = h W_hrᵀ` (Sak and others 2014). The weights of i, f, g and o stand one below the other.
///
/// Input `[time, batch, in]`, or `[batch, time, in]` with `batch_first`, or `[time, in]`; the states `h` and `c` are `[layers, batch,
/// hidden]`, or `[layers, hidden]`, with two entries for each layer where there are two directions. Sequences of any length run the same
/// compiled code in a trace. Parameters are drawn as PyTorch draws them.
///
/// ```
/// use allotrope::prelude::*;
/// let lstm = nn::Lstm::with_options(3, 8, nn::LstmOptions { num_layers: 2, ..Default::default() });
/// let (out, (h, c)) = lstm.forward(&randn(&[10, 4, 3]), None);
/// assert_eq!((out.shape(), h.shape(), c.shape()), (&[10, 4, 8][..], &[2, 4, 8][..], &[2, 4, 8][..]));
/// let (_, (h, _)) = lstm.forward(&randn(&[1, 4, 3]), (&h, &c));
/// assert_eq!(h.shape(), [2, 4, 8]);
/// ```
pub struct Lstm {
    stack: Stack,
}

/// The states h and c to begin with.
type States<'a> = (&'a Tensor, &'a Tensor);

constructors! { Lstm(input_size: usize, hidden_size: usize; LstmOptions) }

impl Lstm {
    fn build(input_size: usize, hidden_size: usize, options: LstmOptions) -> Result<Lstm> {
        let stack = Stack::new(Plan {
            kind: Kind::Lstm,
            name: "Lstm",
            input_size,
            hidden_size,
            num_layers: options.num_layers,
            bias: options.bias,
            batch_first: options.batch_first,
            dropout: options.dropout,
            bidirectional: options.bidirectional,
            proj_size: options.proj_size,
            dtype: options.dtype,
        })?;
        Ok(Lstm { stack })
    }

    /// Takes and gives `[batch, time, ..]` instead of `[time, batch, ..]`.
    pub fn batch_first(mut self, on: bool) -> Lstm {
        self.stack.plan.batch_first = on;
        self
    }

    /// The hidden states of the last layer for every step, and the last `(h, c)` of every layer. No states to begin with mean zeros.
    ///
    /// # Panics
    /// Where [`Lstm::try_forward`] fails.
    #[track_caller]
    pub fn forward<'a>(&self, x: &Tensor, states: impl Into<Option<States<'a>>>) -> (Tensor, (Tensor, Tensor)) {
        must(self.try_forward(x, states))
    }

    /// As [`Lstm::forward`].
    ///
    /// # Errors
    /// When `x` does not have two or three axes with the last of the input size, the sequence is empty, or the states are not
    /// `[layers, batch, hidden]` with the batch of `x`.
    #[track_caller]
    pub fn try_forward<'a>(
        &self,
        x: &Tensor,
        states: impl Into<Option<States<'a>>>,
    ) -> Result<(Tensor, (Tensor, Tensor))> {
        let (out, end) = called(self.stack.forward(x, given(states.into())))?;
        Ok((out, both(end)))
    }

    /// Sequences of different lengths in one batch, as [`Rnn::forward_padded`](super::Rnn::forward_padded).
    ///
    /// # Panics
    /// Where [`Lstm::try_forward_padded`] fails.
    #[track_caller]
    pub fn forward_padded<'a>(
        &self,
        x: &Tensor,
        lengths: &Tensor,
        states: impl Into<Option<States<'a>>>,
    ) -> (Tensor, (Tensor, Tensor)) {
        must(self.try_forward_padded(x, lengths, states))
    }

    /// As [`Lstm::forward_padded`].
    ///
    /// # Errors
    /// As [`Lstm::try_forward`], and when the lengths do not fit; a compiled call fails where a length does not.
    #[track_caller]
    pub fn try_forward_padded<'a>(
        &self,
        x: &Tensor,
        lengths: &Tensor,
        states: impl Into<Option<States<'a>>>,
    ) -> Result<(Tensor, (Tensor, Tensor))> {
        let (out, end) = called(self.stack.forward_padded(x, lengths, given(states.into())))?;
        Ok((out, both(end)))
    }

    /// As [`Lstm::forward`], of packed sequences: the output is packed as the input is, the states have the order in which the sequences
    /// were given.
    ///
    /// # Panics
    /// Where [`Lstm::try_forward_packed`] fails.
    #[track_caller]
    pub fn forward_packed<'a>(
        &self,
        x: &PackedSequence,
        states: impl Into<Option<States<'a>>>,
    ) -> (PackedSequence, (Tensor, Tensor)) {
        must(self.try_forward_packed(x, states))
    }

    /// As [`Lstm::forward_packed`].
    ///
    /// # Errors
    /// When the data is not `[total, in]`, or the states are not `[layers, batch, hidden]`.
    #[track_caller]
    pub fn try_forward_packed<'a>(
        &self,
        x: &PackedSequence,
        states: impl Into<Option<States<'a>>>,
    ) -> Result<(PackedSequence, (Tensor, Tensor))> {
        let (out, end) = called(x.through(&self.stack, given(states.into())))?;
        Ok((out, both(end)))
    }
}

fn given(states: Option<States<'_>>) -> Option<Given<'_>> {
    states.map(|(h, c)| Given { h, c: Some(c) })
}

fn both(end: State) -> (Tensor, Tensor) {
    match end.c {
        Some(c) => (end.h, c),
        None => unreachable!("bug in allotrope: an LSTM without a cell state"),
    }
}

impl Module for Lstm {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.stack.visit(visitor);
    }
    fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        self.stack.map_tensors(f)
    }
    fn class_name(&self) -> &'static str {
        "LSTM"
    }
    fn extra_repr(&self) -> String {
        self.stack.plan.extra_repr()
    }
}

/// As PyTorch prints it.
impl fmt::Display for Lstm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}
