//! Progress on standard error: a bar on a terminal, one line a run elsewhere.
//!
//! Standard output stays free for results.

use super::format;
use super::run::Run;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
}

impl Progress {
    pub fn new(what: &str, steps: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        // The bar hides itself where there is no terminal.
        let bar = ProgressBar::new(steps as u64);
        let style = ProgressStyle::with_template("{msg:24} {bar:32} {pos:>5}/{len} steps");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what.to_string());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, terminal }
    }

    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Replaces the bar by the run's line.
    pub fn finish(self, run: &Run) {
        self.bar.finish_and_clear();
        let line = format!(
            "{:<12} {:<7} {:>5} steps in {:>8}, loss {:.6}",
            run.program.name(),
            run.column.label(),
            run.steps(),
            format::seconds(run.total_seconds()),
            run.final_loss()
        );
        if self.terminal {
            self.bar.suspend(|| eprintln!("{line}"));
        } else {
            eprintln!("{line}");
        }
    }
}
