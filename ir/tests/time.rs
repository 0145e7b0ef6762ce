//! The passes take time in proportion to the graph: a graph of 20,000 nodes goes through each in well under a second.

use allotrope_ir::passes::{Passes, optimize_with};
use allotrope_ir::*;
use std::time::Duration;

/// A deep network's step, roughly: products, biases, activations, and an update of every weight.
fn layers(n: usize) -> Graph {
    let mut g = Graph::new();
    let f32s = |shape: [usize; 2]| Type::new(DType::F32, shape.map(Dim::fixed));
    let mut x = g.input(Type::new(DType::F32, [Dim::sym(Sym(0)), Dim::fixed(8)]), InputKind::Arg, "x");
    let rate = g.input(Type::scalar(DType::F32), InputKind::Arg, "rate");
    let add = |g: &mut Graph, op: Op, x: &[Value]| g.op(op, x).unwrap();
    for i in 0..n {
        let w = g.input(f32s([8, 8]), InputKind::State, format!("w{i}"));
        let index = g.inputs().len() - 1;
        let wt = add(&mut g, Op::Permute(Axes::from_slice(&[1, 0])), &[w]);
        let product = add(&mut g, Op::Matmul, &[x, wt]);
        let half = g.constant(Scalar::F32(0.5));
        let full = Op::Broadcast(g.ty(product).shape.clone());
        let bias = add(&mut g, full.clone(), &[half]);
        let sum = add(&mut g, Op::Binary(BinaryOp::Add), &[product, bias]);
        let y = add(&mut g, Op::Unary(UnaryOp::Tanh), &[sum]);
        let square = add(&mut g, Op::Binary(BinaryOp::Mul), &[y, y]);
        let one = g.constant(Scalar::F32(1.0));
        let one = add(&mut g, full, &[one]);
        let slope = add(&mut g, Op::Binary(BinaryOp::Sub), &[one, square]);
        let total = add(&mut g, Op::Reduce { op: ReduceOp::Sum, axes: Axes::from_slice(&[0, 1]) }, &[slope]);
        let step = add(&mut g, Op::Binary(BinaryOp::Mul), &[total, rate]);
        let step = add(&mut g, Op::Broadcast(f32s([8, 8]).shape), &[step]);
        let new = add(&mut g, Op::Binary(BinaryOp::Sub), &[w, step]);
        g.update(index, new);
        x = y;
    }
    g.output(x);
    g
}

#[test]
fn passes_are_linear() {
    let g = layers(1450);
    assert!(g.len() > 19_000);
    // The first run warms the memory up.
    optimize_with(&g, &Passes::ALL, &mut |_, _, _| {});
    optimize_with(&g, &Passes::ALL, &mut |pass, after, time| {
        println!("{pass}: {time:?}, {} nodes", after.len());
        let limit = if cfg!(debug_assertions) { 10_000 } else { 1_000 };
        assert!(time < Duration::from_millis(limit), "{pass} took {time:?} for {} nodes", g.len());
    });
    let small = layers(20);
    let start = std::time::Instant::now();
    optimize_with(&small, &Passes::ALL, &mut |pass, after, time| println!("{pass}: {time:?}, {} nodes", after.len()));
    println!("{} nodes: {:?}", small.len(), start.elapsed());
}
