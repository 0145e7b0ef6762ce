//! What a backend must be able to do: have memory, move bytes to it and from it, compute one
//! primitive on it, and compile a schedule of many. It gets
//! checked operands, and never sees a tensor, a size that is not a number, or a derivative.

use crate::backend::{Array, ArrayMut, Executable, Memory, Operand};
use crate::error::Result;
use crate::schedule::Schedule;
use allotrope_ir::{DType, Op, Scalar};
use std::borrow::Cow;
use std::ops::Range;

/// What to compile for beside the results, which have the same bits whatever it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CompileOptions {
    /// Keep the code as text, see [`Executable::text`].
    pub keep_text: bool,
    /// Tell the time before and after each kernel, for [`Executable::run_profiled`].
    pub profile: bool,
}

/// A way to compute on a device. Elements lie in memory as on the host: 1, 2, 4 or 8 bytes each, a bool being 0 or 1.
///
/// Every method may be called by several threads at a time. Memory that a method gets was made by this backend, and
/// whatever reads it finishes before the method returns, or is ordered before all that later methods do.
pub trait Backend: Send + Sync {
    /// Memory for `n` elements of the dtype, each being some valid one.
    ///
    /// # Errors
    /// When the device has no more.
    fn allocate(&self, dtype: DType, n: usize) -> Result<Memory>;

    /// Memory with these bytes, which are elements of the dtype in the host's order.
    ///
    /// # Errors
    /// When the device has no more.
    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Memory>;

    /// These bytes of a piece of memory.
    ///
    /// # Errors
    /// When the device fails.
    fn download<'a>(&self, memory: &'a Memory, at: Range<usize>) -> Result<Cow<'a, [u8]>>;

    /// Memory for `n` elements that are all this number.
    ///
    /// # Errors
    /// When the device has no more.
    fn full(&self, value: Scalar, n: usize) -> Result<Memory>;

    /// Writes the elements of one array into those of another one of the same dtype and shape, in other memory.
    ///
    /// # Errors
    /// When the device fails.
    fn copy(&self, from: Array<'_>, to: ArrayMut<'_>) -> Result<()>;

    /// Computes a primitive: memory with the elements of its result, of this dtype and shape, in row-major order. It is one
    /// that computes its elements: elementwise, a reduction, a product, an operation along an axis, `Iota`, `Concat`.
    ///
    /// # Errors
    /// When the device fails.
    fn compute(&self, op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Memory>;

    /// Compiles a schedule.
    ///
    /// # Errors
    /// When the device cannot be compiled for; anything else is a bug in this library.
    fn compile(&self, schedule: &Schedule, options: &CompileOptions) -> Result<Box<dyn Executable>>;

    /// Compiles schedules that will be used together, for a device where that is less work than one by one.
    ///
    /// # Errors
    /// As [`Backend::compile`].
    fn compile_together(&self, schedules: &[Schedule]) -> Result<Vec<Box<dyn Executable>>> {
        schedules.iter().map(|schedule| self.compile(schedule, &CompileOptions::default())).collect()
    }
}
