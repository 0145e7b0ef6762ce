//! What a variant keeps between calls: scratch memory, and, where calls of the same sizes have taken long enough
//! altogether, a copy of the code for just these sizes. The copy is made in addition, tried against the code for all sizes,
//! and stays only where it is faster. Its results have the same bits, as those of any optimisation.

use crate::backend::Memory;
use crate::error::{Error, Result};
use crate::runtime::execute::Code;
use crate::runtime::guards::Binding;
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

/// What calls left for the next ones: as many turns as calls at the same time are expected.
#[derive(Default)]
pub(crate) struct Kept([Mutex<Turn>; 4]);

/// What one call at a time has; where none is free, a call begins with a new one.
pub(crate) struct Turn {
    binding: Binding,
    /// None before the first call.
    scratch: Option<Memory>,
    calls: u32,
    /// When calls with this binding began, where it has symbols.
    since: Option<Instant>,
    stage: Stage,
}

impl Default for Turn {
    fn default() -> Turn {
        Turn { binding: Binding::new(), scratch: None, calls: 0, since: None, stage: Stage::Cold }
    }
}

enum Stage {
    Cold,
    Trial { copy: Code, times: [Vec<Duration>; 2] },
    Done { copy: Option<Code>, report: HotCopy },
}

impl Kept {
    /// Does `f` in the turn of a call with these symbol values.
    ///
    /// # Errors
    /// As `f` fails, and when there is no memory for it.
    pub(crate) fn turn<T, E: From<Error>>(
        &self,
        code: &Code,
        binding: &Binding,
        f: impl FnOnce(&mut Turn) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut own = None;
        let mut kept = self.0.iter().find_map(Mutex::try_lock);
        let turn = kept.as_deref_mut().unwrap_or_else(|| own.insert(Turn::default()));
        turn.begin(code, binding)?;
        f(turn)
    }

    /// The sizes of the last call, if there was one.
    pub(crate) fn sizes(&self) -> Option<Binding> {
        let turn = self.0[0].lock();
        (turn.calls > 0).then(|| turn.binding.clone())
    }

    /// What was tried, for the sizes of the last call.
    pub(crate) fn report(&self) -> Option<HotCopy> {
        match &self.0[0].lock().stage {
            Stage::Done { report, .. } => Some(report.clone()),
            _ => None,
        }
    }
}

impl Turn {
    fn begin(&mut self, code: &Code, binding: &Binding) -> Result<()> {
        if self.calls > 0 && self.binding == *binding {
            self.calls = self.calls.saturating_add(1);
            return Ok(());
        }
        reserve(&mut self.scratch, code, binding)?;
        self.binding = Binding::from_slice(binding);
        self.calls = 1;
        self.stage = Stage::Cold;
        self.since = (!binding.is_empty()).then(Instant::now);
        Ok(())
    }

    /// Runs the code that is best for this call, `run` being how.
    pub(crate) fn run<T>(&mut self, code: &Code, run: impl FnOnce(&Code, &Binding, &mut Memory) -> T) -> T {
        let scratch = self.scratch.as_mut().expect("bug in allotrope: a call that has not begun");
        match &mut self.stage {
            Stage::Cold => run(code, &self.binding, scratch),
            Stage::Done { copy, .. } => run(copy.as_ref().unwrap_or(code), &self.binding, scratch),
            Stage::Trial { copy, times } => {
                // By turns, so that whatever else the machine does meets both.
                let which = usize::from(times[1].len() < times[0].len());
                let start = Instant::now();
                let done = run(if which == 1 { copy } else { code }, &self.binding, scratch);
                times[which].push(start.elapsed());
                if times[1].len() == TRIALS {
                    self.decide();
                }
                done
            }
        }
    }

    fn decide(&mut self) {
        if let Stage::Trial { copy, mut times } = std::mem::replace(&mut self.stage, Stage::Cold) {
            let times = times.each_mut().map(|t| {
                t.sort_unstable();
                t[t.len() / 2]
            });
            let kept = times[1].as_secs_f64() < times[0].as_secs_f64() * FASTER;
            let report = HotCopy { sizes: self.binding.to_vec(), times, kept };
            self.stage = Stage::Done { copy: kept.then_some(copy), report };
        }
    }

    /// Makes the copy when its time has come. `compile` takes `cost`.
    pub(crate) fn heat(&mut self, when: SpecializeHot, cost: Duration, compile: impl FnOnce(&Binding) -> Result<Code>) {
        if self.binding.is_empty() || !matches!(self.stage, Stage::Cold) {
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
            let copy = compile(&self.binding);
            let ready = copy.and_then(|copy| reserve(&mut self.scratch, &copy, &self.binding).map(|()| copy));
            self.stage = match ready {
                Ok(copy) => Stage::Trial { copy, times: Default::default() },
                Err(_) => {
                    let report = HotCopy { sizes: self.binding.to_vec(), times: [Duration::ZERO; 2], kept: false };
                    Stage::Done { copy: None, report }
                }
            };
        }
    }
}

/// Makes the scratch memory as large as the code asks for.
fn reserve(scratch: &mut Option<Memory>, code: &Code, binding: &Binding) -> Result<()> {
    let needed = code.scratch_bytes(binding);
    if scratch.as_ref().is_none_or(|memory| memory.bytes() < needed) {
        *scratch = Some(code.scratch(needed)?);
    }
    Ok(())
}
