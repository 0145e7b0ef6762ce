//! The kernels that both modes call, on slices and from tiny to large: tanh, sum, a row times a matrix, and a square
//! matrix product. Each result is checked before the clock starts; products must be the defining chains of
//! fused multiply-adds to the bit.
//!
//! `cargo bench --bench kernels`, with `ALLOTROPE_SIMD=baseline` or `avx2` for fewer vector instructions.

use allotrope::kernels::{ReduceOp, UnaryOp, View, matmul, reduce, set_num_threads, unary};
use allotrope::prelude::*;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn numbers(n: usize) -> Vec<f32> {
    manual_seed(0);
    randn(&[n]).to_vec()
}

fn dense<'a>(data: &'a [f32], shape: &'a [usize], strides: &'a [isize]) -> View<'a, f32> {
    View::new(data, 0, shape, strides).expect("the data fills the shape")
}

/// Bytes read and written count as throughput.
fn tanh(c: &mut Criterion) {
    let mut group = c.benchmark_group("tanh");
    for n in [32, 1 << 10, 1 << 20] {
        let (x, mut out) = (numbers(n), vec![0.0; n]);
        let shape = [n];
        let view = dense(&x, &shape, &[1]);
        unary(UnaryOp::Tanh, view, &mut out);
        let exact = |x: f32| f64::from(x).tanh();
        assert!(x.iter().zip(&out).all(|(&x, &y)| (f64::from(y) - exact(x)).abs() <= 2.5e-7 * exact(x).abs()));
        group.throughput(Throughput::Bytes(8 * n as u64));
        group.bench_function(BenchmarkId::from_parameter(n), |b| b.iter(|| unary(UnaryOp::Tanh, view, &mut out)));
    }
    group.finish();
}

fn sum(c: &mut Criterion) {
    let mut group = c.benchmark_group("sum");
    for n in [32, 1 << 10, 1 << 20] {
        let (x, mut out) = (numbers(n), [0.0f32]);
        let shape = [n];
        let view = dense(&x, &shape, &[1]);
        reduce(ReduceOp::Sum, view, &[0], &mut out);
        let (exact, size) = x.iter().fold((0.0, 0.0), |(s, a), &x| (s + f64::from(x), a + f64::from(x.abs())));
        assert!((f64::from(out[0]) - exact).abs() <= 1e-5 * size, "{} is not {exact}", out[0]);
        group.throughput(Throughput::Bytes(4 * n as u64));
        group
            .bench_function(BenchmarkId::from_parameter(n), |b| b.iter(|| reduce(ReduceOp::Sum, view, &[0], &mut out)));
    }
    group.finish();
}

/// Multiplications and additions count as throughput: criterion's Gelem/s are GFLOP/s.
fn products(c: &mut Criterion) {
    // As the comparison with other libraries: one thread.
    set_num_threads(1);
    for (name, rows) in [("matvec", Some(1)), ("matmul", None)] {
        let mut group = c.benchmark_group(name);
        for n in [32, 256, 1024] {
            let m = rows.unwrap_or(n);
            let (a, b, mut out) = (numbers(m * n), numbers(n * n), vec![0.0; m * n]);
            let (a_shape, b_shape, strides) = ([m, n], [n, n], [n as isize, 1]);
            let (a_view, b_view) = (dense(&a, &a_shape, &strides), dense(&b, &b_shape, &strides));
            matmul(a_view, b_view, &mut out);
            for (i, j) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3)] {
                let chain = |from: usize| {
                    (from..n.min(from + 256)).fold(0.0f32, |acc, k| a[i * n + k].mul_add(b[k * n + j], acc))
                };
                let sum = (256..n).step_by(256).fold(chain(0), |sum, from| sum + chain(from));
                assert_eq!(out[i * n + j].to_bits(), sum.to_bits(), "{name} {n}: element {i}, {j}");
            }
            group.throughput(Throughput::Elements(2 * (m * n * n) as u64));
            group.bench_function(BenchmarkId::from_parameter(n), |bench| {
                bench.iter(|| matmul(a_view, b_view, &mut out))
            });
        }
        group.finish();
    }
}

criterion_group!(benches, tanh, sum, products);
criterion_main!(benches);
