//! The operators of the library as OpenCL C, in two styles with the same bits: those of the functions of `allotrope_kernels`
//! that they name.

mod indices;
pub mod matmul;
mod reduce;

use crate::backend::opencl::source::body::Launches;
use crate::schedule::Operator;

/// The launches of an operator.
pub fn operator(launches: &mut Launches, operator: &Operator) {
    match operator {
        Operator::Matmul { a, b, out, accumulate } => matmul::matmul(launches, a, b, out, *accumulate),
        Operator::Reduce { op, axes, x, out } => reduce::reduce(launches, *op, axes, x, out),
        Operator::Gather { .. } => todo!(),
        Operator::Scatter { .. } => todo!(),
        Operator::ArgReduce { .. } => todo!(),
        Operator::ArgSort { .. } => todo!(),
        Operator::Recurrence { .. } => todo!(),
        Operator::OverlapAdd { .. } => todo!(),
    }
}
