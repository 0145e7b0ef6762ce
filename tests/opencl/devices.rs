//! Devices as users meet them: names, and what is said of those that are not there. Some tests run this program once more, with
//! another environment.

use crate::device;
use allotrope::backend::opencl::{Arg, OpenCl};
use allotrope::backend::{self, Backend, CompileOptions};
use allotrope::ir::{DType, Op, Scalar};
use allotrope::prelude::*;
use allotrope::schedule::Schedule;
use std::process::Command;

#[test]
fn names() {
    for number in [0, 1, 255] {
        assert_eq!(Device::OpenCl(number).to_string(), format!("opencl:{number}"));
        assert_eq!(format!("opencl:{number}").parse::<Device>().unwrap(), Device::OpenCl(number));
    }
    for name in ["opencl", "opencl:", "opencl:256", "opencl:-1", "opencl:x", "OpenCL:0"] {
        assert_eq!(name.parse::<Device>().unwrap_err().to_string(), format!("there is no device {name:?}"));
    }
}

#[test]
fn two_devices_do_not_mix() {
    let Some(_) = device() else { return };
    let here = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
    let there = here.to(Device::OpenCl(0));
    let error = here.try_add(&there).unwrap_err();
    assert_eq!(
        error.to_string(),
        "add: the operands are on two devices, cpu and opencl:0; use to_device() to have them on one"
    );
}

/// Every method of a device that is not there.
fn refused(device: Device) -> Vec<Error> {
    let backend = backend::of(device);
    let there = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
    let graph = "graph(%0: f32[2] \"x\") {\n  %1: f32[2] = neg %0\n  return %1\n}\n".parse().unwrap();
    let schedule = Schedule::of(&graph).unwrap();
    vec![
        backend.allocate(DType::F32, 1).err().unwrap(),
        backend.upload(DType::U8, &[1]).err().unwrap(),
        backend.full(Scalar::F32(1.0), 3).err().unwrap(),
        backend.compute(&Op::Iota(3), &[], DType::I64, &[3]).err().unwrap(),
        backend.compile(&schedule, &CompileOptions::default()).err().unwrap(),
        there.try_to(device).err().unwrap(),
        there.try_to_device(device).err().unwrap(),
    ]
}

#[test]
fn a_number_that_is_not_there() {
    let Some(_) = device() else { return };
    for error in refused(Device::OpenCl(200)) {
        assert!(matches!(error, Error::DeviceMissing { device: Device::OpenCl(200), .. }), "{error:?}");
        let text = "device opencl:200: there is no device of this number: opencl:0 is ";
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

#[test]
fn a_lost_device_stays_lost_and_takes_nothing_else_along() {
    let Some(_) = device() else { return };
    let backend = OpenCl::new(0);
    let opened = backend.opened().unwrap();
    let kernel = opened.build("__kernel void at_x(__global int *x) { x[0] = 1; }").unwrap();
    let kernel = opened.kernel(&kernel, "at_x").unwrap();
    let (memory, block) = (backend.upload(DType::U8, &[1, 2, 3]).unwrap(), opened.allocate(100).unwrap());
    let args = [Arg::Buffer(block.buffer())];
    opened.launch(&kernel, &args, [1, 1, 1], None, false).unwrap();
    opened.lose("the cable was pulled");
    opened.lose("something else");
    let errors = [
        opened.usable().err(),
        opened.build("").err(),
        opened.launch(&kernel, &args, [1, 1, 1], None, false).err(),
        opened.read(block.buffer(), 0, &mut [0]).err(),
        opened.write(block.buffer(), 0, &[0]).err(),
        opened.copy(block.buffer(), 0..1, block.buffer(), 2).err(),
        opened.fill(block.buffer(), 0..1, &[0]).err(),
        opened.flush().err(),
        opened.finish().err(),
        opened.allocate(1).err(),
        backend.allocate(DType::F32, 1).err(),
        backend.upload(DType::F32, &[0; 4]).err(),
        backend.download(&memory, 0..1).err(),
    ];
    for error in errors {
        let error = error.expect("an error");
        assert!(matches!(error, Error::DeviceLost { device: Device::OpenCl(0), .. }), "{error:?}");
        assert_eq!(error.to_string(), "device opencl:0 was lost: the cable was pulled");
    }
    drop((memory, block, kernel));
    drop(backend);
    // The one that everybody uses was opened by itself.
    assert!(backend::of(Device::OpenCl(0)).upload(DType::U8, &[1]).is_ok());
}

/// Runs the ignored test of this name alone, with a variable set.
fn again(test: &str, variable: &str, value: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let run = command.args([test, "--exact", "--ignored", "--test-threads=1"]).env(variable, value);
    let output = run.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn without_the_library() {
    again("devices::says_that_the_library_is_missing", "ALLOTROPE_OPENCL_LIBRARY", "/nowhere/libOpenCL.so.1");
}

#[test]
fn without_a_driver() {
    if device().is_some() && cfg!(target_os = "linux") {
        again("devices::says_that_a_driver_is_missing", "OCL_ICD_VENDORS", "/nowhere/");
    }
}

#[test]
#[ignore = "run by without_the_library"]
fn says_that_the_library_is_missing() {
    for error in refused(Device::OpenCl(0)) {
        assert!(matches!(error, Error::DeviceMissing { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with("device opencl:0: the library of OpenCL is missing (/nowhere/libOpenCL.so.1"),
            "{text}"
        );
        assert!(text.contains("pocl-opencl-icd"), "{text}");
    }
    // This processor computes as always.
    let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
    assert_eq!((&x + &x).sum().item::<f32>(), 6.0);
}

#[test]
#[ignore = "run by without_a_driver"]
fn says_that_a_driver_is_missing() {
    for error in refused(Device::OpenCl(0)) {
        assert!(matches!(error, Error::DeviceMissing { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("finds no driver with a device; install "), "{text}");
    }
}
