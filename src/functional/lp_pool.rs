//! Power-average pooling: the p-norm of each window, composed of an average as PyTorch composes it.

use super::pool::{AvgPoolOptions, try_avg_pool1d, try_avg_pool2d, try_avg_pool3d};
use crate::error::{Error, Result};
use crate::ops::twin_fns;
use crate::tensor::Tensor;

/// Windows of `N` axes; none means a stride of the size of a window.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct LpPoolOptions<const N: usize> {
    pub stride: Option<[usize; N]>,
    /// A window at the end that lies partly outside counts too.
    pub ceil_mode: bool,
}

twin_fns! {
    /// `(Σ x^p)^(1/p)` of each window: `[n, c, l] -> [n, c, l']`. The axis of the batch may be missing. A sum below 0, of an odd p,
    /// gives 0, as in PyTorch; so do its gradients, which are NaN where the sum is 0.
    ///
    /// ```
    /// use allotrope::functional::{LpPoolOptions, lp_pool1d};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![3.0f32, 4.0], &[1, 1, 2]);
    /// assert_eq!(lp_pool1d(&x, 2.0, [2], LpPoolOptions::default()).to_vec::<f32>(), [5.0]);
    /// ```
    fn lp_pool1d / try_lp_pool1d(input: &Tensor, norm_type: f64, kernel: [usize; 1], options: LpPoolOptions<1>) -> Tensor {
        norms("lp_pool1d", input, norm_type, kernel, options, |x, options| try_avg_pool1d(x, kernel, options))
    }

    /// As [`lp_pool1d`], over two axes.
    fn lp_pool2d / try_lp_pool2d(input: &Tensor, norm_type: f64, kernel: [usize; 2], options: LpPoolOptions<2>) -> Tensor {
        norms("lp_pool2d", input, norm_type, kernel, options, |x, options| try_avg_pool2d(x, kernel, options))
    }

    /// As [`lp_pool1d`], over three axes.
    fn lp_pool3d / try_lp_pool3d(input: &Tensor, norm_type: f64, kernel: [usize; 3], options: LpPoolOptions<3>) -> Tensor {
        norms("lp_pool3d", input, norm_type, kernel, options, |x, options| try_avg_pool3d(x, kernel, options))
    }
}

fn norms<const N: usize>(
    op: &'static str,
    x: &Tensor,
    p: f64,
    kernel: [usize; N],
    options: LpPoolOptions<N>,
    average: impl FnOnce(&Tensor, AvgPoolOptions<N>) -> Result<Tensor>,
) -> Result<Tensor> {
    if p == 0.0 || p.is_nan() {
        return Err(Error::operands(op, format!("norm_type must be a number other than 0, got {p}")));
    }
    let LpPoolOptions { stride, ceil_mode } = options;
    let mean = average(&x.try_pow(p)?, AvgPoolOptions { stride, ceil_mode, ..AvgPoolOptions::default() })?;
    let elements = kernel.iter().fold(1.0, |n, &k| n * k as f64);
    mean.try_sign()?.try_mul(&mean.try_abs()?.try_relu()?)?.try_mul(elements)?.try_pow(1.0 / p)
}
