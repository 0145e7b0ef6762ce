//! Layers beyond PyTorch's cases: bad input, sizes that nothing has, modules that are defined outside of the library, sequences of different
//! lengths, and compiled functions that hold for all sizes.

#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../opinfo/quiet.rs"]
mod quiet;

mod attention;
mod layers;
mod own_modules;
mod recurrent;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The default generator, which is one for the process, belongs to one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
