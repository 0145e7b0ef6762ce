//! Convolutions: the windows of the input as one matrix, times the weights as another. Gradients of input and weights
//! follow from the composition: matrix products too, and windows added back.

use super::common::{numbers, pad_axis, windows, with_batch, without_batch};
use crate::error::{Error, Result};
use crate::mode::layout::{are_images, as_images};
use crate::mode::sizes::{demand_equal, is_zero, numel};
use crate::ops::single_node::{Keeps, single};
use crate::ops::twin_fns;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Scalar};

/// Zeros around the input of a convolution.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Padding<const N: usize> {
    /// So many on both sides of each axis.
    Both([usize; N]),
    /// As many as keep the size with steps of one; an odd one comes last.
    Same,
    /// None.
    Valid,
}

impl<const N: usize> Default for Padding<N> {
    fn default() -> Self {
        Padding::Both([0; N])
    }
}

impl<const N: usize> From<[usize; N]> for Padding<N> {
    fn from(both: [usize; N]) -> Self {
        Padding::Both(both)
    }
}

/// How a convolution over `N` axes goes; PyTorch's defaults.
///
/// ```
/// use allotrope::functional::ConvOptions;
/// let options = ConvOptions { stride: [2, 2], ..ConvOptions::default() };
/// assert_eq!(options.groups, 1);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Elements from one window to the next.
    pub stride: [usize; N],
    pub padding: Padding<N>,
    /// Elements from one element of a window to the next.
    pub dilation: [usize; N],
    /// The channels are cut into so many groups that know nothing of each other.
    pub groups: usize,
}

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        ConvOptions { stride: [1; N], padding: Padding::default(), dilation: [1; N], groups: 1 }
    }
}

twin_fns! {
    /// Convolution over one axis: `[n, c, l] -> [n, o, l']` with weights `[o, c / groups, k]` and a bias `[o]`, where
    /// `l' = (l + 2 padding - dilation (k - 1) - 1) / stride + 1`. The axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::functional::{ConvOptions, conv1d};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 4.0], &[1, 1, 3]);
    /// let w = Tensor::from_vec(vec![-1.0f32, 1.0], &[1, 1, 2]);
    /// assert_eq!(conv1d(&x, &w, None, ConvOptions::default()).to_vec::<f32>(), [1.0, 2.0]);
    /// ```
    fn conv1d / try_conv1d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: ConvOptions<1>) -> Tensor {
        convolution("conv1d", input, weight, bias, options)
    }

    /// Convolution over two axes: `[n, c, h, w] -> [n, o, h', w']` with weights `[o, c / groups, kh, kw]`; see [`conv1d`].
    fn conv2d / try_conv2d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: ConvOptions<2>) -> Tensor {
        convolution("conv2d", input, weight, bias, options)
    }

    /// Convolution over three axes: `[n, c, d, h, w] -> [n, o, d', h', w']`; see [`conv1d`].
    fn conv3d / try_conv3d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: ConvOptions<3>) -> Tensor {
        convolution("conv3d", input, weight, bias, options)
    }
}

fn convolution<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: ConvOptions<N>,
) -> Result<Tensor> {
    by_one_node(op, N, input, weight, bias, |x, weight, bias| of_batch(op, input, x, weight, bias, options))
}

/// A convolution over `axes`, of a batch or one sample, as one node, which keeps input and weights.
pub(super) fn by_one_node(
    op: &'static str,
    axes: usize,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    compute: impl FnOnce(&Tensor, &Tensor, Option<&Tensor>) -> Result<Tensor>,
) -> Result<Tensor> {
    let (x, added) = with_batch(op, input, axes + 2)?;
    let operands: Vec<&Tensor> = [&x, weight].into_iter().chain(bias).collect();
    let keeps = [Keeps::Operand(0), Keeps::Operand(1)];
    let y = single("ConvolutionBackward0", &operands, &keeps, |t| compute(&t[0], &t[1], t.get(2)))?;
    without_batch(&y, added)
}

fn of_batch<const N: usize>(
    op: &'static str,
    input: &Tensor,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: ConvOptions<N>,
) -> Result<Tensor> {
    let ConvOptions { stride, padding, dilation, groups } = options;
    let shape = weights(op, x, weight, groups, &stride, &dilation)?;
    let (out, each) = (shape[0], shape[1]);
    if out == 0 || out % groups != 0 || !demand_equal(x.sizes()[1], Size::from(each.saturating_mul(groups))) {
        return Err(Error::operands(
            op,
            format!(
                "input {:?} with weights {shape:?} in {groups} groups: the weights must be [o, c / groups, ..] for c channels, o a multiple of the groups",
                input.shape_hint()
            ),
        ));
    }
    check_bias(op, x, bias, out)?;
    if dilation.iter().any(|&d| d > 1) && matches!(x.dtype(), DType::U8 | DType::I32) && !is_zero(x.sizes()[0]) {
        return Err(Error::operands(
            op,
            format!("with a dilation not defined for {}; use to(DType::I64) first", x.dtype()),
        ));
    }
    let mut cols = x.clone();
    for i in 0..N {
        let (before, after) = match padding {
            Padding::Both(p) => (p[i], p[i]),
            Padding::Valid => (0, 0),
            Padding::Same if stride[i] != 1 => {
                return Err(Error::operands(op, format!("padding \"same\" needs a stride of 1, got {stride:?}")));
            }
            Padding::Same => {
                let total = dilation[i].saturating_mul(shape[2 + i].max(1) - 1);
                (total / 2, total - total / 2)
            }
        };
        cols = pad_axis(&cols, 2 + i, before, after, Scalar::from_f64(0.0, x.dtype()))?;
    }
    for i in 0..N {
        cols = windows(op, &cols, 2 + i, shape[2 + i], stride[i], dilation[i])?;
    }
    // [n, c, o.., k..] as [c, k.., n, o..]: a row for every weight, a column for every place, so that all samples are
    // one product, and those of the gradients are too. Runs of the last axis stay runs when this is copied.
    let order: Vec<isize> = std::iter::once(1).chain(2 + N..2 + 2 * N).map(|a| a as isize).collect();
    let order: Vec<isize> = order.into_iter().chain([0]).chain((2..2 + N).map(|a| a as isize)).collect();
    let cols = cols.try_permute(&order)?;
    let places: Sizes = cols.sizes()[1 + N..].iter().copied().collect();
    let terms = each * shape[2..].iter().product::<usize>();
    let product = grouped_product(
        &weight.reshape_sizes(&sizes3(groups, out / groups, Size::from(terms)))?,
        &cols.reshape_sizes(&sizes3(groups, terms, numel(&places)))?,
        groups,
    )?;
    let sizes: Sizes = std::iter::once(Size::from(out)).chain(places).collect();
    with_bias(&as_convolved(product.reshape_sizes(&sizes)?.try_transpose(0, 1)?, x, weight)?, bias, N)
}

/// What a convolution gives lies pixel by pixel where the input or the weights do; of one axis, only where the weights do.
pub(super) fn as_convolved(result: Tensor, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    as_images(result, (x.dim() > 3 && are_images(x)) || are_images(weight))
}

/// The shape of the weights, after the checks that need nothing else.
pub(super) fn weights(
    op: &'static str,
    x: &Tensor,
    weight: &Tensor,
    groups: usize,
    stride: &[usize],
    dilation: &[usize],
) -> Result<Vec<usize>> {
    if weight.dim() != x.dim() {
        return Err(Error::operands(
            op,
            format!("the weights must have {} axes, got {:?}", x.dim(), weight.shape_hint()),
        ));
    }
    if weight.dtype() != x.dtype() || x.dtype() == DType::Bool {
        return Err(Error::operands(
            op,
            format!("input and weights must have one numeric dtype, got {} and {}", x.dtype(), weight.dtype()),
        ));
    }
    if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
        return Err(Error::operands(
            op,
            format!("stride {stride:?}, dilation {dilation:?} and groups {groups} must be at least 1"),
        ));
    }
    Ok(numbers(&weight.sizes(), "the weights of a convolution"))
}

fn check_bias(op: &'static str, x: &Tensor, bias: Option<&Tensor>, out: usize) -> Result<()> {
    match bias {
        Some(b) if b.dtype() != x.dtype() => {
            Err(Error::operands(op, format!("input and bias must have one dtype, got {} and {}", x.dtype(), b.dtype())))
        }
        _ => check_bias_shape(op, bias, out),
    }
}

/// An error unless the bias, where there is one, has a number for each of the `out` channels.
pub(super) fn check_bias_shape(op: &'static str, bias: Option<&Tensor>, out: usize) -> Result<()> {
    match bias {
        Some(b) if !b.has_sizes(&[Size::from(out)]) => Err(Error::operands(
            op,
            format!("the bias must be [{out}], one for each channel, got {:?}", b.shape_hint()),
        )),
        _ => Ok(()),
    }
}

pub(super) fn sizes3(a: usize, b: usize, c: Size) -> [Size; 3] {
    [Size::from(a), Size::from(b), c]
}

/// `[g, m, k] x [g, k, n]`, as one product of matrices where there is one group.
pub(super) fn grouped_product(a: &Tensor, b: &Tensor, groups: usize) -> Result<Tensor> {
    match groups {
        1 => a.reshape_sizes(&a.sizes()[1..])?.try_matmul(&b.reshape_sizes(&b.sizes()[1..])?),
        _ => a.try_matmul(b),
    }
}

/// `[n, o, ..]` plus one number for each of the o channels; `axes` come behind them.
pub(super) fn with_bias(x: &Tensor, bias: Option<&Tensor>, axes: usize) -> Result<Tensor> {
    match bias {
        None => Ok(x.clone()),
        Some(b) => {
            let sizes: Sizes = b.sizes().into_iter().chain(std::iter::repeat_n(Size::from(1), axes)).collect();
            x.try_add(&b.reshape_sizes(&sizes)?)
        }
    }
}
