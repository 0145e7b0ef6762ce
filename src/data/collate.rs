//! How items become a batch: `torch.utils.data.default_collate`. Tensors are stacked, numbers become tensors, and tuples, arrays,
//! vectors and maps of them become the same of batches.

use crate::error::{Error, Result};
use crate::ops;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Items that can be put together into a batch.
///
/// ```
/// use allotrope::data::Collate;
/// let (x, y) = <(f64, bool)>::collate(vec![(0.5, true), (1.5, false)])?;
/// assert_eq!((x.to_vec::<f64>(), y.to_vec::<bool>()), (vec![0.5, 1.5], vec![true, false]));
/// # Ok::<(), allotrope::Error>(())
/// ```
pub trait Collate: Sized + Send {
    /// What the batch is.
    type Batch: Send;

    /// The batch of these items, of which there is at least one.
    ///
    /// # Errors
    /// When the items do not fit together: tensors of several shapes, vectors of several lengths.
    fn collate(items: Vec<Self>) -> Result<Self::Batch>;
}

/// Tensors are stacked along a new first axis.
impl Collate for Tensor {
    type Batch = Tensor;
    fn collate(items: Vec<Tensor>) -> Result<Tensor> {
        ops::try_stack(&items.iter().collect::<Vec<_>>(), 0)
    }
}

/// Numbers become a tensor of their own dtype, as NumPy's do in PyTorch; Python's are i64 and f64.
macro_rules! numbers {
    ($($T:ty),*) => {$(
        impl Collate for $T {
            type Batch = Tensor;
            fn collate(items: Vec<$T>) -> Result<Tensor> {
                let n = items.len();
                Tensor::try_from_vec(items, &[n])
            }
        }
    )*};
}

numbers!(f64, f32, i64, i32, u8, bool);

/// Places are i64, as Python's whole numbers.
impl Collate for usize {
    type Batch = Tensor;
    fn collate(items: Vec<usize>) -> Result<Tensor> {
        <i64 as Collate>::collate(items.into_iter().map(|n| n as i64).collect())
    }
}

/// Text stays a vector.
impl Collate for String {
    type Batch = Vec<String>;
    fn collate(items: Vec<String>) -> Result<Vec<String>> {
        Ok(items)
    }
}

macro_rules! tuples {
    ($( ($($T:ident $part:ident),+) )*) => {$(
        impl<$($T: Collate),+> Collate for ($($T,)+) {
            type Batch = ($($T::Batch,)+);
            fn collate(items: Vec<Self>) -> Result<Self::Batch> {
                $(let mut $part = Vec::with_capacity(items.len());)+
                for ($($T,)+) in items {
                    $($part.push($T);)+
                }
                Ok(($($T::collate($part)?,)+))
            }
        }
    )*};
}

#[allow(non_snake_case)]
mod tuple {
    use super::{Collate, Result};
    tuples! {
        (A a)
        (A a, B b)
        (A a, B b, C c)
        (A a, B b, C c, D d)
        (A a, B b, C c, D d, E e)
        (A a, B b, C c, D d, E e, F f)
    }
}

/// The items of one place of all rows after the other.
fn columns<T: Collate>(rows: Vec<Vec<T>>) -> Result<Vec<T::Batch>> {
    let n = rows.first().map_or(0, Vec::len);
    if let Some(other) = rows.iter().find(|row| row.len() != n) {
        return Err(Error::argument(format!(
            "vectors in a batch are equally long, got {n} and {} elements; pad them in `get`, or give a collate function",
            other.len()
        )));
    }
    let mut rows: Vec<_> = rows.into_iter().map(Vec::into_iter).collect();
    (0..n).map(|_| T::collate(rows.iter_mut().filter_map(Iterator::next).collect())).collect()
}

impl<T: Collate> Collate for Vec<T> {
    type Batch = Vec<T::Batch>;
    fn collate(items: Vec<Vec<T>>) -> Result<Vec<T::Batch>> {
        columns(items)
    }
}

impl<T: Collate, const N: usize> Collate for [T; N] {
    type Batch = Vec<T::Batch>;
    fn collate(items: Vec<[T; N]>) -> Result<Vec<T::Batch>> {
        columns(items.into_iter().map(Vec::from).collect())
    }
}

/// Maps that all have the keys of the first one.
macro_rules! maps {
    ($Map:ident, $($bound:ident),+) => {
        impl<K: $($bound +)+ Send + std::fmt::Debug, T: Collate> Collate for $Map<K, T> {
            type Batch = $Map<K, T::Batch>;
            fn collate(mut items: Vec<$Map<K, T>>) -> Result<Self::Batch> {
                let Some(first) = items.first() else { return Ok($Map::new()) };
                let keys: Vec<K> = first.keys().cloned().collect();
                let mut out = $Map::new();
                for key in keys {
                    let parts: Vec<T> = items.iter_mut().filter_map(|item| item.remove(&key)).collect();
                    if parts.len() != items.len() {
                        return Err(Error::argument(format!("maps in a batch have the same keys, one has no {key:?}")));
                    }
                    out.insert(key, T::collate(parts)?);
                }
                Ok(out)
            }
        }
    };
}

maps!(HashMap, Clone, Eq, Hash);
maps!(BTreeMap, Clone, Ord);
