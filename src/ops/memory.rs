//! The memory that a tensor lies in, seen as one axis: `as_strided` shows any elements of that, whatever tensor it is taken of.
//! Of a tensor that lies otherwise, as a gradient does, the same is computed here: its elements at their places, and zeros between.

use super::movement::{put_at, seen, unseen, zeros};
use crate::autograd::no_grad;
use crate::autograd::record::viewed;
use crate::error::{Error, Result};
use crate::mode::sizes::numel;
use crate::mode::state;
use crate::mode::values::full_of;
use crate::tensor::affine::Affine;
use crate::tensor::size::hints;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Size, Tensor, eval};
use allotrope_ir::Scalar;

/// The name of the node of `as_strided`.
pub(super) const NAME: &str = "AsStridedBackward0";

/// Where the elements of a tensor are in memory of which element `begin`, of those that it lies in, is the first.
///
/// # Errors
/// When that is not known, or some lie before it.
pub(super) fn places(x: &Tensor, begin: usize) -> Result<Affine> {
    let first = match x.body() {
        Body::Strided(s) => Some(s.offset),
        Body::Traced(t) => t.offset.and_then(|n| usize::try_from(n).ok()),
    };
    let steps = x.laid_out().iter().map(|&s| usize::try_from(s).ok()).collect::<Option<_>>();
    let (Some(offset), Some(steps)) = (first.and_then(|first| first.checked_sub(begin)), steps) else {
        let why = format!("it is not known where the elements of {:?} lie in memory", x.shape_hint());
        return Err(match x.traced() {
            Some(_) => Error::trace(format!("as_strided: {why}, while a trace is recorded")),
            None => Error::operands("as_strided", why),
        });
    };
    let sizes = x.sizes();
    let is_apart = eval::check_apart(x.shape_hint(), x.laid_out()).is_ok();
    Ok(Affine { count: numel(&sizes), sizes, steps, offset, is_apart })
}

/// So many elements of the memory of `x`, whose own are at these places of it, as a view.
pub(super) fn seen_around(x: &Tensor, len: Size, places: Affine) -> Result<Tensor> {
    let begin = eval::strided(x)?.offset - places.offset;
    let memory = eval::memory_around(x, begin, len.hint())?;
    let memory = no_grad(|| viewed(x, memory, ViewOp::Memory { len, places }, NAME, unseen))?;
    state::memory_seen(&memory, x);
    Ok(memory)
}

/// Whether so many elements of the memory of `x` can be seen, of which its own are at these places.
pub(super) fn is_around(x: &Tensor, len: Size, places: &Affine) -> bool {
    let Ok(own) = self::places(x, 0) else { return false };
    let Ok((elements, _)) = eval::place_in_storage(x) else { return false };
    let end = own.offset.checked_sub(places.offset).and_then(|begin| begin.checked_add(len.hint()));
    own.steps == places.steps && hints(&own.sizes) == hints(&places.sizes) && end.is_some_and(|end| end <= elements)
}

/// The elements of any tensor at these places of one axis, the sum of those that meet, and zeros elsewhere.
pub(super) fn spread(x: &Tensor, len: Size, places: &Affine) -> Result<Tensor> {
    put_at(places, &zeros(x, &[len])?, x)
}

/// The elements of memory that are at these places.
pub(super) fn collected(memory: &Tensor, places: &Affine) -> Result<Tensor> {
    seen(memory, ViewOp::Affine(places.clone()), NAME)
}

/// The gradient of a tensor whose elements are at these places, from that of the memory: those that meet share it.
pub(super) fn shares(g: &Tensor, places: &Affine) -> Result<Tensor> {
    if places.is_apart {
        return collected(g, places);
    }
    let ones = full_of(&places.sizes, Scalar::from_f64(1.0, g.dtype()))?;
    let count = no_grad(|| spread(&ones, g.sizes()[0], places))?;
    collected(&shared(g, &count)?, places)
}

/// A gradient divided among so many; where there are none, as it is.
pub(super) fn shared(g: &Tensor, count: &Tensor) -> Result<Tensor> {
    g.try_div(&no_grad(|| count.try_clamp_min(1))?)
}
