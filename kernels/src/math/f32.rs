//! Runs of the `f32` functions of [`super::poly`], sixteen elements at a time. Never defines a value itself.

use super::poly;
use crate::simd::{Isa, Lanes};

/// Elements handled together: one AVX-512 register.
const L: usize = 16;

/// A function of one element, with an exact scalar twin for the elements that it does not cover.
trait Function {
    fn of(x: f32) -> f32;
    /// Whether [`Self::of`] holds for `x`.
    #[inline(always)]
    fn covers(_: f32) -> bool {
        true
    }
    /// The value where it does not.
    #[inline(always)]
    fn otherwise(x: f32) -> f32 {
        x
    }
}

struct Exp;
struct Log;
struct Sin;
struct Cos;
struct Tanh;

impl Function for Exp {
    #[inline(always)]
    fn of(x: f32) -> f32 {
        poly::exp(x)
    }
}
impl Function for Log {
    #[inline(always)]
    fn of(x: f32) -> f32 {
        poly::log(x)
    }
}
impl Function for Sin {
    #[inline(always)]
    fn of(x: f32) -> f32 {
        poly::sin(x)
    }
    #[inline(always)]
    fn covers(x: f32) -> bool {
        x.abs() < poly::TRIG_LIMIT
    }
    #[inline(always)]
    fn otherwise(x: f32) -> f32 {
        libm::sin(x as f64) as f32
    }
}
impl Function for Cos {
    #[inline(always)]
    fn of(x: f32) -> f32 {
        poly::cos(x)
    }
    #[inline(always)]
    fn covers(x: f32) -> bool {
        x.abs() < poly::TRIG_LIMIT
    }
    #[inline(always)]
    fn otherwise(x: f32) -> f32 {
        libm::cos(x as f64) as f32
    }
}
impl Function for Tanh {
    #[inline(always)]
    fn of(x: f32) -> f32 {
        poly::tanh(x)
    }
}

#[inline(always)]
fn lanes<F: Function>(x: [f32; L]) -> [f32; L] {
    let mut y = [0.0; L];
    for i in 0..L {
        y[i] = F::of(x[i]);
    }
    let mut covered = true;
    for v in x {
        covered &= F::covers(v);
    }
    if !covered {
        for i in 0..L {
            if !F::covers(x[i]) {
                y[i] = F::otherwise(x[i]);
            }
        }
    }
    y
}

/// The first `n <= L` elements, zeros in the other lanes.
///
/// # Safety
/// `n` elements readable at `x`.
#[inline(always)]
unsafe fn load_some<S: Isa>(x: *const f32, n: usize) -> [f32; L] {
    let mut group = [0.0f32; L];
    let width = S::F32::N;
    let mut i = 0;
    // SAFETY: whole vectors below `n`, then a masked one.
    unsafe {
        while i + width <= n {
            S::F32::load(x.add(i)).store(group.as_mut_ptr().add(i));
            i += width;
        }
        if i < n {
            S::F32::load_part(x.add(i), n - i).store(group.as_mut_ptr().add(i));
        }
    }
    group
}

/// Writes the first `n <= L` lanes.
///
/// # Safety
/// `n` elements writable at `out`.
#[inline(always)]
unsafe fn store_some<S: Isa>(group: [f32; L], out: *mut f32, n: usize) {
    let width = S::F32::N;
    let mut i = 0;
    // SAFETY: whole vectors below `n`, then a masked one.
    unsafe {
        while i + width <= n {
            S::F32::load(group.as_ptr().add(i)).store(out.add(i));
            i += width;
        }
        if i < n {
            S::F32::load(group.as_ptr().add(i)).store_part(out.add(i), n - i);
        }
    }
}

#[inline(always)]
unsafe fn run<S: Isa, F: Function>(n: usize, x: *const f32, out: *mut f32) {
    let whole = n / L * L;
    // SAFETY: the caller gives `n` elements at `x` and `out`, which are equal or apart; each group is read before it is
    // written.
    unsafe {
        let mut i = 0;
        while i < whole {
            let group = x.add(i).cast::<[f32; L]>().read_unaligned();
            out.add(i).cast::<[f32; L]>().write_unaligned(lanes::<F>(group));
            i += L;
        }
        if whole < n {
            let group = load_some::<S>(x.add(whole), n - whole);
            store_some::<S>(lanes::<F>(group), out.add(whole), n - whole);
        }
    }
}

macro_rules! bodies {
    ($($(#[$m:meta])* $body:ident = $f:ident;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `x` and writable at `out`, which are equal or do not overlap.
        #[inline(always)]
        pub(crate) unsafe fn $body<S: Isa>(n: usize, x: *const f32, out: *mut f32) {
            // SAFETY: as for the caller.
            unsafe { run::<S, $f>(n, x, out) }
        }
    )+};
}
bodies! {
    /// `out[i] = e^x[i]`
    exp_body = Exp;
    /// `out[i] = log x[i]`
    log_body = Log;
    /// `out[i] = sin x[i]`
    sin_body = Sin;
    /// `out[i] = cos x[i]`
    cos_body = Cos;
    /// `out[i] = tanh x[i]`
    tanh_body = Tanh;
}

/// `out[i] = a[i]^b[i]`
///
/// # Safety
/// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or does not overlap it.
#[inline(always)]
pub(crate) unsafe fn pow_body<S: Isa>(n: usize, a: *const f32, b: *const f32, out: *mut f32) {
    let mut i = 0;
    while i < n {
        let m = L.min(n - i);
        let (mut x, mut y, mut r) = ([1.0f32; L], [1.0f32; L], [0.0f32; L]);
        // SAFETY: `i + m <= n`; both operands are read before the result is written.
        unsafe {
            std::ptr::copy_nonoverlapping(a.add(i), x.as_mut_ptr(), m);
            std::ptr::copy_nonoverlapping(b.add(i), y.as_mut_ptr(), m);
        }
        for l in 0..L {
            r[l] = poly::pow(x[l], y[l]);
        }
        let mut ordinary = true;
        for l in 0..L {
            ordinary &= poly::pow_is_ordinary(x[l], y[l]);
        }
        if !ordinary {
            for l in 0..L {
                if !poly::pow_is_ordinary(x[l], y[l]) {
                    r[l] = libm::pow(x[l] as f64, y[l] as f64) as f32;
                }
            }
        }
        // SAFETY: `i + m <= n`.
        unsafe { std::ptr::copy_nonoverlapping(r.as_ptr(), out.add(i), m) };
        i += L;
    }
}

macro_rules! provisional {
    ($($body:ident = $f:expr;)+) => {$(
        pub(crate) unsafe fn $body<S: Isa>(n: usize, x: *const f32, out: *mut f32) {
            for i in 0..n {
                unsafe { *out.add(i) = $f(*x.add(i) as f64) as f32 };
            }
        }
    )+};
}
provisional! {
    exp2_body = libm::exp2;
    expm1_body = libm::expm1;
    log2_body = libm::log2;
    log10_body = libm::log10;
    log1p_body = libm::log1p;
    tan_body = libm::tan;
    asin_body = libm::asin;
    acos_body = libm::acos;
    atan_body = libm::atan;
    sinh_body = libm::sinh;
    cosh_body = libm::cosh;
    asinh_body = libm::asinh;
    acosh_body = libm::acosh;
    atanh_body = libm::atanh;
    erf_body = libm::erf;
    erfc_body = libm::erfc;
}
pub(crate) unsafe fn atan2_body<S: Isa>(n: usize, a: *const f32, b: *const f32, out: *mut f32) {
    for i in 0..n {
        unsafe { *out.add(i) = libm::atan2(*a.add(i) as f64, *b.add(i) as f64) as f32 };
    }
}
pub(crate) unsafe fn rem_body<S: Isa>(n: usize, a: *const f32, b: *const f32, out: *mut f32) {
    for i in 0..n {
        unsafe { *out.add(i) = *a.add(i) % *b.add(i) };
    }
}
