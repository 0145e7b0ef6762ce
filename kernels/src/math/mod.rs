//! Elementary functions over runs of elements: the one place where exp, log, sin, cos, tanh and pow are rounded.
//! Never knows of shapes.
//!
//! The result for an element depends on that element only, and not on its neighbours, the run's length or the vector
//! level. `f32` functions are the library's own ([`poly`]); `f64` ones are those of the `libm` crate. Largest errors
//! seen, in units in the last place of the exact value, over sweeps of the bit patterns (every 37th; pow: random):
//!
//! | f32 | exp | log | sin | cos | tanh | pow |
//! |---|---|---|---|---|---|---|
//! | ulp | 1.05 | 0.80 | 0.51 | 0.51 | 1.69 | 0.51 |
//!
//! Zeros keep their sign in sin and tanh, `exp(-inf) = 0`, `log(0) = -inf`, `log` of a negative number, `sin(inf)` and
//! `cos(inf)` are NaN, and `pow` follows C's special cases. A NaN gives a NaN; its sign and payload are not defined.

#[allow(clippy::module_inception)]
pub(crate) mod f32;
pub(crate) mod f64;
pub mod poly;
pub mod wide;
