//! Rows of a table by index, summed up, averaged or maximised in bags. Where a bag begins is data, so nothing here depends on how long
//! one is; no list of rows of each bag is made.

use super::common::{iota, numbers, take};
use super::embedding::{check, frequencies, padding_row, scaled_back, shorten};
use crate::device;
use crate::error::{Error, Result};
use crate::mode::sizes::{is_zero, numel};
use crate::mode::values::full_of;
use crate::ops::gather::{all_true, checked, checked_index};
use crate::ops::movement::narrow;
use crate::ops::reduce::size_tensor;
use crate::ops::twin_fns;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Extent, Scalar};

/// What becomes of the rows of a bag.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum BagMode {
    Sum,
    #[default]
    Mean,
    Max,
}

/// How bags are made; PyTorch's defaults.
#[derive(Copy, Clone, Debug)]
pub struct EmbeddingBagOptions<'a> {
    /// Where each bag begins in a vector of indices: integers from 0 on, which do not fall.
    pub offsets: Option<&'a Tensor>,
    pub mode: BagMode,
    /// What each row is multiplied by, of the shape of the indices; for sums only.
    pub per_sample_weights: Option<&'a Tensor>,
    /// The offsets have the end of the last bag too.
    pub include_last_offset: bool,
    /// The row that counts nowhere; it may count from the end.
    pub padding_idx: Option<isize>,
    /// The largest norm of a row; see [`EmbeddingOptions`](super::EmbeddingOptions).
    pub max_norm: Option<f64>,
    pub norm_type: f64,
    /// The gradient of a row is divided by how often the row was read; not for maxima.
    pub scale_grad_by_freq: bool,
}

impl Default for EmbeddingBagOptions<'_> {
    fn default() -> Self {
        EmbeddingBagOptions {
            offsets: None,
            mode: BagMode::Mean,
            per_sample_weights: None,
            include_last_offset: false,
            padding_idx: None,
            max_norm: None,
            norm_type: 2.0,
            scale_grad_by_freq: false,
        }
    }
}

twin_fns! {
    /// Sums, means or maxima of rows of `weight` (`[n, d]`): of each row of integers `[bags, k]`, or of each bag of a vector of
    /// integers that `offsets` cuts up; `-> [bags, d]`. A bag without rows is 0.
    ///
    /// ```
    /// use allotrope::functional::{EmbeddingBagOptions, embedding_bag};
    /// use allotrope::prelude::*;
    /// let table = Tensor::from_vec(vec![0.0f32, 1.0, 2.0, 4.0], &[2, 2]);
    /// let bags = embedding_bag(&Tensor::from_vec(vec![0i64, 1, 1, 1], &[2, 2]), &table, EmbeddingBagOptions::default());
    /// assert_eq!(bags.to_vec::<f32>(), [1.0, 2.5, 2.0, 4.0]);
    /// ```
    fn embedding_bag / try_embedding_bag(input: &Tensor, weight: &Tensor, options: EmbeddingBagOptions<'_>) -> Tensor {
        bags(input, weight, options)
    }
}

fn bags(input: &Tensor, weight: &Tensor, options: EmbeddingBagOptions<'_>) -> Result<Tensor> {
    let op = "embedding_bag";
    check(op, input, weight)?;
    let fail = |why: String| Err(Error::operands(op, why));
    let mode = options.mode;
    if let Some(w) = options.per_sample_weights {
        if mode != BagMode::Sum {
            return fail(format!("per_sample_weights are for sums only, got {mode:?}"));
        }
        if !w.same_shape(input) || w.dtype() != weight.dtype() {
            return fail(format!(
                "per_sample_weights must be {}{:?} as the table and the indices, got {}{:?}",
                weight.dtype(),
                input.shape_hint(),
                w.dtype(),
                w.shape_hint()
            ));
        }
    }
    if options.scale_grad_by_freq && mode == BagMode::Max {
        return fail("scale_grad_by_freq is not for maxima".to_string());
    }
    let n = weight.sizes()[0];
    let padding = match options.padding_idx {
        Some(p) => Some(padding_row(numbers(&[n], "padding_idx names a row of the table")[0], p)?),
        None => None,
    };
    let _entered = device::enter(weight.device());
    let flat = checked_index(op, &input.reshape_sizes(&[numel(&input.sizes())])?, n, false)?;
    let (bag, count) = membership(op, input, options)?;
    if let Some(most) = options.max_norm {
        shorten(op, input, weight, most, options.norm_type)?;
    }
    let mut rows = take(weight, 0, &flat)?;
    if options.scale_grad_by_freq {
        rows = scaled_back(&rows, &frequencies(&flat, n)?)?;
    }
    if let Some(w) = options.per_sample_weights {
        rows = rows.try_mul(&w.reshape_sizes(&[flat.sizes()[0]])?.try_unsqueeze(1)?)?;
    }
    let counts = match padding {
        Some(p) => Some(flat.try_ne(p)?),
        None => None,
    };
    let d = weight.sizes()[1];
    let zeros = full_of(&[count, d], Scalar::from_f64(0.0, rows.dtype()))?;
    if mode == BagMode::Max {
        return maxima(&rows, &bag, counts.as_ref(), count, &zeros);
    }
    if let Some(counts) = &counts {
        rows = rows.try_where_self(&counts.try_unsqueeze(1)?, &rows.try_zeros_like()?)?;
    }
    let sums = zeros.try_index_add(0, &bag, &rows, 1.0)?;
    if mode == BagMode::Sum {
        return Ok(sums);
    }
    let ones = match &counts {
        Some(counts) => counts.try_to(DType::I64)?,
        None => full_of(&flat.sizes(), Scalar::I64(1))?,
    };
    let sizes = full_of(&[count], Scalar::I64(0))?.try_index_add(0, &bag, &ones, 1)?.try_maximum(1)?;
    sums.try_div(&sizes.try_to(sums.dtype())?.try_unsqueeze(1)?)
}

/// The bag of each index, and how many bags there are.
fn membership(op: &'static str, input: &Tensor, options: EmbeddingBagOptions<'_>) -> Result<(Tensor, Size)> {
    let fail = |why: String| Err(Error::operands(op, why));
    let own = input.sizes();
    match (input.dim(), options.offsets) {
        (2, None) => {
            let bags = iota(own[0])?.try_unsqueeze(1)?.expand_sizes(&own)?;
            Ok((bags.reshape_sizes(&[numel(&own)])?, own[0]))
        }
        (1, Some(offsets)) => {
            let last = options.include_last_offset;
            if offsets.dim() != 1 || !offsets.dtype().is_integer() || (last && is_zero(offsets.sizes()[0])) {
                return fail(format!(
                    "offsets must be a vector of integers{}, got {}{:?}",
                    if last { " with the last one" } else { "" },
                    offsets.dtype(),
                    offsets.shape_hint()
                ));
            }
            let given = offsets.sizes()[0];
            let count = if last { given.minus(Size::from(1)) } else { given };
            let length = size_tensor(own[0], DType::I64)?;
            let offsets = offsets.try_to(DType::I64)?;
            let inside = offsets.try_ge(0)?.try_logical_and(&offsets.try_le(&length)?)?;
            if is_zero(given) {
                return match is_zero(own[0]) {
                    true => Ok((input.try_to(DType::I64)?, given)),
                    false => fail("offsets must begin with 0; there are none".to_string()),
                };
            }
            let more = given.minus(Size::from(1));
            let rising =
                narrow(&offsets, 0, Size::from(0), more)?.try_le(&narrow(&offsets, 0, Size::from(1), more)?)?;
            let starts = offsets.try_select(0, 0)?.try_eq(0)?;
            let holds = all_true(&inside)?.try_logical_and(&all_true(&rising)?)?.try_logical_and(&starts)?;
            let message = "embedding_bag: offsets must begin with 0, not fall, and not pass the last index";
            let offsets = checked(&offsets, &holds, message)?;
            let begins = narrow(&offsets, 0, Size::from(0), count)?;
            // One is added where a bag begins; the sum so far counts the bags.
            let ones = full_of(&[count], Scalar::I64(1))?;
            let marks = full_of(&[own[0].plus(&Size::from(1))], Scalar::I64(0))?.try_index_add(0, &begins, &ones, 1)?;
            let bags = narrow(&marks, 0, Size::from(0), own[0])?.try_cumsum(0)?.try_sub(1)?;
            Ok((bags, count))
        }
        (2, Some(_)) => fail("rows of indices are bags themselves, and have no offsets".to_string()),
        (1, None) => fail("a vector of indices needs offsets".to_string()),
        _ => fail(format!("the indices must be [bags, k], or a vector with offsets, got {:?}", input.shape_hint())),
    }
}

/// The first largest element of each column of the rows of a bag.
fn maxima(rows: &Tensor, bag: &Tensor, counts: Option<&Tensor>, count: Size, zeros: &Tensor) -> Result<Tensor> {
    if is_zero(rows.sizes()[0]) || is_zero(count) {
        return Ok(zeros.clone());
    }
    let mut member = bag.try_unsqueeze(0)?.try_eq(&iota(count)?.try_unsqueeze(1)?)?;
    if let Some(counts) = counts {
        member = member.try_logical_and(counts)?;
    }
    let lowest = full_of(&[], Scalar::from_f64(f64::NEG_INFINITY, rows.dtype()))?;
    let all = rows.try_unsqueeze(0)?.try_where_self(&member.try_unsqueeze(2)?, &lowest)?;
    let largest = all.try_max_dim(1, false)?.0;
    let none = member.try_to(DType::I64)?.try_sum_dim(&[1], true)?.try_eq(0)?;
    zeros.try_where_self(&none, &largest)
}
