//! What PyTorch calls the nodes of the tape where that depends on how an operator was called, and whose tensor a gradient is.

use allotrope::ops::{Arg, GradOptions, Index, div, grad_with};
use allotrope::prelude::*;

fn leaf(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| i as f32 * 0.3 - 0.4).collect(), shape).requires_grad()
}

fn name(x: &Tensor) -> String {
    x.try_grad_fn_name().unwrap().unwrap_or_default()
}

fn slice<'a>(start: Option<isize>, end: Option<isize>, step: usize) -> Index<'a> {
    Index::Slice { start, end, step }
}

#[test]
fn clamps_are_named_after_their_bounds() {
    let (x, b) = (leaf(&[2, 3]), Tensor::zeros(&[2, 3], DType::F32));
    assert_eq!(name(&x.clamp_with(Some(Arg::from(0.1)), None)), "ClampBackward1");
    assert_eq!(name(&x.clamp_with(None, Some(Arg::from(&b)))), "ClampBackward0");
    assert_eq!(name(&x.clamp_min(0.1)), "ClampMinBackward0");
    assert_eq!(name(&x.clamp_max(&b)), "ClampMaxBackward1");
    assert!(x.try_clamp_with(None, None).is_err());
    let y = &x * 1.0;
    y.clamp_with_(None, Some(Arg::from(0.1)));
    assert_eq!(name(&y), "ClampBackward1");
}

#[test]
fn whole_slices_are_named_after_what_comes_before() {
    let x = leaf(&[3, 4]);
    let at = |parts: Vec<Index<'_>>| name(&x.index(parts));
    let whole = || slice(None, None, 1);
    assert_eq!(at(vec![whole()]), "AliasBackward0");
    assert_eq!(at(vec![slice(Some(0), Some(5), 1), whole()]), "AliasBackward0");
    assert_eq!(at(vec![slice(Some(-3), None, 1)]), "SliceBackward0");
    assert_eq!(at(vec![Index::At(0), slice(Some(0), Some(4), 1)]), "SelectBackward0");
    assert_eq!(at(vec![slice(None, None, 2)]), "SliceBackward0");
    let y = &x * 1.0;
    y.set(vec![slice(None, Some(3), 1)], 2.0);
    assert_eq!(name(&y), "FillBackward2");
}

#[test]
fn changes_in_place_have_nodes_of_their_own() {
    let x = leaf(&[4]);
    let changed = |change: &dyn Fn(&Tensor)| {
        let y = &x * 0.5;
        change(&y);
        name(&y)
    };
    assert_eq!(
        changed(&|y| {
            y.asinh_();
        }),
        "AsinhBackward1"
    );
    assert_eq!(
        changed(&|y| {
            y.elu_(1.0);
        }),
        "EluBackward1"
    );
    assert_eq!(
        changed(&|y| {
            y.leaky_relu_(0.1);
        }),
        "LeakyReluBackward1"
    );
    let wide = Tensor::ones(&[4], DType::F64).requires_grad();
    assert_eq!(
        changed(&|y| {
            y.pow_(&wide);
        }),
        "PowBackward1"
    );
}

#[test]
fn a_number_over_a_tensor_is_divided_as_it_is_written() {
    let x = Tensor::from_vec(vec![3.0f32], &[1]).requires_grad();
    assert_eq!(name(&div(2.0, &x)), "DivBackward0");
    assert_eq!(name(&(2.0 / &x)), "MulBackward0");
    assert_eq!(div(2.0, &x).to_vec::<f32>(), [2.0f32 / 3.0]);
    assert_eq!((2.0 / &x).to_vec::<f32>(), [(1.0f32 / 3.0) * 2.0]);
}

#[test]
fn gradients_of_gradients_are_named_after_their_derivatives() {
    let x = leaf(&[3]);
    let first = |y: &Tensor| {
        let how = GradOptions { create_graph: true, ..GradOptions::default() };
        let g = grad_with(&[&y.sum()], &[&x], how).unwrap().remove(0).unwrap();
        (name(&g), g.is_requires_grad())
    };
    assert_eq!(first(&x.leaky_relu(0.1)), ("LeakyReluBackwardBackward0".to_string(), true));
    assert_eq!(first(&x.sigmoid()), ("SigmoidBackwardBackward0".to_string(), true));
    assert_eq!(first(&x.log_softmax(0)), ("LogSoftmaxBackwardDataBackward0".to_string(), true));
    assert_eq!(first(&x.exp()), ("MulBackward0".to_string(), true));
    let unused = GradOptions { create_graph: true, materialize_grads: true, ..GradOptions::default() };
    let zeros = grad_with(&[&x.sum()], &[&leaf(&[2])], unused).unwrap().remove(0).unwrap();
    assert!(zeros.is_requires_grad() && zeros.is_leaf());
}

#[test]
fn an_accumulating_scatter_has_no_derivative() {
    let x = leaf(&[3]);
    let index = Tensor::from_vec(vec![0i64, 0], &[2]);
    let y = x.scatter_accumulate(0, &index, 2.0);
    assert_eq!(name(&y), "NotImplemented");
    assert_eq!(
        y.detach().to_vec::<f32>(),
        x.detach().scatter_add(0, &index, &Tensor::full(&[2], 2.0f32)).to_vec::<f32>()
    );
    assert!(y.sum().try_backward().is_err());
}
