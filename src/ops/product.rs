//! Products over axes: the last of the running products, so that the derivative is right where elements are 0, too.

use super::cumulative::running_product;
use super::movement::narrow;
use super::reduce::{along, gone};
use super::twins;
use crate::error::Result;
use crate::mode::sizes::numel;
use crate::tensor::{Size, Tensor};
use allotrope_ir::Axes;

twins! {
    /// The product of all elements; integers and bools give i64. An empty product is 1.
    fn prod / try_prod(&self) -> Tensor {
        let flat = self.reshape_sizes(&[numel(&self.sizes())])?;
        product(&flat, 0)?.reshape_sizes(&[])
    }

    /// The product over an axis; with `keepdim` it stays with size 1. The gradient is right where elements are 0, too.
    fn prod_dim / try_prod_dim(&self, axis: isize, keepdim: bool) -> Tensor {
        let (x, axis) = along(self, "prod", axis)?;
        let axes: Axes = [axis].into_iter().collect();
        let product = product(&x, axis)?;
        if keepdim && self.dim() > 0 { Ok(product) } else { product.reshape_sizes(&gone(&x.sizes(), &axes)) }
    }
}

/// The product along an axis, which stays with size 1.
fn product(x: &Tensor, axis: usize) -> Result<Tensor> {
    narrow(&running_product(x, axis)?, axis, x.sizes()[axis], Size::from(1))
}
