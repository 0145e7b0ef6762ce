//! The threads of one pass. Jobs go to them in turn, as PyTorch's do, and what they make comes back in order. A thread runs
//! eagerly, whatever the caller's thread records; dropping the pool ends all of them.

use super::dataset::Dataset;
use super::fetch::{Fetcher, Job, WorkerInfo, set_worker};
use crate::device::{default_device, with_device};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// See the module.
pub(super) struct Pool<B> {
    jobs: Vec<Sender<Job>>,
    made: Receiver<(usize, Result<B>)>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    /// Batches that are made before their turn.
    early: HashMap<usize, Result<B>>,
    /// Jobs that were sent, and batches that were given.
    sent: usize,
    given: usize,
}

impl<B: Send + 'static> Pool<B> {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no thread more.
    pub(super) fn start<D: Dataset + 'static>(
        fetcher: &Fetcher<D, B>,
        num_workers: usize,
        seed: u64,
    ) -> Result<Pool<B>> {
        let (to_caller, made) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut pool =
            Pool { jobs: Vec::new(), made, threads: Vec::new(), stop, early: HashMap::new(), sent: 0, given: 0 };
        let device = default_device();
        for id in 0..num_workers {
            let (jobs, todo) = channel::<Job>();
            let (fetcher, stop, to_caller) = (fetcher.clone(), Arc::clone(&pool.stop), to_caller.clone());
            let info = WorkerInfo { id, num_workers, seed: seed.wrapping_add(id as u64) };
            let run = move || {
                set_worker(info);
                with_device(device, || {
                    for job in todo {
                        let batch = fetcher.batch(&job, seed, &stop);
                        if stop.load(Ordering::Relaxed) || to_caller.send((job.number, batch)).is_err() {
                            return;
                        }
                    }
                });
            };
            let thread = thread::Builder::new().name(format!("data worker {id}")).spawn(run);
            let failed =
                |e| Error::argument(format!("DataLoader: worker {id} of {num_workers} cannot be started: {e}"));
            pool.threads.push(thread.map_err(failed)?);
            pool.jobs.push(jobs);
        }
        Ok(pool)
    }

    /// Jobs that were sent and not given back.
    pub(super) fn waiting(&self) -> usize {
        self.sent - self.given
    }

    /// Gives a job to the worker whose turn it is.
    pub(super) fn send(&mut self, job: Job) {
        let worker = self.sent % self.jobs.len();
        self.sent += 1;
        // A worker that has ended is told of where its batch is waited for.
        let _ = self.jobs[worker].send(job);
    }

    /// The next batch in order, once it is made; none where no job is left.
    pub(super) fn next(&mut self) -> Option<Result<B>> {
        if self.waiting() == 0 {
            return None;
        }
        let number = self.given;
        self.given += 1;
        loop {
            if let Some(batch) = self.early.remove(&number) {
                return Some(batch);
            }
            match self.made.recv() {
                Ok((other, batch)) => drop(self.early.insert(other, batch)),
                Err(_) => return Some(Err(Error::argument("DataLoader: all workers have ended"))),
            }
        }
    }
}

impl<B> Drop for Pool<B> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs.clear();
        for thread in self.threads.drain(..) {
            // What a thread panicked with has been told.
            let _ = thread.join();
        }
    }
}
