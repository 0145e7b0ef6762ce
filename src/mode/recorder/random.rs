//! Random numbers, which every call of compiled code draws anew.

use crate::error::Result;
use crate::tensor::draw::Kind;
use crate::tensor::{Generator, Size, Tensor};
use allotrope_ir::DType;

/// Random numbers that every call draws.
pub(crate) struct Draw<'a> {
    pub(crate) generator: &'a Generator,
    pub(crate) kind: &'a Kind,
    pub(crate) sizes: &'a [Size],
    /// One that the kind can draw.
    pub(crate) dtype: DType,
    /// The numbers that were drawn before, by what the recorder called them, where a part of the program is recomputed.
    pub(crate) recomputed: Option<usize>,
}

pub(crate) trait RandomRecorder {
    /// A tensor that each call draws, at this place among the draws of the program, and what it is called.
    fn draw(&self, draw: &Draw<'_>) -> Result<(Tensor, usize)>;
    /// Each call starts the streams of the seed, at this place among its draws.
    fn reseed(&self, generator: &Generator, seed: u64);
}
