//! Operations that move elements and compute nothing: views where the layout allows, copies where not.

use super::twins;
use super::window::{Pieces, overlap_add};
use crate::dispatch::{apply, differentiable, view};
use crate::error::{Error, Result, must};
use crate::tensor::recorder::{self, Operand};
use crate::tensor::size::{Sizes, hints};
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{Axes, Op};
use smallvec::{SmallVec, smallvec};

twins! {
    /// The same elements in row-major order under another shape; one axis may be -1, "what is left".
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(6).reshape(&[2, -1]).shape(), [2, 3]);
    /// ```
    fn reshape / try_reshape(&self, shape: &[isize]) -> Tensor {
        self.reshape_sizes(&wanted_sizes(self, shape)?)
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]`.
    fn permute / try_permute(&self, axes: &[isize]) -> Tensor {
        let axes: Axes = axes.iter().map(|&a| self.axis("permute", a)).collect::<Result<_>>()?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.dim()) {
            return Err(Error::operands("permute", format!("{axes:?} does not name each of the {} axes once", self.dim())));
        }
        permute(self, axes)
    }

    /// Two axes exchanged.
    fn transpose / try_transpose(&self, a: isize, b: isize) -> Tensor {
        let (a, b) = (self.axis("transpose", a)?, self.axis("transpose", b)?);
        let mut axes: Axes = (0..self.dim()).collect();
        axes.swap(a, b);
        permute(self, axes)
    }

    /// The transpose of a matrix; fewer axes stay as they are.
    fn t / try_t(&self) -> Tensor {
        match self.dim() {
            0 | 1 => Ok(self.clone()),
            2 => permute(self, smallvec![1, 0]),
            n => Err(Error::operands("t", format!("expects a matrix or less, got {n} axes; use transpose or permute"))),
        }
    }

    /// A new axis of size 1 before `axis`.
    fn unsqueeze / try_unsqueeze(&self, axis: isize) -> Tensor {
        let n = self.dim() as isize + 1;
        let at = if axis < 0 { axis + n } else { axis };
        if !(0..n).contains(&at) {
            return Err(Error::operands("unsqueeze", format!("axis {axis} must be {} to {}", -n, n - 1)));
        }
        let mut sizes = self.sizes();
        sizes.insert(at as usize, Size::from(1));
        self.reshape_sizes(&sizes)
    }

    /// Without the axis, where its size is 1; unchanged otherwise.
    fn squeeze / try_squeeze(&self, axis: isize) -> Tensor {
        if self.dim() == 0 {
            return Ok(self.clone());
        }
        let axis = self.axis("squeeze", axis)?;
        let mut sizes = self.sizes();
        // Whether the axis goes depends on its size, so the trace holds for this answer only.
        recorder::specialize(&[sizes[axis]], "squeeze() asked whether an axis has size 1");
        if sizes[axis].hint() != 1 {
            return Ok(self.clone());
        }
        sizes.remove(axis);
        self.reshape_sizes(&sizes)
    }

    /// The axes from `from` to `to`, both included, as one.
    fn flatten / try_flatten(&self, from: isize, to: isize) -> Tensor {
        if self.dim() == 0 {
            return self.try_reshape(&[1]);
        }
        let (from, to) = (self.axis("flatten", from)?, self.axis("flatten", to)?);
        if from > to {
            return Err(Error::operands("flatten", format!("axis {from} comes after axis {to}")));
        }
        let mut sizes = self.sizes();
        let merged = recorder::numel(&sizes[from..=to]);
        sizes.drain(from..=to);
        sizes.insert(from, merged);
        self.reshape_sizes(&sizes)
    }

    /// Axes of size 1 and new leading axes repeated without copying; -1 keeps an axis as it is.
    fn expand / try_expand(&self, shape: &[isize]) -> Tensor {
        let own = self.sizes();
        let lead = shape.len().checked_sub(own.len()).ok_or_else(|| {
            Error::operands("expand", format!("shape {shape:?} has fewer axes than {:?}", self.shape_hint()))
        })?;
        let sizes = shape
            .iter()
            .enumerate()
            .map(|(i, &n)| match (n, i.checked_sub(lead)) {
                (-1, Some(j)) => Ok(own[j]),
                (n, _) if n >= 0 => Ok(Size::from(n as usize)),
                _ => Err(Error::operands("expand", format!("-1 in {shape:?} stands for no axis of {:?}", self.shape_hint()))),
            })
            .collect::<Result<Sizes>>()?;
        if self.is_off_tape() { self.expand_sizes(&sizes) } else { self.expand_noted(&sizes) }
    }

    /// Repeated to the shape of `other`; symbolic dimensions stay symbolic.
    fn expand_as / try_expand_as(&self, other: &Tensor) -> Tensor {
        if self.is_off_tape() { self.expand_sizes(&other.sizes()) } else { self.expand_noted(&other.sizes()) }
    }

    /// `len` elements of one axis from `start` on (negative counts from the end).
    fn narrow / try_narrow(&self, axis: isize, start: isize, len: usize) -> Tensor {
        let a = self.axis("narrow", axis)?;
        let size = self.sizes()[a];
        let n = size.hint() as isize;
        let from = if start < 0 { start + n } else { start };
        if from < 0 || from + len as isize > n {
            return Err(Error::operands(
                "narrow",
                format!("{len} elements from {start} on do not lie in axis {axis} of shape {:?}", self.shape_hint()),
            ));
        }
        let start = match start < 0 {
            true => size.minus(Size::from(start.unsigned_abs())),
            false => Size::from(start as usize),
        };
        if size.is_symbolic() {
            recorder_at_least(size, (if from == n { len as isize } else { from + len as isize }) as usize, start);
        }
        narrow(self, a, start, Size::from(len))
    }

    /// The element `index` of one axis (negative counts from the end), without that axis.
    fn select / try_select(&self, axis: isize, index: isize) -> Tensor {
        let a = self.axis("select", axis)?;
        let n = self.shape_hint()[a] as isize;
        if !(-n..n).contains(&index) {
            return Err(Error::operands(
                "select",
                format!("index {index} does not exist in axis {axis} of shape {:?}; it may be {} to {}", self.shape_hint(), -n, n - 1),
            ));
        }
        let one = self.try_narrow(axis, index, 1)?;
        let mut sizes = one.sizes();
        sizes.remove(a);
        one.reshape_sizes(&sizes)
    }

    /// The same elements in row-major order in memory; the tensor itself where they are so already.
    fn contiguous / try_contiguous(&self) -> Tensor {
        if self.is_contiguous() {
            return Ok(self.clone());
        }
        let dense = match recorder::is_active() {
            true => apply(&Op::Reshape(self.sizes().iter().copied().collect()), &[Operand::Tensor(self)])?,
            false => eval::contiguous(self)?,
        };
        if self.is_requires_grad() && crate::autograd::is_grad_enabled() {
            // Same values: the history is that of the original.
            dense.set_grad_fn(crate::autograd::tape::edge_of(self));
        }
        Ok(dense)
    }
}

/// How far a symbolic axis must reach for the slice to lie in it.
fn recorder_at_least(size: Size, reach: usize, start: Size) {
    let least = if start.is_symbolic() { size.hint() - start.hint() } else { reach };
    if let Some(r) = recorder::active() {
        r.at_least(size, least);
    }
}

/// The sizes meant by a shape with at most one -1.
fn wanted_sizes(x: &Tensor, shape: &[isize]) -> Result<Sizes> {
    let fail = |why: &str| Err(Error::operands("reshape", format!("{:?} to {shape:?}: {why}", x.shape_hint())));
    let Some(free) = shape.iter().position(|&n| n == -1) else {
        if shape.iter().any(|&n| n < 0) {
            return fail("sizes must not be negative");
        }
        return Ok(shape.iter().map(|&n| Size::from(n as usize)).collect());
    };
    if shape.iter().enumerate().any(|(i, &n)| i != free && n < 0) {
        return fail("only one axis can be -1");
    }
    let known: usize = shape.iter().filter(|&&n| n >= 0).map(|&n| n as usize).product();
    let total = recorder::numel(&x.sizes());
    if known == 0 || !total.hint().is_multiple_of(known) {
        return fail("the other axes do not divide the number of elements");
    }
    let rest = if known == 1 {
        total
    } else {
        recorder::specialize(&[total], "reshape(-1) divides a symbolic number of elements");
        Size::from(total.hint() / known)
    };
    let mut sizes: Sizes = shape.iter().map(|&n| Size::from(n.max(0) as usize)).collect();
    sizes[free] = rest;
    Ok(sizes)
}

impl Tensor {
    pub(crate) fn reshape_sizes(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        if self.is_off_tape() && own[..] == *sizes {
            return Ok(self.clone());
        }
        let (from, to) = (recorder::numel(&own), recorder::numel(sizes));
        if from.hint() != to.hint() {
            return Err(Error::operands(
                "reshape",
                format!("{:?} has {} elements, {:?} has {}", self.shape_hint(), from.hint(), hints(sizes), to.hint()),
            ));
        }
        recorder::demand_equal(from, to);
        seen(self, Op::Reshape(Sizes::from_slice(sizes)), "ViewBackward0")
    }

    /// Whether what is done to this tensor is not noted. What is noted must not depend on the sizes, or a trace would
    /// add gradients in another order than an eager call with sizes that make an operation do nothing.
    fn is_off_tape(&self) -> bool {
        !(self.is_requires_grad() && crate::autograd::is_grad_enabled())
    }

    /// Repeated, for an operand of one operation: itself where nothing is repeated.
    pub(crate) fn expand_sizes(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        if own[..] == *sizes {
            return Ok(self.clone());
        }
        self.expand_noted(sizes)
    }

    /// Repeated, and noted also where nothing is repeated.
    fn expand_noted(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        let lead = sizes.len().checked_sub(own.len());
        let fits = |lead: usize| {
            own.iter().zip(&sizes[lead..]).all(|(&from, &to)| {
                if from.is_one() || recorder::demand_equal(from, to) {
                    return true;
                }
                if from.hint() == 1 {
                    recorder::specialize(&[from], "an axis of size 1 is repeated by expand");
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

    /// Summed over the axes along which `sizes` was repeated to this shape.
    pub(crate) fn sum_to(&self, sizes: &[Size]) -> Result<Tensor> {
        let own = self.sizes();
        let lead = own.len() - sizes.len();
        let repeated = |i: &usize| *i < lead || (sizes[*i - lead].is_one() && !own[*i].is_one());
        let axes: Axes = (0..own.len()).filter(repeated).collect();
        let sum = if axes.is_empty() { self.clone() } else { super::reduce::sum_axes(self, axes)? };
        sum.reshape_sizes(sizes)
    }
}

/// The axes in another order; `axes` names each once.
fn permute(x: &Tensor, axes: Axes) -> Result<Tensor> {
    if axes.iter().copied().eq(0..x.dim()) {
        return Ok(x.clone());
    }
    seen(x, Op::Permute(axes), "PermuteBackward0")
}

/// A view by one primitive.
pub(crate) fn seen(x: &Tensor, op: Op<Size>, name: &'static str) -> Result<Tensor> {
    view(x, op, name, unseen)
}

/// The gradient of what was seen through `op`, which had the sizes `from`.
fn unseen(op: &Op<Size>, from: &Sizes, g: &Tensor) -> Result<Tensor> {
    match op {
        Op::Reshape(_) => g.reshape_sizes(from),
        Op::Broadcast(_) => g.sum_to(from),
        Op::Permute(axes) => {
            let mut back: Axes = axes.clone();
            for (i, &a) in axes.iter().enumerate() {
                back[a] = i;
            }
            permute(g, back)
        }
        Op::Slice { axis, start, len } => {
            // Zeros on both sides of the gradient.
            let zeros = |n: Size| {
                let mut sizes = from.clone();
                sizes[*axis] = n;
                crate::tensor::create::full_of(&sizes, allotrope_ir::Scalar::from_f64(0.0, g.dtype()))
            };
            let (before, after) = (zeros(*start)?, zeros(from[*axis].minus(*start).minus(*len))?);
            concat(&[&before, g, &after], *axis)
        }
        Op::Window { axis, size, step, dilation, .. } => {
            let pieces = Pieces { axis: *axis, size: *size, step: *step, dilation: *dilation };
            overlap_add(g, from[*axis], pieces)
        }
        _ => unreachable!("bug in allotrope: {} is no view", op.name()),
    }
}

pub(crate) fn narrow(x: &Tensor, axis: usize, start: Size, len: Size) -> Result<Tensor> {
    seen(x, Op::Slice { axis, start, len }, "SliceBackward0")
}

pub(crate) fn concat(tensors: &[&Tensor], axis: usize) -> Result<Tensor> {
    let operands: SmallVec<[Operand<'_>; 4]> = tensors.iter().map(|t| Operand::Tensor(t)).collect();
    let sizes: SmallVec<[Size; 4]> = tensors.iter().map(|t| t.sizes()[axis]).collect();
    differentiable(&Op::Concat { axis }, "CatBackward0", &operands, |_| {
        move |c: &_, g: &Tensor| {
            use allotrope_ir::Extent;
            let mut start = Size::from(0);
            let mut grads = crate::tensor::grad_fn::Grads::new();
            for (i, &len) in sizes.iter().enumerate() {
                let wanted = crate::autograd::tape::Context::wants(c, i);
                grads.push(if wanted { Some(narrow(g, axis, start, len)?) } else { None });
                start = start.plus(&len);
            }
            Ok(grads)
        }
    })
}

/// Tensors joined along an axis that they all have; the other axes must be equal.
///
/// # Panics
/// When there is none, or shapes or dtypes do not fit.
#[track_caller]
pub fn cat(tensors: &[&Tensor], axis: isize) -> Tensor {
    must(try_cat(tensors, axis))
}

/// Tensors of one shape joined along a new axis.
///
/// # Panics
/// When there is none, or shapes or dtypes differ.
#[track_caller]
pub fn stack(tensors: &[&Tensor], axis: isize) -> Tensor {
    must(try_stack(tensors, axis))
}

/// As [`cat`].
///
/// # Errors
/// When there is no tensor, or shapes or dtypes do not fit.
pub fn try_cat(tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
    joined("cat", tensors, axis)
}

fn joined(op: &'static str, tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
    let first = tensors.first().ok_or_else(|| Error::operands(op, "needs at least one tensor"))?;
    let a = first.axis(op, axis)?;
    for t in &tensors[1..] {
        let fits = t.dtype() == first.dtype()
            && t.dim() == first.dim()
            && (0..t.dim()).all(|i| i == a || recorder::demand_equal(t.sizes()[i], first.sizes()[i]));
        if !fits {
            return Err(Error::operands(
                op,
                format!(
                    "cannot join {}{:?} to {}{:?} along axis {axis}: dtypes and the other axes must be equal",
                    t.dtype(),
                    t.shape_hint(),
                    first.dtype(),
                    first.shape_hint()
                ),
            ));
        }
    }
    concat(tensors, a)
}

/// As [`stack`].
///
/// # Errors
/// When there is no tensor, or shapes or dtypes differ.
pub fn try_stack(tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
    if let Some((first, rest)) = tensors.split_first()
        && let Some(t) = rest.iter().find(|t| t.dtype() != first.dtype() || !t.same_shape(first))
    {
        return Err(Error::operands(
            "stack",
            format!(
                "cannot stack {}{:?} on {}{:?}: dtypes and shapes must be equal",
                t.dtype(),
                t.shape_hint(),
                first.dtype(),
                first.shape_hint()
            ),
        ));
    }
    let raised = tensors.iter().map(|t| t.try_unsqueeze(axis)).collect::<Result<Vec<Tensor>>>()?;
    joined("stack", &raised.iter().collect::<Vec<_>>(), axis)
}
