//! Convolutions in a trace on an OpenCL device, in every form of code: products read the windows where they lie, and the bits are
//! those of the CPU.

use crate::common::assert_same;
use crate::convolution_cases::{cases, numbers, program};
use crate::matmul::devices;
use allotrope::functional::*;
use allotrope::prelude::*;

/// All cases in one program, so that few are built.
fn all_on_devices(dtype: DType) {
    let given = |(_, _, x, w, b): &(_, _, Vec<usize>, Vec<usize>, usize)| {
        [numbers(x, 1, dtype), numbers(w, 2, dtype), numbers(&[*b], 3, dtype)]
    };
    let cases = cases();
    let here: Vec<[Tensor; 3]> = cases.iter().map(given).collect();
    let run = |all: &[[Tensor; 3]], zero: &Tensor| -> Vec<Tensor> {
        let one = |(case, [x, w, b]): (&_, &[Tensor; 3])| {
            let (_, op, ..): &(&str, Box<crate::convolution_cases::Op>, Vec<usize>, Vec<usize>, usize) = case;
            program(op, &(x - zero), w, b)
        };
        cases.iter().zip(all).flat_map(one).collect()
    };
    let zero = Tensor::zeros(&[1], dtype);
    let want = run(&here, &zero);
    for (name, device) in devices() {
        let there: Vec<[Tensor; 3]> = here.iter().map(|x| x.each_ref().map(|t| t.to_device(*device))).collect();
        let traced = trace(|zero: &Tensor| run(&there, zero));
        let got = traced.call(&zero.to_device(*device)).expect("it compiles");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let what = format!("{name}, {dtype}, {}, case {}, result {}", cases[i / 4].0, i / 4, i % 4);
            assert_same(&what, want, &got.to_device(Device::Cpu));
        }
    }
}

#[test]
fn of_f32() {
    all_on_devices(DType::F32);
}

#[test]
fn of_f64() {
    all_on_devices(DType::F64);
}

/// Sizes are symbols where the program does not ask for them, and a batch of another size runs the same code.
#[test]
fn of_any_batch() {
    let options = ConvOptions { padding: Padding::Both([2, 2]), ..ConvOptions::default() };
    let w = numbers(&[32, 8, 5, 5], 2, DType::F32);
    let run = |x: &Tensor, w: &Tensor| {
        program(&|x, w, b| conv2d(x, w, Some(b), options), x, w, &w.select(1, 0).sum_dim(&[1, 2], false))
    };
    for (name, device) in devices() {
        let inside = w.to_device(*device);
        let traced = trace(|x: &Tensor| run(x, &inside));
        for n in [3, 40] {
            let x = numbers(&[n, 8, 14, 14], n, DType::F32);
            let got = traced.call(&x.to_device(*device)).expect("it compiles");
            for (i, (got, want)) in got.iter().zip(&run(&x, &w)).enumerate() {
                assert_same(&format!("{name}, batch {n}, result {i}"), want, &got.to_device(Device::Cpu));
            }
        }
        let windows = 8 * 25 * (40 * 14 * 14) * 4;
        let forward = trace(|x: &Tensor| conv2d(x, &inside, None, options));
        forward.call(&numbers(&[40, 8, 14, 14], 1, DType::F32).to_device(*device)).expect("it compiles");
        let explained = &forward.explain()[0];
        let planned = explained.peak_bytes(&explained.last_sizes().expect("it was called"));
        assert!(planned < windows, "{name}: {planned} bytes, {windows} are those of the windows");
    }
}
