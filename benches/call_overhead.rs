//! What a traced call costs beside its arithmetic: 10 captured tensors, 3 arguments, and a body that does next to
//! nothing with them.
//!
//! `cargo bench --bench call_overhead`

use allotrope::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};

fn call_overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("call_overhead");
    let [x, y, z] = [1.0f32, 2.0, 3.0].map(|v| Tensor::full(&[1], v));
    let states: Vec<Tensor> = (0..10).map(|i| Tensor::full(&[1], i as f32)).collect();

    // Every state is read, nothing is returned but one number.
    let read = trace(|x: &Tensor, y: &Tensor, z: &Tensor| states.iter().fold(x + y + z, |sum, s| &sum + s));
    assert_eq!(read.call((&x, &y, &z)).expect("it compiles").item::<f32>(), 51.0);
    group.bench_function("read_10_states", |b| b.iter(|| read.call((&x, &y, &z))));

    // Every state is changed where it is, nothing is returned.
    let change = trace(|_: &Tensor, _: &Tensor, _: &Tensor| {
        for s in &states {
            s.add_(1.0);
        }
    });
    change.call((&x, &y, &z)).expect("it compiles");
    assert_eq!(states[9].item::<f32>(), 10.0);
    group.bench_function("change_10_states", |b| b.iter(|| change.call((&x, &y, &z))));

    // Nothing at all.
    let empty = trace(|_: &Tensor, _: &Tensor, _: &Tensor| ());
    empty.call((&x, &y, &z)).expect("it compiles");
    group.bench_function("no_state", |b| b.iter(|| empty.call((&x, &y, &z))));
    group.finish();
}

criterion_group!(benches, call_overhead);
criterion_main!(benches);
