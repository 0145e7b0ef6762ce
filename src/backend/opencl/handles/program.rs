//! Contexts, programs and kernels: what is made before anything runs.

use super::{Buffer, Context, Kernel, Program, Result, Unit, bytes, check, made, number, text};
use ocl::ffi;
use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};

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
    pub(super) fn raw(&self) -> (usize, *const c_void) {
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
