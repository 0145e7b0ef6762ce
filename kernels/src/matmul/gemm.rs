//! One chain of a large matrix product: operands packed into panels, blocks that fit the caches, rows shared among
//! threads. Never decides a value: blocking and threads only change when a chain is worked on.

use super::axes::{Offsets, Operand};
use super::chains::{Shared, Task, in_thread};
use super::tile::{Finish, direct, tile};
use super::{CHAIN, Matrix, Scalar, matmul_int_body};
use crate::int::Int;
use crate::simd::{Isa, Lanes};
use crate::transpose::plane_body;
use std::cell::Cell;

/// Rows of `a` per block: a packed block of `a` stays in the second-level cache.
const MC: usize = 240;
/// Columns of `b` per block.
const NC: usize = 4096;
/// Columns of a `b` of several axes that are copied at a time, where it is not packed.
const COLUMNS: usize = 1024;

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
    fn of<T>(len: usize) -> Scratch {
        let lines = (len * size_of::<T>()).div_ceil(64);
        let mut memory = SCRATCH.with(Cell::take);
        if memory.len() < lines {
            memory.resize(lines, Line([0; 64]));
        }
        Scratch(memory)
    }

    fn as_mut_ptr<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.with(|scratch| scratch.set(std::mem::take(&mut self.0)));
    }
}

/// Copies `[k, n]` of `b` into row-major scratch (`n` dense). One of several axes has at most [`CHAIN`] rows.
///
/// # Safety
/// All indices readable from `b`; rows of `n` elements, `to_rs` apart, writable at `to`.
#[inline(always)]
unsafe fn densify<S: Isa, T: Copy>(k: usize, n: usize, b: Operand<T>, to: *mut T, to_rs: usize) {
    // SAFETY: as for the caller.
    unsafe {
        match b {
            Operand::Matrix(b) if b.rs == 1 => plane_body::<S, T>(k, n, b.at, b.cs, to, to_rs as isize),
            Operand::Matrix(b) => {
                for p in 0..k {
                    for j in 0..n {
                        *to.add(p * to_rs + j) = *b.at.offset(p as isize * b.rs + j as isize * b.cs);
                    }
                }
            }
            Operand::Axes(b) => b.copy::<S>(Offsets::of(k, &b).first(k), n, to, to_rs),
        }
    }
}

/// One chain of a product that is not worth packing but whose operands can't be multiplied where they lie: what has several
/// axes is copied block by block, a matrix `b` without dense rows whole.
///
/// # Safety
/// As for [`super::matmul_body`]; `m` and `n` are not 0.
#[inline(always)]
pub(super) unsafe fn copied<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Operand<T>,
    b: Operand<T>,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    let rows = if a.is_axes() { CHAIN.min(m) } else { m };
    let columns = if b.is_axes() { COLUMNS.min(n) } else { n };
    let of_b = if b.dense().is_some() { 0 } else { k * columns };
    let mut scratch = Scratch::of::<T>(of_b + if a.is_axes() { rows * k } else { 0 });
    let right = scratch.as_mut_ptr::<T>();
    let left = right.wrapping_add(of_b);
    // SAFETY: as for the caller, block by block; the scratch has `of_b` elements for a block of `b`, `rows * k` for one of `a`.
    unsafe {
        for j in (0..n).step_by(columns) {
            let w = columns.min(n - j);
            // Not in a closure, which would be compiled for the baseline instruction set.
            let b = match b.dense() {
                Some(dense) => dense,
                None => {
                    densify::<S, T>(k, w, b.column(j), right, w);
                    Matrix { at: right.cast_const(), rs: w as isize, cs: 1 }
                }
            };
            for i in (0..m).step_by(rows) {
                let h = rows.min(m - i);
                let a = match a {
                    Operand::Matrix(a) => a,
                    Operand::Axes(_) => {
                        densify::<S, T>(h, k, a.row(i), left, k);
                        Matrix { at: left.cast_const(), rs: k as isize, cs: 1 }
                    }
                };
                direct::<S, T>(h, w, k, a, b.at, b.rs, c.offset(i as isize * c_rs).add(j), c_rs, finish);
            }
        }
    }
}

/// The product of integers, whose order means nothing: block by block of operands that are copied.
///
/// # Safety
/// As for [`super::matmul_body`].
#[inline(always)]
pub(super) unsafe fn copied_int<S: Isa, T: Int>(
    m: usize,
    n: usize,
    k: usize,
    a: Operand<T>,
    b: Operand<T>,
    c: *mut T,
    c_rs: isize,
    accumulate: u32,
) {
    let (rows, columns) = (CHAIN.min(m), COLUMNS.min(n));
    let mut scratch = Scratch::of::<T>((rows + columns) * CHAIN.min(k));
    let right = scratch.as_mut_ptr::<T>();
    let left = right.wrapping_add(columns * CHAIN.min(k));
    for p in (0..k.max(1)).step_by(CHAIN) {
        let steps = CHAIN.min(k - p);
        for j in (0..n).step_by(columns.max(1)) {
            let w = columns.min(n - j);
            // SAFETY: as for the caller, block by block; the scratch has a block of both.
            unsafe {
                densify::<S, T>(steps, w, b.row(p).column(j), right, w);
                for i in (0..m).step_by(rows.max(1)) {
                    let h = rows.min(m - i);
                    densify::<S, T>(h, steps, a.row(i).column(p), left, steps);
                    let (c, add) = (c.offset(i as isize * c_rs).add(j), if p > 0 { 1 } else { accumulate });
                    let (ars, brs) = (steps as isize, w as isize);
                    matmul_int_body::<S, T>(h, w, steps, left, ars, 1, right, brs, 1, c, c_rs, add);
                }
            }
        }
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
    a: Operand<T>,
    b: Operand<T>,
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
            let panels = Panels { k, n: columns, width: nr, from: b.column(j), to: packed };
            panels.pack::<S>(if b.is_axes() { threads } else { 1 });
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
struct Rows<'a, T> {
    n: usize,
    k: usize,
    a: Operand<'a, T>,
    packed: *const T,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
}

impl<T: Scalar> Task for Rows<'_, T> {
    #[inline(always)]
    unsafe fn run<S: Isa>(self, from: usize, len: usize) {
        let Rows { n, k, a, packed, c, c_rs, finish } = self;
        // SAFETY: as for the caller: rows `from..from + len` are inside the matrices.
        unsafe {
            row_blocks::<S, T>(len, n, k, a.row(from), packed, c.offset(from as isize * c_rs), c_rs, finish);
        }
    }
}

/// `[k, n]` of `b` that is to be packed into panels of `width` columns, row after row, with zeros beyond the last column. A
/// panel of `a` is one of its transpose.
#[derive(Copy, Clone)]
struct Panels<'a, T> {
    k: usize,
    n: usize,
    width: usize,
    from: Operand<'a, T>,
    /// `k * n.next_multiple_of(width)` elements.
    to: *mut T,
}

impl<T: Scalar> Panels<'_, T> {
    /// Packs all, shared among so many threads.
    ///
    /// # Safety
    /// All indices are readable, and all elements of the panels writable.
    #[inline(always)]
    unsafe fn pack<S: Isa>(self, threads: usize) {
        let number = self.n.div_ceil(self.width);
        let share = number.div_ceil(threads);
        if share >= number {
            // SAFETY: as for the caller.
            return unsafe { in_thread::<S, _>(self, 0, number) };
        }
        let panels = Shared(self);
        rayon::scope(|scope| {
            for from in (0..number).step_by(share) {
                // SAFETY: as for the caller; each thread writes panels of its own.
                scope.spawn(move |_| unsafe { in_thread::<S, _>(panels.get(), from, share.min(number - from)) });
            }
        });
    }
}

impl<T: Scalar> Task for Panels<'_, T> {
    #[inline(always)]
    unsafe fn run<S: Isa>(self, from: usize, len: usize) {
        let Panels { k, n, width, .. } = self;
        let offsets = if let Operand::Axes(x) = &self.from { Some(Offsets::of(k, x)) } else { None };
        for panel in from..from + len {
            let (j, w) = (panel * width, width.min(n - panel * width));
            // SAFETY: `j + w <= n`; each panel has `k * width` elements.
            unsafe {
                let to = self.to.add(panel * k * width);
                match (self.from.column(j), &offsets) {
                    (Operand::Axes(x), Some(offsets)) => x.copy::<S>(offsets.first(k), w, to, width),
                    (Operand::Matrix(x), _) if x.cs == 1 => {
                        for p in 0..k {
                            std::ptr::copy_nonoverlapping(x.at.offset(p as isize * x.rs), to.add(p * width), w);
                        }
                    }
                    (x, _) => densify::<S, T>(k, w, x, to, width),
                }
                if w < width {
                    for p in 0..k {
                        for l in w..width {
                            *to.add(p * width + l) = T::ZERO;
                        }
                    }
                }
            }
        }
    }
}

/// `m` rows of `c` for one packed block of `b`.
///
/// # Safety
/// As for [`super::matmul_body`]; `packed` are [`Panels`] of it.
#[inline(always)]
unsafe fn row_blocks<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Operand<T>,
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
                Panels { k, n: rows, width: mr, from: a.row(i).transposed(), to: block }.pack::<S>(1);
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
