//! Graph to machine code for this processor. One graph becomes one function: loops over fused arithmetic, and calls of
//! the kernels for everything whose rounding is a choice.
//!
//! In flow order: [`lower`] walks the graph ([`order`], [`fuse`], [`library`], [`scan`]) and makes a [`program`] of steps
//! on buffers ([`layout`]); [`stage`] splits kernels at their calls; [`plan`] lays the buffers out; [`split`] cuts what is
//! too large for one function; [`emit`] ([`frame`], [`loops`], [`arith`], [`steps`]) writes Cranelift IR; [`jit`] makes it
//! executable; [`call`] runs it on checked slices, [`profile`] with a clock. [`describe`] and [`memory`] are what people
//! are told of it. [`pack`] is the one piece of library code here. It never knows of tensors, modules or derivatives.

mod arith;
pub(crate) mod blocks;
mod call;
pub(crate) mod calls;
mod eager;
mod emit;
mod frame;
pub(crate) mod host;
mod instructions;
mod jit;
mod loops;
pub(in crate::backend) mod memory;
mod pack;
pub(crate) mod profile;
mod split;

mod backend;

pub use crate::backend::cpu::backend::Cpu;
pub use crate::backend::cpu::call::Call;
pub use crate::backend::cpu::profile::{Event, KernelTime, Profile};
use crate::schedule::buffers::BufferInfo;
use crate::schedule::describe::KernelInfo;
use crate::schedule::program::Failure;
use crate::schedule::{ScheduleError, buffers, lower, memory_plan};

use allotrope_ir::Graph;
use std::time::{Duration, Instant};

/// How to compile, and what to keep of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep the Cranelift IR as text, see [`Compiled::clif`].
    pub keep_clif: bool,
    /// About how many instructions, before optimisation, one machine function may have. A program of more is cut into
    /// several, since compiling one takes more than linear time. Results are the same, to the bit.
    pub function_size: usize,
    /// Tell the time before and after each kernel, for [`Call::run_profiled`]. Results are the same, to the bit.
    pub profile: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { keep_clif: false, function_size: 6000, profile: false }
    }
}

/// Why a graph could not be compiled. None of them is a mistake in the user's program.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CompileError {
    #[error("this processor cannot be compiled for: {0}")]
    Host(String),
    #[error("bug in this library: Cranelift refused the generated code: {0}")]
    Cranelift(String),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// A graph compiled to one function.
pub struct Compiled {
    code: jit::Code,
    plan: memory_plan::Plan,
    signature: call::Signature,
    kernels: Vec<KernelInfo>,
    phases: Vec<(&'static str, Duration)>,
    /// What may end a run early, by number less 1.
    checks: Vec<Failure>,
    /// Whether it tells the times of its kernels.
    stamps: bool,
    buffers: Vec<BufferInfo>,
}

impl Compiled {
    /// Compiles a checked graph, optimised or not.
    ///
    /// # Errors
    /// When this processor is not supported; anything else is a bug in this library.
    pub fn compile(graph: &Graph, options: &Options) -> Result<Compiled, CompileError> {
        let mut phases = Vec::new();
        let clock = Instant::now();
        let (mut program, kernels) = lower::lower(graph)?;
        phases.push(("lower", clock.elapsed()));
        let clock = Instant::now();
        let mut plan = memory_plan::plan(&program);
        let buffers = buffers::buffers(&program, &plan);
        program.stamps = options.profile;
        split::split(&mut program, options.function_size);
        phases.push(("plan", clock.elapsed()));
        let mut builder = jit::Builder::new(options.keep_clif)?;
        let (entry, frame) = emit::emit(&program, &plan, &mut builder)?;
        plan.reserve(frame);
        let code = builder.finish(entry, &mut phases)?;
        let checks = program.checks;
        Ok(Compiled {
            code,
            plan,
            signature: call::Signature::of(graph),
            kernels,
            phases,
            checks,
            stamps: options.profile,
            buffers,
        })
    }

    /// Bytes of scratch memory that a run with these symbol values needs.
    pub fn scratch_bytes(&self, binding: &[usize]) -> usize {
        self.plan.bytes(binding)
    }

    /// Whether a run may fail.
    pub fn has_checks(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Runs the function. Symbol `i` is `binding[i]`.
    ///
    /// # Errors
    /// The first check of the graph that failed, or loop that had no room. No state was changed then; what is in the
    /// outputs that update none is unspecified.
    ///
    /// # Safety
    /// - Under this binding every dimension of the graph is what its types promise, and no smaller than 0.
    /// - `inputs[i]` and `outputs[j]` point at contiguous row-major memory of the types of the graph's inputs and
    ///   outputs, aligned for their elements. An output that updates input `i` has the pointer `inputs[i]`, and that
    ///   memory may be written; all others overlap nothing.
    /// - `scratch` is aligned to 64 bytes, and `scratch_bytes(binding)` long. Nobody else uses any of it meanwhile.
    pub unsafe fn run(
        &self,
        binding: &[usize],
        inputs: &[*const u8],
        outputs: &[*mut u8],
        scratch: *mut u8,
    ) -> Result<(), &Failure> {
        // SAFETY: the code was generated for this graph's inputs and outputs; the rest is the caller's promise.
        let failed = unsafe { (self.code.entry)(binding.as_ptr(), inputs.as_ptr(), outputs.as_ptr(), scratch) };
        match failed {
            0 => Ok(()),
            number => Err(&self.checks[number - 1]),
        }
    }

    /// What it runs, in order.
    pub fn kernels(&self) -> &[KernelInfo] {
        &self.kernels
    }

    /// The Cranelift IR, where it was kept.
    pub fn clif(&self) -> Option<&str> {
        self.code.clif.as_deref()
    }

    /// Bytes of machine code.
    pub fn code_size(&self) -> usize {
        self.code.sizes.iter().sum()
    }

    /// Bytes of machine code of each function that the program was cut into; see [`Options::function_size`].
    pub fn function_sizes(&self) -> &[usize] {
        &self.code.sizes
    }

    /// How long each phase of the compilation took.
    pub fn phases(&self) -> &[(&'static str, Duration)] {
        &self.phases
    }
}

impl Compiled {
    /// The buffers that were planned for what is computed on the way, in the order in which they come to life.
    pub fn buffers(&self) -> &[BufferInfo] {
        &self.buffers
    }

    /// Bytes that a run holds beside its inputs: the scratch memory, and the outputs that update no input.
    pub fn peak_bytes(&self, binding: &[usize]) -> usize {
        self.scratch_bytes(binding) + self.output_bytes(binding)
    }
}
