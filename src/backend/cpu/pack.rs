//! Moving matrices: a transposition, which generated code would do one element at a time. Strides may be negative. No
//! arithmetic.

use crate::kernels::{Signature, Word};

/// Bytes of the elements that are moved.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    Four,
    Eight,
}

/// Rows, columns, and address and stride of both matrices.
pub const SIGNATURE: Signature = Signature { arguments: &[Word::I64; 6], result: None };

impl Width {
    pub const ALL: [Width; 2] = [Width::Four, Width::Eight];

    /// The width of elements of so many bytes, where they are transposed here.
    pub fn of(bytes: usize) -> Option<Width> {
        match bytes {
            4 => Some(Width::Four),
            8 => Some(Width::Eight),
            _ => None,
        }
    }

    /// The name of the function that transposes.
    pub fn name(self) -> &'static str {
        match self {
            Width::Four => "transpose_32",
            Width::Eight => "transpose_64",
        }
    }

    pub fn address(self) -> *const u8 {
        match self {
            Width::Four => transpose_32 as *const u8,
            Width::Eight => transpose_64 as *const u8,
        }
    }
}

/// `to[i * to_stride + j] = from[i + j * from_stride]` for `rows` i and `cols` j.
///
/// # Safety
/// `from` and `to` must be readable and writable there, and must not overlap.
unsafe extern "C" fn transpose_32(rows: usize, cols: usize, from: *const u32, fs: isize, to: *mut u32, ts: isize) {
    let (r4, c4) = (rows / 4 * 4, cols / 4 * 4);
    for i in (0..r4).step_by(4) {
        for j in (0..c4).step_by(4) {
            // SAFETY: a tile of 4 by 4 inside both matrices, by the loops' bounds.
            unsafe { tile(from.add(i).offset(j as isize * fs), fs, to.add(j).offset(i as isize * ts), ts) }
        }
    }
    // SAFETY: what the tiles have left, inside both matrices.
    unsafe {
        rest(r4..rows, 0..cols, from, fs, to, ts);
        rest(0..r4, c4..cols, from, fs, to, ts);
    }
}

/// As `transpose_32`.
///
/// # Safety
/// As there.
unsafe extern "C" fn transpose_64(rows: usize, cols: usize, from: *const u64, fs: isize, to: *mut u64, ts: isize) {
    // SAFETY: the caller's promise.
    unsafe { rest(0..rows, 0..cols, from, fs, to, ts) }
}

unsafe fn rest<T: Copy>(
    rows: std::ops::Range<usize>,
    cols: std::ops::Range<usize>,
    from: *const T,
    fs: isize,
    to: *mut T,
    ts: isize,
) {
    for i in rows {
        for j in cols.clone() {
            // SAFETY: the caller's promise.
            unsafe { *to.add(j).offset(i as isize * ts) = *from.add(i).offset(j as isize * fs) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn tile(from: *const u32, fs: isize, to: *mut u32, ts: isize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; SSE is part of x86-64.
    unsafe {
        let mut r = [0, 1, 2, 3].map(|j| _mm_loadu_ps(from.offset(j * fs).cast()));
        let [a, b, c, d] = &mut r;
        _MM_TRANSPOSE4_PS(a, b, c, d);
        (0..4).for_each(|i| _mm_storeu_ps(to.offset(i as isize * ts).cast(), r[i]));
    }
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn tile(from: *const u32, fs: isize, to: *mut u32, ts: isize) {
    // SAFETY: the caller's promise.
    unsafe { rest(0..4, 0..4, from, fs, to, ts) }
}
