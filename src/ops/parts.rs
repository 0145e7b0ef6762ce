//! Parts of a tensor: slices, single elements of an axis, chunks that cover an axis, windows. Every result is a view.

use super::movement::{iota, narrow, sections, seen};
use super::single_node::single;
use super::twins;
use super::window::{WindowSpec, window};
use crate::backend::cpu::host;
use crate::error::{Error, Result};
use crate::mode::sizes::{at_most, demand_at_least, demand_equal, divide, is_zero, smaller, specialize};
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{DType, Extent, Op};

twins! {
    /// As [`Tensor::narrow`], from a place that a tensor (an integer without axes) holds. A copy, and
    /// available in a trace too.
    fn narrow_at / try_narrow_at(&self, axis: isize, start: &Tensor, len: usize) -> Tensor {
        let a = self.axis("narrow", axis)?;
        if start.dim() != 0 || !start.dtype().is_integer() {
            return Err(Error::operands(
                "narrow",
                format!("start must be an integer without axes, got {}{:?}", start.dtype(), start.shape_hint()),
            ));
        }
        let n = self.sizes()[a];
        if !at_most(Size::from(len), n) {
            return Err(Error::operands(
                "narrow",
                format!("{len} elements do not lie in axis {axis} of shape {:?}", self.shape_hint()),
            ));
        }
        let start = start.try_to(DType::I64)?;
        let from_end = start.try_add(&super::reduce::size_tensor(n, DType::I64)?)?;
        let start = from_end.try_where_self(&start.try_lt(0)?, &start)?;
        // How many first places there are from which `len` elements lie in the axis.
        let places = n.minus(Size::from(len)).plus(&Size::from(1));
        let start = super::gather::checked_index("narrow", &start, places, false)?;
        let places = iota(Size::from(len))?.try_add(&start)?;
        single("SliceBackward0", &[self], &[], |x| super::index::rows(&x[0], a, &places))
    }
}

twins! { views:
    /// `len` elements of one axis from `start` on (negative counts from the end).
    fn narrow / try_narrow(&self, axis: isize, start: isize, len: usize) -> Tensor {
        let a = self.axis("narrow", axis)?;
        let size = self.sizes()[a];
        let n = size.hint() as isize;
        let from = if start < 0 { start + n } else { start };
        if from < 0 || from.saturating_add_unsigned(len) > n {
            return Err(Error::operands(
                "narrow",
                format!("{len} elements from {start} on do not lie in axis {axis} of shape {:?}", self.shape_hint()),
            ));
        }
        let start = match start < 0 {
            true => size.minus(Size::from(start.unsigned_abs())),
            false => Size::from(start as usize),
        };
                    // How far the axis must reach for the slice to lie in it.
            demand_at_least(size, if start.is_symbolic() { size.hint() - start.hint() } else { start.hint() + len });
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
        one.reshape_as_node("SelectBackward0", &sizes)
    }

    /// The elements `start`, `start + step`, … before `end` of one axis, as Python's `start:end:step`: negative numbers
    /// count from the end, what lies outside is cut off, none means from the first or to the last.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(7).slice(0, Some(1), Some(-1), 2).to_vec::<i64>(), [1, 3, 5]);
    /// ```
    fn slice / try_slice(&self, axis: isize, start: Option<isize>, end: Option<isize>, step: usize) -> Tensor {
        let a = self.axis("slice", axis)?;
        let n = self.sizes()[a];
        // By what was written and not by the size, since it is recorded for gradients.
        let whole = matches!((start, end), (None | Some(0), None));
        let (start, len) = slice_bounds(n, start, end);
        match step {
            0 => Err(Error::operands("slice", "the step must be at least 1")),
            1 => narrow(self, a, start, len),
            _ if whole => every(self, a, step),
            _ => every(&narrow(self, a, start, len)?, a, step),
        }
    }

    /// Chunks of `size` elements along an axis; the last one has what is left.
    fn split / try_split(&self, size: usize, axis: isize) -> Vec<Tensor> {
        let a = self.axis("split", axis)?;
        let n = number_of(self, a, "split() cuts an axis into chunks of a given size");
        if size == 0 && n != 0 {
            return Err(Error::operands("split", format!("chunks of 0 elements never cover an axis of {n}")));
        }
        let count = if size == 0 { 1 } else { n.div_ceil(size).max(1) };
        cut("SplitBackward0", self, a, count, |i| size.min(n - i * size))
    }

    /// Chunks of these sizes, which must cover the axis.
    fn split_with_sizes / try_split_with_sizes(&self, sizes: &[usize], axis: isize) -> Vec<Tensor> {
        let a = self.axis("split_with_sizes", axis)?;
        let n = self.sizes()[a];
        if !demand_equal(n, Size::from(sizes.iter().fold(0, |n: usize, m| n.saturating_add(*m)))) {
            return Err(Error::operands(
                "split_with_sizes",
                format!("{sizes:?} must add up to {}, the size of axis {axis} of {:?}", n.hint(), self.shape_hint()),
            ));
        }
        cut("SplitWithSizesBackward0", self, a, sizes.len(), |i| sizes[i])
    }

    /// The axis in `chunks` parts of one size, the last one smaller; fewer where there are not enough elements.
    fn chunk / try_chunk(&self, chunks: usize, axis: isize) -> Vec<Tensor> {
        let a = self.axis("chunk", axis)?;
        if chunks == 0 {
            return Err(Error::operands("chunk", "needs at least one chunk"));
        }
        let n = self.sizes()[a];
        if n.is_symbolic() && n.hint().is_multiple_of(chunks) && n.hint() > 0 {
            // Equal chunks of a size that can be divided in every call.
            let size = divide(n, chunks, "chunk() cuts an axis into parts");
            if size.is_symbolic() && at_most(Size::from(1), size) {
                return sections("SplitBackward0", self, a, &vec![size; chunks], false);
            }
        }
        let n = number_of(self, a, "chunk() cuts an axis into parts");
        if n == 0 {
            return cut("SplitWithSizesBackward0", self, a, chunks, |_| 0);
        }
        self.try_split(n.div_ceil(chunks), axis)
    }

    /// The axis in exactly `sections` parts, the first ones larger by one where it can't be divided.
    fn tensor_split / try_tensor_split(&self, sections: usize, axis: isize) -> Vec<Tensor> {
        let a = self.axis("tensor_split", axis)?;
        if sections == 0 {
            return Err(Error::operands("tensor_split", "needs at least one section"));
        }
        let n = number_of(self, a, "tensor_split() cuts an axis into sections");
        let long = n % sections;
        eval::affords(sections)?;
        (0..sections)
            .map(|i| {
                let (start, len) = (i * (n / sections) + i.min(long), n / sections + usize::from(i < long));
                narrow(self, a, Size::from(start), Size::from(len))
            })
            .collect()
    }

    /// The axis cut before each of the places, as by `start:end` slices between them: negative ones count from the end.
    fn tensor_split_at / try_tensor_split_at(&self, places: &[isize], axis: isize) -> Vec<Tensor> {
        self.axis("tensor_split", axis)?;
        let ends = places.iter().map(|&p| Some(p)).chain([None]);
        let starts = [None].into_iter().chain(places.iter().map(|&p| Some(p)));
        starts.zip(ends).map(|(start, end)| self.try_slice(axis, start, end, 1)).collect()
    }

    /// Each element of an axis as a tensor without that axis.
    fn unbind / try_unbind(&self, axis: isize) -> Vec<Tensor> {
        let a = self.axis("unbind", axis)?;
        let n = number_of(self, a, "unbind() makes a tensor of each element of an axis");
        let mut lens = host::room::<Size>(n)?;
        lens.resize(n, Size::from(1));
        sections("UnbindBackward0", self, a, &lens, true)
    }

    /// Windows of `size` elements along an axis, `step` elements apart; the place in the window is a new last axis:
    /// `[.., n, ..] -> [.., (n - size) / step + 1, .., size]`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(4).unfold(0, 2, 1).to_vec::<i64>(), [0, 1, 1, 2, 2, 3]);
    /// ```
    fn unfold / try_unfold(&self, axis: isize, size: usize, step: usize) -> Tensor {
        let a = super::wrapped(self, "unfold", axis)?;
        if step == 0 {
            return Err(Error::operands("unfold", "the step must be at least 1"));
        }
        if self.dim() == 0 {
            // A tensor of one element has one window, and no axis that counts windows.
            return match size {
                0 | 1 => {
                    let part = Op::Slice { axis: 0, start: Size::from(0), len: Size::from(size) };
                    seen(&self.try_reshape(&[1])?, part, "UnfoldBackward0")
                }
                _ => Err(Error::operands("unfold", format!("{size} neighbours do not lie in a tensor of one element"))),
            };
        }
        let n = self.sizes()[a];
        if size == 0 {
            // Empty windows: n + 1 of them, or fewer with a larger step.
            let n = number_of(self, a, "unfold() with empty windows");
            let mut sizes = self.sizes();
            sizes[a] = Size::from(n / step + 1);
            sizes.push(Size::from(0));
            return narrow(self, a, Size::from(0), Size::from(0))?.reshape_recorded_as("UnfoldBackward0", &sizes);
        }
        let p = WindowSpec { axis: a, size: Size::from(size), step, dilation: 1 };
        window(self, p.count("unfold", n)?, p)
    }

    /// The elements at `offset + i₀ strides[0] + i₁ strides[1] + …` of the memory that this tensor lies in, whatever it shows of
    /// that, as a view. Results may name one element often; they can't be changed in place then.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(8).index(4..).as_strided(&[3], &[2], 1).to_vec::<i64>(), [1, 3, 5]);
    /// ```
    fn as_strided / try_as_strided(&self, shape: &[usize], strides: &[usize], offset: usize) -> Tensor {
        super::strided::as_strided(self, shape, strides, offset)
    }
}

/// Where a slice begins and how many elements it has, by Python's rules.
pub(super) fn slice_bounds(n: Size, start: Option<isize>, end: Option<isize>) -> (Size, Size) {
    let zero = Size::from(0);
    let at = |place: isize| {
        let m = Size::from(place.unsigned_abs());
        match place < 0 {
            false => smaller(m, n),
            true if at_most(m, n) => n.minus(m),
            true => zero,
        }
    };
    let (start, end) = (start.map_or(zero, at), end.map_or(n, at));
    (start, if at_most(start, end) { end.minus(start) } else { zero })
}

/// Every `step`-th element of an axis, from the first on.
pub(super) fn every(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    let n = x.sizes()[axis];
    if is_zero(n) {
        return seen(x, Op::Reshape(x.sizes()), "SliceBackward0");
    }
    let p = WindowSpec { axis, size: Size::from(1), step, dilation: 1 };
    let mut sizes = x.sizes();
    sizes[axis] = p.count("slice", n)?;
    window(x, sizes[axis], p)?.reshape_as_node("SliceBackward0", &sizes)
}

/// The size of an axis as a number, because the program depends on it.
#[track_caller]
fn number_of(x: &Tensor, axis: usize, why: &str) -> usize {
    specialize(&[x.sizes()[axis]], why);
    x.shape_hint()[axis]
}

/// `count` sections of an axis, each as long as `len` says.
fn cut(node: &'static str, x: &Tensor, axis: usize, count: usize, len: impl Fn(usize) -> usize) -> Result<Vec<Tensor>> {
    let mut lens = host::room::<Size>(count)?;
    lens.extend((0..count).map(|i| Size::from(len(i))));
    sections(node, x, axis, &lens, false)
}
