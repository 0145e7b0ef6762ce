//! The OpenCL functions that the crate `ocl` links. Each is found in the system's library when it is first called; where
//! there is no library, or no such function in it, it fails with [`MISSING`]. A program that is linked with this crate starts
//! everywhere, and needs no library of OpenCL to be built.
//!
//! `cl-sys` declares these functions and asks the linker for a library `OpenCL`; the build script gives it an empty one. The
//! library is looked for under its usual names, or is the file that the variable [`VARIABLE`] names.

#![allow(non_snake_case, clippy::too_many_arguments, reason = "OpenCL's names and arguments")]

mod library;

pub use library::{VARIABLE, library};

use library::Function;
use std::ffi::{c_char, c_void};

/// A pointer to something of the library's: a platform, a device, a context, ...
pub type Handle = *mut c_void;

/// A function of the program's that the library calls. It is only passed on here.
pub type Callback = *const c_void;

/// What every function here returns where the library or the function is missing: `CL_PLATFORM_NOT_FOUND_KHR`.
pub const MISSING: i32 = -1001;

/// Functions that return whether they succeeded.
macro_rules! status {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        /// The function of this name in the OpenCL specification.
        ///
        /// # Safety
        /// As there.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($argument: $type),*) -> i32 {
            static FUNCTION: Function = Function::new(concat!(stringify!($name), "\0"));
            let Some(address) = FUNCTION.address() else { return MISSING };
            // SAFETY: the library's function of this name has this type by the specification, and the caller keeps to that.
            unsafe {
                let function: unsafe extern "system" fn($($type),*) -> i32 = std::mem::transmute(address);
                function($($argument),*)
            }
        }
    )*};
}

/// Functions that return something new, and write whether they succeeded to where the last argument points.
macro_rules! new {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        /// The function of this name in the OpenCL specification.
        ///
        /// # Safety
        /// As there.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($argument: $type,)* status: *mut i32) -> Handle {
            static FUNCTION: Function = Function::new(concat!(stringify!($name), "\0"));
            let Some(address) = FUNCTION.address() else {
                // SAFETY: by the specification the pointer is null or may be written to.
                unsafe { status.as_mut() }.into_iter().for_each(|status| *status = MISSING);
                return std::ptr::null_mut();
            };
            // SAFETY: the library's function of this name has this type by the specification, and the caller keeps to that.
            unsafe {
                let function: unsafe extern "system" fn($($type,)* *mut i32) -> Handle = std::mem::transmute(address);
                function($($argument,)* status)
            }
        }
    )*};
}

status! {
    clBuildProgram(program: Handle, devices_len: u32, devices: *const Handle, options: *const c_char, notify:
        Callback, user_data: *mut c_void);
    clCompileProgram(program: Handle, devices_len: u32, devices: *const Handle, options: *const c_char,
        num_input_headers: u32, input_headers: *const Handle, header_names: *const *const c_char, notify: Callback,
        user_data: *mut c_void);
    clCreateKernelsInProgram(program: Handle, num_kernels: u32, kernels: *mut Handle, num_kernels_ret: *mut u32);
    clEnqueueAcquireGLObjects(queue: Handle, num_objects: u32, objects: *const Handle, waits: u32, wait: *const
        Handle, event: *mut Handle);
    clEnqueueBarrierWithWaitList(queue: Handle, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueCopyBuffer(queue: Handle, src_buffer: Handle, dst_buffer: Handle, src_offset: usize, dst_offset: usize,
        cb: usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueCopyBufferRect(queue: Handle, src_buffer: Handle, dst_buffer: Handle, src_origin: *const usize,
        dst_origin: *const usize, region: *const usize, src_row_pitch: usize, src_slc_pitch: usize, dst_row_pitch:
        usize, dst_slc_pitch: usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueCopyBufferToImage(queue: Handle, src_buffer: Handle, dst_image: Handle, src_offset: usize, dst_origin:
        *const usize, region: *const usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueCopyImage(queue: Handle, src_image: Handle, dst_image: Handle, src_origin: *const usize, dst_origin:
        *const usize, region: *const usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueCopyImageToBuffer(queue: Handle, src_image: Handle, dst_buffer: Handle, src_origin: *const usize,
        region: *const usize, dst_offset: usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueFillBuffer(queue: Handle, buffer: Handle, pattern: *const c_void, pattern_size: usize, offset: usize,
        size: usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueFillImage(queue: Handle, image: Handle, fill_color: *const c_void, origin: *const usize, region: *const
        usize, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueMarkerWithWaitList(queue: Handle, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueMigrateMemObjects(queue: Handle, num_mem_objects: u32, mem_objects: *const Handle, flags: u64, waits:
        u32, wait: *const Handle, event: *mut Handle);
    clEnqueueNDRangeKernel(queue: Handle, kernel: Handle, work_dim: u32, global_work_offset: *const usize,
        global_work_dims: *const usize, local_work_dims: *const usize, waits: u32, wait: *const Handle, event: *mut
        Handle);
    clEnqueueNativeKernel(queue: Handle, function: Callback, args: *mut c_void, cb_args: usize, num_mem_objects:
        u32, mem_list: *const Handle, args_mem_loc: *const *const c_void, waits: u32, wait: *const Handle, event:
        *mut Handle);
    clEnqueueReadBuffer(queue: Handle, buffer: Handle, blocking_read: u32, offset: usize, cb: usize, ptr: *mut
        c_void, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueReadBufferRect(queue: Handle, buffer: Handle, blocking_read: u32, buffer_origin: *const usize,
        host_origin: *const usize, region: *const usize, buffer_row_pitch: usize, buffer_slc_pitch: usize,
        host_row_pitch: usize, host_slc_pitch: usize, ptr: *mut c_void, waits: u32, wait: *const Handle, event: *mut
        Handle);
    clEnqueueReadImage(queue: Handle, image: Handle, blocking_read: u32, origin: *const usize, region: *const usize,
        row_pitch: usize, slc_pitch: usize, ptr: *mut c_void, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueReleaseGLObjects(queue: Handle, num_objects: u32, objects: *const Handle, waits: u32, wait: *const
        Handle, event: *mut Handle);
    clEnqueueTask(queue: Handle, kernel: Handle, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueUnmapMemObject(queue: Handle, memobj: Handle, mapped_ptr: *mut c_void, waits: u32, wait: *const Handle,
        event: *mut Handle);
    clEnqueueWriteBuffer(queue: Handle, buffer: Handle, blocking_write: u32, offset: usize, cb: usize, ptr: *const
        c_void, waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueWriteBufferRect(queue: Handle, buffer: Handle, blocking_write: u32, buffer_origin: *const usize,
        host_origin: *const usize, region: *const usize, buffer_row_pitch: usize, buffer_slc_pitch: usize,
        host_row_pitch: usize, host_slc_pitch: usize, ptr: *const c_void, waits: u32, wait: *const Handle, event:
        *mut Handle);
    clEnqueueWriteImage(queue: Handle, image: Handle, blocking_write: u32, origin: *const usize, region: *const
        usize, input_row_pitch: usize, input_slc_pitch: usize, ptr: *const c_void, waits: u32, wait: *const Handle,
        event: *mut Handle);
    clFinish(queue: Handle);
    clFlush(queue: Handle);
    clGetCommandQueueInfo(queue: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetContextInfo(context: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetDeviceIDs(platform: Handle, device_type: u64, num_entries: u32, devices: *mut Handle, num_devices: *mut
        u32);
    clGetDeviceInfo(device: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetEventInfo(event: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetEventProfilingInfo(event: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetImageInfo(image: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetKernelArgInfo(kernel: Handle, index: u32, what: u32, size: usize, value: *mut c_void, size_ret: *mut
        usize);
    clGetKernelInfo(kernel: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetKernelWorkGroupInfo(kernel: Handle, device: Handle, what: u32, size: usize, value: *mut c_void, size_ret:
        *mut usize);
    clGetMemObjectInfo(memobj: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetPlatformIDs(num_entries: u32, platforms: *mut Handle, num_platforms: *mut u32);
    clGetPlatformInfo(platform: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetProgramBuildInfo(program: Handle, device: Handle, what: u32, size: usize, value: *mut c_void, size_ret:
        *mut usize);
    clGetProgramInfo(program: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetSamplerInfo(sampler: Handle, what: u32, size: usize, value: *mut c_void, size_ret: *mut usize);
    clGetSupportedImageFormats(context: Handle, flags: u64, image_type: u32, num_entries: u32, image_formats: *mut
        c_void, num_image_formats: *mut u32);
    clReleaseCommandQueue(queue: Handle);
    clReleaseContext(context: Handle);
    clReleaseDevice(device: Handle);
    clReleaseEvent(event: Handle);
    clReleaseKernel(kernel: Handle);
    clReleaseMemObject(memobj: Handle);
    clReleaseProgram(program: Handle);
    clReleaseSampler(sampler: Handle);
    clRetainCommandQueue(queue: Handle);
    clRetainContext(context: Handle);
    clRetainDevice(device: Handle);
    clRetainEvent(event: Handle);
    clRetainKernel(kernel: Handle);
    clRetainMemObject(memobj: Handle);
    clRetainProgram(program: Handle);
    clRetainSampler(sampler: Handle);
    clSetEventCallback(event: Handle, kind: i32, notify: Callback, user_data: *mut c_void);
    clSetKernelArg(kernel: Handle, index: u32, size: usize, value: *const c_void);
    clSetMemObjectDestructorCallback(memobj: Handle, notify: Callback, user_data: *mut c_void);
    clSetUserEventStatus(event: Handle, execution_status: i32);
    clWaitForEvents(num_events: u32, event_list: *const Handle);
}

new! {
    clCreateBuffer(context: Handle, flags: u64, size: usize, host_ptr: *mut c_void);
    clCreateCommandQueue(context: Handle, device: Handle, properties: u64);
    clCreateContext(properties: *const isize, devices_len: u32, devices: *const Handle, notify: Callback, user_data:
        *mut c_void);
    clCreateContextFromType(properties: *const isize, device_type: u64, notify: Callback, user_data: *mut c_void);
    clCreateFromGLBuffer(context: Handle, flags: u64, object: u32);
    clCreateFromGLRenderbuffer(context: Handle, flags: u64, object: u32);
    clCreateFromGLTexture(context: Handle, flags: u64, target: u32, level: i32, object: u32);
    clCreateFromGLTexture2D(context: Handle, flags: u64, target: u32, level: i32, object: u32);
    clCreateFromGLTexture3D(context: Handle, flags: u64, target: u32, level: i32, object: u32);
    clCreateImage(context: Handle, flags: u64, image_format: *const c_void, image_desc: *const c_void, host_ptr:
        *mut c_void);
    clCreateKernel(program: Handle, name: *const c_char);
    clCreateProgramWithBinary(context: Handle, devices_len: u32, devices: *const Handle, lengths: *const usize,
        binaries: *const *const u8, binary_status: *mut i32);
    clCreateProgramWithIL(context: Handle, il: *const c_void, length: usize);
    clCreateProgramWithSource(context: Handle, count: u32, strings: *const *const c_char, lengths: *const usize);
    clCreateSampler(context: Handle, normalize_coords: u32, addressing_mode: u32, filter_mode: u32);
    clCreateSubBuffer(buffer: Handle, flags: u64, kind: u32, info: *const c_void);
    clCreateUserEvent(context: Handle);
    clEnqueueMapBuffer(queue: Handle, buffer: Handle, blocking_map: u32, map_flags: u64, offset: usize, size: usize,
        waits: u32, wait: *const Handle, event: *mut Handle);
    clEnqueueMapImage(queue: Handle, image: Handle, blocking_map: u32, map_flags: u64, origin: *const usize, region:
        *const usize, image_row_pitch: *mut usize, image_slc_pitch: *mut usize, waits: u32, wait: *const Handle,
        event: *mut Handle);
    clLinkProgram(context: Handle, devices_len: u32, devices: *const Handle, options: *const c_char,
        num_input_programs: u32, input_programs: *const Handle, notify: Callback, user_data: *mut c_void);
}

/// The function of this name in the OpenCL specification; null where it is missing.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn clGetExtensionFunctionAddressForPlatform(
    platform: Handle,
    name: *const c_char,
) -> *mut c_void {
    static FUNCTION: Function = Function::new("clGetExtensionFunctionAddressForPlatform\0");
    let Some(address) = FUNCTION.address() else { return std::ptr::null_mut() };
    // SAFETY: the library's function of this name has this type by the specification, and the caller keeps to that.
    unsafe {
        let function: unsafe extern "system" fn(Handle, *const c_char) -> *mut c_void = std::mem::transmute(address);
        function(platform, name)
    }
}
