//! Tensors beside the arrays of the `ndarray` crate, as PyTorch's tutorials begin with NumPy: conversion both ways, the same
//! mathematics on both sides; then what arrays do not have: views without copies, PyTorch's random streams, errors as values.
//!
//! `cargo run --release --example tensors` prints
//!
//! ```text
//! array
//! [[0, 1, 2],
//!  [3, 4, 5]]
//! tensor
//! tensor([[0., 1., 2.],
//!         [3., 4., 5.]])
//! back again: true
//! largest sum of a column: 7
//!
//! abs    [1, 2, 1, 4]    tensor([1., 2., 1., 4.])
//! sin    [-0.8415, -0.9093, 0.8415, -0.7568]    tensor([-0.8415, -0.9093,  0.8415, -0.7568])
//! mean   0.5    tensor(0.5000)
//! matmul
//! [[7, 10],
//!  [15, 22]]
//! tensor([[ 7., 10.],
//!         [15., 22.]])
//!
//! [2, 3], transposed [3, 2] with strides [1, 3]
//! tensor([[-1.,  1.,  2.],
//!         [-1.,  4.,  5.]])
//! tensor([[-1.6667,  0.3333,  1.3333],
//!         [-3.6667,  1.3333,  2.3333]])
//! tensor([0.7576, 0.2793])
//! add: cannot broadcast [2, 3] with [4]: aligned at the right, axis 1 is 3 and 4; reshape one operand or make that axis 1
//! ```

use allotrope::prelude::*;
use ndarray::{Array1, Array2, array};

fn main() -> Result<(), Error> {
    // torch.from_numpy and Tensor.numpy(): an array becomes a tensor where it is, and a tensor is copied into an array.
    let a: Array2<f32> = array![[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]];
    let x = Tensor::from_ndarray(a.clone());
    let back: Array2<f32> = (&x).try_into()?;
    println!("array\n{a}\ntensor\n{x}\nback again: {}", back == a);

    // Without any copy: the elements are seen where they are, here through a view with other strides.
    let largest_column_sum = x.t().with_ndarray(|v| v.sum_axis(ndarray::Axis(1)).fold(0.0f32, |a, b| a.max(*b)));
    println!("largest sum of a column: {largest_column_sum}\n");

    // abs, sin, mean: an array takes functions of numbers, a tensor has them as methods.
    let a: Array1<f32> = array![-1.0, -2.0, 1.0, 4.0];
    let x = Tensor::from_vec(vec![-1.0f32, -2.0, 1.0, 4.0], &[4]);
    println!("abs    {}    {}", a.mapv(f32::abs), x.abs());
    println!("sin    {:.4}    {:.4}", a.mapv(f32::sin), x.sin());
    println!("mean   {}    {}", a.mean().expect("it has elements"), x.mean());

    // The product of matrices.
    let a: Array2<f32> = array![[1.0, 2.0], [3.0, 4.0]];
    let x = Tensor::from_ndarray(a.clone());
    println!("matmul\n{}\n{}\n", a.dot(&a), x.matmul(&x));

    // A view shares the elements, so a change of one is seen in the other.
    let x = Tensor::arange(6).to(DType::F32).reshape(&[2, 3]);
    let transposed = x.t();
    println!("{:?}, transposed {:?} with strides {:?}", x.shape(), transposed.shape(), transposed.strides());
    transposed.select(0, 0).fill_(-1.0);
    println!("{x}");

    // [2, 3] and [2, 1] broadcast to [2, 3], as in NumPy and PyTorch.
    println!("{}", &x - x.mean_dim(&[1], true));

    // torch.manual_seed(1); torch.rand(2) gives these numbers.
    manual_seed(1);
    println!("{}", rand(&[2]));

    // A wrong shape panics at its line with this text; the twin `try_add` returns it.
    if let Err(error) = x.try_add(&Tensor::ones(&[4], DType::F32)) {
        println!("{error}");
    }
    Ok(())
}
