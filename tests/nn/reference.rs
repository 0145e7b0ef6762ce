//! Losses and activations that PyTorch's module database has no cases of, against PyTorch (`tests/data/losses.json`,
//! recorded by `losses.py` beside it): eagerly and traced, with equal bits.

use crate::{bits, panics, refused, seeded};
use allotrope::functional::{CtcLossOptions, Lengths, try_ctc_loss};
use allotrope::ops::grad;
use allotrope::prelude::*;
use serde_json::Value;

fn file() -> Value {
    serde_json::from_str(include_str!("../data/losses.json")).unwrap()
}

fn number(v: &Value) -> f32 {
    v.as_f64().map_or_else(|| v.as_str().unwrap().parse().unwrap(), |x| x as f32)
}

fn shape(v: &Value) -> Vec<usize> {
    v["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn tensor(v: &Value) -> Tensor {
    Tensor::from_vec(v["values"].as_array().unwrap().iter().map(number).collect(), &shape(v))
}

fn classes(v: &Value) -> Tensor {
    Tensor::from_vec(v["values"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect(), &shape(v))
}

/// Close to PyTorch's, NaN where that is.
#[track_caller]
fn close(what: &str, got: &Tensor, want: &Value, tolerance: f32) {
    assert_eq!(got.shape(), shape(want), "{what}");
    for (i, (x, y)) in got.to_vec::<f32>().iter().zip(want["values"].as_array().unwrap().iter().map(number)).enumerate()
    {
        let fits = x.is_nan() && y.is_nan() || *x == y || (x - y).abs() <= tolerance * (1.0 + y.abs());
        assert!(fits, "{what}: element {i} is {x}, wanted {y}");
    }
}

fn list(v: &Value) -> Option<Vec<usize>> {
    v.as_array().map(|list| list.iter().map(|n| n.as_u64().unwrap() as usize).collect())
}

/// `[n]`, or without axes where there is one number.
fn lengths(v: &Value) -> Tensor {
    match list(v) {
        Some(list) => Tensor::from_vec(list.iter().map(|&n| n as i64).collect(), &[list.len()]),
        None => Tensor::scalar(v.as_i64().unwrap()),
    }
}

fn ctc_options(v: &Value) -> CtcLossOptions {
    CtcLossOptions {
        blank: v["blank"].as_u64().unwrap_or(0) as usize,
        reduction: match v["reduction"].as_str() {
            Some("sum") => Reduction::Sum,
            Some("none") => Reduction::None,
            _ => Reduction::Mean,
        },
        zero_infinity: v["zero_infinity"].as_bool().unwrap_or(false),
    }
}

fn loss_and_gradient<'a>(
    x: &Tensor,
    targets: &Tensor,
    inputs: impl Into<Lengths<'a>>,
    targets_lengths: impl Into<Lengths<'a>>,
    g: &Tensor,
    options: CtcLossOptions,
) -> (Tensor, Tensor) {
    let y = try_ctc_loss(x, targets, inputs, targets_lengths, options).unwrap();
    let gradient = grad(&[&(&y * g).sum()], &[x], false).unwrap().remove(0).unwrap();
    (y.detach(), gradient)
}

#[test]
fn ctc_losses_and_their_gradients() {
    let file = file();
    let cases = file["ctc"].as_array().unwrap();
    assert!(cases.len() >= 16);
    for case in cases {
        let what = case["name"].as_str().unwrap();
        let (x, targets, g) = (tensor(&case["x"]).requires_grad(), classes(&case["targets"]), tensor(&case["g"]));
        let (inputs, own) = (lengths(&case["inputs"]), lengths(&case["target_lengths"]));
        let options = ctc_options(&case["options"]);
        let eager = loss_and_gradient(&x, &targets, &inputs, &own, &g, options);
        close(what, &eager.0, &case["y"], 1e-5);
        close(what, &eager.1, &case["gradient"], 2e-5);
        let traced = trace(|x: &Tensor, targets: &Tensor, inputs: &Tensor, own: &Tensor| {
            loss_and_gradient(x, targets, inputs, own, &g, options)
        });
        let traced = traced.call((&x, &targets, &inputs, &own)).unwrap();
        assert_eq!(bits(&traced.0), bits(&eager.0), "{what}: traced");
        assert_eq!(bits(&traced.1), bits(&eager.1), "{what}: traced gradient");
        // Lengths as numbers of the program.
        let (Some(inputs), Some(own)) = (list(&case["inputs"]), list(&case["target_lengths"])) else { continue };
        let listed = loss_and_gradient(&x, &targets, &inputs, &own, &g, options);
        assert_eq!(bits(&listed.1), bits(&eager.1), "{what}: lists");
        let traced = trace(|x: &Tensor, targets: &Tensor| loss_and_gradient(x, targets, &inputs, &own, &g, options));
        assert_eq!(bits(&traced.call((&x, &targets)).unwrap().1), bits(&eager.1), "{what}: lists, traced");
    }
}

/// One compilation for all numbers of steps, samples and labels; also where the backward pass begins outside.
#[test]
fn ctc_of_any_length_is_one_program() {
    let _drawing = seeded(5);
    let options = CtcLossOptions::default();
    let one = Tensor::scalar(1.0f32);
    let whole = trace(|x: &Tensor, targets: &Tensor, inputs: &Tensor, own: &Tensor| {
        loss_and_gradient(x, targets, inputs, own, &one, options)
    });
    let loss = trace(|x: &Tensor, targets: &Tensor, inputs: &Tensor, own: &Tensor| {
        try_ctc_loss(x, targets, inputs, own, options).unwrap()
    });
    for (t, n, s) in [(7, 3, 2), (20, 3, 5), (11, 2, 4), (90, 4, 30)] {
        let x = randn(&[t, n, 6]).log_softmax(2).detach().requires_grad();
        let targets = randint(1, 6, &[n, s]);
        let inputs = Tensor::full(&[n], t as i64);
        let own = randint(1, s as i64 + 1, &[n]);
        let eager = loss_and_gradient(&x, &targets, &inputs, &own, &one, options);
        let traced = whole.call((&x, &targets, &inputs, &own)).unwrap();
        assert_eq!((bits(&traced.0), bits(&traced.1)), (bits(&eager.0), bits(&eager.1)), "{t} steps");
        loss.call((&x, &targets, &inputs, &own)).unwrap().backward();
        assert_eq!(bits(&x.grad().unwrap()), bits(&eager.1), "{t} steps, backward outside");
    }
    assert_eq!((whole.compilations(), loss.compilations()), (1, 1));
}

#[test]
fn randomized_leaky_relu_draws_pytorchs_slopes() {
    let file = file();
    let case = &file["rrelu"];
    let x = tensor(&case["x"]);
    let layer = nn::RRelu::default();
    let eager = {
        let _drawing = seeded(case["seed"].as_u64().unwrap());
        layer.forward(&x)
    };
    close("training", &eager, &case["y"], 0.0);
    let traced = trace(|x: &Tensor| layer.forward(x));
    {
        let _drawing = seeded(case["seed"].as_u64().unwrap());
        assert_eq!(bits(&traced.call(&x).unwrap()), bits(&eager));
    }
    layer.eval();
    close("evaluation", &layer.forward(&x), &case["evaluated"], 1e-7);
    assert_eq!(bits(&traced.call(&x).unwrap()), bits(&layer.forward(&x)));
}

#[test]
fn variances_of_every_shape() {
    for case in file()["gaussian"].as_array().unwrap() {
        let (x, t, v) = (tensor(&case["x"]).requires_grad(), tensor(&case["t"]), tensor(&case["v"]).requires_grad());
        let y = nn::GaussianNllLoss::new().full(true).forward(&x, &t, &v);
        y.backward();
        let what = format!("{:?}", v.shape());
        close(&what, &y, &case["y"], 1e-5);
        close(&what, &x.grad().unwrap(), &case["by_x"], 1e-5);
        close(&what, &v.grad().unwrap(), &case["by_v"], 1e-5);
    }
    let (x, t) = (Tensor::ones(&[2, 3], DType::F32), Tensor::zeros(&[2, 3], DType::F32));
    let loss = nn::GaussianNllLoss::new();
    assert_eq!(bits(&loss.forward(&x, &t, 0.5)), bits(&loss.forward(&x, &t, &x.full_like(0.5))));
}

#[test]
fn triplets_of_a_distance() {
    let file = file();
    let case = &file["triplet"];
    let [a, p, n] = ["a", "p", "n"].map(|name| tensor(&case[name]).requires_grad());
    let loss = nn::TripletMarginWithDistanceLoss::new().swap(true).margin(0.7);
    assert_eq!(loss.to_string(), "TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)");
    let y = loss.forward(&a, &p, &n);
    y.backward();
    close("loss", &y, &case["y"], 1e-5);
    for (t, want) in [&a, &p, &n].into_iter().zip(case["gradients"].as_array().unwrap()) {
        close("gradient", &t.grad().unwrap(), want, 1e-5);
    }
    let own = nn::TripletMarginWithDistanceLoss::new().distance(|a, b| (a - b).abs().sum_dim(&[-1], false));
    assert_eq!(own.to_string(), "TripletMarginWithDistanceLoss()");
}

/// The parameters too are PyTorch's: they are drawn from the seed.
#[test]
fn the_adaptive_softmax() {
    let file = file();
    let case = &file["adaptive"];
    let options = nn::AdaptiveLogSoftmaxOptions { div_value: 2.0, head_bias: true };
    let layer = {
        let _drawing = seeded(case["seed"].as_u64().unwrap());
        nn::AdaptiveLogSoftmaxWithLoss::with_options(16, 30, &[5, 12], options)
    };
    assert_eq!(layer.to_string(), case["repr"].as_str().unwrap());
    let names: Vec<&str> = case["names"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(layer.state_dict().names().collect::<Vec<_>>(), names);
    let x = tensor(&case["x"]).requires_grad();
    let classes: Vec<i64> = case["t"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
    let t = Tensor::from_vec(classes, &[6]);
    let (output, loss) = layer.forward(&x, &t);
    loss.backward();
    close("output", &output, &case["output"], 1e-5);
    close("loss", &loss, &case["loss"], 1e-5);
    close("log_prob", &layer.log_prob(&x), &case["log_prob"], 1e-5);
    close("gradient", &x.grad().unwrap(), &case["gradient"], 1e-5);
    close("gradient of the head", &layer.named_parameters()[0].1.grad().unwrap(), &case["head"], 1e-5);
    let wanted: Vec<i64> = case["predict"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
    assert_eq!(layer.predict(&x).to_vec::<i64>(), wanted);
    let traced = trace(|x: &Tensor, t: &Tensor| layer.forward(x, t));
    let (again, mean) = traced.call((&x, &t)).unwrap();
    assert_eq!((bits(&again), bits(&mean)), (bits(&output), bits(&loss)));
    panics("cutoffs", &["cutoffs", "[5, 3]"], || nn::AdaptiveLogSoftmaxWithLoss::new(16, 30, &[5, 3]));
    let beyond = Tensor::from_vec(vec![0i64, 30, 1, 1, 1, 1], &[6]);
    refused("a target", layer.try_forward(&x, &beyond), &["is not a class"]);
}
