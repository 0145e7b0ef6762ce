//! How large a value may be: the one place that says so. Eager tensors, values that are recorded, files that are read and
//! graphs under the numbers of a call all ask here, before anything is allocated or computed. It allocates nothing.

use crate::types::ShapeDisplay;
use crate::{DType, Shape};

/// Bytes that one value may have, 2^47: the addresses that a process has. That leaves so much below the ends of an `i64`
/// that compiled code adds and multiplies sizes, strides and places without asking again.
pub const MOST_BYTES: usize = 1 << 47;

/// Sizes that no value can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{dtype}{} {}", ShapeDisplay(shape), self.reason())]
pub struct TooLarge {
    dtype: DType,
    shape: Shape<usize>,
}

impl TooLarge {
    fn reason(&self) -> &'static str {
        match self.shape.contains(&0) {
            true => "has axes that are too long: without the empty ones it would have more than 2^47 bytes",
            false => "is too large: a tensor has at most 2^47 bytes",
        }
    }
}

/// The number of elements of a value of this dtype and shape.
///
/// Elements are counted as if each had memory of its own, also where a view shows one element many times; and axes
/// without elements count as if they had one, because strides are products of the others.
///
/// # Errors
/// When that would be more than [`MOST_BYTES`].
///
/// ```
/// use allotrope_ir::{DType, elements_of};
/// assert_eq!(elements_of(DType::F32, &[2, 3]).unwrap(), 6);
/// assert_eq!(elements_of(DType::F32, &[2, 0]).unwrap(), 0);
/// assert!(elements_of(DType::F32, &[usize::MAX]).is_err());
/// assert!(elements_of(DType::F32, &[0, 1 << 40, 1 << 40]).is_err());
/// ```
#[inline]
pub fn elements_of(dtype: DType, shape: &[usize]) -> Result<usize, TooLarge> {
    let (mut bytes, mut elements) = (dtype.size(), 1usize);
    for &n in shape {
        bytes = bytes.saturating_mul(n.max(1));
        elements = elements.wrapping_mul(n);
    }
    match bytes <= MOST_BYTES {
        true => Ok(elements),
        false => Err(too_large(dtype, shape)),
    }
}

#[cold]
fn too_large(dtype: DType, shape: &[usize]) -> TooLarge {
    TooLarge { dtype, shape: Shape::from_slice(shape) }
}
