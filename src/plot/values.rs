//! Where the numbers of a plot come from: tensors, slices, vectors, ranges.

use crate::error::Result;
use crate::tensor::Tensor;
use allotrope_ir::DType;
use std::ops::Range;

/// Numbers to draw, in order.
pub trait Values {
    /// All of them as f64; a tensor in row-major order.
    ///
    /// # Errors
    /// When they are a value of a trace that is being recorded.
    fn values(self) -> Result<Vec<f64>>;
}

impl Values for &Tensor {
    fn values(self) -> Result<Vec<f64>> {
        self.detach().try_to(DType::F64)?.try_to_vec()
    }
}

impl Values for Range<usize> {
    fn values(self) -> Result<Vec<f64>> {
        Ok(self.map(|i| i as f64).collect())
    }
}

macro_rules! numbers {
    ($($ty:ty)*) => {$(
        impl Values for &[$ty] {
            fn values(self) -> Result<Vec<f64>> {
                Ok(self.iter().map(|&x| x as f64).collect())
            }
        }
        impl Values for &Vec<$ty> {
            fn values(self) -> Result<Vec<f64>> {
                self.as_slice().values()
            }
        }
        impl Values for Vec<$ty> {
            fn values(self) -> Result<Vec<f64>> {
                self.as_slice().values()
            }
        }
        impl<const N: usize> Values for &[$ty; N] {
            fn values(self) -> Result<Vec<f64>> {
                self.as_slice().values()
            }
        }
        impl<const N: usize> Values for [$ty; N] {
            fn values(self) -> Result<Vec<f64>> {
                self.as_slice().values()
            }
        }
    )*};
}
numbers!(f32 f64 i32 i64 u8 u32 usize);
