//! A schedule compiled: the code, what a run of it needs, and what people are told of it. It never knows of tensors,
//! modules or derivatives.

use crate::backend::cpu::block_plan::BlockPlans;
use crate::backend::cpu::call::Signature;
use crate::backend::cpu::emit::{self, Input};
use crate::backend::cpu::functions::Functions;
use crate::backend::cpu::jit;
use crate::backend::cpu::options::{CompileError, Options};
use crate::schedule::{BufferInfo, Failure, KernelInfo, MemoryPlan, Schedule};
use allotrope_ir::Graph;
use std::time::{Duration, Instant};

/// A schedule compiled to machine code.
pub struct Compiled {
    code: jit::Code,
    plan: MemoryPlan,
    pub(super) signature: Signature,
    kernels: Vec<KernelInfo>,
    phases: Vec<(&'static str, Duration)>,
    /// What may end a run early, by number less 1.
    checks: Vec<Failure>,
    /// Whether it tells the times of its kernels.
    stamps: bool,
    buffers: Vec<BufferInfo>,
}

impl Compiled {
    /// Schedules a checked graph, optimised or not, and compiles that.
    ///
    /// # Errors
    /// When this processor is not supported; anything else is a bug in this library.
    pub fn compile(graph: &Graph, options: &Options) -> Result<Compiled, CompileError> {
        let clock = Instant::now();
        let schedule = Schedule::of(graph)?;
        let scheduled = ("lower", clock.elapsed());
        let mut compiled = Compiled::of(&schedule, options)?;
        compiled.phases.insert(0, scheduled);
        Ok(compiled)
    }

    /// Compiles a schedule.
    ///
    /// # Errors
    /// When this processor is not supported; anything else is a bug in this library.
    pub fn of(schedule: &Schedule, options: &Options) -> Result<Compiled, CompileError> {
        let mut phases = Vec::new();
        let clock = Instant::now();
        let plans = BlockPlans::of(schedule);
        let mut plan = MemoryPlan::of(schedule, &plans.temporaries);
        let buffers = plan.buffers(schedule, &plans.temporaries);
        let functions = Functions::of(&schedule.instructions, &plans, options.function_size);
        phases.push(("plan", clock.elapsed()));
        let mut builder = jit::Builder::new(options.keep_clif)?;
        let input = Input { schedule, plans: &plans, plan: &plan, functions, stamps: options.profile };
        let (entry, frame) = emit::emit(&input, &mut builder)?;
        plan.reserve(frame);
        let code = builder.finish(entry, &mut phases)?;
        Ok(Compiled {
            code,
            plan,
            signature: Signature::of(schedule),
            kernels: schedule.kernels.clone(),
            phases,
            checks: schedule.checks.clone(),
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
    /// The first check of the graph that failed, or loop that had no capacity. No state was changed then; what is in the
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

    /// Whether it can be timed, see [`Options::profile`].
    pub fn tells_time(&self) -> bool {
        self.stamps
    }

    /// The Cranelift IR, where it was kept.
    pub fn clif(&self) -> Option<&str> {
        self.code.clif.as_deref()
    }

    /// Bytes of machine code.
    pub fn code_size(&self) -> usize {
        self.code.sizes.iter().sum()
    }

    /// Bytes of machine code of each function that the schedule was cut into; see [`Options::function_size`].
    pub fn function_sizes(&self) -> &[usize] {
        &self.code.sizes
    }

    /// How long each phase of the compilation took.
    pub fn phases(&self) -> &[(&'static str, Duration)] {
        &self.phases
    }

    /// The buffers that were planned for what is computed on the way, in the order in which they come to life.
    pub fn buffers(&self) -> &[BufferInfo] {
        &self.buffers
    }

    /// Bytes that a run holds beside its inputs: the scratch memory, and the outputs that update no input.
    pub fn peak_bytes(&self, binding: &[usize]) -> usize {
        self.scratch_bytes(binding).saturating_add(self.output_bytes(binding))
    }
}
