//! The boundaries of parts of the program that are recomputed in the backward pass.

use super::Capture;
use crate::capture::event::Event;
use crate::mode::recorder::RecomputeRecorder;

impl RecomputeRecorder for Capture {
    fn recompute_begin(&self) {
        let mut inner = self.0.borrow_mut();
        inner.certainly(Event::RecomputeBegin);
        inner.recomputing += 1;
    }

    fn recompute_end(&self) {
        let mut inner = self.0.borrow_mut();
        inner.certainly(Event::RecomputeEnd);
        inner.recomputing -= 1;
    }
}
