//! The layers with one state, `Rnn` and `Gru`. What they compute is in `step.rs`, what they have in common with `Lstm` in `stack.rs`.

use super::options::{GruOptions, RnnOptions};
use super::packed::PackedSequence;
use super::stack::{Given, Plan, Stack};
use super::step::{Kind, Nonlinearity};
use crate::error::{Result, called, must};
use crate::nn::constructors::constructors;
use crate::nn::{Module, Visitor};
use crate::tensor::Tensor;
use std::fmt;

/// Elman networks, `torch.nn.RNN`: `h[t] = tanh(x[t] W_ihᵀ + b_ih + h[t-1] W_hhᵀ + b_hh)`, or with ReLU.
///
/// Input `[time, batch, in]`, or `[batch, time, in]` with `batch_first`, or `[time, in]`; hidden state `[layers, batch, hidden]`, or
/// `[layers, hidden]`, with two entries for each layer where there are two directions. Sequences of any length run the same compiled
/// code in a trace. Parameters are drawn as PyTorch draws them.
///
/// ```
/// use allotrope::prelude::*;
/// let rnn = nn::Rnn::new(1, 32).batch_first(true);
/// let (out, h) = rnn.forward(&randn(&[4, 10, 1]), None);
/// assert_eq!((out.shape(), h.shape()), (&[4, 10, 32][..], &[1, 4, 32][..]));
/// ```
pub struct Rnn {
    stack: Stack,
}

/// Gated recurrent units, `torch.nn.GRU`:
///
/// `r = σ(x W_irᵀ + b_ir + h W_hrᵀ + b_hr)`, `z = σ(x W_izᵀ + b_iz + h W_hzᵀ + b_hz)`, `n = tanh(x W_inᵀ + b_in + r (h W_hnᵀ + b_hn))`,
/// `h = (1 - z) n + z h`. The weights of r, z and n stand one below the other. Shapes are those of [`Rnn`].
///
/// ```
/// use allotrope::prelude::*;
/// let gru = nn::Gru::with_options(3, 8, nn::GruOptions { bidirectional: true, ..Default::default() });
/// let (out, h) = gru.forward(&randn(&[10, 4, 3]), None);
/// assert_eq!((out.shape(), h.shape()), (&[10, 4, 16][..], &[2, 4, 8][..]));
/// ```
pub struct Gru {
    stack: Stack,
}

impl Rnn {
    /// Several layers: each takes the output sequence of the one before.
    ///
    /// # Panics
    /// When there is no layer or no hidden unit.
    #[track_caller]
    pub fn with_layers(input_size: usize, hidden_size: usize, layers: usize) -> Rnn {
        Rnn::with_options(input_size, hidden_size, RnnOptions { num_layers: layers, ..Default::default() })
    }

    /// Uses another function in the steps.
    pub fn nonlinearity(mut self, nonlinearity: Nonlinearity) -> Rnn {
        self.stack.plan.kind = Kind::Rnn(nonlinearity);
        self
    }
}

macro_rules! layer {
    ($($layer:ident, $class:literal, $options:ident: |$o:ident| $kind:expr;)*) => {$(
        constructors! { $layer(input_size: usize, hidden_size: usize; $options) }

        impl $layer {
            fn build(input_size: usize, hidden_size: usize, $o: $options) -> Result<$layer> {
                let stack = Stack::new(Plan {
                    kind: $kind,
                    name: stringify!($layer),
                    input_size,
                    hidden_size,
                    num_layers: $o.num_layers,
                    bias: $o.bias,
                    batch_first: $o.batch_first,
                    dropout: $o.dropout,
                    bidirectional: $o.bidirectional,
                    proj_size: 0,
                    dtype: $o.dtype,
                })?;
                Ok($layer { stack })
            }

            /// Takes and gives `[batch, time, ..]` instead of `[time, batch, ..]`.
            pub fn batch_first(mut self, on: bool) -> $layer {
                self.stack.plan.batch_first = on;
                self
            }

            /// The hidden states of the last layer for every step, and the last hidden state of every layer. No hidden state
            /// to begin with means zeros.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($layer), "::try_forward`] fails.")]
            #[track_caller]
            pub fn forward<'a>(&self, x: &Tensor, h: impl Into<Option<&'a Tensor>>) -> (Tensor, Tensor) {
                must(self.try_forward(x, h))
            }

            #[doc = concat!("As [`", stringify!($layer), "::forward`].")]
            ///
            /// # Errors
            /// When `x` does not have two or three axes with the last of the input size, the sequence is empty, or the hidden
            /// state is not `[layers, batch, hidden]` with the batch of `x`.
            #[track_caller]
            pub fn try_forward<'a>(&self, x: &Tensor, h: impl Into<Option<&'a Tensor>>) -> Result<(Tensor, Tensor)> {
                let (out, end) = called(self.stack.forward(x, given(h.into())))?;
                Ok((out, end.h))
            }

            /// Sequences of different lengths in one batch: i64 `[batch]`, each 1 to the number of steps, in any order. The outputs behind the
            /// end of a sequence are 0, its last hidden state is that of its own end, and the direction backward begins there. The lengths
            /// are read by no one on the host, so in a trace they may be an argument: all lengths run the same compiled code.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($layer), "::try_forward_padded`] fails.")]
            #[track_caller]
            pub fn forward_padded<'a>(
                &self,
                x: &Tensor,
                lengths: &Tensor,
                h: impl Into<Option<&'a Tensor>>,
            ) -> (Tensor, Tensor) {
                must(self.try_forward_padded(x, lengths, h))
            }

            #[doc = concat!("As [`", stringify!($layer), "::forward_padded`].")]
            ///
            /// # Errors
            #[doc = concat!("As [`", stringify!($layer), "::try_forward`], and when the lengths do not fit; a compiled call fails where a length does not.")]
            #[track_caller]
            pub fn try_forward_padded<'a>(
                &self,
                x: &Tensor,
                lengths: &Tensor,
                h: impl Into<Option<&'a Tensor>>,
            ) -> Result<(Tensor, Tensor)> {
                let (out, end) = called(self.stack.forward_padded(x, lengths, given(h.into())))?;
                Ok((out, end.h))
            }

            /// As [`Self::forward`], of packed sequences: the output is packed as the input is, the hidden states have the order in
            /// which the sequences were given.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($layer), "::try_forward_packed`] fails.")]
            #[track_caller]
            pub fn forward_packed<'a>(
                &self,
                x: &PackedSequence,
                h: impl Into<Option<&'a Tensor>>,
            ) -> (PackedSequence, Tensor) {
                must(self.try_forward_packed(x, h))
            }

            #[doc = concat!("As [`", stringify!($layer), "::forward_packed`].")]
            ///
            /// # Errors
            /// When the data is not `[total, in]`, or the hidden state is not `[layers, batch, hidden]`.
            #[track_caller]
            pub fn try_forward_packed<'a>(
                &self,
                x: &PackedSequence,
                h: impl Into<Option<&'a Tensor>>,
            ) -> Result<(PackedSequence, Tensor)> {
                let (out, end) = called(x.through(&self.stack, given(h.into())))?;
                Ok((out, end.h))
            }
        }

        impl Module for $layer {
            fn visit(&self, visitor: &mut dyn Visitor) {
                self.stack.visit(visitor);
            }
            fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
                self.stack.map_tensors(f)
            }
            fn class_name(&self) -> &'static str {
                $class
            }
            fn extra_repr(&self) -> String {
                self.stack.plan.extra_repr()
            }
        }

        /// As PyTorch prints it.
        impl fmt::Display for $layer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.repr())
            }
        }
    )*};
}
layer! {
    Rnn, "RNN", RnnOptions: |options| Kind::Rnn(options.nonlinearity);
    Gru, "GRU", GruOptions: |options| Kind::Gru;
}

fn given(h: Option<&Tensor>) -> Option<Given<'_>> {
    h.map(|h| Given { h, c: None })
}
