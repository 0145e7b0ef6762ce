//! Which element of an axis is the largest or the smallest, and in which order they stand. Never moves the elements.

use super::axis::Number;
use super::index::few;
use super::ops::ArgOp;
use super::view::{Element, Loops, View, dense_strides, elements};
use smallvec::SmallVec;

/// [`super::Table::argmax_f32`].
pub(crate) type ArgReduceFn<T> = unsafe extern "C" fn(usize, usize, *const usize, *const isize, *const T, *mut i64);
/// [`super::Table::argsort_f32`].
pub(crate) type ArgsortFn<T> =
    unsafe extern "C" fn(usize, usize, usize, *const usize, *const isize, *const T, *mut i64);

/// Elements that are looked at together, before asking which of them is better than the best so far.
const GROUP: usize = 16;
/// Neighbouring columns that are searched side by side.
const COLUMNS: usize = 32;

/// The sizes or strides of the axes but one.
pub(crate) fn without<T: Copy>(all: &[T], axis: usize) -> SmallVec<[T; 6]> {
    all.iter().enumerate().filter(|(d, _)| *d != axis).map(|(_, &n)| n).collect()
}

/// # Safety
/// `rank` sizes and strides; every index is readable from `x`; `out` has one element for each index of the other axes
/// and overlaps nothing.
#[inline(always)]
unsafe fn arg_body<T: Number>(
    rank: usize,
    axis: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    mut out: *mut i64,
    wins: impl Fn(T, T) -> bool + Copy,
) {
    // SAFETY: the caller's lengths.
    let (shape, strides) = unsafe { (few(rank, x_shape), few(rank, x_strides)) };
    let (n, step) = (shape[axis], strides[axis]);
    Loops::new(&without(shape, axis), [&without(strides, axis)]).rows(|len, [at], [side]| {
        // SAFETY: addresses of the caller's indices; one output for each, in order.
        unsafe {
            let to = std::slice::from_raw_parts_mut(out, len);
            out = out.add(len);
            if n == 0 {
                return to.fill(0);
            }
            let x = x.offset(at);
            if side == 1 && step != 1 {
                for (i, to) in to.chunks_mut(COLUMNS).enumerate() {
                    search_columns(x.add(i * COLUMNS), n, step, to, wins);
                }
            } else {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = search_row(x.offset(i as isize * side), n, step, wins);
                }
            }
        }
    });
}

/// Whether `a` comes before `b`, which stands earlier.
#[inline(always)]
fn better<T: Number>(a: T, b: T, wins: impl Fn(T, T) -> bool) -> bool {
    !b.is_nan() & (a.is_nan() | wins(a, b))
}

/// # Safety
/// `n >= 1` elements readable at `x`, `step` apart.
#[inline(always)]
unsafe fn search_row<T: Number>(x: *const T, n: usize, step: isize, wins: impl Fn(T, T) -> bool + Copy) -> i64 {
    // SAFETY: indices below `n`.
    let at = |i: usize| unsafe { *x.offset(i as isize * step) };
    let (mut best, mut place) = (at(0), 0);
    let mut i = 1;
    while i < n {
        let m = GROUP.min(n - i);
        if step == 1 && m == GROUP {
            let mut any = false;
            for l in 0..GROUP {
                any |= better(at(i + l), best, wins);
            }
            if !any {
                i += GROUP;
                continue;
            }
        }
        for l in i..i + m {
            let v = at(l);
            if better(v, best, wins) {
                (best, place) = (v, l);
            }
        }
        i += m;
    }
    place as i64
}

/// # Safety
/// `n >= 1` rows, `step` apart, of as many elements as `to` has, at most [`COLUMNS`], are readable at `x`.
#[inline(always)]
unsafe fn search_columns<T: Number>(
    x: *const T,
    n: usize,
    step: isize,
    to: &mut [i64],
    wins: impl Fn(T, T) -> bool + Copy,
) {
    let mut best = [T::ZERO; COLUMNS];
    // SAFETY: rows and columns of the caller's.
    unsafe {
        for (j, best) in best.iter_mut().enumerate().take(to.len()) {
            *best = *x.add(j);
        }
        to.fill(0);
        for i in 1..n {
            let row = x.offset(i as isize * step);
            for (j, to) in to.iter_mut().enumerate() {
                let v = *row.add(j);
                let found = better(v, best[j], wins);
                best[j] = if found { v } else { best[j] };
                *to = if found { i as i64 } else { *to };
            }
        }
    }
}

/// # Safety
/// As for [`arg_body`].
pub(crate) unsafe extern "C" fn argmax_body<T: Number>(
    rank: usize,
    axis: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut i64,
) {
    // SAFETY: as for the caller.
    unsafe { arg_body(rank, axis, x_shape, x_strides, x, out, |a, b| a > b) }
}

/// # Safety
/// As for [`arg_body`].
pub(crate) unsafe extern "C" fn argmin_body<T: Number>(
    rank: usize,
    axis: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut i64,
) {
    // SAFETY: as for the caller.
    unsafe { arg_body(rank, axis, x_shape, x_strides, x, out, |a, b| a < b) }
}

/// An element as an unsigned number that stands in the same order: zeros are equal, NaN is the largest.
pub(crate) trait Key: Copy + 'static {
    /// Whether keys have 32 bits at most.
    const NARROW: bool;
    fn key(self) -> u64;
}

macro_rules! keys {
    ($($t:ty, $narrow:literal: |$x:ident| $key:expr;)+) => {$(
        impl Key for $t {
            const NARROW: bool = $narrow;
            #[inline(always)]
            fn key(self) -> u64 { let $x = self; $key }
        }
    )+};
}
keys! {
    bool, true: |x| x as u64;
    u8, true: |x| x as u64;
    i32, true: |x| (x as u32 ^ 1 << 31) as u64;
    i64, false: |x| x as u64 ^ 1 << 63;
    f32, true: |x| {
        // Adding zero makes the two zeros one.
        let bits = (x + 0.0).to_bits();
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        if x.is_nan() { u32::MAX as u64 } else { ordered as u64 }
    };
    f64, false: |x| {
        let bits = (x + 0.0).to_bits();
        let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        if x.is_nan() { u64::MAX } else { ordered }
    };
}

/// # Safety
/// `rank` sizes and strides; every index is readable from `x`; `out` has as many elements and overlaps nothing.
pub(crate) unsafe extern "C" fn argsort_body<T: Key>(
    rank: usize,
    axis: usize,
    descending: usize,
    x_shape: *const usize,
    x_strides: *const isize,
    x: *const T,
    out: *mut i64,
) {
    // SAFETY: the caller's lengths.
    let (shape, strides) = unsafe { (few(rank, x_shape), few(rank, x_strides)) };
    let (n, step) = (shape[axis], strides[axis]);
    if n == 0 {
        return;
    }
    let dense = dense_strides(shape);
    let to_step = dense[axis];
    // Keys turned over run downwards, while the places beside them keep equal ones in order.
    let flip = match (descending != 0, T::NARROW) {
        (false, _) => 0,
        (true, true) => u32::MAX as u64,
        (true, false) => u64::MAX,
    };
    let mut packed: SmallVec<[u64; 64]> = SmallVec::new();
    let mut wide: SmallVec<[(u64, u64); 64]> = SmallVec::new();
    Loops::new(&without(shape, axis), [&without(strides, axis), &without(&dense, axis)]).rows(|len, at, side| {
        for i in 0..len as isize {
            // SAFETY: addresses of the caller's indices.
            unsafe {
                let (x, out) = (x.offset(at[0] + i * side[0]), out.offset(at[1] + i * side[1]));
                let key = |i: usize| (*x.offset(i as isize * step)).key() ^ flip;
                let put = |i: usize, place: i64| *out.offset(i as isize * to_step) = place;
                if T::NARROW && n <= u32::MAX as usize {
                    packed.clear();
                    packed.extend((0..n).map(|i| key(i) << 32 | i as u64));
                    packed.sort_unstable();
                    packed.iter().enumerate().for_each(|(i, k)| put(i, (k & u32::MAX as u64) as i64));
                } else {
                    wide.clear();
                    wide.extend((0..n).map(|i| (key(i), i as u64)));
                    wide.sort_unstable();
                    wide.iter().enumerate().for_each(|(i, k)| put(i, k.1 as i64));
                }
            }
        }
    });
}

/// The place along `axis` of the largest or smallest element, the first of equals; a NaN is both. `out` is contiguous
/// over the other axes.
///
/// # Panics
/// A bug of the caller: an axis out of range or empty, `out` of another size, a type without an order.
pub fn arg_reduce<T: Element>(op: ArgOp, x: View<T>, axis: usize, out: &mut [i64]) {
    let shape = x.shape();
    if axis >= shape.len() || elements(&without(shape, axis)) != Some(out.len()) {
        panic!("bug in allotrope: {op:?} of {shape:?} along axis {axis} into {} elements", out.len());
    }
    if out.is_empty() {
        return;
    }
    if shape[axis] == 0 {
        panic!("bug in allotrope: {op:?} of {shape:?} along the empty axis {axis}");
    }
    let Some(run) = T::arg_reduce(op) else {
        panic!("bug in allotrope: kernel {op:?} is not defined for {}", std::any::type_name::<T>());
    };
    // SAFETY: the view was checked, `out` has one element for each index of the other axes.
    unsafe { run(shape.len(), axis, shape.as_ptr(), x.strides().as_ptr(), x.as_ptr(), out.as_mut_ptr()) }
}

/// The places of the elements along `axis` in stable ascending or descending order; NaN counts as largest. `out` is
/// contiguous and has the shape of `x`.
///
/// # Panics
/// A bug of the caller: an axis out of range, `out` of another size, a type without an order.
pub fn argsort<T: Element>(x: View<T>, axis: usize, descending: bool, out: &mut [i64]) {
    let shape = x.shape();
    if axis >= shape.len() || x.numel() != out.len() {
        panic!("bug in allotrope: argsort of {shape:?} along axis {axis} into {} elements", out.len());
    }
    if out.is_empty() {
        return;
    }
    let Some(run) = T::argsort() else {
        panic!("bug in allotrope: kernel argsort is not defined for {}", std::any::type_name::<T>());
    };
    let (rank, strides) = (shape.len(), x.strides().as_ptr());
    // SAFETY: the view was checked, `out` has as many elements.
    unsafe { run(rank, axis, descending as usize, shape.as_ptr(), strides, x.as_ptr(), out.as_mut_ptr()) }
}
