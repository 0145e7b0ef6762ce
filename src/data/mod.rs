//! Data for training: sets of items, the order in which they come, and the loader that makes batches of them on threads, with
//! PyTorch's orders from the same seeds; and readers of the usual files. Nothing here knows a model, a graph or a device.
//!
//! ```
//! use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
//! use allotrope::prelude::*;
//!
//! manual_seed(1);
//! let x = Tensor::linspace(1.0, 10.0, 10);
//! let y = Tensor::linspace(10.0, 1.0, 10);
//! let options = DataLoaderOptions { batch_size: 4, shuffle: true, num_workers: 2, ..Default::default() };
//! let loader = DataLoader::with_options(TensorDataset::new((x, y)), options);
//! for batch in &loader {
//!     let (x, y) = batch?;
//!     assert_eq!(x.shape(), y.shape());
//! }
//! assert_eq!(loader.len(), 3);
//! # Ok::<(), allotrope::Error>(())
//! ```

mod collate;
mod csv;
mod dataset;
mod draw;
mod fetch;
mod idx;
mod images;
mod iterable;
mod limit;
mod loader;
mod sampler;
mod split;
mod tensors;
mod worker;

pub use self::csv::{CsvOptions, Missing, Table, read_csv};
pub use collate::Collate;
pub use dataset::{ConcatDataset, Dataset, FnDataset, ListDataset, MapDataset, Subset};
pub use fetch::{WorkerInfo, item_generator, worker_info};
pub use idx::{Mnist, read_idx};
pub use images::{ImageFolder, ImageFolderOptions, Pixels};
pub use iterable::{IterableBatches, IterableDataset, IterableLoader};
pub use loader::{Batches, DataLoader, DataLoaderOptions};
pub use sampler::{
    BatchSampler, Batched, IndexSampler, RandomSampler, RandomSamplerOptions, Sampler, SequentialSampler,
    SubsetRandomSampler, WeightedRandomSampler,
};
pub use split::{Lengths, random_split, try_random_split};
pub use tensors::{TensorDataset, TensorGroup};
