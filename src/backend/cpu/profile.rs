//! The times of the kernels of one run. Code that was compiled for it calls a [`Stamp`] before and after each kernel; they
//! record the time for the run of their thread, and nothing where none is being timed. They compute nothing, so the bits are
//! those of the other code.

use crate::backend::profile::{Event, KernelTime, Profile};
use crate::kernels::{Signature, Word};
use std::cell::RefCell;
use std::time::{Duration, Instant};

struct Recorder {
    begin: Instant,
    /// When the kernel that is running began.
    since: Duration,
    most: usize,
    profile: Profile,
}

thread_local! {
    static RUN: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// A function that records a time.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stamp {
    Begin,
    End,
}

/// The number of the kernel.
pub const SIGNATURE: Signature = Signature { arguments: &[Word::I64], result: None };

impl Stamp {
    pub const ALL: [Stamp; 2] = [Stamp::Begin, Stamp::End];

    pub fn name(self) -> &'static str {
        match self {
            Stamp::Begin => "stamp_begin",
            Stamp::End => "stamp_end",
        }
    }

    pub fn address(self) -> *const u8 {
        match self {
            Stamp::Begin => stamp_begin as *const u8,
            Stamp::End => stamp_end as *const u8,
        }
    }
}

extern "C" fn stamp_begin(_: usize) {
    RUN.with_borrow_mut(|run| {
        if let Some(r) = run {
            r.since = r.begin.elapsed();
        }
    });
}

extern "C" fn stamp_end(kernel: usize) {
    RUN.with_borrow_mut(|run| {
        let Some(r) = run else { return };
        let (start, end) = (r.since, r.begin.elapsed());
        let Some(time) = r.profile.kernels.get_mut(kernel) else { return };
        time.count += 1;
        time.total += end - start;
        if r.profile.events.len() < r.most {
            r.profile.events.push(Event { kernel, start, end });
        } else {
            r.profile.dropped += 1;
        }
    });
}

/// What `run` gives, and the times of the so many kernels whose stamps it passes on this thread; `most` is how many runs of
/// kernels are listed one by one.
pub fn timed<T>(kernels: usize, most: usize, run: impl FnOnce() -> T) -> (T, Profile) {
    let mut profile = Profile { kernels: vec![KernelTime::default(); kernels], ..Profile::default() };
    profile.events.reserve(most.min(1 << 16));
    let begin = Instant::now();
    RUN.set(Some(Recorder { begin, since: Duration::ZERO, most, profile }));
    let done = run();
    let mut profile = RUN.take().expect("set above").profile;
    profile.total = begin.elapsed();
    (done, profile)
}
