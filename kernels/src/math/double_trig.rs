//! Sine, cosine and tangent in `f64`. Never calls a library function.
//!
//! What is left of the angle after whole quarter turns is a pair ([`super::double`]), so that the result is rounded nearly
//! once. Polynomials by interpolation at Chebyshev points in 420 bits, then rounded.

use super::double::{add, fast_two_sum, multiply, two_product, two_sum};
use super::poly::ROUND64;

/// Largest `|x|` for which [`sin`], [`cos`] and [`tan`] hold; beyond, and for infinities and NaN, there are [`far_sin`] and
/// its like.
pub const TRIG_LIMIT: f64 = 1_073_741_824.0;

const PI_2_HIGH: f64 = std::f64::consts::FRAC_PI_2;
const PI_2_MIDDLE: f64 = 6.123_233_995_736_766e-17;
const PI_2_LOW: f64 = -1.497_384_904_859_169_8e-33;

/// 2/pi, of which the first word is the whole part: element `i > 0` has the bits of weight `2^(64 - 64 i - 1)` and below. No
/// operand reaches beyond the twentieth; with those behind, every index taken modulo 32 is one of the table.
const TWO_OVER_PI: [u64; 32] = [
    0x0000000000000000,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
];

/// Whether [`sin`], [`cos`] and [`tan`] hold for `x`.
#[inline(always)]
pub fn is_near(x: f64) -> bool {
    x.abs() < TRIG_LIMIT
}

/// What is left of `x` after `k` quarter turns, as a pair, and `k` modulo 2^63.
///
/// `k = round(x 2/pi)`; `x - k p` is exact for the first 53 bits `p` of pi/2, and what the next 106 bits of it add is
/// subtracted with its error.
#[inline(always)]
fn quarter_turns(x: f64) -> (f64, f64, i64) {
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUND64);
    let k = shifted - ROUND64;
    let r = k.mul_add(-PI_2_HIGH, x);
    let (p, p_low) = two_product(k, PI_2_MIDDLE);
    let (r, e) = two_sum(r, -p);
    let e = k.mul_add(-PI_2_LOW, e - p_low);
    let (r, e) = fast_two_sum(r, e);
    (r, e, shifted.to_bits() as i64)
}

/// The upper 64 bits of a product of 128.
#[inline(always)]
fn multiply_high(a: u64, b: u64) -> u64 {
    let (a1, a0) = (a >> 32, a & 0xffff_ffff);
    let (b1, b0) = (b >> 32, b & 0xffff_ffff);
    let low = (a0.wrapping_mul(b0)) >> 32;
    let cross = a1.wrapping_mul(b0).wrapping_add(low);
    let cross2 = a0.wrapping_mul(b1).wrapping_add(cross & 0xffff_ffff);
    a1.wrapping_mul(b1).wrapping_add(cross >> 32).wrapping_add(cross2 >> 32)
}

/// 64 bits of 2/pi from bit `at` of the table on.
#[inline(always)]
fn bits_of_two_over_pi(at: u64) -> u64 {
    let (word, shift) = ((at >> 6) & 31, at & 63);
    let next = word.wrapping_add(1) & 31;
    let high = TWO_OVER_PI[word as usize] << shift as u32;
    // In two steps, as a shift by 64 is none.
    high | TWO_OVER_PI[next as usize] >> 1u32 >> (63u64.wrapping_sub(shift)) as u32
}

/// As [`quarter_turns`], for finite `x` from `2^30` on.
///
/// With `x = 2^e m`, `m` whole, only a window of 192 bits of 2/pi counts: what stands before it gives whole turns, what
/// stands behind it is less than 2^-137 of a quarter turn, and no `f64` comes nearer than 2^-62 to one (Payne and Hanek).
#[inline(always)]
fn far_quarter_turns(x: f64) -> (f64, f64, i64) {
    let bits = x.to_bits();
    let m = (bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;
    // Bits of weight 2 and below, counted from the table's first one, which is 64 before that of weight 1/2.
    let at = ((bits >> 52) & 0x7ff).wrapping_sub(1075).wrapping_add(62);
    let w0 = bits_of_two_over_pi(at);
    let w1 = bits_of_two_over_pi(at.wrapping_add(64));
    let w2 = bits_of_two_over_pi(at.wrapping_add(128));
    let carried = multiply_high(m, w2);
    let low = m.wrapping_mul(w1);
    let sum = low.wrapping_add(carried);
    let carry = if sum < low { 1u64 } else { 0u64 };
    let high = m.wrapping_mul(w0).wrapping_add(multiply_high(m, w1)).wrapping_add(carry);
    // Quarter turns modulo 4 are the two bits in front; the others a fraction, taken to (-1/2, 1/2).
    let fraction = (high << 2u32) | (sum >> 62u32);
    let rest = sum << 2u32;
    let negative = (fraction >> 63u32) == 1;
    let k = (high >> 62u32).wrapping_add(if negative { 1u64 } else { 0u64 });
    let f1 = if negative { !fraction } else { fraction };
    let f0 = if negative { !rest } else { rest };
    let (h, e) = fast_two_sum(
        (f1 >> 32u32) as f64 * 2.328_306_436_538_696_3e-10,
        (f1 & 0xffff_ffff) as f64 * 5.421_010_862_427_522e-20,
    );
    let tail = (f0 >> 32u32) as f64 * 1.262_177_448_353_619e-29 + (f0 & 0xffff_ffff) as f64 * 2.938_735_877_055_719e-39;
    let (h, l) = fast_two_sum(h, tail);
    let (r, r_low) = multiply(h, l + e, PI_2_HIGH, PI_2_MIDDLE);
    let flip = negative != x.is_sign_negative();
    let k = if x.is_sign_negative() { 0u64.wrapping_sub(k) } else { k };
    (if flip { -r } else { r }, if flip { -r_low } else { r_low }, k as i64)
}

/// Sine and cosine of the pair `r + e`, `|r| <= pi/4`, as pairs: `sin r = r - r^3/6 + r^5 s(r^2)` and
/// `cos r = 1 - r^2/2 + r^4 c(r^2)`, degree 6 each (relative errors 2^-67 and 2^-65), of which all but the polynomials
/// without their first terms is in pairs.
#[inline(always)]
fn sine_cosine(r: f64, e: f64) -> (f64, f64, f64, f64) {
    const SIXTH_LOW: f64 = -9.251_858_538_542_97e-18;
    const TWENTY_FOURTH_LOW: f64 = 2.312_964_634_635_742_7e-18;
    let (t, t_low) = two_product(r, r);
    let t_low = (r + r).mul_add(e, t_low);
    let t2 = t * t;
    let t4 = t2 * t2;

    let s01 = t.mul_add(-0.000_198_412_698_412_698_4, 0.008_333_333_333_333_333);
    let s23 = t.mul_add(-2.505_210_838_408_149_8e-8, 2.755_731_922_398_449e-6);
    let s45 = t.mul_add(-7.647_013_818_531_048e-13, 1.605_904_320_662_293_8e-10);
    let s46 = t2.mul_add(2.793_764_345_204_248_6e-15, s45);
    let s = t4.mul_add(s46, t2.mul_add(s23, s01));
    // r (1 + t (-1/6 + t s)).
    let (p, p_low) = fast_two_sum(-0.166_666_666_666_666_66, t.mul_add(s, SIXTH_LOW));
    let (p, p_low) = multiply(t, t_low, p, p_low);
    let (p, p_low) = multiply(r, e, p, p_low);
    let (sine, sine_low) = add(r, e, p, p_low);

    let c01 = t.mul_add(2.480_158_730_158_464_5e-5, -0.001_388_888_888_888_888_7);
    let c23 = t.mul_add(2.087_675_579_107_359e-9, -2.755_731_922_140_280_3e-7);
    let c45 = t.mul_add(4.745_871_838_166_816_4e-14, -1.147_046_088_652_635_7e-11);
    let c = t2.mul_add(t2.mul_add(c45, c23), c01);
    let (p, p_low) = fast_two_sum(0.041_666_666_666_666_664, t.mul_add(c, TWENTY_FOURTH_LOW));
    let (q, q_low) = multiply(t, t_low, t, t_low);
    let (q, q_low) = multiply(q, q_low, p, p_low);
    let (h, h_low) = fast_two_sum(1.0, t * -0.5);
    let (cosine, cosine_low) = add(h, t_low.mul_add(-0.5, h_low), q, q_low);
    (sine, sine_low, cosine, cosine_low)
}

/// Flips the sign of `x` where bit 1 of `k` is set.
#[inline(always)]
fn turned(x: f64, k: i64) -> f64 {
    f64::from_bits(x.to_bits() ^ ((k as u64 & 2) << 62u32))
}

#[inline(always)]
fn sine_of(r: f64, e: f64, k: i64) -> f64 {
    let (sine, _sl, cosine, _cl) = sine_cosine(r, e);
    turned(if k & 1 == 0 { sine } else { cosine }, k)
}

#[inline(always)]
fn cosine_of(r: f64, e: f64, k: i64) -> f64 {
    let (sine, _sl, cosine, _cl) = sine_cosine(r, e);
    turned(if k & 1 == 0 { cosine } else { sine }, k.wrapping_add(1))
}

/// The quotient of the pairs, its last place corrected by what is left.
#[inline(always)]
fn tangent_of(r: f64, e: f64, k: i64) -> f64 {
    let (sine, sine_low, cosine, cosine_low) = sine_cosine(r, e);
    let even = k & 1 == 0;
    let (a, a_low) = if even { (sine, sine_low) } else { (-cosine, -cosine_low) };
    let (b, b_low) = if even { (cosine, cosine_low) } else { (sine, sine_low) };
    let y = 1.0 / b;
    let q = a * y;
    let left = q.mul_add(-b, a) + q.mul_add(-b_low, a_low);
    left.mul_add(y, q)
}

/// Sine of `x` radians, `|x| < TRIG_LIMIT`.
#[inline(always)]
pub fn sin(x: f64) -> f64 {
    let (r, e, k) = quarter_turns(x);
    let y = sine_of(r, e, k);
    if x.abs() < TINY { x } else { y }
}

/// Below this, a sine or tangent is its operand.
const TINY: f64 = 7.450_580_596_923_828e-9;

/// Cosine of `x` radians, `|x| < TRIG_LIMIT`.
#[inline(always)]
pub fn cos(x: f64) -> f64 {
    let (r, e, k) = quarter_turns(x);
    cosine_of(r, e, k)
}

/// Tangent of `x` radians, `|x| < TRIG_LIMIT`.
#[inline(always)]
pub fn tan(x: f64) -> f64 {
    let (r, e, k) = quarter_turns(x);
    let y = tangent_of(r, e, k);
    if x.abs() < TINY { x } else { y }
}

/// Sine of `x` radians from [`TRIG_LIMIT`] on; NaN of infinities.
#[inline(always)]
pub fn far_sin(x: f64) -> f64 {
    if x.abs() < f64::INFINITY {
        let (r, e, k) = far_quarter_turns(x);
        sine_of(r, e, k)
    } else {
        f64::NAN
    }
}

/// Cosine of `x` radians from [`TRIG_LIMIT`] on; NaN of infinities.
#[inline(always)]
pub fn far_cos(x: f64) -> f64 {
    if x.abs() < f64::INFINITY {
        let (r, e, k) = far_quarter_turns(x);
        cosine_of(r, e, k)
    } else {
        f64::NAN
    }
}

/// Tangent of `x` radians from [`TRIG_LIMIT`] on; NaN of infinities.
#[inline(always)]
pub fn far_tan(x: f64) -> f64 {
    if x.abs() < f64::INFINITY {
        let (r, e, k) = far_quarter_turns(x);
        tangent_of(r, e, k)
    } else {
        f64::NAN
    }
}

/// [`far_sin`] rounded once more.
#[inline(always)]
pub fn far_sin_f32(x: f32) -> f32 {
    far_sin(x as f64) as f32
}

/// [`far_cos`] rounded once more.
#[inline(always)]
pub fn far_cos_f32(x: f32) -> f32 {
    far_cos(x as f64) as f32
}

/// [`far_tan`] rounded once more.
#[inline(always)]
pub fn far_tan_f32(x: f32) -> f32 {
    far_tan(x as f64) as f32
}
