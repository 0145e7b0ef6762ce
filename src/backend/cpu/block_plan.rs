//! A kernel split at its calls: the functions that are never generated (exp, tanh, casts of halves, …) and the reductions
//! work on blocks of the innermost axis, and between them run loops of plain arithmetic. Memory order is decided here: a
//! store over something that the kernel reads happens after the last read. It emits nothing.

use crate::backend::cpu::calls::STATE_BYTES;
use crate::schedule::{
    Base, BufId, Buffer, Expr, ExprId, ExprKind, Instruction, Kernel, Location, LoopId, Schedule, Temporaries, is_one,
    is_zero,
};
use allotrope_ir::{DType, Dim};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;

/// Elements of a block: 2 KiB of f32, so that several blocks stay in the first-level cache.
const BLOCK: usize = 512;

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

/// One pass over a block of the innermost axis: a loop that computes expressions, then calls.
#[derive(Debug, Default)]
pub struct Pass {
    /// Expressions to write to temporaries, for the calls or for later passes.
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

/// How the innermost axis of a kernel is walked.
#[derive(Debug, Default)]
pub struct BlockPlan {
    /// Passes over the innermost axis; empty where nothing depends on it.
    pub passes: Vec<Pass>,
    /// Elements of one block; 0 where the innermost axis is one block.
    pub block: usize,
    /// The reductions, and where their running states lie if they have one.
    pub states: Vec<(ExprId, Option<BufId>)>,
    /// For each expression: the block that holds it, from which pass on.
    pub filled: Vec<Option<(usize, Block)>>,
}

impl BlockPlan {
    /// Whether all that a reduction reduces lies in one piece.
    pub fn is_dense(&self, k: &Kernel) -> bool {
        k.axes.len() == k.kept + 1 && self.block == 0
    }
}

/// The plans of the kernels of a schedule, by their number, and the scratch that they take.
#[derive(Default)]
pub struct BlockPlans {
    plans: Vec<BlockPlan>,
    pub temporaries: Temporaries,
}

impl BlockPlans {
    pub fn of(schedule: &Schedule) -> BlockPlans {
        let mut all = BlockPlans::default();
        all.plans.resize_with(schedule.kernels.len(), BlockPlan::default);
        all.temporaries.of.resize_with(schedule.kernels.len(), SmallVec::new);
        all.walk(&schedule.instructions, None, schedule.buffers.len());
        all
    }

    pub fn of_kernel(&self, k: &Kernel) -> &BlockPlan {
        &self.plans[k.number]
    }

    fn walk(&mut self, instructions: &[Instruction], owner: Option<LoopId>, first: usize) {
        for instruction in instructions {
            match instruction {
                Instruction::Kernel(k) => {
                    let Temporaries { buffers, of } = &mut self.temporaries;
                    self.plans[k.number] = plan(k, &mut |dtype, len| {
                        let id = BufId((first + buffers.len()) as u32);
                        buffers.push(Buffer { location: Location::Scratch, dtype, len: Dim::fixed(len), owner });
                        of[k.number].push(id);
                        id
                    });
                }
                Instruction::Loop(l) => self.walk(&l.body, Some(l.id), first),
                Instruction::Operation(_) | Instruction::Check { .. } | Instruction::Guard => {}
            }
        }
    }
}

/// Whether a library kernel computes it, on a block of elements.
pub fn is_call(e: &Expr) -> bool {
    match e.kind {
        ExprKind::Unary(op, _) => !op.is_exact(),
        ExprKind::Binary(op, ..) => !op.is_exact(),
        ExprKind::Widen(_) | ExprKind::Narrow(_) => true,
        ExprKind::Leaf(_) | ExprKind::Compare(..) | ExprKind::Select(..) | ExprKind::Cast(_) | ExprKind::Reduce(..) => {
            false
        }
    }
}

fn plan(k: &Kernel, temp: &mut dyn FnMut(DType, usize) -> BufId) -> BlockPlan {
    let mut p = BlockPlan { filled: vec![None; k.exprs.len()], ..BlockPlan::default() };
    let rank = k.axes.len();
    if rank == 0 {
        return p;
    }
    for i in 0..k.exprs.len() {
        if let ExprKind::Reduce(..) = k.exprs[i].kind {
            p.states.push((ExprId(i as u32), None));
        }
    }
    let inner = |k: &Kernel, e: ExprId| k.expr(e).depth == rank && !k.expr(e).reduced;

    // The pass in whose loop a value can first be used.
    let mut avail = vec![0usize; k.exprs.len()];
    let mut last_call: Option<usize> = None;
    for i in 0..k.exprs.len() {
        let e = &k.exprs[i];
        let from = e.args().iter().map(|a| avail[a.0 as usize]).max().unwrap_or(0);
        if matches!(e.kind, ExprKind::Reduce(..)) {
            last_call = last_call.max(Some(from));
        } else if inner(k, ExprId(i as u32)) {
            avail[i] = from + usize::from(is_call(e));
            if is_call(e) {
                last_call = last_call.max(Some(from));
            }
        }
    }
    let store_pass: Vec<Option<usize>> = k
        .stores
        .iter()
        .map(|s| {
            let walks = !is_zero(&s.view.strides[rank - 1]) || inner(k, s.expr);
            let walks = walks && !k.expr(s.expr).reduced;
            walks.then(|| if s.in_place { last_call.map_or(0, |l| l + 1) } else { avail[s.expr.0 as usize] })
        })
        .collect();
    let passes = store_pass.iter().flatten().copied().chain(last_call).max().map_or(0, |s| s + 1);
    p.passes = (0..passes).map(|_| Pass::default()).collect();

    let n = k.axes[rank - 1].as_fixed();
    let one_pass = n.is_some_and(|n| n <= BLOCK);
    let len = if one_pass { n.unwrap_or(0).max(1) } else { BLOCK };
    let mut temps = false;

    // Calls: their operands in memory, their results in memory.
    let mut direct = vec![false; k.stores.len()];
    for i in 0..k.exprs.len() {
        let id = ExprId(i as u32);
        let reduce = matches!(k.exprs[i].kind, ExprKind::Reduce(..));
        let call = is_call(&k.exprs[i]) && inner(k, id);
        if !reduce && !call {
            continue;
        }
        let args = k.exprs[i].args();
        let pass = args.iter().map(|a| avail[a.0 as usize]).max().unwrap_or(0);
        let mut blocks = SmallVec::new();
        for a in args {
            let contiguous = match &k.expr(a).kind {
                ExprKind::Leaf(v) => matches!(v.base, Base::Buf(_)) && (is_one(&v.strides[rank - 1]) || n == Some(1)),
                _ => false,
            };
            let block = match p.filled[a.0 as usize] {
                Some((_, b)) => b,
                None if contiguous => Block::Leaf(a),
                None => {
                    let at = avail[a.0 as usize];
                    // Where the loop writes it down for a result anyway, the call can read it there.
                    let stored = (0..k.stores.len()).find(|&s| {
                        let store = &k.stores[s];
                        store.expr == a
                            && !store.in_place
                            && store_pass[s] == Some(at)
                            && is_one(&store.view.strides[rank - 1])
                    });
                    let block = match stored {
                        Some(s) => Block::Store(s),
                        None => {
                            let b = temp(k.expr(a).dtype, len);
                            temps = true;
                            p.passes[at].temps.push((a, b));
                            Block::Temp(b)
                        }
                    };
                    p.filled[a.0 as usize] = Some((at + 1, block));
                    block
                }
            };
            blocks.push(block);
        }
        if reduce {
            p.passes[pass].calls.push(Call::Update { reduce: id, arg: blocks[0] });
            continue;
        }
        let store = (0..k.stores.len()).find(|&s| {
            let s = &k.stores[s];
            s.expr == id && !s.in_place && is_one(&s.view.strides[rank - 1])
        });
        let out = match store {
            Some(s) => {
                direct[s] = true;
                Block::Store(s)
            }
            None => {
                temps = true;
                Block::Temp(temp(k.exprs[i].dtype, len))
            }
        };
        p.filled[i] = Some((pass + 1, out));
        p.passes[pass].calls.push(Call::Map { expr: id, args: blocks, out });
    }

    // Values that later passes read are written down where they are computed.
    for (s, pass) in store_pass.iter().enumerate() {
        if let Some(pass) = *pass
            && !direct[s]
        {
            p.passes[pass].stores.push(s);
        }
    }
    let mut work: Vec<(usize, ExprId)> = Vec::new();
    for (s, pass) in p.passes.iter().enumerate() {
        work.extend(pass.temps.iter().flat_map(|t| k.expr(t.0).args()).map(|e| (s, e)));
        work.extend(pass.stores.iter().map(|&i| (s, k.stores[i].expr)));
    }
    let mut seen: FxHashSet<(usize, ExprId)> = FxHashSet::default();
    while let Some((s, e)) = work.pop() {
        if !seen.insert((s, e)) {
            continue;
        }
        let leaf = matches!(k.expr(e).kind, ExprKind::Leaf(_));
        if leaf || !inner(k, e) || p.filled[e.0 as usize].is_some_and(|(from, _)| from <= s) {
            continue;
        }
        let at = avail[e.0 as usize];
        if at < s {
            let b = temp(k.expr(e).dtype, len);
            temps = true;
            p.passes[at].temps.push((e, b));
            p.filled[e.0 as usize] = Some((at + 1, Block::Temp(b)));
        }
        work.extend(k.expr(e).args().into_iter().map(|a| (at.min(s), a)));
    }
    p.block = if one_pass || !temps { 0 } else { BLOCK };
    // One call reduces what lies in one piece; only blocks need a running state.
    if !p.is_dense(k) {
        p.states.iter_mut().for_each(|s| s.1 = Some(temp(DType::Bool, STATE_BYTES)));
    }
    p
}
