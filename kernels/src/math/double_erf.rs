//! The error function and what is left of it to 1, in `f64`. Never calls a library function.
//!
//! Leading terms are pairs ([`super::double`]). Polynomials by interpolation at Chebyshev points in 300 bits, then rounded.

use super::double::{add, divide, fast_two_sum, multiply, two_product, two_sum};
use super::double_exp::{exp_parts, power_of_two, scale};

/// Below this, the polynomial of [`small`] holds; [`tail`] from here on.
const LIMIT: f64 = 0.75;

/// `erf x` as a pair, for `|x| <= LIMIT`: `x (c0 + t (c1 + t e(t)))` with `t = x^2`, `e` of degree 10 (relative error 2^-64).
#[inline(always)]
fn small(x: f64) -> (f64, f64) {
    let (t, t_low) = two_product(x, x);
    let t2 = t * t;
    let t4 = t2 * t2;
    let e01 = t.mul_add(-0.026_866_170_645_131_25, 0.112_837_916_709_551_26);
    let e23 = t.mul_add(-0.000_854_832_702_341_127_3, 0.005_223_977_625_442_046);
    let e45 = t.mul_add(-1.492_564_988_874_072_5e-5, 0.000_120_553_329_761_476_54);
    let e67 = t.mul_add(-1.636_502_809_606_254_4e-7, 1.646_208_995_641_578_7e-6);
    let e89 = t.mul_add(-1.205_259_612_170_942_3e-9, 1.478_957_326_914_536_1e-8);
    let e03 = t2.mul_add(e23, e01);
    let e47 = t2.mul_add(e67, e45);
    let e8a = t2.mul_add(7.570_444_312_862_867e-11, e89);
    let e = t4.mul_add(t4.mul_add(e8a, e47), e03);
    let (w, w_low) = fast_two_sum(-0.376_126_389_031_837_54, t.mul_add(e, 1.339_189_720_603_064_9e-17));
    let (w, w_low) = multiply(t, t_low, w, w_low);
    let (w, w_low) = add(std::f64::consts::FRAC_2_SQRT_PI, 1.533_545_961_316_588e-17, w, w_low);
    multiply(x, 0.0, w, w_low)
}

/// `1 - erf a = 2^n (h + l)` for `a >= LIMIT`: `(n, h, l)`. It is `e^(-a^2) p(t) / (a + 2)` with `t = (a - 2) / (a + 2)` and
/// `p` of degree 23 (relative error 2^-60 up to 27.4, where the result is 0), its last four steps in pairs.
#[inline(always)]
fn tail(a: f64) -> (f64, f64, f64) {
    let a = if a > 27.4 { 27.4 } else { a };
    let (d, d_low) = two_sum(a, 2.0);
    let (b, b_low) = two_sum(a, -2.0);
    let (t, t_low) = divide(b, b_low, d, d_low);
    let w = t.mul_add(-2.053_026_522_965_568_3e-9, -1.168_642_763_978_623_6e-7);
    let w = t.mul_add(w, 3.816_639_166_763_615_3e-7);
    let w = t.mul_add(w, -5.835_619_908_542_288_6e-8);
    let w = t.mul_add(w, -5.306_533_091_498_65e-7);
    let w = t.mul_add(w, -4.175_245_877_173_503e-7);
    let w = t.mul_add(w, 4.519_750_812_971_513_6e-8);
    let w = t.mul_add(w, 1.921_799_999_911_288e-6);
    let w = t.mul_add(w, 3.650_175_991_369_310_2e-6);
    let w = t.mul_add(w, -1.104_433_357_089_197_8e-6);
    let w = t.mul_add(w, -1.612_566_394_160_766_8e-5);
    let w = t.mul_add(w, -2.169_958_827_665_802e-5);
    let w = t.mul_add(w, 3.414_989_353_119_872_6e-5);
    let w = t.mul_add(w, 0.000_144_471_095_658_008_58);
    let w = t.mul_add(w, 3.437_132_610_185_846e-5);
    let w = t.mul_add(w, -0.000_663_073_528_558_340_1);
    let w = t.mul_add(w, -0.000_837_296_055_622_822_5);
    let w = t.mul_add(w, 0.003_090_612_060_132_176);
    let w = t.mul_add(w, 0.006_479_185_067_507_006);
    let w = t.mul_add(w, -0.021_510_661_889_505_272);
    let (w, w_low) = fast_two_sum(-0.036_442_231_506_875_33, t.mul_add(w, -7.604_121_152_149_373e-19));
    let (w, w_low) = multiply(t, t_low, w, w_low);
    let (w, w_low) = add(0.279_472_092_556_054_9, 2.956_917_426_813_206_5e-18, w, w_low);
    let (w, w_low) = multiply(t, t_low, w, w_low);
    let (w, w_low) = add(-0.687_160_684_413_810_6, 1.013_709_109_389_378e-17, w, w_low);
    let (w, w_low) = multiply(t, t_low, w, w_low);
    let (w, w_low) = add(1.021_582_705_242_023, -1.716_924_984_578_061_7e-17, w, w_low);
    let (w, w_low) = divide(w, w_low, d, d_low);
    let (s, s_low) = two_product(a, a);
    let (n, h, l) = exp_parts(-s, -s_low);
    let (h, l) = multiply(h, l, w, w_low);
    (n, h, l)
}

/// The error function.
#[inline(always)]
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    let c = if a < LIMIT { a } else { LIMIT };
    let (y, _y_low) = small(c);
    let (n, h, l) = tail(if a < 6.0 { a } else { 6.0 });
    let p = power_of_two(n);
    let (one, e) = fast_two_sum(1.0, -(h * p));
    let far = one + l.mul_add(-p, e);
    let r = if a < LIMIT { y } else { far };
    let r = if x.is_nan() { x } else { r };
    r.copysign(x)
}

/// `1 - erf x`, without the cancellation.
#[inline(always)]
pub fn erfc(x: f64) -> f64 {
    let a = x.abs();
    let c = if a < LIMIT { a } else { LIMIT };
    let (y, y_low) = small(c.copysign(x));
    let (one, e) = fast_two_sum(1.0, -y);
    let near = one + (e - y_low);
    let (n, h, l) = tail(a);
    // Of a negative x it is 2 less that.
    let p = power_of_two(if n < -100.0 { -100.0 } else { n });
    let (two, e) = fast_two_sum(2.0, -(h * p));
    let left = two + l.mul_add(-p, e);
    let right = scale(h + l, n);
    let far = if x < 0.0 { left } else { right };
    let r = if a < LIMIT { near } else { far };
    if x.is_nan() { x } else { r }
}
