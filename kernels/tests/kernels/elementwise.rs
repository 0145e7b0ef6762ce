//! Elementwise operations: every op and type, any layout, against Rust's own operators.

use crate::common::*;
use allotrope_ir::{DType, Scalar, element};
use allotrope_kernels::{BinaryOp, CastTo, CompareOp, Element, UnaryOp, binary, cast, compare, select, unary};
use half::{bf16, f16};

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
        check_binary::<$t>(BinaryOp::Maximum, |a, b| if b > a || b.is_nan() { b } else { a });
        check_binary::<$t>(BinaryOp::Minimum, |a, b| if b < a || b.is_nan() { b } else { a });
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
    for op in [BinaryOp::Pow, BinaryOp::Atan2] {
        check_binary::<f64>(op, |a, b| {
            let mut out = [0.0];
            binary(op, Array::dense(vec![a], &[1]).view(), Array::dense(vec![b], &[1]).view(), &mut out);
            out[0]
        });
        check_binary::<f32>(op, |a, b| {
            let mut out = [0.0];
            binary(op, Array::dense(vec![a], &[1]).view(), Array::dense(vec![b], &[1]).view(), &mut out);
            out[0]
        });
    }
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
    check_compare::<u8>();
    check_compare::<i32>();
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
    check_unary::<f32>(UnaryOp::Floor, f32::floor);
    check_unary::<f32>(UnaryOp::Ceil, f32::ceil);
    check_unary::<f32>(UnaryOp::Round, f32::round_ties_even);
    check_unary::<f32>(UnaryOp::Trunc, f32::trunc);
    check_unary::<f64>(UnaryOp::Floor, f64::floor);
    check_unary::<f64>(UnaryOp::Ceil, f64::ceil);
    check_unary::<f64>(UnaryOp::Round, f64::round_ties_even);
    check_unary::<f64>(UnaryOp::Trunc, f64::trunc);
    for op in UnaryOp::ALL.iter().copied().filter(|op| !op.is_exact()) {
        check_unary::<f32>(op, |x| {
            let mut out = [0.0];
            unary(op, Array::dense(vec![x], &[]).view(), &mut out);
            out[0]
        });
        check_unary::<f64>(op, |x| {
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
    check_select::<u8>();
    check_select::<i32>();
    check_select::<f16>();
    check_select::<bf16>();
}

/// An element as the interpreter's.
trait ToScalar: Element + Sample + Bits {
    const DTYPE: DType;
    fn scalar(self) -> Scalar;
}
macro_rules! to_scalars {
    ($($t:ident: $variant:ident),+) => {$( impl ToScalar for $t {
        const DTYPE: DType = DType::$variant;
        fn scalar(self) -> Scalar {
            Scalar::$variant(self)
        }
    } )+};
}
to_scalars!(bool: Bool, u8: U8, i32: I32, i64: I64, f16: F16, bf16: BF16, f32: F32, f64: F64);

/// Bits as [`Bits`] has them, all NaN being one.
fn scalar_bits(x: Scalar) -> u64 {
    match x {
        Scalar::F16(x) => x.bits(),
        Scalar::BF16(x) => x.bits(),
        Scalar::F32(x) => x.bits(),
        Scalar::F64(x) => x.bits(),
        Scalar::I32(x) => x.bits(),
        x => x.bits(),
    }
}

fn check_cast<S: ToScalar + CastTo<D>, D: ToScalar>() {
    let mut g = Lcg(9);
    for round in 0..30 {
        // More elements than are converted at a time.
        let shape = if round == 0 { vec![3, 700] } else { random_shape(&mut g) };
        let mut x = Array::<S>::random(&mut g, &shape, if round % 2 == 0 { S::odd } else { S::plain });
        if round == 1 {
            x = Array { strides: vec![0; shape.len()], ..x };
        }
        let got = at_each_level(|| {
            let mut out = vec![D::default(); shape.iter().product()];
            cast::<S, D>(x.view(), &mut out);
            bits(&out)
        });
        let want = x.elements().into_iter().map(|x| scalar_bits(element::cast(x.scalar(), D::DTYPE)));
        assert_eq!(got, want.collect::<Vec<u64>>(), "{} to {}: {x:?}", S::DTYPE, D::DTYPE);
    }
}

macro_rules! check_casts {
    ($($s:ident),+) => {$(
        check_cast::<$s, bool>();
        check_cast::<$s, u8>();
        check_cast::<$s, i32>();
        check_cast::<$s, i64>();
        check_cast::<$s, f16>();
        check_cast::<$s, bf16>();
        check_cast::<$s, f32>();
        check_cast::<$s, f64>();
    )+};
}

#[test]
fn casts_are_the_interpreters() {
    check_casts!(bool, u8, i32, i64, f16, bf16, f32, f64);
    let mut out = [7i64; 4];
    let x = [f32::NAN, f32::INFINITY, -1e30, 2.9];
    cast::<f32, i64>(Array::dense(x.to_vec(), &[4]).view(), &mut out);
    assert_eq!(out, [0, i64::MAX, i64::MIN, 2]);
    let mut out = [7u8; 4];
    cast::<f64, u8>(Array::dense(vec![-1.5, 256.9, f64::INFINITY, f64::NAN], &[4]).view(), &mut out);
    assert_eq!(out, [255, 0, 255, 0]);
}

#[test]
fn halves_round_to_nearest_even() {
    let wide: Vec<f32> =
        (0..=u32::MAX).step_by(70_001).chain((0..0x1_0000).map(|i| i << 16 | 0x8000)).map(f32::from_bits).collect();
    let all: Vec<u16> = (0..=u16::MAX).collect();
    at_each_level(|| {
        let (n, bf) = (wide.len(), Array::dense(wide.clone(), &[wide.len()]));
        let mut narrow = vec![bf16::ZERO; n];
        cast(bf.view(), &mut narrow);
        assert!(bits(&narrow) == wide.iter().map(|&x| bf16::from_f32(x).bits()).collect::<Vec<_>>());
        let mut narrow = vec![f16::ZERO; n];
        cast(bf.view(), &mut narrow);
        assert!(bits(&narrow) == wide.iter().map(|&x| f16::from_f32(x).bits()).collect::<Vec<_>>());
        let mut back = vec![0f32; all.len()];
        cast(Array::dense(all.iter().map(|&b| bf16::from_bits(b)).collect(), &[all.len()]).view(), &mut back);
        assert!(bits(&back) == all.iter().map(|&b| bf16::from_bits(b).to_f32().bits()).collect::<Vec<_>>());
        cast(Array::dense(all.iter().map(|&b| f16::from_bits(b)).collect(), &[all.len()]).view(), &mut back);
        assert!(bits(&back) == all.iter().map(|&b| f16::from_bits(b).to_f32().bits()).collect::<Vec<_>>());
    });
}

fn check_int_ops<T: ToScalar>() {
    use BinaryOp::*;
    for op in [Add, Sub, Mul, Maximum, Minimum, And, Or, Xor, Rem, Quotient, Pow] {
        check_binary::<T>(op, |a, b| {
            let mut out = [T::default()];
            binary(op, Array::dense(vec![a], &[]).view(), Array::dense(vec![b], &[]).view(), &mut out);
            assert_eq!(out[0].bits(), scalar_bits(element::binary(op, a.scalar(), b.scalar())), "{op:?} {a:?} {b:?}");
            out[0]
        });
    }
    for op in [UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Not] {
        check_unary::<T>(op, |x| {
            let mut out = [T::default()];
            unary(op, Array::dense(vec![x], &[]).view(), &mut out);
            assert_eq!(out[0].bits(), scalar_bits(element::unary(op, x.scalar())), "{op:?} {x:?}");
            out[0]
        });
    }
}

#[test]
fn integers_are_the_interpreters() {
    check_int_ops::<u8>();
    check_int_ops::<i32>();
    check_int_ops::<i64>();
    let all: Vec<u8> = (0..=255).collect();
    for b in 0..=255u8 {
        let (x, y) = (Array::dense(all.clone(), &[256]), Array { strides: vec![0], ..Array::dense(vec![b], &[256]) });
        for op in [BinaryOp::Rem, BinaryOp::Quotient, BinaryOp::Pow] {
            let mut out = [0u8; 256];
            binary(op, x.view(), y.view(), &mut out);
            for (a, got) in all.iter().zip(out) {
                assert_eq!(Scalar::U8(got), element::binary(op, Scalar::U8(*a), Scalar::U8(b)), "{op:?} {a} {b}");
            }
        }
    }
    let ends = [i64::MIN, i64::MIN + 1, -3, -2, -1, 0, 1, 2, 3, 62, 63, 64, 65, i64::MAX];
    for a in ends {
        for b in ends {
            for op in [BinaryOp::Rem, BinaryOp::Quotient, BinaryOp::Pow] {
                let mut out = [0i64];
                binary(op, Array::dense(vec![a], &[]).view(), Array::dense(vec![b], &[]).view(), &mut out);
                assert_eq!(Scalar::I64(out[0]), element::binary(op, Scalar::I64(a), Scalar::I64(b)), "{op:?} {a} {b}");
            }
        }
    }
}

#[test]
fn remainders_of_floats_are_exact() {
    check_binary::<f32>(BinaryOp::Rem, |a, b| a % b);
    check_binary::<f64>(BinaryOp::Rem, |a, b| a % b);
    // Operands of like and of unlike size, whole multiples and their neighbours.
    let mut g = Lcg(77);
    let (mut a, mut b) = (vec![], vec![]);
    for i in 0..200_000 {
        let y = f32::from_bits(g.next() as u32);
        let factor = f32::from_bits((127 + g.below(34) as u32) << 23 | g.below(1 << 23) as u32);
        let x = match i % 4 {
            0 => y * factor,
            1 => f32::from_bits((y * factor.round()).to_bits().wrapping_add(g.below(3) as u32).wrapping_sub(1)),
            2 => y / factor,
            _ => f32::from_bits(g.next() as u32),
        };
        a.push(x);
        b.push(y);
    }
    let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a % b).collect();
    let (a, b) = (Array::dense(a, &[200_000]), Array::dense(b, &[200_000]));
    at_each_level(|| {
        let mut out = vec![0f32; 200_000];
        binary(BinaryOp::Rem, a.view(), b.view(), &mut out);
        for i in 0..out.len() {
            assert_eq!(out[i].bits(), want[i].bits(), "{:e} % {:e}: {:e}", a.data[i], b.data[i], out[i]);
        }
    });
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
        ("Neg", Box::new(|| unary(UnaryOp::Neg, Array::dense(vec![f16::ONE], &[1]).view(), &mut [f16::ONE]))),
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
