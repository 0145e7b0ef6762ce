//! Overlapping pieces added up along one axis.

use super::axis::Number;
use super::view::{Element, View};

/// [`super::Table::overlap_add_f32`].
pub(crate) type OverlapAddFn<T> =
    unsafe extern "C" fn(usize, usize, usize, usize, usize, *const usize, *const isize, *const T, *mut T);

pub(crate) unsafe extern "C" fn overlap_add_body<T: Number>(
    rank: usize,
    axis: usize,
    len: usize,
    step: usize,
    dilation: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut T,
) {
    let _ = (rank, axis, len, step, dilation, x_shape, x_strides, x, out);
    todo!()
}

/// `x[.., count, .., size] -> out[.., len, ..]`: element `(i, j)` of `axis` and the last axis is added to element
/// `i * step + j * dilation`, in the order of the pieces, beginning at 0.
///
/// # Panics
/// A bug of the caller: an axis out of range, pieces that do not lie in `len`, `out` of another size, a type without
/// arithmetic.
pub fn overlap_add<T: Element>(x: View<T>, axis: usize, len: usize, step: usize, dilation: usize, out: &mut [T]) {
    let _ = (x, axis, len, step, dilation, out);
    todo!()
}
