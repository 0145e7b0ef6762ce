//! What recurrent layers and cells may be made with, PyTorch's names and defaults. Plain data.

use super::step::Nonlinearity;
use allotrope_ir::DType;

/// Defines the options of a layer; the first fields are those that all have.
macro_rules! options {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: $ty:ty, )* } )*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq)]
        pub struct $name {
            /// Layers, each of which takes the output sequence of the one before: 1.
            pub num_layers: usize,
            /// Whether there are biases: yes.
            pub bias: bool,
            /// Takes and gives `[batch, time, ..]` instead of `[time, batch, ..]`: no. States are `[layers, batch, ..]` either way.
            pub batch_first: bool,
            /// In training, the probability of a zero in what one layer hands to the next: 0.
            pub dropout: f64,
            /// Whether each layer has a second direction, from the end to the begin, whose output stands beside the first: no.
            pub bidirectional: bool,
            /// Of the parameters: `F32`.
            pub dtype: DType,
            $( $(#[$field_doc])* pub $field: $ty, )*
        }

        impl Default for $name {
            fn default() -> $name {
                $name {
                    num_layers: 1,
                    bias: true,
                    batch_first: false,
                    dropout: 0.0,
                    bidirectional: false,
                    dtype: DType::F32,
                    $( $field: Default::default(), )*
                }
            }
        }
    )*};
}

options! {
    /// What an [`Rnn`](super::Rnn) may be made with.
    RnnOptions {
        /// The function between the steps: tanh.
        nonlinearity: Nonlinearity,
    }

    /// What an [`Lstm`](super::Lstm) may be made with.
    LstmOptions {
        /// Where it is not 0, the hidden state is a product of so many numbers: 0.
        proj_size: usize,
    }

    /// What a [`Gru`](super::Gru) may be made with.
    GruOptions {}
}

/// What an [`RnnCell`](super::RnnCell) may be made with.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct RnnCellOptions {
    /// Whether there are biases: yes.
    pub bias: bool,
    /// The function of the step: tanh.
    pub nonlinearity: Nonlinearity,
    /// Of the parameters: `F32`.
    pub dtype: DType,
}

impl Default for RnnCellOptions {
    fn default() -> RnnCellOptions {
        RnnCellOptions { bias: true, nonlinearity: Nonlinearity::Tanh, dtype: DType::F32 }
    }
}

/// What an [`LstmCell`](super::LstmCell) or a [`GruCell`](super::GruCell) may be made with.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct CellOptions {
    /// Whether there are biases: yes.
    pub bias: bool,
    /// Of the parameters: `F32`.
    pub dtype: DType,
}

impl Default for CellOptions {
    fn default() -> CellOptions {
        CellOptions { bias: true, dtype: DType::F32 }
    }
}
