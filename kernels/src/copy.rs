//! Copies between layouts. Never converts: the bits of each element stay.

use super::transpose::plane;
use super::view::{Element, Loops, View, ViewMut, dense_strides};
use half::{bf16, f16};

/// `out[i] = x[i]`, `out` contiguous in row-major order of `x`.
///
/// # Panics
/// A bug of the caller: `out.len() != x.numel()`.
#[inline]
pub fn copy<T: Element>(x: View<T>, out: &mut [T]) {
    if out.len() != x.numel() {
        panic!("bug in allotrope: copy of {:?} into {} elements", x.shape(), out.len());
    }
    if out.is_empty() {
        return;
    }
    if x.is_contiguous() {
        // SAFETY: the view was checked to hold as many elements as `out`.
        return unsafe { x.as_ptr().copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) };
    }
    let dense = dense_strides(x.shape());
    // SAFETY: both sides were checked: `x` as a view, `out` by its length; `&mut` overlaps nothing.
    unsafe { copy_loops(x.as_ptr(), out.as_mut_ptr(), Loops::new(x.shape(), [x.strides(), &dense])) };
}

/// `dst[i] = src[i]`, into memory of any layout.
///
/// # Panics
/// A bug of the caller: shapes that differ.
pub fn copy_into<T: Element>(mut dst: ViewMut<T>, src: View<T>) {
    if dst.shape() != src.shape() {
        panic!("bug in allotrope: copy_into of {:?} into {:?}", src.shape(), dst.shape());
    }
    let loops = Loops::new(src.shape(), [src.strides(), dst.strides()]);
    // SAFETY: both views were checked; `&mut` data overlaps nothing.
    unsafe { copy_loops(src.as_ptr(), dst.as_mut_ptr(), loops) };
}

/// # Safety
/// Every index of `loops` is readable from `from` at the first strides and writable to `to` at the second.
unsafe fn copy_loops<T: Element>(from: *const T, to: *mut T, mut loops: Loops<2>) {
    if loops.is_empty() {
        return;
    }
    let dims = loops.dims();
    let last = dims.len() - 1;
    // A transposition reads with one unit stride and writes with another: blocks keep both in cache lines.
    let unit = dims.iter().position(|(_, s)| s[0] == 1);
    if let (Some(d), [_, 1]) = (unit, dims[last].1)
        && d != last
    {
        loops.swap(d, last - 1);
        // SAFETY: as for the caller.
        return unsafe { transpose_loops(from, to, &loops) };
    }
    loops.rows(|n, at, step| {
        // SAFETY: offsets of the loops stay inside what the caller vouches for.
        unsafe {
            let (x, y) = (from.offset(at[0]), to.offset(at[1]));
            match step {
                [1, 1] => x.copy_to_nonoverlapping(y, n),
                [0, 1] => std::slice::from_raw_parts_mut(y, n).fill(*x),
                [sx, sy] => {
                    for i in 0..n as isize {
                        *y.offset(i * sy) = *x.offset(i * sx);
                    }
                }
            }
        }
    });
}

/// The last two loops are a transposition: the outer has unit stride in the source, the inner in the destination.
///
/// # Safety
/// As for [`copy_loops`].
unsafe fn transpose_loops<T: Element>(from: *const T, to: *mut T, loops: &Loops<2>) {
    let dims = loops.dims();
    let (outer, [(rows, [_, row_to]), (cols, [col_from, _])]) = dims.split_last_chunk::<2>().expect("two loops");
    let planes: smallvec::SmallVec<[usize; 6]> = outer.iter().map(|d| d.0).collect();
    let from_strides: smallvec::SmallVec<[isize; 6]> = outer.iter().map(|d| d.1[0]).collect();
    let to_strides: smallvec::SmallVec<[isize; 6]> = outer.iter().map(|d| d.1[1]).collect();
    // SAFETY: the rows and columns are the caller's innermost loops.
    let plane = |x: *const T, y: *mut T| unsafe { plane(*rows, *cols, x, *col_from, y, *row_to) };
    if outer.is_empty() {
        return plane(from, to);
    }
    Loops::new(&planes, [&from_strides, &to_strides]).rows(|n, at, step| {
        for i in 0..n as isize {
            plane(from.wrapping_offset(at[0] + i * step[0]), to.wrapping_offset(at[1] + i * step[1]));
        }
    });
}

/// The numbers of [`iota`].
pub trait Iota: Element {
    /// `i` in this type, as a cast from `i64` gives it.
    fn from_index(i: usize) -> Self;
}
macro_rules! iotas {
    ($($t:ty),+) => {$( impl Iota for $t {
        #[inline(always)]
        fn from_index(i: usize) -> Self { i as $t }
    } )+};
}
iotas!(u8, i32, i64, f32, f64);

macro_rules! half_iotas {
    ($($t:ty),+) => {$( impl Iota for $t {
        #[inline(always)]
        fn from_index(i: usize) -> Self { <$t>::from_f32(i as f32) }
    } )+};
}
half_iotas!(f16, bf16);

/// `out[i] = i`
pub fn iota<T: Iota>(out: &mut [T]) {
    for (i, o) in out.iter_mut().enumerate() {
        *o = T::from_index(i);
    }
}
