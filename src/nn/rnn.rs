//! The Elman recurrent network, written with `scan`: a loop over time in eager mode, and still a loop in a trace.

use super::init::uniform;
use super::{Module, Visitor};
use crate::backend::cpu::host::affords;
use crate::error::{Error, Result, called, must, raise};
use crate::functional::try_linear;
use crate::mode::sizes::is_zero;
use crate::ops::scan;
use crate::tensor::{Size, Tensor};
use allotrope_ir::DType;
use std::fmt;

/// The function between the steps of an [`Rnn`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Nonlinearity {
    #[default]
    Tanh,
    Relu,
}

/// `h[t] = tanh(x[t] W_ihᵀ + b_ih + h[t-1] W_hhᵀ + b_hh)`, in one or more layers, as `torch.nn.RNN`.
///
/// Input `[time, batch, in]`, or `[batch, time, in]` with [`Rnn::batch_first`]; hidden state `[layers, batch, hidden]`.
/// Sequences of any length run the same compiled code in a trace. Parameters are drawn as PyTorch draws them.
///
/// ```
/// use allotrope::prelude::*;
/// let rnn = nn::Rnn::new(1, 32).batch_first(true);
/// let (out, h) = rnn.forward(&randn(&[4, 10, 1]), None);
/// assert_eq!((out.shape(), h.shape()), (&[4, 10, 32][..], &[1, 4, 32][..]));
/// ```
pub struct Rnn {
    layers: Vec<Layer>,
    nonlinearity: Nonlinearity,
    batch_first: bool,
    input_size: usize,
    hidden_size: usize,
}

/// Bytes that a layer takes, about, beside the numbers of its parameters.
const LAYER_BYTES: usize = 2048;

struct Layer {
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
}

impl Rnn {
    /// One layer with tanh.
    #[track_caller]
    pub fn new(input_size: usize, hidden_size: usize) -> Rnn {
        Rnn::with_layers(input_size, hidden_size, 1)
    }

    /// Several layers: each takes the output sequence of the one before.
    ///
    /// # Panics
    /// When there is no layer or no hidden unit.
    #[track_caller]
    pub fn with_layers(input_size: usize, hidden_size: usize, layers: usize) -> Rnn {
        if layers == 0 || hidden_size == 0 {
            raise(Error::argument(format!(
                "Rnn: needs at least one layer and one hidden unit, got {layers} and {hidden_size}"
            )));
        }
        let bound = 1.0 / (hidden_size as f64).sqrt();
        let mut all = Vec::new();
        for i in 0..layers {
            if i == 1 {
                // The first layer is made, so these are numbers.
                let bytes = 8 * hidden_size * (hidden_size + 1) + LAYER_BYTES;
                must(affords(bytes.saturating_mul(layers - 1), || format!("{} layers more", layers - 1)));
            }
            let inputs = if i == 0 { input_size } else { hidden_size };
            all.push(Layer {
                weight_ih: uniform(&[hidden_size, inputs], bound),
                weight_hh: uniform(&[hidden_size, hidden_size], bound),
                bias_ih: uniform(&[hidden_size], bound),
                bias_hh: uniform(&[hidden_size], bound),
            });
        }
        Rnn { layers: all, nonlinearity: Nonlinearity::Tanh, batch_first: false, input_size, hidden_size }
    }

    /// Takes and gives `[batch, time, ..]` instead of `[time, batch, ..]`.
    pub fn batch_first(mut self, on: bool) -> Rnn {
        self.batch_first = on;
        self
    }

    /// Uses another function between the steps.
    pub fn nonlinearity(mut self, nonlinearity: Nonlinearity) -> Rnn {
        self.nonlinearity = nonlinearity;
        self
    }

    /// The hidden states of the last layer for every step, and the last hidden state of every layer. No hidden state
    /// to begin with means zeros.
    ///
    /// # Panics
    /// Where [`Rnn::try_forward`] fails.
    #[track_caller]
    pub fn forward<'a>(&self, x: &Tensor, h: impl Into<Option<&'a Tensor>>) -> (Tensor, Tensor) {
        must(self.try_forward(x, h))
    }

    /// As [`Rnn::forward`].
    ///
    /// # Errors
    /// When `x` does not have three axes with the last of the input size, the sequence is empty, or the hidden state
    /// is not `[layers, batch, hidden]` with the batch of `x`.
    #[track_caller]
    pub fn try_forward<'a>(&self, x: &Tensor, h: impl Into<Option<&'a Tensor>>) -> Result<(Tensor, Tensor)> {
        called(self.forward_from(x, h.into()))
    }

    #[track_caller]
    fn forward_from(&self, x: &Tensor, h: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let layout = if self.batch_first { "[batch, time, in]" } else { "[time, batch, in]" };
        let fail = |message: String| Err(Error::operands("rnn", message));
        if x.dim() != 3 || !x.has_size(2, Size::from(self.input_size)) {
            return fail(format!("the input must be {layout} with in = {}, got {:?}", self.input_size, x.shape_hint()));
        }
        if x.dtype() != DType::F32 {
            return fail(format!("the input must be f32 as the weights, got {}", x.dtype()));
        }
        let (time, batch) = if self.batch_first { (1, 0) } else { (0, 1) };
        if is_zero(x.sizes()[time]) {
            return fail(format!(
                "the sequence is empty: the input {:?} is {layout}; it needs at least one step",
                x.shape_hint()
            ));
        }
        if let Some(h) = h {
            let want = [Size::from(self.layers.len()), x.sizes()[batch], Size::from(self.hidden_size)];
            if !h.has_sizes(&want) {
                let want: Vec<String> = want.iter().map(Size::to_string).collect();
                let want = want.join(", ");
                return fail(format!(
                    "the hidden state must be [layers, batch, hidden] = [{want}], got {:?}",
                    h.shape_hint()
                ));
            }
            if h.dtype() != DType::F32 {
                return fail(format!("the hidden state must be f32 as the weights, got {}", h.dtype()));
            }
            return self.run(x, h);
        }
        // Zeros with the batch of x, symbolic where that is.
        let first = x.try_narrow(time as isize, 0, 1)?.try_narrow(2, 0, 0)?.try_sum_dim(&[time as isize, 2], false)?;
        let zeros = first.detach().try_reshape(&[1, -1, 1])?;
        let zeros = zeros.try_expand(&[self.layers.len() as isize, -1, self.hidden_size as isize])?;
        self.run(x, &zeros)
    }

    fn run(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut sequence = if self.batch_first { x.try_transpose(0, 1)? } else { x.clone() };
        let mut last = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate() {
            // What comes from the inputs is the same whatever the hidden state: one product for the whole sequence.
            let bias = layer.bias_ih.try_add(&layer.bias_hh)?;
            let inputs = try_linear(&sequence, &layer.weight_ih, Some(&bias))?;
            let start = h.try_select(0, i as isize)?;
            let (end, states) = scan(start, inputs, |h, x| {
                let z = x + h.matmul(&layer.weight_hh.t());
                let h = match self.nonlinearity {
                    Nonlinearity::Tanh => z.tanh(),
                    Nonlinearity::Relu => z.relu(),
                };
                (h.clone(), h)
            });
            last.push(end);
            sequence = states;
        }
        let out = if self.batch_first { sequence.try_transpose(0, 1)? } else { sequence };
        let h = match last.len() {
            1 => last[0].try_unsqueeze(0)?,
            _ => crate::ops::stack(&last.iter().collect::<Vec<_>>(), 0),
        };
        Ok((out, h))
    }
}

impl Module for Rnn {
    fn visit(&self, visitor: &mut dyn Visitor) {
        for (i, layer) in self.layers.iter().enumerate() {
            visitor.parameter(&format!("weight_ih_l{i}"), &layer.weight_ih);
            visitor.parameter(&format!("weight_hh_l{i}"), &layer.weight_hh);
            visitor.parameter(&format!("bias_ih_l{i}"), &layer.bias_ih);
            visitor.parameter(&format!("bias_hh_l{i}"), &layer.bias_hh);
        }
    }
}

/// As PyTorch prints it.
impl fmt::Display for Rnn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RNN({}, {}", self.input_size, self.hidden_size)?;
        if self.layers.len() > 1 {
            write!(f, ", num_layers={}", self.layers.len())?;
        }
        if self.batch_first {
            write!(f, ", batch_first=True")?;
        }
        if self.nonlinearity == Nonlinearity::Relu {
            write!(f, ", nonlinearity=relu")?;
        }
        write!(f, ")")
    }
}
