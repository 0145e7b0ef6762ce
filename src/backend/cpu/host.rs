//! The one door between the memory of this processor and Rust slices, for what the host does itself: taking over a `Vec`,
//! drawing random numbers, showing elements as an array. Memory of any other device has no slices: transfer it first.

use super::eager;
use super::machine;
use super::memory::Block;
use crate::backend::Array;
use crate::backend::element::FromElement;
use crate::backend::memory::{Kind, Memory};
use crate::error::Result;
use crate::kernels;

#[inline]
pub(super) fn block(memory: &Memory) -> &Block {
    match &memory.0 {
        Kind::Cpu(block) => block,
        Kind::Other(_) => panic!("bug in allotrope: memory of another device was used on the CPU"),
    }
}

#[inline]
pub(super) fn block_mut(memory: &mut Memory) -> &mut Block {
    match &mut memory.0 {
        Kind::Cpu(block) => block,
        Kind::Other(_) => panic!("bug in allotrope: memory of another device was used on the CPU"),
    }
}

/// The elements of a `Vec`, where they are. They may only be used as elements of `T`.
pub(crate) fn adopt<T: FromElement>(data: Vec<T>) -> Memory {
    Memory(Kind::Cpu(Block::adopt(data)))
}

/// A copy of these elements.
///
/// # Errors
/// When there is no memory for it.
pub(crate) fn copied<T: FromElement>(data: &[T]) -> Result<Memory> {
    let mut memory = eager::allocate(T::DTYPE, data.len())?;
    slice_mut(&mut memory).copy_from_slice(data);
    Ok(memory)
}

/// A copy of the elements in row-major order, of the dtype of `T`.
///
/// # Errors
/// When there is no memory for it.
pub(crate) fn elements<T: FromElement>(array: Array<'_>) -> Result<Vec<T>> {
    let n = array.shape.iter().product();
    let mut out = machine::room(n)?;
    out.resize(n, T::default());
    kernels::copy(eager::view::<T>(&array), &mut out);
    Ok(out)
}

/// That this machine has so many bytes left for `what`, is allocated piece by piece.
///
/// # Errors
/// When it has not.
pub(crate) fn affords(bytes: usize, what: impl Fn() -> String) -> Result<()> {
    machine::check(bytes).map_err(|e| e.for_what(&what()))
}

/// An empty `Vec` with room for so many.
///
/// # Errors
/// When there is no memory for it.
pub(crate) fn room<T>(n: usize) -> Result<Vec<T>> {
    machine::room(n).map_err(|e| e.for_what(&format!("a list of {n} elements")))
}

/// The elements of memory that was made for this type, which a tensor's dtype says.
pub(crate) fn slice<T: FromElement>(memory: &Memory) -> &[T] {
    block(memory).slice()
}

/// As [`slice`], to be changed.
pub(crate) fn slice_mut<T: FromElement>(memory: &mut Memory) -> &mut [T] {
    block_mut(memory).slice_mut()
}
