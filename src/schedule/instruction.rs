//! The program between graph and machine code: buffers, and steps that run one after the other. Lowering makes it,
//! planning gives its buffers addresses, emission turns it into instructions. It holds no code and no addresses.

use crate::schedule::view::{BufId, ScalarId, View, is_one};
use allotrope_ir::{BinaryOp, CompareOp, DType, Dim, ReduceOp, Shape, UnaryOp};
use smallvec::SmallVec;

/// Why a run ended early, before it wrote any state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A check of the program's own: its message.
    Check(Box<str>),
    /// A loop goes on after as many rounds as this, and what it collects has room for no more: where it is a symbol, it
    /// may be bound to a larger number.
    Iterations(Dim),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Check(message) => f.write_str(message),
            Failure::Iterations(n) => {
                write!(f, "the loop goes on after {n} rounds, more than its results have room for")
            }
        }
    }
}

/// A loop of the program.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScanId(pub u32);

/// Where a buffer's memory comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// The caller's input; a state's update is written there too.
    Input(usize),
    /// The caller's output.
    Output(usize),
    /// Part of the scratch memory; the plan says where.
    Scratch,
    /// One element of the first axis of another buffer, for the current round of `scan`: `offset + t * step`
    /// elements from the start of `of`.
    Element { of: BufId, offset: Dim, step: Dim, scan: ScanId },
    /// An address that changes from round to round of a loop; it points into one of `into`.
    Moving { into: SmallVec<[BufId; 4]> },
}

/// A piece of memory that values lie in.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub place: Place,
    pub dtype: DType,
    /// Elements; meaningless where the memory is not ours.
    pub len: Dim,
    /// The loop inside which it is made, so that each round may use it anew.
    pub owner: Option<ScanId>,
}

#[derive(Debug, Default)]
pub struct Program {
    pub buffers: Vec<Buffer>,
    pub scalars: Vec<DType>,
    /// The enclosing loop of each loop.
    pub scans: Vec<Option<ScanId>>,
    /// What may end a run early; failure `i + 1` is number `i` here.
    pub checks: Vec<Failure>,
    pub steps: Vec<Step>,
    /// Steps that are functions of their own, see [`crate::backend::cpu::split`].
    pub parts: Vec<Vec<Step>>,
    /// Whether the code tells the time before and after each kernel, see [`crate::backend::cpu::profile`].
    pub stamps: bool,
}

/// The number of a kernel: its place among the kernels of the program, in the order in which they first run.
pub type Number = usize;

#[derive(Debug)]
pub enum Step {
    Kernel(Kernel),
    Matmul(Matmul),
    Reduce(StridedReduce),
    Library(LibraryCall),
    Scan(ScanStep),
    /// Notes that the check of this number failed where the condition, a bool, is false and none failed before.
    Check {
        number: usize,
        condition: View,
    },
    /// Ends the run where a check has failed: what follows may write states. Never in a loop.
    Guard,
    /// The steps of the part with this number.
    Part(usize),
}

impl Step {
    /// The kernel that it is.
    pub fn kernel(&self) -> Option<Number> {
        match self {
            Step::Kernel(k) => Some(k.number),
            Step::Matmul(m) => Some(m.number),
            Step::Reduce(r) => Some(r.number),
            Step::Library(c) => Some(c.number),
            _ => None,
        }
    }

    /// The kernel that it is, to be given another number.
    pub fn kernel_mut(&mut self) -> Option<&mut Number> {
        match self {
            Step::Kernel(k) => Some(&mut k.number),
            Step::Matmul(m) => Some(&mut m.number),
            Step::Reduce(r) => Some(&mut r.number),
            Step::Library(c) => Some(&mut c.number),
            _ => None,
        }
    }
}

/// `c = a b`, or `c += a b`, over batch axes. All three views have rank 2 plus the batch axes.
#[derive(Debug)]
pub struct Matmul {
    pub a: View,
    pub b: View,
    /// Its last axis has stride 1.
    pub c: View,
    pub accumulate: bool,
    pub number: Number,
}

/// A reduction over any axes, by one call.
#[derive(Debug)]
pub struct StridedReduce {
    pub op: ReduceOp,
    pub axes: SmallVec<[usize; 4]>,
    pub x: View,
    /// Contiguous.
    pub out: View,
    pub number: Number,
}

/// A call of a kernel over strided operands.
#[derive(Debug)]
pub struct LibraryCall {
    pub name: String,
    pub args: Vec<Arg>,
    pub number: Number,
}

/// What a kernel is given; every argument is one word.
#[derive(Debug)]
pub enum Arg {
    Number(Dim),
    /// The address of these numbers.
    Table(Shape),
    Read(View),
    Write(View),
}

/// A loop over the steps in `body`.
#[derive(Debug)]
pub struct ScanStep {
    pub id: ScanId,
    pub length: Dim,
    pub reverse: bool,
    pub rounds: Iterations,
    pub carries: Vec<Carry>,
    pub body: Vec<Step>,
    /// What has an element for each round, where rounds may be fewer than `length`: the elements behind are set to 0.
    pub tails: Vec<View>,
}

/// How many rounds a loop runs.
#[derive(Debug)]
pub enum Iterations {
    /// `length`.
    All,
    /// This i64, kept between 0 and `length`.
    Count(View),
    /// As long as this bool, which is a carry, is true. Where it is still true after `length` rounds, the failure of that
    /// number ends the loop.
    While { flag: View, full: Option<usize> },
}

impl ScanStep {
    /// What is read to know whether there is another round: before the loop only, or before each round.
    pub fn asks(&self) -> (Option<BufId>, Option<BufId>) {
        match &self.rounds {
            Iterations::All => (None, None),
            Iterations::Count(n) => (n.buf(), None),
            Iterations::While { flag, .. } => (None, flag.buf()),
        }
    }
}

/// An address that moves with the loop: the current value of a carry.
#[derive(Debug)]
pub struct Carry {
    /// The `Moving` buffer: inside the loop the current value, after it the final one.
    pub current: BufId,
    pub init: View,
    pub next: Next,
}

#[derive(Debug)]
pub enum Next {
    /// The next value lies in this buffer at the end of a round.
    At(BufId),
    /// The body writes to `target`, a `Moving` buffer that is each of the two in turn.
    PingPong { target: BufId, buffers: [BufId; 2] },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// The strides are along the kernel's axes.
    Leaf(View),
    Unary(UnaryOp, ExprId),
    Binary(BinaryOp, ExprId, ExprId),
    Compare(CompareOp, ExprId, ExprId),
    Select(ExprId, ExprId, ExprId),
    /// Neither from nor to a half-precision float.
    Cast(ExprId),
    /// A half-precision float as f32.
    Widen(ExprId),
    /// An f32 as a half-precision float.
    Narrow(ExprId),
    /// Over the kernel's axes from `kept` on.
    Reduce(ReduceOp, ExprId),
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub dtype: DType,
    /// Axes `0..depth` are those that the value depends on.
    pub depth: usize,
    /// Whether it needs the result of a reduction.
    pub reduced: bool,
}

impl Expr {
    pub fn args(&self) -> SmallVec<[ExprId; 3]> {
        match &self.kind {
            ExprKind::Leaf(_) => SmallVec::new(),
            ExprKind::Unary(_, a)
            | ExprKind::Cast(a)
            | ExprKind::Widen(a)
            | ExprKind::Narrow(a)
            | ExprKind::Reduce(_, a) => smallvec::smallvec![*a],
            ExprKind::Binary(_, a, b) | ExprKind::Compare(_, a, b) => smallvec::smallvec![*a, *b],
            ExprKind::Select(a, b, c) => smallvec::smallvec![*a, *b, *c],
        }
    }

    /// Whether a library kernel computes it, on a block of elements.
    pub fn is_call(&self) -> bool {
        match self.kind {
            ExprKind::Unary(op, _) => !op.is_exact(),
            ExprKind::Binary(op, ..) => !op.is_exact(),
            ExprKind::Widen(_) | ExprKind::Narrow(_) => true,
            _ => false,
        }
    }
}

/// A result of a kernel in memory; the strides are along the kernel's axes.
#[derive(Debug)]
pub struct Store {
    pub expr: ExprId,
    pub view: View,
    /// It overwrites what the kernel reads at the same positions.
    pub in_place: bool,
}

/// Where a library call reads or writes a block.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Block {
    /// A buffer of one block.
    Temp(BufId),
    /// The current block of a leaf.
    Leaf(ExprId),
    /// The current block of a store.
    Store(usize),
}

/// One pass over a block of the innermost axis: a loop that computes `roots`, then calls.
#[derive(Debug, Default)]
pub struct Stage {
    /// Expressions to write to temporaries, for the calls or for later stages.
    pub temps: Vec<(ExprId, BufId)>,
    pub stores: Vec<usize>,
    pub calls: Vec<Call>,
}

#[derive(Debug)]
pub enum Call {
    Map {
        expr: ExprId,
        args: SmallVec<[Block; 2]>,
        out: Block,
    },
    /// Feeds the block to the reduction.
    Update {
        reduce: ExprId,
        arg: Block,
    },
}

/// A nest of loops that computes expressions over `axes`.
#[derive(Debug)]
pub struct Kernel {
    /// The iteration space, collapsed.
    pub axes: Shape,
    /// Axes from here on are reduced.
    pub kept: usize,
    pub exprs: Vec<Expr>,
    pub stores: Vec<Store>,
    /// 0-dim results that stay in registers.
    pub results: Vec<(ExprId, ScalarId)>,
    /// Passes over the innermost axis; empty where nothing depends on it.
    pub stages: Vec<Stage>,
    /// Elements of one block; 0 where the innermost axis is one pass.
    pub block: usize,
    /// The reductions, and where their running states lie if they have one.
    pub states: Vec<(ExprId, Option<BufId>)>,
    /// For each expression: the block that holds it, from which stage on.
    pub filled: Vec<Option<(usize, Block)>>,
    pub number: Number,
}

impl Kernel {
    pub fn expr(&self, e: ExprId) -> &Expr {
        &self.exprs[e.0 as usize]
    }

    /// Whether all that a reduction reduces lies in one piece.
    pub fn is_dense(&self) -> bool {
        self.axes.len() == self.kept + 1 && self.block == 0
    }

    /// Where from and where to, when its innermost two axes only transpose: copy a matrix whose columns are dense to
    /// one whose rows are.
    pub fn transposes(&self) -> Option<(&View, &View)> {
        let ([Expr { kind: ExprKind::Leaf(from), .. }], [store]) = (&self.exprs[..], &self.stores[..]) else {
            return None;
        };
        let rank = self.axes.len();
        let to = &store.view;
        let fits = rank >= 2
            && from.buf().is_some()
            && from.dtype.size() >= 4
            && !store.in_place
            && is_one(&from.strides[rank - 2])
            && is_one(&to.strides[rank - 1]);
        fits.then_some((from, to))
    }
}

/// Every buffer that a view reads or writes.
pub fn buffers_of(step: &Step, f: &mut dyn FnMut(BufId)) {
    let mut view = |v: &View| v.buf().into_iter().for_each(&mut *f);
    match step {
        Step::Kernel(k) => {
            k.exprs.iter().for_each(|e| {
                if let ExprKind::Leaf(v) = &e.kind {
                    view(v)
                }
            });
            k.stores.iter().for_each(|s| view(&s.view));
            k.stages.iter().for_each(|s| {
                s.temps.iter().for_each(|t| f(t.1));
                for call in &s.calls {
                    if let Call::Map { out: Block::Temp(b), .. } = call {
                        f(*b)
                    }
                }
            });
            k.states.iter().filter_map(|s| s.1).for_each(&mut *f);
        }
        Step::Matmul(m) => [&m.a, &m.b, &m.c].into_iter().for_each(view),
        Step::Reduce(r) => [&r.x, &r.out].into_iter().for_each(view),
        Step::Library(c) => c.args.iter().for_each(|a| {
            if let Arg::Read(v) | Arg::Write(v) = a {
                view(v)
            }
        }),
        Step::Check { condition, .. } => view(condition),
        Step::Scan(_) | Step::Guard | Step::Part(_) => {}
    }
}
