//! A graph as a schedule: instructions on buffers in the order in which they run, for any device. It knows no device's
//! code, no addresses and no tensor.
//!
//! In flow order: `lower` walks the nodes of a graph in the [`order`] that is safe for updates of states, keeps for each
//! value the [`View`] that it is, and appends [`Instruction`]s; [`MemoryPlan`] lays the scratch buffers out; [`KernelInfo`]
//! and [`BufferInfo`] are what people are told. A backend takes the [`Schedule`] from there.

mod alias;
mod buffer;
mod eager_peak;
mod info;
mod instruction;
mod kernel;
mod lower;
mod memory_plan;
mod operator;
mod order;
mod size;
mod view;

pub use buffer::{BufId, Buffer, Location, LoopId, ScalarId};
pub use eager_peak::eager_peak_bytes;
pub use info::{BufferInfo, KernelInfo};
pub use instruction::{Carry, Failure, Instruction, Iterations, Loop, Next};
pub use kernel::{Expr, ExprId, ExprKind, Kernel, Store};
pub use memory_plan::{ALIGN, MemoryPlan, Slot, Temporaries};
pub use operator::{Operation, Operator};
pub use size::Size;
pub use view::{Base, View, collapse, divisor, gcd, is_one, is_zero, numel, row_major};

use allotrope_ir::{DType, Graph, NodeId, Type};

/// What a graph became: everything that a backend needs to know of it.
///
/// # Running one
/// A run is given a number for each symbol (the binding, under which every [`allotrope_ir::Dim`] here has a value), the
/// memory of the [`inputs`](Schedule::inputs), and memory for those [`outputs`](Schedule::outputs) that update no input;
/// all of it contiguous, row-major, and none of it overlapping. The [`instructions`](Schedule::instructions) run one after
/// the other. Each sees everything that those before it have written: in memory, through its views, and in scalars.
///
/// A backend may run instructions in another order, or at the same time, where no result can tell. It may not round
/// otherwise than the documentation of an instruction says, which for everything with a choice is "as the function of
/// `allotrope_kernels` of that name".
///
/// # States
/// An output that updates input `i` has no memory of its own: it is written to that of input `i`. No instruction before
/// the [`Instruction::Guard`] writes to the memory of an input; where there is none, nothing can fail. The order of the
/// instructions takes care that the old value is not needed any more when it is written over.
///
/// # Failures
/// A run keeps the first failure, an index into [`checks`](Schedule::checks), and goes on; the guard ends the run where
/// there is one. What was computed in between means nothing, but every instruction is safe with whatever elements it gets.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    pub inputs: Vec<Type>,
    pub outputs: Vec<Output>,
    /// How many symbols a binding has to have.
    pub symbols: usize,
    /// The memory that instructions work on, by [`BufId`].
    pub buffers: Vec<Buffer>,
    /// Values of one element that no instruction looks for in memory, by [`ScalarId`]: each is written by one kernel, in
    /// each of its runs, before anything reads it.
    pub scalars: Vec<DType>,
    /// For each loop, by [`LoopId`]: the loop whose body it stands in.
    pub loops: Vec<Option<LoopId>>,
    /// What may end a run early.
    pub checks: Vec<Failure>,
    pub instructions: Vec<Instruction>,
    /// What people are told of the kernels and operations, by their number: in the order in which they first run.
    pub kernels: Vec<KernelInfo>,
}

/// An output of a schedule.
#[derive(Clone, Debug)]
pub struct Output {
    pub ty: Type,
    /// The input whose memory it is written to.
    pub update: Option<usize>,
}

impl Schedule {
    /// The schedule of a checked graph, optimised or not.
    ///
    /// # Errors
    /// None of them is a mistake in the user's program: a broken invariant of this library.
    pub fn of(graph: &Graph) -> Result<Schedule, ScheduleError> {
        lower::lower(graph)
    }

    pub fn buffer(&self, b: BufId) -> &Buffer {
        &self.buffers[b.0 as usize]
    }

    /// For each input, whether an output updates it.
    pub fn updated(&self) -> Vec<bool> {
        let mut updated = vec![false; self.inputs.len()];
        self.outputs.iter().filter_map(|o| o.update).for_each(|i| updated[i] = true);
        updated
    }
}

/// A broken invariant of this library, found while scheduling.
#[derive(Clone, Debug, thiserror::Error)]
#[error("bug in this library: {message}, at {node}")]
pub struct ScheduleError {
    node: String,
    message: String,
}

impl ScheduleError {
    fn bug(g: &Graph, id: NodeId, message: &str) -> ScheduleError {
        ScheduleError { node: format!("{id} {}", g.node(id).op.name()), message: message.to_string() }
    }
}
