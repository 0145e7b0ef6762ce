//! The times of the kernels of one run, on any device. How they are taken is a backend's matter.

use std::time::Duration;

/// How long each kernel of a run took.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// For each of [`Executable::kernels`](crate::backend::Executable::kernels).
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
    /// How often it ran: in a loop, once for each iteration.
    pub count: usize,
    pub total: Duration,
}

/// One run of one kernel, in time since the run of the whole began.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in [`Executable::kernels`](crate::backend::Executable::kernels).
    pub kernel: usize,
    pub start: Duration,
    pub end: Duration,
}
