//! The chains of a product: in turn, or side by side in threads where there are too few rows to share. Never computes one
//! itself; the order in which they are added is that of [`super`].

use super::axes::Operand;
use super::tile::{Finish, direct};
use super::{CHAIN, Matrix, Scalar, gemm, work};
use crate::simd::{Isa, Lanes};
use crate::threads::num_threads;

/// Multiply-adds below which threads cost more than they bring.
const PARALLEL: usize = 160 * 160 * 160;
/// Rows for each thread from which on the rows of a chain are shared, and not the chains.
const ROWS: usize = 48;
/// Elements of a product whose chains may be side by side.
const ELEMENTS: usize = 1 << 16;
/// Elements of all chains that wait to be added.
const WAITING: usize = 1 << 20;
/// Chains up to this many multiply-adds are not worth packing, as are those with so few rows or columns that packing
/// would cost more than it saves.
const SMALL: usize = 48 * 48 * 48;
/// The largest `b` that is copied whole, in elements: repeated elements are many without being in memory.
const COPIED: usize = 1 << 22;

/// The product. With `add` there is one chain.
///
/// # Safety
/// As for [`super::matmul_body`].
#[inline(always)]
pub(super) unsafe fn product<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    c: *mut T,
    c_rs: isize,
    add: bool,
) {
    let chains = Chains { m, n, k, a: Operand::Matrix(a), b: Operand::Matrix(b) };
    let threads = chains.threads();
    // SAFETY: as for the caller.
    unsafe {
        if chains.are_side_by_side(threads) {
            return side_by_side::<S, T>(threads, chains, c, c_rs);
        }
        for i in 0..chains.number() {
            let finish = if i == 0 { Finish::first(add) } else { Finish::Add };
            chains.compute::<S>(threads, i, c, c_rs, finish);
        }
    }
}

/// [`product`] of operands of several axes: by the code that threads run, as one more copy of it would bring nothing.
///
/// # Safety
/// As for [`super::matmul_body`].
#[inline(always)]
pub(super) unsafe fn product_of_axes<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Operand<T>,
    b: Operand<T>,
    c: *mut T,
    c_rs: isize,
    add: bool,
) {
    let chains = Chains { m, n, k, a, b };
    let threads = chains.threads();
    // SAFETY: as for the caller.
    unsafe {
        if chains.are_side_by_side(threads) {
            return side_by_side::<S, T>(threads, chains, c, c_rs);
        }
        for i in 0..chains.number() {
            let finish = if i == 0 { Finish::first(add) } else { Finish::Add };
            in_thread::<S, _>(Part { chains, threads, first: i, c, c_rs, apart: 0, finish }, 0, 1);
        }
    }
}

/// A product that is computed chain by chain.
#[derive(Copy, Clone)]
struct Chains<'a, T> {
    m: usize,
    n: usize,
    k: usize,
    a: Operand<'a, T>,
    b: Operand<'a, T>,
}

impl<T: Scalar> Chains<'_, T> {
    /// At least one, which is empty where `k == 0`.
    fn number(&self) -> usize {
        self.k.div_ceil(CHAIN).max(1)
    }

    /// How many threads are worth their cost.
    #[inline(always)]
    fn threads(&self) -> usize {
        if work(self.m, self.n, self.k) < PARALLEL { 1 } else { num_threads() }
    }

    /// Whether threads share the chains, and not the rows.
    #[inline(always)]
    fn are_side_by_side(&self, threads: usize) -> bool {
        threads > 1 && self.k > CHAIN && self.m < ROWS * threads && self.m * self.n <= ELEMENTS
    }

    /// Chain `i` of every element.
    ///
    /// # Safety
    /// As for [`super::matmul_body`]; `i` is one of the chains.
    #[inline(always)]
    unsafe fn compute<S: Isa>(self, threads: usize, i: usize, c: *mut T, c_rs: isize, finish: Finish) {
        let (m, n, p) = (self.m, self.n, i * CHAIN);
        let k = CHAIN.min(self.k - p);
        let (a, b) = (self.a.column(p), self.b.row(p));
        let small =
            work(m, n, k) <= SMALL || n <= <T::Vec<S> as Lanes<T>>::N || (!S::TILES && k.saturating_mul(n) <= COPIED);
        let few = small || m < 16 || !S::TILES;
        // SAFETY: as for the caller; steps from `p` on are some of the `k`.
        unsafe {
            match (a, b) {
                (Operand::Matrix(a), Operand::Matrix(b)) if few && b.cs == 1 => {
                    direct::<S, T>(m, n, k, a, b.at, b.rs, c, c_rs, finish);
                }
                // Few rows are not worth packing where a copy, or nothing, will do.
                _ if small || (few && (b.is_axes() || b.dense().is_some())) => {
                    gemm::copied::<S, T>(m, n, k, a, b, c, c_rs, finish);
                }
                _ => gemm::blocked::<S, T>(threads, m, n, k, a, b, c, c_rs, finish),
            }
        }
    }
}

/// Each thread computes some of the chains into memory of their own; then they are added.
///
/// # Safety
/// As for [`super::matmul_body`].
#[inline(always)]
unsafe fn side_by_side<S: Isa, T: Scalar>(threads: usize, chains: Chains<'_, T>, c: *mut T, c_rs: isize) {
    let each = chains.m * chains.n;
    let number = chains.number();
    let waiting = (WAITING / each).max(threads).min(number);
    let mut results = vec![T::ZERO; waiting * each];
    for first in (0..number).step_by(waiting) {
        let now = waiting.min(number - first);
        let share = now.div_ceil(threads);
        let (to, row) = (results.as_mut_ptr(), chains.n as isize);
        let part = Part { chains, threads: 1, first, c: to, c_rs: row, apart: each, finish: Finish::Store };
        let part = Shared(part);
        rayon::scope(|scope| {
            for from in (0..now).step_by(share) {
                // SAFETY: as for the caller; each thread writes the results of its chains.
                scope.spawn(move |_| unsafe { in_thread::<S, _>(part.get(), from, share.min(now - from)) });
            }
        });
        for (i, result) in results.chunks_exact(each).take(now).enumerate() {
            for (r, row) in result.chunks_exact(chains.n).enumerate() {
                // SAFETY: rows of `c`, which overlaps nothing.
                let to = unsafe { std::slice::from_raw_parts_mut(c.offset(r as isize * c_rs), chains.n) };
                match first + i {
                    0 => to.copy_from_slice(row),
                    _ => to.iter_mut().zip(row).for_each(|(c, x)| *c = c.sum(*x)),
                }
            }
        }
    }
}

/// Chains from `first` on, whose results are `apart` elements from one another, or all in one place.
#[derive(Copy, Clone)]
struct Part<'a, T> {
    chains: Chains<'a, T>,
    threads: usize,
    first: usize,
    c: *mut T,
    c_rs: isize,
    apart: usize,
    finish: Finish,
}

impl<T: Scalar> Task for Part<'_, T> {
    #[inline(always)]
    unsafe fn run<S: Isa>(self, from: usize, len: usize) {
        let Part { chains, threads, first, c, c_rs, apart, finish } = self;
        for i in from..from + len {
            // SAFETY: as for the caller.
            unsafe { chains.compute::<S>(threads, first + i, c.add(i * apart), c_rs, finish) };
        }
    }
}

/// Work that threads share in ranges.
pub(super) trait Task: Copy {
    /// Does `from..from + len` of it.
    ///
    /// # Safety
    /// The range is inside the work, nothing else touches what it writes, and the CPU has the level.
    unsafe fn run<S: Isa>(self, from: usize, len: usize);
}

/// What threads may share because they touch different elements behind its pointers.
#[derive(Copy, Clone)]
pub(super) struct Shared<W>(pub(super) W);
// SAFETY: each user states why the elements touched are different or only read.
unsafe impl<W> Send for Shared<W> {}
// SAFETY: as above.
unsafe impl<W> Sync for Shared<W> {}
impl<W: Copy> Shared<W> {
    pub(super) fn get(&self) -> W {
        self.0
    }
}

/// A task compiled for its level once more: a spawned closure does not inherit the caller's features.
///
/// # Safety
/// As for [`Task::run`].
pub(super) unsafe fn in_thread<S: Isa, W: Task>(work: W, from: usize, len: usize) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<S: Isa, W: Task>(work: W, from: usize, len: usize) {
        // SAFETY: as for the caller.
        unsafe { work.run::<S>(from, len) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    unsafe fn avx512<S: Isa, W: Task>(work: W, from: usize, len: usize) {
        // SAFETY: as for the caller.
        unsafe { work.run::<S>(from, len) }
    }
    // SAFETY: `S` was chosen because the CPU has its level; the rest as for the caller.
    unsafe {
        match S::LEVEL {
            #[cfg(target_arch = "x86_64")]
            crate::simd::Level::Avx512 => avx512::<S, W>(work, from, len),
            #[cfg(target_arch = "x86_64")]
            crate::simd::Level::Avx2 => avx2::<S, W>(work, from, len),
            _ => work.run::<S>(from, len),
        }
    }
}
