//! What a variant keeps between calls: scratch memory, and, where calls of the same sizes have taken long enough
//! altogether, a copy of the code for just these sizes. The copy is made in addition, tried against the code for all sizes,
//! and stays only where it is faster. Its results have the same bits, as those of any optimisation.

use crate::backend::Memory;
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::runtime::execute::Code;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// When a copy is made for sizes that keep coming.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum SpecializeHot {
    /// When calls of the same sizes have gone on for a hundred times as long as the compilation took.
    #[default]
    Worthwhile,
    /// After this many calls of the same sizes in a row.
    AfterCalls(u32),
    Never,
}

/// A copy of the code for one combination of sizes.
#[derive(Clone, Debug)]
pub struct HotCopy {
    /// The sizes: the number of symbol i.
    pub sizes: Vec<usize>,
    /// The median of a call's run with the code for all sizes, and with the copy.
    pub times: [Duration; 2],
    /// Whether it was faster, and runs now.
    pub kept: bool,
}

/// A copy is kept where it takes less than this part of the time.
const FASTER: f64 = 0.98;
/// Calls that each of the two gets.
const TRIALS: usize = 16;
/// How often the clock is looked at.
const LOOK_EVERY: u32 = 256;

/// What calls left for the next ones: a workspace for each call that is expected at one time.
#[derive(Default)]
pub(crate) struct WorkspacePool([Mutex<Workspace>; 4]);

/// What one call at a time has; where none is free, a call begins with a new one.
pub(crate) struct Workspace {
    binding: Binding,
    /// None before the first call.
    scratch: Option<Memory>,
    calls: u32,
    /// When calls with this binding began, where it has symbols.
    since: Option<Instant>,
    hot: HotState,
}

impl Default for Workspace {
    fn default() -> Workspace {
        Workspace { binding: Binding::new(), scratch: None, calls: 0, since: None, hot: HotState::Cold }
    }
}

enum HotState {
    Cold,
    Trial { copy: Code, times: [Vec<Duration>; 2] },
    Done { copy: Option<Code>, report: HotCopy },
}

impl WorkspacePool {
    /// Does `f` in the workspace of a call with these symbol values.
    ///
    /// # Errors
    /// As `f` fails, and when there is no memory for it.
    pub(crate) fn with<T, E: From<Error>>(
        &self,
        code: &Code,
        binding: &Binding,
        f: impl FnOnce(&mut Workspace) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut own = None;
        let mut kept = self.0.iter().find_map(Mutex::try_lock);
        let workspace = kept.as_deref_mut().unwrap_or_else(|| own.insert(Workspace::default()));
        workspace.begin(code, binding)?;
        f(workspace)
    }

    /// The sizes of the last call, if there was one.
    pub(crate) fn sizes(&self) -> Option<Binding> {
        let workspace = self.0[0].lock();
        (workspace.calls > 0).then(|| workspace.binding.clone())
    }

    /// What was tried, for the sizes of the last call.
    pub(crate) fn report(&self) -> Option<HotCopy> {
        match &self.0[0].lock().hot {
            HotState::Done { report, .. } => Some(report.clone()),
            _ => None,
        }
    }
}

impl Workspace {
    fn begin(&mut self, code: &Code, binding: &Binding) -> Result<()> {
        if self.calls > 0 && self.binding == *binding {
            self.calls = self.calls.saturating_add(1);
            return Ok(());
        }
        code.prepare(binding, &mut self.scratch)?;
        self.binding = Binding::from_slice(binding);
        self.calls = 1;
        self.hot = HotState::Cold;
        self.since = (!binding.is_empty()).then(Instant::now);
        Ok(())
    }

    /// Runs the code that is best for this call, `run` being how.
    pub(crate) fn run<T>(&mut self, code: &Code, run: impl FnOnce(&Code, &Binding, &mut Memory) -> T) -> T {
        let scratch = self.scratch.as_mut().expect("bug in allotrope: a call that has not begun");
        match &mut self.hot {
            HotState::Cold => run(code, &self.binding, scratch),
            HotState::Done { copy, .. } => run(copy.as_ref().unwrap_or(code), &self.binding, scratch),
            HotState::Trial { copy, times } => {
                // By turns, so that whatever else the machine does meets both.
                let which = usize::from(times[1].len() < times[0].len());
                let code = if which == 1 { &*copy } else { code };
                // What the call before has left to the device is not timed. A device that fails says so to whoever asks it next.
                _ = code.wait();
                let start = Instant::now();
                let done = run(code, &self.binding, scratch);
                _ = code.wait();
                times[which].push(start.elapsed());
                if times[1].len() == TRIALS {
                    self.decide();
                }
                done
            }
        }
    }

    fn decide(&mut self) {
        if let HotState::Trial { copy, mut times } = std::mem::replace(&mut self.hot, HotState::Cold) {
            let times = times.each_mut().map(|t| {
                t.sort_unstable();
                t[t.len() / 2]
            });
            let kept = times[1].as_secs_f64() < times[0].as_secs_f64() * FASTER;
            let report = HotCopy { sizes: self.binding.to_vec(), times, kept };
            self.hot = HotState::Done { copy: kept.then_some(copy), report };
        }
    }

    /// Makes the copy when its time has come. `compile` takes `cost`.
    pub(crate) fn heat(&mut self, when: SpecializeHot, cost: Duration, compile: impl FnOnce(&Binding) -> Result<Code>) {
        if self.binding.is_empty() || !matches!(self.hot, HotState::Cold) {
            return;
        }
        let due = match when {
            SpecializeHot::Never => false,
            SpecializeHot::AfterCalls(n) => self.calls > n,
            SpecializeHot::Worthwhile => {
                self.calls.is_multiple_of(LOOK_EVERY) && self.since.is_some_and(|s| s.elapsed() > cost * 100)
            }
        };
        if due {
            // A copy that cannot be made is not missed.
            let ready =
                compile(&self.binding).and_then(|copy| copy.prepare(&self.binding, &mut self.scratch).map(|()| copy));
            self.hot = match ready {
                Ok(copy) => HotState::Trial { copy, times: Default::default() },
                Err(_) => {
                    let report = HotCopy { sizes: self.binding.to_vec(), times: [Duration::ZERO; 2], kept: false };
                    HotState::Done { copy: None, report }
                }
            };
        }
    }
}
