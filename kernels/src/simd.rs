//! Which vector instructions the machine has, and the lane types that the kernels are written over.
//! Never decides what a kernel computes: every level gives the same bits.

use std::sync::atomic::{AtomicU8, Ordering};

/// The instruction sets that each kernel is compiled for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// What the target guarantees (SSE2 on x86-64). Fused multiply-adds may go through a slow library call.
    Baseline = 1,
    /// AVX2 and FMA.
    Avx2 = 2,
    /// AVX-512 F, VL, DQ and BW.
    Avx512 = 3,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level in use: the best that the CPU has, capped by `ALLOTROPE_SIMD=baseline|avx2|avx512` as it was set
/// when the first kernel ran.
#[inline(always)]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        3 => Level::Avx512,
        2 => Level::Avx2,
        1 => Level::Baseline,
        _ => detect_level(),
    }
}

/// Uses `level`, or the best that the CPU has where it has less, from now on in the whole process. All levels give the
/// same bits, so it is safe at any time; tests compare levels with it. Returns the level now in use.
pub fn set_level(level: Level) -> Level {
    let level = level.min(best_level());
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

/// The best level of this CPU, whatever is in use.
pub fn best_level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        if avx2 && avx512 {
            return Level::Avx512;
        }
        if avx2 {
            return Level::Avx2;
        }
    }
    Level::Baseline
}

#[cold]
fn detect_level() -> Level {
    let cap = match std::env::var("ALLOTROPE_SIMD").as_deref() {
        Ok("baseline") => Level::Baseline,
        Ok("avx2") => Level::Avx2,
        _ => Level::Avx512,
    };
    set_level(cap)
}

/// Compiles one `#[inline(always)]` body, generic over its [`Isa`] first, for every level, and calls the one in use.
///
/// `multiversion! { pub unsafe fn name<T: Bound>(a: A, b: B) -> R = body::<T>; }`
macro_rules! multiversion {
    ($($(#[$meta:meta])* $vis:vis unsafe fn $name:ident $(<$($g:ident : $bound:path),+>)? ($($a:ident : $t:ty),* $(,)?)
        $(-> $r:ty)? = $body:ident $(::<$($bg:ty),+>)?;)+) => {$(
        $(#[$meta])*
        #[inline]
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name $(<$($g: $bound),+>)? ($($a: $t),*) $(-> $r)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2 $(<$($g: $bound),+>)? ($($a: $t),*) $(-> $r)? {
                // SAFETY: the caller of the outer function keeps the body's contract.
                unsafe { $body::<$crate::simd::Avx2 $($(, $bg)+)?>($($a),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512 $(<$($g: $bound),+>)? ($($a: $t),*) $(-> $r)? {
                // SAFETY: the caller of the outer function keeps the body's contract.
                unsafe { $body::<$crate::simd::Avx512 $($(, $bg)+)?>($($a),*) }
            }
            // SAFETY: `level` never exceeds what the CPU has; the caller keeps the body's contract.
            unsafe {
                match $crate::simd::level() {
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::Level::Avx512 => avx512 $(::<$($g),+>)? ($($a),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::Level::Avx2 => avx2 $(::<$($g),+>)? ($($a),*),
                    _ => $body::<$crate::simd::Baseline $($(, $bg)+)?>($($a),*),
                }
            }
        }
    )+};
}
pub(crate) use multiversion;

/// A few elements side by side in registers. Lane `i` of a result depends on lane `i` of the operands only.
///
/// # Safety
/// Every method is `unsafe` because it may use instructions of its level: call it only from code compiled for, and
/// chosen at, that level. Pointers need no alignment beyond the element's.
#[allow(clippy::missing_safety_doc)]
pub trait Lanes<T>: Copy {
    /// Number of lanes.
    const N: usize;
    /// All lanes equal.
    unsafe fn splat(x: T) -> Self;
    /// Reads `N` elements.
    unsafe fn load(p: *const T) -> Self;
    /// Writes `N` elements.
    unsafe fn store(self, p: *mut T);
    /// Reads the first `n < N` elements only, zeros in the other lanes.
    unsafe fn load_part(p: *const T, n: usize) -> Self;
    /// Writes the first `n < N` lanes only.
    unsafe fn store_part(self, p: *mut T, n: usize);
    /// `a * b + self`, rounded once.
    unsafe fn mul_add_to(self, a: Self, b: Self) -> Self;
    /// `self + b`
    unsafe fn plus(self, b: Self) -> Self;
}

/// The arithmetic of one element that a matrix product is made of.
pub trait Arith: Copy + 'static {
    /// Positive zero.
    const ZERO: Self;
    /// `a * b + self`, rounded once.
    fn fused(self, a: Self, b: Self) -> Self;
    /// `self + b`
    fn sum(self, b: Self) -> Self;
}

macro_rules! float_arith {
    ($($t:ty),+) => {$(
        impl Arith for $t {
            const ZERO: Self = 0.0;
            #[inline(always)]
            fn fused(self, a: Self, b: Self) -> Self {
                a.mul_add(b, self)
            }
            #[inline(always)]
            fn sum(self, b: Self) -> Self {
                self + b
            }
        }
    )+};
}
float_arith!(f32, f64);

impl<T: Arith, const L: usize> Lanes<T> for [T; L] {
    const N: usize = L;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        [x; L]
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller's `p` has `L` readable elements.
        unsafe { p.cast::<[T; L]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller's `p` has `L` writable elements.
        unsafe { p.cast::<[T; L]>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const T, n: usize) -> Self {
        let mut r = [T::ZERO; L];
        for (i, r) in r.iter_mut().enumerate().take(n) {
            // SAFETY: the caller's `p` has `n` readable elements.
            *r = unsafe { *p.add(i) };
        }
        r
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut T, n: usize) {
        for (i, r) in self.iter().enumerate().take(n) {
            // SAFETY: the caller's `p` has `n` writable elements.
            unsafe { *p.add(i) = *r };
        }
    }
    #[inline(always)]
    unsafe fn mul_add_to(self, a: Self, b: Self) -> Self {
        let mut r = self;
        for i in 0..L {
            r[i] = self[i].fused(a[i], b[i]);
        }
        r
    }
    #[inline(always)]
    unsafe fn plus(self, b: Self) -> Self {
        let mut r = self;
        for i in 0..L {
            r[i] = self[i].sum(b[i]);
        }
        r
    }
}

/// One level's lane types.
pub trait Isa: Copy + 'static {
    /// Lanes of `f32`.
    type F32: Lanes<f32>;
    /// Lanes of `f64`.
    type F64: Lanes<f64>;
    /// The level itself.
    const LEVEL: Level;
    /// Number of vector registers, which decides the size of register tiles.
    const REGISTERS: usize;
    /// Whether fused multiply-adds are instructions, so that holding tiles of the output in registers pays.
    const TILES: bool = true;
}

/// [`Level::Baseline`]
#[derive(Copy, Clone)]
pub struct Baseline;

impl Isa for Baseline {
    type F32 = [f32; 8];
    type F64 = [f64; 4];
    const LEVEL: Level = Level::Baseline;
    const REGISTERS: usize = 16;
    const TILES: bool = !cfg!(target_arch = "x86_64");
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Isa, Lanes, Level};
    use std::arch::x86_64::*;

    /// [`super::Level::Avx2`]
    #[derive(Copy, Clone)]
    pub struct Avx2;

    impl Isa for Avx2 {
        type F32 = __m256;
        type F64 = __m256d;
        const LEVEL: Level = Level::Avx2;
        const REGISTERS: usize = 16;
    }

    /// [`super::Level::Avx512`]
    #[derive(Copy, Clone)]
    pub struct Avx512;

    impl Isa for Avx512 {
        type F32 = __m512;
        type F64 = __m512d;
        const LEVEL: Level = Level::Avx512;
        const REGISTERS: usize = 32;
    }

    static MASK32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static MASK64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

    macro_rules! lanes {
        ($v:ty, $t:ty, $n:expr, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident,
         part($p:ident, $count:ident) $load_part:expr, store($s:ident) $store_part:expr) => {
            impl Lanes<$t> for $v {
                const N: usize = $n;
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    // SAFETY: called at its level only.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(p: *const $t) -> Self {
                    // SAFETY: called at its level only; `p` has `N` readable elements.
                    unsafe { $load(p) }
                }
                #[inline(always)]
                unsafe fn store(self, p: *mut $t) {
                    // SAFETY: called at its level only; `p` has `N` writable elements.
                    unsafe { $store(p, self) }
                }
                #[inline(always)]
                unsafe fn load_part($p: *const $t, $count: usize) -> Self {
                    // SAFETY: called at its level only; masked lanes touch no memory; `count < N`.
                    unsafe { $load_part }
                }
                #[inline(always)]
                unsafe fn store_part(self, $p: *mut $t, $count: usize) {
                    let $s = self;
                    // SAFETY: called at its level only; masked lanes touch no memory; `count < N`.
                    unsafe { $store_part }
                }
                #[inline(always)]
                unsafe fn mul_add_to(self, a: Self, b: Self) -> Self {
                    // SAFETY: called at its level only.
                    unsafe { $fma(a, b, self) }
                }
                #[inline(always)]
                unsafe fn plus(self, b: Self) -> Self {
                    // SAFETY: called at its level only.
                    unsafe { $add(self, b) }
                }
            }
        };
    }

    lanes!(__m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps,
        part(p, n) _mm256_maskload_ps(p, _mm256_loadu_si256(MASK32.as_ptr().add(8 - n).cast())),
        store(v) _mm256_maskstore_ps(p, _mm256_loadu_si256(MASK32.as_ptr().add(8 - n).cast()), v));
    lanes!(__m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd,
        part(p, n) _mm256_maskload_pd(p, _mm256_loadu_si256(MASK64.as_ptr().add(4 - n).cast())),
        store(v) _mm256_maskstore_pd(p, _mm256_loadu_si256(MASK64.as_ptr().add(4 - n).cast()), v));
    lanes!(__m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps,
        part(p, n) _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, p),
        store(v) _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as u16, v));
    lanes!(__m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd,
        part(p, n) _mm512_maskz_loadu_pd(((1u32 << n) - 1) as u8, p),
        store(v) _mm512_mask_storeu_pd(p, ((1u32 << n) - 1) as u8, v));
}
