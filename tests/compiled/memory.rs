//! What is told of kernels and memory: figures that can be worked out by hand.

use super::{codegen_support, mnist};
use allotrope::backend::{Compiled, Options, eager_peak_bytes};
use allotrope::prelude::*;
use allotrope_ir::passes::{Passes, optimize};
use allotrope_ir::*;

fn parse(text: &str) -> Graph {
    text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn the_eager_peak_is_what_lives_at_the_same_time() {
    // 32 bytes each: tanh, exp and their sum live together; the input is not counted, views take nothing.
    let g = parse(
        r#"graph(%0: f32[8] "x") {
  %1: f32[8] = tanh %0
  %2: f32[8] = exp %0
  %3: f32[2, 4] = reshape %1 shape=[2, 4]
  %4: f32[2, 4] = reshape %2 shape=[2, 4]
  %5: f32[2, 4] = add %3, %4
  %6: f32[2, 4] = sin %5
  %7: f32[2, 4] = cos %6
  return %7
}"#,
    );
    assert_eq!(eager_peak_bytes(&g, &[]), 96);
    // In one kernel only blocks of the values between are in memory.
    let text = g.to_string().replace("f32[8]", "f32[80000]").replace("[2, 4]", "[2, 40000]");
    let g = optimize(&parse(&text), &Passes::ALL);
    let c = codegen_support::compile(&g);
    assert!(c.peak_bytes(&[]) < 320_000 + 20_000, "{}", c.peak_bytes(&[]));
    // An output lives to the end.
    let g = parse(
        r#"graph(%0: f32[s0] "x") {
  %1: f32[s0] = tanh %0
  %2: f32[s0] = exp %1
  %3: f32[s0] = sin %2
  %4: f32[s0] = cos %3
  return %1, %4
}"#,
    );
    assert_eq!(eager_peak_bytes(&g, &[100]), 1200);
    // A loop: its stacked results (20 x 4 floats), its carry, and a round's two values and the new carry.
    let g = parse(
        r#"graph(%0: f32[20, 4] "x", %1: f32[4] "h") {
  %2: f32[4], %3: f32[20, 4] = scan %1, %0 carries=1 xs=1 length=20 {
    graph(%0: f32[4] "h", %1: f32[4] "x") {
      %2: f32[4] = add %0, %1
      %3: f32[4] = tanh %2
      return %3, %3
    }
  }
  return %3
}"#,
    );
    assert_eq!(eager_peak_bytes(&g, &[]), 320 + 16 + 32);
}

#[test]
fn buffers_say_where_they_live_and_with_whom() {
    let g = parse(
        r#"graph(%0: f32[s0, 8] "x", %1: f32[8, 8] "w") {
  %2: f32[s0, 8] = matmul %0, %1
  %3: f32[s0, 8] = matmul %2, %1
  %4: f32[s0, 8] = matmul %3, %1
  %5: f32[s0, 8] = matmul %4, %1
  return %5
}"#,
    );
    let c = codegen_support::compile(&g);
    let buffers = c.buffers();
    let alive: Vec<_> = buffers.iter().map(|b| b.alive).collect();
    assert_eq!(alive, [(0, 1), (1, 2), (2, 3)]);
    assert!(buffers.iter().all(|b| b.bytes.eval(&[5]) == 160));
    assert_eq!(buffers.iter().map(|b| b.place).collect::<Vec<_>>(), [0, 1, 0]);
    // Two places of 160 bytes, at multiples of 64, and the result.
    assert_eq!(c.scratch_bytes(&[5]), 2 * 192);
    assert_eq!(c.peak_bytes(&[5]), 2 * 192 + 160);
    assert_eq!(eager_peak_bytes(&g, &[5]), 2 * 160);
}

/// Buffers of one place are never alive together, and all of them are in the scratch memory.
#[test]
fn the_plan_of_a_training_step_holds() {
    let [x, y] = mnist::Lstm::data();
    let (model, opt) = mnist::Lstm::new();
    let step = trace(|x: &Tensor, y: &Tensor| model.step(&opt, x, y));
    step.compile((&x, &y)).unwrap();
    let explained = step.explain();
    let (captured, optimized) = (explained[0].captured(), explained[0].optimized());
    let c = Compiled::compile(optimized, &Options::default()).unwrap();
    let binding = [64, 28, 28, 64];
    let buffers = c.buffers();
    assert!(!buffers.is_empty());
    for (i, a) in buffers.iter().enumerate() {
        assert!(a.alive.0 <= a.alive.1 && a.alive.1 < c.kernels().len(), "{a:?}");
        for b in &buffers[..i] {
            let apart = a.alive.0 > b.alive.1 || b.alive.0 > a.alive.1;
            assert!(a.place != b.place || apart, "{a:?} {b:?}");
        }
    }
    let mut places: Vec<(usize, usize)> = buffers.iter().map(|b| (b.place, b.bytes.eval(&binding))).collect();
    places.sort_unstable_by_key(|p| (p.0, std::cmp::Reverse(p.1)));
    places.dedup_by_key(|p| p.0);
    let planned: usize = places.iter().map(|p| p.1.next_multiple_of(64)).sum();
    assert!(planned <= c.scratch_bytes(&binding));
    // What a loop would compute for each step may be computed for all of them before it, which takes memory.
    let outputs: usize = (optimized.outputs().iter().filter(|o| o.update.is_none()))
        .map(|o| optimized.ty(o.value).numel().eval(&binding) * optimized.ty(o.value).dtype.size())
        .sum();
    assert_eq!(c.peak_bytes(&binding), c.scratch_bytes(&binding) + outputs);
    let most =
        captured.nodes().flat_map(|id| &captured.node(id).types).map(|t| t.numel().eval(&binding) * t.dtype.size());
    assert!(eager_peak_bytes(captured, &binding) > most.max().unwrap());
}

/// Kernels, calls of the library and kernels in loops: operations and bytes counted by hand.
#[test]
fn kernels_say_what_they_do() {
    let g = parse(
        r#"graph(%0: f32[s0, 4] "x", %1: f32[4] "b", %2: f32[3, 4] "w", %3: i64[s0, 2] "i") {
  %4: f32[s0, 4] = broadcast %1 shape=[s0, 4]
  %5: f32[s0, 4] = mul %0, %4
  %6: f32[s0, 4] = tanh %5
  %7: f32[s0] = sum %6 axes=[1]
  %8: f32[4, 3] = permute %2 axes=[1, 0]
  %9: f32[s0, 3] = matmul %6, %8
  %10: f32[s0, 2] = gather %0, %3 axis=1
  %11: f32[4] = sum %0 axes=[0]
  return %7, %9, %10, %11
}"#,
    );
    let g = optimize(&g, &Passes::ALL);
    let c = codegen_support::compile(&g);
    let at = |ops: &str| {
        let k = c.kernels().iter().find(|k| k.ops == ops).unwrap_or_else(|| panic!("{ops}: {:?}", c.kernels()));
        (k.flops.eval(&[5]), k.bytes.eval(&[5]), k.space.iter().map(|d| d.eval(&[5])).collect::<Vec<_>>())
    };
    // x and b are read, tanh and the sums are written.
    assert_eq!(at("mul tanh sum"), (60, 4 * (20 + 4 + 20 + 5), vec![5, 4]));
    assert_eq!(at("matmul"), (2 * 5 * 3 * 4, 4 * (20 + 12 + 15), vec![5, 3, 4]));
    assert_eq!(at("gather"), (0, 4 * (10 + 10) + 8 * 10, vec![5, 4]));
    assert_eq!(at("sum"), (20, 4 * (20 + 4), vec![5, 4]));
    assert!(c.kernels().iter().all(|k| !k.in_loop && k.loops.is_empty()));
    let names: std::collections::HashSet<&str> = c.kernels().iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names.len(), c.kernels().len());
}
