//! The elements of saved tensors: which pieces of memory a file has to hold so that tensors which share elements still do
//! when it is read, and tensors over memory that was read. Every place is checked before it is used; no file is touched.

use crate::backend::cpu::host;
use crate::backend::{self, Memory};
use crate::device::Device;
use crate::error::Result;
use crate::serialize::files::{Elements, Entry, Fault};
use crate::tensor::storage::Storage;
use crate::tensor::{Body, Strided, Strides, Tensor, TensorType, contiguous_strides, eval};
use allotrope_ir::DType;
use allotrope_ir::saved::{self, Layout};
use std::collections::{HashMap, hash_map};
use std::ops::Range;
use std::sync::Arc;

/// A piece of memory that is saved under a name.
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) bytes: Range<usize>,
}

/// The first and the last place that a tensor reaches from its first element on; none where it has no element.
fn reach(shape: &[usize], strides: &[isize]) -> Option<(i128, i128)> {
    let ends = shape.iter().zip(strides).map(|(&n, &s)| (n as i128 - 1) * s as i128);
    let reach = ends.fold((0, 0), |(low, high), end| (low + end.min(0), high + end.max(0)));
    (!shape.contains(&0)).then_some(reach)
}

/// The pieces that hold the elements of all these tensors, and how each tensor lies in them.
///
/// # Errors
/// When a tensor has no elements: a value of a trace that has ended.
pub(crate) fn pieces(
    tensors: &[Tensor],
    names: &[String],
    fresh_name: &mut dyn FnMut() -> String,
) -> Result<(Vec<Piece>, Vec<Option<Layout>>)> {
    let mut sharing: HashMap<*const Storage, Vec<usize>> = HashMap::new();
    for (i, t) in tensors.iter().enumerate() {
        sharing.entry(Arc::as_ptr(&eval::strided(t)?.storage)).or_default().push(i);
    }
    let mut pieces = Vec::new();
    let mut layouts: Vec<Option<Layout>> = tensors.iter().map(|_| None).collect();
    for (i, t) in tensors.iter().enumerate() {
        let s = eval::strided(t)?;
        let group = &sharing[&Arc::as_ptr(&s.storage)];
        if group[0] != i {
            continue;
        }
        let numel = t.ty().numel();
        let reached = reach(t.shape_hint(), &s.strides);
        let alone = group.len() == 1;
        // As large as its elements: the file shows them in row-major order, whatever the strides.
        if alone && reached.is_none_or(|(low, high)| high - low + 1 == numel as i128) {
            let dense = eval::contiguous(t)?;
            let d = eval::strided(&dense)?;
            let size = t.dtype().size();
            let bytes = d.offset * size..(d.offset + numel) * size;
            let (dtype, shape) = (t.dtype(), t.shape_hint().to_vec());
            pieces.push(Piece { name: names[i].clone(), dtype, shape, storage: Arc::clone(&d.storage), bytes });
            layouts[i] = (!t.is_contiguous()).then(|| Layout { strides: s.strides.to_vec(), shared: None });
            continue;
        }
        let views = group.iter().map(|&j| Ok((j, &tensors[j], eval::strided(&tensors[j])?)));
        let views = views.collect::<Result<Vec<(usize, &Tensor, &Strided)>>>()?;
        let places = views.iter().filter_map(|(_, t, s)| {
            let (low, high) = reach(t.shape_hint(), &s.strides)?;
            Some(((s.offset as i128 + low) as usize, (s.offset as i128 + high) as usize + 1))
        });
        let (first, end) = places.fold((usize::MAX, 0), |(a, b), (low, high)| (a.min(low), b.max(high)));
        let first = first.min(end);
        let size = t.dtype().size();
        let name = fresh_name();
        for (j, t, s) in views {
            let offset = if t.shape_hint().contains(&0) { 0 } else { s.offset - first };
            layouts[j] = Some(Layout { strides: s.strides.to_vec(), shared: Some((name.clone(), offset)) });
        }
        let storage = Arc::clone(&s.storage);
        let bytes = first * size..end * size;
        pieces.push(Piece { name, dtype: t.dtype(), shape: vec![end - first], storage, bytes });
    }
    Ok((pieces, layouts))
}

/// Memory with these bytes as elements.
///
/// # Errors
/// When they are none.
fn memory(entry: &Entry<'_>) -> Result<Memory, String> {
    if entry.dtype == DType::Bool
        && let Some(i) = entry.bytes.iter().position(|b| *b > 1)
    {
        return Err(format!("element {i} is {}, which is no bool", entry.bytes[i]));
    }
    backend::of(Device::Cpu).upload(entry.dtype, entry.bytes).map_err(|e| e.to_string())
}

/// The tensors of a saved function over elements that were read, without gradients and flags.
///
/// # Errors
/// When elements are missing, are others than those described, or a tensor would reach outside of them.
pub(crate) fn tensors(described: &[saved::Tensor], elements: &mut Elements<'_>) -> Result<Vec<Tensor>, Fault> {
    let mut shared: HashMap<&str, (DType, usize, Arc<Storage>)> = HashMap::new();
    let mut out = Vec::new();
    for t in described {
        let fault = |message: String| Fault { name: Some(t.name.clone()), message };
        let layout = t.layout.as_ref();
        let Some((name, offset)) = layout.and_then(|l| l.shared.as_ref()) else {
            let entry = elements.take(&t.name, t.dtype, Some(&t.shape))?;
            let ty = TensorType::of(t.dtype, &t.shape).map_err(|e| fault(e.to_string()))?;
            let dense = eval::fresh(Device::Cpu, ty, memory(&entry).map_err(fault)?);
            out.push(match layout {
                None => dense,
                Some(layout) => lying(&dense, &layout.strides).map_err(fault)?,
            });
            continue;
        };
        let strides = layout.map_or(&[][..], |l| &l.strides);
        if !shared.contains_key(name.as_str()) {
            let entry = elements.take(name, t.dtype, None)?;
            let storage = Arc::new(Storage::new(Device::Cpu, memory(&entry).map_err(fault)?));
            shared.insert(name, (t.dtype, entry.bytes.len() / t.dtype.size(), storage));
        }
        let (dtype, n, storage) = &shared[name.as_str()];
        let inside = match reach(&t.shape, strides) {
            Some((low, high)) => *offset as i128 + low >= 0 && *offset as i128 + high < *n as i128,
            None => offset <= n,
        };
        if *dtype != t.dtype || !inside {
            return Err(fault(format!(
                "a {} tensor of shape {:?} with strides {strides:?} from {offset} on does not lie in {name:?}, {n} elements of {dtype}",
                t.dtype, t.shape
            )));
        }
        out.push(over(t.dtype, &t.shape, strides, *offset, Arc::clone(storage)).map_err(|e| fault(e.to_string()))?);
    }
    Ok(out)
}

fn over(dtype: DType, shape: &[usize], strides: &[isize], offset: usize, storage: Arc<Storage>) -> Result<Tensor> {
    let ty = TensorType::of(dtype, shape)?;
    // An empty tensor has no element whose place its strides could say.
    let strides = if shape.contains(&0) { contiguous_strides(shape) } else { Strides::from_slice(strides) };
    Ok(Tensor::from_parts(ty, Body::Strided(Strided { storage, strides, offset })))
}

/// The same elements with other strides, in memory without gaps.
fn lying(dense: &Tensor, strides: &[isize]) -> Result<Tensor, String> {
    let shape = dense.shape_hint();
    let Some((low, high)) = reach(shape, strides) else { return Ok(dense.clone()) };
    let numel = dense.ty().numel();
    if high - low + 1 != numel as i128 {
        return Err(format!("a tensor of shape {shape:?} with strides {strides:?} leaves gaps or shares elements"));
    }
    let memory = eval::allocate(Device::Cpu, dense.ty()).map_err(|e| e.to_string())?;
    let storage = Arc::new(Storage::new(Device::Cpu, memory));
    let tensor = over(dense.dtype(), shape, strides, (-low) as usize, storage).map_err(|e| e.to_string())?;
    eval::assign(&tensor, dense).map_err(|e| e.to_string())?;
    Ok(tensor)
}

/// The same tensors on a device: those that share elements still do.
///
/// # Errors
/// When the device is missing, or has no more memory.
pub(crate) fn sent(tensors: &[Tensor], device: Device) -> Result<Vec<Tensor>> {
    if device == Device::Cpu {
        return Ok(tensors.to_vec());
    }
    // A missing device is told as one, whether or not there is anything to send.
    backend::of(device).upload(DType::U8, &[0])?;
    let mut there: HashMap<*const Storage, Arc<Storage>> = HashMap::new();
    let each = tensors.iter().map(|t| {
        let s = eval::strided(t)?;
        let storage = match there.entry(Arc::as_ptr(&s.storage)) {
            hash_map::Entry::Occupied(known) => Arc::clone(known.get()),
            hash_map::Entry::Vacant(new) => {
                let held = s.storage.read();
                let bytes = backend::of(Device::Cpu).download(&held, 0..held.bytes())?;
                let sent = backend::of(device).upload(t.dtype(), &bytes).map_err(|e| e.for_what("a saved function"))?;
                Arc::clone(new.insert(Arc::new(Storage::new(device, sent))))
            }
        };
        let body = Strided { storage, strides: s.strides.clone(), offset: s.offset };
        Ok(Tensor::from_parts(t.ty().clone(), Body::Strided(body)))
    });
    each.collect()
}

/// A piece of memory with these bytes.
pub(crate) fn bytes(name: &str, bytes: Vec<u8>) -> Piece {
    let n = bytes.len();
    let storage = Arc::new(Storage::new(Device::Cpu, host::adopt(bytes)));
    Piece { name: name.to_string(), dtype: DType::U8, shape: vec![n], storage, bytes: 0..n }
}
