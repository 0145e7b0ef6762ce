//! The loader: batches of a data set, in the order of a sampler, made by the caller's thread or by workers. It never knows what the
//! items are.

use super::collate::Collate;
use super::dataset::Dataset;
use super::draw;
use super::fetch::{CollateFn, Fetcher, Job};
use super::sampler::{BatchSampler, Batched, RandomSampler, RandomSamplerOptions, Sampler, SequentialSampler};
use super::worker::Pool;
use crate::error::{Error, Result, called, must};
use crate::mode::values::no_host_read;
use crate::ops::random::default_generator;
use crate::tensor::Generator;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a loader may be told; the default is PyTorch's.
pub struct DataLoaderOptions {
    /// Items in a batch.
    pub batch_size: usize,
    /// Whether each pass has another order.
    pub shuffle: bool,
    /// The order, instead of `shuffle`.
    pub sampler: Option<Box<dyn Sampler>>,
    /// The batches, instead of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    pub batch_sampler: Option<Box<dyn BatchSampler>>,
    /// Threads that make batches ahead; 0 means that the caller's thread makes each when it is asked for.
    pub num_workers: usize,
    /// Batches that each worker makes ahead.
    pub prefetch_factor: usize,
    /// Whether a last batch that is smaller is left out.
    pub drop_last: bool,
    /// What draws the order and the seed of the workers; none means the default generator.
    pub generator: Option<Generator>,
}

impl Default for DataLoaderOptions {
    fn default() -> DataLoaderOptions {
        DataLoaderOptions {
            batch_size: 1,
            shuffle: false,
            sampler: None,
            batch_sampler: None,
            num_workers: 0,
            prefetch_factor: 2,
            drop_last: false,
            generator: None,
        }
    }
}

/// Batches of a data set, `torch.utils.data.DataLoader`; see [the module](crate::data) for an example.
///
/// After the same `manual_seed` the batches are PyTorch's: each pass draws a seed for the workers from the generator, and a shuffled
/// one another seed for its order. With workers a pass draws what it needs when it begins, without when the first batch is asked for,
/// as PyTorch does. The batches are the same for any number of workers, as long as the data set draws from
/// [`item_generator`](super::item_generator).
///
/// A batch is a `Result`: where `get` fails or panics, the error says which item it was, and the pass may go on. Dropping the
/// iterator ends its workers.
pub struct DataLoader<D: Dataset, B> {
    fetcher: Fetcher<D, B>,
    batches: Box<dyn BatchSampler>,
    num_workers: usize,
    prefetch_factor: usize,
    generator: Option<Generator>,
}

impl<D> DataLoader<D, <D::Item as Collate>::Batch>
where
    D: Dataset,
    D::Item: Collate + 'static,
{
    /// A loader of batches of one item, in order, with tensors stacked as [`Collate`] says.
    pub fn new(dataset: D) -> Self {
        must(DataLoader::try_with_options(dataset, DataLoaderOptions::default()))
    }

    /// As [`DataLoader::new`], with options.
    ///
    /// # Panics
    /// Where [`DataLoader::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(dataset: D, options: DataLoaderOptions) -> Self {
        must(DataLoader::try_with_options(dataset, options))
    }

    /// As [`DataLoader::with_options`].
    ///
    /// # Errors
    /// When options exclude each other, a number is 0 that cannot be, or a set without items is to be shuffled.
    #[track_caller]
    pub fn try_with_options(dataset: D, options: DataLoaderOptions) -> Result<Self> {
        DataLoader::try_with_collate(dataset, options, D::Item::collate)
    }
}

impl<D: Dataset> DataLoader<D, D::Item> {
    /// A loader of single items, not of batches: PyTorch's `batch_size=None`.
    ///
    /// # Panics
    /// Where [`DataLoader::try_unbatched`] fails.
    #[track_caller]
    pub fn unbatched(dataset: D, options: DataLoaderOptions) -> Self {
        must(DataLoader::try_unbatched(dataset, options))
    }

    /// As [`DataLoader::unbatched`].
    ///
    /// # Errors
    /// As [`DataLoader::try_with_options`], and when options about batches are given.
    #[track_caller]
    pub fn try_unbatched(dataset: D, options: DataLoaderOptions) -> Result<Self> {
        if options.batch_size != 1 || options.drop_last || options.batch_sampler.is_some() {
            return called(Err(Error::argument(
                "DataLoader: single items have no batch_size, drop_last or batch_sampler; leave them as they are by default",
            )));
        }
        let single =
            |mut items: Vec<D::Item>| items.pop().ok_or_else(|| Error::argument("DataLoader: a batch without items"));
        DataLoader::try_with_collate(dataset, options, single)
    }
}

impl<D: Dataset, B> DataLoader<D, B> {
    /// A loader whose batches `collate` makes of their items: it pads, for instance. Workers call it on their threads.
    ///
    /// ```
    /// use allotrope::data::{DataLoader, DataLoaderOptions, ListDataset};
    /// let words = ListDataset(vec!["a", "deep", "net"]);
    /// let options = DataLoaderOptions { batch_size: 2, ..Default::default() };
    /// let loader = DataLoader::with_collate(words, options, |items| Ok(items.join(" ")));
    /// let batches: Vec<String> = loader.iter().collect::<Result<_, _>>()?;
    /// assert_eq!(batches, ["a deep", "net"]);
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    ///
    /// # Panics
    /// Where [`DataLoader::try_with_options`] fails.
    #[track_caller]
    pub fn with_collate(
        dataset: D,
        options: DataLoaderOptions,
        collate: impl Fn(Vec<D::Item>) -> Result<B> + Send + Sync + 'static,
    ) -> Self {
        must(DataLoader::try_with_collate(dataset, options, collate))
    }

    /// As [`DataLoader::with_collate`].
    ///
    /// # Errors
    /// As [`DataLoader::try_with_options`].
    #[track_caller]
    pub fn try_with_collate(
        dataset: D,
        options: DataLoaderOptions,
        collate: impl Fn(Vec<D::Item>) -> Result<B> + Send + Sync + 'static,
    ) -> Result<Self> {
        called(DataLoader::checked(dataset, options, Arc::new(collate)))
    }

    fn checked(dataset: D, options: DataLoaderOptions, collate: CollateFn<D::Item, B>) -> Result<Self> {
        let wrong = |message: &str| Err(Error::argument(format!("DataLoader: {message}")));
        let DataLoaderOptions {
            batch_size,
            shuffle,
            sampler,
            batch_sampler,
            num_workers,
            prefetch_factor,
            drop_last,
            generator,
        } = options;
        if prefetch_factor == 0 {
            return wrong("prefetch_factor is at least 1, got 0");
        }
        if shuffle && sampler.is_some() {
            return wrong("a sampler has the order, so shuffle must be false");
        }
        let batches = match (batch_sampler, sampler) {
            (Some(_), _) if batch_size != 1 || shuffle || drop_last => {
                return wrong(
                    "a batch_sampler has the batches, so batch_size, shuffle and drop_last must be as they are by default",
                );
            }
            (Some(_), Some(_)) => return wrong("a batch_sampler has the batches, so no sampler can be given"),
            (Some(batches), None) => batches,
            (None, sampler) => {
                let sampler: Box<dyn Sampler> = match sampler {
                    Some(sampler) => sampler,
                    None if shuffle => {
                        let options = RandomSamplerOptions { generator: generator.clone(), ..Default::default() };
                        Box::new(RandomSampler::try_with_options(dataset.len(), options)?)
                    }
                    None => Box::new(SequentialSampler::new(dataset.len())),
                };
                Box::new(Batched::try_new(sampler, batch_size, drop_last)?)
            }
        };
        let fetcher = Fetcher { dataset: Arc::new(dataset), collate };
        Ok(DataLoader { fetcher, batches, num_workers, prefetch_factor, generator })
    }

    /// The data set.
    pub fn dataset(&self) -> &D {
        &self.fetcher.dataset
    }

    /// The number of batches in a pass.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<D: Dataset + 'static, B: Send + 'static> DataLoader<D, B> {
    /// One pass.
    ///
    /// # Panics
    /// Where [`DataLoader::try_iter`] fails.
    #[track_caller]
    pub fn iter(&self) -> Batches<'_, D, B> {
        must(self.try_iter())
    }

    /// As [`DataLoader::iter`].
    ///
    /// # Errors
    /// Inside a trace, into which a program has no batches built in: iterate outside and give each batch as an argument. With
    /// workers also when a thread cannot be started, or the sampler fails.
    #[track_caller]
    pub fn try_iter(&self) -> Result<Batches<'_, D, B>> {
        called(no_host_read("a batch of a DataLoader", Location::caller()))?;
        let seed = draw::seed(self.generator.as_ref().unwrap_or(default_generator()));
        let mut pass = Batches { loader: self, seed, indices: None, number: 0, pool: None };
        if self.num_workers > 0 {
            pass.pool = Some(called(Pool::start(&self.fetcher, self.num_workers, seed))?);
            called(pass.fill())?;
        }
        Ok(pass)
    }
}

impl<'a, D: Dataset + 'static, B: Send + 'static> IntoIterator for &'a DataLoader<D, B> {
    type Item = Result<B>;
    type IntoIter = Batches<'a, D, B>;
    #[track_caller]
    fn into_iter(self) -> Batches<'a, D, B> {
        self.iter()
    }
}

/// The batches of one pass of a [`DataLoader`].
pub struct Batches<'a, D: Dataset, B> {
    loader: &'a DataLoader<D, B>,
    seed: u64,
    /// What is left of the sampler's pass; none before it has begun.
    indices: Option<Box<dyn Iterator<Item = Vec<usize>> + Send + 'a>>,
    /// The number of the next job.
    number: usize,
    pool: Option<Pool<B>>,
}

impl<D: Dataset, B: Send + 'static> Batches<'_, D, B> {
    /// The next batch of indices.
    fn job(&mut self) -> Result<Option<Job>> {
        if self.indices.is_none() {
            self.indices = Some(self.loader.batches.iter()?);
        }
        let Some(indices) = self.indices.as_mut().and_then(Iterator::next) else { return Ok(None) };
        self.number += 1;
        Ok(Some(Job { number: self.number - 1, indices }))
    }

    /// Keeps all workers busy.
    fn fill(&mut self) -> Result<()> {
        let most = self.loader.prefetch_factor.saturating_mul(self.loader.num_workers);
        while self.pool.as_ref().is_some_and(|pool| pool.waiting() < most) {
            let Some(job) = self.job()? else { break };
            if let Some(pool) = &mut self.pool {
                pool.send(job);
            }
        }
        Ok(())
    }
}

impl<D: Dataset, B: Send + 'static> Iterator for Batches<'_, D, B> {
    type Item = Result<B>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<B>> {
        if let Err(e) = no_host_read("a batch of a DataLoader", Location::caller()) {
            return Some(Err(e));
        }
        if let Some(pool) = &mut self.pool {
            let batch = pool.next()?;
            return Some(self.fill().and(batch));
        }
        let job = match self.job() {
            Ok(job) => job?,
            Err(e) => return Some(Err(e)),
        };
        Some(self.loader.fetcher.batch(&job, self.seed, &AtomicBool::new(false)))
    }
}
