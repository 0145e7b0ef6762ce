//! `trace`: runs a closure on symbolic tensors, compiles what it did into one function, and calls that from then
//! on. It knows no layer and no optimizer: whatever a closure reads or changes is found by identity.

mod bodies;
mod call;
mod captured;
mod closure;
mod draws;
mod inner;
mod layout;
mod recorder;
mod symbols;
mod variant;

pub use closure::{Args, Arguments, SLICE, Traceable};
pub use symbols::Specialization;

use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::tensor::{Tensor, recorder as slot};
use allotrope_ir::passes::Passes;
use std::time::Duration;
use variant::Variant;

/// Compiled variants that one traced function keeps; beyond it the least recently used one goes.
const VARIANTS: usize = 8;

/// A closure that runs as compiled code. Made by [`trace`].
///
/// The first call records the closure (twice, so that one which depends on changing Rust values is noticed); every dimension of the arguments is symbolic unless the closure makes a number
/// of it, so calls of other lengths run the same code. Tensors from outside that the closure reads (parameters,
/// moments, gradients) are inputs by identity; those that it changes in place are changed when a call has succeeded.
pub struct Traced<F, R, const N: usize> {
    closure: F,
    /// Most recently used first.
    variants: Vec<Variant>,
    templates: Vec<R>,
    passes: Passes,
    compilations: usize,
    compile_time: Duration,
}

/// Makes a closure run as compiled code; see [`Traced`].
///
/// ```
/// use allotrope::prelude::*;
/// let w = Tensor::full(&[3], 2.0f32);
/// let mut double = trace(|x: &Tensor| x * &w);
/// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
/// assert_eq!(double.call(&x)?.to_vec::<f32>(), [2.0, 4.0, 6.0]);
/// # Ok::<(), allotrope::Error>(())
/// ```
///
/// A closure of one slice takes any number of tensors; each number of them is compiled for itself.
///
/// ```
/// use allotrope::prelude::*;
/// let mut total = trace(|xs: &[Tensor]| xs.iter().skip(1).fold(xs[0].clone(), |sum, x| &sum + x));
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
        closure,
        variants: Vec::new(),
        templates: Vec::new(),
        passes: Passes::ALL,
        compilations: 0,
        compile_time: Duration::ZERO,
    }
}

impl<F, R, const N: usize> Traced<F, R, N>
where
    F: Traceable<N, Output = R>,
    R: TensorTree,
{
    /// Compiles with some passes of the pipeline only; results are the same, to the bit.
    pub fn with_passes(mut self, passes: Passes) -> Self {
        self.passes = passes;
        self
    }

    /// Runs the closure as compiled code, recording and compiling it first where no variant fits the arguments.
    ///
    /// Inside another trace the closure is recorded as part of that one.
    ///
    /// # Errors
    /// When the closure panics while it is recorded (the message is the panic's: wrong shapes, a host read), or an
    /// argument cannot be bound. Nothing is changed then: no parameter, no moment, no gradient.
    pub fn call<'a>(&mut self, args: impl Arguments<'a, N>) -> Result<R> {
        let args = args.tensors();
        if slot::is_active() {
            return Ok(self.closure.run(&args));
        }
        // Compiled code stands for every argument of a kind, and hooks are one tensor's own.
        if let Some(i) = args.iter().position(|a| a.is_requires_grad() && a.has_leaf_hooks()) {
            return Err(Error::Trace(format!(
                "argument {i} has hooks on its gradient; register them inside the closure, or let it use the tensor from outside"
            )));
        }
        let found = self.variants.iter().enumerate().find_map(|(i, v)| Some((i, v.fits(&args)?)));
        let (i, binding) = match found {
            Some(found) => found,
            None => {
                let i = self.capture(&args)?;
                let binding = self.variants[i].fits(&args);
                (
                    i,
                    binding
                        .ok_or_else(|| Error::Trace("bug in allotrope: a capture does not fit its own call".into()))?,
                )
            }
        };
        if i > 0 {
            self.variants[..=i].rotate_right(1);
            self.templates[..=i].rotate_right(1);
        }
        let results = self.variants[0].call(&args, &binding)?;
        Ok(self.templates[0].unflatten(&mut results.into_iter()))
    }

    /// Records, compiles and keeps a variant for these arguments; gives its place.
    fn capture(&mut self, args: &[&Tensor]) -> Result<usize> {
        let (variant, template) = Variant::capture::<F, N>(&mut self.closure, args, &self.passes)?;
        self.compilations += 1;
        self.compile_time += variant.compile_time();
        if self.variants.len() == VARIANTS {
            self.variants.pop();
            self.templates.pop();
            eprintln!(
                "allotrope: a traced function was compiled for more than {VARIANTS} kinds of arguments, the least recently used one goes: {}",
                variant.reasons()
            );
        }
        self.variants.push(variant);
        self.templates.push(template);
        Ok(self.variants.len() - 1)
    }

    /// Compiles for arguments like these without running: nothing is changed.
    ///
    /// # Errors
    /// As [`Traced::call`].
    pub fn compile<'a>(&mut self, args: impl Arguments<'a, N>) -> Result<()> {
        let args = args.tensors();
        if !self.variants.iter().any(|v| v.fits(&args).is_some()) {
            self.capture(&args)?;
        }
        Ok(())
    }
}

impl<F, R, const N: usize> Traced<F, R, N> {
    /// How often code was generated.
    pub fn compilations(&self) -> usize {
        self.compilations
    }

    /// Time spent recording, optimising and generating code, in total.
    pub fn compile_time(&self) -> Duration {
        self.compile_time
    }

    /// The compiled variants, most recently used first.
    pub fn explain(&self) -> Vec<Explanation<'_>> {
        self.variants.iter().map(Explanation).collect()
    }
}

/// What is known of one compiled variant. Printing it shows everything in short.
pub struct Explanation<'a>(&'a Variant);

impl Explanation<'_> {
    /// The captured graph in text form, before the passes.
    pub fn captured(&self) -> &allotrope_ir::Graph {
        self.0.captured()
    }

    /// The graph that code was made of.
    pub fn optimized(&self) -> &allotrope_ir::Graph {
        self.0.optimized()
    }

    /// The Cranelift code, made again for reading.
    ///
    /// # Errors
    /// When code cannot be generated.
    pub fn clif(&self) -> Result<String> {
        self.0.clif()
    }

    /// The fused kernels and calls of the compiled function.
    pub fn kernels(&self) -> &[crate::codegen::KernelInfo] {
        self.0.kernels()
    }

    /// Dimensions that became numbers, and why.
    pub fn specializations(&self) -> &[Specialization] {
        self.0.specializations()
    }

    /// Time taken by each phase of the compilation.
    pub fn phases(&self) -> &[(String, Duration)] {
        self.0.phases()
    }

    /// Bytes of machine code.
    pub fn code_size(&self) -> usize {
        self.0.code_size()
    }
}

impl std::fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inputs: Vec<String> = self
            .captured()
            .inputs()
            .iter()
            .map(|i| {
                let v = allotrope_ir::Value { node: i.node, port: 0 };
                format!("{} {}", i.name, self.captured().ty(v))
            })
            .collect();
        writeln!(f, "inputs: {}", inputs.join(", "))?;
        writeln!(
            f,
            "nodes: {} captured, {} after the passes; {} bytes of code",
            self.captured().len(),
            self.optimized().len(),
            self.code_size()
        )?;
        for (phase, time) in self.phases() {
            writeln!(f, "  {phase}: {:.2} ms", time.as_secs_f64() * 1e3)?;
        }
        for s in self.specializations() {
            writeln!(f, "specialised to {} at {}: {}", s.value, s.at, s.why)?;
        }
        for k in self.kernels() {
            writeln!(f, "  {k}")?;
        }
        Ok(())
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
