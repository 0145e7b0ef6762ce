//! Layers beyond PyTorch's cases: bad input, sizes that nothing has, modules that are defined outside of the library, sequences of different
//! lengths, and compiled functions that hold for all sizes.

#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../opinfo/quiet.rs"]
mod quiet;

mod attention;
mod layers;
mod own_modules;
mod recurrent;

use std::sync::{Mutex, MutexGuard};

/// The process has one default generator: tests that draw hold this.
fn drawing() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
