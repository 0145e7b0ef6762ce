//! What may stand between the brackets of PyTorch's `x[...]`, as Rust values: numbers, ranges, new axes, tensors, and
//! tuples of them. Nothing is looked up here.

use crate::tensor::Tensor;
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// One part of an index.
#[derive(Clone, Copy)]
pub enum Index<'a> {
    /// One element; the axis goes.
    At(isize),
    /// Elements from `start` to before `end`, each `step`-th; negative numbers count from the end, none is the edge.
    Slice { start: Option<isize>, end: Option<isize>, step: usize },
    /// As many whole axes as nothing else is said about.
    Ellipsis,
    /// A new axis of size 1.
    NewAxis,
    /// Integers: the elements with these numbers. Bools: the elements where they are true.
    Tensor(&'a Tensor),
}

/// Whole axes, as many as the rest of an index leaves: `x.index((Ellipsis, 0))`.
#[derive(Clone, Copy, Debug)]
pub struct Ellipsis;

/// An axis of size 1 that was not there: `x.index((.., NewAxis))`.
#[derive(Clone, Copy, Debug)]
pub struct NewAxis;

/// Each `step`-th element of a range: `x.index(stepped(1.., 2))`.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(Tensor::arange(6).index(stepped(1.., 2)).to_vec::<i64>(), [1, 3, 5]);
/// ```
pub fn stepped<'a>(range: impl Into<Index<'a>>, step: usize) -> Index<'a> {
    match range.into() {
        Index::Slice { start, end, step: before } => Index::Slice { start, end, step: before.saturating_mul(step) },
        other => other,
    }
}

impl From<Ellipsis> for Index<'_> {
    fn from(_: Ellipsis) -> Self {
        Index::Ellipsis
    }
}

impl From<NewAxis> for Index<'_> {
    fn from(_: NewAxis) -> Self {
        Index::NewAxis
    }
}

impl<'a> From<&'a Tensor> for Index<'a> {
    fn from(t: &'a Tensor) -> Self {
        Index::Tensor(t)
    }
}

impl From<RangeFull> for Index<'_> {
    fn from(_: RangeFull) -> Self {
        Index::Slice { start: None, end: None, step: 1 }
    }
}

/// The place behind an included last one; behind the last of all there is none to name.
fn behind(last: isize) -> Option<isize> {
    if last == -1 { None } else { last.checked_add(1) }
}

/// A place as it counts; beyond the last that there can be where it is beyond all numbers.
fn place(i: impl TryInto<isize>) -> isize {
    i.try_into().unwrap_or(isize::MAX)
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl From<$t> for Index<'_> {
            fn from(i: $t) -> Self {
                Index::At(place(i))
            }
        }
        impl From<Range<$t>> for Index<'_> {
            fn from(r: Range<$t>) -> Self {
                Index::Slice { start: Some(place(r.start)), end: Some(place(r.end)), step: 1 }
            }
        }
        impl From<RangeFrom<$t>> for Index<'_> {
            fn from(r: RangeFrom<$t>) -> Self {
                Index::Slice { start: Some(place(r.start)), end: None, step: 1 }
            }
        }
        impl From<RangeTo<$t>> for Index<'_> {
            fn from(r: RangeTo<$t>) -> Self {
                Index::Slice { start: None, end: Some(place(r.end)), step: 1 }
            }
        }
        impl From<RangeInclusive<$t>> for Index<'_> {
            fn from(r: RangeInclusive<$t>) -> Self {
                Index::Slice { start: Some(place(*r.start())), end: behind(place(*r.end())), step: 1 }
            }
        }
        impl From<RangeToInclusive<$t>> for Index<'_> {
            fn from(r: RangeToInclusive<$t>) -> Self {
                Index::Slice { start: None, end: behind(place(r.end)), step: 1 }
            }
        }
    )*};
}
numbers!(i32, i64, isize, usize);

/// A whole index: one part, a tuple of parts, or a slice of [`Index`].
pub trait Indices<'a> {
    /// The parts in order.
    fn parts(self) -> Vec<Index<'a>>;
}

impl<'a, T: Into<Index<'a>>> Indices<'a> for T {
    fn parts(self) -> Vec<Index<'a>> {
        vec![self.into()]
    }
}

impl<'a> Indices<'a> for &[Index<'a>] {
    fn parts(self) -> Vec<Index<'a>> {
        self.to_vec()
    }
}

impl<'a> Indices<'a> for Vec<Index<'a>> {
    fn parts(self) -> Vec<Index<'a>> {
        self
    }
}

macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        impl<'a, $($name: Into<Index<'a>>),*> Indices<'a> for ($($name,)*) {
            #[allow(non_snake_case)]
            fn parts(self) -> Vec<Index<'a>> {
                let ($($name,)*) = self;
                vec![$($name.into()),*]
            }
        }
    )*};
}
tuples!(()(A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F)(A, B, C, D, E, F, G)(A, B, C, D, E, F, G, H));
