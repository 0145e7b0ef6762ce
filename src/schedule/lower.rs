//! Graph to program: walks the nodes in order, keeps for each value where it lies, and appends the steps that compute
//! it. Views cost nothing here. Results are computed where they are wanted; [`crate::schedule::order`] says when that is safe.

use crate::schedule::ScheduleError;
use crate::schedule::describe::KernelInfo;
use crate::schedule::kernel_draft::{self, Dest, Draft};
use crate::schedule::order::Order;
use crate::schedule::program::*;
use crate::schedule::view::{Base, BufId, ScalarId, View, is_one, is_zero};
use allotrope_ir::{Class, DType, Dim, Graph, Leaf, NodeId, Op, Type, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// Where a result of a graph should be written.
#[derive(Clone, Debug)]
pub struct Want {
    /// Contiguous.
    pub view: View,
    /// It lies over this input of the graph.
    pub over: Option<usize>,
}

#[derive(Default)]
pub struct Lower {
    pub program: Program,
    pub infos: Vec<KernelInfo>,
    pub(crate) steps: Vec<Step>,
    /// The loop whose body is being lowered.
    pub(crate) scan: Option<ScanId>,
    /// Buffers that a loop around us writes in place.
    pub(crate) mutable: FxHashSet<BufId>,
    /// What comes before each of the loops around.
    pub(crate) preambles: Vec<Preamble>,
}

/// Steps to run before a loop, and the matrices that they pack: from and to.
#[derive(Default)]
pub(crate) struct Preamble {
    /// The loop has one round at most.
    pub once: bool,
    pub steps: Vec<Step>,
    pub packed: Vec<(View, View)>,
}

/// The program of a whole graph.
pub fn lower(g: &Graph) -> Result<(Program, Vec<KernelInfo>), ScheduleError> {
    let mut l = Lower::default();
    let inputs: Vec<View> = (g.input_values().enumerate())
        .map(|(i, v)| View::contiguous(Base::Buf(l.buffer(Place::Input(i), g.ty(v))), g.ty(v)))
        .collect();
    let wants: Vec<Want> = (g.outputs().iter().enumerate())
        .map(|(j, o)| {
            let view = match o.update {
                Some(i) => inputs[i].clone(),
                None => View::contiguous(Base::Buf(l.buffer(Place::Output(j), g.ty(o.value))), g.ty(o.value)),
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
        from.buf().into_iter().for_each(|b| l.roots(b, &mut roots));
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
    l.program.steps = std::mem::take(&mut l.steps);
    let infos = crate::schedule::describe::in_order(&mut l.program.steps, l.infos);
    Ok((l.program, infos))
}

/// Whether two views are the same elements in the same order.
pub fn same_place(a: &View, b: &View) -> bool {
    a.base == b.base && a.offset == b.offset && a.is_contiguous() && b.is_contiguous()
}

/// The view that a view operation makes, where it needs no copy. Constants count as views of nothing.
pub fn view_op(op: &Op, x: Option<&View>) -> Option<View> {
    Some(match op.class() {
        Class::Leaf(leaf) => match leaf {
            Leaf::Input => return None,
            Leaf::Const(s) => View::scalar(Base::Const(s), s.dtype()),
            Leaf::Extent(d) => View::scalar(Base::Extent(d.clone()), DType::I64),
            Leaf::Iota(n) => View::contiguous(Base::Index, &Type::new(DType::I64, [n.clone()])),
        },
        Class::View(view) => match view {
            allotrope_ir::View::Broadcast(shape) => x?.broadcast(shape),
            allotrope_ir::View::Reshape(shape) => x?.reshape(shape)?,
            allotrope_ir::View::Permute(axes) => x?.permute(axes),
            allotrope_ir::View::Slice { axis, start, len } => x?.slice(axis, start, len),
            allotrope_ir::View::Flip(axes) => x?.flip(axes),
            allotrope_ir::View::Window { axis, count, size, step, dilation } => {
                x?.window(axis, count, size, step, dilation)
            }
        },
        Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_) => return None,
        Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => return None,
    })
}

impl Lower {
    pub(crate) fn buffer(&mut self, place: Place, ty: &Type) -> BufId {
        self.program.buffers.push(Buffer { place, dtype: ty.dtype, len: ty.numel(), owner: self.scan });
        BufId(self.program.buffers.len() as u32 - 1)
    }

    /// A fresh piece of scratch memory for a value.
    pub(crate) fn scratch(&mut self, ty: &Type) -> View {
        View::contiguous(Base::Buf(self.buffer(Place::Scratch, ty)), ty)
    }

    fn place(&self, b: BufId) -> &Place {
        &self.program.buffers[b.0 as usize].place
    }

    /// The memory that a buffer may point into.
    pub(crate) fn roots(&self, b: BufId, out: &mut SmallVec<[BufId; 4]>) {
        match self.place(b) {
            Place::Element { of, .. } => self.roots(*of, out),
            Place::Moving { into } => into.iter().for_each(|&b| self.roots(b, out)),
            _ => out.push(b),
        }
    }

    pub(crate) fn may_alias(&self, a: BufId, b: BufId) -> bool {
        if a == b {
            return true;
        }
        let (mut x, mut y) = (SmallVec::new(), SmallVec::new());
        self.roots(a, &mut x);
        self.roots(b, &mut y);
        x.iter().any(|r| y.contains(r))
    }

    /// Lowers the nodes of `g`. Returns where each of its outputs lies: in its want wherever possible.
    pub(crate) fn graph(
        &mut self,
        g: &Graph,
        inputs: &[View],
        wants: &[Option<Want>],
    ) -> Result<Vec<View>, ScheduleError> {
        let order = Order::of(g);
        self.ordered(g, &order, inputs, wants)
    }

    pub(crate) fn ordered(
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
                && matches!(d.buf().map(|b| self.place(b)), Some(Place::Output(_) | Place::Scratch))
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
                        && matches!(d.buf().map(|b| self.place(b)), Some(Place::Output(_)))
                        && !d.buf().is_some_and(|b| self.mutable.contains(&b))
                    {
                        dests.insert(first, d);
                    }
                }
            }
        }
        for &id in &order.nodes {
            self.node(g, order, id, &mut env, &dests)?;
            if self.scan.is_none() && order.guard() == Some(id) {
                self.steps.push(Step::Guard);
            }
        }
        Ok((0..g.outputs().len())
            .map(|j| match &wants.get(j) {
                Some(Some(w)) if done[j] => w.view.clone(),
                _ => env[&g.outputs()[j].value].clone(),
            })
            .collect())
    }

    fn node(
        &mut self,
        g: &Graph,
        order: &Order,
        id: NodeId,
        env: &mut FxHashMap<Value, View>,
        dests: &FxHashMap<Value, View>,
    ) -> Result<(), ScheduleError> {
        let node = g.node(id);
        let operands = g.operands(id);
        let v = Value { node: id, port: 0 };
        let dest = dests.get(&v).cloned();
        let result = match &node.op {
            Op::Input => return Ok(()),
            op @ (Op::Const(_)
            | Op::Extent(_)
            | Op::Iota(_)
            | Op::Broadcast(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Flip(_)
            | Op::Window { .. }) => {
                let x = operands.first().map(|o| &env[o]);
                view_op(op, x).ok_or_else(|| ScheduleError::bug(g, id, "no view"))?
            }
            op @ Op::Reshape(_) => {
                let x = &env[&operands[0]];
                match view_op(op, Some(x)) {
                    Some(view) => view,
                    None => {
                        let x = x.clone();
                        let x = self.materialise(&x, true);
                        view_op(op, Some(&x)).ok_or_else(|| ScheduleError::bug(g, id, "no view of a copy"))?
                    }
                }
            }
            Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) | Op::Fusion(_) => {
                let results: SmallVec<[Value; 2]> =
                    (0..node.types.len() as u32).map(|port| Value { node: id, port }).collect();
                let views = match &node.op {
                    Op::Fusion(body) => {
                        let inputs: Vec<View> = operands.iter().map(|o| env[o].clone()).collect();
                        let wanted: Vec<Option<View>> = results.iter().map(|r| dests.get(r).cloned()).collect();
                        self.fusion(body, &inputs, &wanted)?
                    }
                    _ => {
                        let known = |w: Value| env.get(&w).cloned();
                        let draft = kernel_draft::draft(g, &known, &[v])
                            .ok_or_else(|| ScheduleError::bug(g, id, "no kernel"))?;
                        self.kernel(draft, &[node.types[0].clone()], &[dest])
                    }
                };
                env.extend(results.into_iter().zip(views));
                return Ok(());
            }
            Op::Check(message) => {
                self.check(message, &env[&operands[1]]);
                env[&operands[0]].clone()
            }
            Op::Barrier(_) => env[&operands[0]].clone(),
            Op::Concat { axis } => {
                let out = dest.unwrap_or_else(|| self.scratch(&node.types[0]));
                let parts: Vec<View> = operands.iter().map(|o| env[o].clone()).collect();
                let clash = parts.iter().any(|p| p.buf().is_some_and(|b| self.may_alias(b, out.buf().unwrap_or(b))));
                let into = if clash { self.scratch(&node.types[0]) } else { out.clone() };
                let mut at = Dim::Fixed(0);
                for part in parts {
                    let len = part.shape[*axis].clone();
                    self.copy(&part, &into.slice(*axis, &at, &len));
                    at = &at + &len;
                }
                if clash {
                    self.copy(&into, &out);
                }
                out
            }
            Op::Reduce { op, axes } => {
                let x = env[&operands[0]].clone();
                let streams = x.strides.last().is_some_and(|s| is_one(s) || is_zero(s)) || x.buf().is_none();
                let draft = if streams { kernel_draft::draft(g, &|w| env.get(&w).cloned(), &[v]) } else { None };
                match draft {
                    Some(draft) => self.kernel(draft, &node.types, &[dest]).remove(0),
                    None => {
                        let x = if x.buf().is_some() { x } else { self.materialise(&x, true) };
                        let out = dest.unwrap_or_else(|| self.scratch(&node.types[0]));
                        self.unaliased(&[&x], &out, |l, out| {
                            let number = l.info("reduce", op.name(), &x.shape, &numel(&x.shape), &bytes(&[&x, out]));
                            l.steps.push(Step::Reduce(StridedReduce {
                                op: *op,
                                axes: axes.iter().copied().collect(),
                                x: x.clone(),
                                out: out.clone(),
                                number,
                            }));
                        });
                        out
                    }
                }
            }
            Op::Matmul => {
                let (a, b) = (env[&operands[0]].clone(), env[&operands[1]].clone());
                let out = dest.unwrap_or_else(|| self.scratch(&node.types[0]));
                self.matmul(&a, &b, &out, false);
                out
            }
            Op::AddMatmul => {
                let first = env[&operands[0]].clone();
                let (a, b) = (env[&operands[1]].clone(), env[&operands[2]].clone());
                let dying = self.dies(g, order, operands[0], &first);
                let out = match dest {
                    Some(d) => d,
                    None if dying => first.clone(),
                    None => self.scratch(&node.types[0]),
                };
                if same_place(&first, &out) {
                    self.matmul(&a, &b, &out, true);
                } else {
                    // The product alone has the faster entries; adding to it is the same one rounding.
                    self.unaliased(&[&a, &b, &first], &out, |l, out| {
                        l.matmul(&a, &b, out, false);
                        l.kernel(Draft::sum(&first, out), &node.types, &[Some(out.clone())]);
                    });
                }
                out
            }
            op @ (Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::ArgReduce { .. }
            | Op::ArgSort { .. }
            | Op::Recurrence { .. }
            | Op::OverlapAdd { .. }) => {
                let x: SmallVec<[View; 3]> = operands.iter().map(|o| env[o].clone()).collect();
                let dies = self.dies(g, order, operands[0], &x[0]);
                self.library(op, &x, &node.types[0], dest, dies)
                    .ok_or_else(|| ScheduleError::bug(g, id, "no kernel"))?
            }
            Op::Scan(scan) => {
                let inputs: Vec<View> = operands.iter().map(|o| env[o].clone()).collect();
                let wanted: Vec<Option<View>> =
                    (0..node.types.len() as u32).map(|port| dests.get(&Value { node: id, port }).cloned()).collect();
                let dying: Vec<bool> =
                    (0..scan.carries).map(|i| self.dies(g, order, operands[i], &inputs[i])).collect();
                let tails = crate::schedule::loops::unseen_tails(g, id, scan);
                let views = self.lower_scan(scan, &node.types, &inputs, &wanted, &dying, &tails)?;
                env.extend((0..).map(|port| Value { node: id, port }).zip(views));
                return Ok(());
            }
        };
        env.insert(v, result);
        Ok(())
    }

    /// Whether nothing but one use reads the memory of a value, so that it may be written over.
    fn dies(&self, g: &Graph, order: &Order, v: Value, view: &View) -> bool {
        let own = match &g.node(v.node).op {
            // What it gives may be what it got; a branch says when it is not.
            Op::Scan(s) => {
                s.is_branch() && {
                    let given = s.body.outputs()[v.port as usize].value;
                    (v.port as usize) < s.carries && s.body.node(given.node).op != Op::Input
                }
            }
            Op::Fusion(b) => {
                let result = b.outputs()[v.port as usize].value;
                let times = b.outputs().iter().filter(|o| o.value == result).count();
                times == 1 && b.node(result.node).op.is_computed()
            }
            op => op.is_computed(),
        };
        own && order.uses(v) == 1
            && view.is_contiguous()
            && matches!(view.buf().map(|b| self.place(b)), Some(Place::Scratch))
    }

    /// A fusion as one kernel, or node by node where one will not do.
    fn fusion(&mut self, body: &Graph, inputs: &[View], wanted: &[Option<View>]) -> Result<Vec<View>, ScheduleError> {
        let map: FxHashMap<Value, &View> = body.input_values().zip(inputs).collect();
        let known = |v: Value| map.get(&v).map(|v| (*v).clone());
        let results: Vec<Value> = body.outputs().iter().map(|o| o.value).collect();
        if let Some(draft) = kernel_draft::draft(body, &known, &results) {
            let types: Vec<Type> = results.iter().map(|v| body.ty(*v).clone()).collect();
            return Ok(self.kernel(draft, &types, wanted));
        }
        let clash =
            |l: &Lower, d: &View| inputs.iter().any(|x| x.buf().is_some_and(|b| l.may_alias(b, d.buf().unwrap_or(b))));
        let wants: Vec<Option<Want>> = (wanted.iter())
            .map(|w| w.as_ref().filter(|d| !clash(self, d)).map(|d| Want { view: d.clone(), over: None }))
            .collect();
        let mut views = self.graph(body, inputs, &wants)?;
        let late: Vec<(View, View)> = (views.iter().zip(wanted))
            .filter_map(|(v, w)| w.as_ref().filter(|w| !same_place(v, w)).map(|w| (v.clone(), w.clone())))
            .collect();
        self.copy_all(&late);
        for (view, want) in views.iter_mut().zip(wanted) {
            if let Some(want) = want {
                *view = want.clone();
            }
        }
        Ok(views)
    }

    /// Appends a kernel; its results lie in `wanted` where given.
    fn kernel(&mut self, draft: Draft, types: &[Type], wanted: &[Option<View>]) -> Vec<View> {
        let mut dests = Vec::new();
        let mut views = Vec::new();
        let mut late = Vec::new();
        for (i, ty) in types.iter().enumerate() {
            let single = draft.is_single(i);
            let mut in_place = false;
            let mut view = wanted[i].clone();
            if let Some(want) = &view {
                match self.overlap(&draft, want) {
                    Overlap::None => {}
                    Overlap::Same => in_place = true,
                    Overlap::Clash => {
                        let temp = self.scratch(ty);
                        late.push((temp.clone(), want.clone()));
                        view = Some(temp);
                    }
                }
            }
            let scalar = single.then(|| {
                self.program.scalars.push(ty.dtype);
                ScalarId(self.program.scalars.len() as u32 - 1)
            });
            if view.is_none() && !single {
                view = Some(self.scratch(ty));
            }
            views.push(match scalar {
                Some(s) => View::scalar(Base::Ssa(s), ty.dtype).broadcast(&ty.shape),
                None => wanted[i].clone().or(view.clone()).expect("a result has a place"),
            });
            dests.push(Dest { view, in_place, scalar });
        }
        let (flops, bytes) = draft.cost(&dests);
        let number = self.info("k", &draft.ops(), &draft.shape().clone(), &flops, &bytes);
        let owner = self.scan;
        let buffers = &mut self.program.buffers;
        let mut temp = |dtype: DType, len: usize| {
            buffers.push(Buffer { place: Place::Scratch, dtype, len: Dim::fixed(len), owner });
            BufId(buffers.len() as u32 - 1)
        };
        let kernel = draft.finish(number, dests, &mut temp);
        self.steps.push(Step::Kernel(kernel));
        for (from, to) in late {
            self.copy(&from, &to);
        }
        views
    }

    fn overlap(&self, draft: &Draft, want: &View) -> Overlap {
        let Some(dest) = want.buf() else { return Overlap::None };
        let mut found = Overlap::None;
        for leaf in draft.leaves() {
            let Some(b) = leaf.buf() else { continue };
            if !self.may_alias(b, dest) {
                continue;
            }
            let axes = draft.shape();
            let same = b == dest
                && leaf.offset == want.offset
                && want.shape == *axes
                && (0..axes.len()).all(|i| is_one(&axes[i]) || leaf.strides[i] == want.strides[i]);
            if !same {
                return Overlap::Clash;
            }
            found = Overlap::Same;
        }
        found
    }

    /// Runs `write` on `out`, or on a temporary copied there after, where `out` lies over an operand.
    pub(crate) fn unaliased(&mut self, reads: &[&View], out: &View, write: impl FnOnce(&mut Lower, &View)) {
        let Some(dest) = out.buf() else { return };
        if reads.iter().any(|v| v.buf().is_some_and(|b| self.may_alias(b, dest))) {
            let temp = self.scratch(&Type { dtype: out.dtype, shape: out.shape.clone() });
            write(self, &temp);
            self.copy(&temp, out);
        } else {
            write(self, out);
        }
    }

    /// Appends a copy.
    pub(crate) fn copy(&mut self, from: &View, to: &View) {
        let draft = Draft::copy(from, &to.shape);
        let dests = vec![Dest { view: Some(to.clone()), in_place: false, scalar: None }];
        let (flops, bytes) = draft.cost(&dests);
        let number = self.info("copy", "copy", &to.shape, &flops, &bytes);
        let kernel = draft.finish(number, dests, &mut |_, _| unreachable!("a copy calls nothing"));
        self.steps.push(Step::Kernel(kernel));
    }

    /// The value in contiguous memory: as it is, or copied (always, where `fresh`).
    pub(crate) fn materialise(&mut self, x: &View, fresh: bool) -> View {
        if !fresh && x.is_contiguous() {
            return x.clone();
        }
        let to = self.scratch(&Type { dtype: x.dtype, shape: x.shape.clone() });
        self.copy(x, &to);
        to
    }

    /// Notes a kernel for people; gives its number.
    pub(crate) fn info(&mut self, kind: &str, ops: &str, space: &[Dim], flops: &Dim, bytes: &Dim) -> Number {
        self.infos.push(KernelInfo {
            name: kind.to_string(),
            ops: ops.to_string(),
            space: space.to_vec(),
            flops: flops.clone(),
            bytes: bytes.clone(),
            in_loop: self.scan.is_some(),
            loops: Vec::new(),
        });
        self.infos.len() - 1
    }
}

enum Overlap {
    None,
    /// The kernel reads and writes the same positions in the same order.
    Same,
    Clash,
}

pub fn numel(shape: &[Dim]) -> Dim {
    shape.iter().fold(Dim::Fixed(1), |n, d| &n * d)
}

/// Bytes of the elements of views, those that are repeated along an axis once.
pub fn bytes(views: &[&View]) -> Dim {
    views.iter().fold(Dim::Fixed(0), |n, v| &n + &touched(v))
}

/// Bytes of the elements of a view, those that are repeated along an axis once.
pub fn touched(v: &View) -> Dim {
    let walked = v.shape.iter().zip(&v.strides).filter(|(_, s)| !is_zero(s));
    walked.fold(Dim::Fixed(v.dtype.size() as i64), |n, (d, _)| &n * d)
}
