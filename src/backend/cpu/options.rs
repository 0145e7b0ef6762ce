//! How a schedule is compiled, and why it could not be. Nothing is decided here.

use crate::schedule::ScheduleError;

/// How to compile, and what to keep of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep the Cranelift IR as text, see [`Compiled::clif`](crate::backend::cpu::Compiled::clif).
    pub keep_clif: bool,
    /// About how many instructions, before optimisation, one machine function may have. A schedule of more is cut into
    /// several, since compiling one takes more than linear time. Results are the same, to the bit.
    pub function_size: usize,
    /// Tell the time before and after each kernel, for [`Call::run_profiled`](crate::backend::cpu::Call::run_profiled). Results are the same, to the bit.
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
