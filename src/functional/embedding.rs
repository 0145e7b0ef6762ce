//! Rows of a table by index, and indices as rows of zeros and ones.

use super::common::{numbers, take};
use crate::device;
use crate::error::Error;
use crate::mode;
use crate::mode::layout::row_major;
use crate::mode::sizes::{is_zero, numel};
use crate::ops::gather::{all_true, checked, checked_index};
use crate::ops::single_node::{Keeps, single};
use crate::ops::twin_fns;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;

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
        if weight.dim() != 2 || !input.dtype().is_integer() {
            return Err(Error::operands(
                "embedding",
                format!(
                    "needs integers and a table [n, d], got {} and {:?}", input.dtype(), weight.shape_hint()
                ),
            ));
        }
        single("EmbeddingBackward0", &[weight, input], &[Keeps::Operand(1)], |t| {
        let (weight, input) = (&t[0], &t[1]);
        let w = weight.sizes();
        let flat = checked_index("embedding", &input.reshape_sizes(&[numel(&input.sizes())])?, w[0], false)?;
        let mut rows = take(weight, 0, &flat)?;
        if let Some(p) = padding_idx {
            let n = numbers(&w[..1], "padding_idx names a row of the table")[0] as isize;
            if !(-n..n).contains(&p) {
                return Err(Error::operands("embedding", format!("padding_idx {p} must be {} to {}", -n, n - 1)));
            }
            let padding = flat.try_eq(p.rem_euclid(n) as i64)?.reshape_sizes(&[flat.sizes()[0], Size::from(1)])?;
            rows = rows.detach().try_where_self(&padding, &rows)?;
        }
        let sizes: Sizes = input.sizes().into_iter().chain([w[1]]).collect();
        rows.reshape_sizes(&sizes)
        })
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
