//! Operands whose rows or columns are several axes of memory, as the windows of a convolution are: an index counts through
//! the axes, the last the fastest. They are copied where a product packs its operands anyway, and never multiplied where they
//! lie; which elements they are changes, and nothing of how these are multiplied.

use super::chains::{Task, in_thread};
use super::{CHAIN, Matrix};
use crate::simd::Isa;
use crate::transpose::plane_body;
use smallvec::SmallVec;

/// An index that counts through several axes, at least one, from `first` on.
#[derive(Copy, Clone)]
pub(crate) struct Index<'a> {
    sizes: &'a [usize],
    strides: &'a [isize],
    first: usize,
}

impl Index<'_> {
    #[inline(always)]
    fn from(self, i: usize) -> Self {
        Index { first: self.first + i, ..self }
    }

    /// Where the first so many indices lie, in elements from that of index 0.
    #[inline(always)]
    fn offsets(self, to: &mut [isize]) {
        if to.is_empty() {
            return;
        }
        let inner = self.sizes.len() - 1;
        let mut at: SmallVec<[usize; 8]> = SmallVec::from_elem(0, inner + 1);
        let (mut rest, mut offset) = (self.first, 0isize);
        for d in (0..=inner).rev() {
            at[d] = if d == 0 { rest } else { rest % self.sizes[d] };
            rest /= self.sizes[d];
            offset = offset.wrapping_add((at[d] as isize).wrapping_mul(self.strides[d]));
        }
        // Wrapping: the step after the last index may leave the memory, and strides of single elements mean nothing.
        let mut done = 0;
        loop {
            let run = (self.sizes[inner] - at[inner]).min(to.len() - done);
            for place in &mut to[done..done + run] {
                *place = offset;
                offset = offset.wrapping_add(self.strides[inner]);
            }
            done += run;
            if done == to.len() {
                return;
            }
            at[inner] += run;
            let mut d = inner;
            while d > 0 && at[d] == self.sizes[d] {
                offset = offset.wrapping_sub((at[d] as isize).wrapping_mul(self.strides[d]));
                at[d] = 0;
                d -= 1;
                at[d] += 1;
                offset = offset.wrapping_add(self.strides[d]);
            }
        }
    }
}

/// An operand whose rows and columns are axes of memory.
#[derive(Copy, Clone)]
pub(crate) struct Axes<'a, T> {
    at: *const T,
    rows: Index<'a>,
    columns: Index<'a>,
}

impl<T: Copy> Axes<'_, T> {
    /// Copies the rows at these offsets, `n` columns of each, to rows `to_rs` apart.
    ///
    /// # Safety
    /// The offsets are some of [`Offsets`] of this operand; `n` columns are readable, and writable at `to`, which overlaps
    /// nothing.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Isa>(self, rows: &[isize], n: usize, to: *mut T, to_rs: usize) {
        // SAFETY: as for the caller. A call, for the code is large.
        unsafe { in_thread::<S, _>(Columns { rows, x: self, to, to_rs }, 0, n) }
    }
}

/// Columns of an operand that are to be copied.
#[derive(Copy, Clone)]
struct Columns<'a, T> {
    /// Offsets.
    rows: &'a [isize],
    x: Axes<'a, T>,
    to: *mut T,
    to_rs: usize,
}

impl<T: Copy> Task for Columns<'_, T> {
    #[inline(always)]
    unsafe fn run<S: Isa>(self, from: usize, n: usize) {
        const PIECE: usize = 64;
        let Columns { rows, x, to, to_rs } = self;
        let mut offsets = [0isize; PIECE];
        for j in (from..from + n).step_by(PIECE) {
            let columns = &mut offsets[..PIECE.min(from + n - j)];
            x.columns.from(j).offsets(columns);
            let mut l = 0;
            while l < columns.len() {
                let (len, stride) = run(&columns[l..]);
                // SAFETY: columns `j + l..j + l + len` of the rows, as for the caller: the sum of a row's offset and a column's is
                // where their element lies.
                unsafe {
                    let (from, to) = (x.at.wrapping_offset(columns[l]), to.add(j + l));
                    match stride {
                        1 => strips(rows, len, from, to, to_rs),
                        _ => planes::<S, T>(rows, len, from, stride, to, to_rs),
                    }
                }
                l += len;
            }
        }
    }
}

/// How many of the first offsets are the same distance apart, and that distance. Neighbours that come after others are left
/// for a run of their own.
#[inline(always)]
fn run(offsets: &[isize]) -> (usize, isize) {
    let distance = |i: usize| offsets[i].wrapping_sub(offsets[i - 1]);
    if offsets.len() == 1 {
        return (1, 1);
    }
    let stride = distance(1);
    let mut len = 2;
    while len < offsets.len() && distance(len) == stride {
        len += 1;
    }
    if stride != 1 && len < offsets.len() && distance(len) == 1 {
        len -= 1;
    }
    (len, if len == 1 { 1 } else { stride })
}

/// Copies `n` neighbours of each row, by as many at a time as there are; the last of them overlap those before.
///
/// # Safety
/// `n` elements are readable from each row's offset after `from`, and writable at `to`, which overlaps nothing.
#[inline(always)]
unsafe fn strips<T: Copy>(rows: &[isize], n: usize, from: *const T, to: *mut T, to_rs: usize) {
    /// By `COUNT` at a time, where there are so many.
    ///
    /// # Safety
    /// As for [`strips`].
    #[inline(always)]
    unsafe fn by<const COUNT: usize, T: Copy>(rows: &[isize], n: usize, from: *const T, to: *mut T, to_rs: usize) {
        for (p, &offset) in rows.iter().enumerate() {
            // SAFETY: as for the caller, `n >= COUNT`.
            unsafe {
                let (from, to) = (from.wrapping_offset(offset), to.add(p * to_rs));
                let mut l = 0;
                while l + COUNT <= n {
                    std::ptr::copy_nonoverlapping(from.add(l), to.add(l), COUNT);
                    l += COUNT;
                }
                if l < n {
                    std::ptr::copy_nonoverlapping(from.add(n - COUNT), to.add(n - COUNT), COUNT);
                }
            }
        }
    }
    // SAFETY: as for the caller; each count is at most `n`.
    unsafe {
        match n {
            0 => {}
            1 => by::<1, T>(rows, n, from, to, to_rs),
            2..4 => by::<2, T>(rows, n, from, to, to_rs),
            4..8 => by::<4, T>(rows, n, from, to, to_rs),
            8..16 => by::<8, T>(rows, n, from, to, to_rs),
            _ => by::<16, T>(rows, n, from, to, to_rs),
        }
    }
}

/// Copies `n` elements of each row that are `stride` apart: rows that are neighbours as a plane that is transposed.
///
/// # Safety
/// As for [`strips`], for elements `stride` apart.
#[inline(always)]
unsafe fn planes<S: Isa, T: Copy>(rows: &[isize], n: usize, from: *const T, stride: isize, to: *mut T, to_rs: usize) {
    let mut p = 0;
    while p < rows.len() {
        let mut end = p + 1;
        while end < rows.len() && rows[end].wrapping_sub(rows[end - 1]) == 1 {
            end += 1;
        }
        // SAFETY: as for the caller, for rows `p..end`.
        unsafe {
            let (from, to) = (from.wrapping_offset(rows[p]), to.add(p * to_rs));
            plane_body::<S, T>(end - p, n, from, stride, to, to_rs as isize);
        }
        p = end;
    }
}

/// Where the first rows of an operand lie, at most [`CHAIN`].
pub(super) struct Offsets([isize; CHAIN]);

impl Offsets {
    #[inline(always)]
    pub(super) fn of<T>(rows: usize, x: &Axes<T>) -> Offsets {
        let mut offsets = [0; CHAIN];
        x.rows.offsets(&mut offsets[..rows]);
        Offsets(offsets)
    }

    #[inline(always)]
    pub(super) fn first(&self, rows: usize) -> &[isize] {
        &self.0[..rows]
    }
}

/// An operand of a product.
#[derive(Copy, Clone)]
pub(crate) enum Operand<'a, T> {
    Matrix(Matrix<T>),
    Axes(Axes<'a, T>),
}

impl<T: Copy> Operand<'_, T> {
    /// The operand that words describe: the numbers of axes that are rows and columns, at least one each, then their sizes,
    /// then their strides, rows first.
    ///
    /// # Safety
    /// There are as many words, which live as long.
    #[inline(always)]
    pub(crate) unsafe fn of(at: *const T, words: *const usize) -> Self {
        // SAFETY: as for the caller; a stride is a word with a sign.
        unsafe {
            let (r, c) = (*words, *words.add(1));
            let sizes = std::slice::from_raw_parts(words.add(2), r + c);
            let strides = std::slice::from_raw_parts(words.add(2 + r + c).cast::<isize>(), r + c);
            if r == 1 && c == 1 {
                return Operand::Matrix(Matrix { at, rs: strides[0], cs: strides[1] });
            }
            let index =
                |from: usize, to: usize| Index { sizes: &sizes[from..to], strides: &strides[from..to], first: 0 };
            Operand::Axes(Axes { at, rows: index(0, r), columns: index(r, r + c) })
        }
    }

    /// The operand from row `p` on.
    #[inline(always)]
    pub(crate) fn row(self, p: usize) -> Self {
        match self {
            Operand::Matrix(x) => Operand::Matrix(x.row(p)),
            Operand::Axes(x) => Operand::Axes(Axes { rows: x.rows.from(p), ..x }),
        }
    }

    /// The operand from column `p` on.
    #[inline(always)]
    pub(crate) fn column(self, p: usize) -> Self {
        match self {
            Operand::Matrix(x) => Operand::Matrix(x.column(p)),
            Operand::Axes(x) => Operand::Axes(Axes { columns: x.columns.from(p), ..x }),
        }
    }

    #[inline(always)]
    pub(crate) fn transposed(self) -> Self {
        match self {
            Operand::Matrix(x) => Operand::Matrix(x.transposed()),
            Operand::Axes(x) => Operand::Axes(Axes { at: x.at, rows: x.columns, columns: x.rows }),
        }
    }

    /// The matrix, where its columns are neighbours.
    #[inline(always)]
    pub(crate) fn dense(self) -> Option<Matrix<T>> {
        match self {
            Operand::Matrix(x) => (x.cs == 1).then_some(x),
            Operand::Axes(_) => None,
        }
    }

    #[inline(always)]
    pub(crate) fn is_axes(&self) -> bool {
        matches!(self, Operand::Axes(_))
    }
}
