//! How the value of a graph under construction would lie in memory, found from the operations that made it. It records
//! demands on layouts and changes none.

use crate::capture::builder::{GraphBuilder, Role};
use crate::capture::event::LayoutOf;
use crate::capture::layout::{Demand, Layout, Memory, ViewStep};
use crate::error::{Error, Result};
use allotrope_ir::{Class, LoopKind, Op, Value, View};

impl GraphBuilder {
    /// The layout of what is asked about.
    pub(crate) fn layout_at(&mut self, what: &'static str, place: &LayoutOf) -> Result<Layout> {
        match place {
            LayoutOf::Captured(i) => Ok(Layout { memory: Memory::Captured(*i), steps: Vec::new() }),
            LayoutOf::Value(at, value) => self.layout_of(what, *at, *value),
        }
    }

    /// Demands that the elements must lie in row-major order.
    pub(crate) fn demand(&mut self, what: &'static str, layout: Layout, whole: bool) {
        if !layout.is_fresh() {
            self.demands.push(Demand { what: what.into(), layout, whole });
        }
    }

    /// The layout of a value of scope `at`, open or closed.
    fn layout_of(&mut self, what: &'static str, at: usize, v: Value) -> Result<Layout> {
        let fresh = Layout::fresh(self.graph(at).ty(v).shape.clone());
        let number = self.graph(at).inputs().iter().position(|i| i.node == v.node);
        if let Some(number) = number {
            return self.layout_of_input(what, at, number, fresh);
        }
        let op = self.graph(at).node(v.node).op.clone();
        let operand = self.graph(at).operands(v.node).first().copied();
        match (op.class(), operand) {
            // A number repeated is what makes a full tensor.
            (Class::View(View::Broadcast(_)), Some(x)) if self.is_number(at, x) => Ok(fresh),
            (Class::View(view), Some(x)) if view.is_strided() => {
                Ok(self.layout_of(what, at, x)?.then(ViewStep::View(op.into())))
            }
            (Class::Check(_) | Class::Barrier(_), Some(x)) => self.layout_of(what, at, x),
            // A branch, and a loop that may have no iterations, give fresh tensors.
            (Class::Loop(scan), _) if (v.port as usize) < scan.carries && scan.kind == LoopKind::All => {
                let body = self.scopes.iter().position(|b| b.parent == Some(at) && b.node == Some(v.node));
                let body = body.expect("bug in allotrope: a loop has no scope");
                let last = self.layout_of(what, body, scan.body.outputs()[v.port as usize].value)?;
                match last.is_fresh() {
                    true => Ok(fresh),
                    false => Err(Error::trace(format!(
                        "{what} draws in the order of memory, which is not known of what a loop carried and did not \
                         compute; draw in the shape of another tensor"
                    ))),
                }
            }
            (Class::Leaf(_) | Class::View(_) | Class::Loop(_) | Class::Fusion(_), _) => Ok(fresh),
            (Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) | Class::Axis(_), _) => Ok(fresh),
            (Class::Check(_) | Class::Barrier(_), None) => unreachable!("bug in allotrope: {} of nothing", op.name()),
        }
    }

    /// Whether the value is a number in the program.
    fn is_number(&mut self, at: usize, v: Value) -> bool {
        let Some(number) = self.graph(at).inputs().iter().position(|i| i.node == v.node) else {
            return matches!(self.graph(at).node(v.node).op, Op::Const(_));
        };
        if at == 0 {
            return self.roles[number] == Role::Slot;
        }
        let b = &self.scopes[at];
        let outer = b.inputs[2].iter().position(|&n| n == number).map(|i| b.invariants[i]);
        let parent = b.parent.expect("a loop has a scope around it");
        outer.is_some_and(|outer| self.is_number(parent, outer))
    }

    fn layout_of_input(&mut self, what: &'static str, at: usize, number: usize, fresh: Layout) -> Result<Layout> {
        if at == 0 {
            let place = self.roles[..number].iter().filter(|r| **r != Role::Slot).count();
            return Ok(match self.roles[number] {
                Role::Drawn | Role::Slot | Role::Gradient => fresh,
                Role::Tensor => Layout { memory: Memory::Input(place), steps: Vec::new() },
            });
        }
        let b = &self.scopes[at];
        let parent = b.parent.expect("a loop has a scope around it");
        let place = |kind: usize| b.inputs[kind].iter().position(|&n| n == number);
        if let Some(i) = place(1) {
            let outer = b.xs[i];
            return Ok(self.layout_of(what, parent, outer)?.then(ViewStep::Element));
        }
        if let Some(i) = place(2) {
            let outer = b.invariants[i];
            return self.layout_of(what, parent, outer);
        }
        // A carry lies as the iteration before left it: fresh, or the capture does not hold.
        let i = place(0).expect("an input of a loop is of one kind");
        if !b.asked.contains(&i) {
            let outer = b.carries[i];
            self.scopes[at].asked.push(i);
            let first = self.layout_of(what, parent, outer)?;
            self.demand(what, first, true);
            if self.scopes[at].node.is_some() {
                let next = self.graph(at).outputs()[i].value;
                let next = self.layout_of(what, at, next)?;
                self.demand(what, next, true);
            }
        }
        Ok(fresh)
    }
}
