//! `trace`: runs a closure on symbolic tensors, compiles what it did into one function, and calls that from then
//! on. It knows no layer and no optimizer: whatever a closure reads or changes is found by identity.

use crate::capture::closure::{Arguments, Traceable};
use crate::error::{Error, Result};
use crate::inspect::explain::Explanation;
use crate::inspect::profile::Profile;
use crate::inspect::verify::{self, Verification};
use crate::mode;
use crate::ops::TensorTree;
use crate::runtime::cache::{Cache, Entry};
use crate::runtime::guards::Binding;
use crate::runtime::recording_lock::Turns;
use crate::runtime::specialize::SpecializeHot;
use crate::runtime::variant::{Manner, Variant};
use crate::serialize::{self, Names};
use crate::tensor::Tensor;
use allotrope_ir::passes::Passes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
        if mode::is_recording() {
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

    /// Runs both modes on copies of all state, the closure eagerly and its compiled code, and compares every bit that they
    /// leave behind: results, changed tensors, gradients, generators. Where they differ, the report names the first node of
    /// the captured graph that does, and prints its inputs.
    ///
    /// Afterwards every tensor, gradient and generator that the trace knows is as it was; what the closure does to Rust
    /// values it does twice. Call it while no other thread uses the state.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// use std::cell::Cell;
    /// let factor = Cell::new(2.0);
    /// let f = trace(|x: &Tensor| (x * factor.get()).tanh());
    /// let x = Tensor::ones(&[2], DType::F32);
    /// assert!(f.verify(&x)?.is_equal());
    /// factor.set(3.0);                                          // a Rust value is built into the code
    /// let found = f.verify(&x)?;
    /// assert!(found.to_string().contains("const 2.0"), "{found}");
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Traced::call`], and inside a trace. That the modes differ is no error.
    pub fn verify<'a>(&self, args: impl Arguments<'a, N>) -> Result<Verification> {
        let args = args.tensors();
        outside("verify()")?;
        let (entry, binding) = self.entry(&args)?;
        entry.variant.check_inputs(&args)?;
        self.closure.with(|closure| verify::verify::<F, N>(&entry.variant, closure, &args, binding))
    }

    /// Times each kernel of the code for these arguments, on copies: nothing is changed.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let f = trace(|x: &Tensor| x.matmul(x).tanh().sum());
    /// let profile = f.profile(&Tensor::ones(&[64, 64], DType::F32))?;
    /// println!("{profile}");
    /// assert!(profile.chrome_trace().contains("matmul"));
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Traced::call`], and inside a trace.
    pub fn profile<'a>(&self, args: impl Arguments<'a, N>) -> Result<Profile> {
        let args = args.tensors();
        outside("profile()")?;
        let (entry, binding) = self.entry(&args)?;
        entry.variant.check_inputs(&args)?;
        entry.variant.profile(&args, binding)
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

    /// What was said on standard error about more variants than there should be: what in the program makes them, where,
    /// and what to do instead. Said once, when the third variant is made for one reason, and when there are too many.
    pub fn warnings(&self) -> Vec<String> {
        self.cache.warnings()
    }

    /// Saves every variant with the state that it uses: the graphs as text in `path.graph`, the elements in
    /// `path.safetensors`. [`Program::load`] runs them without the closure. Neither file is ever half-written; a call on
    /// another thread is saved as a whole or not at all, as far as elements go.
    ///
    /// # Errors
    /// When nothing was captured yet, or a file cannot be written; both files are as they were then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_with_names(path, &Names::new())
    }

    /// As [`Traced::save`], with names for the state.
    ///
    /// # Errors
    /// Also when two things have one name.
    pub fn save_with_names(&self, path: impl AsRef<Path>, names: &Names) -> Result<()> {
        let variants: Vec<Arc<Variant>> = self.cache.entries().into_iter().map(|e| Arc::clone(&e.variant)).collect();
        serialize::save(&variants, names, path.as_ref())
    }

    /// The compiled variants, most recently used first.
    pub fn explain(&self) -> Vec<Explanation> {
        self.cache.entries().into_iter().map(|e| Explanation(Arc::clone(&e.variant))).collect()
    }
}

/// That no trace is recorded.
pub(crate) fn outside(what: &str) -> Result<()> {
    match mode::is_recording() {
        true => Err(Error::Trace(format!("{what} runs compiled code, which a trace can't record; call it outside"))),
        false => Ok(()),
    }
}
