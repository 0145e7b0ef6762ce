//! `trace`: runs a closure on symbolic tensors, compiles what it did into one function, and calls that from then
//! on. It knows no layer and no optimizer: whatever a closure reads or changes is found by identity.

use crate::capture::closure::{Arguments, Traceable};
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::mode;
use crate::ops::TensorTree;
use crate::runtime::cache::{Cache, Entry};
use crate::runtime::guards::Mismatch;
use crate::runtime::recording_lock::RecordingLock;
use crate::runtime::specialize::SpecializeHot;
use crate::runtime::variant::{TraceOptions, Variant};
use crate::tensor::Tensor;
use crate::tensor::handle::count_hidden_handles;
use allotrope_ir::passes::Passes;
use std::sync::Arc;
use std::time::Duration;

/// A closure that runs as compiled code. Made by [`trace`].
///
/// The first call records the closure (twice, so that one which depends on changing Rust values is noticed); every dimension of the arguments is symbolic unless the closure makes a number
/// of it, so calls of other lengths run the same code. Captured tensors that the closure reads (parameters,
/// moments, gradients) are inputs by identity; those that it changes in place are changed when a call has succeeded.
///
/// It can be called by several threads at the same time. Calls that change nothing run in parallel; those that change the
/// same tensor run one after the other. One thread at a time records.
pub struct Traced<F, R, const N: usize> {
    pub(crate) closure: RecordingLock<F>,
    cache: Cache<R>,
    options: TraceOptions,
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
    count_hidden_handles();
    Traced { closure: RecordingLock::new(closure), cache: Cache::default(), options: TraceOptions::default() }
}

impl<F, R, const N: usize> Traced<F, R, N>
where
    F: Traceable<N, Output = R>,
    R: TensorTree,
{
    /// Compiles with some passes of the pipeline only; results are the same, to the bit.
    pub fn with_passes(mut self, passes: Passes) -> Self {
        self.options.set_passes(passes);
        self
    }

    /// Whether checks of elements (an index in its axis, a probability in [0, 1], a divisor that is not zero) are asked where
    /// nothing uses what was checked, as in `let _ = x.gather(0, &index)`. They are by default, so that a call fails where
    /// the closure does; without them it takes no time for what only they need. A check of what is used is always asked.
    pub fn with_unused_checks(mut self, asked: bool) -> Self {
        self.options.set_unused_checks(asked);
        self
    }

    /// When a copy of hot code is made for sizes that keep coming, in addition to the code for all sizes; by default
    /// where it is worthwhile. Results are the same, to the bit.
    pub fn with_specialize_hot(mut self, when: SpecializeHot) -> Self {
        self.options.hot = when;
        self
    }

    /// Calls the closure eagerly instead where `disabled` is true, as `torch.compile(disable=True)` does: a switch for programs that
    /// run in either mode. A panic of the closure is a panic of the call then.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let is_traced = std::env::args().any(|arg| arg == "--trace");
    /// let double = trace(|x: &Tensor| x * 2.0).disabled(!is_traced);
    /// assert_eq!(double.call(&Tensor::ones(&[2], DType::F32))?.to_vec::<f32>(), [2.0, 2.0]);
    /// assert_eq!(double.compilations(), usize::from(is_traced));
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    #[must_use]
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.options.disabled = disabled;
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
        if self.options.disabled || mode::is_recording() {
            return self.closure.with(|closure| Ok(closure.run(&args)));
        }
        let (entry, binding) = self.entry(&args)?;
        let results = entry.variant.call(&args, binding)?;
        Ok(entry.template.unflatten(&mut results.into_iter()))
    }

    /// Compiles for arguments like these without running: nothing is changed. Where it is [disabled](Traced::disabled), nothing is done.
    ///
    /// # Errors
    /// As [`Traced::call`].
    pub fn compile<'a>(&self, args: impl Arguments<'a, N>) -> Result<()> {
        if self.options.disabled {
            return Ok(());
        }
        self.entry(&args.tensors()).map(drop)
    }

    /// The variant that stands for these arguments, made where there is none yet.
    pub(crate) fn entry(&self, args: &[&Tensor]) -> Result<(Arc<Entry<R>>, Binding)> {
        if let Some(found) = self.cache.find(args) {
            return Ok(found);
        }
        self.closure.with(|closure| {
            // Another thread may have made it meanwhile.
            if let Some(found) = self.cache.find(args) {
                return Ok(found);
            }
            let reason = self.cache.reason(args);
            let (variant, template) = Variant::capture::<F, N>(closure, args, &self.options, &reason)?;
            let binding = variant.fits(args).map_err(|m| (m, variant.guards.words(m, args)));
            let entry = self.cache.add(variant, template);
            // It stands for other calls all the same.
            let changed = |(mismatch, what)| match mismatch {
                Mismatch::SameAs(i) | Mismatch::Identity(i) => Error::trace(format!(
                    "argument {i} is a tensor that the closure captures too; use it in one way only, or pass a copy, such \
                     as x.copy()"
                )),
                _ => Error::trace(format!(
                    "what the program depends on changed while it was recorded, by the closure itself or by another \
                     thread: {what}"
                )),
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

    /// What was said on standard error about more variants than there should be: what in the program makes them, where,
    /// and what to do instead. Said once, when the third variant is made for one reason, and when there are too many.
    pub fn warnings(&self) -> Vec<String> {
        self.cache.warnings()
    }

    /// The compiled variants, most recently used first.
    pub(crate) fn variants(&self) -> Vec<Arc<Variant>> {
        self.cache.entries().into_iter().map(|e| Arc::clone(&e.variant)).collect()
    }
}

/// That no trace is recorded.
pub(crate) fn not_recording(what: &str) -> Result<()> {
    match mode::is_recording() {
        true => Err(Error::trace(format!("{what} runs compiled code, which a trace can't record; call it outside"))),
        false => Ok(()),
    }
}
