//! A captured graph computed one node after the other with the kernels of the eager mode: what each value is, without any
//! pass or generated code. Slow and plain, to hold compiled code against; nothing outside is changed.

use crate::error::{Error, Result};
use crate::tensor::operand::Operand;
use crate::tensor::{Dims, Size, Tensor, eval};
use allotrope_ir::{
    BinaryOp, Class, Contraction, Dim, Evaluator, Graph, Iterate, NodeId, Op, Scalar, Scan, Type, evaluate, iterate,
    node_text,
};

/// All values of a graph.
pub(crate) type Values = allotrope_ir::Values<Tensor>;

/// Every value of the graph on these inputs, contiguous or not, on the device that this thread makes tensors on, with symbol `i` being `binding[i]`.
///
/// # Errors
/// When a check of the program fails.
pub(crate) fn values(graph: &Graph, binding: &[usize], inputs: &[Tensor]) -> Result<Values> {
    evaluate(&mut Stepwise { binding }, graph, inputs)
}

struct Stepwise<'a> {
    binding: &'a [usize],
}

impl Stepwise<'_> {
    fn shape_of(&self, ty: &Type) -> Dims {
        ty.shape.iter().map(|d| d.eval(self.binding)).collect()
    }

    fn primitive(&self, op: &Op, operands: &[&Tensor], ty: &Type) -> Result<Tensor> {
        let op = op.map_dims(&mut |d| Size::from(d.eval(self.binding)));
        let sizes: Vec<Size> = self.shape_of(ty).iter().map(|&n| Size::from(n)).collect();
        let operands: Vec<Operand<'_>> = operands.iter().map(|t| Operand::Tensor(t)).collect();
        eval::eval(&op, &operands, ty.dtype, &sizes)
    }
}

impl Evaluator for Stepwise<'_> {
    type Value = Tensor;
    type Error = Error;

    fn operation(&mut self, graph: &Graph, id: NodeId, operands: &[&Tensor]) -> Result<Tensor> {
        let node = graph.node(id);
        let ty = &node.types[0];
        match node.op.class() {
            Class::Barrier(_) => Ok(operands[0].clone()),
            Class::Contraction(Contraction::AddMatmul) => {
                let product = self.primitive(&Op::Matmul, &operands[1..], ty)?;
                self.primitive(&Op::Binary(BinaryOp::Add), &[operands[0], &product], ty)
            }
            Class::Leaf(_)
            | Class::Elementwise(_)
            | Class::View(_)
            | Class::Reduction(..)
            | Class::Axis(_)
            | Class::Contraction(Contraction::Matmul)
            | Class::Check(_) => self.primitive(&node.op, operands, ty),
            Class::Loop(_) | Class::Fusion(_) => unreachable!("bug in allotrope: {} is no operation", node.op.name()),
        }
    }

    fn scan(&mut self, graph: &Graph, id: NodeId, scan: &Scan, operands: &[&Tensor]) -> Result<Vec<Tensor>> {
        iterate(self, graph, id, scan, operands)
    }
}

impl Iterate for Stepwise<'_> {
    fn size(&self, dim: &Dim) -> usize {
        dim.eval(self.binding)
    }

    fn holds(&mut self, value: &Tensor) -> Result<bool> {
        value.try_item::<bool>()
    }

    fn count(&mut self, value: &Tensor) -> Result<i64> {
        value.try_item::<i64>()
    }

    fn element(&mut self, value: &Tensor, i: usize) -> Result<Tensor> {
        eval::element(value, i)
    }

    fn collect(&mut self, elements: Vec<Option<Tensor>>, ty: &Type) -> Result<Tensor> {
        let shape = self.shape_of(ty);
        let zeros = |shape: &[usize]| eval::full(shape, Scalar::from_f64(0.0, ty.dtype));
        if elements.is_empty() {
            return zeros(&shape);
        }
        let elements = elements.into_iter().map(|row| row.map_or_else(|| zeros(&shape[1..]), Ok));
        eval::stacked(&elements.collect::<Result<Vec<_>>>()?)
    }

    fn too_many_iterations(&self, graph: &Graph, id: NodeId, capacity: usize) -> Error {
        Error::trace(format!("{}: the loop goes on after {capacity} iterations", node_text(graph, id)))
    }
}
