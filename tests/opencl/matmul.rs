//! Matrix products on an OpenCL device, in every form of code: the bits of the CPU's kernels, whatever the sizes, strides and
//! batches.

use crate::common::assert_same;
use allotrope::backend::opencl::{Forced, Form, OpenCl, Style};
use allotrope::backend::register;
use allotrope::prelude::*;
use std::sync::OnceLock;

/// A device for each form of code, if there is one at all.
pub fn devices() -> &'static [(&'static str, Device)] {
    static ALL: OnceLock<Vec<(&'static str, Device)>> = OnceLock::new();
    ALL.get_or_init(|| {
        if crate::device().is_none() {
            return Vec::new();
        }
        let forms = [
            ("products, cpu, launched", Style::Cpu, Form::Launched),
            ("products, cpu, single", Style::Cpu, Form::Single),
            ("products, gpu, launched", Style::Gpu, Form::Launched),
            ("products, gpu, single", Style::Gpu, Form::Single),
        ];
        let open = |(name, style, form)| {
            let forced = Forced { style: Some(style), form: Some(form) };
            (name, register(name, OpenCl::forced(0, forced)).expect("a device"))
        };
        forms.into_iter().map(open).collect()
    })
}

/// Numbers from everywhere: subnormal ones, zeros of both signs and, where `special`, what is not finite.
fn numbers(seed: u64, dtype: DType, shape: &[usize], special: bool) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let n: usize = shape.iter().product();
    let numbers: Vec<f64> = (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let x = (state >> 33) as f64 / f64::from(1 << 30) - 1.0;
            match (state >> 20) & 63 {
                0 => 0.0,
                1 => -0.0,
                2..6 if dtype.is_float() => x * 1e-30,
                6 => x * 1e6,
                7 if special && state & 0xf000 == 0 => f64::INFINITY,
                8 if special && state & 0xf000 == 0 => f64::NAN,
                _ if dtype.is_float() => x,
                _ => (x * 1e9).trunc(),
            }
        })
        .collect();
    let t = Tensor::from_vec(numbers, shape);
    match dtype {
        // As bytes, not saturated.
        DType::U8 => t.abs().remainder(256.0).floor().to(dtype),
        DType::I64 => t.to(DType::I64) * 1_234_567_891i64,
        _ => t.to(dtype),
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    /// Batch axes of the left and the right factor.
    batch: (&'static [usize], &'static [usize]),
    m: usize,
    k: usize,
    n: usize,
}

const fn case(m: usize, k: usize, n: usize) -> Case {
    Case { batch: (&[], &[]), m, k, n }
}

const SMALL: [Case; 17] = [
    case(1, 32, 32),
    case(1, 1, 1),
    case(4, 0, 6),
    case(0, 5, 3),
    case(3, 5, 0),
    case(5, 3, 2),
    case(6, 16, 16),
    case(7, 300, 1),
    case(1, 255, 130),
    case(6, 256, 17),
    case(9, 257, 33),
    case(13, 511, 50),
    case(3, 512, 15),
    case(2, 513, 4),
    case(2, 1500, 3),
    case(5, 1025, 20),
    case(1, 2000, 40),
];

const LARGE: [Case; 8] = [
    case(70, 512, 70),
    case(100, 513, 65),
    case(130, 20, 129),
    case(96, 255, 64),
    case(16, 5003, 25),
    case(50, 1300, 70),
    case(1030, 9, 1025),
    case(900, 300, 640),
];

const BATCHED: [Case; 6] = [
    Case { batch: (&[3], &[3]), m: 5, k: 40, n: 20 },
    Case { batch: (&[2, 3], &[1, 3]), m: 1, k: 33, n: 18 },
    Case { batch: (&[4, 1], &[1, 2]), m: 7, k: 20, n: 2 },
    Case { batch: (&[1, 2], &[2, 1]), m: 70, k: 300, n: 66 },
    Case { batch: (&[2], &[1]), m: 3, k: 1100, n: 17 },
    Case { batch: (&[2], &[2]), m: 3, k: 1100, n: 17 },
];

/// How the elements of a matrix lie.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Plain,
    Transposed,
    /// Backwards along both axes, every second element of rows.
    Flipped,
}

const LAYOUTS: [Layout; 3] = [Layout::Plain, Layout::Transposed, Layout::Flipped];

impl Layout {
    fn stored(self, batch: &[usize], rows: usize, columns: usize) -> Vec<usize> {
        let last = match self {
            Layout::Plain => [rows, columns],
            Layout::Transposed => [columns, rows],
            Layout::Flipped => [rows, 2 * columns],
        };
        [batch, &last].concat()
    }

    fn view(self, x: &Tensor) -> Tensor {
        match self {
            Layout::Plain => x.clone(),
            Layout::Transposed => x.transpose(-1, -2),
            Layout::Flipped => x.slice(-1, None, None, 2).flip(&[-1, -2]),
        }
    }
}

/// A case's factors as they are stored, with their layouts, and what the product is added to.
fn operands(cases: &[Case], dtype: DType, turn: usize) -> Vec<(Layout, Layout, [Tensor; 3])> {
    let one = |(i, c): (usize, &Case)| {
        let (left, right) = (LAYOUTS[(i + turn) % 3], LAYOUTS[(i + turn + i / 3 + turn / 3) % 3]);
        let out: Vec<usize> = match (c.batch.0, c.batch.1) {
            ([], []) => vec![c.m, c.n],
            (a, b) => a.iter().zip(b).map(|(a, b)| *a.max(b)).chain([c.m, c.n]).collect(),
        };
        let make = |n: usize, shape: &[usize]| numbers((100 * i + 10 * turn + n) as u64, dtype, shape, i % 5 == 4);
        let [a, b] = [left.stored(c.batch.0, c.m, c.k), right.stored(c.batch.1, c.k, c.n)];
        (left, right, [make(1, &a), make(2, &b), make(3, &out)])
    };
    cases.iter().enumerate().map(one).collect()
}

/// The products, and the products added to something.
fn program(operands: &[(Layout, Layout, [Tensor; 3])]) -> Vec<Tensor> {
    let of = |(left, right, [a, b, c]): &(Layout, Layout, [Tensor; 3])| {
        let (a, b) = (left.view(a), right.view(b));
        [a.matmul(&b), c + &a.matmul(&b)]
    };
    operands.iter().flat_map(of).collect()
}

fn moved(operands: &[(Layout, Layout, [Tensor; 3])], device: Device) -> Vec<(Layout, Layout, [Tensor; 3])> {
    let of =
        |(left, right, x): &(Layout, Layout, [Tensor; 3])| (*left, *right, x.each_ref().map(|t| t.to_device(device)));
    operands.iter().map(of).collect()
}

fn check(what: &str, cases: &[Case], want: &[Tensor], got: &[Tensor]) {
    assert_eq!(want.len(), got.len());
    for (i, (want, got)) in want.iter().zip(got).enumerate() {
        assert_same(&format!("{what}: {:?}, result {}", cases[i / 2], i % 2), want, &got.to_device(Device::Cpu));
    }
}

fn eagerly(cases: &[Case], dtype: DType, turns: usize) {
    for turn in 0..turns {
        let here = operands(cases, dtype, turn);
        let want = program(&here);
        for (name, device) in devices() {
            check(&format!("{name}, {dtype}, turn {turn}"), cases, &want, &program(&moved(&here, *device)));
        }
    }
}

/// All in one program: sizes are fixed there.
fn traced(cases: &[Case], dtype: DType, turns: usize) {
    for turn in 0..turns {
        let here = operands(cases, dtype, turn);
        let want = program(&here);
        for (name, device) in devices() {
            let there = moved(&here, *device);
            let f = trace(|zero: &Tensor| {
                // What the products are added to is computed, so that they can be added in place.
                let fresh = |(left, right, [a, b, c]): &(Layout, Layout, [Tensor; 3])| {
                    (*left, *right, [a.clone(), b.clone(), c - &zero.to(c.dtype())])
                };
                program(&there.iter().map(fresh).collect::<Vec<_>>())
            });
            let zero = Tensor::from_vec(vec![0.0f32], &[1]).to_device(*device);
            let got = f.call(&zero).expect("it compiles");
            check(&format!("{name}, traced, {dtype}, turn {turn}"), cases, &want, &got);
        }
    }
}

#[test]
fn small() {
    eagerly(&SMALL, DType::F32, 3);
    traced(&SMALL, DType::F64, 1);
}

#[test]
fn large() {
    eagerly(&LARGE, DType::F32, 1);
    traced(&LARGE, DType::F32, 1);
}

#[test]
fn batches() {
    eagerly(&BATCHED, DType::F32, 3);
    traced(&BATCHED, DType::F64, 1);
}

#[test]
fn integers_wrap() {
    let cases = [SMALL[0], SMALL[4], SMALL[7], SMALL[9], SMALL[12], LARGE[1], LARGE[4]];
    for dtype in [DType::I64, DType::I32, DType::U8] {
        traced(&cases, dtype, 1);
    }
}
