//! How single elements print: one format for all that are shown, found by PyTorch's rules. It never sees a shape.

use super::PrintOptions;
use allotrope_ir::{DType, Scalar};

/// The dtype as PyTorch prints it.
pub(super) fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "torch.bool",
        DType::U8 => "torch.uint8",
        DType::I32 => "torch.int32",
        DType::I64 => "torch.int64",
        DType::F16 => "torch.float16",
        DType::BF16 => "torch.bfloat16",
        DType::F32 => "torch.float32",
        DType::F64 => "torch.float64",
    }
}

/// An element as what it prints by.
enum Shown {
    Float(f64),
    Word(String),
}

fn shown(s: Scalar) -> Shown {
    match s {
        Scalar::Bool(true) => Shown::Word("True".into()),
        Scalar::Bool(false) => Shown::Word("False".into()),
        Scalar::U8(i) => Shown::Word(i.to_string()),
        Scalar::I32(i) => Shown::Word(i.to_string()),
        Scalar::I64(i) => Shown::Word(i.to_string()),
        Scalar::F16(x) => Shown::Float(x.to_f64()),
        Scalar::BF16(x) => Shown::Float(x.to_f64()),
        Scalar::F32(x) => Shown::Float(f64::from(x)),
        Scalar::F64(x) => Shown::Float(x),
    }
}

#[derive(Copy, Clone, PartialEq)]
enum Notation {
    /// Whole numbers with a point behind them.
    Whole,
    Fixed,
    Scientific,
}

/// The format that all elements of one tensor share.
pub(super) struct Formatter {
    notation: Notation,
    precision: usize,
    width: usize,
}

impl Formatter {
    /// The format for these elements, which are those that will be shown.
    pub(super) fn new(elements: &[Scalar], options: &PrintOptions) -> Formatter {
        let mut formatter = Formatter { notation: Notation::Whole, precision: options.precision, width: 1 };
        let mut floats = Vec::new();
        for element in elements {
            match shown(*element) {
                // Zeros and what is not finite have no say in the format, nor in the width.
                Shown::Float(x) if x.is_finite() && x != 0.0 => floats.push(x),
                Shown::Float(_) => {}
                Shown::Word(word) => formatter.width = formatter.width.max(word.len()),
            }
        }
        if floats.is_empty() {
            return formatter;
        }
        let low = floats.iter().fold(f64::INFINITY, |m, x| m.min(x.abs()));
        let high = floats.iter().fold(0f64, |m, x| m.max(x.abs()));
        let far_apart = high / low > 1000.0 || high > 1e8 || low < 1e-4;
        formatter.notation = if options.sci_mode.unwrap_or(far_apart) {
            Notation::Scientific
        } else if floats.iter().all(|x| x.fract() == 0.0) {
            Notation::Whole
        } else {
            Notation::Fixed
        };
        formatter.width = floats.iter().map(|x| formatter.float(*x).len()).max().unwrap_or(1).max(1);
        formatter
    }

    /// Characters of an element, unless zeros or what is not finite needs more.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn format(&self, element: Scalar) -> String {
        let text = match shown(element) {
            Shown::Float(x) => self.float(x),
            Shown::Word(word) => word,
        };
        format!("{text:>width$}", width = self.width)
    }

    fn float(&self, x: f64) -> String {
        let precision = self.precision;
        match self.notation {
            _ if x.is_nan() => "nan".into(),
            _ if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
            Notation::Whole => format!("{x:.0}."),
            Notation::Fixed => format!("{x:.precision$}"),
            Notation::Scientific => {
                let text = format!("{x:.precision$e}");
                let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent");
                let exponent: i32 = exponent.parse().expect("an exponent is a number");
                let sign = if exponent < 0 { '-' } else { '+' };
                format!("{mantissa}e{sign}{:02}", exponent.abs())
            }
        }
    }
}
