//! Walking a graph: every node once, in order, whatever its values are. What an operation does with values is for an
//! evaluator to say: the interpreter, the kernels of the eager mode and a recorder are three. Nothing is computed here.

use crate::{Dim, Graph, LoopKind, NodeId, Op, Scan, Type, Value};
use std::collections::HashMap;

/// What the values of a graph are, and what its nodes make of them.
pub trait Evaluator {
    type Value: Clone;
    type Error;

    /// Looks at the inputs of a graph, or of the body of a node, before it is walked.
    ///
    /// # Errors
    /// Where they do not fit.
    fn enter(&mut self, _graph: &Graph, _inputs: &[Self::Value]) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The result of a node that has no body.
    ///
    /// # Errors
    /// Where it cannot be had.
    fn operation(&mut self, graph: &Graph, id: NodeId, operands: &[&Self::Value]) -> Result<Self::Value, Self::Error>;

    /// The results of a loop; [`iterate`] gives them where values are elements.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn scan(
        &mut self,
        graph: &Graph,
        id: NodeId,
        scan: &Scan,
        operands: &[&Self::Value],
    ) -> Result<Vec<Self::Value>, Self::Error>;
}

/// An evaluator whose values are elements, so that loops can run.
pub trait Iterate: Evaluator {
    fn size(&self, dim: &Dim) -> usize;
    /// The one element of a `bool[]`.
    ///
    /// # Errors
    /// Where it has none.
    fn holds(&mut self, value: &Self::Value) -> Result<bool, Self::Error>;
    /// The one element of an `i64[]`.
    ///
    /// # Errors
    /// Where it has none.
    fn count(&mut self, value: &Self::Value) -> Result<i64, Self::Error>;
    /// Element `i` along the first axis.
    ///
    /// # Errors
    /// Where there is none.
    fn element(&mut self, value: &Self::Value, i: usize) -> Result<Self::Value, Self::Error>;
    /// A value of type `ty` from its elements along the first axis, zeros where there is none.
    ///
    /// # Errors
    /// Where it cannot be made.
    fn collect(&mut self, elements: Vec<Option<Self::Value>>, ty: &Type) -> Result<Self::Value, Self::Error>;
    /// The error of a loop that goes on after as many iterations as its capacity.
    fn too_many_iterations(&self, graph: &Graph, id: NodeId, capacity: usize) -> Self::Error;
}

/// All values of a graph.
pub type Values<V> = HashMap<Value, V>;

/// Every value of the graph on these inputs, one for each of its own.
///
/// # Errors
/// The first that the evaluator meets.
pub fn evaluate<E: Evaluator>(
    evaluator: &mut E,
    graph: &Graph,
    inputs: &[E::Value],
) -> Result<Values<E::Value>, E::Error> {
    evaluator.enter(graph, inputs)?;
    let mut values: Values<E::Value> = graph.input_values().zip(inputs.iter().cloned()).collect();
    for id in graph.nodes() {
        let operands: Vec<&E::Value> = graph.operands(id).iter().map(|v| &values[v]).collect();
        let results = match &graph.node(id).op {
            Op::Input => continue,
            Op::Scan(scan) => evaluator.scan(graph, id, scan, &operands)?,
            Op::Fusion(body) => {
                let inputs: Vec<E::Value> = operands.into_iter().cloned().collect();
                outputs(evaluator, body, &inputs)?
            }
            _ => vec![evaluator.operation(graph, id, &operands)?],
        };
        for (port, value) in results.into_iter().enumerate() {
            values.insert(Value { node: id, port: port as u32 }, value);
        }
    }
    Ok(values)
}

/// The outputs of the graph on these inputs, updates included.
///
/// # Errors
/// As [`evaluate`].
pub fn outputs<E: Evaluator>(evaluator: &mut E, graph: &Graph, inputs: &[E::Value]) -> Result<Vec<E::Value>, E::Error> {
    let values = evaluate(evaluator, graph, inputs)?;
    Ok(graph.outputs().iter().map(|o| values[&o.value].clone()).collect())
}

/// The results of a loop, iteration after iteration.
///
/// # Errors
/// As [`evaluate`]; and where a loop goes on that has no capacity for more iterations.
pub fn iterate<E: Iterate>(
    evaluator: &mut E,
    graph: &Graph,
    id: NodeId,
    scan: &Scan,
    operands: &[&E::Value],
) -> Result<Vec<E::Value>, E::Error> {
    let capacity = evaluator.size(&scan.length);
    let (seen, count) = scan.split(operands);
    let iterations = match count {
        Some(n) => usize::try_from(evaluator.count(n)?).unwrap_or(0).min(capacity),
        None => capacity,
    };
    let (carries, rest) = seen.split_at(scan.carries);
    let (xs, invariants) = rest.split_at(scan.xs);
    let mut carries: Vec<E::Value> = carries.iter().map(|&v| v.clone()).collect();
    let ys = graph.node(id).types.len() - scan.carries;
    let mut ys: Vec<Vec<Option<E::Value>>> = vec![vec![None; capacity]; ys];
    for iteration in 0.. {
        let more = match scan.kind {
            LoopKind::While | LoopKind::Within => evaluator.holds(&carries[0])?,
            LoopKind::All | LoopKind::Count => iteration < iterations,
        };
        if !more {
            break;
        }
        if scan.kind == LoopKind::Within && iteration == capacity {
            return Err(evaluator.too_many_iterations(graph, id, capacity));
        }
        let i = if scan.reverse { iterations - 1 - iteration } else { iteration };
        let mut inputs = carries;
        for x in xs {
            inputs.push(evaluator.element(x, i)?);
        }
        inputs.extend(invariants.iter().map(|&v| v.clone()));
        let mut results = outputs(evaluator, &scan.body, &inputs)?;
        let produced = results.split_off(scan.carries);
        carries = results;
        ys.iter_mut().zip(produced).for_each(|(y, value)| y[i] = Some(value));
    }
    for (elements, ty) in ys.into_iter().zip(&graph.node(id).types[scan.carries..]) {
        carries.push(evaluator.collect(elements, ty)?);
    }
    Ok(carries)
}
