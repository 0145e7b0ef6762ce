//! One recording of a closure at a time: other threads wait, and who would wait for ever gets an error instead, be it a
//! closure that calls itself, threads whose closures call each other, or a thread that the closure itself waits for. It
//! records nothing.

use crate::error::{Error, Result};
use parking_lot::{Mutex, ReentrantMutex};
use std::cell::RefCell;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long to wait before looking again whether the wait can end.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long a recording may stand still before who waits for it gives up. Whether its closure waits for just this
/// thread cannot be known (a channel or a join tells nobody), so it has to have used no processor time meanwhile.
const STANDS_STILL: Duration = Duration::from_secs(10);
/// The same where a thread's processor time can't be had: so long no recording takes.
const STANDS_STILL_UNSEEN: Duration = Duration::from_secs(600);

/// A closure that one thread at a time may run.
pub(crate) struct RecordingLock<F>(ReentrantMutex<RefCell<F>>);

/// Which closure each thread has, and which it waits for.
static THREADS: Mutex<Vec<Known>> = Mutex::new(Vec::new());

#[derive(Clone, PartialEq)]
struct Known {
    thread: ThreadId,
    closure: usize,
    what: What,
}

#[derive(Clone, PartialEq)]
enum What {
    /// With the name by which the system knows the thread.
    Runs(life::Name),
    WaitsFor,
}

/// An entry of [`THREADS`], as long as it is true.
struct Entry(Known);

impl Entry {
    fn new(closure: usize, what: What) -> Entry {
        let known = Known { thread: thread::current().id(), closure, what };
        THREADS.lock().push(known.clone());
        Entry(known)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut threads = THREADS.lock();
        if let Some(i) = threads.iter().rposition(|e| *e == self.0) {
            threads.swap_remove(i);
        }
    }
}

/// The thread that runs this closure.
fn runs(threads: &[Known], closure: usize) -> Option<&Known> {
    threads.iter().find(|e| e.closure == closure && e.what != What::WaitsFor)
}

/// Whether the thread that runs this closure waits, through others or not, for this one.
fn would_never_end(closure: usize) -> bool {
    let threads = THREADS.lock();
    let waits = |thread| threads.iter().find(|e| e.thread == thread && e.what == What::WaitsFor).map(|e| e.closure);
    let me = thread::current().id();
    let mut at = runs(&threads, closure).map(|e| e.thread);
    // Each hop goes to another thread, so there are no more than entries.
    for _ in 0..threads.len() {
        match at {
            Some(thread) if thread == me => return true,
            Some(thread) => at = waits(thread).and_then(|c| runs(&threads, c)).map(|e| e.thread),
            None => return false,
        }
    }
    false
}

/// A wait for whoever runs a closure: for how long that thread has stood still.
struct Watch {
    closure: usize,
    /// Who ran it, and the processor time that it had used.
    seen: Option<(ThreadId, Option<u64>)>,
    since: Instant,
}

impl Watch {
    fn new(closure: usize) -> Watch {
        Watch { closure, seen: None, since: Instant::now() }
    }

    /// For how long the recording has stood still, where that is too long.
    fn given_up(&mut self) -> Option<Duration> {
        let runs = runs(&THREADS.lock(), self.closure).cloned();
        let now = runs.map(|known| match known.what {
            What::Runs(name) => (known.thread, life::processor_time(&name)),
            What::WaitsFor => (known.thread, None),
        });
        if now != self.seen {
            (self.seen, self.since) = (now, Instant::now());
            return None;
        }
        let limit = match now? {
            (_, Some(_)) => STANDS_STILL,
            (_, None) => STANDS_STILL_UNSEEN,
        };
        let still = self.since.elapsed();
        (still > limit).then_some(still)
    }
}

/// Whether a thread does anything, as the system tells.
mod life {
    use std::cell::OnceCell;
    use std::path::Path;
    use std::sync::Arc;

    /// What the system calls a thread; none where it does not say.
    pub(super) type Name = Option<Arc<Path>>;

    /// The name of this thread.
    pub(super) fn name() -> Name {
        thread_local! {
            static NAME: OnceCell<Name> = const { OnceCell::new() };
        }
        // On Linux a link to the folder that tells of this thread; elsewhere there is none.
        let read = || Some(Path::new("/proc").join(std::fs::read_link("/proc/thread-self").ok()?).into());
        NAME.with(|known| known.get_or_init(read).clone())
    }

    /// The processor time that a thread has used, in units of the system.
    pub(super) fn processor_time(name: &Name) -> Option<u64> {
        let text = std::fs::read_to_string(name.as_ref()?.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }
}

impl<F> RecordingLock<F> {
    pub(crate) fn new(closure: F) -> RecordingLock<F> {
        RecordingLock(ReentrantMutex::new(RefCell::new(closure)))
    }

    /// Runs `f` on the closure, when no other thread does.
    ///
    /// # Errors
    /// When this thread runs the closure already, would wait for one that waits for it, or waits for one that has long
    /// stood still.
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
                let mut watch = Watch::new(id);
                loop {
                    if let Some(lock) = self.0.try_lock_for(LOOK_AGAIN) {
                        break lock;
                    }
                    if would_never_end(id) {
                        return Err(recursion("traced functions that two threads record call each other"));
                    }
                    if let Some(still) = watch.given_up() {
                        return Err(Error::trace(format!(
                            "another thread records this function and has done nothing for {} s: its closure probably \
                             waits for this thread, which would wait for it. Call the function in the thread that \
                             records, or start threads that call it outside of its closure",
                            still.as_secs()
                        )));
                    }
                }
            }
        };
        let mut closure =
            lock.try_borrow_mut().map_err(|_| recursion("a traced function calls itself while it is recorded"))?;
        let _runs = Entry::new(id, What::Runs(life::name()));
        f(&mut closure)
    }
}
