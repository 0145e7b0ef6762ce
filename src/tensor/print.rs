//! How a tensor prints. It reads elements and never changes any.

use super::{Body, FromElement, Tensor, eval};
use allotrope_ir::DType;
use std::fmt;

/// Elements shown at each end of an axis where a tensor has more than [`SUMMARISE`].
const EDGE: usize = 3;
/// Tensors of more elements are summarised.
const SUMMARISE: usize = 1000;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Body::Traced(_) = self.body() {
            return write!(f, "tensor(traced, {}{:?})", self.dtype(), self.shape_hint());
        }
        let elements: Vec<String> = match self.dtype() {
            DType::F32 => floats(&read::<f32>(self)?.into_iter().map(f64::from).collect::<Vec<_>>()),
            DType::F64 => floats(&read::<f64>(self)?),
            DType::U8 => read::<u8>(self)?.iter().map(u8::to_string).collect(),
            DType::I32 => read::<i32>(self)?.iter().map(i32::to_string).collect(),
            DType::I64 => read::<i64>(self)?.iter().map(i64::to_string).collect(),
            DType::F16 => floats(&read::<half::f16>(self)?.into_iter().map(f64::from).collect::<Vec<_>>()),
            DType::BF16 => floats(&read::<half::bf16>(self)?.into_iter().map(f64::from).collect::<Vec<_>>()),
            DType::Bool => read::<bool>(self)?.iter().map(|b| if *b { "True" } else { "False" }.to_string()).collect(),
        };
        let width = elements.iter().map(String::len).max().unwrap_or(0);
        f.write_str("tensor(")?;
        if self.dim() == 0 {
            f.write_str(&elements[0])?;
        } else {
            axis(f, &elements, self.shape_hint(), width, 8, elements.len() > SUMMARISE)?;
        }
        // The dtypes that the elements show by themselves are not named.
        let plain =
            matches!(self.dtype(), DType::F32 | DType::Bool) || (self.dtype() == DType::I64 && !elements.is_empty());
        if !plain {
            write!(f, ", dtype={}", self.dtype())?;
        }
        if let Some(edge) = self.grad_fn() {
            write!(f, ", grad_fn=<{}>", edge.node().name())?;
        } else if self.is_requires_grad() {
            f.write_str(", requires_grad=True")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn read<T: FromElement>(t: &Tensor) -> Result<Vec<T>, fmt::Error> {
    eval::elements(t).map_err(|_| fmt::Error)
}

/// Four digits, or scientific where the magnitudes are far apart, as PyTorch chooses.
fn floats(x: &[f64]) -> Vec<String> {
    let finite = || x.iter().filter(|v| v.is_finite() && **v != 0.0).map(|v| v.abs());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(0.0, f64::max));
    let whole = x.iter().all(|v| !v.is_finite() || v.fract() == 0.0);
    let scientific = high > 0.0 && (high / low > 1000.0 && !whole || high > 1e8 || low < 1e-4);
    x.iter()
        .map(|v| match (v.is_finite(), scientific, whole) {
            (false, ..) => if v.is_nan() {
                "nan"
            } else if *v > 0.0 {
                "inf"
            } else {
                "-inf"
            }
            .to_string(),
            (_, true, _) => exponent(*v),
            (_, _, true) => format!("{v:.0}."),
            _ => format!("{v:.4}"),
        })
        .collect()
}

/// `1.2346e-05`: two digits of exponent at least, with its sign.
fn exponent(v: f64) -> String {
    let s = format!("{v:.4e}");
    let (mantissa, e) = s.split_once('e').unwrap_or((&s, "0"));
    let e: i32 = e.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs())
}

fn axis(
    f: &mut fmt::Formatter<'_>,
    elements: &[String],
    shape: &[usize],
    width: usize,
    indent: usize,
    short: bool,
) -> fmt::Result {
    let (n, inner) = (shape[0], &shape[1..]);
    let stride: usize = inner.iter().product();
    f.write_str("[")?;
    let separator = match inner.len() {
        0 => ", ".to_string(),
        k => format!(",{}{}", "\n".repeat(k), " ".repeat(indent)),
    };
    let skip = short && n > 2 * EDGE;
    let mut first = true;
    for i in 0..n {
        if skip && (EDGE..n - EDGE).contains(&i) {
            if i == EDGE {
                write!(f, "{separator}...")?;
            }
            continue;
        }
        if !std::mem::take(&mut first) {
            f.write_str(&separator)?;
        }
        match inner.is_empty() {
            true => write!(f, "{:>width$}", elements[i])?,
            false => axis(f, &elements[i * stride..(i + 1) * stride], inner, width, indent + 1, short)?,
        }
    }
    f.write_str("]")
}
