//! OpenCL devices: handles, memory, probe, and programs on them with the bits of the CPU. Where there is no device the tests
//! say so and do nothing: install one (`pocl-opencl-icd`) to run them.
#![cfg(feature = "opencl")]

mod devices;
mod first;
mod handles;
mod memory;
mod probe;

use allotrope::backend::opencl::{self, Opened};
use std::io::{Write, stderr};
use std::sync::Once;

/// The device that the tests run on, if there is one.
pub fn device() -> Option<&'static Opened> {
    static SAID: Once = Once::new();
    match opencl::of(0).opened() {
        Ok(opened) => Some(opened),
        Err(error) => {
            // Past the harness, which shows what a test prints where it fails only.
            SAID.call_once(|| _ = writeln!(stderr(), "the tests of OpenCL are skipped, there is no device: {error}"));
            None
        }
    }
}
