//! The piece of memory that a tensor of any strides lies in, as a vector, and any such vector seen with these strides. Nothing is
//! copied.

use super::Tensor;
use super::eval::strided;
use super::handle::{Body, Strided};
use super::strides::{Dims, Strides};
use super::tensor_type::TensorType;
use crate::error::Result;

/// How many places lie before the first element of `x`, which has elements, and behind it.
fn reach(x: &Tensor, s: &Strided) -> (usize, usize) {
    let (mut before, mut behind) = (0, 0);
    for (&n, &stride) in x.shape_hint().iter().zip(&s.strides) {
        let far = (n - 1) * stride.unsigned_abs();
        if stride < 0 { before += far } else { behind += far }
    }
    (before, behind)
}

/// The memory from the first place of an eager tensor, which has elements, to its last one.
///
/// # Errors
/// Where no tensor is as large.
pub(crate) fn of(x: &Tensor) -> Result<Tensor> {
    let s = strided(x)?;
    let (before, behind) = reach(x, s);
    let ty = TensorType::new(x.dtype(), Dims::from_slice(&[before + 1 + behind]))?;
    let strides = Strides::from_slice(&[1]);
    Ok(Tensor::from_parts(
        ty,
        Body::Strided(Strided { storage: s.storage.clone(), strides, offset: s.offset - before }),
    ))
}

/// A contiguous vector as long as the memory of `x`, as `x` sees that.
///
/// # Errors
/// Where no tensor is as large.
pub(crate) fn seen_as(vector: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (s, of) = (strided(x)?, strided(vector)?);
    let ty = TensorType::new(vector.dtype(), Dims::from_slice(x.shape_hint()))?;
    let offset = of.offset + reach(x, s).0;
    let body = Strided { storage: of.storage.clone(), strides: s.strides.clone(), offset };
    Ok(Tensor::from_parts(ty, Body::Strided(body)))
}
