//! Runs of the `f64` functions of [`super::double`] and its like. Never defines a value itself.

use super::runs::{Function, Function2, bodies, bodies2, run, run2};
use crate::simd::Isa;

mod one {
    use super::Function;
    use crate::math::definition::{Definition, Operation, Partial};
    use crate::math::double_trig;
    use crate::math::runs::functions;
    use crate::ops::UnaryOp;
    use allotrope_ir::DType;

    functions! { f64, DType::F64, Function, Unary, UnaryOp:
        Sin(x) = double_trig::sin, where double_trig::is_near, else double_trig::far_sin;
        Cos(x) = double_trig::cos, where double_trig::is_near, else double_trig::far_cos;
        Tan(x) = double_trig::tan, where double_trig::is_near, else double_trig::far_tan;
    }
}

mod two {
    use super::Function2;
    use crate::math::definition::{Definition, Operation, Partial};
    use crate::math::double_rem;
    use crate::math::runs::functions;
    use crate::ops::BinaryOp;
    use allotrope_ir::DType;

    functions! { f64, DType::F64, Function2, Binary, BinaryOp:
        Rem(a, b) = double_rem::rem, where double_rem::is_ordinary, else double_rem::rem_otherwise;
    }
}

pub(super) use one::DEFINITIONS as ONE;
pub(super) use two::DEFINITIONS as TWO;

bodies! { f64:
    /// `out[i] = sin x[i]`
    sin_body = one::Sin;
    /// `out[i] = cos x[i]`
    cos_body = one::Cos;
    /// `out[i] = tan x[i]`
    tan_body = one::Tan;
}

bodies2! { f64:
    /// `out[i]` is C's `fmod(a[i], b[i])`, which is exact.
    rem_body = two::Rem;
}

/// `libm`'s, which below -2 gives a number where there is none.
fn acosh(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

macro_rules! library {
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
library! {
    /// `out[i] = e^x[i]`
    exp_body = libm::exp;
    /// `out[i] = log x[i]`
    log_body = libm::log;
    /// `out[i] = tanh x[i]`
    tanh_body = libm::tanh;
    /// `out[i] = 2^x[i]`
    exp2_body = libm::exp2;
    /// `out[i] = e^x[i] - 1`
    expm1_body = libm::expm1;
    /// `out[i] = log2 x[i]`
    log2_body = libm::log2;
    /// `out[i] = log10 x[i]`
    log10_body = libm::log10;
    /// `out[i] = log(1 + x[i])`
    log1p_body = libm::log1p;
    /// `out[i] = asin x[i]`
    asin_body = libm::asin;
    /// `out[i] = acos x[i]`
    acos_body = libm::acos;
    /// `out[i] = atan x[i]`
    atan_body = libm::atan;
    /// `out[i] = sinh x[i]`
    sinh_body = libm::sinh;
    /// `out[i] = cosh x[i]`
    cosh_body = libm::cosh;
    /// `out[i] = asinh x[i]`
    asinh_body = libm::asinh;
    /// `out[i] = acosh x[i]`
    acosh_body = acosh;
    /// `out[i] = atanh x[i]`
    atanh_body = libm::atanh;
    /// `out[i] = erf x[i]`
    erf_body = libm::erf;
    /// `out[i] = erfc x[i]`
    erfc_body = libm::erfc;
}

macro_rules! two_operands {
    ($($(#[$m:meta])* $body:ident = $f:expr;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or overlaps neither.
        pub(crate) unsafe fn $body<S: Isa>(n: usize, a: *const f64, b: *const f64, out: *mut f64) {
            for i in 0..n {
                // SAFETY: `i < n`.
                unsafe { *out.add(i) = $f(*a.add(i), *b.add(i)) };
            }
        }
    )+};
}
two_operands! {
    /// `out[i] = a[i]^b[i]`
    pow_body = libm::pow;
    /// `out[i]` is the angle of the point `(b[i], a[i])`.
    atan2_body = libm::atan2;
}
