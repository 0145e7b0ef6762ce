//! NumPy's archives of named arrays: a zip archive with one `.npy` file for each. What an array is stands in `npy.rs`.

use super::archive::{Archive, Writer};
use super::{npy, outside_of_traces};
use crate::error::Result;
use crate::file::{file_error, read_whole, write_whole};
use crate::state::StateDict;
use std::panic::Location;
use std::path::Path;

/// Writes named tensors as `numpy.savez` does.
///
/// # Errors
/// For bf16, which NumPy has not, and when the file cannot be written; what was there is left as it was.
#[track_caller]
pub fn save_npz(path: impl AsRef<Path>, state: &StateDict) -> Result<()> {
    let path = path.as_ref();
    outside_of_traces("save_npz()", Location::caller())?;
    let array = |(name, t)| match npy::npy(t) {
        Ok(bytes) => Ok((format!("{name}.npy"), bytes)),
        Err(e) => Err(file_error(path, format!("cannot be written: tensor {name:?}: {e}"))),
    };
    let arrays = state.iter().map(array).collect::<Result<Vec<_>>>()?;
    write_whole(path, |out| {
        let mut archive = Writer::new(out);
        arrays.iter().try_for_each(|(name, bytes)| archive.add(name, bytes))?;
        archive.finish()
    })
}

/// Reads what `numpy.savez` or `numpy.savez_compressed` wrote, to the default device of this thread. Compressed arrays may have
/// 64 MiB together, and 256 times the bytes of the file.
///
/// # Errors
/// When the file cannot be read, is damaged, or has elements that no dtype here fits.
#[track_caller]
pub fn load_npz(path: impl AsRef<Path>) -> Result<StateDict> {
    let path = path.as_ref();
    outside_of_traces("load_npz()", Location::caller())?;
    let bytes = read_whole(path)?;
    let read = || -> Result<StateDict, String> {
        let mut archive = Archive::of(&bytes)?;
        let mut state = StateDict::new();
        for member in archive.names()? {
            let name = member.strip_suffix(".npy").unwrap_or(&member);
            let tensor = archive.read(&member).and_then(|bytes| npy::parse(&bytes));
            let tensor = tensor.map_err(|e| format!("array {name:?}: {e}"))?;
            if state.insert(name, tensor).is_some() {
                return Err(format!("array {name:?} is there twice"));
            }
        }
        Ok(state)
    };
    read().map_err(|e| file_error(path, e))
}
