//! In-place operations on tensors and views: every other view sees them, gradients follow them, in both modes.
//! The numbers are PyTorch's.

use crate::common::{assert_all_same, copy, draw};
use allotrope::prelude::*;

/// Runs eagerly, twice, and as a trace, twice; results have equal bits. Gives the results of the first call.
fn both(x: &Tensor, mut f: impl FnMut(&Tensor) -> Vec<Tensor>) -> Vec<Tensor> {
    let eager = f(x);
    let traced = trace(&mut f);
    for call in ["first", "second"] {
        let got = traced.call(x).unwrap_or_else(|e| panic!("{call} call: {e}"));
        assert_all_same(call, &got, &eager);
    }
    eager
}

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| i as f32 + 1.0).collect(), shape)
}

/// The gradient of the weighted sum of `y` by `x`.
fn gradient(y: &Tensor, x: &Tensor) -> Tensor {
    let weights =
        Tensor::arange(y.numel()).to(DType::F32).reshape(&y.shape().iter().map(|n| *n as isize).collect::<Vec<_>>());
    let sum = (y * &weights).sum();
    // A change of a part frees what it keeps, as in PyTorch.
    let how = GradOptions { retain_graph: true, ..Default::default() };
    grad_with(&[&sum], &[x], how).unwrap()[0].clone().expect("y depends on x")
}

#[test]
fn a_part_is_changed_and_the_whole_sees_it() {
    let a = ramp(&[2, 3]).requires_grad();
    let got = both(&a, |a| {
        let x = a * 1.0;
        x.select(0, 0).mul_(2.0);
        vec![x.detach(), gradient(&x, a)]
    });
    assert_eq!(got[0].to_vec::<f32>(), [2.0, 4.0, 6.0, 4.0, 5.0, 6.0]);
    assert_eq!(got[1].to_vec::<f32>(), [0.0, 2.0, 4.0, 3.0, 4.0, 5.0]);
}

#[test]
fn the_whole_is_changed_and_older_parts_see_it() {
    let a = ramp(&[2, 3]).requires_grad();
    let got = both(&a, |a| {
        let x = a * 1.0;
        let part = x.t().narrow(0, 1, 2);
        x.mul_(3.0);
        assert!(part.is_requires_grad());
        vec![part.detach().contiguous(), gradient(&part, a)]
    });
    assert_eq!(got[0].to_vec::<f32>(), [6.0, 15.0, 9.0, 18.0]);
    assert_eq!(got[1].to_vec::<f32>(), [0.0, 0.0, 6.0, 0.0, 3.0, 9.0]);
}

#[test]
fn a_part_of_a_part_takes_another_tensor() {
    let a = ramp(&[3, 4]).requires_grad();
    let got = both(&a, |a| {
        let x = a * 1.0;
        let y = a.select(1, 0) * 10.0;
        let column = x.narrow(0, 1, 2).t().select(0, 2);
        column.copy_(&y.narrow(0, 0, 2));
        let sibling = x.reshape(&[12]).narrow(0, 4, 4);
        vec![x.detach(), sibling.detach() * 1.0, gradient(&x, a), gradient(&column, a)]
    });
    assert_eq!(got[0].to_vec::<f32>(), [1., 2., 3., 4., 5., 6., 10., 8., 9., 10., 50., 12.]);
    assert_eq!(got[1].to_vec::<f32>(), [5., 6., 10., 8.]);
    assert_eq!(got[2].to_vec::<f32>(), [60., 1., 2., 3., 104., 5., 0., 7., 8., 9., 0., 11.]);
    assert_eq!(got[3].to_vec::<f32>(), [0., 0., 0., 0., 10., 0., 0., 0., 0., 0., 0., 0.]);
}

#[test]
fn a_constant_becomes_a_function() {
    let a = ramp(&[2]).requires_grad();
    let got = both(&a, |a| {
        let x = Tensor::zeros(&[2, 2], DType::F32);
        let (first, second) = (x.select(0, 0), x.select(0, 1));
        first.add_(a);
        // A sibling of what was changed has a history now, too.
        assert!(x.is_requires_grad() && second.is_requires_grad());
        vec![x.detach(), gradient(&x, a)]
    });
    assert_eq!(got[0].to_vec::<f32>(), [1.0, 2.0, 0.0, 0.0]);
    assert_eq!(got[1].to_vec::<f32>(), [0.0, 1.0]);
}

#[test]
fn constants_over_a_function_have_the_gradient_zero() {
    let a = ramp(&[2, 2]).requires_grad();
    let got = both(&a, |a| {
        let x = a * 2.0;
        x.select(1, 1).fill_(7.0);
        let whole = a * 3.0;
        whole.zero_();
        assert!(whole.is_requires_grad());
        vec![x.detach(), gradient(&x, a), gradient(&whole, a)]
    });
    assert_eq!(got[0].to_vec::<f32>(), [2.0, 7.0, 6.0, 7.0]);
    assert_eq!(got[1].to_vec::<f32>(), [0.0, 0.0, 4.0, 0.0]);
    assert_eq!(got[2].to_vec::<f32>(), [0.0; 4]);
}

#[test]
fn detached_handles_see_the_elements_and_not_the_history() {
    let a = ramp(&[3]).requires_grad();
    let got = both(&a, |a| {
        let x = a * 1.0;
        let d = x.detach();
        x.add_(1.0);
        d.narrow(0, 0, 1).mul_(10.0);
        vec![d.detach() * 1.0, x.detach() * 1.0, gradient(&x, a)]
    });
    assert_eq!(got[0].to_vec::<f32>(), [20.0, 3.0, 4.0]);
    assert_eq!(got[1].to_vec::<f32>(), [20.0, 3.0, 4.0]);
    assert_eq!(got[2].to_vec::<f32>(), [0.0, 1.0, 2.0]);
}

#[test]
fn second_derivatives_go_through_changed_parts() {
    let a = draw(3, &[4]).to(DType::F64).requires_grad();
    let run = |a: &Tensor| -> Vec<Tensor> {
        let x = a * a;
        x.narrow(0, 1, 2).mul_(&a.narrow(0, 0, 2));
        let y = (&x * &x).sum();
        let first = grad(&[&y], &[a], true).unwrap()[0].clone().unwrap();
        let second = grad(&[&first.sum()], &[a], false).unwrap()[0].clone().unwrap();
        vec![first.detach(), second]
    };
    let got = both(&a, run);
    // y = a0⁴ + a1⁴ a0² + a2⁴ a1² + a3⁴
    let v = a.to_vec::<f64>();
    let first = [
        4.0 * v[0].powi(3) + 2.0 * v[0] * v[1].powi(4),
        4.0 * v[1].powi(3) * v[0] * v[0] + 2.0 * v[1] * v[2].powi(4),
        4.0 * v[2].powi(3) * v[1] * v[1],
        4.0 * v[3].powi(3),
    ];
    for (g, w) in got[0].to_vec::<f64>().iter().zip(first) {
        assert!((g - w).abs() < 1e-12 * w.abs().max(1.0), "{g} against {w}");
    }
    let second_0 = 12.0 * v[0].powi(2) + 2.0 * v[1].powi(4) + 8.0 * v[0] * v[1].powi(3);
    assert!((got[1].to_vec::<f64>()[0] - second_0).abs() < 1e-12);
}

#[test]
fn parts_of_a_tensor_from_outside_are_kept() {
    let run = |traced: bool| {
        let buffer = Tensor::zeros(&[3, 2], DType::F32);
        let outside = buffer.select(0, 2);
        let mut step = |x: &Tensor| {
            buffer.narrow(0, 0, 1).reshape(&[2]).copy_(x);
            buffer.select(0, 1).add_(x);
            outside.mul_(x).add_(1.0);
            &buffer * 1.0
        };
        let calls = [ramp(&[2]), ramp(&[2]) * 3.0, draw(1, &[2])];
        let mut results: Vec<Tensor> = Vec::new();
        if traced {
            let step = trace(step);
            results.extend(calls.iter().map(|x| step.call(x).unwrap()));
        } else {
            results.extend(calls.iter().map(&mut step));
        }
        results.push(copy(&buffer));
        results.push(copy(&outside));
        results
    };
    assert_all_same("a buffer", &run(true), &run(false));
}

#[test]
fn what_cannot_be_changed_is_said() {
    let refused = |what: &str, f: &dyn Fn(&Tensor) -> allotrope::Result<()>| {
        let x = ramp(&[3]).requires_grad();
        let text = f(&x).unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
        let text = trace(|x: &Tensor| {
            if let Err(e) = f(x) {
                panic!("{e}");
            }
        })
        .call(&x)
        .unwrap_err()
        .to_string();
        assert!(text.contains(what), "traced: {text}");
    };
    refused("share memory", &|x| (x * 1.0).expand(&[2, 3]).try_add_(1.0).map(|_| ()));
    refused("view of a leaf", &|x| x.narrow(0, 0, 2).try_add_(1.0).map(|_| ()));
    refused("changed in place", &|x| {
        let y = (x * 1.0).exp();
        y.narrow(0, 1, 1).add_(1.0);
        y.sum().try_backward()
    });
}

#[test]
fn arguments_are_changed_where_they_are() {
    let run = |traced: bool| {
        let step = |x: &Tensor, y: &Tensor| {
            x.narrow(0, 0, 1).mul_(y);
            x.t().add_(1.0);
            (x.clone(), x * 2.0)
        };
        let whole = ramp(&[2, 4]);
        let mut out = Vec::new();
        let traced_step = trace(step);
        for x in [ramp(&[3, 2]), ramp(&[1, 2]), whole.narrow(1, 1, 2)] {
            let y = ramp(&[2]);
            let (same, double) = if traced { traced_step.call((&x, &y)).unwrap() } else { step(&x, &y) };
            assert!(same.is_same(&x));
            out.extend([copy(&x), double]);
        }
        out.push(whole);
        out
    };
    assert_all_same("arguments", &run(true), &run(false));
}

#[test]
fn what_eager_code_copies_is_a_copy_in_a_trace_too() {
    let a = ramp(&[2, 3]);
    let got = both(&a, |a| {
        let x = a * 1.0;
        // A transposed matrix has no flat view: these are copies, and x stays as it is.
        x.t().reshape(&[6]).add_(100.0);
        x.t().contiguous().mul_(100.0);
        // These are views.
        x.reshape(&[6]).narrow(0, 0, 1).add_(10.0);
        x.contiguous().narrow(0, 1, 1).add_(20.0);
        x.t().t().contiguous().select(1, 2).neg_();
        vec![x]
    });
    assert_eq!(got[0].to_vec::<f32>(), [11.0, 2.0, -3.0, 24.0, 25.0, -26.0]);
    // The layout of an argument counts as well.
    let run = |traced: bool| {
        let whole = ramp(&[3, 2]);
        let x = whole.t();
        let step = |x: &Tensor| drop(x.reshape(&[-1]).add_(1.0).detach());
        if traced {
            let step = trace(step);
            step.call(&x).unwrap();
            step.call(&x).unwrap();
        } else {
            step(&x);
            step(&x);
        }
        vec![whole]
    };
    assert_all_same("a permuted argument", &run(true), &run(false));
}

#[test]
fn what_a_loop_is_given_is_not_its_to_change() {
    let x = ramp(&[3, 2]);
    let carry = |x: &Tensor| scan(x.select(0, 0), x.clone(), |h, x| (h.mul_(2.0) + &x, x)).0;
    let element = |x: &Tensor| scan(Tensor::zeros(&[2], DType::F32), x.clone(), |h, x| (&h + x.mul_(2.0), h)).0;
    let say = |r: std::thread::Result<Tensor>| *r.unwrap_err().downcast::<String>().unwrap();
    for (f, what) in [(&carry as &dyn Fn(&Tensor) -> Tensor, "carry 0"), (&element, "element of input 0")] {
        let text = say(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&copy(&x)))));
        assert!(text.contains(what) && text.contains("in place"), "{text}");
        let text = trace(|x: &Tensor| f(x)).call(&x).unwrap_err().to_string();
        assert!(text.contains(what) && text.contains("in place"), "{text}");
    }
}
