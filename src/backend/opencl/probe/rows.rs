//! The operations of the probe: each as OpenCL C and as the host computes it, and the operands. It runs nothing.

use crate::backend::opencl::verdict::{Agreement, What};
use half::f16;
use std::fmt::Debug;

/// An operation: a statement that makes `r` of `a`, `b` and `c`. `{F}` stands for the type of these, `{I}` for integers of
/// as many bits.
pub struct Row<T> {
    pub what: What,
    pub text: &'static str,
    /// How many of `a`, `b` and `c` it has.
    pub operands: usize,
    /// The widest vectors that it is tried with.
    pub widest: usize,
    /// For which operands the result is defined, and the host's is the same.
    pub fits: fn(T, T, T) -> bool,
    pub host: fn(T, T, T) -> T,
}

/// f32 or f64.
pub trait Float: Copy + Debug + 'static {
    /// Their names in OpenCL C, and that of integers of as many bits.
    const NAME: &str;
    const INTEGER: &str;
    fn rows() -> Vec<Row<Self>>;
    /// As many as the widest vector divides.
    fn operands() -> Vec<[Self; 3]>;
    fn bytes(self) -> impl Iterator<Item = u8>;
    fn of_bytes(bytes: &[u8]) -> Self;
    fn times(self, other: Self) -> Self;
    /// Whether it is a subnormal number, or becomes one if rounded otherwise.
    fn is_small(self) -> bool;
    /// Units in the last place between two numbers of one sign; none where one is NaN, or the signs differ.
    fn ulps(self, other: Self) -> Option<u64>;
}

/// Results that are further off than this are not just rounded otherwise.
const MOST_ULPS: u64 = 16;

/// How a result of the device agrees with the host's.
pub fn agreement<T: Float>(host: T, device: T) -> Agreement {
    match host.ulps(device) {
        Some(0) => Agreement::Equal,
        Some(ulps) if ulps <= MOST_ULPS => Agreement::Within(ulps as u32),
        _ => Agreement::Differs,
    }
}

/// Numbers of which every two are operands.
const SPECIAL: [f64; 24] = [
    0.0,
    1.0,
    3.0,
    0.1,
    1.0 / 3.0,
    1.5,
    2.5,
    0.5,
    0.499_999_97,
    0.999_999_94,
    1.000_000_1,
    8_388_607.5,
    8_388_609.0,
    16_777_216.0,
    16_777_219.0,
    2_147_483_520.0,
    1e10,
    9.2e18,
    1.8e19,
    1e-10,
    1e30,
    1e-30,
    7e-20,
    std::f64::consts::PI,
];
/// Operands of random bits, in all.
const RANDOM: usize = 4096;

macro_rules! float {
    ($T:ident, $name:literal, $I:ident, $integer:literal, $U:ident, $seed:literal, $more:expr) => {
        impl Float for $T {
            const NAME: &str = $name;
            const INTEGER: &str = $integer;

            fn rows() -> Vec<Row<$T>> {
                use What::{Arithmetic, Contraction, Conversion, Division, Fma, Rounding, SquareRoot};
                const fn row(what: What, operands: usize, text: &'static str, host: fn($T, $T, $T) -> $T) -> Row<$T> {
                    Row { what, text, operands, widest: 16, fits: |_, _, _| true, host }
                }
                let mut rows = vec![
                    row(Arithmetic, 2, "r = a + b;", |a, b, _| a + b),
                    row(Arithmetic, 2, "r = a - b;", |a, b, _| a - b),
                    row(Arithmetic, 2, "r = a * b;", |a, b, _| a * b),
                    row(Contraction, 3, "{F} t = a * b; r = t + c;", |a, b, c| a * b + c),
                    row(Contraction, 3, "{F} t = a * b; r = c - t;", |a, b, c| c - a * b),
                    row(Contraction, 3, "r = a * b + c;", |a, b, c| a * b + c),
                    row(Fma, 3, "r = fma(a, b, c);", |a, b, c| a.mul_add(b, c)),
                    row(Fma, 3, "r = fma(-a, b, c);", |a, b, c| (-a).mul_add(b, c)),
                    row(Division, 2, "r = a / b;", |a, b, _| a / b),
                    row(Division, 1, "r = ({F})1 / a;", |a, _, _| 1.0 / a),
                    row(SquareRoot, 1, "r = sqrt(a);", |a, _, _| a.sqrt()),
                    row(Rounding, 1, "r = floor(a);", |a, _, _| a.floor()),
                    row(Rounding, 1, "r = ceil(a);", |a, _, _| a.ceil()),
                    row(Rounding, 1, "r = rint(a);", |a, _, _| a.round_ties_even()),
                    row(Rounding, 1, "r = trunc(a);", |a, _, _| a.trunc()),
                    // As vectors it takes compilers seconds, and is computed number by number.
                    Row { widest: 1, ..row(Rounding, 2, "r = fmod(a, b);", |a, b, _| a % b) },
                    row(Conversion, 1, "r = convert_{F}(as_{I}(a));", |a, _, _| (a.to_bits() as $I) as $T),
                ];
                // Sums of products in a loop, as those of a reduction.
                let text = "r = c; for (int k = 0; k < 4; k++) { {F} t = r * b; r = t + a; }";
                rows.push(Row {
                    what: Contraction,
                    text,
                    operands: 3,
                    widest: 16,
                    fits: |a, b, c| [a, b, c].into_iter().all(|x| (1e-5..1e5).contains(&x.abs())),
                    host: |a, b, c| (0..4).fold(c, |s, _| s * b + a),
                });
                rows.push(Row {
                    what: Conversion,
                    text: "r = convert_{F}(convert_{I}_rtz(a));",
                    operands: 1,
                    widest: 16,
                    fits: |a, _, _| a.abs() < (2.0 as $T).powi($I::BITS as i32 - 1),
                    host: |a, _, _| (a as $I) as $T,
                });
                let more: Vec<Row<$T>> = $more;
                rows.extend(more);
                rows
            }

            fn operands() -> Vec<[$T; 3]> {
                let mut numbers: Vec<$T> = SPECIAL.iter().flat_map(|x| [*x as $T, -*x as $T]).collect();
                let limits = [$T::MIN_POSITIVE, $T::MAX, $T::INFINITY, $T::EPSILON, $T::from_bits(1)];
                let below = $T::from_bits($T::MIN_POSITIVE.to_bits() - 1);
                numbers.extend(limits.into_iter().chain([below, below / 2.0]).flat_map(|x| [x, -x]));
                numbers.push($T::NAN);
                let mut all = Vec::new();
                for (i, a) in numbers.iter().enumerate() {
                    for (k, b) in numbers.iter().enumerate() {
                        // What is added cancels the product, or is any.
                        let c = if (i + k) % 2 == 0 { -(a * b) } else { numbers[(i * 7 + k * 13) % numbers.len()] };
                        all.push([*a, *b, c]);
                    }
                }
                let mut state = $seed as u64;
                let mut bits = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state ^ state >> 29) >> (64 - $U::BITS)
                };
                while all.len() < RANDOM || !all.len().is_multiple_of(16) {
                    let (a, b, c) = (bits() as $U, bits() as $U, bits() as $U);
                    let (a, b, c) = ($T::from_bits(a), $T::from_bits(b), $T::from_bits(c));
                    // Of all sizes; of about one size, which sums and loops depend on; and cancelling.
                    let one = |x: $T| 1.0 + (x.to_bits() as $T) / ($U::MAX as $T);
                    all.push(match all.len() % 3 {
                        0 => [a, b, c],
                        1 => [one(a), -one(b), one(c)],
                        _ => [one(a), one(b), -(one(a) * one(b))],
                    });
                }
                all
            }

            fn bytes(self) -> impl Iterator<Item = u8> {
                self.to_ne_bytes().into_iter()
            }

            fn of_bytes(bytes: &[u8]) -> $T {
                $T::from_ne_bytes(bytes.try_into().expect("bug in allotrope: bytes of a float"))
            }

            fn times(self, other: $T) -> $T {
                self * other
            }

            fn is_small(self) -> bool {
                self != 0.0 && self.abs() <= $T::MIN_POSITIVE
            }

            fn ulps(self, other: $T) -> Option<u64> {
                if self.is_nan() && other.is_nan() {
                    return Some(0);
                }
                let comparable =
                    !self.is_nan() && !other.is_nan() && self.is_sign_negative() == other.is_sign_negative();
                comparable.then(|| self.to_bits().abs_diff(other.to_bits()).into())
            }
        }
    };
}

float!(f32, "float", i32, "int", u32, 0x5eed, {
    let long = "r = convert_{F}(convert_{L}(as_{I}(a)) * convert_{L}(as_{I}(b)));";
    vec![Row {
        what: What::Conversion,
        text: long,
        operands: 2,
        widest: 16,
        fits: |_, _, _| true,
        host: |a, b, _| (i64::from(a.to_bits() as i32) * i64::from(b.to_bits() as i32)) as f32,
    }]
});
float!(f64, "double", i64, "long", u64, 0xd0b1e, {
    let text = "r = convert_{F}(convert_{S}(a));";
    let row = |what, fits: fn(f64, f64, f64) -> bool| Row {
        what,
        text,
        operands: 1,
        widest: 16,
        fits,
        host: |a, _, _| f64::from(a as f32),
    };
    vec![
        row(What::Conversion, |a, _, _| a == 0.0 || a.is_nan() || a.abs() > f64::from(f32::MIN_POSITIVE)),
        row(What::Subnormals, |a, _, _| a.abs() <= f64::from(f32::MIN_POSITIVE)),
    ]
});

/// Numbers that are f16, or in the middle of two, or next to these: where rounding to f16 is decided.
pub fn around_halves() -> Vec<f32> {
    let largest = f16::MAX.to_bits();
    let mut all = vec![f32::NAN, f32::INFINITY, -f32::INFINITY, f32::MAX, f32::MIN_POSITIVE, -0.0];
    for h in 0..=largest {
        let here = f16::from_bits(h).to_f32();
        // Above the largest one the next would be 65536.
        let next = if h == largest { 65536.0 } else { f16::from_bits(h + 1).to_f32() };
        let middle = (here + next) / 2.0;
        let sign = if h % 2 == 0 { 1.0 } else { -1.0 };
        all.extend([here, middle, middle.next_up(), middle.next_down()].map(|x| x * sign));
    }
    all
}
