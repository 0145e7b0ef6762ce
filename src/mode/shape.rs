//! The shape and the layout of a tensor as the program asks for them. A trace keeps sizes symbolic as long as nobody
//! wants a number.

use super::recorder::state::LayoutQuestion;
use super::{sizes, slot};
use crate::error::must;
use crate::tensor::size::{Expr, sizes_of, small};
use crate::tensor::traced::capture_of;
use crate::tensor::{Body, Size, Sizes, Tensor, is_contiguous};
use smallvec::SmallVec;

impl Tensor {
    /// The number of elements along each axis, as numbers.
    ///
    /// Inside a trace this turns symbolic dimensions into the numbers that they have now: calls with others run
    /// another compiled variant. [`Tensor::sizes`] keeps them symbolic.
    #[track_caller]
    pub fn shape(&self) -> &[usize] {
        if let Body::Traced(_) = self.body() {
            sizes::specialize(&self.sizes(), "shape() was asked for as numbers");
        }
        self.shape_hint()
    }

    /// The number of elements along `axis` (negative counts from the end), as a number; see [`Tensor::shape`].
    ///
    /// # Panics
    /// When the axis does not exist.
    #[track_caller]
    pub fn size(&self, axis: isize) -> usize {
        let axis = must(self.axis("size", axis));
        if let Body::Traced(_) = self.body() {
            sizes::specialize(&[self.sizes()[axis]], "size() was asked for as a number");
        }
        self.shape_hint()[axis]
    }

    /// The number of elements along each axis, symbolic inside a trace.
    pub fn sizes(&self) -> Sizes {
        match self.body() {
            Body::Strided(_) => sizes_of(self.shape_hint()),
            // Kept from a trace that has ended, it has no more than these numbers.
            Body::Traced(_) if !slot::is_recording() => sizes_of(self.shape_hint()),
            Body::Traced(t) => {
                let capture = capture_of(t.scope);
                let mut sizes: Sizes = small(self.shape_hint(), Size::from);
                for (size, &number) in sizes.iter_mut().zip(&t.exprs).filter(|(_, number)| **number != 0) {
                    *size = Size::with_expr(size.hint(), Expr { number, capture });
                }
                sizes
            }
        }
    }

    /// The number of elements, as a number; see [`Tensor::shape`].
    #[track_caller]
    pub fn numel(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether both have one shape; a trace holds for calls with the same answer.
    #[track_caller]
    pub fn same_shape(&self, other: &Tensor) -> bool {
        self.has_sizes(&other.sizes())
    }

    /// Whether the sizes are these; a trace holds for calls with the same answer.
    #[track_caller]
    pub fn has_sizes(&self, sizes: &[Size]) -> bool {
        sizes::all_equal(&self.sizes(), sizes)
    }

    /// Whether axis `i`, counted from 0, has this size; a trace holds for calls with the same answer.
    #[track_caller]
    pub fn has_size(&self, i: usize, size: Size) -> bool {
        self.sizes()[i].equals(size)
    }

    /// Elements between neighbours along each axis, as numbers; a running trace holds for calls with the same ones.
    #[track_caller]
    pub fn strides(&self) -> SmallVec<[isize; 4]> {
        match self.body() {
            Body::Strided(s) => s.strides.clone(),
            Body::Traced(t) => {
                slot::recorder().inspect(|r| r.layout_asked(self, LayoutQuestion::Strides));
                t.strides.clone()
            }
        }
    }

    /// Whether the elements lie in row-major order without gaps; a running trace holds for calls with the same answer.
    #[track_caller]
    pub fn is_contiguous(&self) -> bool {
        if let Body::Strided(s) = self.body() {
            return is_contiguous(self.shape_hint(), &s.strides);
        }
        slot::recorder().inspect(|r| r.layout_asked(self, LayoutQuestion::Contiguous));
        self.is_dense()
    }
}
