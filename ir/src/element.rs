//! What each elementwise primitive means on one element: the definition that the interpreter and constant folding
//! share. Nothing here knows of shapes, and the functions that no standard rounds exactly (exp, tanh, …) are only
//! approximated: their bits belong to the kernels.

use crate::{BinaryOp, CompareOp, DType, ReduceOp, Scalar, UnaryOp};

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
    match (op, x) {
        (UnaryOp::Not, x) => Scalar::Bool(!bool_of(x)),
        (UnaryOp::Neg, Scalar::I64(x)) => Scalar::I64(x.wrapping_neg()),
        (UnaryOp::Neg, Scalar::F32(x)) => Scalar::F32(-x),
        (UnaryOp::Neg, Scalar::F64(x)) => Scalar::F64(-x),
        (UnaryOp::Abs, Scalar::I64(x)) => Scalar::I64(x.wrapping_abs()),
        (UnaryOp::Abs, Scalar::F32(x)) => Scalar::F32(x.abs()),
        (UnaryOp::Abs, Scalar::F64(x)) => Scalar::F64(x.abs()),
        (UnaryOp::Neg | UnaryOp::Abs, x) => mismatch(op.name(), &[x]),
        (UnaryOp::Sqrt, Scalar::F32(x)) => Scalar::F32(x.sqrt()),
        (UnaryOp::Sqrt, _) => float(f64::sqrt),
        (UnaryOp::Exp, _) => float(f64::exp),
        (UnaryOp::Log, _) => float(f64::ln),
        (UnaryOp::Sin, _) => float(f64::sin),
        (UnaryOp::Cos, _) => float(f64::cos),
        (UnaryOp::Tanh, _) => float(f64::tanh),
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
                    if a > b || a.is_nan() {
                        a
                    } else {
                        b
                    }
                }
                BinaryOp::Minimum => {
                    if a < b || a.is_nan() {
                        a
                    } else {
                        b
                    }
                }
                BinaryOp::Pow => (a as f64).powf(b as f64) as _,
                BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {
                    mismatch(op.name(), &[Scalar::$variant(a), Scalar::$variant(b)])
                }
            })
        }};
    }
    match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) => float!(F32, a, b),
        (Scalar::F64(a), Scalar::F64(b)) => float!(F64, a, b),
        (Scalar::I64(x), Scalar::I64(y)) => Scalar::I64(match op {
            BinaryOp::Add => x.wrapping_add(y),
            BinaryOp::Sub => x.wrapping_sub(y),
            BinaryOp::Mul => x.wrapping_mul(y),
            BinaryOp::Maximum => x.max(y),
            BinaryOp::Minimum => x.min(y),
            _ => mismatch(op.name(), &[a, b]),
        }),
        (Scalar::Bool(x), Scalar::Bool(y)) => Scalar::Bool(match op {
            BinaryOp::And => x && y,
            BinaryOp::Or => x || y,
            BinaryOp::Xor => x != y,
            _ => mismatch(op.name(), &[a, b]),
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

/// `x` as `dtype`: to an integer truncated and saturated, NaN to 0; to bool `x != 0`; else rounded to nearest even.
pub fn cast(x: Scalar, dtype: DType) -> Scalar {
    match (x, dtype) {
        (Scalar::Bool(x), DType::Bool) => Scalar::Bool(x),
        (Scalar::Bool(x), DType::I64) => Scalar::I64(x as i64),
        (Scalar::Bool(x), DType::F32) => Scalar::F32(x as i64 as f32),
        (Scalar::Bool(x), DType::F64) => Scalar::F64(x as i64 as f64),
        (Scalar::I64(x), DType::Bool) => Scalar::Bool(x != 0),
        (Scalar::I64(x), DType::I64) => Scalar::I64(x),
        (Scalar::I64(x), DType::F32) => Scalar::F32(x as f32),
        (Scalar::I64(x), DType::F64) => Scalar::F64(x as f64),
        (Scalar::F32(x), DType::Bool) => Scalar::Bool(x != 0.0),
        (Scalar::F32(x), DType::I64) => Scalar::I64(x as i64),
        (Scalar::F32(x), DType::F32) => Scalar::F32(x),
        (Scalar::F32(x), DType::F64) => Scalar::F64(x as f64),
        (Scalar::F64(x), DType::Bool) => Scalar::Bool(x != 0.0),
        (Scalar::F64(x), DType::I64) => Scalar::I64(x as i64),
        (Scalar::F64(x), DType::F32) => Scalar::F32(x as f32),
        (Scalar::F64(x), DType::F64) => Scalar::F64(x),
    }
}

/// `acc + a * b` with one rounding; integers wrap.
pub fn mul_add(acc: Scalar, a: Scalar, b: Scalar) -> Scalar {
    match (acc, a, b) {
        (Scalar::F32(acc), Scalar::F32(a), Scalar::F32(b)) => Scalar::F32(a.mul_add(b, acc)),
        (Scalar::F64(acc), Scalar::F64(a), Scalar::F64(b)) => Scalar::F64(a.mul_add(b, acc)),
        (Scalar::I64(acc), Scalar::I64(a), Scalar::I64(b)) => Scalar::I64(acc.wrapping_add(a.wrapping_mul(b))),
        _ => mismatch("mul_add", &[acc, a, b]),
    }
}

/// `op` over elements of one dtype; none for the extremes of nothing. A sum of floats is accumulated in f64 and
/// rounded once: near the library's sum, whose lanes are not repeated here.
pub fn reduce(op: ReduceOp, dtype: DType, elements: &[Scalar]) -> Option<Scalar> {
    let extreme =
        |better: BinaryOp| elements.iter().copied().reduce(|a, b| if is_nan(b) { b } else { binary(better, a, b) });
    match op {
        ReduceOp::Max => extreme(BinaryOp::Maximum),
        ReduceOp::Min => extreme(BinaryOp::Minimum),
        ReduceOp::Sum if dtype.is_float() => {
            let total: f64 = elements.iter().map(|x| float_of(*x)).fold(0.0, |a, b| a + b);
            Some(Scalar::from_f64(total, dtype))
        }
        ReduceOp::Sum => Some(elements.iter().fold(Scalar::I64(0), |a, b| binary(BinaryOp::Add, a, *b))),
    }
}

/// Whether it is a NaN of either float type.
pub fn is_nan(x: Scalar) -> bool {
    match x {
        Scalar::F32(x) => x.is_nan(),
        Scalar::F64(x) => x.is_nan(),
        Scalar::Bool(_) | Scalar::I64(_) => false,
    }
}

/// Equal bits, or both NaN: what "the same result" means throughout.
pub fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype() == b.dtype() && is_nan(a) && is_nan(b))
}

fn float_of(x: Scalar) -> f64 {
    match cast(x, DType::F64) {
        Scalar::F64(x) => x,
        _ => unreachable!("a cast to f64 gives f64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maximum_keeps_the_first_nan_and_the_second_of_equals() {
        let f = Scalar::F32;
        assert!(is_nan(binary(BinaryOp::Maximum, f(f32::NAN), f(1.0))));
        assert_eq!(binary(BinaryOp::Maximum, f(1.0), f(f32::NAN)).bits(), f(f32::NAN).bits());
        assert_eq!(binary(BinaryOp::Maximum, f(0.0), f(-0.0)), f(-0.0));
        assert_eq!(binary(BinaryOp::Minimum, f(-0.0), f(0.0)), f(0.0));
    }

    #[test]
    fn extremes_propagate_nan_from_any_place() {
        for at in 0..3 {
            let mut x = [Scalar::F64(1.0); 3];
            x[at] = Scalar::F64(f64::NAN);
            assert!(is_nan(reduce(ReduceOp::Max, DType::F64, &x).unwrap()));
            assert!(is_nan(reduce(ReduceOp::Min, DType::F64, &x).unwrap()));
        }
        assert_eq!(reduce(ReduceOp::Max, DType::F64, &[]), None);
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
