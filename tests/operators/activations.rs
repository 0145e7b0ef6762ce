//! Rows: activation functions.

use crate::derivative::{Row, case, check_all, row, unary};
use crate::draw::Domain::*;
use allotrope::functional as f;

pub fn rows() -> Vec<Row> {
    vec![
        unary("nn.functional.relu", Away, |x| x.relu()),
        unary("nn.functional.relu6", Away, |x| (x * 1.5).relu6()),
        unary("nn.functional.hardtanh", Away, |x| x.hardtanh(-1.0, 1.5)),
        unary("nn.functional.leaky_relu", Away, |x| x.leaky_relu(0.01)),
        unary("nn.functional.leaky_relu of a negative slope", Away, |x| x.leaky_relu(-0.5)),
        unary("nn.functional.rrelu", Away, |x| f::rrelu(x, 0.125, 0.3, false)),
        unary("nn.functional.elu", Away, |x| x.elu(1.3)),
        unary("nn.functional.selu", Away, |x| x.selu()),
        unary("nn.functional.celu", Away, |x| x.celu(1.7)),
        unary("nn.functional.gelu", Zeros, |x| x.gelu()),
        unary("nn.functional.gelu of tanh", Zeros, |x| f::gelu_tanh(x)),
        unary("nn.functional.silu", Zeros, |x| x.silu()),
        unary("nn.functional.mish", Zeros, |x| x.mish()),
        unary("nn.functional.hardsigmoid", Away, |x| x.hardsigmoid()),
        unary("nn.functional.hardswish", Away, |x| x.hardswish()),
        unary("nn.functional.hardshrink", Away, |x| f::hardshrink(x, 0.5)),
        unary("nn.functional.softshrink", Away, |x| f::softshrink(x, 0.5)),
        unary("nn.functional.tanhshrink", Zeros, |x| f::tanhshrink(x)),
        unary("nn.functional.softplus", Zeros, |x| x.softplus(1.0, 20.0)),
        unary("nn.functional.softplus above its threshold", Away, |x| x.softplus(1.0, 2.5)),
        unary("nn.functional.softsign", Away, |x| f::softsign(x)),
        unary("nn.functional.logsigmoid", Zeros, |x| f::logsigmoid(x)),
        unary("nn.functional.threshold", Away, |x| f::threshold(x, 0.5, -2.0)),
        row("nn.functional.glu", |d| {
            let mut shape = d.shape(1, 4);
            let axis = d.axis(shape.len());
            let i = axis.rem_euclid(shape.len() as isize) as usize;
            shape[i] = 2 * d.between(0, 2);
            case(vec![d.tensor(&shape, Any)], axis, move |x| vec![f::glu(&x[0], axis)])
        }),
        row("nn.functional.prelu", |d| {
            let shape = d.shape(0, 4);
            let channels = if d.once_in(2) { 1 } else { shape.get(1).copied().unwrap_or(1).max(1) };
            let shape = if shape.get(1) == Some(&0) { vec![2, channels] } else { shape };
            let x = vec![d.tensor(&shape, Away), d.tensor(&[channels], Any)];
            case(x, channels, |x| vec![f::prelu(&x[0], &x[1])])
        }),
    ]
}

#[test]
fn activation_functions() {
    check_all(rows());
}
