//! Max pooling turned round: each maximum goes back to its place, and everything else is 0.

use super::common::{can_exist, numbers, with_batch, without_batch};
use crate::device;
use crate::error::{Error, Result};
use crate::mode::sizes::numel;
use crate::mode::values::full_of;
use crate::ops::twin_fns;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::Scalar;

/// What the maxima were taken with, and how large the result is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MaxUnpoolOptions<const N: usize> {
    /// None means the size of a window.
    pub stride: Option<[usize; N]>,
    pub padding: [usize; N],
    /// None means `(l - 1) stride - 2 padding + kernel` for `l` maxima; several sizes may have as many.
    pub output_size: Option<[usize; N]>,
}

impl<const N: usize> Default for MaxUnpoolOptions<N> {
    fn default() -> Self {
        MaxUnpoolOptions { stride: None, padding: [0; N], output_size: None }
    }
}

twin_fns! {
    /// The maxima of [`max_pool1d_with_indices`](super::max_pool1d_with_indices) at their places, and 0 elsewhere:
    /// `[n, c, l'] -> [n, c, l]`. The axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::functional::{MaxUnpoolOptions, max_pool1d_with_indices, max_unpool1d};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 3.0, 7.0, 5.0], &[1, 1, 4]);
    /// let (y, places) = max_pool1d_with_indices(&x, [2], MaxPoolOptions::default());
    /// let back = max_unpool1d(&y, &places, [2], MaxUnpoolOptions::default());
    /// assert_eq!(back.to_vec::<f32>(), [0.0, 3.0, 7.0, 0.0]);
    /// ```
    fn max_unpool1d / try_max_unpool1d(
        input: &Tensor, indices: &Tensor, kernel: [usize; 1], options: MaxUnpoolOptions<1>,
    ) -> Tensor {
        put_back("max_unpool1d", input, indices, kernel, options)
    }

    /// As [`max_unpool1d`], over two axes.
    fn max_unpool2d / try_max_unpool2d(
        input: &Tensor, indices: &Tensor, kernel: [usize; 2], options: MaxUnpoolOptions<2>,
    ) -> Tensor {
        put_back("max_unpool2d", input, indices, kernel, options)
    }

    /// As [`max_unpool1d`], over three axes.
    fn max_unpool3d / try_max_unpool3d(
        input: &Tensor, indices: &Tensor, kernel: [usize; 3], options: MaxUnpoolOptions<3>,
    ) -> Tensor {
        put_back("max_unpool3d", input, indices, kernel, options)
    }
}

fn put_back<const N: usize>(
    op: &'static str,
    input: &Tensor,
    indices: &Tensor,
    kernel: [usize; N],
    options: MaxUnpoolOptions<N>,
) -> Result<Tensor> {
    if !input.same_shape(indices) || !indices.dtype().is_integer() {
        return Err(Error::operands(
            op,
            format!(
                "the indices must be integers of the shape {:?} of the input, got {}{:?}",
                input.shape_hint(),
                indices.dtype(),
                indices.shape_hint()
            ),
        ));
    }
    let (x, added) = with_batch(op, input, N + 2)?;
    let own = x.sizes();
    let (stride, padding) = (options.stride.unwrap_or(kernel), options.padding);
    let from = numbers(&own[2..], "unpooling says how large the result is");
    let mut out = [0; N];
    for i in 0..N {
        let least = from[i].saturating_sub(1).saturating_mul(stride[i]).saturating_add(kernel[i]);
        let Some(usual) = least.checked_sub(padding[i].saturating_mul(2)) else {
            return Err(Error::operands(
                op,
                format!("padding {padding:?} cuts off more than the {least} elements of axis {i}"),
            ));
        };
        out[i] = options.output_size.map_or(usual, |size| size[i]);
        // As PyTorch's: a size that pooling with this stride could have begun with.
        let (least, most) = (usual as i128 - stride[i] as i128, usual as i128 + stride[i] as i128);
        if out[i] as i128 <= least || out[i] as i128 >= most {
            return Err(Error::operands(
                op,
                format!("output_size {out:?}: axis {i} must be more than {least} and less than {most}"),
            ));
        }
    }
    can_exist(&x, 2, &out)?;
    let _entered = device::enter(x.device());
    let lead = [own[0], own[1]];
    let all = out.iter().product::<usize>();
    let flat = |t: &Tensor| t.reshape_sizes(&[lead[0], lead[1], numel(&own[2..])]);
    let places = if added { indices.try_unsqueeze(0)? } else { indices.clone() };
    let nothing = full_of(&[lead[0], lead[1], Size::from(all)], Scalar::from_f64(0.0, x.dtype()))?;
    let sizes: Sizes = lead.into_iter().chain(out.map(Size::from)).collect();
    let result = nothing.try_scatter(2, &flat(&places)?, &flat(&x)?)?.reshape_sizes(&sizes)?;
    without_batch(&result, added)
}
