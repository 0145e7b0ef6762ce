//! Conversions between the element types. Never rounds twice unless the conversion is defined to go through f32.

use super::element_ops::{Map, map_run};
use super::elementwise::mismatch;
use super::table::table;
use super::view::{Element, Loops, View};
use half::{bf16, f16};

/// A conversion between element types: a float to an integer is truncated to 64 bits and saturated, NaN gives 0; an
/// integer to one of fewer bits wraps; a number is `true` unless it is zero (NaN is `true`), `true` is 1. Everything
/// else is rounded to nearest even, to and from the half-precision floats through f32.
pub trait CastTo<D>: Element {
    /// `n` elements, `sx` apart, converted.
    ///
    /// # Safety
    /// `n` readable elements at that stride, `n` writable ones at `out`, which overlap nothing.
    #[doc(hidden)]
    unsafe fn cast_run(n: usize, x: *const Self, sx: isize, out: *mut D);
}

/// The conversion of one element.
trait Convert<D>: Copy {
    fn convert(self) -> D;
}

struct Cast;
impl<S: Convert<D>, D> Map<S, D> for Cast {
    #[inline(always)]
    fn of(x: S) -> D {
        x.convert()
    }
}

macro_rules! casts {
    ($($s:ty => { $($d:ty: |$x:ident| $e:expr),+ $(,)? })+) => {$($(
        impl Convert<$d> for $s {
            #[inline(always)]
            #[allow(clippy::unnecessary_cast)]
            fn convert(self) -> $d { let $x = self; $e }
        }
        impl CastTo<$d> for $s {
            #[inline]
            unsafe fn cast_run(n: usize, x: *const $s, sx: isize, out: *mut $d) {
                // SAFETY: as for the caller.
                unsafe { map_run::<$s, $d, Cast>(n, x, sx, out) }
            }
        }
    )+)+};
}
casts! {
    bool => { bool: |x| x, u8: |x| x as u8, i32: |x| x as i32, i64: |x| x as i64, f32: |x| x as u8 as f32,
        f64: |x| x as u8 as f64 }
    u8 => { bool: |x| x != 0, u8: |x| x, i32: |x| x as i32, i64: |x| x as i64, f32: |x| x as f32, f64: |x| x as f64 }
    i32 => { bool: |x| x != 0, u8: |x| x as u8, i32: |x| x, i64: |x| x as i64, f32: |x| x as f32, f64: |x| x as f64 }
    i64 => { bool: |x| x != 0, u8: |x| x as u8, i32: |x| x as i32, i64: |x| x, f32: |x| x as f32, f64: |x| x as f64 }
    f32 => { bool: |x| x != 0.0, u8: |x| x as i64 as u8, i32: |x| x as i64 as i32, i64: |x| x as i64, f32: |x| x,
        f64: |x| x as f64 }
    f64 => { bool: |x| x != 0.0, u8: |x| x as i64 as u8, i32: |x| x as i64 as i32, i64: |x| x as i64,
        f32: |x| x as f32, f64: |x| x }
}

/// Elements that are converted at a time on the way through f32.
const CHUNK: usize = 256;

/// A type of 16 bits that is stored but not computed with.
pub(crate) trait Half: Element {
    /// # Safety
    /// `n` readable elements, `n` writable ones that overlap nothing.
    unsafe fn widen(n: usize, x: *const Self, out: *mut f32);
    /// # Safety
    /// As [`Half::widen`].
    unsafe fn narrow(n: usize, x: *const f32, out: *mut Self);
}

/// # Safety
/// As for [`CastTo::cast_run`].
unsafe fn from_half<S: Half, D: Element>(n: usize, x: *const S, sx: isize, out: *mut D)
where
    f32: CastTo<D>,
{
    let (mut dense, mut wide) = ([S::default(); CHUNK], [0f32; CHUNK]);
    for start in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - start);
        // SAFETY: `start + m <= n`, and the buffers hold `m` elements.
        unsafe {
            let mut from = x.offset(start as isize * sx);
            if sx != 1 {
                for (i, slot) in dense.iter_mut().enumerate().take(m) {
                    *slot = *from.offset(i as isize * sx);
                }
                from = dense.as_ptr();
            }
            S::widen(m, from, wide.as_mut_ptr());
            f32::cast_run(m, wide.as_ptr(), 1, out.add(start));
        }
    }
}

/// # Safety
/// As for [`CastTo::cast_run`].
unsafe fn to_half<S: CastTo<f32>, D: Half>(n: usize, x: *const S, sx: isize, out: *mut D) {
    let mut wide = [0f32; CHUNK];
    for start in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - start);
        // SAFETY: `start + m <= n`, and the buffer holds `m` elements.
        unsafe {
            S::cast_run(m, x.offset(start as isize * sx), sx, wide.as_mut_ptr());
            D::narrow(m, wide.as_ptr(), out.add(start));
        }
    }
}

macro_rules! halves {
    ($($h:ty: $widen:ident, $narrow:ident; $($t:ty),+;)+) => {$(
        impl Half for $h {
            #[inline]
            unsafe fn widen(n: usize, x: *const $h, out: *mut f32) {
                // SAFETY: as for the caller.
                unsafe { (table().$widen)(n, x, out) }
            }
            #[inline]
            unsafe fn narrow(n: usize, x: *const f32, out: *mut $h) {
                // SAFETY: as for the caller.
                unsafe { (table().$narrow)(n, x, out) }
            }
        }
        impl Convert<$h> for $h {
            #[inline(always)]
            fn convert(self) -> $h { self }
        }
        impl CastTo<$h> for $h {
            unsafe fn cast_run(n: usize, x: *const $h, sx: isize, out: *mut $h) {
                // SAFETY: as for the caller.
                unsafe { map_run::<$h, $h, Cast>(n, x, sx, out) }
            }
        }
        $(
            impl CastTo<$t> for $h {
                unsafe fn cast_run(n: usize, x: *const $h, sx: isize, out: *mut $t) {
                    // SAFETY: as for the caller.
                    unsafe { from_half(n, x, sx, out) }
                }
            }
            impl CastTo<$h> for $t {
                unsafe fn cast_run(n: usize, x: *const $t, sx: isize, out: *mut $h) {
                    // SAFETY: as for the caller.
                    unsafe { to_half(n, x, sx, out) }
                }
            }
        )+
    )+};
}
halves! {
    f16: widen_f16, narrow_f16; bool, u8, i32, i64, f32, f64;
    bf16: widen_bf16, narrow_bf16; bool, u8, i32, i64, f32, f64;
}
impl CastTo<bf16> for f16 {
    unsafe fn cast_run(n: usize, x: *const f16, sx: isize, out: *mut bf16) {
        // SAFETY: as for the caller.
        unsafe { to_half(n, x, sx, out) }
    }
}
impl CastTo<f16> for bf16 {
    unsafe fn cast_run(n: usize, x: *const bf16, sx: isize, out: *mut f16) {
        // SAFETY: as for the caller.
        unsafe { to_half(n, x, sx, out) }
    }
}

/// `out[i] = x[i]` in another type, by [`CastTo`]; `out` is contiguous.
///
/// # Panics
/// A bug of the caller: `out.len() != x.numel()`.
pub fn cast<S: CastTo<D>, D: Element>(x: View<S>, out: &mut [D]) {
    if out.len() != x.numel() {
        mismatch("cast");
    }
    if out.is_empty() {
        return;
    }
    let (from, to) = (x.as_ptr(), out.as_mut_ptr());
    let mut done = 0;
    Loops::new(x.shape(), [x.strides()]).rows(|n, [at], [step]| {
        // SAFETY: offsets of the loops stay inside the checked view, `done` inside the output.
        unsafe { S::cast_run(n, from.offset(at), step, to.add(done)) };
        done += n;
    });
}

/// Bodies of the table's `widen_*` and `narrow_*`, between 16 bits and f32.
pub(crate) mod half_bodies {
    use crate::simd::Isa;
    use half::slice::HalfFloatSliceExt;
    use half::{bf16, f16};

    /// # Safety
    /// `n` elements readable at `x` and writable at `out`, which do not overlap.
    #[inline(always)]
    pub(crate) unsafe fn widen_bf16_body<S: Isa>(n: usize, x: *const bf16, out: *mut f32) {
        for i in 0..n {
            // SAFETY: `i < n`.
            unsafe { *out.add(i) = f32::from_bits(((*x.add(i)).to_bits() as u32) << 16) };
        }
    }

    /// # Safety
    /// As for [`widen_bf16_body`].
    #[inline(always)]
    pub(crate) unsafe fn narrow_bf16_body<S: Isa>(n: usize, x: *const f32, out: *mut bf16) {
        for i in 0..n {
            // SAFETY: `i < n`.
            let x = unsafe { *x.add(i) };
            let bits = x.to_bits();
            // To nearest even: a carry out of the dropped half, one less where the kept half is even.
            let rounded = bits.wrapping_add(0x7fff).wrapping_add(bits >> 16 & 1) >> 16;
            let bits = if x.is_nan() { bits >> 16 | 0x40 } else { rounded };
            // SAFETY: `i < n`.
            unsafe { *out.add(i) = bf16::from_bits(bits as u16) };
        }
    }

    /// # Safety
    /// As for [`widen_bf16_body`].
    pub(crate) unsafe extern "C" fn widen_f16(n: usize, x: *const f16, out: *mut f32) {
        if n > 0 {
            // SAFETY: as for the caller.
            unsafe { std::slice::from_raw_parts(x, n).convert_to_f32_slice(std::slice::from_raw_parts_mut(out, n)) }
        }
    }

    /// # Safety
    /// As for [`widen_bf16_body`].
    pub(crate) unsafe extern "C" fn narrow_f16(n: usize, x: *const f32, out: *mut f16) {
        if n > 0 {
            // SAFETY: as for the caller.
            unsafe { std::slice::from_raw_parts_mut(out, n).convert_from_f32_slice(std::slice::from_raw_parts(x, n)) }
        }
    }
}
