//! How a tensor prints: to the character as PyTorch prints it. It reads the elements that are shown and never changes
//! any; a value of a trace has none yet, and prints as what is known of it.

mod elements;
mod options;

pub use options::{PrintOptions, print_options, set_print_options, with_print_options};

use crate::backend::cpu::host;
use crate::backend::element::with_type;
use crate::device::Device;
use crate::mode;
use crate::tensor::{FromElement, Strided, Tensor, eval};
use allotrope_ir::{DType, Scalar};
use elements::{Formatter, dtype_name};
use std::fmt;

/// Columns that `tensor(` takes.
const PREFIX: &str = "tensor(";

/// As `print(tensor)` in PyTorch; `{:.2}` sets the precision. Inside a trace no element is known, and
/// `tensor(..., size=(2, 3), traced)` says so.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = print_options();
        // More digits than any number has.
        options.precision = f.precision().unwrap_or(options.precision).min(1 << 12);
        let mut text = Text { out: PREFIX.into(), options, summarise: false };
        let mut suffixes = Vec::new();
        // A captured tensor may have been changed by the trace, and its elements be those of before.
        let strided = if mode::is_recording() { None } else { self.strided() };
        let empty = self.shape_hint().contains(&0);
        // The dtypes that the elements show by themselves are not named.
        let plain = match empty || strided.is_none() {
            true => self.dtype() == DType::F32,
            false => matches!(self.dtype(), DType::F32 | DType::I64 | DType::Bool),
        };
        let sized = match strided {
            None => true,
            Some(_) if empty => self.dim() != 1,
            Some(_) => options.edgeitems == 0,
        };
        if sized {
            suffixes.push(format!("size={}", tuple(self.shape_hint())));
        }
        if !plain {
            suffixes.push(format!("dtype={}", dtype_name(self.dtype())));
        }
        match strided {
            None => {
                text.out.push_str("...");
                suffixes.push("traced".into());
            }
            Some(_) if empty => text.out.push_str("[]"),
            Some(_) => {
                let here = eval::transferred(self, Device::Cpu).map_err(|_| fmt::Error)?;
                text.tensor(&here, eval::strided(&here).map_err(|_| fmt::Error)?);
            }
        }
        if self.device() != Device::Cpu {
            suffixes.push(format!("device='{}'", self.device()));
        }
        if let Some(edge) = self.grad_fn() {
            suffixes.push(format!("grad_fn=<{}>", edge.node().name()));
        } else if self.is_requires_grad() {
            suffixes.push("requires_grad=True".into());
        }
        text.suffixes(&suffixes);
        f.write_str(&text.out)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A shape as Python's tuple.
fn tuple(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    match &sizes[..] {
        [one] => format!("({one},)"),
        _ => format!("({})", sizes.join(", ")),
    }
}

/// The text so far.
struct Text {
    out: String,
    options: PrintOptions,
    summarise: bool,
}

impl Text {
    fn tensor(&mut self, t: &Tensor, s: &Strided) {
        let shape = t.shape_hint();
        let numel = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
        self.summarise = numel > self.options.threshold;
        let mut elements = Vec::new();
        with_type!(t.dtype(), T => {
            let memory = s.storage.read();
            let data = host::slice::<T>(&memory);
            let mut take = |at: isize| elements.push(FromElement::to_scalar(data[at as usize]));
            self.gather(shape, &s.strides, s.offset as isize, &mut take);
        });
        let formatter = Formatter::new(&elements, &self.options);
        let mut elements = elements.into_iter();
        self.nested(shape, PREFIX.len(), &formatter, &mut elements);
        assert!(elements.next().is_none(), "bug in allotrope: printing left elements over");
    }

    /// Whether only the ends of an axis of `n` elements are shown.
    fn is_cut(&self, n: usize) -> bool {
        self.summarise && n > self.options.edgeitems.saturating_mul(2)
    }

    /// Positions in storage of the elements that are shown, in row-major order.
    fn gather(&self, shape: &[usize], strides: &[isize], at: isize, take: &mut impl FnMut(isize)) {
        let Some((&n, inner)) = shape.split_first() else { return take(at) };
        let edge = self.options.edgeitems;
        let (head, tail) = if self.is_cut(n) { (0..edge, n - edge..n) } else { (0..n, n..n) };
        for i in head.chain(tail) {
            self.gather(inner, &strides[1..], at + i as isize * strides[0], take);
        }
    }

    /// The elements of one axis and those within it; `indent` is the column of its bracket.
    fn nested(
        &mut self,
        shape: &[usize],
        indent: usize,
        formatter: &Formatter,
        elements: &mut impl Iterator<Item = Scalar>,
    ) {
        let mut next = || formatter.format(elements.next().expect("bug in allotrope: printing ran out of elements"));
        let (n, inner) = match shape {
            [] => return self.out.push_str(&next()),
            [n] => return self.row(*n, indent, formatter.width(), next),
            [n, inner @ ..] => (*n, inner),
        };
        let separator = format!(",{}{:2$}", "\n".repeat(inner.len()), "", indent + 1);
        let cut = self.is_cut(n);
        let edge = self.options.edgeitems;
        self.out.push('[');
        let mut first = true;
        for i in 0..n {
            let hidden = cut && (edge..n - edge).contains(&i);
            if hidden && i > edge {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push_str(&separator);
            }
            match hidden {
                true => self.out.push_str("..."),
                false => self.nested(inner, indent + 1, formatter, elements),
            }
        }
        self.out.push(']');
    }

    /// The last axis, broken into lines of as many elements as fit.
    fn row(&mut self, n: usize, indent: usize, width: usize, mut next: impl FnMut() -> String) {
        let edge = self.options.edgeitems;
        let items: Vec<String> = if self.is_cut(n) {
            let dots = if edge == 0 { "..." } else { " ..." };
            let head: Vec<String> = (0..edge).map(|_| next()).collect();
            let tail = (0..edge).map(|_| next());
            head.into_iter().chain([dots.into()]).chain(tail).collect()
        } else {
            (0..n).map(|_| next()).collect()
        };
        let per_line = (self.options.linewidth.saturating_sub(indent) / (width + 2)).max(1);
        let lines: Vec<String> = items.chunks(per_line).map(|line| line.join(", ")).collect();
        let separator = format!(",\n{:1$}", "", indent + 1);
        self.out.push('[');
        self.out.push_str(&lines.join(&separator));
        self.out.push(']');
    }

    /// What is said after the elements, each on the line where it fits.
    fn suffixes(&mut self, suffixes: &[String]) {
        // PyTorch counts two characters more than the last line has, where there is one line only, and else one.
        let mut length = match self.out.rfind('\n') {
            Some(at) => self.out.len() - at + 1,
            None => self.out.len() + 2,
        };
        for suffix in suffixes {
            if length + suffix.len() + 2 > self.options.linewidth {
                self.out.push_str(&format!(",\n{:1$}", "", PREFIX.len()));
                length = PREFIX.len() + suffix.len();
            } else {
                self.out.push_str(", ");
                length += suffix.len() + 2;
            }
            self.out.push_str(suffix);
        }
        self.out.push(')');
    }
}
