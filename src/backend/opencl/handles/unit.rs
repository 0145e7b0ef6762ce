//! The devices of a machine, and what they say of themselves. Nothing is opened here.

use super::{DEVICE_NOT_FOUND, Failed, Result, bytes, check, number, text};
use ocl::ffi;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

/// A device of a platform. It needs no release.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub(super) device: NonNull<c_void>,
    pub(super) platform: NonNull<c_void>,
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
