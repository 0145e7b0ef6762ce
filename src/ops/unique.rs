//! Different elements of a tensor, or different slices along an axis. How many there are depends on values, so they are found on the
//! host, and no trace can hold them. No gradient flows, as in PyTorch.

use super::movement::permuted;
use super::repeating::host;
use super::twins;
use crate::error::Result;
use crate::tensor::Tensor;
use allotrope_ir::DType;
use std::cmp::Ordering;

/// Which of the slices are different: the first place of each, in order, which of them each slice is, and how many are.
struct Groups {
    first: Vec<i64>,
    of: Vec<i64>,
    counts: Vec<i64>,
}

/// Slices of `len` elements one after the other; equal ones in one group each where `sorted`, else neighbours only.
fn groups<T: PartialOrd>(elements: &[T], len: usize, count: usize, sorted: bool) -> Groups {
    let slice = |i: usize| &elements[i * len..(i + 1) * len];
    // A NaN is larger than all, and no other NaN.
    let compare = |a: &T, b: &T| a.partial_cmp(b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)));
    let mut order: Vec<usize> = (0..count).collect();
    if sorted {
        order.sort_by(|&a, &b| {
            let pairs = slice(a).iter().zip(slice(b));
            pairs.map(|(a, b)| compare(a, b)).find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
    }
    let mut found = Groups { first: Vec::new(), of: vec![0; count], counts: Vec::new() };
    let mut before: Option<usize> = None;
    for i in order {
        match before {
            Some(b) if slice(b) == slice(i) => {}
            Some(_) | None => {
                found.first.push(i as i64);
                found.counts.push(0);
            }
        }
        let last = found.counts.len() - 1;
        found.counts[last] += 1;
        found.of[i] = last as i64;
        before = Some(i);
    }
    found
}

#[expect(clippy::eq_op, reason = "NaN is what is not equal to itself")]
fn is_nan<T: PartialOrd>(x: &T) -> bool {
    x != x
}

#[track_caller]
fn unique(op: &'static str, x: &Tensor, dim: Option<isize>, sorted: bool) -> Result<(Tensor, Tensor, Tensor)> {
    let x = x.detach();
    let (rows, axis) = match dim {
        None => (x.try_ravel()?, 0),
        Some(dim) => (x.clone(), x.axis(op, dim)?),
    };
    let front = permuted(&rows, std::iter::once(axis).chain((0..rows.dim()).filter(|&i| i != axis)).collect())?;
    let shape = front.shape_hint().to_vec();
    let (count, len) = (shape[0], shape[1..].iter().product());
    let found = match x.dtype().is_float() {
        true => groups::<f64>(&host(op, &front.try_to(DType::F64)?)?, len, count, sorted),
        false => groups::<i64>(&host(op, &front.try_to(DType::I64)?)?, len, count, sorted),
    };
    let vector = |v: &[i64]| Tensor::try_from_slice(v, &[v.len()]);
    let values = rows.try_index_select(axis as isize, &vector(&found.first)?)?;
    let inverse = vector(&found.of)?;
    let inverse = if dim.is_none() { inverse.reshape_sizes(&x.sizes())? } else { inverse };
    Ok((values, inverse, vector(&found.counts)?))
}

twins! {
    /// The different elements in ascending order, which of them each element is (i64, of this shape), and how often each is there
    /// (i64): PyTorch's `unique(return_inverse=True, return_counts=True)`. With `dim` the different slices along that axis, in the
    /// order of their elements. Every NaN is one of its own. How many there are depends on values, so a trace can't hold it.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (values, inverse, counts) = Tensor::from_vec(vec![3i64, 1, 3], &[3]).unique(None);
    /// assert_eq!(values.to_vec::<i64>(), [1, 3]);
    /// assert_eq!((inverse.to_vec::<i64>(), counts.to_vec::<i64>()), (vec![1, 0, 1], vec![1, 2]));
    /// ```
    fn unique / try_unique(&self, dim: Option<isize>) -> (Tensor, Tensor, Tensor) {
        unique("unique", self, dim, true)
    }

    /// As [`Tensor::unique`], of neighbours only and in the order in which they are: each run of equal elements once.
    fn unique_consecutive / try_unique_consecutive(&self, dim: Option<isize>) -> (Tensor, Tensor, Tensor) {
        unique("unique_consecutive", self, dim, false)
    }
}
