//! Sets of items that are had by their index, and sets made of other sets. They know no order: samplers have one.

use super::tensors::out_of_range;
use crate::error::{Error, Result, called, must};
use std::sync::Arc;

/// Items by index, `torch.utils.data.Dataset`. A loader asks for them on several threads at a time.
///
/// ```
/// use allotrope::{data::Dataset, prelude::*};
/// /// The numbers below `n` with their squares.
/// struct Squares(usize);
/// impl Dataset for Squares {
///     type Item = (f64, f64);
///     fn len(&self) -> usize {
///         self.0
///     }
///     fn get(&self, index: usize) -> Result<(f64, f64), Error> {
///         let x = index as f64;
///         Ok((x, x * x))
///     }
/// }
/// assert_eq!(Squares(5).get(3)?, (3.0, 9.0));
/// # Ok::<(), allotrope::Error>(())
/// ```
pub trait Dataset: Send + Sync {
    /// What one item is: a tensor, a number, or a tuple of such.
    type Item: Send;

    /// The number of items.
    fn len(&self) -> usize;

    /// An item.
    ///
    /// # Errors
    /// When there is none with this index, or it cannot be read. A loader's error has the index and these words.
    fn get(&self, index: usize) -> Result<Self::Item>;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The set with `f` of each item: what a transform is in PyTorch. It is called when an item is asked for, on the worker's
    /// thread.
    fn map<T, F>(self, f: F) -> MapDataset<Self, F>
    where
        Self: Sized,
        T: Send,
        F: Fn(Self::Item) -> Result<T> + Send + Sync,
    {
        MapDataset { dataset: self, f }
    }
}

impl<D: Dataset + ?Sized> Dataset for Arc<D> {
    type Item = D::Item;
    fn len(&self) -> usize {
        (**self).len()
    }
    fn get(&self, index: usize) -> Result<D::Item> {
        (**self).get(index)
    }
}

impl<D: Dataset + ?Sized> Dataset for Box<D> {
    type Item = D::Item;
    fn len(&self) -> usize {
        (**self).len()
    }
    fn get(&self, index: usize) -> Result<D::Item> {
        (**self).get(index)
    }
}

/// The elements of a vector, `ListDataset(vec![..])`: what a list is in PyTorch.
#[derive(Clone, Debug)]
pub struct ListDataset<T>(pub Vec<T>);

impl<T: Clone + Send + Sync> Dataset for ListDataset<T> {
    type Item = T;
    fn len(&self) -> usize {
        self.0.len()
    }
    fn get(&self, index: usize) -> Result<T> {
        self.0.get(index).cloned().ok_or_else(|| out_of_range(index, self.0.len()))
    }
}

/// A set with a function of each item, see [`Dataset::map`].
#[derive(Clone)]
pub struct MapDataset<D, F> {
    dataset: D,
    f: F,
}

impl<D: Dataset, T: Send, F: Fn(D::Item) -> Result<T> + Send + Sync> Dataset for MapDataset<D, F> {
    type Item = T;
    fn len(&self) -> usize {
        self.dataset.len()
    }
    fn get(&self, index: usize) -> Result<T> {
        (self.f)(self.dataset.get(index)?)
    }
}

/// A set whose items a function makes of their index.
///
/// ```
/// use allotrope::data::{Dataset, FnDataset};
/// let squares = FnDataset::new(4, |i| Ok((i * i) as i64));
/// assert_eq!(squares.get(3)?, 9);
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone)]
pub struct FnDataset<F> {
    len: usize,
    f: F,
}

impl<T: Send, F: Fn(usize) -> Result<T> + Send + Sync> FnDataset<F> {
    /// The set of `f(0)` to `f(len - 1)`.
    pub fn new(len: usize, f: F) -> FnDataset<F> {
        FnDataset { len, f }
    }
}

impl<T: Send, F: Fn(usize) -> Result<T> + Send + Sync> Dataset for FnDataset<F> {
    type Item = T;
    fn len(&self) -> usize {
        self.len
    }
    fn get(&self, index: usize) -> Result<T> {
        if index < self.len { (self.f)(index) } else { Err(out_of_range(index, self.len)) }
    }
}

/// Some items of a set, in this order: `torch.utils.data.Subset`.
#[derive(Clone)]
pub struct Subset<D> {
    dataset: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The items with these indices. A set that several subsets are taken of is given as an [`Arc`].
    ///
    /// # Panics
    /// When the set has no such item.
    #[track_caller]
    pub fn new(dataset: D, indices: Vec<usize>) -> Subset<D> {
        must(Subset::try_new(dataset, indices))
    }

    /// As [`Subset::new`].
    ///
    /// # Errors
    /// When the set has no such item.
    #[track_caller]
    pub fn try_new(dataset: D, indices: Vec<usize>) -> Result<Subset<D>> {
        let n = dataset.len();
        match indices.iter().find(|&&i| i >= n) {
            Some(i) => called(Err(Error::argument(format!("Subset: index {i} is none of a set of {n} items")))),
            None => Ok(Subset { dataset, indices }),
        }
    }

    /// The indices in the whole set.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The whole set.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Item = D::Item;
    fn len(&self) -> usize {
        self.indices.len()
    }
    fn get(&self, index: usize) -> Result<D::Item> {
        let place = self.indices.get(index).ok_or_else(|| out_of_range(index, self.indices.len()))?;
        self.dataset.get(*place)
    }
}

/// Sets one after the other: `torch.utils.data.ConcatDataset`. Sets of several types are given as `Box<dyn Dataset<Item = T>>`.
pub struct ConcatDataset<D> {
    datasets: Vec<D>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl<D: Dataset> ConcatDataset<D> {
    /// # Panics
    /// When no set is given.
    #[track_caller]
    pub fn new(datasets: Vec<D>) -> ConcatDataset<D> {
        must(ConcatDataset::try_new(datasets))
    }

    /// As [`ConcatDataset::new`].
    ///
    /// # Errors
    /// When no set is given.
    #[track_caller]
    pub fn try_new(datasets: Vec<D>) -> Result<ConcatDataset<D>> {
        if datasets.is_empty() {
            return called(Err(Error::argument("ConcatDataset: at least one set is needed, got none")));
        }
        let ends = datasets.iter().scan(0, |end, d| {
            *end += d.len();
            Some(*end)
        });
        Ok(ConcatDataset { ends: ends.collect(), datasets })
    }

    /// The sets.
    pub fn datasets(&self) -> &[D] {
        &self.datasets
    }
}

impl<D: Dataset> Dataset for ConcatDataset<D> {
    type Item = D::Item;
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }
    fn get(&self, index: usize) -> Result<D::Item> {
        let i = self.ends.partition_point(|&end| end <= index);
        let dataset = self.datasets.get(i).ok_or_else(|| out_of_range(index, self.len()))?;
        dataset.get(index - if i == 0 { 0 } else { self.ends[i - 1] })
    }
}
