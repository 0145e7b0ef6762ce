//! Takes work out of loops. What depends only on invariants is computed once before the loop; what depends on no
//! carry, for all iterations at once before it (the input projection of a sequence becomes one matrix product); what only
//! the ys need, for all iterations at once behind it. Per-element definitions make the bits equal ([`super::batch`]), and
//! as nothing that moves can fail, it does not matter if the loop runs no iterations. Of a loop whose number of iterations is a
//! value, only invariants move, as the iterations it has capacity for are not those that it runs; of a branch nothing does.
//!
//! Memory: a value per iteration is stored for all of them only where a product is concerned or where it replaces one that
//! is at least as big.

use super::batch::{Outer, batched, stacked};
use super::rewrite::{Rewrite, ValueMap, port, surely_at_most};
use crate::{
    AxisOp, Class, Dim, Elementwise, Graph, InputKind, Leaf, LoopKind, NodeId, Op, Scan, Type, UnaryOp, Value, View,
};
use std::collections::HashMap;

/// The graph with loops that hold only what must be in them.
pub fn hoist_loop_invariants(graph: &Graph) -> Graph {
    let mut r = Rewrite::new(graph);
    for id in graph.nodes() {
        match graph.node(id).op.class() {
            Class::Leaf(Leaf::Input) => r.copy_input(id),
            Class::Loop(s) => {
                let s = Scan { body: hoist_loop_invariants(&s.body), ..s.frame() };
                match s.is_branch() {
                    true => _ = r.copy_as(id, Op::Scan(Box::new(s))),
                    false => hoist(&mut r, id, &s),
                }
            }
            Class::Leaf(_)
            | Class::Elementwise(_)
            | Class::View(_)
            | Class::Reduction(..)
            | Class::Contraction(_)
            | Class::Axis(_)
            | Class::Check(_)
            | Class::Barrier(_)
            | Class::Fusion(_) => _ = r.copy(id),
        }
    }
    r.finish()
}

/// What a value of a body depends on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depends {
    Invariants,
    Xs,
    Carries,
}

/// Rebuilds one scan, and what moves out of it, in `r.to`.
fn hoist(r: &mut Rewrite, id: NodeId, s: &Scan) {
    let plan = Plan::of(s);
    let operands = r.operands(id);
    let (operands, count) = s.split(&operands);
    let b = &s.body;
    let inputs: Vec<Value> = b.input_values().collect();

    // What the body is given, as it is out here.
    let mut outer: HashMap<Value, Outer> = HashMap::new();
    for (i, v) in inputs.iter().enumerate() {
        if i < s.carries {
            if plan.constant_carry[i] {
                outer.insert(*v, Outer::Uniform(operands[i]));
            }
        } else if i < s.carries + s.xs {
            outer.insert(*v, Outer::Stacked(operands[i]));
        } else {
            outer.insert(*v, Outer::Uniform(operands[i]));
        }
    }
    for n in b.nodes().filter(|n| plan.before[n.0 as usize]) {
        move_out(r, s, n, &mut outer);
    }

    // The loop that is left.
    let mut body = LoopBody { s, plan: &plan, outer: &outer, graph: Graph::new(), map: HashMap::new() };
    let carries: Vec<usize> = (0..s.carries).filter(|&i| !plan.constant_carry[i]).collect();
    let mut arguments: Vec<Value> = carries.iter().map(|&i| operands[i]).collect();
    carries.iter().for_each(|&i| body.input(inputs[i]));
    let (xs, invariants) = body.needed();
    for v in xs.iter().chain(&invariants) {
        body.input(*v);
        let (Outer::Uniform(v) | Outer::Stacked(v)) = outer[v];
        arguments.push(v);
    }
    arguments.extend(count);
    body.nodes();
    let outputs = carries.iter().map(|&i| b.outputs()[i].value).chain(plan.collected.iter().copied());
    let outputs: Vec<Value> = outputs.map(|v| body.map[&v]).collect();
    let body = body.graph.with_outputs(outputs);
    if !body.outputs().is_empty() || body.has_effects() {
        let carry_count = carries.len();
        let scan = Scan { body, carries: carry_count, xs: xs.len(), ..s.frame() };
        let node = r.to.add(Op::Scan(Box::new(scan)), &arguments).unwrap_or_else(|e| {
            panic!("bug in this library: hoisting built a wrong scan: {e}");
        });
        for (i, &c) in carries.iter().enumerate() {
            r.set(port(id, c), port(node, i));
        }
        for (i, v) in plan.collected.iter().enumerate() {
            outer.insert(*v, Outer::Stacked(port(node, carry_count + i)));
        }
    }
    for i in (0..s.carries).filter(|&i| plan.constant_carry[i]) {
        r.set(port(id, i), operands[i]);
    }

    // What follows from the ys.
    for n in b.nodes().filter(|n| plan.behind[n.0 as usize]) {
        move_out(r, s, n, &mut outer);
    }
    for (i, o) in b.outputs().iter().enumerate().skip(s.carries) {
        let y = stacked(&mut r.to, &s.length, (outer[&o.value], b.ty(o.value)));
        r.set(port(id, i), y);
    }
}

/// Computes a node of the body out of the loop.
fn move_out(r: &mut Rewrite, s: &Scan, n: NodeId, outer: &mut HashMap<Value, Outer>) {
    let b = &s.body;
    let operands = b.operands(n);
    if operands.iter().any(|v| matches!(outer[v], Outer::Stacked(_))) {
        let x: Vec<(Outer, &Type)> = operands.iter().map(|v| (outer[v], b.ty(*v))).collect();
        let result = batched(&mut r.to, &s.length, &b.node(n).op, &x);
        outer.insert(port(n, 0), result);
        return;
    }
    let x: Vec<Value> = operands
        .iter()
        .map(|v| {
            let (Outer::Uniform(v) | Outer::Stacked(v)) = outer[v];
            v
        })
        .collect();
    let node = r.to.add_typed(b.node(n).op.clone(), b.node(n).types.clone(), &x);
    for p in 0..b.node(n).types.len() {
        outer.insert(port(n, p), Outer::Uniform(port(node, p)));
    }
}

/// What of a scan goes where.
struct Plan {
    constant_carry: Vec<bool>,
    /// Nodes computed before the loop.
    before: Vec<bool>,
    /// Nodes computed behind the loop.
    behind: Vec<bool>,
    /// Nodes that remain in the loop.
    inside: Vec<bool>,
    /// Values of the body that the loop collects.
    collected: Vec<Value>,
    /// Nodes whose results are known before the loop.
    available: Vec<bool>,
    /// Nodes that are, or depend on, a product that can move before the loop.
    from_product: Vec<bool>,
    depends: Vec<Depends>,
    /// Whether all iterations that there is capacity for are run.
    every_iteration: bool,
}

impl Plan {
    fn of(s: &Scan) -> Plan {
        let b = &s.body;
        let inputs: Vec<Value> = b.input_values().collect();
        let mut constant_carry: Vec<bool> = (0..s.carries).map(|i| b.outputs()[i].value == inputs[i]).collect();
        if s.is_while() {
            constant_carry[0] = false;
        }
        let mut depends = vec![Depends::Invariants; b.len()];
        for (i, v) in inputs.iter().enumerate() {
            depends[v.node.0 as usize] = match i {
                i if i < s.carries && !constant_carry[i] => Depends::Carries,
                i if i >= s.carries && i < s.carries + s.xs => Depends::Xs,
                _ => Depends::Invariants,
            };
        }
        for n in b.nodes() {
            for v in b.operands(n) {
                depends[n.0 as usize] = depends[n.0 as usize].max(depends[v.node.0 as usize]);
            }
        }
        let mut plan = Plan {
            constant_carry,
            before: vec![false; b.len()],
            behind: vec![false; b.len()],
            inside: vec![false; b.len()],
            collected: Vec::new(),
            available: vec![false; b.len()],
            from_product: vec![false; b.len()],
            depends,
            every_iteration: s.kind == LoopKind::All,
        };
        plan.find_available(b, true);
        if plan.stores_more(s) {
            plan.find_available(b, false);
        }
        plan.place_ys(s);
        plan.place_rest(s);
        plan
    }

    /// Whether the loop would be given more for each iteration than it is given as xs, products aside.
    fn stores_more(&self, s: &Scan) -> bool {
        let b = &s.body;
        let mut given = Dim::Fixed(0);
        for v in b.input_values().skip(s.carries).take(s.xs) {
            given = &given + &bytes(b.ty(v));
        }
        let mut used = vec![false; b.len()];
        for n in b.nodes().filter(|n| !self.available[n.0 as usize]) {
            b.operands(n).iter().for_each(|v| used[v.node.0 as usize] = true);
        }
        let mut stored = Dim::Fixed(0);
        for n in b.nodes() {
            let i = n.0 as usize;
            let new = self.available[i] && self.depends[i] == Depends::Xs && b.node(n).op != Op::Input;
            if used[i] && new && !self.from_product[i] {
                stored = &stored + &bytes(b.ty(port(n, 0)));
            }
        }
        !surely_at_most(&stored, &given)
    }

    /// Which results can and should be had before the loop; those of the xs, other than products, what these need
    /// and what follows from them, only where `all`.
    fn find_available(&mut self, b: &Graph, all: bool) {
        // What a product needs goes with it, whatever its size.
        let mut for_product = vec![false; b.len()];
        let mut movable = vec![false; b.len()];
        for n in b.nodes() {
            let i = n.0 as usize;
            let op = &b.node(n).op;
            movable[i] = match self.depends[i] {
                _ if *op == Op::Input => self.depends[i] != Depends::Carries,
                Depends::Carries => false,
                Depends::Xs => self.every_iteration && op.is_batchable() && !can_fail(b, n),
                Depends::Invariants => !can_fail(b, n),
            } && b.operands(n).iter().all(|v| movable[v.node.0 as usize]);
        }
        for n in b.nodes().rev() {
            let i = n.0 as usize;
            for_product[i] |= movable[i] && is_product(&b.node(n).op);
            if for_product[i] {
                b.operands(n).iter().for_each(|v| for_product[v.node.0 as usize] = true);
            }
        }
        for n in b.nodes() {
            let i = n.0 as usize;
            let product = is_product(&b.node(n).op);
            self.from_product[i] =
                product && movable[i] || b.operands(n).iter().any(|v| self.from_product[v.node.0 as usize]);
            let small = || {
                // Not larger than something that is stored for every iteration anyway.
                let stacked = b.operands(n).into_iter().filter(|v| {
                    let i = v.node.0 as usize;
                    self.depends[i] == Depends::Xs && (all || self.from_product[i])
                });
                let size = bytes(b.ty(port(n, 0)));
                stacked.into_iter().any(|v| surely_at_most(&size, &bytes(b.ty(v))))
            };
            self.available[i] = movable[i]
                && b.operands(n).iter().all(|v| self.available[v.node.0 as usize])
                && (b.node(n).op == Op::Input || self.depends[i] == Depends::Invariants || for_product[i] || small());
        }
    }

    /// Which ys are collected by the loop and which follow from others behind it.
    fn place_ys(&mut self, s: &Scan) {
        let b = &s.body;
        let mut for_carries = vec![false; b.len()];
        for o in &b.outputs()[..s.carries] {
            for_carries[o.value.node.0 as usize] = true;
        }
        for n in b.nodes().filter(|n| b.node(*n).op.has_effect()) {
            for_carries[n.0 as usize] = true;
        }
        close_over_operands(b, &mut for_carries, |_| true);
        // A value that the loop computes anyway, or that only the loop can compute.
        let frontier = |n: NodeId| {
            let op = &b.node(n).op;
            for_carries[n.0 as usize] || *op == Op::Input || !op.is_batchable() || can_fail(b, n)
        };
        let ys: Vec<Value> = b.outputs()[s.carries..].iter().map(|o| o.value).collect();
        if !self.every_iteration {
            // Which iterations ran is seen in each of them.
            for y in ys {
                if !self.collected.contains(&y) {
                    self.collected.push(y);
                }
            }
            return;
        }
        let is_known = |plan: &Plan, v: Value| {
            let i = v.node.0 as usize;
            plan.available[i] || plan.behind[i] || plan.collected.contains(&v)
        };
        for y in ys.iter().filter(|y| frontier(y.node)) {
            if !is_known(self, *y) {
                self.collected.push(*y);
            }
        }
        for y in ys {
            if is_known(self, y) {
                continue;
            }
            let moves = |n: NodeId| !frontier(n) && !is_known(self, port(n, 0));
            let mut cone = vec![false; b.len()];
            cone[y.node.0 as usize] = true;
            close_over_operands(b, &mut cone, moves);
            let moved: Vec<NodeId> = b.nodes().filter(|n| cone[n.0 as usize] && moves(*n)).collect();
            let mut wanted: Vec<Value> = Vec::new();
            for v in moved.iter().flat_map(|n| b.operands(*n)) {
                if frontier(v.node) && !is_known(self, v) && !wanted.contains(&v) {
                    wanted.push(v);
                }
            }
            let size = wanted.iter().fold(Dim::Fixed(0), |sum, v| &sum + &bytes(b.ty(*v)));
            let smaller = surely_at_most(&size, &bytes(b.ty(y)));
            let any = |is: fn(&Op) -> bool| moved.iter().any(|n| is(&b.node(*n).op));
            // A product over all iterations is worth one value more.
            let worth = wanted.is_empty() || smaller && any(is_heavy) || wanted.len() == 1 && any(is_product);
            if worth {
                self.collected.extend(wanted);
                moved.into_iter().for_each(|n| self.behind[n.0 as usize] = true);
            } else {
                self.collected.push(y);
            }
        }
    }

    /// What must remain in the loop, and what of the available is computed at all.
    fn place_rest(&mut self, s: &Scan) {
        let b = &s.body;
        // What is computed before the loop and handed to it; a cheap value is recomputed in it only where it is not handed over.
        let mut handed = vec![false; b.len()];
        let roots = (0..s.carries).filter(|&i| !self.constant_carry[i]).map(|i| b.outputs()[i].value);
        for v in roots.chain(self.collected.iter().copied()) {
            self.inside[v.node.0 as usize] |= !self.available[v.node.0 as usize];
            handed[v.node.0 as usize] |= self.available[v.node.0 as usize];
        }
        // An effect takes place in its iteration.
        for n in b.nodes().filter(|n| b.node(*n).op.has_effect()) {
            self.inside[n.0 as usize] = true;
        }
        for o in &b.outputs()[s.carries..] {
            self.before[o.value.node.0 as usize] |= self.available[o.value.node.0 as usize];
        }
        for n in b.nodes().rev() {
            let i = n.0 as usize;
            if handed[i] {
                (self.before[i], self.inside[i]) = (true, false);
            }
            for v in b.operands(n) {
                let j = v.node.0 as usize;
                if self.inside[i] {
                    // A fusion expands a small value better than it reads a big one.
                    let operand = &b.node(v.node).op;
                    let expands = matches!(operand, Op::Broadcast(_));
                    let cheap = matches!(operand, Op::Const(_) | Op::Extent(_))
                        || expands && b.node(n).op.is_elementwise() && self.depends[j] == Depends::Invariants;
                    self.inside[j] |= !self.available[j] || cheap;
                    handed[j] |= self.available[j] && !cheap;
                }
                if self.before[i] || self.behind[i] {
                    self.before[j] |= self.available[j];
                }
            }
        }
        for n in b.nodes().filter(|n| b.node(*n).op == Op::Input) {
            self.before[n.0 as usize] = false;
            self.inside[n.0 as usize] = false;
        }
    }
}

/// Adds the operands of every marked node for which `through` holds, and theirs.
fn close_over_operands(b: &Graph, marked: &mut [bool], through: impl Fn(NodeId) -> bool) {
    for n in b.nodes().rev() {
        if marked[n.0 as usize] && through(n) {
            b.operands(n).iter().for_each(|v| marked[v.node.0 as usize] = true);
        }
    }
}

fn bytes(ty: &Type) -> Dim {
    &Dim::fixed(ty.dtype.size()) * &ty.numel()
}

fn is_product(op: &Op) -> bool {
    matches!(op.class(), Class::Contraction(_))
}

/// What gains by being done for all steps at once, even if that takes another pass over memory.
fn is_heavy(op: &Op) -> bool {
    match op.class() {
        Class::Contraction(_) | Class::Reduction(..) => true,
        Class::Axis(a) => match a {
            AxisOp::Recurrence { .. } | AxisOp::ArgReduce { .. } => true,
            AxisOp::ArgSort { .. } | AxisOp::OverlapAdd { .. } => true,
            AxisOp::Concat { .. } | AxisOp::Gather { .. } | AxisOp::Scatter { .. } => false,
        },
        Class::Elementwise(e) => match e {
            Elementwise::Unary(u) => !u.is_exact() || u == UnaryOp::Sqrt,
            Elementwise::Binary(b) => !b.is_exact(),
            Elementwise::Compare(_) | Elementwise::Select | Elementwise::Cast(_) => false,
        },
        Class::Leaf(_) | Class::View(_) | Class::Check(_) | Class::Barrier(_) => false,
        Class::Loop(_) | Class::Fusion(_) => false,
    }
}

/// Whether running a node can be an error, so that it must not run when the loop does not.
fn can_fail(b: &Graph, n: NodeId) -> bool {
    match b.node(n).op.class() {
        Class::View(view) => match view {
            View::Slice { axis, start, len } => !surely_at_most(&(start + len), &b.ty(b.operands(n)[0]).shape[axis]),
            View::Broadcast(_) | View::Reshape(_) | View::Permute(_) | View::Flip(_) | View::Window { .. } => false,
        },
        Class::Check(_) => true,
        // A loop without a bound need not end.
        Class::Loop(s) => s.is_while() || s.body.nodes().any(|n| can_fail(&s.body, n)),
        Class::Fusion(body) => body.nodes().any(|n| can_fail(body, n)),
        // Indices lie in their axis, a check sees to that.
        Class::Leaf(_) | Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) => false,
        Class::Axis(_) | Class::Barrier(_) => false,
    }
}

/// The body of the loop that is left, under construction.
struct LoopBody<'a> {
    s: &'a Scan,
    plan: &'a Plan,
    outer: &'a HashMap<Value, Outer>,
    graph: Graph,
    map: HashMap<Value, Value>,
}

impl LoopBody<'_> {
    /// The values that the loop captures: one element for each iteration, and invariants.
    fn needed(&self) -> (Vec<Value>, Vec<Value>) {
        let b = &self.s.body;
        let mut seen: ValueMap<bool> = ValueMap::new(b, false);
        let (mut xs, mut invariants) = (Vec::new(), Vec::new());
        let mut need = |v: Value| {
            let local = self.plan.inside[v.node.0 as usize] || self.map.contains_key(&v);
            if local || std::mem::replace(seen.get_mut(v), true) {
                return;
            }
            match self.outer[&v] {
                Outer::Stacked(_) => xs.push(v),
                Outer::Uniform(_) => invariants.push(v),
            }
        };
        for n in b.nodes().filter(|n| self.plan.inside[n.0 as usize]) {
            b.operands(n).into_iter().for_each(&mut need);
        }
        let carries = (0..self.s.carries).filter(|&i| !self.plan.constant_carry[i]);
        carries.map(|i| b.outputs()[i].value).for_each(&mut need);
        self.plan.collected.iter().copied().for_each(&mut need);
        (xs, invariants)
    }

    /// Makes a value of the old body an input, under its old name where it was one.
    fn input(&mut self, v: Value) {
        let b = &self.s.body;
        let name = b.inputs().iter().find(|i| i.node == v.node).map_or("", |i| &i.name);
        let new = self.graph.input(b.ty(v).clone(), InputKind::Arg, name);
        self.map.insert(v, new);
    }

    fn nodes(&mut self) {
        let b = &self.s.body;
        for n in b.nodes().filter(|n| self.plan.inside[n.0 as usize]) {
            let operands: Vec<Value> = b.operands(n).iter().map(|v| self.map[v]).collect();
            let new = self.graph.add_typed(b.node(n).op.clone(), b.node(n).types.clone(), &operands);
            for p in 0..b.node(n).types.len() {
                self.map.insert(port(n, p), port(new, p));
            }
        }
    }
}
