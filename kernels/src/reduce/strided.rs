//! Reductions over any axes of a strided array. Never changes the order that [`super`] defines: three ways through
//! memory, one order of folding.

use super::stream::{ReduceState, begin_body, dense_body, finish_body, update_body};
use super::{Fold, LANES};
use crate::simd::Isa;
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Columns that are reduced side by side where there are many.
const WIDE: usize = 64;
/// Columns that are reduced side by side otherwise.
const NARROW: usize = 16;
/// Elements gathered at a time where nothing is contiguous.
const GATHER: usize = 256;

type Dims = SmallVec<[(usize, isize); 6]>;

/// Adds a dimension, merged with the one before where they are one run.
fn push_dim(dims: &mut Dims, size: usize, stride: isize) {
    if size == 1 {
        return;
    }
    if let Some((outer, above)) = dims.last_mut()
        && *above == stride.wrapping_mul(size as isize)
    {
        *outer = outer.wrapping_mul(size);
        *above = stride;
        return;
    }
    dims.push((size, stride));
}

/// The offsets of all indices of `dims`, row-major.
struct Offsets<'a> {
    dims: &'a [(usize, isize)],
    index: SmallVec<[usize; 6]>,
    at: isize,
    left: usize,
}

impl<'a> Offsets<'a> {
    fn new(dims: &'a [(usize, isize)]) -> Self {
        Offsets { dims, index: SmallVec::from_elem(0, dims.len()), at: 0, left: dims.iter().map(|d| d.0).product() }
    }
}

impl Iterator for Offsets<'_> {
    type Item = isize;
    #[inline(always)]
    fn next(&mut self) -> Option<isize> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let here = self.at;
        for (d, &(size, stride)) in self.dims.iter().enumerate().rev() {
            self.index[d] += 1;
            self.at += stride;
            if self.index[d] < size {
                break;
            }
            self.index[d] = 0;
            self.at -= stride * size as isize;
        }
        Some(here)
    }
}

/// Reduces the axes whose bits are set in `mask`; `out` is contiguous over the others.
///
/// # Safety
/// `shape` and `strides` have `rank <= 64` elements; every index is readable from `x`; `out` has one element for each
/// kept index and overlaps nothing.
#[inline(always)]
pub(crate) unsafe fn reduce_body<S: Isa, T: Copy, F: Fold<T>>(
    rank: usize,
    shape: *const usize,
    strides: *const isize,
    mask: u64,
    x: *const T,
    out: *mut T,
) {
    let (mut kept, mut reduced) = (Dims::new(), Dims::new());
    let (mut outputs, mut r) = (1usize, 1usize);
    for d in 0..rank {
        // SAFETY: `d < rank`.
        let (size, stride) = unsafe { (*shape.add(d), *strides.add(d)) };
        if mask >> d & 1 == 1 {
            // Wrapping: with a zero among them the product is zero however large the others are.
            r = r.wrapping_mul(size);
            push_dim(&mut reduced, size, stride);
        } else {
            outputs = outputs.wrapping_mul(size);
            push_dim(&mut kept, size, stride);
        }
    }
    if outputs == 0 {
        return;
    }
    // SAFETY: all offsets are those of the caller's indices; outputs are written in order, `outputs` of them.
    unsafe {
        if r == 0 {
            for i in 0..outputs {
                *out.add(i) = F::EMPTY;
            }
            return;
        }
        let inner = reduced.last().copied().unwrap_or((1, 1));
        if inner.1 == 1 && reduced.len() <= 1 {
            for (i, at) in Offsets::new(&kept).enumerate() {
                *out.add(i) = dense_body::<S, T, F>(r, x.offset(at));
            }
        } else if let Some((&(columns, 1), outer)) = kept.split_last() {
            for (i, at) in Offsets::new(outer).enumerate() {
                let (x, out) = (x.offset(at), out.add(i * columns));
                let mut done = 0;
                while done + WIDE <= columns {
                    tile::<T, F, WIDE>(&reduced, r, WIDE, x.add(done), out.add(done));
                    done += WIDE;
                }
                while done + NARROW <= columns {
                    tile::<T, F, NARROW>(&reduced, r, NARROW, x.add(done), out.add(done));
                    done += NARROW;
                }
                if done < columns {
                    tile::<T, F, NARROW>(&reduced, r, columns - done, x.add(done), out.add(done));
                }
            }
        } else {
            for (i, at) in Offsets::new(&kept).enumerate() {
                *out.add(i) = gathered::<S, T, F>(&reduced, x.offset(at));
            }
        }
    }
}

/// One output: runs of the innermost reduced axis, gathered first where they are not contiguous.
#[inline(always)]
unsafe fn gathered<S: Isa, T: Copy, F: Fold<T>>(reduced: &[(usize, isize)], x: *const T) -> T {
    let (&(n, stride), outer) = reduced.split_last().expect("one reduced axis of more than one element");
    let mut state = MaybeUninit::<ReduceState>::uninit();
    let state = state.as_mut_ptr();
    let mut buffer = [MaybeUninit::<T>::uninit(); GATHER];
    // SAFETY: the offsets are those of the caller's indices; `m <= GATHER` elements are written before they are read.
    unsafe {
        begin_body::<S, T, F>(state);
        for at in Offsets::new(outer) {
            let row = x.offset(at);
            if stride == 1 {
                update_body::<S, T, F>(state, n, row);
                continue;
            }
            let mut i = 0;
            while i < n {
                let m = GATHER.min(n - i);
                for (j, slot) in buffer.iter_mut().enumerate().take(m) {
                    slot.write(*row.offset((i + j) as isize * stride));
                }
                update_body::<S, T, F>(state, m, buffer.as_ptr().cast());
                i += m;
            }
        }
        finish_body::<S, T, F>(state)
    }
}

/// `w <= W` neighbouring outputs at once, row by row: the lanes and the cascade of [`super`], each `w` wide.
///
/// # Safety
/// `r` rows of `w` elements at `x` and the offsets of `reduced`; `w` elements writable at `out`.
#[inline(always)]
unsafe fn tile<T: Copy, F: Fold<T>, const W: usize>(
    reduced: &[(usize, isize)],
    r: usize,
    w: usize,
    x: *const T,
    out: *mut T,
) {
    debug_assert!(w <= W);
    let mut lanes = F::lanes().map(|lane| [lane; W]);
    let mut cascade: SmallVec<[[T; W]; 1]> = SmallVec::new();
    let mut blocks = 0u64;
    let mut fill = 0usize;
    let whole = r > F::BLOCK;
    let (&(n, step), outer) = reduced.split_last().unwrap_or((&(1, 0), &[]));
    let mut left = r;
    for (at, i) in Offsets::new(outer).flat_map(|at| (0..n as isize).map(move |i| (at, i))) {
        let row = x.wrapping_offset(at + i * step);
        let lane = &mut lanes[fill % LANES];
        for (j, v) in lane.iter_mut().enumerate().take(w) {
            // SAFETY: column `j < w` of a row of the caller's.
            *v = F::fold(*v, unsafe { *row.add(j) });
        }
        fill += 1;
        left -= 1;
        if whole && (fill == F::BLOCK || left == 0) {
            let mut value = halve_tile::<T, F, W>(&mut lanes, w, fill);
            let mut count = blocks;
            while count & 1 == 1 {
                let stored = cascade.pop().expect("a stored level for each bit");
                for j in 0..w {
                    value[j] = F::fold(stored[j], value[j]);
                }
                count >>= 1;
            }
            cascade.push(value);
            blocks += 1;
            fill = 0;
            lanes = F::lanes().map(|lane| [lane; W]);
        }
    }
    let mut value =
        if whole { cascade.pop().expect("at least one block") } else { halve_tile::<T, F, W>(&mut lanes, w, fill) };
    while let Some(stored) = cascade.pop() {
        for j in 0..w {
            value[j] = F::fold(stored[j], value[j]);
        }
    }
    for (j, v) in value.iter().enumerate().take(w) {
        // SAFETY: the caller's output has `w` elements.
        unsafe { *out.add(j) = *v };
    }
}

/// The lanes' halving, without those that hold only the identity.
#[inline(always)]
fn halve_tile<T: Copy, F: Fold<T>, const W: usize>(lanes: &mut [[T; W]; LANES], w: usize, fill: usize) -> [T; W] {
    let mut used = fill.min(LANES);
    let mut h = LANES / 2;
    while h > 0 {
        for l in 0..used.saturating_sub(h) {
            for j in 0..w {
                lanes[l][j] = F::fold(lanes[l][j], lanes[l + h][j]);
            }
        }
        used = used.min(h);
        h /= 2;
    }
    lanes[0]
}
