//! One recording of a closure at a time: other threads wait, and who would wait for ever gets an error
//! instead, be it a closure that calls itself or threads whose closures call each other. It records nothing.

use crate::error::{Error, Result};
use parking_lot::{Mutex, ReentrantMutex};
use std::cell::RefCell;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long to wait before looking again whether the wait can end.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A closure that one thread at a time may run.
pub(crate) struct RecordingLock<F>(ReentrantMutex<RefCell<F>>);

/// Which closure each thread has, and which it waits for.
static THREADS: Mutex<Vec<(ThreadId, usize, What)>> = Mutex::new(Vec::new());

#[derive(Clone, Copy, PartialEq)]
enum What {
    Runs,
    WaitsFor,
}

/// An entry of [`THREADS`], as long as it is true.
struct Entry(ThreadId, usize, What);

impl Entry {
    fn new(closure: usize, what: What) -> Entry {
        let entry = Entry(thread::current().id(), closure, what);
        THREADS.lock().push((entry.0, closure, what));
        entry
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut threads = THREADS.lock();
        if let Some(i) = threads.iter().rposition(|e| *e == (self.0, self.1, self.2)) {
            threads.swap_remove(i);
        }
    }
}

/// Whether the thread that runs this closure waits, through others or not, for this one.
fn would_never_end(closure: usize) -> bool {
    let threads = THREADS.lock();
    let runs = |closure| threads.iter().find(|e| e.1 == closure && e.2 == What::Runs).map(|e| e.0);
    let waits = |thread| threads.iter().find(|e| e.0 == thread && e.2 == What::WaitsFor).map(|e| e.1);
    let me = thread::current().id();
    let mut at = runs(closure);
    // Each hop goes to another thread, so there are no more than entries.
    for _ in 0..threads.len() {
        match at {
            Some(thread) if thread == me => return true,
            Some(thread) => at = waits(thread).and_then(runs),
            None => return false,
        }
    }
    false
}

impl<F> RecordingLock<F> {
    pub(crate) fn new(closure: F) -> RecordingLock<F> {
        RecordingLock(ReentrantMutex::new(RefCell::new(closure)))
    }

    /// Runs `f` on the closure, when no other thread does.
    ///
    /// # Errors
    /// When this thread runs the closure already, or would wait for one that waits for it.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut F) -> Result<T>) -> Result<T> {
        let recursion = |what: &str| {
            Error::trace(format!(
                "{what}: the recording would never end. Write the recursion over plain functions and trace the outermost one, \
                 or use scan, while_loop or cond"
            ))
        };
        let id = std::ptr::from_ref(self) as usize;
        let lock = match self.0.try_lock() {
            Some(lock) => lock,
            None => {
                let _waits = Entry::new(id, What::WaitsFor);
                loop {
                    match self.0.try_lock_for(LOOK_AGAIN) {
                        Some(lock) => break lock,
                        None if would_never_end(id) => {
                            return Err(recursion("traced functions that two threads record call each other"));
                        }
                        None => {}
                    }
                }
            }
        };
        let mut closure =
            lock.try_borrow_mut().map_err(|_| recursion("a traced function calls itself while it is recorded"))?;
        let _runs = Entry::new(id, What::Runs);
        f(&mut closure)
    }
}
