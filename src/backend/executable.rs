//! What a compiled schedule can do on its device: run on memory that is bound to it, and say what it is made of. It knows
//! sizes by the numbers of their symbols, and never sees a tensor.

use crate::backend::{BufferInfo, Failure, KernelInfo, Memory, Profile};
use crate::error::{Error, Result};
use std::ops::Range;
use std::time::Duration;

/// An input of a run: bytes of a piece of memory, in which the elements lie in row-major order.
pub enum Input<'a> {
    Read(&'a Memory, Range<usize>),
    /// One that an output updates.
    Update(&'a mut Memory, Range<usize>),
}

/// Why a run ended early, before it wrote any state.
#[derive(Debug)]
pub enum Stop {
    /// A check of the program, or a loop without capacity for all its iterations.
    Failed(Failure),
    /// The device.
    Device(Error),
}

/// A schedule compiled for a device.
pub trait Executable: Send + Sync {
    /// Bytes of scratch memory that a run needs in which symbol `i` is `binding[i]`.
    fn scratch_bytes(&self, binding: &[usize]) -> usize;

    /// Memory for so many bytes of scratch.
    ///
    /// # Errors
    /// When the device has no more.
    fn scratch(&self, bytes: usize) -> Result<Memory>;

    /// Bytes that a run holds beside its inputs: the scratch memory, and the outputs that update no input.
    fn peak_bytes(&self, binding: &[usize]) -> usize {
        self.scratch_bytes(binding)
    }

    /// Whether a run may fail.
    fn has_checks(&self) -> bool;

    /// Runs it. There is one input for each of the schedule, in order, and one output for each that updates no input: memory
    /// that holds just its elements. Inputs that are updated, outputs and scratch are memory of their own.
    ///
    /// # Errors
    /// The first check that failed, or loop that had no capacity. No state was changed then; what is in the outputs is
    /// unspecified.
    ///
    /// # Panics
    /// Where the memory is not what the schedule asks for: a bug in this library.
    fn run(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        scratch: &mut Memory,
    ) -> Result<(), Stop>;

    /// Waits until the device has done what runs have asked of it. Where a run has done all when it returns, there is nothing
    /// to wait for.
    ///
    /// # Errors
    /// When the device fails.
    fn wait(&self) -> Result<()> {
        Ok(())
    }

    /// How long first runs took to build what the compilation left to be built, so far.
    fn build_time(&self) -> Duration {
        Duration::ZERO
    }

    /// As [`Executable::run`], with the times that the kernels took; `most` is how many of their runs are listed one by one.
    ///
    /// # Errors
    /// As there, and where it was not compiled to be timed.
    fn run_profiled(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        scratch: &mut Memory,
        most: usize,
    ) -> Result<Profile, Stop> {
        let _ = (binding, inputs, outputs, scratch, most);
        Err(Stop::Device(Error::argument("the kernels of this device cannot be timed")))
    }

    /// What it runs, in order.
    fn kernels(&self) -> &[KernelInfo];

    /// The buffers that were planned for what is computed on the way.
    fn buffers(&self) -> &[BufferInfo] {
        &[]
    }

    /// How long each phase of the compilation of the schedule took.
    fn phases(&self) -> &[(&'static str, Duration)] {
        &[]
    }

    /// What else people should know of it, a line each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Bytes of machine code.
    fn code_size(&self) -> usize {
        0
    }

    /// The code as text, where it was kept.
    fn text(&self) -> Option<&str> {
        None
    }
}
