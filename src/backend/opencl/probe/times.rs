//! How long a launch and a transfer take on a device. It computes nothing.

use crate::backend::opencl::device::Opened;
use crate::backend::opencl::handles::{Arg, Kernel};
use crate::backend::opencl::verdict::Times;
use crate::error::Result;
use std::time::Instant;

/// Launches that are given before one is waited for, and how often that is measured.
const LAUNCHES: usize = 64;
const ROUNDS: usize = 15;
/// Bytes of a transfer.
const TRANSFER: usize = 8 << 20;

/// Measures with a kernel that does nothing.
pub fn measure(opened: &Opened, nothing: &Kernel) -> Result<Times> {
    let some = opened.buffer(TRANSFER)?;
    let mut bytes = vec![1u8; TRANSFER];
    let launches = |n: usize| -> Result<()> {
        for _ in 0..n {
            opened.launch(nothing, &[Arg::Buffer(&some)], [1, 1, 1], None, false)?;
        }
        opened.finish()
    };
    launches(LAUNCHES)?;
    let many = median(ROUNDS, || launches(LAUNCHES))?;
    let wait = median(ROUNDS, || launches(1))?;
    let upload = median(3, || {
        opened.write(&some, 0, &bytes)?;
        opened.finish()
    })?;
    let download = median(3, || opened.read(&some, 0, &mut bytes))?;
    let speed = |seconds: f64| TRANSFER as f64 / seconds.max(1e-9);
    let launch = many / LAUNCHES as f64;
    Ok(Times { launch, wait, upload: speed(upload), download: speed(download), build: 0.0 })
}

/// The middle one of some times in seconds.
fn median(rounds: usize, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        run()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[rounds / 2])
}
