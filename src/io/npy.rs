//! NumPy's format of one array (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>): a header in the
//! notation of Python, of which the part that NumPy writes is read, and the elements. Objects are refused, never unpickled.

use super::outside_of_traces;
use crate::device::default_device;
use crate::error::{Error, Result};
use crate::file::{file_error, read_whole, write_whole};
use crate::tensor::bytes::{bytes_of, from_bytes, over};
use crate::tensor::{Tensor, contiguous_strides};
use allotrope_ir::DType;
use std::io::Write;
use std::panic::Location;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Writes a tensor as `numpy.save` does.
///
/// # Errors
/// For bf16, which NumPy has not, and when the file cannot be written; what was there is left as it was.
#[track_caller]
pub fn save_npy(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    outside_of_traces("save_npy()", Location::caller())?;
    let bytes = npy(tensor).map_err(|e| file_error(path.as_ref(), format!("cannot be written: {e}")))?;
    write_whole(path.as_ref(), |out| out.write_all(&bytes))
}

/// Reads what `numpy.save` wrote, to the default device of this thread. The strides are NumPy's: an array in the order of Fortran
/// stays in it. Elements of the other byte order are turned round.
///
/// ```
/// use allotrope::{io, prelude::*};
/// let path = std::env::temp_dir().join(format!("allotrope-npy-{}.npy", std::process::id()));
/// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
/// io::save_npy(&path, &x)?;
/// assert_eq!(io::load_npy(&path)?.to_vec::<f32>(), x.to_vec::<f32>());
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), allotrope::Error>(())
/// ```
///
/// # Errors
/// When the file cannot be read, is damaged, or has elements that no dtype here fits.
#[track_caller]
pub fn load_npy(path: impl AsRef<Path>) -> Result<Tensor> {
    outside_of_traces("load_npy()", Location::caller())?;
    let bytes = read_whole(path.as_ref())?;
    parse(&bytes).map_err(|e| file_error(path.as_ref(), e))
}

/// The kinds of elements that NumPy and this library both have, after the byte order.
const KINDS: [(&str, DType); 7] = [
    ("b1", DType::Bool),
    ("u1", DType::U8),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
];

/// The bytes of the file.
pub(super) fn npy(tensor: &Tensor) -> Result<Vec<u8>, String> {
    let Some((kind, _)) = KINDS.iter().find(|(_, dtype)| *dtype == tensor.dtype()) else {
        return Err(format!("NumPy has no {}; save the tensor as f32 or f64, with .to(DType::F32)", tensor.dtype()));
    };
    let bytes = bytes_of(tensor).map_err(|e| e.to_string())?;
    let shape = match tensor.shape_hint() {
        [n] => format!("({n},)"),
        all => format!("({})", all.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let order = if kind.ends_with('1') { '|' } else { '<' };
    let mut header = format!("{{'descr': '{order}{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    // The elements begin at a multiple of 64.
    while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| "the shape has too many axes for a header".to_string())?;
    Ok([MAGIC, &[1, 0], &length.to_le_bytes(), header.as_bytes(), &bytes].concat())
}

/// The tensor in the bytes of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Tensor, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no .npy file: it does not begin with \\x93NUMPY")?;
    let cut = || "is cut off inside its header".to_string();
    let (length, rest) = match *rest {
        [1, _, a, b, ref rest @ ..] => (u32::from(u16::from_le_bytes([a, b])), rest),
        [2 | 3, _, a, b, c, d, ref rest @ ..] => (u32::from_le_bytes([a, b, c, d]), rest),
        [major, minor, ..] if major > 3 => {
            return Err(format!("has version {major}.{minor} of the format; 1, 2 and 3 are read"));
        }
        _ => return Err(cut()),
    };
    let (header, elements) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "has a header that is no text".to_string())?;
    let Header { descr, is_fortran, shape } = Header::of(header)?;
    let (order, kind) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), kind)) => (order, kind),
        _ => return Err(format!("has elements {descr:?}, which no dtype here fits")),
    };
    let Some((_, dtype)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        let all: Vec<&str> = KINDS.iter().map(|(known, _)| *known).collect();
        return Err(format!("has elements {descr:?}, which no dtype here fits; those that do are {}", all.join(", ")));
    };
    let size = dtype.size();
    let wanted = shape.iter().try_fold(size, |n: usize, &axis| n.checked_mul(axis));
    if wanted != Some(elements.len()) {
        return Err(format!("holds {} bytes of elements, and its header says {dtype}{shape:?}", elements.len()));
    }
    let turned;
    let elements = if order == ">" && size > 1 {
        turned = elements.chunks_exact(size).flat_map(|element| element.iter().rev().copied()).collect::<Vec<u8>>();
        &turned[..]
    } else {
        elements
    };
    let words = |e: Error| e.to_string();
    if !is_fortran || shape.len() < 2 {
        return from_bytes(default_device(), *dtype, &shape, elements).map_err(words);
    }
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let dense = from_bytes(default_device(), *dtype, &reversed, elements).map_err(words)?;
    let strides: Vec<isize> = contiguous_strides(&reversed).iter().rev().copied().collect();
    let memory = over(&dense, &[dense.ty().numel()], &[1], 0).map_err(words)?;
    over(&memory, &shape, &strides, 0).map_err(words)
}

/// What the header says.
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

/// The rest of a header that is read from the front.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn takes(&mut self, token: &str) -> bool {
        self.skip();
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn needs(&mut self, token: &str) -> Result<(), String> {
        if self.takes(token) { Ok(()) } else { Err(self.fault(token)) }
    }

    fn fault(&self, wanted: &str) -> String {
        let here: String = self.0.chars().take(20).collect();
        format!("has a header that is none of NumPy's: {wanted} should stand before {here:?}")
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let quote = if self.takes("\"") { '"' } else { self.needs("'").map(|()| '\'')? };
        let (text, rest) = self.0.split_once(quote).ok_or_else(|| self.fault("the end of a text"))?;
        self.0 = rest;
        Ok(text)
    }

    fn number(&mut self) -> Result<usize, String> {
        self.skip();
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        let number = digits.parse().map_err(|_| self.fault("a size"))?;
        // NumPy of Python 2 has written `3L`.
        self.0 = rest.strip_prefix('L').unwrap_or(rest);
        Ok(number)
    }
}

impl Header {
    fn of(text: &str) -> Result<Header, String> {
        let mut r = Reader(text);
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        r.needs("{")?;
        while !r.takes("}") {
            let key = r.text()?;
            r.needs(":")?;
            let twice = match key {
                "descr" if r.takes("[") => {
                    return Err("has elements of several fields, which no dtype here fits".into());
                }
                "descr" => descr.replace(r.text()?.to_string()).is_some(),
                "fortran_order" if r.takes("True") => is_fortran.replace(true).is_some(),
                "fortran_order" => is_fortran.replace(r.needs("False").map(|()| false)?).is_some(),
                "shape" => {
                    let mut sizes = Vec::new();
                    r.needs("(")?;
                    while !r.takes(")") {
                        sizes.push(r.number()?);
                        if !r.takes(",") {
                            r.needs(")")?;
                            break;
                        }
                    }
                    shape.replace(sizes).is_some()
                }
                other => return Err(format!("has a header with a key {other:?}, which NumPy does not write")),
            };
            if twice {
                return Err(format!("has a header with two {key:?}"));
            }
            if !r.takes(",") {
                r.needs("}")?;
                break;
            }
        }
        match (descr, is_fortran, shape) {
            (Some(descr), Some(is_fortran), Some(shape)) => Ok(Header { descr, is_fortran, shape }),
            _ => Err("has a header without one of 'descr', 'fortran_order' and 'shape'".into()),
        }
    }
}
