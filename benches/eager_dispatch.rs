//! What an operation on eight numbers costs in eager mode, where nearly all of it is dispatch: a chain of 1,000
//! additions, and a chain of 1,000 multiplications with the backward pass. One element of throughput is one operation.
//!
//! `cargo bench --bench eager_dispatch`

use allotrope::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const OPERATIONS: usize = 1_000;

fn eager_dispatch(c: &mut Criterion) {
    let mut group = c.benchmark_group("eager_dispatch");
    group.throughput(Throughput::Elements(OPERATIONS as u64));

    let ones = Tensor::ones(&[8], DType::F32);
    let add = || (0..OPERATIONS).fold(ones.clone(), |z, _| &z + &ones);
    assert_eq!(add().to_vec::<f32>(), [OPERATIONS as f32 + 1.0; 8]);
    group.bench_function("add_8", |b| b.iter(add));

    let y = Tensor::full(&[8], 3.0f32).requires_grad();
    let mul = || {
        y.set_grad(None);
        (0..OPERATIONS).fold(y.clone(), |z, _| &z * &ones).sum().backward();
    };
    mul();
    assert_eq!(y.grad().expect("backward has reached it").to_vec::<f32>(), [1.0; 8]);
    group.bench_function("mul_8_fwd_bwd", |b| b.iter(mul));
    group.finish();
}

criterion_group!(benches, eager_dispatch);
criterion_main!(benches);
