//! What a device is given to do, in order, and the events that say when it was done.

use super::{Arg, Buffer, Commands, Context, Event, Kernel, Result, Unit, check, made};
use ocl::ffi;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::{NonNull, null, null_mut};

/// The one queue of a device: commands run in the order in which they are given, by any thread. The lock is held while a
/// command is given, never while one is waited for.
///
/// Times are taken by another queue of the driver's, since taking them costs something; one is finished before the other is
/// used.
pub struct Queue {
    unit: Unit,
    commands: Mutex<Both>,
}

/// The driver's queues, and what the host keeps for commands in them.
struct Both {
    /// Bytes that the device may not have read yet, the oldest first. They are dropped before the queues.
    uploads: VecDeque<Upload>,
    upload_bytes: usize,
    plain: Commands,
    timing: Option<Commands>,
    /// Whether the last commands went to the queue that takes times.
    times: bool,
}

/// Bytes that the host keeps for a device, and their number.
struct Upload {
    event: Event,
    bytes: Box<[u8]>,
}

/// Up to this many bytes are copied on the host so that nobody waits for the device to read them, if in all no more than the
/// second number are kept so.
const COPIED: usize = 1 << 16;
const COPIED_IN_ALL: usize = 16 << 20;

impl Queue {
    /// # Errors
    /// When the driver fails.
    pub fn new(context: &Context, unit: Unit) -> Result<Queue> {
        let plain = Commands::new(context, unit, 0)?;
        let both = Both { uploads: VecDeque::new(), upload_bytes: 0, plain, timing: None, times: false };
        Ok(Queue { unit, commands: Mutex::new(both) })
    }

    /// Runs a kernel for each of `global` items, in work groups of `local` ones, or as the driver likes. Without an item
    /// nothing runs, and there is no event; there is one where times are to be taken.
    ///
    /// # Errors
    /// Where the kernel does not take these arguments or groups, or the device fails.
    ///
    /// # Panics
    /// A bug of the caller: items that are no whole number of groups.
    pub fn launch(
        &self,
        context: &Context,
        kernel: &Kernel,
        args: &[Arg<'_>],
        global: [usize; 3],
        local: Option<[usize; 3]>,
        times: bool,
    ) -> Result<Option<Event>> {
        if global.contains(&0) {
            return Ok(None);
        }
        if let Some(local) = local {
            let whole = global.iter().zip(local).all(|(n, group)| group > 0 && n % group == 0);
            assert!(whole, "bug in allotrope: items {global:?} in groups of {local:?}");
        }
        let dimensions = 3 - global.iter().rev().take_while(|n| **n == 1).count().min(2);
        let groups = local.as_ref().map_or(null(), |local| local.as_ptr());
        let mut event = null_mut();
        let to = if times { &raw mut event } else { null_mut() };
        let mut both = self.commands.lock();
        both.take_times(context, self.unit, times)?;
        for (i, arg) in args.iter().enumerate() {
            let (size, value) = arg.raw();
            // SAFETY: `value` points to so many bytes, which the call copies, or is null for local memory. No other thread
            // sets arguments: the lock of the device's queue is held.
            check("clSetKernelArg", unsafe { ffi::clSetKernelArg(kernel.0.as_ptr(), i as u32, size, value) })?;
        }
        // SAFETY: there are as many sizes as dimensions. What the kernel reads and writes is the matter of the text that
        // this library wrote, as with its machine code.
        let code = unsafe {
            let (queue, kernel) = (both.queue(), kernel.0.as_ptr());
            ffi::clEnqueueNDRangeKernel(
                queue,
                kernel,
                dimensions as u32,
                null(),
                global.as_ptr(),
                groups,
                0,
                null(),
                to,
            )
        };
        check("clEnqueueNDRangeKernel", code)?;
        Ok(NonNull::new(event).map(Event))
    }

    /// Reads bytes of a buffer, and waits for them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(&self, buffer: &Buffer, offset: usize, to: &mut [u8]) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        let mut event = null_mut();
        let both = self.commands.lock();
        // SAFETY: `to` outlives the command, whose end is waited for below.
        let code = unsafe {
            let (queue, at, n) = (both.queue(), to.as_mut_ptr().cast(), to.len());
            ffi::clEnqueueReadBuffer(queue, buffer.0.as_ptr(), 0, offset, n, at, 0, null(), &mut event)
        };
        drop(both);
        made("clEnqueueReadBuffer", event, code).map(Event)?.wait()
    }

    /// Writes bytes of a buffer when their turn comes. They may be changed as soon as this returns.
    ///
    /// # Errors
    /// When the device fails.
    pub fn write(&self, buffer: &Buffer, offset: usize, from: &[u8]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        let mut both = self.commands.lock();
        both.forget_uploads();
        if from.len() > COPIED || both.upload_bytes + from.len() > COPIED_IN_ALL {
            // SAFETY: `from` outlives the command, whose end is waited for below.
            let event = unsafe { both.write(buffer, offset, from) }?;
            drop(both);
            return event.wait();
        }
        let bytes: Box<[u8]> = from.into();
        // SAFETY: the copy is dropped after the command has ended only.
        let event = unsafe { both.write(buffer, offset, &bytes) }?;
        both.upload_bytes += bytes.len();
        both.uploads.push_back(Upload { event, bytes });
        Ok(())
    }

    /// Copies bytes from one buffer to another one, or to another place in the same.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// A bug of the caller: places that overlap.
    pub fn copy(&self, from: &Buffer, at: Range<usize>, to: &Buffer, offset: usize) -> Result<()> {
        if at.is_empty() {
            return Ok(());
        }
        let apart = from.0 != to.0 || at.end <= offset || offset + at.len() <= at.start;
        assert!(apart, "bug in allotrope: a copy of bytes {at:?} to {offset} of the same buffer");
        let both = self.commands.lock();
        // SAFETY: buffers of this device.
        let code = unsafe {
            let (queue, from, to) = (both.queue(), from.0.as_ptr(), to.0.as_ptr());
            ffi::clEnqueueCopyBuffer(queue, from, to, at.start, offset, at.len(), 0, null(), null_mut())
        };
        check("clEnqueueCopyBuffer", code)
    }

    /// Fills bytes of a buffer with a pattern.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// A bug of the caller: a pattern that is not of 1, 2, 4, 8 or 16 bytes, or does not fit into the place.
    pub fn fill(&self, buffer: &Buffer, at: Range<usize>, pattern: &[u8]) -> Result<()> {
        if at.is_empty() {
            return Ok(());
        }
        let n = pattern.len();
        let fits = matches!(n, 1 | 2 | 4 | 8 | 16) && at.start.is_multiple_of(n) && at.len().is_multiple_of(n);
        assert!(fits, "bug in allotrope: a pattern of {n} bytes at {at:?}");
        let both = self.commands.lock();
        // SAFETY: the pattern has `n` bytes, which the call copies.
        let code = unsafe {
            let (queue, buffer, pattern) = (both.queue(), buffer.0.as_ptr(), pattern.as_ptr().cast());
            ffi::clEnqueueFillBuffer(queue, buffer, pattern, n, at.start, at.len(), 0, null(), null_mut())
        };
        check("clEnqueueFillBuffer", code)
    }

    /// Has the device begin with what it was given so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn flush(&self) -> Result<()> {
        let both = self.commands.lock();
        // SAFETY: a queue that exists.
        check("clFlush", unsafe { ffi::clFlush(both.queue()) })
    }

    /// Waits until the device has done all that it was given before.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(&self) -> Result<()> {
        let mut event = null_mut();
        let both = self.commands.lock();
        // SAFETY: no events are given to be waited for.
        let code = unsafe { ffi::clEnqueueMarkerWithWaitList(both.queue(), 0, null(), &mut event) };
        drop(both);
        made("clEnqueueMarkerWithWaitList", event, code).map(Event)?.wait()?;
        self.commands.lock().forget_uploads();
        Ok(())
    }
}

impl Both {
    fn queue(&self) -> *mut c_void {
        match (&self.timing, self.times) {
            (Some(timing), true) => timing.0.as_ptr(),
            _ => self.plain.0.as_ptr(),
        }
    }

    /// From here on times are taken, or not.
    fn take_times(&mut self, context: &Context, unit: Unit, times: bool) -> Result<()> {
        if self.times == times {
            return Ok(());
        }
        if self.timing.is_none() {
            self.timing = Some(Commands::new(context, unit, ffi::CL_QUEUE_PROFILING_ENABLE)?);
        }
        // SAFETY: a queue that exists.
        check("clFinish", unsafe { ffi::clFinish(self.queue()) })?;
        self.times = times;
        Ok(())
    }

    /// # Safety
    /// `from` must outlive the command.
    unsafe fn write(&mut self, buffer: &Buffer, offset: usize, from: &[u8]) -> Result<Event> {
        let mut event = null_mut();
        // SAFETY: by the caller.
        let code = unsafe {
            let (at, n) = (from.as_ptr().cast(), from.len());
            ffi::clEnqueueWriteBuffer(self.queue(), buffer.0.as_ptr(), 0, offset, n, at, 0, null(), &mut event)
        };
        made("clEnqueueWriteBuffer", event, code).map(Event)
    }

    /// Drops the bytes that the device has read.
    fn forget_uploads(&mut self) {
        while self.uploads.front().is_some_and(|oldest| oldest.event.is_done()) {
            self.upload_bytes -= self.uploads.pop_front().map_or(0, |oldest| oldest.bytes.len());
        }
    }
}

impl Commands {
    fn new(context: &Context, unit: Unit, properties: u64) -> Result<Commands> {
        let mut code = 0;
        // SAFETY: a device of this context.
        let new = unsafe { ffi::clCreateCommandQueue(context.0.as_ptr(), unit.device.as_ptr(), properties, &mut code) };
        made("clCreateCommandQueue", new, code).map(Commands)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.event.is_done() {
            _ = self.event.wait();
        }
    }
}

impl Event {
    /// Whether the command has ended, well or not.
    pub fn is_done(&self) -> bool {
        let mut status = 1i32;
        // SAFETY: room for the four bytes of a status.
        let code = unsafe {
            let (what, to) = (ffi::CL_EVENT_COMMAND_EXECUTION_STATUS, (&raw mut status).cast());
            ffi::clGetEventInfo(self.0.as_ptr(), what, 4, to, null_mut())
        };
        code == 0 && status <= 0
    }

    /// Waits until the command has ended.
    ///
    /// # Errors
    /// Where it failed.
    pub fn wait(&self) -> Result<()> {
        let event = self.0.as_ptr();
        // SAFETY: one event.
        check("clWaitForEvents", unsafe { ffi::clWaitForEvents(1, &event) })
    }

    /// When the command began and ended, in nanoseconds of the device's clock. It waits for the end.
    ///
    /// # Errors
    /// Where it failed, or no times are taken.
    pub fn times(&self) -> Result<Range<u64>> {
        self.wait()?;
        let time = |what| {
            let mut at = 0u64;
            // SAFETY: room for the eight bytes of a time.
            let code =
                unsafe { ffi::clGetEventProfilingInfo(self.0.as_ptr(), what, 8, (&raw mut at).cast(), null_mut()) };
            check("clGetEventProfilingInfo", code).map(|()| at)
        };
        Ok(time(ffi::CL_PROFILING_COMMAND_START)?..time(ffi::CL_PROFILING_COMMAND_END)?)
    }
}
