//! What recording on every call costs: `trace_dynamic` against `trace` on the same fixed structures, per recorded operation.
//! The net with 0 to 3 shared middle layers whose depth is drawn anew on every call, with SGD and with Adam, and a step of
//! the recurrent network. Before the clock starts, both must have given equal bits.
//!
//! `cargo bench --bench dynamic`

mod support;

use allotrope::ir::{Graph, Op};
use allotrope::prelude::*;
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::{SinToCos, data};

/// Nodes of a graph, those of the bodies of loops included.
fn nodes(g: &Graph) -> usize {
    let body = |id| match &g.node(id).op {
        Op::Scan(scan) => nodes(&scan.body),
        _ => 0,
    };
    g.nodes().map(|id| 1 + body(id)).sum()
}

/// The processor's time that this thread has had; other programs on the machine have no part in it.
fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match stat.split(' ').next().and_then(|n| n.parse().ok()) {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => start.elapsed(),
    }
}

/// The mean time of a call in µs, in rounds that alternate between the programs.
fn means(mut one: impl FnMut(usize), mut other: impl FnMut(usize), calls: usize) -> [f64; 2] {
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let mut times = [Duration::ZERO; 2];
    for round in 0..=rounds {
        let start = clock();
        (0..calls).for_each(&mut one);
        let between = clock();
        (0..calls).for_each(&mut other);
        // The first round warms up.
        if round > 0 {
            times[0] += between - start;
            times[1] += clock() - between;
        }
    }
    times.map(|t| t.as_secs_f64() * 1e6 / (calls * rounds) as f64)
}

fn report(name: &str, [plain, dynamic]: [f64; 2], nodes: f64) {
    let each = (dynamic - plain) / nodes * 1e3;
    println!(
        "{name}: {plain:.2} µs plain, {dynamic:.2} µs dynamic, {nodes:.1} operations recorded, {each:.1} ns for each"
    );
}

struct Net {
    layers: [nn::Linear; 3],
}

impl Net {
    fn new(sizes: [usize; 3]) -> Net {
        manual_seed(1);
        let [i, h, o] = sizes;
        Net { layers: [nn::Linear::new(i, h), nn::Linear::new(h, h), nn::Linear::new(h, o)] }
    }

    fn step(&self, opt: &dyn Optimizer, x: &Tensor, y: &Tensor, depth: usize) -> Tensor {
        let [first, middle, last] = &self.layers;
        let h = (0..depth).fold(first.forward(x).relu(), |h, _| middle.forward(&h).relu());
        let loss = (last.forward(&h) - y).pow(2).sum();
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    }

    fn parameters(&self) -> Vec<Tensor> {
        self.layers.iter().flat_map(|l| l.parameters()).collect()
    }
}

fn depths(n: usize) -> Vec<usize> {
    let mut state = 5u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % 4
    };
    (0..n).map(|_| next()).collect()
}

fn dynamic_net(
    name: &str,
    batch: usize,
    sizes: [usize; 3],
    calls: usize,
    optimizer: fn(Vec<Tensor>) -> Box<dyn Optimizer>,
) {
    let [a, b] = [Net::new(sizes), Net::new(sizes)];
    let (opt_a, opt_b) = (optimizer(a.parameters()), optimizer(b.parameters()));
    let (x, y) = (randn(&[batch, sizes[0]]), randn(&[batch, sizes[2]]));
    let plain: Vec<_> = (0..4)
        .map(|depth| {
            let (a, opt) = (&a, &opt_a);
            trace(move |x: &Tensor, y: &Tensor| a.step(&**opt, x, y, depth))
        })
        .collect();
    let depth = Cell::new(0);
    let dynamic = trace_dynamic(|x: &Tensor, y: &Tensor| b.step(&*opt_b, x, y, depth.get()));
    let list = depths(calls);
    let call_plain = |i: usize| plain[list[i]].call((&x, &y)).expect("it compiles");
    let call_dynamic = |i: usize| {
        depth.set(list[i]);
        dynamic.call((&x, &y)).expect("it compiles")
    };
    for i in 0..calls.min(100) {
        assert_eq!(call_plain(i).item::<f32>().to_bits(), call_dynamic(i).item::<f32>().to_bits(), "call {i}");
    }
    let mut counts = [0; 4];
    for v in dynamic.explain() {
        // The deeper, the more operations.
        let n = nodes(v.captured());
        let place = counts.iter().position(|&c| c == 0).unwrap_or(0);
        counts[place] = n;
    }
    counts.sort_unstable();
    let mean = list.iter().map(|&d| counts[d] as f64).sum::<f64>() / calls as f64;
    let times = means(|i| _ = call_plain(i), |i| _ = call_dynamic(i), calls);
    report(name, times, mean);
    println!("  {} compilations", dynamic.compilations());
}

fn recurrent(points: usize) {
    let [x, y, h] = data(points);
    let (a, opt_a) = SinToCos::new();
    let (b, opt_b) = SinToCos::new();
    let plain = trace(|x: &Tensor, y: &Tensor, h: &Tensor| a.step(&opt_a, x, y, h));
    let dynamic = trace_dynamic(|x: &Tensor, y: &Tensor, h: &Tensor| b.step(&opt_b, x, y, h));
    for _ in 0..5 {
        let (p, d) = (plain.call((&x, &y, &h)).unwrap().0, dynamic.call((&x, &y, &h)).unwrap().0);
        assert_eq!(p.item::<f32>().to_bits(), d.item::<f32>().to_bits());
    }
    let n = nodes(dynamic.explain()[0].captured());
    let times = means(|_| _ = plain.call((&x, &y, &h)).unwrap(), |_| _ = dynamic.call((&x, &y, &h)).unwrap(), 200);
    report(&format!("recurrent step of {points} points"), times, n as f64);
}

/// What an eager operation costs, to know the machine.
fn eager() {
    let (a, b) = (Tensor::ones(&[8], DType::F32), Tensor::ones(&[8], DType::F32));
    let [none, add] = means(|_| (), |_| _ = &a + &b, 20_000);
    println!("an eager addition of 8 elements: {:.0} ns", (add - none) * 1e3);
}

fn main() {
    eager();
    let sgd = |p| -> Box<dyn Optimizer> {
        Box::new(optim::Sgd::with_options(p, 1e-4, optim::SgdOptions { momentum: 0.9, ..Default::default() }))
    };
    let adam = |p| -> Box<dyn Optimizer> { Box::new(optim::Adam::new(p, 1e-4)) };
    dynamic_net("small dynamic net, SGD", 2, [4, 4, 2], 500, sgd);
    dynamic_net("small dynamic net, Adam", 2, [4, 4, 2], 500, adam);
    dynamic_net("PyTorch's dynamic net, SGD", 64, [1000, 100, 10], 10, sgd);
    recurrent(10);
}
