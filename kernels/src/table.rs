//! The kernels as plain function pointers: what generated code calls. Never holds an algorithm.

use super::math;
use super::matmul::{matmul_body, matmul_i64_body, matvec_body, rank1_acc_body};
use super::reduce::stream::{begin_body, dense_body, finish_body, update_body};
use super::reduce::strided::reduce_body;
use super::reduce::{Max, Min, ReduceState, Sum};
use super::simd::{self, Level};

/// Makes [`Table`], one static of it for each level, and the listing by name. A row is
/// `name(arguments) -> result = body::<types>;`, and the body is generic over the level first.
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:path $([$($g:ty),+])?;)+) => {
        /// Addresses of the kernels for one instruction set. All take raw pointers to dense elements unless strides
        /// are passed, never unwind, allocate nothing for small sizes, and give the same bits at every level.
        ///
        /// # Safety
        /// Of each function: the lengths must be readable, or writable, behind the pointers; outputs must not overlap
        /// inputs, except that an elementwise function may work in place (`out` equal to an operand).
        #[derive(Debug)]
        pub struct Table {
            $( $(#[$doc])* pub $name: unsafe extern "C" fn($($a: $t),*) $(-> $r)?, )+
        }

        impl Table {
            /// Every function by its field's name, for a linker.
            pub fn entries(&self) -> Vec<(&'static str, *const u8)> {
                vec![$( (stringify!($name), self.$name as *const u8) ),+]
            }
        }

        mod baseline {
            use super::*;
            table!(@level Baseline, { #[allow(clippy::missing_safety_doc)] }, $($name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?;)+);
        }
        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::*;
            table!(@level Avx2, { #[target_feature(enable = "avx2,fma")] },
                $($name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?;)+);
        }
        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::*;
            table!(@level Avx512, { #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")] },
                $($name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?;)+);
        }
    };
    (@level $level:ident, $features:tt, $($name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:path $([$($g:ty),+])?;)+) => {
        pub(super) static TABLE: Table = Table { $( $name ),+ };
        $( table!(@one $level, $features, $name($($a: $t),*) $(-> $r)? = $body $([$($g),+])?); )+
    };
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
    /// `out[i] = e^x[i]`
    exp_f32(n: usize, x: *const f32, out: *mut f32) = math::f32::exp_body;
    /// `out[i] = log x[i]`
    log_f32(n: usize, x: *const f32, out: *mut f32) = math::f32::log_body;
    /// `out[i] = sin x[i]`
    sin_f32(n: usize, x: *const f32, out: *mut f32) = math::f32::sin_body;
    /// `out[i] = cos x[i]`
    cos_f32(n: usize, x: *const f32, out: *mut f32) = math::f32::cos_body;
    /// `out[i] = tanh x[i]`
    tanh_f32(n: usize, x: *const f32, out: *mut f32) = math::f32::tanh_body;
    /// `out[i] = a[i]^b[i]`
    pow_f32(n: usize, a: *const f32, b: *const f32, out: *mut f32) = math::f32::pow_body;
    /// `out[i] = e^x[i]`
    exp_f64(n: usize, x: *const f64, out: *mut f64) = math::f64::exp_body;
    /// `out[i] = log x[i]`
    log_f64(n: usize, x: *const f64, out: *mut f64) = math::f64::log_body;
    /// `out[i] = sin x[i]`
    sin_f64(n: usize, x: *const f64, out: *mut f64) = math::f64::sin_body;
    /// `out[i] = cos x[i]`
    cos_f64(n: usize, x: *const f64, out: *mut f64) = math::f64::cos_body;
    /// `out[i] = tanh x[i]`
    tanh_f64(n: usize, x: *const f64, out: *mut f64) = math::f64::tanh_body;
    /// `out[i] = a[i]^b[i]`
    pow_f64(n: usize, a: *const f64, b: *const f64, out: *mut f64) = math::f64::pow_body;

    /// `c[m, n] = a[m, k] b[k, n]`, or `c += ` it where `accumulate` is not 0; strides in elements, `c`'s columns dense.
    matmul_f32(m: usize, n: usize, k: usize, a: *const f32, a_rs: isize, a_cs: isize, b: *const f32, b_rs: isize,
        b_cs: isize, c: *mut f32, c_rs: isize, accumulate: u32) = matmul_body [f32];
    /// As `matmul_f32`.
    matmul_f64(m: usize, n: usize, k: usize, a: *const f64, a_rs: isize, a_cs: isize, b: *const f64, b_rs: isize,
        b_cs: isize, c: *mut f64, c_rs: isize, accumulate: u32) = matmul_body [f64];
    /// As `matmul_f32`, wrapping.
    matmul_i64(m: usize, n: usize, k: usize, a: *const i64, a_rs: isize, a_cs: isize, b: *const i64, b_rs: isize,
        b_cs: isize, c: *mut i64, c_rs: isize, accumulate: u32) = matmul_i64_body;
    /// `matmul_f32` for one dense row: `c[n] = x[k] b[k, n]`, `b`'s columns dense.
    matvec_f32(n: usize, k: usize, x: *const f32, b: *const f32, b_rs: isize, c: *mut f32) = matvec_body [f32];
    /// As `matvec_f32`.
    matvec_f64(n: usize, k: usize, x: *const f64, b: *const f64, b_rs: isize, c: *mut f64) = matvec_body [f64];
    /// `matmul_f32` for `k == 1`, accumulating: `c[m, n] += round(a[m] b[n])`, operands dense.
    rank1_acc_f32(m: usize, n: usize, a: *const f32, b: *const f32, c: *mut f32, c_rs: isize) = rank1_acc_body [f32];
    /// As `rank1_acc_f32`.
    rank1_acc_f64(m: usize, n: usize, a: *const f64, b: *const f64, c: *mut f64, c_rs: isize) = rank1_acc_body [f64];

    /// The sum of `n` elements.
    sum_f32(n: usize, x: *const f32) -> f32 = dense_body [f32, Sum];
    /// The sum of `n` elements.
    sum_f64(n: usize, x: *const f64) -> f64 = dense_body [f64, Sum];
    /// The sum of `n` elements.
    sum_i64(n: usize, x: *const i64) -> i64 = dense_body [i64, Sum];
    /// The largest of `n` elements.
    max_f32(n: usize, x: *const f32) -> f32 = dense_body [f32, Max];
    /// The largest of `n` elements.
    max_f64(n: usize, x: *const f64) -> f64 = dense_body [f64, Max];
    /// The largest of `n` elements.
    max_i64(n: usize, x: *const i64) -> i64 = dense_body [i64, Max];
    /// The smallest of `n` elements.
    min_f32(n: usize, x: *const f32) -> f32 = dense_body [f32, Min];
    /// The smallest of `n` elements.
    min_f64(n: usize, x: *const f64) -> f64 = dense_body [f64, Min];
    /// The smallest of `n` elements.
    min_i64(n: usize, x: *const i64) -> i64 = dense_body [i64, Min];

    /// Begins a streaming sum in uninitialised memory.
    sum_begin_f32(state: *mut ReduceState) = begin_body [f32, Sum];
    /// The next `n` elements, in logical order.
    sum_update_f32(state: *mut ReduceState, n: usize, x: *const f32) = update_body [f32, Sum];
    /// The sum; the state has to begin again afterwards.
    sum_finish_f32(state: *mut ReduceState) -> f32 = finish_body [f32, Sum];
    /// As `sum_begin_f32`.
    sum_begin_f64(state: *mut ReduceState) = begin_body [f64, Sum];
    /// As `sum_update_f32`.
    sum_update_f64(state: *mut ReduceState, n: usize, x: *const f64) = update_body [f64, Sum];
    /// As `sum_finish_f32`.
    sum_finish_f64(state: *mut ReduceState) -> f64 = finish_body [f64, Sum];
    /// As `sum_begin_f32`.
    sum_begin_i64(state: *mut ReduceState) = begin_body [i64, Sum];
    /// As `sum_update_f32`.
    sum_update_i64(state: *mut ReduceState, n: usize, x: *const i64) = update_body [i64, Sum];
    /// As `sum_finish_f32`.
    sum_finish_i64(state: *mut ReduceState) -> i64 = finish_body [i64, Sum];
    /// As `sum_begin_f32`.
    max_begin_f32(state: *mut ReduceState) = begin_body [f32, Max];
    /// As `sum_update_f32`.
    max_update_f32(state: *mut ReduceState, n: usize, x: *const f32) = update_body [f32, Max];
    /// As `sum_finish_f32`.
    max_finish_f32(state: *mut ReduceState) -> f32 = finish_body [f32, Max];
    /// As `sum_begin_f32`.
    max_begin_f64(state: *mut ReduceState) = begin_body [f64, Max];
    /// As `sum_update_f32`.
    max_update_f64(state: *mut ReduceState, n: usize, x: *const f64) = update_body [f64, Max];
    /// As `sum_finish_f32`.
    max_finish_f64(state: *mut ReduceState) -> f64 = finish_body [f64, Max];
    /// As `sum_begin_f32`.
    max_begin_i64(state: *mut ReduceState) = begin_body [i64, Max];
    /// As `sum_update_f32`.
    max_update_i64(state: *mut ReduceState, n: usize, x: *const i64) = update_body [i64, Max];
    /// As `sum_finish_f32`.
    max_finish_i64(state: *mut ReduceState) -> i64 = finish_body [i64, Max];
    /// As `sum_begin_f32`.
    min_begin_f32(state: *mut ReduceState) = begin_body [f32, Min];
    /// As `sum_update_f32`.
    min_update_f32(state: *mut ReduceState, n: usize, x: *const f32) = update_body [f32, Min];
    /// As `sum_finish_f32`.
    min_finish_f32(state: *mut ReduceState) -> f32 = finish_body [f32, Min];
    /// As `sum_begin_f32`.
    min_begin_f64(state: *mut ReduceState) = begin_body [f64, Min];
    /// As `sum_update_f32`.
    min_update_f64(state: *mut ReduceState, n: usize, x: *const f64) = update_body [f64, Min];
    /// As `sum_finish_f32`.
    min_finish_f64(state: *mut ReduceState) -> f64 = finish_body [f64, Min];
    /// As `sum_begin_f32`.
    min_begin_i64(state: *mut ReduceState) = begin_body [i64, Min];
    /// As `sum_update_f32`.
    min_update_i64(state: *mut ReduceState, n: usize, x: *const i64) = update_body [i64, Min];
    /// As `sum_finish_f32`.
    min_finish_i64(state: *mut ReduceState) -> i64 = finish_body [i64, Min];

    /// Sums the axes whose bits are set in `mask`; `rank <= 64` sizes and strides; `out` is dense over the others.
    reduce_sum_f32(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const f32, out: *mut f32)
        = reduce_body [f32, Sum];
    /// As `reduce_sum_f32`.
    reduce_sum_f64(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const f64, out: *mut f64)
        = reduce_body [f64, Sum];
    /// As `reduce_sum_f32`.
    reduce_sum_i64(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const i64, out: *mut i64)
        = reduce_body [i64, Sum];
    /// As `reduce_sum_f32`.
    reduce_max_f32(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const f32, out: *mut f32)
        = reduce_body [f32, Max];
    /// As `reduce_sum_f32`.
    reduce_max_f64(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const f64, out: *mut f64)
        = reduce_body [f64, Max];
    /// As `reduce_sum_f32`.
    reduce_max_i64(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const i64, out: *mut i64)
        = reduce_body [i64, Max];
    /// As `reduce_sum_f32`.
    reduce_min_f32(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const f32, out: *mut f32)
        = reduce_body [f32, Min];
    /// As `reduce_sum_f32`.
    reduce_min_f64(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const f64, out: *mut f64)
        = reduce_body [f64, Min];
    /// As `reduce_sum_f32`.
    reduce_min_i64(rank: usize, shape: *const usize, strides: *const isize, mask: u64, x: *const i64, out: *mut i64)
        = reduce_body [i64, Min];
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
