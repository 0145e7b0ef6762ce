//! The kernels as plain function pointers, each with a typed key and its signature: what generated code calls. Never holds
//! an algorithm.

use super::cast::half_bodies;
use super::entry::{AsWord, Entry, Family, Signature};
use super::math;
use super::matmul::{
    matmul_axes_body, matmul_axes_int_body, matmul_body, matmul_int_body, matvec_body, rank1_acc_body,
};
use super::ops::{ArgOp, BinaryOp, ReduceOp, ScatterOp, UnaryOp};
use super::reduce::stream::{begin_body, dense_body, finish_body, update_body};
use super::reduce::strided::reduce_body;
use super::reduce::{Max, Min, ReduceState, Sum};
use super::simd::{self, Level};
use super::{index, int, recurrence, sort, window};
use allotrope_ir::DType;
use half::{bf16, f16};
use std::ffi::c_void;

/// Makes [`Table`], one static of it for each level, and the listing of its entries. A row is
/// `name[family, dtype](arguments) -> result = body::<types>;`, and the body is generic over the level first.
/// Rows of the second block are one function for all levels.
macro_rules! table {
    ({ $($(#[$doc:meta])* $name:ident[$family:ident $(($op:path))?, $dtype:ident]($($a:ident: $t:ty),*) $(-> $r:ty)?
        = $body:path $([$($g:ty),+])?;)+ }
     { $($(#[$sdoc:meta])* $sname:ident[$sfamily:ident $(($sop:path))?, $sdtype:ident]($($sa:ident: $st:ty),*)
        = $f:expr;)+ }) => {
        /// Addresses of the kernels for one instruction set. All take raw pointers to dense elements unless strides
        /// are passed, never unwind, allocate nothing for small sizes, and give the same bits at every level.
        ///
        /// # Safety
        /// Of each function: the lengths must be readable, or writable, behind the pointers; outputs must not overlap
        /// inputs, except that an elementwise function may work in place (`out` equal to an operand).
        #[derive(Debug)]
        pub struct Table {
            $( $(#[$doc])* pub $name: unsafe extern "C" fn($($a: $t),*) $(-> $r)?, )+
            $( $(#[$sdoc])* pub $sname: unsafe extern "C" fn($($sa: $st),*), )+
        }

        impl Table {
            /// Every function, with what a caller has to know of it.
            pub fn entries(&self) -> Vec<Entry> {
                vec![
                    $( Entry {
                        id: Family::$family$(($op))?.of(DType::$dtype),
                        name: stringify!($name),
                        signature: Signature {
                            arguments: const { &[$(<$t as AsWord>::WORD),*] },
                            result: table!(@result $($r)?),
                        },
                        address: self.$name as *const u8,
                    }, )+
                    $( Entry {
                        id: Family::$sfamily$(($sop))?.of(DType::$sdtype),
                        name: stringify!($sname),
                        signature: Signature { arguments: const { &[$(<$st as AsWord>::WORD),*] }, result: None },
                        address: self.$sname as *const u8,
                    }, )+
                ]
            }
        }

        mod baseline {
            use super::*;
            table!(@level Baseline, { #[allow(clippy::missing_safety_doc)] }, [$($sname = $f;)+] $($name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?;)+);
        }
        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::*;
            table!(@level Avx2, { #[target_feature(enable = "avx2,fma")] },
                [$($sname = $f;)+] $($name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?;)+);
        }
        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::*;
            table!(@level Avx512, { #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")] },
                [$($sname = $f;)+] $($name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?;)+);
        }
    };
    (@level $level:ident, $features:tt, [$($sname:ident = $f:expr;)+]
        $($name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:path $([$($g:ty),+])?;)+) => {
        pub(super) static TABLE: Table = Table { $( $name, )+ $( $sname: $f, )+ };
        $( table!(@one $level, $features, $name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?); )+
    };
    (@result) => { None };
    (@result $r:ty) => { Some(<$r as AsWord>::WORD) };
    (@one $level:ident, { #[$feature:meta] }, $name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:path [$($g:ty),+]) => {
        #[$feature]
        #[allow(clippy::too_many_arguments)]
        unsafe extern "C" fn $name($($a: $t),*) $(-> $r)? {
            use $body as body;
            // SAFETY: the table's contract is the body's; the table of a level is given only where the CPU has it.
            unsafe { body::<simd::$level, $($g),+>($($a),*) }
        }
    };
    (@one $level:ident, { #[$feature:meta] }, $name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:path) => {
        #[$feature]
        unsafe extern "C" fn $name($($a: $t),*) $(-> $r)? {
            use $body as body;
            // SAFETY: the table's contract is the body's; the table of a level is given only where the CPU has it.
            unsafe { body::<simd::$level>($($a),*) }
        }
    };
}

table! {
    // One function for each level.
    {
    /// `out[i] = e^x[i]`
    exp_f32[Unary(UnaryOp::Exp), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::exp_body;
    /// `out[i] = log x[i]`
    log_f32[Unary(UnaryOp::Log), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::log_body;
    /// `out[i] = sin x[i]`
    sin_f32[Unary(UnaryOp::Sin), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::sin_body;
    /// `out[i] = cos x[i]`
    cos_f32[Unary(UnaryOp::Cos), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::cos_body;
    /// `out[i] = tanh x[i]`
    tanh_f32[Unary(UnaryOp::Tanh), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::tanh_body;
    /// `out[i] = a[i]^b[i]`
    pow_f32[Binary(BinaryOp::Pow), F32](n: usize, a: *const f32, b: *const f32, out: *mut f32) = math::f32::pow_body;
    /// `out[i] = e^x[i]`
    exp_f64[Unary(UnaryOp::Exp), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::exp_body;
    /// `out[i] = log x[i]`
    log_f64[Unary(UnaryOp::Log), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::log_body;
    /// `out[i] = sin x[i]`
    sin_f64[Unary(UnaryOp::Sin), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::sin_body;
    /// `out[i] = cos x[i]`
    cos_f64[Unary(UnaryOp::Cos), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::cos_body;
    /// `out[i] = tanh x[i]`
    tanh_f64[Unary(UnaryOp::Tanh), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::tanh_body;
    /// `out[i] = a[i]^b[i]`
    pow_f64[Binary(BinaryOp::Pow), F64](n: usize, a: *const f64, b: *const f64, out: *mut f64) = math::f64::pow_body;

    /// `out[i] = 2^x[i]`
    exp2_f32[Unary(UnaryOp::Exp2), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::exp2_body;
    /// `out[i] = e^x[i] - 1`
    expm1_f32[Unary(UnaryOp::Expm1), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::expm1_body;
    /// `out[i] = log2 x[i]`
    log2_f32[Unary(UnaryOp::Log2), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::log2_body;
    /// `out[i] = log10 x[i]`
    log10_f32[Unary(UnaryOp::Log10), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::log10_body;
    /// `out[i] = log(1 + x[i])`
    log1p_f32[Unary(UnaryOp::Log1p), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::log1p_body;
    /// `out[i] = tan x[i]`
    tan_f32[Unary(UnaryOp::Tan), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::tan_body;
    /// `out[i] = asin x[i]`
    asin_f32[Unary(UnaryOp::Asin), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::asin_body;
    /// `out[i] = acos x[i]`
    acos_f32[Unary(UnaryOp::Acos), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::acos_body;
    /// `out[i] = atan x[i]`
    atan_f32[Unary(UnaryOp::Atan), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::atan_body;
    /// `out[i] = sinh x[i]`
    sinh_f32[Unary(UnaryOp::Sinh), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::sinh_body;
    /// `out[i] = cosh x[i]`
    cosh_f32[Unary(UnaryOp::Cosh), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::cosh_body;
    /// `out[i] = asinh x[i]`
    asinh_f32[Unary(UnaryOp::Asinh), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::asinh_body;
    /// `out[i] = acosh x[i]`
    acosh_f32[Unary(UnaryOp::Acosh), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::acosh_body;
    /// `out[i] = atanh x[i]`
    atanh_f32[Unary(UnaryOp::Atanh), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::atanh_body;
    /// `out[i] = erf x[i]`
    erf_f32[Unary(UnaryOp::Erf), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::erf_body;
    /// `out[i] = erfc x[i]`
    erfc_f32[Unary(UnaryOp::Erfc), F32](n: usize, x: *const f32, out: *mut f32) = math::f32::erfc_body;
    /// `out[i]` is the angle of the point `(b[i], a[i])`.
    atan2_f32[Binary(BinaryOp::Atan2), F32](n: usize, a: *const f32, b: *const f32, out: *mut f32)
        = math::f32::atan2_body;
    /// `out[i]` is C's `fmod(a[i], b[i])`.
    rem_f32[Binary(BinaryOp::Rem), F32](n: usize, a: *const f32, b: *const f32, out: *mut f32) = math::f32::rem_body;
    /// `out[i] = 2^x[i]`
    exp2_f64[Unary(UnaryOp::Exp2), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::exp2_body;
    /// `out[i] = e^x[i] - 1`
    expm1_f64[Unary(UnaryOp::Expm1), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::expm1_body;
    /// `out[i] = log2 x[i]`
    log2_f64[Unary(UnaryOp::Log2), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::log2_body;
    /// `out[i] = log10 x[i]`
    log10_f64[Unary(UnaryOp::Log10), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::log10_body;
    /// `out[i] = log(1 + x[i])`
    log1p_f64[Unary(UnaryOp::Log1p), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::log1p_body;
    /// `out[i] = tan x[i]`
    tan_f64[Unary(UnaryOp::Tan), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::tan_body;
    /// `out[i] = asin x[i]`
    asin_f64[Unary(UnaryOp::Asin), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::asin_body;
    /// `out[i] = acos x[i]`
    acos_f64[Unary(UnaryOp::Acos), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::acos_body;
    /// `out[i] = atan x[i]`
    atan_f64[Unary(UnaryOp::Atan), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::atan_body;
    /// `out[i] = sinh x[i]`
    sinh_f64[Unary(UnaryOp::Sinh), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::sinh_body;
    /// `out[i] = cosh x[i]`
    cosh_f64[Unary(UnaryOp::Cosh), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::cosh_body;
    /// `out[i] = asinh x[i]`
    asinh_f64[Unary(UnaryOp::Asinh), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::asinh_body;
    /// `out[i] = acosh x[i]`
    acosh_f64[Unary(UnaryOp::Acosh), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::acosh_body;
    /// `out[i] = atanh x[i]`
    atanh_f64[Unary(UnaryOp::Atanh), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::atanh_body;
    /// `out[i] = erf x[i]`
    erf_f64[Unary(UnaryOp::Erf), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::erf_body;
    /// `out[i] = erfc x[i]`
    erfc_f64[Unary(UnaryOp::Erfc), F64](n: usize, x: *const f64, out: *mut f64) = math::f64::erfc_body;
    /// `out[i]` is the angle of the point `(b[i], a[i])`.
    atan2_f64[Binary(BinaryOp::Atan2), F64](n: usize, a: *const f64, b: *const f64, out: *mut f64)
        = math::f64::atan2_body;
    /// `out[i]` is C's `fmod(a[i], b[i])`.
    rem_f64[Binary(BinaryOp::Rem), F64](n: usize, a: *const f64, b: *const f64, out: *mut f64) = math::f64::rem_body;
    /// `out[i] = x[i]`
    widen_bf16[Widen, BF16](n: usize, x: *const bf16, out: *mut f32) = half_bodies::widen_bf16_body;
    /// `out[i] = x[i]` rounded to nearest even.
    narrow_bf16[Narrow, BF16](n: usize, x: *const f32, out: *mut bf16) = half_bodies::narrow_bf16_body;

    /// `c[m, n] = a[m, k] b[k, n]`, or `c += ` it where `accumulate` is not 0; strides in elements, `c`'s columns dense.
    matmul_f32[Matmul, F32](m: usize, n: usize, k: usize, a: *const f32, a_rs: isize, a_cs: isize, b: *const f32,
        b_rs: isize, b_cs: isize, c: *mut f32, c_rs: isize, accumulate: u32) = matmul_body [f32];
    /// As `matmul_f32`.
    matmul_f64[Matmul, F64](m: usize, n: usize, k: usize, a: *const f64, a_rs: isize, a_cs: isize, b: *const f64,
        b_rs: isize, b_cs: isize, c: *mut f64, c_rs: isize, accumulate: u32) = matmul_body [f64];
    /// As `matmul_f32`, wrapping.
    matmul_i64[Matmul, I64](m: usize, n: usize, k: usize, a: *const i64, a_rs: isize, a_cs: isize, b: *const i64,
        b_rs: isize, b_cs: isize, c: *mut i64, c_rs: isize, accumulate: u32) = matmul_int_body [i64];
    /// As `matmul_f32`, wrapping.
    matmul_i32[Matmul, I32](m: usize, n: usize, k: usize, a: *const i32, a_rs: isize, a_cs: isize, b: *const i32,
        b_rs: isize, b_cs: isize, c: *mut i32, c_rs: isize, accumulate: u32) = matmul_int_body [i32];
    /// As `matmul_f32`, wrapping.
    matmul_u8[Matmul, U8](m: usize, n: usize, k: usize, a: *const u8, a_rs: isize, a_cs: isize, b: *const u8,
        b_rs: isize, b_cs: isize, c: *mut u8, c_rs: isize, accumulate: u32) = matmul_int_body [u8];
    /// `matmul_f32` where rows and columns of the operands are several axes: their numbers, at least one each, then the sizes of
    /// all, then their strides in elements, rows first. Sizes are those of `m`, `n` and `k`.
    matmul_axes_f32[MatmulAxes, F32](m: usize, n: usize, k: usize, a: *const f32, a_axes: *const usize, b: *const f32,
        b_axes: *const usize, c: *mut f32, c_rs: isize, accumulate: u32) = matmul_axes_body [f32];
    /// As `matmul_axes_f32`.
    matmul_axes_f64[MatmulAxes, F64](m: usize, n: usize, k: usize, a: *const f64, a_axes: *const usize, b: *const f64,
        b_axes: *const usize, c: *mut f64, c_rs: isize, accumulate: u32) = matmul_axes_body [f64];
    /// As `matmul_axes_f32`, wrapping.
    matmul_axes_i64[MatmulAxes, I64](m: usize, n: usize, k: usize, a: *const i64, a_axes: *const usize, b: *const i64,
        b_axes: *const usize, c: *mut i64, c_rs: isize, accumulate: u32) = matmul_axes_int_body [i64];
    /// As `matmul_axes_f32`, wrapping.
    matmul_axes_i32[MatmulAxes, I32](m: usize, n: usize, k: usize, a: *const i32, a_axes: *const usize, b: *const i32,
        b_axes: *const usize, c: *mut i32, c_rs: isize, accumulate: u32) = matmul_axes_int_body [i32];
    /// As `matmul_axes_f32`, wrapping.
    matmul_axes_u8[MatmulAxes, U8](m: usize, n: usize, k: usize, a: *const u8, a_axes: *const usize, b: *const u8,
        b_axes: *const usize, c: *mut u8, c_rs: isize, accumulate: u32) = matmul_axes_int_body [u8];
    /// `matmul_f32` for one dense row: `c[n] = x[k] b[k, n]`, `b`'s columns dense.
    matvec_f32[Matvec, F32](n: usize, k: usize, x: *const f32, b: *const f32, b_rs: isize, c: *mut f32)
        = matvec_body [f32];
    /// As `matvec_f32`.
    matvec_f64[Matvec, F64](n: usize, k: usize, x: *const f64, b: *const f64, b_rs: isize, c: *mut f64)
        = matvec_body [f64];
    /// `matmul_f32` for `k == 1`, accumulating: `c[m, n] += round(a[m] b[n])`, operands dense.
    rank1_acc_f32[Rank1Acc, F32](m: usize, n: usize, a: *const f32, b: *const f32, c: *mut f32, c_rs: isize)
        = rank1_acc_body [f32];
    /// As `rank1_acc_f32`.
    rank1_acc_f64[Rank1Acc, F64](m: usize, n: usize, a: *const f64, b: *const f64, c: *mut f64, c_rs: isize)
        = rank1_acc_body [f64];

    /// The sum of `n` elements.
    sum_f32[Reduce(ReduceOp::Sum), F32](n: usize, x: *const f32) -> f32 = dense_body [f32, Sum];
    /// The sum of `n` elements.
    sum_f64[Reduce(ReduceOp::Sum), F64](n: usize, x: *const f64) -> f64 = dense_body [f64, Sum];
    /// The sum of `n` elements.
    sum_i64[Reduce(ReduceOp::Sum), I64](n: usize, x: *const i64) -> i64 = dense_body [i64, Sum];
    /// The sum of `n` elements.
    sum_i32[Reduce(ReduceOp::Sum), I32](n: usize, x: *const i32) -> i32 = dense_body [i32, Sum];
    /// The sum of `n` elements.
    sum_u8[Reduce(ReduceOp::Sum), U8](n: usize, x: *const u8) -> u8 = dense_body [u8, Sum];
    /// The largest of `n` elements.
    max_f32[Reduce(ReduceOp::Max), F32](n: usize, x: *const f32) -> f32 = dense_body [f32, Max];
    /// The largest of `n` elements.
    max_f64[Reduce(ReduceOp::Max), F64](n: usize, x: *const f64) -> f64 = dense_body [f64, Max];
    /// The largest of `n` elements.
    max_i64[Reduce(ReduceOp::Max), I64](n: usize, x: *const i64) -> i64 = dense_body [i64, Max];
    /// The largest of `n` elements.
    max_i32[Reduce(ReduceOp::Max), I32](n: usize, x: *const i32) -> i32 = dense_body [i32, Max];
    /// The largest of `n` elements.
    max_u8[Reduce(ReduceOp::Max), U8](n: usize, x: *const u8) -> u8 = dense_body [u8, Max];
    /// The smallest of `n` elements.
    min_f32[Reduce(ReduceOp::Min), F32](n: usize, x: *const f32) -> f32 = dense_body [f32, Min];
    /// The smallest of `n` elements.
    min_f64[Reduce(ReduceOp::Min), F64](n: usize, x: *const f64) -> f64 = dense_body [f64, Min];
    /// The smallest of `n` elements.
    min_i64[Reduce(ReduceOp::Min), I64](n: usize, x: *const i64) -> i64 = dense_body [i64, Min];
    /// The smallest of `n` elements.
    min_i32[Reduce(ReduceOp::Min), I32](n: usize, x: *const i32) -> i32 = dense_body [i32, Min];
    /// The smallest of `n` elements.
    min_u8[Reduce(ReduceOp::Min), U8](n: usize, x: *const u8) -> u8 = dense_body [u8, Min];

    /// Begins a streaming sum in uninitialised memory.
    sum_begin_f32[ReduceBegin(ReduceOp::Sum), F32](state: *mut ReduceState) = begin_body [f32, Sum];
    /// The next `n` elements, in logical order.
    sum_update_f32[ReduceUpdate(ReduceOp::Sum), F32](state: *mut ReduceState, n: usize, x: *const f32)
        = update_body [f32, Sum];
    /// The sum; the state has to be reset afterwards.
    sum_finish_f32[ReduceFinish(ReduceOp::Sum), F32](state: *mut ReduceState) -> f32 = finish_body [f32, Sum];
    /// As `sum_begin_f32`.
    sum_begin_f64[ReduceBegin(ReduceOp::Sum), F64](state: *mut ReduceState) = begin_body [f64, Sum];
    /// As `sum_update_f32`.
    sum_update_f64[ReduceUpdate(ReduceOp::Sum), F64](state: *mut ReduceState, n: usize, x: *const f64)
        = update_body [f64, Sum];
    /// As `sum_finish_f32`.
    sum_finish_f64[ReduceFinish(ReduceOp::Sum), F64](state: *mut ReduceState) -> f64 = finish_body [f64, Sum];
    /// As `sum_begin_f32`.
    sum_begin_i64[ReduceBegin(ReduceOp::Sum), I64](state: *mut ReduceState) = begin_body [i64, Sum];
    /// As `sum_begin_f32`.
    sum_begin_i32[ReduceBegin(ReduceOp::Sum), I32](state: *mut ReduceState) = begin_body [i32, Sum];
    /// As `sum_begin_f32`.
    sum_begin_u8[ReduceBegin(ReduceOp::Sum), U8](state: *mut ReduceState) = begin_body [u8, Sum];
    /// As `sum_update_f32`.
    sum_update_i64[ReduceUpdate(ReduceOp::Sum), I64](state: *mut ReduceState, n: usize, x: *const i64)
        = update_body [i64, Sum];
    /// As `sum_update_f32`.
    sum_update_i32[ReduceUpdate(ReduceOp::Sum), I32](state: *mut ReduceState, n: usize, x: *const i32)
        = update_body [i32, Sum];
    /// As `sum_update_f32`.
    sum_update_u8[ReduceUpdate(ReduceOp::Sum), U8](state: *mut ReduceState, n: usize, x: *const u8)
        = update_body [u8, Sum];
    /// As `sum_finish_f32`.
    sum_finish_i64[ReduceFinish(ReduceOp::Sum), I64](state: *mut ReduceState) -> i64 = finish_body [i64, Sum];
    /// As `sum_finish_f32`.
    sum_finish_i32[ReduceFinish(ReduceOp::Sum), I32](state: *mut ReduceState) -> i32 = finish_body [i32, Sum];
    /// As `sum_finish_f32`.
    sum_finish_u8[ReduceFinish(ReduceOp::Sum), U8](state: *mut ReduceState) -> u8 = finish_body [u8, Sum];
    /// As `sum_begin_f32`.
    max_begin_f32[ReduceBegin(ReduceOp::Max), F32](state: *mut ReduceState) = begin_body [f32, Max];
    /// As `sum_update_f32`.
    max_update_f32[ReduceUpdate(ReduceOp::Max), F32](state: *mut ReduceState, n: usize, x: *const f32)
        = update_body [f32, Max];
    /// As `sum_finish_f32`.
    max_finish_f32[ReduceFinish(ReduceOp::Max), F32](state: *mut ReduceState) -> f32 = finish_body [f32, Max];
    /// As `sum_begin_f32`.
    max_begin_f64[ReduceBegin(ReduceOp::Max), F64](state: *mut ReduceState) = begin_body [f64, Max];
    /// As `sum_update_f32`.
    max_update_f64[ReduceUpdate(ReduceOp::Max), F64](state: *mut ReduceState, n: usize, x: *const f64)
        = update_body [f64, Max];
    /// As `sum_finish_f32`.
    max_finish_f64[ReduceFinish(ReduceOp::Max), F64](state: *mut ReduceState) -> f64 = finish_body [f64, Max];
    /// As `sum_begin_f32`.
    max_begin_i64[ReduceBegin(ReduceOp::Max), I64](state: *mut ReduceState) = begin_body [i64, Max];
    /// As `sum_begin_f32`.
    max_begin_i32[ReduceBegin(ReduceOp::Max), I32](state: *mut ReduceState) = begin_body [i32, Max];
    /// As `sum_begin_f32`.
    max_begin_u8[ReduceBegin(ReduceOp::Max), U8](state: *mut ReduceState) = begin_body [u8, Max];
    /// As `sum_update_f32`.
    max_update_i64[ReduceUpdate(ReduceOp::Max), I64](state: *mut ReduceState, n: usize, x: *const i64)
        = update_body [i64, Max];
    /// As `sum_update_f32`.
    max_update_i32[ReduceUpdate(ReduceOp::Max), I32](state: *mut ReduceState, n: usize, x: *const i32)
        = update_body [i32, Max];
    /// As `sum_update_f32`.
    max_update_u8[ReduceUpdate(ReduceOp::Max), U8](state: *mut ReduceState, n: usize, x: *const u8)
        = update_body [u8, Max];
    /// As `sum_finish_f32`.
    max_finish_i64[ReduceFinish(ReduceOp::Max), I64](state: *mut ReduceState) -> i64 = finish_body [i64, Max];
    /// As `sum_finish_f32`.
    max_finish_i32[ReduceFinish(ReduceOp::Max), I32](state: *mut ReduceState) -> i32 = finish_body [i32, Max];
    /// As `sum_finish_f32`.
    max_finish_u8[ReduceFinish(ReduceOp::Max), U8](state: *mut ReduceState) -> u8 = finish_body [u8, Max];
    /// As `sum_begin_f32`.
    min_begin_f32[ReduceBegin(ReduceOp::Min), F32](state: *mut ReduceState) = begin_body [f32, Min];
    /// As `sum_update_f32`.
    min_update_f32[ReduceUpdate(ReduceOp::Min), F32](state: *mut ReduceState, n: usize, x: *const f32)
        = update_body [f32, Min];
    /// As `sum_finish_f32`.
    min_finish_f32[ReduceFinish(ReduceOp::Min), F32](state: *mut ReduceState) -> f32 = finish_body [f32, Min];
    /// As `sum_begin_f32`.
    min_begin_f64[ReduceBegin(ReduceOp::Min), F64](state: *mut ReduceState) = begin_body [f64, Min];
    /// As `sum_update_f32`.
    min_update_f64[ReduceUpdate(ReduceOp::Min), F64](state: *mut ReduceState, n: usize, x: *const f64)
        = update_body [f64, Min];
    /// As `sum_finish_f32`.
    min_finish_f64[ReduceFinish(ReduceOp::Min), F64](state: *mut ReduceState) -> f64 = finish_body [f64, Min];
    /// As `sum_begin_f32`.
    min_begin_i64[ReduceBegin(ReduceOp::Min), I64](state: *mut ReduceState) = begin_body [i64, Min];
    /// As `sum_begin_f32`.
    min_begin_i32[ReduceBegin(ReduceOp::Min), I32](state: *mut ReduceState) = begin_body [i32, Min];
    /// As `sum_begin_f32`.
    min_begin_u8[ReduceBegin(ReduceOp::Min), U8](state: *mut ReduceState) = begin_body [u8, Min];
    /// As `sum_update_f32`.
    min_update_i64[ReduceUpdate(ReduceOp::Min), I64](state: *mut ReduceState, n: usize, x: *const i64)
        = update_body [i64, Min];
    /// As `sum_update_f32`.
    min_update_i32[ReduceUpdate(ReduceOp::Min), I32](state: *mut ReduceState, n: usize, x: *const i32)
        = update_body [i32, Min];
    /// As `sum_update_f32`.
    min_update_u8[ReduceUpdate(ReduceOp::Min), U8](state: *mut ReduceState, n: usize, x: *const u8)
        = update_body [u8, Min];
    /// As `sum_finish_f32`.
    min_finish_i64[ReduceFinish(ReduceOp::Min), I64](state: *mut ReduceState) -> i64 = finish_body [i64, Min];
    /// As `sum_finish_f32`.
    min_finish_i32[ReduceFinish(ReduceOp::Min), I32](state: *mut ReduceState) -> i32 = finish_body [i32, Min];
    /// As `sum_finish_f32`.
    min_finish_u8[ReduceFinish(ReduceOp::Min), U8](state: *mut ReduceState) -> u8 = finish_body [u8, Min];

    /// Sums the axes whose bits are set in `mask`; `rank <= 64` sizes and strides; `out` is dense over the others.
    reduce_sum_f32[ReduceStrided(ReduceOp::Sum), F32](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const f32, out: *mut f32) = reduce_body [f32, Sum];
    /// As `reduce_sum_f32`.
    reduce_sum_f64[ReduceStrided(ReduceOp::Sum), F64](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const f64, out: *mut f64) = reduce_body [f64, Sum];
    /// As `reduce_sum_f32`.
    reduce_sum_i64[ReduceStrided(ReduceOp::Sum), I64](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const i64, out: *mut i64) = reduce_body [i64, Sum];
    /// As `reduce_sum_f32`.
    reduce_sum_i32[ReduceStrided(ReduceOp::Sum), I32](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const i32, out: *mut i32) = reduce_body [i32, Sum];
    /// As `reduce_sum_f32`.
    reduce_sum_u8[ReduceStrided(ReduceOp::Sum), U8](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const u8, out: *mut u8) = reduce_body [u8, Sum];
    /// As `reduce_sum_f32`.
    reduce_max_f32[ReduceStrided(ReduceOp::Max), F32](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const f32, out: *mut f32) = reduce_body [f32, Max];
    /// As `reduce_sum_f32`.
    reduce_max_f64[ReduceStrided(ReduceOp::Max), F64](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const f64, out: *mut f64) = reduce_body [f64, Max];
    /// As `reduce_sum_f32`.
    reduce_max_i64[ReduceStrided(ReduceOp::Max), I64](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const i64, out: *mut i64) = reduce_body [i64, Max];
    /// As `reduce_sum_f32`.
    reduce_max_i32[ReduceStrided(ReduceOp::Max), I32](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const i32, out: *mut i32) = reduce_body [i32, Max];
    /// As `reduce_sum_f32`.
    reduce_max_u8[ReduceStrided(ReduceOp::Max), U8](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const u8, out: *mut u8) = reduce_body [u8, Max];
    /// As `reduce_sum_f32`.
    reduce_min_f32[ReduceStrided(ReduceOp::Min), F32](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const f32, out: *mut f32) = reduce_body [f32, Min];
    /// As `reduce_sum_f32`.
    reduce_min_f64[ReduceStrided(ReduceOp::Min), F64](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const f64, out: *mut f64) = reduce_body [f64, Min];
    /// As `reduce_sum_f32`.
    reduce_min_i64[ReduceStrided(ReduceOp::Min), I64](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const i64, out: *mut i64) = reduce_body [i64, Min];
    /// As `reduce_sum_f32`.
    reduce_min_i32[ReduceStrided(ReduceOp::Min), I32](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const i32, out: *mut i32) = reduce_body [i32, Min];
    /// As `reduce_sum_f32`.
    reduce_min_u8[ReduceStrided(ReduceOp::Min), U8](rank: usize, shape: *const usize, strides: *const isize,
        mask: u64, x: *const u8, out: *mut u8) = reduce_body [u8, Min];
    }
    // One function for all levels.
    {
    /// `out[i] = x[i]`
    widen_f16[Widen, F16](n: usize, x: *const f16, out: *mut f32) = half_bodies::widen_f16;
    /// `out[i] = x[i]` rounded to nearest even.
    narrow_f16[Narrow, F16](n: usize, x: *const f32, out: *mut f16) = half_bodies::narrow_f16;
    /// `out[i] = a[i] rem b[i]`, with the sign of `a[i]`; 0 where `b[i]` is 0.
    rem_u8[Binary(BinaryOp::Rem), U8](n: usize, a: *const u8, b: *const u8, out: *mut u8) = int::rem_body::<u8>;
    /// `out[i] = a[i] / b[i]` rounded to zero; 0 where `b[i]` is 0.
    quotient_u8[Binary(BinaryOp::Quotient), U8](n: usize, a: *const u8, b: *const u8, out: *mut u8)
        = int::quotient_body::<u8>;
    /// `out[i] = a[i]^b[i]`, wrapping.
    pow_u8[Binary(BinaryOp::Pow), U8](n: usize, a: *const u8, b: *const u8, out: *mut u8) = int::pow_body::<u8>;
    /// `out[i] = a[i] rem b[i]`, with the sign of `a[i]`; 0 where `b[i]` is 0.
    rem_i32[Binary(BinaryOp::Rem), I32](n: usize, a: *const i32, b: *const i32, out: *mut i32) = int::rem_body::<i32>;
    /// `out[i] = a[i] / b[i]` rounded to zero; 0 where `b[i]` is 0.
    quotient_i32[Binary(BinaryOp::Quotient), I32](n: usize, a: *const i32, b: *const i32, out: *mut i32)
        = int::quotient_body::<i32>;
    /// `out[i] = a[i]^b[i]`, wrapping.
    pow_i32[Binary(BinaryOp::Pow), I32](n: usize, a: *const i32, b: *const i32, out: *mut i32) = int::pow_body::<i32>;
    /// `out[i] = a[i] rem b[i]`, with the sign of `a[i]`; 0 where `b[i]` is 0.
    rem_i64[Binary(BinaryOp::Rem), I64](n: usize, a: *const i64, b: *const i64, out: *mut i64) = int::rem_body::<i64>;
    /// `out[i] = a[i] / b[i]` rounded to zero; 0 where `b[i]` is 0.
    quotient_i64[Binary(BinaryOp::Quotient), I64](n: usize, a: *const i64, b: *const i64, out: *mut i64)
        = int::quotient_body::<i64>;
    /// `out[i] = a[i]^b[i]`, wrapping.
    pow_i64[Binary(BinaryOp::Pow), I64](n: usize, a: *const i64, b: *const i64, out: *mut i64) = int::pow_body::<i64>;

    /// `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`, where `x` has `n` elements; zero where an index is out
    /// of range. `rank` sizes and strides, in elements; `out` is dense and has the shape of the indices.
    gather_bool[Gather, Bool](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void) = index::gather_words::<u8>;
    /// As `gather_bool`.
    gather_u8[Gather, U8](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void) = index::gather_words::<u8>;
    /// As `gather_bool`.
    gather_i32[Gather, I32](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void)
        = index::gather_words::<u32>;
    /// As `gather_bool`.
    gather_i64[Gather, I64](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void)
        = index::gather_words::<u64>;
    /// As `gather_bool`.
    gather_f16[Gather, F16](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void)
        = index::gather_words::<u16>;
    /// As `gather_bool`.
    gather_bf16[Gather, BF16](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void)
        = index::gather_words::<u16>;
    /// As `gather_bool`.
    gather_f32[Gather, F32](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void)
        = index::gather_words::<u32>;
    /// As `gather_bool`.
    gather_f64[Gather, F64](rank: usize, axis: usize, n: usize, index_shape: *const usize, x_strides: *const isize,
        index_strides: *const isize, x: *const c_void, index: *const i64, out: *mut c_void)
        = index::gather_words::<u64>;
    /// `out[.., index[.., i, ..], ..] = src[.., i, ..]` along `axis`, where `out` has `n` elements, in row-major order of the
    /// indices; one that is out of range is left out. `rank` sizes and strides, in elements.
    scatter_bool[Scatter(ScatterOp::Set), Bool](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u8>;
    /// As `scatter_bool`.
    scatter_u8[Scatter(ScatterOp::Set), U8](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u8>;
    /// As `scatter_bool`.
    scatter_i32[Scatter(ScatterOp::Set), I32](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u32>;
    /// As `scatter_bool`.
    scatter_i64[Scatter(ScatterOp::Set), I64](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u64>;
    /// As `scatter_bool`.
    scatter_f16[Scatter(ScatterOp::Set), F16](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u16>;
    /// As `scatter_bool`.
    scatter_bf16[Scatter(ScatterOp::Set), BF16](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u16>;
    /// As `scatter_bool`.
    scatter_f32[Scatter(ScatterOp::Set), F32](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u32>;
    /// As `scatter_bool`.
    scatter_f64[Scatter(ScatterOp::Set), F64](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const c_void, out: *mut c_void) = index::scatter_words::<u64>;
    /// As `scatter_bool`, adding.
    scatter_add_u8[Scatter(ScatterOp::Add), U8](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const u8, out: *mut u8) = index::scatter_add::<u8>;
    /// As `scatter_bool`, adding.
    scatter_add_i32[Scatter(ScatterOp::Add), I32](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const i32, out: *mut i32) = index::scatter_add::<i32>;
    /// As `scatter_bool`, adding.
    scatter_add_i64[Scatter(ScatterOp::Add), I64](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const i64, out: *mut i64) = index::scatter_add::<i64>;
    /// As `scatter_bool`, adding.
    scatter_add_f32[Scatter(ScatterOp::Add), F32](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const f32, out: *mut f32) = index::scatter_add::<f32>;
    /// As `scatter_bool`, adding.
    scatter_add_f64[Scatter(ScatterOp::Add), F64](rank: usize, axis: usize, n: usize, index_shape: *const usize,
        index_strides: *const isize, src_strides: *const isize, out_strides: *const isize, index: *const i64,
        src: *const f64, out: *mut f64) = index::scatter_add::<f64>;
    /// The place along `axis` of the largest element, the first of equals; `out` is dense over the other axes.
    argmax_u8[ArgReduce(ArgOp::Max), U8](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const u8, out: *mut i64) = sort::argmax_body::<u8>;
    /// The place along `axis` of the largest element, the first of equals; `out` is dense over the other axes.
    argmax_i32[ArgReduce(ArgOp::Max), I32](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const i32, out: *mut i64) = sort::argmax_body::<i32>;
    /// The place along `axis` of the largest element, the first of equals; `out` is dense over the other axes.
    argmax_i64[ArgReduce(ArgOp::Max), I64](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const i64, out: *mut i64) = sort::argmax_body::<i64>;
    /// The place along `axis` of the largest element, the first of equals; `out` is dense over the other axes.
    argmax_f32[ArgReduce(ArgOp::Max), F32](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const f32, out: *mut i64) = sort::argmax_body::<f32>;
    /// The place along `axis` of the largest element, the first of equals; `out` is dense over the other axes.
    argmax_f64[ArgReduce(ArgOp::Max), F64](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const f64, out: *mut i64) = sort::argmax_body::<f64>;
    /// The place along `axis` of the smallest element, the first of equals; `out` is dense over the other axes.
    argmin_u8[ArgReduce(ArgOp::Min), U8](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const u8, out: *mut i64) = sort::argmin_body::<u8>;
    /// The place along `axis` of the smallest element, the first of equals; `out` is dense over the other axes.
    argmin_i32[ArgReduce(ArgOp::Min), I32](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const i32, out: *mut i64) = sort::argmin_body::<i32>;
    /// The place along `axis` of the smallest element, the first of equals; `out` is dense over the other axes.
    argmin_i64[ArgReduce(ArgOp::Min), I64](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const i64, out: *mut i64) = sort::argmin_body::<i64>;
    /// The place along `axis` of the smallest element, the first of equals; `out` is dense over the other axes.
    argmin_f32[ArgReduce(ArgOp::Min), F32](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const f32, out: *mut i64) = sort::argmin_body::<f32>;
    /// The place along `axis` of the smallest element, the first of equals; `out` is dense over the other axes.
    argmin_f64[ArgReduce(ArgOp::Min), F64](rank: usize, axis: usize, x_shape: *const usize, x_strides: *const isize,
        x: *const f64, out: *mut i64) = sort::argmin_body::<f64>;
    /// The elements' places along `axis` in stable ascending or descending order; `out` is dense, in the shape of `x`.
    argsort_bool[ArgSort, Bool](rank: usize, axis: usize, descending: usize, x_shape: *const usize,
        x_strides: *const isize, x: *const bool, out: *mut i64) = sort::argsort_body::<bool>;
    /// As `argsort_bool`.
    argsort_u8[ArgSort, U8](rank: usize, axis: usize, descending: usize, x_shape: *const usize,
        x_strides: *const isize, x: *const u8, out: *mut i64) = sort::argsort_body::<u8>;
    /// As `argsort_bool`.
    argsort_i32[ArgSort, I32](rank: usize, axis: usize, descending: usize, x_shape: *const usize,
        x_strides: *const isize, x: *const i32, out: *mut i64) = sort::argsort_body::<i32>;
    /// As `argsort_bool`.
    argsort_i64[ArgSort, I64](rank: usize, axis: usize, descending: usize, x_shape: *const usize,
        x_strides: *const isize, x: *const i64, out: *mut i64) = sort::argsort_body::<i64>;
    /// As `argsort_bool`.
    argsort_f32[ArgSort, F32](rank: usize, axis: usize, descending: usize, x_shape: *const usize,
        x_strides: *const isize, x: *const f32, out: *mut i64) = sort::argsort_body::<f32>;
    /// As `argsort_bool`.
    argsort_f64[ArgSort, F64](rank: usize, axis: usize, descending: usize, x_shape: *const usize,
        x_strides: *const isize, x: *const f64, out: *mut i64) = sort::argsort_body::<f64>;
    /// `out[0] = b[0]`, `out[i] = a[i] * out[i - 1] + b[i]` along `axis`, from its end where `reverse` is not 0; `out` is
    /// dense. An `f32` chain is carried in `f64`.
    recurrence_u8[Recurrence, U8](rank: usize, axis: usize, reverse: usize, shape: *const usize,
        a_strides: *const isize, b_strides: *const isize, a: *const u8, b: *const u8, out: *mut u8)
        = recurrence::recurrence_body::<u8>;
    /// As `recurrence_u8`.
    recurrence_i32[Recurrence, I32](rank: usize, axis: usize, reverse: usize, shape: *const usize,
        a_strides: *const isize, b_strides: *const isize, a: *const i32, b: *const i32, out: *mut i32)
        = recurrence::recurrence_body::<i32>;
    /// As `recurrence_u8`.
    recurrence_i64[Recurrence, I64](rank: usize, axis: usize, reverse: usize, shape: *const usize,
        a_strides: *const isize, b_strides: *const isize, a: *const i64, b: *const i64, out: *mut i64)
        = recurrence::recurrence_body::<i64>;
    /// As `recurrence_u8`.
    recurrence_f32[Recurrence, F32](rank: usize, axis: usize, reverse: usize, shape: *const usize,
        a_strides: *const isize, b_strides: *const isize, a: *const f32, b: *const f32, out: *mut f32)
        = recurrence::recurrence_body::<f32>;
    /// As `recurrence_u8`.
    recurrence_f64[Recurrence, F64](rank: usize, axis: usize, reverse: usize, shape: *const usize,
        a_strides: *const isize, b_strides: *const isize, a: *const f64, b: *const f64, out: *mut f64)
        = recurrence::recurrence_body::<f64>;
    /// `x[.., count, .., size] -> out[.., len, ..]`: element `(i, j)` of `axis` and the last axis is added to element
    /// `i * step + j * dilation`, in the order of the windows, from 0. `rank` is that of `x`; `out` is dense.
    overlap_add_u8[OverlapAdd, U8](rank: usize, axis: usize, len: usize, step: usize, dilation: usize,
        x_shape: *const usize, x_strides: *const isize, x: *const u8, out: *mut u8) = window::overlap_add_body::<u8>;
    /// As `overlap_add_u8`.
    overlap_add_i32[OverlapAdd, I32](rank: usize, axis: usize, len: usize, step: usize, dilation: usize,
        x_shape: *const usize, x_strides: *const isize, x: *const i32, out: *mut i32) = window::overlap_add_body::<i32>;
    /// As `overlap_add_u8`.
    overlap_add_i64[OverlapAdd, I64](rank: usize, axis: usize, len: usize, step: usize, dilation: usize,
        x_shape: *const usize, x_strides: *const isize, x: *const i64, out: *mut i64) = window::overlap_add_body::<i64>;
    /// As `overlap_add_u8`.
    overlap_add_f32[OverlapAdd, F32](rank: usize, axis: usize, len: usize, step: usize, dilation: usize,
        x_shape: *const usize, x_strides: *const isize, x: *const f32, out: *mut f32) = window::overlap_add_body::<f32>;
    /// As `overlap_add_u8`.
    overlap_add_f64[OverlapAdd, F64](rank: usize, axis: usize, len: usize, step: usize, dilation: usize,
        x_shape: *const usize, x_strides: *const isize, x: *const f64, out: *mut f64) = window::overlap_add_body::<f64>;
    }
}

// SAFETY: function addresses, which any thread may call.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// The kernels for the level in use ([`simd::level`]).
pub fn table() -> &'static Table {
    of(simd::level())
}

/// The kernels for one level, or `None` where the CPU has less.
pub fn table_for(level: Level) -> Option<&'static Table> {
    (level <= simd::best_level()).then(|| of(level))
}

fn of(level: Level) -> &'static Table {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => &avx512::TABLE,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => &avx2::TABLE,
        _ => &baseline::TABLE,
    }
}
