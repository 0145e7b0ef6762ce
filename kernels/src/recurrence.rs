//! First-order recurrences along one axis.

use super::axis::Number;
use super::view::{Element, View};

/// [`super::Table::recurrence_f32`].
pub(crate) type RecurrenceFn<T> =
    unsafe extern "C" fn(usize, usize, usize, *const usize, *const isize, *const isize, *const T, *const T, *mut T);

pub(crate) unsafe extern "C" fn recurrence_body<T: Number>(
    rank: usize,
    axis: usize,
    reverse: usize,
    shape: *const usize,
    a_strides: *const isize,
    b_strides: *const isize,
    a: *const T,
    b: *const T,
    out: *mut T,
) {
    let _ = (rank, axis, reverse, shape, a_strides, b_strides, a, b, out);
    todo!()
}

/// `out[0] = b[0]`, `out[i] = a[i] * out[i - 1] + b[i]` along `axis`, from its end where `reverse`.
///
/// # Panics
/// A bug of the caller: an axis out of range, shapes that differ, a type without arithmetic.
pub fn recurrence<T: Element>(a: View<T>, b: View<T>, axis: usize, reverse: bool, out: &mut [T]) {
    let _ = (a, b, axis, reverse, out);
    todo!()
}
