//! Activations: what is printed, what changes in place, what is refused.

use crate::{bits, panics, refused};
use allotrope::prelude::*;

fn x() -> Tensor {
    Tensor::from_vec(vec![-7.0f32, -3.5, -1.0, -0.0, 0.0, 0.3, 1.0, 2.5, 6.5], &[9])
}

/// In place it is the same function, of which the input has the values and the history then.
#[test]
fn in_place_the_input_becomes_the_result() {
    type Layer = Box<dyn Forward>;
    let pairs: Vec<(Layer, Layer, &str)> = vec![
        (Box::new(nn::Relu::new()), Box::new(nn::Relu::new().inplace(true)), "ReLU(inplace=True)"),
        (Box::new(nn::Relu6::new()), Box::new(nn::Relu6::new().inplace(true)), "ReLU6(inplace=True)"),
        (
            Box::new(nn::LeakyRelu::new(0.2)),
            Box::new(nn::LeakyRelu::new(0.2).inplace(true)),
            "LeakyReLU(negative_slope=0.2, inplace=True)",
        ),
        (Box::new(nn::Elu::new(1)), Box::new(nn::Elu::new(1).inplace(true)), "ELU(alpha=1, inplace=True)"),
        (Box::new(nn::Selu::new()), Box::new(nn::Selu::new().inplace(true)), "SELU(inplace=True)"),
        (Box::new(nn::Celu::new(1.5)), Box::new(nn::Celu::new(1.5).inplace(true)), "CELU(alpha=1.5, inplace=True)"),
        (Box::new(nn::Silu::new()), Box::new(nn::Silu::new().inplace(true)), "SiLU(inplace=True)"),
        (Box::new(nn::Mish::new()), Box::new(nn::Mish::new().inplace(true)), "Mish(inplace=True)"),
        (
            Box::new(nn::Hardtanh::default()),
            Box::new(nn::Hardtanh::default().inplace(true)),
            "Hardtanh(min_val=-1.0, max_val=1.0, inplace=True)",
        ),
        (Box::new(nn::Hardsigmoid::new()), Box::new(nn::Hardsigmoid::new().inplace(true)), "Hardsigmoid()"),
        (Box::new(nn::Hardswish::new()), Box::new(nn::Hardswish::new().inplace(true)), "Hardswish()"),
        (
            Box::new(nn::Threshold::new(0.1, 20)),
            Box::new(nn::Threshold::new(0.1, 20).inplace(true)),
            "Threshold(threshold=0.1, value=20, inplace=True)",
        ),
    ];
    for (plain, changing, printed) in &pairs {
        assert_eq!(changing.repr(), *printed);
        let step = |layer: &dyn Forward, leaf: &Tensor| {
            let input = leaf * 1.0;
            let y = layer.forward(&input);
            (&y * &y).sum().backward();
            let gradient = leaf.grad().unwrap();
            leaf.set_grad(None);
            [y.detach(), input.detach(), gradient]
        };
        let leaf = x().requires_grad();
        let [y, input, gradient] = step(plain, &leaf);
        let [z, changed, same] = step(changing, &leaf);
        assert_eq!((bits(&z), bits(&same)), (bits(&y), bits(&gradient)), "{printed}");
        assert_eq!(bits(&input), bits(&x()), "{printed}: plain");
        assert_eq!(bits(&changed), bits(&y), "{printed}: changed");
        let traced = trace(|leaf: &Tensor| {
            let input = leaf * 1.0;
            let y = changing.forward(&input);
            (y + input).sum()
        });
        traced.call(&leaf).unwrap().backward();
        let through = leaf.grad().unwrap();
        leaf.set_grad(None);
        let input = &leaf * 1.0;
        (changing.forward(&input) + input).sum().backward();
        assert_eq!(bits(&through), bits(&leaf.grad().unwrap()), "{printed}: traced");
    }
    let layer = nn::RRelu::default().inplace(true);
    layer.eval();
    let changed = x();
    let y = layer.forward(&changed);
    assert_eq!(bits(&y), bits(&changed));
    assert_eq!(layer.to_string(), "RReLU(lower=0.125, upper=0.3333333333333333, inplace=True)");
}

#[test]
fn printed_as_pytorch_prints_them() {
    assert_eq!(nn::Softmax::new(None).to_string(), "Softmax(dim=None)");
    assert_eq!(nn::LogSoftmax::new(-1).to_string(), "LogSoftmax(dim=-1)");
    assert_eq!(nn::Softplus::new(2, 20.0).to_string(), "Softplus(beta=2, threshold=20.0)");
    assert_eq!(nn::Hardshrink::new(1).to_string(), "Hardshrink(1)");
    assert_eq!(nn::Gelu::new(nn::Approximate::Tanh).to_string(), "GELU(approximate='tanh')");
    assert_eq!(nn::Glu::default().to_string(), "GLU(dim=-1)");
    assert_eq!(nn::PRelu::new(2).to_string(), "PReLU(num_parameters=2)");
    assert_eq!(nn::Softmax2d::new().to_string(), "Softmax2d()");
}

/// Without an axis it is the first of 0, 1 or 3 axes, else the second.
#[test]
fn the_implicit_axis_of_softmax() {
    let x = Tensor::arange(24).to(DType::F32) * 0.1;
    for (shape, axis) in [(vec![24], 0), (vec![4, 6], 1), (vec![2, 3, 4], 0), (vec![2, 3, 2, 2], 1)] {
        let x = x.reshape(&shape);
        assert_eq!(bits(&nn::Softmax::default().forward(&x)), bits(&x.softmax(axis)), "{shape:?}");
        assert_eq!(bits(&nn::Softmin::default().forward(&x)), bits(&x.softmin(axis)), "{shape:?}");
        assert_eq!(bits(&nn::LogSoftmax::default().forward(&x)), bits(&x.log_softmax(axis)), "{shape:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let row = Tensor::zeros(&[3], DType::F32);
    let whole = Tensor::arange(4);
    type Case<'a> = (&'a str, Box<dyn Forward>, &'a Tensor, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        ("softmax2d", Box::new(nn::Softmax2d::new()), &row, &["[n, c, h, w]", "[3]"]),
        ("softmax", Box::new(nn::Softmax::new(5)), &row, &["5", "[3]"]),
        ("glu", Box::new(nn::Glu::default()), &row, &["even", "[3]"]),
        ("celu", Box::new(nn::Celu::new(0.0)), &row, &["alpha", "0"]),
        ("hardtanh", Box::new(nn::Hardtanh::new(2.0, 1.0)), &row, &["min", "2", "1"]),
        ("softshrink", Box::new(nn::Softshrink::new(-1.0)), &row, &["lambd", "-1"]),
        ("rrelu", Box::new(nn::RRelu::new(2.0, 1.0)), &row, &["lower", "2", "1"]),
        ("prelu", Box::new(nn::PRelu::new(2)), &row, &["weight", "[2]", "[3]"]),
        ("elu", Box::new(nn::Elu::default()), &whole, &["i64"]),
        ("silu", Box::new(nn::Silu::new()), &whole, &["i64"]),
    ];
    for (what, layer, input, words) in &cases {
        refused(what, layer.try_forward(input), words);
        panics(what, words, || layer.forward(input));
        refused(what, trace(|x: &Tensor| layer.forward(x)).call(*input), words);
    }
    let options = nn::PReluOptions { dtype: DType::I64, ..Default::default() };
    refused("a weight of integers", nn::PRelu::try_with_options(options), &["float", "i64"]);
    let leaf = Tensor::ones(&[2], DType::F32).requires_grad();
    refused("a leaf", nn::Relu::new().inplace(true).try_forward(&leaf), &["leaf", "in place"]);
    assert_eq!(leaf.to_vec::<f32>(), [1.0, 1.0]);
    let half = nn::PRelu::with_options(nn::PReluOptions { dtype: DType::F64, ..Default::default() });
    refused("dtypes", half.try_forward(&row), &["f32", "f64"]);
}
