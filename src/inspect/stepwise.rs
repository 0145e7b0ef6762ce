//! A captured graph computed one node after the other with the kernels of the eager mode: what each value is, without any
//! pass or generated code. Slow and plain, to hold compiled code against; nothing outside is changed.

use crate::error::{Error, Result};
use crate::tensor::operand::Operand;
use crate::tensor::{Dims, Size, Tensor, eval};
use allotrope_ir::{BinaryOp, Graph, LoopKind, NodeId, Op, Scalar, Scan, Type, Value, node_text};
use std::collections::HashMap;

/// All values of a graph.
pub(crate) type Values = HashMap<Value, Tensor>;

/// Every value of the graph on these inputs, contiguous or not, with symbol `i` being `binding[i]`.
///
/// # Errors
/// When a check of the program fails.
pub(crate) fn values(graph: &Graph, binding: &[usize], inputs: &[Tensor]) -> Result<Values> {
    let mut values: Values = graph.input_values().zip(inputs.iter().cloned()).collect();
    for id in graph.nodes().filter(|id| graph.node(*id).op != Op::Input) {
        let operands: Vec<Tensor> = graph.operands(id).iter().map(|v| values[v].clone()).collect();
        for (port, tensor) in node(graph, id, binding, &operands)?.into_iter().enumerate() {
            values.insert(Value { node: id, port: port as u32 }, tensor);
        }
    }
    Ok(values)
}

fn outputs(graph: &Graph, binding: &[usize], inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let values = values(graph, binding, inputs)?;
    Ok(graph.outputs().iter().map(|o| values[&o.value].clone()).collect())
}

fn shape_of(ty: &Type, binding: &[usize]) -> Dims {
    ty.shape.iter().map(|d| d.eval(binding)).collect()
}

/// The results of one node.
pub(crate) fn node(graph: &Graph, id: NodeId, binding: &[usize], operands: &[Tensor]) -> Result<Vec<Tensor>> {
    let node = graph.node(id);
    match &node.op {
        Op::Scan(scan) => return looped(graph, id, scan, binding, operands),
        Op::Fusion(body) => return outputs(body, binding, operands),
        Op::Barrier(_) => return Ok(operands.to_vec()),
        Op::AddMatmul => {
            let product = primitive(&Op::Matmul, &operands[1..], &node.types[0], binding)?;
            let sum = Op::Binary(BinaryOp::Add);
            return Ok(vec![primitive(&sum, &[operands[0].clone(), product], &node.types[0], binding)?]);
        }
        _ => {}
    }
    Ok(vec![primitive(&node.op, operands, &node.types[0], binding)?])
}

fn primitive(op: &Op, operands: &[Tensor], ty: &Type, binding: &[usize]) -> Result<Tensor> {
    let op = op.map_dims(&mut |d| Size::from(d.eval(binding)));
    let sizes: Vec<Size> = shape_of(ty, binding).iter().map(|&n| Size::from(n)).collect();
    let operands: Vec<Operand<'_>> = operands.iter().map(Operand::Tensor).collect();
    eval::eval(&op, &operands, ty.dtype, &sizes)
}

fn looped(graph: &Graph, id: NodeId, scan: &Scan, binding: &[usize], operands: &[Tensor]) -> Result<Vec<Tensor>> {
    let length = scan.length.eval(binding);
    let (seen, count) = scan.split(operands);
    let rounds = match count {
        Some(n) => usize::try_from(n.try_item::<i64>()?).unwrap_or(0).min(length),
        None => length,
    };
    let (carries, rest) = seen.split_at(scan.carries);
    let (xs, invariants) = rest.split_at(scan.xs);
    let mut carries = carries.to_vec();
    let mut ys: Vec<Vec<Option<Tensor>>> = vec![vec![None; length]; graph.node(id).types.len() - scan.carries];
    for step in 0.. {
        let more = match scan.kind {
            LoopKind::While | LoopKind::Within => carries[0].try_item::<bool>()?,
            LoopKind::All | LoopKind::Count => step < rounds,
        };
        if !more {
            break;
        }
        if scan.kind == LoopKind::Within && step == length {
            let text = node_text(graph, id);
            return Err(Error::Trace(format!("{text}: the loop goes on after {length} rounds")));
        }
        let t = if scan.reverse { rounds - 1 - step } else { step };
        let mut inputs = carries;
        for x in xs {
            inputs.push(eval::element(x, t)?);
        }
        inputs.extend(invariants.iter().cloned());
        let mut results = outputs(&scan.body, binding, &inputs)?;
        let produced = results.split_off(scan.carries);
        carries = results;
        ys.iter_mut().zip(produced).for_each(|(y, tensor)| y[t] = Some(tensor));
    }
    for (y, ty) in ys.into_iter().zip(&graph.node(id).types[scan.carries..]) {
        let shape = shape_of(ty, binding);
        let zero = || eval::full(&shape[1..], Scalar::from_f64(0.0, ty.dtype));
        carries.push(match length {
            0 => eval::full(&shape, Scalar::from_f64(0.0, ty.dtype)),
            _ => eval::stacked(&y.into_iter().map(|row| row.unwrap_or_else(zero)).collect::<Vec<_>>())?,
        });
    }
    Ok(carries)
}
