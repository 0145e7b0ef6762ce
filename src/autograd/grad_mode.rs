//! Whether this thread records operations on the tape.

use crate::error::{Error, raise};
use crate::mode;
use std::cell::Cell;

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Whether operations are recorded for `backward`.
#[inline]
pub fn is_grad_enabled() -> bool {
    ENABLED.get()
}

/// Runs `f` without recording its operations: nothing computed in it needs gradients.
///
/// ```
/// use allotrope::prelude::*;
/// let w = Tensor::ones(&[2], DType::F32).requires_grad();
/// assert!(!no_grad(|| &w * 2.0).is_requires_grad());
/// ```
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    with(false, f)
}

/// Runs `f` with its operations recorded, also inside [`no_grad`].
pub fn enable_grad<T>(f: impl FnOnce() -> T) -> T {
    with(true, f)
}

/// Runs `f` with its operations recorded or not: [`enable_grad`] or [`no_grad`], chosen by a Rust value.
pub fn with_grad_enabled<T>(enabled: bool, f: impl FnOnce() -> T) -> T {
    with(enabled, f)
}

/// From now on, operations of this thread are recorded or not; inside of [`no_grad`] and the like until that ends.
///
/// ```
/// use allotrope::autograd::set_grad_enabled;
/// use allotrope::prelude::*;
/// let w = Tensor::ones(&[2], DType::F32).requires_grad();
/// set_grad_enabled(false);
/// assert!(!(&w * 2.0).is_requires_grad());
/// set_grad_enabled(true);
/// assert!((&w * 2.0).is_requires_grad());
/// ```
///
/// # Panics
/// Inside a trace, since a compiled call would not change it.
#[track_caller]
pub fn set_grad_enabled(enabled: bool) {
    if mode::is_recording() {
        let text = "set_grad_enabled() would be changed by the recording and by no later call; use no_grad(|| ..), enable_grad(|| ..) or with_grad_enabled(.., || ..)";
        raise(Error::trace(text));
    }
    ENABLED.set(enabled);
}

fn with<T>(enabled: bool, f: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ENABLED.set(self.0);
        }
    }
    let _restore = Restore(ENABLED.replace(enabled));
    f()
}
