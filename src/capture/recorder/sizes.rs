//! Sizes of a capture: their arithmetic, and what calls must satisfy because the program compared them. No size is decided
//! here.

use super::Capture;
use crate::capture::event::Aside;
use crate::capture::event::Event;
use crate::capture::event::Symbolic;
use crate::mode::recorder::SizeRecorder;
use crate::mode::recorder::sizes::SizeOp;
use crate::tensor::Size;
use std::borrow::Cow;
use std::panic::Location;

impl SizeRecorder for Capture {
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size {
        self.0.borrow_mut().size(Event::Arith(op, Symbolic([a, b]))).expect("a sum or a product of sizes is one")
    }

    fn proven_equal(&self, a: Size, b: Size) -> bool {
        self.0.borrow().replay.proven(a, b)
    }

    fn unify(&self, a: Size, b: Size, at: &'static Location<'static>) {
        self.0.borrow_mut().certainly(Event::Unify(Symbolic([a, b]), Aside(at)));
    }

    fn specialize(&self, size: Size, why: &str, at: &'static Location<'static>) {
        self.0.borrow_mut().certainly(Event::Specialize {
            size: Symbolic(size),
            why: Aside(Cow::Borrowed(why)),
            at: Aside(at),
        });
    }

    fn at_least(&self, size: Size, least: usize) {
        self.0.borrow_mut().certainly(Event::AtLeast(Symbolic(size), least));
    }

    fn divided(&self, size: Size, by: usize) -> Option<Size> {
        self.0.borrow_mut().size(Event::Divided(Symbolic(size), by))
    }
}
