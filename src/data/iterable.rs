//! Data without indices: a stream of items that comes to an end, in batches. It is read on the caller's thread.

use super::collate::Collate;
use crate::error::{Error, Result, called, must};
use crate::mode::values::no_host_read;
use std::panic::Location;

/// Items that come one after the other, anew each time they are asked for: `torch.utils.data.IterableDataset`. A closure that gives an
/// iterator is one.
pub trait IterableDataset {
    type Item;

    /// The items of one pass.
    fn iter(&self) -> Box<dyn Iterator<Item = Result<Self::Item>> + '_>;
}

impl<T, I, F> IterableDataset for F
where
    I: Iterator<Item = Result<T>> + 'static,
    F: Fn() -> I,
{
    type Item = T;
    fn iter(&self) -> Box<dyn Iterator<Item = Result<T>> + '_> {
        Box::new(self())
    }
}

/// Batches of an [`IterableDataset`].
///
/// ```
/// use allotrope::data::IterableLoader;
/// let lines = || "1\n2\n3".lines().map(|line| Ok(line.parse::<i64>().unwrap()));
/// let loader = IterableLoader::new(lines, 2, false);
/// let batches: Vec<Vec<i64>> = loader.iter().map(|b| Ok(b?.to_vec())).collect::<Result<_, allotrope::Error>>()?;
/// assert_eq!(batches, [vec![1, 2], vec![3]]);
/// # Ok::<(), allotrope::Error>(())
/// ```
pub struct IterableLoader<D> {
    dataset: D,
    batch_size: usize,
    drop_last: bool,
}

impl<D: IterableDataset> IterableLoader<D>
where
    D::Item: Collate,
{
    /// Batches of `batch_size` items; the last one may have fewer, unless it is dropped.
    ///
    /// # Panics
    /// When the batch size is 0.
    #[track_caller]
    pub fn new(dataset: D, batch_size: usize, drop_last: bool) -> IterableLoader<D> {
        must(IterableLoader::try_new(dataset, batch_size, drop_last))
    }

    /// As [`IterableLoader::new`].
    ///
    /// # Errors
    /// When the batch size is 0.
    #[track_caller]
    pub fn try_new(dataset: D, batch_size: usize, drop_last: bool) -> Result<IterableLoader<D>> {
        match batch_size {
            0 => called(Err(Error::argument("IterableLoader: batch_size is at least 1, got 0"))),
            _ => Ok(IterableLoader { dataset, batch_size, drop_last }),
        }
    }

    /// One pass.
    pub fn iter(&self) -> IterableBatches<'_, D> {
        IterableBatches { loader: self, items: self.dataset.iter() }
    }
}

/// The batches of one pass of an [`IterableLoader`].
pub struct IterableBatches<'a, D: IterableDataset> {
    loader: &'a IterableLoader<D>,
    items: Box<dyn Iterator<Item = Result<D::Item>> + 'a>,
}

impl<D: IterableDataset> Iterator for IterableBatches<'_, D>
where
    D::Item: Collate,
{
    type Item = Result<<D::Item as Collate>::Batch>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        if let Err(e) = no_host_read("a batch of an IterableLoader", Location::caller()) {
            return Some(Err(e));
        }
        let items: Vec<D::Item> = match self.items.by_ref().take(self.loader.batch_size).collect() {
            Ok(items) => items,
            Err(e) => return Some(Err(e)),
        };
        let is_left_out = items.is_empty() || (self.loader.drop_last && items.len() < self.loader.batch_size);
        (!is_left_out).then(|| D::Item::collate(items))
    }
}
