//! The backend: memory of its own, schedules interpreted, and single primitives as schedules of one kernel, which the
//! library makes of them.

use crate::interpret::Run;
use crate::memory::{hide, show};
use allotrope::backend::{
    Array, ArrayMut, Backend, CompileOptions, Executable, Input, KernelInfo, Memory, Operand, Stop, ThroughSchedules,
    register,
};
use allotrope::ir::{DType, Op, Scalar};
use allotrope::prelude::*;
use allotrope::schedule::Schedule;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

#[derive(Default)]
struct Slow(ThroughSchedules);

/// How many random programs it runs.
pub const CASES: u32 = 60;
/// Whether eager operations are compared too.
pub const EAGER: bool = true;

/// The device on which it computes.
pub fn slow() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    *DEVICE.get_or_init(|| register("slow", Slow::default()).unwrap())
}

impl Backend for Slow {
    fn allocate(&self, dtype: DType, n: usize) -> Result<Memory, Error> {
        Ok(hide(&vec![0; n * dtype.size()]))
    }

    fn upload(&self, _: DType, bytes: &[u8]) -> Result<Memory, Error> {
        Ok(hide(bytes))
    }

    fn download<'a>(&self, memory: &'a Memory, at: Range<usize>) -> Result<Cow<'a, [u8]>, Error> {
        Ok(Cow::Owned(show(memory)[at].to_vec()))
    }

    fn full(&self, value: Scalar, n: usize) -> Result<Memory, Error> {
        self.0.full(self, value, n)
    }

    fn copy(&self, from: Array<'_>, to: ArrayMut<'_>) -> Result<(), Error> {
        self.0.copy(self, from, to)
    }

    fn compute(
        &self,
        op: &Op<usize>,
        operands: &[Operand<'_>],
        dtype: DType,
        shape: &[usize],
    ) -> Result<Memory, Error> {
        self.0.compute(self, op, operands, dtype, shape)
    }

    fn compile(&self, schedule: &Schedule, _: &CompileOptions) -> Result<Box<dyn Executable>, Error> {
        Ok(Box::new(Interpreted(schedule.clone())))
    }
}

struct Interpreted(Schedule);

impl Executable for Interpreted {
    fn scratch_bytes(&self, _: &[usize]) -> usize {
        0
    }

    fn scratch(&self, bytes: usize) -> Result<Memory, Error> {
        Ok(hide(&vec![0; bytes]))
    }

    fn has_checks(&self) -> bool {
        !self.0.checks.is_empty()
    }

    fn run(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        _: &mut Memory,
    ) -> Result<(), Stop> {
        Run::new(&self.0, binding, inputs)
            .finish(inputs, outputs)
            .map_err(|check| Stop::Failed(self.0.checks[check].clone()))
    }

    fn kernels(&self) -> &[KernelInfo] {
        &self.0.kernels
    }
}
