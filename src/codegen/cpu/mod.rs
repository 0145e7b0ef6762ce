//! Graph to machine code for this processor. One graph becomes one function: loops over fused arithmetic, and calls of
//! the kernels for everything whose rounding is a choice.
//!
//! In flow order: [`lower`] walks the graph ([`order`], [`fuse`], [`library`], [`scan`]) and makes a [`program`] of steps
//! on buffers ([`layout`]); [`stage`] splits kernels at their calls; [`plan`] lays the buffers out; [`split`] cuts what is
//! too large for one function; [`emit`] ([`frame`], [`loops`], [`arith`], [`steps`]) writes Cranelift IR; [`jit`] makes it
//! executable; [`call`] runs it on checked slices, [`profile`] with a clock. [`describe`] and [`memory`] are what people
//! are told of it. [`pack`] is the one piece of library code here. It never knows of tensors, modules or derivatives.

mod arith;
mod call;
mod calls;
mod describe;
mod emit;
mod frame;
mod fuse;
mod jit;
mod layout;
mod library;
mod loops;
mod lower;
mod memory;
mod order;
mod pack;
mod plan;
mod profile;
mod program;
mod scan;
mod size;
mod split;
mod stage;
mod steps;

pub use call::Call;
pub use memory::{BufferInfo, eager_peak_bytes};
pub use profile::{Event, KernelTime, Profile};

use allotrope_ir::{Dim, Graph, NodeId};
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
    #[error("bug in this library: {message}, at {node}")]
    Bug { node: String, message: String },
}

impl CompileError {
    fn bug(g: &Graph, id: NodeId, message: &str) -> CompileError {
        CompileError::Bug { node: format!("{id} {}", g.node(id).op.name()), message: message.to_string() }
    }
}

/// Why a run ended early, before it wrote any state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A check of the program's own: its message.
    Check(Box<str>),
    /// A loop goes on after as many rounds as this, and what it collects has room for no more: where it is a symbol, it
    /// may be bound to a larger number.
    Rounds(Dim),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Check(message) => f.write_str(message),
            Failure::Rounds(n) => write!(f, "the loop goes on after {n} rounds, more than its results have room for"),
        }
    }
}

/// One kernel or library call of a compiled function, for people.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    pub name: String,
    /// The operations in it, in order: `mul add tanh`.
    pub ops: String,
    /// The sizes of the space it walks; a matrix product's is m, n, k after the batch axes.
    pub space: Vec<Dim>,
    /// Arithmetic operations in one run of it.
    pub flops: Dim,
    /// Bytes read and written in one run of it: each operand once, elements that are repeated along an axis once.
    pub bytes: Dim,
    /// Whether it runs once for each round of a loop.
    pub in_loop: bool,
    /// The lengths of the loops around it, the outermost first: it runs so often, times each other. Where the rounds
    /// depend on elements, the length is the most there can be, or 0 where nothing bounds them.
    pub loops: Vec<Dim>,
}

impl std::fmt::Display for KernelInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space: Vec<String> = self.space.iter().map(Dim::to_string).collect();
        let place = if self.in_loop { " in a loop" } else { "" };
        write!(
            f,
            "{} [{}]{place}: {} ({} flop, {} bytes)",
            self.name,
            space.join(", "),
            self.ops,
            self.flops,
            self.bytes
        )
    }
}

/// A graph compiled to one function.
pub struct Compiled {
    code: jit::Code,
    plan: plan::Plan,
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
        let mut plan = plan::plan(&program);
        let buffers = memory::buffers(&program, &plan);
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
