//! Splits a kernel at its calls: the functions that are never generated (exp, tanh, casts of halves, …) and the reductions work on
//! blocks of the innermost axis, and between them run loops of plain arithmetic. Memory order is decided here:
//! a store over something that the kernel reads happens after the last read.

use crate::schedule::program::{Block, Call, ExprId, ExprKind, Kernel, Stage};
use crate::schedule::view::{Base, BufId, is_one, is_zero};
use allotrope_ir::DType;
use rustc_hash::FxHashSet;

/// Elements of a block: 2 KiB of f32, so that several blocks stay in the first-level cache.
const BLOCK: usize = 512;

/// Bytes of a reduction's running state.
pub const STATE_BYTES: usize = crate::backend::cpu::calls::STATE_BYTES;

/// Fills in `stages`, `block`, `states` and `filled`.
pub fn plan(k: &mut Kernel, temp: &mut dyn FnMut(DType, usize) -> BufId) {
    let rank = k.axes.len();
    if rank == 0 {
        return;
    }
    for i in 0..k.exprs.len() {
        if let ExprKind::Reduce(..) = k.exprs[i].kind {
            k.states.push((ExprId(i as u32), None));
        }
    }
    let inner = |k: &Kernel, e: ExprId| k.expr(e).depth == rank && !k.expr(e).reduced;

    // The stage in whose loop a value can first be used.
    let mut avail = vec![0usize; k.exprs.len()];
    let mut last_call: Option<usize> = None;
    for i in 0..k.exprs.len() {
        let e = &k.exprs[i];
        let from = e.args().iter().map(|a| avail[a.0 as usize]).max().unwrap_or(0);
        if matches!(e.kind, ExprKind::Reduce(..)) {
            last_call = last_call.max(Some(from));
        } else if inner(k, ExprId(i as u32)) {
            avail[i] = from + usize::from(e.is_call());
            if e.is_call() {
                last_call = last_call.max(Some(from));
            }
        }
    }
    let store_stage: Vec<Option<usize>> = k
        .stores
        .iter()
        .map(|s| {
            let walks = !is_zero(&s.view.strides[rank - 1]) || inner(k, s.expr);
            let walks = walks && !k.expr(s.expr).reduced;
            walks.then(|| if s.in_place { last_call.map_or(0, |l| l + 1) } else { avail[s.expr.0 as usize] })
        })
        .collect();
    let stages = store_stage.iter().flatten().copied().chain(last_call).max().map_or(0, |s| s + 1);
    k.stages = (0..stages).map(|_| Stage::default()).collect();

    let n = k.axes[rank - 1].as_fixed();
    let one_pass = n.is_some_and(|n| n <= BLOCK);
    let len = if one_pass { n.unwrap_or(0).max(1) } else { BLOCK };
    let mut temps = false;

    // Calls: their operands in memory, their results in memory.
    let mut direct = vec![false; k.stores.len()];
    for i in 0..k.exprs.len() {
        let id = ExprId(i as u32);
        let reduce = matches!(k.exprs[i].kind, ExprKind::Reduce(..));
        let call = k.exprs[i].is_call() && inner(k, id);
        if !reduce && !call {
            continue;
        }
        let args = k.exprs[i].args();
        let stage = args.iter().map(|a| avail[a.0 as usize]).max().unwrap_or(0);
        let mut blocks = smallvec::SmallVec::new();
        for a in args {
            let contiguous = match &k.expr(a).kind {
                ExprKind::Leaf(v) => matches!(v.base, Base::Buf(_)) && (is_one(&v.strides[rank - 1]) || n == Some(1)),
                _ => false,
            };
            let block = match k.filled[a.0 as usize] {
                Some((_, b)) => b,
                None if contiguous => Block::Leaf(a),
                None => {
                    let at = avail[a.0 as usize];
                    // Where the loop writes it down for a result anyway, the call can read it there.
                    let stored = (0..k.stores.len()).find(|&s| {
                        let store = &k.stores[s];
                        store.expr == a
                            && !store.in_place
                            && store_stage[s] == Some(at)
                            && is_one(&store.view.strides[rank - 1])
                    });
                    let block = match stored {
                        Some(s) => Block::Store(s),
                        None => {
                            let b = temp(k.expr(a).dtype, len);
                            temps = true;
                            k.stages[at].temps.push((a, b));
                            Block::Temp(b)
                        }
                    };
                    k.filled[a.0 as usize] = Some((at + 1, block));
                    block
                }
            };
            blocks.push(block);
        }
        if reduce {
            k.stages[stage].calls.push(Call::Update { reduce: id, arg: blocks[0] });
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
        k.filled[i] = Some((stage + 1, out));
        k.stages[stage].calls.push(Call::Map { expr: id, args: blocks, out });
    }

    // Values that later stages read are written down where they are computed.
    for (s, stage) in store_stage.iter().enumerate() {
        if let Some(stage) = *stage
            && !direct[s]
        {
            k.stages[stage].stores.push(s);
        }
    }
    let mut work: Vec<(usize, ExprId)> = Vec::new();
    for (s, stage) in k.stages.iter().enumerate() {
        work.extend(stage.temps.iter().flat_map(|t| k.expr(t.0).args()).map(|e| (s, e)));
        work.extend(stage.stores.iter().map(|&i| (s, k.stores[i].expr)));
    }
    let mut seen: FxHashSet<(usize, ExprId)> = FxHashSet::default();
    while let Some((s, e)) = work.pop() {
        if !seen.insert((s, e)) {
            continue;
        }
        let leaf = matches!(k.expr(e).kind, ExprKind::Leaf(_));
        if leaf || !inner(k, e) || k.filled[e.0 as usize].is_some_and(|(from, _)| from <= s) {
            continue;
        }
        let at = avail[e.0 as usize];
        if at < s {
            let b = temp(k.expr(e).dtype, len);
            temps = true;
            k.stages[at].temps.push((e, b));
            k.filled[e.0 as usize] = Some((at + 1, Block::Temp(b)));
        }
        work.extend(k.expr(e).args().into_iter().map(|a| (at.min(s), a)));
    }
    k.block = if one_pass || !temps { 0 } else { BLOCK };
    // One call reduces what lies in one piece; only pieces need a running state.
    if !k.is_dense() {
        k.states.iter_mut().for_each(|s| s.1 = Some(temp(DType::Bool, STATE_BYTES)));
    }
}
