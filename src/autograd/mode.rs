//! Whether this thread notes operations on the tape.

use std::cell::Cell;

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Whether operations are noted for `backward`.
#[inline]
pub fn is_grad_enabled() -> bool {
    ENABLED.get()
}

/// Runs `f` without noting its operations: nothing computed in it needs gradients.
///
/// ```
/// use allotrope::prelude::*;
/// let w = Tensor::ones(&[2], DType::F32).requires_grad();
/// assert!(!no_grad(|| &w * 2.0).is_requires_grad());
/// ```
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    with(false, f)
}

/// Runs `f` with its operations noted, also inside [`no_grad`].
pub fn enable_grad<T>(f: impl FnOnce() -> T) -> T {
    with(true, f)
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
