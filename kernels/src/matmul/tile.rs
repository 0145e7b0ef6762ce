//! Register tiles: a few rows and vectors of the output, each held in registers along one chain.
//! Never allocates; never reorders a chain.

use super::{CHAIN, Matrix, Scalar};
use crate::simd::{Isa, Lanes};

/// What happens to the chain that a tile has computed.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It overwrites `c`.
    Store,
    /// It is added to `c`.
    Add,
}

impl Finish {
    /// What becomes of an element's first chain; all others are added.
    #[inline(always)]
    pub(super) fn first(accumulate: bool) -> Finish {
        if accumulate { Finish::Add } else { Finish::Store }
    }
}

/// `MR` rows by `NV` vectors of `c`. With `PART`, the last vector has only `part` columns. With `PACKED`, `a` is a
/// packed panel: `rs == 1`, `cs == MR`.
///
/// # Safety
/// All indices are readable from `a` and `b` and writable to `c`, which overlaps neither.
#[inline(always)]
pub(crate) unsafe fn tile<
    V: Lanes<T>,
    T: Scalar,
    const MR: usize,
    const NV: usize,
    const PART: bool,
    const PACKED: bool,
>(
    k: usize,
    a: Matrix<T>,
    mut b: *const T,
    b_rs: isize,
    c: *mut T,
    c_rs: isize,
    part: usize,
    finish: Finish,
) {
    // SAFETY: as for the caller; a partial last vector touches `part` columns only.
    unsafe {
        let mut acc = [[V::splat(T::ZERO); NV]; MR];
        let mut column = a.at;
        for _ in 0..k {
            let mut row = [V::splat(T::ZERO); NV];
            for j in 0..NV {
                let at = b.add(j * V::N);
                row[j] = if PART && j == NV - 1 { V::load_part(at, part) } else { V::load(at) };
            }
            for i in 0..MR {
                let x = V::splat(if PACKED { *column.add(i) } else { *column.offset(i as isize * a.rs) });
                for j in 0..NV {
                    acc[i][j] = acc[i][j].mul_add_to(x, row[j]);
                }
            }
            // `wrapping`: the step after the last row may leave the matrix.
            column = if PACKED { column.wrapping_add(MR) } else { column.wrapping_offset(a.cs) };
            b = b.wrapping_offset(b_rs);
        }
        for i in 0..MR {
            for j in 0..NV {
                let at = c.offset(i as isize * c_rs).add(j * V::N);
                let mut v = acc[i][j];
                if PART && j == NV - 1 {
                    if finish == Finish::Add {
                        v = V::load_part(at, part).plus(v);
                    }
                    v.store_part(at, part);
                } else {
                    if finish == Finish::Add {
                        v = V::load(at).plus(v);
                    }
                    v.store(at);
                }
            }
        }
    }
}

/// One row of `c`, all chains: several vectors at once, so that they overlap in time. With `add` there is one chain.
///
/// # Safety
/// `k` elements readable from `x`, `x_cs` apart; `[k, n]` from `b`; `n` writable at `c`, which overlaps neither.
#[inline(always)]
pub(crate) unsafe fn row<S: Isa, T: Scalar>(
    n: usize,
    k: usize,
    x: *const T,
    x_cs: isize,
    b: *const T,
    b_rs: isize,
    c: *mut T,
    add: bool,
) {
    let a = Matrix { at: x, rs: 0, cs: x_cs };
    // SAFETY: as for the caller; steps from `p` on are some of the `k`.
    unsafe {
        columns::<S, T, 1>(n, k.min(CHAIN), a, b, b_rs, c, 0, Finish::first(add));
        for p in (CHAIN..k).step_by(CHAIN) {
            columns::<S, T, 1>(n, CHAIN.min(k - p), a.column(p), b.offset(p as isize * b_rs), b_rs, c, 0, Finish::Add);
        }
    }
}

/// `MR` rows of `c`, all columns, one chain.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn columns<S: Isa, T: Scalar, const MR: usize>(
    n: usize,
    k: usize,
    a: Matrix<T>,
    b: *const T,
    b_rs: isize,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    let width = <T::Vec<S> as Lanes<T>>::N;
    let mut j = 0;
    macro_rules! tiles {
        ($nv:literal) => {
            while j + $nv * width <= n {
                // SAFETY: the columns from `j` on are inside `n`.
                unsafe {
                    let (b, c) = (b.add(j), c.add(j));
                    tile::<T::Vec<S>, T, MR, $nv, false, false>(k, a, b, b_rs, c, c_rs, 0, finish);
                }
                j += $nv * width;
            }
        };
    }
    if S::TILES && MR == 1 {
        tiles!(8);
    }
    if S::TILES && (MR <= 2 || (MR == 4 && S::REGISTERS >= 32)) {
        tiles!(4);
    }
    if S::TILES {
        tiles!(2);
        if n - j > width {
            // SAFETY: the less than `2 * N` columns left.
            unsafe {
                let (part, b, c) = (n - j - width, b.add(j), c.add(j));
                return tile::<T::Vec<S>, T, MR, 2, true, false>(k, a, b, b_rs, c, c_rs, part, finish);
            }
        }
    }
    tiles!(1);
    if j < n {
        // SAFETY: the `n - j < N` columns left.
        unsafe {
            tile::<T::Vec<S>, T, MR, 1, true, false>(k, a, b.add(j), b_rs, c.add(j), c_rs, n - j, finish);
        }
    }
}

/// One chain of all of `c` without packing; `b_cs == 1`.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
pub(crate) unsafe fn direct<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<T>,
    b: *const T,
    b_rs: isize,
    c: *mut T,
    c_rs: isize,
    finish: Finish,
) {
    let mut i = 0;
    macro_rules! rows {
        ($mr:literal) => {
            while m - i >= $mr {
                // SAFETY: rows below `m`.
                unsafe {
                    let a = Matrix { at: a.at.offset(i as isize * a.rs), ..a };
                    columns::<S, T, $mr>(n, k, a, b, b_rs, c.offset(i as isize * c_rs), c_rs, finish);
                }
                i += $mr;
            }
        };
    }
    if S::TILES && S::REGISTERS >= 32 {
        rows!(8);
    }
    if S::TILES {
        rows!(4);
        rows!(2);
    }
    rows!(1);
}

/// `c[i, j] += round(a[i] b[j])`, `a`'s elements `a_rs` apart, `b` dense.
///
/// # Safety
/// All indices are readable from `a` and `b` and writable to `c`, which overlaps neither.
#[inline(always)]
pub(crate) unsafe fn rank1_add<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    a: *const T,
    a_rs: isize,
    b: *const T,
    c: *mut T,
    c_rs: isize,
) {
    let width = <T::Vec<S> as Lanes<T>>::N;
    let mut j = 0;
    // SAFETY: columns from `j` on are inside `n`, rows inside `m`.
    unsafe {
        while j + 2 * width <= n {
            outer::<T::Vec<S>, T, 2, false>(m, a, a_rs, b.add(j), c.add(j), c_rs, 0);
            j += 2 * width;
        }
        while j + width <= n {
            outer::<T::Vec<S>, T, 1, false>(m, a, a_rs, b.add(j), c.add(j), c_rs, 0);
            j += width;
        }
        if j < n {
            outer::<T::Vec<S>, T, 1, true>(m, a, a_rs, b.add(j), c.add(j), c_rs, n - j);
        }
    }
}

/// # Safety
/// As for [`rank1_add`], for `NV` vectors of columns.
#[inline(always)]
unsafe fn outer<V: Lanes<T>, T: Scalar, const NV: usize, const PART: bool>(
    m: usize,
    a: *const T,
    a_rs: isize,
    b: *const T,
    c: *mut T,
    c_rs: isize,
    part: usize,
) {
    // SAFETY: as for the caller; a partial vector touches `part` columns only.
    unsafe {
        let zero = V::splat(T::ZERO);
        let mut row = [zero; NV];
        for j in 0..NV {
            row[j] = if PART { V::load_part(b, part) } else { V::load(b.add(j * V::N)) };
        }
        for i in 0..m as isize {
            let x = V::splat(*a.offset(i * a_rs));
            for j in 0..NV {
                let at = c.offset(i * c_rs).add(j * V::N);
                // The chain begins at +0.0, so an exact -0.0 product counts as +0.0.
                let product = zero.mul_add_to(x, row[j]);
                if PART {
                    V::load_part(at, part).plus(product).store_part(at, part);
                } else {
                    V::load(at).plus(product).store(at);
                }
            }
        }
    }
}
