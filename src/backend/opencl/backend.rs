//! An OpenCL device as a backend. A device that cannot be opened is one too: whatever is asked of it says why.

use super::device::Opened;
use super::executable::{Code, Forced};
use super::memory::{Block, Refused, block};
use crate::backend::{Array, ArrayMut, Backend, CompileOptions, Executable, Memory, Operand, ThroughSchedules};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use allotrope_ir::{DType, Op, Scalar};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// The backend of a [`Device::OpenCl`].
pub struct OpenCl {
    device: Device,
    /// Or what is missing.
    opened: Result<Arc<Opened>, String>,
    primitives: ThroughSchedules,
    forced: Forced,
}

impl OpenCl {
    /// Opens the device of this number, if that is possible.
    pub fn new(number: u8) -> OpenCl {
        OpenCl::forced(number, Forced::by_environment())
    }

    /// The same device again, on which something is decided beforehand: a backend to be
    /// [registered](crate::backend::register).
    pub fn forced(number: u8, forced: Forced) -> OpenCl {
        let opened = Opened::open(number).map(Arc::new);
        OpenCl { device: Device::OpenCl(number), opened, primitives: ThroughSchedules::new(), forced }
    }

    /// The device.
    ///
    /// # Errors
    /// [`Error::DeviceMissing`] where it could not be opened, [`Error::DeviceLost`] where it was lost.
    pub fn opened(&self) -> Result<&Arc<Opened>> {
        let opened = self.opened.as_ref().map_err(|missing| Error::device_missing(self.device, missing.as_str()))?;
        opened.usable()?;
        Ok(opened)
    }
}

impl Opened {
    /// Memory of so many bytes, of any contents.
    ///
    /// # Errors
    /// Where there are not so many: [`Error::OutOfDeviceMemory`].
    pub fn allocate(&self, bytes: usize) -> Result<Block> {
        self.usable()?;
        let none = |available| Error::out_of_device_memory(self.device, bytes, available);
        self.memory.block(bytes, |slab| self.slab(slab)).map_err(|refused| match refused {
            Refused::TooLarge { largest } => none(largest).for_what("one buffer"),
            Refused::Full { available } => none(available),
            Refused::Device(failed) if failed.is_out_of_memory() => none(0),
            Refused::Device(failed) => self.error(failed),
        })
    }
}

impl Backend for OpenCl {
    fn allocate(&self, dtype: DType, n: usize) -> Result<Memory> {
        let opened = self.opened()?;
        let bytes = n.saturating_mul(dtype.size());
        let block = opened.allocate(bytes)?;
        if dtype == DType::Bool {
            opened.fill(block.buffer(), block.offset()..block.offset() + bytes, &[0])?;
        }
        Ok(Memory::new(block))
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Memory> {
        assert!(dtype != DType::Bool || bytes.iter().all(|b| *b < 2), "bug in allotrope: bytes that are no bools");
        let opened = self.opened()?;
        let block = opened.allocate(bytes.len())?;
        opened.write(block.buffer(), block.offset(), bytes)?;
        Ok(Memory::new(block))
    }

    fn download<'a>(&self, memory: &'a Memory, at: Range<usize>) -> Result<Cow<'a, [u8]>> {
        let opened = self.opened()?;
        let block = block(memory);
        assert!(at.end <= memory.bytes(), "bug in allotrope: bytes {at:?} of {}", memory.bytes());
        let mut bytes = vec![0; at.len()];
        opened.read(block.buffer(), block.offset() + at.start, &mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    fn full(&self, value: Scalar, n: usize) -> Result<Memory> {
        self.opened()?;
        self.primitives.full(self, value, n)
    }

    fn copy(&self, from: Array<'_>, to: ArrayMut<'_>) -> Result<()> {
        self.opened()?;
        self.primitives.copy(self, from, to)
    }

    fn compute(&self, op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Memory> {
        self.opened()?;
        self.primitives.compute(self, op, operands, dtype, shape)
    }

    fn compile(&self, schedule: &Schedule, options: &CompileOptions) -> Result<Box<dyn Executable>> {
        Ok(Box::new(Code::of(Arc::clone(self.opened()?), schedule, options, self.forced)))
    }

    fn compile_together(&self, schedules: &[Schedule]) -> Result<Vec<Box<dyn Executable>>> {
        let opened = self.opened()?;
        let code = |schedule| Code::of(Arc::clone(opened), schedule, &CompileOptions::default(), self.forced);
        let codes: Vec<Code> = schedules.iter().map(code).collect();
        Code::share(&codes);
        Ok(codes.into_iter().map(|code| Box::new(code) as Box<dyn Executable>).collect())
    }
}
