//! How the gradients that `grad` gives lie in memory, and which of them are the given gradient itself, share its memory, or are
//! tensors of their own: PyTorch's answers, eagerly and in traces. Values are not asked for here.

use allotrope::functional::{self as f, PadMode};
use allotrope::ops::{GradOptions, grad_with};
use allotrope::prelude::*;

type Function = fn(&Tensor) -> Tensor;

/// Numbers between 0 and 1, in row-major order or by columns.
fn tensor(shape: [usize; 2], by_columns: bool) -> Tensor {
    let [m, n] = shape;
    let data = (0..m * n).map(|i| (i as f32 * 0.37 + 0.11) % 0.9 + 0.05).collect();
    if by_columns { Tensor::from_vec(data, &[n, m]).t().detach() } else { Tensor::from_vec(data, &[m, n]) }
}

fn gradient(y: &Tensor, x: &Tensor, g: &Tensor) -> Tensor {
    let how = GradOptions { grad_outputs: &[Some(g)], ..GradOptions::default() };
    grad_with(&[y], &[x], how).expect("a gradient").remove(0).expect("it depends on x")
}

/// What a gradient follows in memory.
#[derive(Clone, Copy)]
enum Follows {
    Given,
    Operand,
    Nothing,
}
use Follows::{Given, Nothing, Operand};

const ELEMENTWISE: &[(&str, Function, Follows)] = &[
    ("celu", |x| x.celu(0.5), Given),
    ("elu", |x| x.elu(0.5), Given),
    ("hardtanh", |x| x.hardtanh(0.2, 0.6), Given),
    ("relu6", |x| x.relu6(), Given),
    ("hardsigmoid", |x| x.hardsigmoid(), Given),
    ("hardswish", |x| x.hardswish(), Given),
    ("hardshrink", |x| x.hardshrink(0.5), Given),
    ("softshrink", |x| x.softshrink(0.5), Given),
    ("softplus", |x| x.softplus(1.0, 20.0), Given),
    ("logsigmoid", |x| x.logsigmoid(), Given),
    ("gelu", |x| x.gelu(), Given),
    ("silu", |x| x.silu(), Given),
    ("mish", |x| x.mish(), Given),
    ("nan_to_num", |x| x.nan_to_num(None, None, None), Given),
    ("sqrt", |x| x.sqrt(), Given),
    ("flip", |x| x.flip(&[1]), Given),
    ("rot90", |x| x.rot90(2, [0, 1]), Given),
    ("leaky_relu", |x| x.leaky_relu(0.1), Operand),
    ("relu", |x| x.relu(), Operand),
    ("threshold", |x| x.threshold(0.2, 0.1), Operand),
    ("clamp", |x| x.clamp(0.2, 0.6), Operand),
    ("maximum", |x| x.maximum(0.5), Operand),
    ("erf", |x| x.erf(), Operand),
    ("erfc", |x| x.erfc(), Operand),
    ("sinc", |x| x.sinc(), Operand),
    ("softmax", |x| x.softmax(1), Nothing),
    ("log_softmax", |x| x.log_softmax(1), Nothing),
    ("tril", |x| x.tril(0), Nothing),
    ("cumsum", |x| x.cumsum(1), Nothing),
    ("cumprod", |x| x.cumprod(1), Nothing),
    ("logcumsumexp", |x| x.logcumsumexp(1), Nothing),
    ("cummax", |x| x.cummax(1).0, Nothing),
    ("sort", |x| x.sort(1, false).0, Nothing),
    ("roll", |x| x.roll(&[1], &[1]), Nothing),
    ("layer_norm", |x| f::layer_norm(x, &[3], Default::default()), Nothing),
];

#[test]
fn gradients_lie_as_pytorch_s() {
    let (rows, columns) = (vec![3isize, 1], vec![1isize, 2]);
    for &(name, function, follows) in ELEMENTWISE {
        for x_by_columns in [false, true] {
            let x = tensor([2, 3], x_by_columns).requires_grad();
            let g = tensor([2, 3], !x_by_columns);
            let by_columns = match follows {
                Given => !x_by_columns,
                Operand => x_by_columns,
                Nothing => false,
            };
            let wanted = if by_columns { &columns } else { &rows };
            assert_eq!(&strides(&gradient(&function(&x), &x, &g)), wanted, "{name}, by columns: {x_by_columns}");
            let traced = trace(|x: &Tensor, g: &Tensor| gradient(&function(x), x, g));
            let got = traced.call((&x, &g)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(&strides(&got), wanted, "{name} in a trace, by columns: {x_by_columns}");
        }
    }
}

fn strides(x: &Tensor) -> Vec<isize> {
    x.strides().to_vec()
}

/// Of other shapes than the operand: what is summed or put into zeros lies in row-major order, what is looked at is a view.
const OTHERS: &[(&str, Function, [usize; 2], &[isize])] = &[
    ("mean", |x| x.mean(), [2, 3], &[3, 1]),
    ("mean of rows", |x| x.mean_dim(&[1], false), [2, 3], &[3, 1]),
    ("sum", |x| x.sum(), [2, 3], &[0, 0]),
    ("diagonal", |x| x.diagonal(0, 0, 1), [2, 3], &[3, 1]),
    ("diag_embed", |x| x.diag_embed(0, -2, -1), [2, 3], &[9, 4]),
    ("pad", |x| f::pad(x, &[0, 2], PadMode::Zeros), [2, 3], &[3, 1]),
    ("prod", |x| x.prod_dim(1, false), [2, 3], &[3, 1]),
    ("avg_pool1d", |x| f::avg_pool1d(x, [2], Default::default()), [2, 3], &[3, 1]),
    ("var", |x| x.var(), [2, 3], &[3, 1]),
    ("take", |x| x.take(&Tensor::arange(2)), [2, 3], &[3, 1]),
];

#[test]
fn gradients_of_other_shapes_lie_as_pytorch_s() {
    for &(name, function, shape, wanted) in OTHERS {
        let x = tensor(shape, false).requires_grad();
        let g = function(&x).detach().ones_like();
        assert_eq!(strides(&gradient(&function(&x), &x, &g)), wanted, "{name}");
        let traced = trace(|x: &Tensor, g: &Tensor| gradient(&function(x), x, g));
        let got = traced.call((&x, &g)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(strides(&got), wanted, "{name} in a trace");
    }
    // A factor by columns has such a gradient.
    let (a, b) = (tensor([2, 3], true).requires_grad(), tensor([3, 4], true).requires_grad());
    let y = a.matmul(&b);
    assert_eq!(strides(&gradient(&y, &a, &tensor([2, 4], false))), [1, 2]);
    let y = a.matmul(&b);
    assert_eq!(strides(&gradient(&y, &b, &tensor([2, 4], false))), [1, 3]);
}

/// What a gradient is beside the given one.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    /// The given tensor.
    Same,
    /// Another tensor over its elements.
    View,
    /// In memory of its own.
    Own,
}
use Is::{Own, Same, View};

/// What is asked of a tensor without axes.
const OF_NO_AXES: &[(&str, Function, Is)] = &[
    ("add", |x| x.add(1.0), Same),
    ("sub", |x| x.sub(1.0), Same),
    ("fmod", |x| x.fmod(2.0), Same),
    ("frac", |x| x.frac(), Same),
    ("prod", |x| x.prod(), Same),
    ("cumprod", |x| x.cumprod(0), Same),
    ("cumsum", |x| x.cumsum(0), Same),
    ("logcumsumexp", |x| x.logcumsumexp(0), Same),
    ("tile", |x| x.tile(&[]), Same),
    ("sum", |x| x.sum(), View),
    ("reshape", |x| x.reshape(&[1]), View),
    ("mean", |x| x.mean(), Own),
    ("amax", |x| x.amax(&[], false), Own),
    ("expand", |x| x.expand(&[]), Own),
    ("flip", |x| x.flip(&[0]), Own),
    ("pad", |x| f::pad(x, &[], PadMode::Zeros), Own),
    ("pow", |x| x.pow(1.0), Own),
    ("mul", |x| x.mul(1.0), Own),
    (
        "fill_",
        |x| {
            let y = Tensor::zeros(&[], DType::F32);
            y.fill_(x);
            y
        },
        Own,
    ),
    ("index_add", |x| x.index_add(0, &Tensor::zeros(&[1], DType::I64), &Tensor::ones(&[], DType::F32), 1.0), Same),
];

/// What is asked of a vector of two.
const OF_A_VECTOR: &[(&str, Function, Is)] = &[
    ("repeat", |x| x.repeat(&[1]), Same),
    ("repeat into rows", |x| x.repeat(&[1, 1]), Own),
    ("repeat_interleave", |x| x.repeat_interleave(1, None), View),
    ("expand", |x| x.expand(&[2]), Same),
    ("flip", |x| x.flip(&[]), Own),
    ("pad", |x| f::pad(x, &[0, 0], PadMode::Zeros), Own),
    ("pad and cut", |x| f::pad(x, &[1, 1], PadMode::Zeros), Own),
    ("scatter_add", |x| x.scatter_add(0, &Tensor::zeros(&[2], DType::I64), &Tensor::ones(&[2], DType::F32)), Same),
    ("addcmul", |x| x.addcmul(&Tensor::ones(&[2], DType::F32), &Tensor::ones(&[2], DType::F32), 2.0), Same),
    (
        "x[..] = v",
        |x| {
            let y = Tensor::zeros(&[3], DType::F32);
            y.slice(0, None, Some(2), 1).copy_(x);
            y
        },
        Own,
    ),
    (
        "a bias",
        |x| {
            f::layer_norm(
                &Tensor::arange(2).to(DType::F32),
                &[2],
                f::NormOptions { bias: Some(x), ..Default::default() },
            )
        },
        Own,
    ),
];

/// The gradient beside the given one; changing that in place shows whether they share elements.
fn is(function: Function, x: &Tensor, recorded: bool) -> (Is, Vec<f32>) {
    let g = function(x).detach().ones_like();
    let found = match recorded {
        false => gradient(&function(x), x, &g),
        true => {
            let traced = trace(|x: &Tensor, g: &Tensor| gradient(&function(x), x, g));
            traced.call((x, &g)).unwrap_or_else(|e| panic!("{e}"))
        }
    };
    let before = found.to_vec::<f32>();
    let same = found.is_same(&g);
    g.add_(100.0);
    let shares = found.to_vec::<f32>() != before;
    (
        if same {
            Same
        } else if shares {
            View
        } else {
            Own
        },
        before,
    )
}

#[test]
fn gradients_are_the_given_one_where_pytorch_s_are() {
    let tables = [(OF_NO_AXES, Tensor::scalar(0.75f32)), (OF_A_VECTOR, Tensor::from_vec(vec![0.75f32, 0.25], &[2]))];
    for (table, x) in tables {
        for &(name, function, wanted) in table {
            let x = x.mul(1.0).detach().requires_grad();
            let (eager, values) = is(function, &x, false);
            assert_eq!(eager, wanted, "{name} of {:?}", x.shape());
            assert_eq!(is(function, &x, true), (wanted, values), "{name} of {:?} in a trace", x.shape());
        }
    }
}

#[test]
fn a_gradient_that_comes_through_graphs_of_gradients_is_the_given_one() {
    let through = |x: &Tensor, g: &Tensor| {
        let how = GradOptions { grad_outputs: &[Some(g)], create_graph: true, ..GradOptions::default() };
        let y = x.add(1.0).squeeze(0);
        grad_with(&[&y], &[x], how).expect("a gradient").remove(0).expect("it depends on x")
    };
    let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
    let g = Tensor::from_vec(vec![3.0f32, 4.0], &[2]).requires_grad();
    assert!(through(&x, &g).is_same(&g));
    let traced = trace(|x: &Tensor, g: &Tensor| through(x, g)).call((&x, &g)).expect("it can be traced");
    assert!(traced.is_same(&g));
}
