//! First-order recurrences along one axis, such as running sums and products. Never reorders or fuses: each step rounds
//! the product, then the sum, an `f32` chain in `f64` and each result once.

use super::axis::Number;
use super::index::few;
use super::sort::without;
use super::view::{Element, Loops, View, dense_strides};

/// [`super::Table::recurrence_f32`].
pub(crate) type RecurrenceFn<T> =
    unsafe extern "C" fn(usize, usize, usize, *const usize, *const isize, *const isize, *const T, *const T, *mut T);

/// Chains that run side by side where their elements are neighbours.
const WIDE: usize = 32;
/// Chains that run side by side otherwise: enough to hide the latency of one step behind the others.
const NARROW: usize = 8;

/// A first address, the distance to the next step of a chain and the distance to the next chain.
#[derive(Copy, Clone)]
struct Cursor<P> {
    at: P,
    step: isize,
    side: isize,
}

/// # Safety
/// `rank` sizes and strides; every index is readable from `a` and `b`; `out` has as many elements and overlaps nothing.
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
    // SAFETY: the caller's lengths.
    let (shape, a_strides, b_strides) = unsafe { (few(rank, shape), few(rank, a_strides), few(rank, b_strides)) };
    let out_strides = dense_strides(shape);
    let n = shape[axis];
    if n == 0 {
        return;
    }
    let others = [&without(a_strides, axis)[..], &without(b_strides, axis), &without(&out_strides, axis)];
    let (last, sign) = if reverse != 0 { (n as isize - 1, -1) } else { (0, 1) };
    // Wrapping: an axis of one element may have any stride.
    let steps = [a_strides[axis], b_strides[axis], out_strides[axis]];
    let [a_step, b_step, out_step] = steps.map(|s| s.wrapping_mul(sign));
    Loops::new(&without(shape, axis), others).rows(|len, at, side| {
        let width = if side[2] == 1 { WIDE } else { NARROW };
        for first in (0..len).step_by(width) {
            let start = |k: usize| at[k] + first as isize * side[k] + last * steps[k];
            // SAFETY: addresses of the caller's indices.
            unsafe {
                let a = Cursor { at: a.offset(start(0)), step: a_step, side: side[0] };
                let b = Cursor { at: b.offset(start(1)), step: b_step, side: side[1] };
                let out = Cursor { at: out.offset(start(2)), step: out_step, side: side[2] };
                match width {
                    WIDE => chains::<T, WIDE>(n, WIDE.min(len - first), a, b, out),
                    _ => chains::<T, NARROW>(n, NARROW.min(len - first), a, b, out),
                }
            }
        }
    });
}

/// `w <= W` chains of `n >= 1` steps.
///
/// # Safety
/// All of their elements are readable or writable.
#[inline(always)]
unsafe fn chains<T: Number, const W: usize>(
    n: usize,
    w: usize,
    a: Cursor<*const T>,
    b: Cursor<*const T>,
    out: Cursor<*mut T>,
) {
    let mut r = [T::ZERO.widen(); W];
    // SAFETY: step `i < n` of chain `j < w`.
    unsafe {
        for j in 0..w {
            let first = *b.at.offset(j as isize * b.side);
            r[j] = first.widen();
            *out.at.offset(j as isize * out.side) = first;
        }
        for i in 1..n as isize {
            let (a_row, b_row, out_row) =
                (a.at.offset(i * a.step), b.at.offset(i * b.step), out.at.offset(i * out.step));
            // The loops of a constant length over neighbours become vector code.
            if w == W && out.side == 1 && b.side == 1 && a.side == 1 {
                for j in 0..W {
                    r[j] = T::step(*a_row.add(j), r[j], *b_row.add(j));
                    *out_row.add(j) = T::narrow(r[j]);
                }
            } else if w == W && out.side == 1 && b.side == 1 && a.side == 0 {
                for j in 0..W {
                    r[j] = T::step(*a_row, r[j], *b_row.add(j));
                    *out_row.add(j) = T::narrow(r[j]);
                }
            } else {
                for j in 0..w {
                    let at = j as isize;
                    r[j] = T::step(*a_row.offset(at * a.side), r[j], *b_row.offset(at * b.side));
                    *out_row.offset(at * out.side) = T::narrow(r[j]);
                }
            }
        }
    }
}

/// `out[0] = b[0]`, `out[i] = a[i] * out[i - 1] + b[i]` along `axis`, from its end where `reverse`. Product and sum are
/// rounded one after the other, an `f32` chain in `f64` and each result once; integers wrap. `out` is contiguous.
///
/// # Panics
/// A bug of the caller: an axis out of range, shapes that differ, a type without arithmetic.
pub fn recurrence<T: Element>(a: View<T>, b: View<T>, axis: usize, reverse: bool, out: &mut [T]) {
    let shape = a.shape();
    if axis >= shape.len() || shape != b.shape() || a.numel() != out.len() {
        panic!(
            "bug in allotrope: recurrence of {shape:?} and {:?} along axis {axis} into {} elements",
            b.shape(),
            out.len()
        );
    }
    if out.is_empty() {
        return;
    }
    let Some(run) = T::recurrence() else {
        panic!("bug in allotrope: kernel recurrence is not defined for {}", std::any::type_name::<T>());
    };
    let (rank, reverse, to) = (shape.len(), reverse as usize, out.as_mut_ptr());
    let (a_strides, b_strides) = (a.strides().as_ptr(), b.strides().as_ptr());
    // SAFETY: the views were checked and have one shape, `out` has as many elements.
    unsafe { run(rank, axis, reverse, shape.as_ptr(), a_strides, b_strides, a.as_ptr(), b.as_ptr(), to) }
}
