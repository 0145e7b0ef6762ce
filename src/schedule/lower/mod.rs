//! Graph to schedule: walks the nodes in order, keeps for each value where it lies, and appends the instructions that
//! compute it. Views cost nothing here. Results are computed where they are wanted; [`crate::schedule::order`] says when
//! that is safe.

mod draft;
mod factor;
mod kernel;
mod loops;
mod node;
mod operator;

use crate::schedule::alias;
use crate::schedule::buffer::{BufId, Buffer, Location, LoopId};
use crate::schedule::content::{Output, Schedule};
use crate::schedule::error::ScheduleError;
use crate::schedule::info::{self, KernelInfo};
use crate::schedule::instruction::Instruction;
use crate::schedule::order::Order;
use crate::schedule::view::{Base, View};

use allotrope_ir::{Graph, Op, Type, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// Where a result of a graph should be written.
#[derive(Clone, Debug)]
struct Want {
    /// Contiguous.
    view: View,
    /// It lies over this input of the graph.
    over: Option<usize>,
}

/// A schedule in the making.
#[derive(Default)]
struct Lower {
    schedule: Schedule,
    infos: Vec<KernelInfo>,
    instructions: Vec<Instruction>,
    /// The loop whose body is being lowered.
    of_loop: Option<LoopId>,
    /// Buffers that a loop around us writes in place.
    mutable: FxHashSet<BufId>,
    /// What comes before each of the loops around.
    preambles: Vec<Preamble>,
}

/// Instructions to run before a loop, and the matrices that they pack: from and to.
#[derive(Default)]
struct Preamble {
    /// The loop has one iteration at most.
    once: bool,
    instructions: Vec<Instruction>,
    packed: Vec<(View, View)>,
}

impl Schedule {
    /// The schedule of a checked graph, optimised or not.
    ///
    /// # Errors
    /// None of them is a mistake in the user's program: a broken invariant of this library.
    pub fn of(graph: &Graph) -> Result<Schedule, ScheduleError> {
        lower(graph)
    }
}

fn lower(g: &Graph) -> Result<Schedule, ScheduleError> {
    let mut l = Lower::default();
    l.schedule.inputs = g.input_values().map(|v| g.ty(v).clone()).collect();
    l.schedule.outputs = g.outputs().iter().map(|o| Output { ty: g.ty(o.value).clone(), update: o.update }).collect();
    l.schedule.symbols = g.symbols().last().map_or(0, |s| s.0 as usize + 1);
    let inputs: Vec<View> = (g.input_values().enumerate())
        .map(|(i, v)| View::contiguous(Base::Buf(l.buffer(Location::Input(i), g.ty(v))), g.ty(v)))
        .collect();
    let wants: Vec<Want> = (g.outputs().iter().enumerate())
        .map(|(j, o)| {
            let view = match o.update {
                Some(i) => inputs[i].clone(),
                None => View::contiguous(Base::Buf(l.buffer(Location::Output(j), g.ty(o.value))), g.ty(o.value)),
            };
            Want { view, over: o.update }
        })
        .collect();
    // No state may be written while a check could still fail: what is computed before the guard is copied after it.
    let order = Order::of(g);
    let direct: Vec<Option<Want>> = (g.outputs().iter().zip(&wants))
        .map(|(o, want)| {
            let early = order.computed(g, o.value).is_some_and(|v| order.is_before_guard(v));
            (want.over.is_none() || !early).then(|| want.clone())
        })
        .collect();
    let results = l.ordered(g, &order, &inputs, &direct)?;

    // What could not be computed in place is copied now. All reads of states come before all writes of states.
    let moves: Vec<(View, View, bool)> = results
        .into_iter()
        .zip(wants)
        .map(|(from, want)| (from, want.view, want.over.is_some()))
        .filter(|(from, to, _)| !same_place(from, to))
        .collect();
    let mut late = Vec::new();
    for (from, to, _) in moves.iter().filter(|m| !m.2) {
        l.copy(from, to);
    }
    // States are inputs, which nothing stands between.
    let states: FxHashSet<BufId> = moves.iter().filter(|m| m.2).filter_map(|m| m.1.buf()).collect();
    for (from, to, _) in moves.iter().filter(|m| m.2) {
        let mut roots = SmallVec::new();
        from.buf().into_iter().for_each(|b| alias::roots(&l.schedule.buffers, b, &mut roots));
        if roots.iter().any(|b| states.contains(b)) {
            let from = l.materialise(from, true);
            late.push((from, to));
        } else {
            late.push((from.clone(), to));
        }
    }
    for (from, to) in late {
        l.copy(&from, to);
    }
    l.schedule.instructions = l.instructions;
    l.schedule.kernels = info::in_order(&mut l.schedule.instructions, l.infos);
    Ok(l.schedule)
}

/// Whether two views are the same elements in the same order.
fn same_place(a: &View, b: &View) -> bool {
    a.base == b.base && a.offset == b.offset && a.is_contiguous() && b.is_contiguous()
}

impl Lower {
    fn buffer(&mut self, location: Location, ty: &Type) -> BufId {
        self.schedule.buffers.push(Buffer { location, dtype: ty.dtype, len: ty.numel(), owner: self.of_loop });
        BufId(self.schedule.buffers.len() as u32 - 1)
    }

    /// Fresh scratch memory for a value.
    fn scratch(&mut self, ty: &Type) -> View {
        View::contiguous(Base::Buf(self.buffer(Location::Scratch, ty)), ty)
    }

    fn location(&self, b: BufId) -> &Location {
        &self.schedule.buffer(b).location
    }

    fn may_alias(&self, a: BufId, b: BufId) -> bool {
        alias::may_alias(&self.schedule.buffers, a, b)
    }

    /// Lowers the nodes of `g`. Returns where each of its outputs lies: in its want wherever possible.
    fn graph(&mut self, g: &Graph, inputs: &[View], wants: &[Option<Want>]) -> Result<Vec<View>, ScheduleError> {
        let order = Order::of(g);
        self.ordered(g, &order, inputs, wants)
    }

    fn ordered(
        &mut self,
        g: &Graph,
        order: &Order,
        inputs: &[View],
        wants: &[Option<Want>],
    ) -> Result<Vec<View>, ScheduleError> {
        let mut env: FxHashMap<Value, View> = g.input_values().zip(inputs.iter().cloned()).collect();
        let mut dests: FxHashMap<Value, View> = FxHashMap::default();
        let mut done = vec![false; wants.len()];
        for (j, want) in wants.iter().enumerate() {
            let Some(want) = want else { continue };
            let Some(v) = order.computed(g, g.outputs()[j].value) else { continue };
            if !dests.contains_key(&v) && want.over.is_none_or(|i| order.may_overwrite(v, i)) {
                dests.insert(v, View::contiguous(want.view.base.clone(), g.ty(v)).with_offset(&want.view.offset));
                done[j] = true;
            }
        }
        for &id in order.nodes.iter().rev() {
            // The sum of a product begins as its first operand, as what is scattered into does: let that be computed
            // in place.
            if matches!(g.node(id).op, Op::AddMatmul | Op::Scatter { .. })
                && let Some(d) = dests.get(&Value { node: id, port: 0 }).cloned()
                && let first = g.operands(id)[0]
                && order.uses(first) == 1
                && order.computed(g, first) == Some(first)
                && !dests.contains_key(&first)
                && matches!(d.buf().map(|b| self.location(b)), Some(Location::Output(_) | Location::Scratch))
                && !d.buf().is_some_and(|b| self.mutable.contains(&b))
            {
                dests.insert(first, d);
            }
            // What a branch leaves as it was, where it is not taken.
            if let Op::Scan(s) = &g.node(id).op
                && s.is_branch()
            {
                for (port, first) in g.operands(id).into_iter().take(s.carries).enumerate() {
                    if let Some(d) = dests.get(&Value { node: id, port: port as u32 }).cloned()
                        && order.uses(first) == 1
                        && order.computed(g, first) == Some(first)
                        && !dests.contains_key(&first)
                        && matches!(d.buf().map(|b| self.location(b)), Some(Location::Output(_)))
                        && !d.buf().is_some_and(|b| self.mutable.contains(&b))
                    {
                        dests.insert(first, d);
                    }
                }
            }
        }
        for &id in &order.nodes {
            self.node(g, order, id, &mut env, &dests)?;
            if self.of_loop.is_none() && order.guard() == Some(id) {
                self.instructions.push(Instruction::Guard);
            }
        }
        Ok((0..g.outputs().len())
            .map(|j| match &wants.get(j) {
                Some(Some(w)) if done[j] => w.view.clone(),
                _ => env[&g.outputs()[j].value].clone(),
            })
            .collect())
    }
}
