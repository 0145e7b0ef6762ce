//! How long it takes to make code of a program, everything counted from the first recording on: whole training steps (a
//! recurrent network, and the CNN and the LSTM of MNIST's shapes), and programs of growing size, for which one element of
//! throughput is one operation. What was compiled is checked first: it gives what the eager program gives, to the bit.
//!
//! `cargo bench --bench compile_time`; `Traced::explain` tells how the time divides.

mod support;

use allotrope::prelude::*;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::large::{self, Unrolled};
use support::mnist::{Cnn, Lstm};
use support::{SinToCos, data};

/// Compiles a step in each iteration; compiling runs nothing, so every iteration begins with the same parameters.
macro_rules! compiles {
    ($group:expr, $id:expr, $step:expr, $args:expr) => {
        $group.bench_function($id, |b| {
            b.iter(|| {
                let traced = trace($step);
                traced.compile($args).expect("it compiles");
                traced.compilations()
            })
        })
    };
}

fn bits(results: &[Tensor]) -> Vec<Vec<u32>> {
    results.iter().map(|t| t.to_vec::<f32>().into_iter().map(f32::to_bits).collect()).collect()
}

fn training_steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile_time");

    let [x, y, h] = data(10);
    let (model, opt) = SinToCos::new();
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| model.step(&opt, x, y, h);
    let (fresh, fresh_opt) = SinToCos::new();
    let eager = fresh.step(&fresh_opt, &x, &y, &h).0;
    compiles!(group, "rnn", &step, (&x, &y, &h));
    let traced = trace(&step);
    assert_eq!(bits(&[traced.call((&x, &y, &h)).expect("it compiles").0]), bits(&[eager]));

    let [x, y] = Cnn::data();
    let (model, opt) = Cnn::new();
    let step = |x: &Tensor, y: &Tensor| model.step(&opt, x, y);
    let (fresh, fresh_opt) = Cnn::new();
    let eager = fresh.step(&fresh_opt, &x, &y);
    compiles!(group, "cnn", &step, (&x, &y));
    assert_eq!(bits(&[trace(&step).call((&x, &y)).expect("it compiles")]), bits(&[eager]));

    let [x, y] = Lstm::data();
    let (model, opt) = Lstm::new();
    let step = |x: &Tensor, y: &Tensor| model.step(&opt, x, y);
    let (fresh, fresh_opt) = Lstm::new();
    let eager = fresh.step(&fresh_opt, &x, &y);
    compiles!(group, "lstm", &step, (&x, &y));
    assert_eq!(bits(&[trace(&step).call((&x, &y)).expect("it compiles")]), bits(&[eager]));
    group.finish();
}

fn growth(c: &mut Criterion) {
    manual_seed(2);
    let x = randn(&[4, 8]);
    let mut group = c.benchmark_group("compile_time");
    group.sample_size(10);
    for n in [1_000, 5_000, 20_000] {
        group.throughput(Throughput::Elements(n as u64));
        let chain = |x: &Tensor| large::chain(x, n);
        compiles!(group, BenchmarkId::new("chain", n), &chain, &x);
        assert_eq!(bits(&[trace(&chain).call(&x).expect("it compiles")]), bits(&[chain(&x)]));
        let wide = |x: &Tensor| large::wide(x, n);
        compiles!(group, BenchmarkId::new("wide", n), &wide, &x);
        assert_eq!(bits(&trace(&wide).call(&x).expect("it compiles")), bits(&wide(&x)));
    }
    let model = Unrolled::new();
    for steps in [50, 200, 800] {
        group.throughput(Throughput::Elements(20 * steps as u64));
        let x = Unrolled::data(steps);
        let step = |x: &Tensor| model.step(x, steps);
        compiles!(group, BenchmarkId::new("unrolled", steps), &step, &x);
        assert_eq!(bits(&trace(&step).call(&x).expect("it compiles")), bits(&step(&x)));
    }
    group.finish();
}

criterion_group!(benches, training_steps, growth);
criterion_main!(benches);
