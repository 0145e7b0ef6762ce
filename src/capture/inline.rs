//! Does what a graph says, operation by operation, through the recorder of another trace: so a call whose results were
//! computed before that trace can be differentiated in it. Nothing is recorded on the tape.

use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::recorder::Recorder;
use crate::mode::recorder::loops::{Iterations, ScanSpec};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Class, Dim, Evaluator, Graph, Leaf, LoopKind, NodeId, Scan, outputs};
use smallvec::SmallVec;

/// The results of `graph` on these inputs. Symbol `i` is `binding[i]`.
pub(crate) fn inline(r: &dyn Recorder, graph: &Graph, inputs: &[Tensor], binding: &[usize]) -> Result<Vec<Tensor>> {
    outputs(&mut Inliner { r, binding }, graph, inputs)
}

struct Inliner<'a> {
    r: &'a dyn Recorder,
    binding: &'a [usize],
}

impl Inliner<'_> {
    fn size(&self, d: &Dim) -> Size {
        Size::from(d.eval(self.binding))
    }
}

impl Evaluator for Inliner<'_> {
    type Value = Tensor;
    type Error = Error;

    fn operation(&mut self, graph: &Graph, id: NodeId, operands: &[&Tensor]) -> Result<Tensor> {
        let op = &graph.node(id).op;
        match op.class() {
            Class::Leaf(Leaf::Const(s)) => full_of(&[], s),
            Class::Leaf(Leaf::Extent(d)) => self.r.extent(self.size(d)),
            Class::Leaf(Leaf::Input) | Class::Loop(_) | Class::Fusion(_) => {
                unreachable!("bug in allotrope: {} is no operation", op.name())
            }
            Class::Leaf(Leaf::Iota(_))
            | Class::Elementwise(_)
            | Class::View(_)
            | Class::Reduction(..)
            | Class::Contraction(_)
            | Class::Axis(_)
            | Class::Check(_)
            | Class::Barrier(_) => {
                let operands: SmallVec<[Operand<'_>; 4]> = operands.iter().map(|t| Operand::Tensor(t)).collect();
                apply(&op.map_dims(&mut |d| self.size(d)), &operands)
            }
        }
    }

    fn scan(&mut self, _: &Graph, _: NodeId, scan: &Scan, operands: &[&Tensor]) -> Result<Vec<Tensor>> {
        let operands: Vec<Tensor> = operands.iter().map(|&t| t.clone()).collect();
        let (operands, count) = scan.split(&operands);
        let (carries, rest) = operands.split_at(scan.carries);
        let (xs, invariants) = rest.split_at(scan.xs);
        let limit = || self.size(&scan.length);
        let iterations = match (scan.kind, count) {
            (LoopKind::Count, Some(n)) => Iterations::Count { n, limit: limit() },
            (LoopKind::While, _) => Iterations::While,
            // How many it collects is known when it has run.
            (LoopKind::Within, _) => {
                return Err(Error::trace(
                    "the backward pass of a call that was made before this trace differentiates a while_loop of its own (in a \
                     checkpoint, a Function or a hook), which can't be recorded here; make the call inside this trace, or \
                     the backward pass outside",
                ));
            }
            (LoopKind::All | LoopKind::Count, _) => Iterations::All(limit()),
        };
        let inner = self.r.scan_begin(&ScanSpec { carries, xs, iterations, reverse: scan.reverse, mirror: None })?;
        let inputs: Vec<Tensor> = [&inner.carries[..], &inner.xs, invariants].concat();
        let ended = outputs(self, &scan.body, &inputs).and_then(|out| {
            let (next, ys) = out.split_at(scan.carries);
            self.r.scan_end(next, ys)
        });
        match ended {
            Ok((finals, ys)) => Ok(finals.into_iter().chain(ys).collect()),
            Err(e) => {
                self.r.scan_abandon();
                Err(Error::trace(format!("a loop could not be differentiated inside another trace: {e}")))
            }
        }
    }
}
