//! Runs of the `f64` functions of the files `double_*`. Never defines a value itself.

use super::runs::{Function, Function2, bodies, bodies2, run, run2};
use crate::simd::Isa;

mod one {
    use super::Function;
    use crate::math::definition::{Definition, Operation, Partial};
    use crate::math::runs::functions;
    use crate::math::{double_arc, double_erf, double_exp, double_log, double_trig};
    use crate::ops::UnaryOp;
    use allotrope_ir::DType;

    functions! { f64, DType::F64, Function, Unary, UnaryOp:
        Exp(x) = double_exp::exp;
        Log(x) = double_log::log;
        Sin(x) = double_trig::sin, where double_trig::is_near, else double_trig::far_sin;
        Cos(x) = double_trig::cos, where double_trig::is_near, else double_trig::far_cos;
        Tanh(x) = double_exp::tanh;
        Exp2(x) = double_exp::exp2;
        Expm1(x) = double_exp::expm1;
        Log2(x) = double_log::log2;
        Log10(x) = double_log::log10;
        Log1p(x) = double_log::log1p;
        Tan(x) = double_trig::tan, where double_trig::is_near, else double_trig::far_tan;
        Asin(x) = double_arc::asin;
        Acos(x) = double_arc::acos;
        Atan(x) = double_arc::atan;
        Sinh(x) = double_exp::sinh;
        Cosh(x) = double_exp::cosh;
        Asinh(x) = double_log::asinh;
        Acosh(x) = double_log::acosh;
        Atanh(x) = double_log::atanh;
        Erf(x) = double_erf::erf;
        Erfc(x) = double_erf::erfc;
    }
}

mod two {
    use super::Function2;
    use crate::math::definition::{Definition, Operation, Partial};
    use crate::math::runs::functions;
    use crate::math::{double_arc, double_log, double_rem};
    use crate::ops::BinaryOp;
    use allotrope_ir::DType;

    functions! { f64, DType::F64, Function2, Binary, BinaryOp:
        Pow(a, b) = double_log::pow, where double_log::pow_is_ordinary, else double_log::pow_otherwise;
        Atan2(a, b) = double_arc::atan2;
        Rem(a, b) = double_rem::rem, where double_rem::is_ordinary, else double_rem::rem_otherwise;
    }
}

pub(super) use one::DEFINITIONS as ONE;
pub(super) use two::DEFINITIONS as TWO;

bodies! { f64:
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
    /// `out[i] = tan x[i]`
    tan_body = one::Tan;
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

bodies2! { f64:
    /// `out[i] = a[i]^b[i]`
    pow_body = two::Pow;
    /// `out[i]` is the angle of the point `(b[i], a[i])`.
    atan2_body = two::Atan2;
    /// `out[i]` is C's `fmod(a[i], b[i])`, which is exact.
    rem_body = two::Rem;
}
