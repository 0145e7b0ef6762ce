//! How long it takes to make one function of a whole training step: recording it, all passes, code generation.
//! What was compiled is checked first: one compilation whose step gives the eager step's loss.
//!
//! `cargo bench --bench compile_time`; `Traced::explain` tells how the time divides.

mod support;

use allotrope::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};
use support::{SinToCos, data};

fn compile_time(c: &mut Criterion) {
    let [x, y, h] = data(10);
    let (model, opt) = SinToCos::new();
    let eager = model.step(&opt, &x, &y, &h).0.item::<f32>();

    let (model, opt) = SinToCos::new();
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| model.step(&opt, x, y, h);
    let traced = trace(&step);
    let loss = traced.call((&x, &y, &h)).expect("the step compiles").0.item::<f32>();
    assert_eq!((traced.compilations(), loss.to_bits()), (1, eager.to_bits()));

    let (model, opt) = SinToCos::new();
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| model.step(&opt, x, y, h);
    c.bench_function("compile_time/training_step", |b| {
        b.iter(|| {
            let traced = trace(&step);
            // Compiling runs nothing, so every round begins with the same parameters.
            traced.compile((&x, &y, &h)).expect("the step compiles");
            traced.compilations()
        })
    });
}

criterion_group!(benches, compile_time);
criterion_main!(benches);
