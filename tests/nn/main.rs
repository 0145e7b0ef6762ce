//! Layers, losses and initialisers beyond PyTorch's cases: what they compute, bad input, sizes that nothing has, and
//! modules that are defined outside of the library.

#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../opinfo/quiet.rs"]
mod quiet;

mod activations;
mod attention;
mod init;
mod layers;
mod losses;
mod own_modules;
mod rarer;
mod recurrent;
mod reference;

use allotrope::prelude::manual_seed;
use allotrope::{Error, Result, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The default generator at this seed, for this test alone.
fn seeded(seed: u64) -> MutexGuard<'static, ()> {
    let guard = alone();
    manual_seed(seed);
    guard
}

/// That the call is refused, with an error that has all of these words.
#[track_caller]
fn refused<T>(what: &str, result: Result<T>, words: &[&str]) {
    let text = result.err().unwrap_or_else(|| panic!("{what}: was not refused")).to_string();
    says(what, &text, words);
}

/// That the call panics, with all of these words.
#[track_caller]
fn panics<T>(what: &str, words: &[&str], f: impl FnOnce() -> T) {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().unwrap_or_else(|| panic!("{what}: did not panic"));
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<Error>() {
            Ok(error) => error.to_string(),
            Err(payload) => payload.downcast::<&str>().map_or_else(|_| String::new(), |s| s.to_string()),
        },
    };
    says(what, &text, words);
}

#[track_caller]
fn says(what: &str, text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{what}: {word:?} is not in {text:?}");
    }
    for bad in ["bug in", "overflow", "unwrap", "index out of bounds"] {
        assert!(!text.contains(bad), "{what}: {bad:?} is in {text:?}");
    }
}

/// The elements as bits, so that NaN equals itself.
fn bits(t: &Tensor) -> Vec<u32> {
    t.to_vec::<f32>().iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// The default generator, which is one for the process, belongs to one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
