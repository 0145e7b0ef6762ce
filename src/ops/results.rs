//! What operations give back: a tensor of its own, an operand as it is, or a view of one. Whatever was taken as a view on the
//! way to a result of its own is nobody's, so the result is no view: changing it in place changes nothing else.

use crate::autograd::tape;
use crate::tensor::Tensor;
use crate::tensor::eval::check_apart;

/// The tensors of a result.
pub(crate) trait Results: Sized {
    /// The same, each as no view.
    fn unlinked(self) -> Self;
    /// Each of the tensors.
    fn each(&self, look: &mut dyn FnMut(&Tensor));
}

impl Results for Tensor {
    #[inline]
    fn unlinked(self) -> Tensor {
        self.unlinked_if_alone()
    }
    fn each(&self, look: &mut dyn FnMut(&Tensor)) {
        look(self);
    }
}

impl<A: Results, B: Results> Results for (A, B) {
    fn unlinked(self) -> (A, B) {
        (self.0.unlinked(), self.1.unlinked())
    }
    fn each(&self, look: &mut dyn FnMut(&Tensor)) {
        self.0.each(look);
        self.1.each(look);
    }
}

impl<A: Results, B: Results, C: Results> Results for (A, B, C) {
    fn unlinked(self) -> (A, B, C) {
        (self.0.unlinked(), self.1.unlinked(), self.2.unlinked())
    }
    fn each(&self, look: &mut dyn FnMut(&Tensor)) {
        self.0.each(look);
        self.1.each(look);
        self.2.each(look);
    }
}

impl<T: Results> Results for Vec<T> {
    fn unlinked(self) -> Vec<T> {
        self.into_iter().map(Results::unlinked).collect()
    }
    fn each(&self, look: &mut dyn FnMut(&Tensor)) {
        self.iter().for_each(|x| x.each(look));
    }
}

impl Results for bool {
    fn unlinked(self) -> bool {
        self
    }
    fn each(&self, _: &mut dyn FnMut(&Tensor)) {}
}

/// The result of an operation that gives tensors of their own, or its operands as they are.
#[inline]
pub(crate) fn own<T: Results>(result: T, operands: &[&Tensor]) -> T {
    if cfg!(debug_assertions) {
        result.each(&mut |r| {
            let shared = operands.iter().any(|x| r.shares_elements_of(x) && r.id() != x.id());
            assert!(!shared, "bug in allotrope: a result of shape {:?} shares memory with an operand", r.shape_hint());
            let given = operands.is_empty() || operands.iter().any(|x| r.id() == x.id());
            let apart = given || check_apart(r.shape_hint(), r.laid_out()).is_ok();
            assert!(apart, "bug in allotrope: elements of a result of shape {:?} share memory", r.shape_hint());
        });
    }
    result.unlinked()
}

/// The result of an operation that may give views.
#[inline]
pub(crate) fn may_be_view<T>(result: T, _: &[&Tensor]) -> T {
    result
}

/// The tensor, or another one over its elements with its history where it is a view: what it was taken of is nobody's.
pub(crate) fn unlinked(x: &Tensor) -> Tensor {
    if x.view_of().is_none() {
        return x.clone();
    }
    let own = x.alias();
    if x.is_requires_grad() {
        own.set_grad_fn(tape::own_edge(x));
    }
    own
}

/// The gradient of an operand: a tensor of its own also where it is that of the result.
pub(crate) fn another(gradient: Tensor, given: &Tensor) -> Tensor {
    if gradient.id() == given.id() { gradient.alias() } else { gradient }
}
