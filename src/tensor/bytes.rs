//! Tensors as the bytes that files have: little-endian, in the order of memory. Which file, and what else stands in it, is for
//! others to say; memory is had through the backend, and nothing is recorded.

use super::storage::Storage;
use super::strides::{Strides, contiguous_strides};
use super::{Body, Strided, Tensor, TensorType, eval};
use crate::backend;
use crate::device::Device;
use crate::error::{Error, Result};
use allotrope_ir::DType;
use std::collections::HashMap;
use std::sync::Arc;

/// Elements are in files as most machines have them.
fn check_host() -> Result<()> {
    match cfg!(target_endian = "little") {
        true => Ok(()),
        false => Err(Error::argument(
            "files of tensors are little-endian, and this machine stores numbers the other way round",
        )),
    }
}

/// Axes that a tensor of a file may have, as in NumPy and PyTorch.
const MOST_AXES: usize = 64;

fn type_of(dtype: DType, shape: &[usize]) -> Result<TensorType> {
    match shape.len() > MOST_AXES {
        true => Err(Error::argument(format!("a tensor of a file has at most {MOST_AXES} axes, got {}", shape.len()))),
        false => TensorType::of(dtype, shape),
    }
}

/// All elements, in row-major order.
///
/// # Errors
/// For a value of a trace, which has none yet.
pub(crate) fn bytes_of(x: &Tensor) -> Result<Vec<u8>> {
    check_host()?;
    let dense = eval::contiguous(x)?;
    let s = eval::strided(&dense)?;
    let at = s.offset * x.dtype().size()..(s.offset + x.ty().numel()) * x.dtype().size();
    let held = s.storage.read();
    Ok(backend::of(s.storage.device()).download(&held, at)?.into_owned())
}

/// A tensor with these bytes for elements, on a device.
///
/// # Errors
/// When they are not as many as the shape says, or some are no booleans.
pub(crate) fn from_bytes(device: Device, dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Tensor> {
    check_host()?;
    let ty = type_of(dtype, shape)?;
    if bytes.len() != ty.numel() * dtype.size() {
        return Err(Error::argument(format!("{} bytes are no {dtype}{shape:?}", bytes.len())));
    }
    if dtype == DType::Bool
        && let Some(i) = bytes.iter().position(|b| *b > 1)
    {
        return Err(Error::argument(format!("element {i} is {}, which is no bool", bytes[i])));
    }
    let memory = backend::of(device).upload(dtype, bytes).map_err(|e| e.for_tensor(dtype, shape))?;
    Ok(eval::fresh(device, ty, memory))
}

/// The first place of memory that a tensor reaches, and the one after the last; none where it has no elements.
fn reach(shape: &[usize], strides: &[isize], offset: usize) -> Option<(i128, i128)> {
    let ends = shape.iter().zip(strides).map(|(&n, &s)| (n as i128 - 1) * s as i128);
    let (low, high) = ends.fold((0, 0), |(low, high), end| (low + end.min(0), high + end.max(0)));
    (!shape.contains(&0)).then_some((offset as i128 + low, offset as i128 + high + 1))
}

/// A tensor that shows elements of another one's memory, in which its first one is at `offset`. Neither is a view of the other on
/// the tape: they only share elements, as two tensors do that PyTorch has loaded.
///
/// # Errors
/// When no tensor can have this shape, or some of its elements would be outside of the memory.
pub(crate) fn over(memory: &Tensor, shape: &[usize], strides: &[isize], offset: usize) -> Result<Tensor> {
    let (dtype, s, len) = (memory.dtype(), eval::strided(memory)?, memory.ty().numel());
    let ty = type_of(dtype, shape)?;
    let inside = match reach(shape, strides, offset) {
        Some((low, high)) => low >= 0 && high <= len as i128,
        None => offset <= len,
    };
    if shape.len() != strides.len() || !inside {
        return Err(Error::argument(format!(
            "a tensor of shape {shape:?} with strides {strides:?} from element {offset} on does not lie in memory of {len} elements"
        )));
    }
    // A tensor without elements has none whose place the strides could say.
    let strides = if shape.contains(&0) { contiguous_strides(shape) } else { Strides::from_slice(strides) };
    let body = Strided { storage: Arc::clone(&s.storage), strides, offset: s.offset + offset };
    Ok(Tensor::from_parts(ty, Body::Strided(body)))
}

/// A piece of memory that tensors show: one axis of their elements.
pub(crate) struct Piece {
    pub(crate) memory: Tensor,
    /// Where that begins in the storage.
    first: usize,
}

/// The memory of some tensors, each piece once, however many of them show it, and no more of it than they show together.
#[derive(Default)]
pub(crate) struct Pieces {
    pieces: Vec<Piece>,
    places: HashMap<(*const Storage, DType), usize>,
}

impl Pieces {
    /// The memory of these tensors. A tensor whose strides no file can say, because some are negative, is copied by
    /// [`Pieces::dense`] before.
    ///
    /// # Errors
    /// For a value of a trace.
    pub(crate) fn of(tensors: &[Tensor]) -> Result<Pieces> {
        let mut reached: Vec<(&Tensor, (i128, i128))> = Vec::new();
        let mut places = HashMap::new();
        for t in tensors {
            let s = eval::strided(t)?;
            let place = *places.entry((Arc::as_ptr(&s.storage), t.dtype())).or_insert(reached.len());
            let at = reach(t.shape_hint(), &s.strides, s.offset);
            if place == reached.len() {
                let nowhere = (s.offset as i128, s.offset as i128);
                reached.push((t, at.unwrap_or(nowhere)));
            } else if let (Some((low, high)), (_, all)) = (at, &mut reached[place]) {
                let was_empty = all.0 == all.1;
                *all = if was_empty { (low, high) } else { (all.0.min(low), all.1.max(high)) };
            }
        }
        let piece = |(t, (low, high)): &(&Tensor, (i128, i128))| {
            let (first, len) = (*low as usize, (*high - *low) as usize);
            Ok(Piece { memory: eval::memory_around(t, first, len)?, first })
        };
        Ok(Pieces { pieces: reached.iter().map(piece).collect::<Result<_>>()?, places })
    }

    /// The tensor itself, or a copy in row-major order where some of its strides are negative.
    ///
    /// # Errors
    /// For a value of a trace.
    pub(crate) fn dense(t: &Tensor) -> Result<Tensor> {
        let is_plain = eval::strided(t)?.strides.iter().all(|&s| s >= 0);
        if is_plain { Ok(t.same_elements()) } else { eval::contiguous(t) }
    }

    /// All pieces, in order of the tensors that show them first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    /// In which piece one of the tensors lies, and at which of its elements it begins.
    ///
    /// # Errors
    /// For a value of a trace.
    pub(crate) fn place(&self, t: &Tensor) -> Result<(usize, usize)> {
        let s = eval::strided(t)?;
        let i = self.places[&(Arc::as_ptr(&s.storage), t.dtype())];
        let is_empty = t.shape_hint().contains(&0);
        Ok((i, if is_empty { 0 } else { s.offset - self.pieces[i].first }))
    }
}
