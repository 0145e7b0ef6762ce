//! Compiling takes work in proportion to the program. Work is counted, not timed: what is allocated on the way from the
//! first recording to the code, and the size of each machine function, because Cranelift takes more than linear time in it.

use super::large;
use allotrope::backend::{Compiled, Options};
use allotrope::ir::passes::{Passes, optimize};
use allotrope::prelude::*;
use allotrope_ir::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what a thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn note(bytes: usize) {
    // Each call counts, and long blocks, which are written and copied, count more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 64 + bytes as u64));
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn asked<T>(work: impl FnOnce() -> T) -> u64 {
    let before = ASKED.get();
    let _result = work();
    ASKED.get() - before
}

/// Four times the program may take four times the work, and a little for tables that double.
fn grows_linearly(name: &str, small: usize, compile: impl Fn(usize)) {
    let [once, fourfold] = [small, 4 * small].map(|n| asked(|| compile(n)));
    let growth = fourfold as f64 / once as f64;
    println!("{name}: {once} for {small}, {growth:.2} times that for 4 times as many");
    assert!(growth < 4.8, "{name}: {growth:.2} times the work for 4 times the program");
}

#[test]
fn long_chains() {
    let x = Tensor::ones(&[2, 8], DType::F32);
    grows_linearly("chain", 500, |n| trace(|x: &Tensor| large::chain(x, n)).compile(&x).unwrap());
}

#[test]
fn many_results() {
    let x = Tensor::ones(&[2, 8], DType::F32);
    grows_linearly("wide", 500, |n| trace(|x: &Tensor| large::wide(x, n)).compile(&x).unwrap());
}

#[test]
fn unrolled_loops_with_backward() {
    let model = large::Unrolled::new();
    grows_linearly("unrolled", 20, |steps| {
        let x = large::Unrolled::data(steps);
        trace(|x: &Tensor| model.step(x, steps)).compile(&x).unwrap();
    });
}

#[test]
fn many_states() {
    let all: Vec<Tensor> = (0..800).map(|i| Tensor::full(&[4], i as f32)).collect();
    let x = Tensor::ones(&[4], DType::F32);
    grows_linearly("states", 200, |n| {
        trace(|x: &Tensor| {
            for p in &all[..n] {
                p.sub_(&(p * x));
            }
            x.clone()
        })
        .compile(&x)
        .unwrap()
    });
}

fn f32s(shape: &[Dim]) -> Type {
    Type::new(DType::F32, shape.iter().cloned())
}

/// Each value is used twice by the next, so there are 2^60 ways from the last to the first.
#[test]
fn many_ways_through_one_kernel() {
    for reduced in [false, true] {
        let mut g = Graph::new();
        let x = g.input(f32s(&[Dim::sym(Sym(0)), Dim::fixed(8)]), InputKind::Arg, "x");
        let mut y = x;
        for i in 0..60 {
            let op = if i % 2 == 0 { BinaryOp::Add } else { BinaryOp::Mul };
            y = g.op(Op::Binary(op), &[y, y]).unwrap();
        }
        g.output(y);
        let y = g.op(Op::Unary(UnaryOp::Tanh), &[y]).unwrap();
        if reduced {
            let sum = Op::Reduce { op: ReduceOp::Sum, axes: Axes::from_slice(&[1]) };
            let y = g.op(sum, &[y]).unwrap();
            g.output(y);
        }
        let g = optimize(&g, &Passes::ALL);
        let c = Compiled::compile(&g, &Options::default()).unwrap();
        assert_eq!(c.kernels().len(), 1, "{g}");
    }
}

#[test]
fn no_machine_function_is_large() {
    let mut g = Graph::new();
    let x = g.input(f32s(&[Dim::sym(Sym(0)), Dim::fixed(8)]), InputKind::Arg, "x");
    let body = {
        let mut b = Graph::new();
        let h = b.input(f32s(&[Dim::fixed(8)]), InputKind::Arg, "h");
        let x = b.input(f32s(&[Dim::fixed(8)]), InputKind::Arg, "x");
        let mut y = b.op(Op::Binary(BinaryOp::Add), &[h, x]).unwrap();
        for _ in 0..1000 {
            y = b.op(Op::Unary(UnaryOp::Tanh), &[y]).unwrap();
        }
        b.output(y);
        b.output(y);
        b
    };
    let mut y = x;
    for _ in 0..1000 {
        y = g.op(Op::Unary(UnaryOp::Tanh), &[y]).unwrap();
    }
    let zero = g.constant(Scalar::F32(0.0));
    let h = g.op(Op::Broadcast([Dim::fixed(8)].into_iter().collect()), &[zero]).unwrap();
    let scan = Scan { body, carries: 1, xs: 1, length: Dim::sym(Sym(0)), reverse: false, kind: LoopKind::All };
    let scan = g.add(Op::Scan(Box::new(scan)), &[h, y]).unwrap();
    g.output(Value { node: scan, port: 1 });
    let g = optimize(&g, &Passes::ALL);
    let sizes = Compiled::compile(&g, &Options::default()).unwrap().function_sizes().to_vec();
    assert!(sizes.len() > 4, "{sizes:?}");
    assert!(sizes.iter().all(|bytes| *bytes < 100_000), "{sizes:?}");
}
