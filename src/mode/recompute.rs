//! Random numbers of a part of the program that is computed twice, as a checkpoint is: the second time it gets the numbers
//! of the first, and generators are as if it had not been. In a trace both are one input of the graph.

use super::random::Generator;
use crate::error::{Error, Result};
use crate::kernels::rng::Mt19937;
use std::cell::{Cell, RefCell};

/// Where the random numbers of a part of the program came from.
#[derive(Clone, Default)]
pub(crate) struct Drawn {
    /// Each generator that was used, as it was before.
    states: Vec<(Generator, Mt19937)>,
    /// What the recorder of a trace calls the draws, in order.
    names: Vec<usize>,
}

/// A part that is computed again, and how many of its draws it has made.
struct Again {
    names: Vec<usize>,
    made: usize,
}

thread_local! {
    /// What is noted for the parts that are being computed, innermost last.
    static NOTED: RefCell<Vec<Drawn>> = const { RefCell::new(Vec::new()) };
    static NOTING: Cell<bool> = const { Cell::new(false) };
    static AGAIN: RefCell<Vec<Again>> = const { RefCell::new(Vec::new()) };
}

/// Takes away the innermost entry, whatever happens.
struct Leave(fn());

impl Drop for Leave {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `f`, and notes where its random numbers come from.
pub(crate) fn noting<T>(f: impl FnOnce() -> T) -> (T, Drawn) {
    fn leave() {
        let left = NOTED.with_borrow_mut(|n| {
            n.pop();
            n.len()
        });
        NOTING.set(left > 0);
    }
    NOTED.with_borrow_mut(|n| n.push(Drawn::default()));
    NOTING.set(true);
    let leave = Leave(leave);
    let result = f();
    let drawn = NOTED.with_borrow_mut(|n| n.last_mut().map(std::mem::take).unwrap_or_default());
    drop(leave);
    (result, drawn)
}

impl Drawn {
    /// Runs `f`, which draws what was drawn before, and puts the generators back to where they are now.
    pub(crate) fn again<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Restore(Vec<(Generator, Mt19937)>);
        impl Drop for Restore {
            fn drop(&mut self) {
                for (generator, state) in self.0.drain(..) {
                    *generator.lock_unnoted() = state;
                }
            }
        }
        let now = |(g, before): &(Generator, Mt19937)| {
            let now = std::mem::replace(&mut *g.lock_unnoted(), before.clone());
            (g.clone(), now)
        };
        AGAIN.with_borrow_mut(|a| a.push(Again { names: self.names.clone(), made: 0 }));
        let _leave = Leave(|| AGAIN.with_borrow_mut(|a| drop(a.pop())));
        let _restore = Restore(self.states.iter().map(now).collect());
        f()
    }
}

/// A generator is used that is in this state.
pub(super) fn note_state(generator: &Generator, state: &Mt19937) {
    if NOTING.get() {
        NOTED.with_borrow_mut(|all| {
            for noted in all.iter_mut().filter(|n| !n.states.iter().any(|(g, _)| g.is_same(generator))) {
                noted.states.push((generator.clone(), state.clone()));
            }
        });
    }
}

/// A recorder has made a draw that it calls so.
pub(super) fn note_drawn(name: usize) {
    if NOTING.get() {
        NOTED.with_borrow_mut(|all| all.iter_mut().for_each(|n| n.names.push(name)));
    }
}

/// Whether a part is computed again.
pub(super) fn is_again() -> bool {
    AGAIN.with_borrow(|a| !a.is_empty())
}

/// What the recorder called this draw when it was made first, where a part is computed again.
///
/// # Errors
/// When the part did not draw so often.
pub(super) fn next_again() -> Result<Option<usize>> {
    AGAIN.with_borrow_mut(|all| {
        let Some(again) = all.last_mut() else { return Ok(None) };
        let name = again.names.get(again.made).copied().ok_or_else(other_draws)?;
        again.made += 1;
        Ok(Some(name))
    })
}

/// A part that did something else the second time.
pub(crate) fn other_draws() -> Error {
    Error::Autograd(
        "checkpoint: computed again, the function drew other random numbers than before; it must do the same each time"
            .into(),
    )
}
