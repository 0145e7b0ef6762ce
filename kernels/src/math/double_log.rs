//! Logarithms and what is made of them, in `f64`. Never calls a library function.
//!
//! The logarithm of the reduced operand is a pair ([`super::double`]) with an error of 2^-59, so that the result is rounded
//! nearly once, and one of 2^-70 for powers, which multiply it. The polynomial by interpolation at Chebyshev points in 420 bits, then rounded.

use super::double::{add, divide, fast_two_sum, multiply, square_root, two_product, two_sum};
use super::double_exp::{LN2_HIGH, LN2_LOW, exp_pair};
use super::poly::ROUND64;
use super::wide::split;

/// `2^30`: from here on `x + sqrt(x^2 + 1)` is `2 x`.
const LARGE: f64 = 1_073_741_824.0;

/// Below this, a function with slope 1 at 0 and no second derivative there is its operand.
const TINY: f64 = 1.862_645_149_230_957e-9;

/// `s = f / (2 + f)` of the pair `f`, as a pair, and `q(s^2)` of [`reduced`].
#[inline(always)]
fn quotient(f: f64, f_low: f64) -> (f64, f64, f64) {
    let (d, d_low) = fast_two_sum(2.0, f);
    let (s, s_low) = divide(f, f_low, d, d_low + f_low);
    let t = s * s;
    let t2 = t * t;
    let q01 = t.mul_add(0.222_222_222_222_222_15, 0.285_714_285_714_285_7);
    let q23 = t.mul_add(0.153_846_153_826_266_9, 0.181_818_181_818_238_94);
    let q45 = t.mul_add(0.117_646_720_162_989_74, 0.133_333_336_798_515_17);
    let q67 = t.mul_add(0.094_593_934_896_191_53, 0.105_282_551_953_969_4);
    let q68 = t2.mul_add(0.098_355_948_289_558_39, q67);
    let q = t2.mul_add(t2.mul_add(t2.mul_add(q68, q45), q23), q01);
    (s, s_low, q)
}

/// `log(1 + f + f_low)` for `1 + f` in `[sqrt(1/2), sqrt(2)]`: with `s = f / (2 + f)` and `t = s^2`,
/// `2 s + s t (2/3 + t (2/5 + t q(t)))`, `q` of degree 8 (relative error 2^-64), of which the first term is a pair: error
/// 2^-59.
#[inline(always)]
fn reduced(f: f64, f_low: f64) -> (f64, f64) {
    let (s, s_low, q) = quotient(f, f_low);
    let t = s * s;
    let u = t * t.mul_add(t.mul_add(q, 0.4), 0.666_666_666_666_666_6);
    fast_two_sum(s + s, s.mul_add(u, s_low + s_low))
}

/// As [`reduced`], all but `q` in pairs: error 2^-70.
#[inline(always)]
fn reduced_further(f: f64, f_low: f64) -> (f64, f64) {
    let (s, s_low, q) = quotient(f, f_low);
    let (t, t_low) = multiply(s, s_low, s, s_low);
    let (u, u_low) = fast_two_sum(0.4, t.mul_add(q, -2.220_446_049_250_313_2e-17));
    let (u, u_low) = multiply(t, t_low, u, u_low);
    let (u, u_low) = add(0.666_666_666_666_666_6, 3.700_743_415_417_188e-17, u, u_low);
    let (u, u_low) = multiply(t, t_low, u, u_low);
    let (u, u_low) = multiply(s, s_low, u, u_low);
    add(s + s, s_low + s_low, u, u_low)
}

/// `x = 2^e m` with `m` in `[sqrt(1/2), sqrt(2))`, for positive finite `x`: `(e, m)`.
#[inline(always)]
fn split_any(x: f64) -> (f64, f64) {
    let tiny = x < f64::MIN_POSITIVE;
    let (e, m) = split(if tiny { x * 18_014_398_509_481_984.0 } else { x });
    (if tiny { e - 54.0 } else { e }, m)
}

/// `e ln 2` plus the pair, where `|e| >= 1` or `e = 0`.
#[inline(always)]
fn with_exponent(e: f64, h: f64, l: f64) -> (f64, f64) {
    let (p, p_low) = two_product(e, LN2_HIGH);
    add(p, e.mul_add(LN2_LOW, p_low), h, l)
}

/// `r`, the logarithm of `x`, with C's special cases.
#[inline(always)]
fn special(x: f64, r: f64) -> f64 {
    let r = if x < f64::INFINITY { r } else { x };
    let r = if x < 0.0 { f64::NAN } else { r };
    if x == 0.0 { f64::NEG_INFINITY } else { r }
}

/// Natural logarithm.
#[inline(always)]
pub fn log(x: f64) -> f64 {
    let (e, m) = split_any(x);
    let (h, l) = reduced(m - 1.0, 0.0);
    let (h, _l) = with_exponent(e, h, l);
    special(x, h)
}

/// Logarithm to base 2: exact for powers of two.
#[inline(always)]
pub fn log2(x: f64) -> f64 {
    let (e, m) = split_any(x);
    let (h, l) = reduced(m - 1.0, 0.0);
    let (h, l) = multiply(h, l, std::f64::consts::LOG2_E, 2.035_527_374_093_103_3e-17);
    let (h, _l) = add(e, 0.0, h, l);
    special(x, h)
}

/// Logarithm to base 10: exact for powers of ten.
#[inline(always)]
pub fn log10(x: f64) -> f64 {
    let (e, m) = split_any(x);
    let (h, l) = reduced(m - 1.0, 0.0);
    let (h, l) = multiply(h, l, std::f64::consts::LOG10_E, 1.098_319_650_216_765e-17);
    let (p, p_low) = two_product(e, std::f64::consts::LOG10_2);
    let (h, _l) = add(p, e.mul_add(-2.803_728_127_785_170_4e-18, p_low), h, l);
    special(x, h)
}

/// `log(1 + u + u_low)` as a pair, for `1 + u > 0`.
#[inline(always)]
fn log1p_pair(u: f64, u_low: f64) -> (f64, f64) {
    let (w, w_low) = two_sum(1.0, u);
    let (e, m) = split(w);
    // 2^-e; beyond, nothing of the low part counts.
    let back = f64::from_bits((ROUND64 - e).to_bits().wrapping_add(1023) << 52u32);
    let back = if e < 1000.0 { back } else { 0.0 };
    let (f, f_low) = two_sum(m - 1.0, w_low * back);
    let (h, l) = reduced(f, u_low.mul_add(back, f_low));
    with_exponent(e, h, l)
}

/// `log(1 + x)`.
#[inline(always)]
pub fn log1p(x: f64) -> f64 {
    let (h, _l) = log1p_pair(x, 0.0);
    let r = if x < f64::INFINITY { h } else { x };
    let r = if x < -1.0 { f64::NAN } else { r };
    let r = if x == -1.0 { f64::NEG_INFINITY } else { r };
    // Half of its square is less than half of its last place.
    if x.abs() < 5.551_115_123_125_783e-17 { x } else { r }
}

/// `log(2 a)` for large `a`.
#[inline(always)]
fn log_twice(a: f64) -> f64 {
    let (e, m) = split(a);
    let (h, l) = reduced(m - 1.0, 0.0);
    let (h, _l) = with_exponent(e + 1.0, h, l);
    h
}

/// Inverse hyperbolic sine: `log(1 + (a + a^2 / (1 + sqrt(1 + a^2))))` of `a = |x|`.
#[inline(always)]
pub fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let c = if a > LARGE { LARGE } else { a };
    let (p, p_low) = two_product(c, c);
    let (z, z_low) = two_sum(1.0, p);
    let (s, s_low) = square_root(z, z_low + p_low);
    let (d, d_low) = two_sum(1.0, s);
    let (q, q_low) = divide(p, p_low, d, d_low + s_low);
    let (u, u_low) = two_sum(c, q);
    let (h, _l) = log1p_pair(u, u_low + q_low);
    let r = if a > LARGE { log_twice(a) } else { h };
    let r = if a < TINY { a } else { r };
    let r = if a < f64::INFINITY { r } else { a };
    r.copysign(x)
}

/// Inverse hyperbolic cosine: `log(1 + (t + sqrt(t (t + 2))))` of `t = x - 1`. NaN below 1.
#[inline(always)]
pub fn acosh(x: f64) -> f64 {
    let t = (if x > LARGE { LARGE } else { x }) - 1.0;
    let (p, p_low) = two_product(t, t);
    let (z, z_low) = two_sum(t + t, p);
    let (z, z_low) = fast_two_sum(z, z_low + p_low);
    let (s, s_low) = square_root(z, z_low);
    let (u, u_low) = two_sum(s, t);
    let (h, _l) = log1p_pair(u, u_low + s_low);
    let r = if x > LARGE { log_twice(x) } else { h };
    let r = if x < f64::INFINITY { r } else { x };
    if x < 1.0 { f64::NAN } else { r }
}

/// Inverse hyperbolic tangent: `log(1 + 2a / (1 - a)) / 2` of `a = |x|`. NaN beyond 1.
#[inline(always)]
pub fn atanh(x: f64) -> f64 {
    let a = x.abs();
    let (d, d_low) = two_sum(1.0, -a);
    let (u, u_low) = divide(a + a, 0.0, d, d_low);
    let (h, _l) = log1p_pair(u, u_low);
    let r = if a < TINY { a } else { h * 0.5 };
    let r = if a == 1.0 { f64::INFINITY } else { r };
    let r = if a <= 1.0 { r } else { f64::NAN };
    r.copysign(x)
}

/// Whether [`pow`] holds for these operands: a positive finite base and a finite exponent.
#[inline(always)]
pub fn pow_is_ordinary(a: f64, b: f64) -> bool {
    (a > 0.0) & (a < f64::INFINITY) & (b.abs() < f64::INFINITY)
}

/// `a^b = e^(b log a)`, for the operands that [`pow_is_ordinary`] accepts.
#[inline(always)]
pub fn pow(a: f64, b: f64) -> f64 {
    // No logarithm but 0 is so small that it matters beyond these bounds.
    let b = if b > 3.7e19 { 3.7e19 } else { b };
    let b = if b < -3.7e19 { -3.7e19 } else { b };
    let (e, m) = split_any(a);
    let (h, l) = reduced_further(m - 1.0, 0.0);
    let (h, l) = with_exponent(e, h, l);
    let (z, z_low) = multiply(h, l, b, 0.0);
    exp_pair(z, z_low)
}

/// `a^b` for all operands, by C's special cases: those of `|a|`, then the sign, then what is no number.
#[inline(always)]
pub fn pow_otherwise(a: f64, b: f64) -> f64 {
    let m = a.abs();
    let whole = b.trunc() == b;
    let half = b * 0.5;
    let odd = whole & (b.abs() < f64::INFINITY) & (half.trunc() != half);
    let vanishes = if m < 1.0 { b > 0.0 } else { b < 0.0 };
    let limit = if vanishes { 0.0f64 } else { f64::INFINITY };
    let limit = if m == 1.0 { 1.0 } else { limit };
    let r = if pow_is_ordinary(m, b) { pow(m, b) } else { limit };
    let r = if a.is_sign_negative() & odd { -r } else { r };
    let r = if (a < 0.0) & (m < f64::INFINITY) & !whole { f64::NAN } else { r };
    let r = if a.is_nan() | b.is_nan() { f64::NAN } else { r };
    if (a == 1.0) | (b == 0.0) { 1.0 } else { r }
}
