//! Named tensors in the safetensors format, with the bytes that the Python package writes for them. Reading is that of the
//! crate `safetensors`; the header is written here, for the crate's has its metadata in another order each time.

use super::outside_of_traces;
use crate::device::default_device;
use crate::error::{Error, Result};
use crate::file::{file_error, read_whole, write_whole};
use crate::state::StateDict;
use crate::tensor::Tensor;
use crate::tensor::bytes::{bytes_of, from_bytes};
use allotrope_ir::DType;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Write;
use std::panic::Location;
use std::path::Path;

/// The format's name of each dtype.
const NAMES: [(DType, Dtype, &str); 8] = [
    (DType::Bool, Dtype::BOOL, "BOOL"),
    (DType::U8, Dtype::U8, "U8"),
    (DType::I32, Dtype::I32, "I32"),
    (DType::I64, Dtype::I64, "I64"),
    (DType::F16, Dtype::F16, "F16"),
    (DType::BF16, Dtype::BF16, "BF16"),
    (DType::F32, Dtype::F32, "F32"),
    (DType::F64, Dtype::F64, "F64"),
];

/// Writes named tensors as a safetensors file, which PyTorch reads with `safetensors.torch.load_file`. The same tensors give the
/// same bytes. Tensors that share elements are written once each; [`save`](super::save) keeps them shared.
///
/// # Errors
/// When the file cannot be written; what was there is left as it was.
#[track_caller]
pub fn save_safetensors(path: impl AsRef<Path>, state: &StateDict) -> Result<()> {
    save_safetensors_with_metadata(path, state, &BTreeMap::new())
}

/// As [`save_safetensors`], with text beside the tensors: `{"format": "pt"}` is what some PyTorch programs ask for.
///
/// # Errors
/// As there.
#[track_caller]
pub fn save_safetensors_with_metadata(
    path: impl AsRef<Path>,
    state: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    outside_of_traces("save_safetensors()", Location::caller())?;
    // The order of the Python package: the widest dtypes first, so that all elements are aligned, and then by name.
    let mut entries: Vec<(&str, &Tensor)> = state.iter().collect();
    entries.sort_by_key(|(name, t)| (std::cmp::Reverse(name_of(t.dtype()).0), *name));
    let mut header = String::from("{");
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    if !metadata.is_empty() {
        let each = metadata.iter().map(|(key, text)| format!("{}:{}", quoted(key), quoted(text)));
        header.push_str(&format!("\"__metadata__\":{{{}}},", each.collect::<Vec<_>>().join(",")));
    }
    let mut end = 0;
    let mut all = Vec::with_capacity(entries.len());
    for (name, t) in entries {
        if name == "__metadata__" {
            return Err(file_error(
                path,
                "no tensor can have the name \"__metadata__\", which the format has for itself",
            ));
        }
        let bytes = bytes_of(t)?;
        let shape: Vec<String> = t.shape_hint().iter().map(usize::to_string).collect();
        let (from, dtype) = (end, name_of(t.dtype()).1);
        end += bytes.len();
        let shape = shape.join(",");
        header.push_str(&format!(
            "{}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{from},{end}]}},",
            quoted(name)
        ));
        all.push(bytes);
    }
    if header.ends_with(',') {
        header.pop();
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    write_whole(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        all.iter().try_for_each(|bytes| out.write_all(bytes))
    })
}

fn name_of(dtype: DType) -> (Dtype, &'static str) {
    let known = NAMES.iter().find(|(d, ..)| *d == dtype).expect("every dtype has a name");
    (known.1, known.2)
}

/// Reads a safetensors file, as `safetensors.torch.load_file`, to the default device of this thread. The names are in the order
/// of the elements in the file.
///
/// # Errors
/// When the file cannot be read, is damaged, or has a dtype that this library has not.
#[track_caller]
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<StateDict> {
    Ok(load_safetensors_with_metadata(path)?.0)
}

/// As [`load_safetensors`], with the text that stands beside the tensors.
///
/// # Errors
/// As there.
#[track_caller]
pub fn load_safetensors_with_metadata(path: impl AsRef<Path>) -> Result<(StateDict, BTreeMap<String, String>)> {
    let path = path.as_ref();
    outside_of_traces("load_safetensors()", Location::caller())?;
    let bytes = read_whole(path)?;
    let damaged = |e: &dyn fmt::Display| file_error(path, format!("is no whole safetensors file: {e}"));
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&e))?;
    let (header, about) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
    // The crate keeps the last of two entries with one name.
    let names = serde_json::Deserializer::from_slice(&bytes[8..8 + header]).deserialize_map(Names);
    names.map_err(|e| damaged(&e))?;
    let mut state = StateDict::new();
    for name in about.offset_keys() {
        let view = file.tensor(&name).map_err(|e| damaged(&e))?;
        let fault = |message: String| file_error(path, format!("tensor {name:?}: {message}"));
        let Some((dtype, ..)) = NAMES.iter().find(|(_, known, _)| *known == view.dtype()) else {
            let all: Vec<&str> = NAMES.iter().map(|(.., name)| *name).collect();
            return Err(fault(format!(
                "has dtype {}, which there is not here; there are {}",
                view.dtype(),
                all.join(", ")
            )));
        };
        let tensor = from_bytes(default_device(), *dtype, view.shape(), view.data());
        state.insert(name.clone(), tensor.map_err(|e: Error| fault(e.to_string()))?);
    }
    let metadata = about.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
    Ok((state, metadata))
}

/// Goes through the names of an object, and refuses one that is there twice.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if !seen.insert(name.clone()) {
                return Err(serde::de::Error::custom(format!("tensor {name:?} is there twice")));
            }
        }
        Ok(())
    }
}
