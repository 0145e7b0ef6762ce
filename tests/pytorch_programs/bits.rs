//! The elements of a tensor as their bits: what the record of a program holds, and what a tensor has. Which differences
//! between two of them count is said here too.

use allotrope::{DType, Tensor};
use half::{bf16, f16};

/// Elements in row-major order, as little-endian bytes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bits(pub Vec<u8>);

/// Bytes of an element.
pub fn width(dtype: DType) -> usize {
    match dtype {
        DType::Bool | DType::U8 => 1,
        DType::F16 | DType::BF16 => 2,
        DType::F32 | DType::I32 => 4,
        DType::F64 | DType::I64 => 8,
    }
}

/// The short name of a dtype in the record.
pub fn dtype(name: &str) -> DType {
    let all = [DType::F32, DType::F64, DType::I64, DType::I32, DType::U8, DType::Bool, DType::F16, DType::BF16];
    all.into_iter().find(|d| d.to_string() == name).unwrap_or_else(|| panic!("no dtype {name}"))
}

impl Bits {
    /// Reads base64.
    pub fn read(text: &str) -> Bits {
        let value = |c: u8| match c {
            b'A'..=b'Z' => u32::from(c - b'A'),
            b'a'..=b'z' => u32::from(c - b'a') + 26,
            b'0'..=b'9' => u32::from(c - b'0') + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("no base64: {}", char::from(other)),
        };
        let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
        for four in text.trim_end_matches('=').as_bytes().chunks(4) {
            let bits = four.iter().fold(0, |sum, &c| sum << 6 | value(c)) << (6 * (4 - four.len()));
            bytes.extend(&bits.to_be_bytes()[1..four.len()]);
        }
        Bits(bytes)
    }

    /// The elements of a tensor.
    pub fn of(t: &Tensor) -> Bits {
        macro_rules! bytes {
            ($t:ty) => {
                t.to_vec::<$t>().iter().flat_map(|x| x.to_le_bytes()).collect()
            };
        }
        Bits(match t.dtype() {
            DType::F32 => bytes!(f32),
            DType::F64 => bytes!(f64),
            DType::I64 => bytes!(i64),
            DType::I32 => bytes!(i32),
            DType::U8 => bytes!(u8),
            DType::F16 => bytes!(f16),
            DType::BF16 => bytes!(bf16),
            DType::Bool => t.to_vec::<bool>().into_iter().map(u8::from).collect(),
        })
    }

    /// A new tensor with these elements.
    pub fn tensor(&self, dtype: DType, shape: &[usize]) -> Tensor {
        macro_rules! tensor {
            ($t:ty) => {{
                let elements: Vec<$t> = self.0.as_chunks().0.iter().map(|&b| <$t>::from_le_bytes(b)).collect();
                Tensor::from_vec(elements, shape)
            }};
        }
        match dtype {
            DType::F32 => tensor!(f32),
            DType::F64 => tensor!(f64),
            DType::I64 => tensor!(i64),
            DType::I32 => tensor!(i32),
            DType::U8 => tensor!(u8),
            DType::F16 => tensor!(f16),
            DType::BF16 => tensor!(bf16),
            DType::Bool => Tensor::from_vec(self.0.iter().map(|&b| b != 0).collect::<Vec<bool>>(), shape),
        }
    }

    /// The elements as numbers.
    pub fn numbers(&self, dtype: DType) -> Vec<f64> {
        macro_rules! numbers {
            ($t:ty, $to:expr) => {
                self.0.as_chunks().0.iter().map(|&b| $to(<$t>::from_le_bytes(b))).collect()
            };
        }
        match dtype {
            DType::F32 => numbers!(f32, f64::from),
            DType::F64 => numbers!(f64, f64::from),
            DType::I64 => numbers!(i64, |x| x as f64),
            DType::I32 => numbers!(i32, f64::from),
            DType::U8 => numbers!(u8, f64::from),
            DType::F16 => numbers!(f16, f16::to_f64),
            DType::BF16 => numbers!(bf16, bf16::to_f64),
            DType::Bool => self.0.iter().map(|&b| f64::from(b)).collect(),
        }
    }

    /// The largest of the finite elements, without their signs.
    pub fn scale(&self, dtype: DType) -> f64 {
        self.numbers(dtype).into_iter().filter(|x| x.is_finite()).fold(0.0, |m, x| m.max(x.abs()))
    }
}

/// Whether the two differ in nothing but signs of zeros, where they differ.
pub fn only_signs(dtype: DType, got: &Bits, want: &Bits) -> bool {
    let unsigned = |b: &Bits| {
        let size = width(dtype);
        let mut b = b.clone();
        for (i, x) in b.numbers(dtype).into_iter().enumerate() {
            if x == 0.0 {
                b.0[i * size..(i + 1) * size].fill(0);
            }
        }
        b
    };
    dtype.is_float() && difference(dtype, &unsigned(got), &unsigned(want), 1.0, 1.0).is_none()
}

/// How far an element may be from the recorded one: `atol + rtol * |want|`, PyTorch's own default of each dtype; integers
/// and bools are equal.
pub fn tolerance(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F64 => (1e-7, 1e-7),
        DType::F32 => (1.3e-6, 1e-5),
        DType::F16 => (1e-3, 1e-5),
        DType::BF16 => (1.6e-2, 1e-5),
        DType::I64 | DType::I32 | DType::U8 | DType::Bool => (0.0, 0.0),
    }
}

/// The first difference, in words. `scale` is the size of the numbers that the elements were computed from, `factor` makes
/// the tolerance wider. A zero of the other sign is a difference.
pub fn difference(dtype: DType, got: &Bits, want: &Bits, scale: f64, factor: f64) -> Option<String> {
    if got == want {
        return None;
    }
    let (a, b) = (got.numbers(dtype), want.numbers(dtype));
    if a.len() != b.len() {
        return Some(format!("{} elements, wanted {}", a.len(), b.len()));
    }
    let (rtol, atol) = tolerance(dtype);
    let (rtol, atol) = (rtol * factor, (atol.max(rtol * scale)) * factor);
    let same = |a: f64, b: f64| {
        if a.is_nan() || b.is_nan() {
            return a.is_nan() && b.is_nan();
        }
        if a == 0.0 && b == 0.0 {
            return a.is_sign_negative() == b.is_sign_negative();
        }
        a == b || (a.is_finite() && b.is_finite() && (a - b).abs() <= atol + rtol * b.abs())
    };
    let is_integer = !dtype.is_float();
    let (size, n) = (width(dtype), a.len());
    let wrong = |i: &usize| match is_integer {
        true => got.0[i * size..(i + 1) * size] != want.0[i * size..(i + 1) * size],
        false => !same(a[*i], b[*i]),
    };
    let first = (0..n).find(wrong)?;
    let count = (0..n).filter(wrong).count();
    Some(format!("element {first} is {:?}, wanted {:?} ({count} of {n} differ)", a[first], b[first]))
}
