//! A number for each axis, or one for all of them, which is printed as it was given.

use crate::error::{Error, Result};
use std::fmt;

/// A number for each of `N` axes: `3` is one for all, `[3, 5]` one for each. PyTorch prints a layer with what it was given, so
/// this is remembered.
///
/// ```
/// use allotrope::prelude::*;
/// assert_eq!(nn::MaxPool2d::new(2).to_string(), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)");
/// let pool = nn::AdaptiveAvgPool2d::new([Some(7), None]);
/// assert_eq!(pool.to_string(), "AdaptiveAvgPool2d(output_size=(7, None))");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PerAxis<const N: usize, T = usize> {
    All(T),
    Each([T; N]),
}

/// A number for each side of the last axes, before and after, the last axis first; `1` is one for all sides.
pub type Sides<const N: usize> = PerAxis<N, isize>;

impl<const N: usize, T: Copy> PerAxis<N, T> {
    /// One number for each axis.
    pub fn each(self) -> [T; N] {
        match self {
            PerAxis::All(one) => [one; N],
            PerAxis::Each(all) => all,
        }
    }
}

impl<const N: usize> From<usize> for PerAxis<N> {
    fn from(all: usize) -> Self {
        PerAxis::All(all)
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis<N> {
    fn from(each: [usize; N]) -> Self {
        PerAxis::Each(each)
    }
}

impl<const N: usize> From<isize> for PerAxis<N, isize> {
    fn from(all: isize) -> Self {
        PerAxis::All(all)
    }
}

impl<const N: usize> From<[isize; N]> for PerAxis<N, isize> {
    fn from(each: [isize; N]) -> Self {
        PerAxis::Each(each)
    }
}

impl<const N: usize> From<usize> for PerAxis<N, Option<usize>> {
    fn from(all: usize) -> Self {
        PerAxis::All(Some(all))
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis<N, Option<usize>> {
    fn from(each: [usize; N]) -> Self {
        PerAxis::Each(each.map(Some))
    }
}

impl<const N: usize> From<Option<usize>> for PerAxis<N, Option<usize>> {
    fn from(all: Option<usize>) -> Self {
        PerAxis::All(all)
    }
}

impl<const N: usize> From<[Option<usize>; N]> for PerAxis<N, Option<usize>> {
    fn from(each: [Option<usize>; N]) -> Self {
        PerAxis::Each(each)
    }
}

/// What Python prints for an element.
pub trait Element {
    fn python(&self) -> String;
}

impl Element for usize {
    fn python(&self) -> String {
        self.to_string()
    }
}

impl Element for isize {
    fn python(&self) -> String {
        self.to_string()
    }
}

impl Element for Option<usize> {
    fn python(&self) -> String {
        self.map_or("None".to_string(), |n| n.to_string())
    }
}

/// As Python prints it: a number or a tuple.
impl<const N: usize, T: Element> fmt::Display for PerAxis<N, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PerAxis::All(one) => f.write_str(&one.python()),
            PerAxis::Each(all) => f.write_str(&tuple(all)),
        }
    }
}

/// Elements as Python prints a tuple.
pub(super) fn tuple<T: Element>(all: &[T]) -> String {
    match all {
        [one] => format!("({},)", one.python()),
        all => format!("({})", all.iter().map(Element::python).collect::<Vec<_>>().join(", ")),
    }
}

/// An error where one of these is 0.
pub(super) fn demand_positive(class: &str, given: &[(&str, &[usize])]) -> Result<()> {
    for (name, sizes) in given {
        if sizes.contains(&0) {
            return Err(Error::argument(format!("{class}: {name} must be 1 at least, got {}", tuple(sizes))));
        }
    }
    Ok(())
}
