//! Rows of a table by index, and indices as rows of zeros and ones.

use super::common::{numbers, take};
use crate::autograd::no_grad;
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::device;
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::layout::row_major;
use crate::mode::sizes::{is_zero, numel};
use crate::mode::values::full_of;
use crate::ops::gather::{all_true, checked, checked_index};
use crate::ops::single_node::{Keeps, single};
use crate::ops::{grads1, twin_fns};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Scalar};

/// What a lookup does besides; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct EmbeddingOptions {
    /// The row that no gradient flows to; it may count from the end.
    pub padding_idx: Option<isize>,
    /// The largest norm of a row.
    pub max_norm: Option<f64>,
    /// Which norm that is.
    pub norm_type: f64,
    /// The gradient of a row is divided by how often the row was read.
    pub scale_grad_by_freq: bool,
}

impl Default for EmbeddingOptions {
    fn default() -> Self {
        EmbeddingOptions { padding_idx: None, max_norm: None, norm_type: 2.0, scale_grad_by_freq: false }
    }
}

/// An error unless these are integers and a table.
pub(super) fn check(op: &'static str, input: &Tensor, weight: &Tensor) -> Result<()> {
    if weight.dim() == 2 && input.dtype().is_integer() {
        return Ok(());
    }
    Err(Error::operands(
        op,
        format!("needs integers and a table [n, d], got {} and {:?}", input.dtype(), weight.shape_hint()),
    ))
}

/// The row that an index from either end means.
pub(super) fn padding_row(n: usize, padding: isize) -> Result<i64> {
    let n = n as isize;
    if (-n..n).contains(&padding) {
        return Ok(padding.rem_euclid(n) as i64);
    }
    Err(Error::operands("embedding", format!("padding_idx {padding} must be {} to {}", -n, n - 1)))
}

fn rows(input: &Tensor, weight: &Tensor, padding_idx: Option<isize>, by_frequency: bool) -> Result<Tensor> {
    check("embedding", input, weight)?;
    single("EmbeddingBackward0", &[weight, input], &[Keeps::Operand(1)], |t| {
        let (weight, input) = (&t[0], &t[1]);
        let w = weight.sizes();
        let flat = checked_index("embedding", &input.reshape_sizes(&[numel(&input.sizes())])?, w[0], false)?;
        let mut rows = take(weight, 0, &flat)?;
        if by_frequency {
            rows = scaled_back(&rows, &frequencies(&flat, w[0])?)?;
        }
        if let Some(p) = padding_idx {
            let p = padding_row(numbers(&w[..1], "padding_idx names a row of the table")[0], p)?;
            let padding = flat.try_eq(p)?.reshape_sizes(&[flat.sizes()[0], Size::from(1)])?;
            rows = rows.detach().try_where_self(&padding, &rows)?;
        }
        let sizes: Sizes = input.sizes().into_iter().chain([w[1]]).collect();
        rows.reshape_sizes(&sizes)
    })
}

/// How often each index of a vector is in it.
pub(super) fn frequencies(flat: &Tensor, n: Size) -> Result<Tensor> {
    let _entered = device::enter(flat.device());
    let ones = full_of(&flat.sizes(), Scalar::I64(1))?;
    let counts = full_of(&[n], Scalar::I64(0))?.try_scatter_add(0, flat, &ones)?;
    take(&counts, 0, flat)
}

/// `rows`, whose gradients are divided each by a number of its own.
pub(super) fn scaled_back(rows: &Tensor, by: &Tensor) -> Result<Tensor> {
    let factor = by.try_to(rows.dtype())?.try_reciprocal()?.try_unsqueeze(-1)?;
    let compute = || Ok(rows.alias());
    composite("EmbeddingBackward0", &[Operand::Tensor(rows)], compute, |_| {
        move |_: &Context<'_>, g: &Tensor| grads1(g.try_mul(&factor)?)
    })
}

/// Multiplies the rows that are read by what makes their norm the largest that is allowed, in place, as PyTorch's `embedding_renorm_`.
pub(super) fn shorten(op: &'static str, input: &Tensor, weight: &Tensor, most: f64, norm_type: f64) -> Result<()> {
    no_grad(|| {
        let w = weight.detach();
        let flat = checked_index(op, &input.reshape_sizes(&[numel(&input.sizes())])?, w.sizes()[0], false)?;
        let rows = take(&w, 0, &flat)?;
        let norms = rows.try_vector_norm(norm_type, &[1], true)?;
        let factor = norms.try_add(1e-7)?.try_reciprocal()?.try_mul(most)?;
        let shorter = rows.try_mul(&factor)?.try_where_self(&norms.try_gt(most)?, &rows)?;
        w.try_copy_(&w.try_index_copy(0, &flat, &shorter)?).map(drop)
    })
}

twin_fns! {
    /// The rows of `weight` (`[n, d]`) that integers of any shape name: `[..] -> [.., d]`. No gradient flows to the row
    /// `padding_idx`, which may count from the end.
    ///
    /// ```
    /// use allotrope::functional::embedding;
    /// use allotrope::prelude::*;
    /// let table = Tensor::from_vec(vec![0.0f32, 1.0, 2.0, 3.0], &[2, 2]);
    /// let rows = embedding(&Tensor::from_vec(vec![1i64, 1, 0], &[3]), &table, None);
    /// assert_eq!(rows.to_vec::<f32>(), [2.0, 3.0, 2.0, 3.0, 0.0, 1.0]);
    /// ```
    fn embedding / try_embedding(input: &Tensor, weight: &Tensor, padding_idx: Option<isize>) -> Tensor {
        rows(input, weight, padding_idx, false)
    }

    /// As [`embedding`], with all that PyTorch's function can do. With `max_norm` the rows that are read are made shorter in place
    /// where their norm is larger, which no gradient knows of.
    fn embedding_with / try_embedding_with(input: &Tensor, weight: &Tensor, options: EmbeddingOptions) -> Tensor {
        check("embedding", input, weight)?;
        if let Some(most) = options.max_norm {
            let padding = options.padding_idx;
            let n = padding.map(|_| numbers(&weight.sizes()[..1], "padding_idx names a row of the table")[0]);
            n.zip(padding).map_or(Ok(0), |(n, p)| padding_row(n, p))?;
            shorten("embedding", input, weight, most, options.norm_type)?;
        }
        rows(input, weight, options.padding_idx, options.scale_grad_by_freq)
    }

    /// 1 at the index and 0 elsewhere: integers `[..] -> [.., num_classes]` (i64). Without a number of classes it is the
    /// largest index and one more, which is read, so a trace needs it.
    ///
    /// ```
    /// use allotrope::functional::one_hot;
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![2i64, 0], &[2]);
    /// assert_eq!(one_hot(&x, Some(3)).to_vec::<i64>(), [0, 0, 1, 1, 0, 0]);
    /// ```
    fn one_hot / try_one_hot(input: &Tensor, num_classes: Option<usize>) -> Tensor {
        if input.dtype() != DType::I64 {
            return Err(Error::operands("one_hot", format!("needs i64, got {}", input.dtype())));
        }
        let _entered = device::enter(input.device());
        let index = input.try_to(DType::I64)?;
        let n = match num_classes {
            Some(n) => n,
            None if is_zero(numel(&index.sizes())) => {
                return Err(Error::operands("one_hot", "no index says how many classes there are; give num_classes"));
            }
            None if mode::is_recording() => {
                return Err(Error::trace(
                    "one_hot: the shape of the result depends on the elements, which are not known while a trace is \
                     recorded; give num_classes",
                ));
            }
            None => {
                let most = index.try_amax(&[], false)?.try_item::<i64>()?;
                usize::try_from(most.saturating_add(1)).unwrap_or(0)
            }
        };
        let inside = index.try_ge(0)?.try_logical_and(&index.try_lt(i64::try_from(n).unwrap_or(i64::MAX))?)?;
        let index = checked(&index, &all_true(&inside)?, "one_hot: an index is not a class")?;
        row_major(index.try_unsqueeze(-1)?.try_eq(&Tensor::try_arange(n)?)?.try_to(DType::I64)?)
    }
}
