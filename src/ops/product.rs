//! The product of all elements or of those along an axis: the last element of the running product, which is where its
//! derivative comes from.

use super::cumulative::product;
use super::reduce::{along, without_axes};
use super::single_node::{Keeps, single};
use super::twins;
use crate::mode::sizes::numel;
use crate::tensor::Tensor;
use allotrope_ir::Axes;

const KEEPS: [Keeps; 2] = [Keeps::Operand(0), Keeps::Result(0)];

twins! {
    /// The product of all elements; integers and bools give i64. An empty product is 1.
    fn prod / try_prod(&self) -> Tensor {
        single("ProdBackward0", &[self], &KEEPS, |x| {
            let flat = x[0].reshape_sizes(&[numel(&x[0].sizes())])?;
            product(&flat, 0)?.reshape_sizes(&[])
        })
    }

    /// The product over an axis; with `keepdim` it stays with size 1. The gradient is right where elements are 0, too.
    fn prod_dim / try_prod_dim(&self, axis: isize, keepdim: bool) -> Tensor {
        single("ProdBackward1", &[self], &KEEPS, |x| {
            let (x, axis) = along(&x[0], "prod", axis)?;
            let axes: Axes = [axis].into_iter().collect();
            let product = product(&x, axis)?;
            if keepdim && self.dim() > 0 { Ok(product) } else { product.reshape_sizes(&without_axes(&x.sizes(), &axes)) }
        })
    }
}
