//! Another shape for the same elements in the same order: reshaping, axes of size 1, repetition without copying.
//! Results are views where the layout allows, copies where not. Nothing is computed here.

use super::arg::broadcast_size;
use super::movement::{aliased_as_node, fresh, permuted};
use super::{borrowed, twin_fns, twins};
use crate::autograd::{is_grad_enabled, tape};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::apply::apply;
use crate::mode::sizes::{all_same, demand_at_least, demand_equal, divide, numel, specialize};
use crate::tensor::grad_fn::Edge;
use crate::tensor::operand::Operand;
use crate::tensor::size::hints;
use crate::tensor::{Size, Sizes, Tensor, eval};
use allotrope_ir::Op;
use smallvec::smallvec;
use std::borrow::Borrow;

twins! { views:
    /// The same elements in row-major order under another shape; one axis may be -1, "what is left". A view where the
    /// layout allows, else a copy.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(6).reshape(&[2, -1]).shape(), [2, 3]);
    /// ```
    fn reshape / try_reshape(&self, shape: &[isize]) -> Tensor {
        reshaped(self, &wanted_sizes("reshape", self, shape)?)
    }

    /// As [`Tensor::reshape`], where that copies nothing; an error where it would have to.
    fn view / try_view(&self, shape: &[isize]) -> Tensor {
        as_view("view", self, &wanted_sizes("view", self, shape)?)
    }

    /// The shape of `other`; symbolic dimensions stay symbolic.
    fn reshape_as / try_reshape_as(&self, other: &Tensor) -> Tensor {
        reshaped(self, &other.sizes())
    }

    /// As [`Tensor::view`], with the shape of `other`; symbolic dimensions stay symbolic.
    fn view_as / try_view_as(&self, other: &Tensor) -> Tensor {
        as_view("view_as", self, &other.sizes())
    }

    /// The axes from `from` to `to`, both included, as one; a tensor without axes gets one. The tensor itself where that is
    /// one axis only.
    fn flatten / try_flatten(&self, from: isize, to: isize) -> Tensor {
        let (from, to) = (super::wrapped(self, "flatten", from)?, super::wrapped(self, "flatten", to)?);
        if self.dim() == 0 {
            return self.try_reshape(&[1]);
        }
        if from > to {
            return Err(Error::operands("flatten", format!("axis {from} comes after axis {to}")));
        }
        if from == to {
            return Ok(self.clone());
        }
        let mut sizes = self.sizes();
        let merged = numel(&sizes[from..=to]);
        sizes.drain(from..=to);
        sizes.insert(from, merged);
        reshaped(self, &sizes)
    }

    /// All elements along one axis, in row-major order; a view where they lie so.
    fn ravel / try_ravel(&self) -> Tensor {
        let n = numel(&self.sizes());
        self.try_contiguous()?.reshape_recorded(&[n])
    }

    /// One axis as several; one of them may be -1, "what is left". The other axes may be symbolic.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(12).unflatten(0, &[2, -1, 3]).shape(), [2, 2, 3]);
    /// ```
    fn unflatten / try_unflatten(&self, axis: isize, shape: &[isize]) -> Tensor {
        let axis = self.axis("unflatten", axis)?;
        let own = self.sizes();
        let fail = |why: &str| {
            let (n, all) = (own[axis].hint(), self.shape_hint());
            Err(Error::operands("unflatten", format!("axis {axis} of {all:?}, which is {n}, to {shape:?}: {why}")))
        };
        if shape.is_empty() {
            return fail("at least one size must be given");
        }
        if shape.iter().filter(|&&n| n < 0).count() > 1 || shape.iter().any(|&n| n < -1) {
            return fail("only one axis can be -1, none less");
        }
        let known = shape.iter().filter(|&&n| n >= 0).fold(1, |n: usize, &m| n.saturating_mul(m as usize));
        let free = shape.iter().position(|&n| n == -1);
        let n = own[axis];
        let fits = match free {
            Some(_) => known != 0 && n.hint().is_multiple_of(known),
            None => demand_equal(n, Size::from(known)),
        };
        if !fits {
            return fail("the sizes do not multiply up to it");
        }
        let mut sizes: Sizes = own[..axis].into();
        sizes.extend(shape.iter().map(|&n| match n {
            -1 => divide(own[axis], known, "unflatten(-1) divides a symbolic size"),
            n => Size::from(n as usize),
        }));
        sizes.extend_from_slice(&own[axis + 1..]);
        self.reshape_recorded(&sizes)
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
        self.reshape_recorded_as("UnsqueezeBackward0", &sizes)
    }

    /// Without the axis, where its size is 1; another view of the tensor otherwise.
    fn squeeze / try_squeeze(&self, axis: isize) -> Tensor {
        let axis = super::wrapped(self, "squeeze", axis)?;
        without_ones("SqueezeBackward1", self, |i| i == axis)
    }

    /// Without those of the axes named whose size is 1.
    fn squeeze_dims / try_squeeze_dims(&self, axes: &[isize]) -> Tensor {
        let mut named: Vec<usize> = axes.iter().map(|&a| super::wrapped(self, "squeeze", a)).collect::<Result<_>>()?;
        named.sort_unstable();
        if named.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::operands("squeeze", format!("axes {axes:?} name one axis twice")));
        }
        without_ones("SqueezeBackward2", self, |i| named.contains(&i))
    }

    /// Without any axis of size 1. A trace holds for calls that have the same ones.
    fn squeeze_all / try_squeeze_all(&self) -> Tensor {
        without_ones("SqueezeBackward0", self, |_| true)
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
                _ => Err(Error::operands("expand", format!("{n} in {shape:?} stands for no axis of {:?}", self.shape_hint()))),
            })
            .collect::<Result<Sizes>>()?;
        self.expand_recorded(&sizes)
    }

    /// Repeated to the shape of `other`; symbolic dimensions stay symbolic.
    fn expand_as / try_expand_as(&self, other: &Tensor) -> Tensor {
        self.expand_recorded(&other.sizes())
    }

    /// As [`Tensor::expand`].
    fn broadcast_to / try_broadcast_to(&self, shape: &[isize]) -> Tensor {
        self.try_expand(shape)
    }

    /// With one axis at least.
    fn atleast_1d / try_atleast_1d(&self) -> Tensor {
        if self.dim() == 0 { self.try_reshape(&[1]) } else { Ok(self.clone()) }
    }

    /// With two axes at least: a vector `[n]` becomes the row `[1, n]`.
    fn atleast_2d / try_atleast_2d(&self) -> Tensor {
        match self.dim() {
            0 => self.try_reshape(&[1, 1]),
            1 => self.try_unsqueeze(0),
            _ => Ok(self.clone()),
        }
    }

    /// With three axes at least: `[n]` becomes `[1, n, 1]` and `[m, n]` becomes `[m, n, 1]`.
    fn atleast_3d / try_atleast_3d(&self) -> Tensor {
        match self.dim() {
            0 => self.try_reshape(&[1, 1, 1]),
            1 => self.try_unsqueeze(0)?.try_unsqueeze(-1),
            2 => self.try_unsqueeze(-1),
            _ => Ok(self.clone()),
        }
    }

    /// The same elements in memory of their own, in the order in which they lie, differentiable: PyTorch's `clone`. In Rust `.clone()`
    /// is another handle to the same tensor.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::zeros(&[2], DType::F32);
    /// let (handle, copy) = (x.clone(), x.copy());
    /// x.fill_(1.0);
    /// assert_eq!((handle.to_vec::<f32>(), copy.to_vec::<f32>()), (vec![1.0, 1.0], vec![0.0, 0.0]));
    /// ```
    fn copy / try_copy(&self) -> Tensor {
        fresh(self)
    }

    /// The same elements in row-major order in memory; the tensor itself where they are so already.
    fn contiguous / try_contiguous(&self) -> Tensor {
        if self.is_dense() {
            mode::state::contiguous_made(self, self);
            return Ok(self.clone());
        }
        let dense = match mode::is_recording() {
            true => apply(&Op::Reshape(self.sizes().iter().copied().collect()), &[Operand::Tensor(self)])?,
            false => eval::contiguous(self)?,
        };
        mode::state::contiguous_made(self, &dense);
        if self.is_requires_grad() && is_grad_enabled() {
            self.history_known()?;
            // A view that was taken where nothing was recorded passes no gradient on, but what is computed of it has a history.
            let node = tape::node("CloneBackward0", smallvec![tape::operand_edge(self)?], false, |_, grads| {
                Ok(smallvec![grads[0].clone()])
            });
            dense.set_grad_fn(Some(Edge::new(node, 0)));
        }
        Ok(dense)
    }
}

twin_fns! { views:
    /// The tensors, each repeated without copying to the shape that all broadcast to; itself where it has that.
    fn broadcast_tensors / try_broadcast_tensors(tensors: &[impl Borrow<Tensor>]) -> Vec<Tensor> {
        let tensors = borrowed(tensors);
        let sizes = common_sizes("broadcast_tensors", &tensors)?;
        let fit = |t: &&Tensor| if all_same(&t.sizes(), &sizes) { Ok(Tensor::clone(t)) } else { t.expand_recorded(&sizes) };
        tensors.iter().map(fit).collect()
    }
}

/// The sizes that all tensors broadcast to.
pub(super) fn common_sizes(op: &'static str, tensors: &[&Tensor]) -> Result<Sizes> {
    let rank = tensors.iter().map(|t| t.dim()).max().unwrap_or(0);
    let mut out: Sizes = smallvec![Size::from(1); rank];
    for t in tensors {
        let (own, lead) = (t.sizes(), rank - t.dim());
        for (i, &n) in own.iter().enumerate() {
            out[lead + i] = broadcast_size(out[lead + i], n).ok_or_else(|| {
                let shapes: Vec<&[usize]> = tensors.iter().map(|t| t.shape_hint()).collect();
                Error::operands(
                    op,
                    format!("cannot broadcast {shapes:?} together; aligned at the right, axes must be equal or 1"),
                )
            })?;
        }
    }
    Ok(out)
}

/// Whether the size is 1; a trace holds for calls with the same answer.
#[track_caller]
pub(super) fn is_one(n: Size) -> bool {
    match n.hint() > 1 {
        true => demand_at_least(n, 2),
        false => specialize(&[n], "whether an axis has size 1 was asked"),
    }
    n.hint() == 1
}

#[track_caller]
fn without_ones(node: &'static str, x: &Tensor, named: impl Fn(usize) -> bool) -> Result<Tensor> {
    let kept: Sizes =
        x.sizes().iter().enumerate().filter(|(i, n)| !(named(*i) && is_one(**n))).map(|(_, n)| *n).collect();
    if kept.len() == x.dim() { aliased_as_node(node, x) } else { x.reshape_recorded_as(node, &kept) }
}

/// Another shape, as a view where the layout allows. PyTorch's name tells whether it lies in row-major order.
fn reshaped(x: &Tensor, sizes: &[Size]) -> Result<Tensor> {
    let node = if x.is_off_tape() || x.is_dense() { "ViewBackward0" } else { "ReshapeAliasBackward0" };
    x.reshape_recorded_as(node, sizes)
}

fn as_view(op: &'static str, x: &Tensor, sizes: &[Size]) -> Result<Tensor> {
    let out = x.reshape_recorded(sizes)?;
    mode::state::sharing_asked(&out);
    if !out.shares_elements_of(x) {
        return Err(Error::operands(
            op,
            format!(
                "{:?} with strides {:?} can't be seen as {:?} without a copy; use reshape",
                x.shape_hint(),
                x.laid_out(),
                &hints(sizes)[..]
            ),
        ));
    }
    Ok(out)
}

/// All elements along one axis, as a view.
///
/// # Errors
/// When that would take a copy.
#[track_caller]
pub(super) fn as_vector(op: &'static str, x: &Tensor) -> Result<Tensor> {
    as_view(op, x, &[numel(&x.sizes())])
}

/// The sizes meant by a shape with at most one -1.
#[track_caller]
fn wanted_sizes(op: &'static str, x: &Tensor, shape: &[isize]) -> Result<Sizes> {
    let fail = |why: &str| Err(Error::operands(op, format!("{:?} to {shape:?}: {why}", x.shape_hint())));
    let Some(free) = shape.iter().position(|&n| n == -1) else {
        if shape.iter().any(|&n| n < 0) {
            return fail("sizes must not be negative");
        }
        return Ok(shape.iter().map(|&n| Size::from(n as usize)).collect());
    };
    if shape.iter().enumerate().any(|(i, &n)| i != free && n < 0) {
        return fail("only one axis can be -1");
    }
    let known = shape.iter().filter(|&&n| n >= 0).fold(1, |n: usize, &m| n.saturating_mul(m as usize));
    let total = numel(&x.sizes());
    if known == 0 || !total.hint().is_multiple_of(known) {
        return fail("the other axes do not divide the number of elements");
    }
    let mut sizes: Sizes = shape.iter().map(|&n| Size::from(n.max(0) as usize)).collect();
    sizes[free] = divide(total, known, "reshape(-1) divides a symbolic number of elements");
    Ok(sizes)
}

/// The axes `from` moved, in this order, to the places `to`; the others keep their order.
pub(super) fn moved(x: &Tensor, from: &[usize], to: &[usize]) -> Result<Tensor> {
    permuted(x, super::axes::order_of(x.dim(), from, to))
}
