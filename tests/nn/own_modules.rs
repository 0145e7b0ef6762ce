//! Modules defined outside of the library, with its public API alone: what the derive makes of their fields.

use allotrope::prelude::*;
use allotrope::tensor::Flag;
use std::collections::BTreeMap;

/// Multiplies with a gain, and counts its calls in training.
#[derive(Module)]
struct Scale {
    gain: Tensor,
    #[module(buffer)]
    calls: Tensor,
    training: Flag,
}

impl Scale {
    fn new(gain: f32) -> Scale {
        Scale {
            gain: Tensor::full(&[1], gain).requires_grad(),
            calls: Tensor::zeros(&[], DType::I64),
            training: Flag::new(true),
        }
    }
}

impl Forward for Scale {
    fn forward(&self, x: &Tensor) -> Tensor {
        if self.training.get() {
            no_grad(|| self.calls.add_(1));
        }
        x * &self.gain
    }
}

#[derive(Module)]
#[module(name = "Network", extra_repr = Self::text)]
struct Net {
    stem: nn::Linear,
    blocks: Vec<Scale>,
    heads: BTreeMap<String, nn::Linear>,
    norm: Option<nn::BatchNorm1d>,
    missing: Option<nn::Linear>,
    /// The weight of the stem once more.
    tied: Tensor,
    #[module(skip)]
    width: usize,
}

impl Net {
    fn new() -> Net {
        let stem = nn::Linear::new(3, 4);
        let heads = ["b", "a"].map(|name| (name.to_string(), nn::Linear::with_bias(4, 2, false)));
        Net {
            tied: stem.weight.clone(),
            stem,
            blocks: vec![Scale::new(1.5), Scale::new(0.5)],
            heads: heads.into_iter().collect(),
            norm: Some(nn::BatchNorm1d::new(4)),
            missing: None,
            width: 4,
        }
    }

    fn text(&self) -> String {
        format!("width={}", self.width)
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = self.stem.forward(x);
        for block in &self.blocks {
            x = block.forward(&x);
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(&x);
        }
        let back = x.matmul(&self.tied).sum();
        self.heads.values().fold(back, |sum, head| sum + head.forward(&x).square().sum())
    }
}

const NAMES: [&str; 14] = [
    "tied",
    "stem.weight",
    "stem.bias",
    "blocks.0.gain",
    "blocks.0.calls",
    "blocks.1.gain",
    "blocks.1.calls",
    "heads.a.weight",
    "heads.b.weight",
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
    "norm.num_batches_tracked",
];

#[test]
fn every_field_is_shown() {
    let _alone = crate::alone();
    let net = Net::new();
    let state = net.state_dict();
    assert_eq!(state.names().collect::<Vec<_>>(), NAMES);
    // A parameter with two names is trained once.
    let parameters: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
    let is_buffer = |name: &&str| ["calls", "running", "tracked"].iter().any(|part| name.contains(part));
    let wanted: Vec<&str> = NAMES.iter().copied().filter(|name| !is_buffer(name) && *name != "stem.weight").collect();
    assert_eq!(parameters, wanted);
    assert_eq!(net.buffers().len(), 5);
    let printed = net.to_string();
    assert!(
        printed.starts_with("Network(\n  width=4\n  (stem): Linear(in_features=3, out_features=4, bias=True)\n"),
        "{printed}"
    );
    assert!(printed.contains("  (blocks): ModuleList(\n    (0-1): 2 x Scale()\n  )\n"), "{printed}");
    assert!(printed.contains("  (heads): ModuleDict(\n    (a): Linear("), "{printed}");
    assert!(!printed.contains("missing"), "{printed}");
}

#[test]
fn switches_reach_every_part() {
    let _alone = crate::alone();
    let net = Net::new();
    net.eval();
    let x = randn(&[5, 3]);
    net.forward(&x);
    assert!(net.blocks.iter().all(|b| b.calls.item::<i64>() == 0), "nothing is counted in evaluation");
    net.train(true);
    net.forward(&x);
    assert!(net.blocks.iter().all(|b| b.calls.item::<i64>() == 1));
    assert_eq!(net.norm.as_ref().unwrap().num_batches_tracked.as_ref().unwrap().item::<i64>(), 1);
}

#[test]
fn another_dtype_keeps_ties_and_counts() {
    let _alone = crate::alone();
    let net = Net::new().to(DType::F64);
    assert_eq!(net.tied.dtype(), DType::F64);
    assert_eq!(net.blocks[0].calls.dtype(), DType::I64);
    assert_eq!(net.norm.as_ref().unwrap().running_var.as_ref().unwrap().dtype(), DType::F64);
    no_grad(|| net.tied.fill_(2.0));
    assert_eq!(net.stem.weight.to_vec::<f64>(), [2.0; 12], "the tied tensors are one");
    assert_eq!(net.forward(&randn(&[5, 3]).to(DType::F64)).dtype(), DType::F64);
}

/// A state dict is loaded in place, so what was compiled before goes on with it.
#[test]
fn a_compiled_step_goes_on_with_what_is_loaded() {
    let _alone = crate::alone();
    manual_seed(3);
    let (net, other) = (Net::new(), Net::new());
    let opt = optim::Sgd::new(net.parameters(), 0.01);
    let step = |x: &Tensor| {
        let loss = net.forward(x);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let compiled = trace(&step);
    let x = randn(&[5, 3]);
    compiled.call(&x).unwrap();
    let state = other.state_dict().copy();
    let mut losses = Vec::new();
    for is_compiled in [false, true] {
        net.load_state_dict(&state).unwrap();
        let run = || if is_compiled { compiled.call(&x).unwrap() } else { step(&x) };
        losses.push((0..3).map(|_| run().item::<f32>().to_bits()).collect::<Vec<_>>());
    }
    assert_eq!(losses[0], losses[1], "eager and compiled, from the state that was loaded");
    assert_eq!(compiled.compilations(), 1);
    assert_eq!(net.blocks[0].calls.item::<i64>(), 3);
}

#[test]
fn a_state_that_does_not_fit_changes_nothing() {
    let _alone = crate::alone();
    let net = Net::new();
    let before = net.state_dict().copy();
    let mut state = Net::new().state_dict().copy();
    state.insert("stem.bias", Tensor::zeros(&[7], DType::F32));
    let error = net.load_state_dict(&state).unwrap_err().to_string();
    assert!(error.contains("stem.bias") && error.contains("[7]") && error.contains("[4]"), "{error}");
    for ((name, a), (_, b)) in net.state_dict().iter().zip(before.iter()) {
        assert_eq!(a.to(DType::F64).to_vec::<f64>(), b.to(DType::F64).to_vec::<f64>(), "{name}");
    }
}
