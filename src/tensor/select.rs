//! The element of an axis whose place is an integer that a run computes: strides show it where the place is known, and in a
//! recording it is gathered. Which primitives do that is said here, for tensors and for the values of a graph alike; nothing is
//! computed.

use super::affine::{Emit, Given};
use super::size::{Size, Sizes};
use crate::error::Result;
use allotrope_ir::Op;

/// The sizes with one element along an axis.
pub(crate) fn with_one(axis: usize, sizes: &[Size]) -> Sizes {
    let mut one = Sizes::from_slice(sizes);
    one[axis] = Size::from(1);
    one
}

/// The place, which is an `i64`, for every element that is chosen.
pub(crate) fn places<V>(axis: usize, sizes: &[Size], at: &V, emit: Emit<'_, V>) -> Result<V> {
    let ones: Sizes = sizes.iter().map(|_| Size::from(1)).collect();
    let at = emit(&Op::Reshape(ones), &[Given::Value(at)])?;
    emit(&Op::Broadcast(with_one(axis, sizes)), &[Given::Value(&at)])
}

/// What stands at a place along an axis of `x`, a tensor of these sizes.
pub(crate) fn gathered<V>(axis: usize, sizes: &[Size], x: &V, at: &V, emit: Emit<'_, V>) -> Result<V> {
    let places = places(axis, sizes, at, emit)?;
    let chosen = emit(&Op::Gather { axis }, &[Given::Value(x), Given::Value(&places)])?;
    let mut without = Sizes::from_slice(sizes);
    without.remove(axis);
    emit(&Op::Reshape(without), &[Given::Value(&chosen)])
}
