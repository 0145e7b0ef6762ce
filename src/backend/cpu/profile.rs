//! The times of the kernels of one run. Code that was compiled for it calls [`function`]'s two before and after each
//! kernel; they note the time for the run of their thread, and nothing where none is being timed. They compute nothing, so the
//! bits are those of the other code.

use crate::backend::cpu::Failure;
use crate::backend::cpu::call::Call;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How long each kernel of a run took.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// For each of [`Compiled::kernels`].
    pub kernels: Vec<KernelTime>,
    /// The first runs of kernels, in order, as many as were asked for.
    pub events: Vec<Event>,
    /// Runs of kernels that came after those.
    pub dropped: usize,
    /// The whole run, the taking of times included.
    pub total: Duration,
}

/// All runs of one kernel.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelTime {
    /// How often it ran: in a loop, once for each round.
    pub count: usize,
    pub total: Duration,
}

/// One run of one kernel, in time since the run of the whole began.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in [`Compiled::kernels`].
    pub kernel: usize,
    pub start: Duration,
    pub end: Duration,
}

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

/// Address of the function of that name, where it is here.
pub fn function(name: &str) -> Option<*const u8> {
    match name {
        "stamp_begin" => Some(stamp_begin as *const u8),
        "stamp_end" => Some(stamp_end as *const u8),
        _ => None,
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

impl<'a> Call<'a> {
    /// As [`Call::run`], with the times that the kernels took; `most` is how many runs of kernels are listed one by one.
    /// Where a check fails, the times are those of what ran.
    ///
    /// # Errors
    /// As [`crate::backend::cpu::Compiled::run`].
    ///
    /// # Panics
    /// As [`Call::run`]; and when the code was not compiled for it, see [`crate::backend::cpu::Options::profile`].
    pub fn run_profiled(self, scratch: &mut [u8], most: usize) -> (Result<(), &'a Failure>, Profile) {
        assert!(self.code().stamps, "bug in this library: this code was not compiled to be timed");
        let kernels = vec![KernelTime::default(); self.code().kernels().len()];
        let mut profile = Profile { kernels, ..Profile::default() };
        profile.events.reserve(most.min(1 << 16));
        let begin = Instant::now();
        RUN.set(Some(Recorder { begin, since: Duration::ZERO, most, profile }));
        let done = self.run(scratch);
        let mut profile = RUN.take().expect("set above").profile;
        profile.total = begin.elapsed();
        (done, profile)
    }
}
