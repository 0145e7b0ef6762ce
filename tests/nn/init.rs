//! Initialisers against PyTorch's from the same seed (`tests/data/init.json`, recorded by `init.py` beside it), and what
//! they refuse.

use crate::{bits, refused, seeded};
use allotrope::nn::init::{self, FanMode, KaimingOptions, Nonlinearity, TruncNormalOptions, calculate_gain};
use allotrope::prelude::*;
use serde_json::Value;

fn filled(name: &str, t: &Tensor) {
    let kaiming = |mode, nonlinearity| KaimingOptions { mode, nonlinearity, ..Default::default() };
    match name {
        "uniform" => init::uniform_(t, -1.0, 2.0),
        "normal" => init::normal_(t, 1.0, 0.5),
        "constant" => init::constant_(t, 0.3),
        "ones" => init::ones_(t),
        "zeros" => init::zeros_(t),
        "eye tall" | "eye wide" => init::eye_(t),
        "dirac 1d" => init::dirac_(t, 1),
        "dirac 2d groups" => init::dirac_(t, 2),
        "dirac 3d groups" => init::dirac_(t, 4),
        "xavier_uniform" => init::xavier_uniform_(t, 1.5),
        "xavier_normal" => init::xavier_normal_(t, 1.5),
        "kaiming_uniform" => init::kaiming_uniform_(t, 0.2),
        "kaiming_uniform fan_out relu" => init::kaiming_uniform_with_(t, kaiming(FanMode::FanOut, Nonlinearity::Relu)),
        "kaiming_uniform tanh" => init::kaiming_uniform_with_(t, kaiming(FanMode::FanIn, Nonlinearity::Tanh)),
        "kaiming_normal" => init::kaiming_normal_(t, 0.2),
        "kaiming_normal fan_out selu" => init::kaiming_normal_with_(t, kaiming(FanMode::FanOut, Nonlinearity::Selu)),
        "kaiming_normal linear" => init::kaiming_normal_with_(t, kaiming(FanMode::FanIn, Nonlinearity::Linear)),
        "trunc_normal" => init::trunc_normal_(t, TruncNormalOptions::default()),
        "trunc_normal far" => init::trunc_normal_(t, TruncNormalOptions { mean: 1.0, std: 0.5, a: 1.5, b: 3.0 }),
        "trunc_normal narrow" => {
            init::trunc_normal_(t, TruncNormalOptions { std: 0.02, a: -0.01, b: 0.03, ..Default::default() })
        }
        "sparse" => init::sparse_(t, 0.3, 0.5),
        "orthogonal tall" => init::orthogonal_(t, 1.0),
        "orthogonal wide" => init::orthogonal_(t, 1.7),
        name => panic!("nobody knows {name}"),
    }
}

#[test]
fn values_are_pytorchs() {
    let file: Value = serde_json::from_str(include_str!("../data/init.json")).unwrap();
    let cases = file["cases"].as_object().unwrap();
    assert!(cases.len() >= 24);
    for (name, case) in cases {
        let shape: Vec<usize> =
            case["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let want =
            |v: &Value| -> Vec<u32> { v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect() };
        let _drawing = seeded(file["seed"].as_u64().unwrap());
        let t = Tensor::full(&shape, 9.0f32).requires_grad();
        filled(name, &t);
        assert!(t.is_leaf(), "{name}: nothing is recorded");
        // Another factorisation rounds otherwise, and so do PyTorch's logarithms and cosines of groups of 16.
        let exact = !["orthogonal", "normal", "sparse"].iter().any(|inexact| name.contains(inexact));
        for (x, y) in t.to_vec::<f32>().iter().zip(want(&case["bits"]).into_iter().map(f32::from_bits)) {
            let fits = if exact { x.to_bits() == y.to_bits() } else { (x - y).abs() < 4e-6 * (1.0 + y.abs()) };
            assert!(fits, "{name}: {x}, wanted {y}");
        }
        assert_eq!(t.shape(), shape, "{name}");
        assert_eq!(bits(&rand(&[1])), want(&case["next"]), "{name}: what is drawn next");
    }
    let gains = &file["gains"];
    for (name, nonlinearity, param) in [
        ("linear", Nonlinearity::Linear, None),
        ("sigmoid", Nonlinearity::Sigmoid, None),
        ("tanh", Nonlinearity::Tanh, None),
        ("relu", Nonlinearity::Relu, None),
        ("leaky_relu", Nonlinearity::LeakyRelu, None),
        ("leaky_relu 0.2", Nonlinearity::LeakyRelu, Some(0.2)),
        ("selu", Nonlinearity::Selu, None),
    ] {
        assert_eq!(calculate_gain(nonlinearity, param), gains[name].as_f64().unwrap(), "{name}");
    }
}

#[test]
fn large_matrices_are_orthogonal() {
    let _drawing = seeded(1);
    let t = Tensor::zeros(&[120, 50], DType::F64);
    init::orthogonal_(&t, 2.0);
    let product = t.t().matmul(&t).to_vec::<f64>();
    for (i, x) in product.iter().enumerate() {
        let want = if i / 50 == i % 50 { 4.0 } else { 0.0 };
        assert!((x - want).abs() < 1e-12, "{i}: {x}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let _drawing = seeded(2);
    let [row, matrix, window] = [&[3][..], &[3, 4], &[3, 2, 3]].map(|shape| Tensor::full(shape, 5.0f32));
    let truncated = |mean, std, a, b| init::try_trunc_normal_(&matrix, TruncNormalOptions { mean, std, a, b });
    refused("fans", init::try_kaiming_uniform_(&row, 0.0), &["two axes", "[3]"]);
    refused("fans", init::try_xavier_normal_(&row, 1.0), &["two axes", "[3]"]);
    refused("eye", init::try_eye_(&row), &["2 axes", "[3]"]);
    refused("dirac", init::try_dirac_(&matrix, 1), &["3 to 5 axes", "[3, 4]"]);
    refused("dirac", init::try_dirac_(&window, 2), &["3 outputs", "2 groups"]);
    refused("sparse", init::try_sparse_(&window, 0.1, 1.0), &["2 axes", "[3, 2, 3]"]);
    refused("sparse", init::try_sparse_(&matrix, 1.5, 1.0), &["sparsity", "1.5"]);
    refused("orthogonal", init::try_orthogonal_(&row, 1.0), &["2 or more", "[3]"]);
    refused("uniform", init::try_uniform_(&matrix, 1.0, 0.0), &["1", "0"]);
    refused("trunc_normal", truncated(0.0, 0.0, -1.0, 1.0), &["std"]);
    refused("trunc_normal", truncated(0.0, 1.0, 1.0, -1.0), &["a < b"]);
    for t in [row, matrix, window] {
        assert!(t.to_vec::<f32>().iter().all(|&x| x == 5.0));
    }
    let first = rand(&[1]);
    manual_seed(2);
    assert_eq!(bits(&rand(&[1])), bits(&first), "nothing was drawn");
}
