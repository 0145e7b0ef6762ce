//! Making one batch: items are asked for one after the other, and put together. A panic in the user's code becomes an error that
//! says which item it was. On which thread that happens is for others to say.

use super::dataset::Dataset;
use super::draw::mixed;
use crate::error::{Error, Result};
use crate::ops::random::default_generator;
use crate::tensor::Generator;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The worker that a thread is, as `torch.utils.data.get_worker_info()` says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Which of the workers.
    pub id: usize,
    /// How many there are.
    pub num_workers: usize,
    /// The seed that the loader drew for this pass, plus the number of the worker.
    pub seed: u64,
}

thread_local! {
    static WORKER: Cell<Option<WorkerInfo>> = const { Cell::new(None) };
    /// A seed for the item that is asked for.
    static ITEM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Which worker this thread is; none on every other thread, also where a loader without workers asks for items.
pub fn worker_info() -> Option<WorkerInfo> {
    WORKER.get()
}

/// Says which worker this thread is.
pub(super) fn set_worker(info: WorkerInfo) {
    WORKER.set(Some(info));
}

/// The generator for what a data set draws while a loader asks it for an item: an augmentation, for instance. Its seed depends on
/// the loader's draw for this pass and on the place of the item in it, so a batch is the same for any number of workers. (The default
/// generator is one for all threads; what workers draw from it depends on which is first.) Outside of a loader it is the
/// default generator.
///
/// ```
/// use allotrope::data::{DataLoader, DataLoaderOptions, FnDataset, item_generator};
/// use allotrope::prelude::*;
/// let first = |num_workers| {
///     manual_seed(1);
///     let noise = FnDataset::new(8, |_| item_generator().try_randn(&[2], DType::F32));
///     let loader = DataLoader::with_options(noise, DataLoaderOptions { batch_size: 4, num_workers, ..Default::default() });
///     loader.iter().next().unwrap().map(|batch| batch.to_vec::<f32>())
/// };
/// assert_eq!(first(0)?, first(2)?);
/// # Ok::<(), Error>(())
/// ```
pub fn item_generator() -> Generator {
    match ITEM.get() {
        Some(seed) => Generator::new(seed),
        None => default_generator().clone(),
    }
}

/// What makes a batch of items; shared by all workers.
pub(super) type CollateFn<T, B> = Arc<dyn Fn(Vec<T>) -> Result<B> + Send + Sync>;

/// What is needed to make batches.
pub(super) struct Fetcher<D: Dataset, B> {
    pub(super) dataset: Arc<D>,
    pub(super) collate: CollateFn<D::Item, B>,
}

impl<D: Dataset, B> Clone for Fetcher<D, B> {
    fn clone(&self) -> Fetcher<D, B> {
        Fetcher { dataset: Arc::clone(&self.dataset), collate: Arc::clone(&self.collate) }
    }
}

/// One batch to be made.
pub(super) struct Job {
    pub(super) number: usize,
    pub(super) indices: Vec<usize>,
}

impl<D: Dataset, B> Fetcher<D, B> {
    /// The batch of a job; `seed` is that of the pass. Where nobody wants it any more, it is given up between two items.
    pub(super) fn batch(&self, job: &Job, seed: u64, stop: &AtomicBool) -> Result<B> {
        let mut items = Vec::with_capacity(job.indices.len());
        for (place, &index) in job.indices.iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::argument("DataLoader: the pass has ended"));
            }
            let _item = Item::enter(mixed(mixed(seed, job.number as u64), place as u64));
            let got = unpanicked(|| self.dataset.get(index));
            items.push(got.map_err(|words| Error::data(index, words))?);
        }
        let many = job.indices.len() > 10;
        let shown =
            || format!("{:?}{}", &job.indices[..job.indices.len().min(10)], if many { " and more" } else { "" });
        unpanicked(|| (self.collate)(items))
            .map_err(|words| Error::argument(format!("DataLoader: items {} cannot be put together: {words}", shown())))
    }
}

/// While it lives, this thread asks for an item with this seed.
struct Item(Option<u64>);

impl Item {
    fn enter(seed: u64) -> Item {
        Item(ITEM.replace(Some(seed)))
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        ITEM.set(self.0);
    }
}

/// Runs a user's function; the words of its error, or of its panic.
fn unpanicked<T>(f: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(payload) => Err(format!("panicked: {}", words(payload))),
    }
}

/// What a panic said.
pub(super) fn words(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map_or_else(|_| "without a message".into(), |text| text.to_string()),
    }
}
