//! Convolutions over one, two and three axes as layers. What a convolution computes is in `crate::functional`.

use super::constructors::constructors;
use super::forward::forward;
use super::init::{bias_bound, demand_float, kaiming_bound, uniform_parameter};
use super::per_axis::{PerAxis, demand_positive, tuple};
use crate::error::{Error, Result};
use crate::functional::{ConvOptions, PadMode, Padding, try_conv1d, try_conv2d, try_conv3d, try_pad};
use crate::tensor::Tensor;
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What lies around the input of a convolution.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum PaddingMode {
    #[default]
    Zeros,
    /// The elements mirrored at the edge, which is not repeated.
    Reflect,
    /// The element at the edge.
    Replicate,
    /// The elements from the other end.
    Circular,
}

/// What a convolution over `N` axes has besides its channels and kernel; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ConvLayerOptions<const N: usize> {
    /// Elements from one window to the next.
    pub stride: [usize; N],
    pub padding: Padding<N>,
    /// Elements from one element of a window to the next.
    pub dilation: [usize; N],
    /// The channels are cut into so many groups that know nothing of each other.
    pub groups: usize,
    pub bias: bool,
    pub padding_mode: PaddingMode,
    pub dtype: DType,
}

impl<const N: usize> Default for ConvLayerOptions<N> {
    fn default() -> Self {
        ConvLayerOptions {
            stride: [1; N],
            padding: Padding::default(),
            dilation: [1; N],
            groups: 1,
            bias: true,
            padding_mode: PaddingMode::Zeros,
            dtype: DType::F32,
        }
    }
}

/// The options of a [`Conv1d`].
pub type Conv1dOptions = ConvLayerOptions<1>;
/// The options of a [`Conv2d`].
pub type Conv2dOptions = ConvLayerOptions<2>;
/// The options of a [`Conv3d`].
pub type Conv3dOptions = ConvLayerOptions<3>;

macro_rules! convolutions {
    ($( $(#[$doc:meta])* $name:ident over $n:literal by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Module)]
        #[module(extra_repr = Self::options)]
        pub struct $name {
            /// `[out, in / groups, kernel..]`
            pub weight: Tensor,
            /// `[out]`
            pub bias: Option<Tensor>,
            #[module(skip)]
            options: ConvLayerOptions<$n>,
        }

        constructors! {
            $name(in_channels: usize, out_channels: usize, kernel_size: impl Into<PerAxis<$n>>; ConvLayerOptions<$n>)
        }

        impl $name {
            fn build(
                in_channels: usize,
                out_channels: usize,
                kernel_size: impl Into<PerAxis<$n>>,
                options: ConvLayerOptions<$n>,
            ) -> Result<$name> {
                let class = stringify!($name);
                let kernel = kernel_size.into().each();
                options.check(class, kernel)?;
                check_channels(class, in_channels, out_channels, options.groups)?;
                let inputs = in_channels / options.groups;
                let (weight, bias) = kernels([out_channels, inputs], &kernel, out_channels, options.bias, options.dtype)?;
                Ok($name { weight, bias, options })
            }

            fn options(&self) -> String {
                let o = &self.options;
                let shape = self.weight.shape_hint();
                let padding = match o.padding {
                    Padding::Both(both) if both == [0; $n] => None,
                    Padding::Both(both) => Some(tuple(&both)),
                    Padding::Same => Some("same".to_string()),
                    Padding::Valid => Some("valid".to_string()),
                };
                let shown = Shown {
                    channels: [shape[1] * o.groups, shape[0]],
                    kernel: &shape[2..],
                    stride: &o.stride,
                    padding,
                    dilation: &o.dilation,
                    output_padding: &[0; $n],
                    groups: o.groups,
                    bias: self.bias.is_some(),
                    padding_mode: o.padding_mode,
                };
                shown.text()
            }
        }

        forward! {
            $name: |layer, x| {
                let (x, options) = layer.options.padded(x, &layer.weight)?;
                $function(&x, &layer.weight, layer.bias.as_ref(), options)
            };
        }
    )*};
}

convolutions! {
    /// Convolution over one axis, `[n, in, l] -> [n, out, l']`; the axis of the batch may be missing. See
    /// [`conv1d`](crate::functional::conv1d) for the sizes.
    ///
    /// Weights `[out, in / groups, k]` and bias `[out]` are drawn as `torch.nn.Conv1d` draws them.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::Conv1d::new(4, 5, 3);
    /// assert_eq!(layer.forward(&randn(&[2, 4, 10])).shape(), [2, 5, 8]);
    /// ```
    Conv1d over 1 by try_conv1d;
    /// Convolution over two axes, `[n, in, h, w] -> [n, out, h', w']`; the axis of the batch may be missing. See
    /// [`conv2d`](crate::functional::conv2d).
    ///
    /// Weights `[out, in / groups, kh, kw]` and bias `[out]` are drawn as `torch.nn.Conv2d` draws them.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let options = nn::Conv2dOptions { padding: Padding::Same, groups: 2, ..Default::default() };
    /// let layer = nn::Conv2d::with_options(4, 6, 3, options);
    /// assert_eq!(layer.forward(&randn(&[2, 4, 10, 10])).shape(), [2, 6, 10, 10]);
    /// ```
    Conv2d over 2 by try_conv2d;
    /// Convolution over three axes, `[n, in, d, h, w] -> [n, out, d', h', w']`; the axis of the batch may be missing. See
    /// [`conv3d`](crate::functional::conv3d).
    ///
    /// Weights `[out, in / groups, kd, kh, kw]` and bias `[out]` are drawn as `torch.nn.Conv3d` draws them.
    Conv3d over 3 by try_conv3d;
}

impl<const N: usize> ConvLayerOptions<N> {
    fn check(&self, class: &str, kernel: [usize; N]) -> Result<()> {
        demand_float(class, self.dtype)?;
        let given: [(&str, &[usize]); 4] = [
            ("kernel_size", &kernel),
            ("stride", &self.stride),
            ("dilation", &self.dilation),
            ("groups", std::slice::from_ref(&self.groups)),
        ];
        demand_positive(class, &given)?;
        if self.padding == Padding::Same && self.stride != [1; N] {
            return Err(Error::argument(format!(
                "{class}: padding Same keeps the size with a stride of 1 only, got {}",
                tuple(&self.stride)
            )));
        }
        Ok(())
    }

    /// The input with what lies around it, unless that is zeros, which the convolution itself knows, and how to go on.
    fn padded(&self, x: &Tensor, weight: &Tensor) -> Result<(Tensor, ConvOptions<N>)> {
        let ConvLayerOptions { stride, padding, dilation, groups, .. } = *self;
        let mode = match self.padding_mode {
            PaddingMode::Zeros => return Ok((x.clone(), ConvOptions { stride, padding, dilation, groups })),
            PaddingMode::Reflect => PadMode::Reflect,
            PaddingMode::Replicate => PadMode::Replicate,
            PaddingMode::Circular => PadMode::Circular,
        };
        let kernel = &weight.shape_hint()[2..];
        let mut sides = Vec::new();
        // The last axis comes first; an odd element comes behind.
        for i in (0..N).rev() {
            let [before, after] = match padding {
                Padding::Both(both) => [both[i]; 2],
                Padding::Valid => [0; 2],
                Padding::Same => {
                    let all = dilation[i].saturating_mul(kernel[i] - 1);
                    [all / 2, all - all / 2]
                }
            };
            for side in [before, after] {
                let misfit = || {
                    let text = format!("padding {padding:?} of a kernel {kernel:?} with dilation {dilation:?}");
                    Error::argument(format!("{text} is more than memory can hold"))
                };
                sides.push(isize::try_from(side).map_err(|_| misfit())?);
            }
        }
        let x = if sides.iter().all(|&n| n == 0) { x.clone() } else { try_pad(x, &sides, mode)? };
        Ok((x, ConvOptions { stride, padding: Padding::Valid, dilation, groups }))
    }
}

/// An error unless the groups divide both.
pub(super) fn check_channels(class: &str, in_channels: usize, out_channels: usize, groups: usize) -> Result<()> {
    for (name, channels) in [("in_channels", in_channels), ("out_channels", out_channels)] {
        if !channels.is_multiple_of(groups) {
            return Err(Error::argument(format!(
                "{class}: {name} must be a multiple of the groups, got {channels} and {groups}"
            )));
        }
    }
    Ok(())
}

/// Weights `[first, second, kernel..]` and, where wanted, a bias, drawn as PyTorch draws them: by the number of elements that a kernel
/// has behind its first axis.
pub(super) fn kernels(
    [first, second]: [usize; 2],
    kernel: &[usize],
    out_channels: usize,
    bias: bool,
    dtype: DType,
) -> Result<(Tensor, Option<Tensor>)> {
    let fan_in = kernel.iter().fold(second, |n, &k| n.saturating_mul(k));
    let shape: Vec<usize> = [first, second].into_iter().chain(kernel.iter().copied()).collect();
    let weight = uniform_parameter(&shape, kaiming_bound(fan_in), dtype)?;
    let bias = if bias { Some(uniform_parameter(&[out_channels], bias_bound(fan_in), dtype)?) } else { None };
    Ok((weight, bias))
}

/// What is printed of a convolution, transposed or not.
pub(super) struct Shown<'a> {
    /// In and out.
    pub channels: [usize; 2],
    pub kernel: &'a [usize],
    pub stride: &'a [usize],
    /// None where there is none.
    pub padding: Option<String>,
    pub dilation: &'a [usize],
    pub output_padding: &'a [usize],
    pub groups: usize,
    pub bias: bool,
    pub padding_mode: PaddingMode,
}

impl Shown<'_> {
    /// As PyTorch prints it, which leaves defaults out.
    pub fn text(&self) -> String {
        let [inn, out] = self.channels;
        let mut text = format!("{inn}, {out}, kernel_size={}, stride={}", tuple(self.kernel), tuple(self.stride));
        let mut add = |is_default: bool, name: &str, value: String| {
            if !is_default {
                text += &format!(", {name}={value}");
            }
        };
        let all = |sizes: &[usize], n: usize| sizes.iter().all(|&size| size == n);
        add(self.padding.is_none(), "padding", self.padding.clone().unwrap_or_default());
        add(all(self.dilation, 1), "dilation", tuple(self.dilation));
        add(all(self.output_padding, 0), "output_padding", tuple(self.output_padding));
        add(self.groups == 1, "groups", self.groups.to_string());
        add(self.bias, "bias", "False".to_string());
        let mode = match self.padding_mode {
            PaddingMode::Zeros => "zeros",
            PaddingMode::Reflect => "reflect",
            PaddingMode::Replicate => "replicate",
            PaddingMode::Circular => "circular",
        };
        add(self.padding_mode == PaddingMode::Zeros, "padding_mode", mode.to_string());
        text
    }
}
