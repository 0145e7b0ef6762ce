//! The exponential and what is made of it, in `f64`. Never calls a library function.
//!
//! `e^x - 1` of the reduced operand is a pair ([`super::double`]) with an error of 2^-60, so that the result is rounded
//! nearly once. The polynomial by interpolation at Chebyshev points in 420 bits, then rounded.

use super::double::{add, divide, fast_two_sum, two_product, two_sum};
use super::poly::ROUND64;
use std::f64::consts::LOG2_E;

pub(super) const LN2_HIGH: f64 = std::f64::consts::LN_2;
pub(super) const LN2_LOW: f64 = 2.319_046_813_846_299_6e-17;

/// `e^(r + e) - 1` for `|r| <= (ln 2) / 2`: `r + r^2/2 + r^3 q(r)`, `q` of degree 10 (relative error 2^-60).
#[inline(always)]
fn less_one(r: f64, e: f64) -> (f64, f64) {
    let (s, s_low) = two_product(r, r);
    let s2 = s * s;
    let q01 = r.mul_add(0.041_666_666_666_666_67, 0.166_666_666_666_666_66);
    let q23 = r.mul_add(0.001_388_888_888_888_375, 0.008_333_333_333_333_333);
    let q45 = r.mul_add(2.480_158_732_554_085e-5, 0.000_198_412_698_412_662_1);
    let q67 = r.mul_add(2.755_727_365_184_964_5e-7, 2.755_731_924_050_542e-6);
    let q89 = r.mul_add(2.091_468_333_043_215e-9, 2.505_207_741_636_837_5e-8);
    let q03 = s.mul_add(q23, q01);
    let q47 = s.mul_add(q67, q45);
    let q8a = s.mul_add(1.608_454_441_001_637_1e-10, q89);
    let q = s2.mul_add(s2.mul_add(q8a, q47), q03);
    let tail = (r * s).mul_add(q, r.mul_add(e, s_low.mul_add(0.5, e)));
    let (p, p_low) = fast_two_sum(r, s * 0.5);
    fast_two_sum(p, p_low + tail)
}

/// `x + x_low = n ln 2 + r + e` with a whole `n`: `(n, r, e)`, for `|x| < 2000`.
#[inline(always)]
fn reduce(x: f64, x_low: f64) -> (f64, f64, f64) {
    let n = x.mul_add(LOG2_E, ROUND64) - ROUND64;
    // Exact: both are multiples of the last place of the smaller.
    let r = n.mul_add(-LN2_HIGH, x);
    let (p, p_low) = two_product(n, LN2_LOW);
    let (r, e) = two_sum(r, -p);
    let (r, e) = two_sum(r, e + (x_low - p_low));
    (n, r, e)
}

/// `2^n` for a whole `-1023 < n < 1024`.
#[inline(always)]
pub(super) fn power_of_two(n: f64) -> f64 {
    f64::from_bits((n + ROUND64).to_bits().wrapping_add(1023) << 52u32)
}

/// `2^n m`, in two factors, so that a subnormal result is rounded once and a large one is infinite.
#[inline(always)]
pub(super) fn scale(m: f64, n: f64) -> f64 {
    let half = n.mul_add(0.5, ROUND64) - ROUND64;
    m * power_of_two(half) * power_of_two(n - half)
}

/// `e^(x + x_low) = 2^n (h + l)`: `(n, h, l)`. Clamped where the result is 0 or infinite; NaN passes.
#[inline(always)]
pub(super) fn exp_parts(x: f64, x_low: f64) -> (f64, f64, f64) {
    let c = if x > 710.0 { 710.0 } else { x };
    let c = if c < -746.0 { -746.0 } else { c };
    let c_low = if c == x { x_low } else { 0.0 };
    let (n, r, e) = reduce(c, c_low);
    let (p, p_low) = less_one(r, e);
    let (h, l) = fast_two_sum(1.0, p);
    (n, h, l + p_low)
}

/// `e^(x + x_low)`.
#[inline(always)]
pub(super) fn exp_pair(x: f64, x_low: f64) -> f64 {
    let (n, h, l) = exp_parts(x, x_low);
    scale(h + l, n)
}

/// `e^x`.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    exp_pair(x, 0.0)
}

/// `2^x`.
#[inline(always)]
pub fn exp2(x: f64) -> f64 {
    let c = if x > 1025.0 { 1025.0 } else { x };
    let c = if c < -1080.0 { -1080.0 } else { c };
    let n = (c + ROUND64) - ROUND64;
    let f = c - n;
    let r = f * LN2_HIGH;
    let e = f.mul_add(LN2_LOW, f.mul_add(LN2_HIGH, -r));
    let (p, p_low) = less_one(r, e);
    let (h, l) = fast_two_sum(1.0, p);
    scale(h + (l + p_low), n)
}

/// `e^x - 1` as a pair, for `-45 < x < 45`: `2^n p + (2^n - 1)`, which cancels nothing, as `|p| < 1/2`.
#[inline(always)]
fn expm1_pair(x: f64) -> (f64, f64) {
    let (n, r, e) = reduce(x, 0.0);
    let (p, p_low) = less_one(r, e);
    let s = power_of_two(n);
    let (t, t_low) = two_sum(s, -1.0);
    let (h, l) = two_sum(t, s * p);
    fast_two_sum(h, s.mul_add(p_low, l + t_low))
}

/// `e^x - 1`.
#[inline(always)]
pub fn expm1(x: f64) -> f64 {
    let c = if x > 44.0 { 44.0 } else { x };
    let c = if c < -44.0 { -44.0 } else { c };
    let (h, _l) = expm1_pair(c);
    // Where 1 no longer counts.
    let y = if x > 44.0 { exp(x) } else { h };
    y.copysign(x)
}

/// Hyperbolic tangent: `v / (v + 2)` of `v = e^2|x| - 1`.
#[inline(always)]
pub fn tanh(x: f64) -> f64 {
    let a = x.abs();
    let c = if a > 22.0 { 22.0 } else { a };
    let (v, v_low) = expm1_pair(c + c);
    let (w, w_low) = two_sum(v, 2.0);
    let (h, _l) = divide(v, v_low, w, w_low + v_low);
    h.copysign(x)
}

/// `e^a / 2` for `a > 0`, infinite no sooner than a hyperbolic sine.
#[inline(always)]
fn half_exp(a: f64) -> f64 {
    let c = if a > 711.0 { 711.0 } else { a };
    let (n, r, e) = reduce(c, 0.0);
    let (p, p_low) = less_one(r, e);
    let (h, l) = fast_two_sum(1.0, p);
    scale(h + (l + p_low), n - 1.0)
}

/// Hyperbolic sine: `(v + v / (v + 1)) / 2` of `v = e^|x| - 1`, which cancels nothing.
#[inline(always)]
pub fn sinh(x: f64) -> f64 {
    let a = x.abs();
    let c = if a > 44.0 { 44.0 } else { a };
    let (v, v_low) = expm1_pair(c);
    let (w, w_low) = two_sum(v, 1.0);
    let (q, q_low) = divide(v, v_low, w, w_low + v_low);
    let (h, _l) = add(v, v_low, q, q_low);
    let y = if a > 44.0 { half_exp(a) } else { h * 0.5 };
    y.copysign(x)
}

/// Hyperbolic cosine: `(w + 1 / w) / 2` of `w = e^|x|`.
#[inline(always)]
pub fn cosh(x: f64) -> f64 {
    let a = x.abs();
    let c = if a > 44.0 { 44.0 } else { a };
    let (v, v_low) = expm1_pair(c);
    let (w, w_low) = two_sum(v, 1.0);
    let (w, w_low) = fast_two_sum(w, w_low + v_low);
    let (q, q_low) = divide(1.0, 0.0, w, w_low);
    let (h, _l) = add(w, w_low, q, q_low);
    if a > 44.0 { half_exp(a) } else { h * 0.5 }
}
