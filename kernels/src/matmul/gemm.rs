//! One chain of a large matrix product: operands packed into panels, blocks that fit the caches, rows shared among
//! threads. Never decides a value: blocking and threads only change when a chain is worked on.

use super::chains::{Shared, Task, in_thread};
use super::tile::{Finish, direct, tile};
use super::{Matrix, Scalar};
use crate::simd::{Isa, Lanes};
use crate::transpose::plane_body;
use std::cell::Cell;

/// Rows of `a` per block: a packed block of `a` stays in the second-level cache.
const MC: usize = 240;
/// Columns of `b` per block.
const NC: usize = 4096;
#[derive(Copy, Clone)]
#[repr(C, align(64))]
struct Line([u8; 64]);

thread_local! {
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Scratch memory, kept by the thread from one product to the next. A nested use gets memory of its own, so that a
/// thread that steals work while it waits is safe.
struct Scratch(Vec<Line>);

impl Scratch {
    /// At least `len` elements, zero or left over from before.
    fn of<T: Scalar>(len: usize) -> Scratch {
        let lines = (len * size_of::<T>()).div_ceil(64);
        let mut memory = SCRATCH.with(Cell::take);
        if memory.len() < lines {
            memory.resize(lines, Line([0; 64]));
        }
        Scratch(memory)
    }

    fn as_mut_ptr<T: Scalar>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.with(|scratch| scratch.set(std::mem::take(&mut self.0)));
    }
}

/// Copies `[k, n]` of `b` into row-major scratch (`n` dense).
///
/// # Safety
/// All indices readable from `b`; rows of `n` elements, `to_rs` apart, writable at `to`.
#[inline(always)]
unsafe fn densify<S: Isa, T: Scalar>(k: usize, n: usize, b: Matrix<T>, to: *mut T, to_rs: usize) {
    // SAFETY: as for the caller.
    unsafe {
        if b.rs == 1 {
            return plane_body::<S, T>(k, n, b.at, b.cs, to, to_rs as isize);
        }
        for p in 0..k {
            for j in 0..n {
                *to.add(p * to_rs + j) = *b.at.offset(p as isize * b.rs + j as isize * b.cs);
            }
        }
    }
}

/// One chain of a small product whose `b` has no dense rows: `b` is copied into some first.
///
/// # Safety
/// As for [`super::matmul_body`].
#[inline(always)]
pub(super) unsafe fn small_transposed<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    let mut scratch = Scratch::of::<T>(k * n);
    let dense = scratch.as_mut_ptr::<T>();
    // SAFETY: as for the caller; the scratch has `k * n` elements.
    unsafe {
        densify::<S, T>(k, n, b, dense, n);
        direct::<S, T>(m, n, k, a, dense, n as isize, c, c_rs, finish);
    }
}

/// Rows of a register tile.
const fn tile_rows<S: Isa>() -> usize {
    if S::REGISTERS >= 32 { 12 } else { 6 }
}

/// One chain of all of `c`.
///
/// # Safety
/// As for [`super::matmul_body`].
#[inline(always)]
pub(super) unsafe fn blocked<S: Isa, T: Scalar>(
    threads: usize,
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    let (mr, nr) = (tile_rows::<S>(), 2 * <T::Vec<S> as Lanes<T>>::N);
    let share = m.div_ceil(threads).next_multiple_of(mr);
    let nc = NC.min(n.next_multiple_of(nr));
    let mut scratch = Scratch::of::<T>(nc * k);
    let packed = scratch.as_mut_ptr::<T>();
    for j in (0..n).step_by(nc) {
        let columns = nc.min(n - j);
        // SAFETY: the blocks are inside the matrices. Threads read the packed block after it was written, and each writes
        // rows of `c` that no other touches.
        unsafe {
            pack_b::<S, T>(k, columns, nr, Matrix { at: b.at.offset(j as isize * b.cs), ..b }, packed);
            let rows = Rows { n: columns, k, a, packed: packed.cast_const(), c: c.add(j), c_rs, finish };
            if share >= m {
                rows.run::<S>(0, m);
                continue;
            }
            let rows = Shared(rows);
            rayon::scope(|scope| {
                for from in (0..m).step_by(share) {
                    scope.spawn(move |_| in_thread::<S, _>(rows.get(), from, share.min(m - from)));
                }
            });
        }
    }
}

/// Rows of `c` for one packed block of `b`.
#[derive(Copy, Clone)]
struct Rows<T> {
    n: usize,
    k: usize,
    a: Matrix<T>,
    packed: *const T,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
}

impl<T: Scalar> Task for Rows<T> {
    #[inline(always)]
    unsafe fn run<S: Isa>(self, from: usize, len: usize) {
        let Rows { n, k, a, packed, c, c_rs, finish } = self;
        // SAFETY: as for the caller: rows `from..from + len` are inside the matrices.
        unsafe {
            let a = Matrix { at: a.at.offset(from as isize * a.rs), ..a };
            row_blocks::<S, T>(len, n, k, a, packed, c.offset(from as isize * c_rs), c_rs, finish);
        }
    }
}

/// Packs `[k, n]` of `b` into panels of `nr` columns, row after row, zeros beyond the last column.
///
/// # Safety
/// All indices readable from `b`; `k * n.next_multiple_of(nr)` elements writable at `to`.
#[inline(always)]
unsafe fn pack_b<S: Isa, T: Scalar>(k: usize, n: usize, nr: usize, b: Matrix<T>, mut to: *mut T) {
    for j in (0..n).step_by(nr) {
        let w = nr.min(n - j);
        // SAFETY: `j + w <= n`; each panel has `k * nr` elements.
        unsafe {
            let from = Matrix { at: b.at.offset(j as isize * b.cs), ..b };
            if b.cs == 1 {
                for p in 0..k {
                    std::ptr::copy_nonoverlapping(from.at.offset(p as isize * b.rs), to.add(p * nr), w);
                }
            } else {
                densify::<S, T>(k, w, from, to, nr);
            }
            if w < nr {
                for p in 0..k {
                    for l in w..nr {
                        *to.add(p * nr + l) = T::ZERO;
                    }
                }
            }
            to = to.add(k * nr);
        }
    }
}

/// Packs `[m, k]` of `a` into panels of `mr` rows, column after column, zeros beyond the last row.
///
/// # Safety
/// All indices readable from `a`; `m.next_multiple_of(mr) * k` elements writable at `to`.
#[inline(always)]
unsafe fn pack_a<S: Isa, T: Scalar>(m: usize, k: usize, mr: usize, a: Matrix<T>, mut to: *mut T) {
    for i in (0..m).step_by(mr) {
        let h = mr.min(m - i);
        // SAFETY: `i + h <= m`; each panel has `mr * k` elements. A panel is a transposed panel of `b`.
        unsafe {
            let from = Matrix { at: a.at.offset(i as isize * a.rs), rs: a.cs, cs: a.rs };
            if a.rs == 1 {
                for p in 0..k {
                    std::ptr::copy_nonoverlapping(from.at.offset(p as isize * a.cs), to.add(p * mr), h);
                }
            } else {
                densify::<S, T>(k, h, from, to, mr);
            }
            if h < mr {
                for p in 0..k {
                    for l in h..mr {
                        *to.add(p * mr + l) = T::ZERO;
                    }
                }
            }
            to = to.add(k * mr);
        }
    }
}

/// `m` rows of `c` for one packed block of `b`.
///
/// # Safety
/// As for [`super::matmul_body`]; `packed` is [`pack_b`]'s.
#[inline(always)]
unsafe fn row_blocks<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<T>,
    packed: *const T,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    let mr = tile_rows::<S>();
    let mut scratch = Scratch::of::<T>(MC.min(m).next_multiple_of(mr) * k);
    let block = scratch.as_mut_ptr::<T>();
    {
        for i in (0..m).step_by(MC) {
            let rows = MC.min(m - i);
            // SAFETY: rows from `i` on are inside `m`.
            unsafe {
                let a = Matrix { at: a.at.offset(i as isize * a.rs), ..a };
                pack_a::<S, T>(rows, k, mr, a, block);
                let c = c.offset(i as isize * c_rs);
                if S::REGISTERS >= 32 {
                    tiles::<S, T, 12>(rows, n, k, block, packed, c, c_rs, finish);
                } else {
                    tiles::<S, T, 6>(rows, n, k, block, packed, c, c_rs, finish);
                }
            }
        }
    }
}

/// Asks for the rows of `c` that the next tile begins with, which would otherwise wait for memory.
#[inline(always)]
fn prefetch_below<T: Scalar, const MR: usize>(c: *const T, c_rs: isize, rows: usize) {
    #[cfg(target_arch = "x86_64")]
    for r in MR..(2 * MR).min(rows) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = c.wrapping_offset(r as isize * c_rs).cast::<i8>();
        // SAFETY: a hint, which faults for no address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at);
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(64));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (c, c_rs, rows);
}

/// All register tiles of one packed block of `a` with one of `b`.
///
/// # Safety
/// As for [`row_blocks`].
#[inline(always)]
unsafe fn tiles<S: Isa, T: Scalar, const MR: usize>(
    m: usize,
    n: usize,
    k: usize,
    a: *const T,
    b: *const T,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    // A tile never exceeds 12 rows of 2 * 16 columns.
    const EDGE: usize = 12 * 32;
    let nr = 2 * <T::Vec<S> as Lanes<T>>::N;
    for j in (0..n).step_by(nr) {
        let w = nr.min(n - j);
        for i in (0..m).step_by(MR) {
            let h = MR.min(m - i);
            // SAFETY: panels are whole by packing; at the edges the tile works on a copy of the part of `c` there is.
            unsafe {
                let a = Matrix { at: a.add(i * k), rs: 1, cs: MR as isize };
                let b = b.add(j * k);
                let c = c.offset(i as isize * c_rs).add(j);
                prefetch_below::<T, MR>(c, c_rs, m - i);
                if h == MR && w == nr {
                    tile::<T::Vec<S>, T, MR, 2, false, true>(k, a, b, nr as isize, c, c_rs, 0, finish);
                    continue;
                }
                let mut edge = [T::ZERO; EDGE];
                if finish != Finish::Store {
                    for r in 0..h {
                        std::ptr::copy_nonoverlapping(c.offset(r as isize * c_rs), edge.as_mut_ptr().add(r * nr), w);
                    }
                }
                let e = edge.as_mut_ptr();
                tile::<T::Vec<S>, T, MR, 2, false, true>(k, a, b, nr as isize, e, nr as isize, 0, finish);
                for r in 0..h {
                    std::ptr::copy_nonoverlapping(e.add(r * nr), c.offset(r as isize * c_rs), w);
                }
            }
        }
    }
}
