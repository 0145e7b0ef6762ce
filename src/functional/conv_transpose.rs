//! Transposed convolutions: the gradient of a convolution with respect to its input, as an operation of its own. One
//! matrix product gives every window, and windows are added where they overlap.

use super::conv::{as_convolved, by_one_node, check_bias_shape, grouped_product, sizes3, weights, with_bias};
use crate::error::{Error, Result};
use crate::mode::sizes::{at_most, demand_at_least, demand_equal, is_zero, numel};
use crate::ops::window::{WindowSpec, overlap_add};
use crate::ops::{movement, twin_fns};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Extent};

/// How a transposed convolution over `N` axes goes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Elements from one window to the next in the result.
    pub stride: [usize; N],
    /// Elements that are cut from both sides of the result.
    pub padding: [usize; N],
    /// Elements that the result has more at its end; less than stride or dilation.
    pub output_padding: [usize; N],
    pub groups: usize,
    pub dilation: [usize; N],
}

impl<const N: usize> Default for ConvTransposeOptions<N> {
    fn default() -> Self {
        ConvTransposeOptions { stride: [1; N], padding: [0; N], output_padding: [0; N], groups: 1, dilation: [1; N] }
    }
}

twin_fns! {
    /// Transposed convolution over one axis: `[n, c, l] -> [n, o, l']` with weights `[c, o / groups, k]` and a bias
    /// `[o]`, where `l' = (l - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`. The axis of the batch
    /// may be missing.
    ///
    /// ```
    /// use allotrope::functional::{ConvTransposeOptions, conv_transpose1d};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[1, 1, 2]);
    /// let w = Tensor::from_vec(vec![1.0f32, 10.0], &[1, 1, 2]);
    /// let y = conv_transpose1d(&x, &w, None, ConvTransposeOptions::default());
    /// assert_eq!(y.to_vec::<f32>(), [1.0, 12.0, 20.0]);
    /// ```
    fn conv_transpose1d / try_conv_transpose1d(
        input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: ConvTransposeOptions<1>,
    ) -> Tensor {
        transposed("conv_transpose1d", input, weight, bias, options)
    }

    /// Transposed convolution over two axes: `[n, c, h, w] -> [n, o, h', w']`; see [`conv_transpose1d`].
    fn conv_transpose2d / try_conv_transpose2d(
        input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: ConvTransposeOptions<2>,
    ) -> Tensor {
        transposed("conv_transpose2d", input, weight, bias, options)
    }

    /// Transposed convolution over three axes; see [`conv_transpose1d`].
    fn conv_transpose3d / try_conv_transpose3d(
        input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: ConvTransposeOptions<3>,
    ) -> Tensor {
        transposed("conv_transpose3d", input, weight, bias, options)
    }
}

fn transposed<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: ConvTransposeOptions<N>,
) -> Result<Tensor> {
    by_one_node(op, N, input, weight, bias, |x, weight, bias| of_batch(op, input, x, weight, bias, options))
}

fn of_batch<const N: usize>(
    op: &'static str,
    input: &Tensor,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: ConvTransposeOptions<N>,
) -> Result<Tensor> {
    let ConvTransposeOptions { stride, padding, output_padding, groups, dilation } = options;
    let shape = weights(op, x, weight, groups, &stride, &dilation)?;
    let (channels, out) = (shape[0], shape[1].saturating_mul(groups));
    if channels % groups != 0 || !demand_equal(x.sizes()[1], Size::from(channels)) {
        return Err(Error::operands(
            op,
            format!(
                "input {:?} with weights {shape:?} in {groups} groups: the weights must be [c, o / groups, ..] for c channels, c a multiple of the groups",
                input.shape_hint()
            ),
        ));
    }
    check_bias_shape(op, bias, out)?;
    let own = x.sizes();
    // Where there are no samples PyTorch asks for nothing more.
    if !(x.dtype().is_float() || x.dtype() == DType::I64 || is_zero(own[0])) {
        return Err(Error::operands(op, format!("not defined for {}; use to(DType::I64) first", x.dtype())));
    }
    if let Some(i) = (0..N).find(|&i| output_padding[i] >= stride[i].max(dilation[i])) {
        return Err(Error::operands(
            op,
            format!(
                "output_padding {} must be less than the stride {} or the dilation {}",
                output_padding[i], stride[i], dilation[i]
            ),
        ));
    }
    let terms = shape[1] * shape[2..].iter().product::<usize>();
    let places: Sizes = std::iter::once(own[0]).chain(own[2..].iter().copied()).collect();
    let windows = grouped_product(
        &weight.reshape_sizes(&sizes3(groups, channels / groups, Size::from(terms)))?.try_transpose(1, 2)?,
        &x.try_transpose(0, 1)?.reshape_sizes(&sizes3(groups, channels / groups, numel(&places)))?,
        groups,
    )?;
    // [o, k.., n, l..] as [n, o, l.., k..], then the windows of the last axis first.
    let kernel = shape[2..].iter().map(|&k| Size::from(k));
    let sizes: Sizes = std::iter::once(Size::from(out)).chain(kernel).chain(places).collect();
    let order: Vec<isize> =
        [1 + N, 0].into_iter().chain(2 + N..2 + 2 * N).chain(1..1 + N).map(|a| a as isize).collect();
    let mut result = windows.reshape_sizes(&sizes)?.try_permute(&order)?;
    for i in (0..N).rev() {
        let l = own[2 + i];
        if is_zero(l) || shape[2 + i] == 0 {
            return Err(Error::operands(op, format!("input {:?} with weights {shape:?} is empty", input.shape_hint())));
        }
        let tail = dilation[i].saturating_mul(shape[2 + i] - 1).saturating_add(1).saturating_add(output_padding[i]);
        let cut = padding[i].saturating_mul(2);
        // The least length whose result has an element, or is not less than nothing: where there are no samples, and for the kernel
        // that PyTorch has for several samples of f32.
        let least = |len: usize| cut.saturating_add(len).saturating_sub(tail).div_ceil(stride[i]) + 1;
        let may_be_empty = || is_zero(own[0]) || (x.dtype() == DType::F32 && at_most(Size::from(2), own[0]));
        let least = if l.hint() < least(1) && may_be_empty() { least(0) } else { least(1) };
        if l.hint() < least {
            return Err(Error::operands(
                op,
                format!(
                    "padding {} cuts off more than there is of axis {} of {:?}",
                    padding[i],
                    2 + i,
                    input.shape_hint()
                ),
            ));
        }
        demand_at_least(l, least);
        let len = l.minus(Size::from(1)).times(&Size::from(stride[i])).plus(&Size::from(tail));
        let windows =
            WindowSpec { axis: 2 + i, size: Size::from(shape[2 + i]), step: stride[i], dilation: dilation[i] };
        result = overlap_add(&result, len, windows)?;
        if cut > 0 {
            result = movement::narrow(&result, 2 + i, Size::from(padding[i]), len.minus(Size::from(cut)))?;
        }
    }
    // PyTorch adds the bias in place, so it may be of another dtype.
    let biased = with_bias(&as_convolved(result, x, weight)?, bias, N)?;
    match biased.dtype().is_float() && !x.dtype().is_float() {
        true => Err(Error::operands(op, format!("a bias of {} does not fit into {}", biased.dtype(), x.dtype()))),
        false => biased.try_to(x.dtype()),
    }
}
