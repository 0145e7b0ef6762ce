//! A set in parts, drawn at random.

use super::dataset::{Dataset, Subset};
use super::draw;
use crate::error::{Error, Result, called, must};
use crate::mode::values::no_host_read;
use crate::ops::random::default_generator;
use crate::tensor::Generator;
use std::panic::Location;
use std::sync::Arc;

/// How long the parts are: numbers of items, or fractions that add up to 1.
pub trait Lengths {
    /// The length of each part of `n` items.
    ///
    /// # Errors
    /// When these are no parts of so many.
    fn of(&self, n: usize) -> Result<Vec<usize>>;
}

impl Lengths for [usize] {
    fn of(&self, n: usize) -> Result<Vec<usize>> {
        match self.iter().try_fold(0usize, |sum, &part| sum.checked_add(part)) {
            Some(sum) if sum == n => Ok(self.to_vec()),
            _ => Err(Error::argument(format!(
                "random_split: lengths {self:?} do not add up to the {n} items of the set"
            ))),
        }
    }
}

/// As in PyTorch each part has its fraction rounded down, and what is left goes to the first parts, one item each.
impl Lengths for [f64] {
    fn of(&self, n: usize) -> Result<Vec<usize>> {
        let sum: f64 = self.iter().sum();
        let is_one = sum <= 1.0 && (sum - 1.0).abs() <= 1e-9;
        if !is_one || !self.iter().all(|f| (0.0..=1.0).contains(f)) {
            return Err(Error::argument(format!(
                "random_split: fractions are in [0, 1] and add up to 1, got {self:?}"
            )));
        }
        let mut parts: Vec<usize> = self.iter().map(|f| (n as f64 * f).floor() as usize).collect();
        let (left, count) = (n - parts.iter().sum::<usize>(), parts.len());
        (0..left).for_each(|i| parts[i % count] += 1);
        Ok(parts)
    }
}

impl<const N: usize> Lengths for [usize; N] {
    fn of(&self, n: usize) -> Result<Vec<usize>> {
        self[..].of(n)
    }
}

impl<const N: usize> Lengths for [f64; N] {
    fn of(&self, n: usize) -> Result<Vec<usize>> {
        self[..].of(n)
    }
}

/// A set in parts that have its items in random order, `torch.utils.data.random_split`: the same parts from the same seed. No generator
/// means the default one.
///
/// ```
/// use allotrope::data::{Dataset, ListDataset, random_split};
/// use allotrope::prelude::*;
/// let parts = random_split(ListDataset((0..10).collect::<Vec<i64>>()), &[0.7, 0.3], Some(&Generator::new(42)));
/// assert_eq!(parts[0].len(), 7);
/// assert_eq!(parts[1].indices(), [9, 3, 7]);
/// ```
///
/// # Panics
/// Where [`try_random_split`] fails.
#[track_caller]
pub fn random_split<D: Dataset, L: Lengths + ?Sized>(
    dataset: D,
    lengths: &L,
    generator: Option<&Generator>,
) -> Vec<Subset<Arc<D>>> {
    must(try_random_split(dataset, lengths, generator))
}

/// As [`random_split`].
///
/// # Errors
/// When the lengths are no parts of the set, and inside a trace; nothing is drawn then.
#[track_caller]
pub fn try_random_split<D: Dataset, L: Lengths + ?Sized>(
    dataset: D,
    lengths: &L,
    generator: Option<&Generator>,
) -> Result<Vec<Subset<Arc<D>>>> {
    called(no_host_read("random_split()", Location::caller()))?;
    let lengths = called(lengths.of(dataset.len()))?;
    let order = draw::permutation(generator.unwrap_or(default_generator()), dataset.len());
    let dataset = Arc::new(dataset);
    let mut rest = &order[..];
    let part = |len: usize| {
        let (these, others) = rest.split_at(len);
        rest = others;
        Subset::try_new(Arc::clone(&dataset), these.to_vec())
    };
    lengths.into_iter().map(part).collect()
}
