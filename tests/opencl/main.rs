//! OpenCL devices: handles, memory, probe, and programs on them with the bits of the CPU. Where there is no device the tests
//! say so and do nothing: install one (`pocl-opencl-icd`) to run them.
#![cfg(feature = "opencl")]

mod handles;

use allotrope::backend::opencl::Opened;
use std::sync::LazyLock;

/// The device that the tests run on, if there is one.
pub fn device() -> Option<&'static Opened> {
    static DEVICE: LazyLock<Option<Opened>> = LazyLock::new(|| match Opened::new(0) {
        Ok(opened) => Some(opened),
        Err(error) => {
            eprintln!("skipped, no OpenCL device: {error}");
            None
        }
    });
    DEVICE.as_ref()
}
