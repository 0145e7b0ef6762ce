//! Overlapping windows added up along one axis: the transpose of taking windows, which is itself only a view. Never adds
//! in another order than that of the windows.

use super::axis::Number;
use super::index::few;
use super::view::{Element, Loops, View, dense_strides, elements};
use smallvec::SmallVec;

/// [`super::Table::overlap_add_f32`].
pub(crate) type OverlapAddFn<T> =
    unsafe extern "C" fn(usize, usize, usize, usize, usize, *const usize, *const isize, *const T, *mut T);

/// Whether `count` windows of `size` lie in `len` elements.
fn fits(count: usize, size: usize, len: usize, step: usize, dilation: usize) -> bool {
    if count == 0 || size == 0 {
        return true;
    }
    let (a, b) = ((count - 1).checked_mul(step), (size - 1).checked_mul(dilation));
    a.zip(b).and_then(|(a, b)| a.checked_add(b)).is_some_and(|last| last < len)
}

/// # Safety
/// `rank >= 2` sizes and strides; every index is readable from `x`; `out` has the elements of the result and overlaps
/// nothing. Windows that do not lie in `len` leave zeros.
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
    // SAFETY: the caller's lengths.
    let (shape, strides) = unsafe { (few(rank, x_shape), few(rank, x_strides)) };
    let (&size, shape) = shape.split_last().expect("rank >= 2");
    let (&place_stride, strides) = strides.split_last().expect("rank >= 2");
    let mut out_shape: SmallVec<[usize; 6]> = shape.into();
    out_shape[axis] = len;
    let numel = out_shape.iter().product();
    if numel == 0 {
        return;
    }
    // SAFETY: the caller's output.
    unsafe { std::slice::from_raw_parts_mut(out, numel) }.fill(T::ZERO);
    // Without windows there may be any number of places in each.
    if size == 0 || shape.contains(&0) || !fits(shape[axis], size, len, step, dilation) {
        return;
    }
    let mut to = dense_strides(&out_shape);
    let to_place = to[axis].wrapping_mul(dilation as isize);
    to[axis] = to[axis].wrapping_mul(step as isize);
    let inner = Loops::new(&shape[axis..], [&strides[axis..], &to[axis..]]);
    let row = |n: usize, at: [isize; 2], side: [isize; 2]| {
        // SAFETY: addresses of the caller's indices, and of places that lie in `len`.
        unsafe {
            let (x, out) = (x.offset(at[0]), out.offset(at[1]));
            if side == [1, 1] {
                for i in 0..n {
                    *out.add(i) = (*out.add(i)).plus(*x.add(i));
                }
            } else {
                for i in 0..n as isize {
                    let to = out.offset(i * side[1]);
                    *to = (*to).plus(*x.offset(i * side[0]));
                }
            }
        }
    };
    Loops::new(&shape[..axis], [&strides[..axis], &to[..axis]]).rows(|planes, at, side| {
        for plane in 0..planes as isize {
            let base = [at[0] + plane * side[0], at[1] + plane * side[1]];
            if step > 0 && dilation > 0 {
                // Each window adds to a place of the result at most once, and a later window does so from an earlier
                // place of its own. So the places from last to first, each over all windows, add in the order of the windows.
                for place in (0..size as isize).rev() {
                    let [i, j] = [base[0] + place * place_stride, base[1] + place * to_place];
                    inner.rows(|n, at, side| row(n, [i + at[0], j + at[1]], side));
                }
            } else {
                inner.rows(|n, at, side| {
                    for i in 0..n as isize {
                        let at = [0, 1].map(|k| base[k] + at[k] + i * side[k]);
                        row(size, at, [place_stride, to_place]);
                    }
                });
            }
        }
    });
}

/// `x[.., count, .., size] -> out[.., len, ..]`: element `(i, j)` of `axis` and the last axis is added to element
/// `i * step + j * dilation`, in the order of the windows, beginning at 0. `out` is contiguous.
///
/// # Panics
/// A bug of the caller: an axis out of range, windows that do not lie in `len`, `out` of another size, a type without
/// arithmetic.
pub fn overlap_add<T: Element>(x: View<T>, axis: usize, len: usize, step: usize, dilation: usize, out: &mut [T]) {
    let shape = x.shape();
    let good = shape.len() >= 2
        && axis < shape.len() - 1
        && fits(shape[axis], shape[shape.len() - 1], len, step, dilation)
        && elements(shape[..shape.len() - 1].iter().enumerate().map(|(d, n)| if d == axis { &len } else { n }))
            == Some(out.len());
    if !good {
        panic!(
            "bug in allotrope: overlap_add of {shape:?} along axis {axis}, step {step}, dilation {dilation}, into {len} \
             ({} elements)",
            out.len()
        );
    }
    let Some(run) = T::overlap_add() else {
        panic!("bug in allotrope: kernel overlap_add is not defined for {}", std::any::type_name::<T>());
    };
    let (strides, to) = (x.strides().as_ptr(), out.as_mut_ptr());
    // SAFETY: the view was checked, `out` has the elements of the result.
    unsafe { run(shape.len(), axis, len, step, dilation, shape.as_ptr(), strides, x.as_ptr(), to) }
}
