//! Sums and means of what is not NaN, and reductions computed in a dtype of the caller's: PyTorch's `dtype=`. Both only put other
//! operations together.

use super::elementwise::{floating, zero_where};
use super::twins;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use allotrope_ir::DType;

fn without_nan(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() { zero_where(&x.detach().try_isnan()?, x) } else { Ok(x.clone()) }
}

twins! {
    /// As [`Tensor::sum_dim`], where a NaN counts as 0.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::from_vec(vec![1.0f32, f32::NAN, 2.0], &[3]).nansum(&[], false).item::<f32>(), 3.0);
    /// ```
    fn nansum / try_nansum(&self, axes: &[isize], keepdim: bool) -> Tensor {
        without_nan(self)?.try_sum_dim(axes, keepdim)
    }

    /// As [`Tensor::mean_dim`] of the elements that are not NaN; NaN where there is none. Floats only.
    fn nanmean / try_nanmean(&self, axes: &[isize], keepdim: bool) -> Tensor {
        floating(self, "nanmean")?;
        let count = self.detach().try_isnan()?.try_logical_not()?.try_sum_dim(axes, keepdim)?;
        without_nan(self)?.try_sum_dim(axes, keepdim)?.try_div(&count)
    }

    /// As [`Tensor::sum_dim`] of the elements as `dtype`, which the result has: PyTorch's `sum(dim, keepdim, dtype=dtype)`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1i32, 2], &[2]);
    /// assert_eq!(x.sum_dtype(&[], false, DType::F64).item::<f64>(), 3.0);
    /// ```
    fn sum_dtype / try_sum_dtype(&self, axes: &[isize], keepdim: bool, dtype: DType) -> Tensor {
        self.try_to(dtype)?.try_sum_dim(axes, keepdim)?.try_to(dtype)
    }

    /// As [`Tensor::mean_dim`] of the elements as `dtype`, a float, which the result has.
    fn mean_dtype / try_mean_dtype(&self, axes: &[isize], keepdim: bool, dtype: DType) -> Tensor {
        if !dtype.is_float() {
            return Err(Error::operands("mean", format!("the dtype must be a float, got {dtype}")));
        }
        self.try_to(dtype)?.try_mean_dim(axes, keepdim)
    }

    /// As [`Tensor::prod`] of all elements as `dtype`, which the result has.
    fn prod_dtype / try_prod_dtype(&self, dtype: DType) -> Tensor {
        self.try_to(dtype)?.try_prod()?.try_to(dtype)
    }

    /// As [`Tensor::prod_dim`] of the elements as `dtype`, which the result has.
    fn prod_dim_dtype / try_prod_dim_dtype(&self, axis: isize, keepdim: bool, dtype: DType) -> Tensor {
        self.try_to(dtype)?.try_prod_dim(axis, keepdim)?.try_to(dtype)
    }

    /// As [`Tensor::cumsum`] of the elements as `dtype`, which the result has.
    fn cumsum_dtype / try_cumsum_dtype(&self, axis: isize, dtype: DType) -> Tensor {
        self.try_to(dtype)?.try_cumsum(axis)?.try_to(dtype)
    }

    /// As [`Tensor::cumprod`] of the elements as `dtype`, which the result has.
    fn cumprod_dtype / try_cumprod_dtype(&self, axis: isize, dtype: DType) -> Tensor {
        self.try_to(dtype)?.try_cumprod(axis)?.try_to(dtype)
    }

    /// As [`Tensor::nansum`] of the elements as `dtype`, which the result has.
    fn nansum_dtype / try_nansum_dtype(&self, axes: &[isize], keepdim: bool, dtype: DType) -> Tensor {
        self.try_to(dtype)?.try_nansum(axes, keepdim)?.try_to(dtype)
    }
}
