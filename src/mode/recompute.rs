//! Parts of the program that are computed twice, as a checkpoint is. The second time they get the random numbers of the
//! first, and generators are as if it had not been; in a trace both are one input of the graph, and no result of the
//! second computation is taken for one of the first.

use super::recorder::Recorder;
use super::slot;
use crate::error::{Error, Result};
use crate::kernels::rng::Mt19937;
use crate::tensor::Generator;
use parking_lot::MutexGuard;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Where the random numbers of a part of the program came from.
#[derive(Clone, Default)]
pub(crate) struct Draws {
    /// Each generator that was used, as it was before.
    states: Vec<(Generator, Mt19937)>,
    /// What the recorder of a trace calls the draws, in order.
    names: Vec<usize>,
}

/// A part that is being recomputed, and how many of its draws it has made.
struct Recomputed {
    names: Vec<usize>,
    made: usize,
}

thread_local! {
    /// What is recorded for the parts that are being computed, innermost last.
    static RECORDED: RefCell<Vec<Draws>> = const { RefCell::new(Vec::new()) };
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    static RECOMPUTED: RefCell<Vec<Recomputed>> = const { RefCell::new(Vec::new()) };
}

/// Takes away the innermost entry, whatever happens.
struct Leave(fn());

impl Drop for Leave {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `f`, and records where its random numbers come from.
pub(crate) fn recording_draws<T>(f: impl FnOnce() -> T) -> (T, Draws) {
    fn leave() {
        let left = RECORDED.with_borrow_mut(|n| {
            n.pop();
            n.len()
        });
        RECORDING.set(left > 0);
    }
    RECORDED.with_borrow_mut(|n| n.push(Draws::default()));
    RECORDING.set(true);
    let leave = Leave(leave);
    let result = f();
    let draws = RECORDED.with_borrow_mut(|n| n.last_mut().map(std::mem::take).unwrap_or_default());
    drop(leave);
    (result, draws)
}

/// Runs `f`, which recomputes a part of the program, with the random numbers that it drew before; afterwards generators are
/// where they are now. What a running trace records of it is not taken for what it has recorded of the first computation.
pub(crate) fn recompute<T>(draws: &Draws, f: impl FnOnce() -> T) -> T {
    struct End(Option<Rc<dyn Recorder>>);
    impl Drop for End {
        fn drop(&mut self) {
            if let Some(r) = &self.0 {
                r.recompute_end();
            }
        }
    }
    draws.replay(|| {
        let recorder = slot::recorder();
        if let Some(r) = &recorder {
            r.recompute_begin();
        }
        let _end = End(recorder);
        f()
    })
}

impl Draws {
    /// Runs `f`, which draws what was drawn before, and puts the generators back to where they are now.
    fn replay<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Restore(Vec<(Generator, Mt19937)>);
        impl Drop for Restore {
            fn drop(&mut self) {
                for (generator, state) in self.0.drain(..) {
                    *generator.state() = state;
                }
            }
        }
        let now = |(g, before): &(Generator, Mt19937)| {
            let now = std::mem::replace(&mut *g.state(), before.clone());
            (g.clone(), now)
        };
        RECOMPUTED.with_borrow_mut(|a| a.push(Recomputed { names: self.names.clone(), made: 0 }));
        let _leave = Leave(|| RECOMPUTED.with_borrow_mut(|a| drop(a.pop())));
        let _restore = Restore(self.states.iter().map(now).collect());
        f()
    }
}

impl Generator {
    /// The streams, to draw from or to put back: a part that will be recomputed takes note of the state.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Mt19937> {
        let state = self.state();
        if RECORDING.get() {
            RECORDED.with_borrow_mut(|all| {
                for draws in all.iter_mut().filter(|d| !d.states.iter().any(|(g, _)| g.is_same(self))) {
                    draws.states.push((self.clone(), state.clone()));
                }
            });
        }
        state
    }
}

/// A recorder has made a draw that it calls so.
pub(super) fn record_draw(name: usize) {
    if RECORDING.get() {
        RECORDED.with_borrow_mut(|all| all.iter_mut().for_each(|n| n.names.push(name)));
    }
}

/// Whether a part is being recomputed.
pub(super) fn is_active() -> bool {
    RECOMPUTED.with_borrow(|a| !a.is_empty())
}

/// What the recorder called this draw when it was made first, where a part is being recomputed.
///
/// # Errors
/// When the part did not draw so often.
pub(super) fn next_draw() -> Result<Option<usize>> {
    RECOMPUTED.with_borrow_mut(|all| {
        let Some(part) = all.last_mut() else { return Ok(None) };
        let name = part.names.get(part.made).copied().ok_or_else(other_draws)?;
        part.made += 1;
        Ok(Some(name))
    })
}

/// A part that did something else the second time.
pub(crate) fn other_draws() -> Error {
    Error::autograd(
        "checkpoint: recomputed, the function drew other random numbers than before; it must do the same each time",
    )
}
