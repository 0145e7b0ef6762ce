//! Runs of the `f32` functions of [`super::poly`] and [`super::wide`]. Never defines a value itself.

use super::runs::{Function, Function2, bodies, bodies2, run, run2};
use crate::simd::Isa;

mod one {
    use super::Function;
    use crate::math::definition::{Definition, Operation, Partial};
    use crate::math::runs::functions;
    use crate::math::{double_trig, poly, wide};
    use crate::ops::UnaryOp;
    use allotrope_ir::DType;

    functions! { f32, DType::F32, Function, Unary, UnaryOp:
        Exp(x) = poly::exp;
        Log(x) = poly::log;
        Sin(x) = poly::sin, where poly::is_near, else double_trig::far_sin_f32;
        Cos(x) = poly::cos, where poly::is_near, else double_trig::far_cos_f32;
        Tan(x) = poly::tan, where poly::is_near, else double_trig::far_tan_f32;
        Tanh(x) = poly::tanh;
        Exp2(x) = poly::exp2;
        Expm1(x) = poly::expm1;
        Log2(x) = poly::log2;
        Log1p(x) = poly::log1p;
        Erf(x) = poly::erf;
        Log10(x) = wide::log10;
        Asin(x) = wide::asin;
        Acos(x) = wide::acos;
        Atan(x) = wide::atan;
        Sinh(x) = wide::sinh;
        Cosh(x) = wide::cosh;
        Asinh(x) = wide::asinh;
        Acosh(x) = wide::acosh;
        Atanh(x) = wide::atanh;
        Erfc(x) = wide::erfc;
    }
}

mod two {
    use super::Function2;
    use crate::math::definition::{Definition, Operation, Partial};
    use crate::math::runs::functions;
    use crate::math::{poly, wide};
    use crate::ops::BinaryOp;
    use allotrope_ir::DType;

    functions! { f32, DType::F32, Function2, Binary, BinaryOp:
        Pow(a, b) = poly::pow, where poly::pow_is_ordinary, else poly::pow_otherwise;
        Atan2(a, b) = wide::atan2;
        Rem(a, b) = wide::rem, where wide::rem_is_ordinary, else wide::rem_otherwise;
    }
}

pub(super) use one::DEFINITIONS as ONE;
pub(super) use two::DEFINITIONS as TWO;

bodies! { f32:
    /// `out[i] = e^x[i]`
    exp_body = one::Exp;
    /// `out[i] = log x[i]`
    log_body = one::Log;
    /// `out[i] = sin x[i]`
    sin_body = one::Sin;
    /// `out[i] = cos x[i]`
    cos_body = one::Cos;
    /// `out[i] = tanh x[i]`
    tanh_body = one::Tanh;
    /// `out[i] = tan x[i]`
    tan_body = one::Tan;
    /// `out[i] = 2^x[i]`
    exp2_body = one::Exp2;
    /// `out[i] = e^x[i] - 1`
    expm1_body = one::Expm1;
    /// `out[i] = log2 x[i]`
    log2_body = one::Log2;
    /// `out[i] = log10 x[i]`
    log10_body = one::Log10;
    /// `out[i] = log(1 + x[i])`
    log1p_body = one::Log1p;
    /// `out[i] = asin x[i]`
    asin_body = one::Asin;
    /// `out[i] = acos x[i]`
    acos_body = one::Acos;
    /// `out[i] = atan x[i]`
    atan_body = one::Atan;
    /// `out[i] = sinh x[i]`
    sinh_body = one::Sinh;
    /// `out[i] = cosh x[i]`
    cosh_body = one::Cosh;
    /// `out[i] = asinh x[i]`
    asinh_body = one::Asinh;
    /// `out[i] = acosh x[i]`
    acosh_body = one::Acosh;
    /// `out[i] = atanh x[i]`
    atanh_body = one::Atanh;
    /// `out[i] = erf x[i]`
    erf_body = one::Erf;
    /// `out[i] = erfc x[i]`
    erfc_body = one::Erfc;
}

bodies2! { f32:
    /// `out[i] = a[i]^b[i]`
    pow_body = two::Pow;
    /// `out[i]` is the angle of the point `(b[i], a[i])`.
    atan2_body = two::Atan2;
    /// `out[i]` is C's `fmod(a[i], b[i])`, which is exact.
    rem_body = two::Rem;
}
