//! Inverse sine, cosine and tangent in `f64`. Never calls a library function.
//!
//! All are the angle of a point whose coordinates are pairs ([`super::double`]). The polynomial by interpolation at
//! Chebyshev points in 420 bits, then rounded.

use super::double::{add, divide, fast_two_sum, multiply, square_root, two_product, two_sum};

const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;
const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
const PI_4_LOW: f64 = 3.061_616_997_868_383e-17;

/// `tan(pi/8)`, nearly.
const TAN_PI_8: f64 = 0.414_213_562_373_095_03;

/// The angle of the point `(x, y)`, both pairs and not both 0, `y >= 0`; `x` has any sign, and of the low parts the signs
/// are those that the pairs give them.
///
/// `t` is the smaller coordinate through the larger one, or, where that is more than `tan(pi/8)`, `(t - 1) / (t + 1)`, whose
/// angle is less by pi/4. `atan u = u + u t (-1/3 + t a(t))` with `t = u^2`, `a` of degree 12 (relative error 2^-62), all but
/// `a` in pairs; then the octants.
#[inline(always)]
fn angle(y: f64, y_low: f64, x: f64, x_low: f64) -> f64 {
    let left = x.is_sign_negative();
    let (b, b_low) = (y, y_low);
    let a = x.abs();
    let a_low = if left { -x_low } else { x_low };
    let steep = b > a;
    let n = if steep { a } else { b };
    let n_low = if steep { a_low } else { b_low };
    let d = if steep { b } else { a };
    let d_low = if steep { b_low } else { a_low };

    let wide = n > TAN_PI_8 * d;
    let (difference, difference_low) = two_sum(n, -d);
    let (sum, sum_low) = fast_two_sum(d, n);
    let p = if wide { difference } else { n };
    let p_low = if wide { difference_low + (n_low - d_low) } else { n_low };
    let q = if wide { sum } else { d };
    let q_low = if wide { sum_low + (n_low + d_low) } else { d_low };
    let (u, u_low) = divide(p, p_low, q, q_low);

    let (t, t_low) = multiply(u, u_low, u, u_low);
    let t2 = t * t;
    let t4 = t2 * t2;
    let a01 = t.mul_add(-0.142_857_142_857_142_77, 0.2);
    let a23 = t.mul_add(-0.090_909_090_905_770_64, 0.111_111_111_111_085_33);
    let a45 = t.mul_add(-0.066_666_657_756_439_4, 0.076_923_076_700_411);
    let a67 = t.mul_add(-0.052_627_593_454_433_47, 0.058_823_299_757_220_61);
    let a89 = t.mul_add(-0.043_082_006_636_249_545, 0.047_571_364_214_736_31);
    let aab = t.mul_add(-0.028_301_584_982_289_98, 0.037_730_611_673_233_49);
    let a03 = t2.mul_add(a23, a01);
    let a47 = t2.mul_add(a67, a45);
    let a8b = t2.mul_add(aab, a89);
    let a8c = t4.mul_add(0.012_897_281_845_555_327, a8b);
    let s = t4.mul_add(t4.mul_add(a8c, a47), a03);
    let (v, v_low) = fast_two_sum(-0.333_333_333_333_333_3, t.mul_add(s, -1.850_371_707_708_594e-17));
    let (v, v_low) = multiply(t, t_low, v, v_low);
    let (v, v_low) = multiply(u, u_low, v, v_low);
    let (r, r_low) = add(u, u_low, v, v_low);

    // pi/4 more, pi/2 less it, pi less it: together a multiple of pi/4, plus or minus it.
    let base = if wide { std::f64::consts::FRAC_PI_4 } else { 0.0 };
    let base_low = if wide { PI_4_LOW } else { 0.0 };
    let base = if steep { std::f64::consts::FRAC_PI_2 - base } else { base };
    let base_low = if steep { PI_2_LOW - base_low } else { base_low };
    let base = if left { std::f64::consts::PI - base } else { base };
    let base_low = if left { PI_LOW - base_low } else { base_low };
    let minus = steep != left;
    let r = if minus { -r } else { r };
    let r_low = if minus { -r_low } else { r_low };
    let (h, _l) = add(base, base_low, r, r_low);
    h
}

/// The angle of the point `(x, y)` in radians. Signed zeros and infinities as in C.
#[inline(always)]
pub fn atan2(y: f64, x: f64) -> f64 {
    let (b, a) = (y.abs(), x.abs());
    // Infinities as the corner, the edge and the axis that they are the limits of.
    let infinite = (a == f64::INFINITY) | (b == f64::INFINITY);
    let b_limit = if b == f64::INFINITY { 1.0f64 } else { 0.0f64 };
    let a_limit = if a == f64::INFINITY { 1.0f64 } else { 0.0f64 };
    let nothing = (a == 0.0) & (b == 0.0);
    let d = if b > a { b } else { a };
    // Neither the sum nor what is left of the quotient leaves the range of normal numbers.
    let scale = if d > 1e300 { 0.25f64 } else { 1.0f64 };
    let scale = if d < 1e-250 { 1.157_920_892_373_162e77 } else { scale };
    let b = if infinite { b_limit } else { b * scale };
    let a = if infinite { a_limit } else { a * scale };
    let a = if nothing { 1.0 } else { a };
    let r = angle(b, 0.0, a.copysign(x), 0.0);
    let r = if x.is_nan() | y.is_nan() { f64::NAN } else { r };
    r.copysign(y)
}

/// Inverse tangent.
#[inline(always)]
pub fn atan(x: f64) -> f64 {
    let a = x.abs();
    let infinite = a == f64::INFINITY;
    let r = angle(if infinite { 1.0 } else { a }, 0.0, if infinite { 0.0 } else { 1.0 }, 0.0);
    let r = if a < 1e-9 { a } else { r };
    let r = if x.is_nan() { f64::NAN } else { r };
    r.copysign(x)
}

/// The square root of `1 - x^2` as a pair, for `|x| <= 1`.
#[inline(always)]
fn other_side(x: f64) -> (f64, f64) {
    let (p, p_low) = two_product(x, x);
    let (z, z_low) = two_sum(1.0, -p);
    let (z, z_low) = fast_two_sum(z, z_low - p_low);
    square_root(z, z_low)
}

/// Inverse sine. NaN beyond 1.
#[inline(always)]
pub fn asin(x: f64) -> f64 {
    let a = x.abs();
    let (s, s_low) = other_side(if a <= 1.0 { a } else { 1.0 });
    let r = angle(a, 0.0, s, s_low);
    let r = if a < 1e-9 { a } else { r };
    let r = if a <= 1.0 { r } else { f64::NAN };
    r.copysign(x)
}

/// Inverse cosine. NaN beyond 1.
#[inline(always)]
pub fn acos(x: f64) -> f64 {
    let a = x.abs();
    let (s, s_low) = other_side(if a <= 1.0 { a } else { 1.0 });
    let r = angle(s, s_low, x, 0.0);
    if a <= 1.0 { r } else { f64::NAN }
}
