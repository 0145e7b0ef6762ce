//! The IDX format of MNIST (<http://yann.lecun.com/exdb/mnist/>): a type, sizes, and the elements, big-endian. Memory is taken for
//! what the file holds, never for what its header says.

use super::limit::inflated;
use crate::device::default_device;
use crate::error::Result;
use crate::file::{file_error, read_whole};
use crate::mode::values::no_host_read;
use crate::tensor::Tensor;
use crate::tensor::bytes::from_bytes;
use allotrope_ir::DType;
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// Reads a file in IDX format, compressed by gzip or not, to the default device of this thread. Elements are u8, i32, f32 or f64 as
/// in the file; those of 8 bits with a sign, and of 16, become i32.
///
/// # Errors
/// When the file cannot be read, or its length is not that of the sizes in its header.
#[track_caller]
pub fn read_idx(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    no_host_read("read_idx()", Location::caller())?;
    let bytes = read_whole(path)?;
    parse(&bytes).map_err(|e| file_error(path, e))
}

fn parse(bytes: &[u8]) -> Result<Tensor, String> {
    let mut stream: Box<dyn Read + '_> = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => Box::new(MultiGzDecoder::new(bytes)),
        false => Box::new(bytes),
    };
    let cut = |e: std::io::Error| format!("is no whole IDX file: {e}");
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).map_err(cut)?;
    let [0, 0, kind, axes] = magic else {
        return Err(format!("is no IDX file: it begins with {magic:02x?}, not with two zeros"));
    };
    // Bytes of an element in the file, and what it becomes.
    let (size, dtype) = match kind {
        0x08 => (1, DType::U8),
        0x09 => (1, DType::I32),
        0x0b => (2, DType::I32),
        0x0c => (4, DType::I32),
        0x0d => (4, DType::F32),
        0x0e => (8, DType::F64),
        other => return Err(format!("has elements of type {other:#04x}; 0x08, 0x09 and 0x0b to 0x0e are known")),
    };
    let mut shape = Vec::new();
    for _ in 0..axes {
        let mut n = [0; 4];
        stream.read_exact(&mut n).map_err(cut)?;
        shape.push(u32::from_be_bytes(n) as usize);
    }
    let wanted = shape.iter().try_fold(size as u64, |n, &axis| n.checked_mul(axis as u64));
    let wanted = wanted.filter(|&n| n <= inflated(bytes.len())).ok_or_else(|| {
        format!("says that it has shape {shape:?}, which is more than its {} bytes can hold", bytes.len())
    })?;
    let mut elements = Vec::new();
    stream.take(wanted + 1).read_to_end(&mut elements).map_err(cut)?;
    if elements.len() as u64 != wanted {
        let more = if elements.len() as u64 > wanted { "more" } else { "fewer" };
        return Err(format!("says that it has shape {shape:?}, and has {more} than {wanted} bytes of elements"));
    }
    let little: Vec<u8> = match kind {
        0x08 => elements,
        0x09 => elements.iter().flat_map(|b| i32::from(*b as i8).to_le_bytes()).collect(),
        0x0b => {
            let (pairs, _) = elements.as_chunks::<2>();
            pairs.iter().flat_map(|pair| i32::from(i16::from_be_bytes(*pair)).to_le_bytes()).collect()
        }
        _ => elements.chunks_exact(size).flat_map(|element| element.iter().rev().copied()).collect(),
    };
    from_bytes(default_device(), dtype, &shape, &little).map_err(|e| e.to_string())
}

/// MNIST, or what has its form: images and what is on them.
#[derive(Clone)]
pub struct Mnist {
    /// `[n, 28, 28]`, f32 in [0, 1].
    pub images: Tensor,
    /// `[n]`, i64.
    pub labels: Tensor,
}

impl Mnist {
    /// Reads the images and labels in a folder, those for training or those for testing, under the usual names
    /// (`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, also with `.idx3-ubyte`), compressed (`.gz`) or not.
    ///
    /// # Errors
    /// When one of the files is missing or damaged, or there are not as many labels as images.
    #[track_caller]
    pub fn load(folder: impl AsRef<Path>, train: bool) -> Result<Mnist> {
        let folder = folder.as_ref();
        let set = if train { "train" } else { "t10k" };
        let read = |what: &str, axes: usize| {
            let path = found(folder, set, what, axes)?;
            let tensor = read_idx(&path)?;
            match (tensor.dtype(), tensor.dim()) {
                (DType::U8, n) if n == axes => Ok((tensor, path)),
                (dtype, _) => Err(file_error(
                    &path,
                    format!("is {dtype}{:?}; {what} are u8 with {axes} axes", tensor.shape_hint()),
                )),
            }
        };
        let ((images, _), (labels, path)) = (read("images", 3)?, read("labels", 1)?);
        let (n, m) = (images.shape_hint()[0], labels.shape_hint()[0]);
        if n != m {
            return Err(file_error(&path, format!("has {m} labels, and there are {n} images")));
        }
        Ok(Mnist { images: images.try_to(DType::F32)?.try_div(255.0)?, labels: labels.try_to(DType::I64)? })
    }
}

/// The file in the folder that has one of the usual names.
fn found(folder: &Path, set: &str, what: &str, axes: usize) -> Result<PathBuf> {
    let names = ["-", "."].map(|dash| format!("{set}-{what}{dash}idx{axes}-ubyte"));
    let all = names.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
    let all: Vec<PathBuf> = all.map(|name| folder.join(name)).collect();
    let missing = || file_error(folder, format!("has no file {} (or with .gz)", names.join(" or ")));
    all.into_iter().find(|path| path.is_file()).ok_or_else(missing)
}
