//! Which closures can be traced, and how their arguments are given: up to eight tensors by reference, or a slice of any
//! number of them.

use crate::ops::TensorTree;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// In place of a number of arguments: one argument, which is a slice of tensors.
pub const SLICE: usize = usize::MAX;

/// The arguments of one call, in order.
pub type Args<'a> = SmallVec<[&'a Tensor; 8]>;

/// A closure of `N` tensors by reference, or of a slice of tensors where `N` is [`SLICE`].
pub trait Traceable<const N: usize> {
    /// What it returns: a tensor, or a structure of tensors.
    type Output: TensorTree;
    /// Calls it. There are `N` arguments, unless `N` is [`SLICE`].
    fn run(&mut self, args: &[&Tensor]) -> Self::Output;
}

/// `N` tensors by reference: a tuple, an array, or one tensor alone; or a slice of tensors where `N` is [`SLICE`].
pub trait Arguments<'a, const N: usize> {
    /// The tensors in order.
    fn tensors(self) -> Args<'a>;
}

impl<'a> Arguments<'a, 1> for &'a Tensor {
    fn tensors(self) -> Args<'a> {
        SmallVec::from_slice(&[self])
    }
}

impl<'a, const N: usize> Arguments<'a, N> for [&'a Tensor; N] {
    fn tensors(self) -> Args<'a> {
        SmallVec::from_slice(&self)
    }
}

impl<F: FnMut(&[Tensor]) -> R, R: TensorTree> Traceable<SLICE> for F {
    type Output = R;
    fn run(&mut self, args: &[&Tensor]) -> R {
        let args: SmallVec<[Tensor; 8]> = args.iter().map(|&t| t.clone()).collect();
        self(&args)
    }
}

impl<'a> Arguments<'a, SLICE> for &'a [Tensor] {
    fn tensors(self) -> Args<'a> {
        self.iter().collect()
    }
}

impl<'a> Arguments<'a, SLICE> for &'a Vec<Tensor> {
    fn tensors(self) -> Args<'a> {
        self.iter().collect()
    }
}

impl<'a, const M: usize> Arguments<'a, SLICE> for &'a [Tensor; M] {
    fn tensors(self) -> Args<'a> {
        self.iter().collect()
    }
}

macro_rules! closures {
    ($($n:literal: $($x:ident $t:ty),*;)*) => {$(
        impl<F: FnMut($($t),*) -> R, R: TensorTree> Traceable<$n> for F {
            type Output = R;
            fn run(&mut self, args: &[&Tensor]) -> R {
                let [$($x),*] = args else {
                    unreachable!("bug in allotrope: {} arguments for a closure of {}", args.len(), $n)
                };
                self($($x),*)
            }
        }
        impl<'a> Arguments<'a, $n> for ($(with_lifetime!('a $x),)*) {
            fn tensors(self) -> Args<'a> {
                let ($($x,)*) = self;
                SmallVec::from_iter([$($x),*])
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
