//! Elementary functions over runs of elements: the one place where exp, erf, atan2 and their like are rounded.
//! Never knows of shapes.
//!
//! The result for an element depends on that element only, and not on its neighbours, the run's length or the vector
//! level. All functions are the library's own: those of `f32` in `f32` where speed counts most ([`poly`]), else in `f64` and
//! rounded once ([`wide`]); those of `f64` in pairs of `f64` where it matters (the files `double_*`). They are written in a
//! small subset of Rust ([`SOURCES`]), of which other backends make their own text: one definition, the same bits. Largest
//! errors seen, in units in the last place of the exact value, of `f32` over sweeps of the bit patterns (first line: every
//! 37th; the second: every 1009th; pow and atan2: random):
//!
//! | f32 | exp | log | sin | cos | tanh | pow |
//! |---|---|---|---|---|---|---|
//! | ulp | 1.05 | 0.80 | 0.51 | 0.51 | 1.69 | 0.51 |
//!
//! | f32 | exp2 | expm1 | log2 | log1p | erf | tan, log10, asin, acos, atan, atan2, sinh, cosh, asinh, acosh, atanh, erfc |
//! |---|---|---|---|---|---|---|
//! | ulp | 1.08 | 1.29 | 0.88 | 1.31 | 0.95 | 0.51 |
//!
//! Of `f64` against 113 bits, over 1.2 million operands each (any bits, ordinary sizes, near the edges):
//!
//! | f64 | sin, cos, tan, asin, acos, atan | log, log1p, log10, asinh, acosh, atanh | log2 | cosh | exp, pow | tanh, sinh | expm1 | erfc |
//! |---|---|---|---|---|---|---|---|---|
//! | ulp | 0.51 | 0.53 | 0.54 | 0.53 | 0.53 | 0.57 | 0.61 | 0.62 |
//!
//! Where a result is subnormal it may have been rounded twice: exp, exp2, pow and erfc 0.75, erf 0.86, atan2 0.91. Of exp2, erf
//! and atan2 only these largest errors of all results were taken.
//!
//! The remainder is exact. Powers of two have exact base 2 logarithms, powers of ten exact base 10 ones.
//!
//! Zeros keep their sign where the function is odd, `exp(-inf) = 0`, `log(0) = -inf`, `log` of a negative number, `sin(inf)` and
//! `cos(inf)` are NaN, and all follow C's special cases. A NaN gives a NaN; its sign and payload are not defined.

mod definition;
mod double;
mod double_arc;
mod double_erf;
mod double_exp;
mod double_log;
mod double_rem;
mod double_trig;
#[allow(clippy::module_inception)]
pub(crate) mod f32;
pub(crate) mod f64;
pub mod poly;
mod runs;
pub mod wide;

pub use definition::{Definition, Operation, Partial};

/// The files that define the functions, by their modules' names: a small subset of Rust, so that other languages can be
/// made from them.
pub const SOURCES: [(&str, &str); 9] = [
    ("double", include_str!("double.rs")),
    ("double_arc", include_str!("double_arc.rs")),
    ("double_erf", include_str!("double_erf.rs")),
    ("double_exp", include_str!("double_exp.rs")),
    ("double_log", include_str!("double_log.rs")),
    ("double_rem", include_str!("double_rem.rs")),
    ("double_trig", include_str!("double_trig.rs")),
    ("poly", include_str!("poly.rs")),
    ("wide", include_str!("wide.rs")),
];

/// The function of each operation and dtype that no standard rounds, and of the remainder.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    [f32::ONE, f32::TWO, f64::ONE, f64::TWO].into_iter().flatten()
}
