//! Where elements lie: sizes and strides as numbers, and those of a tensor without gaps.

use super::size::small;
use smallvec::SmallVec;

pub(crate) use crate::backend::is_dense as is_contiguous;

/// Sizes of axes as numbers.
pub(crate) type Dims = SmallVec<[usize; 4]>;
/// Elements between neighbours along each axis.
pub(crate) type Strides = SmallVec<[isize; 4]>;

/// Strides of a tensor of this shape that lies in row-major order without gaps.
pub(crate) fn contiguous_strides(shape: &[usize]) -> Strides {
    let mut strides: Strides = small(shape, |_| 1);
    for i in (0..shape.len().saturating_sub(1)).rev() {
        // Of sizes that a tensor can have; those of others are refused where one is made.
        strides[i] = strides[i + 1].wrapping_mul(shape[i + 1].max(1) as isize);
    }
    strides
}

/// Whether elements lie without gaps, the axes in this order.
pub(crate) fn is_in_order(shape: &[usize], strides: &[isize], axes: &[usize]) -> bool {
    let (shape, strides): (Dims, Strides) = (small(axes, |a| shape[a]), small(axes, |a| strides[a]));
    is_contiguous(&shape, &strides)
}

/// Whether strides are those of [`contiguous_strides`], also of axes along which nothing goes. Without elements it isn't said.
#[inline]
pub(crate) fn is_plain(shape: &[usize], strides: &[isize]) -> bool {
    let mut expected = 1;
    for (&n, &s) in shape.iter().zip(strides).rev() {
        if s != expected || n == 0 {
            return false;
        }
        expected = expected.wrapping_mul(n as isize);
    }
    true
}
