//! `as_strided`: any elements of the memory that a tensor lies in, by strides. Eagerly that is another view of the storage. The
//! tape and a trace know memory as the tensor that it was made for, so there the elements must be of that one.

use super::grads1;
use super::movement::{put_at, seen, take, zeros};
use crate::autograd::record::check_integers;
use crate::autograd::{is_grad_enabled, no_grad, tape};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::sizes::{at_most, numel};
use crate::tensor::affine::Affine;
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::ViewOf;
use crate::tensor::size::sizes_of;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Strides, Tensor, eval};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

pub(super) fn as_strided(x: &Tensor, shape: &[usize], strides: &[usize], offset: usize) -> Result<Tensor> {
    let fail = |why: String| {
        Err(Error::operands("as_strided", format!("{shape:?} with strides {strides:?} from {offset}: {why}")))
    };
    if shape.len() != strides.len() {
        return fail("there must be one stride for each axis".into());
    }
    let is_empty = shape.contains(&0);
    let far = |at: usize, (&n, &s): (&usize, &usize)| at.checked_add(n.saturating_sub(1).checked_mul(s)?);
    let last = shape.iter().zip(strides).try_fold(offset, far);
    let end = if is_empty { Some(0) } else { last.and_then(|last| last.checked_add(1)) };
    let Some(end) = end.filter(|end| isize::try_from(*end).is_ok()) else {
        return fail("no memory is as large".into());
    };
    let outside = |n: usize| fail(format!("reaches outside the {n} elements of the memory of {:?}", x.shape_hint()));
    let elsewhere = || {
        let why = "in a trace, and where gradients flow, the elements must be those of the tensor that the memory was made for, \
             from its first one on";
        match mode::is_recording() {
            // Eager code may go on.
            true => Err(Error::trace(format!("as_strided: {shape:?} with strides {strides:?} from {offset}: {why}"))),
            false => fail(why.into()),
        }
    };
    let mut base = x.view_of().map_or_else(|| x.clone(), |v| v.base.clone());
    let mut begin = 0;
    if base.strided().is_some() {
        let (elements, first) = eval::place_in_storage(&base)?;
        if end > elements {
            return outside(elements);
        }
        let own: usize = base.shape_hint().iter().product();
        let inside = base.is_contiguous() && (is_empty || (offset >= first && end <= first + own));
        match inside {
            true => begin = first,
            false if mode::is_recording() || !x.is_off_tape() => return elsewhere(),
            false => return eval::strided_anew(x, shape, strides, offset),
        }
    } else {
        let root = mode::state::root_of(&base)?;
        if root.id() != base.id() {
            // The history of a detached view ends in it, and its elements are another tensor's.
            if !x.is_off_tape() {
                return elsewhere();
            }
            base = root;
        }
        if !mode::state::begins_memory(&base) {
            return elsewhere();
        }
    }
    let (own, n) = (base.sizes(), numel(&base.sizes()));
    if !at_most(Size::from(end), n) && begin == 0 {
        return outside(n.hint());
    }
    let signed: Strides = strides.iter().map(|&s| s as isize).collect();
    let sizes = sizes_of(shape);
    let affine = Affine {
        count: numel(&sizes),
        sizes,
        steps: SmallVec::from_slice(strides),
        offset: offset.saturating_sub(begin),
        is_apart: eval::check_apart(shape, &signed).is_ok(),
    };
    const NAME: &str = "AsStridedBackward0";
    let result = no_grad(|| seen(&base.reshape_sizes(&[n])?, ViewOp::Affine(affine.clone()), NAME))?;
    if is_grad_enabled() {
        result.set_creation(x.view_of().map(ViewOf::creation).unwrap_or_default());
    }
    if x.is_off_tape() {
        return Ok(result);
    }
    check_integers(x)?;
    if eval::check_apart(x.shape_hint(), x.laid_out()).is_err() {
        return fail(format!("the elements of {:?} share memory, which has no derivative", x.shape_hint()));
    }
    let path = x.view_of().map(|v| Arc::clone(&v.path));
    let node = tape::node(NAME, smallvec![tape::operand_edge(x)?], false, move |c, grads| {
        let Some(g) = grads[0].as_ref().filter(|_| c.wants(0)) else { return Ok(smallvec![None]) };
        let whole = put_at(&affine, &zeros(g, &[n])?, g)?.reshape_sizes(&own)?;
        grads1(match &path {
            Some(path) => take(&whole, path)?,
            None => whole,
        })
    });
    result.set_grad_fn(Some(Edge::new(node, 0)));
    Ok(result)
}
