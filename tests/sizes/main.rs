//! Sizes that no memory has, and sizes at the ends of what numbers can say: in every mode they are errors which name what was
//! asked for, before anything is allocated or computed. Nothing here needs more memory than a small tensor.

mod calls;
mod eager;
mod parts;
mod recorded;

use allotrope::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Sizes that no axis can have, the last two with room for several of them in an `i64`.
const ABSURD: [usize; 6] = [usize::MAX, usize::MAX / 2 + 1, isize::MAX as usize, 1 << 62, 1 << 50, 1 << 46];

/// That it is refused as an error of sizes or of memory, whose text names one of the words and blames nobody else.
#[track_caller]
fn refused<T>(result: Result<T, Error>, words: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{words}: was not refused"));
    sound(&error.to_string(), words);
}

/// As [`refused`], for what panics.
#[track_caller]
fn panics<T>(words: &str, f: impl FnOnce() -> T) {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().unwrap_or_else(|| panic!("{words}: was not refused"));
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map_or_else(|_| String::new(), |s| s.to_string()),
    };
    sound(&text, words);
}

/// That a text is one for users, and names what was asked for.
#[track_caller]
fn sound(text: &str, words: &str) {
    assert!(text.contains(words), "{words:?} is not in {text:?}");
    for bad in ["bug in", "overflow", "attempt to", "unwrap", "capacity overflow"] {
        assert!(!text.contains(bad), "{bad:?} is in {text:?}");
    }
}
