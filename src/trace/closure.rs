//! Which closures can be traced, and how their arguments are given: up to eight tensors by reference.

use crate::ops::TensorTree;
use crate::tensor::Tensor;

/// A closure of `N` tensors by reference.
pub trait Traceable<const N: usize> {
    /// What it returns: a tensor, or a structure of tensors.
    type Output: TensorTree;
    /// Calls it.
    fn run(&mut self, args: [&Tensor; N]) -> Self::Output;
}

/// `N` tensors by reference: a tuple, an array, or one tensor alone.
pub trait Arguments<'a, const N: usize> {
    /// The tensors in order.
    fn tensors(self) -> [&'a Tensor; N];
}

impl<'a> Arguments<'a, 1> for &'a Tensor {
    fn tensors(self) -> [&'a Tensor; 1] {
        [self]
    }
}

impl<'a, const N: usize> Arguments<'a, N> for [&'a Tensor; N] {
    fn tensors(self) -> [&'a Tensor; N] {
        self
    }
}

macro_rules! closures {
    ($($n:literal: $($x:ident $t:ty),*;)*) => {$(
        impl<F: FnMut($($t),*) -> R, R: TensorTree> Traceable<$n> for F {
            type Output = R;
            fn run(&mut self, [$($x),*]: [&Tensor; $n]) -> R {
                self($($x),*)
            }
        }
        impl<'a> Arguments<'a, $n> for ($(with_lifetime!('a $x),)*) {
            fn tensors(self) -> [&'a Tensor; $n] {
                let ($($x,)*) = self;
                [$($x),*]
            }
        }
    )*};
}
macro_rules! with_lifetime {
    ($l:lifetime $x:ident) => { &$l Tensor };
}
closures! {
    0: ;
    1: a &Tensor;
    2: a &Tensor, b &Tensor;
    3: a &Tensor, b &Tensor, c &Tensor;
    4: a &Tensor, b &Tensor, c &Tensor, d &Tensor;
    5: a &Tensor, b &Tensor, c &Tensor, d &Tensor, e &Tensor;
    6: a &Tensor, b &Tensor, c &Tensor, d &Tensor, e &Tensor, f &Tensor;
    7: a &Tensor, b &Tensor, c &Tensor, d &Tensor, e &Tensor, f &Tensor, g &Tensor;
    8: a &Tensor, b &Tensor, c &Tensor, d &Tensor, e &Tensor, f &Tensor, g &Tensor, h &Tensor;
}
