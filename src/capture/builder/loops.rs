//! Values that cross the boundary of a loop body: from around it, where they become inputs of the body; and out of a body
//! that has ended into the loop that is its backward pass, where they are collected per iteration, or recomputed outside
//! if the loop does not change them. No operation is recorded here but those copies.

use crate::capture::builder::GraphBuilder;
use crate::capture::event::Made;
use crate::error::{Error, Result};
use allotrope_ir::{InputKind, LoopKind, NodeId, Op, Scan, Type, Value};
use smallvec::SmallVec;

impl GraphBuilder {
    /// The value `v` of scope `from` as a value of the open scope `into`.
    pub(crate) fn import(&mut self, from: usize, v: Value, into: usize) -> Result<Value> {
        if from == into {
            return Ok(v);
        }
        if self.encloses(from, into) {
            let parent = self.scopes[into].parent.expect("an enclosed builder has a parent");
            let outer = self.import(from, v, parent)?;
            return Ok(self.import_from_parent(outer, parent, into));
        }
        self.import_from_closed(from, v, into)
    }

    fn is_branch(&self, i: usize) -> bool {
        self.scopes[i].kind == LoopKind::Count && self.symbols.dim(self.scopes[i].length).as_fixed() == Some(1)
    }

    pub(crate) fn encloses(&self, outer: usize, mut inner: usize) -> bool {
        while let Some(p) = self.scopes[inner].parent {
            if p == outer {
                return true;
            }
            inner = p;
        }
        false
    }

    pub(crate) fn import_from_parent(&mut self, outer: Value, parent: usize, into: usize) -> Value {
        if let Some(&v) = self.scopes[into].imported.get(&outer) {
            return v;
        }
        let ty = self.graph(parent).ty(outer).clone();
        let v = self.body_input(into, ty, 2, "outer");
        let b = &mut self.scopes[into];
        b.invariants.push(outer);
        b.imported.insert(outer, v);
        v
    }

    pub(crate) fn body_input(&mut self, into: usize, ty: Type, kind: usize, name: &str) -> Value {
        let graph = self.graph(into);
        let number = graph.inputs().len();
        let v = graph.input(ty, InputKind::Arg, format!("{name}{number}"));
        self.scopes[into].inputs[kind].push(number);
        v
    }

    /// A value of a loop body that has ended, used by the loop that is its backward pass.
    pub(crate) fn import_from_closed(&mut self, from: usize, v: Value, into: usize) -> Result<Value> {
        let leaked =
            || Error::trace("a value of a loop body is used outside the loop; give it back from the body instead");
        let parent = self.scopes[from].parent.ok_or_else(leaked)?;
        self.scopes[from].node.ok_or_else(leaked)?;
        let input = self.graph(from).inputs().iter().position(|i| i.node == v.node);
        if let Some(number) = input {
            let b = &self.scopes[from];
            let at = |kind: usize| b.inputs[kind].iter().position(|&n| n == number);
            if let Some(i) = at(2) {
                let outer = b.invariants[i];
                return self.import(parent, outer, into);
            }
            if let Some(i) = at(1) {
                let outer = b.xs[i];
                return self.import_element(from, parent, outer, into, leaked);
            }
        } else if let Some(outer) = self.hoist(from, parent, v)? {
            return self.import(parent, outer, into);
        }
        let node = self.scopes[from].node.expect("seen above");
        let collected = self.collected(parent, node, v);
        self.import_element(from, parent, collected, into, leaked)
    }

    /// Ends the innermost loop, whose body has its outputs: gives its results.
    pub(crate) fn close_loop(&mut self) -> Result<Vec<Made>> {
        let body = self.open.pop().expect("a loop is open");
        let parent = self.current();
        let length = self.symbols.dim(self.scopes[body].length);
        let b = &mut self.scopes[body];
        let mut graph = b.graph.take().expect("the loop is open");
        let order: Vec<usize> = b.inputs.concat();
        graph.order_inputs(&order);
        // The inputs have moved: carries first, then xs, then what comes from outside.
        let mut at = 0;
        for kind in &mut b.inputs {
            for number in kind {
                *number = at;
                at += 1;
            }
        }
        let count = b.count.as_slice();
        let operands: Vec<Value> = [b.carries.as_slice(), &b.xs, &b.invariants, count].concat();
        let scan =
            Scan { body: graph, carries: b.carries.len(), xs: b.xs.len(), length, reverse: b.reverse, kind: b.kind };
        let node = self.graph(parent).add(Op::Scan(Box::new(scan)), &operands)?;
        self.scopes[body].node = Some(node);
        let ports = self.graph(parent).node(node).types.len() as u32;
        Ok((0..ports).map(|port| self.typed(parent, Value { node, port })).collect())
    }

    /// A closed loop may run no more iterations than the capacity of its backward pass.
    pub(crate) fn bound(&mut self, body: usize) {
        if let (Some(parent), Some(node)) = (self.scopes[body].parent, self.scopes[body].node)
            && let Op::Scan(scan) = &mut self.graph(parent).node_mut(node).op
            && scan.kind == LoopKind::While
        {
            scan.kind = LoopKind::Within;
        }
    }

    /// The collected value of body value `v`, one more result of its loop where it is none yet.
    pub(crate) fn collected(&mut self, parent: usize, node: NodeId, v: Value) -> Value {
        let graph = self.graph(parent);
        if let Op::Scan(scan) = &graph.node(node).op
            && let Some(port) = scan.body.outputs().iter().skip(scan.carries).position(|o| o.value == v)
        {
            return Value { node, port: (scan.carries + port) as u32 };
        }
        graph.grow_scan(node, v)
    }

    /// The element for this iteration of `outer`, which is collected over the loop `from`.
    pub(crate) fn import_element(
        &mut self,
        from: usize,
        parent: usize,
        outer: Value,
        into: usize,
        leaked: impl Fn() -> Error,
    ) -> Result<Value> {
        let mut scope = into;
        while self.scopes[scope].mirror != Some(from) {
            scope = self.scopes[scope].parent.ok_or_else(&leaked)?;
        }
        let around = self.scopes[scope].parent.expect("a loop has a scope around it");
        let outer = self.import(parent, outer, around)?;
        let element = match self.scopes[scope].imported_xs.get(&outer) {
            Some(&v) => v,
            None => {
                let mut ty = self.graph(around).ty(outer).clone();
                ty.shape.remove(0);
                let v = self.body_input(scope, ty, 1, "x");
                let b = &mut self.scopes[scope];
                b.xs.push(outer);
                b.imported_xs.insert(outer, v);
                v
            }
        };
        self.import(scope, element, into)
    }

    /// Body value `v` recomputed in the parent, where it depends on nothing that the loop changes.
    pub(crate) fn hoist(&mut self, from: usize, parent: usize, v: Value) -> Result<Option<Value>> {
        if let Some(&outer) = self.scopes[from].hoisted.get(&v) {
            return Ok(Some(outer));
        }
        let input = self.graph(from).inputs().iter().position(|i| i.node == v.node);
        if let Some(number) = input {
            let b = &self.scopes[from];
            return Ok(b.inputs[2].iter().position(|&n| n == number).map(|i| b.invariants[i]));
        }
        let op = self.graph(from).node(v.node).op.clone();
        let stays = match (&op, self.scopes[from].kind) {
            (Op::Scan(_) | Op::Fusion(_), _) => true,
            // There is an iteration, and in that it has held.
            (Op::Check(_), LoopKind::All) => {
                let checked = self.graph(from).operands(v.node)[0];
                return self.hoist(from, parent, checked);
            }
            (_, LoopKind::All) => false,
            // A loop that has no iterations computes nothing that can fail, a branch that is not taken nothing at all.
            (Op::Check(_), _) => true,
            (op, _) => self.is_branch(from) && !op.is_free(),
        };
        if stays {
            return Ok(None);
        }
        let mut operands: SmallVec<[Value; 4]> = SmallVec::new();
        for operand in self.graph(from).operands(v.node) {
            match self.hoist(from, parent, operand)? {
                Some(outer) => operands.push(outer),
                None => return Ok(None),
            }
        }
        let outer = self.graph(parent).op(op, &operands)?;
        self.scopes[from].hoisted.insert(v, outer);
        Ok(Some(outer))
    }
}
