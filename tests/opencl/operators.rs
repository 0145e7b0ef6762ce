//! Reductions, gathers, scatters, sorting, searches, recurrences and overlapping windows on an OpenCL device, in every form of
//! code: the bits of the CPU's kernels, whatever the sizes and strides, with duplicates, NaN and empty axes.

use crate::common::assert_same;
use crate::forms;
use allotrope::functional::{FoldOptions, fold};
use allotrope::prelude::*;

/// Numbers with duplicates, zeros of both signs, subnormal and infinite ones, and NaN.
fn numbers(seed: u64, shape: &[usize]) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut one = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = (state >> 33) as f32 / (1u32 << 30) as f32 - 1.0;
        match (state >> 20) & 255 {
            0..8 => 0.0,
            8..16 => -0.0,
            16..24 => x * 1e-40,
            24..64 => (x * 4.0).trunc(),
            64 => f32::INFINITY,
            65 if seed.is_multiple_of(3) => f32::NAN,
            _ => x,
        }
    };
    let n = shape.iter().product();
    Tensor::from_vec((0..n).map(|_| one()).collect::<Vec<f32>>(), shape)
}

/// Indices below `n`, with duplicates.
fn places(seed: u64, shape: &[usize], n: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let one = |i: u64| ((i * 7919 + seed * 31) ^ (i >> 3)) as i64 % n as i64;
    Tensor::from_vec((0..count as u64).map(one).collect::<Vec<i64>>(), shape)
}

/// How the elements of a matrix lie.
fn layouts(x: &Tensor) -> Vec<Tensor> {
    vec![x.clone(), x.transpose(0, 1), x.flip(&[0]), x.slice(1, None, None, 2)]
}

/// Runs a program of the operands on all devices, eagerly, and traced where that is wanted: each size has a program of its own
/// there, which takes long to build.
fn agree(what: &str, operands: &[Tensor], traced: bool, program: impl Fn(&[Tensor]) -> Vec<Tensor> + Copy + 'static) {
    let want = program(operands);
    for (name, device) in forms() {
        let there: Vec<Tensor> = operands.iter().map(|t| t.to_device(*device)).collect();
        let same = |how: &str, got: &[Tensor]| {
            assert_eq!(want.len(), got.len());
            for (i, (want, got)) in want.iter().zip(got).enumerate() {
                assert_same(&format!("{name}, {how}, {what}, result {i}"), want, &got.to_device(Device::Cpu));
            }
        };
        same("eager", &program(&there));
        if !traced {
            continue;
        }
        let zero = numbers(0, &[1]).to_device(*device);
        let f = trace(move |_: &Tensor| program(&there));
        same("traced", &f.call(&zero).expect("a traced call"));
    }
}

const SHAPES: [[usize; 2]; 7] = [[1, 1], [3, 17], [16, 40], [4097, 3], [2, 9001], [70, 130], [5, 0]];
/// The one that is also traced: of more than one block along an axis. Programs of many results take a device long to build.
const TRACED: usize = 3;

#[test]
fn reductions() {
    for (i, shape) in SHAPES.into_iter().enumerate() {
        agree(&format!("sums of {shape:?}"), &[numbers(i as u64, &shape)], i == TRACED, |x| {
            let sums = |x: Tensor| [x.sum_dim(&[0], false), x.sum_dim(&[1], false), x.sum()];
            layouts(&x[0]).into_iter().flat_map(sums).collect()
        });
        if shape[1] > 0 {
            agree(&format!("maxima of {shape:?}"), &[numbers(i as u64, &shape)], i == TRACED, |x| {
                let most = |x: Tensor| [x.amax(&[0], false), x.amin(&[1], false), x.amax(&[], false)];
                let of = |x: &Tensor| layouts(x).into_iter().flat_map(most).collect::<Vec<_>>();
                [of(&x[0]), of(&x[0].to(DType::F64)), of(&x[0].nan_to_num(None, Some(1.0), Some(1.0)).to(DType::I32))]
                    .concat()
            });
        }
    }
}

#[test]
fn gathers_and_scatters() {
    for (i, [rows, columns]) in SHAPES.into_iter().enumerate().take(6) {
        let (seed, many) = (i as u64, rows + 90);
        let operands = [
            numbers(seed, &[rows, columns]),
            places(seed, &[many, columns], rows),
            numbers(seed + 1, &[many, columns]),
        ];
        agree(&format!("scatters into {rows}, {columns}"), &operands, i == TRACED, |x| {
            vec![
                x[0].gather(0, &x[1]),
                x[0].scatter_add(0, &x[1], &x[2]),
                x[0].scatter(0, &x[1], &x[2]),
                x[0].transpose(0, 1).scatter_add(1, &x[1].transpose(0, 1), &x[2].transpose(0, 1)),
                x[0].index_add(0, &x[1].select(1, 0), &x[2], 1.0),
                x[0].index_select(0, &x[1].select(1, 0)),
            ]
        });
    }
}

#[test]
fn orders_and_searches() {
    for (i, shape) in SHAPES.into_iter().enumerate().take(6) {
        agree(&format!("orders of {shape:?}"), &[numbers(i as u64, &shape)], i == TRACED, |x| {
            let of = |x: Tensor| [x.argsort(0, false), x.argsort(1, true), x.argmax(), x.argmin()];
            let mut all: Vec<Tensor> = layouts(&x[0]).into_iter().flat_map(of).collect();
            all.extend(of(x[0].to(DType::F64)));
            all
        });
    }
    // Long enough for runs that are merged.
    agree("long orders", &[numbers(3, &[40_000])], false, |x| vec![x[0].argsort(0, false), x[0].argsort(0, true)]);
}

#[test]
fn running_sums_and_windows() {
    for (i, shape) in SHAPES.into_iter().enumerate().take(6) {
        agree(&format!("running sums of {shape:?}"), &[numbers(i as u64, &shape)], i == TRACED, |x| {
            let of = |x: Tensor| [x.cumsum(0), x.cumsum(1), x.cumprod(1)];
            layouts(&x[0]).into_iter().flat_map(of).collect()
        });
    }
    agree("windows", &[numbers(9, &[2, 3 * 9, 7 * 6])], true, |x| {
        vec![fold(&x[0], [9, 8], [3, 3], FoldOptions::default())]
    });
}
