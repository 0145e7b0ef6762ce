//! How values come into being: by primitives, from numbers and from Rust data. What the host would read of them is an
//! error.

use crate::error::{Error, Result};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Op, Scalar};
use std::panic::Location;

pub(crate) trait ValueRecorder {
    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor>;
    /// A tensor full of `value`.
    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor>;
    /// A size as an `i64` tensor without axes.
    fn extent(&self, size: Size) -> Result<Tensor>;
    /// Rust data that was made into a tensor, as an input that each call gives.
    ///
    /// # Errors
    /// Where calls do not give it anew: what `what` at the caller's line would build in.
    fn data(&self, tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor>;
    /// Why a host read cannot be had here, as an error for `what` at the caller's line.
    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error;
}
