//! Elementwise operations: every op and type, any layout, against Rust's own operators.

use crate::common::*;
use allotrope_kernels::{BinaryOp, CompareOp, Element, UnaryOp, binary, cast, compare, select, unary};

const COMPARE: [CompareOp; 6] =
    [CompareOp::Eq, CompareOp::Ne, CompareOp::Lt, CompareOp::Le, CompareOp::Gt, CompareOp::Ge];

fn check_binary<T: Element + Sample + Bits>(op: BinaryOp, expected: impl Fn(T, T) -> T) {
    let mut g = Lcg(op as u64 + 1);
    for round in 0..60 {
        let shape = if round < 20 { vec![round] } else { random_shape(&mut g) };
        let (a, b) = (Array::random(&mut g, &shape, T::odd), Array::random(&mut g, &shape, T::odd));
        let got = at_each_level(|| {
            let mut out = vec![T::default(); shape.iter().product()];
            binary(op, a.view(), b.view(), &mut out);
            bits(&out)
        });
        let want: Vec<T> = a.elements().into_iter().zip(b.elements()).map(|(a, b)| expected(a, b)).collect();
        assert_eq!(got, bits(&want), "{op:?} {a:?} {b:?}");
    }
}

macro_rules! check_floats {
    ($t:ty) => {
        check_binary::<$t>(BinaryOp::Add, |a, b| a + b);
        check_binary::<$t>(BinaryOp::Sub, |a, b| a - b);
        check_binary::<$t>(BinaryOp::Mul, |a, b| a * b);
        check_binary::<$t>(BinaryOp::Div, |a, b| a / b);
        check_binary::<$t>(BinaryOp::Maximum, |a, b| if a > b || a.is_nan() { a } else { b });
        check_binary::<$t>(BinaryOp::Minimum, |a, b| if a < b || a.is_nan() { a } else { b });
    };
}

#[test]
fn binary_matches_the_operators() {
    check_floats!(f32);
    check_floats!(f64);
    check_binary::<i64>(BinaryOp::Add, |a, b| a.wrapping_add(b));
    check_binary::<i64>(BinaryOp::Sub, |a, b| a.wrapping_sub(b));
    check_binary::<i64>(BinaryOp::Mul, |a, b| a.wrapping_mul(b));
    check_binary::<i64>(BinaryOp::Maximum, |a, b| a.max(b));
    check_binary::<i64>(BinaryOp::Minimum, |a, b| a.min(b));
    check_binary::<i64>(BinaryOp::And, |a, b| a & b);
    check_binary::<i64>(BinaryOp::Or, |a, b| a | b);
    check_binary::<i64>(BinaryOp::Xor, |a, b| a ^ b);
    check_binary::<bool>(BinaryOp::And, |a, b| a & b);
    check_binary::<bool>(BinaryOp::Or, |a, b| a | b);
    check_binary::<bool>(BinaryOp::Xor, |a, b| a ^ b);
    check_binary::<bool>(BinaryOp::Maximum, |a, b| a | b);
    check_binary::<bool>(BinaryOp::Minimum, |a, b| a & b);
}

#[test]
fn pow_of_any_layout_is_pow_of_the_elements() {
    check_binary::<f64>(BinaryOp::Pow, libm::pow);
    check_binary::<f32>(BinaryOp::Pow, |a, b| {
        let mut out = [0.0];
        binary(BinaryOp::Pow, Array::dense(vec![a], &[1]).view(), Array::dense(vec![b], &[1]).view(), &mut out);
        out[0]
    });
}

fn check_compare<T: Element + Sample + Bits + PartialOrd>() {
    for op in COMPARE {
        let mut g = Lcg(op as u64 + 100);
        for round in 0..40 {
            let shape = if round < 20 { vec![round * 3] } else { random_shape(&mut g) };
            let (a, b) = (Array::random(&mut g, &shape, T::odd), Array::random(&mut g, &shape, T::odd));
            let got = at_each_level(|| {
                let mut out = vec![false; shape.iter().product()];
                compare(op, a.view(), b.view(), &mut out);
                out
            });
            let want: Vec<bool> = a
                .elements()
                .into_iter()
                .zip(b.elements())
                .map(|(a, b)| match op {
                    CompareOp::Eq => a == b,
                    CompareOp::Ne => a != b,
                    CompareOp::Lt => a < b,
                    CompareOp::Le => a <= b,
                    CompareOp::Gt => a > b,
                    CompareOp::Ge => a >= b,
                })
                .collect();
            assert_eq!(got, want, "{op:?}");
        }
    }
}

#[test]
fn compare_matches_the_operators() {
    check_compare::<f32>();
    check_compare::<f64>();
    check_compare::<i64>();
    check_compare::<bool>();
}

fn check_unary<T: Element + Sample + Bits>(op: UnaryOp, expected: impl Fn(T) -> T) {
    let mut g = Lcg(op as u64 + 7);
    for round in 0..40 {
        let shape = if round < 20 { vec![round * 2] } else { random_shape(&mut g) };
        let x = Array::random(&mut g, &shape, T::odd);
        let got = at_each_level(|| {
            let mut out = vec![T::default(); shape.iter().product()];
            unary(op, x.view(), &mut out);
            bits(&out)
        });
        let want: Vec<T> = x.elements().into_iter().map(&expected).collect();
        assert_eq!(got, bits(&want), "{op:?}");
    }
}

#[test]
fn unary_matches_the_operators() {
    check_unary::<f32>(UnaryOp::Neg, |x| -x);
    check_unary::<f64>(UnaryOp::Neg, |x| -x);
    check_unary::<i64>(UnaryOp::Neg, i64::wrapping_neg);
    check_unary::<f32>(UnaryOp::Abs, f32::abs);
    check_unary::<f64>(UnaryOp::Abs, f64::abs);
    check_unary::<i64>(UnaryOp::Abs, i64::wrapping_abs);
    check_unary::<f32>(UnaryOp::Sqrt, f32::sqrt);
    check_unary::<f64>(UnaryOp::Sqrt, f64::sqrt);
    check_unary::<bool>(UnaryOp::Not, |x| !x);
    check_unary::<i64>(UnaryOp::Not, |x| !x);
    check_unary::<f64>(UnaryOp::Exp, libm::exp);
    check_unary::<f64>(UnaryOp::Log, libm::log);
    check_unary::<f64>(UnaryOp::Sin, libm::sin);
    check_unary::<f64>(UnaryOp::Cos, libm::cos);
    check_unary::<f64>(UnaryOp::Tanh, libm::tanh);
    for op in [UnaryOp::Exp, UnaryOp::Log, UnaryOp::Sin, UnaryOp::Cos, UnaryOp::Tanh] {
        check_unary::<f32>(op, |x| {
            let mut out = [0.0];
            unary(op, Array::dense(vec![x], &[]).view(), &mut out);
            out[0]
        });
    }
}

fn check_select<T: Element + Sample + Bits>() {
    let mut g = Lcg(5);
    for round in 0..60 {
        let shape = if round < 20 { vec![round * 2] } else { random_shape(&mut g) };
        let cond = Array::random(&mut g, &shape, bool::plain);
        let (a, b) = (Array::random(&mut g, &shape, T::odd), Array::random(&mut g, &shape, T::odd));
        let got = at_each_level(|| {
            let mut out = vec![T::default(); shape.iter().product()];
            select(cond.view(), a.view(), b.view(), &mut out);
            bits(&out)
        });
        let want: Vec<T> = indices(&shape).iter().map(|i| if cond.at(i) { a.at(i) } else { b.at(i) }).collect();
        assert_eq!(got, bits(&want));
    }
}

#[test]
fn select_takes_one_of_two() {
    check_select::<f32>();
    check_select::<f64>();
    check_select::<i64>();
    check_select::<bool>();
}

macro_rules! check_cast {
    ($s:ty => $d:ty: $f:expr) => {{
        let mut g = Lcg(9);
        let expected: fn($s) -> $d = $f;
        for _ in 0..40 {
            let shape = random_shape(&mut g);
            let x = Array::<$s>::random(&mut g, &shape, <$s>::odd);
            let got = at_each_level(|| {
                let mut out = vec![<$d>::default(); shape.iter().product()];
                cast::<$s, $d>(x.view(), &mut out);
                bits(&out)
            });
            let want: Vec<$d> = x.elements().into_iter().map(expected).collect();
            assert_eq!(got, bits(&want));
        }
    }};
}

#[test]
fn cast_is_rusts_as() {
    check_cast!(f32 => f64: |x| x as f64);
    check_cast!(f32 => i64: |x| x as i64);
    check_cast!(f32 => bool: |x| x != 0.0);
    check_cast!(f64 => f32: |x| x as f32);
    check_cast!(f64 => i64: |x| x as i64);
    check_cast!(f64 => bool: |x| x != 0.0);
    check_cast!(i64 => f32: |x| x as f32);
    check_cast!(i64 => f64: |x| x as f64);
    check_cast!(i64 => bool: |x| x != 0);
    check_cast!(bool => f32: |x| x as u8 as f32);
    check_cast!(bool => f64: |x| x as u8 as f64);
    check_cast!(bool => i64: |x| x as i64);
    check_cast!(f32 => f32: |x| x);
    let mut out = [7i64; 4];
    let x = [f32::NAN, f32::INFINITY, -1e30, 2.9];
    cast::<f32, i64>(Array::dense(x.to_vec(), &[4]).view(), &mut out);
    assert_eq!(out, [0, i64::MAX, i64::MIN, 2]);
}

#[test]
fn undefined_operations_say_whose_bug_it_is() {
    type Call = Box<dyn FnOnce() + std::panic::UnwindSafe>;
    let undefined: Vec<(&str, Call)> = vec![
        (
            "Div",
            Box::new(|| {
                let a = Array::dense(vec![1i64], &[1]);
                binary(BinaryOp::Div, a.view(), a.view(), &mut [0]);
            }),
        ),
        ("Exp", Box::new(|| unary(UnaryOp::Exp, Array::dense(vec![1i64], &[1]).view(), &mut [0]))),
        (
            "And",
            Box::new(|| {
                let a = Array::dense(vec![1f32], &[1]);
                binary(BinaryOp::And, a.view(), a.view(), &mut [0.0]);
            }),
        ),
        (
            "differ",
            Box::new(|| {
                let (a, b) = (Array::dense(vec![1f32], &[1]), Array::dense(vec![1f32, 2.0], &[2]));
                binary(BinaryOp::Add, a.view(), b.view(), &mut [0.0]);
            }),
        ),
    ];
    for (word, f) in undefined {
        let panic = std::panic::catch_unwind(f).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.starts_with("bug in allotrope") && text.contains(word), "{text}");
    }
}
