//! OpenCL devices: handles, memory, probe, and programs on them with the bits of the CPU. Where there is no device the tests
//! say so and do nothing: install one (`pocl-opencl-icd`) to run them.
#![cfg(feature = "opencl")]
#![allow(clippy::duplicate_mod, reason = "the same programs, once for each form of code")]

mod convolutions;
mod devices;
mod handles;
mod math;
mod matmul;
mod memory;
mod operators;
mod probe;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;

#[path = "../functional/convolution_cases.rs"]
mod convolution_cases;

#[allow(dead_code, reason = "shared with tests/programs")]
#[path = "../programs/common.rs"]
mod common;
#[allow(dead_code, reason = "shared with tests/programs")]
#[path = "../programs/generate.rs"]
mod generate;
#[allow(dead_code, reason = "shared with tests/programs")]
#[path = "../programs/program.rs"]
mod program;

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

/// The programs of the second backend on an OpenCL device, with one form of code: the bits are those of the CPU. `cases` of
/// them are drawn at random.
macro_rules! form {
    ($module:ident, $style:ident, $form:ident, $cases:literal) => {
        #[path = "../second_backend"]
        mod $module {
            mod backend {
                use allotrope::backend::opencl::{Forced, Form, OpenCl, Style};
                use allotrope::backend::register;
                use allotrope::prelude::*;
                use std::sync::OnceLock;

                pub const CASES: u32 = $cases;

                pub fn slow() -> Device {
                    static DEVICE: OnceLock<Device> = OnceLock::new();
                    let forced = Forced { style: Some(Style::$style), form: Some(Form::$form) };
                    *DEVICE.get_or_init(|| match crate::device() {
                        Some(_) => register(stringify!($module), OpenCl::forced(0, forced)).unwrap(),
                        // The same on the CPU: nothing is shown, and nothing fails.
                        None => Device::Cpu,
                    })
                }
            }

            mod same_bits;
        }
    };
}

form!(cpu_launched, Cpu, Launched, 6);
form!(cpu_single, Cpu, Single, 6);
form!(gpu_launched, Gpu, Launched, 6);
form!(gpu_single, Gpu, Single, 6);
