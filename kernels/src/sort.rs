//! Which element of an axis is the largest or the smallest, and in which order they stand. Never moves the elements.

use super::axis::Number;
use super::ops::ArgOp;
use super::view::{Element, View};

/// [`super::Table::argmax_f32`].
pub(crate) type ArgReduceFn<T> = unsafe extern "C" fn(usize, usize, *const usize, *const isize, *const T, *mut i64);
/// [`super::Table::argsort_f32`].
pub(crate) type ArgsortFn<T> =
    unsafe extern "C" fn(usize, usize, usize, *const usize, *const isize, *const T, *mut i64);

pub(crate) unsafe extern "C" fn argmax_body<T: Number>(
    rank: usize,
    axis: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut i64,
) {
    let _ = (rank, axis, x_shape, x_strides, x, out);
    todo!()
}
pub(crate) unsafe extern "C" fn argmin_body<T: Number>(
    rank: usize,
    axis: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut i64,
) {
    let _ = (rank, axis, x_shape, x_strides, x, out);
    todo!()
}
pub(crate) unsafe extern "C" fn argsort_body<T: Copy>(
    rank: usize,
    axis: usize,
    descending: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut i64,
) {
    let _ = (rank, axis, descending, x_shape, x_strides, x, out);
    todo!()
}

/// The place along `axis` of the largest or smallest element, the first of equals; a NaN is both. `out` is contiguous
/// over the other axes.
///
/// # Panics
/// A bug of the caller: an axis out of range or empty, `out` of another size, a type without an order.
pub fn arg_reduce<T: Element>(op: ArgOp, x: View<T>, axis: usize, out: &mut [i64]) {
    let _ = (op, x, axis, out);
    todo!()
}

/// The places of the elements along `axis` in stable ascending or descending order; NaN counts as largest. `out` is
/// contiguous and has the shape of `x`.
///
/// # Panics
/// A bug of the caller: an axis out of range, `out` of another size, a type without an order.
pub fn argsort<T: Element>(x: View<T>, axis: usize, descending: bool, out: &mut [i64]) {
    let _ = (descending, x, axis, out);
    todo!()
}
