//! The remainder of a division of floats, C's `fmod`, which is exact. Never rounds.

use super::poly::ROUND64;

/// `2^51`.
const LARGEST_QUOTIENT: f64 = 2_251_799_813_685_248.0;

/// Whether [`rem`] holds for these operands: both finite, the divisor not 0, the quotient small enough to be exact.
#[inline(always)]
pub fn is_ordinary(a: f64, b: f64) -> bool {
    (a.abs() < f64::INFINITY) & (b.abs() < f64::INFINITY) & (a.abs() < LARGEST_QUOTIENT * b.abs())
}

/// The remainder, for the operands that [`is_ordinary`] accepts: `a - round(a / b) b` needs no more bits than a fused step
/// keeps, and has to be lifted by `b` where it is negative.
#[inline(always)]
pub fn rem(a: f64, b: f64) -> f64 {
    let (x, y) = (a.abs(), b.abs());
    let q = (x / y + ROUND64) - ROUND64;
    let r = q.mul_add(-y, x);
    let r = if r < 0.0 { r + y } else { r };
    r.copysign(a)
}

/// The exponent of the last place of a positive number, counted from that of the smallest, which is 1.
#[inline(always)]
fn place(bits: u64) -> u64 {
    let exponent = bits >> 52u32;
    if exponent == 0 { 1u64 } else { exponent }
}

/// A positive number in units of its last place.
#[inline(always)]
fn whole(bits: u64) -> u64 {
    let fraction = bits & 0x000f_ffff_ffff_ffff;
    if bits >> 52u32 == 0 { fraction } else { fraction | 0x0010_0000_0000_0000 }
}

/// The remainder of all operands: as whole numbers of their last places, eleven bits of the quotient at a time.
#[inline(always)]
pub fn rem_otherwise(a: f64, b: f64) -> f64 {
    let (x, y) = (a.abs(), b.abs());
    if (x < f64::INFINITY) & (y > 0.0) {
        if x < y {
            a
        } else {
            let y_place = place(y.to_bits());
            let divisor = whole(y.to_bits());
            let mut left = place(x.to_bits()).wrapping_sub(y_place);
            let mut r = whole(x.to_bits()) % divisor;
            while left > 0 {
                let step = if left < 11 { left } else { 11u64 };
                r = (r << step as u32) % divisor;
                left = left.wrapping_sub(step);
            }
            // In two factors, as the smaller ones of 2^(place - 1075) are no normal numbers.
            let half = y_place >> 1u32;
            let first = f64::from_bits(half.wrapping_add(486) << 52u32);
            let second = f64::from_bits(y_place.wrapping_sub(half).wrapping_add(485) << 52u32);
            (r as f64 * first * second).copysign(a)
        }
    } else {
        f64::NAN
    }
}
