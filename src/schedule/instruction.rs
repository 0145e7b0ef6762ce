//! The instructions of a schedule: what each of them does is said here and in [`crate::schedule::kernel`] and
//! [`crate::schedule::operator`], exactly enough to write a backend from. It holds no code and no addresses.

use crate::schedule::buffer::{BufId, LoopId};
use crate::schedule::kernel::{ExprKind, Kernel};
use crate::schedule::operator::Operation;
use crate::schedule::view::View;
use allotrope_ir::Dim;

/// Why a run ended early, before it wrote any state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A check of the program's own: its message.
    Check(Box<str>),
    /// A loop goes on after as many iterations as this, and what it collects has no capacity for more: where it is a symbol,
    /// it may be bound to a larger number.
    Iterations(Dim),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Check(message) => f.write_str(message),
            Failure::Iterations(n) => {
                write!(f, "the loop goes on after {n} iterations, more than its results have capacity for")
            }
        }
    }
}

#[derive(Clone, Debug)]
pub enum Instruction {
    /// A nest of loops over fused arithmetic.
    Kernel(Box<Kernel>),
    /// One operator of the library over strided operands.
    Operation(Box<Operation>),
    Loop(Loop),
    /// Where the condition, one bool, is false and the run has no failure yet, `checks[check]` is its failure. The run goes
    /// on.
    Check {
        check: usize,
        condition: View,
    },
    /// Ends the run where it has a failure. What comes after may write states. At most one, and never in a loop.
    Guard,
}

/// Runs `body` several times.
///
/// The number of iterations is said by `iterations`. In each, the index of the loop is that of the iteration, counted from
/// 0; in a loop that runs in reverse, `n - 1` less that, where `n` is the number of iterations (such a loop knows it before
/// it begins).
///
/// The body reads and writes memory like any other instructions: also buffers that are made outside the loop and that it
/// updates from iteration to iteration in place.
#[derive(Clone, Debug)]
pub struct Loop {
    pub id: LoopId,
    /// The most iterations that there are, but where nothing bounds them.
    pub length: Dim,
    pub reverse: bool,
    pub iterations: Iterations,
    pub carries: Vec<Carry>,
    pub body: Vec<Instruction>,
    /// Contiguous views with `length` as their first axis, an element for each iteration. After the loop, those that belong
    /// to no iteration, from the number of iterations on, are set to 0.
    pub tails: Vec<View>,
}

/// How many iterations a loop has.
#[derive(Clone, Debug)]
pub enum Iterations {
    /// `length`.
    All,
    /// This one i64, read once before the loop, and kept between 0 and `length`.
    Count(View),
    /// As long as this one bool is true, which is read before each iteration: usually it is a carry. Where the run has a
    /// failure, the loop ends before it is read. With a `limit`, the loop has no more than `length` iterations: where the
    /// flag is true after them, the loop ends, and `checks[limit]` is the failure of the run. Without, nothing bounds it.
    While { flag: View, limit: Option<usize> },
}

/// A carry whose memory is another one in each iteration. Carries that stay where they are have no entry: they are updated
/// in place.
#[derive(Clone, Debug)]
pub struct Carry {
    /// A [`Moving`](crate::schedule::Location::Moving) buffer, the current value. It begins where `init` does in the first
    /// iteration, and where `next` says in each later one; after the loop it stays where the last iteration has put it,
    /// so it is the final value, or the first one where there was no iteration.
    pub current: BufId,
    /// Contiguous. Never written by the loop.
    pub init: View,
    pub next: Next,
}

/// Where the value for the next iteration lies when the body is through.
#[derive(Clone, Debug)]
pub enum Next {
    /// In this buffer, as it is placed in the iteration that ends: an element of what the loop collects.
    At(BufId),
    /// The body writes it to `target`, a moving buffer that is `buffers[0]` in the first iteration, then each of the two in
    /// turn: so it never writes over the current value.
    PingPong { target: BufId, buffers: [BufId; 2] },
}

impl Instruction {
    /// The number of the kernel or operation that it is: its place in [`kernels`](crate::schedule::Schedule::kernels).
    pub fn number(&self) -> Option<usize> {
        match self {
            Instruction::Kernel(k) => Some(k.number),
            Instruction::Operation(o) => Some(o.number),
            Instruction::Loop(_) | Instruction::Check { .. } | Instruction::Guard => None,
        }
    }

    pub(in crate::schedule) fn number_mut(&mut self) -> Option<&mut usize> {
        match self {
            Instruction::Kernel(k) => Some(&mut k.number),
            Instruction::Operation(o) => Some(&mut o.number),
            Instruction::Loop(_) | Instruction::Check { .. } | Instruction::Guard => None,
        }
    }

    /// Calls `f` for every buffer that one of its views reads or writes; none for a loop, whose body's instructions and
    /// carries have views of their own.
    pub fn buffers(&self, f: &mut dyn FnMut(BufId)) {
        let mut view = |v: &View| v.buf().into_iter().for_each(&mut *f);
        match self {
            Instruction::Kernel(k) => {
                k.exprs.iter().for_each(|e| {
                    if let ExprKind::Leaf(v) = &e.kind {
                        view(v)
                    }
                });
                k.stores.iter().for_each(|s| view(&s.view));
            }
            Instruction::Operation(o) => {
                o.operator.reads().into_iter().for_each(&mut view);
                view(o.operator.out());
            }
            Instruction::Check { condition, .. } => view(condition),
            Instruction::Loop(_) | Instruction::Guard => {}
        }
    }
}

impl Loop {
    /// The buffer of what says how many iterations there are: read before the loop only, or before each iteration.
    pub fn control(&self) -> (Option<BufId>, Option<BufId>) {
        match &self.iterations {
            Iterations::All => (None, None),
            Iterations::Count(n) => (n.buf(), None),
            Iterations::While { flag, .. } => (None, flag.buf()),
        }
    }
}
