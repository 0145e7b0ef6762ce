//! The `f32` elementary functions of one element, branch-free so that loops over them become vector code.
//! Never calls a library function.
//!
//! Every polynomial was fitted by iteratively reweighted least squares (Lawson's algorithm, which tends to the minimax
//! solution) at 160 Chebyshev points in 40-digit arithmetic, weighted for the error of the final result, then rounded
//! to the element type; those of exp2, expm1 and erf by Remez's exchange on 600 points in 120 bits. `mul_add` is written where one rounding is meant and nothing else is ever contracted, so that
//! every instruction set gives the same bits.

use super::wide;

/// 1.5 * 2^23: adding it rounds to an integer (ties to even), which then stands in the low bits.
const ROUND32: f32 = 12_582_912.0;
/// 1.5 * 2^52, the same for `f64`.
pub(super) const ROUND64: f64 = 6_755_399_441_055_744.0;

/// `2^i` for `-127 < i < 128`.
#[inline(always)]
fn power_of_two(i: i32) -> f32 {
    f32::from_bits((i.wrapping_add(127) as u32) << 23)
}

/// `e^x`.
///
/// `n = round(x / ln 2)`, `r = x - n ln 2` in two fused steps, `e^r = 1 + r + r^2 q(r)` with `q` of degree 4
/// (relative error 2^-28), and a scaling by `2^n` in two factors so that subnormal results are rounded once.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    // Beyond these bounds the result is 0 or infinite already; NaN passes both.
    let x = if x > 89.5 { 89.5 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND32);
    let n = shifted - ROUND32;
    let r = n.mul_add(-LN2_HIGH, x);
    let r = n.mul_add(-LN2_LOW, r);
    let r2 = r * r;
    let low = r.mul_add(0.166_665_18, 0.5);
    let high = r.mul_add(0.008_369_026, 0.041_666_202);
    let q = r2.mul_add(r2.mul_add(0.001_395_071_4, high), low);
    let p = r2.mul_add(q, r) + 1.0;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND32.to_bits() as i32);
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `2^x`.
///
/// `x = n + r` exactly, `2^r = 1 + r q(r)` with `q` of degree 5 (relative error 2^-29), scaled as [`exp`] is.
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    let x = if x > 129.0 { 129.0 } else { x };
    let x = if x < -151.0 { -151.0 } else { x };
    let shifted = x + ROUND32;
    let r = x - (shifted - ROUND32);
    let p = exp2_fraction(r);
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND32.to_bits() as i32);
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `2^r` for `|r| <= 1/2`.
#[inline(always)]
fn exp2_fraction(r: f32) -> f32 {
    let r2 = r * r;
    let low = r.mul_add(0.240_226_48, std::f32::consts::LN_2);
    let mid = r.mul_add(0.009_618_438, 0.055_503_324);
    let high = r.mul_add(0.000_153_533_21, 0.001_339_892_6);
    r.mul_add(r2.mul_add(r2.mul_add(high, mid), low), 1.0)
}

/// `e^x - 1`.
///
/// Reduced as [`exp`] is; `p = e^r - 1 = r + r^2 q(r)` with `q` of degree 5 (relative error 2^-32), and
/// `2^n p + (2^n - 1)`, which cancels nothing as `|p| < 1/2` and is `p` itself for small `x`.
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    // Beyond these bounds the result is -1 or infinite already; NaN passes both.
    let c = if x > 89.5 { 89.5 } else { x };
    let c = if c < -30.0 { -30.0 } else { c };
    let shifted = c.mul_add(std::f32::consts::LOG2_E, ROUND32);
    let n = shifted - ROUND32;
    let r = n.mul_add(-LN2_HIGH, c);
    let r = n.mul_add(-LN2_LOW, r);
    let r2 = r * r;
    let low = r.mul_add(0.166_666_66, 0.5);
    let mid = r.mul_add(0.008_333_39, 0.041_666_36);
    let high = r.mul_add(0.000_198_458_83, 0.001_394_068_5);
    let p = r2.mul_add(r2.mul_add(r2.mul_add(high, mid), low), r);
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND32.to_bits() as i32);
    // Where 1 no longer counts, the scaling is that of `exp`, in two factors.
    let half = n >> 1;
    let large = (p + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half));
    let scale = power_of_two(if n > 30 { 30 } else { n });
    let y = if n > 30 { large } else { scale.mul_add(p, scale - 1.0) };
    y.copysign(x)
}

/// Natural logarithm.
///
/// `x = 2^e (1 + f)` with `1 + f` in `[sqrt(1/2), sqrt(2))`; `log(1 + f) = f - f^2/2 + f^3 p(f)` with `p` of degree 8
/// (relative error 2^-30), and `e ln 2` in two parts, of which the high one is exact.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = (scaled.to_bits() as i32).wrapping_sub(SQRT_HALF);
    let e = (bits >> 23).wrapping_sub(if tiny { 23 } else { 0 }) as f32;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF) as u32) - 1.0;
    let f2 = f * f;
    let p = log_tail(f, f2);
    let y = (f * f2).mul_add(p, e * LN2_LOW);
    let y = f2.mul_add(-0.5, y);
    let r = e.mul_add(LN2_HIGH, f + y);
    let r = if x < f32::INFINITY { r } else { x };
    let r = if x < 0.0 { f32::NAN } else { r };
    if x == 0.0 { f32::NEG_INFINITY } else { r }
}

/// `p(f)` of [`log`], where `f2 = f^2`.
#[inline(always)]
fn log_tail(f: f32, f2: f32) -> f32 {
    let f4 = f2 * f2;
    let p01 = f.mul_add(-0.249_999_87, 0.333_333_1);
    let p23 = f.mul_add(-0.166_692_57, 0.200_022_31);
    let p45 = f.mul_add(-0.123_841_62, 0.142_185_55);
    let p67 = f.mul_add(-0.117_912_7, 0.118_736_01);
    let low = f2.mul_add(p23, p01);
    let high = f2.mul_add(p67, p45);
    f4.mul_add(f4.mul_add(0.069_157_26, high), low)
}

/// Logarithm to base 2: exact for powers of two.
///
/// Reduced as [`log`] is; `log2(1 + f) = (f + y) log2 e`, of which `f log2 e` has the factor in two parts.
#[inline(always)]
pub fn log2(x: f32) -> f32 {
    const LOG2_E_LOW: f32 = 1.925_963e-8;
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = (scaled.to_bits() as i32).wrapping_sub(SQRT_HALF);
    let e = (bits >> 23).wrapping_sub(if tiny { 23 } else { 0 }) as f32;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF) as u32) - 1.0;
    let f2 = f * f;
    let y = f2.mul_add(-0.5, (f * f2) * log_tail(f, f2));
    let low = f.mul_add(LOG2_E_LOW, y * std::f32::consts::LOG2_E);
    let r = f.mul_add(std::f32::consts::LOG2_E, low) + e;
    let r = if x < f32::INFINITY { r } else { x };
    let r = if x < 0.0 { f32::NAN } else { r };
    if x == 0.0 { f32::NEG_INFINITY } else { r }
}

/// `log(1 + x)`.
///
/// `1 + x` gives the exponent only; `f = 2^-e (1 + x) - 1` is taken from `x` in one fused step, so that nothing of a
/// small `x` is lost. The rest is that of [`log`].
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let u = 1.0 + x;
    let bits = (u.to_bits() as i32).wrapping_sub(SQRT_HALF);
    let e = bits >> 23;
    let scale = power_of_two(0i32.wrapping_sub(if e > 30 { 30 } else { e }));
    let small = x.mul_add(scale, scale - 1.0);
    let large = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF) as u32) - 1.0;
    let f = if e > 24 { large } else { small };
    let e = e as f32;
    let f2 = f * f;
    let y = (f * f2).mul_add(log_tail(f, f2), e * LN2_LOW);
    let y = f2.mul_add(-0.5, y);
    let r = e.mul_add(LN2_HIGH, f + y).copysign(x);
    let r = if x < f32::INFINITY { r } else { x };
    let r = if x < -1.0 { f32::NAN } else { r };
    if x == -1.0 { f32::NEG_INFINITY } else { r }
}

/// The error function.
///
/// Below 1: `x + x s(x^2)`, `s` of degree 6 (relative error 2^-29). Above: `1 - 2^-g(x)`, `g` of degree 7 (error of the
/// result 2^-34).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let c = if a > 3.95 { 3.95 } else { a };
    let x2 = c * c;
    let x4 = x2 * x2;

    let s01 = x2.mul_add(-0.376_126_26, 0.128_379_17);
    let s23 = x2.mul_add(-0.026_853_813, 0.112_835_854);
    let s45 = x2.mul_add(-0.000_801_019_5, 0.005_188_327_7);
    let s46 = x4.mul_add(7.853_865e-5, s45);
    let s = x4.mul_add(x4.mul_add(s46, s23), s01);
    let small = c.mul_add(s, c);

    let g01 = c.mul_add(1.629_567_5, -0.000_256_528_64);
    let g23 = c.mul_add(0.156_264_6, 0.913_681_86);
    let g45 = c.mul_add(0.006_029_912, -0.036_271_915);
    let g67 = c.mul_add(3.065_734_6e-5, -0.000_629_363_4);
    let g = x4.mul_add(x2.mul_add(g67, g45), x2.mul_add(g23, g01));
    let shifted = ROUND32 - g;
    let r = (ROUND32 - shifted) - g;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND32.to_bits() as i32);
    let large = 1.0 - exp2_fraction(r) * power_of_two(n);

    let y = if a < 1.0 { small } else { large };
    y.copysign(x)
}

/// Largest `|x|` for which [`sin`], [`cos`] and [`tan`] hold; beyond, and for infinities and NaN, the callers take those of
/// [`double_trig`](super::double_trig).
pub const TRIG_LIMIT: f32 = 1_073_741_824.0;

/// Whether [`sin`], [`cos`] and [`tan`] hold for `x`.
#[inline(always)]
pub fn is_near(x: f32) -> bool {
    x.abs() < TRIG_LIMIT
}

/// The sine and cosine of what is left of `x` after `k` quarter turns, and `k` modulo 2^63, in `f64`.
///
/// `k = round(x 2/pi)` is exact below 2^51, and `x - k pi/2` in two fused steps keeps 106 bits of pi, so that even the
/// worst case of a 24-bit `x` leaves more correct bits than the result holds. On `|r| <= pi/4`,
/// `sin r = r + r^3 s(r^2)` (error 2^-37) and `cos r = 1 - r^2/2 + r^4 c(r^2)` (error 2^-43), degree 3 each.
#[inline(always)]
fn quarter_turns(x: f32) -> (f64, f64, i64) {
    const PI_2_HIGH: f64 = std::f64::consts::FRAC_PI_2;
    const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
    let x = x as f64;
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUND64);
    let k = shifted - ROUND64;
    let r = k.mul_add(-PI_2_HIGH, x);
    let r = k.mul_add(-PI_2_LOW, r);
    let t = r * r;
    let t2 = t * t;
    let s_low = t.mul_add(0.008_333_329_361_952_144, -0.166_666_666_414_226_48);
    let s_high = t.mul_add(2.718_236_615_811_454e-6, -0.000_198_393_270_529_830_1);
    let sine = (r * t).mul_add(t2.mul_add(s_high, s_low), r);
    let c_low = t.mul_add(-0.001_388_888_372_211_468, 0.041_666_666_622_469_89);
    let c_high = t.mul_add(-2.720_953_947_419_562_6e-7, 2.479_951_164_920_934_3e-5);
    let cosine = t2.mul_add(t2.mul_add(c_high, c_low), t.mul_add(-0.5, 1.0));
    (sine, cosine, shifted.to_bits() as i64)
}

/// Flips the sign of `x` where bit 1 of `k` is set.
#[inline(always)]
fn turned(x: f64, k: i64) -> f32 {
    f64::from_bits(x.to_bits() ^ ((k as u64 & 2) << 62)) as f32
}

/// Sine of `x` radians, `|x| < TRIG_LIMIT`.
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let (sine, cosine, k) = quarter_turns(x);
    let y = turned(if k & 1 == 0 { sine } else { cosine }, k);
    if x == 0.0 { x } else { y }
}

/// Cosine of `x` radians, `|x| < TRIG_LIMIT`.
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (sine, cosine, k) = quarter_turns(x);
    turned(if k & 1 == 0 { cosine } else { sine }, k.wrapping_add(1))
}

/// Tangent of `x` radians, `|x| < TRIG_LIMIT`.
#[inline(always)]
pub fn tan(x: f32) -> f32 {
    let (sine, cosine, k) = quarter_turns(x);
    let (num, den) = if k & 1 == 0 { (sine, cosine) } else { (-cosine, sine) };
    if x == 0.0 { x } else { (num / den) as f32 }
}

/// Hyperbolic tangent.
///
/// Below 1.125: `x + x^3 s(x^2)`, `s` of degree 7 (relative error 2^-28). Above: `1 - (1 / h(x))^2`, where `h` of
/// degree 10 approximates `sqrt((e^2x + 1) / 2)` so that the result's error is below 2^-28; its coefficients were
/// rounded one after the other, refitting those left. Both sides are evaluated side by side
/// in Estrin's scheme, as this function's latency is what a recurrent network waits for.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let c = if a > 9.2 { 9.2 } else { a };
    let x2 = c * c;
    let x4 = x2 * x2;
    let x8 = x4 * x4;

    let h01 = c.mul_add(0.491_338_7, 1.001_759_2);
    let h23 = c.mul_add(0.124_079_85, 0.393_192_23);
    let h45 = c.mul_add(-0.012_161_304, 0.041_131_76);
    let h67 = c.mul_add(-0.003_174_720_8, 0.011_295_786);
    let h89 = c.mul_add(-6.924_946e-5, 0.000_658_598_67);
    let h03 = x2.mul_add(h23, h01);
    let h47 = x2.mul_add(h67, h45);
    let h8a = x2.mul_add(3.887_078e-6, h89);
    let h = x8.mul_add(h8a, x4.mul_add(h47, h03));
    let q = 1.0 / h;
    let large = q.mul_add(-q, 1.0);

    let s01 = x2.mul_add(0.133_328_48, -0.333_333_13);
    let s23 = x2.mul_add(0.021_673_294, -0.053_924_307);
    let s45 = x2.mul_add(0.002_816_898, -0.008_364_709);
    let s67 = x2.mul_add(8.469_863e-5, -0.000_687_055_8);
    let s = x8.mul_add(x4.mul_add(s67, s45), x4.mul_add(s23, s01));
    let small = (c * x2).mul_add(s, c);

    let y = if a < 1.125 { small } else { large };
    y.copysign(x)
}

/// Whether [`pow`] holds for these operands: a positive finite base and a finite exponent.
#[inline(always)]
pub fn pow_is_ordinary(a: f32, b: f32) -> bool {
    (a > 0.0) & (a < f32::INFINITY) & (b.abs() < f32::INFINITY)
}

/// `a^b = 2^(b log2 a)` in `f64`, for the operands that [`pow_is_ordinary`] accepts.
///
/// With the logarithm and the power of [`wide`], whose errors are 2^-50 and 2^-40, the `f32` result is rounded once, apart
/// from one case in some ten thousand.
#[inline(always)]
pub fn pow(a: f32, b: f32) -> f32 {
    let (e, m) = wide::split(a as f64);
    let s = (m - 1.0) / (m + 1.0);
    let (f, q, power) = wide::exp2(b as f64 * s.mul_add(wide::log2_factor(s), e));
    (f.mul_add(q, 1.0) * power) as f32
}

/// `a^b` for all operands, by C's special cases: those of `|a|`, then the sign, then what is no number.
#[inline(always)]
pub fn pow_otherwise(a: f32, b: f32) -> f32 {
    let m = a.abs();
    let whole = b.trunc() == b;
    let half = b * 0.5;
    let odd = whole & (b.abs() < f32::INFINITY) & (half.trunc() != half);
    let vanishes = if m < 1.0 { b > 0.0 } else { b < 0.0 };
    let limit = if vanishes { 0.0f32 } else { f32::INFINITY };
    let limit = if m == 1.0 { 1.0 } else { limit };
    let r = if pow_is_ordinary(m, b) { pow(m, b) } else { limit };
    let r = if a.is_sign_negative() & odd { -r } else { r };
    let r = if (a < 0.0) & (m < f32::INFINITY) & !whole { f32::NAN } else { r };
    let r = if a.is_nan() | b.is_nan() { f32::NAN } else { r };
    if (a == 1.0) | (b == 0.0) { 1.0 } else { r }
}
