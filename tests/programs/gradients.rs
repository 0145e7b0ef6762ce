//! Derivatives: every operation against central differences in f64, accumulation, detaching, in-place changes, and
//! graphs too deep for recursion.

use crate::common::{numbers, panic_text};
use allotrope::prelude::*;

/// Numbers in (low, high), none alike.
fn spread(seed: u64, shape: &[usize], low: f64, high: f64) -> Tensor {
    allotrope::tensor::Generator::new(seed).uniform(shape, DType::F64, low, high)
}

/// The derivative of a weighted sum of `f`'s results against central differences, traced as well.
fn check(name: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Tensor) {
    let weigh = |y: Tensor| {
        let shape: Vec<usize> = y.sizes().iter().map(|n| n.to_string().parse().unwrap()).collect();
        let n: usize = shape.iter().product();
        let weights = Tensor::arange(n).to(DType::F64) * 0.37 + 0.5;
        (y * weights.cos().reshape(&shape.iter().map(|&n| n as isize).collect::<Vec<_>>())).sum()
    };
    let leaves: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let loss = weigh(f(&leaves));
    let wanted: Vec<&Tensor> = leaves.iter().collect();
    let found = grad(&[&loss], &wanted, false).unwrap();
    for (k, (x, g)) in inputs.iter().zip(&found).enumerate() {
        let g = g.as_ref().unwrap_or_else(|| panic!("{name}: input {k} has a gradient"));
        assert_eq!(g.shape(), x.shape(), "{name}: shape of gradient {k}");
        let (values, found) = (numbers(x), numbers(g));
        for i in 0..values.len() {
            let step = 1e-6;
            let at = |d: f64| {
                let mut moved = values.clone();
                moved[i] += d;
                let mut all = inputs.to_vec();
                all[k] = Tensor::from_vec(moved, x.shape());
                weigh(f(&all)).item::<f64>()
            };
            let quotient = (at(step) - at(-step)) / (2.0 * step);
            let off = (quotient - found[i]).abs() / quotient.abs().max(1.0);
            assert!(off < 2e-6, "{name}: input {k}, element {i}: {} where differences give {quotient}", found[i]);
        }
    }
}

#[test]
fn functions_of_one_operand() {
    let (any, positive) = (spread(1, &[2, 3], -1.5, 1.5), spread(2, &[2, 3], 0.3, 2.0));
    let one = |name: &str, x: &Tensor, f: fn(&Tensor) -> Tensor| check(name, std::slice::from_ref(x), |x| f(&x[0]));
    one("neg", &any, Tensor::neg);
    one("abs", &any, Tensor::abs);
    one("sqrt", &positive, Tensor::sqrt);
    one("exp", &any, Tensor::exp);
    one("log", &positive, Tensor::log);
    one("sin", &any, Tensor::sin);
    one("cos", &any, Tensor::cos);
    one("tanh", &any, Tensor::tanh);
    one("sigmoid", &any, Tensor::sigmoid);
    one("reciprocal", &positive, Tensor::reciprocal);
    one("relu", &any, Tensor::relu);
    one("square", &any, Tensor::square);
    one("to and back", &any, |x| x.to(DType::F64) * 2.0);
    one("pow 3", &any, |x| x.pow(3));
    one("pow 0.5", &positive, |x| x.pow(0.5));
    one("pow 2.5", &positive, |x| x.pow(2.5));
    one("pow -1", &positive, |x| x.pow(-1.0));
    one("1 - x", &any, |x| 1.0 - x);
    one("2 / x", &positive, |x| 2.0 / x);
}

#[test]
fn functions_of_two_operands() {
    let shapes: [(&[usize], &[usize]); 6] =
        [(&[2, 3], &[2, 3]), (&[2, 3], &[3]), (&[2, 1], &[1, 3]), (&[], &[2]), (&[4], &[]), (&[1], &[3, 1])];
    for (a, b) in shapes {
        let two = |name: &str, f: fn(&Tensor, &Tensor) -> Tensor| {
            check(&format!("{name} {a:?} {b:?}"), &[spread(3, a, 0.4, 2.0), spread(4, b, 0.5, 2.0)], |x| {
                f(&x[0], &x[1])
            });
        };
        two("add", |a, b| a + b);
        two("sub", |a, b| a - b);
        two("mul", |a, b| a * b);
        two("div", |a, b| a / b);
        two("maximum", |a, b| a.maximum(b));
        two("minimum", |a, b| a.minimum(b));
        two("pow", |a, b| a.pow(b));
        two("where", |a, b| a.where_self(&a.gt(b), b));
        two("where on one side", |a, b| a.where_self(&a.detach().lt(1.0), &(b * 2.0)));
    }
}

#[test]
fn reductions() {
    let x = spread(5, &[2, 3, 4], -1.0, 1.0);
    let axes: [&[isize]; 6] = [&[], &[0], &[1], &[-1], &[0, 2], &[2, 1]];
    for axes in axes {
        for keep in [false, true] {
            let one = |name: &str, f: &dyn Fn(&Tensor) -> Tensor| {
                check(&format!("{name} {axes:?} {keep}"), std::slice::from_ref(&x), |x| f(&x[0]));
            };
            one("sum", &|x| x.sum_dim(axes, keep));
            one("mean", &|x| x.mean_dim(axes, keep));
            one("amax", &|x| x.amax(axes, keep));
            one("amin", &|x| x.amin(axes, keep));
        }
    }
    // Elements equal to the extreme share the gradient.
    let x = Tensor::from_vec(vec![1.0f64, 3.0, 3.0, 2.0], &[4]).requires_grad();
    x.amax(&[], false).backward();
    assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 0.5, 0.5, 0.0]);
}

#[test]
fn movement() {
    let x = spread(6, &[2, 3, 4], -1.0, 1.0);
    let one = |name: &str, f: fn(&Tensor) -> Tensor| check(name, std::slice::from_ref(&x), |x| f(&x[0]));
    one("reshape", |x| x.reshape(&[4, -1]));
    one("permute", |x| x.permute(&[2, 0, 1]));
    one("transpose", |x| x.transpose(0, -1));
    one("narrow", |x| x.narrow(1, 1, 2));
    one("narrow from the end", |x| x.narrow(2, -3, 2));
    one("select", |x| x.select(2, -1));
    one("expand", |x| x.unsqueeze(0).expand(&[3, -1, -1, -1]));
    one("expand_as", |x| x.narrow(1, 0, 1).expand_as(x));
    one("unsqueeze", |x| x.unsqueeze(-1));
    one("squeeze", |x| x.narrow(0, 0, 1).squeeze(0));
    one("flatten", |x| x.flatten(1, -1));
    one("contiguous", |x| x.permute(&[2, 1, 0]).contiguous());
    one("reshape of a transposed view", |x| x.transpose(0, 2).reshape(&[6, 4]));
    let y = spread(7, &[2, 1, 4], -1.0, 1.0);
    check("cat", &[x.clone(), y.clone()], |x| cat(&[&x[0], &x[1], &x[0]], 1));
    check("stack", &[x.clone(), x.clone()], |x| stack(&[&x[0], &x[1]], -1));
    check("t", &[spread(8, &[2, 3], -1.0, 1.0)], |x| x[0].t());
}

#[test]
fn products() {
    let shapes: [(&[usize], &[usize]); 9] = [
        (&[3], &[3]),
        (&[2, 3], &[3]),
        (&[3], &[3, 2]),
        (&[2, 3], &[3, 4]),
        (&[2, 2, 3], &[3, 2]),
        (&[2, 2, 3], &[2, 3, 2]),
        (&[2, 3], &[2, 3, 2]),
        (&[2, 1, 2, 3], &[3, 3, 2]),
        (&[2, 2, 3], &[3]),
    ];
    for (a, b) in shapes {
        let inputs = [spread(9, a, -1.0, 1.0), spread(10, b, -1.0, 1.0)];
        check(&format!("matmul {a:?} {b:?}"), &inputs, |x| x[0].matmul(&x[1]));
    }
}

#[test]
fn loops() {
    let inputs = [spread(11, &[3], -1.0, 1.0), spread(12, &[4, 3], -1.0, 1.0), spread(13, &[3, 3], -0.5, 0.5)];
    for reverse in [false, true] {
        check(&format!("scan, reverse {reverse}"), &inputs, |x| {
            let body = |(h, n): (Tensor, Tensor), x_t: Tensor| {
                let new = (h.matmul(&x[2]) + &x_t * 0.5).tanh();
                ((new.clone(), &n + &new.sum()), (&new * &x_t, h))
            };
            let start = (x[0].clone(), Tensor::scalar(0.0f64));
            let ((h, n), (a, b)) =
                if reverse { scan_reverse(start, x[1].clone(), body) } else { scan(start, x[1].clone(), body) };
            cat(&[&h, &n.unsqueeze(0), &a.flatten(0, 1), &b.flatten(0, 1)], 0)
        });
    }
    check("a loop in a loop", &inputs, |x| {
        let (h, ys) = scan(x[0].clone(), x[1].clone(), |h, row| {
            let (inner, parts) = scan(h.sum(), row.clone(), |c, e| {
                let c = (&c * 0.5 + &e * &x[2].select(0, 0).sum()).sin();
                (c.clone(), c)
            });
            (&h * 0.9 + &parts * &row, inner)
        });
        cat(&[&h, &ys], 0)
    });
}

#[test]
fn mean_squared_error_and_layers() {
    check("mse_loss", &[spread(14, &[2, 3], -1.0, 1.0), spread(15, &[2, 3], -1.0, 1.0)], |x| mse_loss(&x[0], &x[1]));
    let x = spread(16, &[2, 2], -1.0, 1.0);
    check("second derivative", &[x], |x| {
        let leaf = if x[0].is_requires_grad() { x[0].clone() } else { x[0].detach().requires_grad() };
        let y = (leaf.tanh() * leaf.exp()).sum();
        grad(&[&y], &[&leaf], true).unwrap()[0].clone().unwrap()
    });
}

#[test]
fn gradients_accumulate_and_detached_values_have_none() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
    for i in 1..=3 {
        (&x * &x).sum().backward();
        let i = i as f32;
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), [2.0 * i, 4.0 * i]);
    }
    x.set_grad(None);
    (&x * &x.detach()).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [1.0, 2.0]);
    let y = no_grad(|| &x * 2.0);
    assert!(!y.is_requires_grad() && y.try_backward_from(&y).is_err());
    let unused = Tensor::ones(&[2], DType::F32).requires_grad();
    let found = grad(&[&(&x * 3.0).sum()], &[&x, &unused], false).unwrap();
    assert!(found[0].is_some() && found[1].is_none());
    // A gradient is the tensor's own: changing it reaches nothing else.
    let g = x.grad().unwrap();
    g.fill_(7.0);
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [7.0, 7.0]);
    assert_eq!(x.detach().to_vec::<f32>(), [1.0, 2.0]);
}

#[test]
fn changes_in_place_are_noticed() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
    let text = panic_text(|| drop(x.add_(1.0).detach()));
    assert!(text.contains("leaf") && text.contains("no_grad"), "{text}");
    let y = &x * 2.0;
    let loss = (&y * &y).sum();
    y.add_(1.0);
    let text = loss.try_backward().unwrap_err().to_string();
    assert!(text.contains("changed in place") && text.contains("[2]"), "{text}");
    assert!(x.grad().is_none(), "nothing was accumulated");
    // What no derivative needs may be changed.
    let y = &x * 2.0;
    let loss = (&y + 1.0).sum();
    y.add_(1.0);
    loss.backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [2.0, 2.0]);
    // The change itself has a derivative.
    x.set_grad(None);
    let y = &x * 1.0;
    y.add_(&x);
    y.mul_(3.0);
    y.sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [6.0, 6.0]);
}

#[test]
fn backward_starts_from_one_number() {
    let x = Tensor::ones(&[2, 2], DType::F32).requires_grad();
    let y = &x * 2.0;
    let text = y.try_backward().unwrap_err().to_string();
    assert!(text.contains("[2, 2]") && text.contains("backward_from"), "{text}");
    let text = y.try_backward_from(&Tensor::ones(&[3], DType::F32)).unwrap_err().to_string();
    assert!(text.contains("[2, 2]") && text.contains("[3]"), "{text}");
    let text = Tensor::scalar(1.0f32).try_backward().unwrap_err().to_string();
    assert!(text.contains("needs no gradient"), "{text}");
    let text = panic_text(|| y.backward());
    assert!(text.contains("[2, 2]"), "{text}");
    let one = Tensor::ones(&[1, 1], DType::F32).requires_grad();
    (&one * 3.0).backward();
    assert_eq!(one.grad().unwrap().to_vec::<f32>(), [3.0]);
}

/// Neither the backward pass nor freeing the graph recurses.
#[test]
fn a_chain_of_a_million_operations() {
    let run = || {
        let x = Tensor::scalar(1.0f32).requires_grad();
        let mut y = x.clone();
        for _ in 0..1_000_000 {
            y = &y + 0.0;
        }
        y.backward();
        assert_eq!(x.grad().unwrap().item::<f32>(), 1.0);
        // Once more, dropped without a backward pass.
        let mut z = x.clone();
        for _ in 0..200_000 {
            z = &z * 1.0;
        }
        drop(z);
        drop(y);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}
