//! Convolutions in a trace on an OpenCL device, in every form of code: products read the windows where they lie, and the bits are
//! those of the CPU.

use crate::common::assert_same;
use crate::convolution_cases::{Case, cases, numbers, program};
use crate::forms;
use allotrope::functional::*;
use allotrope::prelude::*;

/// Cases that a test runs, each with its operands.
fn given(dtype: DType, every: usize) -> Vec<(Case, [Tensor; 3])> {
    let chosen = cases().into_iter().enumerate().filter(|(i, _)| i % every == every - 1);
    let with_operands = |(_, case): (usize, Case)| {
        let operands = [numbers(&case.2, 1, dtype), numbers(&case.3, 2, dtype), numbers(&[case.4], 3, dtype)];
        (case, operands)
    };
    chosen.map(with_operands).collect()
}

/// Compares a program of these cases with what the CPU gives eagerly.
fn compare(name: &str, device: Device, cases: &[(Case, [Tensor; 3])]) {
    let there: Vec<[Tensor; 3]> = cases.iter().map(|(_, x)| x.each_ref().map(|t| t.to_device(device))).collect();
    let traced = trace(|zero: &Tensor| {
        let one = |((case, _), [x, w, b]): (&(Case, _), &[Tensor; 3])| program(&*case.1, &(x - zero), w, b);
        cases.iter().zip(&there).flat_map(one).collect::<Vec<_>>()
    });
    let zero = Tensor::zeros(&[1], cases[0].1[0].dtype());
    let got = traced.call(&zero.to_device(device)).expect("it compiles");
    let want = cases.iter().flat_map(|(case, [x, w, b])| program(&*case.1, &(x - &zero), w, b));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let (op, _, x, w, _) = &cases[i / 4].0;
        assert_same(&format!("{name}, {op} of {x:?} and {w:?}, result {}", i % 4), &want, &got.to_device(Device::Cpu));
    }
}

#[test]
fn of_every_kind_of_window() {
    for (name, device) in forms() {
        // A program in one kernel is built slowly: few cases, each in one of its own.
        match name.contains("single") {
            true => given(DType::F32, 3).chunks(1).for_each(|case| compare(name, *device, case)),
            false => compare(name, *device, &given(DType::F32, 1)),
        }
    }
}

#[test]
fn of_f64() {
    for (name, device) in forms().iter().filter(|(name, _)| name.contains("launched")) {
        compare(name, *device, &given(DType::F64, 4));
    }
}

/// Sizes are symbols where the program does not ask for them, and a batch of another size runs the same code.
#[test]
fn of_any_batch() {
    let options = ConvOptions { padding: Padding::Both([2, 2]), ..ConvOptions::default() };
    let w = numbers(&[32, 8, 5, 5], 2, DType::F32);
    let run = |x: &Tensor, w: &Tensor| {
        program(
            &move |x: &Tensor, w: &Tensor, b: &Tensor| conv2d(x, w, Some(b), options),
            x,
            w,
            &w.select(1, 0).sum_dim(&[1, 2], false),
        )
    };
    for (name, device) in forms().iter().filter(|(name, _)| name.contains("launched")) {
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
