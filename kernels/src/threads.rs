//! How many threads a kernel may use. Never influences a result.

use std::sync::atomic::{AtomicUsize, Ordering};

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Lets a kernel use up to `n` threads (of rayon's pool) from now on, in the whole process; 0 restores the default,
/// which is the size of the pool. With 1, kernels start no thread and never touch the pool.
pub fn set_num_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
}

/// The number of threads that a kernel may use.
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => rayon::current_num_threads(),
        n => n,
    }
}
