//! The dtype and the sizes of a tensor that can exist. Whatever makes a tensor, in whichever mode, makes one of these
//! first, so sizes that no memory has are refused in one place, before anything is allocated.

use super::size::small;
use super::strides::Dims;
use crate::error::{Error, Result};
use allotrope_ir::{DType, elements_of};

/// See the module. Products of its sizes, and its bytes, are numbers far below `isize::MAX`.
#[derive(Debug)]
pub(crate) struct TensorType {
    dtype: DType,
    shape: Dims,
}

impl Clone for TensorType {
    #[inline]
    fn clone(&self) -> TensorType {
        TensorType { dtype: self.dtype, shape: small(&self.shape, |n| n) }
    }
}

impl TensorType {
    /// # Errors
    /// When no tensor can have these sizes.
    #[inline]
    pub(crate) fn new(dtype: DType, shape: Dims) -> Result<TensorType> {
        match elements_of(dtype, &shape) {
            Ok(_) => Ok(TensorType { dtype, shape }),
            Err(e) => Err(Error::size(e.to_string())),
        }
    }

    /// # Errors
    /// When no tensor can have these sizes.
    #[inline]
    pub(crate) fn of(dtype: DType, shape: &[usize]) -> Result<TensorType> {
        TensorType::new(dtype, Dims::from_slice(shape))
    }

    /// The same sizes in another dtype.
    ///
    /// # Errors
    /// When no tensor can have them.
    #[inline]
    pub(crate) fn in_dtype(&self, dtype: DType) -> Result<TensorType> {
        let shape = small(&self.shape, |n| n);
        match dtype.size() <= self.dtype.size() {
            true => Ok(TensorType { dtype, shape }),
            false => TensorType::new(dtype, shape),
        }
    }

    #[inline]
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    #[inline]
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    #[inline]
    pub(crate) fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}
