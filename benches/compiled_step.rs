//! The code of a whole training step of a recurrent network by itself: one graph with forward loop, loss, backward loop
//! and Adam, without tensors, locks or allocation around it. Lengths are fixed, or symbols that each call binds; before the
//! clock starts, both have given equal bits.
//!
//! `cargo bench --bench compiled_step`

#[path = "../tests/codegen_support/mod.rs"]
mod codegen_support;
#[path = "../tests/codegen_support/rnn.rs"]
mod rnn;

use allotrope::ir::passes::{Passes, optimize};
use allotrope_ir::*;
use codegen_support::Fenced;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn compiled_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("compiled_step");
    for points in [10, 200] {
        group.throughput(Throughput::Elements(points as u64));
        let fixed = rnn::step(Dim::fixed(points), Dim::fixed(1));
        let symbolic = rnn::step(Dim::sym(Sym(0)), Dim::sym(Sym(1)));
        let mut first: Option<Vec<Array>> = None;
        for (name, graph, binding) in [("fixed", fixed, vec![]), ("symbolic", symbolic, vec![points, 1])] {
            let g = optimize(&graph, &Passes::ALL);
            let code = codegen_support::compile(&g);
            let x = rnn::plausible(&g, &binding);
            let results = codegen_support::call(&code, &g, &binding, &x);
            let known = first.get_or_insert_with(|| results.clone());
            assert!(results.iter().zip(known).all(|(a, b)| a.same_bits(b)), "{name} {points}");

            let bytes = |a: &Array| a.scalars().flat_map(codegen_support::scalar_bytes).collect::<Vec<u8>>();
            let mut ins: Vec<Fenced> = x.iter().map(|a| Fenced::new(&bytes(a), 0)).collect();
            let mut outs: Vec<Fenced> = results.iter().map(|a| Fenced::new(&bytes(a), 0)).collect();
            let inputs: Vec<*const u8> = ins.iter_mut().map(|f| f.ptr() as *const u8).collect();
            let outputs: Vec<*mut u8> = (g.outputs().iter().zip(&mut outs))
                .map(|(o, f)| o.update.map_or_else(|| f.ptr(), |i| inputs[i] as *mut u8))
                .collect();
            let mut scratch = Fenced::new(&vec![0; code.scratch_bytes(&binding)], 0);
            let scratch = scratch.ptr();
            group.bench_function(BenchmarkId::new(name, points), |b| {
                // SAFETY: the buffers have the lengths of the graph's types under this binding; an update has its input's.
                b.iter(|| unsafe { code.run(&binding, &inputs, &outputs, scratch) }.expect("there are no checks"))
            });
        }
    }
    group.finish();
}

criterion_group!(benches, compiled_step);
criterion_main!(benches);
