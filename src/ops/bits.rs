//! The bits of elements read as those of another dtype. It is done on the host, and no trace can hold it.

use super::twins;
use crate::backend::FromElement;
use crate::error::{Error, Result};
use crate::mode::values::no_host_read;
use crate::tensor::{Tensor, eval};
use allotrope_ir::DType;
use half::{bf16, f16};
use std::panic::Location;

fn size_of(dtype: DType) -> usize {
    match dtype {
        DType::Bool | DType::U8 => 1,
        DType::F16 | DType::BF16 => 2,
        DType::I32 | DType::F32 => 4,
        DType::I64 | DType::F64 => 8,
    }
}

/// The bytes of all elements in row-major order.
fn bytes(x: &Tensor) -> Result<Vec<u8>> {
    fn of<T: FromElement, const N: usize>(x: &Tensor, bytes: impl Fn(T) -> [u8; N]) -> Result<Vec<u8>> {
        Ok(eval::elements::<T>(x)?.into_iter().flat_map(bytes).collect())
    }
    match x.dtype() {
        DType::Bool => of(x, |v: bool| [u8::from(v)]),
        DType::U8 => of(x, |v: u8| [v]),
        DType::F16 => of(x, f16::to_ne_bytes),
        DType::BF16 => of(x, bf16::to_ne_bytes),
        DType::I32 => of(x, i32::to_ne_bytes),
        DType::F32 => of(x, f32::to_ne_bytes),
        DType::I64 => of(x, i64::to_ne_bytes),
        DType::F64 => of(x, f64::to_ne_bytes),
    }
}

fn tensor(bytes: &[u8], dtype: DType, shape: &[usize]) -> Result<Tensor> {
    fn of<T, const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|&b| f(b)).collect()
    }
    match dtype {
        DType::Bool => Tensor::try_from_vec(of(bytes, |[v]: [u8; 1]| v != 0), shape),
        DType::U8 => Tensor::try_from_vec(bytes.to_vec(), shape),
        DType::F16 => Tensor::try_from_vec(of(bytes, f16::from_ne_bytes), shape),
        DType::BF16 => Tensor::try_from_vec(of(bytes, bf16::from_ne_bytes), shape),
        DType::I32 => Tensor::try_from_vec(of(bytes, i32::from_ne_bytes), shape),
        DType::F32 => Tensor::try_from_vec(of(bytes, f32::from_ne_bytes), shape),
        DType::I64 => Tensor::try_from_vec(of(bytes, i64::from_ne_bytes), shape),
        DType::F64 => Tensor::try_from_vec(of(bytes, f64::from_ne_bytes), shape),
    }
}

twins! {
    /// The bits of the elements read as elements of `dtype`, PyTorch's `view(dtype)`, but in memory of its own. Where elements of that
    /// are smaller, the last axis has as many times more of them; where they are larger, it has fewer, and must be divisible. No
    /// gradient flows. Eager only: an error in a trace.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, -0.0], &[2]);
    /// assert_eq!(x.view_dtype(DType::I32).to_vec::<i32>(), [0x3f80_0000, i32::MIN]);
    /// ```
    fn view_dtype / try_view_dtype(&self, dtype: DType) -> Tensor {
        no_host_read("view_dtype()", Location::caller())?;
        let (from, to) = (size_of(self.dtype()), size_of(dtype));
        let mut shape = self.shape_hint().to_vec();
        match shape.last_mut() {
            None if from != to => {
                let (own, given) = (self.dtype(), dtype);
                let text = format!("a tensor of {own} without axes cannot be seen as {given}, whose elements have another size");
                return Err(Error::operands("view_dtype", text));
            }
            None => {}
            Some(n) if *n * from % to == 0 => *n = *n * from / to,
            Some(n) => {
                let text = format!("{n} elements of {} in the last axis are no whole number of {dtype}", self.dtype());
                return Err(Error::operands("view_dtype", text));
            }
        }
        tensor(&bytes(self)?, dtype, &shape)?.try_to_device(self.device())
    }
}
