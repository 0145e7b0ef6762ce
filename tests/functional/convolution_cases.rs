//! Convolutions of every kind of window, with their gradients: what the tests of each mode and device run.

use allotrope::functional::*;
use allotrope::ops::grad;
use allotrope::prelude::*;

/// Numbers that differ from place to place, zeros of both signs among them.
pub fn numbers(shape: &[usize], k: usize, dtype: DType) -> Tensor {
    let n: usize = shape.iter().product();
    let of = |i: usize| ((i * 7919 + k * 104_729) % 2027) as f64 / 509.0 - 2.0;
    let odd = |i: usize| if i % 97 == 5 { -0.0 } else { of(i) };
    Tensor::from_vec((0..n).map(odd).collect::<Vec<f64>>(), shape).to(dtype)
}

pub type Op = dyn Fn(&Tensor, &Tensor, &Tensor) -> Tensor;

/// The result and the gradients of input, weights and bias.
pub fn program(op: &Op, x: &Tensor, w: &Tensor, b: &Tensor) -> Vec<Tensor> {
    let operands = [x, w, b].map(|t| t.detach().requires_grad());
    let y = op(&operands[0], &operands[1], &operands[2]);
    // A gradient of its own for every place.
    let loss = (&y * &y.detach()).sum();
    let all: Vec<&Tensor> = operands.iter().collect();
    let grads = grad(&[&loss], &all, false).expect("a gradient");
    grads.into_iter().map(|g| g.expect("is used")).chain([y.detach()]).collect()
}

/// A convolution: its name, itself, and the shapes of input, weights and bias.
pub type Case = (&'static str, Box<Op>, Vec<usize>, Vec<usize>, usize);

fn one<const N: usize>(stride: [usize; N], padding: [usize; N], dilation: [usize; N], groups: usize) -> ConvOptions<N> {
    ConvOptions { stride, padding: padding.into(), dilation, groups }
}

fn back<const N: usize>(
    stride: [usize; N],
    padding: [usize; N],
    dilation: [usize; N],
    groups: usize,
) -> ConvTransposeOptions<N> {
    ConvTransposeOptions { stride, padding, dilation, groups, ..Default::default() }
}

pub fn cases() -> Vec<Case> {
    macro_rules! case {
        ($op:ident, $options:expr, $x:expr, $w:expr, $b:expr) => {
            (
                stringify!($op),
                Box::new(|x: &Tensor, w: &Tensor, b: &Tensor| $op(x, w, Some(b), $options)) as Box<Op>,
                $x.to_vec(),
                $w.to_vec(),
                $b,
            )
        };
    }
    vec![
        case!(conv1d, one([1], [0], [1], 1), [2, 3, 40], [5, 3, 4], 5),
        case!(conv1d, one([3], [2], [2], 2), [3, 4, 31], [6, 2, 3], 6),
        case!(conv2d, one([1, 1], [2, 2], [1, 1], 1), [4, 1, 12, 14], [16, 1, 5, 5], 16),
        case!(conv2d, one([1, 1], [2, 2], [1, 1], 1), [5, 16, 14, 14], [32, 16, 5, 5], 32),
        case!(conv2d, one([2, 1], [1, 0], [1, 2], 1), [2, 3, 11, 13], [7, 3, 3, 2], 7),
        case!(conv2d, one([1, 2], [0, 1], [3, 1], 3), [2, 6, 12, 9], [9, 2, 2, 3], 9),
        case!(conv2d, one([1, 1], [0, 0], [1, 1], 8), [2, 8, 9, 9], [8, 1, 3, 3], 8),
        case!(conv2d, one([1, 1], [0, 0], [1, 1], 1), [2, 20, 9, 9], [24, 20, 1, 1], 24),
        case!(conv2d, one([5, 5], [0, 0], [1, 1], 1), [2, 2, 10, 15], [3, 2, 5, 5], 3),
        case!(conv2d, one([1, 1], [0, 0], [1, 1], 1), [1, 2, 5, 5], [1, 2, 5, 5], 1),
        case!(conv3d, one([1, 2, 1], [1, 1, 0], [1, 1, 2], 1), [2, 2, 5, 6, 7], [4, 2, 3, 2, 3], 4),
        case!(conv_transpose1d, back([2], [1], [1], 1), [2, 4, 13], [4, 3, 5], 3),
        case!(conv_transpose2d, back([2, 2], [1, 1], [1, 1], 1), [3, 8, 7, 7], [8, 6, 4, 4], 6),
        case!(conv_transpose2d, back([1, 2], [0, 1], [2, 1], 2), [2, 4, 6, 5], [4, 3, 3, 3], 6),
        case!(conv_transpose3d, back([1, 2, 1], [0, 1, 1], [1, 1, 2], 1), [1, 3, 3, 4, 5], [3, 2, 2, 3, 2], 2),
    ]
}
