//! Runs of the `f32` functions of [`super::poly`] and [`super::wide`], sixteen elements at a time. Never defines a value itself.

use super::{poly, wide};
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

/// A function of two elements, as [`Function`] is of one.
trait Function2 {
    fn of(a: f32, b: f32) -> f32;
    #[inline(always)]
    fn covers(_: f32, _: f32) -> bool {
        true
    }
    #[inline(always)]
    fn otherwise(a: f32, _: f32) -> f32 {
        a
    }
}

macro_rules! functions {
    (@fn $f:ident($($x:ident),+) -> $r:ty = $e:expr) => {
        #[inline(always)]
        fn $f($($x: f32),+) -> $r { $e }
    };
    ($($trait:ident $name:ident $x:tt = $of:path $(, where $covers:expr, else $otherwise:expr)?;)+) => {$(
        struct $name;
        impl $trait for $name {
            functions!(@fn of $x -> f32 = $of $x);
            $(
                functions!(@fn covers $x -> bool = $covers);
                functions!(@fn otherwise $x -> f32 = $otherwise);
            )?
        }
    )+};
}
functions! {
    Function Exp(x) = poly::exp;
    Function Log(x) = poly::log;
    Function Sin(x) = poly::sin, where x.abs() < poly::TRIG_LIMIT, else libm::sin(x as f64) as f32;
    Function Cos(x) = poly::cos, where x.abs() < poly::TRIG_LIMIT, else libm::cos(x as f64) as f32;
    Function Tan(x) = poly::tan, where x.abs() < poly::TRIG_LIMIT, else libm::tan(x as f64) as f32;
    Function Tanh(x) = poly::tanh;
    Function Exp2(x) = poly::exp2;
    Function Expm1(x) = poly::expm1;
    Function Log2(x) = poly::log2;
    Function Log1p(x) = poly::log1p;
    Function Erf(x) = poly::erf;
    Function Log10(x) = wide::log10;
    Function Asin(x) = wide::asin;
    Function Acos(x) = wide::acos;
    Function Atan(x) = wide::atan;
    Function Sinh(x) = wide::sinh;
    Function Cosh(x) = wide::cosh;
    Function Asinh(x) = wide::asinh;
    Function Acosh(x) = wide::acosh;
    Function Atanh(x) = wide::atanh;
    Function Erfc(x) = wide::erfc;
    Function2 Pow(a, b) = poly::pow, where poly::pow_is_ordinary(a, b), else libm::pow(a as f64, b as f64) as f32;
    Function2 Atan2(a, b) = wide::atan2;
    Function2 Rem(a, b) = wide::rem, where wide::rem_is_ordinary(a, b), else a % b;
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
    /// `out[i] = tan x[i]`
    tan_body = Tan;
    /// `out[i] = 2^x[i]`
    exp2_body = Exp2;
    /// `out[i] = e^x[i] - 1`
    expm1_body = Expm1;
    /// `out[i] = log2 x[i]`
    log2_body = Log2;
    /// `out[i] = log10 x[i]`
    log10_body = Log10;
    /// `out[i] = log(1 + x[i])`
    log1p_body = Log1p;
    /// `out[i] = asin x[i]`
    asin_body = Asin;
    /// `out[i] = acos x[i]`
    acos_body = Acos;
    /// `out[i] = atan x[i]`
    atan_body = Atan;
    /// `out[i] = sinh x[i]`
    sinh_body = Sinh;
    /// `out[i] = cosh x[i]`
    cosh_body = Cosh;
    /// `out[i] = asinh x[i]`
    asinh_body = Asinh;
    /// `out[i] = acosh x[i]`
    acosh_body = Acosh;
    /// `out[i] = atanh x[i]`
    atanh_body = Atanh;
    /// `out[i] = erf x[i]`
    erf_body = Erf;
    /// `out[i] = erfc x[i]`
    erfc_body = Erfc;
}

#[inline(always)]
unsafe fn run2<F: Function2>(n: usize, a: *const f32, b: *const f32, out: *mut f32) {
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
            r[l] = F::of(x[l], y[l]);
        }
        let mut covered = true;
        for l in 0..L {
            covered &= F::covers(x[l], y[l]);
        }
        if !covered {
            for l in 0..L {
                if !F::covers(x[l], y[l]) {
                    r[l] = F::otherwise(x[l], y[l]);
                }
            }
        }
        // SAFETY: `i + m <= n`.
        unsafe { std::ptr::copy_nonoverlapping(r.as_ptr(), out.add(i), m) };
        i += L;
    }
}

macro_rules! bodies2 {
    ($($(#[$m:meta])* $body:ident = $f:ident;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or overlaps neither.
        #[inline(always)]
        pub(crate) unsafe fn $body<S: Isa>(n: usize, a: *const f32, b: *const f32, out: *mut f32) {
            // SAFETY: as for the caller.
            unsafe { run2::<$f>(n, a, b, out) }
        }
    )+};
}
bodies2! {
    /// `out[i] = a[i]^b[i]`
    pow_body = Pow;
    /// `out[i]` is the angle of the point `(b[i], a[i])`.
    atan2_body = Atan2;
    /// `out[i]` is C's `fmod(a[i], b[i])`, which is exact.
    rem_body = Rem;
}
