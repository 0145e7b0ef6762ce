//! Layers beyond PyTorch's cases: bad input, sizes that nothing has, and modules that are defined outside of the library.

#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../opinfo/quiet.rs"]
mod quiet;

mod layers;
mod own_modules;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The default generator, which is one for the process, belongs to one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
