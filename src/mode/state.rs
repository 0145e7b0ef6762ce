//! Versions, identity and aliases of tensors as the program sees them: in a trace with what it has recorded so far.

use super::slot;
use crate::error::Result;
use crate::tensor::handle::Link;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Tensor, eval};
use allotrope_ir::Axes;
use std::sync::Arc;

impl Tensor {
    /// Whether both handles mean the same tensor; a running trace holds for calls with the same answer.
    pub fn is_same(&self, other: &Tensor) -> bool {
        let same = self.id() == other.id();
        match slot::is_recording() {
            true => slot::recorder().map_or(same, |r| r.is_same(self, other)),
            false => same,
        }
    }

    /// How often the elements were changed in place.
    #[inline]
    pub(crate) fn version(&self) -> u32 {
        match slot::recorder() {
            Some(r) => r.version(self),
            None => self.stored_version(),
        }
    }

    /// Another tensor over the same elements, without history.
    pub(crate) fn alias(&self) -> Tensor {
        let alias = self.same_elements();
        if slot::is_recording()
            && alias.strided().is_some()
            && let Some(r) = slot::recorder()
        {
            r.note_new(&alias, self);
        }
        alias
    }
}

/// Where a trace is recorded: another tensor with the elements that this one has now, whatever is done to either later.
pub(crate) fn recorded_copy(tensor: &Tensor) -> Option<Result<Tensor>> {
    slot::recorder().map(|r| r.copy(tensor))
}

/// Gives `target` the elements of `value`. Where it is a view of something recorded, `whole` says what the whole is then, from
/// what it was and the steps of the view.
pub(crate) fn assign(
    target: &Tensor,
    value: &Tensor,
    whole: impl FnOnce(&Tensor, &Arc<Link>) -> Result<Tensor>,
) -> Result<()> {
    let Some(r) = slot::recorder() else {
        return eval::assign(target, value);
    };
    let gradient = value.is_requires_grad();
    match r.root_of(target)? {
        (root, None) => r.assign(&root, value, gradient),
        (root, Some(path)) => r.assign(&root, &whole(&root, &path)?, gradient),
    }
}

/// The tensor of which a traced one shows elements; itself where it is no view.
///
/// # Errors
/// When it is a value of another trace.
pub(crate) fn root_of(x: &Tensor) -> Result<Tensor> {
    slot::recorder().map_or_else(|| Ok(x.clone()), |r| Ok(r.root_of(x)?.0))
}

/// Whether a value of a trace, which is no view, would lie in row-major order from the first element of its memory on; the
/// trace holds for calls with the same answer.
pub(crate) fn begins_memory(x: &Tensor) -> bool {
    slot::recorder().is_none_or(|r| r.begins_memory(x))
}

/// The program wants more of the memory of a value of a trace, which is no view, than that value has: so many elements. Whether
/// it has them, in a call that knows the memory by identity.
pub(crate) fn memory_wanted(x: &Tensor, elements: usize) -> bool {
    slot::recorder().is_some_and(|r| r.memory_wanted(x, elements))
}

/// The order in memory of the axes of a value of a trace, which is no view, where it is computed and lies without gaps; the trace
/// holds for calls with the same strides.
pub(crate) fn order_in_memory(x: &Tensor) -> Option<Axes> {
    slot::recorder().and_then(|r| r.order_in_memory(x))
}

/// `memory`, another tensor, shows the memory that `of` lies in.
pub(crate) fn memory_seen(memory: &Tensor, of: &Tensor) {
    if let Some(r) = slot::recorder() {
        r.note_new(memory, of);
    }
}

/// `result` is `of` seen through `op`, or a copy where no strides show that.
pub(crate) fn view_made(of: &Tensor, result: &Tensor, op: &ViewOp) {
    if result.traced().is_some()
        && let Some(r) = slot::recorder()
    {
        r.note_view(of, result, op);
    }
}

/// Where a trace is recorded: the number of a place that a run computes, an `i64` of one element, as it is now, by which views
/// remember it.
pub(crate) fn keep(place: &Tensor) -> Option<Result<usize>> {
    slot::recorder().map(|r| r.keep(place))
}

/// The place of this number.
pub(crate) fn kept(number: usize) -> Tensor {
    let known = slot::recorder().map(|r| r.kept(number));
    known.expect("bug in allotrope: a view that a run decides, where none is recorded")
}

/// The program asks whether `result`, which [`view_made`] was told of last, shows the elements of another tensor.
pub(crate) fn sharing_asked(result: &Tensor) {
    if result.traced().is_some()
        && let Some(r) = slot::recorder()
    {
        r.sharing_asked(result);
    }
}

/// The program goes on in the order in which a copy of `x` would lie that keeps its order in memory; a trace holds for calls
/// with the same one.
pub(crate) fn order_asked(x: &Tensor) {
    if x.traced().is_some()
        && let Some(r) = slot::recorder()
    {
        r.order_asked(x);
    }
}

/// `result` is a copy of `of` in row-major order, or `of` itself, which lies so already.
pub(crate) fn contiguous_made(of: &Tensor, result: &Tensor) {
    if result.traced().is_some()
        && let Some(r) = slot::recorder()
    {
        r.note_contiguous(of, result);
    }
}
