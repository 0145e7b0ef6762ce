//! Elements repeated, rotated and rolled along axes. Results are new tensors, never views, except of `meshgrid`.

use super::gather::flip;
use super::movement::{copied, narrow};
use super::reduce::sum_axes;
use super::results::another;
use super::single_node::{Keeps, single};
use super::{borrowed, grads1, twin_fns, twins};
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::backend::cpu::host::room;
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::layout::ordered_as;
use crate::mode::sizes::{at_most, is_zero, specialize};
use crate::tensor::operand::Operand;
use crate::tensor::{FromElement, Size, Sizes, Tensor, eval};
use allotrope_ir::{Axes, DType, Extent};
use std::borrow::Borrow;
use std::panic::Location;

twins! {
    /// The whole tensor `times[i]` times along axis `i`; more numbers than axes make new leading axes.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(2).repeat(&[2, 2]).to_vec::<i64>(), [0, 1, 0, 1, 0, 1, 0, 1]);
    /// ```
    fn repeat / try_repeat(&self, times: &[usize]) -> Tensor {
        let own = self.sizes();
        let lead = times.len().checked_sub(own.len()).ok_or_else(|| {
            Error::operands("repeat", format!("{times:?} has fewer numbers than {:?} has axes", self.shape_hint()))
        })?;
        if times.iter().all(|&n| n == 1) {
            let sizes: Sizes = std::iter::repeat_n(Size::from(1), lead).chain(own).collect();
            if lead == 0 {
                return copied("RepeatBackward0", self);
            }
            return composite("RepeatBackward0", &[Operand::Tensor(self)], || copied("CloneBackward0", &self.reshape_sizes(&sizes)?), |_| {
                // The leading axes are summed, though they have one element each.
                move |_: &Context<'_>, g: &Tensor| grads1(sum_axes(g, (0..lead).collect())?)
            });
        }
        // Each axis gets one before it that is repeated, and the two are merged.
        let (mut raised, mut repeated, mut merged) = (Sizes::new(), Sizes::new(), Sizes::new());
        for (i, &n) in times.iter().enumerate() {
            let n = Size::from(n);
            let size = i.checked_sub(lead).map_or(Size::from(1), |i| own[i]);
            raised.extend([Size::from(1), size]);
            repeated.extend([n, size]);
            merged.push(n.times(&size));
        }
        // Repeated axes may look like one axis of their own: only a copy is sure to be no view.
        single("RepeatBackward0", &[self], &[], |x| {
            x[0].reshape_sizes(&raised)?.expand_recorded(&repeated)?.try_contiguous()?.reshape_sizes(&merged)
        })
    }

    /// As [`Tensor::repeat`]; numbers that are missing at the left are 1.
    fn tile / try_tile(&self, times: &[usize]) -> Tensor {
        let missing = self.dim().saturating_sub(times.len());
        let times: Vec<usize> = std::iter::repeat_n(1, missing).chain(times.iter().copied()).collect();
        self.try_repeat(&times)
    }

    /// Each element of an axis `times` times; without an axis, each element of the flattened tensor.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(3).repeat_interleave(2, None).to_vec::<i64>(), [0, 0, 1, 1, 2, 2]);
    /// ```
    fn repeat_interleave / try_repeat_interleave(&self, times: usize, axis: Option<isize>) -> Tensor {
        let Some(axis) = axis else { return self.try_ravel()?.try_repeat_interleave(times, Some(0)) };
        let a = self.axis("repeat_interleave", axis)?;
        if times == 1 {
            let compute = || copied("CloneBackward0", self);
            return composite("ViewBackward0", &[Operand::Tensor(self)], compute, |_| {
                move |_: &Context<'_>, g: &Tensor| grads1(another(g.clone(), g))
            });
        }
        single("ViewBackward0", &[self], &[], |x| {
            let mut sizes = x[0].sizes();
            sizes.insert(a + 1, Size::from(1));
            let raised = x[0].reshape_sizes(&sizes)?;
            sizes[a + 1] = Size::from(times);
            let repeated = raised.expand_recorded(&sizes)?.try_contiguous()?;
            let merged = sizes[a].times(&sizes[a + 1]);
            sizes.remove(a + 1);
            sizes[a] = merged;
            repeated.reshape_sizes(&sizes)
        })
    }

    /// Element `i` of an axis `times[i]` times; without an axis, of the flattened tensor. How long the result is depends
    /// on values, so a trace can't hold it.
    fn repeat_interleave_by / try_repeat_interleave_by(&self, times: &Tensor, axis: Option<isize>) -> Tensor {
        let op = "repeat_interleave";
        let Some(axis) = axis else { return self.try_ravel()?.try_repeat_interleave_by(times, Some(0)) };
        let a = self.axis(op, axis)?;
        if !times.dtype().is_integer() || times.dim() > 1 {
            return Err(Error::operands(op, format!("times must be integers along one axis, got {}{:?}", times.dtype(), times.shape_hint())));
        }
        let n = self.sizes()[a];
        let times = times.try_to(DType::I64)?;
        let times = if times.dim() == 0 { times.reshape_sizes(&[Size::from(1)])? } else { times };
        let times: Vec<i64> = host(op, &times.expand_sizes(&[n])?)?;
        if let Some(bad) = times.iter().find(|&&t| t < 0) {
            return Err(Error::operands(op, format!("times must not be negative, got {bad}")));
        }
        let total = times.iter().fold(0, |n: usize, &t| n.saturating_add(t as usize));
        let mut places = room::<i64>(total)?;
        places.extend(times.iter().enumerate().flat_map(|(i, &t)| std::iter::repeat_n(i as i64, t as usize)));
        let places = Tensor::try_from_slice(&places, &[places.len()])?;
        single("IndexSelectBackward0", &[self], &[Keeps::Hidden], |x| super::index::rows(&x[0], a, &places))
    }

    /// The elements in reverse order along the axes.
    fn flip / try_flip(&self, axes: &[isize]) -> Tensor {
        let mut named: Axes = axes.iter().map(|&a| super::wrapped(self, "flip", a)).collect::<Result<_>>()?;
        named.sort_unstable();
        if named.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::operands("flip", format!("axes {axes:?} name one axis twice")));
        }
        match self.dim() == 0 || named.is_empty() {
            true => {
                let copy = |x: &Tensor| ordered_as(copied("CloneBackward0", x)?, x);
                composite("FlipBackward0", &[Operand::Tensor(self)], || copy(self), |_| {
                    move |_: &Context<'_>, g: &Tensor| grads1(copy(g)?)
                })
            }
            false => flip(self, named),
        }
    }

    /// The columns in reverse order: [`Tensor::flip`] of the second axis.
    fn fliplr / try_fliplr(&self) -> Tensor {
        if self.dim() < 2 {
            return Err(Error::operands("fliplr", format!("needs two axes at least, the shape is {:?}", self.shape_hint())));
        }
        self.try_flip(&[1])
    }

    /// The rows in reverse order: [`Tensor::flip`] of the first axis.
    fn flipud / try_flipud(&self) -> Tensor {
        if self.dim() < 1 {
            return Err(Error::operands("flipud", "needs one axis at least, the tensor has none"));
        }
        self.try_flip(&[0])
    }

    /// The elements moved on by `shifts[i]` along `axes[i]` (negative: back); what falls off at one end comes in at the
    /// other. Without axes the flattened tensor is rolled by the one shift.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(4).roll(&[1], &[0]).to_vec::<i64>(), [3, 0, 1, 2]);
    /// ```
    fn roll / try_roll(&self, shifts: &[isize], axes: &[isize]) -> Tensor {
        if shifts.is_empty() || (shifts.len() != axes.len() && !(axes.is_empty() && shifts.len() == 1)) {
            return Err(Error::operands("roll", format!("shifts {shifts:?} and axes {axes:?} must be as many")));
        }
        let places = axes.iter().map(|&a| self.axis("roll", a)).collect::<Result<Vec<usize>>>()?;
        single("RollBackward0", &[self], &[], |x| {
            if places.is_empty() {
                return rolled(&x[0].try_ravel()?, 0, shifts[0])?.reshape_sizes(&self.sizes());
            }
            places.iter().zip(shifts).try_fold(x[0].clone(), |x, (&a, &shift)| rolled(&x, a, shift))
        })
    }

    /// Turned by `times` right angles in the plane of two axes, from the first to the second.
    fn rot90 / try_rot90(&self, times: isize, axes: [isize; 2]) -> Tensor {
        let (a, b) = (self.axis("rot90", axes[0])?, self.axis("rot90", axes[1])?);
        if a == b {
            return Err(Error::operands("rot90", format!("axes {axes:?} are one axis")));
        }
        let turned = move |x: &Tensor, times: isize| match times.rem_euclid(4) {
            0 => copied("CloneBackward0", x),
            1 => x.try_flip(&[axes[1]])?.try_transpose(axes[0], axes[1]),
            2 => x.try_flip(&axes),
            _ => x.try_flip(&[axes[0]])?.try_transpose(axes[0], axes[1]),
        };
        composite("Rot90Backward0", &[Operand::Tensor(self)], || turned(self, times), |_| {
            move |_: &Context<'_>, g: &Tensor| grads1(turned(g, -times)?)
        })
    }
}

twin_fns! { views:
    /// The grid of the values of some vectors: tensor `i` of the result has the shape of all their lengths, and varies
    /// along axis `i` only. `"ij"` takes the vectors as they come, `"xy"` exchanges the first two axes of each result.
    fn meshgrid / try_meshgrid(tensors: &[impl Borrow<Tensor>], indexing: &str) -> Vec<Tensor> {
        let tensors = borrowed(tensors);
        let fail = |why: String| Err(Error::operands("meshgrid", why));
        if tensors.is_empty() {
            return fail("needs at least one tensor".into());
        }
        if !["ij", "xy"].contains(&indexing) {
            return fail(format!("indexing must be \"ij\" or \"xy\", got {indexing:?}"));
        }
        if let Some(t) = tensors.iter().find(|t| t.dim() > 1 || t.dtype() != tensors[0].dtype()) {
            return fail(format!("needs vectors of one dtype, got {}{:?}", t.dtype(), t.shape_hint()));
        }
        let vectors = tensors.iter().map(|t| t.try_atleast_1d()).collect::<Result<Vec<_>>>()?;
        let sizes: Sizes = vectors.iter().map(|t| t.sizes()[0]).collect();
        let swap = indexing == "xy" && vectors.len() > 1;
        let axis = |i: usize| if swap && i < 2 { 1 - i } else { i };
        let grid: Sizes = (0..sizes.len()).map(|i| sizes[axis(i)]).collect();
        let grids = vectors.iter().enumerate().map(|(i, t)| {
            let mut along: Sizes = sizes.iter().map(|_| Size::from(1)).collect();
            along[axis(i)] = sizes[i];
            t.reshape_sizes(&along)?.expand_recorded(&grid)
        });
        grids.collect()
    }
}

/// Moved on by `shift` along an axis.
fn rolled(x: &Tensor, axis: usize, shift: isize) -> Result<Tensor> {
    let n = x.sizes()[axis];
    if is_zero(n) {
        return copied("CloneBackward0", x);
    }
    let m = Size::from(shift.unsigned_abs());
    // How many elements come in from the end.
    let tail = if shift == 0 {
        m
    } else if at_most(m, n) {
        if shift > 0 { m } else { n.minus(m) }
    } else {
        specialize(&[n], "roll() by more than an axis has");
        Size::from(shift.rem_euclid(n.hint() as isize) as usize)
    };
    let head = n.minus(tail);
    let (front, back) = (narrow(x, axis, head, tail)?, narrow(x, axis, Size::from(0), head)?);
    super::movement::concat(&[&front, &back], axis)
}

/// Elements on the host, for results whose shape depends on them: an error in a trace, which names `op` and where.
#[track_caller]
pub(super) fn host<T: FromElement>(op: &str, x: &Tensor) -> Result<Vec<T>> {
    match mode::is_recording() {
        true => Err(Error::trace(format!(
            "{op} at {}: the shape of the result depends on the elements, which are not known while a trace is recorded; \
             do it outside of the trace, or keep the shape and choose with where_self() or masked_fill()",
            Location::caller()
        ))),
        false => eval::elements(x),
    }
}
