//! Transposed convolutions over one, two and three axes as layers. What they compute is in `crate::functional`.

use super::constructors::constructors;
use super::conv::{PaddingMode, Shown, check_channels, kernels};
use super::forward::forward;
use super::init::demand_float;
use super::per_axis::{PerAxis, demand_positive, tuple};
use crate::error::{Error, Result, called, must};
use crate::functional::{ConvTransposeOptions, try_conv_transpose1d, try_conv_transpose2d, try_conv_transpose3d};
use crate::tensor::Tensor;
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What a transposed convolution over `N` axes has besides its channels and kernel; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ConvTransposeLayerOptions<const N: usize> {
    /// Elements from one window to the next in the result.
    pub stride: [usize; N],
    /// Elements that are cut from both sides of the result.
    pub padding: [usize; N],
    /// Elements that the result has more at its end; less than stride or dilation.
    pub output_padding: [usize; N],
    /// The channels are cut into so many groups that know nothing of each other.
    pub groups: usize,
    pub bias: bool,
    /// Elements from one element of a window to the next.
    pub dilation: [usize; N],
    pub dtype: DType,
}

impl<const N: usize> Default for ConvTransposeLayerOptions<N> {
    fn default() -> Self {
        ConvTransposeLayerOptions {
            stride: [1; N],
            padding: [0; N],
            output_padding: [0; N],
            groups: 1,
            bias: true,
            dilation: [1; N],
            dtype: DType::F32,
        }
    }
}

/// The options of a [`ConvTranspose1d`].
pub type ConvTranspose1dOptions = ConvTransposeLayerOptions<1>;
/// The options of a [`ConvTranspose2d`].
pub type ConvTranspose2dOptions = ConvTransposeLayerOptions<2>;
/// The options of a [`ConvTranspose3d`].
pub type ConvTranspose3dOptions = ConvTransposeLayerOptions<3>;

macro_rules! transposed_convolutions {
    ($( $(#[$doc:meta])* $name:ident over $n:literal by $function:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Module)]
        #[module(extra_repr = Self::options)]
        pub struct $name {
            /// `[in, out / groups, kernel..]`
            pub weight: Tensor,
            /// `[out]`
            pub bias: Option<Tensor>,
            #[module(skip)]
            options: ConvTransposeLayerOptions<$n>,
        }

        constructors! {
            $name(in_channels: usize, out_channels: usize, kernel_size: impl Into<PerAxis<$n>>; ConvTransposeLayerOptions<$n>)
        }

        impl $name {
            fn build(
                in_channels: usize,
                out_channels: usize,
                kernel_size: impl Into<PerAxis<$n>>,
                options: ConvTransposeLayerOptions<$n>,
            ) -> Result<$name> {
                let class = stringify!($name);
                let kernel = kernel_size.into().each();
                options.check(class, kernel)?;
                check_channels(class, in_channels, out_channels, options.groups)?;
                let outputs = out_channels / options.groups;
                let (weight, bias) = kernels([in_channels, outputs], &kernel, out_channels, options.bias, options.dtype)?;
                Ok($name { weight, bias, options })
            }

            fn options(&self) -> String {
                let o = &self.options;
                let shape = self.weight.shape_hint();
                let shown = Shown {
                    channels: [shape[0], shape[1] * o.groups],
                    kernel: &shape[2..],
                    stride: &o.stride,
                    padding: (o.padding != [0; $n]).then(|| tuple(&o.padding)),
                    dilation: &o.dilation,
                    output_padding: &o.output_padding,
                    groups: o.groups,
                    bias: self.bias.is_some(),
                    padding_mode: PaddingMode::Zeros,
                };
                shown.text()
            }

            /// The layer's value, of this size in the axes behind the channels: several sizes have a convolution of the input's
            /// size, and this chooses one of them.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_forward_to`] fails.")]
            #[track_caller]
            pub fn forward_to(&self, x: &Tensor, output_size: [usize; $n]) -> Tensor {
                must(self.try_forward_to(x, output_size))
            }

            #[doc = concat!("As [`", stringify!($name), "::forward_to`].")]
            ///
            /// # Errors
            /// When the input does not fit, or no convolution of this size gives the input's.
            #[track_caller]
            pub fn try_forward_to(&self, x: &Tensor, output_size: [usize; $n]) -> Result<Tensor> {
                called(self.to_size(x, output_size))
            }

            fn to_size(&self, x: &Tensor, output_size: [usize; $n]) -> Result<Tensor> {
                let output_padding = self.options.padding_for(x, &self.weight, output_size)?;
                let options = ConvTransposeOptions { output_padding, ..self.options.of_function() };
                $function(x, &self.weight, self.bias.as_ref(), options)
            }
        }

        forward! {
            $name: |layer, x| $function(x, &layer.weight, layer.bias.as_ref(), layer.options.of_function());
        }
    )*};
}

transposed_convolutions! {
    /// Transposed convolution over one axis, `[n, in, l] -> [n, out, l']`; the axis of the batch may be missing. See
    /// [`conv_transpose1d`](crate::functional::conv_transpose1d) for the sizes.
    ///
    /// Weights `[in, out / groups, k]` and bias `[out]` are drawn as `torch.nn.ConvTranspose1d` draws them.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::ConvTranspose1d::with_options(4, 5, 3, nn::ConvTranspose1dOptions { stride: [2], ..Default::default() });
    /// assert_eq!(layer.forward(&randn(&[2, 4, 10])).shape(), [2, 5, 21]);
    /// assert_eq!(layer.forward_to(&randn(&[2, 4, 10]), [22]).shape(), [2, 5, 22]);
    /// ```
    ConvTranspose1d over 1 by try_conv_transpose1d;
    /// Transposed convolution over two axes, `[n, in, h, w] -> [n, out, h', w']`; the axis of the batch may be missing.
    ///
    /// Weights `[in, out / groups, kh, kw]` and bias `[out]` are drawn as `torch.nn.ConvTranspose2d` draws them.
    ConvTranspose2d over 2 by try_conv_transpose2d;
    /// Transposed convolution over three axes, `[n, in, d, h, w] -> [n, out, d', h', w']`; the axis of the batch may be missing.
    ///
    /// Weights `[in, out / groups, kd, kh, kw]` and bias `[out]` are drawn as `torch.nn.ConvTranspose3d` draws them.
    ConvTranspose3d over 3 by try_conv_transpose3d;
}

impl<const N: usize> ConvTransposeLayerOptions<N> {
    fn check(&self, class: &str, kernel: [usize; N]) -> Result<()> {
        demand_float(class, self.dtype)?;
        let given: [(&str, &[usize]); 4] = [
            ("kernel_size", &kernel),
            ("stride", &self.stride),
            ("dilation", &self.dilation),
            ("groups", std::slice::from_ref(&self.groups)),
        ];
        demand_positive(class, &given)
    }

    fn of_function(&self) -> ConvTransposeOptions<N> {
        let ConvTransposeLayerOptions { stride, padding, output_padding, groups, dilation, .. } = *self;
        ConvTransposeOptions { stride, padding, output_padding, groups, dilation }
    }

    /// How many elements the result must have more at its end to be of this size.
    fn padding_for(&self, x: &Tensor, weight: &Tensor, size: [usize; N]) -> Result<[usize; N]> {
        let op = "conv_transpose";
        if x.dim() != N + 1 && x.dim() != N + 2 {
            return Err(Error::operands(
                op,
                format!("the input must have {} or {} axes, got {:?}", N + 1, N + 2, x.shape_hint()),
            ));
        }
        let from = &x.shape()[x.dim() - N..];
        let kernel = &weight.shape_hint()[2..];
        let mut more = [0; N];
        for i in 0..N {
            let span = self.dilation[i].saturating_mul(kernel[i] - 1).saturating_add(1);
            let whole = from[i].saturating_sub(1).saturating_mul(self.stride[i]).saturating_add(span);
            let least = whole.saturating_sub(self.padding[i].saturating_mul(2));
            let fits = (least..least.saturating_add(self.stride[i])).contains(&size[i]);
            if !fits {
                return Err(Error::operands(
                    op,
                    format!(
                        "output_size {size:?}: axis {i} of an input {:?} becomes {least} to {}",
                        x.shape_hint(),
                        least.saturating_add(self.stride[i] - 1)
                    ),
                ));
            }
            more[i] = size[i] - least;
        }
        Ok(more)
    }
}
