//! PyTorch's net with 0 to 3 shared middle layers: its recorded losses in both modes, and equal bits in every tensor.

use crate::common::{assert_all_same, copy, seeded};
use allotrope::optim::SgdOptions;
use allotrope::prelude::*;
use serde_json::Value;

struct Net {
    first: nn::Linear,
    middle: nn::Linear,
    last: nn::Linear,
}

impl Net {
    fn forward(&self, x: &Tensor, depth: usize) -> Tensor {
        let h = self.first.forward(x).relu();
        let h = (0..depth).fold(h, |h, _| self.middle.forward(&h).relu());
        self.last.forward(&h)
    }

    fn parameters(&self) -> Vec<Tensor> {
        [&self.first, &self.middle, &self.last].into_iter().flat_map(|l| l.parameters()).collect()
    }
}

struct Run {
    losses: Vec<f64>,
    compilations: usize,
    left: Vec<Tensor>,
}

/// The golden program; `dynamic` runs its step compiled.
fn golden(seed: u64, depths: &[usize], dynamic: bool) -> Run {
    let drawing = seeded(seed);
    let net =
        Net { first: nn::Linear::new(1000, 100), middle: nn::Linear::new(100, 100), last: nn::Linear::new(100, 10) };
    let (x, y) = (randn(&[64, 1000]), randn(&[64, 10]));
    drop(drawing);
    let options = SgdOptions { momentum: 0.9, ..SgdOptions::default() };
    let opt = optim::Sgd::with_options(net.parameters(), 1e-4, options);
    let calls = depths.len();
    // As PyTorch's program does: the list of depths is the closure's own, and it takes the next one on each call.
    let mut depths = depths.iter().copied();
    let mut step = |x: &Tensor, y: &Tensor| {
        let loss = (net.forward(x, depths.next().unwrap()) - y).pow(2).sum();
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let (losses, compilations) = if dynamic {
        let step = trace_dynamic(step);
        let losses = (0..calls).map(|_| f64::from(step.call((&x, &y)).unwrap().item::<f32>())).collect();
        (losses, step.compilations())
    } else {
        ((0..calls).map(|_| f64::from(step(&x, &y).item::<f32>())).collect(), 0)
    };
    let grads = net.parameters().into_iter().filter_map(|p| p.grad()).collect::<Vec<_>>();
    Run { losses, compilations, left: net.parameters().iter().chain(&grads).map(copy).collect() }
}

fn list(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// What PyTorch recorded, and the depths that it took.
fn recorded() -> (Value, Vec<usize>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/dynamic_net.seed1.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let depths = list(&file["inputs"]["depths"]).iter().map(|&d| d as usize).collect();
    (file, depths)
}

#[test]
fn dynamic_net() {
    let (file, depths) = recorded();
    let (eager, dynamic) = (golden(1, &depths, false), golden(1, &depths, true));
    assert_eq!(eager.losses, dynamic.losses);
    assert_all_same("parameters and gradients", &eager.left, &dynamic.left);
    assert!(dynamic.compilations <= 4, "{} compilations for 0 to 3 layers", dynamic.compilations);
    // At loss 91 a unit stands so near 0 that PyTorch itself, its first weights changed by one part in 10^8, goes on
    // otherwise from there, up to 95 times the tolerance away.
    let may = |i: usize| if i < 91 { 1.0 } else { 100.0 };
    let want = list(&file["losses"]).into_iter().zip(list(&file["rtol_by_step"]));
    for (i, (got, (want, rtol))) in dynamic.losses.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= rtol * may(i) * want.abs(), "loss {i}: {got} where PyTorch has {want}");
    }
}

/// On an OpenCL device: the CPU's bits, and its count of compilations.
#[cfg(feature = "opencl")]
#[test]
fn dynamic_net_on_a_device() {
    let Some(device) = crate::common::opencl() else { return };
    // Every depth comes several times in as many calls.
    let depths = &recorded().1[..60];
    let here = golden(1, depths, true);
    for dynamic in [false, true] {
        let there = with_device(device, || golden(1, depths, dynamic));
        assert_eq!(there.losses, here.losses, "dynamic {dynamic}");
        assert_all_same("parameters and gradients", &there.left, &here.left);
        assert!(!dynamic || there.compilations == here.compilations, "{} compilations", there.compilations);
    }
}

/// The same with Adam, whose steps are more operations, depths from a generator of the host and other batches.
#[test]
fn adam_and_batches_of_any_size() {
    let run = |dynamic: bool| {
        let drawing = seeded(3);
        let net = Net { first: nn::Linear::new(6, 5), middle: nn::Linear::new(5, 5), last: nn::Linear::new(5, 2) };
        drop(drawing);
        let opt = optim::Adam::new(net.parameters(), 1e-2);
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let mut depth = next;
        let mut step = |x: &Tensor| {
            let loss = net.forward(x, depth() % 4).square().mean();
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        };
        let xs: Vec<Tensor> = (0..300).map(|i| crate::common::draw(i, &[2 + next() % 5, 6])).collect();
        let mut compilations = 0;
        let mut all: Vec<Tensor> = if dynamic {
            let step = trace_dynamic(step);
            let losses = xs.iter().map(|x| step.call(x).unwrap()).collect();
            compilations = step.compilations();
            losses
        } else {
            xs.iter().map(&mut step).collect()
        };
        all.extend(opt.state().into_iter().map(|(_, t)| t.detach()));
        all.extend(net.parameters().iter().map(Tensor::detach));
        (all, compilations)
    };
    let ((eager, _), (dynamic, compilations)) = (run(false), run(true));
    assert_all_same("losses, moments and parameters", &eager, &dynamic);
    // What Adam does for a parameter that has ever been without a gradient differs from what it does before.
    assert!(compilations <= 4 + 3, "{compilations} compilations");
}
