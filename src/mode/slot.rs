//! The slot of this thread where a recorder installs itself; empty, the mode is eager. Nothing is recorded or computed
//! here.

use super::recorder::Recorder;
use crate::error;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static RECORDER: RefCell<Option<Rc<dyn Recorder>>> = const { RefCell::new(None) };
}

/// Whether operations of this thread are recorded, not computed.
#[inline]
pub(crate) fn is_recording() -> bool {
    ACTIVE.get()
}

/// The recorder of this thread.
pub(crate) fn recorder() -> Option<Rc<dyn Recorder>> {
    if is_recording() { RECORDER.with_borrow(|r| r.clone()) } else { None }
}

/// Runs `f` with `recorder` installed, whatever happens in it; none makes `f` run eagerly.
pub(crate) fn with<T>(recorder: Option<Rc<dyn Recorder>>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Rc<dyn Recorder>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0.is_some());
            RECORDER.set(self.0.take());
        }
    }
    let _restore = Restore(RECORDER.take());
    let _catches = error::catching(recorder.as_ref().is_some_and(|r| r.catches()));
    ACTIVE.set(recorder.is_some());
    RECORDER.set(recorder);
    f()
}
