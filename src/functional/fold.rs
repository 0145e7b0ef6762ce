//! Windows as columns and columns as windows: im2col and col2im, each the derivative of the other.

use super::common::{numbers, pad_axis, windows, with_batch, without_batch};
use crate::error::{Error, Result};
use crate::mode::layout::row_major;
use crate::mode::sizes::{is_zero, numel};
use crate::ops::single_node::single;
use crate::ops::twin_fns;
use crate::ops::window::{WindowSpec, overlap_add};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::Scalar;

/// How windows of two axes lie; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FoldOptions {
    pub dilation: [usize; 2],
    /// Zeros on both sides of each axis.
    pub padding: [usize; 2],
    pub stride: [usize; 2],
}

impl Default for FoldOptions {
    fn default() -> Self {
        FoldOptions { dilation: [1; 2], padding: [0; 2], stride: [1; 2] }
    }
}

fn check(op: &'static str, kernel: [usize; 2], o: &FoldOptions) -> Result<()> {
    match kernel.contains(&0) || o.dilation.contains(&0) || o.stride.contains(&0) {
        true => Err(Error::operands(
            op,
            format!("kernel {kernel:?}, dilation {:?} and stride {:?} must be at least 1", o.dilation, o.stride),
        )),
        false => Ok(()),
    }
}

twin_fns! {
    /// Every window as a column: `[n, c, h, w] -> [n, c kh kw, windows]`. The axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::functional::{FoldOptions, unfold};
    /// use allotrope::prelude::*;
    /// let x = Tensor::arange(6).reshape(&[1, 1, 2, 3]);
    /// let columns = unfold(&x, [2, 2], FoldOptions::default());
    /// assert_eq!(columns.to_vec::<i64>(), [0, 1, 1, 2, 3, 4, 4, 5]);
    /// ```
    fn unfold / try_unfold(input: &Tensor, kernel: [usize; 2], options: FoldOptions) -> Tensor {
        check("unfold", kernel, &options)?;
        single("Im2ColBackward0", &[input], &[], |own| {
        let input = &own[0];
        let (x, added) = with_batch("unfold", input, 4)?;
        if x.sizes()[1..].iter().any(|&n| is_zero(n)) {
            return Err(Error::operands("unfold", format!("only the batch may be empty, got {:?}", input.shape_hint())));
        }
        let mut cols = x.clone();
        for i in 0..2 {
            let p = options.padding[i];
            cols = pad_axis(&cols, 2 + i, p, p, Scalar::from_f64(0.0, x.dtype()))?;
        }
        for (i, size) in kernel.into_iter().enumerate() {
            cols = windows("unfold", &cols, 2 + i, size, options.stride[i], options.dilation[i])?;
        }
        let cols = cols.try_permute(&[0, 1, 4, 5, 2, 3])?;
        let own = cols.sizes();
        let sizes = [own[0], numel(&own[1..4]), numel(&own[4..])];
        row_major(without_batch(&cols.reshape_sizes(&sizes)?, added)?)
        })
    }

    /// Columns added back to where [`unfold`] took them from: `[n, c kh kw, windows] -> [n, c, out[0], out[1]]`.
    /// The axis of the batch may be missing.
    fn fold / try_fold(input: &Tensor, out: [usize; 2], kernel: [usize; 2], options: FoldOptions) -> Tensor {
        check("fold", kernel, &options)?;
        single("Col2ImBackward0", &[input], &[], |own| {
        let input = &own[0];
        let (x, added) = with_batch("fold", input, 3)?;
        let own = x.sizes();
        let shape = numbers(&own[1..], "fold lays out columns in a plane");
        let FoldOptions { dilation, padding, stride } = options;
        let padded = |i: usize| padding[i].saturating_mul(2).saturating_add(out[i]);
        let count = |i: usize| {
            let span = dilation[i].saturating_mul(kernel[i] - 1).saturating_add(1);
            padded(i).checked_sub(span).map_or(0, |rest| rest / stride[i] + 1)
        };
        let counts = [count(0), count(1)];
        let (area, all) = (kernel[0].saturating_mul(kernel[1]), counts[0].saturating_mul(counts[1]));
        if shape[0] == 0 || !shape[0].is_multiple_of(area) || shape[1] != all || shape[1] == 0 {
            return Err(Error::operands(
                "fold",
                format!(
                    "input {:?}: a plane of {out:?} has {all} windows of {kernel:?} with dilation {dilation:?}, padding {padding:?} \
                     and stride {stride:?}; the input must be [n, c {area}, {all}]",
                    input.shape_hint()
                ),
            ));
        }
        let sizes: Sizes = std::iter::once(own[0])
            .chain([shape[0] / area, kernel[0], kernel[1], counts[0], counts[1]].map(Size::from))
            .collect();
        let mut result = x.reshape_sizes(&sizes)?.try_permute(&[0, 1, 4, 5, 2, 3])?;
        for i in (0..2).rev() {
            let windows = WindowSpec { axis: 2 + i, size: Size::from(kernel[i]), step: stride[i], dilation: dilation[i] };
            result = overlap_add(&result, Size::from(padded(i)), windows)?;
            result = result.try_narrow(2 + i as isize, padding[i] as isize, out[i])?;
        }
        row_major(without_batch(&result, added)?)
        })
    }
}
