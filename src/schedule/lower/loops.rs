//! Lowering of loops: where the carries live from iteration to iteration, and what is prepared before the first. The body is
//! lowered like any graph; this file decides only about the memory that outlives an iteration.

use crate::schedule::ScheduleError;
use crate::schedule::buffer::{BufId, Location, LoopId};
use crate::schedule::instruction::{Carry, Failure, Instruction, Iterations, Loop, Next};
use crate::schedule::lower::{Lower, Preamble, Want, same_place};
use crate::schedule::order::Order;
use crate::schedule::view::{Base, View, is_one, is_zero};
use allotrope_ir::{BinaryOp, Dim, Graph, LoopKind, NodeId, Op, Scalar, Scan, Type, Value};
use smallvec::SmallVec;

enum Kind {
    /// The body hands on what it got.
    Unchanged,
    /// The new value is also an element of the ys with this index: the next iteration reads it there.
    InYs(usize),
    /// The new value is written over the old one.
    InPlace,
    /// Two buffers in turn.
    PingPong,
}

/// For each of the ys, whether nothing reads the elements that no iteration gave: all have one, or only loops of as many
/// rounds use them.
pub(super) fn unseen_tails(g: &Graph, id: NodeId, scan: &Scan) -> Vec<bool> {
    let ys = scan.carries..g.node(id).types.len();
    if scan.kind == LoopKind::All {
        return vec![true; ys.len()];
    }
    let operands = g.operands(id);
    // The carries that are the number of iterations so far.
    let counts = |v: Value| {
        v.node == id
            && (v.port as usize) < scan.carries
            && g.node(operands[v.port as usize].node).op == Op::Const(Scalar::I64(0))
            && {
                let input = scan.body.input_values().nth(v.port as usize);
                input.is_some_and(|input| is_next(&scan.body, scan.body.outputs()[v.port as usize].value, input))
            }
    };
    let users = g.users(id);
    let unseen = |y: Value| {
        g.outputs().iter().all(|o| o.value != y)
            && users.iter().all(|&user| {
                let x = g.operands(user);
                let used = || x.iter().enumerate().filter(|(_, v)| **v == y).map(|(i, _)| i);
                match &g.node(user).op {
                    Op::Scan(s) => {
                        let as_xs = |i: usize| i >= s.carries && i < s.carries + s.xs;
                        used().next().is_none() || s.split(&x).1.is_some_and(|n| counts(*n)) && used().all(as_xs)
                    }
                    _ => used().next().is_none(),
                }
            })
    };
    ys.map(|port| unseen(Value { node: id, port: port as u32 })).collect()
}

/// Whether `v` is `x` plus 1.
fn is_next(g: &Graph, v: Value, x: Value) -> bool {
    let operands = g.operands(v.node);
    match &g.node(v.node).op {
        Op::Binary(BinaryOp::Add) => {
            let one = |v: Value| g.node(v.node).op == Op::Const(Scalar::I64(1));
            operands[0] == x && one(operands[1]) || operands[1] == x && one(operands[0])
        }
        Op::Fusion(body) => {
            let given = operands.iter().position(|o| *o == x).and_then(|i| body.input_values().nth(i));
            given.is_some_and(|given| is_next(body, body.outputs()[v.port as usize].value, given))
        }
        _ => false,
    }
}

impl Lower {
    pub(super) fn lower_loop(
        &mut self,
        scan: &Scan,
        types: &[Type],
        operands: &[View],
        wanted: &[Option<View>],
        dying: &[bool],
        unseen: &[bool],
    ) -> Result<Vec<View>, ScheduleError> {
        let id = LoopId(self.schedule.loops.len() as u32);
        self.schedule.loops.push(self.of_loop);
        let body = &scan.body;
        let order = Order::of(body);
        let outputs = body.outputs();
        let body_inputs: Vec<_> = body.input_values().collect();
        let (operands, count) = scan.split(operands);

        // A result may only be wanted over memory that the loop does not read.
        let clash = |l: &Lower, i: usize, d: &View| {
            // It may lie there when the loop begins.
            let own = |j: usize| i == j && i < scan.carries && same_place(&operands[j], d);
            let reads = |x: &View| x.buf().is_some_and(|b| l.may_alias(b, d.buf().unwrap_or(b)));
            operands.iter().enumerate().any(|(j, x)| !own(j) && reads(x))
        };
        let free: Vec<Option<View>> =
            (wanted.iter().enumerate()).map(|(i, w)| w.as_ref().filter(|d| !clash(self, i, d)).cloned()).collect();

        // The ys, and the kinds of the carries.
        let ys: Vec<View> = (scan.carries..types.len())
            .map(|port| free[port].clone().unwrap_or_else(|| self.scratch(&types[port])))
            .collect();
        let kinds: Vec<Kind> = (0..scan.carries)
            .map(|i| {
                let v = outputs[i].value;
                if v == body_inputs[i] {
                    return Kind::Unchanged;
                }
                let Some(u) = order.computed(body, v) else {
                    return if order.is_unread(i) { Kind::InPlace } else { Kind::PingPong };
                };
                let taken = |j: usize| order.computed(body, outputs[j].value) == Some(u);
                if let Some(j) = (scan.carries..outputs.len()).find(|&j| taken(j))
                    && outputs[j].value == v
                {
                    Kind::InYs(j - scan.carries)
                } else if order.may_overwrite(u, i) && !(0..i).any(taken) {
                    Kind::InPlace
                } else {
                    Kind::PingPong
                }
            })
            .collect();

        // Before the loop: initial carries, each in the place where the first iteration looks for it.
        let mut inputs: Vec<View> = Vec::with_capacity(operands.len());
        let mut carries = Vec::new();
        let mut finals: Vec<View> = Vec::new();
        let mut wants: Vec<Option<Want>> = vec![None; outputs.len()];
        let mut in_place = Vec::new();
        for (i, kind) in kinds.iter().enumerate() {
            let ty = &types[i];
            let init = &operands[i];
            match kind {
                Kind::Unchanged => {
                    inputs.push(init.clone());
                    finals.push(init.clone());
                }
                Kind::InPlace => {
                    let d = match &free[i] {
                        Some(d) => d.clone(),
                        None if dying[i] => init.clone(),
                        None => self.scratch(ty),
                    };
                    if !same_place(init, &d) {
                        self.copy(init, &d);
                    }
                    in_place.extend(d.buf());
                    wants[i] = Some(Want { view: d.clone(), over: Some(i) });
                    inputs.push(d.clone());
                    finals.push(d);
                }
                Kind::InYs(_) | Kind::PingPong => {
                    let init = self.materialise(init, false);
                    let mut into: SmallVec<[BufId; 4]> = init.buf().into_iter().collect();
                    let pair = match kind {
                        Kind::InYs(j) => {
                            into.extend(ys[*j].buf());
                            None
                        }
                        _ => {
                            let pair = [self.buffer(Location::Scratch, ty), self.buffer(Location::Scratch, ty)];
                            into.extend(pair);
                            Some(pair)
                        }
                    };
                    let current = self.buffer(Location::Moving { into }, ty);
                    let next = match pair {
                        None => Next::At(BufId(u32::MAX)),
                        Some(buffers) => {
                            let target = self.buffer(Location::Moving { into: buffers.into_iter().collect() }, ty);
                            let view = View::contiguous(Base::Buf(target), ty);
                            wants[i] = Some(Want { view, over: None });
                            Next::PingPong { target, buffers }
                        }
                    };
                    let view = View::contiguous(Base::Buf(current), ty);
                    inputs.push(view.clone());
                    finals.push(view);
                    carries.push((i, Carry { current, init, next }));
                }
            }
        }

        // What the body sees of xs and ys: the element of this iteration.
        for x in &operands[scan.carries..scan.carries + scan.xs] {
            let memory = x.buf().is_some() || is_zero(&x.strides[0]);
            let x = if memory { x.clone() } else { self.materialise(x, true) };
            inputs.push(self.element(&x, id));
        }
        inputs.extend_from_slice(&operands[scan.carries + scan.xs..]);
        for (j, y) in ys.iter().enumerate() {
            let view = self.element(y, id);
            wants[scan.carries + j] = Some(Want { view, over: None });
        }
        for (i, carry) in &mut carries {
            if let (Kind::InYs(j), Next::At(b)) = (&kinds[*i], &mut carry.next) {
                *b = wants[scan.carries + j].as_ref().and_then(|w| w.view.buf()).expect("ys lie in memory");
            }
        }

        let outside = std::mem::take(&mut self.instructions);
        let loop_outside = self.of_loop.replace(id);
        let fresh: Vec<BufId> = in_place.iter().copied().chain(ys.iter().filter_map(View::buf)).collect();
        let fresh: Vec<BufId> = fresh.into_iter().filter(|b| self.mutable.insert(*b)).collect();
        self.preambles.push(Preamble { once: scan.is_branch(), ..Preamble::default() });
        let results = self.ordered(body, &order, &inputs, &wants)?;
        for (from, want) in results.iter().zip(&wants) {
            if let Some(want) = want
                && !same_place(from, &want.view)
            {
                self.copy(from, &want.view);
            }
        }
        let preamble = self.preambles.pop().expect("pushed above");
        fresh.iter().for_each(|b| _ = self.mutable.remove(b));
        self.of_loop = loop_outside;
        let body_instructions = std::mem::replace(&mut self.instructions, outside);
        self.instructions.extend(preamble.instructions);
        let iterations = match (scan.kind, count) {
            (LoopKind::Count, Some(n)) => Iterations::Count(n.clone()),
            (LoopKind::While | LoopKind::Within, _) => {
                let limit = (scan.kind == LoopKind::Within).then(|| {
                    self.schedule.checks.push(Failure::Iterations(scan.length.clone()));
                    self.schedule.checks.len() - 1
                });
                Iterations::While { flag: inputs[0].clone(), limit }
            }
            _ => Iterations::All,
        };
        self.instructions.push(Instruction::Loop(Loop {
            id,
            length: scan.length.clone(),
            reverse: scan.reverse,
            iterations,
            carries: carries.into_iter().map(|c| c.1).collect(),
            body: body_instructions,
            tails: (ys.iter().zip(unseen)).filter(|(_, unseen)| !**unseen).map(|(y, _)| y.clone()).collect(),
        }));

        // Results that are wanted elsewhere.
        let mut views: Vec<View> = finals.into_iter().chain(ys).collect();
        let late: Vec<(View, View)> = (views.iter().zip(wanted))
            .filter_map(|(v, w)| w.as_ref().filter(|w| !same_place(v, w)).map(|w| (v.clone(), w.clone())))
            .collect();
        self.copy_all(&late);
        for (v, w) in views.iter_mut().zip(wanted) {
            if let Some(w) = w {
                *v = w.clone();
            }
        }
        Ok(views)
    }

    /// The element of the current iteration.
    fn element(&mut self, x: &View, of_loop: LoopId) -> View {
        let first = x.first();
        let (Some(of), false) = (x.buf(), is_zero(&x.strides[0])) else { return first };
        let location = Location::Element { of, offset: x.offset.clone(), stride: x.strides[0].clone(), of_loop };
        let b = self.buffer(location, &Type { dtype: x.dtype, shape: first.shape.clone() });
        View { base: Base::Buf(b), offset: Dim::Fixed(0), ..first }
    }

    /// Whether the contents of a buffer are the same in every iteration of the innermost loop.
    fn is_invariant(&self, b: BufId) -> bool {
        let buffer = &self.schedule.buffers[b.0 as usize];
        if self.mutable.contains(&b) || buffer.owner == self.of_loop {
            return false;
        }
        match &buffer.location {
            Location::Element { of, of_loop, .. } => Some(*of_loop) != self.of_loop && self.is_invariant(*of),
            // A carry of the innermost loop, or of one around it.
            Location::Moving { .. } => false,
            Location::Input(_) | Location::Output(_) | Location::Scratch => true,
        }
    }

    /// The matrix with its last axis contiguous, which is how the kernels take the right operand. Where it is the same
    /// in every iteration of the loop around, it is packed once, before it.
    pub(super) fn packed(&mut self, x: &View) -> View {
        let rank = x.shape.len();
        let fits = x.buf().is_some() && is_one(&x.strides[rank - 1]);
        if fits || x.shape[rank - 1].as_fixed() == Some(1) && x.buf().is_some() {
            return x.clone();
        }
        let invariant = self.of_loop.is_some() && x.buf().is_some_and(|b| self.is_invariant(b));
        if !invariant {
            return if x.buf().is_some() { x.clone() } else { self.materialise(x, true) };
        }
        let preamble = self.preambles.last().expect("inside a loop");
        // A branch that is not taken packs nothing.
        if preamble.once {
            return x.clone();
        }
        if let Some((_, p)) = preamble.packed.iter().find(|(from, _)| from == x) {
            return p.clone();
        }
        let of_loop = self.of_loop;
        self.of_loop = of_loop.and_then(|s| self.schedule.loops[s.0 as usize]);
        let body = std::mem::take(&mut self.instructions);
        let p = self.materialise(x, true);
        let instructions = std::mem::replace(&mut self.instructions, body);
        self.of_loop = of_loop;
        let preamble = self.preambles.last_mut().expect("inside a loop");
        preamble.instructions.extend(instructions);
        preamble.packed.push((x.clone(), p.clone()));
        p
    }
}
