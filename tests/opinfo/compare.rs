//! When two results are the same: within PyTorch's tolerance of the expected values, or to the bit.

use crate::corpus::{Data, Host};

/// How far a float may be from the expected one: `atol + rtol * |want|`.
#[derive(Clone, Copy)]
pub struct Tolerance {
    rtol: f64,
    atol: f64,
}

/// Where PyTorch itself used more than a quarter of the allowance in float32, it is this many times as large.
const FACTORS: [(&str, f64); 8] = [
    ("baddbmm", 2.0),
    ("bmm", 5.0),
    ("matmul", 5.0),
    ("mm", 2.0),
    ("nn.functional.conv2d", 5.0),
    ("nn.functional.conv_transpose2d", 2.0),
    ("nn.functional.interpolate.bilinear", 2.0),
    ("nn.functional.scaled_dot_product_attention", 10.0),
];

/// The tolerance of an operator's results.
pub fn for_outputs(op: &str) -> Tolerance {
    let factor = FACTORS.iter().find(|(name, _)| *name == op).map_or(1.0, |(_, f)| *f);
    Tolerance { rtol: 1.3e-6 * factor, atol: 1e-5 * factor }
}

/// The tolerance of gradients.
pub const GRADIENTS: Tolerance = Tolerance { rtol: 1e-4, atol: 1e-4 };

impl Tolerance {
    fn holds(self, got: f64, want: f64) -> bool {
        if got.is_nan() || want.is_nan() {
            return got.is_nan() && want.is_nan();
        }
        got == want || (got.is_finite() && want.is_finite() && (got - want).abs() <= self.atol + self.rtol * want.abs())
    }
}

/// # Errors
/// The first difference, in words.
pub fn close(got: &Host, want: &Host, tolerance: Tolerance) -> Result<(), String> {
    if (got.dtype, &got.shape) != (want.dtype, &want.shape) {
        return Err(format!("got {}{:?}, wanted {}{:?}", got.dtype, got.shape, want.dtype, want.shape));
    }
    match (&got.data, &want.data) {
        (Data::Bool(a), Data::Bool(b)) => each(a, b, &got.shape, |a, b| a == b),
        (Data::I64(a), Data::I64(b)) => each(a, b, &got.shape, |a, b| a == b),
        (Data::F32(a), Data::F32(b)) => each(a, b, &got.shape, |&a, &b| tolerance.holds(a.into(), b.into())),
        (Data::F64(a), Data::F64(b)) => each(a, b, &got.shape, |&a, &b| tolerance.holds(a, b)),
        _ => Err("elements of two kinds".to_string()),
    }
}

/// # Errors
/// The first difference, in words. NaNs are equal, zeros of two signs are not.
pub fn same_bits(got: &Host, want: &Host) -> Result<(), String> {
    match (&got.data, &want.data) {
        (Data::F32(a), Data::F32(b)) if got.shape == want.shape => {
            each(a, b, &got.shape, |a, b| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        }
        (Data::F64(a), Data::F64(b)) if got.shape == want.shape => {
            each(a, b, &got.shape, |a, b| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        }
        _ => close(got, want, GRADIENTS),
    }
}

fn each<T: std::fmt::Debug>(
    got: &[T],
    want: &[T],
    shape: &[usize],
    same: impl Fn(&T, &T) -> bool,
) -> Result<(), String> {
    let mut wrong = got.iter().zip(want).enumerate().filter(|(_, (a, b))| !same(a, b));
    let Some((at, (a, b))) = wrong.next() else { return Ok(()) };
    let (mut rest, mut index) = (at, vec![0; shape.len()]);
    for (i, n) in index.iter_mut().zip(shape).rev() {
        (*i, rest) = (rest % n, rest / n);
    }
    let more = 1 + wrong.count();
    Err(format!("at {index:?} got {a:?}, wanted {b:?} ({more} of {} differ)", got.len()))
}
