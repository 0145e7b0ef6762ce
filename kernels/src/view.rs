//! Strided views that are checked once, so that the loops behind them need no checks. Never owns memory.

use super::axis::AxisOps;
use super::element_ops::ElementOps;
use super::matmul::MatmulOps;
use super::reduce::ReduceOps;
use half::{bf16, f16};
use smallvec::SmallVec;
use std::fmt;

/// The element types of the library.
pub trait Element:
    Copy
    + PartialEq
    + fmt::Debug
    + Default
    + Send
    + Sync
    + 'static
    + ElementOps
    + ReduceOps
    + MatmulOps
    + AxisOps
    + sealed::Sealed
{
}

mod sealed {
    pub trait Sealed {}
}
macro_rules! elements {
    ($($t:ty),+) => {$( impl sealed::Sealed for $t {} impl Element for $t {} )+};
}
elements!(bool, u8, i32, i64, f16, bf16, f32, f64);

/// Why a view was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ViewError {
    /// `shape` and `strides` differ in length.
    RankMismatch,
    /// An index inside `shape` reaches outside the data, or the extent overflows.
    OutOfBounds,
    /// A dimension of more than one element has stride 0 in a view that is written to.
    Overlapping,
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ViewError::RankMismatch => "view: shape and strides have different lengths",
            ViewError::OutOfBounds => "view: an index reaches outside the storage",
            ViewError::Overlapping => "view: a written dimension has stride 0",
        })
    }
}

impl std::error::Error for ViewError {}

/// A read-only strided view: element `i` is `data[offset + sum(i[d] * strides[d])]`.
///
/// Strides count elements; zero (broadcast) and negative ones are fine, and so are dimensions of size zero.
#[derive(Copy, Clone, Debug)]
pub struct View<'a, T> {
    data: &'a [T],
    offset: usize,
    shape: &'a [usize],
    strides: &'a [isize],
}

/// A strided view to write to. Elements of different index must be different memory; a zero stride is refused, other
/// overlaps (strides smaller than the extent below them) only make the result depend on the order of writing.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: &'a mut [T],
    offset: usize,
    shape: &'a [usize],
    strides: &'a [isize],
}

fn check(len: usize, offset: usize, shape: &[usize], strides: &[isize]) -> Result<(), ViewError> {
    if shape.len() != strides.len() {
        return Err(ViewError::RankMismatch);
    }
    let (mut numel, mut below, mut above) = (1usize, 0usize, 0usize);
    let (mut fits, mut empty) = (true, false);
    for (&d, &s) in shape.iter().zip(strides) {
        if d == 0 {
            empty = true;
            continue;
        }
        let (count, a) = numel.overflowing_mul(d);
        let (span, b) = (d - 1).overflowing_mul(s.unsigned_abs());
        let side = if s < 0 { &mut below } else { &mut above };
        let (sum, c) = side.overflowing_add(span);
        (numel, *side) = (count, sum);
        fits &= !(a | b | c);
    }
    if empty || (fits && below <= offset && offset < len && above < len - offset) {
        Ok(())
    } else {
        Err(ViewError::OutOfBounds)
    }
}

impl<'a, T> View<'a, T> {
    /// A view of `data`, after checking that every index inside `shape` stays inside it.
    ///
    /// # Errors
    /// [`ViewError::RankMismatch`], [`ViewError::OutOfBounds`].
    #[inline]
    pub fn new(data: &'a [T], offset: usize, shape: &'a [usize], strides: &'a [isize]) -> Result<Self, ViewError> {
        // The common case, one dense dimension, without wide arithmetic.
        if let ([n], [1]) = (shape, strides) {
            if *n > 0 && (offset >= data.len() || *n > data.len() - offset) {
                return Err(ViewError::OutOfBounds);
            }
        } else {
            check(data.len(), offset, shape, strides)?;
        }
        Ok(View { data, offset, shape, strides })
    }

    /// Size of each dimension.
    #[inline(always)]
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Elements between neighbours, for each dimension.
    #[inline(always)]
    pub fn strides(&self) -> &'a [isize] {
        self.strides
    }

    /// Number of elements.
    #[inline(always)]
    pub fn numel(&self) -> usize {
        // Wrapping: with a zero among them the sizes' product is zero however large the others are.
        self.shape.iter().fold(1, |n: usize, &d| n.wrapping_mul(d))
    }

    /// Whether the elements lie in row-major order without gaps.
    #[inline(always)]
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        for (&d, &s) in self.shape.iter().zip(self.strides).rev() {
            if d != 1 {
                if d != 0 && s != expected {
                    return false;
                }
                expected = expected.wrapping_mul(d as isize);
            }
        }
        true
    }

    /// The first element's address. Not to be read where the view is empty.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *const T {
        self.data.as_ptr().wrapping_add(self.offset)
    }
}

impl<'a, T> ViewMut<'a, T> {
    /// A view of `data` to write to.
    ///
    /// # Errors
    /// [`ViewError::RankMismatch`], [`ViewError::OutOfBounds`], [`ViewError::Overlapping`].
    #[inline]
    pub fn new(data: &'a mut [T], offset: usize, shape: &'a [usize], strides: &'a [isize]) -> Result<Self, ViewError> {
        check(data.len(), offset, shape, strides)?;
        if shape.iter().zip(strides).any(|(&d, &s)| d > 1 && s == 0) {
            return Err(ViewError::Overlapping);
        }
        Ok(ViewMut { data, offset, shape, strides })
    }

    /// Size of each dimension.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Elements between neighbours, for each dimension.
    pub fn strides(&self) -> &'a [isize] {
        self.strides
    }

    /// The first element's address. Not to be touched where the view is empty.
    #[inline(always)]
    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.data.as_mut_ptr().wrapping_add(self.offset)
    }
}

/// The elements of an array with these sizes; none where they are more than can be counted.
pub(crate) fn elements<'a>(sizes: impl IntoIterator<Item = &'a usize>) -> Option<usize> {
    let (mut count, mut fits, mut empty) = (1usize, true, false);
    for &n in sizes {
        empty |= n == 0;
        let (product, over) = count.overflowing_mul(n);
        (count, fits) = (product, fits & !over);
    }
    if empty { Some(0) } else { fits.then_some(count) }
}

/// The strides of a contiguous array. Of no meaning, but there, where a size is zero.
pub(crate) fn dense_strides(shape: &[usize]) -> SmallVec<[isize; 6]> {
    let mut strides = SmallVec::from_elem(0, shape.len());
    let mut step = 1isize;
    for (s, &d) in strides.iter_mut().zip(shape).rev() {
        *s = step;
        step = step.wrapping_mul(d as isize);
    }
    strides
}

/// The loops of an elementwise operation over `N` operands of one shape, with size-1 dimensions dropped and neighbours
/// merged where every operand allows it. At least one dimension, unless empty.
pub(crate) struct Loops<const N: usize> {
    dims: SmallVec<[(usize, [isize; N]); 6]>,
    empty: bool,
}

impl<const N: usize> Loops<N> {
    pub(crate) fn new(shape: &[usize], strides: [&[isize]; N]) -> Self {
        let mut dims: SmallVec<[(usize, [isize; N]); 6]> = SmallVec::new();
        for (d, &size) in shape.iter().enumerate() {
            if size == 0 {
                return Loops { dims: SmallVec::new(), empty: true };
            }
            if size == 1 {
                continue;
            }
            let here: [isize; N] = std::array::from_fn(|k| strides[k][d]);
            if let Some((outer, above)) = dims.last_mut()
                && (0..N).all(|k| above[k] == here[k].wrapping_mul(size as isize))
            {
                *outer *= size;
                *above = here;
                continue;
            }
            dims.push((size, here));
        }
        if dims.is_empty() {
            dims.push((1, [1; N]));
        }
        Loops { dims, empty: false }
    }

    /// Calls `row(n, offsets, strides)` for each innermost run in row-major order.
    #[inline(always)]
    pub(crate) fn rows(&self, mut row: impl FnMut(usize, [isize; N], [isize; N])) {
        if self.empty {
            return;
        }
        let (&(n, inner), outer) = self.dims.split_last().expect("at least one dimension");
        let mut offsets = [0isize; N];
        if outer.is_empty() {
            return row(n, offsets, inner);
        }
        let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, outer.len());
        loop {
            row(n, offsets, inner);
            let mut d = outer.len();
            loop {
                if d == 0 {
                    return;
                }
                d -= 1;
                let (size, strides) = outer[d];
                index[d] += 1;
                // Wrapping: an operand of which nothing is read may have any strides.
                if index[d] < size {
                    for k in 0..N {
                        offsets[k] = offsets[k].wrapping_add(strides[k]);
                    }
                    break;
                }
                index[d] = 0;
                for k in 0..N {
                    offsets[k] = offsets[k].wrapping_sub(strides[k].wrapping_mul(size as isize - 1));
                }
            }
        }
    }

    pub(crate) fn dims(&self) -> &[(usize, [isize; N])] {
        &self.dims
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Exchanges two loops, which changes the order of visiting and nothing else.
    pub(crate) fn swap(&mut self, a: usize, b: usize) {
        self.dims.swap(a, b);
    }
}
