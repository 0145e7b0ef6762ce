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
mod oclgrind;
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

use allotrope::backend::opencl::{self, Forced, Form, OpenCl, Opened, Style};
use allotrope::backend::register;
use allotrope::prelude::*;
use std::io::{Write, stderr};
use std::sync::{Once, OnceLock};

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

/// The device once for each form of code, with its name; none where there is no device.
fn forms() -> &'static [(&'static str, Device)] {
    static ALL: OnceLock<Vec<(&'static str, Device)>> = OnceLock::new();
    ALL.get_or_init(|| {
        if device().is_none() {
            return Vec::new();
        }
        let forms = [
            ("cpu_launched", Style::Cpu, Form::Launched),
            ("cpu_single", Style::Cpu, Form::Single),
            ("gpu_launched", Style::Gpu, Form::Launched),
            ("gpu_single", Style::Gpu, Form::Single),
        ];
        let open = |(name, style, form)| {
            let forced = Forced { style: Some(style), form: Some(form) };
            (name, register(name, OpenCl::forced(0, forced)).expect("a device"))
        };
        forms.into_iter().map(open).collect()
    })
}

/// The programs of the second backend on an OpenCL device, with one form of code: the bits are those of the CPU. `cases` of
/// them are drawn at random. Eager operations have one form, which `eager` says they are run in.
macro_rules! form {
    ($module:ident, $cases:literal, eager: $eager:literal) => {
        #[path = "../second_backend"]
        mod $module {
            mod backend {
                use allotrope::prelude::*;

                pub const CASES: u32 = $cases;
                pub const EAGER: bool = $eager;

                pub fn slow() -> Device {
                    let found = crate::forms().iter().find(|(name, _)| *name == stringify!($module));
                    // The same on the CPU: nothing is shown, and nothing fails.
                    found.map_or(Device::Cpu, |(_, device)| *device)
                }
            }

            mod same_bits;
        }
    };
}

form!(cpu_launched, 6, eager: true);
form!(cpu_single, 6, eager: false);
form!(gpu_launched, 6, eager: true);
form!(gpu_single, 6, eager: false);
