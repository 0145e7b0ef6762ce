//! PyTorch's own files, `.pt` and `.pth`: a zip archive with a pickle of the data and one member for each piece of memory. Only plain
//! data is written and read, as by `torch.load(.., weights_only=True)`; what a pickle may hold stands in `pickle`.

use super::archive::{Archive, Writer};
use super::outside_of_traces;
use super::pickle::{self, Place, Storage, TensorNode};
use crate::device::default_device;
use crate::error::Result;
use crate::file::{file_error, read_whole, write_whole};
use crate::state::Value;
use crate::tensor::Tensor;
use crate::tensor::bytes::{Pieces, bytes_of, from_bytes, over};
use std::collections::HashMap;
use std::panic::Location;
use std::path::Path;

/// Writes a value as `torch.save` does, for `torch.load`. Tensors that share elements still do when they are read, and a tensor
/// that is a part of a larger one takes the larger one's bytes only from its first element to its last. Gradients and
/// histories are not written; whether a tensor requires gradients is.
///
/// ```no_run
/// # use allotrope::{io, prelude::*, state::Value};
/// # let model = nn::Linear::new(3, 2);
/// io::save("model.pt", &Value::from(model.state_dict()))?;
/// // Python: model.load_state_dict(torch.load("model.pt"))
/// # Ok::<(), allotrope::Error>(())
/// ```
///
/// # Errors
/// When the file cannot be written, or the value is more than 100 lists and dictionaries deep; what was there is left as it was.
#[track_caller]
pub fn save(path: impl AsRef<Path>, value: &Value) -> Result<()> {
    let path = path.as_ref();
    outside_of_traces("io::save()", Location::caller())?;
    let failed = |e: &dyn std::fmt::Display| file_error(path, format!("cannot be written: {e}"));
    let mut given = Vec::new();
    tensors(value, &mut given);
    // Each tensor once, by identity.
    let mut known: HashMap<usize, usize> = HashMap::new();
    let mut all = Vec::new();
    for t in &given {
        if let std::collections::hash_map::Entry::Vacant(place) = known.entry(t.id()) {
            place.insert(all.len());
            all.push(Pieces::dense(t)?);
        }
    }
    let pieces = Pieces::of(&all)?;
    let lens: Vec<usize> = pieces.iter().map(|piece| piece.memory.shape_hint()[0]).collect();
    let mut place = |t: &Tensor| -> Result<(usize, Place), String> {
        let i = known[&t.id()];
        let (key, offset) = pieces.place(&all[i]).map_err(|e| e.to_string())?;
        let (shape, strides) = (all[i].shape_hint().to_vec(), all[i].laid_out().to_vec());
        let (dtype, requires_grad) = (t.dtype(), t.is_requires_grad());
        Ok((i, Place { key, len: lens[key], offset, shape, strides, dtype, requires_grad }))
    };
    let pickle = pickle::Writer::pickle(value, &mut place).map_err(|e| failed(&e))?;
    write_whole(path, |out| {
        let mut archive = Writer::new(out);
        archive.add("archive/data.pkl", &pickle)?;
        archive.add("archive/.format_version", b"1")?;
        archive.add("archive/.storage_alignment", b"64")?;
        archive.add("archive/byteorder", b"little")?;
        for (key, piece) in pieces.iter().enumerate() {
            let bytes = bytes_of(&piece.memory).map_err(std::io::Error::other)?;
            archive.add(&format!("archive/data/{key}"), &bytes)?;
        }
        archive.add("archive/version", b"3\n")?;
        archive.finish()
    })
}

/// All tensors of a value, in order.
fn tensors(value: &Value, out: &mut Vec<Tensor>) {
    match value {
        Value::Tensor(t) => out.push(t.clone()),
        Value::List(all) | Value::Tuple(all) => all.iter().for_each(|v| tensors(v, out)),
        Value::Dict(entries) => entries.iter().for_each(|(_, v)| tensors(v, out)),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

/// Reads what `torch.save` wrote: tensors and parameters, numbers, text, `None`, lists, tuples and dictionaries of them. Tensors come to
/// the default device of this thread, whichever they were saved from, and share elements as they did. A dtype or a device becomes
/// its name, a `torch.Size` a tuple. Nothing in the file is executed: other names are an error that says them.
///
/// ```no_run
/// # use allotrope::{io, prelude::*};
/// # let model = nn::Linear::new(3, 2);
/// // Python: torch.save(model.state_dict(), "model.pt")
/// let state = io::load("model.pt")?.to_state_dict().expect("a dictionary of tensors");
/// model.load_state_dict(&state)?;
/// # Ok::<(), allotrope::Error>(())
/// ```
///
/// # Errors
/// When the file cannot be read, is damaged, has the form that PyTorch wrote before version 1.6, or holds something else.
#[track_caller]
pub fn load(path: impl AsRef<Path>) -> Result<Value> {
    let path = path.as_ref();
    outside_of_traces("io::load()", Location::caller())?;
    let bytes = read_whole(path)?;
    read(&bytes).map_err(|e| file_error(path, e))
}

fn read(bytes: &[u8]) -> Result<Value, String> {
    if !bytes.starts_with(b"PK") {
        return Err("is no zip archive, as torch.save has written since PyTorch 1.6; an older file can be loaded and saved again in \
                    PyTorch"
            .to_string());
    }
    let mut archive = Archive::of(bytes)?;
    let names = archive.names()?;
    let mut roots = names.iter().filter_map(|name| name.strip_suffix("data.pkl").filter(|root| root.ends_with('/')));
    let root = match (roots.next(), roots.next()) {
        (Some(root), None) => root.to_string(),
        (None, _) => return Err("is no file of PyTorch: it has no member data.pkl".to_string()),
        (Some(_), Some(_)) => return Err("is no file of PyTorch: it has two members data.pkl".to_string()),
    };
    let order = format!("{root}byteorder");
    if names.contains(&order) && archive.read(&order)? != b"little" {
        return Err(
            "holds big-endian elements; those of files written on this kind of machine are little-endian".to_string()
        );
    }
    let pickle = pickle::run(&archive.read(&format!("{root}data.pkl"))?)?;
    let mut memory: HashMap<String, Tensor> = HashMap::new();
    let mut tensor = |t: &TensorNode, storage: &Storage| -> Result<Tensor, String> {
        let fault = |e: &dyn std::fmt::Display| format!("storage {:?}: {e}", storage.key);
        if !memory.contains_key(&storage.key) {
            let elements = archive.read(&format!("{root}data/{}", storage.key)).map_err(|e| fault(&e))?;
            let made = from_bytes(default_device(), storage.dtype, &[storage.len], &elements).map_err(|e| fault(&e))?;
            memory.insert(storage.key.clone(), made);
        }
        let held = &memory[&storage.key];
        if held.dtype() != storage.dtype || held.shape_hint() != [storage.len] {
            return Err(fault(&"is two different storages"));
        }
        let tensor = over(held, &t.shape, &t.strides, t.offset).map_err(|e| fault(&e))?;
        if t.requires_grad {
            if !tensor.dtype().is_float() {
                return Err(fault(&format!("a tensor of {} cannot require gradients", tensor.dtype())));
            }
            tensor.set_requires_grad(true);
        }
        Ok(tensor)
    };
    pickle::converted(&pickle, &mut tensor)
}
