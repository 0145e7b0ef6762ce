//! `trace`: runs a closure on symbolic tensors, compiles what it did into one function, and calls that from then
//! on. It knows no layer and no optimizer: whatever a closure reads or changes is found by identity.

mod bodies;
mod cache;
mod call;
mod captured;
mod closure;
mod draws;
mod dynamic;
mod event;
mod explain;
mod follow;
mod guards;
mod hot;
mod inner;
mod layout;
mod program;
mod recorder;
mod rooms;
mod symbols;
mod turns;
mod variant;

pub use closure::{Args, Arguments, SLICE, Traceable};
pub use dynamic::{DynamicTraced, trace_dynamic};
pub use explain::Explanation;
pub use hot::{HotCopy, SpecializeHot};
pub use symbols::Specialization;

use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::tensor::{Tensor, recorder as slot};
use allotrope_ir::passes::Passes;
use cache::{Cache, Entry};
use guards::Binding;
use std::sync::Arc;
use std::time::Duration;
use turns::Turns;
use variant::{Manner, Variant};

/// A closure that runs as compiled code. Made by [`trace`].
///
/// The first call records the closure (twice, so that one which depends on changing Rust values is noticed); every dimension of the arguments is symbolic unless the closure makes a number
/// of it, so calls of other lengths run the same code. Tensors from outside that the closure reads (parameters,
/// moments, gradients) are inputs by identity; those that it changes in place are changed when a call has succeeded.
///
/// It can be called by several threads at the same time. Calls that change nothing run in parallel; those that change the
/// same tensor run one after the other. One thread at a time records.
pub struct Traced<F, R, const N: usize> {
    closure: Turns<F>,
    cache: Cache<R>,
    manner: Manner,
}

/// Makes a closure run as compiled code; see [`Traced`].
///
/// ```
/// use allotrope::prelude::*;
/// let w = Tensor::full(&[3], 2.0f32);
/// let double = trace(|x: &Tensor| x * &w);
/// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
/// assert_eq!(double.call(&x)?.to_vec::<f32>(), [2.0, 4.0, 6.0]);
/// # Ok::<(), allotrope::Error>(())
/// ```
///
/// A closure of one slice takes any number of tensors; each number of them is compiled for itself.
///
/// ```
/// use allotrope::prelude::*;
/// let total = trace(|xs: &[Tensor]| xs.iter().skip(1).fold(xs[0].clone(), |sum, x| &sum + x));
/// let xs: Vec<Tensor> = (1..=3).map(|i| Tensor::full(&[2], i as f32)).collect();
/// assert_eq!(total.call(&xs)?.to_vec::<f32>(), [6.0, 6.0]);
/// assert_eq!(total.call(&xs[..2])?.to_vec::<f32>(), [3.0, 3.0]);
/// # Ok::<(), allotrope::Error>(())
/// ```
pub fn trace<F, const N: usize>(closure: F) -> Traced<F, F::Output, N>
where
    F: Traceable<N>,
{
    Traced {
        closure: Turns::new(closure),
        cache: Cache::default(),
        manner: Manner { passes: Passes::ALL, hot: SpecializeHot::default() },
    }
}

impl<F, R, const N: usize> Traced<F, R, N>
where
    F: Traceable<N, Output = R>,
    R: TensorTree,
{
    /// Compiles with some passes of the pipeline only; results are the same, to the bit.
    pub fn with_passes(mut self, passes: Passes) -> Self {
        self.manner.passes = passes;
        self
    }

    /// When a copy of hot code is made for sizes that keep coming, in addition to the code for all sizes; by default
    /// where it is worthwhile. Results are the same, to the bit.
    pub fn with_specialize_hot(mut self, when: SpecializeHot) -> Self {
        self.manner.hot = when;
        self
    }

    /// Runs the closure as compiled code, recording and compiling it first where no variant fits the arguments.
    ///
    /// Inside another trace the closure is recorded as part of that one.
    ///
    /// # Errors
    /// When the closure panics while it is recorded (the message is the panic's: wrong shapes, a host read), or an
    /// argument cannot be bound. Nothing is changed then: no parameter, no moment, no gradient.
    pub fn call<'a>(&self, args: impl Arguments<'a, N>) -> Result<R> {
        let args = args.tensors();
        if slot::is_active() {
            return self.closure.with(|closure| Ok(closure.run(&args)));
        }
        let (entry, binding) = self.entry(&args)?;
        let results = entry.variant.call(&args, binding)?;
        Ok(entry.template.unflatten(&mut results.into_iter()))
    }

    /// Compiles for arguments like these without running: nothing is changed.
    ///
    /// # Errors
    /// As [`Traced::call`].
    pub fn compile<'a>(&self, args: impl Arguments<'a, N>) -> Result<()> {
        self.entry(&args.tensors()).map(drop)
    }

    /// The variant that stands for these arguments, made where there is none yet.
    fn entry(&self, args: &[&Tensor]) -> Result<(Arc<Entry<R>>, Binding)> {
        // Compiled code stands for every argument of a kind, and hooks are one tensor's own.
        if let Some(i) = args.iter().position(|a| a.is_requires_grad() && a.has_leaf_hooks()) {
            return Err(Error::Trace(format!(
                "argument {i} has hooks on its gradient; register them inside the closure, or let it use the tensor from outside"
            )));
        }
        if let Some(found) = self.cache.find(args) {
            return Ok(found);
        }
        self.closure.with(|closure| {
            // Another thread may have made it meanwhile.
            if let Some(found) = self.cache.find(args) {
                return Ok(found);
            }
            let reason = self.cache.reason(args);
            let (variant, template) = Variant::capture::<F, N>(closure, args, &self.manner, &reason)?;
            let binding = variant.fits(args).map_err(|m| variant.guards.words(m, args));
            let entry = self.cache.add(variant, template);
            // It stands for other calls all the same.
            let changed = |what| {
                Error::Trace(format!(
                    "another thread changed what the program depends on while it was recorded: {what}"
                ))
            };
            Ok((entry, binding.map_err(changed)?))
        })
    }
}

impl<F, R, const N: usize> Traced<F, R, N> {
    /// How often code was generated.
    pub fn compilations(&self) -> usize {
        self.cache.compilations()
    }

    /// Time spent recording, optimising and generating code, in total.
    pub fn compile_time(&self) -> Duration {
        self.cache.compile_time()
    }

    /// The compiled variants, most recently used first.
    pub fn explain(&self) -> Vec<Explanation> {
        self.cache.entries().into_iter().map(|e| Explanation(Arc::clone(&e.variant))).collect()
    }
}

/// See [`crate::forgetful_recorder`].
pub(crate) fn forgetful_recorder() -> std::rc::Rc<dyn slot::Recorder> {
    std::rc::Rc::new(recorder::Capture::forgetful())
}

/// The text of a panic.
fn panic_message(payload: Box<dyn std::any::Any + Send>) -> Error {
    let text = match payload.downcast::<String>() {
        Ok(s) => *s,
        Err(payload) => {
            payload.downcast::<&str>().map_or_else(|_| "the closure panicked".to_string(), |s| s.to_string())
        }
    };
    Error::Argument(text)
}
