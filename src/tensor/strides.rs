//! Where elements lie: sizes and strides as numbers, and those of a tensor without gaps.

use super::size::small;
use smallvec::SmallVec;

/// Sizes of axes as numbers.
pub(crate) type Dims = SmallVec<[usize; 4]>;
/// Elements between neighbours along each axis.
pub(crate) type Strides = SmallVec<[isize; 4]>;

/// Strides of a tensor of this shape that lies in row-major order without gaps.
pub(crate) fn contiguous_strides(shape: &[usize]) -> Strides {
    let mut strides: Strides = small(shape, |_| 1);
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1].max(1) as isize;
    }
    strides
}

pub(crate) fn is_contiguous(shape: &[usize], strides: &[isize]) -> bool {
    let mut expected = 1;
    for (&n, &s) in shape.iter().zip(strides).rev() {
        if n == 0 {
            return true;
        }
        if n != 1 && s != expected {
            return false;
        }
        expected *= n as isize;
    }
    true
}
