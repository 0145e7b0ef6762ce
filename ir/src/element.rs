//! What each elementwise primitive means on one element: the definition that the interpreter and constant folding
//! share. Nothing here knows of shapes, and the functions that no standard rounds exactly (exp, tanh, …) are only
//! approximated: their bits belong to the kernels.

use crate::{BinaryOp, CompareOp, DType, ReduceOp, Scalar, UnaryOp};
use half::{bf16, f16};

/// A bool, as the compiler's checks on types guarantee it.
fn bool_of(s: Scalar) -> bool {
    match s {
        Scalar::Bool(b) => b,
        s => panic!("bug in this library: expected bool, got {}", s.dtype()),
    }
}

/// The operands are not of a dtype that the rules admit.
fn mismatch(op: &str, of: &[Scalar]) -> ! {
    let dtypes: Vec<&str> = of.iter().map(|s| s.dtype().name()).collect();
    panic!("bug in this library: {op} evaluated on {}", dtypes.join(", "))
}

/// `op` on one element; in f64 and rounded once where `op` is not exact.
pub fn unary(op: UnaryOp, x: Scalar) -> Scalar {
    let float = |exact: fn(f64) -> f64| match x {
        Scalar::F32(x) => Scalar::F32(exact(x as f64) as f32),
        Scalar::F64(x) => Scalar::F64(exact(x)),
        x => mismatch(op.name(), &[x]),
    };
    match op {
        UnaryOp::Not => match x {
            Scalar::U8(x) => Scalar::U8(!x),
            Scalar::I32(x) => Scalar::I32(!x),
            Scalar::I64(x) => Scalar::I64(!x),
            x => Scalar::Bool(!bool_of(x)),
        },
        UnaryOp::Neg => match x {
            Scalar::U8(x) => Scalar::U8(x.wrapping_neg()),
            Scalar::I32(x) => Scalar::I32(x.wrapping_neg()),
            Scalar::I64(x) => Scalar::I64(x.wrapping_neg()),
            Scalar::F32(x) => Scalar::F32(-x),
            Scalar::F64(x) => Scalar::F64(-x),
            x => mismatch(op.name(), &[x]),
        },
        UnaryOp::Abs => match x {
            Scalar::U8(x) => Scalar::U8(x),
            Scalar::I32(x) => Scalar::I32(x.wrapping_abs()),
            Scalar::I64(x) => Scalar::I64(x.wrapping_abs()),
            Scalar::F32(x) => Scalar::F32(x.abs()),
            Scalar::F64(x) => Scalar::F64(x.abs()),
            x => mismatch(op.name(), &[x]),
        },
        UnaryOp::Sqrt => match x {
            Scalar::F32(x) => Scalar::F32(x.sqrt()),
            _ => float(f64::sqrt),
        },
        UnaryOp::Exp => float(f64::exp),
        UnaryOp::Log => float(f64::ln),
        UnaryOp::Sin => float(f64::sin),
        UnaryOp::Cos => float(f64::cos),
        UnaryOp::Tanh => float(f64::tanh),
        UnaryOp::Floor => float(f64::floor),
        UnaryOp::Ceil => float(f64::ceil),
        UnaryOp::Round => float(f64::round_ties_even),
        UnaryOp::Trunc => float(f64::trunc),
        UnaryOp::Exp2 => float(f64::exp2),
        UnaryOp::Expm1 => float(f64::exp_m1),
        UnaryOp::Log2 => float(f64::log2),
        UnaryOp::Log10 => float(f64::log10),
        UnaryOp::Log1p => float(f64::ln_1p),
        UnaryOp::Tan => float(f64::tan),
        UnaryOp::Asin => float(f64::asin),
        UnaryOp::Acos => float(f64::acos),
        UnaryOp::Atan => float(f64::atan),
        UnaryOp::Sinh => float(f64::sinh),
        UnaryOp::Cosh => float(f64::cosh),
        UnaryOp::Asinh => float(f64::asinh),
        UnaryOp::Acosh => float(f64::acosh),
        UnaryOp::Atanh => float(f64::atanh),
        UnaryOp::Erf => float(libm::erf),
        UnaryOp::Erfc => float(libm::erfc),
    }
}

/// `op` on two elements of one dtype. Integers wrap.
pub fn binary(op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
    macro_rules! float {
        ($variant:ident, $a:expr, $b:expr) => {{
            let (a, b) = ($a, $b);
            Scalar::$variant(match op {
                BinaryOp::Add => a + b,
                BinaryOp::Sub => a - b,
                BinaryOp::Mul => a * b,
                BinaryOp::Div => a / b,
                BinaryOp::Maximum => {
                    if b > a || b.is_nan() {
                        b
                    } else {
                        a
                    }
                }
                BinaryOp::Minimum => {
                    if b < a || b.is_nan() {
                        b
                    } else {
                        a
                    }
                }
                BinaryOp::Pow => (a as f64).powf(b as f64) as _,
                BinaryOp::Atan2 => (a as f64).atan2(b as f64) as _,
                BinaryOp::Rem => a % b,
                BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Quotient => {
                    mismatch(op.name(), &[Scalar::$variant(a), Scalar::$variant(b)])
                }
            })
        }};
    }
    macro_rules! integer {
        ($variant:ident, $x:expr, $y:expr) => {{
            let (x, y) = ($x, $y);
            Scalar::$variant(match op {
                BinaryOp::Add => x.wrapping_add(y),
                BinaryOp::Sub => x.wrapping_sub(y),
                BinaryOp::Mul => x.wrapping_mul(y),
                BinaryOp::Maximum => x.max(y),
                BinaryOp::Minimum => x.min(y),
                BinaryOp::And => x & y,
                BinaryOp::Or => x | y,
                BinaryOp::Xor => x ^ y,
                BinaryOp::Rem => {
                    if y == 0 {
                        0
                    } else {
                        x.wrapping_rem(y)
                    }
                }
                BinaryOp::Quotient => {
                    if y == 0 {
                        0
                    } else {
                        x.wrapping_div(y)
                    }
                }
                // Also made for u8, where nothing is negative.
                #[allow(unused_comparisons)]
                BinaryOp::Pow => match x {
                    _ if y < 0 && x == 1 => 1,
                    #[allow(clippy::unnecessary_cast)]
                    _ if y < 0 && (x as i64) == -1 => {
                        if y % 2 == 0 {
                            1
                        } else {
                            x
                        }
                    }
                    _ if y < 0 => 0,
                    _ => {
                        let (mut base, mut left, mut power) = (x, y, 1);
                        while left > 0 {
                            if left % 2 == 1 {
                                power = base.wrapping_mul(power);
                            }
                            base = base.wrapping_mul(base);
                            left /= 2;
                        }
                        power
                    }
                },
                BinaryOp::Div | BinaryOp::Atan2 => mismatch(op.name(), &[a, b]),
            })
        }};
    }
    match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) => float!(F32, a, b),
        (Scalar::F64(a), Scalar::F64(b)) => float!(F64, a, b),
        (Scalar::U8(x), Scalar::U8(y)) => integer!(U8, x, y),
        (Scalar::I32(x), Scalar::I32(y)) => integer!(I32, x, y),
        (Scalar::I64(x), Scalar::I64(y)) => integer!(I64, x, y),
        (Scalar::Bool(x), Scalar::Bool(y)) => Scalar::Bool(match op {
            BinaryOp::And => x && y,
            BinaryOp::Or => x || y,
            BinaryOp::Xor => x != y,
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Maximum
            | BinaryOp::Minimum
            | BinaryOp::Pow
            | BinaryOp::Atan2
            | BinaryOp::Rem
            | BinaryOp::Quotient => mismatch(op.name(), &[a, b]),
        }),
        _ => mismatch(op.name(), &[a, b]),
    }
}

/// `op` on two elements of one dtype.
pub fn compare(op: CompareOp, a: Scalar, b: Scalar) -> bool {
    fn by<T: PartialOrd>(op: CompareOp, a: T, b: T) -> bool {
        match op {
            CompareOp::Eq => a == b,
            CompareOp::Ne => a != b,
            CompareOp::Lt => a < b,
            CompareOp::Le => a <= b,
            CompareOp::Gt => a > b,
            CompareOp::Ge => a >= b,
        }
    }
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => by(op, a, b),
        (Scalar::U8(a), Scalar::U8(b)) => by(op, a, b),
        (Scalar::I32(a), Scalar::I32(b)) => by(op, a, b),
        (Scalar::I64(a), Scalar::I64(b)) => by(op, a, b),
        (Scalar::F32(a), Scalar::F32(b)) => by(op, a, b),
        (Scalar::F64(a), Scalar::F64(b)) => by(op, a, b),
        _ => mismatch(op.name(), &[a, b]),
    }
}

/// `a` where `condition`, else `b`.
pub fn select(condition: Scalar, a: Scalar, b: Scalar) -> Scalar {
    if bool_of(condition) { a } else { b }
}

/// `x` as `dtype`: a float to an integer truncated to 64 bits and saturated, NaN to 0; to fewer bits wrapping; to bool
/// `x != 0`; else rounded to nearest even, to the half-precision floats through f32.
pub fn cast(x: Scalar, dtype: DType) -> Scalar {
    let int = |x: i64| match dtype {
        DType::Bool => Scalar::Bool(x != 0),
        DType::U8 => Scalar::U8(x as u8),
        DType::I32 => Scalar::I32(x as i32),
        DType::I64 => Scalar::I64(x),
        DType::F16 => Scalar::F16(f16::from_f32(x as f32)),
        DType::BF16 => Scalar::BF16(bf16::from_f32(x as f32)),
        DType::F32 => Scalar::F32(x as f32),
        DType::F64 => Scalar::F64(x as f64),
    };
    match x {
        x if x.dtype() == dtype => x,
        Scalar::Bool(x) => int(x as i64),
        Scalar::U8(x) => int(x as i64),
        Scalar::I32(x) => int(x as i64),
        Scalar::I64(x) => int(x),
        Scalar::F16(x) => Scalar::from_f64(x.to_f64(), dtype),
        Scalar::BF16(x) => Scalar::from_f64(x.to_f64(), dtype),
        Scalar::F32(x) => Scalar::from_f64(x as f64, dtype),
        Scalar::F64(x) => Scalar::from_f64(x, dtype),
    }
}

/// `acc + a * b` with one rounding; integers wrap.
pub fn mul_add(acc: Scalar, a: Scalar, b: Scalar) -> Scalar {
    match (acc, a, b) {
        (Scalar::F32(acc), Scalar::F32(a), Scalar::F32(b)) => Scalar::F32(a.mul_add(b, acc)),
        (Scalar::F64(acc), Scalar::F64(a), Scalar::F64(b)) => Scalar::F64(a.mul_add(b, acc)),
        (Scalar::U8(acc), Scalar::U8(a), Scalar::U8(b)) => Scalar::U8(acc.wrapping_add(a.wrapping_mul(b))),
        (Scalar::I32(acc), Scalar::I32(a), Scalar::I32(b)) => Scalar::I32(acc.wrapping_add(a.wrapping_mul(b))),
        (Scalar::I64(acc), Scalar::I64(a), Scalar::I64(b)) => Scalar::I64(acc.wrapping_add(a.wrapping_mul(b))),
        _ => mismatch("mul_add", &[acc, a, b]),
    }
}

/// Lanes of a block of a reduction.
const LANES: usize = 16;
/// Elements of a block of a sum; an extreme is one block.
const BLOCK: usize = 4096;

/// `op` over elements of one dtype, in the library's order, so that the bits are the kernels': blocks of 16 lanes,
/// lane `l` taking the elements `l, l + 16, …`, then the halving tree over the lanes; the blocks of a sum combined
/// pairwise like the bits of a binary counter. An empty sum is 0, an empty extreme the identity.
pub fn reduce(op: ReduceOp, dtype: DType, elements: &[Scalar]) -> Scalar {
    let of = |float: f64| Scalar::from_f64(float, dtype);
    let (smallest, largest) = match dtype {
        DType::U8 => (Scalar::U8(0), Scalar::U8(u8::MAX)),
        DType::I32 => (Scalar::I32(i32::MIN), Scalar::I32(i32::MAX)),
        DType::I64 => (Scalar::I64(i64::MIN), Scalar::I64(i64::MAX)),
        _ => (of(f64::NEG_INFINITY), of(f64::INFINITY)),
    };
    let (f, identity) = match op {
        ReduceOp::Sum => (BinaryOp::Add, of(-0.0)),
        ReduceOp::Max => (BinaryOp::Maximum, smallest),
        ReduceOp::Min => (BinaryOp::Minimum, largest),
    };
    let block = |elements: &[Scalar]| {
        let mut lanes = [identity; LANES];
        // No sum of two elements or more is -0.0.
        if op == ReduceOp::Sum && elements.len() > 1 {
            lanes[1] = of(0.0);
        }
        elements.iter().enumerate().for_each(|(i, x)| lanes[i % LANES] = binary(f, lanes[i % LANES], *x));
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|l| lanes[l] = binary(f, lanes[l], lanes[l + half]));
        }
        lanes[0]
    };
    if op != ReduceOp::Sum {
        return block(elements);
    }
    let mut levels: Vec<Option<Scalar>> = Vec::new();
    for mut carried in elements.chunks(BLOCK).map(block) {
        let free = levels.iter().position(Option::is_none).unwrap_or(levels.len());
        for stored in &mut levels[..free] {
            carried = binary(f, stored.take().expect("taken below the first free level"), carried);
        }
        levels.resize(levels.len().max(free + 1), None);
        levels[free] = Some(carried);
    }
    levels.into_iter().flatten().reduce(|value, stored| binary(f, stored, value)).unwrap_or(of(0.0))
}

/// Whether it is a NaN of either float type.
pub fn is_nan(x: Scalar) -> bool {
    match x {
        Scalar::F16(x) => x.is_nan(),
        Scalar::BF16(x) => x.is_nan(),
        Scalar::F32(x) => x.is_nan(),
        Scalar::F64(x) => x.is_nan(),
        Scalar::Bool(_) | Scalar::U8(_) | Scalar::I32(_) | Scalar::I64(_) => false,
    }
}

/// Equal bits, or both NaN: what "the same result" means throughout.
pub fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype() == b.dtype() && is_nan(a) && is_nan(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maximum_keeps_a_nan_and_the_first_of_equals() {
        let f = Scalar::F32;
        assert!(is_nan(binary(BinaryOp::Maximum, f(f32::NAN), f(1.0))));
        assert_eq!(binary(BinaryOp::Maximum, f(1.0), f(f32::NAN)).bits(), f(f32::NAN).bits());
        assert_eq!(binary(BinaryOp::Maximum, f(0.0), f(-0.0)), f(0.0));
        assert_eq!(binary(BinaryOp::Minimum, f(-0.0), f(0.0)), f(-0.0));
    }

    #[test]
    fn extremes_propagate_nan_from_any_place() {
        for at in 0..3 {
            let mut x = [Scalar::F64(1.0); 3];
            x[at] = Scalar::F64(f64::NAN);
            assert!(is_nan(reduce(ReduceOp::Max, DType::F64, &x)));
            assert!(is_nan(reduce(ReduceOp::Min, DType::F64, &x)));
        }
    }

    #[test]
    fn sums_have_an_order_and_only_one_of_one_element_is_negative_zero() {
        assert_eq!(reduce(ReduceOp::Sum, DType::F32, &[]), Scalar::F32(0.0));
        assert_eq!(reduce(ReduceOp::Sum, DType::F32, &[Scalar::F32(-0.0)]), Scalar::F32(-0.0));
        assert_eq!(reduce(ReduceOp::Sum, DType::F32, &[Scalar::F32(-0.0); 2]), Scalar::F32(0.0));
        // 0 and 16 share a lane, 0 and 1 do not.
        let mut x = vec![Scalar::F64(0.0); 17];
        (x[0], x[1], x[16]) = (Scalar::F64(1e300), Scalar::F64(1.0), Scalar::F64(-1e300));
        assert_eq!(reduce(ReduceOp::Sum, DType::F64, &x), Scalar::F64(1.0));
        // Five blocks: ((0 + 1) + (2 + 3)), then the fourth level's value + the last.
        let x: Vec<Scalar> = (0..5 * BLOCK).map(|i| Scalar::I64((i / BLOCK) as i64)).collect();
        assert_eq!(reduce(ReduceOp::Sum, DType::I64, &x), Scalar::I64(10 * BLOCK as i64));
        let blocks = [1e16, 1.0, -1e16, 1.0, 3.0];
        let x: Vec<Scalar> =
            (0..5 * BLOCK).map(|i| Scalar::F64(if i % BLOCK == 0 { blocks[i / BLOCK] } else { -0.0 })).collect();
        let sum = ((blocks[0] + blocks[1]) + (blocks[2] + blocks[3])) + blocks[4];
        assert_eq!(reduce(ReduceOp::Sum, DType::F64, &x), Scalar::F64(sum));
    }

    #[test]
    fn casts_truncate_and_saturate() {
        assert_eq!(cast(Scalar::F32(-1.9), DType::I64), Scalar::I64(-1));
        assert_eq!(cast(Scalar::F64(1e300), DType::I64), Scalar::I64(i64::MAX));
        assert_eq!(cast(Scalar::F64(f64::NAN), DType::I64), Scalar::I64(0));
        assert_eq!(cast(Scalar::F64(f64::NAN), DType::Bool), Scalar::Bool(true));
    }

    #[test]
    fn integers_wrap() {
        assert_eq!(binary(BinaryOp::Add, Scalar::I64(i64::MAX), Scalar::I64(1)), Scalar::I64(i64::MIN));
        assert_eq!(unary(UnaryOp::Abs, Scalar::I64(i64::MIN)), Scalar::I64(i64::MIN));
    }
}
