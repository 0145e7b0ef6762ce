//! Exchange with `ndarray`: every layout, both ways, and the same elements after an operation.

use allotrope::prelude::*;
use ndarray::{Array, Array1, Array2, Array3, ArrayD, Axis, Dimension, Ix2, IxDyn, ShapeBuilder, arr0, s};

fn ramp(shape: &[usize]) -> ArrayD<f32> {
    let n = shape.iter().product::<usize>();
    ArrayD::from_shape_vec(IxDyn(shape), (0..n).map(|i| i as f32).collect()).unwrap()
}

/// The tensor has the array's elements where they were, shows them, and computes with them.
#[track_caller]
fn round_trip<D: Dimension>(array: Array<f32, D>) {
    let want: ArrayD<f32> = array.clone().into_dyn();
    let (at, strides) = (array.as_ptr(), array.strides().to_vec());
    let x = Tensor::from_ndarray(array);
    assert_eq!(x.shape(), want.shape());
    assert_eq!(x.dtype(), DType::F32);
    assert_eq!(x.to_vec::<f32>(), want.iter().copied().collect::<Vec<_>>());
    assert_eq!(x.to_ndarray::<f32>(), want);
    x.with_ndarray(|view| {
        assert_eq!(view, want);
        if !want.is_empty() {
            assert_eq!(view.as_ptr(), at, "no element was moved");
            assert_eq!(view.strides(), strides);
        }
    });
    assert_eq!((&x + 1.0).to_ndarray::<f32>(), &want + 1.0);
    assert_eq!(x.sum().item::<f32>(), want.sum());
    assert_eq!(x.flatten(0, -1).to_vec::<f32>(), want.iter().copied().collect::<Vec<_>>());
    assert_eq!(x.contiguous().to_ndarray::<f32>(), want);
    // Changed in place, where the elements are.
    x.mul_(2.0);
    assert_eq!(x.to_ndarray::<f32>(), &want * 2.0);
}

#[test]
fn arrays_of_any_layout_become_tensors() {
    round_trip(ramp(&[2, 3, 4]));
    round_trip(ramp(&[7]));
    round_trip(arr0(3.0f32));
    for shape in [&[0][..], &[2, 0, 3], &[0, 0], &[1, 1]] {
        round_trip(ramp(shape));
    }
    round_trip(Array2::from_shape_vec((3, 4).f(), (0..12).map(|i| i as f32).collect()).unwrap());
    round_trip(ramp(&[2, 3, 4]).permuted_axes(IxDyn(&[2, 0, 1])));
    let mut reversed = ramp(&[3, 4, 2]);
    reversed.invert_axis(Axis(0));
    round_trip(reversed.clone());
    reversed.invert_axis(Axis(2));
    round_trip(reversed.clone());
    round_trip(reversed.reversed_axes());
    let cube = Array3::from_shape_fn((5, 6, 7), |(i, j, k)| (100 * i + 10 * j + k) as f32);
    round_trip(cube.clone().slice_move(s![1..4, ..;2, 3..]));
    round_trip(cube.clone().slice_move(s![..;-2, 1..;-3, 2]));
    round_trip(cube.clone().slice_move(s![4..;-1, 0..0, ..]));
    round_trip(cube.slice_move(s![2, 3, 4]));
    round_trip(Array1::<f32>::default(0));
    // Capacity for more elements than there are.
    let mut vec = Vec::with_capacity(100);
    vec.extend([1.0, 2.0, 3.0]);
    round_trip(Array1::from_vec(vec));
}

#[test]
fn every_dtype_goes_both_ways() {
    fn check<T: allotrope::tensor::FromElement>(elements: Vec<T>) {
        let a = Array1::from_vec(elements);
        let x = Tensor::from_ndarray(a.clone());
        assert_eq!(x.dtype(), T::DTYPE);
        assert_eq!(Array1::<T>::try_from(&x).unwrap(), a);
        // Not the elements that were given up: theirs are made anew.
        assert_eq!(Tensor::try_from(a.view()).unwrap().to_vec::<T>(), a.to_vec());
    }
    check(vec![1.0f32, -2.5]);
    check(vec![1e300f64, 2.0, 3.0]);
    check(vec![i64::MIN, 7]);
    check(vec![true, false, true]);
}

#[test]
fn views_of_tensors_are_seen_without_copying() {
    let x = Tensor::arange(24).reshape(&[2, 3, 4]);
    let views = [
        x.clone(),
        x.permute(&[2, 0, 1]),
        x.narrow(1, 1, 2),
        x.narrow(2, 3, 1),
        x.narrow(0, 1, 1).expand(&[5, 3, 4]),
        x.unsqueeze(0).expand(&[2, 2, 3, 4]),
        x.narrow(1, 2, 0),
        x.flatten(0, -1).narrow(0, 5, 1).reshape(&[]),
    ];
    for view in views {
        let copy = view.to_ndarray::<i64>();
        assert_eq!(copy.iter().copied().collect::<Vec<_>>(), view.to_vec::<i64>());
        let guard = view.ndarray::<i64>();
        assert_eq!(guard.view(), copy);
        assert!(guard.view().is_empty() || guard.view().strides() == &view.strides()[..]);
        // Reading beside it is fine.
        assert_eq!(view.to_ndarray::<i64>(), copy);
    }
}

#[test]
fn a_reversed_array_trains_and_traces() {
    let mut a = ramp(&[4, 3]);
    a.invert_axis(Axis(0));
    let x = Tensor::from_ndarray(a).requires_grad();
    let weight = Tensor::full(&[3, 2], 0.5f32);
    let loss = |x: &Tensor| (x.matmul(&weight) * x.narrow(1, 0, 2)).sum();
    loss(&x).backward();
    let eager = x.grad().unwrap();
    x.set_grad(None);
    let traced = trace(|x: &Tensor| {
        loss(x).backward();
    });
    traced.call(&x).unwrap();
    assert_eq!(x.grad().unwrap().to_ndarray::<f32>(), eager.to_ndarray::<f32>());
    assert_eq!(x.matmul(&weight).shape(), [4, 2]);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x = Tensor::ones(&[2, 3], DType::F32);
    let said = |e: Error| e.to_string();
    assert_eq!(said(x.try_to_ndarray::<f64>().unwrap_err()), "to_ndarray(): the tensor is f32, asked for as f64");
    assert!(x.try_ndarray::<i64>().is_err());
    assert!(x.try_with_ndarray(|_: ndarray::ArrayViewD<'_, bool>| ()).is_err());
    assert_eq!(
        said(Array1::<f32>::try_from(&x).unwrap_err()),
        "to_ndarray: a tensor of shape [2, 3] is no array of 1 axes; use ArrayD or reshape it"
    );
    assert_eq!(Array::<f32, Ix2>::try_from(&x).unwrap(), Array2::<f32>::ones((2, 3)));
    assert_eq!(ArrayD::<f32>::try_from(&x).unwrap().shape(), [2, 3]);
}

#[test]
fn inside_a_trace_there_are_no_elements() {
    type Ask = fn(&Tensor) -> allotrope::Result<()>;
    let asked: [(&str, Ask); 3] = [
        ("to_ndarray()", |x| x.try_to_ndarray::<f32>().map(drop)),
        ("ndarray()", |x| x.try_ndarray::<f32>().map(drop)),
        ("an array", |_| Tensor::try_from_ndarray(Array1::from_vec(vec![1.0f32])).map(drop)),
    ];
    for (what, ask) in asked {
        // Whatever the closure does with the error.
        let f = trace(|x: &Tensor| {
            assert!(ask(x).is_err());
            x + 1.0
        });
        let said = f.call(&Tensor::ones(&[2], DType::F32)).unwrap_err().to_string();
        assert!(said.starts_with("trace: ") && said.contains(what) && said.contains("ndarray.rs"), "{said}");
    }
}
