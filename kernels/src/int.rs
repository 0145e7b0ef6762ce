//! The integer operations that are loops or can trap: remainder, quotient and power. Never trap here.

/// An integer type of the library.
pub(crate) trait Int: Copy + 'static {
    const ZERO: Self;
    /// `self + a * b`, wrapping.
    fn mul_add_to(self, a: Self, b: Self) -> Self;
    /// What is left of `self` after division by `b`, with the sign of `self`; 0 where `b` is 0.
    fn remainder(self, b: Self) -> Self;
    /// `self / b` rounded to zero, wrapping; 0 where `b` is 0.
    fn quotient(self, b: Self) -> Self;
    /// By repeated squaring, wrapping; a negative exponent gives the truncated reciprocal, 0 for 0.
    fn power(self, b: Self) -> Self;
}

macro_rules! ints {
    ($($t:ty),+) => {$(
        impl Int for $t {
            const ZERO: Self = 0;
            #[inline(always)]
            fn mul_add_to(self, a: Self, b: Self) -> Self {
                self.wrapping_add(a.wrapping_mul(b))
            }
            #[inline(always)]
            fn remainder(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_rem(b) }
            }
            #[inline(always)]
            fn quotient(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_div(b) }
            }
            #[inline(always)]
            // Also made for u8, where nothing is negative.
            #[allow(unused_comparisons, clippy::absurd_extreme_comparisons)]
            fn power(self, b: Self) -> Self {
                if b < 0 {
                    // 1 / self: only 1 and -1 have one that is not 0.
                    let minus_one = (0 as $t).wrapping_sub(1);
                    return if self == 1 || (self == minus_one && b & 1 == 0) {
                        1
                    } else if self == minus_one {
                        self
                    } else {
                        0
                    };
                }
                let (mut base, mut left, mut power) = (self, b, 1 as $t);
                while left > 0 {
                    if left & 1 == 1 {
                        power = power.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                power
            }
        }
    )+};
}
ints!(u8, i32, i64);

macro_rules! bodies {
    ($($(#[$m:meta])* $name:ident = $f:ident;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or overlaps neither.
        pub(crate) unsafe extern "C" fn $name<T: Int>(n: usize, a: *const T, b: *const T, out: *mut T) {
            for i in 0..n {
                // SAFETY: `i < n`.
                unsafe { *out.add(i) = (*a.add(i)).$f(*b.add(i)) };
            }
        }
    )+};
}
bodies! {
    /// `out[i] = a[i] rem b[i]`
    rem_body = remainder;
    /// `out[i] = a[i] / b[i]`
    quotient_body = quotient;
    /// `out[i] = a[i]^b[i]`
    pow_body = power;
}
