//! The primitives that move elements and compute nothing, with their derivatives: reshape, broadcast, permute, slice,
//! split, concat. Axes are counted from 0 and sizes may be symbolic; users' arguments are checked by the callers.

use super::gather::scatter;
use super::results::{another, unlinked};
use super::window::{WindowSpec, overlap_add};
use super::{grads1, memory};
use crate::autograd::record::{check_integers, composite, differentiable, view};
use crate::autograd::saved;
use crate::autograd::tape::{self, Context};
use crate::autograd::{is_grad_enabled, no_grad};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::apply::{apply, apply_view, emit};
use crate::mode::layout::{laid_out, ordered_as};
use crate::mode::sizes::{all_same, demand_equal, numel, specialize};
use crate::mode::state::kept;
use crate::mode::values::full_of;
use crate::tensor::affine::Affine;
use crate::tensor::grad_fn::{Edge, Grads, SumToSize, ViewVjp};
use crate::tensor::handle::Link;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::size::{hints, small};
use crate::tensor::view::Creation;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes, Strides, Tensor, eval, select};
use allotrope_ir::{Axes, Class, Extent, Op, Scalar, ScatterOp, Type, View, infer};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

impl Tensor {
    pub(crate) fn reshape_sizes(&self, sizes: &[Size]) -> Result<Tensor> {
        self.reshape_as_node("ViewBackward0", sizes)
    }

    /// As [`Tensor::reshape_sizes`], by a node of this name.
    pub(crate) fn reshape_as_node(&self, node: &'static str, sizes: &[Size]) -> Result<Tensor> {
        if self.is_off_tape() && all_same(&self.sizes(), sizes) {
            return Ok(self.clone());
        }
        self.reshape_recorded_as(node, sizes)
    }

    /// As [`Tensor::reshape_sizes`], and a tensor of its own also where the shape stays: a view, where the layout allows.
    pub(crate) fn reshape_recorded(&self, sizes: &[Size]) -> Result<Tensor> {
        self.reshape_recorded_as("ViewBackward0", sizes)
    }

    /// As [`Tensor::reshape_recorded`], by a node of this name.
    pub(crate) fn reshape_recorded_as(&self, node: &'static str, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        let (from, to) = (numel(&own), numel(sizes));
        if from.hint() != to.hint() {
            return Err(Error::operands(
                "reshape",
                format!("{:?} has {} elements, {:?} has {}", self.shape_hint(), from.hint(), hints(sizes), to.hint()),
            ));
        }
        demand_equal(from, to);
        let op = ViewOp::Primitive(Op::Reshape(Sizes::from_slice(sizes)));
        // PyTorch's name tells a view from a copy.
        let copies = !self.is_off_tape()
            && !self.is_dense()
            && op.strides(self.shape_hint(), self.laid_out(), &hints(sizes)).is_none();
        seen(self, op, if copies { "UnsafeViewBackward0" } else { node })
    }

    /// Whether operations on this tensor are not recorded on the tape. What is recorded must not depend on the sizes, or a
    /// trace would add gradients in another order than an eager call whose sizes make an operation do nothing.
    pub(super) fn is_off_tape(&self) -> bool {
        !(self.is_requires_grad() && is_grad_enabled())
    }

    /// Broadcast, as the operand of one operation: itself where nothing is repeated. This is no node of the tape, because
    /// whether something is repeated depends on the sizes; the result is not shown to users.
    pub(crate) fn expand_sizes(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        if all_same(&own, sizes) {
            return Ok(self.clone());
        }
        if self.is_off_tape() {
            return self.expand_recorded(sizes);
        }
        let repeated = no_grad(|| self.expand_recorded(sizes))?;
        let to = SumToSize { sizes: own, sum: Tensor::sum_to_size };
        repeated.set_grad_fn(tape::own_edge(self).map(|edge| edge.repeated(to)));
        saved::repeats(self, &repeated);
        Ok(repeated)
    }

    /// Broadcast, and recorded on the tape also where nothing is repeated.
    pub(super) fn expand_recorded(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        let lead = sizes.len().checked_sub(own.len());
        let fits = |lead: usize| {
            own.iter().zip(&sizes[lead..]).all(|(&from, &to)| {
                if from.is_one() || demand_equal(from, to) {
                    return true;
                }
                if from.hint() == 1 {
                    specialize(&[from], "an axis of size 1 is repeated by expand");
                }
                from.hint() == 1
            })
        };
        if !lead.is_some_and(fits) {
            return Err(Error::operands(
                "expand",
                format!(
                    "cannot expand {:?} to {:?}: aligned at the right, each axis must be equal or 1",
                    self.shape_hint(),
                    hints(sizes)
                ),
            ));
        }
        seen(self, Op::Broadcast(Sizes::from_slice(sizes)), "ExpandBackward0")
    }

    /// Summed over the axes along which `sizes` was repeated to this shape: one node of the tape, whatever the sizes
    /// are, or gradients of gradients would be added in an order that depends on them.
    pub(crate) fn sum_to_size(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        let lead = own.len() - sizes.len();
        let repeated = |i: &usize| *i < lead || (sizes[*i - lead].is_one() && !own[*i].is_one());
        let sum = || {
            let axes: Axes = (0..own.len()).filter(repeated).collect();
            let sum = if axes.is_empty() { self.clone() } else { super::reduce::sum_axes(self, axes)? };
            sum.reshape_sizes(sizes)
        };
        if self.is_off_tape() {
            let is_whole = lead == 0 && !(0..own.len()).any(|i| repeated(&i));
            return if is_whole { Ok(self.clone()) } else { sum() };
        }
        let sum = no_grad(sum)?.alias();
        let spread = own.clone();
        // PyTorch sums, and takes leading axes away after that.
        let name = if lead > 0 { "ViewBackward0" } else { "SumBackward1" };
        let node = tape::node(name, smallvec![tape::operand_edge(self)?], false, move |_, grads| {
            Ok(smallvec![grads[0].as_ref().map(|g| g.expand_recorded(&spread)).transpose()?])
        });
        sum.set_grad_fn(Some(Edge::new(node, 0)));
        Ok(sum)
    }
}

/// The axes in another order, of an operand of one operation; `axes` names each once.
pub(super) fn permute(x: &Tensor, axes: Axes) -> Result<Tensor> {
    permute_as_node("PermuteBackward0", x, axes)
}

/// As [`permute`], by a node of this name.
pub(super) fn permute_as_node(node: &'static str, x: &Tensor, axes: Axes) -> Result<Tensor> {
    if axes.iter().copied().eq(0..x.dim()) {
        return Ok(x.clone());
    }
    seen(x, Op::Permute(axes), node)
}

/// The axes in another order, as a view also where that is the same one.
pub(super) fn permuted(x: &Tensor, axes: Axes) -> Result<Tensor> {
    permuted_as_node("PermuteBackward0", x, axes)
}

/// As [`permuted`], by a node of this name.
pub(super) fn permuted_as_node(node: &'static str, x: &Tensor, axes: Axes) -> Result<Tensor> {
    seen(x, Op::Permute(axes), node)
}

/// The tensor as another view of it.
pub(super) fn aliased(x: &Tensor) -> Result<Tensor> {
    aliased_as_node("AliasBackward0", x)
}

/// As [`aliased`], by a node of this name, whose gradient is the given one.
pub(super) fn aliased_as_node(node: &'static str, x: &Tensor) -> Result<Tensor> {
    view(x, ViewOp::Primitive(Op::Reshape(x.sizes())), node, |_, _, g| Ok(g.clone()))
}

/// A view by one step.
pub(crate) fn seen(x: &Tensor, op: impl Into<ViewOp>, name: &'static str) -> Result<Tensor> {
    // PyTorch hands the gradient on where nothing is squeezed, and takes another view of it elsewhere.
    let hands_on = matches!(name, "SqueezeBackward0" | "SqueezeBackward1" | "SqueezeBackward2" | "AliasBackward0");
    view(x, op.into(), name, if hands_on { unseen_or_given } else { unseen_apart })
}

/// As [`unseen`], and the given gradient where nothing changes.
fn unseen_or_given(op: &ViewOp, from: &Sizes, g: &Tensor) -> Result<Tensor> {
    if g.is_off_tape() && all_same(from, &g.sizes()) { Ok(g.clone()) } else { unseen(op, from, g) }
}

/// As [`seen`], with a derivative of its own.
pub(super) fn seen_with(x: &Tensor, op: impl Into<ViewOp>, name: &'static str, vjp: ViewVjp) -> Result<Tensor> {
    view(x, op.into(), name, vjp)
}

/// `x` seen as the path says.
pub(super) fn take(x: &Tensor, path: &Arc<Link>) -> Result<Tensor> {
    let mut x = x.clone();
    for step in path.steps() {
        x = seen_along(&x, &step)?;
    }
    Ok(x)
}

/// `x` seen as a step says. It is any tensor, so nothing stands in the memory around it.
pub(super) fn seen_along(x: &Tensor, step: &Link) -> Result<Tensor> {
    match &step.op {
        ViewOp::Memory { len, places } => memory::spread(x, *len, places),
        op @ (ViewOp::Primitive(_) | ViewOp::Affine(_) | ViewOp::Select { .. }) => seen(x, op.clone(), step.name),
    }
}

/// A view that was recorded, taken again; `place` says which places a run has chosen.
///
/// # Errors
/// When its sizes do not fit the tensor.
pub(crate) fn seen_again(x: &Tensor, op: ViewOp, place: impl Fn(usize) -> Result<i64>) -> Result<Tensor> {
    if let ViewOp::Select { axis, at } = op {
        return x.try_select(axis as isize, place(at)? as isize);
    }
    let (op, name) = fitting(x, op)?;
    match &op {
        ViewOp::Memory { len, places } => memory::seen_around(x, *len, places.clone()),
        ViewOp::Primitive(_) | ViewOp::Affine(_) | ViewOp::Select { .. } => seen(x, op, name),
    }
}

/// As [`seen_again`], as a tensor of its own: it is a view of nothing, and has no history.
///
/// # Errors
/// As there.
pub(crate) fn shown_again(x: &Tensor, op: ViewOp, place: impl Fn(usize) -> Result<i64>) -> Result<Tensor> {
    if let ViewOp::Select { .. } = op {
        return Ok(no_grad(|| seen_again(x, op, place))?.same_elements());
    }
    let (op, _) = fitting(x, op)?;
    match &op {
        ViewOp::Memory { len, places } => Ok(memory::seen_around(x, *len, places.clone())?.same_elements()),
        ViewOp::Primitive(_) | ViewOp::Affine(_) | ViewOp::Select { .. } => apply_view(&op, x),
    }
}

/// Distances that were recorded, in a tensor of so many axes, with what follows from them.
fn completed(affine: &Affine, rank: usize) -> Affine {
    let (shape, steps): (_, Strides) = (hints(&affine.sizes), small(&affine.steps, |n| n as isize));
    let count = Size::from(shape[rank - 1..].iter().product::<usize>());
    let is_apart = eval::check_apart(&shape, &steps).is_ok() || affine.is_apart;
    Affine { count, is_apart, ..affine.clone() }
}

/// A step that was recorded, and is no choice of a place, on a tensor that its sizes fit; with the name of its node.
fn fitting(x: &Tensor, op: ViewOp) -> Result<(ViewOp, &'static str)> {
    let name = match &op {
        ViewOp::Affine(affine) => {
            if !affine.fits(x.shape_hint()) {
                return Err(Error::operands("as_strided", format!("a view reaches outside of {:?}", x.shape_hint())));
            }
            return Ok((ViewOp::Affine(completed(affine, x.dim())), "AsStridedBackward0"));
        }
        ViewOp::Memory { len, places } => {
            if !memory::is_around(x, *len, places) {
                return Err(Error::operands(
                    "as_strided",
                    format!("{:?} does not lie so in its memory", x.shape_hint()),
                ));
            }
            return Ok((ViewOp::Memory { len: *len, places: completed(places, 1) }, "AsStridedBackward0"));
        }
        ViewOp::Select { .. } => unreachable!("bug in allotrope: the place is known before a view is taken"),
        ViewOp::Primitive(op) => {
            infer(op, &[&Type { dtype: x.dtype(), shape: x.sizes() }])?;
            match op.class() {
                Class::View(View::Reshape(_)) => "ViewBackward0",
                Class::View(View::Broadcast(_)) => "ExpandBackward0",
                Class::View(View::Permute(_)) => "PermuteBackward0",
                Class::View(View::Slice { .. }) => "SliceBackward0",
                Class::View(View::Window { .. }) => "UnfoldBackward0",
                _ => unreachable!("bug in allotrope: {} is no view", op.name()),
            }
        }
    };
    Ok((op, name))
}

/// As [`unseen`], and a tensor of its own, unless nothing was repeated.
fn unseen_apart(op: &ViewOp, from: &Sizes, g: &Tensor) -> Result<Tensor> {
    let gradient = unseen(op, from, g)?;
    Ok(if matches!(op, ViewOp::Primitive(Op::Broadcast(_))) { gradient } else { another(gradient, g) })
}

/// The gradient of what was seen through `op`, which had the sizes `from`.
pub(super) fn unseen(op: &ViewOp, from: &Sizes, g: &Tensor) -> Result<Tensor> {
    let op = match op {
        ViewOp::Primitive(op) => op,
        ViewOp::Affine(affine) => return put_at(affine, &zeros(g, from)?, g),
        ViewOp::Memory { places, .. } => return memory::shares(g, places),
        ViewOp::Select { axis, at } => return put_chosen(*axis, *at, &zeros(g, from)?, g),
    };
    let Class::View(view) = op.class() else { unreachable!("bug in allotrope: {} is no view", op.name()) };
    match view {
        // A tensor of its own, also where nothing changes: a view of a gradient, as the result is one of the operand.
        View::Reshape(_) => g.reshape_recorded(from),
        // A sum, also where there are no axes.
        View::Broadcast(sizes) if sizes.is_empty() => copied("CloneBackward0", g),
        View::Broadcast(_) => g.sum_to_size(from),
        View::Permute(axes) => {
            let mut back: Axes = axes.clone();
            for (i, &a) in axes.iter().enumerate() {
                back[a] = i;
            }
            permuted(g, back)
        }
        View::Slice { axis, start, len } => {
            // Zeros on both sides of the gradient.
            let zeros = |n: Size| {
                let mut sizes = from.clone();
                sizes[axis] = n;
                full_of(&sizes, Scalar::from_f64(0.0, g.dtype()))
            };
            let (before, after) = (zeros(*start)?, zeros(from[axis].minus(*start).minus(*len))?);
            concat(&[&before, g, &after], axis)
        }
        View::Window { axis, size, step, dilation, .. } => {
            overlap_add(g, from[axis], WindowSpec { axis, size: *size, step, dilation })
        }
        View::Flip(_) => unreachable!("bug in allotrope: a flip is copied, and has a gradient of its own"),
    }
}

/// `whole` with the elements of `part` where they are seen; what is seen often gets the sum.
pub(super) fn put_at(affine: &Affine, whole: &Tensor, part: &Tensor) -> Result<Tensor> {
    let rank = whole.dim();
    let how = if affine.is_apart { ScatterOp::Set } else { ScatterOp::Add };
    let places = affine.places(rank, &mut emit)?;
    scatter(how, whole, &places, &part.reshape_sizes(&affine.flat_sizes(rank))?, rank - 1)
}

/// `whole` with `part` at the place of this number along an axis.
pub(super) fn put_chosen(axis: usize, at: usize, whole: &Tensor, part: &Tensor) -> Result<Tensor> {
    let (sizes, at) = (whole.sizes(), kept(at));
    let places = select::places(axis, &sizes, &at, &mut emit)?;
    let part = part.reshape_sizes(&select::with_one(axis, &sizes))?;
    scatter(ScatterOp::Set, whole, &places, &part, axis)
}

pub(crate) fn narrow(x: &Tensor, axis: usize, start: Size, len: Size) -> Result<Tensor> {
    seen(x, Op::Slice { axis, start, len }, "SliceBackward0")
}

pub(crate) fn concat(tensors: &[&Tensor], axis: usize) -> Result<Tensor> {
    concat_as_node("CatBackward0", tensors, axis)
}

/// As [`concat`], by a node of this name.
pub(super) fn concat_as_node(node: &'static str, tensors: &[&Tensor], axis: usize) -> Result<Tensor> {
    let operands: SmallVec<[Operand<'_>; 4]> = tensors.iter().map(|t| Operand::Tensor(t)).collect();
    let sizes: SmallVec<[Size; 4]> = tensors.iter().map(|t| t.sizes()[axis]).collect();
    differentiable(&Op::Concat { axis }, node, &operands, |_| {
        move |c: &Context<'_>, g: &Tensor| {
            let mut start = Size::from(0);
            let mut grads = Grads::new();
            for (i, &len) in sizes.iter().enumerate() {
                grads.push(if c.wants(i) { Some(narrow(g, axis, start, len)?) } else { None });
                start = start.plus(&len);
            }
            Ok(grads)
        }
    })
}

/// Consecutive sections of an axis, of these lengths, as one node of the tape: the gradients are concatenated once,
/// however many sections there are. `elements` says that each is one element, without the axis then.
pub(super) fn sections(
    name: &'static str,
    x: &Tensor,
    axis: usize,
    lens: &[Size],
    elements: bool,
) -> Result<Vec<Tensor>> {
    let mut start = Size::from(0);
    eval::affords(lens.len())?;
    let mut parts = Vec::with_capacity(lens.len());
    // Each is a view with steps of its own, which changes in place need; the common history replaces theirs.
    no_grad(|| -> Result<()> {
        for &len in lens {
            let part = narrow(x, axis, start, len)?;
            parts.push(match elements {
                true => {
                    let mut sizes = part.sizes();
                    sizes.remove(axis);
                    part.reshape_recorded(&sizes)?
                }
                false => part,
            });
            start = start.plus(&len);
        }
        Ok(())
    })?;
    if is_grad_enabled() {
        parts.iter().for_each(|part| part.set_creation(Creation::Several));
    }
    if x.is_off_tape() {
        return Ok(parts);
    }
    check_integers(x)?;
    let (own, lens, dtype) = (x.sizes(), lens.to_vec(), x.dtype());
    let rest = own[axis].minus(start);
    let node = tape::node(name, smallvec![tape::operand_edge(x)?], false, move |c, grads| {
        if !c.wants(0) {
            return Ok(smallvec![None]);
        }
        let zeros = |n: Size| {
            let mut sizes = own.clone();
            sizes[axis] = n;
            full_of(&sizes, Scalar::from_f64(0.0, dtype))
        };
        let given = |i: usize| match grads.get(i).cloned().flatten() {
            Some(g) if elements => {
                let mut sizes = g.sizes();
                sizes.insert(axis, Size::from(1));
                g.reshape_sizes(&sizes)
            }
            Some(g) => Ok(g),
            None => zeros(lens[i]),
        };
        let mut parts = (0..lens.len()).map(given).collect::<Result<Vec<_>>>()?;
        parts.push(zeros(rest)?);
        grads1(concat(&parts.iter().collect::<Vec<_>>(), axis)?)
    });
    for (i, part) in parts.iter().enumerate() {
        part.set_grad_fn(Some(Edge::new(node.clone(), i as u32)));
    }
    Ok(parts)
}

/// The same elements in new memory, for operations whose result must not be a view even where no element moves.
pub(crate) fn copied(node: &'static str, x: &Tensor) -> Result<Tensor> {
    let compute = || match x.dim() {
        0 => concat(&[&x.reshape_sizes(&[Size::from(1)])?], 0)?.reshape_sizes(&[]),
        _ => concat(&[x], 0),
    };
    let copy = composite(node, &[Operand::Tensor(x)], compute, |_| |_: &Context<'_>, g: &Tensor| grads1(g.clone()))?;
    Ok(unlinked(&copy))
}

/// A copy that keeps the order in memory.
pub(super) fn fresh(x: &Tensor) -> Result<Tensor> {
    // The elements of a recorded value never change: it is only to be another tensor, which lies so.
    match mode::is_recording() && x.is_off_tape() {
        true => laid_out(x.clone(), LayoutRule::Preserved, &[Operand::Tensor(x)]),
        false => ordered_as(copied("CloneBackward0", x)?, x),
    }
}

/// The numbers 0, 1, …, n-1 as i64, where n may be symbolic.
pub(super) fn iota(n: Size) -> Result<Tensor> {
    apply(&Op::Iota(n), &[])
}

/// Zero of the dtype, without axes.
pub(super) fn zero_of(x: &Tensor) -> Result<Tensor> {
    full_of(&[], Scalar::from_f64(0.0, x.dtype()))
}

/// Zeros with the dtype of `x`.
pub(super) fn zeros(x: &Tensor, sizes: &[Size]) -> Result<Tensor> {
    full_of(sizes, Scalar::from_f64(0.0, x.dtype()))
}
