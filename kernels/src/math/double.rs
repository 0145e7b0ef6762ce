//! Pairs of `f64`: a number as the unevaluated sum of two, the second one being what the first could not hold, some 106
//! bits together. Branch-free; the well-known error-free transformations (Dekker, Knuth) with a fused multiply-add.
//! Never a function of its own.

/// `a + b`, exactly.
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// `a + b`, exactly, where `|a| >= |b|` or `a = 0`.
#[inline(always)]
pub(super) fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    (s, b - (s - a))
}

/// `a b`, exactly.
#[inline(always)]
pub(super) fn two_product(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    (p, a.mul_add(b, -p))
}

/// `a b` of two pairs (relative error 2^-102).
#[inline(always)]
pub(super) fn multiply(ah: f64, al: f64, bh: f64, bl: f64) -> (f64, f64) {
    let p = ah * bh;
    let e = ah.mul_add(bh, -p);
    let e = ah.mul_add(bl, e);
    let e = al.mul_add(bh, e);
    fast_two_sum(p, e)
}

/// `a + b` of two pairs, where `|a| >= |b|` or `a = 0`.
#[inline(always)]
pub(super) fn add(ah: f64, al: f64, bh: f64, bl: f64) -> (f64, f64) {
    let (s, e) = fast_two_sum(ah, bh);
    fast_two_sum(s, e + (al + bl))
}

/// `a / b` of two pairs, `1 / b` being a normal number.
#[inline(always)]
pub(super) fn divide(ah: f64, al: f64, bh: f64, bl: f64) -> (f64, f64) {
    let y = 1.0 / bh;
    let q = ah * y;
    let r = q.mul_add(-bh, ah) + q.mul_add(-bl, al);
    fast_two_sum(q, r * y)
}

/// The square root of a pair that is not negative; 0 of 0.
#[inline(always)]
pub(super) fn square_root(ah: f64, al: f64) -> (f64, f64) {
    let s = ah.sqrt();
    let r = s.mul_add(-s, ah) + al;
    let low = r / (s + s);
    let low = if s > 0.0 { low } else { 0.0 };
    fast_two_sum(s, low)
}
