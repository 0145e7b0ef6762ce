//! The schedule itself, and how one is run. It decides nothing.

use crate::schedule::buffer::{BufId, Buffer, LoopId};
use crate::schedule::info::KernelInfo;
use crate::schedule::instruction::{Failure, Instruction};
use allotrope_ir::{DType, Type};

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
