//! Transposition of a plane of memory, block by block in registers. Never looks at the values.

use super::simd::{Isa, Level, multiversion};

/// `to[i * to_rs + j] = from[i + j * from_cs]` for `i < rows`, `j < cols`.
///
/// # Safety
/// All indices are readable from `from` and writable to `to`, which do not overlap.
#[inline(always)]
pub(crate) unsafe fn plane_body<S: Isa, T: Copy>(
    rows: usize,
    cols: usize,
    from: *const T,
    from_cs: isize,
    to: *mut T,
    to_rs: isize,
) {
    let (whole_rows, whole_cols) = (rows & !7, cols & !3);
    // SAFETY: blocks and edges stay below `rows` and `cols`.
    unsafe {
        for i in (0..whole_rows).step_by(8) {
            let (x, y) = (from.add(i), to.offset(i as isize * to_rs));
            let mut j = 0;
            while j + 8 <= cols {
                block_8x8::<S, T>(x.offset(j as isize * from_cs), from_cs, y.add(j), to_rs);
                j += 8;
            }
            if j < whole_cols {
                let (x, y) = (x.offset(j as isize * from_cs), y.add(j));
                block_4x4(x, from_cs, y, to_rs);
                block_4x4(x.add(4), from_cs, y.offset(4 * to_rs), to_rs);
                j += 4;
            }
            edge(8, j..cols, x, from_cs, y, to_rs);
        }
        let (x, y) = (from.add(whole_rows), to.offset(whole_rows as isize * to_rs));
        edge(rows - whole_rows, 0..cols, x, from_cs, y, to_rs);
    }
}

multiversion! {
    pub(crate) unsafe fn plane<T: Copy>(
        rows: usize, cols: usize, from: *const T, from_cs: isize, to: *mut T, to_rs: isize) = plane_body::<T>;
}

/// # Safety
/// As for [`plane_body`].
#[inline(always)]
unsafe fn edge<T: Copy>(
    rows: usize,
    cols: std::ops::Range<usize>,
    from: *const T,
    from_cs: isize,
    to: *mut T,
    to_rs: isize,
) {
    for i in 0..rows as isize {
        for j in cols.clone() {
            // SAFETY: an index of the caller's.
            unsafe { *to.offset(i * to_rs).add(j) = *from.offset(i + j as isize * from_cs) };
        }
    }
}

/// # Safety
/// As for [`plane_body`], 4 by 4. Four-byte elements go through SSE registers, which x86-64 always has.
#[inline(always)]
unsafe fn block_4x4<T: Copy>(from: *const T, from_cs: isize, to: *mut T, to_rs: isize) {
    // SAFETY: as for the caller; shuffles keep the bits of any four-byte element.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if size_of::<T>() == 4 {
            use std::arch::x86_64::*;
            let at = |j: isize| _mm_loadu_ps(from.offset(j * from_cs).cast());
            let (mut a, mut b, mut c, mut d) = (at(0), at(1), at(2), at(3));
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            for (i, row) in [a, b, c, d].into_iter().enumerate() {
                _mm_storeu_ps(to.offset(i as isize * to_rs).cast(), row);
            }
            return;
        }
        edge(4, 0..4, from, from_cs, to, to_rs);
    }
}

/// # Safety
/// As for [`plane_body`], 8 by 8.
#[inline(always)]
unsafe fn block_8x8<S: Isa, T: Copy>(from: *const T, from_cs: isize, to: *mut T, to_rs: isize) {
    // SAFETY: as for the caller; AVX shuffles run only at levels that have them and keep the bits of any element.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if S::LEVEL != Level::Baseline {
            if size_of::<T>() == 4 {
                return avx_8x8_of_4(from.cast(), from_cs, to.cast(), to_rs);
            }
            if size_of::<T>() == 8 {
                for (i, j) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
                    let x = from.offset(i + j * from_cs);
                    avx_4x4_of_8(x.cast(), from_cs, to.offset(i * to_rs + j).cast(), to_rs);
                }
                return;
            }
        }
        for (i, j) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
            block_4x4(from.offset(i + j * from_cs), from_cs, to.offset(i * to_rs + j), to_rs);
        }
    }
}

/// # Safety
/// As for [`block_8x8`]; needs AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn avx_8x8_of_4(from: *const f32, from_cs: isize, to: *mut f32, to_rs: isize) {
    use std::arch::x86_64::*;
    // SAFETY: as for the caller.
    unsafe {
        // Lane halves come together while loading, which leaves 16 shuffles.
        let pair = |j: isize, i: usize| {
            let low = _mm_loadu_ps(from.offset(j * from_cs).add(i));
            let high = _mm_loadu_ps(from.offset((j + 4) * from_cs).add(i));
            _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
        };
        for half in [0usize, 4] {
            let (a, b, c, d) = (pair(0, half), pair(1, half), pair(2, half), pair(3, half));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab2, cd2) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let rows = [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab2, cd2),
                _mm256_shuffle_ps::<0xee>(ab2, cd2),
            ];
            for (i, row) in rows.into_iter().enumerate() {
                _mm256_storeu_ps(to.offset((half + i) as isize * to_rs), row);
            }
        }
    }
}

/// # Safety
/// As for [`block_8x8`], 4 by 4; needs AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn avx_4x4_of_8(from: *const f64, from_cs: isize, to: *mut f64, to_rs: isize) {
    use std::arch::x86_64::*;
    // SAFETY: as for the caller.
    unsafe {
        let pair = |j: isize, i: usize| {
            let low = _mm_loadu_pd(from.offset(j * from_cs).add(i));
            let high = _mm_loadu_pd(from.offset((j + 2) * from_cs).add(i));
            _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(low), high)
        };
        for half in [0usize, 2] {
            let (a, b) = (pair(0, half), pair(1, half));
            _mm256_storeu_pd(to.offset(half as isize * to_rs), _mm256_unpacklo_pd(a, b));
            _mm256_storeu_pd(to.offset((half + 1) as isize * to_rs), _mm256_unpackhi_pd(a, b));
        }
    }
}
