//! The order in which items come, and how they make batches. Samplers know indices, never items; those that draw give PyTorch's
//! orders from the same seeds.

use super::draw;
use crate::error::{Error, Result, called, must};
use crate::mode::values::no_host_read;
use crate::ops::random::default_generator;
use crate::tensor::{Generator, Tensor};
use std::panic::Location;

/// Indices of items in some order, anew each time it is asked: `torch.utils.data.Sampler`.
///
/// ```
/// use allotrope::{data::Sampler, Error};
/// /// The last item first.
/// struct Backwards(usize);
/// impl Sampler for Backwards {
///     fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>, Error> {
///         Ok(Box::new((0..self.0).rev()))
///     }
///     fn len(&self) -> usize {
///         self.0
///     }
/// }
/// assert_eq!(Backwards(3).iter()?.collect::<Vec<_>>(), [2, 1, 0]);
/// # Ok::<(), Error>(())
/// ```
pub trait Sampler: Send + Sync {
    /// The indices of one pass.
    ///
    /// # Errors
    /// When they cannot be drawn: inside a trace, for those that draw.
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>>;

    /// How many a pass has.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The indices of batches, anew each time it is asked.
pub trait BatchSampler: Send + Sync {
    /// The batches of one pass.
    ///
    /// # Errors
    /// As [`Sampler::iter`].
    fn iter(&self) -> Result<Box<dyn Iterator<Item = Vec<usize>> + Send + '_>>;

    /// How many batches a pass has.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<S: Sampler + ?Sized> Sampler for Box<S> {
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>> {
        (**self).iter()
    }
    fn len(&self) -> usize {
        (**self).len()
    }
}

/// The indices of a vector, in its order: what a list is as a sampler in PyTorch.
#[derive(Clone, Debug)]
pub struct IndexSampler(pub Vec<usize>);

impl Sampler for IndexSampler {
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>> {
        Ok(Box::new(self.0.iter().copied()))
    }
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// All items in their order.
#[derive(Clone, Debug)]
pub struct SequentialSampler {
    len: usize,
}

impl SequentialSampler {
    /// The order of a set of so many items.
    pub fn new(len: usize) -> SequentialSampler {
        SequentialSampler { len }
    }
}

impl Sampler for SequentialSampler {
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>> {
        Ok(Box::new(0..self.len))
    }
    fn len(&self) -> usize {
        self.len
    }
}

/// What a [`RandomSampler`] may be told; the default is PyTorch's.
#[derive(Clone, Debug, Default)]
pub struct RandomSamplerOptions {
    /// Whether an item may come several times before others have come.
    pub replacement: bool,
    /// How many items a pass has; none means all. Without replacement more than all are several orders one after the other.
    pub num_samples: Option<usize>,
    /// What draws. None means a generator of its own for each pass, whose seed the default generator draws.
    pub generator: Option<Generator>,
}

/// Items in random order, anew in each pass.
///
/// ```
/// use allotrope::data::{RandomSampler, Sampler};
/// use allotrope::prelude::*;
/// manual_seed(1);
/// assert_eq!(RandomSampler::new(5).iter()?.collect::<Vec<_>>(), [1, 3, 4, 0, 2]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomSampler {
    len: usize,
    options: RandomSamplerOptions,
}

impl RandomSampler {
    /// Random orders of a set of so many items.
    ///
    /// # Panics
    /// Where [`RandomSampler::try_with_options`] fails.
    #[track_caller]
    pub fn new(len: usize) -> RandomSampler {
        must(RandomSampler::try_with_options(len, RandomSamplerOptions::default()))
    }

    /// As [`RandomSampler::new`], with options.
    ///
    /// # Panics
    /// Where [`RandomSampler::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(len: usize, options: RandomSamplerOptions) -> RandomSampler {
        must(RandomSampler::try_with_options(len, options))
    }

    /// As [`RandomSampler::with_options`].
    ///
    /// # Errors
    /// When a pass would have no items.
    #[track_caller]
    pub fn try_with_options(len: usize, options: RandomSamplerOptions) -> Result<RandomSampler> {
        let count = options.num_samples.unwrap_or(len);
        match count == 0 || len == 0 {
            true => called(Err(Error::argument(format!(
                "RandomSampler: a pass needs at least one item of at least one, got {count} of {len}"
            )))),
            false => Ok(RandomSampler { len, options }),
        }
    }
}

impl Sampler for RandomSampler {
    #[track_caller]
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>> {
        no_host_read("RandomSampler", Location::caller())?;
        let generator = match &self.options.generator {
            Some(generator) => generator.clone(),
            None => Generator::new(draw::seed(default_generator())),
        };
        let (n, count) = (self.len, self.len());
        // As many as PyTorch draws at a time; the last part is drawn in full where it is an order.
        let part = if self.options.replacement { 32 } else { n };
        let parts = (0..=count / part).map(move |i| {
            let left = (count - i * part).min(part);
            if self.options.replacement {
                return draw::integers(&generator, n, left);
            }
            let mut order = draw::permutation(&generator, n);
            order.truncate(left);
            order
        });
        Ok(Box::new(parts.flatten()))
    }
    fn len(&self) -> usize {
        self.options.num_samples.unwrap_or(self.len)
    }
}

/// Some items in random order.
#[derive(Clone, Debug)]
pub struct SubsetRandomSampler {
    indices: Vec<usize>,
    generator: Option<Generator>,
}

impl SubsetRandomSampler {
    /// The items with these indices, each once; no generator means the default one.
    pub fn new(indices: Vec<usize>, generator: Option<Generator>) -> SubsetRandomSampler {
        SubsetRandomSampler { indices, generator }
    }
}

impl Sampler for SubsetRandomSampler {
    #[track_caller]
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>> {
        no_host_read("SubsetRandomSampler", Location::caller())?;
        let order = draw::permutation(self.generator.as_ref().unwrap_or(default_generator()), self.indices.len());
        Ok(Box::new(order.into_iter().map(|i| self.indices[i])))
    }
    fn len(&self) -> usize {
        self.indices.len()
    }
}

/// Items drawn by weights, which need not add up to 1.
#[derive(Clone, Debug)]
pub struct WeightedRandomSampler {
    weights: Vec<f64>,
    num_samples: usize,
    replacement: bool,
    generator: Option<Generator>,
}

impl WeightedRandomSampler {
    /// `num_samples` items in each pass, item `i` with probability in proportion to `weights[i]`. With `replacement` an item may
    /// come several times; no generator means the default one.
    ///
    /// # Panics
    /// Where [`WeightedRandomSampler::try_new`] fails.
    #[track_caller]
    pub fn new(
        weights: Vec<f64>,
        num_samples: usize,
        replacement: bool,
        generator: Option<Generator>,
    ) -> WeightedRandomSampler {
        must(WeightedRandomSampler::try_new(weights, num_samples, replacement, generator))
    }

    /// As [`WeightedRandomSampler::new`].
    ///
    /// # Errors
    /// When a weight is negative or no number, none is above 0, or a pass would have no items, or more than there are.
    #[track_caller]
    pub fn try_new(
        weights: Vec<f64>,
        num_samples: usize,
        replacement: bool,
        generator: Option<Generator>,
    ) -> Result<WeightedRandomSampler> {
        let wrong = |message: String| called(Err(Error::argument(format!("WeightedRandomSampler: {message}"))));
        if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            return wrong(format!("weights are numbers from 0 on, got {} for item {i}", weights[i]));
        }
        let possible = weights.iter().filter(|w| **w > 0.0).count();
        if possible == 0 {
            return wrong(format!("one of the {} weights must be above 0", weights.len()));
        }
        if num_samples == 0 {
            return wrong("a pass needs at least one item, got num_samples 0".into());
        }
        if !replacement && num_samples > possible {
            return wrong(format!("{num_samples} different items cannot be drawn, {possible} have a weight above 0"));
        }
        Ok(WeightedRandomSampler { weights, num_samples, replacement, generator })
    }
}

impl Sampler for WeightedRandomSampler {
    #[track_caller]
    fn iter(&self) -> Result<Box<dyn Iterator<Item = usize> + Send + '_>> {
        no_host_read("WeightedRandomSampler", Location::caller())?;
        let weights = Tensor::try_from_slice(&self.weights, &[self.weights.len()])?;
        let generator = self.generator.as_ref().unwrap_or(default_generator());
        let drawn = generator.try_multinomial(&weights, self.num_samples, self.replacement)?;
        Ok(Box::new(draw::places(&drawn.to_vec::<i64>()).into_iter()))
    }
    fn len(&self) -> usize {
        self.num_samples
    }
}

/// Batches of so many indices of a sampler: `torch.utils.data.BatchSampler`.
///
/// ```
/// use allotrope::data::{BatchSampler, Batched, SequentialSampler};
/// let batches = Batched::new(SequentialSampler::new(5), 2, false);
/// assert_eq!(batches.iter()?.collect::<Vec<_>>(), [vec![0, 1], vec![2, 3], vec![4]]);
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batched<S> {
    sampler: S,
    batch_size: usize,
    drop_last: bool,
}

impl<S: Sampler> Batched<S> {
    /// Batches of `batch_size` indices; the last one may have fewer, unless it is dropped.
    ///
    /// # Panics
    /// When the batch size is 0.
    #[track_caller]
    pub fn new(sampler: S, batch_size: usize, drop_last: bool) -> Batched<S> {
        must(Batched::try_new(sampler, batch_size, drop_last))
    }

    /// As [`Batched::new`].
    ///
    /// # Errors
    /// When the batch size is 0.
    #[track_caller]
    pub fn try_new(sampler: S, batch_size: usize, drop_last: bool) -> Result<Batched<S>> {
        match batch_size {
            0 => called(Err(Error::argument("batch_size is at least 1, got 0"))),
            _ => Ok(Batched { sampler, batch_size, drop_last }),
        }
    }
}

impl<S: Sampler> BatchSampler for Batched<S> {
    #[track_caller]
    fn iter(&self) -> Result<Box<dyn Iterator<Item = Vec<usize>> + Send + '_>> {
        let mut indices = self.sampler.iter()?;
        Ok(Box::new(std::iter::from_fn(move || {
            let batch: Vec<usize> = indices.by_ref().take(self.batch_size).collect();
            let is_whole = batch.len() == self.batch_size;
            (is_whole || !(self.drop_last || batch.is_empty())).then_some(batch)
        })))
    }
    fn len(&self) -> usize {
        let n = self.sampler.len();
        if self.drop_last { n / self.batch_size } else { n.div_ceil(self.batch_size) }
    }
}
