//! An opened device: its context and queue, and what a failed call means for whoever asked. A device that was lost stays so.
//! It knows bytes and programs, never what either is for.

use super::cache::Cache;
use super::handles::{self, Arg, Buffer, Context, Description, Event, Failed, Kernel, Program, Queue, Unit};
use super::memory::{Pool, Usage};
use super::verdict::Verdict;
use crate::backend::cpu::machine;
use crate::device::Device;
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A device that was opened, and works until it is lost. Its commands run in the order in which they are given; nobody waits
/// for them but who reads.
pub struct Opened {
    pub(super) device: Device,
    pub(super) unit: Unit,
    pub(super) description: Description,
    pub(super) queue: Queue,
    pub(super) context: Context,
    pub(super) memory: Arc<Pool>,
    pub(super) cache: Cache,
    /// What a program that was built for this device depends on beside its text.
    pub(super) key: String,
    /// How the device computes, as far as it was found out.
    pub(super) verdict: Verdict,
    /// Why it is lost, if it is.
    pub(super) lost: OnceLock<String>,
}

impl Opened {
    /// Where programs that were built for it are kept, if they are.
    pub fn cache_folder(&self) -> Option<&Path> {
        self.cache.folder()
    }

    /// How it computes, by its probe.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What the device cannot do.
    pub(super) fn refuse(&self, message: &str) -> Error {
        Error::device(self.device, message)
    }

    /// About how long one launch takes.
    pub fn launch_seconds(&self) -> f64 {
        self.verdict.times.launch
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    /// That the device was not lost.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] from the first failure on.
    pub fn usable(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(why) => Err(Error::device_lost(self.device, why.clone())),
        }
    }

    /// Gives the device up: from here on it is lost to whoever asks.
    pub fn lose(&self, why: &str) {
        self.lost.get_or_init(|| why.to_string());
    }

    /// What a failed call means. It marks the device as lost where that is what happened.
    #[cold]
    pub(super) fn error(&self, failed: Failed) -> Error {
        if let Err(lost) = self.usable() {
            return lost;
        }
        let lost = match failed.code {
            // What a driver promised is not there: some make a buffer when all of it is used.
            handles::ALLOCATION_FAILURE => {
                return Error::out_of_device_memory(self.device, self.memory().held, 0).for_what("all buffers");
            }
            handles::DEVICE_NOT_AVAILABLE | handles::EVENT_FAILED | handles::INVALID_CONTEXT => true,
            handles::INVALID_QUEUE => true,
            // Drivers say so of a kernel that needs too much, and of a device that is gone. A lost one can finish nothing.
            handles::OUT_OF_RESOURCES | handles::OUT_OF_HOST_MEMORY => self.queue.finish().is_err(),
            // Codes of a driver's own are those of crashes.
            code => code < -1001,
        };
        if lost {
            let why = self.lost.get_or_init(|| failed.to_string());
            return Error::device_lost(self.device, why.clone());
        }
        Error::device(self.device, failed.to_string())
    }

    fn done<T>(&self, result: handles::Result<T>) -> Result<T> {
        result.map_err(|failed| self.error(failed))
    }

    /// Bytes of its memory that are in use.
    pub fn memory(&self) -> Usage {
        self.memory.usage()
    }

    /// A buffer of so many bytes, at least one. Where the device's memory is the host's, drivers promise more than there is.
    pub(super) fn slab(&self, bytes: usize) -> handles::Result<Buffer> {
        if self.description.shares_memory && machine::check(bytes).is_err() {
            return Err(Failed { call: "clCreateBuffer", code: handles::ALLOCATION_FAILURE });
        }
        let buffer = self.context.buffer(bytes)?;
        // Many drivers make a buffer when it is first used only, so it is used now: here a failure can be told.
        self.queue.fill(&buffer, 0..1, &[0])?;
        Ok(buffer)
    }

    /// A buffer of its own, of at least one byte and any contents. Tensors have blocks of the pool instead.
    ///
    /// # Errors
    /// When the device has no more.
    pub fn buffer(&self, bytes: usize) -> Result<Buffer> {
        self.usable()?;
        self.done(self.slab(bytes))
    }

    /// The kernel of this name.
    ///
    /// # Errors
    /// Where the program has none, or the device fails.
    pub fn kernel(&self, program: &Program, name: &str) -> Result<Kernel> {
        self.usable()?;
        program.kernel(name).map_err(|failed| match self.error(failed) {
            Error::Device { message, .. } => Error::device(self.device, format!("the kernel {name}: {message}")),
            lost => lost,
        })
    }

    /// How many items a work group of this kernel may have.
    ///
    /// # Errors
    /// When the device fails.
    pub fn largest_group(&self, kernel: &Kernel) -> Result<usize> {
        self.done(kernel.largest_group(self.unit))
    }

    /// Runs a kernel for each of `global` items, in work groups of `local` ones, or as the driver likes. Without an item
    /// nothing runs. There is an event where it is asked for, and something runs.
    ///
    /// # Errors
    /// Where the kernel does not take these arguments or groups, or the device fails.
    pub fn launch(
        &self,
        kernel: &Kernel,
        args: &[Arg<'_>],
        global: [usize; 3],
        local: Option<[usize; 3]>,
        event: bool,
    ) -> Result<Option<Event>> {
        self.usable()?;
        self.done(self.queue.launch(&self.context, kernel, args, global, local, event))
    }

    /// Reads bytes, and waits for them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(&self, buffer: &Buffer, offset: usize, to: &mut [u8]) -> Result<()> {
        self.usable()?;
        self.done(self.queue.read(buffer, offset, to))
    }

    /// Writes bytes when their turn comes; they may be changed as soon as this returns.
    ///
    /// # Errors
    /// When the device fails.
    pub fn write(&self, buffer: &Buffer, offset: usize, from: &[u8]) -> Result<()> {
        self.usable()?;
        self.done(self.queue.write(buffer, offset, from))
    }

    /// Copies bytes to a place that does not overlap theirs.
    ///
    /// # Errors
    /// When the device fails.
    pub fn copy(&self, from: &Buffer, at: Range<usize>, to: &Buffer, offset: usize) -> Result<()> {
        self.usable()?;
        self.done(self.queue.copy(from, at, to, offset))
    }

    /// Fills bytes with a pattern of 1, 2, 4, 8 or 16 bytes, which the place is a multiple of.
    ///
    /// # Errors
    /// When the device fails.
    pub fn fill(&self, buffer: &Buffer, at: Range<usize>, pattern: &[u8]) -> Result<()> {
        self.usable()?;
        self.done(self.queue.fill(buffer, at, pattern))
    }

    /// Has the device begin with what it was given: to be called at the end of a run that nobody waits for.
    ///
    /// # Errors
    /// When the device fails.
    pub fn flush(&self) -> Result<()> {
        self.usable()?;
        self.done(self.queue.flush())
    }

    /// Waits until the device has done all that it was given before.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(&self) -> Result<()> {
        self.usable()?;
        self.done(self.queue.finish())
    }

    /// When a command began and ended, in nanoseconds of the device's clock. It waits for the end.
    ///
    /// # Errors
    /// When the device fails.
    pub fn times(&self, event: &Event) -> Result<Range<u64>> {
        self.usable()?;
        self.done(event.times())
    }
}
