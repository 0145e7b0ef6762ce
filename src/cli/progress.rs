//! Progress on standard error: a bar on a terminal, one line a run elsewhere.
//!
//! Standard output stays free for results.

use allotrope::compare::{Run, format};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar, which goes when it is dropped; where there is no terminal it hides itself.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(what: &str, steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        let style = ProgressStyle::with_template("{msg:24} {bar:32} {pos:>5}/{len} steps");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what.to_string());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The line of a run that is done.
pub fn said(run: &Run) {
    eprintln!(
        "{:<12} {:<7} {:>5} steps in {:>8}, loss {:.6}",
        run.program,
        run.column.label(),
        run.steps(),
        format::seconds(run.total_seconds()),
        run.final_loss()
    );
}
