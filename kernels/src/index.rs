//! Gather and scatter along one axis. Never touches memory outside for an index that is out of range: a gather gives
//! zero there, a scatter ignores the source element.

use super::axis::Number;
use super::ops::ScatterOp;
use super::view::{Element, Loops, View, dense_strides, elements};
use smallvec::SmallVec;
use std::ffi::c_void;

/// The bits of elements of one size: moves are compiled for these, and shared by all dtypes.
pub(crate) trait Word: Copy + Default + 'static {}
impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for u64 {}

/// [`super::Table::gather_f32`].
type GatherFn = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *const usize,
    *const isize,
    *const isize,
    *const c_void,
    *const i64,
    *mut c_void,
);

/// [`super::Table::scatter_f32`] and, typed, [`super::Table::scatter_add_f32`].
pub(crate) type ScatterFn<T> = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *const usize,
    *const isize,
    *const isize,
    *const isize,
    *const i64,
    *const T,
    *mut T,
);

/// A slice, also of nothing.
///
/// # Safety
/// `rank` elements readable at `p`, if any.
#[inline(always)]
pub(crate) unsafe fn few<'a, T>(rank: usize, p: *const T) -> &'a [T] {
    if rank == 0 {
        return &[];
    }
    // SAFETY: as for the caller.
    unsafe { std::slice::from_raw_parts(p, rank) }
}

/// The place that an index names, if there is such a place.
#[inline(always)]
fn place(index: i64, n: usize) -> Option<isize> {
    ((index as u64) < n as u64).then_some(index as isize)
}

/// # Safety
/// `rank` sizes and strides; for each index of `index_shape` the indices are readable, and so is `x` at it with every
/// place below `n` on `axis`; `out` has as many elements as there are indices and overlaps nothing.
pub(crate) unsafe extern "C" fn gather_words<W: Word>(
    rank: usize,
    axis: usize,
    n: usize,
    index_shape: *const usize,
    x_strides: *const isize,
    index_strides: *const isize,
    x: *const c_void,
    index: *const i64,
    out: *mut c_void,
) {
    // SAFETY: the caller's lengths.
    let (shape, strides, index_strides) =
        unsafe { (few(rank, index_shape), few(rank, x_strides), few(rank, index_strides)) };
    let (x, mut out) = (x.cast::<W>(), out.cast::<W>());
    let step = strides[axis];
    let mut others: SmallVec<[isize; 6]> = strides.into();
    others[axis] = 0;
    Loops::new(shape, [&others, index_strides]).rows(|len, [at, at_index], [sx, si]| {
        // Where nothing can be read, addresses may lie anywhere.
        let row = x.wrapping_offset(at);
        // SAFETY: addresses of the caller's, at places that lie in the axis; `out` is filled in order.
        unsafe {
            let to = std::slice::from_raw_parts_mut(out, len);
            out = out.add(len);
            let index = index.offset(at_index);
            if si == 0 {
                match place(*index, n) {
                    None => to.fill(W::default()),
                    Some(p) if sx == 1 => to.copy_from_slice(std::slice::from_raw_parts(row.offset(p * step), len)),
                    Some(p) => {
                        let row = row.offset(p * step);
                        for (i, to) in to.iter_mut().enumerate() {
                            *to = *row.offset(i as isize * sx);
                        }
                    }
                }
                return;
            }
            for (i, to) in to.iter_mut().enumerate() {
                let i = i as isize;
                *to = match place(*index.offset(i * si), n) {
                    Some(p) => *row.offset(i * sx + p * step),
                    None => W::default(),
                };
            }
        }
    });
}

/// Puts or adds each source at its place, in row-major order of the indices: `put(to, from)` for one element.
///
/// # Safety
/// `rank` sizes and strides; for each index of `index_shape` the indices and sources are readable, and `out` is
/// writable at it with every place below `n` on `axis`; `out` overlaps nothing.
#[inline(always)]
unsafe fn scatter_each<T: Copy>(
    rank: usize,
    axis: usize,
    n: usize,
    index_shape: *const usize,
    index_strides: *const isize,
    src_strides: *const isize,
    out_strides: *const isize,
    index: *const i64,
    src: *const T,
    out: *mut T,
    put: impl Fn(&mut T, T),
) {
    // SAFETY: the caller's lengths.
    let (shape, index_strides, src_strides, out_strides) =
        unsafe { (few(rank, index_shape), few(rank, index_strides), few(rank, src_strides), few(rank, out_strides)) };
    let step = out_strides[axis];
    let mut others: SmallVec<[isize; 6]> = out_strides.into();
    others[axis] = 0;
    Loops::new(shape, [index_strides, src_strides, &others]).rows(|len, [at_index, at_src, at], [si, ss, so]| {
        // Where nothing can be written, addresses may lie anywhere.
        let row = out.wrapping_offset(at);
        // SAFETY: addresses of the caller's, at places that lie in the axis.
        unsafe {
            let (index, src) = (index.offset(at_index), src.offset(at_src));
            if si == 0 && ss == 1 && so == 1 {
                if let Some(p) = place(*index, n) {
                    let to = std::slice::from_raw_parts_mut(row.offset(p * step), len);
                    for (to, &from) in to.iter_mut().zip(std::slice::from_raw_parts(src, len)) {
                        put(to, from);
                    }
                }
                return;
            }
            for i in 0..len as isize {
                if let Some(p) = place(*index.offset(i * si), n) {
                    put(&mut *row.offset(i * so + p * step), *src.offset(i * ss));
                }
            }
        }
    });
}

/// # Safety
/// As for [`scatter_each`], of elements as large as `W`.
pub(crate) unsafe extern "C" fn scatter_words<W: Word>(
    rank: usize,
    axis: usize,
    n: usize,
    index_shape: *const usize,
    index_strides: *const isize,
    src_strides: *const isize,
    out_strides: *const isize,
    index: *const i64,
    src: *const c_void,
    out: *mut c_void,
) {
    let (src, out) = (src.cast::<W>(), out.cast::<W>());
    // SAFETY: as for the caller.
    unsafe {
        scatter_each(
            rank,
            axis,
            n,
            index_shape,
            index_strides,
            src_strides,
            out_strides,
            index,
            src,
            out,
            |to, from| *to = from,
        );
    }
}

/// # Safety
/// As for [`scatter_each`].
pub(crate) unsafe extern "C" fn scatter_add<T: Number>(
    rank: usize,
    axis: usize,
    n: usize,
    index_shape: *const usize,
    index_strides: *const isize,
    src_strides: *const isize,
    out_strides: *const isize,
    index: *const i64,
    src: *const T,
    out: *mut T,
) {
    // SAFETY: as for the caller.
    unsafe {
        scatter_each(
            rank,
            axis,
            n,
            index_shape,
            index_strides,
            src_strides,
            out_strides,
            index,
            src,
            out,
            |to, from| *to = to.plus(from),
        );
    }
}

/// Whether two shapes are equal but for one axis, which they have.
fn equal_but(a: &[usize], b: &[usize], axis: usize) -> bool {
    a.len() == b.len() && axis < a.len() && (0..a.len()).all(|d| d == axis || a[d] == b[d])
}

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`; the other axes of `x` and `index` are equal, `out` is
/// contiguous and has the shape of `index`. An index out of range gives zero.
///
/// # Panics
/// A bug of the caller: shapes that do not fit, an axis out of range.
pub fn gather<T: Element>(x: View<T>, index: View<i64>, axis: usize, out: &mut [T]) {
    if !equal_but(x.shape(), index.shape(), axis) || out.len() != index.numel() {
        panic!(
            "bug in allotrope: gather of {:?} by {:?} along axis {axis} into {} elements",
            x.shape(),
            index.shape(),
            out.len()
        );
    }
    if out.is_empty() {
        return;
    }
    let run: GatherFn = match size_of::<T>() {
        1 => gather_words::<u8>,
        2 => gather_words::<u16>,
        4 => gather_words::<u32>,
        _ => gather_words::<u64>,
    };
    // SAFETY: the views were checked, their other axes are equal, and `out` has as many elements as `index`. Zero bits
    // are an element of every type.
    unsafe {
        run(
            x.shape().len(),
            axis,
            x.shape()[axis],
            index.shape().as_ptr(),
            x.strides().as_ptr(),
            index.strides().as_ptr(),
            x.as_ptr().cast(),
            index.as_ptr(),
            out.as_mut_ptr().cast(),
        );
    }
}

/// Puts or adds `src[.., i, ..]` at `out[.., index[.., i, ..], ..]` along `axis`, in row-major order of `index`. `out`
/// is contiguous, has shape `out_shape` and holds the base already; the other axes are equal, `src` has the shape of
/// `index`. A source whose index is out of range is left out.
///
/// # Panics
/// A bug of the caller: shapes that do not fit, an axis out of range, additions of a type that has none.
pub fn scatter<T: Element>(
    op: ScatterOp,
    index: View<i64>,
    src: View<T>,
    axis: usize,
    out: &mut [T],
    out_shape: &[usize],
) {
    let fits = equal_but(out_shape, index.shape(), axis)
        && src.shape() == index.shape()
        && Some(out.len()) == elements(out_shape);
    if !fits {
        panic!(
            "bug in allotrope: {op:?} of {:?} by {:?} along axis {axis} into {out_shape:?} ({} elements)",
            src.shape(),
            index.shape(),
            out.len()
        );
    }
    let strides = dense_strides(out_shape);
    if out.is_empty() || index.numel() == 0 {
        return;
    }
    macro_rules! run {
        ($f:expr) => {
            // SAFETY: the views were checked, the other axes of all three are equal, and `out` is `&mut`.
            unsafe {
                $f(
                    out_shape.len(),
                    axis,
                    out_shape[axis],
                    index.shape().as_ptr(),
                    index.strides().as_ptr(),
                    src.strides().as_ptr(),
                    strides.as_ptr(),
                    index.as_ptr(),
                    src.as_ptr().cast(),
                    out.as_mut_ptr().cast(),
                )
            }
        };
    }
    match op {
        ScatterOp::Set => {
            let put: ScatterFn<c_void> = match size_of::<T>() {
                1 => scatter_words::<u8>,
                2 => scatter_words::<u16>,
                4 => scatter_words::<u32>,
                _ => scatter_words::<u64>,
            };
            run!(put)
        }
        ScatterOp::Add => match T::scatter_add() {
            Some(add) => run!(add),
            None => panic!("bug in allotrope: kernel {op:?} is not defined for {}", std::any::type_name::<T>()),
        },
    }
}
