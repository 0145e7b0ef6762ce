//! Whether loops and branches of this thread are plain Rust or are recorded, and by whom.

use super::recorder::LoopRecorder;
use super::slot;
use std::rc::Rc;

/// The recorder of loops and branches; none where they run eagerly.
pub(crate) fn recorder() -> Option<Rc<dyn LoopRecorder>> {
    slot::recorder().map(|r| r as Rc<dyn LoopRecorder>)
}
