//! OpenCL's objects and calls. The only folder that names `ocl`, of which it takes the bindings alone: the objects of `ocl`
//! panic when they are dropped on a lost device and at status codes that they do not know, and any thread may set their
//! arguments at any time. Here no word of a driver panics: a call that fails is a [`Failed`]. It knows no tensor, no
//! program's meaning, and not which failure means what.

mod program;
mod queue;
mod unit;

pub use program::Arg;
pub use queue::Queue;
pub use unit::{Description, Kind, Unit, units};

// The functions that `ocl` links are those of this crate.
use allotrope_opencl_loader as _;
use ocl::ffi;
use std::ffi::c_void;
use std::fmt;
use std::ptr::{NonNull, null_mut};

/// A call that failed, with the code that it gave.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub call: &'static str,
    pub code: i32,
}

impl Failed {
    /// Whether a buffer could not be had because there is no memory for it.
    pub fn is_out_of_memory(self) -> bool {
        matches!(self.code, ALLOCATION_FAILURE | OUT_OF_RESOURCES | OUT_OF_HOST_MEMORY | INVALID_BUFFER_SIZE)
    }
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

/// Objects that are counted: dropping one releases it whatever the driver says, since there is nothing left to be done.
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
