//! Recurrent layers, their cells, and sequences of different lengths in one batch. The loop over time is `scan`, so a trace of
//! a layer is one program for sequences of every length.

mod cells;
mod layers;
mod lstm;
mod options;
mod packed;
mod padding;
mod stack;
mod step;
mod weights;

pub use cells::{GruCell, LstmCell, RnnCell};
pub use layers::{Gru, Rnn};
pub use lstm::Lstm;
pub use options::{CellOptions, GruOptions, LstmOptions, RnnCellOptions, RnnOptions};
pub use packed::{
    Lengths, PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, try_pack_padded_sequence,
    try_pack_sequence, try_pad_packed_sequence,
};
pub use padding::{
    PadPackedOptions, PadSequenceOptions, PaddingSide, pad_sequence, try_pad_sequence, try_unpad_sequence,
    unpad_sequence,
};
pub use step::Nonlinearity;
