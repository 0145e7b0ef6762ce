//! Runs of the `f64` functions, which are those of the `libm` crate, element by element. Never vectorises: exactness
//! of meaning comes before speed in this type.

use crate::simd::Isa;

macro_rules! functions {
    ($($(#[$m:meta])* $body:ident = $f:path;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `x` and writable at `out`, which are equal or do not overlap.
        pub(crate) unsafe fn $body<S: Isa>(n: usize, x: *const f64, out: *mut f64) {
            for i in 0..n {
                // SAFETY: `i < n`.
                unsafe { *out.add(i) = $f(*x.add(i)) };
            }
        }
    )+};
}
functions! {
    /// `out[i] = e^x[i]`
    exp_body = libm::exp;
    /// `out[i] = log x[i]`
    log_body = libm::log;
    /// `out[i] = sin x[i]`
    sin_body = libm::sin;
    /// `out[i] = cos x[i]`
    cos_body = libm::cos;
    /// `out[i] = tanh x[i]`
    tanh_body = libm::tanh;
}

/// `out[i] = a[i]^b[i]`
///
/// # Safety
/// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or does not overlap it.
pub(crate) unsafe fn pow_body<S: Isa>(n: usize, a: *const f64, b: *const f64, out: *mut f64) {
    for i in 0..n {
        // SAFETY: `i < n`.
        unsafe { *out.add(i) = libm::pow(*a.add(i), *b.add(i)) };
    }
}
