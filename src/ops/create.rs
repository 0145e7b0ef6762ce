//! Making tensors from Rust data, or full of a number. Inside a trace only numbers that the program states become part
//! of it; data does not. Ranges are composed of operations, in a file of their own.

use super::number::Number;
use super::twins;
use crate::backend::Memory;
use crate::backend::cpu::host;
use crate::device::{Device, default_device};
use crate::error::{Error, Result, called, must};
use crate::mode::layout::ordered_as;
use crate::mode::values::{self, full_of, full_on};
use crate::tensor::size::sizes_of;
use crate::tensor::{FromElement, Size, Tensor, TensorType, eval};
use allotrope_ir::{DType, Scalar};
use std::panic::Location;

/// Defines constructors twice from one definition, as `twins!` does methods.
macro_rules! twins_of_types {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident $(<$T:ident: $bound:ident>)? ( $($arg:ident : $ty:ty),* ) $body:block )*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name$(<$T: $bound>)?($($arg: $ty),*) -> Tensor {
                must(Tensor::$try_name($($arg),*))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When no tensor can have this shape, and when there is no memory for it.
            pub fn $try_name$(<$T: $bound>)?($($arg: $ty),*) -> Result<Tensor> $body
        )*}
    };
}

impl Tensor {
    /// A tensor of the elements in row-major order.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1i64, 2, 3, 4, 5, 6], &[2, 3]);
    /// assert_eq!(x.shape(), [2, 3]);
    /// ```
    ///
    /// # Panics
    /// When the number of elements is not that of the shape, and inside a trace: the data would become part of the
    /// compiled program.
    #[track_caller]
    pub fn from_vec<T: FromElement>(data: Vec<T>, shape: &[usize]) -> Tensor {
        must(from_vec_at(data, shape, Location::caller()))
    }

    /// As [`Tensor::from_vec`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_from_vec<T: FromElement>(data: Vec<T>, shape: &[usize]) -> Result<Tensor> {
        called(from_vec_at(data, shape, Location::caller()))
    }

    /// As [`Tensor::from_vec`], from borrowed elements.
    ///
    /// # Panics
    /// As [`Tensor::from_vec`] does.
    #[track_caller]
    pub fn from_slice<T: FromElement>(data: &[T], shape: &[usize]) -> Tensor {
        must(from_slice_at(data, shape, Location::caller()))
    }

    /// As [`Tensor::from_slice`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_from_slice<T: FromElement>(data: &[T], shape: &[usize]) -> Result<Tensor> {
        called(from_slice_at(data, shape, Location::caller()))
    }

    /// A tensor without axes.
    pub fn scalar<T: FromElement>(value: T) -> Tensor {
        must(full_of(&[], value.to_scalar()))
    }
}

twins_of_types! {
    /// A tensor full of one number.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::full(&[2], 0.5f32).to_vec::<f32>(), [0.5, 0.5]);
    /// ```
    fn full / try_full<T: FromElement>(shape: &[usize], value: T) {
        full_of(&sizes_of(shape), value.to_scalar())
    }

    /// A tensor of zeros.
    fn zeros / try_zeros(shape: &[usize], dtype: DType) {
        full_of(&sizes_of(shape), Scalar::from_f64(0.0, dtype))
    }

    /// A tensor of ones.
    fn ones / try_ones(shape: &[usize], dtype: DType) {
        full_of(&sizes_of(shape), Scalar::from_f64(1.0, dtype))
    }

    /// A tensor to be filled later. Which elements it has until then is not promised; now they are zeros, the same in
    /// both modes.
    fn empty / try_empty(shape: &[usize], dtype: DType) {
        Tensor::try_zeros(shape, dtype)
    }
}

twins! {
    /// Zeros of the same shape and dtype; symbolic dimensions stay symbolic.
    fn zeros_like / try_zeros_like(&self) -> Tensor {
        full_as(self, Scalar::from_f64(0.0, self.dtype()))
    }

    /// Ones of the same shape and dtype; symbolic dimensions stay symbolic.
    fn ones_like / try_ones_like(&self) -> Tensor {
        full_as(self, Scalar::from_f64(1.0, self.dtype()))
    }

    /// A tensor of the same shape and dtype full of one number; symbolic dimensions stay symbolic.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::arange(2).full_like(2.7).to_vec::<i64>(), [2, 2]);
    /// ```
    fn full_like / try_full_like(&self, value: impl Into<Number>) -> Tensor {
        full_as(self, value.into().fitted("full_like", self.dtype())?)
    }

    /// Zeros of these sizes, with the dtype and on the device of this tensor. Sizes of other tensors stay symbolic in a trace:
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = randn(&[5, 3]);
    /// let state = x.new_zeros(&[x.sizes()[0], 8.into()]);
    /// assert_eq!((state.shape(), state.dtype()), (&[5, 8][..], DType::F32));
    /// ```
    fn new_zeros / try_new_zeros(&self, sizes: &[Size]) -> Tensor {
        full_on(self.device(), sizes, Scalar::from_f64(0.0, self.dtype()))
    }

    /// As [`Tensor::new_zeros`], of ones.
    fn new_ones / try_new_ones(&self, sizes: &[Size]) -> Tensor {
        full_on(self.device(), sizes, Scalar::from_f64(1.0, self.dtype()))
    }

    /// As [`Tensor::new_zeros`], full of one number.
    fn new_full / try_new_full(&self, sizes: &[Size], value: impl Into<Number>) -> Tensor {
        full_on(self.device(), sizes, value.into().fitted("new_full", self.dtype())?)
    }

    /// As [`Tensor::empty`], with the shape and dtype of this tensor.
    fn empty_like / try_empty_like(&self) -> Tensor {
        self.try_zeros_like()
    }
}

/// Full of one element, of the shape and in the order of `x`.
fn full_as(x: &Tensor, element: Scalar) -> Result<Tensor> {
    ordered_as(full_on(x.device(), &x.sizes(), element)?, x)
}

/// Vectors of so many bytes are taken over, smaller ones copied into recycled memory with its better alignment.
const ADOPTED: usize = 1 << 20;

fn from_vec_at<T: FromElement>(data: Vec<T>, shape: &[usize], at: &'static Location<'static>) -> Result<Tensor> {
    if size_of_val(&data[..]) < ADOPTED {
        return from_slice_at(&data, shape, at);
    }
    let ty = type_of::<T>(data.len(), shape)?;
    made(ty, host::adopt(data), at)
}

fn from_slice_at<T: FromElement>(data: &[T], shape: &[usize], at: &'static Location<'static>) -> Result<Tensor> {
    let ty = type_of::<T>(data.len(), shape)?;
    made(ty, host::copied(data)?, at)
}

/// A tensor of what the host has, on the device that this thread makes tensors on.
fn made(ty: TensorType, memory: Memory, at: &'static Location<'static>) -> Result<Tensor> {
    let here = eval::fresh(Device::Cpu, ty, memory);
    values::data(eval::transferred(&here, default_device())?, DATA, at)
}

/// What a trace says of it.
const DATA: &str = "Rust data made into a tensor";

/// The type of a tensor of this shape, which so many elements fill.
fn type_of<T: FromElement>(len: usize, shape: &[usize]) -> Result<TensorType> {
    let ty = TensorType::of(T::DTYPE, shape)?;
    match ty.numel() == len {
        true => Ok(ty),
        false => Err(Error::operands("from_vec", format!("{len} elements do not fill shape {shape:?}"))),
    }
}
