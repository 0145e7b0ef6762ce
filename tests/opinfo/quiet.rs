//! Panics of one call, caught and without a print: what a panic said, and whether it is a caller's mistake told or a
//! break inside the library.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `f`; a panic of it is not printed.
///
/// # Errors
/// The text of the panic, and where it was.
pub fn quietly<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match QUIET.get() {
            true => PLACE.set(info.location().map(ToString::to_string).unwrap_or_default()),
            false => before(info),
        }));
    });
    let before = QUIET.replace(true);
    PLACE.take();
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    result.map_err(|payload| {
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => match other.downcast::<allotrope::Error>() {
                Ok(error) => error.to_string(),
                Err(other) => {
                    other.downcast::<&str>().map_or_else(|_| "a panic without text".into(), |s| s.to_string())
                }
            },
        };
        with_place(text)
    })
}

/// Whether there was a panic since [`quietly`] began.
pub fn has_panicked() -> bool {
    PLACE.with_borrow(|place| !place.is_empty())
}

/// A panic's text with the place where it was.
pub fn with_place(text: String) -> String {
    PLACE.with_borrow(|place| if place.is_empty() { text.clone() } else { format!("{text} (at {place})") })
}

/// What Rust says, or the library, where something inside is broken. No caller's mistake may end so.
const CRASHES: [&str; 19] = [
    "bug in",
    "index out of bounds: the len is",
    "range start index",
    "range end index",
    "slice index starts at",
    "`Option::unwrap()`",
    "`Result::unwrap()`",
    "entered unreachable code",
    "attempt to ",
    "assertion ",
    "capacity overflow",
    "not implemented",
    "not yet implemented",
    "already borrowed",
    "already mutably borrowed",
    "mid > len",
    "removal index",
    "insertion index",
    "a panic without text",
];

/// Whether an error or a panic of this text means that something inside the library is broken.
pub fn is_crash(text: &str) -> bool {
    CRASHES.iter().any(|c| text.contains(c))
}
