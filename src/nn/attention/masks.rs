//! Masks of attention as PyTorch reads them: bools say where *not* to look, numbers are added to the scores.

use crate::error::{Error, Result};
use crate::ops::try_where_;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;

/// A mask as numbers to be added to scores of this dtype.
pub(super) fn added(op: &'static str, name: &str, mask: &Tensor, dtype: DType) -> Result<Tensor> {
    match mask.dtype() {
        DType::Bool => try_where_(mask, f64::NEG_INFINITY, 0.0)?.try_to(dtype),
        float if float.is_float() => mask.try_to(dtype),
        other => {
            Err(Error::operands(op, format!("{name} must be bool (true: not looked at) or float (added), got {other}")))
        }
    }
}

/// An error unless the mask has these sizes; what they are is said as `axes`.
pub(super) fn check(op: &'static str, name: &str, axes: &str, mask: &Tensor, sizes: &[Size]) -> Result<()> {
    if mask.dim() == sizes.len() && mask.has_sizes(sizes) {
        return Ok(());
    }
    let wanted: Vec<String> = sizes.iter().map(Size::to_string).collect();
    let (wanted, got) = (wanted.join(", "), mask.shape_hint());
    Err(Error::operands(op, format!("{name} must be {axes} = [{wanted}], got {got:?}")))
}

/// With one more key at the end, which may be looked at.
pub(super) fn widened(mask: Option<Tensor>) -> Result<Option<Tensor>> {
    let Some(mask) = mask else { return Ok(None) };
    let mut sizes: Sizes = mask.sizes();
    let last = sizes.len() - 1;
    sizes[last] = Size::from(1);
    let free = mask.try_new_zeros(&sizes)?;
    crate::ops::try_cat(&[&mask, &free], -1).map(Some)
}

/// 0 up to the diagonal and -inf behind it: each query looks at the keys before it and at its own.
pub(super) fn square_subsequent(size: Size) -> Result<Tensor> {
    let places = Tensor::try_arange(size)?;
    let seen = places.try_unsqueeze(1)?.try_ge(&places)?;
    try_where_(&seen, 0.0, f64::NEG_INFINITY)?.try_to(DType::F32)
}
