//! In-place forms of the operations that put elements where indices or a mask say. What memory holds where elements share it is
//! left to `meeting.rs`.

use super::arg::{Arg, Number};
use super::assign::{Derivative, assign_meeting};
use super::gather::checked_index;
use super::index::{as_element, longs, rows, vector_index};
use super::inplace::{computed, store, store_given, wholly_apart};
use super::meeting::{Meeting, put_where, repeats};
use super::scatter_reduce::ScatterReduce;
use crate::autograd::saved::changing;
use crate::error::{Result, called, must};
use crate::tensor::Tensor;
use allotrope_ir::ScatterOp;

/// In-place forms: the plain operation, and its result put into the tensor.
macro_rules! placing_in_place {
    ($($name:ident / $try_name:ident = $plain:ident $(<$l:lifetime>)? ($($arg:ident: $ty:ty),*) $([$given:ident])? {$($tensor:ident),*};)*) => {
        impl Tensor {$(
            #[doc = concat!("As [`Tensor::", stringify!($plain), "`], in place.")]
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name$(<$l>)?(&self, $($arg: $ty),*) -> &Tensor {
                must(self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the operands do not fit, or this is a leaf that requires a gradient outside `no_grad`.
            #[track_caller]
            pub fn $try_name$(<$l>)?(&self, $($arg: $ty),*) -> Result<&Tensor> {
                let op = stringify!($name);
                let compute = || -> Result<Tensor> {
                    $(let $given: Arg<'_> = $given.into();
                    if let Arg::Tensor(x) = $given {
                        wholly_apart(op, self, x)?;
                    })?
                    $(wholly_apart(op, self, $tensor)?;)*
                    self.$plain($($arg),*)
                };
                let stored = computed(self, compute).and_then(|new| store(op, self, &new));
                called(stored.map(|_| self))
            }
        )*}
    };
}

placing_in_place! {
    scatter_ / try_scatter_ = try_scatter<'a>(axis: isize, index: &Tensor, source: impl Into<Arg<'a>>) [source] {index};
    scatter_add_ / try_scatter_add_ = try_scatter_add(axis: isize, index: &Tensor, source: &Tensor) {index, source};
    index_add_ / try_index_add_ = try_index_add(axis: isize, index: &Tensor, source: &Tensor, alpha: impl Into<Number>) {index, source};
    scatter_reduce_ / try_scatter_reduce_ = try_scatter_reduce(axis: isize, index: &Tensor, source: &Tensor, reduce: ScatterReduce, include_self: bool) {index, source};
    index_reduce_ / try_index_reduce_ = try_index_reduce(axis: isize, index: &Tensor, source: &Tensor, reduce: ScatterReduce, include_self: bool) {index, source};
}

impl Tensor {
    /// Sets what is true in the mask to a number, or to a tensor without axes. Where elements share memory, it is set where one of
    /// them is true.
    ///
    /// # Panics
    /// Where [`Tensor::try_masked_fill_`] fails.
    #[track_caller]
    pub fn masked_fill_<'a>(&self, mask: &Tensor, value: impl Into<Arg<'a>>) -> &Tensor {
        must(self.try_masked_fill_(mask, value))
    }

    /// As [`Tensor::masked_fill_`].
    ///
    /// # Errors
    /// Where [`Tensor::try_masked_fill`] fails, when the mask has more elements than the tensor, and when this is a leaf that requires
    /// a gradient outside `no_grad`.
    #[track_caller]
    pub fn try_masked_fill_<'a>(&self, mask: &Tensor, value: impl Into<Arg<'a>>) -> Result<&Tensor> {
        let (op, value) = ("masked_fill_", value.into());
        let new = computed(self, || changing(self, || self.try_masked_fill(mask, value)));
        let stored = new.and_then(|new| {
            store_given(op, "MaskedFillBackward1", self, &new, value, &|memory, places| {
                let element = as_element(op, memory, value)?;
                put_where(ScatterOp::Set, memory, places, Some(&mask.expand_sizes(&places.sizes())?), &element)
            })
        });
        called(stored.map(|()| self))
    }

    /// As [`Tensor::index_fill`], in place. Where elements share memory, it is set where one of them is chosen.
    ///
    /// # Panics
    /// Where [`Tensor::try_index_fill_`] fails.
    #[track_caller]
    pub fn index_fill_<'a>(&self, axis: isize, index: &Tensor, value: impl Into<Arg<'a>>) -> &Tensor {
        must(self.try_index_fill_(axis, index, value))
    }

    /// As [`Tensor::index_fill_`].
    ///
    /// # Errors
    /// Where [`Tensor::try_index_fill`] fails, and when this is a leaf that requires a gradient outside `no_grad`.
    #[track_caller]
    pub fn try_index_fill_<'a>(&self, axis: isize, index: &Tensor, value: impl Into<Arg<'a>>) -> Result<&Tensor> {
        let (op, value) = ("index_fill_", value.into());
        let compute = || wholly_apart(op, self, index).and_then(|()| self.try_index_fill(axis, index, value));
        let new = computed(self, compute);
        let stored = new.and_then(|new| {
            store_given(op, "IndexFillBackward1", self, &new, value, &|memory, places| {
                let a = super::wrapped(places, op, axis)?;
                let index = checked_index(op, &vector_index(op, index)?, places.sizes()[a], true)?;
                let element = as_element(op, memory, value)?;
                put_where(ScatterOp::Set, memory, &rows(places, a, &index)?, None, &element)
            })
        });
        called(stored.map(|()| self))
    }

    /// As [`Tensor::index_copy`], in place. Where windows overlap, the last of the source stays.
    ///
    /// # Panics
    /// Where [`Tensor::try_index_copy_`] fails.
    #[track_caller]
    pub fn index_copy_(&self, axis: isize, index: &Tensor, source: &Tensor) -> &Tensor {
        must(self.try_index_copy_(axis, index, source))
    }

    /// As [`Tensor::index_copy_`].
    ///
    /// # Errors
    /// Where [`Tensor::try_index_copy`] fails, when the tensor is expanded, and when this is a leaf that requires a gradient outside
    /// `no_grad`.
    #[track_caller]
    pub fn try_index_copy_(&self, axis: isize, index: &Tensor, source: &Tensor) -> Result<&Tensor> {
        let op = "index_copy_";
        let compute = || {
            wholly_apart(op, self, index)?;
            wholly_apart(op, self, source)?;
            self.try_index_copy(axis, index, source)
        };
        let stored = computed(self, compute).and_then(|new| match repeats(self) {
            true => store(op, self, &new),
            false => assign_meeting(
                self,
                &new,
                Derivative::Computed,
                Meeting::Written(&|memory, places| {
                    let a = super::wrapped(places, op, axis)?;
                    let index = checked_index(op, &vector_index(op, &longs(op, index)?)?, places.sizes()[a], false)?;
                    put_where(ScatterOp::Set, memory, &rows(places, a, &index)?, None, source)
                }),
            ),
        });
        called(stored.map(|()| self))
    }
}
