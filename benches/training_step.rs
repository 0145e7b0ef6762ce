//! A whole training step of the recurrent network (32 hidden units, batch 1, Adam) at 10 and at 200 points, eager and
//! traced. Before the clock starts, five steps of each mode must have given equal bits.
//!
//! `cargo bench --bench training_step`

mod support;

use allotrope::prelude::*;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::{SinToCos, data};

fn training_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("training_step");
    for points in [10, 200] {
        check(points);
        group.throughput(Throughput::Elements(points as u64));
        let [x, y, start] = data(points);

        let (model, opt) = SinToCos::new();
        let mut h = start.clone();
        group.bench_function(BenchmarkId::new("eager", points), |b| b.iter(|| h = model.step(&opt, &x, &y, &h).1));

        let (model, opt) = SinToCos::new();
        let step = trace(|x: &Tensor, y: &Tensor, h: &Tensor| model.step(&opt, x, y, h));
        let mut h = start;
        group.bench_function(BenchmarkId::new("traced", points), |b| {
            b.iter(|| h = step.call((&x, &y, &h)).expect("the step compiles").1)
        });
        assert_eq!(step.compilations(), 1);
    }
    group.finish();
}

/// Panics unless both modes give the same losses.
fn check(points: usize) {
    let [x, y, start] = data(points);
    let losses = |traced: bool| -> Vec<u32> {
        let (model, opt) = SinToCos::new();
        let step = |x: &Tensor, y: &Tensor, h: &Tensor| model.step(&opt, x, y, h);
        let compiled = trace(&step);
        let mut h = start.clone();
        let mut one = || {
            let (loss, next) = match traced {
                true => compiled.call((&x, &y, &h)).expect("the step compiles"),
                false => step(&x, &y, &h),
            };
            h = next;
            loss.item::<f32>().to_bits()
        };
        (0..5).map(|_| one()).collect()
    };
    assert_eq!(losses(false), losses(true), "the modes differ at {points} points");
}

criterion_group!(benches, training_step);
criterion_main!(benches);
