//! OpenCL's objects and calls. The only file that names `ocl`, of which it takes the bindings alone: the objects of `ocl`
//! panic when they are dropped on a lost device and at status codes that they do not know, and any thread may set their
//! arguments at any time. Here no word of a driver panics: a call that fails is a [`Failed`]. It knows no tensor, no
//! program's meaning, and not which failure means what.

// The functions that `ocl` links are those of this crate.
use allotrope_opencl_loader as _;
use ocl::ffi;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ffi::{CString, c_void};
use std::fmt;
use std::ops::Range;
use std::ptr::{NonNull, null, null_mut};

/// A call that failed, with the code that it gave.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub call: &'static str,
    pub code: i32,
}

pub type Result<T, E = Failed> = std::result::Result<T, E>;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.code) {
            Some(name) => write!(f, "{} failed with {name} ({})", self.call, self.code),
            None => write!(f, "{} failed with the driver's code {}", self.call, self.code),
        }
    }
}

pub const DEVICE_NOT_FOUND: i32 = -1;
pub const DEVICE_NOT_AVAILABLE: i32 = -2;
pub const ALLOCATION_FAILURE: i32 = -4;
pub const OUT_OF_RESOURCES: i32 = -5;
pub const OUT_OF_HOST_MEMORY: i32 = -6;
pub const BUILD_FAILURE: i32 = -11;
pub const EVENT_FAILED: i32 = -14;
pub const INVALID_CONTEXT: i32 = -34;
pub const INVALID_QUEUE: i32 = -36;
pub const INVALID_BUFFER_SIZE: i32 = -61;
pub const PLATFORM_NOT_FOUND: i32 = -1001;

/// The specification's name of a status code.
fn name(code: i32) -> Option<&'static str> {
    Some(match code {
        -1 => "CL_DEVICE_NOT_FOUND",
        -2 => "CL_DEVICE_NOT_AVAILABLE",
        -3 => "CL_COMPILER_NOT_AVAILABLE",
        -4 => "CL_MEM_OBJECT_ALLOCATION_FAILURE",
        -5 => "CL_OUT_OF_RESOURCES",
        -6 => "CL_OUT_OF_HOST_MEMORY",
        -7 => "CL_PROFILING_INFO_NOT_AVAILABLE",
        -8 => "CL_MEM_COPY_OVERLAP",
        -11 => "CL_BUILD_PROGRAM_FAILURE",
        -13 => "CL_MISALIGNED_SUB_BUFFER_OFFSET",
        -14 => "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
        -30 => "CL_INVALID_VALUE",
        -32 => "CL_INVALID_PLATFORM",
        -33 => "CL_INVALID_DEVICE",
        -34 => "CL_INVALID_CONTEXT",
        -36 => "CL_INVALID_COMMAND_QUEUE",
        -38 => "CL_INVALID_MEM_OBJECT",
        -42 => "CL_INVALID_BINARY",
        -43 => "CL_INVALID_BUILD_OPTIONS",
        -44 => "CL_INVALID_PROGRAM",
        -45 => "CL_INVALID_PROGRAM_EXECUTABLE",
        -46 => "CL_INVALID_KERNEL_NAME",
        -47 => "CL_INVALID_KERNEL_DEFINITION",
        -48 => "CL_INVALID_KERNEL",
        -49 => "CL_INVALID_ARG_INDEX",
        -50 => "CL_INVALID_ARG_VALUE",
        -51 => "CL_INVALID_ARG_SIZE",
        -52 => "CL_INVALID_KERNEL_ARGS",
        -53 => "CL_INVALID_WORK_DIMENSION",
        -54 => "CL_INVALID_WORK_GROUP_SIZE",
        -55 => "CL_INVALID_WORK_ITEM_SIZE",
        -56 => "CL_INVALID_GLOBAL_OFFSET",
        -57 => "CL_INVALID_EVENT_WAIT_LIST",
        -58 => "CL_INVALID_EVENT",
        -59 => "CL_INVALID_OPERATION",
        -61 => "CL_INVALID_BUFFER_SIZE",
        -63 => "CL_INVALID_GLOBAL_WORK_SIZE",
        -1001 => "CL_PLATFORM_NOT_FOUND_KHR",
        _ => return None,
    })
}

fn check(call: &'static str, code: i32) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Failed { call, code }) }
}

/// Something new from a call that says how it went beside it.
fn made(call: &'static str, new: *mut c_void, code: i32) -> Result<NonNull<c_void>> {
    check(call, code)?;
    // A driver that gives nothing and calls it success has no resources for it.
    NonNull::new(new).ok_or(Failed { call, code: OUT_OF_RESOURCES })
}

/// Objects that are counted: dropping one lets go of it whatever the driver says, since there is nothing left to be done.
macro_rules! object {
    ($($(#[$doc:meta])* $name:ident $release:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(NonNull<c_void>);

        // SAFETY: OpenCL's calls may be made by every thread, on any object, but for the setting of a kernel's arguments,
        // which only `Queue::launch` does, under the lock of the device's queue.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the object was made for this handle, which is its only owner.
                _ = unsafe { ffi::$release(self.0.as_ptr()) };
            }
        }
    )*};
}

object! {
    /// What buffers and programs of a device belong to.
    Context clReleaseContext;
    /// Bytes of a device.
    Buffer clReleaseMemObject;
    /// A text, or its binary, for a device.
    Program clReleaseProgram;
    /// A function of a program that the host can launch.
    Kernel clReleaseKernel;
    /// A command that runs, or has run.
    Event clReleaseEvent;
    /// Commands that run one after the other.
    Commands clReleaseCommandQueue;
}

/// A device of a platform. It needs no release.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    device: NonNull<c_void>,
    platform: NonNull<c_void>,
}

// SAFETY: names of devices, which stay valid as long as the library does.
unsafe impl Send for Unit {}
// SAFETY: as above.
unsafe impl Sync for Unit {}

/// Calls `get` for the number of things, and again for them.
fn list(call: &'static str, get: impl Fn(u32, *mut *mut c_void, *mut u32) -> i32) -> Result<Vec<NonNull<c_void>>> {
    let mut n = 0;
    check(call, get(0, null_mut(), &mut n))?;
    let mut all = vec![null_mut(); n as usize];
    if n > 0 {
        check(call, get(n, all.as_mut_ptr(), null_mut()))?;
    }
    Ok(all.into_iter().filter_map(NonNull::new).collect())
}

/// Calls `get` for a size, and again for that many bytes.
fn bytes(call: &'static str, get: impl Fn(usize, *mut c_void, *mut usize) -> i32) -> Result<Vec<u8>> {
    let mut size = 0;
    check(call, get(0, null_mut(), &mut size))?;
    let mut bytes = vec![0; size];
    if size > 0 {
        check(call, get(size, bytes.as_mut_ptr().cast(), null_mut()))?;
    }
    Ok(bytes)
}

/// Text of the driver: up to the zero that ends it.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_string()
}

/// A number of 4 or 8 bytes; the first one where there are several.
fn number(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.first_chunk()) {
        (Some(long), _) => u64::from_ne_bytes(*long),
        (None, Some(int)) => u32::from_ne_bytes(*int).into(),
        (None, None) => 0,
    }
}

/// The devices of all platforms, in the order in which the library lists them. Platforms without one are left out.
///
/// # Errors
/// Where there is no platform, or none of them can be asked.
pub fn units() -> Result<Vec<Unit>> {
    // SAFETY: `list` gives room for as many as it says.
    let platforms = list("clGetPlatformIDs", |n, all, found| unsafe { ffi::clGetPlatformIDs(n, all, found) })?;
    let mut units = Vec::new();
    for platform in platforms {
        let devices = list("clGetDeviceIDs", |n, all, found| {
            // SAFETY: as above, of a platform that was listed.
            unsafe { ffi::clGetDeviceIDs(platform.as_ptr(), ffi::CL_DEVICE_TYPE_ALL, n, all, found) }
        });
        match devices {
            Ok(devices) => units.extend(devices.into_iter().map(|device| Unit { device, platform })),
            Err(Failed { code: DEVICE_NOT_FOUND, .. }) => {}
            Err(failed) => return Err(failed),
        }
    }
    Ok(units)
}

/// What kind of processor a device is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Cpu,
    Gpu,
    Other,
}

/// What a device says of itself. Drivers say more than is true: it is for people to read, and for keys.
#[derive(Clone, Debug)]
pub struct Description {
    pub platform: String,
    pub platform_version: String,
    pub name: String,
    pub vendor: String,
    pub version: String,
    pub driver: String,
    pub kind: Kind,
    pub available: bool,
    pub has_compiler: bool,
    pub compute_units: usize,
    /// Items of a work group at most.
    pub largest_group: usize,
    /// Bytes of the device, of the largest buffer, and of local memory of a work group.
    pub global_bytes: usize,
    pub largest_buffer: usize,
    pub local_bytes: usize,
    /// Whether it computes in f64.
    pub has_double: bool,
    /// Whether its memory is the host's.
    pub shares_memory: bool,
}

impl Unit {
    fn info(self, what: u32) -> Result<Vec<u8>> {
        // SAFETY: `bytes` gives room for as many as it says.
        bytes("clGetDeviceInfo", |n, to, size| unsafe { ffi::clGetDeviceInfo(self.device.as_ptr(), what, n, to, size) })
    }

    fn platform_info(self, what: u32) -> Result<Vec<u8>> {
        // SAFETY: as above.
        bytes("clGetPlatformInfo", |n, to, size| unsafe {
            ffi::clGetPlatformInfo(self.platform.as_ptr(), what, n, to, size)
        })
    }

    /// What the device says of itself.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn describe(self) -> Result<Description> {
        let words = |what| self.info(what).map(|bytes| text(&bytes));
        let count = |what| self.info(what).map(|bytes| number(&bytes) as usize);
        let kind = number(&self.info(ffi::CL_DEVICE_TYPE)?);
        Ok(Description {
            platform: text(&self.platform_info(ffi::CL_PLATFORM_NAME)?),
            platform_version: text(&self.platform_info(ffi::CL_PLATFORM_VERSION)?),
            name: words(ffi::CL_DEVICE_NAME)?,
            vendor: words(ffi::CL_DEVICE_VENDOR)?,
            version: words(ffi::CL_DEVICE_VERSION)?,
            driver: words(ffi::CL_DRIVER_VERSION)?,
            kind: match kind {
                _ if kind & ffi::CL_DEVICE_TYPE_GPU != 0 => Kind::Gpu,
                _ if kind & ffi::CL_DEVICE_TYPE_CPU != 0 => Kind::Cpu,
                _ => Kind::Other,
            },
            available: count(ffi::CL_DEVICE_AVAILABLE)? != 0,
            has_compiler: count(ffi::CL_DEVICE_COMPILER_AVAILABLE)? != 0,
            compute_units: count(ffi::CL_DEVICE_MAX_COMPUTE_UNITS)?,
            largest_group: count(ffi::CL_DEVICE_MAX_WORK_GROUP_SIZE)?,
            global_bytes: count(ffi::CL_DEVICE_GLOBAL_MEM_SIZE)?,
            largest_buffer: count(ffi::CL_DEVICE_MAX_MEM_ALLOC_SIZE)?,
            local_bytes: count(ffi::CL_DEVICE_LOCAL_MEM_SIZE)?,
            // Before version 1.2 the question is an extension's; without doubles it has no answer, or 0.
            has_double: count(ffi::CL_DEVICE_DOUBLE_FP_CONFIG).is_ok_and(|bits| bits != 0),
            shares_memory: count(ffi::CL_DEVICE_HOST_UNIFIED_MEMORY).is_ok_and(|yes| yes != 0),
        })
    }
}

impl Context {
    /// # Errors
    /// Where the device cannot be opened.
    pub fn new(unit: Unit) -> Result<Context> {
        let properties = [ffi::CL_CONTEXT_PLATFORM as isize, unit.platform.as_ptr() as isize, 0];
        let mut code = 0;
        let device = unit.device.as_ptr();
        // SAFETY: properties that end with a zero, one device, no function to be called.
        let new = unsafe { ffi::clCreateContext(properties.as_ptr(), 1, &device, None, null_mut(), &mut code) };
        made("clCreateContext", new, code).map(Context)
    }

    /// A buffer of so many bytes, of any contents.
    ///
    /// # Errors
    /// Where the device has no more, as far as it knows: many find out at the first use only.
    ///
    /// # Panics
    /// A bug of the caller: no bytes.
    pub fn buffer(&self, bytes: usize) -> Result<Buffer> {
        assert!(bytes > 0, "bug in allotrope: a buffer without bytes");
        let mut code = 0;
        // SAFETY: no memory of the host is given.
        let new = unsafe { ffi::clCreateBuffer(self.0.as_ptr(), ffi::CL_MEM_READ_WRITE, bytes, null_mut(), &mut code) };
        made("clCreateBuffer", new, code).map(Buffer)
    }

    /// A program of this text, yet to be built.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn program(&self, source: &str) -> Result<Program> {
        let (at, length) = (source.as_ptr().cast(), source.len());
        let mut code = 0;
        // SAFETY: one text of this length, which the call copies.
        let new = unsafe { ffi::clCreateProgramWithSource(self.0.as_ptr(), 1, &at, &length, &mut code) };
        made("clCreateProgramWithSource", new, code).map(Program)
    }

    /// A program of what [`Program::binary`] gave, yet to be built.
    ///
    /// # Errors
    /// Where the driver takes it for no program of this device.
    pub fn program_of_binary(&self, unit: Unit, binary: &[u8]) -> Result<Program> {
        let (at, length, device) = (binary.as_ptr(), binary.len(), unit.device.as_ptr());
        let (mut status, mut code) = (0, 0);
        // SAFETY: one device and one binary of this length, which the call copies.
        let new = unsafe {
            ffi::clCreateProgramWithBinary(self.0.as_ptr(), 1, &device, &length, &at, &mut status, &mut code)
        };
        let program = made("clCreateProgramWithBinary", new, code).map(Program)?;
        check("clCreateProgramWithBinary", status)?;
        Ok(program)
    }
}

impl Program {
    /// Builds it for the device.
    ///
    /// # Errors
    /// Where the compiler refuses it, see [`Program::log`], or fails.
    pub fn build(&self, unit: Unit, options: &str) -> Result<()> {
        let options = CString::new(options).expect("bug in allotrope: a zero among the options of a compiler");
        let device = unit.device.as_ptr();
        // SAFETY: one device, options that end with a zero, no function to be called: the call waits for the end.
        let code = unsafe { ffi::clBuildProgram(self.0.as_ptr(), 1, &device, options.as_ptr(), None, null_mut()) };
        check("clBuildProgram", code)
    }

    /// What the compiler said.
    pub fn log(&self, unit: Unit) -> String {
        let what = ffi::CL_PROGRAM_BUILD_LOG;
        // SAFETY: `bytes` gives room for as many as it says.
        let log = bytes("clGetProgramBuildInfo", |n, to, size| unsafe {
            ffi::clGetProgramBuildInfo(self.0.as_ptr(), unit.device.as_ptr(), what, n, to, size)
        });
        log.map_or_else(|failed| failed.to_string(), |log| text(&log))
    }

    /// The program as built for its one device.
    ///
    /// # Errors
    /// Where the driver does not give it.
    pub fn binary(&self) -> Result<Vec<u8>> {
        let call = "clGetProgramInfo";
        let info = |what, size, to: *mut c_void| {
            // SAFETY: the callers below give room for as many bytes as they say.
            check(call, unsafe { ffi::clGetProgramInfo(self.0.as_ptr(), what, size, to, null_mut()) })
        };
        let mut length = 0usize;
        info(ffi::CL_PROGRAM_BINARY_SIZES, size_of::<usize>(), (&raw mut length).cast())?;
        let mut binary = vec![0u8; length];
        let mut to = binary.as_mut_ptr();
        info(ffi::CL_PROGRAM_BINARIES, size_of::<*mut u8>(), (&raw mut to).cast())?;
        Ok(binary)
    }

    /// The kernel of this name.
    ///
    /// # Errors
    /// Where there is none.
    pub fn kernel(&self, name: &str) -> Result<Kernel> {
        let name = CString::new(name).expect("bug in allotrope: a zero in the name of a kernel");
        let mut code = 0;
        // SAFETY: a name that ends with a zero.
        let new = unsafe { ffi::clCreateKernel(self.0.as_ptr(), name.as_ptr(), &mut code) };
        made("clCreateKernel", new, code).map(Kernel)
    }
}

impl Kernel {
    /// How many items a work group of this kernel may have on the device.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn largest_group(&self, unit: Unit) -> Result<usize> {
        let what = ffi::CL_KERNEL_WORK_GROUP_SIZE;
        // SAFETY: `bytes` gives room for as many as it says.
        let size = bytes("clGetKernelWorkGroupInfo", |n, to, size| unsafe {
            ffi::clGetKernelWorkGroupInfo(self.0.as_ptr(), unit.device.as_ptr(), what, n, to, size)
        })?;
        Ok(number(&size) as usize)
    }
}

/// An argument of a kernel; its type is that of the parameter.
#[derive(Copy, Clone)]
pub enum Arg<'a> {
    /// `__global T*`
    Buffer(&'a Buffer),
    /// `long`
    Long(i64),
    /// `int`
    Int(i32),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `__local T*` to so many bytes
    Local(usize),
}

impl Arg<'_> {
    /// Bytes, and where they are.
    fn raw(&self) -> (usize, *const c_void) {
        match self {
            Arg::Buffer(buffer) => (size_of::<*mut c_void>(), (&raw const buffer.0).cast()),
            Arg::Long(x) => (8, (&raw const *x).cast()),
            Arg::Int(x) => (4, (&raw const *x).cast()),
            Arg::Float(x) => (4, (&raw const *x).cast()),
            Arg::Double(x) => (8, (&raw const *x).cast()),
            Arg::Local(bytes) => (*bytes, null()),
        }
    }
}

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
