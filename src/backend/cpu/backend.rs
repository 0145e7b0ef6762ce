//! This processor as a backend: every method is one call of what does it.

use super::{Call, Compiled, Options, eager, host};
use crate::backend::{Array, ArrayMut, Backend, BufferInfo, Executable, Failure, Input, KernelInfo, Memory, Operand};
use crate::backend::{CompileOptions, Profile, Stop};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use allotrope_ir::{DType, Op, Scalar};
use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

/// The backend of [`Device::Cpu`](crate::Device::Cpu).
pub struct Cpu;

impl Backend for Cpu {
    fn allocate(&self, dtype: DType, n: usize) -> Result<Memory> {
        eager::allocate(dtype, n)
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Memory> {
        eager::upload(dtype, bytes)
    }

    fn download<'a>(&self, memory: &'a Memory, at: Range<usize>) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(&host::block(memory).bytes()[at]))
    }

    fn full(&self, value: Scalar, n: usize) -> Result<Memory> {
        eager::full(value, n)
    }

    fn copy(&self, from: Array<'_>, to: ArrayMut<'_>) -> Result<()> {
        eager::copy(from, to);
        Ok(())
    }

    #[inline]
    fn compute(&self, op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Memory> {
        eager::compute(op, operands, dtype, shape)
    }

    fn compile(&self, schedule: &Schedule, options: &CompileOptions) -> Result<Box<dyn Executable>> {
        let options = Options { keep_clif: options.keep_text, profile: options.profile, ..Options::default() };
        let compiled = Compiled::of(schedule, &options).map_err(|e| Error::Compile(e.to_string()))?;
        Ok(Box::new(compiled))
    }
}

impl Compiled {
    /// A call that has all its memory.
    #[inline]
    fn bound<'a>(
        &'a self,
        binding: &'a [usize],
        inputs: &'a mut [Input<'_>],
        outputs: &'a mut [&mut Memory],
    ) -> Call<'a> {
        let mut call = self.call(binding);
        for input in inputs {
            match input {
                Input::Read(memory, at) => call.input(&host::block(memory).bytes()[at.clone()]),
                Input::Update(memory, at) => call.input_mut(&mut host::block_mut(memory).bytes_mut()[at.clone()]),
            }
        }
        for memory in outputs {
            call.output(host::block_mut(memory).bytes_mut());
        }
        call
    }
}

#[cold]
fn failed(failure: &Failure) -> Stop {
    Stop::Failed(failure.clone())
}

impl Executable for Compiled {
    fn scratch_bytes(&self, binding: &[usize]) -> usize {
        Compiled::scratch_bytes(self, binding)
    }

    fn scratch(&self, bytes: usize) -> Result<Memory> {
        eager::allocate(DType::U8, bytes)
    }

    fn peak_bytes(&self, binding: &[usize]) -> usize {
        Compiled::peak_bytes(self, binding)
    }

    fn has_checks(&self) -> bool {
        Compiled::has_checks(self)
    }

    #[inline]
    fn run(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        scratch: &mut Memory,
    ) -> Result<(), Stop> {
        self.bound(binding, inputs, outputs).run(host::block_mut(scratch).bytes_mut()).map_err(failed)
    }

    fn run_profiled(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        scratch: &mut Memory,
        most: usize,
    ) -> Result<Profile, Stop> {
        let call = self.bound(binding, inputs, outputs);
        let (done, profile) = call.run_profiled(host::block_mut(scratch).bytes_mut(), most);
        done.map(|()| profile).map_err(failed)
    }

    fn kernels(&self) -> &[KernelInfo] {
        Compiled::kernels(self)
    }

    fn buffers(&self) -> &[BufferInfo] {
        Compiled::buffers(self)
    }

    fn phases(&self) -> &[(&'static str, Duration)] {
        Compiled::phases(self)
    }

    fn code_size(&self) -> usize {
        Compiled::code_size(self)
    }

    fn text(&self) -> Option<&str> {
        self.clif()
    }
}
