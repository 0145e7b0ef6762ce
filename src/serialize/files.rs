//! The two files of a saved function: `NAME.graph`, text, and `NAME.safetensors`, elements. Written beside first and then
//! renamed, so that neither is ever half there; read with every number checked. What stands in them is not judged here.

use crate::backend::{self, Memory};
use crate::error::{Error, Result};
use crate::file::{Draft, file_error, read_at_most};
use crate::serialize::memory::Piece;
use crate::tensor::storage::ReadGuard;
use allotrope_ir::DType;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of text that are read.
const MOST_TEXT: u64 = 256 << 20;

/// Keys of the file of elements: whose elements these are, and what they add up to.
const GRAPH: &str = "allotrope.graph";
const SUM: &str = "allotrope.sum";

/// The two paths.
pub(crate) struct Pair {
    pub(crate) graph: PathBuf,
    pub(crate) elements: PathBuf,
}

impl Pair {
    /// `path` with each ending; one of them may be there already.
    pub(crate) fn of(path: &Path) -> Pair {
        let known = path.extension().is_some_and(|e| e == "graph" || e == "safetensors");
        let stem = if known { path.with_extension("") } else { path.to_path_buf() };
        let with = |ending: &str| {
            let mut name = OsString::from(&stem);
            name.push(ending);
            PathBuf::from(name)
        };
        Pair { graph: with(".graph"), elements: with(".safetensors") }
    }
}

/// What is wrong with the file of elements, and with which tensor in it.
pub(crate) struct Fault {
    pub(crate) name: Option<String>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn at(self, path: &Path) -> Error {
        let name = self.name.map_or_else(String::new, |n| format!("tensor {n:?}: "));
        file_error(path, format!("{name}{}", self.message))
    }
}

/// A sum of bytes that tells most changes of them; no protection against whoever changes them on purpose.
struct Sum(u64);

impl Sum {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn new() -> Sum {
        Sum(Self::FACTOR)
    }

    fn add(&mut self, bytes: &[u8]) {
        let mut word = |w: u64| self.0 = (self.0 ^ w).wrapping_mul(Self::FACTOR).rotate_left(29);
        word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|w| word(u64::from_le_bytes(*w)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word(u64::from_le_bytes(last));
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

/// What a text adds up to, whatever its line ends.
fn sum_of_text(text: &str) -> String {
    let mut sum = Sum::new();
    text.lines().for_each(|line| sum.add(line.as_bytes()));
    sum.text()
}

fn sum_of<'a>(entries: &BTreeMap<&'a str, (DType, &'a [usize], &'a [u8])>) -> String {
    let mut sum = Sum::new();
    for (name, (dtype, shape, bytes)) in entries {
        sum.add(name.as_bytes());
        sum.add(dtype.name().as_bytes());
        shape.iter().for_each(|n| sum.add(&(*n as u64).to_le_bytes()));
        sum.add(bytes);
    }
    sum.text()
}

fn dtype_of(dtype: DType) -> Dtype {
    match dtype {
        DType::Bool => Dtype::BOOL,
        DType::U8 => Dtype::U8,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
    }
}

/// Elements are stored as this machine has them, which is the format's order.
fn check_host() -> Result<(), &'static str> {
    if cfg!(target_endian = "little") { Ok(()) } else { Err("this machine stores numbers the other way round") }
}

/// Writes both files, or leaves both as they were. All pieces are read at one moment: a call on another thread is in the
/// file as a whole, or not at all.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(pair: &Pair, text: &str, pieces: &[Piece]) -> Result<()> {
    check_host().map_err(|e| file_error(&pair.elements, e))?;
    let guards = lock(pieces);
    let bytes = pieces
        .iter()
        .zip(&guards)
        .map(|(piece, guard)| backend::of(piece.storage.device()).download(guard, piece.bytes.clone()));
    let bytes = bytes.collect::<Result<Vec<Cow<'_, [u8]>>>>()?;
    let mut views: BTreeMap<&str, (DType, &[usize], &[u8])> = BTreeMap::new();
    for (piece, bytes) in pieces.iter().zip(&bytes) {
        views.insert(&piece.name, (piece.dtype, &piece.shape, bytes));
    }
    let about = HashMap::from([(GRAPH.to_string(), sum_of_text(text)), (SUM.to_string(), sum_of(&views))]);
    let entries = views.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(dtype_of(*dtype), shape.to_vec(), bytes);
        view.map(|v| (*name, v)).map_err(|e| file_error(&pair.elements, e))
    });
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let elements = Draft::beside(&pair.elements);
    let failed = |path: &Path, e: &dyn ToString| file_error(path, format!("cannot be written: {}", e.to_string()));
    safetensors::serialize_to_file(entries, Some(about), elements.path()).map_err(|e| failed(&pair.elements, &e))?;
    drop(bytes);
    drop(guards);
    let graph = Draft::beside(&pair.graph);
    let put = || -> std::io::Result<()> {
        let mut file = File::create(graph.path())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // The other one was made for its owner's eyes only.
        std::fs::set_permissions(elements.path(), file.metadata()?.permissions())?;
        // What is renamed has reached the disk before.
        File::options().write(true).open(elements.path())?.sync_all()
    };
    put().map_err(|e| failed(&pair.graph, &e))?;
    elements.rename(&pair.elements).map_err(|e| failed(&pair.elements, &e))?;
    graph.rename(&pair.graph).map_err(|e| failed(&pair.graph, &e))
}

/// Read access to all pieces. Nothing is waited for while something is held, as calls do it too.
fn lock(pieces: &[Piece]) -> Vec<ReadGuard<'_, Memory>> {
    let mut held: Vec<ReadGuard<'_, Memory>> = Vec::with_capacity(pieces.len());
    while held.len() < pieces.len() {
        match pieces[held.len()].storage.try_read() {
            Some(guard) => held.push(guard),
            None => {
                held.clear();
                std::thread::yield_now();
            }
        }
    }
    held
}

/// The text of the graph.
///
/// # Errors
/// When there is none.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = read_at_most(path, MOST_TEXT)?;
    String::from_utf8(bytes).map_err(|_| file_error(path, "is not text"))
}

/// One named piece of memory in a file.
pub(crate) struct Entry<'a> {
    pub(crate) dtype: DType,
    pub(crate) bytes: &'a [u8],
}

/// The elements of a file, to be taken each once.
pub(crate) struct Elements<'a> {
    left: BTreeMap<String, (DType, Vec<usize>, &'a [u8])>,
}

impl<'a> Elements<'a> {
    /// The elements in these bytes, which belong to the graph of this text.
    ///
    /// # Errors
    /// When they are damaged, or those of another graph.
    pub(crate) fn of(bytes: &'a [u8], text: &str) -> Result<Elements<'a>, Fault> {
        let fault = |message: String| Fault { name: None, message };
        check_host().map_err(|e| fault(e.into()))?;
        let damaged = |e: safetensors::SafeTensorError| fault(format!("is no whole safetensors file: {e}"));
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, about) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let mut left = BTreeMap::new();
        for (name, view) in file.iter() {
            let known = DType::ALL.into_iter().find(|d| dtype_of(*d) == view.dtype());
            let Some(dtype) = known else {
                return Err(Fault { name: Some(name.into()), message: format!("has dtype {:?}", view.dtype()) });
            };
            left.insert(name.to_string(), (dtype, view.shape().to_vec(), view.data()));
        }
        let about = |key: &str| about.metadata().as_ref().and_then(|m| m.get(key).cloned());
        if about(GRAPH).is_some() != about(SUM).is_some() {
            return Err(fault(format!("is damaged: of `{GRAPH}` and `{SUM}`, one is missing in the metadata")));
        }
        if about(GRAPH).is_some_and(|sum| sum != sum_of_text(text)) {
            return Err(fault(format!(
                "holds the elements of another graph: saving was interrupted between the two files, or one of them was \
                 replaced or changed. Save again; to use them together as they are, remove `{GRAPH}` and `{SUM}` from the metadata"
            )));
        }
        let entries = left.iter().map(|(name, (dtype, shape, bytes))| (name.as_str(), (*dtype, &shape[..], *bytes)));
        if about(SUM).is_some_and(|sum| sum != sum_of(&entries.collect())) {
            return Err(fault(format!(
                "is damaged: its elements do not add up to what was saved. If they were changed on purpose, remove \
                 `{GRAPH}` and `{SUM}` from the metadata"
            )));
        }
        Ok(Elements { left })
    }

    /// The elements under that name, of that dtype, and of that shape where one is given, else along one axis.
    ///
    /// # Errors
    /// When there are none, or others.
    pub(crate) fn take(&mut self, name: &str, dtype: DType, shape: Option<&[usize]>) -> Result<Entry<'a>, Fault> {
        let fault = |message: String| Fault { name: Some(name.to_string()), message };
        let (found, found_shape, bytes) =
            self.left.remove(name).ok_or_else(|| fault("is in the graph, and not in this file".into()))?;
        let fits = found == dtype && shape.map_or(found_shape.len() == 1, |s| *s == *found_shape);
        if !fits {
            let wanted = shape.map_or_else(|| "[..]".to_string(), |s| format!("{s:?}"));
            return Err(fault(format!("is {found}{found_shape:?}, the graph says {dtype}{wanted}")));
        }
        Ok(Entry { dtype, bytes })
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// When something is.
    pub(crate) fn end(self) -> Result<(), Fault> {
        match self.left.into_keys().next() {
            Some(name) => Err(Fault { name: Some(name), message: "is in this file, and not in the graph".into() }),
            None => Ok(()),
        }
    }
}
