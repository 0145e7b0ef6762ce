//! A tensor that a derivative needs, kept with the number of in-place changes that it had, so that a later change is
//! noticed instead of giving a wrong gradient.

use super::grad_mode::is_grad_enabled;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::HiddenHandle;
use std::cell::Cell;

/// An operand or a result that is kept for the backward pass.
pub(crate) struct Saved {
    tensor: HiddenHandle,
    version: u32,
    /// Which result of the node itself this is: its own node can't be held without a circle.
    output: Option<u32>,
}

thread_local! {
    /// How many were made on this thread.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Identity of a tensor, 0 for none, and whether it was kept since somebody asks.
    static WATCHED: Cell<(usize, bool)> = const { Cell::new((0, false)) };
    /// Identity of the last result that its own node kept.
    static OUTPUT: Cell<usize> = const { Cell::new(0) };
    /// Identity of the tensor that an operation is about to change, 0 for none.
    static CHANGING: Cell<usize> = const { Cell::new(0) };
    /// Identity of that tensor repeated to the sizes of another operand, 0 for none.
    static REPEATED: Cell<usize> = const { Cell::new(0) };
}

/// How many were made on this thread: whether there are more after a closure was made tells whether it holds any.
pub(crate) fn count() -> u64 {
    COUNT.get()
}

/// Runs `f`, which computes what `target` is then changed to in place. Where a derivative keeps `target`, it keeps a
/// copy of the elements as they are before the change, as PyTorch does; so the change does not make itself impossible
/// to differentiate. Where none does, nothing is copied.
pub(crate) fn changing<T>(target: &Tensor, f: impl FnOnce() -> T) -> T {
    struct Restore((usize, usize));
    impl Drop for Restore {
        fn drop(&mut self) {
            CHANGING.set(self.0.0);
            REPEATED.set(self.0.1);
        }
    }
    let _restore = Restore((CHANGING.replace(target.id()), REPEATED.replace(0)));
    OUTPUT.set(0);
    f()
}

/// Runs `f`, and tells whether a derivative came to keep `x`.
pub(crate) fn watching<T>(x: &Tensor, f: impl FnOnce() -> T) -> (T, bool) {
    struct Restore((usize, bool));
    impl Drop for Restore {
        fn drop(&mut self) {
            WATCHED.set(self.0);
        }
    }
    let _restore = Restore(WATCHED.replace((x.id(), false)));
    let result = f();
    (result, WATCHED.get().1)
}

/// Whether this is the tensor that an operation is about to change in place.
pub(crate) fn is_changing(x: &Tensor) -> bool {
    CHANGING.get() == x.id()
}

/// Whether an operation is about to change a tensor in place.
pub(crate) fn is_any_changing() -> bool {
    CHANGING.get() != 0
}

/// `repeated` is `x`, an operand, repeated to the sizes of another one: in a trace also where nothing is in this call.
pub(crate) fn repeats(x: &Tensor, repeated: &Tensor) {
    if is_changing(x) {
        REPEATED.set(repeated.id());
    }
}

/// A derivative keeps something that is no tensor of the program's, and that is freed as those are: counts as one saved.
pub(crate) fn hidden() {
    COUNT.set(COUNT.get() + 1);
}

/// No result was kept by its own node yet, as far as [`is_output`] says: another one may come to lie where that was.
pub(crate) fn forget_output() {
    OUTPUT.set(0);
}

/// Whether this result is the last one since [`changing`] or [`forget_output`] that its own node kept.
pub(crate) fn is_output(y: &Tensor) -> bool {
    OUTPUT.get() == y.id() && y.grad_fn().is_some_and(|edge| edge.node().saves())
}

impl Saved {
    pub(crate) fn operand(x: &Tensor) -> Saved {
        if WATCHED.get().0 == x.id() {
            WATCHED.set((x.id(), true));
        }
        COUNT.set(COUNT.get() + 1);
        // Where there is no copy to be had, the change will be noticed.
        let changes = is_changing(x) || REPEATED.get() == x.id();
        let tensor = if changes { x.snapshot().unwrap_or_else(|_| x.clone()) } else { x.clone() };
        let version = tensor.version();
        Saved { tensor: HiddenHandle::new(tensor), version, output: None }
    }

    /// The result `output` of the node that keeps it.
    pub(crate) fn output(y: &Tensor, output: u32) -> Saved {
        COUNT.set(COUNT.get() + 1);
        OUTPUT.set(y.id());
        Saved { tensor: HiddenHandle::new(y.alias()), version: y.version(), output: Some(output) }
    }

    /// The tensor; `me` is the edge to the node that keeps it.
    ///
    /// # Errors
    /// When it was changed in place meanwhile.
    pub(crate) fn get(&self, me: &Edge) -> Result<Tensor> {
        let now = self.tensor.version();
        if now != self.version {
            return Err(self.changed(me, now));
        }
        let Some(output) = self.output.filter(|_| is_grad_enabled()) else {
            return Ok(Tensor::clone(&self.tensor));
        };
        let y = self.tensor.alias();
        y.set_grad_fn(Some(me.to_output(output)));
        Ok(y)
    }

    #[cold]
    fn changed(&self, me: &Edge, now: u32) -> Error {
        let name = me.node().name();
        let made_by = match (self.output, self.tensor.grad_fn()) {
            (Some(output), _) => format!("output {output} of {name} itself"),
            (None, Some(edge)) => format!("output {} of {}", edge.output, edge.node().name()),
            (None, None) => "computed by no recorded operation".to_string(),
        };
        Error::autograd(format!(
            "{name} needs a tensor that was changed in place since: {}{:?}, which is {made_by}, is at version {now}, the \
             forward pass saw version {}. Use the plain operation instead of the one that ends in _, or change a copy, \
             x.copy(); x.clone() is another handle to the same elements",
            self.tensor.dtype(),
            self.tensor.shape_hint(),
            self.version
        ))
    }
}
