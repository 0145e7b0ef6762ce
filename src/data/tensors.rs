//! Tensors as a set of their rows.

use super::dataset::Dataset;
use crate::error::{Error, Result, called, must};
use crate::tensor::Tensor;

/// Tensors in a tuple, a vector or an array, or one alone: what a [`TensorDataset`] is made of.
pub trait TensorGroup: Sized + Send + Sync {
    /// All tensors, in order.
    fn tensors(&self) -> Vec<&Tensor>;

    /// `f` of each, in the same form.
    ///
    /// # Errors
    /// When `f` fails.
    fn map(&self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self>;
}

impl TensorGroup for Tensor {
    fn tensors(&self) -> Vec<&Tensor> {
        vec![self]
    }
    fn map(&self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        f(self)
    }
}

impl TensorGroup for Vec<Tensor> {
    fn tensors(&self) -> Vec<&Tensor> {
        self.iter().collect()
    }
    fn map(&self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Vec<Tensor>> {
        self.iter().map(f).collect()
    }
}

macro_rules! tuples {
    ($( ($($T:ident $i:tt),+) )*) => {$(
        impl TensorGroup for ($($T,)+) {
            fn tensors(&self) -> Vec<&Tensor> {
                vec![$(&self.$i),+]
            }
            fn map(&self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
                Ok(($(f(&self.$i)?,)+))
            }
        }
    )*};
}

tuples! {
    (Tensor 0)
    (Tensor 0, Tensor 1)
    (Tensor 0, Tensor 1, Tensor 2)
    (Tensor 0, Tensor 1, Tensor 2, Tensor 3)
    (Tensor 0, Tensor 1, Tensor 2, Tensor 3, Tensor 4)
    (Tensor 0, Tensor 1, Tensor 2, Tensor 3, Tensor 4, Tensor 5)
}

/// The rows of some tensors, `torch.utils.data.TensorDataset`: item `i` is `(x[i], y[i], ..)`, in the form in which the tensors
/// are given.
///
/// ```
/// use allotrope::data::{Dataset, TensorDataset};
/// use allotrope::prelude::*;
/// let set = TensorDataset::new((Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]), Tensor::arange(2)));
/// let (x, y) = set.get(1)?;
/// assert_eq!((x.to_vec::<f32>(), y.item::<i64>()), (vec![3.0, 4.0], 1));
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone)]
pub struct TensorDataset<T> {
    tensors: T,
    len: usize,
}

impl<T: TensorGroup> TensorDataset<T> {
    /// # Panics
    /// When the tensors are not equally long along their first axis, or one has none.
    #[track_caller]
    pub fn new(tensors: T) -> TensorDataset<T> {
        must(TensorDataset::try_new(tensors))
    }

    /// As [`TensorDataset::new`].
    ///
    /// # Errors
    /// When the tensors are not equally long along their first axis, or one has none.
    #[track_caller]
    pub fn try_new(tensors: T) -> Result<TensorDataset<T>> {
        let shapes: Vec<&[usize]> = tensors.tensors().into_iter().map(Tensor::shape_hint).collect();
        let wrong =
            |message: &str| called(Err(Error::argument(format!("TensorDataset: {message}, got shapes {shapes:?}"))));
        match shapes.first() {
            None => wrong("at least one tensor is needed"),
            Some(_) if shapes.iter().any(|s| s.is_empty()) => wrong("each tensor needs an axis of items"),
            Some(first) if shapes.iter().any(|s| s[0] != first[0]) => {
                wrong("the first axes of all tensors are equally long")
            }
            Some(first) => Ok(TensorDataset { len: first[0], tensors }),
        }
    }

    /// The tensors.
    pub fn tensors(&self) -> &T {
        &self.tensors
    }
}

impl<T: TensorGroup> Dataset for TensorDataset<T> {
    type Item = T;
    fn len(&self) -> usize {
        self.len
    }
    fn get(&self, index: usize) -> Result<T> {
        if index >= self.len {
            return Err(out_of_range(index, self.len));
        }
        self.tensors.map(&mut |t| t.try_select(0, index as isize))
    }
}

/// The error of an index that is too large.
pub(super) fn out_of_range(index: usize, len: usize) -> Error {
    Error::argument(format!("index {index} is none of a set of {len} items"))
}
