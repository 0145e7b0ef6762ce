//! Does what a graph says, operation by operation, through the recorder of another trace: so a call whose results were
//! computed before that trace can be differentiated in it. Nothing is noted on the tape.

use crate::error::{Error, Result};
use crate::mode::apply::apply;
use crate::mode::recorder::Recorder;
use crate::mode::recorder::loops::{Iterations, ScanSpec};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Dim, Graph, LoopKind, Op, Scan, Value};
use smallvec::SmallVec;
use std::collections::HashMap;

/// The results of `graph`, which is not fused, on these inputs. Symbol `i` is `binding[i]`.
pub(crate) fn replay(r: &dyn Recorder, graph: &Graph, inputs: &[Tensor], binding: &[usize]) -> Result<Vec<Tensor>> {
    let size = |d: &Dim| Size::from(d.eval(binding));
    let mut values: HashMap<Value, Tensor> = graph.input_values().zip(inputs.iter().cloned()).collect();
    for id in graph.nodes() {
        let operands: SmallVec<[Tensor; 4]> = graph.operands(id).iter().map(|v| values[v].clone()).collect();
        let results: SmallVec<[Tensor; 2]> = match &graph.node(id).op {
            Op::Input => continue,
            Op::Const(s) => SmallVec::from_iter([full_of(&[], *s)?]),
            Op::Extent(d) => SmallVec::from_iter([r.extent(size(d))?]),
            Op::Scan(scan) => replay_scan(r, scan, &operands, binding)?,
            op => {
                let operands: SmallVec<[Operand<'_>; 4]> = operands.iter().map(Operand::Tensor).collect();
                SmallVec::from_iter([apply(&op.map_dims(&mut |d| size(d)), &operands)?])
            }
        };
        for (port, t) in results.into_iter().enumerate() {
            values.insert(Value { node: id, port: port as u32 }, t);
        }
    }
    Ok(graph.outputs().iter().map(|o| values[&o.value].clone()).collect())
}

fn replay_scan(r: &dyn Recorder, scan: &Scan, operands: &[Tensor], binding: &[usize]) -> Result<SmallVec<[Tensor; 2]>> {
    let (operands, count) = scan.split(operands);
    let (carries, rest) = operands.split_at(scan.carries);
    let (xs, invariants) = rest.split_at(scan.xs);
    let limit = Size::from(scan.length.eval(binding));
    let iterations = match (scan.kind, count) {
        (LoopKind::Count, Some(n)) => Iterations::Count { n, limit },
        (LoopKind::While, _) => Iterations::While,
        _ => Iterations::All(limit),
    };
    let inner = r.scan_begin(&ScanSpec { carries, xs, iterations, reverse: scan.reverse, mirror: None })?;
    let inputs: Vec<Tensor> = [&inner.carries[..], &inner.xs, invariants].concat();
    let ended = replay(r, &scan.body, &inputs, binding).and_then(|out| {
        let (next, ys) = out.split_at(scan.carries);
        r.scan_end(next, ys)
    });
    match ended {
        Ok((finals, ys)) => Ok(finals.into_iter().chain(ys).collect()),
        Err(e) => {
            r.scan_abandon();
            Err(Error::Trace(format!("a loop could not be differentiated inside another trace: {e}")))
        }
    }
}
