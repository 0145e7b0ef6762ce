//! Sequences of different lengths put together to one tensor with a number in the gaps, and taken apart again.

use super::packed::Lengths;
use crate::error::{Error, Result, called, must};
use crate::ops::{try_cat, try_stack};
use crate::tensor::{Size, Sizes, Tensor};

/// How [`pad_packed_sequence`](super::pad_packed_sequence) fills up; PyTorch's defaults.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct PadPackedOptions {
    /// Gives `[batch, time, ..]` instead of `[time, batch, ..]`: no.
    pub batch_first: bool,
    /// What stands behind the end of a sequence: 0.
    pub padding_value: f64,
    /// The number of steps: those of the longest sequence.
    pub total_length: Option<usize>,
}

/// How [`pad_sequence`] fills up; PyTorch's defaults.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct PadSequenceOptions {
    /// Gives `[batch, time, ..]` instead of `[time, batch, ..]`: no.
    pub batch_first: bool,
    /// What stands beside a sequence: 0.
    pub padding_value: f64,
    /// Behind its end or before its begin: behind.
    pub padding_side: PaddingSide,
}

/// On which side of a sequence numbers are filled in.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum PaddingSide {
    #[default]
    Right,
    Left,
}

/// Sequences `[time, ..]` of different lengths as one tensor `[time, batch, ..]`, or `[batch, time, ..]`, of the longest,
/// `torch.nn.utils.rnn.pad_sequence`.
///
/// ```
/// use allotrope::nn::rnn::{PadSequenceOptions, pad_sequence};
/// use allotrope::prelude::*;
/// let options = PadSequenceOptions { batch_first: true, ..Default::default() };
/// let x = pad_sequence(&[Tensor::arange(2), Tensor::arange(5..8)], options);
/// assert_eq!((x.shape(), x.to_vec::<i64>()), (&[2, 3][..], vec![0, 1, 0, 5, 6, 7]));
/// ```
///
/// # Panics
/// Where [`try_pad_sequence`] fails.
#[track_caller]
pub fn pad_sequence(sequences: &[Tensor], options: PadSequenceOptions) -> Tensor {
    must(try_pad_sequence(sequences, options))
}

/// As [`pad_sequence`].
///
/// # Errors
/// When there is none, or they differ in the axes behind the first or in their dtypes.
#[track_caller]
pub fn try_pad_sequence(sequences: &[Tensor], options: PadSequenceOptions) -> Result<Tensor> {
    called(padded("pad_sequence", sequences, options))
}

pub(super) fn padded(op: &'static str, sequences: &[Tensor], options: PadSequenceOptions) -> Result<Tensor> {
    let Some(first) = sequences.first() else {
        return Err(Error::operands(op, "needs at least one sequence"));
    };
    let alike = |s: &Tensor| {
        s.dim() == first.dim()
            && s.dim() > 0
            && s.dtype() == first.dtype()
            && s.sizes()[1..].iter().zip(&first.sizes()[1..]).all(|(a, b)| a.equals(*b))
    };
    if let Some(other) = sequences.iter().find(|s| !alike(s)) {
        return Err(Error::operands(
            op,
            format!(
                "sequences are [time, ..] and alike but for their lengths, got {}{:?} and {}{:?}",
                first.dtype(),
                first.shape_hint(),
                other.dtype(),
                other.shape_hint()
            ),
        ));
    }
    let longest = sequences.iter().map(|s| s.shape()[0]).max().unwrap_or(0);
    let filled = |s: &Tensor| {
        let mut sizes: Sizes = s.sizes();
        sizes[0] = Size::from(longest - s.shape()[0]);
        let gap = s.try_new_full(&sizes, options.padding_value)?;
        match options.padding_side {
            PaddingSide::Right => try_cat(&[s, &gap], 0),
            PaddingSide::Left => try_cat(&[&gap, s], 0),
        }
    };
    let all: Vec<Tensor> = sequences.iter().map(filled).collect::<Result<_>>()?;
    try_stack(&all.iter().collect::<Vec<_>>(), if options.batch_first { 0 } else { 1 })
}

/// The sequences `[time, ..]` of a tensor `[time, batch, ..]`, or `[batch, time, ..]` with `batch_first`, each without what stands behind
/// its length, `torch.nn.utils.rnn.unpad_sequence`.
///
/// # Panics
/// Where [`try_unpad_sequence`] fails.
#[track_caller]
pub fn unpad_sequence<'a>(padded: &Tensor, lengths: impl Into<Lengths<'a>>, batch_first: bool) -> Vec<Tensor> {
    must(try_unpad_sequence(padded, lengths, batch_first))
}

/// As [`unpad_sequence`].
///
/// # Errors
/// When there are fewer than two axes, not as many lengths as sequences, or a length is 0 or more than there are steps.
#[track_caller]
pub fn try_unpad_sequence<'a>(
    padded: &Tensor,
    lengths: impl Into<Lengths<'a>>,
    batch_first: bool,
) -> Result<Vec<Tensor>> {
    called(unpadded(padded, lengths.into(), batch_first))
}

#[track_caller]
fn unpadded(padded: &Tensor, lengths: Lengths<'_>, batch_first: bool) -> Result<Vec<Tensor>> {
    let op = "unpad_sequence";
    if padded.dim() < 2 {
        return Err(Error::operands(
            op,
            format!("the sequences must have two axes at least, got {:?}", padded.shape_hint()),
        ));
    }
    let (time, batch) = if batch_first { (1, 0) } else { (0, 1) };
    let lengths = lengths.read(op, padded.shape()[batch], padded.shape()[time])?;
    let part = |(i, &n): (usize, &usize)| padded.try_select(batch as isize, i as isize)?.try_narrow(0, 0, n);
    lengths.iter().enumerate().map(part).collect()
}
