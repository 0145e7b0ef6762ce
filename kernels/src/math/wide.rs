//! `f32` functions that are evaluated in `f64` and rounded once, branch-free. Never calls a library function.
//!
//! Three polynomials carry all of them: a logarithm, a power of two and an arc tangent, and one more the error function.
//! Those of the last two were fitted by Remez's exchange on 600 points in 120 bits, then rounded.

use super::double_rem;
use super::poly::ROUND64;
use std::f64::consts::{FRAC_PI_2, LN_2, LOG2_E, LOG10_2, PI};

/// `x = 2^e m` with `m` in `[sqrt(1/2), sqrt(2))`, for positive normal `x`: `(e, m)`.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    const SQRT_HALF: i64 = 0x3fe6_a09e_667f_3bcd;
    let bits = (x.to_bits() as i64).wrapping_sub(SQRT_HALF);
    // The exponent as a float without an integer conversion, which AVX2 lacks for 64 bits.
    let e = f64::from_bits(((bits >> 52).wrapping_add(ROUND64.to_bits() as i64)) as u64) - ROUND64;
    (e, f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF) as u64))
}

/// `p` of `log2 m = s p` with `s = (m - 1) / (m + 1)`, `m` in `[sqrt(1/2), sqrt(2))`: degree 6 in `s^2`, error 2^-50.
#[inline(always)]
pub(super) fn log2_factor(s: f64) -> f64 {
    let t = s * s;
    let p = t.mul_add(0.242_981_214_444_284_5, 0.261_438_819_455_904);
    let p = t.mul_add(p, 0.320_616_557_272_708_3);
    let p = t.mul_add(p, 0.412_198_399_629_990_7);
    let p = t.mul_add(p, 0.577_078_017_261_882_6);
    let p = t.mul_add(p, 0.961_796_693_924_298_2);
    t.mul_add(p, 2.885_390_081_777_927)
}

/// `(f, q, 2^n)` with `2^z = 2^n (1 + f q)` and `|f| <= 1/2`; `q` has degree 7, error 2^-40. `z` is clamped to 300 on both
/// sides, where an `f32` is infinite or 0.
#[inline(always)]
pub(super) fn exp2(z: f64) -> (f64, f64, f64) {
    let z = if z > 300.0 { 300.0 } else { z };
    let z = if z < -300.0 { -300.0 } else { z };
    let shifted = z + ROUND64;
    let f = z - (shifted - ROUND64);
    let q = f.mul_add(1.326_256_182_720_124e-6, 1.531_028_137_402_73e-5);
    let q = f.mul_add(q, 0.000_154_034_204_194_367_76);
    let q = f.mul_add(q, 0.001_333_344_984_055_815);
    let q = f.mul_add(q, 0.009_618_129_211_237_031);
    let q = f.mul_add(q, 0.055_504_109_419_053_67);
    let q = f.mul_add(q, 0.240_226_506_955_956_38);
    let q = f.mul_add(q, 0.693_147_180_545_793_8);
    (f, q, f64::from_bits((shifted.to_bits().wrapping_add(1023)) << 52))
}

/// `log(1 + u)` for finite `u >= 0`; nothing of a small `u` is lost.
#[inline(always)]
fn log1p(u: f64) -> f64 {
    let w = 1.0 + u;
    let (e, m) = split(w);
    let f = if e == 0.0 { u } else { m - 1.0 };
    let s = f / (m + 1.0);
    s.mul_add(log2_factor(s), e) * LN_2
}

/// `x` where it is no finite number, else `y`.
#[inline(always)]
fn unless_infinite(x: f32, y: f64) -> f32 {
    if x.abs() < f32::INFINITY { y as f32 } else { x }
}

/// Logarithm to base 10: exact for powers of ten.
#[inline(always)]
pub fn log10(x: f32) -> f32 {
    let (e, m) = split(x as f64);
    let s = (m - 1.0) / (m + 1.0);
    let r = unless_infinite(x, s.mul_add(log2_factor(s), e) * LOG10_2);
    let r = if x < 0.0 { f32::NAN } else { r };
    if x == 0.0 { f32::NEG_INFINITY } else { r }
}

/// Hyperbolic sine: with `v = e^|x| - 1`, which cancels nothing, `(v + v / (v + 1)) / 2`.
#[inline(always)]
pub fn sinh(x: f32) -> f32 {
    let (f, q, power) = exp2(x.abs() as f64 * LOG2_E);
    let v = (f * q).mul_add(power, power - 1.0);
    ((v + v / (v + 1.0)) * 0.5).copysign(x as f64) as f32
}

/// Hyperbolic cosine.
#[inline(always)]
pub fn cosh(x: f32) -> f32 {
    let (f, q, power) = exp2(x.abs() as f64 * LOG2_E);
    let y = f.mul_add(q, 1.0) * power;
    ((y + 1.0 / y) * 0.5) as f32
}

/// Inverse hyperbolic sine: `log(1 + (a + a^2 / (1 + sqrt(1 + a^2))))` of `a = |x|`.
#[inline(always)]
pub fn asinh(x: f32) -> f32 {
    let a = x.abs() as f64;
    let u = a + a * a / (1.0 + (1.0 + a * a).sqrt());
    unless_infinite(x, log1p(u).copysign(x as f64))
}

/// Inverse hyperbolic cosine: `log(1 + (t + sqrt(t (t + 2))))` of `t = x - 1`. NaN below 1.
#[inline(always)]
pub fn acosh(x: f32) -> f32 {
    let t = x as f64 - 1.0;
    let r = unless_infinite(x, log1p(t + (t * (t + 2.0)).sqrt()));
    if x < 1.0 { f32::NAN } else { r }
}

/// Inverse hyperbolic tangent: `log(1 + 2a / (1 - a)) / 2` of `a = |x|`. NaN beyond 1.
#[inline(always)]
pub fn atanh(x: f32) -> f32 {
    let a = x.abs() as f64;
    let r = log1p(2.0 * a / (1.0 - a)) * 0.5;
    let r = if a == 1.0 { f64::INFINITY } else { r };
    let r = if a <= 1.0 { r } else { f64::NAN };
    r.copysign(x as f64) as f32
}

/// The angle of the point `(x, y)`: `t` is the smaller coordinate through the larger one, `atan t = t p(t^2)` with `p` of
/// degree 11 (relative error 2^-34). Signed zeros and infinities as in C.
#[inline(always)]
fn angle(y: f64, x: f64) -> f64 {
    let (b, a) = (y.abs(), x.abs());
    let steep = b > a;
    let (num, den) = if steep { (a, b) } else { (b, a) };
    let t = num / den;
    let t = if (num == 0.0) & (den == 0.0) { 0.0 } else { t };
    let t = if (num == f64::INFINITY) & (den == f64::INFINITY) { 1.0 } else { t };
    let s = t * t;
    let p = s.mul_add(-0.000_684_790_486_393_505_1, 0.004_850_925_625_036_600_5);
    let p = s.mul_add(p, -0.016_111_668_334_466_867);
    let p = s.mul_add(p, 0.034_209_600_960_602_02);
    let p = s.mul_add(p, -0.054_279_108_262_637_09);
    let p = s.mul_add(p, 0.072_457_186_546_221_81);
    let p = s.mul_add(p, -0.089_802_392_806_135_4);
    let p = s.mul_add(p, 0.110_932_412_999_954_34);
    let p = s.mul_add(p, -0.142_839_807_638_734_33);
    let p = s.mul_add(p, 0.199_999_120_519_31);
    let p = s.mul_add(p, -0.333_333_315_712_700_64);
    let p = s.mul_add(p, 0.999_999_999_941_247_2);
    let r = t * p;
    let r = if steep { FRAC_PI_2 - r } else { r };
    let r = if x.is_sign_negative() { PI - r } else { r };
    r.copysign(y)
}

/// The angle of the point `(x, y)` in radians.
#[inline(always)]
pub fn atan2(y: f32, x: f32) -> f32 {
    angle(y as f64, x as f64) as f32
}

/// Inverse tangent.
#[inline(always)]
pub fn atan(x: f32) -> f32 {
    angle(x as f64, 1.0) as f32
}

/// Inverse sine. NaN beyond 1.
#[inline(always)]
pub fn asin(x: f32) -> f32 {
    let x = x as f64;
    angle(x, ((1.0 - x) * (1.0 + x)).sqrt()) as f32
}

/// Inverse cosine. NaN beyond 1.
#[inline(always)]
pub fn acos(x: f32) -> f32 {
    let x = x as f64;
    angle(((1.0 - x) * (1.0 + x)).sqrt(), x) as f32
}

/// `1 - erf x`, without the cancellation: `e^(-x^2) p(t) / (a + 3)` of `a = |x|`, with `t = (a - 3) / (a + 3)` and `p` of
/// degree 13 (relative error 2^-39); of a negative `x` it is 2 less that.
#[inline(always)]
pub fn erfc(x: f32) -> f32 {
    let a = x.abs() as f64;
    let a = if a > 10.1 { 10.1 } else { a };
    let t = (a - 3.0) / (a + 3.0);
    let p = t.mul_add(-5.321_889_321_363_411e-6, -1.441_304_200_925_856_3e-5);
    let p = t.mul_add(p, 3.217_978_873_880_292_6e-5);
    let p = t.mul_add(p, 0.000_106_245_077_656_099_42);
    let p = t.mul_add(p, -0.000_277_849_250_530_489_36);
    let p = t.mul_add(p, -0.000_548_047_629_462_107_6);
    let p = t.mul_add(p, 0.003_034_344_243_193_375_6);
    let p = t.mul_add(p, -0.001_212_441_317_665_550_2);
    let p = t.mul_add(p, -0.026_827_270_028_806_582);
    let p = t.mul_add(p, 0.119_527_762_416_066_41);
    let p = t.mul_add(p, -0.310_467_260_001_381_5);
    let p = t.mul_add(p, 0.590_228_357_073_963_3);
    let p = t.mul_add(p, -0.883_394_453_198_953_9);
    let p = t.mul_add(p, 1.074_006_907_088_582_5);
    let (f, q, power) = exp2(a * a * -LOG2_E);
    let r = f.mul_add(q, 1.0) * power * p / (a + 3.0);
    if x < 0.0 { (2.0 - r) as f32 } else { r as f32 }
}

/// Whether [`rem`] holds for these operands: both finite, the divisor not 0, the quotient small enough to be exact.
#[inline(always)]
pub fn rem_is_ordinary(a: f32, b: f32) -> bool {
    (a.abs() < f32::INFINITY) & (b.abs() < f32::INFINITY) & (b != 0.0) & ((a as f64).abs() < 2.684e8 * (b as f64).abs())
}

/// C's `fmod`, exactly, for the operands that [`rem_is_ordinary`] accepts: `a - round(a / b) b` needs no more bits than
/// a fused step keeps, and has to be lifted by `b` where it is negative.
#[inline(always)]
pub fn rem(a: f32, b: f32) -> f32 {
    let (x, y) = ((a as f64).abs(), (b as f64).abs());
    let q = (x / y + ROUND64) - ROUND64;
    let r = q.mul_add(-y, x);
    let r = if r < 0.0 { r + y } else { r };
    r.copysign(a as f64) as f32
}

/// The remainder of all operands.
#[inline(always)]
pub fn rem_otherwise(a: f32, b: f32) -> f32 {
    double_rem::rem_otherwise(a as f64, b as f64) as f32
}
